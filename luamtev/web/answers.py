"""Answers of the engine that need more care than Lua takes: a Response whose bytes go back to Lua.

Flushed in pieces, compressed, from a file, with headers that say something of the framing: all of that is
:class:`runtime.http.Response`'s to know.  Here it meets a sink that keeps the bytes until Lua fetches them.
"""

from collections.abc import Callable

from runtime.http import HIGH_WATER, Framing, Request, Response

from .said import ALIVE, WRITABLE

COMPLETE, LAST, WAITING = 4, 8, 16
"""How it stands with an answer, beside WRITABLE and ALIVE: it is whole; nothing may follow it; more comes once what was
said is gone."""


class Answer(Framing):
    """The sink of one response."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._backlog = 0
        self._state = ALIVE
        self._waiting: list[Callable[[], object]] = []

    @property
    def writable(self) -> bool:
        """Part of :class:`Sink`."""
        return self._backlog <= HIGH_WATER

    def emit(self, data: bytes) -> None:
        """Part of :class:`Framing`."""
        self._pieces.append(data)
        self._backlog += len(data)

    def push(self) -> None:
        """Part of :class:`Sink`: Lua fetches what there is."""

    def on_drain(self, function: Callable[[], object]) -> None:
        """Part of :class:`Sink`."""
        self._waiting.append(function)

    def completed(self, _response: Response, keep_alive: bool) -> None:
        """Part of :class:`Framing`."""
        self._state |= COMPLETE | (0 if keep_alive else LAST)

    def sent(self, waiting: int) -> None:
        """All but *waiting* bytes of what was fetched are gone; who waits for that may say more."""
        self._backlog = waiting
        while self._waiting and self.writable:
            self._waiting.pop(0)()

    def fetch(self, response: Response) -> tuple[int, bytes, int]:
        """How it stands, what is to be sent, and how many bytes the answer has had with it."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        state = self._state | (WRITABLE if self.writable else 0) | (WAITING if self._waiting else 0)
        return state, data, response.written


def request_of(request: Request, lines: bytes) -> Request:
    """*request* with the headers in *lines*, which the engine found to be good ones."""
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name:
            request.fields.append((name.lower(), value.strip(b" ")))
    return request
