"""XML documents as Lua sees them: lxml trees behind handles.

A handle stands for a *batch*, a list of nodes that came from one call; Lua names a node by its batch and its place in
it, from 1.  What Lua asks of one node of a batch it usually asks of all, so :func:`column` answers for many at a time.

Nothing outside the text that was handed in is ever read.  Manual: mtev.parsexml, mtev.xmldoc, mtev.xmlnode.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from lxml import etree

from luamtev.api.xml_nodes import (
    Attribute,
    Batch,
    Text,
    children,
    column,
    following,
    from_xpath,
    key_of,
    name_of,
    value,
)
from luamtev.bridge import Handles, LuaError
from runtime import log, xmltext

if TYPE_CHECKING:
    from luamtev.port import Port

_EXPRESSIONS = 256  # compiled XPath expressions kept for a state
_RUN = 64  # siblings handed over at once
_NAME = rb"(?:[\w.-]+:)?[A-Za-z_][\w.-]*"
_ELEMENTS = re.compile(rb"/{0,2}" + _NAME + rb"(?://?" + _NAME + rb")*")  # what such paths find is elements
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/xml.lua`` builds on."""
    batches: Handles[Batch] = Handles()
    expression = lru_cache(_EXPRESSIONS)(etree.XPath)  # one for each state: evaluating one holds its lock
    parser: list[Any] = []

    def node(handle: int, index: int) -> Any:
        return batches[handle][int(index) - 1]

    def kept(nodes: Batch) -> tuple[int, int] | None:
        return (batches.add(nodes), len(nodes)) if nodes else None

    def xml_parse(text: bytes) -> int | None:
        if not parser:
            parser.append(xmltext.parser(strip_cdata=False))
        try:
            return batches.add([etree.fromstring(text, parser[0])])
        except etree.XMLSyntaxError as refused:
            _debug(f"parsexml: {refused}")
        except xmltext.OutsideError as outside:
            _debug(f"parsexml: the document asks for '{outside}', which is outside of it")
        return None

    def xml_xpath(handle: int, index: int, text: bytes) -> tuple[int, int] | None:
        context = node(handle, index)
        if isinstance(context, (Text, Attribute)):
            raise LuaError("bad argument #2 to 'xpath' (element expected, got text or an attribute)")
        try:
            found = expression(_decoded(text, "#1 to 'xpath'"))(context)
        except (etree.XPathError, ValueError) as refused:
            _debug(f"xpath {text.decode('utf-8', 'replace')}: {refused}")
            return None
        if not isinstance(found, list):
            return None
        return kept(found if _ELEMENTS.fullmatch(text) else from_xpath(found))

    def xml_column(handle: int, first: int, count: int, what: bytes, name: bytes) -> bytes:
        start = int(first) - 1
        return column(batches[handle][start : start + int(count)], what, name)

    def xml_tostring(handle: int) -> bytes:
        return serialize(node(handle, 1))

    def xml_release(handle: int) -> None:
        batches.pop(handle)

    return {
        "xml_parse": xml_parse,
        "xml_xpath": xml_xpath,
        "xml_children": lambda handle, index: kept(list(children(node(handle, index)))),
        "xml_following": lambda handle, index: kept(list(islice(following(node(handle, index)), _RUN))),
        "xml_column": xml_column,
        "xml_value": lambda handle, index, what, name: value(node(handle, index), what, name),
        "xml_set_contents": lambda handle, index, text: set_contents(node(handle, index), text),
        "xml_set_attr": lambda handle, index, name, text: set_attr(node(handle, index), name, text),
        "xml_addchild": lambda handle, index, name: batches.add([add_child(node(handle, index), name)]),
        "xml_tostring": xml_tostring,
        "xml_release": xml_release,
    }


def set_contents(node: Any, text: bytes) -> None:
    """Make *text* all there is inside of *node*.  Raises :exc:`LuaError` for what XML cannot hold."""
    content = _decoded(text, "#1 to 'contents'")
    try:
        if type(node) is etree._Element:
            node.text = content or None
            del node[:]
        else:
            node.text = content
    except ValueError as refused:
        raise LuaError(f"bad argument #1 to 'contents': {refused}") from None


def set_attr(node: Any, name: bytes, text: bytes | None) -> None:
    """Set the attribute *name*, or with None remove it.  Raises :exc:`LuaError`."""
    if type(node) is not etree._Element:
        raise LuaError(f"attr: a node of type '{name_of(node)}' has no attributes to set")
    key = key_of(node, _decoded(name, "#1 to 'attr'"))
    if text is None:
        if key is not None and key in node.keys():  # noqa: SIM118
            del node.attrib[key]
        return
    content = _decoded(text, "#2 to 'attr'")
    try:
        node.set(_known(key, name, "attr"), content)
    except ValueError as refused:
        raise LuaError(f"attr: cannot set {name.decode()!r}: {refused}") from None


def add_child(node: Any, name: bytes) -> Any:
    """Append an element *name*, in the namespace of *node* unless it has a prefix.  Raises :exc:`LuaError`."""
    if type(node) is not etree._Element:
        raise LuaError(f"addchild: a node of type '{name_of(node)}' has no children")
    text = _decoded(name, "#1 to 'addchild'")
    key = key_of(node, text)
    if key == text and node.tag[:1] == "{":
        key = node.tag.rpartition("}")[0] + "}" + text
    try:
        return etree.SubElement(node, _known(key, name, "addchild"))
    except ValueError as refused:
        raise LuaError(f"bad argument #1 to 'addchild' (name of an element expected: {refused})") from None


def serialize(root: Any) -> bytes:
    """The document around *root*, indented by two where no text stands between elements."""
    tree = root.getroottree()
    about = tree.docinfo
    alone = {True: ' standalone="yes"', False: ' standalone="no"'}.get(about.standalone, "")
    declaration = f'<?xml version="{about.xml_version or "1.0"}" encoding="utf8"{alone}?>\n'
    body: bytes = etree.tostring(tree, encoding="utf-8", pretty_print=True, xml_declaration=False)
    return declaration.encode() + body


def _known(key: str | None, name: bytes, function: str) -> str:
    shown = name.decode()
    if key is None:
        raise LuaError(f"{function}: the prefix of {shown!r} stands for no namespace here")
    if "{" in shown:
        raise LuaError(f"bad argument #1 to '{function}' (XML name expected, got {shown!r})")
    return key


def _decoded(text: bytes, argument: str) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        raise LuaError(f"bad argument {argument} (UTF-8 text expected)") from None
    found = _NOT_XML.search(decoded)
    if found:
        raise LuaError(f"bad argument {argument} (text that XML can hold expected, got character {ord(found[0])})")
    return decoded


def _debug(line: str) -> None:
    log.stream_find("debug/xml").log(line + "\n")
