"""`wayside init`: what it writes is right at once, a real broker takes it, and nothing is ever overwritten."""

import asyncio
import errno
import json
import os
import ssl
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.gateway.config import load_config
from emulators.broker import find_mosquitto, free_port
from tools.check import problems_of
from tools.cli import app
from tools.init import ENTRIES, default_node


def init(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["init", *map(str, arguments)], input=stdin)


def test_what_it_writes_has_no_mistake_and_secrets_are_their_owners(tmp_path: Path) -> None:
    result = init(tmp_path / "desk", "--yes", "--node", "rsu-7f3a")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path}/desk/node.toml\n"
    assert problems_of(tmp_path / "desk" / "node.toml") == []
    config = load_config(tmp_path / "desk" / "node.toml")
    assert config.node.id == "rsu-7f3a"
    assert config.uplink.mqtt.acknowledged_by == "ingest"
    assert [device.name for device in config.device] == ["meter-1"]
    assert sorted(entry.name for entry in (tmp_path / "desk").iterdir()) == sorted(ENTRIES)
    for secret in (*(tmp_path / "desk").rglob("*.key"), tmp_path / "desk/broker/wayside.acl"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600, secret
    for step in ("mosquitto -c ", "wayside emulate modbus", "wayside sink", "wayside run", "wayside tail"):
        assert step in result.stderr


def test_answers_are_taken_over(tmp_path: Path) -> None:
    result = init(
        tmp_path, "--yes", "--json", "--node", "n1", "--broker", "mqtts://broker.example:1234", "--acknowledged-by",
        "broker", "--device", "serial:/dev/ttyS1?baud=9600", "--map", "pzem_016",
    )  # fmt: skip
    assert json.loads(result.stdout) == {
        "ok": True,
        "config": f"{tmp_path}/node.toml",
        "node": "n1",
        "broker": "mqtts://broker.example:1234",
    }
    config = load_config(tmp_path / "node.toml")
    assert config.uplink.mqtt.brokers == ("mqtts://broker.example:1234",)
    assert config.uplink.mqtt.acknowledged_by == "broker"
    assert config.device[0].port == "serial:/dev/ttyS1?baud=9600"
    assert "listener 1234\n" in (tmp_path / "broker" / "mosquitto.conf").read_text()
    assert "wayside sink" not in result.stderr


def test_no_device_leaves_a_table_to_fill_in(tmp_path: Path) -> None:
    assert init(tmp_path, "--yes", "--device", "none").exit_code == 0
    assert load_config(tmp_path / "node.toml").device == ()
    assert '# driver = "modbus"\n' in (tmp_path / "node.toml").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--node", "Rsu"),
        ("--node", "ingest"),
        ("--broker", "mqtt://localhost"),
        ("--broker", "broker.example"),
        ("--broker", "mqtts://broker.example:0"),
        ("--acknowledged-by", "nobody"),
        ("--device", "tcp:x"),
        ("--map", "nonsense"),
        ("--map", "../secret"),
    ],
)
def test_a_wrong_answer_is_wrong_usage_and_nothing_is_written(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = init(tmp_path / "desk", "--yes", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("wayside: ")
    assert not (tmp_path / "desk").exists()


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    result = init(tmp_path / "desk", stdin="n1\n\n\n\n")
    assert result.exit_code == 2
    assert "use --yes" in result.stderr
    assert not (tmp_path / "desk").exists()


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_is_overwritten(tmp_path: Path, entry: str) -> None:
    (tmp_path / entry).write_text("precious")
    result = init(tmp_path, "--yes")
    assert result.exit_code == 1
    assert f"{tmp_path}/{entry} exists, and nothing is replaced" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == [entry]
    assert (tmp_path / entry).read_text() == "precious"


def test_a_folder_that_cannot_be_written_is_said_so_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = init(tmp_path / "file" / "desk", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("what", ["file", "link", "below"])
def test_what_can_be_no_folder_is_said_in_one_line_with_its_name(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("link")
    folder = tmp_path / "file" / "below" if what == "below" else tmp_path / what
    reason = "cannot be written: Not a directory; nothing was left in it"
    said = f"wayside: {folder} {reason if what == 'below' else 'is there and is no folder'}\n"
    result = init(folder, "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


@pytest.mark.parametrize("fails", ["edge.identity.development_ca.os.fdopen", "tools.init.shutil.copyfile"])
def test_a_disk_that_refuses_in_the_middle_is_said_in_one_line_and_nothing_is_left(
    tmp_path: Path, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def refuse(*arguments: object, **_options: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

        patch.setattr(fails, refuse)
        result = init(tmp_path, "--yes", "--node", "n1")
    said = f"wayside: {tmp_path} cannot be written: No space left on device; nothing was left in it\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)
    assert list(tmp_path.iterdir()) == []


def test_a_present_folder_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = init("--yes")
    assert (result.exit_code, result.stderr) == (1, "wayside: .: No such file or directory\n")


def test_the_machines_name_becomes_a_nodes_name() -> None:
    assert default_node()
    assert default_node() == default_node().lower()


CONNECT_N1 = bytes.fromhex("100e 0004 4d515454 04 02 003c 0002 6e31")
"""MQTT 3.1.1, section 3.1: clean session, keep-alive 60 s, client id n1."""
CONNACK = bytes.fromhex("20020000")


async def answer_to(port: int, context: ssl.SSLContext) -> bytes:
    """What the broker says to a client; waits for the broker to listen."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        try:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        except ConnectionRefusedError:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
            continue
        try:
            writer.write(CONNECT_N1)
            return await reader.read(4)
        except (ConnectionError, ssl.SSLError):
            return b""
        finally:
            writer.transport.abort()


@pytest.mark.skipif(find_mosquitto() is None, reason="Mosquitto is not installed")
async def test_mosquitto_takes_its_configuration_and_only_our_clients(tmp_path: Path) -> None:
    port = free_port()
    assert init(tmp_path, "--yes", "--node", "n1", "--broker", f"mqtts://localhost:{port}").exit_code == 0
    broker = await asyncio.create_subprocess_exec(
        str(find_mosquitto()), "-c", str(tmp_path / "broker/mosquitto.conf"), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        stranger = ssl.create_default_context(cafile=tmp_path / "pki/development-ca.pem")
        assert await answer_to(port, stranger) == b""
        node = ssl.create_default_context(cafile=tmp_path / "pki/development-ca.pem")
        node.load_cert_chain(tmp_path / "pki/n1.pem", tmp_path / "pki/n1.key")
        assert await answer_to(port, node) == CONNACK
    finally:
        broker.terminate()
        await broker.wait()
