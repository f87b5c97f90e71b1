"""``/metrics``: everything counted, in the text formats of Prometheus and OpenMetrics.

Names carry units, counters end in ``_total``, histograms have the same buckets whatever was counted, each family has a
HELP and a TYPE.  What others know, :func:`family_source` brings in; loops and Lua states are asked on their own
threads, and left out when they do not answer within TIMEOUT.
"""

import os
import re
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime import eventer, http, late, stats
from runtime.http import GZIP, Request, Response
from runtime.stats import Reading

from ._page import lags

TIMEOUT = 1.0
"""Seconds within which a loop has to answer; its lag is at least that when it does not."""

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of every histogram of times, seconds."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

_UNFIT = re.compile(r"[^a-zA-Z0-9_]")
_HELP = {
    "http_requests": "Answers by route and class of status.",
    "http_latency": "Seconds from the first byte of a request to its answer, by route.",
    "log_lines_lost": "Lines that a log stream could not write.",
    "log_lines": "Lines that came by a log stream which counts them.",
    "http_engine_taken": "Requests served by the engine in Lua.",
    "http_engine_handed_over": "Connections that the engine in Lua left to others, by reason.",
}

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]


@dataclass
class Family:
    """One metric: its name without the prefix ``mtev_``, what it is, and its samples.  ``kind``: counter or gauge."""

    name: str
    kind: str
    help: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """One more sample."""
        self.samples.append((tuple(labels.items()), value))


Answer = Callable[[Iterable[Family]], object]
_sources: list[Callable[[Answer], object]] = []


def family_source(source: Callable[[Answer], object]) -> None:
    """Have ``source(answer)`` called whenever somebody looks; it calls *answer* with families, once, from anywhere."""
    _sources.append(source)


def metrics(request: Request, response: Response) -> None:
    """``GET /metrics``: OpenMetrics where the client asks for that."""
    openmetrics = b"application/openmetrics-text" in (request.header(b"accept") or b"")

    def answer(families: list[Family]) -> None:
        if response.complete:
            return
        lines = [*_counted(openmetrics), *_written(families, openmetrics)]
        if openmetrics:
            lines.append("# EOF")
        response.header("Content-Type", OPENMETRICS if openmetrics else PROMETHEUS)
        response.option(GZIP)
        response.write("\n".join(lines) + "\n")
        response.flush_end()

    _gather(lambda families: response.resume(answer, families))


def _gather(done: Callable[[list[Family]], object]) -> None:
    """Ask every source; *done* gets what has come when the last has answered, or TIMEOUT is over."""
    lock = threading.Lock()
    missing = len(_sources)
    found: list[Family] = []
    over = False

    def end(*_: object) -> None:
        nonlocal over
        with lock:
            ended, over = over, True
        if not ended:
            done(found)

    def came(families: Iterable[Family]) -> None:
        nonlocal missing
        with lock:
            if over:
                return
            found.extend(families)
            missing -= 1
            last = missing == 0
        if last:
            end()

    if not missing:
        end()
        return
    eventer.add_in(_time_is_up, end, TIMEOUT * 1.5)
    for each in list(_sources):
        each(came)


def _time_is_up(_event: eventer.Event, _mask: int, end: Callable[[], object], _now: float) -> None:
    end()


eventer.name_callback("metrics", _time_is_up)


# What is counted


def _counted(openmetrics: bool) -> Iterator[str]:
    described = set()
    for each in stats.read():
        name = _name(each)
        is_histogram = isinstance(each.value, dict)
        if is_histogram and not each.value:
            continue  # a route that nobody asked for
        if name not in described:
            described.add(name)
            kind = "histogram" if is_histogram else "gauge" if each.is_level else "counter"
            family = f"{name}_total" if kind == "counter" and not openmetrics else name
            yield f"# HELP {family} {_HELP.get(each.name, f'{each.name}, as /mtev/stats.json has it.')}"
            yield f"# TYPE {family} {kind}"
        labels = _labels(((key, value) for key, value in each.tags if key != "units"))
        if isinstance(each.value, dict):
            yield from _histogram(name, labels, each)
        else:
            yield f"{name}{'' if each.is_level else '_total'}{_braced(labels)} {_number(each.value)}"


def _name(reading: Reading) -> str:
    name = "mtev_" + _UNFIT.sub("_", reading.name)
    units = dict(reading.tags).get("units")
    if isinstance(reading.value, dict):
        units = units or "seconds"
    if units and not name.endswith("_" + units):
        name += "_" + _UNFIT.sub("_", units)
    return name.removesuffix("_total")


