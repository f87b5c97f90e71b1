"""Events: what they wait for, and the rule that a callback's return value is the next mask.

An event is added once, runs on the loop thread that owns it, and is let go when its callback returns 0 or it is
removed.  Manual: The Eventer (File Descriptor Activity, Recurrent Events, Timed Events, Choosing Threads).
"""

import time
from collections.abc import Callable
from typing import Any

from ._callbacks import name_for_callback
from ._errors import EventerError
from ._pools import choose_owner
from ._thread import LoopThread, current, is_loop_thread

READ = 0x01
WRITE = 0x02
EXCEPTION = 0x04
TIMER = 0x08
ASYNCH_WORK = 0x10
ASYNCH_CLEANUP = 0x20
ASYNCH = ASYNCH_WORK | ASYNCH_CLEANUP
RECURRENT = 0x80

_FD = READ | WRITE | EXCEPTION
_READINESS = READ | WRITE  # libev reports an error as readiness for both

Callback = Callable[["Event", int, Any, float], int | None]
"""``callback(event, mask, closure, now)``: *mask* says what happened, *now* is the epoch time in seconds."""


class Event:
    """One thing to wait for.  Made by :func:`alloc_fd`, :func:`alloc_timer` and :func:`alloc_recurrent`.

    Attributes: ``callback``, ``closure``, ``mask``, ``fd`` (-1 for none), ``whence`` (epoch seconds of a timer),
    ``owner`` (the loop thread; chosen when the event is added, unless set before).
    """

    __slots__ = ("_watcher", "callback", "closure", "fd", "mask", "owner", "whence")

    def __init__(self, callback: Callback, closure: object, mask: int, fd: int = -1, whence: float = 0.0) -> None:
        self.callback = callback
        self.closure = closure
        self.mask = mask
        self.fd = fd
        self.whence = whence
        self.owner: LoopThread | None = None
        self._watcher: Any = None

    def __repr__(self) -> str:
        what = f"fd {self.fd}" if self.mask & _FD else "timer" if self.mask & TIMER else "recurrent"
        return f"<Event {what} mask={self.mask:#04x} callback={name_for_callback(self.callback)}>"

    @property
    def active(self) -> bool:
        """Whether the event is on a loop now."""
        return self._watcher is not None

    def attach(self) -> None:
        """Start watching; only the owner's thread calls this."""
        owner = current()
        loop = owner.loop
        if self.mask & _FD:
            self._watcher = loop.io(self.fd, self.mask & _READINESS or READ)
            self._watcher.start(self._fd_ready, pass_events=True)
        elif self.mask & TIMER:
            self._watcher = loop.timer(max(0.0, self.whence - time.time()))
            self._watcher.start(self._timer_due, update=True)
        else:
            self._watcher = loop.prepare()
            self._watcher.start(self._loop_turn)
        owner.events.add(self)

    def detach(self) -> None:
        """Stop watching; only the owner's thread calls this."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()
        if self.owner is not None:
            self.owner.events.discard(self)

    def rearm(self, mask: int) -> None:
        """Watch for *mask* from now on; only the owner's thread calls this."""
        if mask & ~_FD or not mask:
            raise EventerError(f"{self!r}: {mask:#x} is no mask of descriptor activity")
        if mask != self.mask:
            self.mask = mask
            self._watcher.stop()
            self._watcher.events = mask & _READINESS or READ
            self._watcher.start(self._fd_ready, pass_events=True)

    def dispatch(self, mask: int) -> None:
        """Call the callback of an event on descriptor activity and act on what it returns."""
        owner = self.owner
        assert owner is not None
        following = owner.guarded(self.callback, self, mask, self.closure, time.time()) or 0
        if self._watcher is None:
            return  # the callback removed it
        if not following:
            self.detach()
        elif self.owner is not owner:
            self._move(owner, following)
        else:
            owner.guarded(self.rearm, following)

    def _move(self, from_thread: LoopThread, mask: int) -> None:
        moved, self.owner = self.owner, from_thread
        self.detach()
        self.mask, self.owner = mask, moved
        if moved is not None:
            moved.post(self.attach)

    def _fd_ready(self, events: int) -> None:
        self.dispatch(events & _READINESS or EXCEPTION)

    def _timer_due(self) -> None:
        owner = self.owner
        assert owner is not None
        self.detach()
        owner.guarded(self.callback, self, TIMER, self.closure, time.time())

    def _loop_turn(self) -> None:
        owner = self.owner
        assert owner is not None
        following = owner.guarded(self.callback, self, RECURRENT, self.closure, time.time())
        if self._watcher is not None and not following:
            self.detach()


