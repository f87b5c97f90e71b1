"""The body of a request whose handler reads it as it comes: what has arrived and was not taken, and how it ends.

A protocol puts in what comes and leaves the rest to the network while there is enough; whoever reads takes pieces, and
is told when there is news.  A content encoding is taken off on the way out, so that memory is bounded whatever it
expands to.  Knows no protocol.
"""

from collections import deque
from collections.abc import Callable

from .encoding import Decoder
from .request import Request

HIGH_WATER = 256 << 10
"""Bytes that wait above which no more is taken from the client."""
PIECE = 64 << 10
"""Bytes of a piece, at most, unless the reader says otherwise."""


class UploadError(Exception):
    """The body ends before its time.

    Attributes: ``status``, that refuses such a request; 0 where the client has gone."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Upload:
    """One body.  All methods belong on the request's loop thread.

    Attributes: ``received``, bytes that came; ``over``, no more comes; ``failure``, why that is before its end, or
    None; ``wanted``, somebody waits for more; ``on_wanted``, called when that begins or room is made, for whoever
    receives."""

    __slots__ = (
        "_decoded",
        "_decoder",
        "_most",
        "_news",
        "_pieces",
        "_waiting",
        "failure",
        "on_wanted",
        "over",
        "received",
    )

    def __init__(self, most: int, encoding: bytes | None = None) -> None:
        """Args: *most*, bytes that it may have, decoded too; *encoding*, of the content, or None.

        Raises LookupError for an encoding that is not known."""
        self.received = 0
        self.over = False
        self.failure: UploadError | None = None
        self.on_wanted: Callable[[], object] | None = None
        self._most = most
        self._decoder = None if encoding is None else Decoder(encoding)
        self._decoded = 0
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._news: Callable[[], object] | None = None

    @property
    def full(self) -> bool:
        """Whether to leave what comes to the network."""
        return self._waiting > HIGH_WATER

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for what comes next."""
        return self._news is not None

    # Whoever receives

    def put(self, data: bytes) -> None:
        """*data* has come."""
        self.received += len(data)
        if not self.over:
            self._pieces.append(data)
            self._waiting += len(data)
            self._tell()

    def end(self) -> None:
        """All has come."""
        self.over = True
        self._tell()

    def fail(self, status: int, message: str) -> None:
        """Nothing more comes, though it is not over."""
        if not self.over:
            self.over = True
            self.failure = UploadError(status, message)
            self._tell()

    def drop(self) -> None:
        """The request is answered: nobody is to read any more."""
        if self.failure is None and (self._pieces or not self.over):
            self.failure = UploadError(0, "the request is answered")
        self.over = True
        self.on_wanted = None
        self._pieces.clear()
        self._waiting = 0
        self._tell()

    # Whoever reads

    def take(self, most: int = PIECE) -> bytes | None:
        """The next piece, of *most* bytes at most; ``b""`` at the end, None when nothing has come yet.

        Raises :exc:`UploadError` where the body ends before its time, with each call."""
        was_full = self.full
        try:
            piece = self._take(most)
        except UploadError as failure:
            self.over, self.failure = True, failure
            self._pieces.clear()
            self._waiting = 0
            if self.on_wanted is not None:
                self.on_wanted()  # whoever receives has to know that all is lost
            raise
        if was_full and not self.full and self.on_wanted is not None:
            self.on_wanted()
        return piece

    def await_news(self, function: Callable[[], object]) -> None:
        """Have *function* called once, when :meth:`take` has something to say."""
        self._news = function
        if self.on_wanted is not None:
            self.on_wanted()

    def _take(self, most: int) -> bytes | None:
        if self._decoder is None:
            return self._raw(most)
        while True:
            data = b""
            if not self._decoder.has_more:
                data = self._raw(PIECE) or b""
                if not data:
                    if not self.over:
                        return None
                    try:
                        self._decoder.finish()
                    except ValueError as broken:
                        raise UploadError(400, str(broken)) from None
                    return b""
            try:
                piece = self._decoder.decode(data, most)
            except ValueError as broken:
                raise UploadError(400, str(broken)) from None
            self._decoded += len(piece)
            if self._decoded > self._most:
                raise UploadError(413, f"the body has more than {self._most} bytes, decoded")
            if piece:
                return piece

    def _raw(self, most: int) -> bytes | None:
        pieces = self._pieces
        if not pieces:
            if self.failure is not None:
                raise UploadError(self.failure.status, str(self.failure))
            return b"" if self.over else None
        piece = pieces.popleft()
        if len(piece) > most:
            pieces.appendleft(piece[most:])
            piece = piece[:most]
        elif len(piece) < most and pieces:
            gathered = [piece]
            size = len(piece)
            while pieces and size + len(pieces[0]) <= most:
                gathered.append(pieces.popleft())
                size += len(gathered[-1])
            piece = b"".join(gathered)
        self._waiting -= len(piece)
        return piece

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news()


def begin(request: Request, most: int) -> int | None:
    """Give *request* an upload of *most* bytes at most, and take the header of its content encoding off.

    Returns the status that refuses it, or None."""
    named = request.header(b"content-encoding")
    encodings = [
        each for each in (named or b"").lower().replace(b" ", b"").split(b",") if each not in (b"", b"identity")
    ]
    if len(encodings) > 1:
        return 415
    try:
        request.upload = Upload(most, encodings[0] if encodings else None)
    except LookupError:
        return 415
    if named is not None:
        request.drop(b"content-encoding")
    return None
