"""The connection of an HTTP client: moves bytes between its event and the protocol, and ends it when time is up.

No greenlet, and no timer of its own: a loop thread looks at all its sessions now and then.  What the bytes mean is the
protocol's to know.
"""

import socket
import time
from collections.abc import Callable
from typing import Any, Final

from runtime import eventer, log, trace
from runtime.eventer import EXCEPTION, READ, WRITE, Event
from runtime.http.ledger.masks import masked
from runtime.http.message import traced
from runtime.http.message.limits import Limits
from runtime.http.message.peer import Peer
from runtime.http.message.response import Response
from runtime.http.protocol.conversation import BODY, HEAD, IDLE, Admit, Conversation, Serve, Terms
from runtime.http.protocol.frames import PREFACE
from runtime.http.protocol.http1 import Http1
from runtime.net import Connection

from . import guests
from . import sweeper as _sweeper

_debug: Final = log.facility("debug/http")
_debug2: Final = log.facility("debug/http2")
_io: Final = log.facility("http/io")
_reading, _writing = trace.call("eventer-read"), trace.call("eventer-write")

READ_SIZE = 32 << 10
READING = READ | EXCEPTION
NEWCOMER = 1.0  # seconds for a client who was let in at the end to ask for something
LINGER = 2.0  # seconds to wait for a client to notice that we are done with it


