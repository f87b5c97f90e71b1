"""The nodes of an XML tree, and what can be read from them.

lxml has no nodes for text and attributes; here they are kept as their element and the place in it.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from lxml import etree

SEPARATOR = "\0"
"""Between the values of a column; no XML text has it."""
ABSENT = "\1"
"""A value that a column leaves out: the attribute is not there, or the contents are to be asked for by themselves."""

_text = attrgetter("text")
_XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


class Text:
    """A run of text: what is inside of *owner* before its first child, or, as its *tail*, behind it."""

    __slots__ = ("owner", "tail")
    tag = "text"

    def __init__(self, owner: Any, tail: bool) -> None:
        self.owner = owner
        self.tail = tail

    def __len__(self) -> int:
        return 0

    def get(self, _name: str) -> None:
        """No text has attributes."""

    @property
    def text(self) -> str | None:
        """The text itself."""
        content: str | None = self.owner.tail if self.tail else self.owner.text
        return content

    @text.setter
    def text(self, content: str | None) -> None:
        setattr(self.owner, "tail" if self.tail else "text", content)


class Attribute:
    """An attribute, as XPath finds it; *key* is lxml's name for it."""

    __slots__ = ("key", "owner")

    def __init__(self, owner: Any, key: str) -> None:
        self.owner = owner
        self.key = key

    def __len__(self) -> int:
        return 0

    def get(self, _name: str) -> None:
        """No attribute has attributes."""

    @property
    def tag(self) -> str:
        """The name of the attribute."""
        return self.key

    @property
    def text(self) -> str | None:
        """The value of the attribute, None once it was removed."""
        value: str | None = self.owner.get(self.key)
        return value

    @text.setter
    def text(self, content: str | None) -> None:
        self.owner.set(self.key, content or "")


Batch = list[Any]
"""lxml elements, comments and processing instructions, :class:`Text` and :class:`Attribute`."""


def from_xpath(found: list[Any]) -> Batch:
    """The nodes in what lxml found, in the same order."""
    if set(map(type, found)) <= {etree._Element}:
        return found
    nodes: Batch = []
    for each in found:
        if isinstance(each, etree._Element):
            nodes.append(each)
        elif isinstance(each, str):
            text: Any = each  # one of lxml's, which knows where it is from
            owner = text.getparent()
            if text.is_attribute:
                nodes.append(Attribute(owner, text.attrname))
            elif not _same_text(nodes, owner, text.is_tail):
                nodes.append(Text(owner, text.is_tail))
    return nodes


def column(nodes: Batch, what: bytes, name: bytes) -> bytes:
    """The ``name``, ``contents`` or ``attr`` *name* of *nodes* in UTF-8, by :data:`SEPARATOR`, with :data:`ABSENT`."""
    if what == b"contents":
        if not any(map(len, nodes)):
            try:
                return SEPARATOR.join(map(_text, nodes)).encode()
            except TypeError:
                pass  # one is None
        # The whole text of nodes inside of each other would grow with the square of their number.
        values: Iterable[str] = [ABSENT if len(each) else each.text or "" for each in nodes]
    elif what == b"name":
        values = map(name_of, nodes)
    else:
        key = name.decode("utf-8", "replace")
        values = [ABSENT if found is None else found for found in (attribute_of(each, key) for each in nodes)]
    return SEPARATOR.join(values).encode()


def value(node: Any, what: bytes, name: bytes) -> bytes | None:
    """The same of one node, in full; None where there is none."""
    if what == b"contents":
        if len(node):
            return etree.tostring(node, method="text", encoding="utf-8", with_tail=False)
        return (node.text or "").encode()
    found = name_of(node) if what == b"name" else attribute_of(node, name.decode("utf-8", "replace"))
    return None if found is None else found.encode()


def name_of(node: Any) -> str:
    """The name without a namespace; ``text``, ``comment``, or the target of a processing instruction."""
    tag = node.tag
    if isinstance(tag, str):
        return tag if tag[:1] != "{" else tag.rpartition("}")[2]
    return "comment" if tag is etree.Comment else str(getattr(node, "target", node))


def attribute_of(node: Any, name: str) -> str | None:
    """The attribute *name*, of whatever namespace; one without a namespace comes first."""
    if not name or "{" in name:
        return None
    try:
        found: str | None = node.get(name)
    except ValueError:  # no name that XML can hold
        return None
    if found is None and isinstance(node, etree._Element):
        attributes: Any = node.attrib
        for key, content in attributes.items():
            if key[:1] == "{" and (key.endswith("}" + name) or (":" in name and key == key_of(node, name))):
                return str(content)
    return found


def children(node: Any) -> Iterator[Any]:
    """Elements, text, comments and processing instructions inside of *node*, in order."""
    if type(node) is not etree._Element:
        return
    if node.text:
        yield Text(node, False)
    for child in node:
        yield child
        if child.tail:
            yield Text(child, True)


def following(node: Any) -> Iterator[Any]:
    """The siblings behind *node*, in order."""
    if isinstance(node, Attribute):
        return
    if not isinstance(node, Text):
        element = node
        if element.tail:
            yield Text(element, True)
        element = element.getnext()
    elif node.tail:
        element = node.owner.getnext()
    else:
        element = node.owner[0] if len(node.owner) else None
    while element is not None:
        yield element
        if element.tail:
            yield Text(element, True)
        element = element.getnext()


def key_of(node: Any, name: str) -> str | None:
    """lxml's form of the name *name* as it would stand in *node*; None when its prefix means nothing there."""
    prefix, colon, local = name.partition(":")
    if not colon:
        return name
    namespace = _XML_NAMESPACE if prefix == "xml" else node.nsmap.get(prefix)
    return None if namespace is None else f"{{{namespace}}}{local}"


def _same_text(nodes: Batch, owner: Any, tail: bool) -> bool:
    """Whether the last of *nodes* is that text already: libxml2 keeps CDATA sections apart from their neighbours."""
    last = nodes[-1] if nodes else None
    return isinstance(last, Text) and last.owner is owner and last.tail == tail
