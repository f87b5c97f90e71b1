"""Closed sets of names: a misspelt attribute or element is an error with its line, not a setting that means nothing.

Who reads an element of the configuration says here, once, what names it may have.  The configuration is held against
all of that when it is loaded and before it is reloaded.  Everything else stays open: elements that only group others,
and key/value sets of no fixed names.  Manual: Configuration.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from lxml import etree

from runtime import log

from ._conf import Conf
from ._errors import ConfError
from ._tree import Section

COMMON = frozenset(("require_env", "id", "inherit", "backingstore"))
"""Attributes that any element may have."""

_NEAR = 0.66  # how much alike names are when one of them is probably the other misspelt
_SURELY = 0.8  # when it surely is, though others are allowed


def close_matches(name: str, known: Iterable[str], count: int, cutoff: float) -> list[str]:
    """The names of *known* that *name* looks most like, at most *count*."""
    import difflib  # few names are wrong

    return difflib.get_close_matches(name, list(known), count, cutoff)


class Names(NamedTuple):
    """What names there may be.

    Attributes: ``used``; ``unused``, names that the manual knows and that mean nothing here, with why; ``prefixes``, of
    which any name may begin with one; ``open``: there may be any other too, unless it is one of these misspelt."""

    used: frozenset[str] = frozenset()
    unused: Mapping[str, str] = MappingProxyType({})
    prefixes: tuple[str, ...] = ()
    open: bool = False

    def near(self, name: str) -> str | None:
        """The right name that *name* looks like, if it looks like one."""
        known = [*self.used, *self.unused, *self.prefixes]
        return next(iter(close_matches(name, known, 1, _NEAR)), None)

    def nearest(self, name: str) -> str:
        """The right name that *name* looks most like."""
        return close_matches(name, [*self.used, *self.unused, *self.prefixes], 1, 0.0)[0]

    def knows(self, name: str) -> bool:
        """Whether there may be a *name*."""
        if name in self.used or name in self.unused or name.startswith(self.prefixes):
            return True
        return self.open and self.surely(name) is None

    def surely(self, name: str, cutoff: float = _SURELY) -> str | None:
        """The right name that *name* surely is, misspelt."""
        found = close_matches(name.lower(), [*self.used, *self.unused], 1, cutoff)
        for each in self.prefixes:
            begun = [name[: len(each) + more].lower() for more in (-1, 0, 1)]
            found += [each for _ in close_matches(each, begun, 1, _SURELY)]
        return next(iter(found), None)


def names(
    *used: str,
    unused: Mapping[str, str] | None = None,
    prefixes: Iterable[str] = (),
    open: bool = False,  # noqa: A002 - the attribute's name
) -> Names:
    """The names *used*, others that are known, prefixes of more, and whether there may be any other."""
    return Names(frozenset(used), unused or {}, tuple(prefixes), open)


class _Kind(NamedTuple):
    """A kind of element: where it is found, and what is known of it."""

    top: str
    tag: str
    attributes: Names | None
    children: Names | None
    keys: Mapping[str, Names]
    inside: str | None


_kinds: dict[tuple[str, str], _Kind] = {}
_tops: dict[str, _Kind] = {}


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


def close_top(
    top: str,
    *,
    attributes: Names | None = None,
    children: Names | None = None,
    keys: Mapping[str, Names] | None = None,
) -> None:
    """The same for the element ``/ROOT/top`` itself.

    An element below the root that is called almost like it, and holds what it would, is taken for one misspelt."""
    _tops[top] = _Kind(top, top, attributes, children, keys or {}, None)


def check(c: Conf) -> None:
    """Hold *c* against all that was closed.

    Complains (:meth:`Conf.complain`) of each unknown name, with the nearest right one.  What is known
    and means nothing here is told in ``notice``, once each."""
    for mistake in _mistakes(c):
        c.complain(mistake)


def _mistakes(c: Conf) -> Iterator[ConfError]:
    told: set[str] = set()
    yield from _check_root(c)
    for top, kind in _tops.items():
        for section in c.get_sections(f"/*/{top}|/*/include/{top}"):
            if not c.env_off(section):
                yield from _check_one(c, section, kind, told)
    for top in {each.top: None for each in _kinds.values()}:
        kinds = {each.tag: each for each in _kinds.values() if each.top == top}
        for section in c.get_sections(f"/*/{top}|/*/include/{top}"):
            yield from _check_below(c, section, kinds, told)
    for include in c.get_sections("//include"):
        if set(include.attrib) & {"file", "snippet", "ro"}:
            yield from _check_include(c, include)


def _check_root(c: Conf) -> Iterator[ConfError]:
    """Attributes of the root, and elements below it that are almost called like one with a meaning."""
    yield from (
        c.error(f"<{c.root_name}>: there is no attribute {name}, expected {right}", c.root)
        for name in map(str, c.root.attrib)
        if not _ROOT.knows(name) and (right := _ROOT.surely(name))
    )
    tops = names(*_tops, *(each.top for each in _kinds.values()), open=True)
    for section in _elements(c, c.root):
        tag = str(section.tag)
        right = None if tag in tops.used else tops.surely(tag, _NEAR)
        if right is not None and _holds_what(right, section):
            yield c.error(f"<{c.root_name}>: there is no <{tag}>, expected <{right}>", section)


def _holds_what(top: str, section: Section) -> bool:
    """Whether *section* holds what would mean something in *top*."""
    kinds = [each for each in (*_kinds.values(), _tops.get(top)) if each is not None and each.top == top]
    tags = {each.tag for each in kinds if each.tag != top}
    attributes = {name for each in kinds if each.attributes is not None for name in each.attributes.used}
    keys = [known for each in kinds for known in each.keys.values()]
    for each in section.iter(etree.Element):
        if each.tag in tags or attributes & set(map(str, each.attrib)):
            return True
        if any(str(each.tag) in known.used or str(each.tag).startswith(known.prefixes) for known in keys):
            return True
    return False


def check_keys(c: Conf, section: Section, known: Names, told: set[str], name: str = "config") -> None:
    """Hold the keys that stand in the ``<config>`` of *section*, not those of its ancestors, against *known*.

    Complains (:meth:`Conf.complain`)."""
    for mistake in _check_keys(c, section, known, told, name):
        c.complain(mistake)


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
        yield c.error(f"{complaint} {name}, expected {known.surely(name) or known.nearest(name)}", element)
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

_ROOT = names("lockfile", "require_env", "id", "inherit", open=True)

close_top(
    "eventer",
    attributes=names("implementation", *COMMON),
    children=names("config"),
    keys={
        "config": names(
            "debugging", "turn_budget", "show_loop_callbacks_threshold", "show_jobq_callbacks_threshold",
            "recurrent_interval", "rlim_nofiles", "default_queue_threads", "concurrency", "default_jobq_ordering",
            "default_ca_chain", "shutdown_timeout", "ssl_ctx_cache_expiry", "ssl_dhparam1024_file",
            "ssl_dhparam2048_file", prefixes=["loop_", "jobq_"], open=True,
        )
    },
)  # fmt: skip
close_top("watchdog", attributes=names("tracedir", "glider", "save_trace_output", "retries", "span"))
close_top("ops", keys={"config": names("page", "profile", "console")})
close(
    "managed",
    "application",
    attributes=names("exec", "arg0", "user", "group", "dir", "environment", "stdout", "stderr"),
    children=names("arg", "env"),
)
close(
    "listeners",
    "listener",
    attributes=names(*_LISTENED),
    children=names("config", "sslconfig"),
    keys={
        "config": names(
            "document_root",
            "dot_files",
            "max_header",
            "max_uri",
            "max_upload",
            "max_message",
            "max_backlog",
            "max_waiting",
            "header_timeout",
            "body_timeout",
            "idle_timeout",
            "line_protocol",
            "history_file",
            open=True,
        ),
        "sslconfig": names(
            "layer",
            "layer_openssl_10",
            "layer_openssl_11",
            "certificate_file",
            "certificate",
            "key_file",
            "key",
            "ca_chain",
            "ca_file",
            "ca_accept",
            "crl",
            "ciphers",
            "npn",
            "alpn",
            "optional_no_ca",
            "ignore_dates",
        ),
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
