"""How a response looks in HTTP/1: its head, chunks, and what its end means for the connection.  RFC 9112.

The half of the protocol that writes.  What a response consists of, and when its parts are sent, the response knows.
"""

from runtime.http.message.draft import CLOSE
from runtime.http.message.response import Response
from runtime.http.message.status import date_line, status_line


class Framing:
    """The framing half of a sink whose responses leave one after the other."""

    def __init__(self) -> None:
        self._chunked = False
        self._keep_alive = True

    def emit(self, data: bytes) -> None:
        """Send *data* after everything before it."""
        raise NotImplementedError

    def push(self) -> None:
        """That was all for now."""
        raise NotImplementedError

    def completed(self, response: Response, keep_alive: bool) -> None:
        """*response* is complete; without *keep_alive* nothing may follow."""
        raise NotImplementedError

    def whole(self, response: Response, headers: dict[bytes, bytes], content: bytes) -> None:
        """Part of :class:`Sink`."""
        data = b"%b%b%bContent-Length: %d\r\n\r\n%b" % (
            status_line(response.code),
            date_line() if b"date" not in headers else b"",
            b"".join(headers.values()),
            len(content),
            content,
        )
        self.raw(response, data)

    def raw(self, response: Response, data: bytes) -> None:
        """Part of :class:`Sink`."""
        response.written = len(data)
        self.emit(data)
        self.completed(response, True)

    def head(self, response: Response, headers: dict[bytes, bytes], measured: bool, silent: bool) -> None:
        """Part of :class:`Sink`."""
        request = response.request
        keep_alive = request.keep_alive and not response.options & CLOSE
        chunked = not measured and request.protocol == b"HTTP/1.1"
        if chunked:
            headers[b"transfer-encoding"] = b"Transfer-Encoding: chunked\r\n"
        elif not measured:
            keep_alive = False
        self._chunked = chunked and not silent
        self._keep_alive = keep_alive
        if not keep_alive:
            headers[b"connection"] = b"Connection: close\r\n"
        elif request.protocol == b"HTTP/1.0":
            headers[b"connection"] = b"Connection: keep-alive\r\n"
        code, reason = response.code, response.reason
        first = status_line(code) if reason is None else b"HTTP/1.1 %d %b\r\n" % (code, reason)
        date = date_line() if b"date" not in headers else b""
        self._send(response, b"".join([first, date, *headers.values(), b"\r\n"]))

    def data(self, response: Response, data: bytes) -> None:
        """Part of :class:`Sink`."""
        self._send(response, b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, response: Response, cut: bool) -> None:
        """Part of :class:`Sink`; only the end of the connection can tell that a response was cut."""
        if self._chunked and not cut:
            self._send(response, b"0\r\n\r\n")
        self.completed(response, self._keep_alive and not cut)

    def _send(self, response: Response, data: bytes) -> None:
        response.written += len(data)
        self.emit(data)
