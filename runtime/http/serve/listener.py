"""The listener types that speak HTTP, and how a connection comes to a session.  Manual: REST, Listeners."""

import time
from collections.abc import Mapping

from runtime import eventer
from runtime.eventer import EXCEPTION, READ, Event
from runtime.http.ledger.settle import completed
from runtime.http.message import traced
from runtime.http.message.limits import Limits, from_config
from runtime.http.message.peer import Peer
from runtime.http.rest.dispatch import admit, allows, dispatch
from runtime.http.rest.files import check_config as check_files
from runtime.net import Connection, check_config, set_fallback, set_guard

from . import guests
from .session import Session, ready

_limits: dict[int, Limits] = {}  # by the number of the listener

WIRE = "mtev_wire_rest_api/1.0"
"""HTTP by its other name: as what reverse connections and ``control_dispatch`` know it."""


def http_rest_api(event: Event, _mask: int, connection: Connection, _now: float) -> int:
    """The listener type: takes a new connection over, or the guest of its loop thread does."""
    peer, limits = peer_of(connection), _limits_of(connection)
    if traced.ACCEPT.heard[0]:
        traced.tell(traced.ACCEPT, peer)
    guest = guests.current()
    if guest is not None and peer.alpn != "h2" and guest.take(connection, peer, limits):
        return 0
    _begin(event, connection, peer, limits)
    return READ | EXCEPTION


def http_after_word(event: Event, connection: Connection, word: bytes, now: float) -> int:
    """Take over a connection of which *word* was read already."""
    peer = peer_of(connection)
    if traced.ACCEPT.heard[0]:
        traced.tell(traced.ACCEPT, peer)
    session = _begin(event, connection, peer, _limits_of(connection))
    session.begin(word, now)
    if not connection.closed and connection.pending():
        session.readable(now)  # what came with the word is here, and the descriptor does not tell of it
    return event.mask


def wire_rest_api(event: Event, mask: int, connection: Connection, now: float) -> int:
    """The same as :func:`http_rest_api` under the name that connections made the other way round have."""
    return http_rest_api(event, mask, connection, now)


def adopt(
    connection: Connection,
    peer: Peer,
    limits: Limits,
    data: bytes,
    *,
    leaving: bool = False,
    begun_for: float = 0.0,
    closure: object = None,
) -> None:
    """Take back a connection that a guest had, with *data* that it read and did not answer; on its loop thread.

    With *leaving* the guest gets it again once those requests are answered; *begun_for*, seconds since the first byte
    of a head that is not whole; *closure*, of its session."""
    event = connection.event
    if connection.closed or event is None:
        return
    session = _begin(event, connection, peer, limits)
    session.leaving = leaving
    session.begun_for = begun_for
    session.closure = closure
    event.mask = READ | EXCEPTION
    if not event.active:
        eventer.add(event)
    if data:
        session.begin(data, time.time())


def peer_of(connection: Connection) -> Peer:
    """Who is on the other side of *connection*."""
    listener = connection.listener
    return Peer(
        *connection.remote,
        connection.local,
        connection.cn,
        connection.alpn,
        listener.tls is not None,
        listener.number,
        connection.config,
        connection.sock.fileno(),
    )


def _begin(event: Event, connection: Connection, peer: Peer, limits: Limits) -> Session:
    session = Session(connection, peer, dispatch, limits, admit, completed)
    connection.closure = event.closure = session
    event.callback = ready
    return session


def _limits_of(connection: Connection) -> Limits:
    number = connection.listener.number
    known = _limits.get(number)
    if known is None:
        known = _limits[number] = from_config(connection.config)
    return known


def _check(config: Mapping[str, str]) -> None:
    from_config(config)
    check_files(config)


def _may(connection: Connection, path: bytes) -> bool:
    return allows(peer_of(connection), path)


for _name, _function in (("http_rest_api", http_rest_api), (WIRE, wire_rest_api)):
    eventer.name_callback(_name, _function)
    check_config(_name, _check)
check_config("control_dispatch", _check)
set_guard(_may)
set_fallback(http_after_word, WIRE, (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"MERG", b"OPTI"))
