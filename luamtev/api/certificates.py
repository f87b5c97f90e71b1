"""What a certificate says, as plain values for Lua."""

import re
from collections.abc import Callable
from typing import Any

from luamtev.api.crypto import one_line


def describe(der: bytes) -> dict[str, Any]:
    """Issuer, subject, san_list, start_time, end_time and peer_certificate of a certificate.

    Raises :exc:`ValueError` for what is none."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    algorithm = certificate.signature_algorithm_oid
    key = certificate.public_key()
    return {
        "issuer": one_line(certificate.issuer),
        "subject": one_line(certificate.subject),
        "san_list": ", ".join(_names(certificate)) or None,
        "start_time": int(certificate.not_valid_before_utc.timestamp()),
        "end_time": int(certificate.not_valid_after_utc.timestamp()),
        "peer_certificate": {
            "signature_algorithm": _algorithm(algorithm),
            "purpose": purposes(certificate),
            "serial": certificate.serial_number if certificate.serial_number < 2**63 else -1,
            "bits": getattr(key, "key_size", 256),
            "type": _type(key),
            "ocsp": _ocsp(certificate),
        },
    }


def purposes(certificate: Any) -> dict[str, int]:
    """What a certificate is good for by its extensions, 1 or 0: nine purposes, and each as an authority for it.

    Names and rules are those of ``openssl x509 -purpose``; RFC 5280, 4.2.1."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID as Oid

    usage = _extension(certificate, x509.KeyUsage)
    extended = _extension(certificate, x509.ExtendedKeyUsage)

    def may(*bits: str) -> bool:
        return usage is None or any(getattr(usage, each) for each in bits)

    def meant_for(*oids: Any) -> bool:
        return extended is None or any(each in extended for each in oids)

    authority = _is_authority(certificate, may)
    client, server = meant_for(Oid.CLIENT_AUTH), meant_for(Oid.SERVER_AUTH)
    mail = meant_for(Oid.EMAIL_PROTECTION)
    answers = {
        "SSL client": (client and may("digital_signature", "key_agreement"), client and authority),
        "SSL server": (
            server and may("digital_signature", "key_encipherment", "key_agreement"),
            server and authority,
        ),
        "Netscape SSL server": (server and may("key_encipherment"), server and authority),
        "S/MIME signing": (mail and may("digital_signature", "content_commitment"), mail and authority),
        "S/MIME encryption": (mail and may("key_encipherment"), mail and authority),
        "CRL signing": (may("crl_sign"), authority),
        "Any Purpose": (True, True),
        "OCSP helper": (True, authority),
        "Time Stamp signing": (_stamps_time(certificate, usage), authority),
    }
    found = {}
    for name, (itself, as_authority) in answers.items():
        found[name], found[f"{name} CA"] = int(itself), int(as_authority)
    return found


def _is_authority(certificate: Any, may: Callable[..., bool]) -> bool:
    from cryptography import x509

    if not may("key_cert_sign"):
        return False
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None:
        return bool(constraints.ca)
    # Without the extension: one of the first version that signed itself, or one whose key may sign certificates.
    first = certificate.version is x509.Version.v1 and certificate.issuer == certificate.subject
    return first or _extension(certificate, x509.KeyUsage) is not None


def _stamps_time(certificate: Any, usage: Any) -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    if usage is not None:
        signs = usage.digital_signature or usage.content_commitment
        other = (
            usage.key_encipherment,
            usage.data_encipherment,
            usage.key_agreement,
            usage.key_cert_sign,
            usage.crl_sign,
        )
        if not signs or any(other):
            return False
    return extended.critical and list(extended.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def _algorithm(oid: Any) -> str:
    """The short name that OpenSSL has for a signature algorithm."""
    name = str(oid._name)
    if name == "Unknown OID":
        return str(oid.dotted_string)
    found = re.fullmatch(r"(sha\d+|md5)WithRSAEncryption", name)
    return f"RSA-{found[1].upper()}" if found else name


def _extension(certificate: Any, kind: Any) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _names(certificate: Any) -> list[str]:
    from cryptography import x509

    found = _extension(certificate, x509.SubjectAlternativeName) or ()
    return [each.value for each in found if isinstance(each, x509.DNSName)]


def _ocsp(certificate: Any) -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    for each in _extension(certificate, x509.AuthorityInformationAccess) or ():
        if each.access_method == AuthorityInformationAccessOID.OCSP:
            return str(each.access_location.value)
    return None


def _type(key: Any) -> str:
    name = type(key).__name__.upper()
    for kind in ("RSA", "DSA", "ED25519", "ED448"):
        if name.startswith(kind):
            return kind.lower()
    return "ec"