class Session:
    """One client's connection.  Made on its loop thread.

    Attributes: ``connection``; ``http``, its protocol; ``peer``, its other side; ``leaving``, it goes to this
    thread's guest once it is idle; ``limits``; ``closure``, for
    services."""

    def __init__(
        self,
        connection: Connection,
        peer: Peer,
        serve: Serve,
        limits: Limits,
        admit: Admit | None = None,
        on_complete: Callable[[Response], object] | None = None,
    ) -> None:
        assert connection.event is not None
        self.connection = connection
        self.peer = peer
        self.leaving = False
        self.begun_for = 0.0
        self.closure: Any = None
        self._terms = Terms(
            admit=admit,
            on_output=self.push,
            on_complete=on_complete,
            peer=self.peer,
            carrier=self,
            owner=connection.event.owner,
            budget=eventer.settings().turn_budget,
        )
        self.limits = limits
        self._serve = serve
        self.http: Conversation = self._http2() if connection.alpn == "h2" else Http1(serve, limits, self._terms)
        # What a client of HTTP/2 begins with, as far as it has come; None when that is settled.
        self._opening: bytes | None = b"" if connection.listener.tls is None else None
        self._event: Event = connection.event
        layered = connection.listener.tls is not None
        channel: Any = connection if layered else connection.sock  # no need to ask through another hand
        self._recv: Callable[[int], bytes | None] = channel.recv
        self._send: Callable[[bytes | memoryview], int] = channel.send
        self._pending = connection.pending if layered else None
        self._unsent: memoryview | None = None
        self._wanted: int | None = None  # what the event waits for, once this has had a say in it
        self._eof = self._lingering = self._touched = self._going_on = False
        self._finished_at: float | None = None  # when the end was called
        self._stage: tuple[object, ...] = ()
        self._since = self._quiet = 0.0
        self._sweeper = _sweeper.current()
        self._sweeper.add(self)
        if _debug.enabled:
            _debug.log(f"{self!r} begins\n")

    def __repr__(self) -> str:
        return f"<Session {self.connection!r}>"

    def close(self) -> None:
        """Close the connection now; a response under way learns that the client is gone."""
        if not self.connection.closed:
            words = self.http.farewell()
            if words and self._unsent is None:
                try:
                    self._send(words)
                except OSError:
                    pass
            self.connection.close()
            if traced.CLOSE.heard[0]:
                traced.tell(traced.CLOSE, self.peer)
            if _debug.enabled:
                _debug.log(f"{self!r} ends\n")
            self._sweeper.discard(self)
            self.http.disconnected()

    def finish(self) -> None:
        """Be done with what was begun and with what waits to be read, and close; a newcomer may still ask once."""
        self._finished_at = time.monotonic()
        self.http.last_call()
        if not (self._lingering or self._eof or self.http.paused):
            self.readable(time.time())
        if not self.http.fresh:
            self._finish()

    def _finish(self) -> None:
        if not self.connection.closed:
            self.http.finish()
            self.push()

    def begin(self, data: bytes, now: float) -> None:
        """Take *data* from the client, read already."""
        if self._opening is not None:
            data = self._sniff(data)
            if not data:
                return
        http = self.http
        http.now = now
        http.feed(data)
        if self._finished_at is not None and not self.http.fresh:
            self.http.finish()
        if self.http.output and self._unsent is None:  # not http: another may have followed it
            self.write()
        self._wait()

    def readable(self, now: float) -> None:
        """Bytes are there, or the end."""
        while True:
            try:
                data = self._recv(READ_SIZE) if not _reading.heard[0] else self.connection.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.close()
                return
            if data is None:
                return
            if _io.enabled:
                _io.log(b"[fd=%d] mtev_http:read() => %d [\n%b\n]\n" % (self._event.fd, len(data), masked(data)))
            self._touched = True
            if not data:
                self._half_closed()
                return
            if not self._lingering:
                self.begin(data, now)
            if self._pending is None or not self._pending() or self.http.paused:
                return

    def write(self) -> None:
        """Send what there is, as far as the network takes it."""
        data: bytes | memoryview
        while True:
            output = self.http.output
            if self._unsent is not None:
                data = self._unsent
            elif output:
                data = output[0] if len(output) == 1 else b"".join(output)
                output.clear()
            else:
                return
            try:
                size = self._send(data) if not _writing.heard[0] else self.connection.send(data)
            except (BlockingIOError, InterruptedError):
                size = 0
            except OSError:
                self.close()
                return
            if _io.enabled:
                _io.log(b" http_write(%d) => %d [\n%b\n]\n" % (self._event.fd, size, masked(bytes(data[:size]))))
            if size < len(data):
                self._unsent = memoryview(data)[size:]
                if size:
                    self._touched = True
                    self.http.sent(size)
                return
            self._unsent = None
            self.http.sent(size)

    def expire(self, now: float) -> None:
        """Close the session if what it waits for is overdue; *now* on the clock of :func:`time.monotonic`."""
        self.http.expire(now)
        if self._finished_at is not None and self.http.fresh and now - self._finished_at >= NEWCOMER:
            self._finish()
        if self.connection.closed:
            return
        limits, http = self.limits, self.http
        overall = 0.0
        quiet = limits.idle_timeout
        stage: tuple[object, ...]
        if self._lingering:
            stage, overall = ("linger",), LINGER
        elif self._unsent is not None:
            stage = ("write",)
        elif http.starved:
            stage = ("upload",)
        elif http.active is not None or http.unfinished:
            stage, quiet = ("handler",), 0.0
        elif http.phase is HEAD:
            stage, overall, quiet = (HEAD, http.begun), limits.header_timeout, 0.0
        elif http.phase is BODY:
            stage, overall = (BODY, http.begun), limits.body_timeout
        else:
            stage = ("idle", http.begun)
        if stage != self._stage:
            self._stage = stage
            self._quiet = now
            self._since = now - self.begun_for if stage[0] is HEAD else now
            self.begun_for = 0.0
        if self._touched:
            self._touched = False
            if stage[0] != "idle":  # bytes that begin nothing are no sign of life
                self._quiet = now
        if (overall and now - self._since >= overall) or (quiet and now - self._quiet >= quiet):
            log_timeout(self.peer, str(stage[0]))
            self.close()

    def converse(self, http: Conversation) -> None:
        """Go on in another protocol; what the one before has still to say must have been taken over."""
        self.http = http
        self._opening = None

    def _http2(self) -> Conversation:
        from runtime.http.protocol.http2 import Http2  # with its library, for those who need it

        if _debug2.enabled:
            _debug2.log(f"{self!r} speaks HTTP/2\n")
        from .batches import batches

        return Http2(self._serve, self.limits, self._terms, batcher=batches)

    def _sniff(self, data: bytes) -> bytes:
        """Find out from the first bytes which protocol it is; returns those that are for it by now."""
        assert self._opening is not None and isinstance(self.http, Http1)
        data = self._opening + data
        if not PREFACE.startswith(data[: len(PREFACE)]):
            self.http.phase = IDLE
            self._opening = None
        elif len(data) >= len(PREFACE):
            self.converse(self._http2())
        else:
            self.http.phase = HEAD  # its time is limited, whatever it becomes
            self._opening = data
            return b""
        return data

    def push(self) -> None:
        """Output came outside of reading."""
        if self._unsent is None:
            self.write()
        self._wait()

    def _go_on(self) -> None:
        self._going_on = False
        if not self.connection.closed:
            self.http.advance()
            self.push()

    def _read_pending(self) -> None:
        if not self.connection.closed and not self.http.paused:
            self.readable(time.time())

    def _half_closed(self) -> None:
        """The client sends no more; what it asked for before is still answered."""
        self._eof = True
        self.http.half_closed()
        if self._lingering or (self._unsent is None and self._is_done()):
            self.close()
        else:
            self._wait()

    def _is_done(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        http = self.http
        return http.active is None and not http.paused and not http.unfinished

    def _wait(self) -> None:
        """Wait for what comes next, or be done."""
        http = self.http
        if self.connection.closed:
            return
        if http.unfinished and not self._going_on:
            self._going_on = eventer.current().post(self._go_on)
        if self._unsent is not None:
            wanted = WRITE | EXCEPTION if http.paused or self._eof else READ | WRITE | EXCEPTION
        elif http.closing or (self._eof and self._is_done()):
            self._linger()
            return
        else:
            if self.leaving and http.begun and not self._eof and self._leave():
                return
            wanted = 0 if self._eof or http.paused else READING
        if wanted != self._wanted:
            self._watch(wanted)

    def _leave(self) -> bool:
        """Hand the connection to the guest of this thread, if it stands between two requests."""
        http, guest = self.http, guests.current()
        if not isinstance(http, Http1) or not http.is_between or guest is None or self._opening:
            return False
        eventer.remove(self._event)
        if not guest.take(self.connection, self.peer, self.limits):
            self.leaving, self._wanted = False, None
            return False
        self._sweeper.discard(self)
        return True

    def _watch(self, wanted: int) -> None:
        self._wanted = wanted
        event = self._event
        if wanted == event.mask and event.active:
            return
        began = wanted & READ and not (event.active and event.mask & READ)
        if not wanted:
            eventer.remove(event)
        elif event.active:
            eventer.update(event, wanted)
        else:
            event.mask = wanted
            eventer.add(event)
        if began and self._pending is not None and self._pending():
            eventer.current().post(self._read_pending)  # bytes that the descriptor does not tell of

    def _linger(self) -> None:
        """All is said; a client that may still be sending is let see the end, or a reset might lose it the answer."""
        if self._eof or not self.http.lingering:
            self.close()
            return
        if self._lingering:
            return
        self._lingering = True
        try:
            self.connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        if self._event.active:
            eventer.update(self._event, READ | EXCEPTION)
        else:
            self._event.mask = READ | EXCEPTION
            eventer.add(self._event)


def ready(event: Event, mask: int, session: Session, now: float) -> int:
    """The callback of a session's event."""
    if mask & WRITE and session._unsent is not None:
        session.write()
        session._wait()
    if mask & (READ | EXCEPTION) and not session.connection.closed:
        session.readable(now)
    return event.mask


def log_timeout(peer: Peer, stage: str) -> None:
    """Note why a session was closed, in the debug log."""
    _debug.log(f"{peer.remote}: closed, timeout ({stage})\n")


eventer.name_callback("http", ready)
