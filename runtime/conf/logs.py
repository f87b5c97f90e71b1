"""The log graph as configured: every ``<log>`` and ``<outlet>`` below ``<logs>``.  Manual: Logging.

All declarations are read before the first is put into effect, so their order does not matter.  What the attributes of a
type mean is the type's to know.
"""

from collections.abc import Container
from dataclasses import dataclass

from runtime import log

from ._conf import Conf
from ._errors import ConfError
from ._tree import Section
from ._values import parse_boolean

_LOGS = "/*/logs//log|/*/include/logs//log"
_BUILT_IN = (log.stderr, log.error, log.notice, log.debug)
_TOP_LEVEL = tuple(each.name for each in _BUILT_IN)
_SWITCHES = {"debug": log.DEBUG, "timestamps": log.TIMESTAMPS, "facility": log.FACILITY}
_LIMITS = ("rotate_seconds", "rotate_bytes", "retain_seconds", "retain_bytes")


@dataclass
class _Outlet:
    section: Section
    name: str
    filter: log.Filter | None


@dataclass
class _Declaration:
    section: Section
    name: str
    type: str | None
    path: str | None
    format: str | None
    flags_on: int
    flags_off: int
    stats: bool | None
    dedup: float | None
    config: dict[str, str]
    outlets: list[_Outlet]


def configure(c: Conf, *, later: bool = False) -> None:
    """Set up the log streams that *c* declares.

    *later* lets types be unknown that modules will bring: :func:`resolve_types` goes on with them when those are there.

    A stream takes its attributes from the nearest ancestor that has them, and as outlets every ``<outlet>`` that is a
    direct child of it or of an ancestor up to ``<logs>``.  What a declaration does not say stays as it was: a built-in
    stream keeps its flags, and its outlets if no outlet applies; so does one without a type its parent by name.  Of two
    declarations of a name the last counts.
    Raises :exc:`runtime.conf.ConfError` with file and line for an unknown type or outlet, a bad value, a file that
    cannot be opened or a cycle.  Manual: ``mtev_conf_log_init``."""
    declared = _declarations(c)
    for each in declared.values():
        try:
            _set_up(each, later)
        except log.LogError as mistake:
            raise c.error(str(mistake), each.section) from None
    # No old outlet is left when the first new one comes: together they might look like a cycle.
    for each in declared.values():
        if each.outlets:
            log.stream_find(each.name).remove_all_outlets()
    for each in declared.values():
        for outlet in each.outlets:
            try:
                log.stream_find(each.name).add_outlet(log.stream_find(outlet.name), outlet.filter)
            except log.LogError as mistake:
                raise c.error(str(mistake), outlet.section) from None


def check(c: Conf) -> None:
    """Look for what is wrong with the logs that *c* declares; nothing is opened.  Complains (:meth:`Conf.complain`)."""
    declared = _declarations(c)
    _check_cycles(c, declared)
    for each in declared.values():
        if each.type is not None and log.type_exists(each.type):
            try:
                log.check_type(each.name, each.type, each.path, each.config)
            except log.LogError as mistake:
                c.complain(c.error(str(mistake), each.section))


def _check_cycles(c: Conf, declared: dict[str, _Declaration]) -> None:
    """As adding one outlet after the other would."""
    added: dict[str, list[str]] = {}

    def way(start: str, end: str) -> list[str]:
        if start == end:
            return [start]
        return next(([start, *rest] for each in added.get(start, []) if (rest := way(each, end))), [])

    for each in declared.values():
        for outlet in each.outlets:
            back = way(outlet.name, each.name)
            if back:
                steps = " -> ".join([each.name, *back])
                what = f"log '{each.name}': outlet '{outlet.name}' would make a cycle: {steps}"
                c.complain(c.error(what, outlet.section))
            else:
                added.setdefault(each.name, []).append(outlet.name)


def check_types(c: Conf) -> None:
    """Look for types that nobody registered, once all modules are loaded.  Complains."""
    for section in c.get_sections(_LOGS):
        name = c.inherited(section, "type")
        if name and not c.env_off(section) and not log.type_exists(name):
            c.complain(c.error(str(log.no_type(name, c.inherited(section, "name") or "")), section))


def lacks(c: Conf, name: str) -> str | None:
    """What to say of a *name* that neither is a log nor is below one; None of others."""
    declared = {c.inherited(each, "name") or "": None for each in c.get_sections(_LOGS) if not c.env_off(each)}
    if _known(name, declared):
        return None
    import difflib  # few names are wrong

    near = difflib.get_close_matches(name, [*declared, *(each.name for each in log.streams())], 1, 0.7)
    what = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(sorted({*declared, *_TOP_LEVEL}))}"
    return f"there is no such log: {what}"


def check_name(c: Conf, name: str) -> None:
    """Raises :exc:`ConfError` for a *name* that somebody wants enabled (``-l``) and :func:`lacks` knows of."""
    wrong = lacks(c, name)
    if wrong is not None:
        raise ConfError(f"-l {name}: {wrong}")


def enable(c: Conf, name: str) -> None:
    """Enable the log *name*, whatever *c* says.  Raises as :func:`check_name`."""
    check_name(c, name)
    stream = log.stream_find(name)
    stream.set_flags(stream.get_flags() | log.ENABLED)


def _declarations(c: Conf) -> dict[str, _Declaration]:
    """What *c* declares, by name.  Complains of what cannot be."""
    declared: dict[str, _Declaration] = {}
    off: set[str] = set()  # names that the environment turns off
    for section in c.get_sections(_LOGS):
        if c.env_off(section):
            off.add(c.inherited(section, "name") or "")
        else:
            declaration = _read(c, section)
            declared[declaration.name] = declaration
    off -= declared.keys()
    for each in declared.values():
        each.outlets = [found for found in each.outlets if found.name not in off or log.stream_exists(found.name)]
        for outlet in each.outlets:
            if outlet.name and not _known(outlet.name, declared):
                there = ", ".join(sorted(declared.keys() | {stream.name for stream in _BUILT_IN}))
                what = f"log '{each.name}': outlet '{outlet.name}' is no log: there are {there}"
                c.complain(c.error(what, outlet.section))
    return declared


