"""``/mtev/stats.json``: the counters and histograms of :mod:`runtime.stats`."""

import re
from collections.abc import Iterator
from typing import Any

from runtime import log, stats
from runtime.http import Request, Response
from runtime.stats import Reading

from ._answer import answer


def stats_json(request: Request, response: Response) -> None:
    """``GET /mtev/stats.json?format=tagged|simple&reset=1``; DELETE resets without a look."""
    if request.method == b"DELETE":
        stats.reset()
        answer(response, {})
        return
    form = request.querystring("format") or b"tagged"
    if form not in (b"tagged", b"simple"):
        answer(response, {"error": "format: expected tagged or simple"}, 400)
        return
    document: dict[str, Any] = {}
    for each in stats.read():
        if form == b"tagged":
            _put_tagged(document, each)
        else:
            _put_simple(document, each)
    if request.querystring("reset") not in (None, b"", b"0"):
        stats.reset()
    answer(response, document)


def log_lines() -> Iterator[Reading]:
    """The lines of the log streams that count theirs, and those that streams could not write."""
    for stream in log.streams():
        if stream.write_errors:
            yield Reading("log_lines_lost", (("stream", stream.name),), stream.write_errors)
        if stream.stats:
            yield Reading("log_lines", (("stream", stream.name),), stream.lines)


def _put_tagged(document: dict[str, Any], reading: Reading) -> None:
    tags = ",".join(f"{key}:{_tag(value)}" for key, value in reading.tags)
    name = reading.name + (f"|ST[{tags}]" if tags else "")
    if isinstance(reading.value, dict):
        value = [f"H[{bound:.1e}]={count}" for bound, count in reading.value.items()]
        document[name] = {"_type": "h", "_value": value}
    else:
        document[name] = {"_type": "L" if isinstance(reading.value, int) else "n", "_value": reading.value}


def _put_simple(document: dict[str, Any], reading: Reading) -> None:
    place: Any = document
    *path, last = [reading.name, *(value for key, value in reading.tags if key != "units")]
    for part in path:
        place = place.setdefault(part, {})
    value: Any = reading.value
    if isinstance(value, dict):
        value = {"count": sum(value.values()), "sum": reading.total} | _quantiles(value)
    place[last] = value


def _quantiles(buckets: dict[float, int]) -> dict[str, float]:
    """The lower bounds of the buckets that hold the quantiles."""
    found: dict[str, float] = {}
    total, seen = sum(buckets.values()), 0
    wanted = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
    for bound, count in buckets.items():
        seen += count
        while wanted and seen >= wanted[0][1] * total:
            found[wanted.pop(0)[0]] = bound
    return found


def _tag(value: str) -> str:
    """A tag's value in base 64 where it has characters that the form gives a meaning."""
    if re.fullmatch(r"[A-Za-z0-9_./-]+", value):
        return value
    import base64

    return f'b"{base64.b64encode(value.encode()).decode()}"'
