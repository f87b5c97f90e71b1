"""Looks after the sessions of a loop thread: closes what is overdue, and ends them all when the program does.

One timer a thread instead of one a connection.  When a session is overdue, the session itself knows.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime import eventer, net
from runtime.eventer import in_slices  # now: later there may be no descriptor for the file

from . import guests

if TYPE_CHECKING:
    from .session import Session

NEWCOMERS = 1.0  # seconds for those who were let in at the end to say what they speak
POLL = 0.005  # seconds between looks at sessions that are to end
TICK = 1.0  # seconds between looks at the clocks of sessions, at most

_finishing = False
_sweepers: "dict[eventer.LoopThread, Sweeper]" = {}


class Sweeper:
    """The sessions of one loop thread, looked at in turns of a timer."""

    def __init__(self, owner: eventer.LoopThread, clock: Callable[[], float] = time.monotonic) -> None:
        self.sessions: set[Session] = set()
        self.tick = TICK
        self.clock = clock
        self.finishing = _finishing
        self._armed = False
        owner.on_stop(lambda: _sweepers.pop(owner, None))

    def add(self, session: "Session") -> None:
        """Look after *session*."""
        self.sessions.add(session)
        if self.finishing:
            eventer.current().post(session.finish)
        limits = session.limits
        for seconds in (limits.header_timeout, limits.body_timeout, limits.idle_timeout):
            if seconds:
                self.tick = max(0.05, min(self.tick, seconds / 4))
        if not self._armed:
            self._armed = True
            eventer.add_in(self._turn, None, self.tick)

    def discard(self, session: "Session") -> None:
        """Forget *session*."""
        self.sessions.discard(session)

    def sweep(self) -> None:
        """Close what is overdue."""
        now = self.clock()
        in_slices(list(self.sessions), lambda session: session.expire(now))

    def finish(self) -> None:
        """Have every session end, those to come too, as soon as what it does is done."""
        self.finishing = True
        in_slices(list(self.sessions), lambda session: session.finish())

    def _turn(self, *_: object) -> None:
        try:
            self.sweep()
        finally:  # whatever it is, time goes on
            self._armed = bool(self.sessions)
            if self._armed:
                eventer.add_in(self._turn, None, self.tick)


def current() -> Sweeper:
    """The one of this loop thread, made at first use."""
    owner = eventer.current()
    found = _sweepers.get(owner)
    if found is None:
        found = _sweepers[owner] = Sweeper(owner)
    return found


def sessions_of(owner: eventer.LoopThread) -> "list[Session]":
    """The sessions of a loop thread.  From any thread; they are for their own."""
    sweeper = _sweepers.get(owner)
    return [] if sweeper is None else list(sweeper.sessions)


def in_flight() -> int:
    """How many requests sessions serve now; guests count their own."""
    return sum(session.http.active is not None for owner in list(_sweepers) for session in sessions_of(owner))


def finish(timeout: float) -> bool:
    """Have all sessions finish the requests they have, and none of those to come; not from a loop thread.

    Connections that were accepted before have a moment to ask.  Returns whether all did within *timeout* seconds."""
    global _finishing
    _finishing = True
    try:
        return _finish(timeout)
    finally:
        _finishing = False


def _finish(timeout: float) -> bool:
    for owner, sweeper in list(_sweepers.items()):
        owner.post(sweeper.finish)
    for owner, guest in guests.everywhere():
        owner.post(guest.finish)
    now = quiet = time.monotonic()
    deadline = now + timeout
    while (busy := _is_busy()) or (net.arriving() and now < quiet + NEWCOMERS):
        if now >= deadline:
            return False
        time.sleep(POLL)
        now = time.monotonic()
        if busy:
            quiet = now
    return True


def _is_busy() -> bool:
    return any(map(sessions_of, list(_sweepers))) or any(guest.count for _, guest in guests.everywhere())
