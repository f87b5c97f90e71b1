"""One Lua state on one loop thread: created from its options, driven by the thread's hub, closed without a trace.

The kernel in Lua decides who runs; this file only gets it onto the hub.  Every way into Lua returns how long the kernel
can wait, and that becomes one timer, or one callback at the next opportunity.
"""

import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from luamtev import bridge
from luamtev.api import (
    addresses,
    bignum,
    cluster,
    conf,
    consul,
    crypto,
    digests,
    dns,
    encodings,
    files,
    gunzip,
    hooks,
    log,
    messages,
    pcre,
    process,
    repl,
    reverse,
    shared,
    sockets,
    stopping,
    system,
    text,
    timezone,
    tls,
    watch,
    web,
    websocket,
    xml,
    zipkin,
)
from luamtev.stacks import prepare as prepare_report
from luamtev.stacks import report
from runtime import eventer, main, stacks
from runtime.hooks import CONTINUE
from runtime.log import stream_find

if TYPE_CHECKING:
    from luamtev.web.engine import Engine

FAMILIES = (
    addresses,
    log,
    cluster,
    conf,
    consul,
    digests,
    dns,
    encodings,
    files,
    gunzip,
    hooks,
    pcre,
    process,
    repl,
    messages,
    reverse,
    shared,
    sockets,
    stopping,
    system,
    text,
    timezone,
    tls,
    watch,
    websocket,
    xml,
    zipkin,
    bignum,
    crypto,
)


class StateError(Exception):
    """A state could not be created; the message is Lua's."""


class Pending(Protocol):
    """Work under way for a coroutine that waits on a ticket."""

    def cancel(self) -> object:
        """Nobody waits any longer."""


@dataclass(frozen=True)
class Host:
    """What the program around the Lua states gives them."""

    arg: tuple[str, ...] = ()
    """The global `arg`: the script, then its arguments."""
    print_stream: str = "error"
    """The log stream `print` writes to."""


REST = 0.05
"""Seconds for which a state whose kernel failed is left alone."""

EXIT_TRAGEDY = 255
"""Exit status for an error in Lua that ends the process."""

host = Host()
"""Set once by the program, before it makes a state."""


@dataclass(frozen=True)
class Options:
    """The configuration of a state.  Manual: lua_general, Module Configuration."""

    name: str = ""
    """The module that has the state, for those who look at the system."""
    directory: str = ""
    """Lua's path; `{package.path}` in it is the state's own default, and so is an empty text."""
    cpath: str = ""
    """The path of C modules, likewise."""
    Cpreloads: str = ""
    """C modules to open at creation, separated by commas."""
    preloads: str = ""
    """Modules to require at creation, separated by commas."""
    gc_full: int = 1000
    """Visits of the event loop between two full collections; 0: never."""
    gc_step: int = 0
    """Size of a collector's step at every visit; 0: none."""
    gc_stepmul: int | None = None
    """Percentage; LuaJIT's own when None."""
    gc_pause: int | None = None
    """Percentage; LuaJIT's own when None."""
    interrupt_time: float | None = None
    """Seconds Lua may run in one visit; None: for ever, and at full speed."""
    tragedy_terminates: bool = False
    """Whether an error that nobody caught ends the process."""
    library: str = ""
    """A library of this program whose functions join the state's entries."""
    mounts: tuple[str, ...] = ()
    """For the library `web`: the Lua modules of its mounts."""
    mount_names: tuple[str, ...] = ()
    """And the names of those, one each."""
    full_errors: bool = False
    """Whether a handler's error is told the client whole."""
    reactor: str = field(default="epoll" if sys.platform == "linux" else "hub")
    """Where readiness comes from: `epoll` or the hub's watchers (`hub`)."""


_states: "list[State]" = []


def states() -> "list[State]":
    """The states of the process, of all threads, in the order they were made."""
    return list(_states)


