"""A heartbeat on the wire: one datagram, encrypted under the cluster's key.  No sockets, no clocks, no state.

::

    4 bytes   number of bytes that follow
    16        initialisation vector
    …         AES-256-CBC of: 8 bytes of salt, two magic words, payload (PKCS padding)

    payload:  version, node id (16), boot time (8), configuration sequence (8), count of application payloads;
              {application, key, length} of each, one byte each; their data in the same order

All integers are big-endian.  A boot time is seconds in the upper five bytes and microseconds in the lower three.
Every length and count is checked before it is used."""

import os
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MAGIC = struct.pack(">II", 0x7EB9A443, 0x2882EDBA)
VERSION = 0x11
"""High nibble: the version, low nibble: the newest that is understood."""
MOST_PAYLOAD = 1512
"""Bytes of all application payloads of a heartbeat together."""
LONGEST_PAYLOAD = 255
"""Bytes of one application payload."""

_HEAD = struct.Struct(">B16sQQB")
_INNER = 8 + len(MAGIC)
_LEAST = 4 + 16 + 16
_BLOCK = 16
_KEY_BYTES = 31

Payloads = dict[tuple[int, int], bytes]


class Refused(Exception):
    """A datagram is no heartbeat; ``reason`` is one word to count it by, the text says more."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a node says of itself: ``boot_time`` in microseconds of the epoch, ``seq`` of its configuration, and
    ``payloads``, {(application, key): bytes}; ``salt`` is what the sender put in front."""

    node_id: UUID
    boot_time: int
    seq: int
    payloads: Payloads = field(default_factory=dict)
    salt: bytes = b""


def encode(beat: Heartbeat, key: bytes) -> bytes:
    """The datagram of *beat* under the *key* of the cluster, any bytes.

    Raises ValueError for payloads that do not fit."""
    check_payloads(beat.payloads)
    text = b"".join(
        [
            beat.salt or os.urandom(8),
            MAGIC,
            _HEAD.pack(VERSION, beat.node_id.bytes, _packed(beat.boot_time), beat.seq, len(beat.payloads)),
            *(bytes((application, name, len(data))) for (application, name), data in beat.payloads.items()),
            *beat.payloads.values(),
        ]
    )
    padding = _BLOCK - len(text) % _BLOCK
    vector = os.urandom(16)
    encryptor = Cipher(_algorithm(key), modes.CBC(vector)).encryptor()
    cipher_text = encryptor.update(text + bytes((padding,)) * padding) + encryptor.finalize()
    return struct.pack(">I", len(vector) + len(cipher_text)) + vector + cipher_text


def decode(datagram: bytes, key: bytes) -> Heartbeat:
    """What *datagram* says.  Raises :exc:`Refused` for one that is cut, lengthened, under another key or
    malformed."""
    length = len(datagram)
    if length < _LEAST:
        raise Refused("short", f"{length} bytes are no heartbeat")
    announced = int.from_bytes(datagram[:4], "big")
    if announced != length - 4:
        raise Refused("length", f"{announced} bytes announced, {length - 4} there")
    if announced % _BLOCK:
        raise Refused("length", f"{announced} bytes are no whole number of blocks")
    decryptor = Cipher(_algorithm(key), modes.CBC(datagram[4:20])).decryptor()
    text = decryptor.update(datagram[20:]) + decryptor.finalize()
    padding = text[-1]
    if not 1 <= padding <= _BLOCK or text[-padding:] != bytes((padding,)) * padding:
        raise Refused("decrypt", "it does not decrypt under the key of the cluster")
    if text[8:_INNER] != MAGIC:
        raise Refused("magic", "it decrypts to something else")
    return _parse(text, len(text) - padding)


def check_payloads(payloads: Payloads) -> None:
    """Raises ValueError for application payloads that no heartbeat can carry."""
    for (application, name), data in payloads.items():
        if not (0 <= application <= 255 and 0 <= name <= 255):
            raise ValueError(f"application {application} and key {name} of a payload are a byte each")
        if len(data) > LONGEST_PAYLOAD:
            raise ValueError(f"a payload has at most {LONGEST_PAYLOAD} bytes, not {len(data)}")
    total = sum(map(len, payloads.values()))
    if total > MOST_PAYLOAD or len(payloads) > 255:
        raise ValueError(
            f"payloads of {total} bytes in {len(payloads)} pieces do not fit: {MOST_PAYLOAD} bytes, 255 pieces"
        )


def _parse(text: bytes, end: int) -> Heartbeat:
    if end < _INNER + _HEAD.size:
        raise Refused("short", f"a payload of {max(end - _INNER, 0)} bytes has no whole head")
    version, node_id, boot, seq, count = _HEAD.unpack_from(text, _INNER)
    if version >> 4 != VERSION >> 4:
        raise Refused("version", f"version {version >> 4} is not {VERSION >> 4}")
    if version & 0x0F < VERSION >> 4:
        raise Refused("version", f"its sender understands version {version & 0x0F} at most")
    seconds, microseconds = boot >> 24, boot & 0xFFFFFF
    if microseconds > 999_999:
        raise Refused("boot_time", f"{microseconds} microseconds are more than a second")
    table = _INNER + _HEAD.size
    place = table + 3 * count
    if place > end:
        raise Refused("count", f"{count} payloads announced in {end - table} bytes")
    payloads: Payloads = {}
    for entry in range(table, place if count else table, 3):
        application, name, length = text[entry], text[entry + 1], text[entry + 2]
        if place + length > end:
            raise Refused("count", f"payload ({application}, {name}) of {length} bytes goes beyond the end")
        if (application, name) in payloads:
            raise Refused("count", f"payload ({application}, {name}) stands there twice")
        payloads[application, name] = text[place : place + length]
        place += length
    if place != end:
        raise Refused("length", f"{end - place} bytes follow the last payload")
    return Heartbeat(UUID(bytes=node_id), seconds * 1_000_000 + microseconds, seq, payloads, text[:8])


def _packed(boot_time: int) -> int:
    seconds, microseconds = divmod(boot_time, 1_000_000)
    return seconds << 24 | microseconds


@lru_cache(maxsize=64)
def _algorithm(key: bytes) -> Any:
    return algorithms.AES(key[:_KEY_BYTES].ljust(32, b"\0"))
