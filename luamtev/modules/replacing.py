"""How a module with Lua states replaces them while they run: the part that lua_general and lua_web have in common."""

import os
import re
from collections.abc import Callable
from typing import Protocol

from luamtev.api import runtime
from luamtev.asking import when_free
from luamtev.state import State, StateError
from runtime import eventer, hooks, log
from runtime.stamps import Stamp, stamp

_NOT_FOUND = re.compile(r"no file '([^']+\.lua)'")


class Owner(Protocol):
    """What is particular of a module; all of it is called on the thread of the state, outside Lua."""

    def make_state(self) -> State:
        """A new state for this thread, not in use yet.  Raises :exc:`StateError`."""

    def use(self, state: State) -> None:
        """Have *state*, which has loaded its modules, take over from the one that is there."""


class Replacing:
    """Replaces the states of one module, *name*: those that *states* gives, by thread.

    *modules* and *function* are what a new one has to load first; *tell* words a failure to."""

    def __init__(
        self,
        name: str,
        owner: Owner,
        states: Callable[[], dict[eventer.LoopThread, State]],
        modules: list[str],
        function: str,
        tell: Callable[[str], str],
    ) -> None:
        self._name = name
        self._owner = owner
        self._states = states
        self._modules = modules
        self._function = function
        self._tell = tell
        self._begun: dict[eventer.LoopThread, str | None] = {}  # what came meanwhile, if anything
        self._tried: dict[str, Stamp | None] = {}  # files as they were when that was in vain

    def files(self) -> dict[str, Stamp | None]:
        """Part of :class:`runtime.Reloadable`."""
        found: dict[str, Stamp | None] = {}
        for each in list(self._states().values()):
            found |= runtime.files_of(each)
        return found | self._tried

    def replace(self, why: str) -> None:
        """Part of :class:`runtime.Reloadable`."""
        for thread in list(self._states()):
            thread.post(self._begin, why)

    def _begin(self, why: str) -> None:
        thread = eventer.current()
        if thread in self._begun:
            self._begun[thread] = why
            return
        if runtime.RELOADING.invoke(self._name, why) == hooks.ABORT:
            return
        before = {path: stamp(path) for path in self.files()}
        try:
            fresh = self._owner.make_state()
        except StateError as failure:
            self._refuse(str(failure), why, before)
            return
        self._begun[thread] = None
        runtime.load(
            fresh,
            self._modules,
            self._function,
            lambda failure: thread.soon(when_free(fresh, lambda: self._end(fresh, failure, why, before))),
        )

    def _end(self, fresh: State, failure: str | None, why: str, before: dict[str, Stamp | None]) -> None:
        if failure is None:
            self._tried = {}
            log.notice.log(f"{self._name}: {why}: a new Lua state takes over on {fresh.thread.name}\n")
            self._owner.use(fresh)
        else:
            before |= runtime.files_of(fresh)
            fresh.close()
            self._refuse(failure, why, before)
        again = self._begun.pop(fresh.thread)
        if again is not None:
            self._begin(again)

    def _refuse(self, failure: str, why: str, tried: dict[str, Stamp | None]) -> None:
        self._tried = dict.fromkeys(map(os.path.abspath, _NOT_FOUND.findall(failure))) | tried
        line = self._tell(failure).partition("\n")[0]
        log.facility("error/lua").log(f"{self._name}: {why}: the Lua state stays as it is: {line}\n")


def leave(state: State, is_idle: Callable[[], bool], then: Callable[[], object]) -> None:
    """Have *state* be defunct, and close it once it *is_idle* too; *then* is called."""

    def close() -> None:
        state.close()
        then()

    def look(*_: object) -> None:
        if is_idle():
            when_free(state, close)()
        else:
            eventer.add_in(look, None, _LOOK)

    runtime.retire(state, look)


_LOOK = 0.05  # seconds
