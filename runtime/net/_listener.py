"""Listeners: sockets that accept and hand each connection to a named callback.  Manual: Listeners.

A listener is opened (bound) first and started later, so that privileges can be dropped in between.  Accepting never
blocks, stops for a moment when the process runs out of descriptors, and goes on.
"""

import errno
import itertools
import os
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime import eventer, log, trace
from runtime.eventer import EXCEPTION, READ, WRITE

from . import _address, _connection
from ._connection import Connection
from ._errors import NetError

if TYPE_CHECKING:
    from ._tls import Tls

_errors: Final = log.facility("error/listener")
_debug: Final = log.facility("debug/listener")
_accepts: Final = trace.call("eventer-accept")

BACKLOG = 1024
ACCEPT_BATCH = 64  # connections a turn of the loop, so that a flood leaves room for others
TIMEOUT = 500  # milliseconds until a thread that accepts notices that it should not
LET_IN = 16 * BACKLOG  # connections at the end, so that it comes to one whoever knocks
STOP_TIMEOUT = 1.0  # seconds for a loop to let in who waits
PAUSE = 0.2  # seconds without accepting when descriptors or memory ran out

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

_listeners: "list[Listener]" = []
_closing: "set[Listener]" = set()
_numbers = itertools.count(1)
_accepting: dict[str, eventer.Callback] = {}
_checks: dict[str, Callable[[Mapping[str, str]], object]] = {}


