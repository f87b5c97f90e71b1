"""DNS for Lua: messages made and read by dnspython, and what the system's files say; Lua moves the bytes.

Nothing here waits.  dnspython is imported by the first lookup, for few programs make one.  Manual: mtev.dns.
"""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.stamps import Stamp, stamp

if TYPE_CHECKING:
    from dns.message import Message
    from dns.rdata import Rdata
    from dns.rdataclass import RdataClass
    from dns.rdatatype import RdataType

    from luamtev.port import Port

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")
PORT = 53
MOST_SERVERS = 3

IGNORED, TRUNCATED, ANSWER, NO_NAME, FAILED = b"ignored", b"truncated", b"answer", b"no name", b"failed"
"""What a message is to the question it should answer."""

BAD_TYPE = b"dns: bad rr type"

_UNPRINTABLE = re.compile(rb"[\x00-\x1f\\\x7f-\xff]")

_MAILBOXES = ("MD", "MF", "MB", "MG", "MR")
"""Types of RFC 1035 that dnspython has no class for: each is a name."""

_OPTIONS = {
    "ndots": ("ndots", 0, 30),
    "timeout": ("timeout", 1, 30),
    "retrans": ("timeout", 1, 30),
    "attempts": ("attempts", 1, 30),
    "retry": ("attempts", 1, 30),
    "port": ("port", 1, 65535),
}
"""Options of resolv.conf: what each sets, and the least and the most it may be."""

Reply = tuple[bytes, list[dict[str, Any]]]


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/dns.lua`` builds on."""
    return {"dns_query": query, "dns_reply": reply, "dns_settings": settings, "dns_hosts": hosts}


def query(name: bytes, rtype: bytes, rclass: bytes) -> tuple[int | None, bytes]:
    """A question's id and message; or None and why it cannot be asked."""
    import secrets

    import dns.exception
    import dns.message

    _register()
    kind = _kind(rtype, rclass)
    if kind is None:
        return None, BAD_TYPE
    try:
        message = dns.message.make_query(_name(name), *kind, id=secrets.randbelow(65536))
        return message.id, message.to_wire()
    except (dns.exception.DNSException, ValueError) as wrong:
        return None, f"dns: '{name.decode('utf-8', 'replace')}': {wrong}".encode()


def reply(wire: bytes, number: int, name: bytes, rtype: bytes, rclass: bytes) -> Reply:
    """What *wire* says to the question of that id, name, type and class, and the records of an answer.

    What does not answer it, as a liar's message, is to be ignored."""
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode

    kind = _kind(rtype, rclass)
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, OverflowError):
        return IGNORED, []
    if kind is None or message.id != number or not message.flags & dns.flags.QR:
        return IGNORED, []
    code = message.rcode()
    asked = [(each.name, each.rdtype, each.rdclass) for each in message.question]
    if asked != [(_name(name), *kind)] and (asked or code == dns.rcode.NOERROR):
        return IGNORED, []
    if message.flags & dns.flags.TC:
        return TRUNCATED, []
    if code == dns.rcode.NXDOMAIN:
        return NO_NAME, []
    if code != dns.rcode.NOERROR:
        return FAILED, []
    return ANSWER, _records(message, _name(name), kind[0])


def settings() -> dict[str, Any]:
    """What resolv.conf says: servers and their port, search list, ``ndots``, ``timeout`` (seconds), ``attempts``.

    NSCACHEIP or NAMESERVERS replace the servers, RES_OPTIONS goes beyond the options."""
    of_env = os.environ.get("NSCACHEIP") or os.environ.get("NAMESERVERS") or ""
    options = os.environ.get("RES_OPTIONS", "")
    return {"port": PORT} | _settings(RESOLV_CONF, stamp(RESOLV_CONF), of_env, options)


def hosts(name: bytes) -> list[bytes]:
    """The addresses of *name* in /etc/hosts, IPv4 first."""
    found = _hosts(HOSTS, stamp(HOSTS)).get(name.lower().rstrip(b"."), [])
    return sorted(found, key=lambda address: b":" in address)


