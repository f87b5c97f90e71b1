"""Events: what they wait for, and the rule that a callback's return value is the next mask.

What a user may do with events is in ``_events``; here is what they are, and how they sit on a loop.  An event that was
added has a :class:`Place`: one thread, the watcher there, and the right to run.  A place is in the ``events`` of its
thread until somebody takes it out, which is one step under the interpreter's lock: the loop, to run a timer, or whoever
removes the event, from any thread.  So an event is either run or removed, never both; and a watcher that is late,
because its event was removed or moved meanwhile, finds its place gone.

Manual: The Eventer (File Descriptor Activity, Recurrent Events, Timed Events).
"""

import itertools
from collections.abc import Callable
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from runtime import trace

from ._callbacks import name_for_callback
from ._errors import EventerError
from ._thread import LoopThread

if TYPE_CHECKING:
    from ._opset import Opset

READ = 0x01
WRITE = 0x02
EXCEPTION = 0x04
TIMER = 0x08
ASYNCH_WORK = 0x10
ASYNCH_CLEANUP = 0x20
ASYNCH = ASYNCH_WORK | ASYNCH_CLEANUP
RECURRENT = 0x80

ACTIVITY = READ | WRITE | EXCEPTION
_READINESS = READ | WRITE  # libev reports an error as readiness for both

Callback = Callable[["Event", int, Any, float], int | None]
"""``callback(event, mask, closure, now)``: *mask* says what happened, *now* is the epoch time in seconds."""


_calling: Final = trace.call("eventer-callback")

allocated = itertools.count()
"""How many events were ever made."""

made: "Callable[[Event], None] | None" = None
"""Called with each new event; set by ``_contexts`` once there are any."""
running: "Callable[[Event, int, float], int | None] | None" = None
"""Called instead of a callback; likewise."""
told: "Callable[[str, Event], None] | None" = None
"""Called with what is done to an event and that event; set by ``_debugging`` while somebody wants to know."""
copied: "Callable[[Event, Event], None] | None" = None
"""Called with each copy and its source; likewise."""


class Event:
    """One thing to wait for.  Made by :func:`alloc_fd`, :func:`alloc_timer` and the like.

    Attributes: ``callback``, ``closure``, ``mask``, ``fd`` (-1 for none), ``whence`` (epoch seconds of a timer),
    ``owner`` (the loop thread; chosen when the event is added, unless set before), ``opset`` (how the descriptor is
    read and written; None for plainly), ``contexts`` (see :func:`set_context`), ``place`` (where it was added last)."""

    __slots__ = ("callback", "closure", "contexts", "fd", "mask", "opset", "owner", "place", "whence")

    deferred: ClassVar[bool] = False
    """Whether the callback may only run right from the loop, below nobody else's frame."""
    prompt: ClassVar[bool] = False
    """Whether it runs, as a timer, in the turn it is due in, whatever else was due."""

    def __init__(self, callback: Callback, closure: object, mask: int, fd: int = -1, whence: float = 0.0) -> None:
        self.callback = callback
        self.closure = closure
        self.mask = mask
        self.fd = fd
        self.whence = whence
        self.owner: LoopThread | None = None
        self.opset: Opset | None = None
        self.contexts: dict[int, Any] | None = None
        self.place: Place | None = None
        next(allocated)
        if made is not None:
            made(self)

    def __repr__(self) -> str:
        what = f"fd {self.fd}" if self.mask & ACTIVITY else "timer" if self.mask & TIMER else "recurrent"
        return f"<Event {what} mask={self.mask:#04x} callback={name_for_callback(self.callback, self)}>"

    @property
    def active(self) -> bool:
        """Whether the event is on a loop, or on its way there."""
        place = self.place
        return place is not None and place in place.home.events

    def enter(self, here: LoopThread | None) -> bool:
        """Take a place on the owner's loop; False when that has stopped.  *here* is this thread if it has a loop."""
        owner = self.owner
        assert owner is not None
        self.place = place = Place(self, owner)
        owner.events.add(place)
        if told is not None:
            told("added", self)
        if owner is here:
            place.attach()
        elif not owner.post(place.attach):
            owner.events.discard(place)
            return False
        return True

    def call(self, here: LoopThread, mask: int) -> int | None:
        """Call the callback on *here*, this loop thread, which logs what it raises; returns what it returns."""
        before = here.this_event
        here.this_event = self
        here.now = now = time()
        try:
            if here.slow.writes or running is not None or _calling.heard[0]:
                return self._call_watched(here, mask, now)
            return self.callback(self, mask, self.closure, now)
        except Exception:
            here.failed(name_for_callback(self.callback, self))
            if self.opset is not None:
                here.guarded(self.opset.let_go)
            return None
        finally:
            here.this_event = before

    def _call_watched(self, here: LoopThread, mask: int, now: float) -> int | None:
        callback, following = self.callback, None
        is_told = _calling.heard[0]
        if is_told:
            name = name_for_callback(callback, self)
            _calling.entry.tell(self, callback, name, self.fd, self.mask, mask)
        began = perf_counter()
        try:
            following = running(self, mask, now) if running is not None else callback(self, mask, self.closure, now)
            return following
        finally:
            if here.slow.writes:
                here.took(name_for_callback(callback, self), perf_counter() - began)
            if is_told:
                _calling.leave.tell(self, callback, name, following or 0)


