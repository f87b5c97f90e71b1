"""Aco: greenlets on a loop thread, for code that reads as if it blocked.  Manual: The Eventer (ACO).

One primitive, :meth:`Aco.suspend`: the greenlet leaves the loop to its other work until the ticket it drew is called,
or time is up.  Sleeping, waiting for a descriptor and waiting for a job are built on it.  A ticket is called once; one
of an earlier wait, called late, wakes nobody.  Nothing here is switched to but from the hub itself, so no greenlet
switch ever happens below somebody else's frame.  What gevent offers works in an aco too.
"""

import itertools
from collections.abc import Callable
from contextvars import Context, copy_context
from errno import ETIME
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from ._callbacks import name_for_callback
from ._errors import EventerError
from ._pools import choose_owner
from ._thread import LoopThread, current, is_loop_thread

_TIMED_OUT = object()
_tickets = itertools.count(1)


class Aco(greenlet):
    """A greenlet that runs ``function(*args)`` on a loop thread.  Made by :func:`aco_start`.

    It has the variables of :mod:`contextvars` as they were where it was started.
    Attributes: ``function``, ``args``, ``thread``."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], thread: LoopThread, context: Context
    ) -> None:
        super().__init__(parent=thread.hub)
        self.gr_context = context
        self.function = function
        self.args = args
        self.thread = thread
        self._ticket = 0  # of the wait under way

    def __repr__(self) -> str:
        return f"<Aco {name_for_callback(self.function)} on {self.thread.name}>"

    def run(self) -> None:
        """What the greenlet does; a failure is logged."""
        try:
            self.function(*self.args)
        except GreenletExit:
            pass  # the loop stops
        except Exception:
            self.thread.failed(name_for_callback(self.function))
        finally:
            self.thread.acos.discard(self)

    def draw(self) -> int:
        """A ticket for the next wait."""
        self._ticket = next(_tickets)
        return self._ticket

    def suspend(self, timeout: float | None = None) -> Any:
        """Wait, in this greenlet, until the ticket drawn last is called; returns the value it is called with.

        Raises TimeoutError with ETIME after *timeout* seconds."""
        timer = None
        if timeout is not None:
            timer = self.thread.after(timeout, self.resume, self._ticket, _TIMED_OUT)
        try:
            value = self.thread.hub.switch()
        finally:
            self._ticket = 0
            if timer is not None:
                timer.stop()
                timer.close()
        if value is _TIMED_OUT:
            raise TimeoutError(ETIME, f"nothing happened within {timeout:g} s")
        return value

    def resume(self, ticket: int, value: object = None) -> None:
        """Go on with the greenlet if it waits for *ticket*; from a callback on the loop."""
        if ticket != self._ticket:
            return
        if getcurrent() is self.thread.hub:
            self._ticket = 0
            self.switch(value)
        else:
            self.call(ticket, value)  # another aco ran the callback: it is not to be left half done

    def call(self, ticket: int, value: object = None) -> None:
        """Have the greenlet go on soon if it waits for *ticket*; from any thread and any greenlet."""
        self.thread.post(self.resume, ticket, value)


def aco_start(function: Callable[..., Any], *args: Any, owner: LoopThread | None = None) -> Aco | None:
    """Have ``function(*args)`` run as an aco, soon: on *owner*, else this loop thread, else the default pool's first.

    Returns the aco, or None when it starts on another thread.  A failure is logged.
    Raises :exc:`EventerError` when that loop has stopped.  Manual: ``eventer_aco_start``."""
    thread = owner or (current() if is_loop_thread() else choose_owner(0))
    if is_loop_thread() and thread is current():
        return _start(function, args, thread, copy_context(), now=False)
    if not thread.post(_start, function, args, thread, copy_context()):
        raise EventerError(f"{thread.name} has stopped and takes no aco")
    return None


def _start(
    function: Callable[..., Any], args: tuple[Any, ...], thread: LoopThread, context: Context, now: bool = True
) -> Aco:
    if not thread.has_acos:
        thread.has_acos = True
        thread.on_stop(lambda: _end_all(thread))
    aco = Aco(function, args, thread, context)
    thread.acos.add(aco)
    if now:
        aco.switch()
    elif not thread.post(aco.switch):
        thread.acos.discard(aco)
        raise EventerError(f"{thread.name} has stopped and takes no aco")
    return aco


def _end_all(thread: LoopThread) -> None:
    for aco in list(thread.acos):
        aco.throw(GreenletExit)


def current_aco() -> Aco:
    """The aco this is called in.  Raises :exc:`EventerError` elsewhere."""
    running = getcurrent()
    if not isinstance(running, Aco):
        raise EventerError("this belongs in an aco")
    return running


def in_aco() -> bool:
    """Whether the caller runs in an aco.  Manual: ``eventer_is_aco``."""
    return isinstance(getcurrent(), Aco)


def aco_arg() -> Any:
    """The first argument that this aco was started with, or None.  Manual: ``eventer_aco_arg``."""
    args = current_aco().args
    return args[0] if args else None


def aco_sleep(seconds: float) -> None:
    """Let *seconds* pass; with 0 everything else that is ready goes first.  Manual: ``eventer_aco_sleep``."""
    aco = current_aco()
    ticket = aco.draw()
    if seconds > 0:
        try:
            aco.suspend(seconds)
        except TimeoutError:
            pass
    else:
        aco.call(ticket)
        aco.suspend()
