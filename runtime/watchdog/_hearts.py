"""Hearts: who beats, and when it last did, in memory shared by monitor and server.  Manual: mtev_watchdog_create.

A heart is watched from its first beat on.  The clock is the monotonic one, which both processes read alike.  Before the
hearts the memory has a few bytes by which the two tell each other how things stand.
"""

import mmap
import os
import struct
import threading
import time

from runtime import eventer

SLOTS = 512
TIMEOUT = 5.0
"""Seconds of silence after which a heart has stopped, unless MTEV_WATCHDOG_TIMEOUT or the heart says otherwise."""

_SLOT = struct.Struct("dd?7x40s")  # last beat, or 0; timeout, or 0 for the default; enabled; name
_LAST = struct.Struct("d")
_HEARTS_AT = 8  # behind the bytes of the two
_UP, _REPORT = 0, 1
_WANTED, _DONE = 1, 2

_memory: mmap.mmap | None = None
_lock = threading.Lock()
_next = 0
_here = threading.local()


class Heart:
    """One heart.  Made by :func:`create`."""

    def __init__(self, slot: int) -> None:
        self._at = _HEARTS_AT + slot * _SLOT.size

    @property
    def name(self) -> str:
        """What the monitor calls it.  Manual: ``mtev_watchdog_get_name``."""
        return _fields(self._at)[3]

    @property
    def timeout(self) -> float:
        """Seconds of silence that are allowed.  Manual: ``mtev_watchdog_get_timeout``."""
        return _fields(self._at)[1] or default_timeout()

    def beat(self) -> None:
        """Tell the monitor that all is well.  Manual: ``mtev_watchdog_heartbeat``."""
        if _memory is not None:
            _LAST.pack_into(_memory, self._at, time.monotonic())

    def set_name(self, name: str) -> None:
        """Manual: ``mtev_watchdog_set_name``."""
        self._change(name=name)

    def override_timeout(self, seconds: float) -> None:
        """Allow *seconds* of silence, 0 for the default.  Manual: ``mtev_watchdog_override_timeout``."""
        self._change(seconds=seconds)

    def enable(self) -> None:
        """Have silence noticed.  Manual: ``mtev_watchdog_enable``."""
        self._change(enabled=True)

    def disable(self) -> None:
        """Have silence ignored.  Manual: ``mtev_watchdog_disable``."""
        self._change(enabled=False)

    def _change(self, name: str | None = None, seconds: float | None = None, enabled: bool | None = None) -> None:
        if _memory is None:
            return
        last, old_seconds, old_enabled, old_name = _fields(self._at)
        _SLOT.pack_into(
            _memory,
            self._at,
            last,
            old_seconds if seconds is None else seconds,
            old_enabled if enabled is None else enabled,
            (old_name if name is None else name).encode()[:40],
        )


def prefork_init() -> None:
    """Make the memory that monitor and server share; before the fork.  Manual: ``mtev_watchdog_prefork_init``."""
    global _memory, _next
    if _memory is None:
        _memory = mmap.mmap(-1, _HEARTS_AT + SLOTS * _SLOT.size)  # anonymous and shared
    _memory[:] = bytes(len(_memory))
    _next = 0


def came_up() -> None:
    """For the server: it is up, from its configuration to its listeners and modules."""
    if _memory is not None:
        _memory[_UP] = 1


def is_up() -> bool:
    """Whether the server came up."""
    return _memory is not None and _memory[_UP] == 1


def want_report() -> None:
    """For the monitor: the signal that follows asks for a report of all stacks, to be left where it keeps traces."""
    assert _memory is not None
    _memory[_REPORT] = _WANTED


def is_report_wanted() -> bool:
    """For the server: whether the monitor asked for a report."""
    return _memory is not None and _memory[_REPORT] == _WANTED


def report_done() -> None:
    """For the server: the report is written."""
    assert _memory is not None
    _memory[_REPORT] = _DONE


def is_report_done() -> bool:
    """For the monitor: whether the report it asked for is written."""
    assert _memory is not None
    return _memory[_REPORT] == _DONE


def create(name: str, seconds: float = 0.0) -> Heart:
    """A heart that may be silent for *seconds*, 0 for the default.  Without a monitor it beats for nobody.

    Manual: ``mtev_watchdog_create``.  Raises RuntimeError when there are more than :data:`SLOTS`."""
    global _next
    with _lock:
        slot = _next
        if slot >= SLOTS:
            raise RuntimeError(f"the watchdog watches {SLOTS} hearts at most")
        _next += 1
    heart = Heart(slot)
    if _memory is not None:
        _SLOT.pack_into(_memory, heart._at, 0.0, seconds, True, name.encode()[:40])
    return heart


def default_timeout() -> float:
    """Seconds; MTEV_WATCHDOG_TIMEOUT if that is a number above 0."""
    try:
        seconds = float(os.environ.get("MTEV_WATCHDOG_TIMEOUT", ""))
    except ValueError:
        return TIMEOUT
    return seconds if 0.0 < seconds < float("inf") else TIMEOUT


def is_watched() -> bool:
    """Whether this process has a monitor."""
    return _memory is not None


def watch_loops() -> None:
    """Give every loop thread a heart, which beats for as long as its loop turns.

    Manual: ``mtev_watchdog_child_eventer_heartbeat``."""
    if _memory is None:
        return
    for pool in eventer.pools():
        for thread in pool.threads:
            heart = create(thread.name, pool.timeout)
            thread.post(_begin, heart)


def timeout() -> float | None:
    """Seconds that this thread may be silent; None when nobody watches it.  Manual: ``eventer_watchdog_timeout``."""
    heart: Heart | None = getattr(_here, "heart", None)
    return None if heart is None or _memory is None else heart.timeout


def child_heartbeat() -> None:
    """Beat this thread's heart, from inside work that takes long.  Manual: ``mtev_watchdog_child_heartbeat``."""
    heart: Heart | None = getattr(_here, "heart", None)
    if heart is not None:
        heart.beat()


def silent(now: float) -> tuple[str, float] | None:
    """For the monitor: the name of a heart that fell silent and for how long, or None."""
    assert _memory is not None
    usual = default_timeout()
    for at in range(_HEARTS_AT, len(_memory), _SLOT.size):
        last, seconds, enabled, name = _fields(at)
        if not name:
            break
        if last and enabled and now - last > (seconds or usual):
            return name, now - last
    return None


def _begin(heart: Heart) -> None:
    _here.heart = heart
    _beat(heart)


def _beat(heart: Heart, *_: object) -> None:
    heart.beat()
    eventer.add_in(lambda *_: _beat(heart), None, min(1.0, heart.timeout / 8), prompt=True)


def _fields(at: int) -> tuple[float, float, bool, str]:
    if _memory is None:
        return 0.0, 0.0, False, ""
    last, seconds, enabled, name = _SLOT.unpack_from(_memory, at)
    return last, seconds, enabled, name.rstrip(b"\0").decode("utf-8", "replace")
