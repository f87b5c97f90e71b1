"""Where heads and bodies of HTTP/1 end in what came, so that the parser sees one at a time.  RFC 9112, 3 and 7.

With that, the size of a head is known whatever it came with, and what the parser does not tell can be looked at: the
blanks of a request line, its protocol, and the size of a chunk before its content comes.
"""

import re

from runtime.http.message.known import Known

_REQUEST_LINE = re.compile(rb"[^\x00-\x20\x7f]+ [^\x00-\x20\x7f]+ HTTP/[0-9]\.[0-9]")
_OTHER_PROTOCOL = re.compile(rb"[^\x00-\x20\x7f]+ [^\x00-\x20\x7f]+ [A-Z]+/[0-9](\.[0-9])?")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+(?=[;\r])")
_METHOD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ")
_known_lines: Known[bytes, bytes] = Known()  # the methods of request lines that were found right
_MOST_LINE = 4096  # bytes of a line of chunks that are kept; longer ones are the parser's to refuse


class Pieces:
    """Takes the bytes of one connection apart.

    Attributes: ``refusal``, the status that what came is to be refused with, or None; ``method``, of the last head
    that began, as soon as it is there, whatever is wrong with the rest."""

    def __init__(self, max_upload: int) -> None:
        self.refusal: int | None = None
        self.method = b""
        self._max_upload = max_upload
        self._begun = False  # a head
        self._line: bytes | None = b""  # of its first line; None once that was looked at
        self._tail = b""  # its last bytes, which may begin the end of it
        self._skip = self._total = 0  # of the chunk under way, and its end of line; of all chunks
        self._text = b""  # of a line between chunks
        self._in_trailers = False

    def head(self, data: bytes) -> int:
        """How many bytes of *data* belong to the head that has begun, or begins."""
        skipped = 0
        if not self._begun:
            end = data.find(b"\r\n\r\n") + 4
            if end > 3 and data[0] not in b"\r\n":  # a whole one, as most are
                self._in_trailers = False
                self._skip = self._total = 0
                method = _known_lines.get(data[: data.find(b"\r\n")])
                if method is None:
                    self._look_at_line(data[:end])
                else:
                    self.method = method
                return end
            skipped = len(data) - len(data.lstrip(b"\r\n"))
            if skipped == len(data):
                return skipped
            self._begun, self._line, self._tail = True, b"", b""
        known = len(self._tail)
        text = self._tail + data[skipped:]
        end = text.find(b"\r\n\r\n") + 4
        if end < 4:
            end = len(text)
            self._tail = text[-3:]
        else:
            self._begun = self._in_trailers = False
            self._skip = self._total = 0
        if self._line is not None:
            self._look_at_line(self._line + text[known:end])
        return skipped + end - known

    def chunks(self, data: bytes) -> int:
        """How many bytes of *data* belong to the chunks, and the trailers, of the body under way."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1
            if not end:
                self._text = (self._text + data[at:])[:_MOST_LINE]
                break
            line, self._text = self._text + data[at:end], b""
            at = end
            if self._in_trailers:
                if line in (b"\r\n", b"\n"):
                    return at
            elif not self._begin_chunk(line):
                break
        return len(data)

    def _begin_chunk(self, line: bytes) -> bool:
        found = _CHUNK_SIZE.match(line)
        if found is None:
            return False  # the parser says so
        size = int(found[0], 16)
        self._total += size
        if self._total > self._max_upload:
            self.refusal = 413
        self._skip = size + 2 if size else 0
        self._in_trailers = not size
        return True

    def _look_at_line(self, text: bytes) -> None:
        line, ended, _ = text.partition(b"\r\n")
        method = _METHOD.match(line)
        self.method = method[1] if method else b""
        if not ended:
            self._line = text
            return
        self._line = None
        if line in _known_lines:
            return
        if _REQUEST_LINE.fullmatch(line) is None:
            self.refusal = 505 if _OTHER_PROTOCOL.fullmatch(line) else 400
        elif not line.endswith((b"/1.1", b"/1.0")):
            self.refusal = 505
        else:
            _known_lines.keep(line, self.method, len(line))
