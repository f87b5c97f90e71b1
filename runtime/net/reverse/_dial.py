"""The dialling side: a connection to a listener elsewhere, always over TLS, made again whenever it ends.

Manual: Reverse Connections; ``mtev_reverse_socket_connect``, mtev.reverse_start.
"""

import errno
import ipaddress
import os
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from runtime import eventer, lifecycle, tls
from runtime.eventer import EXCEPTION, WRITE, Event
from runtime.tls import as_file
from runtime.trace import Point, point

from .._errors import NetError
from .._sslconfig import SslConfig
from .._tls import client_context, common_name
from ._registry import forget, register
from ._settings import setting
from ._tunnel import BUFFER, Tunnel, errors

PREFIX = "mtev/"
"""What an endpoint's name begins with."""
INITIAL, LEAST, MAXIMUM, HOUR = 1000, 100, 8000, 3_600_000
"""Milliseconds before the first try again; the least; the most, unless configured; and the most of that."""
TIMEOUT = 60_000
"""Milliseconds for connecting, TLS and the handshake."""
LOCAL_ADDRESS, LOCAL_PORT = "127.0.0.1", 43191
"""The service behind the channels, unless configured."""

KEYS = (
    "endpoint",
    "local_address",
    "local_port",
    "xbind",
    "timeout",
    "reconnect_initial_interval",
    "reconnect_maximum_interval",
    "cn",
    "buffer",
)


_RESCHEDULE, _SHUTDOWN = point("reverse-reschedule"), point("reverse-shutdown-permanent")
_CONNECT, _CONNECTED = point("reverse-connect"), point("reverse-connect-success")
_CLOSE, _FAILED = point("reverse-connect-close"), point("reverse-connect-failed")
_TLS, _TLS_DONE = point("reverse-connect-ssl"), point("reverse-connect-ssl-success")


