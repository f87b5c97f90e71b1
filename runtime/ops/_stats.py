"""``/mtev/stats.json`` and ``/metrics``: the counters and histograms of :mod:`runtime.stats`."""

import re
from collections.abc import Iterator
from typing import Any

from runtime import log, stats
from runtime.http import GZIP, Request, Response
from runtime.stats import Reading

from ._answer import answer

_UNFIT = re.compile(r"[^a-zA-Z0-9_:]")


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


def metrics(_request: Request, response: Response) -> None:
    """``GET /metrics``: the same in the text format of Prometheus."""
    lines: list[str] = []
    described = set()
    for each in stats.read():
        name = "mtev_" + _UNFIT.sub("_", each.name)
        is_histogram = isinstance(each.value, dict)
        if name not in described:
            described.add(name)
            lines.append(f"# TYPE {name} {'histogram' if is_histogram else 'counter'}")
        lines += _prometheus(name, each)
    response.header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    response.option(GZIP)
    response.write("\n".join(lines) + "\n")
    response.flush_end()


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


def _prometheus(name: str, reading: Reading) -> Iterator[str]:
    labels = ",".join(f'{_UNFIT.sub("_", key)}="{_label(value)}"' for key, value in reading.tags if key != "units")
    if not isinstance(reading.value, dict):
        yield f"{name}{{{labels}}} {reading.value}" if labels else f"{name} {reading.value}"
        return
    seen = 0
    comma = "," if labels else ""
    for bound, count in reading.value.items():
        seen += count
        upper = float(f"{bound * 1.1:.1e}") if bound else 0.0
        yield f'{name}_bucket{{{labels}{comma}le="{max(upper, bound):g}"}} {seen}'
    yield f'{name}_bucket{{{labels}{comma}le="+Inf"}} {seen}'
    suffix = f"{{{labels}}}" if labels else ""
    yield f"{name}_sum{suffix} {reading.total}"
    yield f"{name}_count{suffix} {seen}"


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
