"""lua_web: Lua modules as web handlers.  Manual: lua_web.

``mount_NAME`` is ``module:METHOD:/prefix/[:expression]``; access control is asked before the handler runs, unless
``public_NAME`` is true; bodies are read before, unless ``stream_NAME`` is.  Each loop thread has a Lua state of its
own, and a request is served by the state of the thread that its connection belongs to, or, with ``loop_assign_NAME``,
of a thread of that pool.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from luamtev.api import runtime
from luamtev.modules.config import KEYS, absent, options, told
from luamtev.modules.replacing import Replacing, leave
from luamtev.state import State, StateError, prepare
from luamtev.web.exchanges import Exchanges
from luamtev.web.library import Web
from luamtev.web.sockets import LuaSockets
from runtime import eventer, http
from runtime.conf import names, parse_boolean
from runtime.http import Mountpoint, Request, Response
from runtime.http.message.owner import Owner
from runtime.log import stream_find

if TYPE_CHECKING:
    from luamtev.web.engine import Engine
    from runtime.http.protocol.batches import Answer, Batch

_MOUNT = re.compile(r"([^:]+):([^:]+):([^:]+)(?::(.+))?", re.DOTALL)
_EVERYTHING = "(.*)$"

WEBSOCKET = "WS"
"""The method of a mount whose module has callbacks for WebSocket connections."""

METHODS = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "ACL", "BASELINE-CONTROL", "BIND",
    "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
    "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "M-SEARCH", "NOTIFY", "ORDERPATCH", "PROPFIND", "PROPPATCH", "PURGE",
    "QUERY", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK",
    "UNSUBSCRIBE", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
)  # fmt: skip
"""Those that the IANA has registered, and a few in use beside them.  RFC 9110, 16.1."""

LUA, PYTHON = "lua", "python"
"""Who serves HTTP/1: the states themselves, where they surely understand, or :mod:`runtime.http` alone."""


@dataclass(frozen=True)
class Mount:
    """What one ``mount_NAME`` says."""

    name: str
    module: str
    method: str
    base: str
    expression: str
    pool: str | None
    public: bool
    stream: bool


class LuaWeb:
    """The module as the loader knows it."""

    whence: Callable[[str], str] = str
    KEYS = names.names(
        *KEYS,
        "engine",
        "dispatch",
        prefixes=["mount_", "loop_assign_", "public_", "stream_"],
        unused={"dev_mode": "luamtev --reload makes states anew whose files change"},
        open=True,
    )

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the configuration; the loops exist already.  Raises ValueError naming the key that is unusable."""
        self.options = options(config)
        self.engine = config.get("engine", LUA).strip()
        if self.engine not in (LUA, PYTHON):
            raise ValueError(f"engine: '{config['engine']}' is neither {LUA} nor {PYTHON}")
        self.mounts = [
            _mount(key.removeprefix("mount_"), value, config)
            for key, value in config.items()
            if key.startswith("mount_")
        ]
        given = {each.name for each in self.mounts}
        for key in config:
            for prefix in ("loop_assign_", "public_", "stream_"):
                if key.startswith(prefix) and key.removeprefix(prefix) not in given:
                    raise ValueError(f"{key}: there is no mount_{key.removeprefix(prefix)}")
        for each in self.mounts:
            if each.pool is not None and eventer.pool(each.pool) is None:
                there = ", ".join(pool.name for pool in eventer.pools())
                raise ValueError(f"loop_assign_{each.name}: there is no loop '{each.pool}': there are {there}")
        _check_apart(self.mounts)
        prepare()
        self._states: dict[Owner, Exchanges] = {}
        self._used: dict[eventer.LoopThread, State] = {}
        self._webs: dict[State, Web] = {}
        self._routes: list[tuple[Mountpoint, int, str | None]] = []
        for index, each in enumerate(self.mounts, 1):
            try:
                self._mount(index, each)
            except ValueError as mistake:
                raise ValueError(f"mount_{each.name}: {mistake}") from None

    def check(self) -> Iterator[str]:
        """What is wrong with the modules of the mounts, without running them."""
        from luamtev import scripts  # for those who ask

        yield from absent(self.options)
        for each in self.mounts:
            yield from scripts.mistakes(f"mount_{each.name}", each.module, self.options)

    def init(self) -> None:
        """Make the states, before the first request wants one."""
        modules = [each.module for each in self.mounts]
        runtime.register(lambda: Replacing("lua_web", self, lambda: self._used, modules, "", self._told))
        pools = {"default", *(each.pool for each in self.mounts if each.pool is not None)}
        for name in sorted(pools):
            pool = eventer.pool(name)
            for thread in pool.threads if pool is not None else ():
                thread.post(self._current)

    def _mount(self, index: int, mount: Mount) -> None:
        """Have *mount* serve its base and what is below it; a base without a slash at its end is a path itself."""
        bases = [(mount.base, mount.expression)]
        if not mount.base.endswith("/") and _finds(mount.expression, ""):
            parent, _, last = mount.base.rpartition("/")
            bases.append((f"{parent}/", f"^\\Q{last}\\E$"))
        auth = http.anybody if mount.public else None
        for base, expression in bases:
            if mount.method == WEBSOCKET:
                sockets = LuaSockets(self._current, index)
                http.websocket(base, expression, sockets, protocols=sockets.protocols, auth=auth)
            else:
                route = http.mount(
                    mount.method,
                    base,
                    expression,
                    self._handler(index, mount),
                    auth=auth,
                    many=(self._serve_many, index) if mount.pool is None else None,
                    stream=mount.stream,
                )
                if not mount.stream:
                    self._routes.append((route, index, mount.pool))

    def _handler(self, index: int, mount: Mount) -> Callable[[Request, Response], object]:
        states = self._states

        def serve(_request: Request, response: Response) -> None:
            found = None if response.owner is None else states.get(response.owner)
            (found or self._current()).serve(index, response)
            http.let_go(response)

        def serve_there(request: Request, response: Response) -> None:
            pool = eventer.pool(mount.pool or "")
            assert pool is not None
            here = eventer.current()
            there = here if here.pool is pool else eventer.choose_owner_pool(pool)
            if there is here:
                serve(request, response)
            elif not there.post(lambda: self._current().serve(index, response)):
                response.error(503)

        return serve if mount.pool is None else serve_there

    def _serve_many(self, batch: "Batch", budget: float) -> "list[Answer | None]":
        return self._current().serve_many(batch, budget)

    def _current(self) -> Exchanges:
        """The state of this thread."""
        found = self._states.get(eventer.current())
        if found is None:
            try:
                state = self.make_state()
            except StateError as failure:
                stream_find("error/lua").log(f"lua_web: {self._told(str(failure))}\n")
                raise
            found = self._take(state)
        return found

    def make_state(self) -> State:
        """Part of :class:`replacing.Owner`."""
        web = Web([each.module for each in self.mounts], [each.name for each in self.mounts])
        state = State(replace(self.options, name="lua_web"), library=web)
        state.thread.on_stop(state.close)
        self._webs[state] = web
        state.on_close(lambda: self._webs.pop(state, None))
        return state

    def use(self, state: State) -> None:
        """Part of :class:`replacing.Owner`: what is under way is answered by the one before."""
        before = self._used[state.thread]
        web = self._webs[before]
        self._take(state, web.engine)
        if web.engine is not None:
            web.engine.finish()

        def is_idle() -> bool:
            held = 0 if web.engine is None else web.engine.count
            return not (web.exchanges.open or web.exchanges.sockets or held)

        leave(before, is_idle, lambda: None)

    def _take(self, state: State, engine: "Engine | None" = None) -> Exchanges:
        """Have *state* serve what comes to its thread from now on, in place of that of *engine*."""
        web, thread = self._webs[state], state.thread
        self._used[thread] = state
        self._states[thread] = web.exchanges
        if web.engine is not None and self.engine == LUA:
            web.engine.routes = {
                route: index for route, index, pool in self._routes if pool is None or pool == thread.pool.name
            }
            http.receive(web.engine, instead_of=engine)
        return web.exchanges

    def _told(self, failure: str) -> str:
        return told(failure, self.whence)


