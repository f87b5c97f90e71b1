"""The library ``web`` of a Lua state: requests that Python has read, and the engine that reads them in Lua."""

from collections.abc import Callable, Sequence
from typing import Any

from luamtev.port import Port

from . import asked
from .engine import Engine
from .exchanges import Exchanges


class Web:
    """A :class:`luamtev.port.Library`, for one state.

    Attributes, once the state is there: ``exchanges``; ``engine``, None where descriptors cannot be waited for in
    Lua."""

    name = "web"

    def __init__(self, mounts: Sequence[str], names: Sequence[str]) -> None:
        """*mounts* are the Lua modules of the mounts, *names* those of the mounts, one each."""
        self._mounts = list(mounts)
        self._names = list(names)

    @property
    def engine(self) -> Engine | None:
        """What serves HTTP/1 in Lua."""
        return self._engine if self._state.offers("http1_open") else None

    def functions(self, state: Port) -> dict[str, Callable[..., Any]]:
        """Part of :class:`luamtev.port.Library`."""
        self._state = state
        self.exchanges = Exchanges(state, self._mounts, self._names)
        self._engine = Engine(state, self.exchanges.open)
        return asked.functions(state, self.exchanges) | self._engine.functions()

    def about(self, handle: str) -> str:
        """Part of :class:`luamtev.port.Library`."""
        response = self.exchanges.open.get(int(handle)) if handle.isdecimal() else None
        return "" if response is None else f" of {response.request.peer.remote}"
