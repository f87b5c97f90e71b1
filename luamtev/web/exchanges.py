"""The requests that a Lua state serves, and its WebSocket connections: each is known to Lua by a number.

A request is known until its handler has returned.  Lua may run on another loop thread than the request's (lua_web's
loop_assign): then what it says is posted there.  Manual: lua_web.
"""

import itertools
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from luamtev.api.zipkin import number_of
from luamtev.port import Port
from luamtev.state import StateError
from runtime import eventer
from runtime.http import Peer, Response
from runtime.http.protocol.batches import Answer, Batch

if TYPE_CHECKING:
    from runtime.http.protocol.websocket import WebSocket
    from runtime.zipkin import Span

configs: dict[int, Mapping[str, str]] = {}
"""The configurations of listeners, by their numbers."""


class Exchanges:
    """The requests that a state serves."""

    def __init__(self, state: Port, mounts: list[str], names: list[str]) -> None:
        self.mounts = mounts
        self.names = names
        self._state = state
        self._last = 0
        self._untold: deque[tuple[Any, ...]] = deque()
        self.open: dict[int, Response] = {}
        self._batch: Batch | None = None  # what is served now
        self._first = 0  # the number of the first of it
        self.sockets: dict[int, WebSocket] = {}
        self._protocols: dict[int, tuple[str, ...]] = {}

    def serve(self, mount: int, response: Response) -> None:
        """Run the handler of *mount*; on the state's thread, which need not be that of the response.

        Raises :exc:`luamtev.state.StateError` when the state has failed or is closed."""
        state = self._state
        if state.busy:  # a response that ends in Lua may bring the next request with it
            state.thread.soon(self.serve, mount, response)
            return
        self._last = handle = self._last + 1
        self.open[handle] = response
        request = response.request
        config = config_id(request.peer)
        date = response.date_if_plain() if response.owner is state.thread else None
        asked = (handle, mount, request.method, request.path, config, date)
        try:
            over, code, data = self._begin(*asked) if not request.span else self._begin_traced(asked, request.span)
        except Exception:
            self.open.pop(handle, None)
            raise
        if over:
            self.open.pop(handle, None)
        if data is not None:
            response.end_whole(code, data)

    def _begin(self, *asked: Any) -> tuple[bool, int, bytes | None]:
        """Whether the handler has returned already, and the status and all the bytes of its response if they are there
        to be sent."""
        answer = self._state.enter("serve", *asked)
        if answer is None:
            raise StateError("the request could not be handed to Lua")
        over, code, data = answer
        return over, code, data

    def _begin_traced(self, asked: tuple[Any, ...], span: "Span") -> tuple[bool, int, bytes | None]:
        """The same with *span*, which coroutines carry from there on."""
        from runtime import zipkin

        with zipkin.within(None):
            return self._begin(*asked, number_of(span))

    def protocols(self, mount: int) -> tuple[str, ...]:
        """The subprotocols of the module of *mount*; asked of Lua once."""
        known = self._protocols.get(mount)
        if known is None:
            if not self._state.can_enter():
                return ()
            answer = self._state.enter("protocols", mount)
            names = (answer[0] if answer else b"").decode("latin-1").split("\n")
            known = self._protocols[mount] = tuple(each for each in names if each)
        return known

    def serve_many(self, batch: Batch, budget: float) -> list[Answer | None]:
        """Run the handlers of *batch* for *budget* seconds, in one call into Lua; on the state's thread.

        Of the type :data:`runtime.http.protocol.batches.Many`.
        Raises :exc:`luamtev.state.StateError` when the state has failed or is closed."""
        state = self._state
        if state.busy:
            for at, each in enumerate(batch.asked):
                self.serve(each.offer.mount, batch.response(at))
            return [None] * len(batch.asked)
        first = self._last + 1
        self._last += len(batch.asked)
        asked: list[Any] = [first, config_id(batch.peer), budget]
        for each in batch.asked:
            asked += each.call
        self._batch, self._first = batch, first
        try:
            said = state.enter("serve_many", *asked)
            if said is None:
                raise StateError("the requests could not be handed to Lua")
            return self._answers(said)
        finally:
            self._batch = None

    def _answers(self, said: tuple[Any, ...]) -> list[Answer | None]:
        """What Lua *said* of requests of the batch, four values for each: the answers that are whole."""
        answers: list[Answer | None] = []
        for handle, over, code, lines, body in zip(itertools.count(self._first), *[iter(said)] * 4, strict=False):
            if not over:
                self.response_of(handle)
            elif self.open:
                self.open.pop(handle, None)
            answers.append((code, lines, body) if code else None)
        return answers

    def response_of(self, handle: int) -> Response | None:
        """The response of the request *handle*, if that is not over."""
        found = self.open.get(handle)
        batch = self._batch
        if found is None and batch is not None and 0 <= handle - self._first < len(batch.asked):
            found = self.open[handle] = batch.response(handle - self._first)
        return found

    def add_socket(self, ws: "WebSocket") -> int:
        """Know *ws* by a number, which its request has too."""
        self._last = handle = self._last + 1
        self.sockets[handle] = ws
        return handle

    def tell(self, *event: Any) -> None:
        """Tell Lua of an *event* on a WebSocket connection, after those before it."""
        self._untold.append(event)
        if not self._state.can_enter():  # what is sent from Lua, or from an aco, may end the connection
            self._state.thread.soon(self._tell_all)
        else:
            self._tell_all()

    def _tell_all(self) -> None:
        mine = eventer.Slice()
        while self._untold and not self._state.busy:
            event = self._untold.popleft()
            self._state.enter("socket", *event)
            if event[2] == b"cleanup":
                self.sockets.pop(event[0], None)
            if self._untold and mine.is_over():
                self._state.thread.soon(self._tell_all)
                break


def config_id(peer: Peer) -> int:
    """The number by which Lua asks for the configuration of the listener that *peer* came to."""
    configs.setdefault(peer.listener, peer.config)
    return peer.listener
