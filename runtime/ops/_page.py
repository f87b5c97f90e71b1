"""``/ops/``: the page that an operator opens first, and what only it asks for.  Manual: Operations.

The page is three files of this package, needs nothing from elsewhere, and shows what the other endpoints say.
"""

import time
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from runtime import eventer, log
from runtime.http import GZIP, Request, Response

from ._answer import answer
from ._profile import thread_cpu

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "ops.css": "text/css; charset=utf-8",
    "ops.js": "text/javascript; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TIMEOUT = 1.0
"""Seconds within which a loop has to answer."""

FLAGS = {"enabled": log.ENABLED, "debug": log.DEBUG, "timestamps": log.TIMESTAMPS, "facility": log.FACILITY}


def page(request: Request, response: Response) -> None:
    """``GET /ops/`` and its files."""
    name = (request.captures[0] or b"").decode() or "index.html"
    response.header("Content-Type", _TYPES[name])
    response.header("Content-Security-Policy", _POLICY)
    response.header("X-Content-Type-Options", "nosniff")
    response.header("Cache-Control", "no-cache")
    response.option(GZIP)
    response.write(_file(name))
    response.flush_end()


def redirect(_request: Request, response: Response) -> None:
    """``GET /ops``."""
    response.status(301)
    response.header("Location", "/ops/")
    response.flush_end()


@cache
def _file(name: str) -> bytes:
    return (resources.files("runtime.ops") / "page" / name).read_bytes()


def loops(_request: Request, response: Response) -> None:
    """``GET /ops/loops.json``: every loop thread, with its lag now, and what it has done so far."""
    lags(lambda found: response.resume(answer, response, {"threads": found}))


def lags(done: Callable[[list[dict[str, Any]]], object]) -> None:
    """Have *done* called with a row for each loop thread once all have answered, or after TIMEOUT."""
    threads = [thread for pool in eventer.pools() for thread in pool.threads]
    asked = time.perf_counter()

    def rows(took: dict[str, float]) -> None:
        done([_row(thread, took.get(thread.name, time.perf_counter() - asked)) for thread in threads])

    gathering = eventer.Gathering(len(threads), rows)

    def here(thread: eventer.LoopThread) -> None:
        gathering.put(thread.name, time.perf_counter() - asked)

    eventer.add_in(_time_is_up, gathering.end, TIMEOUT)
    for thread in threads:
        thread.post(here, thread)


def _time_is_up(_event: eventer.Event, _mask: int, end: Callable[[], object], _now: float) -> None:
    end()


eventer.name_callback("look at loops", _time_is_up)


def _row(thread: eventer.LoopThread, lag: float) -> dict[str, Any]:
    return {
        "pool": thread.pool.name,
        "name": thread.name,
        "tid": thread.tid,
        "lag": lag,
        "turns": thread.loop.iteration,
        "cpu": thread_cpu(thread.ident),
        "events": len(thread.events),
    }


def logs(request: Request, response: Response) -> None:
    """``GET /ops/logs.json``: all streams; ``POST ?name=NAME&flag=FLAG&on=0|1`` switches a flag of one.

    The latter wants a header ``X-Ops``, which a page from elsewhere cannot send unasked."""
    if request.method == b"POST":
        _switch(request, response)
        return
    answer(response, [_stream(each) for each in log.streams()])


def _stream(stream: log.LogStream) -> dict[str, Any]:
    found: dict[str, Any] = {name: bool(stream.flags & flag) for name, flag in FLAGS.items()}
    return found | {
        "name": stream.name,
        "type": stream.type,
        "path": stream.path,
        "enabled_below": stream.enabled,
        "write_errors": stream.write_errors,
        "outlets": [each.name for each in stream.outlets],
    }


def _switch(request: Request, response: Response) -> None:
    if request.header(b"x-ops") is None:
        answer(response, {"error": "the header X-Ops is missing"}, 403)
        return
    name = (request.querystring("name") or b"").decode("utf-8", "replace")
    flag = FLAGS.get((request.querystring("flag") or b"").decode("latin-1"))
    on = request.querystring("on")
    if not name or not log.stream_exists(name):
        answer(response, {"error": f"there is no log '{name}'"}, 404)
    elif flag is None or on not in (b"0", b"1"):
        answer(response, {"error": f"flag: expected one of {', '.join(FLAGS)}; on: 0 or 1"}, 400)
    else:
        stream = log.stream_find(name)
        stream.set_flags(stream.flags | flag if on == b"1" else stream.flags & ~flag)
        answer(response, _stream(stream))