class TlsCarrier:
    """A dialled connection, as :class:`runtime.net.Connection` is an accepted one."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock

    def recv(self, size: int) -> bytes | None:
        """As of every connection."""
        return tls.recv(self.sock, size)

    def send(self, data: bytes | memoryview) -> int:
        """As of every connection."""
        return tls.send(self.sock, data)

    def pending(self) -> bool:
        """As of every connection."""
        return self.sock.fileno() >= 0 and self.sock.pending() > 0

    def close(self) -> None:
        """As of every connection."""
        self.sock.close()


class Dialler:
    """Keeps a connection to *host*, an IP address or the path of a socket, and *port* up.  From any thread.

    *sslconfig* as of listeners, with the keys of :func:`runtime.net._tls.client_context`; *config* may have
    :data:`KEYS`. Raises :exc:`NetError` or ValueError naming what cannot be used."""

    def __init__(self, host: str, port: int, sslconfig: Mapping[str, str], config: Mapping[str, str]) -> None:
        self.host = host
        self.port = port
        self.config = dict(config)
        unknown = sorted(self.config.keys() - set(KEYS))
        if unknown:
            raise ValueError(f"there is no '{unknown[0]}' among {', '.join(KEYS)}")
        self.family, self._target = _target(host, port)
        self._local = _target(
            config.get("local_address") or LOCAL_ADDRESS, setting(config, "local_port", LOCAL_PORT, 0, 65535)
        )
        self._timeout = setting(config, "timeout", TIMEOUT, 1, HOUR) / 1000
        most = setting(config, "reconnect_maximum_interval", MAXIMUM, LEAST, HOUR)
        self._initial = min(setting(config, "reconnect_initial_interval", INITIAL, LEAST, HOUR), most) / 1000
        self._most = most / 1000
        self._buffer = setting(config, "buffer", BUFFER, 1, 1 << 30)
        self._interval = self._initial
        self._context = client_context(sslconfig)
        self._endpoint = config.get("endpoint") or _own_name(sslconfig)
        self._id = f"client/{uuid.uuid4()}"
        self._event: Event | None = None
        self._timer: Event | None = None
        self._sock: socket.socket | None = None
        self._intro = b""
        self._connected_at = 0.0
        self.stopping = False
        self.tunnel: Tunnel | None = None
        self.owner = eventer.choose_owner(0)

    def start(self) -> None:
        """Begin."""
        self.owner.post(self._dial)

    def stop(self) -> None:
        """Give up, and close what is up."""
        self.stopping = True
        self._tell(_SHUTDOWN)
        self.owner.post(self._stop)

    def _stop(self) -> None:
        if self._timer is not None:
            eventer.remove(self._timer)
        if self.tunnel is not None:
            self.tunnel.close()
        else:
            self._close()

    def _dial(self) -> None:
        if self.stopping:
            return
        try:
            made = self._sock = socket.socket(self.family, socket.SOCK_STREAM)
            made.setblocking(False)
            if self.family != socket.AF_UNIX:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._tell(_CONNECT)
            made.connect(self._target)
        except BlockingIOError:
            pass
        except OSError as failure:
            self._failed(f"cannot connect: {failure.strerror}", failure.errno)
            return
        self._timer = eventer.add_in(self._late, None, self._timeout)
        self._watch(self._connected, WRITE)

    def _watch(self, callback: Any, mask: int) -> None:
        assert self._sock is not None
        self._event = eventer.alloc_fd(callback, None, self._sock.fileno(), mask | EXCEPTION)
        eventer.set_owner(self._event, self.owner)
        eventer.add(self._event)

    def _late(self, _event: Event, _mask: int, _closure: object, _now: float) -> int:
        self._timer = None
        self._failed(f"not up after {self._timeout:g} s", errno.ETIMEDOUT)
        return 0

    def _connected(self, event: Event, _mask: int, _closure: object, _now: float) -> int:
        assert self._sock is not None
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._failed(f"cannot connect: {os.strerror(number)}", number)
            return 0
        self._tell(_CONNECTED)
        try:
            self._sock = self._context.wrap_socket(self._sock, do_handshake_on_connect=False)
        except (OSError, ValueError) as failure:  # it is gone already
            self._failed(f"TLS: {failure}", errno.EPROTO)
            return 0
        event.callback = self._shaking
        self._tell(_TLS)
        return self._shaking(event, WRITE, None, 0.0)

    def _shaking(self, event: Event, _mask: int, _closure: object, _now: float) -> int:
        sock = self._sock
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except tls.WANTS as want:
            return tls.wanted(want) | EXCEPTION
        except (OSError, ValueError) as failure:
            self._failed(f"TLS: {failure}", errno.EPROTO)
            return 0
        wanted = self.config.get("cn")
        found = common_name(sock.getpeercert())
        if wanted and wanted != found:
            self._failed(f"the peer is {found or 'nobody'}, not {wanted}", errno.EACCES)
            return 0
        self._tell(_TLS_DONE, found, self._context.verify_mode != ssl.CERT_NONE)
        xbind = self.config.get("xbind")
        lines = [f"REVERSE /{PREFIX}{self._endpoint}", *([f"X-Bind: {xbind}"] if xbind else [])]
        self._intro = "".join(f"{each}\r\n" for each in [*lines, ""]).encode()
        event.callback = self._introducing
        return self._introducing(event, WRITE, None, 0.0)

    def _introducing(self, event: Event, _mask: int, _closure: object, _now: float) -> int:
        assert isinstance(self._sock, ssl.SSLSocket)
        carrier = TlsCarrier(self._sock)
        try:
            self._intro = self._intro[carrier.send(self._intro) :]
        except OSError as failure:
            self._failed(f"cannot be introduced: {failure.strerror}", failure.errno)
            return 0
        if self._intro:
            return WRITE | EXCEPTION
        if self._timer is not None:
            eventer.remove(self._timer)
            self._timer = None
        self._connected_at = time.monotonic()
        self.tunnel = Tunnel(
            self._id, carrier, event, connect=self._local_socket, closed=self._ended, buffer=self._buffer
        )
        register(self.tunnel)
        return self.tunnel.begin(b"")

    def _local_socket(self) -> socket.socket:
        family, target = self._local
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            if family != socket.AF_UNIX:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect(target)
        except BlockingIOError:
            pass
        except OSError:
            made.close()
            raise
        return made

    def _ended(self, tunnel: Tunnel) -> None:
        forget(tunnel)
        self._tell(_CLOSE, self.stopping, 0)
        if self._event is not None:
            eventer.remove(self._event)
        self._event = self._sock = self.tunnel = None
        if time.monotonic() - self._connected_at > self._most:
            self._interval = self._initial  # it was good for long
        self._again()

    def _failed(self, why: str, number: int | None) -> None:
        where = self.host if self.family == socket.AF_UNIX else f"{self.host} port {self.port}"
        errors.log(f"reverse connection to {where}: {why}\n")
        self._tell(_FAILED, number or 0)
        self._close()
        self._again()

    def _close(self) -> None:
        if self._timer is not None:
            eventer.remove(self._timer)
            self._timer = None
        if self._event is not None:
            eventer.remove(self._event)
            self._event = None
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _again(self) -> None:
        if self.stopping:
            return
        self._tell(_RESCHEDULE, round(self._interval * 1000))
        self._timer = eventer.add_in(self._retry, None, self._interval)
        self._interval = min(self._interval * 2, self._most)

    def _tell(self, told: Point, *more: object) -> None:
        """Tell those who listen to *told* of this connection."""
        if told.heard[0]:
            fd = self._event.fd if self._event is not None else -1 if self._sock is None else self._sock.fileno()
            told.tell(fd, self.host if self.family == socket.AF_UNIX else f"{self.host}:{self.port}", self._id, *more)

    def _retry(self, _event: Event, _mask: int, _closure: object, _now: float) -> int:
        self._timer = None
        self._dial()
        return 0


def _target(address: str, port: int) -> tuple[int, Any]:
    if address.startswith("/"):
        return socket.AF_UNIX, address
    if not 0 <= port <= 65535:
        raise NetError(f"'{address}': expected a port of 0 to 65535, not {port}")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        raise NetError(f"Cannot translate '{address}' to IP") from None
    return (socket.AF_INET if version == 4 else socket.AF_INET6), (address, port)


def _own_name(sslconfig: Mapping[str, str]) -> str:
    """The common name in the own certificate."""
    config = SslConfig(sslconfig)
    pem = config.pem("certificate_file")
    if not pem:
        raise NetError("an endpoint or a certificate_file whose common name is one is needed")
    from cryptography import x509  # few have no endpoint

    try:
        with as_file(pem) as path, open(path, "rb") as file:
            subject = x509.load_pem_x509_certificate(file.read()).subject
    except (OSError, ValueError) as bad:
        raise NetError(f"{config.called('certificate_file')}: {bad}") from None
    names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


_diallers: dict[tuple[str, int], Dialler] = {}
_lock = threading.Lock()


def start(host: str, port: int, sslconfig: Mapping[str, str], config: Mapping[str, str]) -> bool:
    """Keep a reverse connection to *host* and *port* up; False when there is one already.

    Raises as :class:`Dialler`."""
    made = Dialler(host, port, sslconfig, config)
    with _lock:
        if not _diallers:
            lifecycle.on_stop(stop_all)
        known = _diallers.get((host, port))
        if known is not None and not known.stopping:
            return False
        _diallers[host, port] = made
    made.start()
    return True


def stop(host: str, port: int) -> bool:
    """Give it up; False when there is none, or it was given up already."""
    with _lock:
        known = _diallers.pop((host, port), None)
    if known is None:
        return False
    known.stop()
    return True


def details(host: str, port: int) -> dict[str, str | int | bool] | None:
    """How it is: ``remote_address``, ``remote_port``, ``connected``, and once it is up ``nchannels``, ``in_bytes``,
    ``out_bytes``; None when there is none."""
    known = _diallers.get((host, port))
    if known is None:
        return None
    tunnel = known.tunnel
    found: dict[str, str | int | bool] = {"remote_address": host, "remote_port": port, "connected": tunnel is not None}
    if tunnel is not None:
        found |= {"nchannels": len(tunnel.channels), "in_bytes": tunnel.in_bytes, "out_bytes": tunnel.out_bytes}
    return found


def stop_all() -> None:
    """Give all up, as at the end of the process."""
    with _lock:
        known = list(_diallers)
    for each in known:
        stop(*each)