def _histogram(name: str, labels: str, reading: Reading) -> Iterator[str]:
    """Counts by the fixed bounds; a value belongs below a bound when its own narrow bucket does."""
    assert isinstance(reading.value, dict)
    narrow = sorted(reading.value.items())
    comma = "," if labels else ""
    seen = at = 0
    for bound in BUCKETS:
        while at < len(narrow) and _upper(narrow[at][0]) <= bound * (1 + 1e-9):
            seen += narrow[at][1]
            at += 1
        yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {seen}'
    total = sum(count for _, count in narrow)
    yield f'{name}_bucket{{{labels}{comma}le="+Inf"}} {total}'
    yield f"{name}_sum{_braced(labels)} {_number(reading.total)}"
    yield f"{name}_count{_braced(labels)} {total}"


def _upper(lower: float) -> float:
    """The upper bound of a bucket of two decimal digits."""
    if not lower:
        return 0.0
    digits, _, exponent = f"{lower:.1e}".partition("e")
    return (float(digits) + 0.1) * 10.0 ** int(exponent)


def _written(families: Iterable[Family], openmetrics: bool) -> Iterator[str]:
    merged: dict[str, Family] = {}
    for each in families:
        known = merged.setdefault(each.name, Family(each.name, each.kind, each.help))
        known.samples += each.samples
    for name in sorted(merged):
        each = merged[name]
        shown = f"mtev_{name}"
        suffix = "_total" if each.kind == "counter" else ""
        family = shown if openmetrics else shown + suffix
        yield f"# HELP {family} {each.help}"
        yield f"# TYPE {family} {each.kind}"
        for labels, value in each.samples:
            yield f"{shown}{suffix}{_braced(_labels(labels))} {_number(value)}"


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{_UNFIT.sub("_", key)}="{_escaped(value)}"' for key, value in pairs)


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(float(value))


# What the process and the stack know of themselves


def _process(answer: Answer) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    families = [
        Family("process_cpu_seconds", "counter", "CPU time used.", [((), usage.ru_utime + usage.ru_stime)]),
        Family("process_threads", "gauge", "Threads of Python's.", [((), threading.active_count())]),
        Family("process_start_time_seconds", "gauge", "When the process began, epoch seconds.", [((), STARTED)]),
    ]
    resident = _resident()
    if resident is not None:
        families.append(Family("process_resident_memory_bytes", "gauge", "Resident memory.", [((), resident)]))
    try:
        held = len(os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"))  # noqa: PTH208
        families.append(Family("process_open_fds", "gauge", "Descriptors that are open.", [((), held)]))
    except OSError:
        pass
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    families.append(Family("process_max_fds", "gauge", "Descriptors that may be open.", [((), soft)]))
    watchdog = late.imported("runtime.watchdog")
    starts = watchdog.number_of_starts() if watchdog is not None else 0
    families.append(Family("restarts", "counter", "Times that the watchdog started the server again.", [((), starts)]))
    in_flight = Family("http_requests_in_flight", "gauge", "Requests that are served now.")
    in_flight.add(http.in_flight(), server="python")
    answer([*families, in_flight, *_jobq()])


STARTED = time.time()


def _resident() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return None


_JOBQ = (
    ("concurrency", "jobq_threads", "gauge", "Threads of a job queue.", 1.0),
    ("desired_concurrency", "jobq_threads_desired", "gauge", "Threads that a job queue wants when there is work.", 1.0),
    ("backlog", "jobq_backlog", "gauge", "Jobs that wait.", 1.0),
    ("inflight", "jobq_inflight", "gauge", "Jobs that run.", 1.0),
    ("total_jobs", "jobq_jobs", "counter", "Jobs put into a queue.", 1.0),
    ("timeouts", "jobq_timeouts", "counter", "Jobs that were too late to begin.", 1.0),
    ("avg_wait_ms", "jobq_wait_seconds", "gauge", "How long the last jobs waited.", 1e-3),
    ("avg_run_ms", "jobq_run_seconds", "gauge", "How long the last jobs ran.", 1e-3),
)


def _jobq() -> list[Family]:
    figures = eventer.jobq_figures()
    found = []
    for key, name, kind, text, scale in _JOBQ:
        family = Family(name, kind, text)
        for queue, values in figures.items():
            if key in values:
                family.add(values[key] * scale, queue=queue)
        found.append(family)
    return found


def _loops(answer: Answer) -> None:
    """How long each loop takes to get to what it is given, and how many events it has."""

    def families(rows: list[dict[str, Any]]) -> None:
        lag = Family("loop_lag_seconds", "gauge", "How long a loop took to get to something; one that did not: so far.")
        events = Family("loop_events", "gauge", "Events on a loop.")
        for each in rows:
            lag.add(each["lag"], loop=each["pool"], thread=each["name"])
            events.add(each["events"], loop=each["pool"], thread=each["name"])
        answer([lag, events])

    lags(families)


_sources += [_process, _loops]
