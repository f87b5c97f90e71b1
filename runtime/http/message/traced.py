"""The trace points of HTTP: the descriptor and the peer of a connection are told at each.  Manual: DTrace, HTTP Server.

They follow each other as named: a connection is accepted; of each request the head is there, then all of it; the head
of its response leaves, then all of that, and its line of the access log is written; the connection is closed.
"""

from typing import Final

from runtime.trace import Point, point

from .peer import Peer

ACCEPT: Final = point("http-accept")
REQUEST_START: Final = point("http-request-start")
REQUEST_FINISH: Final = point("http-request-finish")
RESPONSE_START: Final = point("http-response-start")
RESPONSE_FINISH: Final = point("http-response-finish")
LOG: Final = point("http-log")
CLOSE: Final = point("http-close")

OF_REQUESTS: Final = (
    *("http-request-start", "http-request-finish", "http-response-start", "http-response-finish", "http-log"),
    *("eventer-read-entry", "eventer-read-return", "eventer-write-entry", "eventer-write-return"),
)
"""The names of points that are passed with each request."""

_of_requests: Final = tuple(map(point, OF_REQUESTS))


def tell(told: Point, peer: Peer) -> None:
    """Tell those who listen to *told*, one of the above but :data:`LOG`, of the connection of *peer*."""
    told.tell(peer.fd, peer)


def is_heard() -> bool:
    """Whether somebody listens to what happens with each request: then nobody serves several at once, or unseen."""
    return any(each.heard[0] for each in _of_requests)
