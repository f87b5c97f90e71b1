"""``/module/lua/state.json`` and ``/module/lua/xcall.json``: what the Lua states of the process say of themselves."""

import json
import threading
from collections.abc import Callable
from typing import Any

from luamtev import state
from runtime import eventer, http
from runtime.http import Request, Response

TIMEOUT = 5.0
"""Seconds after which a state that does not answer is shown as busy."""


def mount() -> None:
    """Mount both endpoints, behind access control."""
    http.mount("GET", "/module/lua/", r"^state\.json$", _states)
    http.mount("GET", "/module/lua/", r"^xcall\.json$", _xcall)


def _states(_request: Request, response: Response) -> None:
    _ask_all(response, b"state")


def _xcall(request: Request, response: Response) -> None:
    query = {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in request.querystring().items()
    }
    _ask_all(response, b"xcall", json.dumps(query).encode())


def _ask_all(response: Response, *question: bytes) -> None:
    """Ask every state on its own thread, and answer when the last has, or when time is up."""
    states = state.states()
    found: dict[state.State, Any] = {each: {"error": f"busy for {TIMEOUT:g} s"} for each in states}
    missing = set(states)
    lock = threading.Lock()

    def answer(*_: object) -> None:
        with lock:
            document: dict[str, dict[str, Any]] = {}
            for each, said in found.items():
                document.setdefault(each.options.name, {})[each.thread.name] = said
        if not response.complete:
            response.header("Content-Type", "application/json")
            response.write(json.dumps(document).encode() + b"\n")
            response.flush_end()

    def ask(one: state.State) -> None:
        said = one.inspect(*question)
        with lock:
            found[one] = said
            missing.discard(one)
            over = not missing
        if over:
            response.resume(answer)

    for each in states:
        each.thread.post(_later(ask, each))
    if states:
        eventer.add_in(answer, None, TIMEOUT)
    else:
        answer()


def _later(function: Callable[[state.State], object], one: state.State) -> Callable[[], object]:
    def run() -> None:
        if one.busy:
            one.thread.soon(run)
        else:
            function(one)

    return run
