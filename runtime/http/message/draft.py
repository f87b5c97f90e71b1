"""What a handler has said of its answer so far: status, headers, options, content.  Nothing of it is sent here."""

import re

from .content import Content
from .headers import as_bytes, lines
from .request import Request
from .status import reason as usual_reason

CHUNKED, CLOSE, GZIP, DEFLATE = 0x1, 0x2, 0x10, 0x20
"""Options: chunks even where the length is known, no further request, compressed when the client accepts it."""

_BAD_REASON = re.compile(rb"[\x00-\x1f\x7f]")


class Draft:
    """The half of :class:`runtime.http.Response` that collects.

    Attributes: ``request``; ``code``; ``reason``, the one that was given, or None; ``options``, those set so far;
    ``complete``, nothing more can be said, or the client is gone."""

    __slots__ = ("_content", "_ending", "_headers", "code", "complete", "options", "reason", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.code = 200
        self.reason: bytes | None = None
        self.options = 0
        self.complete = False
        self._headers: dict[bytes, bytes] = {}  # lines by name in lower case
        self._content = Content()
        self._ending = False  # all is said

    @property
    def ended(self) -> bool:
        """Whether the handler has said all."""
        return self._ending

    def status(self, code: int, reason: bytes | str | None = None) -> None:
        """Answer with *code*, 200 to 999, and *reason* as given or the usual one.

        Raises ValueError for another code or a reason with line ends."""
        if not 200 <= code <= 999:
            raise ValueError(f"a response needs a status of 200 to 999, not {code}")
        if reason is not None:
            reason = as_bytes(reason)
            if _BAD_REASON.search(reason):
                raise ValueError("a reason cannot hold control characters")
        self.code = int(code)
        self.reason = None if reason == usual_reason(code) else reason

    def header(self, name: bytes | str, value: bytes | str) -> None:
        """Send the header *name*; replaces one of that name, Set-Cookie adds up, ``Connection: close`` is CLOSE.

        Raises ValueError for a name or value that a header cannot have, or that is the server's to send."""
        key, line = lines[name, value]
        if key == b"connection":
            self.options |= CLOSE
            return
        if key == b"set-cookie" and key in self._headers:
            line = self._headers[key] + line
        self._headers[key] = line

    def header_value(self, name: bytes) -> bytes | None:
        """The value that the header *name*, in lower case, has so far; None when it is not set."""
        line = self._headers.get(name)
        return None if line is None else line.partition(b": ")[2].partition(b"\r\n")[0]

    def option(self, option: int) -> None:
        """Set CHUNKED, CLOSE, GZIP or DEFLATE, or several.  Raises ValueError for others."""
        if option & ~(CHUNKED | CLOSE | GZIP | DEFLATE):
            raise ValueError(f"{option:#x} is no option of a response")
        self.options |= option

    def write(self, data: bytes | str) -> None:
        """Append *data* to the body; str as UTF-8.  Raises ValueError after :meth:`flush_end`."""
        if self._ending:
            raise ValueError("the response has ended")
        if data and not self.complete:
            self._content.append(data.encode() if isinstance(data, str) else bytes(data))

    def write_fd(self, fd: int, size: int | None = None, offset: int = 0) -> None:
        """Append *size* bytes of the file *fd* from *offset* to the body; without a size, up to its end.

        The descriptor may be closed at once.  Read as the client takes it, so memory stays flat.
        Raises OSError for no file, ValueError for a part that it does not have."""
        if self._ending:
            raise ValueError("the response has ended")
        if not self.complete:
            self._content.append_file(fd, size, offset)

    def discard(self) -> None:
        """Forget of the body what was not sent yet."""
        self._content.drop()
