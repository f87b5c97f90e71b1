"""What differs between a configuration and the one that takes its place: element by element, with file and line."""

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from . import _xpath

if TYPE_CHECKING:
    from ._conf import Conf

_NAMES = ("name", "id", "port", "image", "url", "file")
"""Attributes that tell which of several elements one is, in messages."""


@dataclass(frozen=True)
class Change:
    """One element.

    Attributes: ``place``, file and line, of one that is gone where it was; ``top``, the name of the element below the
    root that it is in, empty for the root itself; ``path``, the elements down to it; ``what``, ``added``, ``removed``
    or ``changed``."""

    place: str
    top: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path} {self.what}"


def compare(old: "Conf", new: "Conf") -> list[Change]:
    """The elements of *new* that are not as in *old*, and those of *old* that are gone, the innermost of them."""
    found: list[Change] = []
    _compare(old, new, old.root, new.root, found)
    return found


def _compare(old: "Conf", new: "Conf", before: "etree._Element", after: "etree._Element", found: list[Change]) -> None:
    if before.items() != after.items() or _text(before) != _text(after):
        found.append(_change(new, after, "changed"))
    olds, news = list(before.iterchildren("*")), list(after.iterchildren("*"))
    matcher = difflib.SequenceMatcher(None, [_whole(each) for each in olds], [_whole(each) for each in news], False)
    for what, start, end, begin, finish in matcher.get_opcodes():
        if what == "equal":
            continue
        gone, come = olds[start:end], news[begin:finish]
        for each in gone:
            pair = _pair(each, come)
            if pair is None:
                found.append(_change(old, each, "removed"))
            else:
                come.remove(pair)
                _compare(old, new, each, pair, found)
        found += [_change(new, each, "added") for each in come]


def _pair(element: "etree._Element", among: "list[etree._Element]") -> "etree._Element | None":
    """The one of *among* that *element* has become: of its kind, and called the same."""
    return next((each for each in among if each.tag == element.tag and _called(each) == _called(element)), None)


def _called(element: "etree._Element") -> str | None:
    return next((element.get(name) for name in _NAMES if element.get(name) is not None), None)


def _change(c: "Conf", element: "etree._Element", what: str) -> Change:
    steps = [element, *(each for each in element.iterancestors() if each is not c.root and not c.is_include(each))]
    where = c.error("", element)
    top = "" if element is c.root else str(steps[-1].tag)
    path = " ".join(map(_shown, reversed(steps)))
    return Change(f"{where.file}:{where.line}" if where.line else str(where.file), top, path, what)


def _shown(element: "etree._Element") -> str:
    name = next((name for name in _NAMES if element.get(name) is not None), None)
    return f"<{element.tag}>" if name is None else f"<{element.tag} {name}='{element.get(name)}'>"


def _text(element: "etree._Element") -> str:
    return _xpath.content(element).strip() if not len(element) else (element.text or "").strip()


def _whole(element: "etree._Element") -> bytes:
    """Its content in one form, white space between elements left out."""
    copy = etree.fromstring(etree.tostring(element, with_tail=False), etree.XMLParser(remove_blank_text=True))
    etree.strip_elements(copy, etree.Comment, with_tail=False)
    return etree.tostring(copy, method="c14n")
