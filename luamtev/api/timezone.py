"""Time zones for Lua: the offset that holds at a time, and between which times it does.  Manual: mtev.timezone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError

if TYPE_CHECKING:
    from luamtev.port import Port

FIRST, LAST = -62135596800 + 2 * 86400, 253402300799 - 2 * 86400  # what a datetime can tell in any zone
EVER = 2**53
STEP = 7 * 86400
"""Seconds: no zone keeps an offset for less, apart from changes of a moment that history has none of."""

_zones: dict[bytes, Any] = {}


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/timezone.lua`` builds on."""
    return {"timezone_open": timezone_open, "timezone_period": timezone_period}


def timezone_open(name: bytes) -> None:
    """Check that the zone exists; raises for one that does not."""
    if name in _zones:
        return
    from zoneinfo import ZoneInfo

    try:
        _zones[name] = ZoneInfo(name.decode())
    except (OSError, ValueError, KeyError):  # unknown names, and names that are no relative path
        raise LuaError(f"unknown timezone: {name.decode('utf-8', 'replace')}") from None


def timezone_period(name: bytes, epoch: float) -> tuple[int, int, int, bool, str]:
    """When the offset at *epoch* began, when it ends (seconds since 1970, at most a year either way), and what it is:
    seconds east of UTC, whether it is daylight saving time, and its abbreviation."""
    zone = _zones[name]
    at = min(max(int(epoch), FIRST), LAST)
    here = _state_at(zone, at)
    start, end = at, at
    for _ in range(52):
        if end + STEP > LAST or _state_at(zone, end + STEP) != here:
            end = _edge(zone, end, min(end + STEP, LAST), here)
            break
        end += STEP
    for _ in range(52):
        if start - STEP < FIRST or _state_at(zone, start - STEP) != here:
            start = _edge(zone, start, max(start - STEP, FIRST), here)
            break
        start -= STEP
    return (start if start > FIRST else -EVER, end + 1 if end < LAST else EVER, *here)


def _state_at(zone: Any, epoch: int) -> tuple[int, bool, str]:
    from datetime import datetime  # here, because a program that never asks need not wait for it

    time = datetime.fromtimestamp(epoch, zone)
    offset, saving = time.utcoffset(), time.dst()
    assert offset is not None
    return int(offset.total_seconds()), bool(saving), time.tzname() or ""


def _edge(zone: Any, inside: int, outside: int, here: tuple[int, bool, str]) -> int:
    """The last second, from *inside* towards *outside*, at which the zone is as *here*."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if _state_at(zone, middle) == here:
            inside = middle
        else:
            outside = middle
    return outside if _state_at(zone, outside) == here else inside