def _read(c: Conf, section: Section) -> _Declaration:
    on = off = 0
    for attribute, flag in _SWITCHES.items():
        value = _boolean(c, section, attribute)
        on |= flag if value is True else 0
        off |= flag if value is False else 0
    disabled = _boolean(c, section, "disabled")
    on |= log.ENABLED if disabled is False else 0
    off |= log.ENABLED if disabled is True else 0
    return _Declaration(
        section=section,
        name=_name(c, section),
        type=c.inherited(section, "type") or None,
        path=_path(c, section),
        format=_format(c, section),
        flags_on=on,
        flags_off=off,
        stats=_boolean(c, section, "stats"),
        dedup=_seconds(c, section, "dedup_seconds"),
        config=_config(c, section),
        outlets=_outlets(c, section),
    )


def resolve_types(c: Conf) -> None:
    """Have the streams whose types were waited for write.  Raises :exc:`runtime.conf.ConfError` as :func:`configure`.

    Manual: Adding custom logging types."""
    for section in c.get_sections(_LOGS):
        if not c.env_off(section):
            try:
                log.stream_find(_name(c, section)).resolve_type()
            except log.LogError as mistake:
                raise c.error(str(mistake), section) from None


def _set_up(declaration: _Declaration, later: bool) -> None:
    """Raises :exc:`runtime.log.LogError`."""
    name = declaration.name
    exists = log.stream_exists(name)
    if declaration.type is not None and exists and log.stream_find(name) in _BUILT_IN:
        log.stream_find(name).set_type(declaration.type, declaration.path, config=declaration.config, later=later)
    elif declaration.type is not None or (declaration.outlets and not exists):
        log.new_stream(
            name,
            declaration.type,
            declaration.path if declaration.type else None,
            config=declaration.config,
            later=later,
        )
    stream = log.stream_find(name)
    if declaration.format is not None:
        stream.set_format(declaration.format)
    if declaration.stats is not None:
        stream.set_stats(declaration.stats)
    if declaration.dedup is not None:
        stream.set_dedup(declaration.dedup)
    stream.set_flags((stream.get_flags() | declaration.flags_on) & ~declaration.flags_off)


def _config(c: Conf, section: Section) -> dict[str, str]:
    """What the type of a stream may want to know: its limits, and the keys of ``<config>``."""
    limits = {key: c.inherited(section, key) for key in _LIMITS}
    return {key: value for key, value in limits.items() if value is not None} | dict(c.get_hash(section, "config"))


def _path(c: Conf, section: Section) -> str | None:
    path = c.inherited(section, "path")
    return c.place(path) if path and (c.inherited(section, "type") or "").startswith("file") else path


def _format(c: Conf, section: Section) -> str | None:
    name = c.inherited(section, "format")
    if name is not None and name not in log.FORMATS:
        known = ", ".join(sorted(log.FORMATS))
        c.complain(c.error(f"log '{c.inherited(section, 'name')}': unknown format '{name}' (known: {known})", section))
        return None
    return name


def _seconds(c: Conf, section: Section, attribute: str) -> float | None:
    text = c.inherited(section, attribute)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e9:
        c.complain(c.error(f"<{section.tag}> {attribute}='{text}': expected a number of seconds", section))
    return seconds


def _outlets(c: Conf, section: Section) -> list[_Outlet]:
    """The outlets of *section*, outermost first."""
    found: list[_Outlet] = []
    for element in (section, *section.iterancestors()):
        inner = []
        for outlet in _children(c, element):
            if c.env_off(outlet):
                continue
            inner.append(_Outlet(outlet, _name(c, outlet, own=True), _filter(c, outlet)))
        found = inner + found
        if element.tag == "logs" and _is_top(element):
            break
    return found


def _filter(c: Conf, outlet: Section) -> log.Filter | None:
    text = c.get_string("@filter", outlet)
    if text is None:
        return None
    try:
        return log.Filter(text)
    except log.LogError as mistake:
        c.complain(c.error(f"<outlet> {mistake}", outlet))
        return None


def _children(c: Conf, element: Section) -> list[Section]:
    """The ``<outlet>`` children; those that come from an included file are children of the element around it."""
    found = []
    for child in element.iterchildren("outlet", "include"):
        if child.tag == "outlet":
            found.append(child)
        elif c.is_include(child):
            found += _children(c, child)
    return found


def _is_top(logs: Section) -> bool:
    above = logs.getparent()
    if above is not None and above.tag == "include":
        above = above.getparent()
    return above is not None and above.getparent() is None


def _known(name: str, declared: Container[str]) -> bool:
    """Whether *name*, or one of the parents it would get as outlets, is a log."""
    while name:
        if name in declared or log.stream_exists(name):
            return True
        name = name.rpartition("/")[0]
    return False


def _name(c: Conf, section: Section, own: bool = False) -> str:
    name = c.get_string("@name", section) if own else c.inherited(section, "name")
    if not name:
        c.complain(c.error(f"<{section.tag}> needs a name", section))
    return name or ""


def _boolean(c: Conf, section: Section, attribute: str) -> bool | None:
    text = c.inherited(section, attribute)
    if text is None:
        return None
    try:
        return parse_boolean(text)
    except ValueError as mistake:
        c.complain(c.error(f"<{section.tag}> {attribute}='{text}': {mistake}", section))
        return None
