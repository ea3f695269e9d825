"""A certificate authority for a laptop, a demonstration and the tests. Never for the field.

It lies in one folder: `development-ca.pem` and its key, and a certificate with its key for each server and client that
was asked for. Everything bears the word *development* in its name, all files are readable by their owner only, and a
file that exists is never replaced. Keys are EC P-256; X.509 as RFC 5280 has it. A client's common name is its node id:
the broker takes it for the user name.
"""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drivers.text import _
from protocols.wayside.topics import is_level

CA_NAME = "Wayside development CA, not for the field"
CA_CERTIFICATE = "development-ca.pem"
CA_KEY = "development-ca.key"
CA_DAYS = 1825
CERTIFICATE_DAYS = 397
_BACKDATED = timedelta(days=1)
"""A device whose clock lags by some hours still accepts what was issued just now."""


class DevelopmentCaError(Exception):
    """The authority cannot be made, opened or used; the text says why."""


class Credential(msgspec.Struct, frozen=True):
    """Where a certificate and its key lie."""

    cert: Path
    key: Path


class DevelopmentCa:
    """The authority in one folder. Make it with `create` or `open`."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key

    @property
    def ca(self) -> Path:
        """The certificate that clients and servers trust."""
        return self._folder / CA_CERTIFICATE

    @classmethod
    def create(cls, folder: Path, *, now: datetime) -> "DevelopmentCa":
        """Make a new authority. Raises `DevelopmentCaError` where one exists or the folder cannot be written."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(CA_NAME)
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(name, name, key.public_key(), now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            text = _("{path}: cannot be made: {error}")
            raise DevelopmentCaError(text.format(path=folder, error=error.strerror)) from error
        _write(folder / CA_KEY, _key_bytes(key))
        _write(folder / CA_CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, certificate, key)

    @classmethod
    def open(cls, folder: Path) -> "DevelopmentCa":
        """Open the authority that `create` made. Raises `DevelopmentCaError` where there is none."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / CA_CERTIFICATE).read_bytes())
            key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            text = _("{path}: holds no development authority: {error}")
            reason = getattr(error, "strerror", None) or error
            raise DevelopmentCaError(text.format(path=folder, error=reason)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise DevelopmentCaError(_("{path}: certificate and key do not belong together").format(path=folder))
        return cls(folder, certificate, key)

    def issue_server(
        self, file_name: str, *, now: datetime, hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1")
    ) -> Credential:
        """A certificate for a broker that is reached under `hosts` (names and addresses)."""
        if not is_level(file_name):
            raise DevelopmentCaError(_("{name}: is no file name of a-z 0-9 _ -").format(name=repr(file_name[:80])))
        if not hosts:
            raise DevelopmentCaError(_("a server needs at least one host name or address"))
        names: list[x509.GeneralName] = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        return self._issue(file_name, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names, now)

    def issue_client(self, common_name: str, *, now: datetime) -> Credential:
        """A certificate for a node, or for one of the roles `ingest`, `control` and `rollout`."""
        if not is_level(common_name):
            text = _("{name}: a node's name is 1 to 64 of a-z 0-9 _ -").format(name=repr(common_name[:80]))
            raise DevelopmentCaError(text)
        return self._issue(common_name, common_name, ExtendedKeyUsageOID.CLIENT_AUTH, [], now)

    def _issue(
        self,
        file_name: str,
        common_name: str,
        use: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        now: datetime,
    ) -> Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(_name(common_name), self._certificate.subject, key.public_key(), now, CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        credential = Credential(self._folder / f"{file_name}.pem", self._folder / f"{file_name}.key")
        _write(credential.key, _key_bytes(key))
        _write(credential.cert, certificate.public_bytes(serialization.Encoding.PEM))
        return credential


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wayside development"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    """Write a new file for its owner's eyes only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError as error:
        raise DevelopmentCaError(_("{path}: exists, and is not replaced").format(path=path)) from error
    except OSError as error:
        text = _("{path}: cannot be written: {error}")
        raise DevelopmentCaError(text.format(path=path, error=error.strerror)) from error
