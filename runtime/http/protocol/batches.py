"""Requests that come together and are answered together, in one call of whoever serves them all.

For the usual kind: without a body, for a route whose handler takes several at once, answered whole before that call
returns.  No request and no response is made then; whatever turns out to be of another kind gets both, and goes the way
of all others.  Which route serves what is asked once a connection, and remembered for as long as that holds.
"""

import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from runtime import log
from runtime.http.message.known import Known
from runtime.http.message.peer import Peer
from runtime.http.message.response import Response
from runtime.http.message.status import date_line

from .heads import pairs_of, request_of
from .nghttp2 import RequestReceived

if TYPE_CHECKING:
    from .http2 import Http2

Answer = tuple[int, bytes, bytes]
"""A response that is whole: its status, the lines of its headers, its body."""

Many = Callable[[Sequence["Exchange"], float], "list[Answer | None]"]
"""Serves several requests, and returns their answers: None for one whose response goes another way.

The second argument is the seconds that it should take; when they are over before the last, the list is shorter, and
has one at least."""

MOST_KNOWN = 64  # requests remembered a connection

Head = tuple[bytes, bytes, bytes, bytes | None]
Made = tuple[tuple[tuple[bytes, bytes], ...], int]

_made: dict[tuple[int, bytes, int], Made] = {}  # heads of answers of this second, and their bytes
_made_at = b""


class Offer(NamedTuple):
    """Who serves a request: ``many``; ``mount``, which of its handlers; ``path``, what that sees; ``route``, for the
    ledger."""

    many: Many
    mount: int
    path: bytes
    route: Any


class Answered(NamedTuple):
    """One that was answered, for the ledger."""

    method: bytes
    uri: bytes
    code: int
    written: int
    route: Any


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
        self._known: Known[Head, Offer | None] = Known(MOST_KNOWN)

    def serve(self, events: Iterable[Any], budget: float) -> tuple[int, list[Answered]]:
        """Serve the requests that *events* begin with, as far as they are of the usual kind and take *budget* seconds.

        Returns how many of the events are done with, and what was answered."""
        generation = self._batcher.generation()
        if generation != self._generation:  # what is remembered may not hold any more
            self._generation = generation
            self._known.clear()
        batch: list[Exchange] = []
        for event in events:
            exchange = self._take(event) if event.__class__ is RequestReceived and event.end_stream else None
            if exchange is None or (batch and exchange.offer.many != batch[0].offer.many):
                break
            batch.append(exchange)
        if not batch:
            return 0, []
        try:
            answers = batch[0].offer.many(batch, budget)
        except Exception:
            log.facility("error/rest").log(f"serving {len(batch)} requests failed\n{traceback.format_exc()}")
            for exchange in batch:
                exchange.make().error(500)
            return len(batch), []
        return len(answers), [] if self._http.closing else self._send(zip(batch, answers, strict=False))

    def _send(self, answers: "Iterable[tuple[Exchange, Answer | None]]") -> list[Answered]:
        """Send *answers*, each at once if the client has room for it; returns those that were."""
        turns = self._http.turns
        turns.begin()
        sent = []
        for exchange, answer in answers:
            if answer is None:
                continue
            code, lines, body = answer
            if exchange.response is None:
                head, size = head_of(code, lines, len(body))
                if turns.send_whole(exchange.number, head, body):
                    sent.append(Answered(exchange.method, exchange.uri, code, size + len(body), exchange.offer.route))
                    continue
            response = exchange.make()
            response.status(code)
            for name, value in pairs_of(lines):
                response.header(name, value)
            response.write(body)
            response.flush_end()
        return sent

    def _take(self, event: Any) -> Exchange | None:
        """The request that *event* brings as one for a batch, if it is of the usual kind."""
        head = event.headers
        fields = dict(head)
        if len(fields) != len(head) or b"expect" in fields or b"host" in fields or b"content-length" in fields:
            return None
        try:
            method, uri = fields[b":method"], fields[b":path"]
            key = (method, uri, fields[b":scheme"], fields[b":authority"])
            offer = self._known[key] if key in self._known else self._ask(key, head)
        except KeyError:
            return None
        size = len(b"".join(fields)) + len(b"".join(fields.values())) + 4 * len(fields)
        if offer is None or size > self._http.limits.max_header:
            return None
        return Exchange(self._http, event.stream_id, head, method, uri, offer)

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
        self._known.keep(key, offer, len(uri))
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
