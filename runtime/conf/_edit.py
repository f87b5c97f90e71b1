"""Changes to the tree in memory: where a path points, what XML can hold, and taking elements out.

Knows nothing of files; :class:`Conf` calls it with its lock held.
"""

import re

from lxml import etree

from . import _xpath
from ._errors import ConfError

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PLAIN_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")
_STEPS = re.compile(r"""(?:"[^"]*"|'[^']*'|[^"'])*/""")


def split(path: str) -> tuple[str, str]:
    """*path* as the XPath of its base and the ``name`` or ``@name`` below it.

    Raises :exc:`ConfError` when it ends in anything else."""
    steps = _STEPS.match(path)  # greedy: up to the last slash outside quotes
    end = steps.end() if steps else 0
    base, last = path[: max(end - 1, 0)], path[end:]
    if not base or not _is_name(last.removeprefix("@")):
        raise ConfError(f"cannot set {path!r}: expected an XPath, a slash and the name of an element or @attribute")
    return base, last


def check_text(path: str, value: str) -> None:
    """Raises :exc:`ConfError` when XML cannot hold *value*."""
    unfit = _NOT_XML.search(value)
    if unfit:
        raise ConfError(f"cannot set {path!r}: XML cannot hold U+{ord(unfit.group()):04X}")


def put(base: "etree._Element", last: str, value: str) -> None:
    """Give the element or attribute *last* of *base* the text *value*; it is made when there is none."""
    if last.startswith("@"):
        base.set(last[1:], value)
        return
    existing = list(base.iterchildren(last))
    element = existing[-1] if existing else _append(base, last)
    for child in list(element):
        element.remove(child)
    element.text = value


def owner(found: _xpath.Result) -> "etree._Element | None":
    """The element that holds the last match of an XPath, evaluated with smart strings; None when nothing matched."""
    item = found[-1] if isinstance(found, list) and found else None
    return item.getparent() if isinstance(item, etree._Element | etree._ElementUnicodeResult) else None


def delete(found: _xpath.Result) -> None:
    """Delete the elements and attributes that an XPath matched, evaluated with smart strings."""
    for item in found if isinstance(found, list) else []:
        if isinstance(item, etree._Element):
            detach(item)
        elif isinstance(item, etree._ElementUnicodeResult) and item.is_attribute:
            parent, name = item.getparent(), item.attrname
            assert parent is not None and name is not None
            del parent.attrib[name]


def detach(element: "etree._Element") -> None:
    """Take *element* out of its parent, which it has, but not the text behind it."""
    parent = element.getparent()
    assert parent is not None
    before = element.getprevious()
    text, tail = (parent.text if before is None else before.tail) or "", element.tail or ""
    # Of two stretches of white space one is enough, and the latter indents what follows.
    remaining = (text + tail if (text + tail).strip() else tail) or None
    parent.remove(element)
    if before is None:
        parent.text = remaining
    else:
        before.tail = remaining


def _append(base: "etree._Element", name: str) -> "etree._Element":
    last = base[-1] if len(base) else None
    made = etree.SubElement(base, name)
    if last is not None and not (last.tail or "").strip() and not (base.text or "").strip():
        made.tail, last.tail = last.tail, base.text
    return made


def _is_name(name: str) -> bool:
    if _PLAIN_NAME.fullmatch(name):
        return True
    if name.isascii() or not _PLAIN_NAME.fullmatch("_" + "".join(filter(str.isascii, name))):
        return False
    try:
        return etree.fromstring(f"<{name}/>").tag == name  # lxml checks names itself, but takes more than XML does
    except (etree.XMLSyntaxError, ValueError):
        return False
