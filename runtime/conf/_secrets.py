"""What of a configuration is nobody's to read: passwords and keys.  Whoever reads one from it says here where it
stands, and whoever shows configurations shows :func:`masked` ones."""

import copy
import re
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

if TYPE_CHECKING:
    from ._conf import Conf
    from ._tree import Section

MASK: Final = "(not shown)"

_paths: dict[str, None] = {}
_USER: Final = re.compile(r"(?<=://)[^/@\s]+@")


def hide(*paths: str) -> None:
    """Have the elements and attributes that these XPaths match not be shown."""
    _paths.update(dict.fromkeys(paths))


def masked(c: "Conf") -> "Section":
    """A copy of the document of *c*, its root element, without what is hidden, and without users and passwords in
    URLs."""
    with c.lock:
        root = copy.deepcopy(c.root)
    for path in _paths:
        found: Any = root.xpath(path)
        for each in found:
            if isinstance(each, etree._Element):
                if (each.text or "").strip():
                    each.text = MASK
            else:
                each.getparent().set(each.attrname, MASK)
    for element in root.iter("*"):
        if element.text:
            element.text = _USER.sub("", element.text)
        for name, value in element.attrib.items():
            if "://" in str(value):
                element.set(name, _USER.sub("", str(value)))
    return root
