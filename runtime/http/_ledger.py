"""What happens once responses have gone out: hooks are told, latencies counted, the access log written.

All those of one turn of a loop at once, at its end: nobody's response waits for it.  Manual: Hooks, Logging.
"""

import time
import traceback
from collections import deque

from runtime import eventer, hooks, log

from . import _access
from ._response import Response
from ._route import Mountpoint

RESPONSE_SENT = hooks.declare("http_response_send")
"""``callback(request, response)``: a response has been handed to the network."""
REQUEST_COMPLETE = hooks.declare("http_request_complete")
"""``callback(request, response)``: a response has gone out whole."""
REQUEST_LOG = hooks.declare("http_request_log")
"""``callback(request, response)``: the access log is about to be written; anything but CONTINUE keeps it from that."""

Entries = deque[tuple[Response, float]]

_entries: dict[eventer.LoopThread, Entries] = {}


def completed(response: Response) -> None:
    """*response* is complete; on its loop thread, or where nobody has one."""
    entry = (response, time.time())
    owner = response.owner
    if owner is None:
        _settle(deque((entry,)))
        return
    entries = _entries.get(owner)
    if entries is None:
        entries = _entries[owner] = deque()
        owner.at_stop(lambda: _settle(_entries.pop(owner)))
    if not entries:
        owner.loop.run_callback(_settle, entries)
    entries.append(entry)


def settle_all() -> None:
    """Do now what loops have not done yet; when the process ends at once."""
    for entries in list(_entries.values()):
        _settle(entries)


def _settle(entries: Entries) -> None:
    stream = log.stream_find("http/access")
    enabled = stream.enabled
    bare = enabled and stream.is_bare
    asked = REQUEST_LOG.exists()
    told = [each for each in (RESPONSE_SENT, REQUEST_COMPLETE) if each.exists()]
    lines: list[str] = []
    latencies: dict[Mountpoint, list[float]] = {}
    while True:
        try:
            response, now = entries.popleft()
        except IndexError:  # asked like this since a process that ends takes them too
            break
        request = response.request
        route = request.route
        if route is not None and request.received:
            if route in latencies:
                latencies[route].append(now - request.received)
            else:
                latencies[route] = [now - request.received]
        if enabled and (not asked or _tell(REQUEST_LOG, response) == hooks.CONTINUE):
            if bare:
                lines.append(_access.line(response, now))
            else:
                pairs = _access.pairs(response, now) if stream.wants_pairs else None
                stream.log(_access.line(response, now), file=__file__, line=1, pairs=pairs)
        for hook in told:
            _tell(hook, response)
    if lines:
        stream.log("".join(lines), file=__file__, line=1)
    for route, values in latencies.items():
        route.latency.add_all(values)


def _tell(hook: hooks.Hook, response: Response) -> int:
    try:
        return hook.invoke(response.request, response)
    except Exception:
        log.error.log(f"hook {hook.name} failed for {response!r}\n{traceback.format_exc()}")
        return hooks.CONTINUE
