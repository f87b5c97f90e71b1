"""lua_general: runs a function of a Lua module at start.  Manual: lua_general.

The first loop thread of the default pool has a Lua state, in which the function runs, with ``concurrent`` each.  Once
something is to be called wherever it happens, a hook say, all loop threads have one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from luamtev.api import runtime
from luamtev.modules.config import KEYS, absent, boolean, options, script_path, told
from luamtev.state import EXIT_TRAGEDY, State, StateError, prepare
from runtime import eventer, main
from runtime.conf import names
from runtime.log import stream_find


class LuaGeneral:
    """The module as the loader knows it."""

    whence: Callable[[str], str] = str
    KEYS = names.names(*KEYS, "lua_module", "lua_function", "concurrent", open=True)

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the configuration.  Raises ValueError naming the key that is missing or unusable."""
        for required in ("lua_module", "lua_function"):
            if not config.get(required):
                raise ValueError(f"{required} is required")
        self.module = script_path(config["lua_module"])
        self.function = config["lua_function"]
        self.concurrent = boolean(config, "concurrent", False)
        self.options = replace(options(config), name="lua_general")
        prepare()
        self.states: dict[eventer.LoopThread, State] = {}
        self._running: set[eventer.LoopThread] = set()  # where the function runs

    def check(self) -> Iterator[str]:
        """What is wrong with the script, without running it."""
        from luamtev import scripts  # for those who ask

        yield from absent(self.options)
        yield from scripts.mistakes("lua_module", self.module, self.options)

    def init(self) -> None:
        """Run the function on the loop threads it belongs on."""
        pool = eventer.pool()
        if pool is None:
            raise RuntimeError("the eventer is not initialised")
        runtime.register(self._replacing)
        for thread in pool.threads if self.concurrent else pool.threads[:1]:
            thread.post(self._run)

    def on(self, thread: eventer.LoopThread) -> State | None:
        """Part of :class:`luamtev.port.Kin`."""
        return self.states.get(thread)

    def spread(self) -> None:
        """Part of :class:`luamtev.port.Kin`."""
        for pool in eventer.pools():
            for thread in pool.threads:
                thread.post(self._current)

    def make_state(self) -> State:
        """Part of :class:`replacing.Owner`."""
        state = State(self.options)
        state.kin = self
        state.thread.on_stop(state.close)
        return state

    def _replacing(self) -> runtime.Reloadable:
        from luamtev.modules.replacing import Replacing  # for those who reload

        return Replacing("lua_general", self, lambda: self.states, [self.module], self.function, self._told)

    def use(self, state: State) -> None:
        """Part of :class:`replacing.Owner`: the function begins once what the one before does is over."""
        from luamtev.modules.replacing import leave

        before, self.states[state.thread] = self.states[state.thread], state
        leave(before, lambda: True, lambda: self._call(state))

    def _run(self) -> None:
        state = self._current()
        self._running.add(state.thread)
        self._call(state)

    def _current(self) -> State:
        """The state of this thread, made if there is none yet."""
        found = self.states.get(eventer.current())
        if found is not None:
            return found
        try:
            state = self.make_state()
        except StateError as failure:
            stream = stream_find("error/lua")
            stream.log(f"lua_general: {self._told(str(failure))}\n")
            stream.log(b"Unrecoverable run-time error. Terminating.\n")
            main.terminate(EXIT_TRAGEDY)
        self.states[state.thread] = state
        return state

    def _call(self, state: State) -> None:
        if state.thread in self._running:
            state.call(self.module, self.function, self._told)

    def _told(self, failure: str) -> str:
        return told(failure, self.whence)
