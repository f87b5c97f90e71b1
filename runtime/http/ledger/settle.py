"""What happens once responses have gone out: hooks are told, latencies counted, the access log written.

All those of one turn of a loop at once, at its end: nobody's response waits for it.  Manual: Hooks, Logging.
"""

import time
import traceback
from functools import partial
from threading import Lock

from runtime import eventer, hooks, log
from runtime.http.message import traced
from runtime.http.message.owner import Owner
from runtime.http.message.response import Response
from runtime.http.rest.table import Mountpoint, answers

from . import access as _access
from .entry import Entry, of

RESPONSE_SENT = hooks.declare("http_response_send")
"""``callback(request, response)``: a response has been handed to the network."""
REQUEST_COMPLETE = hooks.declare("http_request_complete")
"""``callback(request, response)``: a response has gone out whole."""
REQUEST_LOG = hooks.declare("http_request_log")
"""``callback(request, response)``: the access log is about to be written; anything but CONTINUE keeps it from that."""

_entries: dict[Owner, list[Entry]] = {}
_taking = Lock()


def completed(response: Response) -> None:
    """*response* is complete; on its loop thread, or where nobody has one."""
    if traced.RESPONSE_FINISH.heard[0]:
        traced.tell(traced.RESPONSE_FINISH, response.request.peer)
    gather(response.owner, [of(response, time.time())])


def gather(owner: Owner | None, new: list[Entry]) -> None:
    """Settle *new* entries at the end of this turn of *owner*, with all others; at once where nobody has a loop."""
    if owner is None:
        settle(new)
        return
    entries = _entries.get(owner)
    if entries is None:
        entries = _entries[owner] = []
        owner.on_stop(lambda: _settle_gathered(_entries.pop(owner)))
    if not entries:
        owner.soon(_settle_gathered, entries)
    entries += new


def settle_all() -> None:
    """Do now what loops have not done yet; when the process ends at once."""
    for entries in list(_entries.values()):
        _settle_gathered(entries)


def settle(entries: list[Entry]) -> None:
    """Count *entries*, write their lines, tell hooks of those that have their response with them."""
    _count(entries)
    write(entries)
    for hook in (RESPONSE_SENT, REQUEST_COMPLETE):
        if hook.exists():
            eventer.in_slices([each for each in entries if each.response is not None], partial(_tell, hook))


def _settle_gathered(entries: list[Entry]) -> None:
    with _taking:  # a process that ends takes them too
        taken = entries[:]
        entries.clear()
    settle(taken)


def _count(entries: list[Entry]) -> None:
    of_rule: dict[Mountpoint | None, tuple[list[float], list[int]]] = {}  # latencies and statuses
    before: Mountpoint | None = None
    latencies, codes = of_rule.setdefault(before, ([], []))
    for _, _, _, _, _, received, finished, code, _, _, route, _ in entries:
        if route is not before:
            before = route
            latencies, codes = of_rule.setdefault(route, ([], []))
        codes.append(code)
        if received:
            latencies.append(finished - received)
    for route, (latencies, codes) in of_rule.items():
        classes = [code // 100 for code in codes]
        for status_class in set(classes):
            count = classes.count(status_class)
            if route is not None:
                route.answered(status_class, count)
            else:
                answers("none", status_class).add(count)
        if route is not None:
            route.latency.add_all(latencies)


def write(entries: list[Entry]) -> None:
    """Write the lines of *entries* into the access log."""
    stream = log.stream_find("http/access")
    is_told = traced.LOG.heard[0]
    if not (stream.enabled or is_told):
        return
    if REQUEST_LOG.exists():
        entries = [each for each in entries if _tell(REQUEST_LOG, each) == hooks.CONTINUE]
    lines = _access.lines(entries)
    if is_told:
        for entry, line in zip(entries, lines, strict=True):
            traced.LOG.tell(entry.peer.fd, entry.peer, line)
    if stream.is_bare:
        if lines:
            stream.log("".join(lines), file=__file__, line=1)
        return
    wanted = stream.wants_pairs
    for entry, line in zip(entries, lines, strict=True):
        pairs = _access.pairs(entry) if wanted else None
        stream.log(line, file=__file__, line=1, pairs=pairs)


def _tell(hook: hooks.Hook, entry: Entry) -> int:
    response = entry.response
    if response is None:
        return hooks.CONTINUE
    try:
        return hook.invoke(response.request, response)
    except Exception:
        log.facility("error/rest").log(f"hook {hook.name} failed for {response!r}\n{traceback.format_exc()}")
        return hooks.CONTINUE