class Prompt(Event):
    """A timer that no other one delays."""

    __slots__ = ()

    prompt = True


class Place:
    """An event on the loop of *home*.  All but :meth:`take` is for that thread only."""

    __slots__ = ("event", "home", "watcher")

    def __init__(self, event: Event, home: LoopThread) -> None:
        self.event: Any = event  # None once closed
        self.home = home
        self.watcher: Any = None

    def take(self) -> bool:
        """Take the event out of here: True for the one caller, on any thread, that does."""
        try:
            self.home.events.remove(self)
        except KeyError:
            return False
        return True

    def attach(self) -> None:
        """Start watching, unless that is done or the event was taken since."""
        if self.watcher is not None or self not in self.home.events:
            return
        event, loop = self.event, self.home.loop
        mask = event.mask
        if mask & ACTIVITY:
            self.watcher = loop.io(event.fd, mask & _READINESS or READ)
            self.watcher.start(self._ready, pass_events=True)
        elif mask & TIMER:
            self.watcher = loop.timer(max(0.0, event.whence - time()))
            self.watcher.start(self._run_out if event.prompt else self._due, update=True)
        else:
            self.watcher = loop.prepare()
            self.watcher.start(self._turn)
            self.home.hurry(1)

    def close(self) -> None:
        """Let go of the watcher and the event."""
        watcher, self.watcher = self.watcher, None
        event, self.event = self.event, None
        if watcher is not None:
            if event is not None and event.mask & RECURRENT:
                self.home.hurry(-1)
            watcher.stop()
            watcher.close()

    def rearm(self, mask: int) -> None:
        """Watch for *mask* from now on.  Raises :exc:`EventerError` for another kind of mask."""
        event = self.event
        if mask & ~ACTIVITY or not mask:
            raise EventerError(f"{event!r}: {mask:#x} is no mask of descriptor activity")
        if mask != event.mask:
            event.mask = mask
            if self.watcher is not None:
                self.watcher.stop()
                self.watcher.events = mask & _READINESS or READ
                self.watcher.start(self._ready, pass_events=True)

    def dispatch(self, mask: int) -> None:
        """Run the callback of an event on descriptor activity and act on what it returns."""
        self._follow(self.event.call(self.home, mask))

    def _follow(self, following: int | None) -> None:
        event, home = self.event, self.home
        if self not in home.events:
            self.close()  # it was removed, here or elsewhere
        elif not following:
            if self.take():
                self.close()
        elif event.owner is not home:
            self._move(event, following)
        elif following != event.mask:
            home.guarded(self.rearm, following)

    def _move(self, event: Event, mask: int) -> None:
        following = Place(event, event.owner or self.home)
        following.home.events.add(following)
        if told is not None:
            told("moved", event)
        event.place = following  # from here on it is removed there
        taken = self.take()
        self.close()
        if taken:
            event.mask = mask
            taken = following.home.post(following.attach)
        if not taken:
            following.home.events.discard(following)

    def _ready(self, events: int) -> None:
        home = self.home
        if self not in home.events:
            self.close()
            return
        event = self.event
        following = event.call(home, events & _READINESS or EXCEPTION)
        if following != event.mask or event.owner is not home or self not in home.events:
            self._follow(following)

    def _due(self) -> None:
        self.home.due(self._run_out)

    def _run_out(self) -> None:
        event = self.event
        taken = self.take()
        self.close()
        if taken:
            event.call(self.home, TIMER)

    def _turn(self) -> None:
        event = self.event
        if self in self.home.events and event.call(self.home, RECURRENT) and self in self.home.events:
            return
        self.take()
        self.close()
