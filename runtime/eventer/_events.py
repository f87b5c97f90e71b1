"""What one does with events: make, add, move, trigger and remove them.

Manual: The Eventer, Choosing Threads; ``eventer_alloc_*``, ``eventer_add_*``, ``eventer_remove_*``.
"""

import time

from . import _event
from ._errors import EventerError
from ._event import ACTIVITY, ASYNCH, RECURRENT, TIMER, Callback, Event, Prompt
from ._pools import choose_owner
from ._thread import LoopThread, current, current_or_none


def alloc_fd(callback: Callback, closure: object, fd: int, mask: int) -> Event:
    """An event on activity of descriptor *fd*; *mask* is made of READ, WRITE and EXCEPTION.

    The callback's return value is the next mask; 0 lets the event go (the descriptor stays open).  Remove the event
    before the descriptor is closed: the event library ends the process when it finds one closed under it.
    Raises :exc:`EventerError` for another mask or no descriptor.  Manual: File Descriptor Activity."""
    if mask & ~ACTIVITY or not mask:
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


def alloc_copy(source: Event) -> Event:
    """An event like *source*, with its contexts, that is on no loop.  Manual: ``eventer_alloc_copy``.

    Raises :exc:`EventerError` for an asynchronous one."""
    if source.mask & ASYNCH:
        raise EventerError(f"{source!r} cannot be copied")
    copy = Event(source.callback, source.closure, source.mask, source.fd, source.whence)
    copy.owner, copy.opset = source.owner, source.opset
    copy.contexts = None if source.contexts is None else dict(source.contexts)
    if _event.copied is not None:
        _event.copied(copy, source)
    return copy


def add(event: Event) -> None:
    """Hand *event* to the loop thread that owns it; an asynchronous one to the default job queue.

    Without an owner it gets this loop thread, or on any other thread the first one of the default pool.
    Raises :exc:`EventerError` when it is on a loop already or the loop has stopped.  Manual: Choosing Threads."""
    if event.mask & ASYNCH:
        from ._asynch import add_asynch

        add_asynch(None, event)
        return
    if event.place is not None and event.active:
        raise EventerError(f"{event!r} was added already")
    here = current_or_none()
    if event.owner is None:
        event.owner = here or choose_owner(0)
    if not event.enter(here):
        raise EventerError(f"{event.owner.name} has stopped and takes no events")


def add_at(callback: Callback, closure: object, whence: float) -> Event:
    """Schedule *callback* once, at *whence* (epoch seconds).  Manual: Timed Events."""
    event = alloc_timer(callback, closure, whence)
    add(event)
    return event


def add_in(callback: Callback, closure: object, delay: float, *, prompt: bool = False) -> Event:
    """Schedule *callback* once, *delay* seconds from now; *prompt*, whatever else is due then.

    Manual: Timed Events."""
    if not prompt:
        return add_at(callback, closure, time.time() + delay)
    event = Prompt(callback, closure, TIMER, whence=time.time() + delay)
    add(event)
    return event


def add_timer_next_opportunity(callback: Callback, closure: object, owner: LoopThread) -> Event:
    """Schedule *callback* once, as soon as the loop of *owner* gets to it."""
    event = alloc_timer(callback, closure, 0.0)
    event.owner = owner
    add(event)
    return event


def remove(event: Event) -> Event | None:
    """Take *event* off its loop; returns it, or None when it was on none.

    From any thread, at once.  A timer removed elsewhere does not run; of another kind of event a callback may be under
    way on its own thread, whose result counts no more.  Manual: ``eventer_remove``."""
    place = event.place
    while place is not None:
        if place.take():
            if _event.told is not None:
                _event.told("removed", event)
            if place.home is current_or_none():
                place.close()
            else:
                place.home.post(place.close)
            return event
        tried, place = place, event.place
        if place is tried:  # else it moved meanwhile
            break
    return None


def update(event: Event, mask: int) -> None:
    """Have a descriptor's event wait for *mask* from now on; on the owner's thread.

    Raises :exc:`EventerError` for an event that is not on a loop, or another kind of mask."""
    place = event.place
    if place is None or not event.active:
        raise EventerError(f"{event!r} is not on a loop")
    place.rearm(mask)


def update_whence(event: Event, whence: float) -> bool:
    """Have a timer run at *whence* (epoch seconds) instead; False when it ran or was removed before.

    Raises :exc:`EventerError` for another kind of event."""
    if not event.mask & TIMER:
        raise EventerError(f"{event!r} is no timer")
    if remove(event) is None:
        return False
    event.whence = whence
    add(event)
    return True


def trigger(event: Event, mask: int) -> None:
    """Run the callback of a descriptor's event with *mask* as if that had happened.

    An event that is on no loop is added first, so the callback's return value holds for it too.
    Raises :exc:`EventerError` for an event that waits for no descriptor, and when its loop thread has stopped."""
    if not event.mask & ACTIVITY:
        raise EventerError(f"{event!r} waits for no descriptor and cannot be triggered")

    if event.owner is None:
        event.owner = current_or_none() or choose_owner(0)
    home = _home(event)
    if home is current_or_none() and not event.deferred:
        _triggered(event, mask)
    elif not home.post(_triggered, event, mask):
        raise EventerError(f"{home.name} has stopped and takes no events")


def _home(event: Event) -> LoopThread:
    place = event.place if event.active else None
    home = event.owner if place is None else place.home
    assert home is not None
    return home


def _triggered(event: Event, mask: int) -> None:
    home = _home(event)
    if home is not current():  # it moved meanwhile
        home.post(_triggered, event, mask)
    elif event.active or event.enter(home):
        assert event.place is not None
        event.place.attach()
        event.place.dispatch(mask)


def set_owner(event: Event, owner: LoopThread) -> None:
    """Give *event* to another loop thread: before it is added, or from inside its callback, which then returns a mask.

    Manual: Choosing Threads."""
    event.owner = owner


def this_event() -> Event | None:
    """The event whose callback runs on this thread now, or None.  Manual: ``eventer_get_this_event``."""
    here = current_or_none()
    event: Event | None = here.this_event if here is not None else None
    return event


def callback_time() -> float:
    """When the callback that runs on this thread began, else now; epoch seconds.

    Manual: ``eventer_callback_us``."""
    return time.time() if this_event() is None else current().now


def wakeup(owner: LoopThread | None = None) -> None:
    """Have the loop of *owner*, or the first of the default pool, turn once.  Manual: ``eventer_wakeup``."""
    (owner or choose_owner(0)).post(int)
