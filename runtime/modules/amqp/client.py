"""A connection with an AMQP broker: a thread of its own runs pika there, and opens it again whenever it ends.

What is published stays in the backlog until the broker has confirmed it, and is sent again on the next connection: in
order, at least once.  What pika calls runs on that thread; messages are handed to a loop.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import Basic

from runtime import log
from runtime.eventer import LoopThread

from .._mq import Poller
from .._peers import Backlog, Backoff

FIRST_TRY, LAST_TRY = 0.001, 16.0
"""Seconds before a broker that went is tried again: the first time, and at most."""
WINDOW: Final = 1000
"""Messages that may be sent and not confirmed."""
HEARTBEAT: Final = 60
"""Seconds between heartbeats at most, so that a broker that is gone without a word is noticed."""
TIMEOUT: Final = 10.0
"""Seconds that opening may take."""
AHEAD: Final = 4
"""Batches of messages that may wait for the loop before no more are read."""

_errors: Final = log.facility("error/amqp")
_debug: Final = log.facility("debug/amqp")

logging.getLogger("pika").addHandler(logging.NullHandler())
logging.getLogger("pika").propagate = False


@dataclass(frozen=True)
class Settings:
    """Where the broker is, who asks, and for what; without *binding* nothing is consumed.  *backlog* is in bytes."""

    host: str = "localhost"
    port: int = 5672
    vhost: str = "/"
    user: str = "guest"
    password: str = "guest"
    frame_size: int = 131072
    exchange: str = "amq.direct"
    binding: str | None = None
    queue: str = ""
    backlog: int = 16 << 20


class Outgoing(NamedTuple):
    """A message to be published."""

    exchange: str
    route: str
    payload: bytes
    mandatory: bool


class Message:
    """What a broker delivers."""

    __slots__ = ("exchange", "payload", "properties", "redelivered", "route")

    def __init__(self, method: Any, properties: Any, payload: bytes) -> None:
        self.exchange: str = method.exchange
        self.route: str = method.routing_key
        self.redelivered: bool = method.redelivered
        self.properties = properties
        self.payload = payload

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it: the payload is an argument of its own."""
        found = {"exchange": self.exchange, "route": self.route, "redelivered": self.redelivered}
        for name in ("content_type", "correlation_id", "reply_to", "message_id", "timestamp", "type", "app_id"):
            value = getattr(self.properties, name)
            if value is not None:
                found[name] = value
        return found