class Listener:
    """One listening socket.  Made by :func:`open_listener`.

    Attributes: ``number``, above 0, which no other listener of the process ever has;
    ``type``, the name of the callback; ``address``, as given; ``local``, address and chosen port;
    ``config``, for the service; ``fanout`` and ``fanout_pool``; ``no_delay``; ``accept_thread``; ``tls`` or None;
    ``event``, which no loop has when a thread accepts; ``wrong``, what makes the exception for a message about it."""

    def __init__(
        self,
        sock: socket.socket,
        type: str,  # noqa: A002
        address: str,
        config: Mapping[str, str],
        *,
        fanout: bool = False,
        fanout_pool: str | None = None,
        no_delay: bool = True,
        accept_thread: bool = False,
        tls: "Tls | None" = None,
    ) -> None:
        self.number = next(_numbers)
        self.sock = sock
        self.type = type
        self.address = address
        self.config = dict(config)
        self.fanout = fanout
        self.fanout_pool = fanout_pool
        self.no_delay = no_delay and sock.family != socket.AF_UNIX
        self.accept_thread = accept_thread
        self.tls = tls
        name = sock.getsockname()
        self.local: tuple[str, int] = (name[0], name[1]) if isinstance(name, tuple) else (address, 0)
        self.event: eventer.Event | None = None
        self.accepted = 0
        self._service: eventer.Callback | None = None
        self._inode = _inode(address) if sock.family == socket.AF_UNIX else None
        self._closed = False
        self._gone = threading.Event()
        self._complained = False
        self.wrong: Callable[[str], Exception] = lambda message: NetError(f"listener on {self}: {message}")

    def __repr__(self) -> str:
        return f"<Listener {self.type} on {self}>"

    def __str__(self) -> str:
        return _address.shown(*self.local)

    @property
    def port(self) -> int:
        """The port listened on, also where 0 was asked for; 0 for a path."""
        return self.local[1]

    def start(self, owner: eventer.LoopThread | None = None) -> None:
        """Accept connections, on *owner* or a thread of the default pool.

        Raises :exc:`NetError` when nobody named a callback as its type, or for a configuration that type refuses."""
        if self.event is not None:
            raise NetError(f"listener on {self} was started already")
        self._service = self.check()
        self.event = eventer.alloc_fd(_acceptor(self.type), self, self.sock.fileno(), READ | EXCEPTION)
        self.event.owner = owner or self._home()
        self.event.owner.on_stop(self.close)
        if self.accept_thread:
            threading.Thread(target=self._accept_blocking, name=f"accept/{self.port}", daemon=True).start()
        else:
            eventer.add(self.event)
        if _debug.enabled:
            _debug.log(f"listener on {self} accepts connections for {self.type}\n")

    def check(self) -> eventer.Callback:
        """The service.  Raises what :attr:`wrong` makes when nobody named it, or it refuses the configuration."""
        service = eventer.callback_for_name(self.type)
        if service is None:
            known = sorted({*_checks, self.type} - {self.type, "mtev_wire_rest_api/1.0"})
            raise self.wrong(f"there is no type '{self.type}': there are {', '.join(known)}")
        try:
            _checks.get(self.type, dict)(self.config)
        except ValueError as mistake:
            raise self.wrong(str(mistake)) from None
        return service

    def _home(self) -> eventer.LoopThread:
        """Who accepts: a thread of the pool that serves, so that it is served when all others are held up."""
        pool = eventer.pool(self.fanout_pool) if self.fanout and self.fanout_pool else None
        return eventer.choose_owner(0) if pool is None else pool.threads[0]

    def close(self) -> None:
        """Let in who waits, and close the socket; connections live on.  From any thread; :meth:`wait` for its end."""
        if self._closed:
            return
        self._closed = True
        _closing.add(self)
        if _debug.enabled:
            _debug.log(f"listener on {self} closes\n")
        if self in _listeners:
            _listeners.remove(self)
        event = self.event
        owner = None if event is None else event.owner
        here = owner is None or (eventer.is_loop_thread() and eventer.current() is owner)
        if here or owner is None or not owner.post(self._close):
            self._close()

    def wait(self, seconds: float) -> bool:
        """Wait until the socket is closed, *seconds* at most; returns whether it is.  Not on the listener's thread."""
        return self._gone.wait(seconds)

    def _close(self) -> None:
        if self.event is not None:
            eventer.remove(self.event)
            self.accept(LET_IN)  # the system resets those who were connected and not accepted
        if self.accept_thread:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)  # or it lives on for as long as the thread looks at it
            except OSError:
                pass
        self.sock.close()
        if self._inode is not None and _inode(self.address) == self._inode:
            try:
                Path(self.address).unlink()
            except OSError:
                pass  # the next owner replaces it
        _closing.discard(self)
        self._gone.set()

    def _accept_blocking(self) -> None:
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        while not self._closed:
            if poller.poll(TIMEOUT) and not self._closed and not self.accept_surely():
                time.sleep(PAUSE)

    def accept(self, most: int = ACCEPT_BATCH) -> bool:
        """Take what waits, *most* at most; False when accepting should pause."""
        for _ in range(most):
            try:
                sock, peer = self.sock.accept() if not _accepts.heard[0] else self._accept_told()
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionError:
                continue  # gone before we looked
            except OSError as failure:
                if not self._complained:
                    _errors.log(f"listener on {self}: cannot accept: {failure.strerror}\n")
                self._complained = True
                return failure.errno not in EXHAUSTED
            self._complained = False
            try:
                self._hand_out(sock, peer)
            except Exception:
                sock.close()
                raise
        return True

    def accept_surely(self) -> bool:
        """:meth:`accept`; what that raises is logged: a listener that ended by it would be deaf for good."""
        try:
            return self.accept()
        except Exception:
            _errors.log(f"listener on {self}: a connection was dropped\n{traceback.format_exc()}")
            return False

    def _hand_out(self, sock: socket.socket, peer: object) -> None:
        owner = self._owner()
        if not self.accept_thread:
            self._adopt(sock, peer, owner)
        elif not owner.post(self._adopt, sock, peer, owner):
            sock.close()

    def _accept_told(self) -> tuple[socket.socket, object]:
        accepted: tuple[socket.socket, object] = eventer.told_accept(self.sock.fileno(), self, self.sock.accept)
        return accepted

    def resume(self) -> None:
        """Accept again after a pause."""
        if not self._closed and self.event is not None and not self.event.active:
            eventer.add(self.event)

    def _adopt(self, sock: socket.socket, peer: object, owner: eventer.LoopThread) -> None:
        assert self._service is not None
        try:
            sock.setblocking(False)
            if self.no_delay:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                connection = Connection(sock, peer, self)
                service = self._service
            else:
                connection, service = self.tls.accepted(sock, peer, self, self._service)
            event = eventer.alloc_fd(service, connection, connection.sock.fileno(), READ | WRITE | EXCEPTION)
            connection.attach(event, owner)
            if _debug.enabled:
                _debug.log(
                    f"listener on {self}: connection {event.fd} from {connection.remote[0] or 'a local process'}\n"
                )
        except (OSError, eventer.EventerError) as failure:
            _debug.log(f"listener on {self}: dropped a connection: {failure}\n")
            sock.close()

    def _owner(self) -> eventer.LoopThread:
        assert self.event is not None and self.event.owner is not None
        self.accepted += 1
        if not self.fanout:
            return self.event.owner
        named = eventer.pool(self.fanout_pool) if self.fanout_pool else None
        return eventer.choose_owner_pool(named or self.event.owner.pool, self.accepted)