class State:
    """A Lua state.  Make, use and close it on its loop thread's hub; only :meth:`ticket_done` is for any thread.

    Raises :exc:`StateError` when a preload fails, :exc:`runtime.eventer.NotOnLoop` off the loop threads."""

    def __init__(self, options: Options, terminate: Callable[[int], object] = main.terminate) -> None:
        self.thread = eventer.current()
        self.options = options
        self.tickets: dict[int, Pending] = {}
        self.closers: list[Callable[[], object]] = []  # called when the state closes
        self.children: set[process.Child] = set()  # those that run, known to Lua or not
        self.exchanges: web.Exchanges | None = None
        self.engine: Engine | None = None
        if options.library == "web":
            from luamtev.web.engine import Engine as Made  # with the HTTP server, for those who have it

            self.exchanges = web.Exchanges(self, list(options.mounts), list(options.mount_names))
            self.engine = Made(self)
        self.busy = False  # Lua is running
        self.observer = 0  # the address of a coroutine: see `stacks`
        self._terminate = terminate
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
        stacks.register(report)
        self.thread.others.append(self._waits)

    def call(self, module: str, function: str) -> None:
        """Require *module* and run its *function* as a coroutine, up to its first suspension.

        The process ends when that cannot be loaded.  Later errors go the way of every coroutine's: to the log, and with
        tragedy_terminates the process ends."""
        self._within("call", os.fsencode(module), function.encode())

    def serve(self, *request: Any) -> tuple[bool, int, bytes | None]:
        """Begin to serve a request (the library `web`).

        Returns whether its handler has returned already, and the status and all the bytes of its response if those are
        there to be sent.  Raises :exc:`StateError` when the state has failed or is closed."""
        answer = self._within("serve", *request)
        if answer is None:
            raise StateError("the request could not be handed to Lua")
        over, code, data = answer
        return over, code, data

    def serve_many(self, *requests: Any) -> tuple[Any, ...]:
        """Begin to serve several (the library `web`): their first handle, configuration, seconds; of each then mount,
        method and path.

        Returns four values of each that was begun: whether its handler has returned; the status, the lines of headers
        and the body where the response is there to be sent, with a status of 0 where it is not.
        Raises :exc:`StateError` when the state has failed or is closed."""
        answer = self._within("serve_many", *requests)
        if answer is None:
            raise StateError("the requests could not be handed to Lua")
        return answer

    def tell_socket(self, *event: Any) -> None:
        """Tell of an event on a WebSocket connection (the library `web`)."""
        self._within("socket", *event)

    def websocket_protocols(self, mount: int) -> tuple[str, ...]:
        """The subprotocols that the module of *mount* names, best first (the library `web`)."""
        answer = self._within("protocols", mount)
        return tuple(each for each in (answer[0] if answer else b"").decode("latin-1").split("\n") if each)

    def tell_engine(self, entry: str, *args: Any) -> tuple[Any, ...] | None:
        """Call *entry* of the engine that serves HTTP/1; what it returns, None when it failed."""
        return self._within(f"http1_{entry}", *args)

    def type_line(self, session: int, line: bytes) -> None:
        """Run *line* that a person typed; listener *session* of :mod:`luamtev.api.repl` is told what comes of it."""
        self._within("repl", b"line", session, line)

    def type_no_more(self, session: int) -> None:
        """Forget what *session* has typed and runs."""
        self._within("repl", b"drop", session)

    def can_enter(self) -> bool:
        """Whether Lua may be entered here and now.  From any thread."""
        return not self.busy and self._border is not None and self._border.is_on_hub()

    def call_hook(self, number: int, arguments: list[Any]) -> int:
        """Call the function that Lua registered under *number*; on this thread, when no Lua runs."""
        border = self._border
        assert border is not None
        answer = self._within("hook", number, *map(border.plain, arguments))
        return CONTINUE if answer is None else int(answer[0])

    def inspect(self, *question: bytes) -> Any:
        """What the state says of itself: to ``state``, or to ``xcall`` and a query in JSON.  When nobody runs in it."""
        answer = self._within("inspect", *question)
        if answer is None:
            return {"error": "closed" if self._border is None else "failed"}
        import json

        return json.loads(answer[0].decode("utf-8", "replace"))

    def ticket_done(self, ticket: int, *values: bytes | float | bool | None) -> None:
        """The work behind *ticket* is done: its coroutine resumes with *values*.  From any thread."""
        self.thread.post(self._deliver, ticket, values)

    def exit_process(self, status: int) -> None:
        """End the process with *status* once everything logged is written."""
        self._terminate(int(status) & 0xFF)

    def close(self) -> None:
        """Let go of everything: coroutines, work under way, memory.  Closing twice is harmless."""
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
        while self.closers:
            self.closers.pop()()
        while self.children:
            self.children.pop().close()
        self._entries.clear()
        border.close()

    def _boot(self, border: bridge.Border) -> None:
        functions: dict[str, Callable[..., Any]] = {
            "task_failed": self.fail,
            "load_failed": self._load_failed,
            "ticket_cancel": self._ticket_cancel,
            "library_exists": lambda name: name.decode() in _libraries(),
            "slow_coroutine": self._slow_coroutine,
        }
        for family in FAMILIES:
            functions |= family.functions(self)
        if self.exchanges is not None:
            functions |= web.functions(self)
        if self.engine is not None:
            functions |= self.engine.functions()

        # One Python function that returns a Lua one would hand over an object; so all libraries are compiled here.
        load = border.load(_LOADER, "luamtev/loader.lua")
        load_library = load(border.table(_libraries()))
        entries = load_library(b"init", border.pin(functions), border.table(self._settings()), load_library)
        names = ["pump", "wake", "call", "inspect", "hook", "recover", "repl"]
        if self.exchanges is not None:
            names += ["serve", "serve_many", "socket", "protocols"]
        if entries[b"http1_open"] is not None:
            names += [f"http1_{each}" for each in ("open", "sweep", "finish", "drop")]
        else:
            self.engine = None
        self._entries = {name: entries[name.encode()] for name in names}
        self._reactor_fd = entries[b"reactor_fd"]
        self.observer = int(entries[b"observer"])
        self._watch_reactor()

    def _settings(self) -> dict[str, Any]:
        options = self.options
        jit_opt = os.environ.get("MTEV_JIT_OPT", "")
        return {
            "directory": options.directory,
            "cpath": options.cpath,
            "Cpreloads": options.Cpreloads,
            "preloads": options.preloads,
            "gc_full": options.gc_full,
            "gc_step": options.gc_step,
            "gc_stepmul": options.gc_stepmul,
            "gc_pause": options.gc_pause,
            "interrupt_time": options.interrupt_time,
            "full_errors": options.full_errors,
            "reactor": options.reactor,
            "library": options.library,
            "jit_off": os.environ.get("MTEV_JIT_OFF") == "1",
            "jit_opt": int(jit_opt) if jit_opt.isdecimal() and int(jit_opt) > 0 else None,
            "raised": bridge.RAISED,
            "print_stream": host.print_stream,
            "slow_byte": self.thread.slow.slot,
            "slow_threshold": eventer.settings().loop_threshold,
            "loop_concurrency": eventer.loop_concurrency(),
            "arg": [os.fsencode(each) for each in host.arg],
            "env": dict(os.environb),
            "constants": _constants(),
        }

    def _within(self, entry: str, *args: Any) -> tuple[Any, ...] | None:
        """The one way into Lua: calls *entry* and has the kernel called again when it wants to be.

        Every entry returns that first; what else it returns is returned here, or None when it failed or the state is
        closed.  A failure that gets as far as here is the kernel's own or memory's; it is logged, and the state goes
        on after a rest."""
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
        if self._within("recover") is not None:
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
        self._within("pump")

    def _deliver(self, ticket: int, values: tuple[bytes | float | bool | None, ...]) -> None:
        if self.tickets.pop(ticket, None) is not None:
            self._within("wake", ticket, *values)

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
        stream_find("error/lua").log(b"lua error: " + report + b"\n")
        self._end()

    def _end(self) -> None:
        stream_find("error/lua").log(b"Unrecoverable run-time error. Terminating.\n")
        self._terminate(EXIT_TRAGEDY)


