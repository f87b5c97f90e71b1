"""``/module/lua/profile``: where the time of Lua goes, in all states one after the other."""

import threading
from functools import partial
from typing import Any

from luamtev import asking
from luamtev.state import State, states
from runtime import eventer, ops
from runtime.http import Request, Response

INTERVAL = 0.01
"""Seconds of CPU between two samples, as ``profile.lua`` has it."""

_busy = threading.Lock()


def profile(request: Request, response: Response) -> None:
    """``GET /module/lua/profile?seconds=5&format=folded|speedscope&module=NAME``."""
    asked = ops.wanted_profile(request, response)
    if asked is None:
        return
    module = (request.querystring("module") or b"").decode("utf-8", "replace")
    chosen = [each for each in states() if not module or each.options.name == module]
    if not _busy.acquire(blocking=False):
        ops.answer(response, {"error": "somebody else is taking a profile"}, 409)
        return
    _Profile(response, chosen, *asked).next()


class _Profile:
    """One profile on its way through the states."""

    def __init__(self, response: Response, left: list[State], seconds: float, form: str) -> None:
        self._response = response
        self._left = left
        self._each = seconds / max(1, len(left))
        self._form = form
        self._stacks: dict[tuple[str, ...], int] = {}

    def next(self) -> None:
        """Begin with the next state, or answer."""
        if not self._left:
            _busy.release()
            self._response.resume(ops.send_profile, self._response, self._stacks, self._form, "lua", INTERVAL)
            return
        state = self._left.pop(0)
        asking.ask([state], partial(self._started, state), b"profile_start", timeout=self._each + asking.TIMEOUT)

    def _started(self, state: State, said: dict[State, Any]) -> None:
        if "error" in said[state]:  # it spins, and nobody gets in
            self._note(state, f"({said[state]['error']}: kill -USR2 shows its stacks)", 1)
            self.next()
            return
        eventer.add_in(partial(self._over, state), None, self._each)

    def _over(self, state: State, *_: object) -> None:
        asking.ask([state], partial(self._stopped, state), b"profile_stop", timeout=60.0)

    def _stopped(self, state: State, said: dict[State, Any]) -> None:
        rows = said[state].get("rows") or []
        for each in rows if isinstance(rows, list) else []:
            self._note(state, each["stack"], int(each["count"]))
        self.next()

    def _note(self, state: State, stack: str, count: int) -> None:
        frames = [
            each for each in stack.split(";") if each and not each.startswith(("luamtev/kernel.lua", "luamtev/kernel/"))
        ]
        where = f"{state.options.name} {state.thread.name}"
        key = (where, *(frames or ["(event loop)"]))
        self._stacks[key] = self._stacks.get(key, 0) + count
