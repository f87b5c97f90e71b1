"""The module fq: publishes to fq brokers, and has what they deliver handled by a hook.  Manual: fq.

Each ``<mq type="fq">`` below ``<network>`` is a connection, numbered from 0.
"""

import time
from collections.abc import Mapping
from typing import Final

from runtime import eventer, hooks, lifecycle, log, stats
from runtime.conf import names

from .._mq import Poller, brokers, chosen, readings
from .._peers import LONGEST_HOST, number, text
from . import wire
from .client import Client, Settings
from .wire import Message

HANDLE_MESSAGE = hooks.declare("mtev_fq_handle_message_dyn")
"""``callback(client, id, message, payload)`` for each message delivered, on a thread of the fanout: *client* and
*message* are objects, *id* the number of the connection, *payload* bytes.  It may not block."""

BACKLOG: Final = 16 << 20
"""Bytes that wait while a broker is away, unless configured."""

TIMEOUT: Final = 2.0
"""Seconds that messages have to go out when the process ends."""

_KNOWN = ("host", "port", "user", "pass", "exchange", "program", "backlog")

_clients: list[Client] = []


class Fq:
    """The module."""

    KEYS = names.names("poll_limit", "fanout_pool", "fanout")

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys and the brokers of the configuration.  Raises ValueError naming what cannot be used."""
        self.poll_limit = number(config, "poll_limit", 10_000, 0, 10**9)
        self.pool = config.get("fanout_pool", "default")
        self.fanout = number(config, "fanout", 1, -(10**9), 10**9)
        self.settings = brokers("fq", _KNOWN, _settings)
        pool = eventer.pool(self.pool)
        if pool is None:
            raise ValueError(f"fanout_pool: there is no pool {self.pool!r}")
        from ._log import FqLog

        log.register_type("fq", FqLog)

    def init(self) -> None:
        """Connect."""
        if not self.settings:
            log.facility("error/fq").log('there is no <mq type="fq"> in the configuration, so fq does nothing\n')
            return
        pool = eventer.pool(self.pool)
        assert pool is not None
        wide = pool.concurrency if self.fanout <= 0 else min(self.fanout, pool.concurrency)
        threads = [eventer.choose_owner_pool(pool, each) for each in range(wide)]
        poller = Poller(HANDLE_MESSAGE, threads, self.poll_limit)
        _clients[:] = [
            Client(settings, each, eventer.choose_owner_pool(pool, each % wide), poller.deliver, wide)
            for each, settings in enumerate(self.settings)
        ]
        for each in _clients:
            each.start()
        lifecycle.on_stop(_flush)


def clients() -> list[Client]:
    """The connections, in order."""
    return list(_clients)


def send(message: Message, connection: int = -1) -> int:
    """Publish *message*; as :func:`send_data`.  Manual: ``mtev_fq_send``."""
    return send_data(message.exchange, message.route, message.payload, connection, message.id)


def send_data(
    exchange: bytes, route: bytes, payload: bytes, connection: int = -1, message_id: bytes = wire.NO_ID
) -> int:
    """Publish *payload* to connection number *connection*, or -1: to all.  From any thread; never waits.

    Returns how many connections took it: what finds a full backlog is dropped and counted, what is for a connection
    that does not exist is ignored.  Raises ValueError naming what is too long.  Manual: ``mtev_fq_send_data``."""
    return sum(each.publish(exchange, route, payload, message_id) for each in chosen(_clients, connection))


def _flush() -> None:
    """The process ends: what was published is sent first, to brokers that are there."""
    end = time.monotonic() + TIMEOUT
    for each in _clients:
        each.flush(end - time.monotonic())


stats.source(lambda: readings("fq", _clients, "connects", "received", "sent"))


def _settings(broker: Mapping[str, str]) -> Settings:
    return Settings(
        host=text(broker, "host", "localhost", LONGEST_HOST),
        port=number(broker, "port", 8765, 1, 65535),
        user=text(broker, "user", "guest", wire.SHORT).encode(),
        password=text(broker, "pass", "guest", wire.LONG, least=0).encode(),
        exchange=text(broker, "exchange", "", wire.SHORT, least=0).encode() or None,
        program=text(broker, "program", "", wire.SHORT, least=0).encode() or None,
        backlog=number(broker, "backlog", BACKLOG, 0, 1 << 40),
    )
