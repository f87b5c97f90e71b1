"""The keys of ``<eventer><config>``: read and checked here once.  Manual: Eventer.

Keys that the manual does not list are left alone: a ``config`` also holds what it inherits from elements around it.
"""

import select
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ._errors import EventerError
from ._settings import Settings

SAFETIES = ("none", "cs", "gc")
LEAST_FILES = 256
MOST_THREADS = 1024

_CACHE = "ssl_ctx_cache_expiry"
_DH = ("ssl_dhparam1024_file", "ssl_dhparam2048_file")
_MEANINGLESS = {
    _CACHE: "contexts are made anew as soon as a file of theirs changes, so none has to expire",
    **dict.fromkeys(_DH, "the TLS library has parameters of its own"),
}

_IMPLEMENTATIONS = ("epoll", "kqueue", "ports")
_FACILITIES = {"epoll": "epoll", "kqueue": "kqueue", "ports": "devpoll"}  # what the select module has where they exist


class LoopSetting(NamedTuple):
    """``loop_NAME``: a *concurrency* of 0 is that of the default pool, a *timeout* of 0 the watchdog's own."""

    concurrency: int
    timeout: float


class JobqSetting(NamedTuple):
    """``jobq_NAME``; *lifo* is None for the default order."""

    concurrency: int
    least: int = 0
    most: int = 0
    safety: str = "gc"
    backlog: int = 0
    lifo: bool | None = None


def parse(keys: Mapping[str, str], complain: Callable[[EventerError], object]) -> Settings:
    """The settings that *keys* stand for; *complain* is given what names a key and the value that cannot be used."""
    found = Settings()
    for key, text in keys.items():
        try:
            _take(found, key, text.strip())
        except EventerError as mistake:
            complain(mistake)
    return found


def _take(found: Settings, key: str, value: str) -> None:
    if key == "debugging":
        found.debugging = value != "0"
    elif key == "turn_budget":
        found.turn_budget = _budget(value, key)
    elif key == "show_loop_callbacks_threshold":
        found.loop_threshold = _threshold(value, key)
    elif key == "show_jobq_callbacks_threshold":
        found.jobq_threshold = _threshold(value, key)
    elif key == "recurrent_interval":
        found.recurrent_interval = _seconds(value, key) / 1e3
    elif key == "rlim_nofiles":
        found.rlim_nofiles = _count(value, key, "number of files", LEAST_FILES)
    elif key == "default_queue_threads":
        found.default_queue_threads = _count(value, key, "number of threads", 1, MOST_THREADS)
    elif key == "concurrency":
        found.concurrency = _count(value, key, "number of threads", 0, MOST_THREADS)
    elif key == "default_jobq_ordering":
        found.lifo = _order(value, key)
    elif key == "default_ca_chain":
        found.default_ca_chain = _readable(value, key)
    elif key == "shutdown_timeout":
        found.shutdown_timeout = _seconds(value, key)
    elif key == _CACHE:
        found.ssl_ctx_cache_expiry = _seconds(value, key)
    elif key in _DH:
        found.dhparam_files[key] = value
    elif key.startswith("loop_"):
        found.loops[_name(key, "loop_", "loop")] = _loop(value, key)
    elif key.startswith("jobq_"):
        found.jobqs[_name(key, "jobq_", "job queue")] = _jobq(value, key)


def meaningless(keys: Mapping[str, str], settings: Settings) -> list[str]:
    """What of *keys*, from which *settings* were made, asks for something that does not exist here, and why not."""
    said = [f"eventer {key} means nothing here: {why}" for key, why in _MEANINGLESS.items() if keys.get(key)]
    said += [
        f"eventer jobq_{name}: memory safety '{queue.safety}' means nothing here: Python reclaims memory itself"
        for name, queue in settings.jobqs.items()
        if queue.safety != JobqSetting(1).safety
    ]
    return said


def _name(key: str, prefix: str, what: str) -> str:
    name = key.removeprefix(prefix)
    if not name:
        raise EventerError(f"eventer {key}: a {what} needs a name")
    return name


def _loop(text: str, key: str) -> LoopSetting:
    threads, _, timeout = text.partition(",")
    return LoopSetting(
        _count(threads, key, "number of threads", 0, MOST_THREADS), _seconds(timeout.strip() or "0", key)
    )


def _jobq(text: str, key: str) -> JobqSetting:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 6:
        raise EventerError(f"eventer {key}: '{text}' is not concurrency[,min[,max[,safety[,backlog[,lifo]]]]]")
    concurrency, least, most, safety, backlog, order = parts + [""] * (6 - len(parts))
    threads = _count(concurrency, key, "number of threads", 1, MOST_THREADS)
    lower = _count(least or "0", key, "minimum", 0, MOST_THREADS)
    upper = _count(most, key, "maximum", 0, MOST_THREADS) if most else lower
    if upper and lower > upper:
        raise EventerError(f"eventer {key}: '{text}' has a minimum above its maximum")
    if safety and safety not in SAFETIES:
        raise EventerError(f"eventer {key}: '{safety}' is no memory safety: expected none, cs or gc")
    limit = _count(backlog or "0", key, "backlog")
    return JobqSetting(threads, lower, upper, safety or "gc", limit, _order(order, key) if order else None)


def _order(text: str, key: str) -> bool:
    if text.lower() not in ("lifo", "fifo"):
        raise EventerError(f"eventer {key}: '{text}' is no order: expected lifo or fifo")
    return text.lower() == "lifo"


def _count(text: str, key: str, what: str, least: int = 0, most: int = 2**31 - 1) -> int:
    number = int(text) if text.isascii() and text.strip().isdecimal() and len(text) <= 20 else -1
    if number < least:
        raise EventerError(f"eventer {key}: '{text}' is no {what}" + (f" of at least {least}" if least else ""))
    if number > most:
        raise EventerError(f"eventer {key}: '{text}' is no {what} of at most {most}")
    return number


def _budget(text: str, key: str) -> float:
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = 0.0
    if not 0.0 < milliseconds < float("inf"):
        raise EventerError(f"eventer {key}: '{text}' is no time in milliseconds above 0")
    return milliseconds / 1e3


def _threshold(text: str, key: str) -> float | None:
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = -2.0
    if milliseconds == -1.0:
        return None
    if not 0.0 <= milliseconds < float("inf"):
        raise EventerError(f"eventer {key}: '{text}' is no threshold in milliseconds, nor -1 for none")
    return milliseconds / 1e3


def _seconds(text: str, key: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise EventerError(f"eventer {key}: '{text}' is no time in seconds")
    return seconds


def _readable(path: str, key: str) -> str:
    try:
        with open(path, "rb"):
            return path
    except OSError as refused:
        raise EventerError(f"eventer {key}: cannot read '{path}': {refused.strerror}") from None


def check_implementation(name: str) -> None:
    """Raises :exc:`EventerError` for a *name* that is no implementation of this platform."""
    if name not in _IMPLEMENTATIONS:
        raise EventerError(f"eventer implementation: '{name}' is none: expected epoll, kqueue or ports")
    if not hasattr(select, _FACILITIES[name]):
        raise EventerError(f"eventer implementation: '{name}' does not exist on this platform")
