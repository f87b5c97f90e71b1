"""What a log stream is told: a memory log behind it, to look at and to wait for."""

import re
from collections.abc import Callable

from waiting import until

from runtime import log


def hear(name: str) -> Callable[[], list[str]]:
    """The lines that the stream *name* gets from now on, whenever the function returned is called."""
    sink = log.new_stream(f"heard {name}", type="memory", path="100000,100000000")
    log.stream_find(name).add_outlet(sink)
    kept = sink.ctx
    assert isinstance(kept, log.Memory)
    return lambda: [line.decode("utf-8", "replace") for _, _, line in kept.entries()]


def wait_for(heard: Callable[[], list[str]], pattern: str) -> str:
    """The first line in which *pattern* is found; waits for it."""
    wanted = re.compile(pattern)
    (first, *_) = until(
        lambda: [line for line in heard() if wanted.search(line)], lambda: f"no line {pattern!r} in {heard()}"
    )
    return first
