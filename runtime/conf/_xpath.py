"""XPath over the tree: compiled once an expression, results as elements or as text."""

from functools import lru_cache

from lxml import etree

from ._errors import ConfError

Result = str | float | bool | list[object]


@lru_cache(maxsize=1024)
def _compiled(path: str, namespaces: tuple[tuple[str, str], ...], smart: bool) -> etree.XPath:
    return etree.XPath(path, namespaces=dict(namespaces), regexp=False, smart_strings=smart)


def evaluate(path: str, context: "etree._Element", smart: bool = False) -> Result:
    """What *path* is at *context*; with *smart*, strings know the element they came from.

    Raises :exc:`ConfError` naming a path that is no XPath."""
    try:
        namespaces: tuple[tuple[str, str], ...] = ()
        if ":" in path:
            namespaces = tuple((prefix, uri) for prefix, uri in context.nsmap.items() if prefix)
        result: Result = _compiled(path, namespaces, smart)(context)  # type: ignore[assignment]
    except (etree.XPathError, ValueError) as bad:
        raise ConfError(f"bad XPath {path!r}: {bad}") from None
    return result


def elements(path: str, context: "etree._Element") -> "list[etree._Element]":
    """The elements that *path* matches, in document order.

    Raises :exc:`ConfError` when it is no XPath or matches anything but elements."""
    found = evaluate(path, context)
    if not isinstance(found, list) or not all(isinstance(each, etree._Element) for each in found):
        raise ConfError(f"XPath {path!r} does not select elements")
    return [each for each in found if isinstance(each, etree._Element) and isinstance(each.tag, str)]


def text(path: str, context: "etree._Element") -> str | None:
    """The text of *path* at *context*, of the last match in document order; None when nothing matches.

    The last, so that ``ancestor-or-self::node()/@x`` is the nearest.  Raises :exc:`ConfError`."""
    found = evaluate(path, context)
    if isinstance(found, list):
        return as_text(found[-1]) if found else None
    return as_text(found)


def as_text(item: object) -> str:
    """One result of an XPath as text, as the XPath function string() has it."""
    if isinstance(item, etree._Element):
        return content(item)
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, float):
        return str(int(item)) if item.is_integer() and abs(item) < 1e15 else repr(item)
    return str(item[1] if isinstance(item, tuple) else item)


def content(element: "etree._Element") -> str:
    """The text within *element*, without comments and instructions."""
    if len(element) == 0:
        return element.text or ""
    whole = _compiled("string()", (), False)(element)
    return str(whole)