_LOADER = b"""
local sources = ...
return function(name, ...)
  local source = sources[name]
  if not source then error("no library '" .. name .. "'", 2) end
  return assert(loadstring(source, "@luamtev/" .. name .. ".lua"))(...)
end
"""


def prepare() -> None:
    """Read what every state and its report is made of, while the process may still read it."""
    prepare_report()
    stopping.prepare()
    _libraries()


@cache
def _libraries() -> dict[str, bytes]:
    """The Lua half by name: `kernel`, `mtev/log` and so on."""
    top = resources.files("luamtev") / "lua"
    files = [(each.name, each) for each in top.iterdir()]
    files += [
        (f"{room}/{each.name}", each) for room in ("mtev", "http1", "ffi_mtev") for each in (top / room).iterdir()
    ]
    return {name.removesuffix(".lua"): file.read_bytes() for name, file in files if name.endswith(".lua")}


@cache
def _constants() -> dict[str, int]:
    """The globals S_IF* and O_*."""
    file_types = {name: value for name, value in vars(stat).items() if name.startswith("S_IF") and name != "S_IFMT"}
    flags = {name: value for name, value in vars(os).items() if name.startswith("O_")}
    return {name: value for name, value in (file_types | flags | {"S_IFMT": 0o170000}).items() if type(value) is int}


def _message(failure: Exception) -> str:
    text = failure.args[0] if failure.args else failure
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
