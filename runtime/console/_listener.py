"""The listener type ``mtev_console``: consoles over TCP, plain or telnet, with TLS or without.  Manual: Listeners.

A client that does not read is not read from either; one that stops sending gets what it asked for before it is closed.
"""

from collections.abc import Mapping

from runtime import eventer, net
from runtime.conf import parse_integer
from runtime.eventer import EXCEPTION, READ, WRITE, Event
from runtime.net import Connection

from ._registry import top
from ._telnet import Telnet
from ._terminal import Terminal

READ_SIZE = 16 << 10
HIGH_WATER = 256 << 10
"""Bytes not taken by a client from which on nothing is read from it, and lines of logs are lost."""


class Remote:
    """The console of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._owner = eventer.current()
        self._output = bytearray()
        self._input_ended = False
        self._closed = False
        config = connection.config
        self._telnet = Telnet(self._send) if config.get("line_protocol") == "telnet" else None
        self._terminal = Terminal(
            top(),
            f"console/{connection.sock.fileno()}",
            self._send,
            newline="\n" if self._telnet is None else "\r\n",
            history_file=config.get("history_file") or None,
        )
        self._terminal.console.ended = self._end
        self._terminal.rested = self._rested
        self._terminal.console.clogged = lambda: len(self._output) >= HIGH_WATER
        self._last_cr = False
        self._quiet = int(config.get("idle_timeout") or 0) / 1000
        self._idle_timer: Event | None = None
        self._in_callback = False

    def start(self) -> None:
        """Greet."""
        if self._telnet is not None:
            self._output += self._telnet.start()
        cn = self._connection.cn
        secure = "(secure)" if self._connection.listener.tls is not None else ""
        self._terminal.start(f"mtev{secure}: {cn or '(no auth)'}\n")
        self._push_limit()

    def ready(self, event: Event, mask: int, _connection: Connection, _now: float) -> int:
        """The callback of the connection's event."""
        self._in_callback = True
        try:
            if mask & EXCEPTION and not mask & (READ | WRITE):
                self._drop()
                return 0
            if mask & WRITE:
                self._flush()
            while not self._closed and self._may_read():
                self._read()
                if not self._connection.pending():
                    break
            self._flush()
        finally:
            self._in_callback = False
        return 0 if self._closed else self._mask()

    def close(self) -> None:
        """The loop stops."""
        self._terminal.console.close()

    def _may_read(self) -> bool:
        return not self._input_ended and len(self._output) < HIGH_WATER and self._terminal.console.is_open

    def _mask(self) -> int:
        """What to wait for: nothing, when all is read and a command is under way; the end would be news for ever."""
        wanted = (READ if self._may_read() else 0) | (WRITE if self._output else 0)
        return wanted | EXCEPTION if wanted else 0

    def _read(self) -> None:
        try:
            data = self._connection.recv(READ_SIZE)
        except OSError:
            self._drop()
            return
        if data is None:
            return
        if not data:
            self._input_ended = True
            self._rested()
            return
        self._push_limit()
        if self._telnet is not None:
            keys = self._telnet.receive(data)
            if self._telnet.size is not None:
                self._terminal.console.columns = self._terminal.editor.width = self._telnet.size[0]
            if self._telnet.ended:
                self._send(b"\r\n\r\n")
                self._terminal.console.close()
                return
        else:
            keys = self._plain(data)
        self._terminal.receive(keys)

    def _plain(self, data: bytes) -> bytes:
        """A newline is CR LF to the terminal, each of which ends a line, unless a CR came before it."""
        after_cr, self._last_cr = self._last_cr, data.endswith(b"\r")
        marked = (b"\r" if after_cr else b"") + data
        marked = marked.replace(b"\r\n", b"\r\0\n").replace(b"\n", b"\r\n").replace(b"\r\0\r\n", b"\r\n")
        return marked[1:] if after_cr else marked

    def _send(self, data: bytes) -> None:
        if self._closed:
            return
        self._output += data
        if not self._in_callback:
            self._flush()
            self._rearm()

    def _flush(self) -> None:
        while self._output and not self._closed:
            try:
                sent = self._connection.send(memoryview(bytes(self._output[:READ_SIZE])))
            except OSError:
                self._drop()
                return
            if not sent:
                break
            clogged = len(self._output) >= HIGH_WATER
            del self._output[:sent]
            if clogged and len(self._output) < HIGH_WATER:
                self._owner.post(self._terminal.console.go_on)
        if not self._output and not self._terminal.console.is_open:
            self._drop()

    def _rested(self) -> None:
        """All is done: a client that sends no more has its answers."""
        if self._input_ended and not self._terminal.busy:
            self._terminal.console.close()

    def _rearm(self) -> None:
        event, wanted = self._connection.event, self._mask()
        if self._closed or event is None:
            return
        if event.active and wanted:
            eventer.update(event, wanted)
        elif event.active:
            eventer.remove(event)
        elif wanted:
            event.mask = wanted
            eventer.add(event)

    def _end(self) -> None:
        """The console is over: what it said is still sent."""
        if not self._in_callback:
            self._flush()
            self._rearm()

    def _drop(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._output.clear()
        if self._idle_timer is not None:
            eventer.remove(self._idle_timer)
        self._terminal.console.close()
        self._connection.close()

    def _push_limit(self) -> None:
        """Begin to count the time without a sign of life anew."""
        if not self._quiet:
            return
        if self._idle_timer is not None:
            eventer.remove(self._idle_timer)
        self._idle_timer = eventer.add_in(lambda *_: self._drop(), None, self._quiet)


def serve(event: Event, _mask: int, connection: Connection, _now: float) -> int:
    """The listener type: a connection came."""
    remote = Remote(connection)
    connection.closure = remote
    event.callback = _ready
    remote.start()
    return _ready(event, WRITE, connection, 0.0)


def _ready(event: Event, mask: int, connection: Connection, now: float) -> int:
    remote = connection.closure
    assert isinstance(remote, Remote)
    return remote.ready(event, mask, connection, now)


def _check(config: Mapping[str, str]) -> None:
    quiet = config.get("idle_timeout")
    if quiet is not None and parse_integer(quiet) < 0:
        raise ValueError(f"idle_timeout: expected milliseconds, not '{quiet}'")
    protocol = config.get("line_protocol")
    if protocol not in (None, "telnet", "none"):
        raise ValueError(f"line_protocol: expected telnet or none, not '{protocol}'")


def register_type() -> None:
    """Make the type known."""
    eventer.name_callback("mtev_console", serve)
    eventer.name_callback("mtev_console/serving", _ready, lambda _event: "mtev_console")
    net.check_config("mtev_console", _check)
