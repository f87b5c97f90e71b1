"""The engine's way to the rest of the process: gives connections to the Lua state of their thread and takes them back.

A connection is Lua's from then on, descriptor and all; its event is off the loop, but still says who it is.  One that
is encrypted is read and written here, a crossing for each piece.  Lua knows connections by number.
"""

import itertools
import random
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

from luamtev.api.zipkin import number_of
from luamtev.bridge import LuaError
from luamtev.port import Port
from runtime import eventer, http, log, tls, trace
from runtime.eventer import EXCEPTION, READ, Event
from runtime.http import Limits, Mountpoint, Peer, Request, Response
from runtime.http.ledger.access import escaped
from runtime.http.message import traced
from runtime.http.message.target import path_of
from runtime.net import Connection

from .answers import COMPLETE, Answer, request_of
from .counts import Counts
from .exchanges import config_id
from .said import say, say_file

CALLBACK = "http/lua"
"""The name that operators see."""
READ_SIZE = 32 << 10
"""More than what TLS has in a record: it tells of no rest."""
MOST_STRANGERS = 3
"""Requests in a row that are not for Lua, after which a connection comes back only once one is."""


class Held:
    """A connection that the engine has.  The closure of its event and of the connection."""

    __slots__ = ("connection", "engine", "limits", "number", "peer", "strangers")

    def __init__(
        self, engine: "Engine", number: int, connection: Connection, peer: Peer, limits: Limits, strangers: int
    ) -> None:
        self.engine = engine
        self.number = number
        self.connection = connection
        self.peer = peer
        self.limits = limits
        self.strangers = strangers  # requests in a row that were not for Lua

    def close(self) -> None:
        """The connection is closed by others."""
        self.engine.drop(self)


