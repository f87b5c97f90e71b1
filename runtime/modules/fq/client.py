"""A client of an fq broker on a loop thread: opens both connections, keeps them up, and sends what was published.

Nothing here waits.  What is published while the broker is away is kept and sent once it is back, up to a limit; what
the broker refuses is logged.  Delivered messages go to a function in batches, and no more are read than are handled.
"""

import socket
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from runtime import eventer, log
from runtime.eventer import LoopThread

from .._peers import Backlog, Backoff
from . import wire
from ._link import Link

HEARTBEAT: Final = 1.0
"""Seconds between heartbeats, both ways."""
MISSED: Final = 3.6
"""Heartbeats that may be missing before the broker counts as gone."""
TIMEOUT: Final = 5.0
"""Seconds that opening may take."""
FIRST_TRY, LAST_TRY = 0.05, 2.0
"""Seconds before a broker that went is tried again: the first time, and at most."""
STATUS_EVERY: Final = 5.0
"""Seconds between questions for the broker's own figures."""
PIECE: Final = 256 << 10
"""Bytes sent at a time."""

_errors: Final = log.facility("error/fq")
_debug: Final = log.facility("debug/fq")


@dataclass(frozen=True)
class Settings:
    """Where the broker is, who asks, and for what.  *backlog* is in bytes; *exchange* and *program* are what is bound,
    None for nothing; *node*, 4 bytes, makes the client a peer of the broker."""

    host: str
    port: int = 8765
    user: bytes = b"guest"
    password: bytes = b"guest"
    exchange: bytes | None = None
    program: bytes | None = None
    backlog: int = 16 << 20
    queue: bytes | None = None
    node: bytes | None = None


