"""TLS on listeners: ``<sslconfig>`` in, a context and a handshake on the event loop out.  Manual: sslconfig."""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from runtime import eventer, log, tls
from runtime.eventer import EXCEPTION, READ, WRITE
from runtime.stamps import stamp
from runtime.tls import NO_CHECK_TIME, apply_layer, as_file, is_inline

from . import _hello
from ._connection import Connection, give_up
from ._errors import NetError
from ._sslconfig import SslConfig

if TYPE_CHECKING:
    from ._listener import Listener

_errors: Final = log.facility("error/listener")
_debug: Final = log.facility("debug/listener")

HANDSHAKE_TIMEOUT = 30.0  # seconds
_WHERE = re.compile(r"^\[SSL: \w+\] | \(_ssl\.c:\d+\)$")  # what Python adds to the library's reason


class Tls:
    """What ``<sslconfig>`` asks for; its context is made again when one of its files changes."""

    def __init__(self, config: Mapping[str, str]) -> None:
        """Without a ca_chain of its own it trusts the eventer's ``default_ca_chain``, if that is set.

        Raises :exc:`NetError` naming the key that cannot be used."""
        self.config = SslConfig(config, eventer.settings().default_ca_chain)
        self._files = self.config.files()
        self._stamp = self._stamps()
        self._wrap = _wrapper(self.config)

    def accepted(
        self, sock: socket.socket, peer: Any, listener: "Listener", service: eventer.Callback
    ) -> tuple[Connection, eventer.Callback]:
        """The connection on *sock* and the callback that shakes hands before *service* takes over."""
        self._look_at_files()
        return TlsConnection(self._wrap(sock), peer, listener, service), _handshake

    def _look_at_files(self) -> None:
        """Read files that changed again, and keep them out when they cannot be used."""
        found = self._stamps()
        if found != self._stamp:
            self._stamp = found
            try:
                self._wrap = _wrapper(self.config)
            except NetError as mistake:
                _errors.log(f"TLS keeps its old files: {mistake}\n")

    def _stamps(self) -> list[object]:
        return [stamp(path) for path in self._files]


class TlsConnection(Connection):
    """A connection whose bytes are encrypted on the way."""

    __slots__ = ("deadline", "service", "spoken")

    sock: Any  # an ssl.SSLSocket, or what stands in for one

    def __init__(self, sock: Any, peer: Any, listener: "Listener", service: eventer.Callback) -> None:
        super().__init__(sock, peer, listener)
        self.service = service
        self.deadline: eventer.Event | None = None
        self.spoken = () if listener.tls is None else listener.tls.config.spoken  # until the client's offer was seen

    def opset(self) -> eventer.Opset:
        """As of every connection."""
        return _Operations(self)

    def _recv(self, size: int) -> bytes | None:
        return tls.recv(self.sock, size)

    def _send(self, data: bytes | memoryview) -> int:
        return tls.send(self.sock, data)

    def pending(self) -> bool:
        """Whether decrypted bytes wait inside the TLS library."""
        return not self.closed and self.sock.pending() > 0

    def close(self) -> None:
        """As of every connection."""
        if self.deadline is not None:
            eventer.remove(self.deadline)
            self.deadline = None
        super().close()


class _Operations(eventer.TlsOpset):
    """Those of TLS, but for closing: the descriptor is the connection's."""

    def __init__(self, connection: TlsConnection) -> None:
        super().__init__(connection.sock)
        self._connection = connection

    def close(self, fd: int) -> None:
        """Close the connection."""
        self._connection.close()

    def let_go(self) -> None:
        """As of every connection."""
        give_up(eventer.current(), self._connection)


def _wrapper(config: SslConfig) -> Callable[[socket.socket], Any]:
    """What makes the TLS side of an accepted socket.  Raises :exc:`NetError` as :func:`context` does."""
    strict = context(config)
    if config.optional_no_ca or config.accepts == "ca_accept":
        from . import _openssl  # with a library of its own

        try:
            shared = _openssl.context(strict, config)
        except OSError as bad:
            raise NetError(f"sslconfig with optional_no_ca or ca_accept: {bad}") from None
        return lambda sock: _openssl.OpenSslSocket(shared, sock)
    return lambda sock: strict.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)


