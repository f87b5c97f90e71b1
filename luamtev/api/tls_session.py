"""TLS on a descriptor that somebody else owns: Python's ssl does the cryptography, the caller does the waiting.

Every call returns at once: what it did, or None and which readiness it needs, or None and the text of an error.
"""

import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runtime import eventer
from runtime.tls import NO_CHECK_TIME, WANTS, Contexts, apply_layer, as_file, is_inline, shown, wanted

_contexts = Contexts()


class Session:
    """One side of a TLS connection."""

    def __init__(self, fd: int, context: ssl.SSLContext, server_side: bool, name: str | None) -> None:
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=fd)  # its family is of no importance here
        raw.setblocking(False)
        self.context = context
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


@dataclass(frozen=True)
class Settings:
    """What a side of TLS is told: PEM, as the path of a file or, where it has lines, as itself; texts may be empty."""

    certificate: str = ""
    key: str = ""
    ca: str = ""
    ciphers: str = ""
    name: str = ""
    """The server's, which a client asks for and verifies."""
    layer: str = ""
    crl: str = ""
    """Certificates that are revoked."""
    alpn: str = ""
    """Protocols to offer, separated by commas."""
    optional_no_ca: str = ""
    """Anything but the empty text: nobody's certificate is verified, CA or not."""
    ignore_dates: str = ""
    """Likewise: certificates are verified whatever their dates say."""


def open_session(fd: int, server_side: bool, settings: Settings) -> Session:
    """TLS on *fd*; without a CA of its own it trusts the eventer's ``default_ca_chain``, if that is set.

    Raises as :func:`make_context` does."""
    if not settings.ca:
        settings = replace(settings, ca=eventer.settings().default_ca_chain or "")
    files = [
        each for each in (settings.certificate, settings.key, settings.ca, settings.crl) if each and not is_inline(each)
    ]
    asked = replace(settings, name=""), bool(settings.name), server_side
    context = _contexts.get(asked, files, partial(make_context, server_side, settings))
    return Session(fd, context, server_side, settings.name or None)


def make_context(server_side: bool, settings: Settings) -> ssl.SSLContext:
    """A context of *settings*.

    Without a CA, or with optional_no_ca, nobody's certificate is verified; with it a client verifies the server's, and
    its name if it has one, and a server that of a client which shows one.  Raises :exc:`ValueError` or :exc:`OSError`
    naming what is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    apply_layer(context, settings.layer)
    if settings.certificate:
        _load_certificate(context, settings.certificate, settings.key)
    elif settings.key:
        raise ValueError(f"key {shown(settings.key)} without a certificate")
    elif server_side:
        raise ValueError("the accepting side needs a certificate")
    if settings.ciphers:
        try:
            context.set_ciphers(settings.ciphers)
        except ssl.SSLError:
            raise ValueError(f"ciphers '{settings.ciphers}': none of them is known") from None
    if settings.alpn and settings.alpn != "none":
        context.set_alpn_protocols([each.strip() for each in settings.alpn.split(",")])
    if server_side:
        context.sni_callback = _remember_name
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if settings.ca:
        _load_authority(context, settings.ca, "CA")
        if not settings.optional_no_ca:
            context.verify_mode = ssl.CERT_OPTIONAL if server_side else ssl.CERT_REQUIRED
            context.check_hostname = bool(settings.name) and not server_side
    if settings.crl:
        _load_authority(context, settings.crl, "CRL")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if settings.ignore_dates:
        context.verify_flags |= NO_CHECK_TIME
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        with as_file(certificate) as certificate_path, as_file(key) as key_path:
            context.load_cert_chain(certificate_path, key_path or None, password=_no_password)
    except (OSError, ValueError) as bad:
        given = f"certificate {shown(certificate)}, key {shown(key or certificate)}"
        raise ValueError(f"{given}: {reason(bad)}") from None


def _load_authority(context: ssl.SSLContext, pem: str, what: str) -> None:
    try:
        with as_file(pem) as path:
            context.load_verify_locations(path)
    except OSError as bad:
        raise ValueError(f"{what} {shown(pem)}: {reason(bad)}") from None


def _remember_name(sock: Any, name: str | None, _context: ssl.SSLContext) -> None:
    sock.asked_name = name


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
    except WANTS as want:
        return None, wanted(want)
    except (OSError, ValueError) as failure:
        return None, reason(failure)


def _describe(session: Session) -> dict[str, Any]:
    """The fields of an ssl_ctx."""
    from luamtev.api import certificates

    sock = session.sock
    cipher = sock.cipher() if sock.version() else None
    fields: dict[str, Any] = {
        "ciphers": [each["name"] for each in session.context.get_ciphers()],
        "current_cipher": cipher and cipher[0],
        "error": session.error,
        "method": max(0, int(session.context.minimum_version)),
        "sni_name": getattr(sock, "asked_name", None),
        "ssl_session": {"cipher": cipher and cipher[0], "ssl_version": sock.version()},
    }
    der = sock.getpeercert(binary_form=True) if cipher else None
    if der is not None:
        try:
            fields |= certificates.describe(der)
        except ValueError as bad:
            fields["error"] = fields["error"] or f"certificate: {bad}"
    return fields


def _no_password() -> str:
    raise ValueError("it must not be encrypted with a password")
