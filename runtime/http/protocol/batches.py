"""Requests that come together and are answered together, in one call of whoever serves them all.

For the usual kind: without a body, for a route whose handler takes several at once, answered whole before that call
returns.  No request and no response is made then; whatever turns out to be of another kind gets both, and goes the way
of all others.  Which route serves what is asked once a connection, and remembered for as long as that holds.
"""

import traceback
from collections.abc import Callable, Iterable
from random import random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from runtime import log
from runtime.http.message.known import Known
from runtime.http.message.peer import Peer
from runtime.http.message.response import Response
from runtime.http.message.sampler import Sampler
from runtime.http.message.status import date_line

from .heads import pairs_of, request_of
from .nghttp2 import RequestReceived

if TYPE_CHECKING:
    from .http2 import Http2

Answer = tuple[int, bytes, bytes]
"""A response that is whole: its status, the lines of its headers, its body."""

Many = Callable[["Batch", float], "list[Answer | None]"]
"""Serves the requests of a batch, and returns their answers: None for one whose response goes another way.

The second argument is the seconds that it should take; when they are over before the last, the list is shorter, and
has one at least."""

MOST_KNOWN = 64  # requests remembered a connection, by what they ask for, and by their whole heads
LONGEST_HEAD = 1536  # bytes of one, with cookies and all that a browser says

Head = tuple[tuple[bytes, bytes], ...]
Question = tuple[bytes, bytes, bytes, bytes | None]
Made = tuple[tuple[tuple[bytes, bytes], ...], int]

MOST_MADE = 1024

_made: dict[tuple[int, bytes, int], Made] = {}  # heads of answers of this second, and their bytes
_made_at = b""


class Offer(NamedTuple):
    """Who serves a request: ``many``; ``mount``, which of its handlers; ``path``, what that sees; ``route``, for the
    ledger."""

    many: Many
    mount: int
    path: bytes
    route: Any


class Asked:
    """What a request asks for, by its ``head``: ``method``, ``uri``, ``offer`` and its ``route``; ``call``, what is to
    be run: which of its handlers, with what method, on which path; ``tells``, its head says whether it is traced."""

    __slots__ = ("call", "head", "method", "offer", "route", "tells", "uri")

    def __init__(self, head: Head, method: bytes, uri: bytes, offer: Offer, tells: bool) -> None:
        self.head = head
        self.tells = tells
        self.method = method
        self.uri = uri
        self.offer = offer
        self.route = offer.route
        self.call = offer.mount, method, offer.path


Answered = tuple[Asked, int, int]
"""One that was answered, for the ledger: with which status, in how many bytes."""


class Batcher(Protocol):
    """Who knows of handlers that serve several requests at once."""

    def generation(self) -> int:
        """A number that changes when an offer may not hold any more."""

    def offer(self, peer: Peer, method: bytes, uri: bytes) -> Offer | None:
        """Who serves *uri* for *peer* in this way, if anybody."""

    def sampler(self) -> Sampler | None:
        """Which requests are wanted one by one, until the generation changes; None while none is."""

    def settle(self, peer: Peer, owner: Any, received: float, answered: list[Answered]) -> None:
        """Note what was *answered* of what came at *received*, in epoch seconds."""


class Batch:
    """Requests that are served together: what each has ``asked``, and the ``numbers`` of their streams.

    Of one that is not answered in that way a response is made; from then on all is said through it: ``made`` has those
    by their places."""

    __slots__ = ("_http", "asked", "made", "numbers")

    def __init__(self, http: "Http2") -> None:
        self.asked: list[Asked] = []
        self.numbers: list[int] = []
        self._http = http
        self.made: dict[int, Response] = {}

    @property
    def peer(self) -> Peer:
        """Who asks."""
        return self._http.peer

    def response(self, at: int) -> Response:
        """The response to the request *at* that place."""
        made = self.made.get(at)
        if made is None:
            asked = self.asked[at]
            made = self.made[at] = self._http.respond_to(self.numbers[at], asked.head, asked.route)
        return made