def open_listener(
    type: str,  # noqa: A002
    address: str,
    port: int = 0,
    config: Mapping[str, str] | None = None,
    *,
    backlog: int = BACKLOG,
    fanout: bool = False,
    fanout_pool: str | None = None,
    no_delay: bool = True,
    accept_thread: bool = False,
    tls: "Tls | None" = None,
) -> Listener:
    """Open a listener on *address* for the callback named *type*; :meth:`Listener.start` starts it.

    Args: *port* 0 for one that the system chooses; *config* for the service; *fanout* spreads connections over the
    threads of *fanout_pool*, by default the pool that accepts; *accept_thread* has a thread of its own accept; *tls*
    makes them TLS.
    Raises :exc:`NetError` naming the address and why not.  Manual: Listeners."""
    sock = _address.listening(address, port, backlog)
    listener = Listener(
        sock,
        type,
        address,
        config or {},
        fanout=fanout,
        fanout_pool=fanout_pool,
        no_delay=no_delay,
        accept_thread=accept_thread,
        tls=tls,
    )
    _listeners.append(listener)
    return listener


def check_config(type: str, check: Callable[[Mapping[str, str]], object]) -> None:  # noqa: A002
    """Have *check* see the configuration of each listener of *type* when it starts; ValueError keeps it from that."""
    _checks[type] = check


def listeners() -> list[Listener]:
    """All open listeners, in the order they were opened."""
    return list(_listeners)


def start() -> None:
    """Start every listener that is not started yet.  Raises :exc:`NetError` for one whose type nobody named."""
    for each in listeners():
        if each.event is None:
            each.start()


def stop_accepting() -> None:
    """Close every listener, once those who waited to be let in were; connections live on.

    Not from a loop thread.  A loop that does nothing else for a second is not waited for."""
    closing = listeners()
    for each in closing:
        each.close()
    end = time.monotonic() + STOP_TIMEOUT
    for each in closing:
        each.wait(end - time.monotonic())


def arriving() -> int:
    """How many connections, and listeners that are about to close, nobody serves yet.  From any thread."""
    return _connection.arriving() + len(_closing)


def _acceptor(type_name: str) -> eventer.Callback:
    """The callback for listeners of one type; people who look at the system see ``listener(TYPE)``."""
    known = _accepting.get(type_name)
    if known is not None:
        return known

    def acceptable(event: eventer.Event, _mask: int, listener: Listener, _now: float) -> int:
        if listener.accept_surely():
            return event.mask
        eventer.add_in(lambda *_: listener.resume(), None, PAUSE)
        return 0

    _accepting[type_name] = acceptable
    eventer.name_callback(f"listener({type_name})", acceptable)
    return acceptable


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