class Client:
    """Keeps both connections to a broker up.

    Attributes, for people: ``connects``, ``received``, ``sent`` (messages), ``status`` (the broker's figures), ``up``,
    ``backlog``, and ``trouble``, why it is not up.  *deliver* is called on *thread* with (client, messages, done): it
    calls ``done()``, from any thread, when it has handled them; *ahead* batches may be under way."""

    def __init__(
        self,
        settings: Settings,
        number: int,
        thread: LoopThread,
        deliver: "Callable[[Client, list[wire.Message], Callable[[], object]], object]",
        ahead: int = 1,
    ) -> None:
        self.settings = settings
        self.number = number
        self.thread = thread
        self.name = f"{settings.host}:{settings.port}"
        self.backlog: Backlog[bytes] = Backlog(settings.backlog)
        self.connects = self.received = self.sent = 0
        self.status: dict[str, int] = {}
        self.up = False
        self._deliver = deliver
        self._ahead = ahead
        self._under_way = 0
        self._backoff = Backoff(FIRST_TRY, LAST_TRY)
        self._queue = settings.queue or f"q-{uuid.uuid4()}".encode() + b"\0mem"
        self._command: Link | None = None
        self._data: Link | None = None
        self._cut = b""  # of a message, what was not sent yet
        self._gone: deque[tuple[list[bytes], int]] = deque()  # what was written, and may not have arrived; with sizes
        self._gone_bytes = 0
        self._timers: list[Any] = []
        self._time_limit: Any = None
        self._attempt = 0
        self._heard = self._asked = 0.0
        self.trouble = ""
        self._stopping = False
        self._flushing = False

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it."""
        settings = self.settings
        return {
            "id": self.number,
            "host": settings.host,
            "port": settings.port,
            "user": settings.user,
            "exchange": settings.exchange,
            "program": settings.program,
        }

    def start(self) -> None:
        """Begin, from any thread; the client goes with its thread."""
        self.thread.post(self._start)

    def stop(self) -> None:
        """End, from any thread; what waits is dropped."""
        self.thread.post(self._stop)

    def publish(self, exchange: bytes, route: bytes, payload: bytes, message_id: bytes = wire.NO_ID) -> bool:
        """Send a message, from any thread; False when the backlog is full and it is dropped, which is counted.

        Raises ValueError naming what is too long."""
        frame = wire.message(exchange, route, payload, message_id)
        if not self.backlog.put(frame, len(frame)):
            return False
        if not self._flushing:
            self._flushing = True
            self.thread.post(self._flush)
        return True

    def flush(self, timeout: float) -> None:
        """Wait, elsewhere than on the loop, until everything is sent; *timeout* in seconds, at most."""
        end = time.monotonic() + timeout
        while self._command is not None and self.backlog.bytes and time.monotonic() < end:
            time.sleep(0.01)
        if len(self.backlog):
            _errors.log(f"{self.name}: the process ends with {len(self.backlog)} messages that were not sent\n")

    def _start(self) -> None:
        self.thread.on_stop(self._stop)
        self._connect()

    def _stop(self) -> None:
        self._stopping = True
        self._close()

    def _connect(self) -> None:
        self._cancel()
        self._attempt += 1
        attempt = self._attempt
        host, port = self.settings.host, self.settings.port
        self._time_limit = self.thread.after(TIMEOUT, self._lost, f"not up after {TIMEOUT:g} s")
        self._timers.append(self._time_limit)
        try:
            flags = socket.AI_NUMERICHOST
            self._open(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)[0])
        except socket.gaierror:
            eventer.simple_asynch(
                socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM, back=lambda found: self._resolved(found, attempt)
            )

    def _resolved(self, outcome: eventer.Outcome, attempt: int) -> None:
        if self._stopping or attempt != self._attempt or not self._time_limit.active:
            return
        try:
            found = outcome.result()[0]
        except OSError as failure:
            self._lost(f"no such host: {failure.strerror}")
            return
        self._open(found)

    def _open(self, found: Any) -> None:
        if _debug.enabled:
            _debug.log(f"{self.name}: connecting\n")
        family, address = found[0], found[4]
        answers = wire.Answers()

        def received(octets: bytes) -> None:
            try:
                for what, value in answers.feed(octets):
                    self._answered(what, value, family, address)
            except wire.WireError as failure:
                self._lost(str(failure))

        self._command = Link(self.thread, family, address, received=received, writable=lambda: None, closed=self._lost)
        settings = self.settings
        self._command.send(wire.auth(settings.user, self._queue, settings.password))

    def _answered(self, what: str, value: Any, family: int, address: Any) -> None:
        self._heard = time.monotonic()
        if what == "key":
            self._let_in(value, family, address)
        elif what == "bound" and value == wire.REFUSED:
            _errors.log(f"{self.name}: the broker refuses to bind {self._binding()}; the connection stays\n")
        elif what == "bound" and _debug.enabled:
            _debug.log(f"{self.name}: bound {self._binding()} as {value}\n")
        elif what == "status":
            self.status = value
            if not self.up:
                self._check(value)

    def _binding(self) -> str:
        program = self.settings.program or b""
        exchange = self.settings.exchange or b""
        return f"{program.decode('utf-8', 'replace')!r} of {exchange.decode('utf-8', 'replace')}"

    def _let_in(self, key: bytes, family: int, address: Any) -> None:
        assert self._command is not None
        settings = self.settings
        deliveries = wire.Deliveries()

        def received(octets: bytes) -> None:
            try:
                messages = list(deliveries.feed(octets))
            except wire.WireError as failure:
                self._lost(str(failure))
                return
            if messages:
                self._handle(messages)

        self._command.send(wire.heartbeats(int(HEARTBEAT * 1000)))
        self._data = Link(self.thread, family, address, received=received, writable=self._flush, closed=self._lost)
        self._data.send(wire.data(key, settings.node))
        self._timers.append(self.thread.after(HEARTBEAT, self._tick))
        if settings.exchange is not None and settings.program is not None:
            flags = wire.TRANSIENT | (wire.PEERS if settings.node is not None else 0)
            self._command.send(wire.bind(settings.exchange, settings.program, flags))
        self._ask()

    def _ask(self) -> None:
        if self._command is not None:
            self._asked = time.monotonic()
            self._command.send(wire.STATUS)

    def _check(self, status: dict[str, int]) -> None:
        """The broker has taken the data connection when it counts messages; before that it may still close it."""
        if "msgs_in" not in status:
            self._timers.append(self.thread.after(FIRST_TRY, self._ask))
            return
        self.up = True
        self.connects += 1
        self._backoff.reset()
        self.trouble = ""
        self._time_limit.stop()
        log.notice.log(f"fq: connected with {self.name}\n")
        self._flush()

    def _tick(self) -> None:
        now = time.monotonic()
        if self._command is None:
            return
        if now - self._heard > MISSED * HEARTBEAT:
            self._lost("no heartbeat from the broker")
            return
        self._command.send(wire.HEARTBEAT)
        if self.up and now - self._asked >= STATUS_EVERY:
            self._ask()
        self._timers = [self._time_limit, self.thread.after(HEARTBEAT, self._tick)]

    def _handle(self, messages: list[wire.Message]) -> None:
        self._heard = time.monotonic()
        self.received += len(messages)
        self._under_way += 1
        if self._under_way >= self._ahead and self._data is not None:
            self._data.pause()
        self._deliver(self, messages, lambda: self.thread.post(self._handled))

    def _handled(self) -> None:
        self._under_way -= 1
        if self._data is not None:
            self._data.resume()

    def _flush(self) -> None:
        self._flushing = False
        if self._data is None or not self.up:
            return
        if self._under_way < self._ahead:
            self._data.read()  # so that a broker that has gone is noticed before anything is sent to it
        while self._data is not None:
            frames = self.backlog.peek(PIECE)
            if not frames:
                return
            octets = b"".join(frames)
            if self._cut:
                octets = self._cut + octets[len(frames[0]) :]
            data = self._data
            sent = data.write(octets)
            self._count(frames, sent, len(octets))
            self._forget(data.unacknowledged())
            if sent < len(octets):
                return

    def _count(self, frames: list[bytes], sent: int, size: int) -> None:
        """*sent* of *size* bytes of *frames* have gone."""
        if sent == size:
            whole, self._cut = len(frames), b""
        else:
            whole = 0
            left = sent
            for frame in frames:
                rest = self._cut or frame
                if left < len(rest):
                    self._cut = rest[left:] if left else self._cut
                    break
                left -= len(rest)
                self._cut = b""
                whole += 1
        self.backlog.sent(whole)
        self.sent += whole
        if sent:
            self._gone.append((frames[:whole], sent))
            self._gone_bytes += sent

    def _forget(self, left: int) -> None:
        """All but the last *left* bytes written have arrived."""
        while self._gone and self._gone_bytes - self._gone[0][1] >= left:
            self._gone_bytes -= self._gone.popleft()[1]

    def _take_back(self, left: int) -> None:
        """The connection is over and the last *left* bytes written have not arrived: they are to be sent again."""
        if self._cut:
            left -= len(self.backlog.peek(1)[0]) - len(self._cut)
            self._cut = b""  # it is sent again, whole
        back: list[bytes] = []
        for frames, _ in reversed(self._gone):
            for frame in reversed(frames):
                if left <= 0:
                    break
                left -= len(frame)
                back.append(frame)
        self._gone.clear()
        self._gone_bytes = 0
        self.sent -= len(back)
        self.backlog.put_back([(frame, len(frame)) for frame in reversed(back)])

    def _lost(self, why: str) -> None:
        if self._stopping:
            return
        was_up = self.up
        self._close()
        wait = self._backoff.next()
        if was_up or why != self.trouble:  # the same again is no news
            _errors.log(f"{self.name}: {why}; trying again, every {LAST_TRY:g} s at least\n")
            self.trouble = why
        self._timers.append(self.thread.after(wait, self._connect))

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.stop()
            timer.close()
        self._timers.clear()

    def _close(self) -> None:
        self.up = False
        self._cancel()
        command, data = self._command, self._data
        self._command = self._data = None
        if command is not None:
            command.close()
        if data is not None:
            data.close()
            self._take_back(data.unacknowledged())
