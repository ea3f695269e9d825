"""Reports: one for each attempt, signed, kept until they are taken, and never in the way of a slot."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ota.reports import MAX_KEPT, MAX_LOG_BYTES, EcuOutcome, Report, ReportError, ReportQueue, read_report
from ota.storage import PosixStorage
from ota.testing.disk_double import DiskDouble

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
REPORT = Report(
    attempt="42-1",
    device="rsu-7f3a",
    plan=42,
    outcome="rolled-back",
    rule="health",
    reason="the uplink is away (it was connected before)",
    time=1_800_000_000,
    time_quality="set",
    ecus={"main": EcuOutcome(target="rsu/gateway/3.0.0.tar", before="1" * 64, after="1" * 64, way="delta")},
)


def verify(signature: bytes, data: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, data)
    except InvalidSignature:
        return False
    return True


@pytest.fixture
def queue(tmp_path: Path) -> ReportQueue:
    return ReportQueue(PosixStorage(tmp_path), KEY.sign, "device-1")


def numbered(number: int) -> Report:
    return msgspec.structs.replace(REPORT, attempt=f"42-{number:04}")


def test_a_report_is_read_as_it_was_written_by_whoever_knows_the_key(queue: ReportQueue):
    log = b"x" * 20_000 + b"the end"
    queue.put(REPORT, log)
    line, kept = queue.read("42-1")
    assert kept == log[-MAX_LOG_BYTES:]
    tail_hash = hashlib.sha256(kept).hexdigest()
    assert read_report(line, verify) == msgspec.structs.replace(REPORT, log_sha256=tail_hash)


def test_whatever_is_changed_in_it_is_noticed(queue: ReportQueue):
    queue.put(REPORT)
    line, log = queue.read("42-1")
    assert log == b""
    for at in range(len(line) - 1):
        changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        try:
            report = read_report(changed, verify)
        except ReportError:
            continue
        assert report == REPORT, "the name of the key may be another, what is reported may not"


@given(st.binary(max_size=100))
def test_rubbish_is_no_report(data: bytes):
    with pytest.raises(ReportError):
        read_report(data, verify)


def test_they_wait_until_they_are_taken_and_go_once(queue: ReportQueue):
    for number in range(3):
        queue.put(numbered(number), b"log")
    sent: list[bytes] = []

    def send(line: bytes, log: bytes) -> bool:
        sent.append(line)
        assert log == b"log"
        return len(sent) != 2

    assert list(queue.deliver(send)) == ["42-0000", "42-0002"]
    assert queue.waiting() == ["42-0001"]
    assert list(queue.deliver(send)) == ["42-0001"]
    assert list(queue.deliver(send)) == []
    assert len(sent) == 4


def test_the_same_attempt_has_one_report(queue: ReportQueue):
    queue.put(REPORT, b"log")
    first = queue.read("42-1")
    queue.put(REPORT, b"log")
    assert queue.waiting() == ["42-1"]
    assert queue.read("42-1") == first


def test_above_their_number_the_oldest_go_and_the_next_says_so(queue: ReportQueue):
    for number in range(MAX_KEPT + 5):
        queue.put(numbered(number), b"log")
    waiting = queue.waiting()
    assert waiting == [f"42-{number:04}" for number in range(5, MAX_KEPT + 5)]
    assert read_report(queue.read(waiting[-1])[0], verify).dropped == 5
    assert queue.dropped == 5


def test_attempts_go_in_the_order_of_their_numbers(queue: ReportQueue):
    for number in (10, 9, 101, 99):
        queue.put(msgspec.structs.replace(REPORT, attempt=str(number)))
    assert queue.waiting() == ["9", "10", "99", "101"]


def test_a_name_that_leaves_the_folder_is_none():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(REPORT), "attempt": "../state-a"}, Report)


def test_wherever_the_power_goes_each_is_whole_counted_once_and_kept_while_it_is_among_the_newest(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("ota.reports.MAX_KEPT", 2)
    disk = DiskDouble()
    cuts = 0

    def begun(_step: str, _name: str) -> None:
        """Number 3 was being kept, in the place of the oldest. Kept again, it is as if nothing had been."""
        nonlocal cuts
        for after in disk.after_cut(1, most=6):
            cuts += 1
            queue = ReportQueue(after, KEY.sign, "device-1")
            waiting = queue.waiting()
            assert "42-0002" in waiting
            assert set(waiting) <= {"42-0001", "42-0002", "42-0003"}
            for attempt in waiting:
                assert read_report(queue.read(attempt)[0], verify).attempt == attempt
            queue.put(numbered(3), b"log")
            assert queue.waiting() == ["42-0002", "42-0003"]
            assert queue.dropped == 1
            assert read_report(queue.read("42-0003")[0], verify).dropped == 1
            assert {name.partition(".")[0] for name in after.list("reports") if name.endswith(".log")} == {
                "42-0002",
                "42-0003",
            }, "no log is left without its report"

    queue = ReportQueue(disk, KEY.sign, "device-1")
    queue.put(numbered(1), b"log")
    queue.put(numbered(2), b"log")
    disk.begun = begun
    queue.put(numbered(3), b"log")
    assert cuts > 40


def test_a_count_that_an_older_release_has_kept_is_read(tmp_path: Path, queue: ReportQueue):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "dropped").write_bytes(b"7")
    assert queue.dropped == 7
