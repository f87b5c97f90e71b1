"""Closed sets of names: a misspelt attribute or element is an error with its line, not a setting that means nothing.

Who reads an element of the configuration says here, once, what names it may have.  The configuration is held against
all of that when it is loaded and before it is reloaded.  Everything else stays open: elements that only group others,
and key/value sets of no fixed names.  Manual: Configuration.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from runtime import log

from ._conf import Conf, Section
from ._errors import ConfError

COMMON = frozenset(("require_env", "id", "inherit", "backingstore"))
"""Attributes that any element may have."""

_NEAR = 0.66  # how much alike names are when one of them is probably the other misspelt


@dataclass(frozen=True)
class Names:
    """What names there may be.

    Attributes: ``used``; ``unused``, names that the manual knows and that mean nothing here, with why; ``prefixes``, of
    which any name may begin with one."""

    used: frozenset[str] = frozenset()
    unused: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()

    def near(self, name: str) -> str | None:
        """The right name that *name* looks like, if it looks like one."""
        known = [*self.used, *self.unused, *self.prefixes]
        return next(iter(difflib.get_close_matches(name, known, 1, _NEAR)), None)

    def nearest(self, name: str) -> str:
        """The right name that *name* looks most like."""
        return difflib.get_close_matches(name, [*self.used, *self.unused, *self.prefixes], 1, 0.0)[0]

    def knows(self, name: str) -> bool:
        """Whether there may be a *name*."""
        return name in self.used or name in self.unused or name.startswith(self.prefixes)


def names(*used: str, unused: Mapping[str, str] | None = None, prefixes: Iterable[str] = ()) -> Names:
    """The names *used*, others that are known, and prefixes of more."""
    return Names(frozenset(used), unused or {}, tuple(prefixes))


@dataclass(frozen=True)
class _Kind:
    """A kind of element: where it is found, and what is known of it."""

    top: str
    tag: str
    attributes: Names | None
    children: Names | None
    keys: Mapping[str, Names]
    inside: str | None


_kinds: dict[tuple[str, str], _Kind] = {}


def close(
    top: str,
    tag: str,
    *,
    attributes: Names | None = None,
    children: Names | None = None,
    keys: Mapping[str, Names] | None = None,
    inside: str | None = None,
) -> None:
    """Have every ``<tag>`` anywhere below ``/ROOT/top`` keep to these names.

    *attributes*: its own, beside :data:`COMMON`; *children*: of its child elements, ``include`` apart; *keys*: of the
    children of its child elements of that name; *inside*: the element around it without which it means nothing.  None
    leaves them open.

    An element below *top* that is called almost like a *tag*, or has no element in it and an attribute of one, is taken
    for one that is misspelt; so is an attribute of an element around a *tag*, which hands it down, when it is called
    almost like one."""
    _kinds[top, tag] = _Kind(top, tag, attributes, children, keys or {}, inside)


def check(c: Conf) -> None:
    """Hold *c* against all that was closed.

    Raises :exc:`ConfError` with file and line for the first unknown name, with the nearest right one.  What is known
    and means nothing here is told in ``notice``, once each."""
    for mistake in mistakes(c):
        raise mistake


def mistakes(c: Conf) -> Iterator[ConfError]:
    """What :func:`check` would raise, all of it."""
    told: set[str] = set()
    for top in {each.top for each in _kinds.values()}:
        kinds = {each.tag: each for each in _kinds.values() if each.top == top}
        for section in c.get_sections(f"/*/{top}|/*/include/{top}"):
            yield from _check_below(c, section, kinds, told)
    for include in c.get_sections("//include"):
        if set(include.attrib) & {"file", "snippet", "ro"}:
            yield from _check_include(c, include)


def check_keys(c: Conf, section: Section, known: Names, told: set[str], name: str = "config") -> None:
    """Hold the keys that stand in the ``<config>`` of *section*, not those of its ancestors, against *known*.

    Raises :exc:`ConfError` as :func:`check`."""
    for mistake in _check_keys(c, section, known, told, name):
        raise mistake


def _check_keys(c: Conf, section: Section, known: Names, told: set[str], name: str) -> Iterator[ConfError]:
    for child in _elements(c, section):
        if child.tag == name:
            for key in _elements(c, child):
                yield from _judge(c, key, str(key.tag), known, f"<{section.tag}> <{name}>: there is no key", told)


def _check_below(c: Conf, top: Section, kinds: Mapping[str, _Kind], told: set[str]) -> Iterator[ConfError]:
    tags = names(*kinds)
    yield from _check_group(c, top, kinds)
    for each in top.iterdescendants(etree.Element):
        tag = str(each.tag)
        if _is_data(each, top) or c.env_off(each):
            continue
        if tag in kinds:
            inside = kinds[tag].inside
            if inside is not None and next(each.iterancestors(inside), None) is None:
                around = each.getparent()
                if around is None or around is top or c.is_include(around):
                    yield c.error(f"<{tag}> means nothing outside of <{inside}>", each)
                else:
                    yield c.error(
                        f"<{top.tag}>: there is no <{around.tag}> with a <{tag}>, expected <{inside}>", around
                    )
                continue
            yield from _check_one(c, each, kinds[tag], told)
        elif not c.is_include(each):
            holds = any(True for _ in each.iterdescendants(*kinds))
            yield from _check_group(c, each, kinds)
            if not holds and not _is_child(each, kinds) and _looks_like_one(each, kinds):
                yield c.error(f"<{top.tag}>: there is no <{tag}>, expected <{tags.nearest(tag)}>", each)


def _is_data(element: Section, top: Section) -> bool:
    """Whether *element* is inside a key/value set."""
    for each in element.iterancestors():
        if each is top:
            return False
        if each.tag in ("config", "sslconfig"):
            return True
    return False


def _is_child(element: Section, kinds: Mapping[str, _Kind]) -> bool:
    """Whether it is what its parent has besides: a set, or one of the children that are closed there."""
    parent = element.getparent()
    while parent is not None and parent.tag == "include":
        parent = parent.getparent()
    kind = None if parent is None else kinds.get(str(parent.tag))
    return element.tag in ("config", "sslconfig") or (kind is not None and kind.children is not None)


def _looks_like_one(element: Section, kinds: Mapping[str, _Kind]) -> bool:
    if names(*kinds).near(str(element.tag)) is not None:
        return True
    marks = {each for kind in kinds.values() if kind.attributes is not None for each in kind.attributes.used}
    return len(element) == 0 and bool(marks & set(map(str, element.attrib)))


def _check_group(c: Conf, element: Section, kinds: Mapping[str, _Kind]) -> Iterator[ConfError]:
    """What an element around others hands down is theirs, so a name that is almost one of theirs is meant to be it."""
    for name in map(str, element.attrib):
        known = [kind.attributes for kind in kinds.values() if kind.attributes is not None]
        if name in COMMON or any(each.knows(name) for each in known):
            continue
        near = next(filter(None, (each.near(name) for each in known)), None)
        if near is not None and not name.startswith("{"):
            yield c.error(f"<{element.tag}> {name}: there is no such attribute, expected {near}", element)


def _check_one(c: Conf, element: Section, kind: _Kind, told: set[str]) -> Iterator[ConfError]:
    if kind.attributes is not None:
        for name in map(str, element.attrib):
            if name not in COMMON and not name.startswith("{"):
                complaint = f"<{element.tag}>: there is no attribute"
                yield from _judge(c, element, name, kind.attributes, complaint, told)
    for child in _elements(c, element):
        tag = str(child.tag)
        if kind.children is not None:
            yield from _judge(c, child, tag, kind.children, f"<{element.tag}>: there is no element", told)
        if tag in kind.keys:
            yield from _check_keys(c, element, kind.keys[tag], told, tag)


def _check_include(c: Conf, include: Section) -> Iterator[ConfError]:
    inherited = {name for kind in _kinds.values() if kind.attributes is not None for name in kind.attributes.used}
    known = names("file", "snippet", "ro", *inherited)
    for name in map(str, include.attrib):
        if name not in COMMON and not name.startswith("{") and not known.knows(name):
            expected = names("file", "snippet", "ro").nearest(name)
            yield c.error(f"<include>: there is no attribute {name}, expected {expected}", include)


def _elements(c: Conf, element: Section) -> list[Section]:
    """The child elements; those that come from an included file are children of the element around it."""
    found: list[Section] = []
    for child in element.iterchildren(etree.Element):
        if c.is_include(child):
            found += _elements(c, child)
        elif not c.env_off(child):
            found.append(child)
    return found


def _judge(c: Conf, element: Section, name: str, known: Names, complaint: str, told: set[str]) -> Iterator[ConfError]:
    if not known.knows(name):
        yield c.error(f"{complaint} {name}, expected {known.nearest(name)}", element)
        return
    why = known.unused.get(name)
    if why is not None:
        line = f"{complaint.partition(':')[0]} {name}: {why}\n"
        if line not in told:
            told.add(line)
            log.notice.log(line)


_LISTENED = (
    "type", "address", "port", "ssl", "fanout", "fanout_pool", "accept_thread", "no_delay", "idle_timeout", "backlog",
)  # fmt: skip
_LOGGED = (
    "name", "type", "path", "format", "debug", "timestamps", "facility", "disabled", "stats", "dedup_seconds",
    "rotate_seconds", "rotate_bytes", "retain_seconds", "retain_bytes",
)  # fmt: skip
_ASKED = ("type", "url", "ip", "cn", "user", "auth")
_BY_ID = {"name": "skipto goes to an id"}

close(
    "listeners",
    "listener",
    attributes=names(*_LISTENED),
    children=names("config", "sslconfig"),
    keys={
        "sslconfig": names(
            "layer", "certificate_file", "key_file", "ca_chain", "crl", "ciphers", "npn", "optional_no_ca"
        )
    },
)
close("logs", "log", attributes=names(*_LOGGED), children=names("outlet", "config", "log"))
close("logs", "outlet", attributes=names("name", "filter"), children=names("config"))
close(
    "clusters",
    "cluster",
    attributes=names("name", "key", "seq", "port", "period", "timeout", "maturity", "check_address"),
    children=names("node"),
)
close("clusters", "node", attributes=names("id", "cn", "address", "port"), children=names(), inside="cluster")
close("rest", "acl", attributes=names(*_ASKED, unused=_BY_ID, prefixes=["listener_"]))
close("rest", "rule", attributes=names(*_ASKED, "skipto", unused=_BY_ID, prefixes=["listener_"]), inside="acl")
close("modules", "loader", attributes=names("image", "name", "directory", "loader"))
for _tag in ("generic", "module"):
    close("modules", _tag, attributes=names("image", "name", "directory", "loader"))
