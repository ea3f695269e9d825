"""Results outlive restarts and power cuts; a command that was begun is never begun again."""

import errno
import os

import pytest

from edge.gateway import results as module
from edge.gateway.results import Results, ResultsError


def opened(path) -> Results:
    results = Results(path)
    results.open()
    return results


def test_a_result_is_found_after_a_restart(tmp_path):
    results = opened(tmp_path / "results.jsonl")
    results.begin("a", "00", 1_000)
    results.end("a", {"state": "done"})
    again = opened(tmp_path / "results.jsonl")
    assert again.find("a").result == {"state": "done"}
    assert again.find("b") is None


def test_a_command_cut_by_power_is_known_as_begun(tmp_path):
    results = opened(tmp_path / "results.jsonl")
    results.begin("a", "00", 1_000)
    unended = Results(tmp_path / "results.jsonl").open()
    assert [kept.id for kept in unended] == ["a"]


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_line_costs_only_itself(tmp_path, cut):
    path = tmp_path / "results.jsonl"
    results = opened(path)
    results.begin("a", "00", 1_000)
    results.end("a", {"state": "done"})
    results.begin("b", "00", 1_000)
    path.write_bytes(path.read_bytes()[:-cut])
    again = opened(path)
    assert again.find("a").result == {"state": "done"}
    again.begin("c", "00", 1_000)
    assert opened(path).find("c") is not None


def test_only_the_newest_are_kept_and_the_file_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_RESULTS", 10)
    monkeypatch.setattr(module, "_COMPACT_AT_LINES", 40)
    path = tmp_path / "results.jsonl"
    results = opened(path)
    for n in range(200):
        results.begin(f"{n}", "00", n)
        results.end(f"{n}", {"state": "done"})
    assert len(path.read_bytes().splitlines()) <= 41
    again = opened(path)
    assert again.find("199") is not None
    assert again.find("150") is None


def test_results_older_than_seven_days_are_forgotten(tmp_path):
    path = tmp_path / "results.jsonl"
    results = opened(path)
    results.begin("old", "00", 0)
    results.begin("new", "00", module.MAX_AGE_MS + 1)
    assert opened(path).find("old") is None
    assert opened(path).find("new") is not None


def test_a_place_that_cannot_be_written_says_which(tmp_path):
    results = opened(tmp_path / "missing" / "results.jsonl")
    with pytest.raises(ResultsError, match="missing"):
        results.begin("a", "00", 0)


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_a_flipped_bit_costs_its_line_and_stops_nothing(tmp_path, at):
    """Row 17 of docs/field_failures.md."""
    path = tmp_path / "results.jsonl"
    results = opened(path)
    for name in "abcd":
        results.begin(name, "00", 1_000)
        results.end(name, {"state": "done"})
    data = bytearray(path.read_bytes())
    data[at] ^= 0x80
    path.write_bytes(data)
    again = opened(path)
    assert sum(again.find(name) is not None for name in "abcd") >= 3
    assert again.find("d").result == {"state": "done"}


def refuse(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_at_the_start_forgets_nothing_and_begins_nothing(tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    opened(path).begin("a", "00", 1_000)
    path.write_bytes(path.read_bytes() + b'{"id":"torn')
    monkeypatch.setattr(module, "replace_file", refuse)
    results = opened(path)
    assert results.find("a") is not None
    with monkeypatch.context() as full:
        full.setattr(module, "append_line", refuse)
        with pytest.raises(ResultsError, match="No space left"):
            results.begin("b", "00", 1_000)
    results.begin("c", "00", 1_000)
    assert opened(path).find("c") is not None


def test_a_file_that_cannot_be_read_lets_nothing_begin(tmp_path):
    path = tmp_path / "results.jsonl"
    path.mkdir()
    results = Results(path)
    with pytest.raises(ResultsError, match="directory"):
        results.open()
    with pytest.raises(ResultsError, match="could not be read"):
        results.begin("a", "00", 0)
