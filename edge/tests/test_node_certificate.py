"""A node's certificate is looked at before a broker does: its dates, and whose it is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.identity.development_ca import CA_DAYS, CERTIFICATE_DAYS, DevelopmentCa
from edge.identity.node_certificate import SOON, look_at_authority, look_at_certificate

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ENDS = NOW + timedelta(days=CERTIFICATE_DAYS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return DevelopmentCa.create(tmp_path, now=NOW).issue_client("rsu-1", now=NOW).cert


def found(file: Path, *, node: str = "rsu-1", now: datetime = NOW) -> list[tuple[bool, str]]:
    findings = look_at_certificate(file, node=node, now=now)
    return [(finding.is_wrong, finding.text.removeprefix(f"{file} ")) for finding in findings]


def test_one_that_is_right_is_nothing_to_speak_of(file: Path) -> None:
    assert found(file) == []
    assert found(file, now=ENDS - SOON) == []


@pytest.mark.parametrize(
    ("now", "is_wrong", "text"),
    [
        (
            NOW - timedelta(days=300),
            True,
            (
                "is valid from 2026-11-23 09:00 UTC on, and here it is 2026-01-28 09:00 UTC: "
                "set the clock of this box, or get another one"
            ),
        ),
        (
            ENDS + timedelta(seconds=1),
            True,
            (
                "has expired on 2027-12-26 09:00 UTC, and here it is 2027-12-26 09:00 UTC: "
                "get a new one, or set the clock of this box"
            ),
        ),
        (ENDS - timedelta(days=2), False, "expires on 2027-12-26 09:00 UTC, in 2 days: get a new one in time"),
        (ENDS - SOON + timedelta(hours=1), False, "expires on 2027-12-26 09:00 UTC, in 29 days: get a new one in time"),
    ],
)
def test_its_dates_are_held_against_the_clock(file: Path, now: datetime, is_wrong: bool, text: str) -> None:
    assert found(file, now=now) == [(is_wrong, text)]


def test_another_nodes_is_named_with_both_names(file: Path) -> None:
    said = 'is for "rsu-1", must be for "rsu-2": the broker knows a node by its certificate\'s common name'
    assert found(file, node="rsu-2") == [(True, said)]
    assert len(found(file, node="rsu-2", now=ENDS + SOON)) == 2


@pytest.mark.parametrize(("names", "said"), [([], "nobody"), (["a", "rsu-1"], '"a" + "rsu-1"')])
def test_one_without_one_common_name_is_nobodys(tmp_path: Path, names: list[str], said: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - SOON).not_valid_after(NOW + 2 * SOON)
    file = tmp_path / "node.pem"
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    assert len(found(file)) == 1
    assert said in found(file)[0][1]


def test_of_several_authorities_the_one_that_ends_last_counts(tmp_path: Path) -> None:
    old, new = (DevelopmentCa.create(tmp_path / name, now=NOW + timedelta(days=days)).ca for name, days in
                (("old", -CA_DAYS - 1), ("new", 0)))  # fmt: skip
    both = tmp_path / "both.pem"
    both.write_bytes(old.read_bytes() + new.read_bytes())
    found_in = {file: list(look_at_authority(file, now=NOW)) for file in (old, new, both)}
    assert [len(findings) for findings in found_in.values()] == [1, 0, 0]
    assert found_in[old][0].text.startswith(f"{old} has expired on 2026-11-23")
    assert [finding.is_wrong for finding in look_at_authority(both, now=NOW + timedelta(days=CA_DAYS - 1))] == [False]


@pytest.mark.parametrize(
    "data", [None, b"", b"\xff" * 100, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_left_to_others(tmp_path: Path, data: bytes | None) -> None:
    file = tmp_path / "node.pem"
    if data is not None:
        file.write_bytes(data)
    assert found(file) == []
    assert found(tmp_path / "a\0b") == []
    assert list(look_at_authority(file, now=NOW)) == []
