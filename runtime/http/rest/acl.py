"""Access control: ``<rest><acl>`` read once, asked for every request.  Manual: REST.

An acl whose own conditions hold is entered; its first matching rule decides, or its type when none matches.  Without
any acl, and past the last one, the answer is no.
"""

import ipaddress
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from runtime.conf import Conf, Section
from runtime.http.message.known import Known

_FIELDS = ("url", "cn", "user", "auth")
_LISTENER = "listener_"


class Subject(NamedTuple):
    """Who asks for what: ``url``, a path, normal; ``ip``, None for a local socket; None for what is not known."""

    url: bytes
    ip: str | None = None
    cn: bytes | None = None
    user: bytes | None = None
    auth: bytes | None = None


Condition = Callable[[Subject, Mapping[str, str]], bool]


@dataclass(slots=True)
class _Rule:
    conditions: list[Condition]
    allows: bool
    skip_to: int | None  # the index of a later rule, instead of a decision
    place: str


@dataclass(slots=True)
class _Acl:
    conditions: list[Condition]
    allows: bool
    rules: list[_Rule]
    place: str


class Acls:
    """All acls of a configuration.  Made by :func:`read`.

    Attributes: ``answers``, those that are remembered, by question: the subject that was denied, or None; ``constant``,
    the answer to everybody, if there is only one, or else None."""

    def __init__(self, acls: list[_Acl]) -> None:
        self._acls = acls
        self.answers: Known[Hashable, Subject | None] = Known(4096)
        first = acls[0] if acls else None
        self.constant: bool | None = None
        if first is None:
            self.constant = False
        elif not first.conditions and not (first.rules and first.rules[0].conditions):
            rule = first.rules[0] if first.rules else None
            if rule is None or rule.skip_to is None:
                self.constant = first.allows if rule is None else rule.allows

    def allows(self, subject: Subject, listener: Mapping[str, str]) -> bool:
        """Whether *subject* may, on a listener with this configuration.  Manual: REST."""
        return self.explain(subject, listener)[0] if self.constant is None else self.constant

    @property
    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._acls)

    def explain(self, subject: Subject, listener: Mapping[str, str]) -> tuple[bool, str]:
        """The answer, and who gave it, with file and line."""
        for acl in self._acls:
            if not all(holds(subject, listener) for holds in acl.conditions):
                continue
            index = 0
            while index < len(acl.rules):
                rule = acl.rules[index]
                index += 1
                if all(holds(subject, listener) for holds in rule.conditions):
                    if rule.skip_to is None:
                        return rule.allows, f"<rule> of {rule.place}"
                    index = rule.skip_to
            return acl.allows, f"no rule of the <acl> of {acl.place}"
        return False, "the conditions of no <acl>" if self._acls else "that there is no <acl>"


def read(c: Conf) -> Acls:
    """The acls that *c* declares.

    Complains (:meth:`runtime.conf.Conf.complain`) of a type, expression, network or skipto that is none."""
    root = c.root_name
    acls = []
    for section in c.get_sections(f"/{root}/rest//acl|/{root}/include/rest//acl"):
        if c.env_off(section):
            continue
        rules = [each for each in c.get_sections(".//rule", section) if not c.env_off(each)]
        places: dict[str, int] = {}
        for index, rule in enumerate(rules):
            if rule.get("id") is not None:
                places[rule.get("id") or ""] = index
        acls.append(
            _Acl(
                _conditions(c, section),
                _allows(c, section, None),
                [_rule(c, each, index, places) for index, each in enumerate(rules)],
                _place(c, section),
            )
        )
    return Acls(acls)


def _rule(c: Conf, section: Section, index: int, places: dict[str, int]) -> _Rule:
    target = section.get("skipto")
    if target is not None and places.get(target, -1) <= index:
        c.complain(c.error(f"<rule> skipto='{target}': expected the id of a later rule of this acl", section))
    skip_to = None if target is None else places.get(target, 0)
    return _Rule(_conditions(c, section), _allows(c, section, skip_to), skip_to, _place(c, section))


def _place(c: Conf, section: Section) -> str:
    where = c.error("", section)
    return f"{where.file}:{where.line}"


def _allows(c: Conf, section: Section, skip_to: int | None) -> bool:
    text = section.get("type")
    if text is None and skip_to is not None:
        return False
    if text is None and section.tag == "acl":
        return False
    if text not in ("allow", "deny"):
        c.complain(c.error(f"<{section.tag}> type='{text or ''}': expected allow or deny", section))
    return text == "allow"


def _conditions(c: Conf, section: Section) -> list[Condition]:
    found: list[Condition] = []
    for name in map(str, section.attrib):
        text = c.get_string(f"@{name}", section) or ""
        if name == "ip":
            found.append(_network(c, section, text))
        elif name in _FIELDS:
            found.append(_field(name, _pattern(c, section, name, text)))
        elif name.startswith(_LISTENER):
            found.append(_listener(name.removeprefix(_LISTENER), _pattern(c, section, name, text)))
    return found


def _pattern(c: Conf, section: Section, name: str, text: str) -> Any:
    import pcre2  # many programs have no acl with an expression

    try:
        return pcre2.compile(text.encode())
    except pcre2.LibraryError as bad:
        c.complain(c.error(f"<{section.tag}> {name}='{text}': bad regular expression: {bad}", section))
        return None


def _field(name: str, pattern: Any) -> Condition:
    def holds(subject: Subject, _listener: Mapping[str, str]) -> bool:
        value = getattr(subject, name)
        return value is not None and pattern.search(value) is not None

    return holds


def _listener(key: str, pattern: Any) -> Condition:
    def holds(_subject: Subject, listener: Mapping[str, str]) -> bool:
        value = listener.get(key)
        return value is not None and pattern.search(value.encode()) is not None

    return holds


def _network(c: Conf, section: Section, text: str) -> Condition:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        c.complain(c.error(f"<{section.tag}> ip='{text}': expected a network such as 10.0.0.0/8", section))
        return lambda _subject, _listener: False

    def holds(subject: Subject, _listener: Mapping[str, str]) -> bool:
        if not subject.ip:
            return False
        address = ipaddress.ip_address(subject.ip.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in network

    return holds
