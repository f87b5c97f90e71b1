"""The module amqp: publishes to AMQP brokers, and has what they deliver handled by a hook.  Manual: amqp.

Each ``<mq type="amqp">`` below ``<network>`` is a connection, numbered from 0.
"""

import time
from collections.abc import Mapping
from typing import Final

from runtime import eventer, hooks, lifecycle, log, stats
from runtime.conf import names

from .._mq import Poller, brokers, chosen, readings
from .._peers import LONGEST_HOST, number, text
from .client import Client, Message, Outgoing, Settings

HANDLE_MESSAGE = hooks.declare("mtev_amqp_handle_message_dyn")
"""``callback(client, id, message, payload)`` for each message delivered, on the first thread of the default pool:
*client* and *message* are objects, *id* the number of the connection, *payload* bytes.  It may not block."""

HANDLE_CONNECTION = hooks.declare("mtev_amqp_handle_connection_dyn")
"""``callback(client, id, connected)`` whenever a connection comes up or goes, on that thread."""

SHORT: Final = 255
"""Bytes of an exchange, a route and other names at most."""
TIMEOUT: Final = 2.0
"""Seconds that messages have to go out when the process ends."""

_KNOWN = (
    "host", "port", "vhost", "user", "pass", "framesize", "exchange", "bindingkey", "routingkey", "queuename",
    "backlog",
)  # fmt: skip

_clients: list[Client] = []


class Amqp:
    """The module."""

    KEYS = names.names("poll_limit")

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys and the brokers of the configuration.  Raises ValueError naming what cannot be used."""
        self.poll_limit = number(config, "poll_limit", 10_000, 0, 10**9)
        self.settings = brokers("amqp", _KNOWN, _settings)

    def init(self) -> None:
        """Connect."""
        if not self.settings:
            why = 'there is no <mq type="amqp"> in the configuration, so amqp does nothing\n'
            log.facility("error/amqp").log(why)
            return
        loop = eventer.choose_owner(0)
        poller = Poller(HANDLE_MESSAGE, [loop], self.poll_limit)
        _clients[:] = [Client(settings, each, loop, poller, _connected) for each, settings in enumerate(self.settings)]
        for each in _clients:
            each.start()
        lifecycle.on_stop(_stop)


def send(message: Outgoing, connection: int = -1) -> int:
    """Publish *message*; as :func:`send_data`.  Manual: ``mtev_amqp_send``."""
    return send_data(message.exchange, message.route, message.payload, connection, message.mandatory)


def send_data(exchange: str, route: str, payload: bytes, connection: int = -1, mandatory: bool = False) -> int:
    """Publish *payload* to connection number *connection*, or -1: to all.  From any thread; never waits.

    Returns how many connections took it: what finds a full backlog is dropped and counted, what is for a connection
    that does not exist is ignored.  Raises ValueError naming what is too long or cannot be encoded.
    Manual: ``mtev_amqp_send_data``."""
    for which, name in (("exchange", exchange), ("route", route)):
        try:
            fits = len(name.encode()) <= SHORT
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise ValueError(f"{which}: expected at most {SHORT} bytes of UTF-8")
    message = Outgoing(exchange, route, payload, mandatory)
    return sum(each.publish(message) for each in chosen(_clients, connection))


def _connected(client: Client, up: bool) -> None:
    HANDLE_CONNECTION.invoke(client, client.number, up)


def _stop() -> None:
    """The process ends: what was published is sent first, to brokers that are there."""
    end = time.monotonic() + TIMEOUT
    while any(each.up and each.backlog.bytes for each in _clients) and time.monotonic() < end:
        time.sleep(0.01)
    for each in _clients:
        if len(each.backlog):
            count = len(each.backlog)
            log.facility("error/amqp").log(
                f"{each.name}: the process ends with {count} messages that the broker has not confirmed\n"
            )
        each.stop()


stats.source(lambda: readings("amqp", _clients, "connects", "received", "sent", "refused", "returned"))


def _settings(broker: Mapping[str, str]) -> Settings:
    written = next((each for each in ("bindingkey", "routingkey") if each in broker), None)
    return Settings(
        host=text(broker, "host", "localhost", LONGEST_HOST),
        port=number(broker, "port", 5672, 1, 65535),
        vhost=text(broker, "vhost", "/", SHORT),
        user=text(broker, "user", "guest", SHORT),
        password=text(broker, "pass", "guest", 1 << 16, least=0),
        frame_size=number(broker, "framesize", 131072, 4096, 131072),
        exchange=text(broker, "exchange", "amq.direct", SHORT),
        binding=None if written is None else text(broker, written, "", SHORT, least=0),
        queue=text(broker, "queuename", "", SHORT, least=0),
        backlog=number(broker, "backlog", 16 << 20, 0, 1 << 40),
    )


__all__ = ["HANDLE_CONNECTION", "HANDLE_MESSAGE", "Amqp", "Client", "Message", "Outgoing", "send", "send_data"]
