"""Spans of the HTTP server: one a request, from its head to the end of its response.

While nothing is traced nobody looks at requests: the hooks are registered once spans can come of it, see
:func:`renew`.  Manual: Zipkin."""

import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from runtime import conf, hooks, http, lifecycle, sampling
from runtime.conf import names
from runtime.http import Request, Response
from runtime.http.ledger.settle import REQUEST_COMPLETE
from runtime.http.message.response import STARTING

from . import _active
from ._headers import TELLING, incoming, number, takes_trace_context
from ._span import (
    I32,
    I64,
    PUBLISH,
    PUBLISH_SPAN,
    STRING,
    Annotation,
    BinaryAnnotation,
    Span,
    default_service_name,
    get_sampling,
    is_drawn,
    now,
    set_sampling,
    span_new,
)

NAME: Final = "zipkin"

_wanted = False
_on = False


def configure(c: conf.Conf) -> None:
    """Take what ``<zipkin>`` says; of several the last.  Raises :exc:`runtime.conf.ConfError` with file and line, and
    leaves what was.

    ``<zipkin trace_event="0"><probability new="0.0" parented="1.0" debug="1.0"/></zipkin>``"""
    global _wanted
    wanted = False
    level = 0
    found = {"new": 0.0, "parented": 1.0, "debug": 1.0}
    for section in c.get_sections("//zipkin"):
        wanted = True
        _only(c, section, ("trace_event",))
        text = c.inherited(section, "trace_event")
        if text is not None:
            if text not in ("0", "1", "2"):
                raise c.error(f"zipkin: trace_event is 0, 1 or 2, not '{text}'", section)
            level = int(text)
        for child in section.iterchildren("*"):
            if child.tag != "probability" and not c.is_include(child):
                raise c.error(f"zipkin: there is no element {child.tag}, expected probability", child)
    for section in c.get_sections("//zipkin//probability"):
        _only(c, section, tuple(found))
        for name in found:
            text = section.get(name)
            if text is not None:
                found[name] = _probability(c, section, name, text)
    default_service_name(c.root_name)
    _wanted = wanted
    if wanted:
        _active.event_trace_level(level)
        set_sampling(**{f"{name}_traces": value for name, value in found.items()})


def _only(c: conf.Conf, section: conf.Section, known: tuple[str, ...]) -> None:
    for name in map(str, section.attrib):
        if name not in known and name not in names.COMMON:
            nearest = names.names(*known).nearest(name)
            raise c.error(f"{section.tag}: unknown attribute {name}, expected {nearest}", section)


