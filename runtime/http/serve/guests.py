"""Engines that serve connections in place of sessions, one a loop thread, and the way from one to the other.

A guest takes connections of HTTP/1 and hands back those that it does not understand, with the bytes that it has read.
What is promised of requests holds whoever serves them: a guest asks :func:`runtime.http.decide` who may have what,
keeps the listener's :class:`Limits`, and settles its entries in the ledger.
"""

from typing import Protocol

from runtime import eventer
from runtime.http.ledger.settle import REQUEST_COMPLETE, REQUEST_LOG, RESPONSE_SENT
from runtime.http.message import traced
from runtime.http.message.limits import Limits
from runtime.http.message.peer import Peer
from runtime.http.message.response import STARTING, Response
from runtime.http.protocol.http1 import Http1
from runtime.http.rest import generation
from runtime.http.rest.dispatch import AUTH_DENIED, AUTHENTICATE, BEFORE, surrounded_by
from runtime.net import Connection

_guests: "dict[eventer.LoopThread, Guest]" = {}
_HOOKS = (AUTHENTICATE, *BEFORE, STARTING, AUTH_DENIED, RESPONSE_SENT, REQUEST_COMPLETE, REQUEST_LOG)


class Guest(Protocol):
    """An engine on one loop thread.  All methods are called there."""

    def take(self, connection: Connection, peer: Peer, limits: Limits) -> bool:
        """Serve *connection*, at the beginning of a request.

        Returns False for one that it does not want; of any other the event has left, or leaves, its loop."""

    def finish(self) -> None:
        """Be done with what was begun, and take no more requests."""

    @property
    def count(self) -> int:
        """How many connections there are.  From any thread."""


def receive(guest: Guest, instead_of: Guest | None = None) -> None:
    """Let *guest* serve connections of this loop thread until the thread stops, unless it has another than
    *instead_of*."""
    owner = eventer.current()
    if _guests.get(owner) is instead_of:
        _guests[owner] = guest
        owner.on_stop(lambda: _guests.pop(owner, None))


def let_go(response: Response) -> None:
    """Have the connection of *response* go to the guest of its thread once it is between two requests."""
    if isinstance(response.sink, Http1) and response.sink.carrier is not None:
        response.sink.carrier.leaving = True


def current() -> Guest | None:
    """The guest of this loop thread, if it has one."""
    return _guests.get(eventer.current())


def everywhere() -> list[tuple[eventer.LoopThread, Guest]]:
    """The guests of all loop threads."""
    return list(_guests.items())


def is_hooked() -> bool:
    """Whether somebody wants to see each request and response, which a guest does not show; but for who surrounds them,
    whose work a guest does itself."""
    known = surrounded_by()
    return traced.is_heard() or any(name != known for hook in _HOOKS for name in hook.names)


for _hook in _HOOKS:
    if _hook.changed is None:
        _hook.changed = generation.advance
