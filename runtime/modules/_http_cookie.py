"""The cookie of ``http_hmac_cookie``: bytes that say who is logged in until when, signed.  No HTTP, no clock.

Fields with a byte of length before each: ``hmac_cookie``, 8 bytes of nonce, user, auth, expiry in decimal seconds of
the epoch; then an HMAC-SHA256 of all that, with its length before it.  On the wire it is percent-encoded.  The first
six bytes of the nonce are those of the login and stay as the cookie is renewed, so that a login can be ended; to
others they are part of the nonce."""

import hashlib
import hmac
import os
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

KIND = b"hmac_cookie"
NONCE, LOGIN = 8, 6
KEY_BYTES = 32
LONGEST = 255
"""Bytes of a user's name, and of an auth."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in: ``user`` and ``auth``, ``expiry`` in whole seconds of the epoch, ``login``, 6 bytes that it
    began with."""

    user: bytes
    auth: bytes
    expiry: int
    login: bytes


def new_login() -> bytes:
    """The bytes that a login begins with."""
    return os.urandom(LOGIN)


def sealed(login: Login, key: bytes) -> str:
    """The value of the cookie of *login* under *key*.

    Raises ValueError for a user or auth of more than 255 bytes."""
    fields = (KIND, login.login + os.urandom(NONCE - LOGIN), login.user, login.auth, b"%d" % login.expiry)
    if max(map(len, fields)) > LONGEST:
        raise ValueError(f"a user and an auth have at most {LONGEST} bytes")
    signed = b"".join(bytes((len(each),)) + each for each in fields)
    value = signed + bytes((hashlib.sha256().digest_size,)) + hmac.digest(key, signed, "sha256")
    return quote_from_bytes(value, safe="-_.~")


def opened(value: bytes, key: bytes) -> Login | None:
    """What the *value* of a cookie says, None for anything that was not signed with *key*."""
    raw = unquote_to_bytes(value)
    fields: list[bytes] = []
    place = last = 0
    while place < len(raw) and len(fields) < 6:
        end = place + 1 + raw[place]
        if end > len(raw):
            return None
        fields.append(raw[place + 1 : end])
        last, place = place, end
    if place != len(raw) or len(fields) != 6:
        return None
    if not hmac.compare_digest(hmac.digest(key, raw[:last], "sha256"), fields[5]):
        return None
    kind, nonce, user, auth, expiry, _ = fields
    if kind != KIND or len(nonce) != NONCE or not expiry.isdigit() or len(expiry) > 12:
        return None
    return Login(user, auth, int(expiry), nonce[:LOGIN])