def context(config: SslConfig) -> ssl.SSLContext:
    """The server context that an sslconfig asks for.  Raises :exc:`NetError` naming the key that cannot be used."""
    if not config.pem("certificate_file"):
        raise NetError("sslconfig: expected a certificate_file, for ssl is on")
    made = _context(ssl.PROTOCOL_TLS_SERVER, config)
    if config.pem("ca_chain"):
        made.verify_mode = ssl.CERT_OPTIONAL
    config.check_offer()
    made.set_alpn_protocols([each.decode() for each in config.spoken])
    made.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # a client that ends its sending without a farewell gets its answer
    return made


def client_context(config: Mapping[str, str]) -> ssl.SSLContext:
    """The client context that an sslconfig asks for: it verifies the peer's certificate, not its name.

    Without a ca_chain it trusts the eventer's ``default_ca_chain``, else the system's; ``optional_no_ca`` verifies
    nothing.
    Raises :exc:`NetError` naming the key that cannot be used."""
    settings = SslConfig(config, eventer.settings().default_ca_chain)
    made = _context(ssl.PROTOCOL_TLS_CLIENT, settings)
    made.check_hostname = False
    if settings.optional_no_ca:
        made.verify_mode = ssl.CERT_NONE
    elif not made.get_ca_certs():
        made.set_default_verify_paths()
    return made


def _context(protocol: int, config: SslConfig) -> ssl.SSLContext:
    """What both sides of TLS take from an sslconfig."""
    made = ssl.SSLContext(protocol)
    try:
        apply_layer(made, config.layer)
    except ValueError as mistake:
        raise NetError(f"sslconfig {mistake}") from None
    if config.pem("certificate_file"):
        _load_certificate(made, config)
    if config.ciphers:
        try:
            made.set_ciphers(config.ciphers)
        except ssl.SSLError:
            raise NetError(f"sslconfig ciphers: '{config.ciphers}' selects no ciphers") from None
    for key, kind in (("ca_chain", "certificates"), ("crl", "a revocation list"), ("ca_accept", "certificates")):
        if config.pem(key):
            # Who is told to a client is not trusted for that: it is only looked at here, whether it can be read.
            told = made if key != "ca_accept" else ssl.SSLContext(protocol)
            try:
                with as_file(config.pem(key)) as path:
                    told.load_verify_locations(path)
            except (OSError, ValueError) as bad:
                why = _why(bad) or f"expected {kind} in PEM form"
                raise NetError(f"sslconfig {config.called(key)}: {why}") from None
    if config.pem("crl"):
        made.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    if config.ignore_dates:
        made.verify_flags |= NO_CHECK_TIME
    return made


def _load_certificate(made: ssl.SSLContext, config: SslConfig) -> None:
    """Raises :exc:`NetError` naming which of certificate and key cannot be used, and why."""
    for name in ("certificate_file", "key_file"):
        path = config.pem(name)
        try:
            if path and not is_inline(path):
                with open(path, "rb"):
                    pass
        except (OSError, ValueError) as bad:
            raise NetError(f"sslconfig {config.called(name)}: {_why(bad)}") from None
    try:
        with as_file(config.pem("certificate_file")) as certificate, as_file(config.pem("key_file")) as key:
            made.load_cert_chain(certificate, key or None, password=_no_password)
    except ssl.SSLError as bad:
        raise NetError(f"sslconfig {_not_a_pair(config, bad)}") from None
    except (OSError, ValueError) as bad:
        keyed = "key_file" if config.pem("key_file") else "certificate_file"
        raise NetError(f"sslconfig {config.called(keyed)}: {_why(bad)}") from None


