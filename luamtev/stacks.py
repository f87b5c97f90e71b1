"""What Lua is doing, for operators, while it runs: in a fork of this process.

A state belongs to its thread, and compiled Lua looks at nothing; so nobody can ask it.  But a fork has all of its
memory and none of its threads: there the observer, a coroutine that every state has for this, walks the stacks of all
others.
Whatever goes wrong in the fork - a state may be caught in the middle of anything - stays there.
"""

import ctypes
import faulthandler
import os
import select
import signal
import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from luamtev import bridge

if TYPE_CHECKING:
    from luamtev.port import Port

TIMEOUT = 2.5
"""Seconds that the fork has for its report."""

_END = b"\1\n"  # of the report of one state
_LUA_GCSTOP = 0


def report(states: "Sequence[Port]") -> str:
    """The Lua stacks of *states*, busy or idle, as lines of text."""
    parts: list[str] = []
    left = list(states)
    deadline = time.monotonic() + TIMEOUT
    while left:
        told = _ask(left, deadline)
        parts += [_shown(state, text) for state, text in zip(left, told, strict=False)]
        left = left[len(told) :]
        if left:  # the fork died of this one
            parts.append(_title(left[0]) + "  its stacks cannot be had\n")
            left = left[1:]
    return "".join(parts)


def _ask(states: "list[Port]", deadline: float) -> list[bytes]:
    """What the observers of *states* say in a fork; fewer if it dies or takes too long."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid == 0:
        _tell(states, writer)
    os.close(writer)
    data = b""
    poller = select.poll()  # which takes a descriptor of any number
    poller.register(reader, select.POLLIN)
    try:
        while poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            piece = os.read(reader, 1 << 16)
            if not piece:
                break
            data += piece
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return data.split(_END)[:-1]


def _tell(states: "list[Port]", writer: int) -> None:
    try:
        faulthandler.disable()
        for state in states:
            data = _observe(state.observer) + _END
            while data:
                data = data[os.write(writer, data) :]
    finally:
        os._exit(0)


def _observe(address: int) -> bytes:
    lua, thread = _lua(), ctypes.c_void_p(address)
    lua.lua_gc(thread, _LUA_GCSTOP, 0)
    lua.lua_sethook(thread, None, 0, 0)
    lua.lua_resume(thread, 0)
    length = ctypes.c_size_t()
    text = lua.lua_tolstring(thread, -1, ctypes.byref(length))
    return ctypes.string_at(text, length.value)


@cache
def _lua() -> Any:
    library = ctypes.PyDLL(bridge.LIBRARY)  # which is there: no file is opened
    library.lua_tolstring.restype = ctypes.c_void_p
    return library


def _title(state: "Port") -> str:
    how = "busy" if state.busy else "idle"
    return f"Lua state of {state.name or 'a program'} on {state.thread.name}, {how}:\n"


def _shown(state: "Port", text: bytes) -> str:
    fields = text.decode("utf-8", "replace").split("\0")[:-1]
    lines = [_title(state)]
    for what, subject, handle, stack in zip(*[iter(fields)] * 4, strict=False):
        client = state.about(handle)
        lines.append(f"  {what}{f', for {subject}{client}' if subject else ''}\n")
        lines += [f"    {line.strip()}\n" for line in stack.splitlines()]
    return "".join(lines)
