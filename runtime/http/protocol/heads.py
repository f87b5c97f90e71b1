"""Heads of HTTP/2: the request that one makes, and the fields of a response.  RFC 9113, section 8.

The library has seen to it that the pseudo-fields are there, once and first, that names are lower-case, that no field
belongs to a connection and that a length is a number; what it lets pass and a request cannot have is refused here.
"""

import re

from runtime.http.message.known import Known
from runtime.http.message.peer import Peer
from runtime.http.message.request import Request

from .authority import is_authority
from .nghttp2 import Fields, Secret

_PATH = re.compile(rb"/[!-\"$-~]*")
_UNWANTED = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}  # RFC 9113 8.2.2

_pairs: Known[bytes, tuple[tuple[bytes, bytes], ...]] = Known()


def request_of(peer: Peer, head: tuple[tuple[bytes, bytes], ...]) -> Request | None:
    """The request with *head*; None when there can be none such."""
    first = 0
    for name, _ in head:
        if name[0] != 0x3A:  # a colon
            break
        first += 1
    pseudo = dict(head[:first])
    fields = list(head[first:])
    hosts = [value for name, value in fields if name == b"host"]
    authority = pseudo.get(b":authority")
    if len(hosts) > 1 or (hosts and authority is not None and hosts[0].lower() != authority.lower()):
        return None
    if authority is not None and not hosts:
        fields.insert(0, (b"host", authority))
    if not is_authority(hosts[0] if authority is None else authority):
        return None
    request = Request(peer)
    request.protocol = b"HTTP/2"
    request.fields = fields
    request.method = method = pseudo[b":method"]
    if method == b"CONNECT":
        request.uri = authority or b""
        return request
    request.uri = uri = pseudo[b":path"]
    if pseudo[b":scheme"].lower() not in (b"https", b"http"):
        return None
    return request if _PATH.fullmatch(uri) is not None or (uri == b"*" and method == b"OPTIONS") else None


def size_of(fields: Fields) -> int:
    """Bytes of *fields*, as HTTP/1 would write them."""
    return sum(len(name) + len(value) + 4 for name, value in fields)


def pairs_of(line: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The fields that header lines are here; those of responses are mostly the same, so they are kept."""
    pairs = _pairs.get(line)
    if pairs is None:
        pairs = tuple(_parse(line))
        _pairs.keep(line, pairs, len(line))
    return pairs


def _parse(lines: bytes) -> Fields:
    found: Fields = []
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if name == b"set-cookie":
            found.append(Secret(name, value))
        elif name and name not in _UNWANTED:
            found.append((name, value))
    return found
