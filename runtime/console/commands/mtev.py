"""``mtev``: what can be turned in a running system.  Manual: Console, mtev."""

from collections.abc import Callable

from runtime import eventer, sampling
from runtime.console._console import Console
from runtime.console._grammar import Registry

JOBQ_USAGE = "<jobq> <floor|concurrency|min|max> <n>\n<jobq> <ping|post>\n"
INTERN_USAGE = "<intern> list\n<intern> <poolid> stats\n<intern> <poolid> compact\n"
ZIPKIN_USAGE = """\
takes no arguments or three arguments:
   zipkin
       shows current probabilities
   zipkin 90 - 100
       set new trace creation to a 90% probability
       leaves trace creation when a parent is present unchanged
       sets debugging trace creation to 100%
       shows previous and current probabilities
"""
ZIPKIN_HEAD = "         |  New Traces | Parented Traces | Debugging Requests |\n"


def install(registry: Registry) -> None:
    """Enter them."""
    registry.add("mtev jobq", jobq, complete=queues, about="mtev jobq QUEUE WHAT N: change a job queue")
    registry.add("mtev intern", intern, about="mtev intern list: pools of interned strings")
    registry.add("mtev rdtsc status", rdtsc, about="where the time comes from")
    registry.add("mtev rdtsc enable", _nothing, about="the system's clock stays in use")
    registry.add("mtev rdtsc disable", _nothing, about="the system's clock stays in use")
    registry.add("mtev zipkin", zipkin, about="mtev zipkin [NEW PARENTED DEBUG]: percentages of requests to be traced")


def queues(_console: Console, words: list[str]) -> list[str]:
    """The names of queues, then what can be done to one."""
    if len(words) == 1:
        return list(eventer.jobq_figures())
    return ["concurrency", "floor", "max", "min", "mode", "ping", "post"] if len(words) == 2 else []


def jobq(console: Console, words: list[str]) -> None:
    """``mtev jobq QUEUE concurrency|floor|min|max N``, ``… mode fifo|lifo``, ``… ping|post``."""
    if len(words) < 2:
        console.print(JOBQ_USAGE)
        return
    name, what, *rest = words
    queue = next((each for each in eventer.jobqs() if each.name == name), None)
    if queue is None:
        console.print("No such jobq.\n")
    elif what == "post" and not rest:
        queue.post()
        console.print("jobq posted\n")
    elif what == "ping" and not rest:
        eventer.simple_asynch(_nothing, console, words, queue=queue)
        console.print("jobq pinged\n")
    elif what == "mode" and rest:
        if rest[0].lower() not in ("fifo", "lifo"):
            console.print(f"mode '{rest[0]}' not understood, must be <fifo|lifo>\n")
            return
        queue.set_lifo(rest[0].lower() == "lifo")
        console.print(f"Setting '{name}' mode to {rest[0]}\n")
    elif what in _LIMITS and rest:
        if not rest[0].isdecimal() or len(rest[0]) > 9:
            console.print(f"'{rest[0]}' is no number of threads\n")
            return
        refusal = _LIMITS[what](queue, int(rest[0]))
        console.print(refusal or f"Setting '{name}' jobq {what} to {rest[0]}\n")
    else:
        console.print(f"Unknown jobq command: {what}\n")


def _concurrency(queue: eventer.JobQueue, number: int) -> str:
    return _refused(lambda: queue.set_concurrency(number))


def _floor(queue: eventer.JobQueue, number: int) -> str:
    return _refused(lambda: queue.set_floor(number))


def _min(queue: eventer.JobQueue, number: int) -> str:
    most = int(queue.figures()["max_concurrency"])
    if most and number > most:
        return f"failed: {number} is greater than current max of {most}\n"
    return _refused(lambda: queue.set_min_max(number, most))


def _max(queue: eventer.JobQueue, number: int) -> str:
    least = int(queue.figures()["min_concurrency"])
    if number and number < least:
        return f"failed: {number} is less than current min of {least}\n"
    return _refused(lambda: queue.set_min_max(least, number))


_LIMITS: dict[str, Callable[[eventer.JobQueue, int], str]] = {
    "concurrency": _concurrency,
    "floor": _floor,
    "min": _min,
    "max": _max,
}


def _refused(change: Callable[[], object]) -> str:
    try:
        change()
    except eventer.EventerError as refusal:
        return f"failed: {refusal}\n"
    return ""


def intern(console: Console, words: list[str]) -> None:
    """``mtev intern list`` and ``mtev intern ID stats|compact``: there is one pool, and nothing needs to be in it."""
    if words == ["list"]:
        console.print("0: 0 items in 0 extents, 0 available of 0 allocated\n")
    elif len(words) < 2:
        console.print(INTERN_USAGE)
    elif words[0] != "0":
        console.print(f"Pool {words[0]} doesn't exist\n")
    elif words[1] == "stats":
        none = "[ " + ", ".join(["0"] * 32) + " ]"
        console.print(
            "Pool 0\n      items: 0\n    extents: 0\n  allocated: 0 bytes\n   internal: 0 bytes\n"
            f"  available: 0 bytes\n             {none}\n  fragments: 0\n             {none}\n"
            "     staged: 0 (0 bytes)\n"
        )
    elif words[1] == "compact":
        console.print("compaction recovered 0 fragments\n")
    else:
        console.print("unknown command\n")


def rdtsc(console: Console, _words: list[str]) -> None:
    """``mtev rdtsc status``: time is the system's clock here."""
    console.print("rdtsc is current inactive\nexplicitly disabled at runtime\n")


def _nothing(_console: Console, _words: list[str]) -> None:
    """Processors' counters are never used; and a job queue that is pinged has nothing else to do."""


def zipkin(console: Console, words: list[str]) -> None:
    """``mtev zipkin [NEW PARENTED DEBUG]``: percentages, ``-`` leaves one as it is."""
    if len(words) not in (0, 3):
        console.print(ZIPKIN_USAGE)
        return
    if not words:
        console.print(ZIPKIN_HEAD + _percentages("Set To:"))
        return
    wanted: list[float | None] = []
    for word in words:
        try:
            value = None if word == "-" else float(word)
        except ValueError:
            value = -1.0
        if value is not None and not 0 <= value <= 100:
            console.print(f"'{word}' is no percentage\n")
            return
        wanted.append(value)
    was = _percentages("Was:")
    sampling.change(*wanted)
    console.print(ZIPKIN_HEAD + was + _percentages("Set to:"))


def _percentages(label: str) -> str:
    return f" {label:7} |{sampling.new:9.2f}%   |{sampling.parented:12.2f}%    |{sampling.debug:13.2f}%      |\n"