def alloc_fd(callback: Callback, closure: object, fd: int, mask: int) -> Event:
    """An event on activity of descriptor *fd*; *mask* is made of READ, WRITE and EXCEPTION.

    The callback's return value is the next mask; 0 lets the event go (the descriptor stays open).  Remove the event
    before the descriptor is closed: the event library ends the process when it finds one closed under it.
    Raises :exc:`EventerError` for another mask or no descriptor.  Manual: File Descriptor Activity."""
    if mask & ~_FD or not mask:
        raise EventerError(f"{mask:#x} is no mask of descriptor activity")
    if fd < 0:
        raise EventerError(f"{fd} is no descriptor")
    return Event(callback, closure, mask, fd=fd)


def alloc_timer(callback: Callback, closure: object, whence: float) -> Event:
    """An event that runs once, at *whence* (epoch seconds).  Manual: Timed Events."""
    return Event(callback, closure, TIMER, whence=whence)


def alloc_recurrent(callback: Callback, closure: object) -> Event:
    """An event that runs every time through its loop, until it returns 0.  Manual: Recurrent Events."""
    return Event(callback, closure, RECURRENT)


def add(event: Event) -> None:
    """Hand *event* to the loop thread that owns it.

    Without an owner it gets this loop thread, or on any other thread the first one of the default pool.
    Raises :exc:`EventerError` when it is on a loop already or the loop has stopped.  Manual: Choosing Threads."""
    if event.active:
        raise EventerError(f"{event!r} was added already")
    if event.owner is None:
        event.owner = current() if is_loop_thread() else choose_owner(0)
    if is_loop_thread() and event.owner is current():
        event.attach()
    elif not event.owner.post(event.attach):
        raise EventerError(f"{event.owner.name} has stopped and takes no events")


def add_at(callback: Callback, closure: object, whence: float) -> Event:
    """Schedule *callback* once, at *whence* (epoch seconds).  Manual: Timed Events."""
    event = alloc_timer(callback, closure, whence)
    add(event)
    return event


def add_in(callback: Callback, closure: object, delay: float) -> Event:
    """Schedule *callback* once, *delay* seconds from now.  Manual: Timed Events."""
    return add_at(callback, closure, time.time() + delay)


def add_timer_next_opportunity(callback: Callback, closure: object, owner: LoopThread) -> Event:
    """Schedule *callback* once, as soon as the loop of *owner* gets to it."""
    event = alloc_timer(callback, closure, 0.0)
    event.owner = owner
    add(event)
    return event


def remove(event: Event) -> Event | None:
    """Take *event* off its loop; returns it, or None when it was on none.

    On the owner's thread this holds at once; from elsewhere, after what that loop is doing now."""
    owner = event.owner
    if owner is None:
        return None
    if is_loop_thread() and owner is current():
        if not event.active:
            return None
        event.detach()
    else:
        owner.post(event.detach)
    return event


def update(event: Event, mask: int) -> None:
    """Have a descriptor's event wait for *mask* from now on; on the owner's thread.

    Raises :exc:`EventerError` for an event that is not on a loop, or another kind of mask."""
    if not event.active:
        raise EventerError(f"{event!r} is not on a loop")
    event.rearm(mask)


def trigger(event: Event, mask: int) -> None:
    """Run the callback of a descriptor's event with *mask* as if that had happened.

    An event that is on no loop is added first, so the callback's return value holds for it too."""
    if not event.mask & _FD:
        raise EventerError(f"{event!r} waits for no descriptor and cannot be triggered")

    def run() -> None:
        if not event.active:
            event.attach()
        event.dispatch(mask)

    if event.owner is None:
        event.owner = current() if is_loop_thread() else choose_owner(0)
    if is_loop_thread() and event.owner is current():
        run()
    elif not event.owner.post(run):
        raise EventerError(f"{event.owner.name} has stopped and takes no events")


def set_owner(event: Event, owner: LoopThread) -> None:
    """Give *event* to another loop thread: before it is added, or from inside its callback, which then returns a mask.

    Manual: Choosing Threads."""
    event.owner = owner
