"""The audit log goes on over restarts, stays below its ceiling and shows any tampering."""

import errno
import json
import os

import pytest

from edge.gateway import audit as module
from edge.gateway import durable
from edge.gateway.audit import AuditError, AuditLog, verify_audit

WHEN = {"time_ms": 1_793_421_234_567, "time_quality": "ntp", "uptime_ms": 5}


def written(directory, count: int) -> AuditLog:
    log = AuditLog(directory)
    log.open()
    for n in range(count):
        log.write("command", **WHEN, id=f"01JD{n}", op="modbus.write", result="done")
    return log


def test_the_chain_holds_over_restarts(tmp_path):
    written(tmp_path, 3)
    log = written(tmp_path, 2)
    assert verify_audit(tmp_path) == (5, log.head)


@pytest.mark.parametrize("victim", range(5))
@pytest.mark.parametrize("harm", ["change", "drop", "swap"])
def test_tampering_is_found_where_it_was_done(tmp_path, victim, harm):
    written(tmp_path, 6)
    path = tmp_path / "audit.jsonl"
    lines = path.read_text().splitlines()
    if harm == "change":
        lines[victim] = lines[victim].replace('"done"', '"failed"')
    elif harm == "drop" and victim > 0:
        del lines[victim]
    else:
        lines[victim], lines[victim + 1] = lines[victim + 1], lines[victim]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(AuditError, match=r"audit\.jsonl:\d+: the chain is broken here"):
        verify_audit(tmp_path)


def test_a_torn_last_line_is_cut_and_the_chain_goes_on(tmp_path):
    written(tmp_path, 3)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    log = written(tmp_path, 1)
    assert verify_audit(tmp_path) == (3, log.head)


def test_files_turn_over_below_the_ceiling_and_the_chain_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 2_000)
    log = written(tmp_path, 200)
    assert len(list(tmp_path.iterdir())) == module.KEPT_FILES
    assert all(f.stat().st_size <= 2_000 for f in tmp_path.iterdir())
    count, head = verify_audit(tmp_path)
    assert head == log.head
    assert 0 < count < 200


def test_a_line_above_the_ceiling_is_refused(tmp_path):
    log = written(tmp_path, 1)
    with pytest.raises(AuditError, match="ceiling"):
        log.write("command", **WHEN, text="x" * 20_000)
    assert verify_audit(tmp_path)[0] == 1


def test_rubbish_is_named_not_raised_through(tmp_path):
    (tmp_path / "audit.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(AuditError, match="not an audit line"):
        verify_audit(tmp_path)


def test_lines_are_plain_json(tmp_path):
    written(tmp_path, 1)
    line = json.loads((tmp_path / "audit.jsonl").read_text())
    assert line["what"] == "command"
    assert line["op"] == "modbus.write"


@pytest.mark.parametrize("rubbish", [b"\xff\xfe", b"{}", b'{"n":"one","chain":1}', b"", b'{"what":"\xff"}'])
def test_a_damaged_line_stops_nothing_and_is_named_afterwards(tmp_path, rubbish):
    """Row 17 of docs/field_failures.md."""
    written(tmp_path, 3)
    path = tmp_path / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + rubbish + b"\n" + lines[2])
    log = written(tmp_path, 1)
    assert json.loads(path.read_bytes().splitlines()[-1])["n"] == 4
    assert log.head
    with pytest.raises(AuditError, match=r"audit\.jsonl:2"):
        verify_audit(tmp_path)


def test_a_place_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "audit").write_bytes(b"")
    with pytest.raises(AuditError, match="audit"):
        AuditLog(tmp_path / "audit").open()


def test_a_line_that_the_disk_takes_a_part_of_is_taken_back(tmp_path, monkeypatch):
    log = written(tmp_path, 2)

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(durable.os, "fsync", refuse)
        with pytest.raises(AuditError, match="No space left"):
            log.write("command", **WHEN)
    log.write("command", **WHEN)
    assert verify_audit(tmp_path) == (3, log.head)
