"""One Lua state on one loop thread: created from its options, driven by the thread's hub, closed without a trace.

The kernel in Lua decides who runs; this file only gets it onto the hub.  Every way into Lua returns how long the kernel
can wait, and that becomes one timer, or one callback at the next opportunity.
"""

import os
import time
from collections.abc import Callable
from math import inf
from typing import Any

from luamtev import bridge, families, libraries, settings
from luamtev.api import stopping
from luamtev.port import Kin, Library, Pending
from luamtev.settings import Options
from runtime import eventer, lifecycle, main, stacks
from runtime.log import stream_find


class StateError(Exception):
    """A state could not be created; the message is Lua's."""


REST = 0.05
"""Seconds for which a state whose kernel failed is left alone."""

EXIT_TRAGEDY = 255
"""Exit status for an error in Lua that ends the process."""

_states: "list[State]" = []


def states() -> "list[State]":
    """The states of the process, of all threads, in the order they were made."""
    return list(_states)


class State:
    """A Lua state: a :class:`luamtev.port.Port`, made from *options*; *library* is one that it has beside ``mtev.*``.

    Make, use and close it on its loop thread's hub; only :meth:`ticket_done` is for any thread.
    Raises :exc:`StateError` when a preload fails, :exc:`runtime.eventer.NotOnLoop` off the loop threads."""

    def __init__(
        self,
        options: Options,
        terminate: Callable[[int], object] = main.terminate,
        library: Library | None = None,
    ) -> None:
        self.thread = eventer.current()
        self.options = options
        self.tickets: dict[int, Pending] = {}
        self._on_close: list[Callable[[], object]] = []
        self._on_end: list[Callable[[], object]] = []
        self.kin: Kin | None = None
        self.busy = False
        self.observer = 0
        self._library = library
        self._terminate = terminate
        self._tell_failure: Callable[[str], str] = str
        self._pump_due = False
        self._reactor_fd: int | None = None
        self._recovery: Any = None  # the timer that ends the rest after a failure
        self._timer: Any = None
        self._timer_at = inf
        self._watcher: Any = None
        self._entries: dict[str, Any] = {}
        self._border: bridge.Border | None = bridge.Border()
        try:
            self._boot(self._border)
        except bridge.LuaCrash as failure:
            self.close()
            raise StateError(_message(failure)) from None
        _states.append(self)
        stacks.register(_report)
        self.thread.others.append(self._waits)

    @property
    def name(self) -> str:
        """Part of :class:`Port`."""
        return self.options.name

    def call(self, module: str, function: str, tell: Callable[[str], str] = str) -> None:
        """Require *module* and run its *function* as a coroutine, up to its first suspension.

        *tell* words what keeps it from being loaded, for the log; the process ends then.  Later errors go the way of
        every coroutine's: to the log, and with tragedy_terminates the process ends."""
        self._tell_failure = tell
        self.enter("call", os.fsencode(module), function.encode())

    def enter(self, entry: str, *args: Any) -> tuple[Any, ...] | None:
        """The one way into Lua: calls *entry* and has the kernel called again when it wants to be.

        Every entry returns that first; what else it returns is returned here, or None when it failed or the state is
        closed.  A failure that gets as far as here is the kernel's own or memory's; it is logged, and the state goes
        on after a rest.  Raises :exc:`luamtev.bridge.NotOnHub` off the state's hub, and below Lua."""
        if self._border is None:
            return None
        self._border.check_hub()
        if self.busy:
            raise bridge.NotOnHub("Lua is running already on this thread")
        self.busy = True
        try:
            result = self._entries[entry](*args)
        except bridge.LuaCrash as failure:
            self._rest()
            self.fail(f"in the kernel, on {entry}: {_message(failure)}".encode("utf-8", "surrogateescape"))
            return None
        finally:
            self.busy = False
        if type(result) is tuple:
            self._schedule(result[0])
            return result[1:]
        self._schedule(result)
        return ()

    def on_close(self, function: Callable[[], object]) -> None:
        """Part of :class:`luamtev.port.Port`."""
        self._on_close.append(function)

    def can_enter(self) -> bool:
        """Whether Lua may be entered here and now.  From any thread."""
        return not self.busy and self._border is not None and self._border.is_on_hub()

    def offers(self, entry: str) -> bool:
        """Part of :class:`Port`."""
        return entry in self._entries

    def plain(self, value: Any) -> Any:
        """Part of :class:`Port`."""
        border = self._border
        assert border is not None
        return border.plain(value)

    def about(self, handle: str) -> str:
        """Part of :class:`Port`."""
        return "" if self._library is None else self._library.about(handle)

    def inspect(self, *question: bytes) -> Any:
        """What the state says of itself: to ``state``, or to ``xcall`` and a query in JSON.  When nobody runs in it."""
        answer = self.enter("inspect", *question)
        if answer is None:
            return {"error": "closed" if self._border is None else "failed"}
        import json

        return json.loads(answer[0].decode("utf-8", "replace"))

    def ticket_done(self, ticket: int, *values: bytes | float | bool | None) -> None:
        """The work behind *ticket* is done: its coroutine resumes with *values*.  From any thread."""
        self.thread.post(self._deliver, ticket, values)

    def on_end(self, function: Callable[[], object]) -> None:
        """Part of :class:`Port`."""
        self._on_end.append(function)

    def exit_process(self, status: int, closing: bool) -> None:
        """Part of :class:`Port`."""
        if closing:
            _end_all()
        self._leave(int(status) & 0xFF)

    def close(self) -> None:
        """Let go of everything: coroutines, work under way, memory.  Closing twice is harmless.

        Raises :exc:`luamtev.bridge.NotOnHub` below Lua."""
        border, self._border = self._border, None
        if border is None:
            return
        if self.busy:
            self._border = border
            raise bridge.NotOnHub("a Lua state cannot be closed from inside")
        if self in _states:
            _states.remove(self)
            self.thread.others.remove(self._waits)
        for watcher in (self._timer, self._watcher, self._recovery):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._timer = self._watcher = self._recovery = None
        while self.tickets:
            self.tickets.popitem()[1].cancel()
        while self._on_close:
            self._on_close.pop()()
        self._entries.clear()
        border.close()

    def _boot(self, border: bridge.Border) -> None:
        functions: dict[str, Callable[..., Any]] = {
            "task_failed": self.fail,
            "task_adrift": lambda report: stream_find("error/lua").log(b"lua error: " + report + b"\n"),
            "load_failed": self._load_failed,
            "ticket_cancel": self._ticket_cancel,
            "library_exists": lambda name: name.decode() in libraries.sources(),
            "library_source": lambda name: libraries.sources().get(name.decode()),
            "slow_coroutine": self._slow_coroutine,
        }
        functions |= families.functions(self)
        if self._library is not None:
            functions |= self._library.functions(self)
        read = settings.for_lua(self.options, self.thread, "" if self._library is None else self._library.name)

        load = border.load(libraries.loader, "luamtev/loader.lua")
        pinned = border.pin(functions)
        load_library = load(pinned)
        entries = load_library(b"init", pinned, border.table(read), load_library)
        self._entries = {name.decode(): entry for name, entry in entries.items()}
        self._reactor_fd = self._entries.pop("reactor_fd", None)
        self.observer = int(self._entries.pop("observer"))
        self._watch_reactor()

    def _rest(self) -> None:
        """Leave the state alone for a while: a failure that repeats itself shall not take all the time there is."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self._recovery is None:
            self._recovery = self.thread.after(REST, self._recover)

    def _recover(self) -> None:
        self._recovery = None
        if self.enter("recover") is not None:
            self._watch_reactor()

    def _watch_reactor(self) -> None:
        if self._watcher is None and self._reactor_fd is not None:
            self._watcher = self.thread.watch(self._reactor_fd, 1, self._pump)

    def _schedule(self, delay: float) -> None:
        if delay == 0:
            if not self._pump_due:
                self._pump_due = True
                self.thread.soon(self._pump_next)
        elif delay > 0:
            at = time.monotonic() + delay
            if at < self._timer_at:
                self._arm(at, delay)

    def _arm(self, at: float, delay: float) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        self._timer_at = at
        self._timer = self.thread.after(delay, self._timer_due)

    def _timer_due(self) -> None:
        self._timer_at = inf
        self._pump()

    def _pump_next(self) -> None:
        self._pump_due = False
        self._pump()

    def _pump(self) -> None:
        self.enter("pump")

    def _deliver(self, ticket: int, values: tuple[bytes | float | bool | None, ...]) -> None:
        pending = self.tickets.pop(ticket, None)
        if pending is not None and self.enter("wake", ticket, *values) == (False,):
            self.tickets[ticket] = pending  # whoever waited has yet to call it off, and then gets what it came to

    def _ticket_cancel(self, ticket: int) -> None:
        pending = self.tickets.pop(ticket, None)
        if pending is not None:
            pending.cancel()

    def _slow_coroutine(self, place: bytes | None, seconds: float) -> None:
        where = "" if place is None else f" at {place.decode('utf-8', 'replace')}"
        self.thread.took(f"lua coroutine of {self.options.name or 'a state'}{where}", seconds)

    def _waits(self, mask: int) -> "list[eventer.Row]":
        """What coroutines wait for, as rows for those who look at the loops."""
        from luamtev.waits import deadlines, descriptors  # for those who look

        if self._border is None or self.busy:
            return []
        return deadlines(self) if mask & eventer.TIMER else descriptors(self)

    def fail(self, report: bytes) -> None:
        """An error nobody caught: into the log, and with tragedy_terminates the end of the process."""
        stream_find("error/lua").log(b"lua error: " + report + b"\n")
        if self.options.tragedy_terminates:
            self._end()

    def _load_failed(self, report: bytes) -> None:
        told = self._tell_failure(report.decode("utf-8", "surrogateescape"))
        stream_find("error/lua").log(b"lua error: " + told.encode("utf-8", "surrogateescape") + b"\n")
        self._end()

    def _end(self) -> None:
        stream_find("error/lua").log(b"Unrecoverable run-time error. Terminating.\n")
        _end_all()
        self._leave(EXIT_TRAGEDY)

    def _leave(self, status: int) -> None:
        if settings.host.patient:
            stdout = stream_find("stdout")
            while not (stdout.flush() or lifecycle.is_stopping()):
                pass  # for as long as there is somebody who may read on
        self._terminate(status)


def _end_all() -> None:
    for state in list(_states):
        for function in state._on_end:
            function()


def _report() -> str:
    from luamtev.stacks import report  # for those who look

    return report(_states)


def prepare() -> None:
    """Read what every state is made of, while the process may still read it."""
    stopping.prepare()
    libraries.sources()


def _message(failure: Exception) -> str:
    text = failure.args[0] if failure.args else failure
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
