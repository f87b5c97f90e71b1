"""Base 64 and 32, URLs and HTML.  Manual: mtev_b64_encode, mtev_b32_encode, mtev_url_encode, mtev_html_encode.

Where C writes into a buffer and returns 0 for one that is too small, bytes come back here, of any length.  Decoding
takes what it can, as the manual says: up to the first byte that does not belong."""

import binascii
import html
import re
from base64 import b32decode, b32encode
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

_SPACE: Final = re.compile(rb"[ \t-\r]+")
_LETTERS64: Final = re.compile(rb"[A-Za-z0-9+/]*")
_LETTERS32: Final = re.compile(rb"[A-Za-z2-7]*")
_URL: Final = bytes.maketrans(b"-_", b"+/")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def b64_encode(data: bytes) -> bytes:
    """*data* in base 64 (RFC 4648), without line feeds."""
    return binascii.b2a_base64(data, newline=False)


def b64_decode(text: bytes) -> bytes:
    """What *text* stands for, up to its padding or the first byte that is no base 64; b"" where nothing is.

    White space is skipped, the URL alphabet understood, and a last group that is not whole left out."""
    text = _SPACE.sub(b"", text).translate(_URL)
    found = _LETTERS64.match(text)
    letters = found[0] if found else b""
    rest = len(letters) % 4
    if rest:
        padded = text[len(letters) : len(letters) + 1] == b"="
        letters = letters.ljust(len(letters) + 4 - rest, b"A") if padded else letters[: len(letters) - rest]
        size = len(letters) // 4 * 3 - ((3 if rest == 1 else 4) - rest if padded else 0)
        return binascii.a2b_base64(letters)[:size]
    return binascii.a2b_base64(letters)


def b32_encode(data: bytes) -> bytes:
    """*data* in base 32 (RFC 4648), padded."""
    return b32encode(data)


def b32_decode(text: bytes) -> bytes:
    """What *text* stands for, up to its padding or the first byte that is no base 32; b"" where nothing is.

    White space and hyphens are skipped, small letters understood, and a last group that is not whole left out."""
    text = _SPACE.sub(b"", text).replace(b"-", b"")
    found = _LETTERS32.match(text)
    letters = found[0] if found else b""
    rest = len(letters) % 8
    if not rest:
        return b32decode(letters, casefold=True)
    padded = text[len(letters) : len(letters) + 1] == b"="
    whole = len(letters) - rest
    size = whole // 8 * 5 + ((rest * 5 + 3) // 8 if rest in (1, 3, 6) else rest * 5 // 8 if padded else 0)
    if not padded:
        return b32decode(letters[:whole], casefold=True)
    return b32decode(letters.ljust(whole + 8, b"A"), casefold=True)[:size]


def url_encode(data: bytes) -> bytes:
    """*data* with all but the unreserved characters of RFC 3986 as %XX."""
    return quote_from_bytes(data, safe="").encode("ascii")


def url_decode(text: bytes) -> bytes:
    """What *text* stands for, with + as a space; b"" where a % is not followed by two digits."""
    if _BAD_ESCAPE.search(text):
        return b""
    return unquote_to_bytes(text.replace(b"+", b" "))


def html_encode(text: str) -> str:
    """*text* with & < > " and ' as entities."""
    return html.escape(text)
