"""What of an sslconfig Python's ssl cannot do: OpenSSL by way of pyOpenSSL, imported when a configuration asks for it.

``optional_no_ca``: clients may show certificates that nobody here vouches for.  Python's ssl refuses such a client in
the handshake.  It is let in as nobody: it has no name that access control could trust.

``ca_accept``: the authorities that a client is told of, so that it knows which of its certificates to show.

Manual: sslconfig.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from runtime.tls import NO_CHECK_TIME, as_file

from ._sslconfig import SslConfig

T = TypeVar("T")

_UNKNOWN_AUTHORITY = {18, 19, 20, 21}  # self-signed, alone or in the chain; no issuer known; no way to verify the first
_NAMELESS, _NAMED = "nameless", "named"
_WHY = {  # what OpenSSL says of certificates that are refused, by its numbers
    7: "certificate signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    12: "CRL has expired",
    23: "certificate revoked",
    26: "unsupported certificate purpose",
}


class OpenSslSocket:
    """A connection as an ``ssl.SSLSocket`` shows it, as far as listeners use one; raises what that raises.

    Attribute: ``plain``, the socket below it."""

    def __init__(self, context: SSL.Context, sock: socket.socket) -> None:
        self.plain = sock
        self._tls = SSL.Connection(context, sock)
        self._tls.set_accept_state()

    def fileno(self) -> int:
        """As of every socket."""
        return self.plain.fileno()

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        try:
            _ask(self._tls.do_handshake)
        except ssl.SSLError as failure:
            why = _WHY.get(self._tls.get_app_data())
            if why is None or isinstance(failure, ssl.SSLWantReadError | ssl.SSLWantWriteError):
                raise
            raise ssl.SSLError(f"{failure.args[0]}: {why}") from None

    def recv(self, size: int) -> bytes:
        """Up to *size* bytes; empty at the end."""
        try:
            return _ask(self._tls.recv, size)
        except ssl.SSLZeroReturnError:
            return b""

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes of *data* were taken."""
        return _ask(self._tls.send, data)

    def pending(self) -> int:
        """Decrypted bytes that wait to be received."""
        return self._tls.pending()

    def shutdown(self, how: int) -> None:
        """As of every socket."""
        self.plain.shutdown(how)

    def close(self) -> None:
        """As of every socket."""
        self.plain.close()

    def selected_alpn_protocol(self) -> str | None:
        """What was agreed on."""
        return self._tls.get_alpn_proto_negotiated().decode() or None

    def getpeercert(self) -> dict[str, Any]:
        """The subject of the client's certificate; empty unless an authority vouches for it."""
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        if certificate is None or self._tls.get_app_data() != _NAMED:
            return {}
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {"subject": tuple((("commonName", str(each.value)),) for each in names)}


def context(strict: ssl.SSLContext, config: SslConfig) -> SSL.Context:
    """The context of *config*, of whose files *strict* was made without error.  Raises OSError."""
    return _ask(_context, strict, config)


def _context(strict: ssl.SSLContext, config: SslConfig) -> SSL.Context:
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(int(strict.minimum_version))
    made.set_max_proto_version(max(0, int(strict.maximum_version)))
    made.set_options(int(strict.options) | SSL.OP_NO_TICKET)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # a session taken up again would skip the look at the certificate
    made.set_session_id(b"luamtev")
    store = made.get_cert_store()
    assert store is not None
    with ExitStack() as files:
        path = {key: files.enter_context(as_file(config.pem(key))) for key in config.pems()}
        made.use_certificate_chain_file(path["certificate_file"])
        made.use_privatekey_file(path.get("key_file", path["certificate_file"]))
        if config.ciphers:
            made.set_cipher_list(config.ciphers.encode())
        if "ca_chain" in path:
            made.load_verify_locations(path["ca_chain"])
        if "crl" in path:
            store.load_locations(path["crl"])
            store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
        if config.accepts:
            made.load_client_ca(path[config.accepts].encode())
    if config.ignore_dates:
        store.set_flags(NO_CHECK_TIME)
    made.set_verify(SSL.VERIFY_PEER, partial(_verdict, config.optional_no_ca))
    made.set_alpn_select_callback(
        lambda _, wanted: next((each for each in config.spoken if each in wanted), SSL.NO_OVERLAPPING_PROTOCOLS)
    )
    return made


def _verdict(
    lenient: bool, connection: SSL.Connection, _certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    if connection.get_app_data() == _NAMELESS:
        return True
    if not ok:
        if not lenient or error not in _UNKNOWN_AUTHORITY:
            connection.set_app_data(error)
            return False
        connection.set_app_data(_NAMELESS)
    elif not depth:
        connection.set_app_data(_NAMED)
    return True


def _ask(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except SSL.WantReadError:
        raise ssl.SSLWantReadError from None
    except SSL.WantWriteError:
        raise ssl.SSLWantWriteError from None
    except SSL.ZeroReturnError:
        raise ssl.SSLZeroReturnError from None
    except SSL.SysCallError as failure:
        number, message = failure.args
        raise (ssl.SSLEOFError(message) if number < 0 else OSError(number, message)) from None
    except SSL.Error as failure:
        reasons = [each[-1] for each in failure.args[0]] if failure.args else []
        raise ssl.SSLError("; ".join(reasons) or "TLS failed") from None
