"""What a Lua state is made with: its options, what the program gives all of them, and the table that Lua reads."""

import os
import stat
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from luamtev import bridge
from runtime import eventer


@dataclass(frozen=True)
class Host:
    """What the program around the Lua states gives them."""

    arg: tuple[str, ...] = ()
    """The global `arg`: the script, then its arguments."""
    print_stream: str = "error"
    """The log stream `print` writes to."""
    watched: bool = False
    """Whether states tell of the files that they load."""
    patient: bool = False
    """Whether a program that ends on its own waits for whoever reads its standard output."""


host = Host()
"""Set once by the program, before it makes a state."""

stdout_type = "file"
"""The log type of `stdout`; set before the program runs."""


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
    full_errors: bool = False
    """Whether a handler's error is told the client whole."""
    reactor: str = field(default="epoll" if sys.platform == "linux" else "hub")
    """Where readiness comes from: `epoll` or the hub's watchers (`hub`)."""


def for_lua(options: Options, thread: eventer.LoopThread, library: str) -> dict[str, Any]:
    """The settings of a state on *thread* as Lua reads them; *library* is what it loads beside ``mtev.*``, or empty."""
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
        "library": library,
        "watched": host.watched,
        "jit_off": os.environ.get("MTEV_JIT_OFF") == "1",
        "jit_opt": int(jit_opt) if jit_opt.isdecimal() and int(jit_opt) > 0 else None,
        "raised": bridge.RAISED,
        "print_stream": host.print_stream,
        "slow_byte": thread.slow.slot,
        "slow_threshold": eventer.settings().loop_threshold,
        "loop_concurrency": eventer.loop_concurrency(),
        "arg": [os.fsencode(each) for each in host.arg],
        "env": dict(os.environb),
        "constants": _constants(),
    }


@cache
def _constants() -> dict[str, int]:
    """The globals S_IF* and O_*."""
    file_types = {name: value for name, value in vars(stat).items() if name.startswith("S_IF") and name != "S_IFMT"}
    flags = {name: value for name, value in vars(os).items() if name.startswith("O_")}
    return {name: value for name, value in (file_types | flags | {"S_IFMT": 0o170000}).items() if type(value) is int}
