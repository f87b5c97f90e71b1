"""Requests that come together and are answered together, in one call of whoever serves them all.

For the usual kind: without a body, for a rule whose handler takes several at once, answered whole before that call
returns.  No request and no response is made then; whatever turns out to be of another kind gets both, and goes the way
of all others.  Which rule serves what is asked once a connection, and remembered for as long as that holds.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from runtime.http.message.limits import Limits
from runtime.http.message.peer import Peer
from runtime.http.message.response import Response
from runtime.http.message.status import date_line

from .heads import pairs_of, request_of

if TYPE_CHECKING:
    from .http2 import Http2

Answer = tuple[int, bytes, bytes]
"""A response that is whole: its status, the lines of its headers, its body."""

Many = Callable[[Sequence["Exchange"], float], "list[Answer | None]"]
"""Serves several requests, and returns their answers: None for one whose response goes another way.

The second argument is the seconds that it should take; the list is shorter when they were over before the last."""

MOST_KNOWN = 64  # requests remembered a connection

Head = tuple[bytes, bytes, bytes, bytes | None]
Made = tuple[tuple[tuple[bytes, bytes], ...], int]

_made: dict[tuple[int, bytes, int], Made] = {}  # heads of answers of this second, and their bytes
_made_at = b""


class Offer(NamedTuple):
    """Who serves a request: ``many``; ``mount``, which of its handlers; ``path``, what that sees; ``rule``, for the
    ledger."""

    many: Many
    mount: int
    path: bytes
    rule: Any


class Answered(NamedTuple):
    """One that was answered, for the ledger."""

    method: bytes
    uri: bytes
    code: int
    written: int
    rule: Any


class Batcher(Protocol):
    """Who knows of handlers that serve several requests at once."""

    def generation(self) -> int:
        """A number that changes when an offer may not hold any more."""

    def offer(self, peer: Peer, method: bytes, uri: bytes) -> Offer | None:
        """Who serves *uri* for *peer* in this way, if anybody."""

    def settle(self, peer: Peer, owner: Any, received: float, answered: list[Answered]) -> None:
        """Note what was *answered* of what came at *received*, in epoch seconds."""


class Exchange:
    """A request of a batch: its stream's ``number``, ``head``, ``method``, ``uri`` and ``offer``; ``response``, None
    unless it was made."""

    __slots__ = ("_http", "head", "method", "number", "offer", "response", "uri")

    def __init__(
        self, http: "Http2", number: int, head: tuple[tuple[bytes, bytes], ...], method: bytes, uri: bytes, offer: Offer
    ) -> None:
        self._http = http
        self.number = number
        self.head = head
        self.method = method
        self.uri = uri
        self.offer = offer
        self.response: Response | None = None

    @property
    def peer(self) -> Peer:
        """Who asks."""
        return self._http.peer

    def make(self) -> Response:
        """The response as an object, with its request; from then on all is said through it."""
        if self.response is None:
            self.response = self._http.respond_to(self)
        return self.response


class Batches:
    """What one connection remembers of them."""

    __slots__ = ("_batcher", "_generation", "_http", "_known", "_peer")

    def __init__(self, http: "Http2", batcher: Batcher, peer: Peer) -> None:
        self._http = http
        self._batcher = batcher
        self._peer = peer
        self._generation = -1
        self._known: dict[Head, Offer | None] = {}

    def renew(self) -> None:
        """Forget what may not hold any more; to be called before each batch."""
        generation = self._batcher.generation()
        if generation != self._generation:
            self._generation = generation
            self._known = {}

    def take(self, number: int, head: tuple[tuple[bytes, bytes], ...], limits: Limits) -> Exchange | None:
        """The request on stream *number* with *head* as one for a batch, if it is of the usual kind."""
        fields = dict(head)
        if len(fields) != len(head) or b"expect" in fields or b"host" in fields or b"content-length" in fields:
            return None
        try:
            method, uri = fields[b":method"], fields[b":path"]
            key = (method, uri, fields[b":scheme"], fields[b":authority"])
            offer = self._known[key] if key in self._known else self._ask(key, head)
        except KeyError:
            return None
        if (
            offer is None
            or len(b"".join(fields)) + len(b"".join(fields.values())) + 4 * len(fields) > limits.max_header
        ):
            return None
        return Exchange(self._http, number, head, method, uri, offer)

    def settle(self, owner: Any, received: float, answered: list[Answered]) -> None:
        """Note what was *answered*."""
        self._batcher.settle(self._peer, owner, received, answered)

    def _ask(self, key: Head, head: tuple[tuple[bytes, bytes], ...]) -> Offer | None:
        method, uri = key[:2]
        offer = None
        if len(uri) <= self._http.limits.max_uri and method != b"HEAD" and request_of(self._peer, head) is not None:
            try:
                offer = self._batcher.offer(self._peer, method, uri)
            except Exception:
                return None  # whoever serves it alone says why
        if len(uri) < 512:
            if len(self._known) >= MOST_KNOWN:
                self._known = {}
            self._known[key] = offer
        return offer


def head_of(code: int, lines: bytes, length: int) -> Made:
    """The fields of an answer with *lines* for headers and *length* bytes of body, and how many bytes they are."""
    global _made_at
    date = date_line()
    if date is not _made_at or len(_made) >= 1024:
        _made.clear()
        _made_at = date
    key = (code, lines, length)
    found = _made.get(key)
    if found is None:
        own = [(b":status", b"%d" % code), *pairs_of(date), *pairs_of(lines), (b"content-length", b"%d" % length)]
        found = _made[key] = (tuple(own), sum(len(name) + len(value) for name, value in own))
    return found
