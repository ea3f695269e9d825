"""The disk that loses its power: it reads like a real one, and a cut leaves what no promise forbids."""

import errno
import random
from pathlib import Path

import pytest

from ota.errors import Cause, StorageError
from ota.storage import PosixStorage, remove_all, replace
from ota.testing.disk_double import DiskDouble, PowerCut


def after_cut(disk: DiskDouble) -> list[dict[str, bytes]]:
    return [found.contents() for found in disk.after_cut()]


def holding(**files: bytes) -> DiskDouble:
    disk = DiskDouble()
    for name, data in files.items():
        disk.write(name, 0, data)
    return disk.settled()


def test_it_reads_and_refuses_as_a_real_disk_does(tmp_path: Path):
    """Two thousand random steps on both: the same answers, the same causes, the same files in the end."""
    rng = random.Random(4)
    real, double = PosixStorage(tmp_path), DiskDouble()
    files, folders = ["a", "b", "f/a", "f/b", "f/g/a"], ["f", "f/g"]
    steps = {
        "write": lambda: (rng.choice(files), rng.randrange(9), rng.randbytes(rng.randrange(9))),
        "truncate": lambda: (rng.choice(files), rng.randrange(9)),
        "read": lambda: (rng.choice(files + folders), rng.randrange(9), rng.randrange(-1, 9)),
        "rename": lambda: rng.choice([("a", "b"), ("f/a", "f/b"), ("f/b", "f/a"), ("f", "a"), ("b", "f")]),
        "sync": lambda: (rng.choice(files),),
        "sync_folder": lambda: (rng.choice(["", *folders]),),
        "remove": lambda: (rng.choice(files + folders),),
        "make_folder": lambda: (rng.choice(folders),),
        "list": lambda: (rng.choice(["", *folders]),),
        "size": lambda: (rng.choice(files),),
    }
    seen = set()
    for _ in range(2_000):
        step = rng.choice(sorted(steps))
        arguments = steps[step]()
        if step == "rename" and arguments == ("f", "a") and double.size("a") < 0:
            continue  # a folder where only files are asked for
        answers = []
        for storage in (real, double):
            try:
                answers.append(getattr(storage, step)(*arguments))
            except StorageError as error:
                answers.append(error.cause)
        assert answers[0] == answers[1], (step, arguments)
        seen.add((step, isinstance(answers[0], Cause)))
    assert len(seen) >= 17, "most steps have succeeded and failed"
    found = sorted(tmp_path.rglob("*"))
    names = {str(file.relative_to(tmp_path)) + "/" * file.is_dir(): file for file in found}
    assert {name: b"" if file.is_dir() else file.read_bytes() for name, file in names.items()} == double.contents()


def test_what_was_not_synced_may_be_there_or_not_or_in_part():
    disk = holding(a=b"old")
    disk.write("a", 0, b"NEWER")
    found = [each["a"] for each in after_cut(disk)]
    assert found[0] == b"old"
    assert found[1] == b"NEWER"
    assert {b"Nld", b"NEWE", b"old\0\0", b"oEWER"} <= set(found)
    disk.sync("a")
    assert after_cut(disk) == [{"a": b"NEWER"}]


def test_a_name_and_its_bytes_are_two_promises():
    disk = DiskDouble()
    disk.write("a", 0, b"data")
    disk.sync("a")
    assert after_cut(disk) == [{}, {"a": b"data"}]
    disk = DiskDouble()
    disk.write("a", 0, b"data")
    disk.sync_folder("")
    found = after_cut(disk)
    assert {} not in found
    assert {"a": b""} in found
    assert {"a": b"data"} in found


def test_writes_land_in_any_order_until_they_are_synced():
    disk = holding(a=bytes(4))
    disk.write("a", 0, b"11")
    disk.write("a", 2, b"22")
    found = {each["a"] for each in after_cut(disk)}
    assert {bytes(4), b"11\0\0", b"\0\x0022", b"1122"} <= found


def test_a_large_write_is_torn_by_sectors():
    disk = holding(a=bytes(2048))
    disk.write("a", 0, b"x" * 2048)
    counts = {each["a"].count(b"x") for each in after_cut(disk)}
    assert {0, 512, 1536, 2048} <= counts


def test_a_rename_may_leave_both_names_and_never_none():
    disk = holding(a=b"1", b=b"2")
    disk.rename("a", "b")
    assert after_cut(disk) == [{"a": b"1", "b": b"2"}, {"b": b"1"}, {"a": b"1", "b": b"1"}]


def test_of_removals_any_may_have_happened():
    disk = holding(a=b"1", b=b"2")
    disk.remove("a")
    disk.remove("b")
    found = after_cut(disk)
    assert len(found) == 4
    assert all(each in found for each in ({}, {"a": b"1"}, {"b": b"2"}, {"a": b"1", "b": b"2"}))


def test_what_a_failed_sync_has_lost_no_later_one_brings_back():
    disk = holding(a=b"old")
    disk.write("a", 0, b"new")
    disk.failing["sync"] = errno.EIO
    with pytest.raises(StorageError) as caught:
        disk.sync("a")
    assert caught.value.cause is Cause.BROKEN
    disk.failing.clear()
    disk.sync("a")
    assert disk.read("a") == b"new"
    assert after_cut(disk) == [{"a": b"old"}]


def test_a_full_disk_takes_what_it_can():
    disk = DiskDouble(capacity=5)
    with pytest.raises(StorageError) as caught:
        disk.write("a", 0, b"1234567")
    assert caught.value.cause is Cause.FULL
    assert disk.read("a") == b"12345"
    assert disk.free_bytes() == 0
    disk.write("a", 1, b"xyz")  # in place: that needs no room
    assert disk.read("a") == b"1xyz5"


def test_from_a_step_on_it_is_read_only():
    disk = holding(a=b"old")
    disk.is_read_only_from = disk.steps + 2
    disk.write("a", 0, b"1")
    with pytest.raises(StorageError) as caught:
        disk.sync("a")
    assert caught.value.cause is Cause.READ_ONLY
    with pytest.raises(StorageError):
        disk.write("a", 0, b"2")
    assert disk.read("a") == b"1ld"


def test_a_replaced_file_is_the_old_or_the_new_one_at_every_step():
    disk = holding(a=b"old")
    seen = set()

    def look(_step: str, _name: str) -> None:
        seen.update(each["a"] for each in after_cut(disk))

    disk.begun = look
    replace(disk, "a", b"new")
    assert seen == {b"old", b"new"}
    assert after_cut(disk) == [{"a": b"new"}]


def test_a_folder_that_is_removed_may_come_back_in_part_and_is_removed_again():
    disk = DiskDouble()
    disk.make_folder("f")
    for name in "abc":
        disk.write(f"f/{name}", 0, b"x")
    disk = disk.settled()

    def cut(step: str, name: str) -> None:
        if (step, name) == ("remove", "f"):
            raise PowerCut

    disk.begun = cut
    with pytest.raises(PowerCut):
        remove_all(disk, "f")
    found = list(disk.after_cut())
    assert len({frozenset(each.contents()) for each in found}) >= 7
    for each in found:
        remove_all(each, "f")
        assert each.contents() == {}


def test_the_sample_of_a_seed_is_always_the_same():
    def many(seed: int) -> list:
        disk = DiskDouble()
        for number in range(9):
            disk.write(f"f{number}", 0, bytes(900))
        return [each.state() for each in disk.after_cut(seed, most=10)]

    assert many(1) == many(1) != many(2)
