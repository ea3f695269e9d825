"""The journal keeps what was committed: over cuts at every operation, torn writes, flipped bits and a full disk."""

import random
from contextlib import suppress

import fastcrc
import pytest

from edge.store.errors import Cause, StorageError
from edge.store.journal import Journal
from edge.store.segment import FRAME_BYTES, HEADER_BYTES, record_head, segment_name
from edge.store.storage import PosixStorage
from edge.tests.disk_double import Disk, PowerCut, copies, survivors

EPOCH = "0123456789abcdef"


def journal_on(medium, *, segment_bytes=400, epoch=EPOCH) -> Journal:
    return Journal(medium, fastcrc.crc32.iscsi, lambda: epoch, segment_bytes)


def opened(medium, **options) -> Journal:
    journal = journal_on(medium, **options)
    journal.open()
    return journal


def body_of(seq: int) -> bytes:
    return b"%d:" % seq + bytes((seq % 256,)) * (seq % 60)


def fill(journal, count: int, *, a_commit: int = 1) -> None:
    for n in range(count):
        seq = journal.next_seq
        assert journal.append(body_of(seq)) == seq
        if (n + 1) % a_commit == 0:
            journal.commit()
    journal.commit()


def everything(journal, first: int = 1) -> dict[int, bytes]:
    found = {}
    while records := journal.read(first):
        for seq, body in records:
            assert seq not in found
            found[seq] = body
        first = records[-1][0] + 1
    return found


def test_records_come_back_in_order_from_any_number():
    journal = opened(Disk())
    fill(journal, 100, a_commit=3)
    assert len(journal.segments) > 5
    for first in (1, 2, 50, 99, 100):
        assert everything(journal, first) == {seq: body_of(seq) for seq in range(first, 101)}
    assert everything(journal, 101) == {}


def test_what_was_not_committed_is_not_read_and_its_number_is_used_again():
    disk = Disk()
    journal = opened(disk)
    fill(journal, 5)
    journal.append(b"never")
    assert everything(journal) == {seq: body_of(seq) for seq in range(1, 6)}
    again = opened(disk)
    assert (again.next_seq, again.committed_seq, again.epoch) == (6, 5, EPOCH)


def test_segments_go_when_they_are_let_go_of_but_the_newest_stays():
    disk = Disk()
    journal = opened(disk)
    fill(journal, 100)
    journal.drop_through(100)
    assert len(journal.segments) == 1
    again = opened(disk)
    assert again.next_seq == 101


@pytest.mark.parametrize("a_commit", [1, 4])
def test_a_power_cut_at_every_operation_loses_nothing_that_was_committed(a_commit):
    """Cut at each operation, in every way a disk may answer, and cut again in recovery."""
    rng = random.Random(4711)
    states = 0
    for _cut, disk, committed in lives_cut_short(a_commit):
        for after in survivors({"": disk}, rng):
            states += 1 + second_cut(after[""], committed, rng)
            check_survivor(after[""], committed)
    print(f"states explored: {states}, seed 4711")  # noqa: T201  # how much was explored is a result
    assert states > 4_000


def test_a_killed_process_takes_nothing_for_made_that_a_power_cut_could_still_take_back():
    """The page cache outlives the process: what was written and never synced can be read by the next one."""
    rng = random.Random(4712)
    states = 0
    for _cut, disk, committed in lives_cut_short(a_commit=1):
        disk.power.cut_at = None
        again = opened(disk)
        assert again.committed_seq >= committed
        for after in survivors({"": disk}, rng):
            states += 1
            check_survivor(after[""], again.committed_seq)
    print(f"states explored: {states}, seed 4712")  # noqa: T201
    assert states > 700


def lives_cut_short(a_commit: int):
    """(operation, disk, what was committed) for a cut at each operation of a life."""
    whole = Disk()
    fill(opened(whole), 40, a_commit=a_commit)
    for cut in range(1, whole.power.operations + 1):
        disk = Disk()
        disk.power.cut_at = cut
        journal = journal_on(disk)
        with suppress(PowerCut):
            journal.open()
            fill(journal, 40, a_commit=a_commit)
        yield cut, disk, journal.committed_seq


def second_cut(disk: Disk, committed: int, rng: random.Random) -> int:
    """The power goes again while the journal recovers; return how many states that makes."""
    states = 0
    probe = copies({"": disk})[""]
    opened(probe)
    for cut in range(1, probe.power.operations + 1):
        again = copies({"": disk})[""]
        again.power.cut_at = cut
        with suppress(PowerCut):
            opened(again)
        for after in survivors({"": again}, rng):
            states += 1
            check_survivor(after[""], committed)
    return states


