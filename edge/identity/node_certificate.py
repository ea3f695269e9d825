"""What is wrong with a node's certificates, or will be soon: said at the desk, before a broker hangs up on it.

X.509 as in RFC 5280. The common name is the node's id: the broker takes it for the user name (docs/wire.md, "Access").
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from drivers.text import _

SOON = timedelta(days=30)
MAX_FILE_BYTES = 1_000_000


class CertificateFinding(NamedTuple):
    """One thing that somebody should know."""

    text: str
    is_wrong: bool
    """False: it still works."""


def look_at_certificate(file: Path, *, node: str, now: datetime) -> Iterator[CertificateFinding]:
    """Say what is wrong with the first certificate in `file`. Nothing for what is none: TLS itself says that better."""
    certificates = _certificates_in(file)
    if not certificates:
        return
    certificate = certificates[0]
    yield from _dates(certificate, file, now)
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [node]:
        text = _("{file} is for {names}, must be for {node}: the broker knows a node by its certificate's common name")
        said = " + ".join(f'"{name}"' for name in names) or _("nobody (it has no common name)")
        yield CertificateFinding(text.format(file=file, names=said, node=f'"{node}"'), is_wrong=True)


def look_at_authority(file: Path, *, now: datetime) -> Iterator[CertificateFinding]:
    """Say how long the certificates in `file` still vouch for a broker: of several the one that ends last counts."""
    certificates = _certificates_in(file)
    if certificates:
        yield from _dates(max(certificates, key=lambda one: one.not_valid_after_utc), file, now)


def _certificates_in(file: Path) -> list[x509.Certificate]:
    try:
        with file.open("rb") as opened:
            return x509.load_pem_x509_certificates(opened.read(MAX_FILE_BYTES))
    except (OSError, ValueError):
        return []


def _dates(certificate: x509.Certificate, file: Path, now: datetime) -> Iterator[CertificateFinding]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    values = {"file": file, "begins": _day(begins), "ends": _day(ends), "now": _day(now), "days": (ends - now).days}
    if now < begins:
        text = _(
            "{file} is valid from {begins} on, and here it is {now}: set the clock of this box, or get another one"
        )
        yield CertificateFinding(text.format(**values), is_wrong=True)
    elif now > ends:
        text = _("{file} has expired on {ends}, and here it is {now}: get a new one, or set the clock of this box")
        yield CertificateFinding(text.format(**values), is_wrong=True)
    elif now > ends - SOON:
        text = _("{file} expires on {ends}, in {days} days: get a new one in time")
        yield CertificateFinding(text.format(**values), is_wrong=False)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
