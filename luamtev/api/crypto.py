"""Private keys and certificate signing requests, by the library ``cryptography``, imported where it is first needed.

Nothing is kept here: a key and a request cross as PEM.  Making a key, and checking one that was handed in, takes long
and is done in a job queue, for a ticket.  Manual: none; the names are those of OpenSSL's command line.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from luamtev.api import jobs
from luamtev.bridge import LuaError
from runtime import log

if TYPE_CHECKING:
    from luamtev.port import Port

MIN_BITS, MAX_BITS = 1024, 16384

SUBJECT = {
    "C": ("countryName", "2.5.4.6"),
    "ST": ("stateOrProvinceName", "2.5.4.8"),
    "L": ("localityName", "2.5.4.7"),
    "street": ("streetAddress", "2.5.4.9"),
    "postalCode": ("postalCode", "2.5.4.17"),
    "O": ("organizationName", "2.5.4.10"),
    "organizationIdentifier": ("organizationIdentifier", "2.5.4.97"),
    "OU": ("organizationalUnitName", "2.5.4.11"),
    "businessCategory": ("businessCategory", "2.5.4.15"),
    "jurisdictionC": ("jurisdictionCountryName", "1.3.6.1.4.1.311.60.2.1.3"),
    "jurisdictionST": ("jurisdictionStateOrProvinceName", "1.3.6.1.4.1.311.60.2.1.2"),
    "jurisdictionL": ("jurisdictionLocalityName", "1.3.6.1.4.1.311.60.2.1.1"),
    "DC": ("domainComponent", "0.9.2342.19200300.100.1.25"),
    "serialNumber": ("serialNumber", "2.5.4.5"),
    "title": ("title", "2.5.4.12"),
    "SN": ("surname", "2.5.4.4"),
    "GN": ("givenName", "2.5.4.42"),
    "initials": ("initials", "2.5.4.43"),
    "generationQualifier": ("generationQualifier", "2.5.4.44"),
    "dnQualifier": ("dnQualifier", "2.5.4.46"),
    "pseudonym": ("pseudonym", "2.5.4.65"),
    "UID": ("userId", "0.9.2342.19200300.100.1.1"),
    "CN": ("commonName", "2.5.4.3"),
    "emailAddress": ("emailAddress", "1.2.840.113549.1.9.1"),
    "unstructuredName": ("unstructuredName", "1.2.840.113549.1.9.2"),
}
"""The parts of a subject in the order they are written: short name, long name, object identifier."""

_SHORT = {oid: short for short, (_, oid) in SUBJECT.items()}
_OIDS = {name: oid for short, (long, oid) in SUBJECT.items() for name in (short, long)}
_ASCII_ONLY = {_OIDS[name] for name in ("C", "jurisdictionC", "DC", "serialNumber", "dnQualifier", "emailAddress")}
_ORDER = {oid: place for place, oid in enumerate(_SHORT)}

_KEY_USAGES = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}
_EXTENDED_KEY_USAGES = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
    "anyExtendedKeyUsage": "2.5.29.37.0",
}

Answer = tuple[bytes | None, str]
"""A PEM and whatever goes with it, or None and a message."""


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/crypto.lua`` builds on."""

    def start(ticket: int, work: Callable[[Any], Answer], argument: Any) -> None:
        def newrsa() -> tuple[bytes | None, bytes]:
            pem, message = work(argument)
            return pem, message.encode()

        jobs.begin(state, ticket, "keys", newrsa)

    return {
        "rsa_generate": generate,
        "rsa_load": load,
        "rsa_generate_later": lambda ticket, bits: start(ticket, generate, bits),
        "rsa_load_later": lambda ticket, pem: start(ticket, load, pem),
        "csr_sign": sign_request,
        "csr_load": load_request,
    }


def generate(bits: float) -> Answer:
    """A new RSA key of *bits*.  Takes seconds."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    if not MIN_BITS <= bits <= MAX_BITS:
        return None, f"newrsa: a key has {MIN_BITS} to {MAX_BITS} bits, not {bits:.15g}"
    return _private_pem(rsa.generate_private_key(65537, int(bits))), ""


def load(pem: bytes) -> Answer:
    """The private key in *pem*, checked, in PKCS#8.  Takes long for a large one."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return _private_pem(load_pem_private_key(pem, None)), ""
    except TypeError:
        return None, "newrsa: the private key is encrypted"
    except (ValueError, UnsupportedAlgorithm) as failure:
        return None, f"newrsa: not a private key in PEM form: {_reason(failure)}"


def sign_request(pem: bytes, digest: bytes, parts: float, *pairs: bytes) -> tuple[bytes | None, bytes | str]:
    """A request signed with the key in *pem*: its PEM and its subject.

    Args: *digest*, the name of one; *parts*, how many of the *pairs* of name and value are of the subject; the others
    are extensions, a pair for each value.  Raises :exc:`LuaError`."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    # The key was checked when it came in.
    key: Any = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    texts = [_text(each) for each in pairs]
    named = list(zip(texts[::2], texts[1::2], strict=True))
    builder = x509.CertificateSigningRequestBuilder(_subject(named[: int(parts)]))
    values: dict[str, list[str]] = {}
    for name, value in named[int(parts) :]:
        values.setdefault(name, []).extend(each.strip() for each in value.split(","))
    try:
        for name in sorted(values):
            critical = "critical" in values[name]
            given = [each for each in values[name] if each != "critical"]
            try:
                builder = builder.add_extension(_extension(name, given, key.public_key()), critical)
            except ValueError as mistake:
                raise LuaError(f"crypto.rsa:gencsr extension {name}: {_reason(mistake)}") from None
        plain = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
        request = builder.sign(key, None if plain else _digest(_text(digest)))
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise LuaError(f"crypto.rsa:gencsr cannot sign: {_reason(failure)}") from None
    return request.public_bytes(Encoding.PEM), one_line(request.subject)


def load_request(pem: bytes) -> tuple[bytes | None, bytes | str]:
    """The request in *pem*: its PEM and its subject, or None and a message."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        request = x509.load_pem_x509_csr(pem)
        return request.public_bytes(Encoding.PEM), one_line(request.subject)
    except ValueError as failure:
        return None, f"newreq: not a signing request in PEM form: {_reason(failure)}"


