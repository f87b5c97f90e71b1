"""What the first message of a TLS client offers, read before the handshake.  RFC 8446, 4.1.2; RFC 7301.

Python's ssl, and pyOpenSSL, go on without a protocol when client and server have none in common; RFC 7301 wants such a
client refused.
"""

HANDSHAKE, CLIENT_HELLO, ALPN = 22, 1, 16

NO_APPLICATION_PROTOCOL = b"\x15\x03\x01\x00\x02\x02\x78"
"""The alert that refuses it, as a record."""

PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 39\r\nConnection: close\r\n\r\n"
    b"This port speaks TLS: ask with https://"
)
"""What a client hears that begins with HTTP instead of a handshake."""

MOST = 16 << 10
"""Bytes of a message that are looked at."""


def offered_protocols(data: bytes) -> list[bytes] | None:
    """The protocols that the client offers by ALPN; none in particular, or nothing that could be read, is None.

    *data* is what came first.  Of a message that is not all there, or that spans records, nothing is known."""
    try:
        return _protocols(data)
    except IndexError:
        return None


def _protocols(data: bytes) -> list[bytes] | None:
    if data[0] != HANDSHAKE or data[5] != CLIENT_HELLO:
        return None
    at = 5 + 4 + 2 + 32  # heads of the record and the message, version, random
    at += 1 + data[at]  # session
    at += 2 + _number(data, at)  # cipher suites
    at += 1 + data[at]  # compression
    end = at + 2 + _number(data, at)
    at += 2
    while at < end:
        kind, size = _number(data, at), _number(data, at + 2)
        if kind == ALPN:
            return _names(data[at + 6 : at + 4 + size])
        at += 4 + size
    return None


def _names(data: bytes) -> list[bytes]:
    found = []
    at = 0
    while at < len(data):
        found.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return found


def _number(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
