"""What a configuration asks of the box: files that can be read, keys that nobody else can, a disk with room."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.gateway.config import ConfigProblem, parse_config, problems_around
from edge.identity.development_ca import DevelopmentCa
from edge.identity.operator_keys import OperatorKey

DOCUMENT = """\
[node]
id = "rsu-7f3a"
data = "var/deep/down"
[uplink.mqtt]
brokers = ["mqtts://broker.example:8883"]
acknowledged_by = "ingest"
[uplink.mqtt.tls]
ca = "pki/development-ca.pem"
cert = "pki/rsu-7f3a.pem"
key = "pki/rsu-7f3a.key"
[journal]
quota_mb = 1
[privacy]
hash_key = "pseudonym.key"
[[commands.operator]]
name = "ops-1"
key = "ops-1.pub"
ops = ["*"]
"""
CA, CERT, KEY, QUOTA, HASH_KEY, OPERATOR = 8, 9, 10, 12, 14, 17


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder where everything is right."""
    now = datetime.now(UTC)
    authority = DevelopmentCa.create(tmp_path / "pki", now=now)
    authority.issue_client("rsu-7f3a", now=now)
    authority.issue_client("other", now=now)
    OperatorKey.new().write(tmp_path / "ops-1.key", tmp_path / "ops-1.pub")
    (tmp_path / "pseudonym.key").write_bytes(b"0123456789abcdef")
    (tmp_path / "pseudonym.key").chmod(0o600)
    return tmp_path


def around(box: Path, document: str = DOCUMENT) -> list[ConfigProblem]:
    return problems_around(parse_config(document.encode(), box / "node.toml"), document.encode())


def test_a_box_where_everything_is_right_has_no_problem_and_nothing_is_made(box: Path) -> None:
    before = sorted(box.rglob("*"))
    assert around(box) == []
    assert sorted(box.rglob("*")) == before


def replaced(file: str, data: bytes) -> Callable[[Path], None]:
    return lambda box: (box / file).write_bytes(data) and None


@pytest.mark.parametrize(
    ("harm", "line", "path", "text"),
    [
        (
            lambda box: (box / "pki/development-ca.pem").unlink(),
            CA,
            "uplink.mqtt.tls.ca",
            "cannot be read: No such file",
        ),
        (
            replaced("pki/development-ca.pem", b"x"),
            7,
            "uplink.mqtt.tls",
            "development-ca.pem holds no certificate in PEM",
        ),
        (replaced("pki/rsu-7f3a.pem", b"x"), 7, "uplink.mqtt.tls", "are not a certificate and its unencrypted key"),
        (
            lambda box: (box / "pki/other.key").replace(box / "pki/rsu-7f3a.key"),
            7,
            "uplink.mqtt.tls",
            "is not the key of",
        ),
        (lambda box: (box / "pki/rsu-7f3a.key").chmod(0o644), KEY, "uplink.mqtt.tls.key", "chmod 600 would be right"),
        (lambda box: (box / "pseudonym.key").chmod(0o604), HASH_KEY, "privacy.hash_key", "is open to every user"),
        (replaced("pseudonym.key", b"short\n"), HASH_KEY, "privacy.hash_key", "has 5 bytes; from 16"),
        (replaced("ops-1.pub", b"short\n"), OPERATOR, "commands.operator[0].key", "is not an Ed25519 public key"),
        (
            lambda box: (box / "ops-1.key").replace(box / "ops-1.pub"),
            OPERATOR,
            "commands.operator[0].key",
            "give the public",
        ),
        (lambda box: (box / "var").write_bytes(b""), 3, "node.data", "is not a folder"),
    ],
)
def test_what_is_wrong_around_is_named_with_its_line(
    box: Path, harm: Callable[[Path], object], line: int, path: str, text: str
) -> None:
    harm(box)
    found = around(box)
    assert [(problem.line, problem.path) for problem in found] == [(line, path)]
    assert text in found[0].text


def test_a_folder_in_place_of_a_file_is_said_so(box: Path) -> None:
    (box / "pseudonym.key").unlink()
    (box / "pseudonym.key").mkdir(mode=0o700)
    assert [problem.text for problem in around(box)] == [f"{box}/pseudonym.key is not a file"]


def test_a_name_with_a_nul_is_a_file_that_cannot_be_read(box: Path) -> None:
    document = DOCUMENT.replace('"pseudonym.key"', '"a\\u0000b"').replace('"pki/rsu-7f3a.key"', '"a\\u0000b"')
    assert [problem.path for problem in around(box, document)] == ["uplink.mqtt.tls.key", "privacy.hash_key"]


def test_a_quota_that_the_disk_cannot_hold_is_refused(box: Path) -> None:
    disk = os.statvfs(box)
    assert disk.f_blocks * disk.f_frsize < 900_000_000_000_000
    found = around(box, DOCUMENT.replace("quota_mb = 1", "quota_mb = 1_000_000"))
    assert [(problem.line, problem.path) for problem in found] == [(QUOTA, "journal.quota_mb")]
    assert "nine tenths of the disk" in found[0].text


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (None, "update.toml cannot be read: No such file"),
        (b"data = 7", "update.toml: data names no folder"),
        (b"data", "update.toml: Expected"),
        (b'device = "rsu-7f3a"\ndata = "update"', None),
    ],
)
def test_the_file_of_the_update_agent_must_say_where_its_reports_lie(
    box: Path, document: bytes | None, text: str | None
):
    if document is not None:
        (box / "update.toml").write_bytes(document)
    found = around(box, DOCUMENT + '[update]\nfile = "update.toml"\n')
    if text is None:
        assert found == []
        return
    (problem,) = found
    assert (problem.line, problem.path) == (20, "update.file")
    assert text in problem.text
