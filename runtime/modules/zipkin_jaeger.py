"""The module zipkin_jaeger: posts spans to a collector that reads Zipkin's Thrift.  Manual: zipkin_jaeger."""

from collections.abc import Mapping

from runtime import zipkin
from runtime.conf import names

from ._peers import number
from ._span_batches import SpanBatches

TIMEOUT = 10.0
"""Seconds for which a post waits for the collector."""


class ZipkinJaeger:
    """The module."""

    KEYS = names.names("host", "port", "period", "max_batch", "backlog", "retries")

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys.  Raises ValueError naming the one that cannot be used."""
        host = config.get("host", "127.0.0.1")
        if not host or any(each in " /?#@\t\r\n" for each in host):
            raise ValueError(f"host: expected a name or an address, got {host!r}")
        port = number(config, "port", 9411, 1, 65535)
        bracketed = f"[{host}]" if ":" in host else host
        self.batches = SpanBatches(
            "zipkin_jaeger",
            f"http://{bracketed}:{port}/api/v1/spans",
            {"Content-Type": "application/x-thrift"},
            zipkin.encode_list,
            max_batch=number(config, "max_batch", 500, 1, 10**6),
            period=number(config, "period", 500, 1, 10**9) / 1000,
            backlog=number(config, "backlog", 5000, 1, 10**7),
            retries=number(config, "retries", 0, 0, 10**6),
            timeout=TIMEOUT,
        )

    def init(self) -> None:
        """Begin to take spans."""
        self.batches.start()
