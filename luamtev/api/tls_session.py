"""TLS on a descriptor that somebody else owns: Python's ssl does the cryptography, the caller does the waiting.

Every call returns at once: what it did, or None and which readiness it needs, or None and the text of an error.
"""

import re
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from runtime.tls import Contexts, apply_layer

READ, WRITE = 1, 2  # the reactor's masks

_contexts = Contexts()


class Session:
    """One side of a TLS connection."""

    def __init__(self, fd: int, context: ssl.SSLContext, server_side: bool, name: str | None) -> None:
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)  # its family is of no importance here
        raw.setblocking(False)
        self.context = context
        self.name = name
        self.error: str | None = None
        try:
            self.sock = context.wrap_socket(
                raw, server_side=server_side, do_handshake_on_connect=False, server_hostname=name
            )
        except BaseException:
            raw.detach()
            raise

    def handshake(self) -> Any:
        """Go on with the handshake; True when it is done."""
        answer = _try(self.sock.do_handshake)
        if answer is None:
            return True
        if isinstance(answer[1], str):
            self.error = answer[1]
        return answer

    def read(self, most: int) -> Any:
        """At most so many bytes; none at the end."""
        return _try(partial(self.sock.recv, most))

    def write(self, data: bytes) -> Any:
        """How many of *data* were taken."""
        return _try(partial(self.sock.send, data))

    def describe(self) -> dict[str, Any]:
        """The fields of an ssl_ctx."""
        return _describe(self)

    def close(self) -> None:
        """Tell the peer, if it takes that now, and leave the descriptor to its owner."""
        try:
            self.sock.unwrap()
        except (OSError, ValueError):
            pass  # it need not hear it
        self.sock.detach()

    def release(self) -> None:
        """Leave the descriptor to its owner."""
        self.sock.detach()


def open_session(
    fd: int, server_side: bool, certificate: str, key: str, ca: str, ciphers: str, layer: str, name: str
) -> Session:
    """TLS on *fd*, by files in PEM; *name* is the server's.  Raises as :func:`make_context` does."""
    files = [each for each in (certificate, key, ca) if each]
    make = partial(make_context, server_side, certificate, key, ca, ciphers, layer, bool(name))
    context = _contexts.get(make.args, files, make)
    return Session(fd, context, server_side, name or None)


def make_context(
    server_side: bool, certificate: str, key: str, ca: str, ciphers: str, layer: str, named: bool
) -> ssl.SSLContext:
    """A context of files in PEM.

    Without *ca* nobody's certificate is verified; with it a client verifies the server's, and its name if it has one,
    and a server that of a client which shows one.  Raises :exc:`ValueError` or :exc:`OSError` naming what is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    apply_layer(context, layer)
    if certificate:
        try:
            context.load_cert_chain(certificate, key or None, password=_no_password)
        except (OSError, ValueError) as bad:
            raise ValueError(f"certificate {certificate}, key {key or certificate}: {reason(bad)}") from None
    elif key:
        raise ValueError(f"key {key} without a certificate")
    elif server_side:
        raise ValueError("the accepting side needs a certificate")
    if ciphers:
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError:
            raise ValueError(f"ciphers '{ciphers}': none of them is known") from None
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ca:
        try:
            context.load_verify_locations(ca)
        except OSError as bad:
            raise ValueError(f"CA {ca}: {reason(bad)}") from None
        context.verify_mode = ssl.CERT_OPTIONAL if server_side else ssl.CERT_REQUIRED
        context.check_hostname = named and not server_side
    return context


def reason(failure: BaseException) -> str:
    """A failure of TLS in OpenSSL's words, without its codes."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {failure.verify_message.rstrip('.')}"
    if isinstance(failure, ssl.SSLEOFError):
        return "end of stream in the TLS handshake"
    if isinstance(failure, OSError) and failure.strerror and not isinstance(failure, ssl.SSLError):
        return failure.strerror
    text = re.sub(r"^\[[^]]*\] | \(_ssl\.c:\d+\)$", "", str(failure.args[-1] if failure.args else failure))
    return text or type(failure).__name__


def _try(call: Callable[[], Any]) -> Any:
    """The result of *call*, or (None, mask to wait for), or (None, text of an error)."""
    try:
        return call()
    except ssl.SSLWantReadError:
        return None, READ
    except ssl.SSLWantWriteError:
        return None, WRITE
    except (OSError, ValueError) as failure:
        return None, reason(failure)


def _chain(sock: ssl.SSLSocket, leaf: bytes) -> list[bytes]:
    """The certificates the peer sent, where this Python tells, else its own alone."""
    chain = getattr(getattr(sock, "_sslobj", None), "get_unverified_chain", None)
    return [_der(each) for each in chain() or ()] if chain else [leaf]


def _der(certificate: Any) -> bytes:
    if isinstance(certificate, bytes):
        return certificate
    der: bytes = ssl.PEM_cert_to_DER_cert(certificate.public_bytes())
    return der


def _describe(session: Session) -> dict[str, Any]:
    """The fields of an ssl_ctx."""
    from luamtev.api import certificates

    sock = session.sock
    cipher = sock.cipher() if sock.version() else None
    fields: dict[str, Any] = {
        "ciphers": [each["name"] for each in session.context.get_ciphers()],
        "current_cipher": cipher and cipher[0],
        "error": session.error,
        "method": sock.version(),
        "sni_name": session.name,
        "ssl_session": {"cipher": cipher and cipher[0], "ssl_version": sock.version()},
    }
    der = sock.getpeercert(binary_form=True) if cipher else None
    if der is not None:
        try:
            fields |= certificates.describe(der)
            if session.context.verify_mode == ssl.CERT_NONE:
                fields["error"] = certificates.unverified(_chain(sock, der))
        except ValueError as bad:
            fields["error"] = fields["error"] or f"certificate: {bad}"
    return fields


def _no_password() -> str:
    raise ValueError("it must not be encrypted with a password")
