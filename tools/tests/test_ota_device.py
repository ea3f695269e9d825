"""`wayside ota status|explain|run|setup`, as a technician beside the box uses them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ota.testing.repository_double import RepositoryDouble
from ota.tests.agent_device import Device, publish, release
from tools.cli import app

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")


@pytest.fixture
def images(tmp_path: Path) -> dict[str, bytes]:
    (tmp_path / "sources").mkdir()
    return {str(number): release(str(number), number, tmp_path / "sources") for number in (1, 2)}


@pytest.fixture
def device(tmp_path: Path, images: dict[str, bytes]) -> Iterator[Device]:
    repository = RepositoryDouble(now=datetime.now(UTC))
    with repository.serving() as web:
        yield Device(tmp_path / "box", repository, web, images["1"])


def ota(*words: object) -> Any:
    return CliRunner().invoke(app, ["ota", *map(str, words)])


def told(device: Device) -> str:
    result = ota("explain", device.folder / "update.toml")
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_a_new_device_says_what_it_runs_and_that_nothing_was_asked(device: Device):
    assert told(device).splitlines() == [
        "Slot a is confirmed: version 1 (release counter 1).",
        "No update is under way.",
        "The repositories have not been asked yet.",
    ]


def test_a_run_ends_with_what_comes_next_and_the_rest_is_explained(device: Device, images: dict[str, bytes]):
    file = device.folder / "update.toml"
    publish(device, images, "2")
    result = ota("run", file, "--now", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (11, {"end": "restart", "state": "armed"})
    text = told(device)
    assert "Plan 1 wants version 2 on this device (rsu/gateway/2.tar)." in text
    assert "It is at the step: armed. Should the power go now: the new slot boots" in text
    status = json.loads(ota("status", file, "--json").stdout)
    assert [slot["version"] for slot in status["slots"]] == ["1", "2"]
    assert [slot["is_on_trial"] for slot in status["slots"]] == [False, True]
    page = ota("status", file).stdout
    assert "rsu/gateway/2.tar" in page
    assert "on trial" in page


def test_why_it_was_not_taken_is_said_with_its_rule(device: Device, images: dict[str, bytes]):
    publish(device, images, "2")
    device.web.files = {}
    result = ota("run", device.folder / "update.toml", "--now")
    assert result.exit_code == 0
    assert "network: " in result.stderr
    text = told(device)
    assert "What they said was refused: network: " in text
    assert "They are asked again at " in text
    trail = ota("explain", device.folder / "update.toml", "--log").stdout
    assert "refused  rule=network" in trail


def test_setup_is_done_once(device: Device, images: dict[str, bytes], tmp_path: Path):
    (tmp_path / "1.tar").write_bytes(images["1"])
    file = device.folder / "update.toml"
    file.write_text(file.read_text().replace('data = "update"', 'data = "fresh"'))
    assert "not set up" in told(device)
    for result in (ota("run", file), ota("setup", file, tmp_path / "none.tar", "--target", "rsu/gateway/1.tar")):
        assert result.exit_code in (1, 2)
        assert result.stdout == ""
    done = ota("setup", file, tmp_path / "1.tar", "--target", "rsu/gateway/1.tar")
    assert done.exit_code == 0, done.output
    assert "slot a holds version 1" in done.stderr
    assert told(device).startswith("Slot a is confirmed: version 1")
    again = ota("setup", file, tmp_path / "1.tar", "--target", "rsu/gateway/1.tar")
    assert again.exit_code == 1
    assert "this device has slots already" in again.stderr


def test_what_is_no_image_and_no_file_is_said_in_a_line(device: Device, tmp_path: Path):
    (tmp_path / "rubbish.tar").write_bytes(b"no tar at all" * 100)
    file = device.folder / "update.toml"
    file.write_text(file.read_text().replace('data = "update"', 'data = "fresh"'))
    result = ota("setup", file, tmp_path / "rubbish.tar", "--target", "rsu/gateway/1.tar")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    for verb in ("status", "explain", "run"):
        result = ota(verb, tmp_path / "none.toml")
        assert result.exit_code == 2
        assert "No such file" in result.stderr


def test_a_device_that_is_not_set_up_is_said_to_be_none(device: Device):
    file = device.folder / "update.toml"
    file.write_text(file.read_text().replace('data = "update"', 'data = "elsewhere"'))
    result = ota("status", file)
    assert (result.exit_code, result.stdout.strip()) == (
        0,
        "This device is not set up for updates: it has no slots and no key.",
    )


def test_a_slot_that_there_is_not_is_refused(device: Device):
    result = ota("run", device.folder / "update.toml", "--slot", "z")
    assert result.exit_code == 2
    assert "'a', 'b'" in result.stderr


@pytest.mark.parametrize("line", [b'{"time":"then","what":"x"}', b'{"time":1e30,"what":"x"}', b'{"what":"x"}', b"\xff"])
def test_a_line_of_the_trail_that_a_disk_has_damaged_is_left_out(device: Device, line: bytes):
    (device.folder / "update" / "audit.jsonl").write_bytes(line + b'\n{"time":1,"what":"whole"}\n')
    result = ota("explain", device.folder / "update.toml", "--log")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].startswith("1970-01-01 00:00:01  whole")
    assert "  x" not in result.stdout
