"""Key/value sets: what a section inherits from its ancestors and from the elements they name.

Manual: Inheritance, mtev_conf_get_hash.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lxml import etree

from . import _xpath
from ._fixup import fix_up

if TYPE_CHECKING:
    from ._tree import Tree


def merged(
    conf: "Tree", section: "etree._Element", name: str, namespace: str | None, *, own: bool = False
) -> dict[str, str]:
    """The keys in the *name* elements of *section* and of its ancestors, the nearest winning.

    Args: *namespace*, a prefix or URI, selects keys in that namespace; None those in none.  *own* leaves the ancestors
    out.
    Raises :exc:`ConfError` for an ``inherit`` that finds nothing or itself."""
    return {
        key: fix_up(_xpath.content(element), source, key)
        for key, (element, source) in elements(conf, section, name, namespace, own=own).items()
    }


def elements(
    conf: "Tree", section: "etree._Element", name: str, namespace: str | None, *, own: bool = False
) -> "dict[str, tuple[etree._Element, etree._Element]]":
    """The element that each of those keys comes from, and the *name* element that it stands in."""
    found: dict[str, tuple[etree._Element, etree._Element]] = {}
    for ancestor in [section] if own else [*reversed(list(section.iterancestors())), section]:
        for element in ancestor.iterchildren(name):
            for source in _sources(conf, element, name, []):
                for key in _keys(conf, source):
                    tag = etree.QName(key)
                    if key.tag != name and _within(key, tag, namespace):
                        found[tag.localname] = key, source
    return found


def _sources(
    conf: "Tree", element: "etree._Element", name: str, trail: "list[etree._Element]"
) -> "Iterator[etree._Element]":
    """What *element* consists of, in the order it is merged: the element it inherits from, then itself."""
    trail = [*trail, element]
    inherit = element.get("inherit")
    if inherit is not None:
        inherit = fix_up(inherit, element, "@inherit")
        # The last of a name wins here as everywhere.
        target = next((each for each in reversed(list(conf.root.iter(name))) if each.get("id") == inherit), None)
        if target is None:
            raise conf.error(f'<{name} inherit="{inherit}">: there is no <{name} id="{inherit}">', element)
        if target in trail:
            steps = " -> ".join(_described(each, name) for each in [*trail, target])
            raise conf.error(f"inheritance cycle: {steps}", element)
        yield from _sources(conf, target, name, trail)
    yield element


def _keys(conf: "Tree", element: "etree._Element") -> "Iterator[etree._Element]":
    for child in element.iterchildren("*"):
        if conf.is_include(child):
            yield from _keys(conf, child)
        else:
            yield child


def _within(key: "etree._Element", tag: etree.QName, namespace: str | None) -> bool:
    if namespace is None:
        return tag.namespace is None
    return tag.namespace is not None and namespace in (key.prefix, tag.namespace)


def _described(element: "etree._Element", name: str) -> str:
    identity = element.get("id")
    return f"<{name}>" if identity is None else f'<{name} id="{identity}">'
