"""What a certificate says, as plain values for Lua."""

from typing import Any

from luamtev.api.crypto import one_line

_PURPOSES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}


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
        "san_list": ", ".join(_names(certificate)),
        "start_time": int(certificate.not_valid_before_utc.timestamp()),
        "end_time": int(certificate.not_valid_after_utc.timestamp()),
        "peer_certificate": {
            "signature_algorithm": algorithm._name if algorithm._name != "Unknown OID" else algorithm.dotted_string,
            "purpose": ", ".join(_purposes(certificate)),
            "serial": _hex(certificate.serial_number),
            "bits": getattr(key, "key_size", 256),
            "type": _type(key),
            "ocsp": _ocsp(certificate),
        },
    }


def unverified(chain: list[bytes]) -> str:
    """Why a *chain* of certificates, the peer's first, is not to be trusted when no authority is known.

    In the words of OpenSSL."""
    from cryptography import x509

    last = x509.load_der_x509_certificate(chain[-1])
    if last.issuer != last.subject:
        return "unable to get local issuer certificate"
    return "self-signed certificate" if len(chain) == 1 else "self-signed certificate in certificate chain"


def _extension(certificate: Any, kind: Any) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _names(certificate: Any) -> list[str]:
    from cryptography import x509

    kinds: dict[Any, str] = {
        x509.DNSName: "DNS",
        x509.IPAddress: "IP Address",
        x509.RFC822Name: "email",
        x509.UniformResourceIdentifier: "URI",
    }
    found = _extension(certificate, x509.SubjectAlternativeName) or ()
    return [f"{kinds[type(each)]}:{each.value}" for each in found if type(each) in kinds]


def _purposes(certificate: Any) -> list[str]:
    from cryptography import x509

    found = _extension(certificate, x509.ExtendedKeyUsage) or ()
    return [_PURPOSES.get(each.dotted_string, each.dotted_string) for each in found]


def _ocsp(certificate: Any) -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    for each in _extension(certificate, x509.AuthorityInformationAccess) or ():
        if each.access_method == AuthorityInformationAccessOID.OCSP:
            return str(each.access_location.value)
    return None


def _hex(serial: int) -> str:
    text = f"{serial:X}"
    return text if len(text) % 2 == 0 else "0" + text


def _type(key: Any) -> str:
    name = type(key).__name__.upper()
    for kind in ("RSA", "DSA", "ED25519", "ED448"):
        if name.startswith(kind):
            return kind
    return "EC"
