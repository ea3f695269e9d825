"""`wayside status`, `tail` and `run`: against the gateway's own status socket, and against what is no gateway."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from edge.gateway.status_socket import StatusSocket
from tools.cli import app
from tools.status import page_of

WAYSIDE = Path(sys.executable).with_name("wayside")
STATUS: dict[str, Any] = {
    "node": "rsu-7f3a",
    "version": "0.1.0",
    "boot": 41,
    "uptime_s": 86_400.0,
    "config": {"file": "node.toml", "digest": "sha256:5f1c" + 60 * "0", "version": 7, "outcome": "rolled-back",
               "reason": "the uplink was not reached with it", "on_trial": False},
    "clock": {"time_ms": 1, "time": "2026-11-24 09:00:00 UTC", "quality": "ntp"},
    "storage": {"state": "failing", "error": "disk [red]on fire[/] \x1b[2J", "free_mb": 812.4,
                "not_recorded": {"meter-2": 31}},
    "lanes": {
        "telemetry": {"made": 18224, "acked": 18100, "queued": 124, "lost": 0, "oldest_s": 7500.0},
        "event": {"made": 9, "acked": 9, "queued": 0, "lost": 0, "oldest_s": 0.0},
    },
    "uplink": {"state": "connected", "broker": "mqtts://b:8883", "error": None, "acknowledged_by": "broker",
               "ingest": False, "next_attempt_in_s": None, "refused_names": []},
    "devices": {
        "meter-1": {"driver": "modbus", "state": "running", "starts": 1, "error": None, "lost_s": None,
                    "lost_why": None, "condition": "polling", "absent_points": ["power_w"], "requests": 130,
                    "request_timeouts": 4, "request_noise": 1},
        "meter-2": {"driver": "modbus", "state": "running", "starts": 4, "error": None, "lost_s": 300.0,
                    "lost_why": "no [answer]", "condition": "port down", "requests": 9, "request_timeouts": 9,
                    "request_noise": 0},
        "gnss": {"driver": "gnss", "state": "running", "starts": 1, "error": None, "lost_s": None,
                 "lost_why": None, "condition": "too few satellites"},
    },
    "rss_mb": 38.25,
}  # fmt: skip
SAMPLE = {"device": "flow-1", "points": ["n", "speed_mps"], "values": [12, None], "bad": [[1, 2]]}
EVENT = {"device": "reader-1", "event": "tap", "data": {"card": "k1:\x1b9f"}}


def wayside(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "var").mkdir()
    file = tmp_path / "node.toml"
    file.write_text('[node]\nid = "rsu-7f3a"\ndata = "var"\n', "utf-8")
    return file


@pytest.fixture
def gateway(config: Path) -> Iterator[None]:
    """The real status socket, with somebody behind it who has something to tell."""
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        status = StatusSocket(config.parent / "var/status.sock", lambda: STATUS)
        await status.open()
        started.set()
        while not stop.is_set():
            if status.has_tails:
                status.publish(SAMPLE)
                status.publish(EVENT)
            await asyncio.sleep(0.01)
        await status.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield
    stop.set()
    thread.join(10)


@pytest.mark.usefixtures("gateway")
def test_status_shows_what_a_technician_needs(config: Path) -> None:
    result = wayside("status", config)
    assert (result.exit_code, result.stderr) == (0, "")
    page = result.stdout
    for text in ("rsu-7f3a", "41", "24.0 h", "rolled-back", "quality ntp", "acknowledged by broker only", "18,224",
                 "2.1 h", "meter-2", "silent for 5 min", "no [answer]", "disk [red]on fire[/]",
                 "meter-2: 31 samples", "running, polling", "not in this device: power_w", "too few",
                 "5 of 130 requests"):  # fmt: skip
        assert text in page, text
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("uplink", "said"),
    [
        ({"acknowledged_by": "ingest", "ingest": False}, "the ingest is away"),
        ({"state": "away", "error": "nothing answers on this port", "next_attempt_in_s": 12.3}, "tried again in 12 s"),
        ({"refused_names": ["state", "telemetry/flow-1"]}, "the broker does not take state, telemetry/flow-1: its"),
        ({"refused_names": [f"event/{n}" for n in range(9)]}, "event/3 (+5): its"),
    ],
)
def test_status_says_what_keeps_records_in_the_box(uplink: dict[str, Any], said: str) -> None:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(page_of({**STATUS, "uplink": {**STATUS["uplink"], **uplink}}))
    assert said in captured.get()
    with console.capture() as captured:
        console.print(page_of({**STATUS, "uplink": {**STATUS["uplink"], "ingest": True}}))
    assert said not in captured.get()


def page(status: dict[str, Any]) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(page_of(status))
    return captured.get()


def test_status_repeats_what_is_wrong_with_the_file_while_another_configuration_runs() -> None:
    mistakes = [
        {"file": "node.toml", "line": line, "path": f"device[{line}].unit_id", "text": "is 0 \x1b[2J"}
        for line in range(7)
    ]
    lines = [f"node.toml:{line}: device[{line}].unit_id: is 0 \x1b[2J" for line in range(7)]
    config = {**STATUS["config"], "outcome": "refused", "reason": "\n".join(lines)[:40]}
    said = page({**STATUS, "config": {**config, "mistakes": mistakes}})
    assert "the file has mistakes and is not what runs" in said
    assert said.count("unit_id: is 0 \\x1b[2J") == 5
    assert "and 2 more: wayside check names all" in said
    assert "\x1b" not in said
    kept = page({**STATUS, "config": {**config, "reason": "of a push", "mistakes": mistakes}})
    assert "refused of a push" in kept
    assert "the file has mistakes" not in page({**STATUS, "config": {**config, "mistakes": []}})


def test_status_tells_a_device_that_was_given_up_from_one_that_is_silent() -> None:
    why = "/k/pseudonym.key: has 5 bytes"
    given_up = {"driver": "card_reader", "state": "given up", "starts": 1, "error": why, "lost_s": 7.0, "lost_why": why,
                "condition": "closed"}  # fmt: skip
    said = page({**STATUS, "devices": {"reader-1": given_up}})
    assert "given up" in said
    assert why in said
    assert "silent" not in said


def test_status_says_whom_it_does_not_obey() -> None:
    said = page({**STATUS, "commands": {"unbelieved": 0, "not_obeyed": {"ops-1": "/k/ops-1.pub: No such file \x1b"}}})
    assert "ops-1 is not obeyed: /k/ops-1.pub: No such file \\x1b" in said
    assert "not obeyed" not in page({**STATUS, "commands": {"unbelieved": 3, "not_obeyed": {}}})


@pytest.mark.usefixtures("gateway")
def test_status_as_json_is_the_document(config: Path) -> None:
    assert json.loads(wayside("status", config, "--json").stdout) == STATUS


@pytest.mark.usefixtures("gateway")
def test_tail_follows_samples_and_events(config: Path) -> None:
    result = wayside("tail", config, "--count", "2")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["flow-1  n=12  speed_mps=no value?", "reader-1  [tap]  card=k1:\\x1b9f"]
    lines = wayside("tail", config, "--device", "reader-1", "-n", "3", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [EVENT] * 3


def test_tail_ends_on_an_interrupt(config: Path, gateway: None) -> None:
    command = [str(WAYSIDE), "tail", str(config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == SAMPLE
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=20)
    assert (process.returncode, talk) == (0, b"")


@pytest.mark.parametrize("verb", ["status", "tail"])
def test_without_a_gateway_it_says_so_and_ends_with_3(config: Path, verb: str) -> None:
    result = wayside(verb, config, "--json")
    assert result.exit_code == 3
    assert "status.sock" in json.loads(result.stdout)["reason"]
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", ["status", "tail"])
@pytest.mark.parametrize("said", [b"", b"no json\n", b"[1]\n", b'{"error": "unknown request"}\n', b'{"a": 1}\n'])
def test_what_answers_nonsense_is_no_gateway(config: Path, verb: str, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(config.parent / "var/status.sock"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        result = wayside(verb, config)
        thread.join(10)
    assert result.exit_code == (1 if (verb, said) == ("status", b'{"a": 1}\n') else 3)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("slip", ["nonsense\n", "[[device\n", 'x = "\n', "a = " + "[" * 5_000])
@pytest.mark.usefixtures("gateway")
def test_a_gateway_is_asked_although_its_file_was_broken_meanwhile(config: Path, slip: str) -> None:
    config.write_text(config.read_text("utf-8") + slip, "utf-8")
    assert wayside("status", config).exit_code == 0


@pytest.mark.parametrize("text", ["", "[node]\n", "[node\n", "node = 1\n", "[node]\ndata = 7\n", "\xff"])
def test_a_file_that_does_not_name_the_data_folder_ends_with_2(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(text.encode("latin-1"))
    result = wayside("status", file)
    assert result.exit_code == 2
    assert "wayside check" in result.stderr


def test_a_file_that_windows_has_saved_names_the_data_folder(config: Path) -> None:
    config.write_text("\ufeff" + config.read_text("utf-8"), "utf-8", newline="\r\n")
    assert wayside("status", config).exit_code == 3


def test_a_missing_file_ends_with_2(tmp_path: Path) -> None:
    result = wayside("tail", tmp_path / "none.toml")
    assert result.exit_code == 2
    assert "none.toml" in result.stderr


def test_run_becomes_the_daemon(tmp_path: Path) -> None:
    """The daemon's own exit code comes through, and a folder called `edge` where we stand is not run in its place."""
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge/__main__.py").write_text("print('wrong')\n", "utf-8")
    (tmp_path / "-node.toml").write_text("[node]\n", "utf-8")
    done = subprocess.run(
        [str(WAYSIDE), "run", "--", "-node.toml"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "-node.toml:1" in done.stderr


def test_a_real_gateway_runs_is_asked_and_ends(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        '[node]\nid = "n-1"\ndata = "var"\n[uplink.mqtt]\nbrokers = ["mqtt://127.0.0.1:1"]\n'
        'acknowledged_by = "broker"\n[[device]]\nname = "meter-1"\ndriver = "modbus"\nport = "tcp:127.0.0.1:1"\n'
        'unit_id = 1\nmap = "eastron_sdm630"\n',
        "utf-8",
    )
    with subprocess.Popen([str(WAYSIDE), "run", str(file)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "runs" in line:
                    break
            result = wayside("status", file)
            assert result.exit_code == 0, result.stderr
            assert all(word in result.stdout for word in ("n-1", "meter-1", "away", "telemetry"))
            assert wayside("tail", file, "-n", "1").exit_code == 0
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
    assert process.returncode == 0
