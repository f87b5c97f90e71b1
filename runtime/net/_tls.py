"""TLS on listeners: ``<sslconfig>`` in, a context and a handshake on the event loop out.  Manual: sslconfig."""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from runtime import eventer, log, tls
from runtime.conf import parse_boolean
from runtime.eventer import EXCEPTION, READ, WRITE
from runtime.stamps import stamp
from runtime.tls import apply_layer

from . import _hello
from ._connection import Connection
from ._errors import NetError

if TYPE_CHECKING:
    from ._listener import Listener

_errors: Final = log.facility("error/listener")
_debug: Final = log.facility("debug/listener")

HANDSHAKE_TIMEOUT = 30.0  # seconds
_WHERE = re.compile(r"^\[SSL: \w+\] | \(_ssl\.c:\d+\)$")  # what Python adds to the library's reason


_OFFERED: Final = {"h2", "http/1.1", "http/1.0", "none"}
"""What ``alpn`` and ``npn`` may list; HTTP/1 is always spoken."""

FILES: Final = ("certificate_file", "key_file", "ca_chain", "crl")
"""The keys of an sslconfig that name files."""


class Tls:
    """What ``<sslconfig>`` asks for; its context is made again when one of its files changes."""

    def __init__(self, config: Mapping[str, str]) -> None:
        """Without a ca_chain of its own it trusts the eventer's ``default_ca_chain``, if that is set.

        Raises :exc:`NetError` naming the key that cannot be used."""
        self.config = _trusting(config)
        self._files = [config[key] for key in FILES if config.get(key)]
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
        config = {} if listener.tls is None else listener.tls.config
        self.spoken = spoken(config)  # until the client's offer was seen

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


def _wrapper(config: Mapping[str, str]) -> Callable[[socket.socket], Any]:
    """What makes the TLS side of an accepted socket.  Raises :exc:`NetError` as :func:`context` does."""
    strict = context(config)
    if _boolean(config, "optional_no_ca"):
        from . import _lenient  # with a library of its own

        try:
            shared = _lenient.context(strict, config, spoken(config))
        except ssl.SSLError as bad:
            raise NetError(f"sslconfig with optional_no_ca: {bad}") from None
        return lambda sock: _lenient.LenientSocket(shared, sock)
    return lambda sock: strict.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)


def context(config: Mapping[str, str]) -> ssl.SSLContext:
    """The server context that an sslconfig asks for.  Raises :exc:`NetError` naming the key that cannot be used."""
    if not config.get("certificate_file"):
        raise NetError("sslconfig: expected a certificate_file, for ssl is on")
    made = _context(ssl.PROTOCOL_TLS_SERVER, config)
    if config.get("ca_chain"):
        made.verify_mode = ssl.CERT_OPTIONAL
    key, offer = _offer(config)
    if not offer <= _OFFERED:
        raise NetError(f"sslconfig {key}: expected h2 or none, not '{config[key]}'")
    made.set_alpn_protocols([each.decode() for each in spoken(config)])
    made.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # a client that ends its sending without a farewell gets its answer
    return made


def spoken(config: Mapping[str, str]) -> tuple[bytes, ...]:
    """The protocols for ALPN, best first.  curl offers ``http/1.0`` when it is to speak that."""
    return ((b"h2",) if "h2" in _offer(config)[1] else ()) + (b"http/1.1", b"http/1.0")


def _offer(config: Mapping[str, str]) -> tuple[str, set[str]]:
    """The key that says what ALPN offers, and the protocols in it."""
    key = "alpn" if "alpn" in config else "npn"
    return key, {each.strip() for each in config.get(key, "h2").split(",")}


def client_context(config: Mapping[str, str]) -> ssl.SSLContext:
    """The client context that an sslconfig asks for: it verifies the peer's certificate, not its name.

    Without a ca_chain it trusts the eventer's ``default_ca_chain``, else the system's; ``optional_no_ca`` verifies
    nothing.
    Raises :exc:`NetError` naming the key that cannot be used."""
    made = _context(ssl.PROTOCOL_TLS_CLIENT, _trusting(config))
    made.check_hostname = False
    if _boolean(config, "optional_no_ca"):
        made.verify_mode = ssl.CERT_NONE
    elif not made.get_ca_certs():
        made.set_default_verify_paths()
    return made


def _context(protocol: int, config: Mapping[str, str]) -> ssl.SSLContext:
    """What both sides of TLS take from an sslconfig."""
    made = ssl.SSLContext(protocol)
    try:
        apply_layer(made, config.get("layer_openssl_11", config.get("layer", "all")))
    except ValueError as mistake:
        raise NetError(f"sslconfig {mistake}") from None
    certificate = config.get("certificate_file")
    if certificate:
        _load_certificate(made, certificate, config.get("key_file") or None)
    if config.get("ciphers"):
        try:
            made.set_ciphers(config["ciphers"])
        except ssl.SSLError:
            raise NetError(f"sslconfig ciphers: '{config['ciphers']}' selects no ciphers") from None
    for key in ("ca_chain", "crl"):
        if config.get(key):
            try:
                made.load_verify_locations(config[key])
            except OSError as bad:
                kind = "certificates" if key == "ca_chain" else "revocation list"
                raise NetError(
                    f"sslconfig {key} {config[key]}: {_why(bad) or f'expected {kind} in PEM form'}"
                ) from None
    if config.get("crl"):
        made.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return made


def _load_certificate(made: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Raises :exc:`NetError` naming which of the two files cannot be used, and why."""
    for name, path in (("certificate_file", certificate), ("key_file", key)):
        try:
            if path is not None:
                with open(path, "rb"):
                    pass
        except (OSError, ValueError) as bad:
            raise NetError(f"sslconfig {name} {path}: {_why(bad)}") from None
    try:
        made.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as bad:
        raise NetError(f"sslconfig {_not_a_pair(certificate, key, bad)}") from None
    except (OSError, ValueError) as bad:
        raise NetError(f"sslconfig key_file {key or certificate}: {_why(bad)}") from None


def _not_a_pair(certificate: str, key: str | None, bad: ssl.SSLError) -> str:
    if bad.reason and "MISMATCH" in bad.reason:
        return f"key_file {key or certificate}: it is not the key of the certificate in {certificate}"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except OSError:
        return f"certificate_file {certificate}: expected a certificate in PEM form"
    if key is None:
        return f"certificate_file {certificate}: there is no key in it, expected a key_file"
    return f"key_file {key}: expected a private key in PEM form"


def _why(bad: Exception) -> str:
    """What the system says; nothing for what a library says in its own words."""
    if isinstance(bad, ssl.SSLError):
        return ""
    return str(bad.strerror or bad) if isinstance(bad, OSError) else str(bad)


def _trusting(config: Mapping[str, str]) -> dict[str, str]:
    """*config* with the eventer's ``default_ca_chain``, if that is set, where it has no ca_chain of its own."""
    trusted = eventer.settings().default_ca_chain
    return dict(config) if config.get("ca_chain") or not trusted else {**config, "ca_chain": trusted}


def _boolean(config: Mapping[str, str], key: str) -> bool:
    try:
        return parse_boolean(config.get(key, "false"))
    except ValueError as mistake:
        raise NetError(f"sslconfig {key}: {mistake}") from None


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
