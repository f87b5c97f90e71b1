"""Handlers that serve several requests in one call: who they are for whom, and how their answers come to the ledger."""

import time
from typing import Any, Final

from runtime import log
from runtime.http.ledger import settle as _ledger
from runtime.http.ledger.entry import Entry
from runtime.http.message import traced
from runtime.http.message.peer import Peer
from runtime.http.message.sampler import Sampler
from runtime.http.message.target import path_of
from runtime.http.protocol.batches import Answered, Offer
from runtime.http.rest import dispatch, generation

from . import guests

_debug: Final = log.facility("debug/rest")
_PROTOCOL: Final = b"HTTP/2"


class Batches:
    """What :class:`runtime.http.protocol.batches.Batcher` asks for, from the table of routes and the ledger."""

    def generation(self) -> int:
        """It also changes with hooks, and when a log or a tracer begins or ceases to be told of each request."""
        return generation.current() << 2 | _debug.enabled << 1 | traced.is_heard()

    def offer(self, peer: Peer, method: bytes, uri: bytes) -> Offer | None:
        """None when somebody wants to see each request, too."""
        if _debug.enabled:
            return None
        route, _ = dispatch.decide(peer, method, uri)
        if route is None or route.many is None or guests.is_hooked():
            return None
        if dispatch.surrounded_by() and dispatch.sampler() is None:
            return None
        if route.auth is not dispatch.client_cert_auth and route.auth is not dispatch.anybody:
            return None
        many, mount = route.many
        return Offer(many, mount, path_of(uri), route)

    def sampler(self) -> Sampler | None:
        """That of whoever surrounds requests."""
        return dispatch.sampler()

    def settle(self, peer: Peer, owner: Any, received: float, answered: list[Answered]) -> None:
        """With the entries of the turn."""
        now = time.time()
        _ledger.gather(
            owner,
            [
                Entry(peer, each.method, each.uri, _PROTOCOL, None, received, now, code, written, 0, each.route, None)
                for each, code, written in answered
            ],
        )


batches = Batches()
