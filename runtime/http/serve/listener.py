"""The listener types that speak HTTP.  Manual: REST, Listeners."""

from runtime import eventer
from runtime.eventer import EXCEPTION, READ, Event
from runtime.http.ledger.settle import completed
from runtime.http.message.limits import Limits, from_config
from runtime.http.rest.dispatch import admit, dispatch
from runtime.net import Connection, check_config, set_fallback

from .session import Session, ready

_limits: dict[int, Limits] = {}  # by the number of the listener


def http_rest_api(event: Event, _mask: int, connection: Connection, _now: float) -> int:
    """The listener type: takes a new connection over."""
    connection.closure = Session(connection, dispatch, _limits_of(connection), admit, completed)
    event.callback = ready
    event.closure = connection.closure
    return READ | EXCEPTION


def http_after_word(event: Event, connection: Connection, word: bytes, now: float) -> int:
    """Take over a connection of which *word* was read already."""
    http_rest_api(event, 0, connection, now)
    session = connection.closure
    assert isinstance(session, Session)
    session.begin(word, now)
    return event.mask


def wire_rest_api(event: Event, mask: int, connection: Connection, now: float) -> int:
    """The same under the name that connections made the other way round have."""
    return http_rest_api(event, mask, connection, now)


def _limits_of(connection: Connection) -> Limits:
    number = connection.listener.number
    known = _limits.get(number)
    if known is None:
        known = _limits[number] = from_config(connection.config)
    return known


for _name, _function in (("http_rest_api", http_rest_api), ("mtev_wire_rest_api/1.0", wire_rest_api)):
    eventer.name_callback(_name, _function)
    check_config(_name, from_config)
check_config("control_dispatch", from_config)
set_fallback(http_after_word)