def check_survivor(disk: Disk, committed: int) -> None:
    """All that was committed is there, right; beyond it a torn write may have left holes, and these are told."""
    journal = opened(disk)
    assert journal.committed_seq >= committed
    found = everything(journal)
    lost = {seq for first, last in journal.take_lost() for seq in range(first, last + 1)}
    assert not lost or min(lost) > committed
    assert found == {seq: body_of(seq) for seq in range(1, journal.committed_seq + 1) if seq not in lost}
    made = journal.next_seq
    fill(journal, 10)
    assert everything(opened(disk), made) == {seq: body_of(seq) for seq in range(made, made + 10)}


def test_flipped_bits_and_truncations_cost_only_what_they_hit():
    """Row 17 of docs/field_failures.md, at 1 000 places: it always opens, loses what was hit only, and says so."""
    rng = random.Random(17)
    whole = Disk()
    fill(opened(whole), 200, a_commit=2)
    total = sum(map(len, whole.contents().values()))
    for round_number in range(1_000):
        disk = copies({"": whole})[""]
        at = rng.randrange(total)
        for name in disk.list():
            if at < disk.size(name):
                break
            at -= disk.size(name)
        is_truncated = round_number % 5 == 0 and name != disk.list()[-1]
        if is_truncated:
            del disk.files[name].data[at:]
        else:
            disk.files[name].data[at] ^= 1 << rng.randrange(8)
        journal = journal_on(disk)
        journal.open(at_least=200, epoch=EPOCH)
        found = everything(journal)
        lost = {seq for first, last in journal.take_lost() for seq in range(first, last + 1)}
        assert all(found[seq] == body_of(seq) for seq in found)
        assert found.keys() | lost == set(range(1, 201)), (name, at)
        assert not found.keys() & lost
        if not is_truncated:
            assert len(lost) <= 2, (name, at, lost)
        assert journal.next_seq == 201
        fill(journal, 3)
        assert everything(journal, 201) == {seq: body_of(seq) for seq in (201, 202, 203)}


def test_a_damaged_record_before_the_last_commit_mark_never_gives_its_number_away():
    disk = Disk()
    fill(opened(disk), 3)
    disk.files[segment_name(EPOCH, 1)].data[-FRAME_BYTES - 2] ^= 1
    journal = opened(disk)
    assert journal.next_seq == 4
    assert everything(journal).keys() == {1, 2}
    assert journal.take_lost() == [(3, 3)]


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_write_that_fails_at_any_operation_is_an_error_and_the_next_attempt_succeeds(cause, length):
    """One operation, or it and what would take it back as well."""
    whole = Disk()
    fill(opened(whole), 20)
    for fail in range(1, whole.power.operations + 1):
        disk = Disk()
        journal = opened(disk)
        disk.power.fail_at, disk.power.cause = range(fail, fail + length), cause
        failures = 0
        for _ in range(20):
            journal.append(body_of(journal.next_seq))
            try:
                journal.commit()
            except StorageError as error:
                failures += error.cause is cause
        disk.power.fail_at = None
        journal.commit()
        assert 1 <= failures <= length
        for medium_view in (journal, opened(disk)):
            assert everything(medium_view) == {seq: body_of(seq) for seq in range(1, 21)}
            assert medium_view.take_lost() == []


def test_what_a_failed_sync_has_lost_is_not_believed_by_the_next_process():
    """After a failed sync the system calls the pages clean: they can be read, and are not on the disk."""
    rng = random.Random(4713)
    whole = Disk()
    fill(opened(whole), 20)
    for fail in range(1, whole.power.operations + 1):
        disk = Disk()
        disk.power.fail_at, disk.power.cause = range(fail, fail + 1), Cause.BROKEN
        journal = opened(disk)
        with suppress(StorageError):
            fill(journal, 20)
        disk.power.fail_at = None
        again = opened(disk)
        assert again.committed_seq >= journal.committed_seq
        for after in survivors({"": disk}, rng):
            check_survivor(after[""], again.committed_seq)


def test_a_commit_of_much_makes_segments_of_the_ordinary_size():
    disk = Disk()
    journal = opened(disk)
    for _ in range(100):
        journal.append(body_of(journal.next_seq))
    journal.commit()
    assert max(map(len, disk.contents().values())) <= 400 + HEADER_BYTES + FRAME_BYTES
    assert everything(opened(disk)) == {seq: body_of(seq) for seq in range(1, 101)}