def _probability(c: conf.Conf, section: conf.Section, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise c.error(f"zipkin: probability {name} is a number from 0 to 1, not '{text}'", section)
    return value


def renew() -> None:
    """Look at requests from now on, or do not: whether spans can come of it has changed."""
    global _on
    possible = sampling.new > 0 or sampling.parented > 0 or sampling.debug > 0
    on = possible and (_wanted or PUBLISH.exists() or PUBLISH_SPAN.exists())
    if on:
        http.surround(NAME, _serve, http.Sampler(get_sampling()[0], TELLING, _wants))  # who decides itself asks anew
    if on == _on:
        return
    _on = on
    if on:
        _active.eventer_init()
        STARTING.register(NAME, _starting)
        REQUEST_COMPLETE.register(NAME, _complete)
    else:
        http.surround(NAME, None)
        STARTING.unregister(NAME)
        REQUEST_COMPLETE.unregister(NAME)


def is_on() -> bool:
    """Whether requests are looked at."""
    return _on


class Chances(NamedTuple):
    """What decides whether a request is traced, for engines that decide without a :class:`Request`: the probabilities,
    0 to 1, and whether ``traceparent`` is taken."""

    new: float
    parented: float
    debug: float
    trace_context: bool


def chances() -> Chances | None:
    """Those of now, until :func:`runtime.http.generation.current` changes; None while requests are not looked at."""
    return Chances(*get_sampling(), takes_trace_context()) if _on else None


def span_of(request: Request) -> Span | None:
    """The span of *request*, made when it is first asked for; None where it is not traced."""
    span = request.span
    if span is None or span is True:
        span = request.span = _begin(request, force=span is True) or False
    return span or None


def begin(request: Request) -> Span:
    """The span of *request*, whose handler is about to be called; it was decided elsewhere that it is traced."""
    span = _begin(request, force=True)
    assert span is not None
    request.span = span
    _note(span, b"sr_done")
    return span


def end(request: Request, code: int, written: int, has_begun: bool) -> None:
    """End the span of *request*, which was answered with status *code* and *written* bytes; *has_begun*, it is known
    when that began."""
    span: Span = request.span
    if not has_begun:
        _note(span, b"ss")
    _finish(span, request, code, written)


def _begin(request: Request, force: bool = False) -> Span | None:
    headers = request.headers
    told = incoming(headers)
    if told.unsampled and not force:
        return None
    uri = _text(request.uri)
    span = span_new(told.trace_id, told.parent_id, told.span_id, uri, told.debug, force)
    if span is None:
        return None
    span.kind = "server"
    span.trace_high = told.trace_high
    host, port = request.peer.local
    span.set_default_endpoint(span.endpoint.service_name, host if _is_ipv4(host) else _primary(), int(port or 0))
    if request.received:
        span.timestamp = min(span.timestamp, int(request.received * 1e6))
    span.level = number(headers.get(b"x-mtev-trace-event")) or _active.default_level()
    span.logs = number(headers.get(b"x-mtev-trace-logs")) == 1
    span.annotations.append(Annotation(span.timestamp, b"sr", span.endpoint))
    span.binary += (
        BinaryAnnotation("http.uri", STRING, request.uri),
        BinaryAnnotation("http.method", STRING, request.method),
        BinaryAnnotation("http.hostname", STRING, headers.get(b"host", b"")),
    )
    return span


def _note(span: Span, what: bytes) -> None:
    """*what* happened now.  This and the tags above and below are there however many others were made."""
    span.annotations.append(Annotation(now(), what, span.endpoint))


def _wants(headers: Mapping[bytes, bytes]) -> bool:
    told = incoming(headers)
    return not told.unsampled and is_drawn(told.trace_id, told.parent_id, told.debug)


def _serve(serve: Callable[[Request, Response], None], request: Request, response: Response) -> None:
    span = span_of(request)
    if span is None:
        serve(request, response)
        return
    response.on_lost = span.drop
    with _active.within(span):
        _note(span, b"sr_done")
        serve(request, response)


def _starting(request: Request, _response: Response) -> int:
    refused = request.span is None or request.span is True  # before it was read whole
    span = span_of(request)
    if span is not None:
        if refused:
            _note(span, b"sr_done")
        _note(span, b"ss")
    return hooks.CONTINUE


def _complete(request: Request, response: Response) -> int:
    span = request.span
    if span:
        with _active.within(span):
            _finish(span, request, response.code, response.written)
    return hooks.CONTINUE


def _finish(span: Span, request: Request, code: int, written: int) -> None:
    route = request.route
    if route is not None:
        span.rename(f"{_text(route.base)}({_text(route.expression)})")
    tags = span.binary
    tags.append(BinaryAnnotation("http.status_code", I32, code))
    received = len(request.payload) or number(request.headers.get(b"content-length"))
    if received > 0:
        tags.append(BinaryAnnotation("http.bytes_in", I64, received))
    tags.append(BinaryAnnotation("http.bytes_out", I64, written))
    _note(span, b"ss_done")
    span.publish()


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


@lru_cache(256)
def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return False
    return True


@lru_cache(1)
def _primary() -> str:
    """The IPv4 address by which this host would reach others."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return "0.0.0.0"


def _reconfigure(c: conf.Conf) -> None:
    configure(c)
    renew()


sampling.on_change(renew)
PUBLISH.changed = PUBLISH_SPAN.changed = renew
lifecycle.on_reload("zipkin", _reconfigure)
