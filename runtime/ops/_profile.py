"""``/mtev/profile``: where Python's time goes, and the forms in which any profile is shown.

A profile counts stacks, outermost frame first.  As folded stacks it is a line each, frames separated by semicolons, for
flamegraph.pl and the like; as JSON it is what speedscope reads.
"""

import json
import sys
import threading
import time
from collections import Counter
from types import FrameType
from typing import Any

from runtime import eventer
from runtime.http import GZIP, Request, Response

from ._answer import answer

LONGEST = 60
"""Seconds of a profile, at most."""
INTERVAL = 0.01
"""Seconds between two samples."""
DEPTH = 200

Stack = tuple[str, ...]

_busy = threading.Lock()


def wanted(request: Request, response: Response) -> tuple[float, str] | None:
    """Seconds and form that *request* asks for; None when it was answered that they make no sense."""
    text = (request.querystring("seconds") or b"5").decode("latin-1")
    form = (request.querystring("format") or b"folded").decode("latin-1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= LONGEST:
        answer(response, {"error": f"seconds: expected up to {LONGEST}, not '{text}'"}, 400)
    elif form not in ("folded", "speedscope"):
        answer(response, {"error": f"format: expected folded or speedscope, not '{form}'"}, 400)
    else:
        return seconds, form
    return None


def send_profile(response: Response, stacks: dict[Stack, int], form: str, name: str, interval: float) -> None:
    """Answer with *stacks*, each with its number of samples, one every *interval* seconds of CPU."""
    if response.complete:
        return
    if form == "speedscope":
        response.header("Content-Type", "application/json")
        response.header("Content-Disposition", f'inline; filename="{name}.speedscope.json"')
        text = json.dumps(speedscope(stacks, name, interval))
    else:
        response.header("Content-Type", "text/plain; charset=utf-8")
        text = "".join(f"{';'.join(map(_folded, stack))} {count}\n" for stack, count in sorted(stacks.items()))
    response.option(GZIP)
    response.write(text)
    response.flush_end()


def speedscope(stacks: dict[Stack, int], name: str, interval: float) -> dict[str, Any]:
    """The document that speedscope reads."""
    frames: dict[str, int] = {}
    samples = [[frames.setdefault(frame, len(frames)) for frame in stack] for stack in stacks]
    weights = [count * interval for count in stacks.values()]
    profile = {
        "type": "sampled",
        "name": name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": name,
        "exporter": "luamtev",
        "shared": {"frames": [{"name": frame} for frame in frames]},
        "profiles": [profile],
    }


def profile(request: Request, response: Response) -> None:
    """``GET /mtev/profile?seconds=5&format=folded|speedscope``: the threads of Python that use CPU."""
    asked = wanted(request, response)
    if asked is None:
        return
    seconds, form = asked
    if not _busy.acquire(blocking=False):
        answer(response, {"error": "somebody else is taking a profile"}, 409)
        return

    def done(outcome: eventer.Outcome) -> None:
        _busy.release()
        response.resume(send_profile, response, outcome.value or {}, form, "python", INTERVAL)

    eventer.simple_asynch(sample, seconds, back=done, queue=eventer.jobq_create("profile", 1))


def sample(seconds: float, interval: float = INTERVAL) -> dict[Stack, int]:
    """Count the stacks of all other threads that used CPU, every *interval* seconds for so many *seconds*."""
    found: Counter[Stack] = Counter()
    me = threading.get_ident()
    used: dict[int, float] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(interval)
        names = {each.ident: each.name for each in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident == me:
                continue
            now = thread_cpu(ident)
            worked = now is None or now > used.get(ident, now)
            used[ident] = now or 0.0
            if worked:
                found[(names.get(ident, f"{ident:#x}"), *_frames(frame))] += 1
    return dict(found)


def thread_cpu(ident: int) -> float | None:
    """CPU seconds of a thread; None where nobody knows."""
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(ident))
    except (AttributeError, OSError):
        return None


def _frames(frame: FrameType | None) -> Stack:
    stack: list[str] = []
    while frame is not None and len(stack) < DEPTH:
        code = frame.f_code
        stack.append(f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(stack))


def _folded(frame: str) -> str:
    return frame.replace(";", ",").replace("\n", " ")
