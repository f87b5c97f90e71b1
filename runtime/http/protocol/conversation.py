"""What a protocol and the connection that carries it are to each other.  Neither knows more of the other than this."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from runtime.http.message.owner import Owner
from runtime.http.message.peer import NOBODY, Peer
from runtime.http.message.request import Request
from runtime.http.message.response import Response

IDLE, HEAD, BODY = "idle", "head", "body"
"""What is being read: nothing yet, the head of a request, its body."""

Serve = Callable[[Request, Response], object]
Admit = Callable[[Request], int | None]


class Conversation(Protocol):
    """A protocol as its connection sees it; :class:`Http1` says what the members mean."""

    output: list[bytes]
    backlog: int
    closing: bool
    lingering: bool
    now: float

    @property
    def active(self) -> object:
        """None unless a handler is at work."""

    @property
    def phase(self) -> str:
        """What is being read."""

    @property
    def begun(self) -> int:
        """Which one of those."""

    @property
    def fresh(self) -> bool:
        """Whether the client has not begun to ask for anything yet."""

    @property
    def starved(self) -> bool:
        """Whether the handler at work waits for what its client has still to send."""

    @property
    def paused(self) -> bool:
        """Whether to leave further bytes to the network."""

    @property
    def unfinished(self) -> bool:
        """Whether :meth:`advance` is to be called again, after everybody else had a turn."""

    def feed(self, data: bytes) -> None:
        """Take *data* from the client."""

    def advance(self) -> None:
        """Go on where it stopped."""

    def sent(self, size: int) -> None:
        """*size* bytes of the output were taken by the network."""

    def expire(self, now: float) -> None:
        """Let go of what waits for the client too long; *now* on the clock of :func:`time.monotonic`."""

    def last_call(self) -> None:
        """What is answered from now on is the last."""

    def finish(self) -> None:
        """Be done with what was begun, and take no more."""

    def farewell(self) -> bytes:
        """The last words when the connection is closed at once."""

    def half_closed(self) -> None:
        """The client sends no more: it has gone, or it waits for what it asked for."""

    def disconnected(self) -> None:
        """The client is gone."""


class Carrier(Protocol):
    """A connection as its protocol sees it.

    ``leaving`` set, it goes to another engine of the thread, if there is one, once it is between two requests."""

    leaving: bool

    def push(self) -> None:
        """Output came outside of :meth:`Conversation.feed`: send it."""

    def close(self) -> None:
        """Close the connection now."""

    def converse(self, http: Conversation) -> None:
        """Go on in another protocol; what the one before has still to say must have been taken over."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a protocol serves its connection."""

    admit: Admit | None = None
    """Sees a request whose body is still to come, and returns None or the status that refuses it."""
    on_output: Callable[[], object] | None = None
    """Called for output made outside of :meth:`Conversation.feed`."""
    on_complete: Callable[[Response], object] | None = None
    """Called for each response that has gone out."""
    peer: Peer = NOBODY
    """Who asks."""
    carrier: Carrier | None = None
    """The connection."""
    owner: Owner | None = None
    """The loop thread."""
    budget: float = inf
    """Seconds that requests may be served in one go."""


TERMS = Terms()
"""Of a protocol by itself."""
