"""The record of the slots: torn at any byte, damaged, lost, of another device, of a newer release."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from ota.errors import StorageError
from ota.slots.record import KEYS, NAMES, Record, RecordStore, StaleRecordError, decode, encode, make_key, read_key
from ota.slots.sealed import UnsealedError, seal, unseal
from ota.slots.trailer import (
    Mark,
    Trailer,
    erase_trailer,
    read_mark,
    read_trailer,
    rebuild,
    write_mark,
    write_trailer,
)
from ota.testing.disk_double import DiskDouble

KEY = bytes(range(32))
FULL = Record(
    state="ARMED",
    confirmed="a",
    trial="b",
    boots_left=3,
    plan_number=7,
    plan_digest="ab" * 32,
    attempt="7",
    ecus={"gateway": {"sha256": "cd" * 32, "step": "staged"}},
    floors={"rsu-1 rsu/gateway": 4},
    quarantine={"ef" * 32: 5},
)


def a_store(*records: Record) -> tuple[DiskDouble, RecordStore]:
    disk = DiskDouble()
    store = RecordStore(disk, KEY, nullcontext)
    for sequence, record in enumerate(records):
        store.write(replace(record, sequence=sequence))
    return disk.settled(), RecordStore(disk, KEY, nullcontext)


def a_slot(disk: DiskDouble, slot: str, counter: int) -> None:
    for folder in ("slots", f"slots/{slot}"):
        disk.make_folder(folder)
    trailer = Trailer(target="rsu/gateway/1.tar", sha256="00" * 32, length=1, version="1", counter=counter)
    write_trailer(disk, slot, trailer, KEY)


def test_a_record_is_read_as_it_was_written():
    assert decode(encode(FULL, KEY), KEY) == FULL
    assert decode(encode(FULL, KEY) + b"the rest of an older one", KEY) == FULL


def test_each_write_goes_to_the_older_one_and_rises_by_one():
    disk, _ = a_store()
    store = RecordStore(disk, KEY, nullcontext)
    assert store.read() is None
    for number in range(1, 6):
        before = [disk.contents().get(name) for name in NAMES]
        assert store.write(replace(FULL, sequence=number - 1, boots_left=number)).sequence == number
        after = [disk.contents().get(name) for name in NAMES]
        assert [a != b for a, b in zip(before, after, strict=True)] == [number % 2 == 1, number % 2 == 0]
        found = store.read()
        assert found is not None
        assert (found.sequence, found.boots_left) == (number, number)


def test_who_has_not_seen_the_newest_record_does_not_write():
    """The launcher counts a boot while the agent confirms: the count must not undo what was confirmed."""
    disk, store = a_store(replace(FULL, state="TRIAL"))
    seen = store.read()
    assert seen is not None
    confirmed = store.write(replace(seen, state="CONFIRMED", confirmed="b", trial=""))
    before = disk.contents()
    with pytest.raises(StaleRecordError):
        store.write(replace(seen, boots_left=2))
    assert disk.contents() == before
    assert store.read() == confirmed


def test_a_record_that_is_torn_at_any_byte_leaves_the_one_before():
    """The brick that a power-cut test between writes never finds: the cut inside the write that decides."""
    disk, _ = a_store(replace(FULL, boots_left=3), replace(FULL, boots_left=2))
    old = disk.read("state-a")
    new = encode(replace(FULL, sequence=3, boots_left=1, reason="a longer one"), KEY)
    left = set()
    for size in range(len(new) + 1):
        for torn in (new[:size] + old[size:], old[:size] + new[size:], new[:size] + bytes(len(new) - size)):
            found = holding(disk, "state-a", torn).read()
            assert found is not None
            left.add(found.boots_left)
            assert found.boots_left in (1, 2)
    assert left == {1, 2}


def holding(disk: DiskDouble, name: str, data: bytes) -> RecordStore:
    other = disk.settled()
    other.truncate(name, 0)
    other.write(name, 0, data)
    return RecordStore(other, KEY, nullcontext)


def test_every_flipped_bit_is_seen():
    whole = encode(FULL, KEY)
    for bit in range(len(whole) * 8):
        bad = bytearray(whole)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnsealedError):
            decode(bytes(bad), KEY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no header"),
        (encode(FULL, KEY)[:-1], "cut short"),
        (encode(FULL, bytes(32)), "not made by this device"),
        (seal(b"WST1", KEY, {}), "no header"),
        (seal(b"WSR1", KEY, {"sequence": "1"}), "sequence is no int"),
        (seal(b"WSR1", KEY, {"boots_left": True}), "boots_left is no int"),
        (seal(b"WSR1", KEY, {"confirmed": "c"}), "a slot that there is not"),
    ],
)
def test_what_is_not_ours_is_refused_with_its_reason(data: bytes, why: str):
    with pytest.raises(UnsealedError, match=why):
        decode(data, KEY)
    disk = DiskDouble()
    disk.write("state-a", 0, data)
    store = RecordStore(disk, KEY, nullcontext)
    assert store.read() is None
    assert why in store.faults()[0]


def test_a_newer_release_finds_its_own_fields_again_after_a_rollback():
    newer = json.loads(json.dumps(unseal(b"WSR1", KEY, encode(FULL, KEY)))) | {"canary": {"share": 3}}
    older = decode(seal(b"WSR1", KEY, newer), KEY)
    assert older.unknown == {"canary": {"share": 3}}
    assert unseal(b"WSR1", KEY, encode(replace(older, boots_left=1), KEY)) == newer | {"boots_left": 1}


def test_a_record_of_an_older_release_lacks_fields_and_is_read():
    assert decode(seal(b"WSR1", KEY, {"sequence": 4, "confirmed": "b"}), KEY) == Record(sequence=4, confirmed="b")


def test_the_key_is_found_in_either_copy_and_never_in_a_torn_one():
    disk = DiskDouble()
    make_key(disk, KEY)
    for name in KEYS:
        for bad in (b"", KEY[:9], bytes(32), bytes(36), KEY + bytes(4)):
            other = disk.settled()
            other.truncate(name, 0)
            other.write(name, 0, bad)
            assert read_key(other) == KEY
    for name in KEYS:
        disk.remove(name)
    assert read_key(disk) is None


def test_both_records_lost_the_slots_still_know():
    disk = DiskDouble()
    a_slot(disk, "a", 1)
    a_slot(disk, "b", 2)
    write_mark(
        disk, "a", Mark(sequence=5, sha256="00" * 32, plan_number=2, floors={"x y": 4}, quarantine={"q": 1}), KEY
    )
    write_mark(disk, "b", Mark(sequence=9, sha256="00" * 32, plan_number=3, floors={"x y": 3, "z y": 1}), KEY)
    found = rebuild(disk, KEY, lambda slot: True)
    assert found is not None
    assert (found.confirmed, found.trial, found.sequence, found.plan_number) == ("b", "", 9, 3)
    assert found.floors == {"x y": 4, "z y": 1}
    assert found.quarantine == {"q": 1}
    only_a = rebuild(disk, KEY, lambda slot: slot == "a")
    assert only_a is not None
    assert (only_a.confirmed, only_a.floors) == ("a", found.floors)
    assert rebuild(disk, KEY, lambda slot: False) is None


def test_a_slot_that_was_never_confirmed_comes_after_one_that_was():
    disk = DiskDouble()
    a_slot(disk, "a", 9)
    a_slot(disk, "b", 1)
    write_mark(disk, "b", Mark(sequence=1, sha256="00" * 32), KEY)
    found = rebuild(disk, KEY, lambda slot: True)
    assert found is not None
    assert found.confirmed == "b"


def test_an_erased_slot_says_nothing():
    disk = DiskDouble()
    a_slot(disk, "b", 1)
    write_mark(disk, "b", Mark(sequence=1, sha256="00" * 32), KEY)
    assert read_trailer(disk, "b", KEY).counter == 1
    erase_trailer(disk, "b")
    assert read_mark(disk, "b", KEY) is None
    with pytest.raises(StorageError):
        read_trailer(disk, "b", KEY)
    erase_trailer(disk, "b")