def _mount(name: str, text: str, config: Mapping[str, str]) -> Mount:
    match = _MOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"Invalid lua_web mount syntax in 'mount_{name}': expected module:METHOD:/base/[:expression], not '{text}'"
        )
    module, method, base, expression = match.groups()
    if method not in (*METHODS, WEBSOCKET):
        near = difflib.get_close_matches(method.upper(), METHODS, 1, 0.0)[0]
        raise ValueError(f"mount_{name}: there is no method {method}, expected {near}, say, or {WEBSOCKET}")
    pool = config.get(f"loop_assign_{name}") or None
    public, stream = _flag(f"public_{name}", config), _flag(f"stream_{name}", config)
    if stream and method == WEBSOCKET:
        raise ValueError(f"stream_{name}: mount_{name} is for WebSocket connections")
    return Mount(name, module, method, base, expression or _EVERYTHING, pool, public, stream)


def _flag(key: str, config: Mapping[str, str]) -> bool:
    try:
        return parse_boolean(config.get(key, "false"))
    except ValueError as mistake:
        raise ValueError(f"{key} '{config[key]}': {mistake}") from None


def _check_apart(mounts: list[Mount]) -> None:
    """Raises ValueError for one that nothing would ever come to."""
    taken: dict[tuple[str, str, str], str] = {}
    for each in mounts:
        first = taken.setdefault((each.method, each.base, each.expression), each.name)
        if first != each.name:
            raise ValueError(f"mount_{each.name}: mount_{first} serves {each.method} {each.base} already")


def _finds(expression: str, text: str) -> bool:
    import pcre2  # at the first mount, not at start

    try:
        return pcre2.compile(expression).search(text) is not None
    except pcre2.LibraryError:
        return False  # whoever mounts it says so
