"""What is kept of one answer: plain values, so that whoever served it can make one."""

from typing import NamedTuple

from runtime.http.message.peer import Peer
from runtime.http.message.response import Response
from runtime.http.rest.table import Mountpoint


class Entry(NamedTuple):
    """One answer.  Times are epoch seconds, 0 for one that is not known; sizes are bytes."""

    peer: Peer
    method: bytes
    uri: bytes
    protocol: bytes
    user: bytes | None
    received: float
    finished: float
    code: int
    written: int
    """As it went out, the head with it."""
    read: int
    """Of the request's body."""
    route: Mountpoint | None
    """Whose latency it counts for."""
    response: Response | None
    """For hooks; None where nobody asked for them when it was served."""


def of(response: Response, finished: float) -> Entry:
    """The entry of a *response* that was complete at *finished*."""
    request = response.request
    values = (
        request.peer,
        request.method,
        request.uri,
        request.protocol,
        request.user,
        request.received,
        finished,
        response.code,
        response.written,
        len(request.payload) if request.upload is None else request.upload.received,
        request.route,
        response,
    )
    return tuple.__new__(Entry, values)  # Entry itself would take them one by one, at half the cost of all this
