"""What happens once responses have gone out: hooks are told, latencies counted, the access log written.

All those of one turn of a loop at once, at its end: nobody's response waits for it.  Manual: Hooks, Logging.
"""

import time
import traceback
from threading import Lock

from runtime import eventer, hooks, log
from runtime.http.message.response import Response
from runtime.http.rest.table import Mountpoint

from . import access as _access

RESPONSE_SENT = hooks.declare("http_response_send")
"""``callback(request, response)``: a response has been handed to the network."""
REQUEST_COMPLETE = hooks.declare("http_request_complete")
"""``callback(request, response)``: a response has gone out whole."""
REQUEST_LOG = hooks.declare("http_request_log")
"""``callback(request, response)``: the access log is about to be written; anything but CONTINUE keeps it from that."""

Entry = tuple[Response, float]
"""A response, and when it was complete in epoch seconds."""

_entries: dict[eventer.LoopThread, list[Entry]] = {}
_taking = Lock()


def completed(response: Response) -> None:
    """*response* is complete; on its loop thread, or where nobody has one."""
    entry = (response, time.time())
    owner = response.owner
    if owner is None:
        _settle([entry])
        return
    entries = _entries.get(owner)
    if entries is None:
        entries = _entries[owner] = []
        owner.at_stop(lambda: _settle(_entries.pop(owner)))
    if not entries:
        owner.loop.run_callback(_settle, entries)
    entries.append(entry)


def settle_all() -> None:
    """Do now what loops have not done yet; when the process ends at once."""
    for entries in list(_entries.values()):
        _settle(entries)


def _settle(entries: list[Entry]) -> None:
    with _taking:  # a process that ends takes them too
        taken = entries[:]
        entries.clear()
    _count(taken)
    _write(taken)
    for hook in (RESPONSE_SENT, REQUEST_COMPLETE):
        if hook.exists():
            for response, _ in taken:
                _tell(hook, response)


def _count(entries: list[Entry]) -> None:
    latencies: dict[Mountpoint, list[float]] = {}
    for response, now in entries:
        request = response.request
        route = request.route
        if route is not None and request.received:
            if route in latencies:
                latencies[route].append(now - request.received)
            else:
                latencies[route] = [now - request.received]
    for route, values in latencies.items():
        route.latency.add_all(values)


def _write(entries: list[Entry]) -> None:
    stream = log.stream_find("http/access")
    if not stream.enabled:
        return
    if REQUEST_LOG.exists():
        entries = [each for each in entries if _tell(REQUEST_LOG, each[0]) == hooks.CONTINUE]
    lines = _access.lines(entries)
    if stream.is_bare:
        if lines:
            stream.log("".join(lines), file=__file__, line=1)
        return
    wanted = stream.wants_pairs
    for (response, now), line in zip(entries, lines, strict=True):
        pairs = _access.pairs(response, now) if wanted else None
        stream.log(line, file=__file__, line=1, pairs=pairs)


def _tell(hook: hooks.Hook, response: Response) -> int:
    try:
        return hook.invoke(response.request, response)
    except Exception:
        log.error.log(f"hook {hook.name} failed for {response!r}\n{traceback.format_exc()}")
        return hooks.CONTINUE
