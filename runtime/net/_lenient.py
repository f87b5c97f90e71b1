"""TLS whose clients may show certificates that nobody here vouches for: ``optional_no_ca``.  Manual: sslconfig.

Python's ssl refuses such a client in the handshake, so this is OpenSSL by way of pyOpenSSL, imported when a
configuration asks for it.  A client without a known authority is let in as nobody: it has no name that access control
could trust.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

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


class LenientSocket:
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


def context(strict: ssl.SSLContext, config: Mapping[str, str], spoken: tuple[bytes, ...]) -> SSL.Context:
    """The context of sslconfig *config*, of whose files *strict* was made without error; *spoken*, the protocols.

    Raises ssl.SSLError."""
    return _ask(_context, strict, config, spoken)


def _context(strict: ssl.SSLContext, config: Mapping[str, str], spoken: tuple[bytes, ...]) -> SSL.Context:
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(int(strict.minimum_version))
    made.set_options(int(strict.options) | SSL.OP_NO_TICKET)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # a session taken up again would skip the look at the certificate
    made.set_session_id(b"luamtev")
    made.use_certificate_chain_file(config["certificate_file"])
    made.use_privatekey_file(config.get("key_file") or config["certificate_file"])
    if config.get("ciphers"):
        made.set_cipher_list(config["ciphers"].encode())
    if config.get("ca_chain"):
        made.load_verify_locations(config["ca_chain"])
    if config.get("crl"):
        store = made.get_cert_store()
        assert store is not None
        store.load_locations(config["crl"])
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
    made.set_verify(SSL.VERIFY_PEER, _verdict)
    made.set_alpn_select_callback(
        lambda _connection, wanted: next((each for each in spoken if each in wanted), SSL.NO_OVERLAPPING_PROTOCOLS)
    )
    return made


def _verdict(connection: SSL.Connection, _certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    if connection.get_app_data() == _NAMELESS:
        return True
    if not ok:
        if error not in _UNKNOWN_AUTHORITY:
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