@functools.lru_cache(maxsize=2)
def _settings(path: Path, at: Stamp | None, servers: str, options: str) -> dict[str, Any]:
    found: dict[str, Any] = {"servers": [], "search": [], "ndots": 1, "timeout": 5, "attempts": 2}
    for line in _lines(path, at):
        word, *values = line.split()
        if word == "nameserver" and values and _is_address(values[0]):
            found["servers"].append(values[0])
        elif word in ("search", "domain"):
            found["search"] = [each.rstrip(".") for each in values if each != "."]
        elif word == "options":
            found |= _options(values)
    found |= _options(options.split())
    of_env = [each for each in servers.split() if _is_address(each)]
    found["servers"] = (of_env or found["servers"])[:MOST_SERVERS] or ["127.0.0.1"]
    return found


def _options(words: list[str]) -> dict[str, int]:
    """Those that mean something here, within their bounds."""
    found = {}
    for name, _, value in (word.partition(":") for word in words):
        bounds = _OPTIONS.get(name)
        if bounds and value.isdecimal():
            found[bounds[0]] = min(max(int(value), bounds[1]), bounds[2])
    return found


@functools.lru_cache(maxsize=2)
def _hosts(path: Path, at: Stamp | None) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in _lines(path, at):
        address, *names = line.split()
        if _is_address(address):
            for name in names:
                found.setdefault(name.lower().rstrip(".").encode(), []).append(address.encode())
    return found


def _lines(path: Path, at: Stamp | None) -> list[str]:
    """The lines of *path* that are not empty, without comments."""
    if at is None:
        return []
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@functools.cache
def _register() -> None:
    import types

    import dns.rdata
    import dns.rdatatype
    from dns.rdtypes.nsbase import NSBase

    for name in _MAILBOXES:
        module: Any = types.SimpleNamespace(**{name: type(name, (NSBase,), {})})
        dns.rdata.register_type(module, dns.rdatatype.from_text(name), name)


def _kind(rtype: bytes, rclass: bytes) -> "tuple[RdataType, RdataClass] | None":
    import dns.exception
    import dns.rdataclass
    import dns.rdatatype

    try:
        return dns.rdatatype.from_text(rtype.decode()), dns.rdataclass.from_text(rclass.decode())
    except (dns.exception.DNSException, ValueError):
        return None


def _name(name: bytes) -> Any:
    import dns.name

    return dns.name.from_text(name.decode("utf-8", "surrogateescape"))


def _records(message: "Message", name: Any, wanted: int) -> list[dict[str, Any]]:
    """The records of the type wanted for *name*, or for what it is another name of."""
    import dns.rdatatype

    found = []
    for _ in range(len(message.answer) + 1):
        alias = None
        for each in message.answer:
            if each.name == name and wanted in (each.rdtype, dns.rdatatype.ANY):
                found += [{"ttl": each.ttl} | _fields(each.rdtype, rdata) for rdata in each]
            elif each.name == name and each.rdtype == dns.rdatatype.CNAME:
                alias = each[0].target
        if found or alias is None:
            break
        name = alias
    return found


def _text(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True))


def _fields(rtype: "RdataType", rdata: "Rdata") -> dict[str, Any]:
    import dns.rdatatype

    kind = dns.rdatatype.to_text(rtype)
    it: Any = rdata
    match kind:
        case "A" | "AAAA":
            return {kind.lower(): it.address}
        case "TXT":
            return {"txt": _shown(b"".join(it.strings))}
        case "MX":
            return {"mx": _text(it.exchange), "preference": it.preference}
        case "SRV":
            return {"srv": _text(it.target), "priority": it.priority, "weight": it.weight, "port": it.port}
        case "SOA":
            numbers = ("serial", "refresh", "retry", "expire", "minimum")
            return {"soa": _text(it.mname), "rname": _text(it.rname)} | {each: getattr(it, each) for each in numbers}
        case "CNAME" | "PTR" | "NS" | "MB" | "MD" | "MF" | "MG" | "MR":
            return {kind.lower(): _text(it.target)}
    return {}


def _shown(text: bytes) -> bytes:
    """*text* with a backslash twice, and what is no printable ASCII as a backslash and two hexadecimal digits."""
    return _UNPRINTABLE.sub(lambda it: b"\\\\" if it[0] == b"\\" else b"\\%02x" % it[0][0], text)
