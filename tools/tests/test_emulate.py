"""`wayside emulate` as its own process: each kind on each endpoint, its world, its faults, its truth and its end."""

import json
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from drivers.modbus.map_file import shipped_map_names
from emulators.broker import free_port
from tools.cli import app
from tools.init import DEVICE_MAP, DEVICE_PORT

pytestmark = pytest.mark.hil

WAYSIDE = Path(sys.executable).with_name("wayside")
READ_1 = bytes.fromhex("000100000006010400000002")
"""Modbus TCP: unit 1, input registers 0 and 1."""


@contextmanager
def emulated(kind: str, *options: str | Path) -> Iterator[str]:
    """The endpoint of a running emulator, which ends well on SIGTERM."""
    command = [str(WAYSIDE), "emulate", kind, *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, process.stderr.read()
            yield json.loads(first)["endpoint"]
            process.send_signal(signal.SIGTERM)
            _, talk = process.communicate(timeout=20)
            assert process.returncode == 0, talk
        finally:
            process.kill()


def connected(endpoint: str) -> socket.socket:
    host, port = endpoint.removeprefix("tcp:").rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.settimeout(10)
    return connection


def read_until(read: Any, what: bytes, within_s: float = 10) -> bytes:
    data, until = b"", time.monotonic() + within_s
    while what not in data:
        assert time.monotonic() < until, data
        data += read(4096)
    return data


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_modbus_over_tcp_plays_the_map_that_init_writes(tmp_path: Path) -> None:
    assert DEVICE_MAP in shipped_map_names()
    assert DEVICE_PORT.startswith("tcp:")
    truth, trace = tmp_path / "truth.jsonl", tmp_path / "trace.jsonl"
    with emulated("modbus", "--at", "tcp:127.0.0.1:0", "--truth", truth, "--trace", trace) as endpoint:
        with connected(endpoint) as connection:
            connection.sendall(READ_1)
            answer = connection.recv(100)
        assert answer[:2] == READ_1[:2]
        assert answer[7] == 4
    assert "values" in lines_of(truth)[0]
    assert [line["who"] for line in lines_of(trace)] == ["master", "device"]


def test_modbus_rtu_stands_on_a_line_with_a_name_of_its_own(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text("[[unit]]\nunit_id = 7\nregisters = 10\nstep_s = 3600\n", "utf-8")
    link = tmp_path / "line"
    with emulated("modbus", "--at", f"pty:{link}?baud=115200", "--world", world) as endpoint:
        assert endpoint == f"pty:{link}?baud=115200"
        with link.open("r+b", buffering=0) as port:
            tty.setraw(port, termios.TCSANOW)
            port.write(bytes.fromhex("070300000002c46d"))
            data = port.read(9)
            while len(data) < 9:
                data += port.read(9)
        assert data[:7].hex() == "07030400000001"
    assert not link.exists()


def test_gnss_says_sentences_and_its_truth(tmp_path: Path) -> None:
    world, truth = tmp_path / "world.toml", tmp_path / "truth.jsonl"
    world.write_text('rate_hz = 10.0\ntalker = "BD"\ntrack = { kind = "circle" }\n', "utf-8")
    with (
        emulated("gnss", "--at", "tcp:127.0.0.1:0", "--world", world, "--truth", truth, "--seed", "5") as endpoint,
        connected(endpoint) as connection,
    ):
        assert b"$BDRMC" in read_until(connection.recv, b"$BDGGA")
        with connected(endpoint) as second:  # a serial server takes one
            assert second.recv(10) == b""
    assert lines_of(truth)


def test_gnss_on_a_pseudo_terminal_with_faults(tmp_path: Path) -> None:
    plan, world = tmp_path / "plan.toml", tmp_path / "world.toml"
    plan.write_text("[duplicate]\np = 1.0\n", "utf-8")
    world.write_text("rate_hz = 10.0\n", "utf-8")
    with (
        emulated("gnss", "--faults", plan, "--world", world) as endpoint,
        Path(endpoint.removeprefix("pty:").split("?")[0]).open("rb", buffering=0) as port,
    ):
        lines = read_until(port.read, b"GNVTG").split(b"\r\n")
        assert lines[0].startswith(b"$GNRMC")
        assert lines[0] == lines[1]


def test_pn532_answers_and_tells_when_a_card_is_there(tmp_path: Path) -> None:
    world, truth = tmp_path / "world.toml", tmp_path / "truth.jsonl"
    world.write_text(
        '[[card]]\nname = "anna"\nuid = "04a1b2c3d4e5f6"\n[[card.visit]]\nat_s = 0.0\nfor_s = 60.0\n', "utf-8"
    )
    with (
        emulated("pn532", "--at", "tcp:127.0.0.1:0", "--world", world, "--truth", truth) as endpoint,
        connected(endpoint) as connection,
    ):
        connection.sendall(bytes.fromhex("55550000000000000000" + "0000ff02fed4022a00"))
        assert bytes.fromhex("d50332") in read_until(connection.recv, bytes.fromhex("d50332"))
    assert (lines_of(truth)[0]["what"], lines_of(truth)[0]["card"]) == ("placed", "anna")


def test_a_proxy_follows_its_steps(tmp_path: Path) -> None:
    world, truth = tmp_path / "world.toml", tmp_path / "truth.jsonl"
    with emulated("modbus", "--at", "tcp:127.0.0.1:0") as target:
        world.write_text(f'target = "{target}"\n[[step]]\nat_s = 0.0\n[step.faults]\nlatency_s = 0.05\n', "utf-8")
        with (
            emulated("proxy", "--at", "tcp:127.0.0.1:0", "--world", world, "--truth", truth) as endpoint,
            connected(endpoint) as connection,
        ):
            connection.sendall(READ_1)
            assert connection.recv(100)[:2] == READ_1[:2]
    assert lines_of(truth)[0]["faults"]["latency_s"] == 0.05


def test_the_list_names_every_kind() -> None:
    result = CliRunner().invoke(app, ["emulate", "--list", "--json"])
    assert [json.loads(line)["kind"] for line in result.stdout.splitlines()] == [
        "modbus",
        "gnss",
        "pn532",
        "buoy",
        "proxy",
    ]


@pytest.mark.parametrize(
    ("words", "world", "says"),
    [
        (["modbuss"], "", "modbus"),
        ([], "", "--list"),
        (["modbus", "--at", "serial:/dev/ttyS0"], "", "pty:"),
        (["modbus", "--at", "tcp:nowhere"], "", "tcp:HOST:PORT"),
        (["modbus", "--at", "tcp::0"], "", "tcp:HOST:PORT"),
        (["modbus", "--at", "pty:relative"], "", "whole path"),
        (["modbus", "--at", "pty:?baud=fast"], "", "baud"),
        (["modbus"], "[[unit]]\nunit_id = 300\n", "unit"),
        (["modbus"], "[[unit]]\nmap = 'no_such_map'\n", "no_such_map"),
        (["modbus"], "[[unit]]\n[[unit]]\n", "unit_id"),
        (["modbus"], "framing = 'ascii'\n", "framing"),
        (["modbus"], "[[unit]]\nmap = 'a'\nregisters = 1\n", "exclude"),
        (["modbus"], "[[", "world.toml"),
        (["gnss"], "rate_hz = -1\n", "rate_hz"),
        (["pn532"], "[[card]]\nname = 'a'\nuid = '00'\n", "UID"),
        (["proxy", "--at", "tcp:127.0.0.1:0"], "", "target"),
        (["proxy", "--at", "pty:"], "target = 'tcp:127.0.0.1:1'\n", "tcp:HOST:PORT"),
        (["proxy"], "target = 'serial:/dev/x'\n", "target"),
        (["gnss", "--faults", "/nowhere.toml"], "", "/nowhere.toml"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_ends_with_2(tmp_path: Path, words: list[str], world: str, says: str) -> None:
    file = tmp_path / "world.toml"
    file.write_text(world, "utf-8")
    result = CliRunner().invoke(app, ["emulate", *words, "--world", str(file), "--json"])
    assert result.exit_code == 2, result.output
    assert says in json.loads(result.stdout)["reason"]


def refusal(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["emulate", *words, "--json"])
    return result.exit_code, json.loads(result.stdout)["reason"]


def test_a_port_that_is_taken_ends_with_1() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        said = refusal("gnss", "--at", f"tcp:127.0.0.1:{port}")
    assert said == (1, f"--at: tcp:127.0.0.1:{port} cannot be opened: Address already in use")


def test_what_the_system_refuses_is_a_line_with_the_option_the_place_and_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff")
    no_toml = tmp_path / "no.toml"
    no_toml.write_text("a\n")
    none = "No such file or directory"
    for words, code, said in [
        (["--at", f"pty:{tmp_path}/none/line"], 1, f"--at: pty:{tmp_path}/none/line cannot be opened: {none}"),
        (["--at", "tcp:nowhere.invalid:1"], 1, "--at: tcp:nowhere.invalid:1 cannot be opened: "),
        (["--truth", f"{tmp_path}/none/t"], 1, f"--truth: {tmp_path}/none/t cannot be written: {none}"),
        (["--trace", str(tmp_path)], 1, f"--trace: {tmp_path} cannot be written: Is a directory"),
        (["--world", f"{tmp_path}/none"], 2, f"--world: {tmp_path}/none cannot be read: {none}"),
        (["--world", str(file)], 2, f"--world: {file} is not text in UTF-8"),
        (["--faults", str(file)], 2, f"--faults: {file} is not text in UTF-8"),
        (["--faults", str(no_toml)], 2, f"--faults: {no_toml} is not TOML: Expected '='"),
    ]:
        exit_code, reason = refusal("gnss", *words)
        assert (exit_code, reason[: len(said)]) == (code, said)
        assert "Errno" not in reason


def test_a_file_that_stands_where_the_line_shall_be_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "line"
    file.write_text("precious")
    assert refusal("gnss", "--at", f"pty:{file}") == (2, f"--at: {file} exists and is no link, and nothing is replaced")
    assert file.read_text() == "precious"
    file.unlink()
    file.symlink_to("/dev/pts/none")  # what an emulator that was killed has left
    with emulated("gnss", "--at", f"pty:{file}") as endpoint:
        assert endpoint.startswith(f"pty:{file}?")