class Batches:
    """What one connection remembers of them."""

    __slots__ = ("_batcher", "_generation", "_heads", "_http", "_judged", "_known", "_peer", "_sampler", "_wanted")

    def __init__(self, http: "Http2", batcher: Batcher, peer: Peer) -> None:
        self._http = http
        self._batcher = batcher
        self._peer = peer
        self._generation = -1
        self._sampler: Sampler | None = None
        self._judged = self._wanted = 0  # the last streams of which it was drawn whether they are traced, and that are
        self._known: Known[Question, Offer | None] = Known(MOST_KNOWN)
        self._heads: Known[Head, Asked] = Known(MOST_KNOWN, LONGEST_HEAD)

    def serve(self, events: Iterable[Any], budget: float) -> tuple[int, list[Answered]]:
        """Serve the requests that *events* begin with, as far as they are of the usual kind and take *budget* seconds.

        Returns how many of the events are done with, and what was answered."""
        generation = self._batcher.generation()
        if generation != self._generation:  # what is remembered may not hold any more
            self._generation = generation
            self._known.clear()
            self._heads.clear()
            self._sampler = self._batcher.sampler()
        batch, many, heads = Batch(self._http), None, self._heads
        for event in events:
            if event.__class__ is not RequestReceived or not event.end_stream:
                break
            head = event.headers
            asked = heads.get(head) or self._look(head)
            if asked is None or (self._sampler is not None and self._is_wanted(event.stream_id, asked, self._sampler)):
                break
            if many is None:
                many = asked.offer.many
            elif asked.offer.many != many:
                break
            batch.asked.append(asked)
            batch.numbers.append(event.stream_id)
        if many is None:
            return 0, []
        try:
            answers = many(batch, budget)
            if not answers:
                raise RuntimeError("not even the first was served")
        except Exception:
            count = len(batch.numbers)
            log.facility("error/rest").log(f"serving {count} requests failed\n{traceback.format_exc()}")
            for at in range(count):
                batch.response(at).error(500)
            return count, []
        return len(answers), [] if self._http.closing else self._send(batch, answers)

    def judged(self, number: int) -> bool | None:
        """Whether the request on the stream of that *number* is traced; None where that is still to be decided."""
        return number == self._wanted if self._sampler is not None and number <= self._judged else None

    def _is_wanted(self, number: int, asked: Asked, sampler: Sampler) -> bool:
        """The same, decided now; once, however often it is asked."""
        if number > self._judged:
            self._judged = number
            if sampler.wants(dict(asked.head)) if asked.tells else random() < sampler.share:
                self._wanted = number
        return number == self._wanted

    def _send(self, batch: Batch, answers: "list[Answer | None]") -> list[Answered]:
        """Send *answers*, each at once if the client has room for it; returns those that were."""
        turns = self._http.turns
        turns.begin()
        sent: list[Answered] = []
        numbers, asked, made, heads = batch.numbers, batch.asked, batch.made, heads_at(self._http.now)
        for at, answer in enumerate(answers):
            if answer is None:
                continue
            code, lines, body = answer
            if at not in made:
                key = code, lines, len(body)
                head, size = heads.get(key) or _make_head(heads, *key)
                if turns.send_whole(numbers[at], head, body):
                    sent.append((asked[at], code, size + len(body)))
                    continue
            response = batch.response(at)
            response.status(code)
            for name, value in pairs_of(lines):
                response.header(name, value)
            response.write(body)
            response.flush_end()
        return sent

    def _look(self, head: Head) -> Asked | None:
        """What a request with *head* asks for, if it is of the usual kind."""
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
        asked = Asked(
            head, method, uri, offer, self._sampler is not None and not self._sampler.names.isdisjoint(fields)
        )
        self._heads.keep(head, asked, size)
        return asked

    def settle(self, owner: Any, received: float, answered: list[Answered]) -> None:
        """Note what was *answered*."""
        self._batcher.settle(self._peer, owner, received, answered)

    def _ask(self, key: Question, head: Head) -> Offer | None:
        method, uri = key[:2]
        offer = None
        if len(uri) <= self._http.limits.max_uri and method != b"HEAD" and request_of(self._peer, head) is not None:
            try:
                offer = self._batcher.offer(self._peer, method, uri)
            except Exception:
                return None  # whoever serves it alone says why
        self._known.keep(key, offer, len(uri))
        return offer


def heads_at(now: float) -> "dict[tuple[int, bytes, int], Made]":
    """What heads of answers at *now* were made, by status, header lines and length of the body."""
    global _made_at
    date = date_line(now)
    if date is not _made_at or len(_made) >= MOST_MADE:
        _made.clear()
        _made_at = date
    return _made


def _make_head(heads: "dict[tuple[int, bytes, int], Made]", code: int, lines: bytes, length: int) -> Made:
    """The fields of an answer, and how many bytes they are; put among *heads*."""
    own = [(b":status", b"%d" % code), *pairs_of(_made_at), *pairs_of(lines), (b"content-length", b"%d" % length)]
    made = heads[code, lines, length] = (tuple(own), sum(len(name) + len(value) for name, value in own))
    return made