def _not_a_pair(config: SslConfig, bad: ssl.SSLError) -> str:
    given = config.called("certificate_file")
    has_key = bool(config.pem("key_file"))
    keyed = config.called("key_file") if has_key else given
    if bad.reason and "MISMATCH" in bad.reason:
        return f"{keyed}: it is not the key of the {given}"
    try:
        with as_file(config.pem("certificate_file")) as certificate:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except OSError:
        return f"{given}: expected a certificate in PEM form"
    if not has_key:
        return f"{given}: there is no key in it, expected a key_file"
    return f"{keyed}: expected a private key in PEM form"


def _why(bad: Exception) -> str:
    """What the system says; nothing for what a library says in its own words."""
    if isinstance(bad, ssl.SSLError):
        return ""
    return str(bad.strerror or bad) if isinstance(bad, OSError) else str(bad)


def _handshake(event: eventer.Event, _mask: int, connection: TlsConnection, now: float) -> int:
    sock = connection.sock
    if connection.deadline is None:
        connection.deadline = eventer.add_in(_too_slow, connection, HANDSHAKE_TIMEOUT)
    try:
        if connection.spoken and not _may_begin(connection):
            return 0 if connection.closed else READ | EXCEPTION
        sock.do_handshake()
    except tls.WANTS as want:
        return tls.wanted(want) | EXCEPTION
    except (OSError, ValueError) as failure:
        _refused(connection, failure)
        return 0
    eventer.remove(connection.deadline)
    connection.deadline = None
    connection.alpn = sock.selected_alpn_protocol()
    connection.cn = common_name(sock.getpeercert())
    event.callback = connection.service
    return connection.service(event, READ | WRITE, connection, now) or 0


def _may_begin(connection: TlsConnection) -> bool:
    """Whether the handshake may begin: the client's first message is there, and a protocol that both speak.

    Without one the client is told, and the connection closed.  Raises OSError."""
    plain = getattr(connection.sock, "plain", connection.sock)
    try:
        hello = socket.socket.recv(plain, _hello.MOST, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    offered = _hello.offered_protocols(hello)
    ours, connection.spoken = connection.spoken, ()
    if offered is None or any(each in ours for each in offered):
        return True
    socket.socket.send(plain, _hello.NO_APPLICATION_PROTOCOL)
    _refused(connection, ssl.SSLError(f"none of the protocols {offered} is spoken here"))
    return False


def _too_slow(_event: eventer.Event, _mask: int, connection: TlsConnection, _now: float) -> None:
    connection.deadline = None
    _errors.log(f"SSL accept failed from {_peer(connection)}: not done within {HANDSHAKE_TIMEOUT:g} s\n")
    connection.close()


def _refused(connection: TlsConnection, failure: Exception) -> None:
    """Close a connection whose handshake came to nothing, and say why, loudly unless the peer just went."""
    if isinstance(failure, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        _debug.log(f"SSL accept failed from {_peer(connection)}: connection closed\n")
    else:
        why = _WHERE.sub("", str(failure.args[-1] if failure.args else failure))
        if "http request" in why:
            _answer_plainly(connection)
        _errors.log(f"SSL accept failed from {_peer(connection)}: {why}\n")
    connection.close()


def _answer_plainly(connection: TlsConnection) -> None:
    """Tell a client that speaks HTTP without TLS."""
    plain = getattr(connection.sock, "plain", connection.sock)
    try:
        socket.socket.send(plain, _hello.PLAIN_HTTP)
        while socket.socket.recv(plain, _hello.MOST):
            pass  # what is not read makes the close a reset, which takes the answer along
    except OSError:
        pass


def _peer(connection: TlsConnection) -> str:
    return connection.remote[0] or "a local process"


def common_name(certificate: Any) -> str | None:
    """The common name in the subject of *certificate*, as :meth:`ssl.SSLSocket.getpeercert` gives it, or None."""
    for entry in (certificate or {}).get("subject", ()):
        for name, value in entry:
            if name == "commonName":
                return str(value)
    return None


def _no_password() -> str:
    raise ValueError("the key must not be encrypted with a password")
