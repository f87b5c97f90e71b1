"""Headers of responses: which names and values may be sent, and the line of each."""

import re

from .known import Known

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = {b"connection", b"transfer-encoding"}


class _Lines(Known[tuple[bytes | str, bytes | str], tuple[bytes, bytes]]):
    """The name in lower case and the line, by name and value as handlers give them; made when first asked for."""

    def __missing__(self, asked: tuple[bytes | str, bytes | str]) -> tuple[bytes, bytes]:
        found = _line(*asked)
        self.keep(asked, found, len(found[1]))
        return found


lines = _Lines()
"""``lines[name, value]``: the name in lower case, and the line of that header.

Raises ValueError for a name or value that a header cannot have, or that is the server's to send; of those
``Connection: close`` alone has a line."""


def _line(name: bytes | str, value: bytes | str) -> tuple[bytes, bytes]:
    raw, text = as_bytes(name), as_bytes(value)
    key = raw.lower()
    if not _NAME.fullmatch(raw):
        raise ValueError(f"{name!r} is no name of a header")
    if _BAD_VALUE.search(text):
        raise ValueError(f"the header {name!r} cannot hold control characters")
    if key in _OURS and (key != b"connection" or text.lower() != b"close"):
        raise ValueError(f"the header {name!r} is the server's to send; see option()")
    if key == b"content-length" and not (text.isdigit() and len(text) < 19):
        raise ValueError(f"a Content-Length is a number of bytes, not {value!r}")
    return key, b"%b: %b\r\n" % (raw, text)


def as_bytes(text: bytes | str) -> bytes:
    """*text*, str as UTF-8."""
    return text.encode() if isinstance(text, str) else bytes(text)
