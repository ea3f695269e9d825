"""`wayside support-bundle`: what it holds, that it is made in every plight, and that planted secrets never leave."""

import asyncio
import base64
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edge.gateway.audit import AuditLog
from edge.gateway.status_socket import StatusSocket
from edge.identity.operator_keys import OperatorKey
from tools.cli import app
from tools.redaction import Redactor
from tools.tests.test_journal import fill

HASH_KEY = b"planted-hash-key-4711-do-not-tell"
BROKER_PASSWORD = "planted-broker-password"
COMMENT = "planted-in-a-comment"
CARD = "k1a2b3c:00112233445566778899aabbccddeeff"
CONFIG = f"""
[node]
id = "rsu-7f3a"
data = "var"

[uplink.mqtt]
brokers = ["mqtts://broker.example:8883"]   # {COMMENT}
acknowledged_by = "ingest"

[uplink.mqtt.tls]
ca = "pki/ca.pem"
cert = "pki/node.pem"
key = "pki/node.key"

[privacy]
hash_key = "keys/pseudonym.key"
"""


def wayside(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, ["support-bundle", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def contents(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as archive:
        members = archive.getmembers()
        assert all(member.isfile() and ".." not in member.name for member in members)
        return {member.name.removeprefix("wayside-support/"): archive.extractfile(member).read() for member in members}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for folder in ("pki", "keys", "var/log", "var/audit"):
        (tmp_path / folder).mkdir(parents=True)
    OperatorKey.new().write(tmp_path / "pki/node.key", tmp_path / "pki/node.pub")
    (tmp_path / "pki/ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (tmp_path / "pki/node.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n")
    (tmp_path / "keys/pseudonym.key").write_bytes(HASH_KEY + b"\n")
    (tmp_path / "var/log/wayside.log").write_text("2026-11-24 INFO rsu-7f3a: runs\n", "utf-8")
    audit = AuditLog(tmp_path / "var/audit")
    audit.open()
    audit.write("command", time_ms=1, time_quality="ntp", uptime_ms=1, op="vms.show")
    fill(tmp_path / "var", 5)
    file = tmp_path / "node.toml"
    file.write_text(CONFIG, "utf-8")
    return file


@pytest.fixture
def gateway(config: Path) -> Iterator[None]:
    started, stop = threading.Event(), threading.Event()
    status = {"node": "rsu-7f3a", "devices": {"reader-1": {"last_card": CARD, "error": f"card {CARD} left"}}}

    async def serve() -> None:
        socket = StatusSocket(config.parent / "var/status.sock", lambda: status)
        await socket.open()
        started.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        await socket.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield
    stop.set()
    thread.join(10)


def test_it_holds_what_support_asks_for(config: Path, gateway: None, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    result = wayside(config, "-o", bundle)
    assert (result.exit_code, result.stdout) == (0, f"{bundle}\n")
    assert bundle.stat().st_mode & 0o777 == 0o600
    held = contents(bundle)
    assert {"manifest.json", "status.json", "configuration.json", "journal.json", "audit.json", "versions.json",
            "machine.json", "log/wayside.log", "system/meminfo"} <= held.keys()  # fmt: skip
    assert all(name in result.stderr for name in held)
    assert json.loads(held["status.json"])["node"] == "rsu-7f3a"
    assert json.loads(held["journal.json"])["telemetry"]["made"] == 5
    assert json.loads(held["audit.json"])["holds"] is True
    tables = json.loads(held["configuration.json"])["tables"]
    assert tables["uplink"]["mqtt"]["brokers"] == ["mqtts://broker.example:8883"]
    assert tables["uplink"]["mqtt"]["tls"]["key"]["file"] == "pki/node.key"
    assert tables["uplink"]["mqtt"]["tls"]["key"]["mode"] == "0600"


def test_it_is_made_when_the_gateway_is_down_and_says_what_is_missing(config: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    result = wayside(config, "-o", bundle, "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"]) == (0, True)
    assert "status.sock" in answer["missing"]["status.json"]
    assert "status.json" not in contents(bundle)
    assert json.loads(contents(bundle)["manifest.json"])["missing"]


def test_planted_secrets_never_leave(config: Path, gateway: None, tmp_path: Path) -> None:
    private = (tmp_path / "pki/node.key").read_text()
    body = private.splitlines()[1]
    log = tmp_path / "var/log/wayside.log"
    planted = [
        f"key {private}",
        f"half a key {body}",
        f"hash {HASH_KEY.decode()} {HASH_KEY.hex()} {HASH_KEY.hex().upper()} {base64.b64encode(HASH_KEY).decode()}",
        f"broker mqtts://node:{BROKER_PASSWORD}@broker.example",
        f'password="{BROKER_PASSWORD}" token={BROKER_PASSWORD}',
        f"tap of {CARD}",
    ]
    log.write_text("\n".join(planted) + "\nlast line\n", "utf-8")
    (tmp_path / "var/log/wayside.log.1").symlink_to(tmp_path / "keys/pseudonym.key")
    bundle = tmp_path / "bundle.tar.gz"
    assert wayside(config, "-o", bundle).exit_code == 0
    held = contents(bundle)
    everything = b"\n".join(held.values())
    secrets = [body.encode(), HASH_KEY, HASH_KEY.hex().encode(), base64.b64encode(HASH_KEY).rstrip(b"="),
               BROKER_PASSWORD.encode(), COMMENT.encode(), CARD.encode(), CARD.split(":")[1].encode()]  # fmt: skip
    for secret in secrets:
        assert secret not in everything, secret
    assert b"last line" in held["log/wayside.log"]
    assert "log/wayside.log.1" not in held  # a link is not followed
    assert "planted-" not in everything.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "text",
    [
        CONFIG.replace('key = "pki/node.key"', f'key = "{"A1b2" * 12}"'),
        CONFIG + f'password = "{BROKER_PASSWORD}"\n',
        CONFIG.replace("broker.example", f"me:{BROKER_PASSWORD}@broker.example"),
        CONFIG + f'[[device]]\nname = "x"\nnote = "{BROKER_PASSWORD}"\n',
        CONFIG.replace('id = "rsu-7f3a"', f'id = "{BROKER_PASSWORD}\\n"'),
        f"[node\npassword = '{BROKER_PASSWORD}'\n",
        "\xff",
        "",
    ],
    ids=range(8),
)
def test_of_a_wrong_configuration_no_text_leaves(config: Path, tmp_path: Path, text: str) -> None:
    config.write_bytes(text.encode("latin-1"))
    bundle = tmp_path / "bundle.tar.gz"
    assert wayside(config, "-o", bundle).exit_code == 0
    held = contents(bundle)
    everything = b"\n".join(held.values())
    assert BROKER_PASSWORD.encode() not in everything
    assert b"A1b2A1b2" not in everything
    document: dict[str, Any] = json.loads(held["configuration.json"])
    assert document["problems"] or "A1b2" in text


def test_a_journal_or_audit_that_is_damaged_is_reported_not_fatal(config: Path, tmp_path: Path) -> None:
    (tmp_path / "var/audit/audit.jsonl").write_bytes(b"{\n")
    segment = next((tmp_path / "var/journal/telemetry").glob("*.seg"))
    segment.write_bytes(os.urandom(500))
    bundle = tmp_path / "bundle.tar.gz"
    assert wayside(config, "-o", bundle).exit_code == 0
    held = contents(bundle)
    assert json.loads(held["audit.json"])["holds"] is False
    assert json.loads(held["journal.json"])["telemetry"]["problems"]


def test_a_long_log_is_cut_at_a_line(config: Path, tmp_path: Path) -> None:
    (tmp_path / "var/log/wayside.log").write_text("".join(f"line {n:08}\n" for n in range(100_000)), "utf-8")
    bundle = tmp_path / "bundle.tar.gz"
    assert wayside(config, "-o", bundle).exit_code == 0
    lines = contents(bundle)["log/wayside.log"].splitlines()
    assert (lines[0][:5], lines[-1]) == (b"line ", b"line 00099999")
    assert len(lines) < 60_000


def test_nothing_is_overwritten_and_a_missing_configuration_ends_with_2(config: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    bundle.write_text("mine")
    assert wayside(config, "-o", bundle).exit_code == 1
    assert bundle.read_text() == "mine"
    assert wayside(config, "-o", tmp_path / "none/bundle.tar.gz").exit_code == 1
    assert wayside(tmp_path / "none.toml").exit_code == 2


def test_the_redactor_leaves_digests_and_addresses_alone() -> None:
    text = "sha256:5f1c0a37 tcp:10.0.0.7:502 epoch 9c41d07be21f00aa"
    assert Redactor([b"another secret"]).text(text) == text


def test_the_redactor_hides_where_somebody_is_and_keeps_counters() -> None:
    plain = Redactor().plain(
        {"lat_deg": 32.06, "position": [1.5], "late": 3, "cards": 7, "uid": "04a1", "x": [{"pin": "1"}]}
    )
    assert plain["lat_deg"] == plain["uid"] == plain["x"][0]["pin"] == "<redacted>"
    assert (plain["late"], plain["cards"]) == (3, 7)