def test_a_frame_inside_a_payload_does_no_harm_when_the_record_around_it_is_damaged():
    disk = Disk()
    journal = opened(disk, segment_bytes=10_000)
    forged = b"".join(record_head(b"forged", seq, fastcrc.crc32.iscsi) + b"forged" for seq in (900, 1 << 60))
    journal.append(b"one")
    journal.append(b"#" * 30 + forged)
    journal.append(b"three")
    journal.commit()
    at = bytes(disk.files[segment_name(EPOCH, 1)].data).index(b"####")
    disk.files[segment_name(EPOCH, 1)].data[at] ^= 1
    again = opened(disk)
    assert everything(again) == {1: b"one", 3: b"three"}
    assert (again.take_lost(), again.next_seq) == ([(2, 2)], 4)


def test_a_header_that_cannot_be_read_costs_nothing_else():
    disk = Disk()
    fill(opened(disk), 40)
    first = disk.list()[0]
    disk.unreadable.add(first)
    journal = opened(disk)
    with pytest.raises(StorageError):
        journal.read(1)
    disk.unreadable.clear()
    assert everything(journal) == {seq: body_of(seq) for seq in range(1, 41)}


def test_a_full_disk_takes_records_again_when_something_was_let_go():
    disk = Disk()
    disk.capacity = 3_000
    journal = opened(disk)
    with pytest.raises(StorageError, match="No space"):
        fill(journal, 1_000)
    committed = journal.committed_seq
    waiting = journal.next_seq - 1
    journal.drop_through(committed - 5)
    journal.commit()
    assert journal.committed_seq == waiting
    assert everything(journal, committed - 5)[waiting] == body_of(waiting)


def test_a_journal_of_a_newer_format_is_kept_whole_for_its_program():
    disk = Disk()
    fill(opened(disk), 30)
    name = disk.list()[-1]
    head = disk.files[name].data
    head[3] = 2
    head[20:24] = fastcrc.crc32.iscsi(bytes(head[:20])).to_bytes(4, "little")
    disk.append("position.json", b"of the newer program")
    before = {f"newer-{name}": content for name, content in disk.contents().items()}
    journal = opened(disk, epoch="f" * 16)
    assert (journal.epoch, journal.next_seq) == ("f" * 16, 1)
    assert "newer format" in journal.notes[0]
    fill(journal, 3)
    assert before.items() <= disk.contents().items()


def test_where_the_medium_cannot_truncate_a_torn_segment_is_closed_and_the_next_record_begins_another():
    class Flash(Disk):
        truncate = None

    disk = Flash()
    fill(opened(disk), 3)
    disk.files[segment_name(EPOCH, 1)].data += b"\xa9\x00torn"
    journal = opened(disk)
    fill(journal, 3)
    assert len(journal.segments) == 2
    assert everything(opened(disk)) == {seq: body_of(seq) for seq in range(1, 7)}


def test_reading_holds_little_memory_and_finds_its_place_in_a_large_segment(tmp_path):
    storage = PosixStorage(tmp_path / "journal")
    storage.open()
    journal = opened(storage, segment_bytes=8 << 20)
    for n in range(2_000):
        journal.append(b"%d" % n + b"x" * 2_000)
        if n % 50 == 0:
            journal.commit()
    journal.commit()
    for first in (1, 777, 1_500, 2_000):
        records = journal.read(first, 100_000)
        assert records[0][0] == first
        assert sum(len(body) for _seq, body in records) < 110_000
    again = opened(storage, segment_bytes=8 << 20)
    assert again.read(1_234)[0][0] == 1_234
    storage.close()


def test_bytes_given_to_write_stay_close_to_the_payload(tmp_path):
    """Row 26 of docs/field_failures.md: at the reference load, one pack of 5 kB a second, at most 1.2 bytes a byte."""
    storage = PosixStorage(tmp_path / "journal")
    storage.open()
    journal = opened(storage, segment_bytes=1 << 20)
    for _ in range(1_000):
        journal.append(b"x" * 5_000)
        journal.commit()
    assert storage.bytes_written <= 1.02 * 1_000 * 5_000
    storage.close()


def test_the_header_is_as_the_docs_say():
    disk = Disk()
    fill(opened(disk), 1)
    content = bytes(disk.files[segment_name(EPOCH, 1)].data)
    assert content[:4] == b"WSJ\x01"
    assert content[4:12].hex() == EPOCH
    assert content[12:20] == (1).to_bytes(8, "little")
    assert content[HEADER_BYTES : HEADER_BYTES + 2] == b"\xa9\x00"
    assert content[-FRAME_BYTES : -FRAME_BYTES + 2] == b"\xc3\x00"
    assert fastcrc.crc32.iscsi(b"123456789") == 0xE3069283
