"""Which configuration a box starts with: the file, what was pushed later, or the last good one."""

import pytest

from edge.gateway import start
from edge.gateway.config import ConfigError
from edge.gateway.config_history import ConfigHistory

GOOD = b"""
[node]
id = "rsu-1"
data = "data"

[uplink.mqtt]
brokers = ["mqtt://127.0.0.1:1883"]
acknowledged_by = "ingest"
"""
BAD = GOOD + b"nonsense = 1\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "node.toml"
    path.write_bytes(GOOD)
    return path


def ran_well(file) -> None:
    history = ConfigHistory(file.parent / "data" / "config", file)
    history.open()
    history.confirm(GOOD)


def test_the_file_is_what_runs(file):
    document, config, _history = start._start_configuration(file)
    assert document == GOOD
    assert config.node.id == "rsu-1"


def test_a_file_that_an_edit_has_broken_is_passed_over_for_the_last_good_one(file, caplog):
    ran_well(file)
    file.write_bytes(BAD)
    document, _config, _history = start._start_configuration(file)
    assert document == GOOD
    assert "nonsense" in caplog.text
    assert "the last good one runs" in caplog.text


@pytest.mark.parametrize("slip", [b"nonsense\n", b"[[device\n", b'x = "\n', b"\xff = 1\n", b"a = " + b"[" * 5_000])
def test_a_slip_of_the_keyboard_does_not_keep_a_box_down(file, caplog, slip):
    """Nobody is there, and what ran yesterday still runs."""
    ran_well(file)
    file.write_bytes(GOOD + slip)
    document, _config, _history = start._start_configuration(file)
    assert document == GOOD
    assert "the last good one runs" in caplog.text


@pytest.mark.parametrize("broken", [BAD, b"[node", b"\xff", b""])
def test_where_nothing_good_is_kept_the_mistake_is_told_and_nothing_runs(file, broken):
    file.write_bytes(broken)
    with pytest.raises(ConfigError):
        start._start_configuration(file)


def test_every_mistake_is_a_line_of_its_own_and_the_exit_code_says_configuration(file, capsys, own_logging):
    file.write_bytes(BAD.replace(b'id = "rsu-1"', b'id = "Rsu 1"'))
    assert start.run_gateway(file) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if str(file) in line]
    assert len(lines) == 2


def pushed(file, *documents: bytes) -> None:
    history = ConfigHistory(file.parent / "data" / "config", file)
    history.open()
    for version, document in enumerate(documents, 1):
        history.take_up(document, version=version, is_on_trial=True)
        history.confirm(document)


@pytest.mark.parametrize("rubbish", [b"", b"\xff\x00", b"[node", bytes(300)])
def test_a_pushed_configuration_that_the_disk_has_damaged_gives_way_to_the_one_before(file, rubbish):
    """Row 17 of docs/field_failures.md."""
    pushed(file, GOOD + b"# one\n", GOOD + b"# two\n")
    folder = file.parent / "data" / "config"
    (folder / "good-1.toml").write_bytes(rubbish)
    assert start._start_configuration(file)[0] == GOOD + b"# one\n"
    (folder / "good-2.toml").write_bytes(rubbish)
    assert start._start_configuration(file)[0] == GOOD


def test_a_broken_file_and_a_damaged_last_good_one_lead_to_the_good_one_before(file):
    pushed(file, GOOD + b"# one\n", GOOD + b"# two\n")
    (file.parent / "data" / "config" / "good-1.toml").write_bytes(b"[node")
    file.write_bytes(BAD)
    assert start._start_configuration(file)[0] == GOOD + b"# one\n"


def test_a_pushed_configuration_that_only_a_newer_release_knows_is_told_and_not_reported_as_running(file, caplog):
    """After a rollback of the release: it was good, nothing has damaged it, and this one cannot run it."""
    pushed(file, GOOD, GOOD + b"[radar]\nport = 1\n")
    document, _config, history = start._start_configuration(file)
    assert document == GOOD
    assert "radar" in caplog.text
    assert (history.state.version, history.state.outcome) == (2, "refused")
    assert "radar" in history.state.reason
    history.confirm(document)
    again = ConfigHistory(file.parent / "data" / "config", file)
    assert again.open() == GOOD
    assert (again.state.version, again.state.outcome) == (2, "refused")
    assert again.good(2) == GOOD + b"[radar]\nport = 1\n", "it is kept for the release that knows it"


def test_until_something_else_has_run_well_the_newer_release_finds_it_as_it_left_it(file):
    pushed(file, GOOD, GOOD + b"[radar]\nport = 1\n")
    before = (file.parent / "data" / "config" / "state.json").read_bytes()
    start._start_configuration(file)
    assert (file.parent / "data" / "config" / "state.json").read_bytes() == before