def one_line(subject: Iterable[Any]) -> bytes:
    """``/C=US/CN=name``; bytes that are not printable ASCII become ``\\xNN``."""
    line = []
    for each in subject:
        oid = each.oid.dotted_string
        value = each.value if isinstance(each.value, bytes) else each.value.encode()
        shown = "".join(chr(byte) if 0x20 <= byte <= 0x7E else f"\\x{byte:02X}" for byte in value)
        line.append(f"/{_SHORT.get(oid, oid)}={shown}")
    return "".join(line).encode()


def _private_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _subject(parts: list[tuple[str, str]]) -> Any:
    """The name made of *parts*; unknown and blank ones are left out, with a line in the log."""
    from cryptography import x509

    attributes = []
    for name, value in parts:
        try:
            oid = x509.ObjectIdentifier(_OIDS.get(name, name))
        except ValueError:
            log.facility("error/lua").log(f"crypto.rsa:gencsr: {name!r} is no part of a subject\n")
            continue
        if not value:
            log.facility("error/lua").log(f"crypto.rsa:gencsr: the part {name} of the subject is blank\n")
            continue
        if oid.dotted_string in _ASCII_ONLY and not value.isascii():
            raise LuaError(f"crypto.rsa:gencsr subject {name}={value}: ASCII text expected")
        try:
            attributes.append(x509.NameAttribute(oid, value))
        except ValueError as mistake:
            raise LuaError(f"crypto.rsa:gencsr subject {name}={value}: {mistake}") from None
    attributes.sort(key=lambda each: (_ORDER.get(each.oid.dotted_string, len(_ORDER)), each.oid.dotted_string))
    return x509.Name(attributes)


def _digest(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    plain = name.upper().replace("-", "_").removeprefix("RSA_").replace("SHA_", "SHA").replace("SHA2_", "SHA")
    found = getattr(hashes, plain, None)
    if not plain.startswith("SHA") or not isinstance(found, type) or "512_" in plain:
        raise LuaError(f"crypto.rsa:gencsr unknown digest {name!r}")
    return found()


def _extension(name: str, values: list[str], public_key: Any) -> Any:
    """The extension *name* from OpenSSL's notation.  Raises :exc:`ValueError` for what is none."""
    from cryptography import x509

    tagged = [tuple(each.partition(":")[::2]) for each in values]
    if name == "subjectAltName":
        return x509.SubjectAlternativeName([_general_name(kind, value) for kind, value in tagged])
    if name == "basicConstraints":
        limits = {kind.lower(): value for kind, value in tagged}
        if not limits.keys() <= {"ca", "pathlen"}:
            raise ValueError(f"CA and pathlen expected, got {', '.join(values)}")
        length = limits.get("pathlen")
        return x509.BasicConstraints(limits.get("ca", "").lower() == "true", None if length is None else int(length))
    if name == "keyUsage":
        unknown = set(values) - set(_KEY_USAGES)
        if unknown:
            raise ValueError(f"unknown usage {', '.join(sorted(unknown))}")
        wanted = {_KEY_USAGES[each] for each in values}
        return x509.KeyUsage(**{usage: usage in wanted for usage in _KEY_USAGES.values()})
    if name == "extendedKeyUsage":
        return x509.ExtendedKeyUsage([x509.ObjectIdentifier(_EXTENDED_KEY_USAGES.get(each, each)) for each in values])
    if name == "subjectKeyIdentifier":
        if values != ["hash"]:
            raise ValueError(f"hash expected, got {','.join(values)}")
        return x509.SubjectKeyIdentifier.from_public_key(public_key)
    if name[:1].isdigit() and len(tagged) == 1 and tagged[0][0] == "DER":
        return x509.UnrecognizedExtension(x509.ObjectIdentifier(name), bytes.fromhex(tagged[0][1].replace(":", " ")))
    raise ValueError("an extension known by name, or an object identifier with DER:… expected")


def _general_name(kind: str, value: str) -> Any:
    from cryptography import x509

    if kind == "IP":
        import ipaddress

        return x509.IPAddress(ipaddress.ip_address(value))
    if kind == "RID":
        return x509.RegisteredID(x509.ObjectIdentifier(value))
    classes: dict[str, Callable[[str], Any]] = {
        "DNS": x509.DNSName,
        "email": x509.RFC822Name,
        "URI": x509.UniformResourceIdentifier,
    }
    if kind not in classes:
        raise ValueError(f"DNS:, IP:, email:, URI: or RID: expected, got {kind or value!r}")
    return classes[kind](value)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise LuaError(f"crypto.rsa:gencsr UTF-8 text expected, got {value!r}") from None


def _reason(failure: Exception) -> str:
    """The message of *failure* without the advice that belongs into a browser."""
    text = str(failure)
    before, advice, after = text.partition(" See https://")
    return f"{before} {after.rpartition('details. ')[2]}" if advice else text
