"""Lua on the console: ``lua_general``, to type Lua at; ``show lua``; ``mtev lua cancel|kill``.  Manual: Console."""

import itertools
from typing import Any

from luamtev import asking
from luamtev.api import repl
from luamtev.state import State, states
from runtime import eventer
from runtime.console import Command, Console, Level, register_command

_numbers = itertools.count(1)
_sessions = Level(name="lua_general")


def install() -> None:
    """Enter the commands."""
    _sessions.rest = _line
    _sessions.inside = _prompt
    _sessions.add(Command("exit", _leave))
    register_command("lua_general", enter, about="lua_general [THREAD]: type Lua, in the state of a loop thread")
    register_command("show lua", show, complete=_pools, about="show lua [POOL]: Lua states, coroutines, their stacks")
    register_command("mtev lua cancel", cancel, about="mtev lua cancel STATE: never resume the coroutine at an address")
    register_command("mtev lua kill", cancel, about="mtev lua kill STATE: the same as cancel")


# Lua, typed


class _Session:
    """One console in a state."""

    def __init__(self, console: Console, state: State) -> None:
        self.console = console
        self.state = state
        self.number = next(_numbers)

    def prompt(self) -> str:
        """What stands before a line, or before one more of a chunk."""
        if self.console.forget_lines is not None:
            return ">> "
        return f"lua_general({self.state.thread.index}/{id(self.state):#x})# "

    def line(self, line: str) -> None:
        """Run a line, and have the console wait for what it gives."""
        console, state, number = self.console, self.state, self.number
        over = console.later(self._over)
        console.on_interrupt = self.drop

        def said(what: str, text: str) -> None:
            if what == "print":
                console.home.post(console.print, text)
            else:
                over(what)

        repl.sessions[number] = said
        data = line.encode("utf-8", "surrogateescape")

        def run() -> None:
            try:
                repl.type_line(state, number, data)
            except RuntimeError as refused:
                said("print", f"{refused}\n")
                said("done", "")

        if not state.thread.post(asking.when_free(state, run)):
            over("done")

    def _over(self, what: str) -> None:
        self.console.forget_lines = self.drop if what == "more" else None

    def drop(self) -> None:
        """Forget what is typed and runs."""
        repl.sessions.pop(self.number, None)
        self.console.forget_lines = None
        state, number = self.state, self.number
        state.thread.post(asking.when_free(state, lambda: repl.type_no_more(state, number)))


def enter(console: Console, words: list[str]) -> None:
    """``lua_general [THREAD]``: threads are counted round."""
    known = [each for each in states() if each.options.name == "lua_general"]
    if not known:
        console.print("Internal error, cannot find lua state.\n")
        return
    index = console.home.index
    if words and words[0].isdecimal():
        index = int(words[0])
    elif words:
        console.print(f"'{words[0]}' is no number of a thread\n")
    index %= eventer.loop_concurrency() or 1
    found = next((each for each in known if each.thread.index == index), known[0])
    console.facts["lua"] = _Session(console, found)
    console.go_into(_sessions)


def _prompt(console: Console) -> str:
    session: _Session = console.facts["lua"]
    return session.prompt()


def _line(console: Console, line: str) -> None:
    session: _Session = console.facts["lua"]
    session.line(line)


def _leave(console: Console, _words: list[str]) -> None:
    session: _Session = console.facts.pop("lua")
    session.drop()
    console.leave()


# Looking at states


def show(console: Console, words: list[str]) -> None:
    """``show lua [POOL]``."""
    pool = eventer.pool(words[0]) if words else eventer.pool()
    if words and pool is None:
        console.print("No such loop, using default\n")
        pool = eventer.pool()
    asked = [each for each in states() if each.thread.pool is pool]
    asking.ask(asked, console.later(lambda found: console.print(_shown(found))), b"state")


def _shown(found: dict[State, Any]) -> str:
    text = ""
    for thread in sorted({each.thread for each in found}, key=lambda each: each.index):
        text += f"== Thread {thread.ident:x} ==\n"
        mine = {state: said for state, said in found.items() if state.thread is thread}
        text += "".join(_master(state, said) for state, said in mine.items())
        coroutines = [_coroutine(state, each) for state, said in mine.items() for each in _coroutines(said)]
        text += "".join(f"\n{each}" for each in coroutines) + ("\n" if coroutines else "")
    return text


def _coroutines(said: Any) -> list[dict[str, Any]]:
    found = said.get("coroutines")
    return found if isinstance(found, list) else []


def _master(state: State, said: dict[str, Any]) -> str:
    text = f"master (state:{id(state):#x})\n\tgeneration: 0\n"
    if "error" in said:
        return f"{text}\t{said['error']}\n"
    full = state.options.gc_full
    gc = f"{int(said['visits']) % full}/{full} to full" if full > 1 else "full" if full else "never full"
    return f"{text}\tmemory: {int(said['memory'] / 1024)} kb\n\tgc: {gc}\n"


def _coroutine(state: State, each: dict[str, Any]) -> str:
    text = f"{state.options.name}(state:{each['address']}, parent:{id(state):#x})\n\tstack:\n"
    frames = each["frames"] if isinstance(each["frames"], list) else []
    for frame in frames:
        name = f":{frame['namewhat']}({frame['name']})" if frame.get("name") else ""
        line = f":{int(frame['line'])}" if "line" in frame else ""
        text += f"\t\t{frame['file']}{name}{line}\n"
    return text


def _pools(_console: Console, _words: list[str]) -> list[str]:
    return [each.name for each in eventer.pools()]


def cancel(console: Console, words: list[str]) -> None:
    """``mtev lua cancel|kill STATE``."""
    if not words:
        console.print("lua_State in hex required\n")
        return
    try:
        wanted = int(words[0], 16) if words[0].lower().startswith("0x") else int(words[0])
    except ValueError:
        console.print("could not parse lua_State\n")
        return

    def answer(found: dict[State, Any]) -> None:
        if not any(each.get("cancelled") for each in found.values()):
            console.print(f"Could not find lua_State {wanted:#x}\n")

    asking.ask(states(), console.later(answer), b"cancel", f"0x{wanted:08x}".encode())
