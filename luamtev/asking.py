"""One question to several Lua states, each answered on its own thread when no Lua runs there."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from luamtev.state import State
from runtime import eventer

TIMEOUT = 5.0
"""Seconds after which a state that does not answer is left as busy."""


def ask(
    states: Iterable[State], done: Callable[[dict[State, Any]], object], *question: bytes, timeout: float = TIMEOUT
) -> None:
    """Have *done* called once, from some loop thread, with what each of *states* says (:meth:`State.inspect`).

    One that does not within *timeout* seconds is there with an ``error``."""
    silent: dict[State, Any] = {each: {"error": f"busy for {timeout:g} s"} for each in states}
    gathering = eventer.Gathering[State, Any](len(silent), lambda found: done(silent | found))

    def answer(one: State) -> None:
        gathering.put(one, one.inspect(*question))

    if not silent:
        gathering.end()
        return
    eventer.add_in(_time_is_up, gathering.end, timeout)
    for each in list(silent):
        each.thread.post(when_free(each, partial(answer, each)))


def _time_is_up(_event: eventer.Event, _mask: int, end: Callable[[], object], _now: float) -> None:
    end()


eventer.name_callback("inspection of lua", _time_is_up)


def when_free(state: State, function: Callable[[], object]) -> Callable[[], object]:
    """*function* as it may be posted to the thread of *state*: it waits until no Lua runs there."""

    def run() -> None:
        if state.busy:
            state.thread.soon(run)
        else:
            function()

    return run
