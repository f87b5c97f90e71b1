"""The library of HTTP/2: states of streams, compression of heads, flow control.  The only file that knows ngh2.

What was found out about it, and is seen to elsewhere: nothing that we send is checked; data counts against a window
when it is taken, not when it is given; a reset overtakes what was not taken yet; DATA and HEADERS of one connection
are worked on whole, so events may come behind the end of their stream.
"""

import ngh2
from ngh2 import (
    ConnectionClosed,
    DataReceived,
    Event,
    GoAwayReceived,
    RequestReceived,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from ngh2 import NeverIndexedHeader as Secret

from .frames import ENHANCE_YOUR_CALM, INTERNAL_ERROR, FrameError, settings

__all__ = [
    "INITIAL_WINDOW_SIZE",
    "ConnectionClosed",
    "DataReceived",
    "Engine",
    "Event",
    "Fields",
    "GoAwayReceived",
    "Gone",
    "RequestReceived",
    "Secret",
    "SettingsReceived",
    "StreamClosed",
    "StreamReset",
    "TrailersReceived",
    "WindowUpdated",
]

Gone = ngh2.NGH2Error
"""What sending raises on a stream that is over, or a connection that is."""

Fields = list[tuple[bytes, bytes]]

MAX_STREAMS = 100  # at a time
STREAM_WINDOW = 256 << 10  # bytes of a body that may be on their way
CONNECTION_WINDOW = 1 << 20

_MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, _MAX_HEADER_LIST_SIZE, _NO_PRIORITIES = 3, 4, 6, 9
_UNLIMITED = 1 << 30
_AT_ONCE = 16

_spare: "dict[int, list[Engine]]" = {}


def engine(max_header: int) -> "Engine":
    """An engine for a new connection, as :class:`Engine` makes it.

    Several are made at once: what one allocates when a TLS handshake has just let go of its buffers would fall into
    their place, and the next handshake's would find none; that costs 10 KB a connection."""
    spare = _spare.setdefault(max_header, [])
    try:
        return spare.pop()
    except IndexError:
        made = [Engine(max_header) for _ in range(_AT_ONCE)]
        spare += made[1:]
        return made[0]


class Engine:
    """One connection's."""

    __slots__ = ("_connection", "end_stream", "greeting", "inform", "respond", "send")

    def __init__(self, max_header: int) -> None:
        """Args: *max_header*, bytes that the client is told a head may have."""
        # The library ends the connection at its limits; ours, which end a stream or answer it, are below those.
        configuration = ngh2.Configuration(
            max_inbound_header_list_size=12 * max_header + 65536,
            max_inbound_header_count=max_header + 1024,
            max_continuations=1000,
            max_outbound_ack=100_000,
            max_settings=1000,
            stream_reset_rate_limit=(_UNLIMITED, _UNLIMITED),
            glitch_rate_limit=(_UNLIMITED, _UNLIMITED),
        )
        self._connection = connection = ngh2.Connection(ngh2.Role.SERVER, configuration)
        said = {
            _MAX_CONCURRENT_STREAMS: MAX_STREAMS,
            INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            _MAX_HEADER_LIST_SIZE: max_header,
            _NO_PRIORITIES: 1,
        }
        meant = said | {_MAX_CONCURRENT_STREAMS: _UNLIMITED, _MAX_HEADER_LIST_SIZE: _UNLIMITED}
        connection.initiate_connection(meant)
        connection.set_local_window_size(CONNECTION_WINDOW)
        opening = connection.data_to_send()
        self.greeting = opening.replace(settings(meant), settings(said), 1)
        self.respond = connection.send_response
        self.send = connection.send_data
        self.end_stream = connection.end_stream
        self.inform = connection.send_informational_response

    def receive(self, data: bytes) -> tuple[bytes, list[Event]]:
        """What is to be said at once to *data* from the client, and what has happened by it.

        Raises :exc:`FrameError` where the client went beyond all bounds."""
        connection = self._connection
        try:
            connection.receive_data(data)
            return connection.data_to_send(), connection.events()
        except ngh2.DenialOfServiceError:
            raise FrameError(ENHANCE_YOUR_CALM) from None
        except ngh2.NGH2Error:
            raise FrameError(INTERNAL_ERROR) from None

    def take(self) -> bytes:
        """What is to be sent by now."""
        try:
            return self._connection.data_to_send()
        except ngh2.ConnectionStateError:
            return b""

    def reset(self, stream: int, code: int) -> None:
        """End *stream* with *code*, if it is still there; what it has to send must have been taken."""
        try:
            self._connection.reset_stream(stream, code)
        except ngh2.NGH2Error:
            pass

    def let_upload(self, stream: int, more: bool) -> None:
        """Let the client send *more* on *stream*, or no more than it may by now."""
        try:
            self._connection.set_local_window_size(STREAM_WINDOW if more else 0, stream_id=stream)
        except ngh2.NGH2Error:
            pass  # it is over

    def has(self, stream: int) -> bool:
        """Whether *stream* is open, be it on one side."""
        try:
            self._connection.stream_remote_window_size(stream)
        except ngh2.NGH2Error:
            return False
        return True

    def window(self, stream: int) -> int:
        """How many bytes the client lets *stream* send, of the connection's window apart; 0 when it is closed."""
        try:
            return self._connection.stream_remote_window_size(stream)
        except ngh2.NGH2Error:
            return 0

    @property
    def connection_window(self) -> int:
        """How many bytes the client lets all streams send together."""
        try:
            return self._connection.remote_window_size
        except ngh2.NGH2Error:
            return 0
