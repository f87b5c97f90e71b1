"""A traced HTTP server of this process, for tests."""

import http.client
import queue
from collections.abc import Iterator
from contextlib import contextmanager

from serving import house, server

from runtime import hooks, sampling, zipkin
from runtime.http import Request, Response

spans: "queue.Queue[zipkin.Span]" = queue.Queue()
"""Those that were published."""


def keep(span: zipkin.Span) -> int:
    spans.put(span)
    return hooks.CONTINUE


def published(count: int = 1) -> list[zipkin.Span]:
    """The next *count* spans."""
    return [spans.get(timeout=20) for _ in range(count)]


@contextmanager
def tracing(new: float = 1.0, parented: float = 1.0, debug: float = 1.0) -> Iterator[None]:
    """Trace requests with these probabilities, and keep their spans."""
    while not spans.empty():
        spans.get()
    zipkin.default_endpoint("example1", "127.0.0.1", 0)
    zipkin.PUBLISH_SPAN.register("test", keep)
    zipkin.set_sampling(new, parented, debug)
    try:
        yield
    finally:
        zipkin.PUBLISH_SPAN.unregister("test")
        sampling.change(0.0, 100.0, 100.0)


@contextmanager
def serving() -> Iterator[int]:
    """The port of a server with ``/hello``."""
    with house(("GET", "^hello$", hello)):
        yield server()


def hello(_request: Request, response: Response) -> None:
    response.header("Content-Type", "text/plain")
    response.write("Hello world.\n")
    response.flush_end()


def ask(
    port: int, path: str, method: str = "GET", body: str | None = None, headers: dict[str, str] | None = None
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def notes(span: zipkin.Span) -> list[bytes]:
    return [each.value for each in span.annotations]


def tags(span: zipkin.Span) -> dict[str, bool | int | float | bytes]:
    return {each.key: each.value for each in span.binary}
