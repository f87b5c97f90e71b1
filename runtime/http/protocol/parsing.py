"""The reading half of HTTP/1: from what the parser tells to requests.  RFC 9112.

httptools parses, strictly; what it leaves open is decided here: one Host, one way to tell the length, limits.  When a
request is served, and what becomes of its body then, is not.
"""

import httptools

from runtime.http.message import traced
from runtime.http.message.limits import Limits
from runtime.http.message.peer import Peer
from runtime.http.message.request import Request
from runtime.http.message.target import authority_of
from runtime.http.message.upload import Upload

from .authority import is_authority
from .conversation import BODY, HEAD, IDLE, Admit
from .pieces import Pieces

NONE = Request()
_LINE = 64  # bytes of a head, at most, that are neither target nor header

_TELLING = {b"host", b"content-length", b"transfer-encoding", b"expect", b"connection", b"upgrade"}


class Parsing:
    """The reading half of a connection's protocol: what is read, how far, and why no further.

    Attributes: ``limits``; ``phase`` and ``begun``, what is being read and how many requests were begun, for timeouts;
    ``lingering``, the client may still be sending when all is said; ``now``, epoch seconds, for the requests."""

    def __init__(self, limits: Limits, admit: Admit | None, peer: Peer) -> None:
        self.limits = limits
        self.phase = IDLE
        self.begun = 0
        self.lingering = False
        self.now = 0.0
        self._admit = admit
        self._peer = peer
        self._failure = 0  # the status that ends the connection
        self._last = False  # no request is wanted any more
        self._request = NONE
        self._body = bytearray()
        self._upload: Upload | None = None  # the body under way, where its handler reads it
        self._received = 0  # bytes of the body under way
        self._length: int | None = 0  # of the body; None where chunks say so
        self._pieces = Pieces(limits.max_upload)
        self._chunk = self._head_bytes = self._overhead = 0
        self._host = self._telling = self._continue = self._skip_head = False
        self._parser = httptools.HttpRequestParser(self)

    def arrived(self, request: Request, upload: Upload | None = None) -> None:
        """*request* is there whole; its handler has had it already if it reads *upload*, its body, itself."""
        raise NotImplementedError

    def stream(self, request: Request) -> None:
        """The head of *request* is there, whose handler reads the body itself."""
        raise NotImplementedError

    def _parse(self, piece: bytes) -> None:
        """Give the parser *piece*: a head or a body, or a part of one."""
        self._chunk = len(piece)
        if self.phase is HEAD:
            self._head_bytes += len(piece)
        received = self._received
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            raise
        except httptools.HttpParserError as mistake:
            if not self._last:
                beyond = self.phase is BODY and "overflow" in str(mistake)  # a number of 64 bits
                self._failure = self._failure or (413 if beyond else 400)
            self.lingering = True
        if self.phase is HEAD:
            if self._head_bytes > self.limits.max_header + _LINE:
                self._failure = self._failure or 431
        elif self.phase is BODY:
            # A trailer, or chunks of one byte: what is no body must not outgrow it for ever.
            self._overhead += len(piece) - max(0, self._received - received)
            if self._overhead > self.limits.max_header + 16 * self._received:
                self._failure = self._failure or 400

    # What the parser calls

    def on_message_begin(self) -> None:
        """Of httptools."""
        if self._skip_head:
            return
        request = self._request = Request(self._peer)
        request.received = self.now
        self.phase = HEAD
        self.begun += 1
        self._head_bytes = self._chunk
        self._host = self._telling = False

    def on_url(self, url: bytes) -> None:
        """Of httptools; a piece at a time."""
        if self._skip_head:
            return
        request = self._request
        request.uri += url
        if len(request.uri) > self.limits.max_uri:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of httptools."""
        if self._skip_head:
            return
        name = name.lower()
        if self.phase is BODY:
            self._request.trailers.append((name, value))
            return
        if name in _TELLING:
            if name != b"host":
                self._telling = True
            elif self._host or (value and not is_authority(value)):
                self._refuse(400)
            else:
                self._host = True
        self._request.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Of httptools."""
        if self._skip_head:
            self._skip_head = False
            self.phase = BODY
            return
        request = self._request
        parser = self._parser
        request.method = parser.get_method()
        most = self.limits.max_header
        if self._head_bytes > most:
            size = len(request.uri) + sum(len(name) + len(value) + 4 for name, value in request.fields)
            if size > most:
                self._refuse(431)
        if not request.uri.startswith(b"/"):
            self._retarget(request)
        if self._telling or not self._host or not parser.should_keep_alive():
            self._examine(request)
        if traced.REQUEST_START.heard[0]:
            traced.tell(traced.REQUEST_START, self._peer)

    def on_body(self, data: bytes) -> None:
        """Of httptools."""
        self._received += len(data)
        if self._received > self.limits.max_upload:
            self._refuse(413)
        if self._upload is not None:
            self._upload.put(data)
        else:
            self._body += data

    def on_message_complete(self) -> None:
        """Of httptools."""
        request = self._request
        upload, self._upload = self._upload, None
        if self.phase is BODY and upload is None:
            request.payload = bytes(self._body)
            self._body.clear()
        self.phase = IDLE
        self._request = NONE  # or its body would stay for as long as the connection
        self.arrived(request, upload)

    # Particulars

    def _retarget(self, request: Request) -> None:
        """A target that is no path: the host that it names is the one that counts.  RFC 9112, 3.2."""
        authority = authority_of(request.uri)
        if authority is not None and is_authority(authority):
            request.fields = [each for each in request.fields if each[0] != b"host"]
            request.fields.insert(0, (b"host", authority))
        elif request.method == b"CONNECT":
            request.keep_alive = False
        elif request.method != b"OPTIONS" or request.uri != b"*":
            self._refuse(400)

    def _examine(self, request: Request) -> None:
        """The requests that are not as simple as most: another version, a body, a word on the connection."""
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(505)
        request.protocol = b"HTTP/" + version.encode()
        modern = version == "1.1"
        if modern and not self._host:
            self._refuse(400)
        headers = request.headers
        options = [each.strip() for each in headers.get(b"connection", b"").lower().split(b",")]
        request.keep_alive = b"close" not in options and (modern or b"keep-alive" in options)
        if request.method == b"CONNECT":
            request.keep_alive = False
        coding = headers.get(b"transfer-encoding")
        length = int(headers.get(b"content-length") or b"0")  # digits, or the parser had refused it
        if coding is not None and not modern:
            self._refuse(400)
        if coding is not None and coding.lower() != b"chunked":
            self._refuse(501 if coding.lower().rpartition(b",")[2].strip() == b"chunked" else 400)
        if length > self.limits.max_upload:
            self._refuse(413)
        expectation = headers.get(b"expect")
        if expectation is not None and modern and expectation.lower() != b"100-continue":
            self._refuse(417)
        if not length and coding is None:
            return
        if self._admit is not None:
            refusal = self._admit(request)
            if refusal is not None:
                self._refuse(refusal)
            if request.streams and b"upgrade" not in headers:
                self.stream(request)
        self.phase = BODY
        self._received = 0
        self._length = length if coding is None else None
        self._overhead = -self._chunk
        self._continue = expectation is not None and modern

    def _refuse(self, status: int) -> None:
        self._failure = status
        raise ValueError(status)  # has the parser stop; feed() finds the status
