"""``/module/lua/state.json`` and ``/module/lua/xcall.json``: what the Lua states of the process say of themselves; and
``/module/lua/bump.json``, which has them made anew."""

import json
from typing import Any

from luamtev import asking
from luamtev.api import runtime
from luamtev.modules import lua_metrics, lua_profile
from luamtev.state import State, states
from runtime import http, ops
from runtime.http import Request, Response


def mount() -> None:
    """Mount the endpoints, behind access control."""
    http.mount("GET", "/module/lua/", r"^state\.json$", _states)
    http.mount("GET", "/module/lua/", r"^xcall\.json$", _xcall)
    http.mount("POST", "/module/lua/", r"^bump\.json$", _bump)
    if ops.profiles():
        http.mount("GET", "/module/lua/", r"^profile$", lua_profile.profile)
    ops.family_source(lua_metrics.families)


def _states(request: Request, response: Response) -> None:
    _ask_all(request, response, b"state")


def _xcall(request: Request, response: Response) -> None:
    query = {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in request.querystring().items()
    }
    _ask_all(request, response, b"xcall", json.dumps(query).encode())


def _bump(_request: Request, response: Response) -> None:
    response.header("Content-Type", "application/json")
    response.write(json.dumps({"gen": runtime.replace_all("bump.json")}).encode() + b"\n")
    response.flush_end()


def _ask_all(request: Request, response: Response, *question: bytes) -> None:
    """Ask every state on its own thread, and answer when the last has, or when time is up."""
    given = request.querystring("timeout")
    timeout = int(given) / 1000 if given is not None and given.isdigit() and len(given) < 7 else asking.TIMEOUT
    pool = request.querystring("loop")
    asked = [each for each in states() if pool is None or each.thread.pool.name.encode() == pool]

    def answer(found: dict[State, Any]) -> None:
        document: dict[str, dict[str, Any]] = {}
        for each, said in found.items():
            document.setdefault(each.options.name, {})[each.thread.name] = _with_tickets(each, said)
        if not response.complete:
            response.header("Content-Type", "application/json")
            response.write(json.dumps(document).encode() + b"\n")
            response.flush_end()

    asking.ask(asked, lambda found: response.resume(answer, found), *question, timeout=timeout)


def _with_tickets(state: State, said: Any) -> Any:
    """What *state* said, with a word for the work that a coroutine waits for."""
    coroutines = said.get("coroutines") if isinstance(said, dict) else None
    if isinstance(coroutines, list):
        for each in coroutines:
            ticket = each.pop("ticket", None)
            pending = None if ticket is None else state.tickets.get(int(ticket))
            if pending is not None:
                each["awaits"] = each["awaits"].replace(f"ticket {ticket:g}", type(pending).__name__, 1)
    elif isinstance(coroutines, dict):
        said["coroutines"] = []  # Lua's empty table
    return said