class Engine:
    """The connections that one state serves: the :class:`runtime.http.Guest` of its loop thread."""

    def __init__(self, state: Port, answers: dict[int, Response]) -> None:
        """*answers* are those of the state that are under way, by number; each engine's numbers are its own."""
        self.routes: Mapping[Mountpoint, int] = {}
        """The mounts of this state by their routes."""
        self._state = state
        self._open_answers = answers
        self._counts = Counts()
        self._held: dict[int, Held] = {}
        self._numbers = itertools.count(1)
        self._answers = itertools.count(-1, -1)  # handles that no other request has
        self._traced: dict[int, Request] = {}  # by the number of their span
        self._finishing = False
        self._ticking = False
        state.thread.others.append(self.rows)
        state.on_close(lambda: state.thread.others.remove(self.rows))

    # As a guest

    @property
    def count(self) -> int:
        """Part of :class:`runtime.http.Guest`."""
        return len(self._held)

    def take(self, connection: Connection, peer: Peer, limits: Limits) -> bool:
        """Part of :class:`runtime.http.Guest`."""
        event = connection.event
        if self._finishing or event is None or http.is_hooked() or any(each.enabled for each in _watching):
            return False
        if not peer.secure and type(connection.sock) is not socket.socket:
            return False  # it has no descriptor of its own
        held = Held(self, next(self._numbers), connection, peer, limits, _strangers_of(connection))
        self._held[held.number] = held
        connection.closure = event.closure = held
        event.callback = served_by_lua
        if self._state.busy:  # a session's last answer came from Lua
            self._state.thread.soon(self._open, held)
        else:
            self._open(held)
        if not self._ticking:
            self._tick(limits)
        return True

    def finish(self) -> None:
        """Part of :class:`runtime.http.Guest`."""
        self._finishing = True
        self._tell("finish")

    def rows(self, mask: int) -> list[eventer.Row]:
        """The connections for those who look at the loops; none of them for who asks for timers."""
        if not mask & READ:
            return []
        return [_row(held) for held in self._held.values()]

    def _open(self, held: Held) -> None:
        peer, connection = held.peer, held.connection
        if connection.closed:
            return
        client = b"%d %s" % (peer.listener, peer.remote.encode())
        if peer.cn is not None:
            client += b" " + peer.cn.encode()
        self._tell(
            "open",
            held.number,
            connection.sock.fileno(),
            peer.secure,
            config_id(peer),
            peer.remote.encode(),
            client,
        )

    def _tick(self, limits: Limits) -> None:
        self._ticking = True
        seconds = [each for each in (limits.header_timeout, limits.body_timeout, limits.idle_timeout) if each]
        delay = max(0.05, min(1.0, *(each / 4 for each in seconds))) if seconds else 1.0
        eventer.add_in(self._sweep, limits, delay)

    def _sweep(self, _event: Event, _mask: int, limits: Limits, _now: float) -> None:
        self._ticking = False
        if self._held:
            self._tick(limits)
            self._tell("sweep")

    def drop(self, held: Held) -> None:
        """Forget a connection that others close."""
        if self._held.pop(held.number, None) is None:
            return
        if traced.CLOSE.heard[0]:
            traced.tell(traced.CLOSE, held.peer)
        if self._state.can_enter():
            self._tell("drop", held.number)
        else:
            self._state.thread.soon(self._tell, "drop", held.number)

    def _tell(self, entry: str, *args: Any) -> tuple[Any, ...] | None:
        return self._state.enter(f"http1_{entry}", *args)

    # What Lua asks for

    def functions(self) -> dict[str, Callable[..., Any]]:
        """What ``http1/*.lua`` builds on."""
        return {
            "http1_generation_address": http.generation.address,
            "http1_counts_address": lambda: self._counts.requests.address,
            "http1_latency_address": self._counts.latency_address,
            "http1_trace_points": lambda: tuple(trace.ORDER[each] for each in traced.OF_REQUESTS),
            "http1_renewed": self._renewed,
            "http1_decide": self._decide,
            "http1_allows": lambda number, path: http.allows(self._held[int(number)].peer, path),
            "http1_profile": self._profile,
            "http1_answer": self._answer,
            "http1_say": self._say,
            "http1_say_file": self._say_file,
            "http1_discard": lambda handle: self._found(handle)[0].discard(),
            "http1_more": self._more,
            "http1_gone": self._gone,
            "http1_begin_span": self._begin_span,
            "http1_end_span": self._end_span,
            "http1_drop_span": self._drop_span,
            "http1_hand_over": self._hand_over,
            "http1_close": self._close,
            "http1_receive": self._receive,
            "http1_send": self._send,
            "http1_timeout": self._timeout,
            "http1_write": lambda text: log.stream_find("http/access").log(text),
            "http1_write_entries": self._write_entries,
        }

    def _renewed(self) -> tuple[Any, ...]:
        """What may be different now: hooks, access control, tracing."""
        found = http.is_hooked(), http.is_same_for_all()
        if http.surrounded_by() is None:
            return found
        from runtime import zipkin

        chances = zipkin.chances()
        return found if chances is None else (*found, *chances, random.getrandbits(31) + 1)

    def _decide(self, number: float, method: bytes, path: bytes) -> tuple[int | bool, int, bytes, bytes]:
        route, _ = http.decide(self._held[int(number)].peer, method, path)
        mount = None if route is None else self.routes.get(route)
        if route is None or mount is None:
            return False, 0, path, path
        normal = path_of(path)
        return mount, self._counts.slot_of(route), normal, escaped(normal).encode()

    def _profile(self, number: float) -> dict[str, float]:
        held = self._held[int(number)]
        limits = held.limits
        return {
            "config": held.peer.listener,
            "max_header": limits.max_header,
            "max_uri": limits.max_uri,
            "max_upload": limits.max_upload,
            "header_timeout": limits.header_timeout,
            "body_timeout": limits.body_timeout,
            "idle_timeout": limits.idle_timeout,
            "turn_budget": eventer.settings().turn_budget,
        }

    def _answer(
        self,
        number: float,
        method: bytes,
        target: bytes,
        minor: float,
        lines: bytes,
        payload: bytes,
        keep: bool,
        received: float,
        slot: float,
        span: float | bool,
    ) -> int:
        request = self._traced.get(int(span)) or self._request(
            number, method, target, minor, lines, payload, received, slot
        )
        request.keep_alive = keep
        handle = next(self._answers)
        self._open_answers[handle] = Response(request, Answer(), self._state.thread)
        return handle

    def _request(
        self,
        number: float,
        method: bytes,
        target: bytes,
        minor: float,
        lines: bytes,
        payload: bytes,
        received: float,
        slot: float,
    ) -> Request:
        request = request_of(Request(self._held[int(number)].peer), lines)
        request.method, request.uri, request.payload = method, target, payload
        request.protocol = b"HTTP/1.%d" % int(minor)
        request.received = received
        request.route = self._counts.routes[int(slot)]
        request.span = False
        return request

    def _begin_span(self, *asked: Any) -> int:
        """A request that is traced, as :meth:`_request` takes it, goes to its handler; the number of its span."""
        from runtime import zipkin

        request = self._request(*asked)
        number = number_of(zipkin.begin(request))
        self._traced[number] = request
        return number

    def _end_span(self, span: float, code: float, written: float, has_begun: bool) -> None:
        from runtime import zipkin

        zipkin.end(self._traced.pop(int(span)), int(code), int(written), has_begun)

    def _drop_span(self, span: float) -> None:
        """The client is gone."""
        self._traced.pop(int(span)).span.drop()

    def _say(
        self,
        handle: float,
        code: float,
        reason: bytes | None,
        options: float,
        ending: bool,
        body: bytes,
        *headers: bytes,
    ) -> tuple[int, bytes, int]:
        response, sink = self._found(handle)
        say(response, int(code), reason, int(options), ending, body, headers)
        return self._fetch(handle, response, sink)

    def _say_file(
        self, handle: float, body: bytes, fd: float, size: float | None, offset: float | None
    ) -> tuple[bool, str | None]:
        response, _ = self._found(handle)
        return say_file(response, body, fd, size, offset)

    def _more(self, handle: float, waiting: float) -> tuple[int, bytes, int]:
        response, sink = self._found(handle)
        sink.sent(int(waiting))
        return self._fetch(handle, response, sink)

    def _fetch(self, handle: float, response: Response, sink: Answer) -> tuple[int, bytes, int]:
        found = sink.fetch(response)
        if found[0] & COMPLETE:
            self._open_answers.pop(int(handle), None)
        return found

    def _gone(self, handle: float) -> int:
        response = self._open_answers.pop(int(handle), None)
        if response is None:
            return 0
        response.disconnected()
        return response.written

    def _found(self, handle: float) -> tuple[Response, Answer]:
        response = self._open_answers.get(int(handle))
        if response is None:
            raise LuaError("the request is over")
        sink = response.sink
        assert isinstance(sink, Answer)
        return response, sink

    def _hand_over(self, number: float, data: bytes, is_strange: bool, begun_for: float) -> None:
        held = self._held.pop(int(number))
        held.strangers = held.strangers + 1 if is_strange else 0
        self._state.thread.soon(self._give_back, held, data, begun_for)  # never below Lua

    def _give_back(self, held: Held, data: bytes, begun_for: float) -> None:
        returns = held.strangers < MOST_STRANGERS
        http.adopt(held.connection, held.peer, held.limits, data, leaving=returns, begun_for=begun_for, closure=held)

    def _close(self, number: float) -> None:
        held = self._held.pop(int(number), None)
        if held is not None:
            held.connection.close()
            if traced.CLOSE.heard[0]:
                traced.tell(traced.CLOSE, held.peer)

    def _receive(self, number: float) -> bytes | bool | None:
        """What came of an encrypted connection; None for nothing yet, False for one that failed."""
        sock: Any = self._held[int(number)].connection.sock
        try:
            data: bytes = sock.recv(READ_SIZE)
        except tls.WANTS:
            return None
        except ssl.SSLEOFError:
            return b""
        except OSError:
            return False
        return data

    def _send(self, number: float, data: bytes) -> int | None:
        try:
            taken: int = self._held[int(number)].connection.sock.send(data)
        except tls.WANTS:
            return 0
        except OSError:
            return None
        return taken

    def _timeout(self, number: float, stage: bytes) -> None:
        http.log_timeout(self._held[int(number)].peer, stage.decode())

    def _write_entries(self, values: Any) -> None:
        """Write the lines of entries, nine values each, for logs that want more than a line."""
        flat = iter([values[at] for at in range(1, len(values) + 1)])
        entries = []
        for remote, method, target, minor, received, finished, code, written, read in zip(*[flat] * 9, strict=True):
            entries.append(
                http.Entry(
                    http.Peer(remote.decode()),
                    method,
                    target,
                    b"HTTP/1.%d" % int(minor),
                    None,
                    received,
                    finished,
                    int(code),
                    int(written),
                    int(read),
                    None,
                    None,
                )
            )
        http.write_entries(entries)


_watching: Final = tuple(map(log.facility, ("http/io", "debug/http", "debug/rest")))  # each request is told there


def _strangers_of(connection: Connection) -> int:
    before = getattr(connection.closure, "closure", None)  # of the session that it was handed to
    return before.strangers if isinstance(before, Held) else 0


def _row(held: Held) -> eventer.Row:
    peer, event = held.peer, held.connection.event
    assert event is not None
    told = {
        "callback": CALLBACK,
        "fd": event.fd,
        "mask": READ | EXCEPTION,
        "impl": event.opset.name if event.opset is not None else "POSIX",
        "local": {"address": peer.local[0], "port": peer.local[1]},
        "remote": {"address": peer.remote, "port": peer.port} if peer.remote else None,
    }
    return eventer.Row(told, f"{id(event):#x}", f"{id(held):#x}")


def served_by_lua(_event: Event, _mask: int, _held: Held, _now: float) -> int:
    """The callback of an event that is off its loop while the engine has the connection."""
    return 0


eventer.name_callback(CALLBACK, served_by_lua)
