"""The module zipkin_otlp: posts spans to a collector of OpenTelemetry, as Jaeger and others are.

https://opentelemetry.io/docs/specs/otlp/#otlphttp.  With it requests carry ``traceparent`` beside B3."""

import gzip
import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from runtime import conf, zipkin
from runtime.conf import names
from runtime.zipkin import Span

from ._otlp import Attributes, left_out, to_json, to_protobuf
from ._peers import number, url
from ._span_batches import SpanBatches

URL: Final = "http://127.0.0.1:4318/v1/traces"

conf.hide("//generic[@image='zipkin_otlp']/config/*[starts-with(name(), 'header_')]")

FINAL: Final = frozenset(range(400, 500)) - {408, 429}
"""Statuses that say the same of a batch every time."""

_FORMS: Final[dict[str, tuple[str, Callable[[list[Span], Attributes], bytes]]]] = {
    "protobuf": ("application/x-protobuf", to_protobuf),
    "json": ("application/json", to_json),
}


class ZipkinOtlp:
    """The module."""

    KEYS = names.names(
        "url", "protocol", "compression", "ca_chain", "service_name", "timeout", "period", "max_batch", "backlog",
        "retries", prefixes=["header_", "resource_"],
    )  # fmt: skip

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys.  Raises ValueError naming the one that cannot be used."""
        self.content_type, self._encode = _FORMS[_one_of(config, "protocol", ("protobuf", "json"))]
        self._compressed = _one_of(config, "compression", ("none", "gzip")) == "gzip"
        self._service_name = config.get("service_name")
        self._resource = _prefixed(config, "resource_")
        headers = {"Content-Type": self.content_type, **_prefixed(config, "header_")}
        if self._compressed:
            headers["Content-Encoding"] = "gzip"
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not value.isprintable():
                raise ValueError(f"header_{name}: expected the name of a header and a value in one line")
        ca_chain = config.get("ca_chain")
        if ca_chain is not None and not Path(ca_chain).is_file():
            raise ValueError(f"ca_chain: there is no file {ca_chain!r}")
        self.batches = SpanBatches(
            "zipkin_otlp",
            url(config, "url", URL),
            headers,
            self.encode,
            max_batch=number(config, "max_batch", 500, 1, 10**6),
            period=number(config, "period", 500, 1, 10**9) / 1000,
            backlog=number(config, "backlog", 5000, 1, 10**7),
            retries=number(config, "retries", 5, 0, 10**6),
            timeout=number(config, "timeout", 10_000, 1, 10**7) / 1000,
            verify=ca_chain or True,
            left_out=left_out,
            final=FINAL,
        )

    def init(self) -> None:
        """Begin to take spans."""
        zipkin.use_trace_context()
        self.batches.start()

    def encode(self, spans: list[Span]) -> bytes:
        """The body of a post."""
        service = self._service_name or spans[0].endpoint.service_name
        resource: Attributes = [("service.name", service), ("host.name", socket.gethostname())]
        resource.append(("process.pid", os.getpid()))
        own = {name for name, _ in resource} & self._resource.keys()
        resource = [each for each in resource if each[0] not in own]
        resource += self._resource.items()
        body = self._encode(spans, resource)
        return gzip.compress(body, 1) if self._compressed else body


def _one_of(config: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """The value of *name*, by default the first that is *known*."""
    value = config.get(name, known[0])
    if value not in known:
        raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}")
    return value


def _prefixed(config: Mapping[str, str], prefix: str) -> dict[str, str]:
    found = {key[len(prefix) :]: value for key, value in config.items() if key.startswith(prefix)}
    if "" in found:
        raise ValueError(f"{prefix}: a name is missing")
    return found
