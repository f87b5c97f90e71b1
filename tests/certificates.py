"""Certificates for tests, made on the spot: authorities, servers, clients, good and bad."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass
class Issued:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path
    made: x509.Certificate
    private_key: Any


class Authority:
    """An authority of its own; its certificate is ``self.issued.certificate``."""

    def __init__(self, directory: Path, name: str = "Test Authority") -> None:
        self.directory = directory
        self.name = name
        self.issued = self._issue(name, None, authority=True)

    def issue(self, name: str, *names: str, days: int = 10, serial: int = 0x1234) -> Issued:
        """A certificate for *name* and the alternative *names*; *days* below 0: expired."""
        return self._issue(name, self.issued, names, days, serial=serial)

    def revoke(self, *issued: Issued) -> Path:
        """A list of revoked certificates, in a file."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issued.made.subject)
            .last_update(now - datetime.timedelta(days=1))
            .next_update(now + datetime.timedelta(days=1))
        )
        for each in issued:
            revoked = x509.RevokedCertificateBuilder().serial_number(each.made.serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        path = self.directory / f"{self.name}.crl".replace(" ", "-")
        path.write_bytes(
            builder.sign(self.issued.private_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return path

    def _issue(
        self,
        name: str,
        by: Issued | None,
        names: tuple[str, ...] = (),
        days: int = 10,
        authority: bool = False,
        serial: int = 0x1234,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.made.subject if by else subject)
            .public_key(key.public_key())
            .serial_number(serial if by else x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            alternatives = [_alternative(each) for each in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        if by:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        made = builder.sign(by.private_key if by else key, hashes.SHA256())
        stem = self.directory / f"{self.name}-{name}".replace(" ", "-")
        certificate, key_file = stem.with_suffix(".crt"), stem.with_suffix(".key")
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return Issued(certificate, key_file, made, key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
