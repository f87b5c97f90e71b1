"""A WebSocket connection: the protocol that follows the handshake, and what its handler holds.  RFC 6455.

wsproto knows the frames.  Messages are put together here, within limits; what a client does not read, and what its
handler has no time for, is not kept for ever.  Imported when the first such connection comes.
"""

import traceback
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

from wsproto import events
from wsproto.connection import Connection, ConnectionType
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, Opcode, RsvBits
from wsproto.utilities import LocalProtocolError

from runtime import log
from runtime.http.message.limits import HIGH_WATER
from runtime.http.message.owner import Owner
from runtime.http.message.request import Request

from .conversation import IDLE, Carrier
from .http1 import Http1
from .opcodes import BINARY, PING, PONG, TEXT

NORMAL, GOING_AWAY, ABNORMAL, TOO_BIG, FAILED = 1000, 1001, 1006, 1009, 1011
"""Codes of closing."""

OVERHEAD = 64
"""Bytes that a waiting message counts besides its payload."""

Waiting = tuple[int, bytes]
"""The opcode and payload of a message; or a farewell: its code, negative, and its reason."""


class _Most(Extension):
    """Refuses a frame by its head when it makes a message too long."""

    name = "at most"

    def offer(self) -> bool:
        """Of wsproto: nothing is negotiated."""
        return False

    def enabled(self) -> bool:
        """Of wsproto."""
        return True

    def __init__(self, most: int) -> None:
        self._most = most
        self._announced = 0  # bytes of the message under way

    def frame_inbound_header(
        self, _decoder: FrameDecoder | Any, opcode: Opcode, _rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Of wsproto."""
        if not opcode.iscontrol():
            self._announced = payload_length + (self._announced if opcode is Opcode.CONTINUATION else 0)
            if self._announced > self._most:
                return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)


class WebSocket:
    """One connection.  All methods belong on its loop thread, :meth:`resume` excepted; it may be kept.

    Attributes: ``request``, which asked for it; ``protocol``, the subprotocol agreed on, or None; ``is_open``;
    ``code`` and ``reason`` (bytes), why it was closed, 1006 when nobody said; ``closure``, for the handler;
    ``backlog``, bytes that the client has not taken yet.  The rest is as of :class:`Http1`, for the session: ``active``
    while the handler is held, ``unfinished`` while messages wait for their turn."""

    def __init__(
        self,
        carrier: Carrier,
        request: Request,
        handler: Any,
        protocol: str | None,
        before: Http1,
        owner: Owner | None,
    ) -> None:
        """Args: *before*, the protocol up to now, whose output is taken over."""
        self.request = request
        self.protocol = protocol
        self.is_open = True
        self.code = 0
        self.reason = b""
        self.closure: Any = None
        self.output = before.output
        self.backlog = before.backlog
        self.closing = False
        self.lingering = True
        self.now = before.now
        self.unfinished = False
        self.phase = IDLE
        self.begun = 0
        self._limits = before.limits
        self._carrier = carrier
        self._owner = owner
        self._budget = before.budget
        self._handler = handler
        self._wire = Connection(ConnectionType.SERVER, [_Most(before.limits.max_message)])
        self._message = bytearray()
        self._waiting: deque[Waiting] = deque()
        self._size = 0  # of what waits
        self._held = self._busy = self._parting = False
        self._drained: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<WebSocket {self.request.uri.decode('latin-1')} of {self._carrier!r}>"

    def send(self, opcode: int, payload: bytes | str = b"") -> bool:
        """Send a message, TEXT or BINARY, or a PING or PONG of 125 bytes at most.

        Returns False when it went nowhere: the connection is closed, or is now because the client does not read.
        Raises ValueError for another opcode, text that is no UTF-8, a control frame that is too long."""
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        event: events.Event
        if opcode == TEXT:
            event = events.TextMessage(data.decode())
        elif opcode == BINARY:
            event = events.BytesMessage(data)
        elif opcode in (PING, PONG):
            if len(data) > 125:
                raise ValueError(f"a control frame holds 125 bytes, not {len(data)}")
            event = events.Ping(data) if opcode == PING else events.Pong(data)
        else:
            raise ValueError(f"{opcode} is no opcode to send")
        if not self.is_open or self._parting:
            return False
        if self.backlog > self._limits.max_backlog:
            log.debug.log(f"{self!r}: closed, the client does not read\n")
            self._carrier.close()
            return False
        self.begun += 1  # a sign of life
        self._say(event)
        return True

    def close(self, code: int = NORMAL, reason: bytes | str = b"") -> None:
        """Close the connection; *reason*, UTF-8, is cut off at 123 bytes.  Closing twice does no harm.

        Raises ValueError for a code that nobody may send, or a reason that is no UTF-8."""
        text = reason if isinstance(reason, str) else bytes(reason).decode()
        if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not 3000 <= code <= 4999:
            raise ValueError(f"{code} is no code to close with")
        if self.is_open:
            self._end(code, text)

    def on_drain(self, function: Callable[[], object]) -> None:
        """Have *function* called once when the client has caught up, or at once when it has."""
        if self.paused and self.is_open:
            self._drained.append(function)
        else:
            function()

    def hold(self) -> None:
        """Have further messages wait until :meth:`release`; for a handler that is not done with one when it returns.

        What waits is bounded by ``max_waiting`` of the listener; then no more is read."""
        self._held = True

    def release(self) -> None:
        """The handler takes messages again."""
        if self._held:
            self._held = False
            if not self._busy and self._waiting:
                self.unfinished = True
                self._carrier.push()

    def resume(self, function: Callable[..., object], *args: object) -> None:
        """Have ``function(*args)`` called on the connection's loop thread; from any thread."""
        if self._owner is None:
            function(*args)
        else:
            self._owner.post(function, *args)

    # What the session calls

    @property
    def active(self) -> object:
        """The handler, while it is at work on a message."""
        return self._handler if self._held else None

    starved = False
    """No handler waits for its client: it is called."""

    @property
    def paused(self) -> bool:
        """Whether to leave further bytes to the network: the client does not read, or too much waits."""
        return self.unfinished or self.backlog > HIGH_WATER or self._size > self._limits.max_waiting

    def start(self, early: bytes) -> None:
        """The handshake is done; *early* are bytes that came behind it."""
        self._busy = True
        try:
            self._call("ready")
        finally:
            self._busy = False
        self.feed(early)

    def feed(self, data: bytes) -> None:
        """Take *data* from the client and give its messages to the handler."""
        if not self.closing and data:
            self._wire.receive_data(data)
            self.advance()

    def advance(self) -> None:
        """Go on with what came, for a turn's budget."""
        if self._busy:
            return
        self._busy = True
        self.unfinished = False
        end = perf_counter() + self._budget
        try:
            if not self._deliver(end):
                return
            for event in self._wire.events():
                if not self._receive(event, end) or not self.is_open:
                    break
        finally:
            self._busy = False

    def sent(self, size: int) -> None:
        """*size* bytes of the output were taken by the network."""
        self.backlog -= size
        while self._drained and not self.paused:
            self._drained.pop(0)()

    def expire(self, now: float) -> None:
        """Nothing waits that the connection does not wait for."""

    fresh = False

    def last_call(self) -> None:
        """Nothing to say before :meth:`finish`."""

    def finish(self) -> None:
        """Be done: the server stops."""
        self.close(GOING_AWAY)

    def farewell(self) -> bytes:
        """The last words when the connection is closed at once."""
        return bytes(self._wire.send(events.CloseConnection(GOING_AWAY))) if self.is_open else b""

    def half_closed(self) -> None:
        """Nobody waits for that alone."""

    def disconnected(self) -> None:
        """The client is gone; messages that wait are for nobody."""
        self.closing = True
        self.output.clear()
        opcode, reason = self._waiting[-1] if self._waiting else (0, b"")
        if opcode < 0:  # it said so before
            self._over(-opcode, reason)
        else:
            self._over(ABNORMAL, b"")

    def _deliver(self, end: float) -> bool:
        """Give the handler what waits, until it holds; False when its time in this turn is over before that."""
        waiting = self._waiting
        while waiting and not self._held:
            opcode, payload = waiting.popleft()
            self._size -= len(payload) + OVERHEAD
            if opcode < 0:
                self._end(-opcode, payload.decode())
            else:
                self._call("message", opcode, payload)
            if not self._has_time(end):
                return False
        return True

    def _has_time(self, end: float) -> bool:
        self.unfinished = self.is_open and perf_counter() >= end
        return not self.unfinished

    def _receive(self, event: events.Event, end: float) -> bool:
        self.begun += 1  # a sign of life
        if isinstance(event, events.Message):
            self._message += event.data.encode() if isinstance(event.data, str) else event.data
            if event.message_finished:
                payload = bytes(self._message)
                self._message.clear()
                return self._put(TEXT if isinstance(event, events.TextMessage) else BINARY, payload, end)
        elif isinstance(event, events.Ping):
            self._say(event.response())
        elif isinstance(event, events.CloseConnection):
            self._parting = True  # nothing is sent any more but the answer to that, once what came before is served
            reason = event.reason or ""
            if event.code == TOO_BIG:
                reason = f"a message may have {self._limits.max_message} bytes"
            return self._put(-int(event.code), reason.encode(), end)
        return self._has_time(end)

    def _put(self, opcode: int, payload: bytes, end: float) -> bool:
        self._waiting.append((opcode, payload))
        self._size += len(payload) + OVERHEAD
        return self._deliver(end) and self._has_time(end)

    def _say(self, event: events.Event) -> None:
        data = bytes(self._wire.send(event))
        self.output.append(data)
        self.backlog += len(data)
        if not self._busy:
            self._carrier.push()

    def _end(self, code: int, reason: str) -> None:
        """Say that it ends, or agree that it does."""
        self.is_open = False
        self.closing = True
        try:
            self._say(events.CloseConnection(code, reason))
        except LocalProtocolError:
            pass  # it was said
        self._over(code, reason.encode())

    def _over(self, code: int, reason: bytes) -> None:
        self.is_open = False
        if self.code:
            return
        self.code, self.reason = code, reason
        self.unfinished = self._held = False
        self._message.clear()
        self._waiting.clear()
        self._size = 0
        self._drained.clear()
        self._call("closed")

    def _call(self, name: str, *args: object) -> None:
        function = getattr(self._handler, name, None)
        if function is None:
            return
        try:
            function(self, *args)
        except Exception:
            log.facility("error/rest").log(f"{name} of {self!r} failed\n{traceback.format_exc()}")
            if self.is_open:
                self._end(FAILED, "")