class Client:
    """Keeps a connection up.  Attributes, for people: ``connects``, ``received``, ``sent`` (confirmed), ``refused``,
    ``returned``, ``up`` and ``backlog``.  *connected* is called on *loop* with (client, whether it is up) at every
    change."""

    def __init__(
        self,
        settings: Settings,
        number: int,
        loop: LoopThread,
        poller: Poller,
        connected: "Callable[[Client, bool], object]",
    ) -> None:
        self.settings = settings
        self.number = number
        self.name = f"{settings.host}:{settings.port}"
        self.backlog: Backlog[Outgoing] = Backlog(settings.backlog)
        self.connects = self.received = self.sent = self.refused = self.returned = 0
        self.up = False
        self._loop = loop
        self._poller = poller
        self._connected = connected
        self._backoff = Backoff(FIRST_TRY, LAST_TRY)
        self._connection: Any = None
        self._channel: Any = None
        self._first = 1  # the oldest number that is not confirmed, of those of this channel
        self._next = 1
        self._confirmed: set[int] = set()
        self._arrived: list[Message] = []
        self._room = threading.Semaphore(AHEAD)
        self._flushing = False
        self._stopping = threading.Event()
        self._told = ""
        self._reason = ""  # why the channel was closed
        self._thread = threading.Thread(target=self._run, name=f"amqp/{number}", daemon=True)

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it."""
        one = self.settings
        return {"id": self.number, "host": one.host, "port": one.port, "user": one.user, "exchange": one.exchange}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def publish(self, message: Outgoing) -> bool:
        """Send *message*, from any thread; False when the backlog is full and it is dropped, which is counted."""
        if not self.backlog.put(message, len(message.payload) + len(message.route) + len(message.exchange)):
            return False
        connection = self._connection
        if self.up and not self._flushing and connection is not None:
            self._flushing = True
            connection.ioloop.add_callback_threadsafe(self._flush)
        return True

    def stop(self) -> None:
        """Close the connection and end the thread, without waiting."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.ioloop.add_callback_threadsafe(self._close)

    def _run(self) -> None:
        while not self._stopping.is_set():
            why = self._connect()
            self._set_up(False)
            self._connection = self._channel = None
            if self._stopping.is_set():
                return
            if why != self._told:  # the same again is no news
                _errors.log(f"{self.name}: {why}; trying again, every {LAST_TRY:g} s at least\n")
                self._told = why
            self._stopping.wait(self._backoff.next())

    def _connect(self) -> str:
        """Open a connection and run it until it ends; returns why it did."""
        one = self.settings
        reasons: list[object] = []
        self._reason = ""

        def ended(connection: Any, why: object) -> None:
            reasons.append(why)
            connection.ioloop.stop()

        try:
            connection = pika.SelectConnection(
                pika.ConnectionParameters(
                    host=one.host,
                    port=one.port,
                    virtual_host=one.vhost,
                    credentials=pika.PlainCredentials(one.user, one.password),
                    frame_max=one.frame_size,
                    heartbeat=HEARTBEAT,
                    connection_attempts=1,
                    socket_timeout=TIMEOUT,
                    stack_timeout=TIMEOUT,
                ),
                on_open_callback=self._opened,
                on_open_error_callback=ended,
                on_close_callback=ended,
            )
            self._connection = connection
            try:
                connection.ioloop.start()
            finally:
                connection.ioloop.close()
        except Exception as failure:  # of ours or pika's: it shall not look like a lost network
            return f"{type(failure).__name__}: {failure}"
        return self._reason or (_shown(reasons[0]) if reasons else "ended")

    def _opened(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._blocked)
        connection.add_on_connection_unblocked_callback(
            lambda *_: log.notice.log(f"amqp: {self.name} takes messages again\n")
        )
        connection.channel(channel_number=1, on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        one = self.settings
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._returned)
        if one.binding is None:
            self._ready()
            return

        def declared(method: Any) -> None:
            queue = method.method.queue
            channel.queue_bind(queue, one.exchange, one.binding, callback=lambda _: bound(queue))

        def bound(queue: str) -> None:
            channel.basic_consume(queue, self._delivered, auto_ack=True, callback=lambda _: self._ready())

        # first whether the exchange is there: a queue without a consumer would stay for ever
        channel.exchange_declare(
            one.exchange,
            passive=True,
            callback=lambda _: channel.queue_declare(one.queue, auto_delete=True, callback=declared),
        )

    def _ready(self) -> None:
        """Everything is set up: what waits can go."""
        self._first = self._next = 1
        self._confirmed.clear()
        if self._connection.publisher_confirms:
            self._channel.confirm_delivery(self._confirm, callback=lambda _: self._go())
        else:
            self._go()

    def _go(self) -> None:
        self._backoff.reset()
        self._told = ""
        self.connects += 1
        log.notice.log(f"amqp: connected with {self.name}\n")
        self._set_up(True)
        self._flush()

    def _set_up(self, up: bool) -> None:
        if up != self.up:
            self.up = up
            self._loop.post(self._connected, self, up)

    def _blocked(self, _connection: Any, frame: Any) -> None:
        """The broker reads nothing that is published until it says so."""
        _errors.log(f"{self.name}: the broker takes no messages for now: {frame.method.reason}\n")

    def _channel_closed(self, _channel: Any, why: Exception) -> None:
        self._channel = None
        if isinstance(why, ChannelClosedByBroker) and self.up:
            self._give_up_on(why.reply_text)
        if self._connection.is_open:
            self._reason = _shown(why)
            self._connection.close(200, "the channel was closed")

    def _give_up_on(self, why: str) -> None:
        """Drop what the broker refuses and would refuse again: what is for the exchange that it names."""
        flying = self.backlog.after(0, self._next - self._first)
        hopeless = {each.exchange for each in flying if f"'{each.exchange}'" in why}
        if hopeless:
            self.refused += self.backlog.remove(lambda each: each.exchange in hopeless)

    def _returned(self, _channel: Any, method: Any, _properties: Any, _payload: bytes) -> None:
        """A mandatory message found no queue."""
        self.returned += 1
        if _debug.enabled:
            _debug.log(f"{self.name}: {method.exchange} {method.routing_key} came back: {method.reply_text}\n")

    def _confirm(self, frame: Any) -> None:
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        fresh = range(self._first, tag + 1) if multiple else (tag,)
        if isinstance(frame.method, Basic.Nack):
            self.refused += len(fresh)
            _errors.log(f"{self.name}: the broker did not take {len(fresh)} messages\n")
        self._confirmed.update(fresh)
        count = 0
        while self._first in self._confirmed:
            self._confirmed.remove(self._first)
            self._first += 1
            count += 1
        self.backlog.sent(count)
        self.sent += count
        self._flush()

    def _flush(self) -> None:
        self._flushing = False
        channel = self._channel
        if channel is None or not channel.is_open or not self.up:
            return
        confirms = self._connection.publisher_confirms
        flying = self._next - self._first
        for message in self.backlog.after(flying, WINDOW - flying):
            channel.basic_publish(message.exchange, message.route, message.payload, mandatory=message.mandatory)
            self._next += 1
            if not confirms:
                self._first = self._next
                self.backlog.sent(1)
                self.sent += 1

    def _delivered(self, _channel: Any, method: Any, properties: Any, payload: bytes) -> None:
        self.received += 1
        self._arrived.append(Message(method, properties, payload))
        if len(self._arrived) == 1:
            self._connection.ioloop.call_later(0, self._hand_over)

    def _hand_over(self) -> None:
        """Give what has arrived to the loop; while that is behind, this thread waits and reads no more."""
        batch, self._arrived = self._arrived, []
        while not self._room.acquire(timeout=0.5):
            if self._stopping.is_set():
                return
        self._loop.post(self._poller.deliver, self, batch, self._room.release)

    def _close(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
        elif self._connection is not None:
            self._connection.ioloop.stop()


def _shown(why: object) -> str:
    """What went wrong, for people."""
    if isinstance(why, AMQPError) and len(why.args) >= 2:
        return f"{why.args[0]} {why.args[1]}"
    cause = getattr(why, "exceptions", None) or getattr(why, "args", None)
    return f"{type(why).__name__}: {cause[-1] if cause else why}"
