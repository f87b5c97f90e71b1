"""Lua typed by a person, as Lua sees it: what a line gives goes to whoever typed it, known by a number."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.port import Port

Listener = Callable[[str, str], object]
"""``listener(what, text)``: "print" and a text, "more" when the chunk is not whole, "done" when it is over."""

sessions: dict[int, Listener] = {}
"""Those who type, by number; entries are made and removed by the console."""


def type_line(state: "Port", session: int, line: bytes) -> None:
    """Run *line* that a person typed; listener *session* is told what comes of it.  When no Lua runs in *state*."""
    state.enter("repl", b"line", session, line)


def type_no_more(state: "Port", session: int) -> None:
    """Forget what *session* has typed and runs; likewise."""
    state.enter("repl", b"drop", session)


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``repl.lua`` builds on."""

    def repl_said(session: float, what: bytes, text: bytes) -> bool:
        listener = sessions.get(int(session))
        if listener is None:
            return False
        listener(what.decode(), text.decode("utf-8", "replace"))
        return True

    return {"repl_said": repl_said}
