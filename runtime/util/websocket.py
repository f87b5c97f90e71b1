"""A WebSocket client.  Manual: mtev_websocket_client_new.

It lives on a greenlet, from which it calls back, so it is for whoever runs one loop of gevent's or more; what is sent
may come from any greenlet of the thread it was made on."""

from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent import socket
from gevent.lock import RLock
from gevent.ssl import SSLContext

from .websocket_protocol import BINARY, CLOSE, CLOSED, PING, PONG, READY, REFUSED, TEXT, Client, greet

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "WebsocketClient"]

_AT_ONCE: Final = 65536  # bytes

MsgCallback = Callable[["WebsocketClient", int, bytes], object]
"""Called with the opcode and the bytes of each message; False closes the connection."""
Callback = Callable[["WebsocketClient"], object]


class WebsocketClient:
    """A connection to *path* of the service *service* (subprotocols between commas, or "") at *host* and *port*, over
    TLS with *context*, which is one of gevent.ssl's; *timeout*, in seconds, is for connecting and the handshake of TLS.

    *ready* is called when the handshake is done, *msg* with each message, *cleanup* when all is over; an exception of
    theirs ends the connection.  *closure* is the caller's.  Raises :exc:`ValueError` for a port that is none, which the
    system would take for another.  Manual: mtev_websocket_client_new."""

    def __init__(
        self,
        host: str,
        port: int,
        path: str,
        service: str,
        msg: MsgCallback,
        *,
        ready: Callback | None = None,
        cleanup: Callback | None = None,
        closure: Any = None,
        context: SSLContext | None = None,
        timeout: float = 10.0,
    ) -> None:
        if not 0 < port <= 65535:
            raise ValueError(f"expected a port of 1 to 65535, not {port}")
        self.msg, self.ready, self.cleanup, self.closure = msg, ready, cleanup, closure
        self.is_ready = False
        """The handshake is done, and the connection up.  Manual: mtev_websocket_client_is_ready."""
        self.is_closed = False
        """The connection is down, or going.  Manual: mtev_websocket_client_is_closed."""
        self.error: str | None = None
        """Why the connection is closed, where somebody said so."""
        self._target = (host, port)
        self._tls, self._timeout = context, timeout
        self._sending = RLock()
        self._socket: Any = None
        shown = f"[{host}]" if ":" in host else host
        wanted = [each.strip() for each in service.split(",") if each.strip()]
        self._protocol: Client
        self._protocol, self._greeting = greet(f"{shown}:{port}", path, wanted)
        self._greenlet = gevent.spawn(self._run)

    def send(self, opcode: int, data: bytes) -> bool:
        """Whether the message is on its way: the client has to be ready, and not closed.

        Raises ValueError for what cannot be sent: an opcode there is none of, a text that is not UTF-8, a ping above
        125 bytes.  Manual: mtev_websocket_client_send."""
        if not self.is_ready or self.is_closed:
            return False
        with self._sending:
            frame = self._protocol.send(opcode, data)
            self.is_closed = self.is_closed or opcode == CLOSE
            return self._write(frame)

    def close(self) -> None:
        """Say farewell and be done, whatever is under way.  Manual: mtev_websocket_client_free."""
        self.send(CLOSE, b"")
        self._greenlet.kill()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all is over, *timeout* seconds at most; whether it is."""
        self._greenlet.join(timeout)
        return bool(self._greenlet.dead)

    def _run(self) -> None:
        try:
            self._connect()
            while self._take(self._read()):
                pass
        except (OSError, gevent.Timeout) as failure:
            self.error = self.error or str(failure)
        finally:
            self.is_ready, self.is_closed = False, True
            if self._socket is not None:
                self._socket.close()
            if self.cleanup is not None:
                self.cleanup(self)

    def _connect(self) -> None:
        with gevent.Timeout(self._timeout, TimeoutError("no connection in time")):
            self._socket = socket.create_connection(self._target)
            if self._tls is not None:
                self._socket = self._tls.wrap_socket(self._socket, server_hostname=self._target[0])
            self._socket.sendall(self._greeting)

    def _read(self) -> bytes | None:
        return self._socket.recv(_AT_ONCE) or None

    def _write(self, data: bytes) -> bool:
        try:
            self._socket.sendall(data)
        except OSError as failure:
            self.error = self.error or str(failure)
            return False
        return True

    def _take(self, data: bytes | None) -> bool:
        """Act upon what was read; whether the connection goes on."""
        with self._sending:
            happened, out = self._protocol.receive(data)
            if out:
                self._write(out)
        for kind, payload in zip(happened[::2], happened[1::2], strict=True):
            if kind == READY:
                self.is_ready = True
                if self.ready is not None:
                    self.ready(self)
            elif kind in (REFUSED, CLOSED):
                self.error = payload.decode("utf-8", "replace") or None
                return False
            elif self.msg(self, kind, payload) is False:
                self.send(CLOSE, b"")
                return False
        return data is not None
