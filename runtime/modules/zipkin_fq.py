"""The module zipkin_fq: publishes each span as one message to an fq broker.  Manual: zipkin_fq."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

from runtime import conf, eventer, hooks, lifecycle, log, stats, zipkin
from runtime.conf import names
from runtime.zipkin import Span

from ._peers import LONGEST_HOST, number, text
from .fq import wire
from .fq.client import Client, Settings

NAME: Final = "zipkin_fq"

TIMEOUT: Final = 2.0
"""Seconds that spans have to go out when the process ends."""

LONGEST: Final = 127
"""Bytes of an exchange, and of a route."""

conf.hide("//config/pass")
_debug: Final = log.facility("debug/zipkin_fq")


class ZipkinFq:
    """The module."""

    KEYS = names.names("host", "port", "user", "pass", "exchange", "routing_prefix", "route_prefix", "backlog")

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys.  Raises ValueError naming the one that cannot be used."""
        self.exchange = text(config, "exchange", "logging", LONGEST).encode()
        written = "routing_prefix" if "routing_prefix" in config else "route_prefix"
        self.prefix = text(config, written, "zipkin.thrift.", LONGEST - 16).encode()
        self.settings = Settings(
            text(config, "host", "127.0.0.1", LONGEST_HOST),
            number(config, "port", 8765, 1, 65535),
            text(config, "user", "mtev", LONGEST).encode(),
            text(config, "pass", "mtev", wire.LONG, least=0).encode(),
            backlog=number(config, "backlog", 16 << 20, 1, 1 << 40),
        )
        self._numbers = itertools.count(1)

    def init(self) -> None:
        """Begin to take spans."""
        self.client = Client(self.settings, 0, eventer.choose_owner(0), _ignore)
        self.client.start()
        zipkin.PUBLISH_SPAN.register(NAME, self.put)
        stats.source(self._readings)
        lifecycle.on_stop(self._flush)

    def put(self, span: Span) -> int:
        """*span* was published; from any thread."""
        message_id = next(self._numbers).to_bytes(16, "little")
        route = self.prefix + f"{span.trace_id:x}".encode()
        self.client.publish(self.exchange, route, zipkin.encode(span), message_id)
        if _debug.enabled:
            _debug.log(f"{span!r} goes to {self.client.name}\n")
        return hooks.CONTINUE

    def _flush(self) -> None:
        zipkin.PUBLISH_SPAN.unregister(NAME)
        self.client.flush(TIMEOUT)

    def _readings(self) -> Any:
        yield stats.Reading("zipkin_fq.connects", (), self.client.connects)
        yield stats.Reading("zipkin_fq.sent", (), self.client.sent)
        yield stats.Reading("zipkin_fq.dropped", (("reason", "backlog"),), self.client.backlog.dropped)


def _ignore(_client: Client, _messages: Any, done: Any) -> None:
    """Nothing is bound, so nothing comes."""
    done()
