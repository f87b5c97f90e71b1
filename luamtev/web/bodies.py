"""Bodies of requests that a Lua handler reads as they come.

A read is answered at once where there is something to say, else on a ticket once there is: a piece, ``b""`` at the end;
None, why and the status that refuses the request where the body ends before its time; False where it was read whole.
"""

from collections.abc import Callable

from luamtev.port import Port
from runtime.http import Response, Upload, UploadError

from .said import NO_WORK

Said = tuple[bytes | bool | None, bytes | None, int]


def read_body(
    state: Port, response: Response | None, is_away: Callable[[Response], bool], most: int, ticket: int
) -> Said | tuple[None, None, int]:
    """The next piece of the body of the request that *response* answers, of *most* bytes at most; None three times: it
    comes on *ticket*."""
    if response is None:
        return None, b"the request is over", 0
    upload = response.request.upload
    if upload is None:
        return False, None, 0
    if is_away(response):
        state.tickets[ticket] = NO_WORK
        response.resume(_read_there, state, upload, most, ticket)
        return None, None, 0
    said = _take(upload, most)
    if said is None:
        state.tickets[ticket] = NO_WORK
        upload.await_news(lambda: _read_there(state, upload, most, ticket))
        return None, None, 0
    return said


def _take(upload: Upload, most: int) -> Said | None:
    try:
        piece = upload.take(most)
    except UploadError as failure:
        return None, str(failure).encode(), failure.status
    return None if piece is None else (piece, None, 0)


def _read_there(state: Port, upload: Upload, most: int, ticket: int) -> None:
    if ticket not in state.tickets:
        return  # whoever read does not wait any more: the piece is for who reads next
    said = _take(upload, most)
    if said is None:
        upload.await_news(lambda: _read_there(state, upload, most, ticket))
    else:
        state.ticket_done(ticket, *said)
