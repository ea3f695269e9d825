"""Floors and the time: what is kept outside the metadata cache, when it rises, and when it ends."""

import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.ngclient import Updater

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.repository import roles
from ota.repository.layout import DIRECTOR, METADATA
from ota.storage import PosixStorage, replace
from ota.targets import SIGNED_AT_KEY, Blob, ImageInfo, Schema
from ota.testing.disk_double import DiskDouble
from ota.testing.repository_double import RepositoryDouble
from ota.testing.trusting_device import TrustingDevice
from ota.trust.clock_floor import CLOCK_STEP_S, ClockFloor, Now, confirmed
from ota.trust.floors import FloorRecord, Floors, ReleaseFloor, RoleFloor
from ota.trust.two_copies import MAX_BYTES, TwoCopies
from ota.trust.workflow import Workflow

V1 = "rsu/gateway/1.tar"
DAY = 86_400


# Two copies ----------------------------------------------------------------------------------------------------------


def test_a_record_is_what_was_written_last_over_starts(tmp_path: Path) -> None:
    storage = PosixStorage(tmp_path)
    for number in range(5):
        copies = TwoCopies(storage, "r")
        assert copies.read() == (b"%d" % (number - 1) * 9 if number else None)
        copies.write(b"%d" % number * 9)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r-a", "r-b"]


def test_the_older_copy_is_written() -> None:
    disk = DiskDouble()
    copies = TwoCopies(disk, "r")
    for record in (b"one", b"two", b"three"):
        copies.write(record)
    assert disk.contents()["r-a"].endswith(b"three")
    assert disk.contents()["r-b"].endswith(b"two")


@given(st.data())
def test_no_damage_of_one_copy_loses_or_changes_the_other(data: st.DataObject) -> None:
    disk = DiskDouble()
    copies = TwoCopies(disk, "r")
    copies.write(b"old record")
    copies.write(b"new record, longer")
    name = data.draw(st.sampled_from(["r-a", "r-b"]))
    whole = disk.contents()[name]
    damage = data.draw(st.sampled_from(["cut", "flip", "any"]))
    if damage == "cut":
        spoiled = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif damage == "flip":
        bit = data.draw(st.integers(0, len(whole) * 8 - 1))
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        spoiled = bytes(changed)
    else:
        spoiled = data.draw(st.binary(max_size=60))
    replace(disk, name, spoiled)
    again = TwoCopies(disk, "r")
    assert again.read() == (b"new record, longer" if name == "r-a" else b"old record")
    assert again.damaged == [name]
    again.write(b"next")
    assert TwoCopies(disk, "r").read() == b"next"


@pytest.mark.parametrize("name", ["r-a", "r-b"])
def test_a_copy_on_a_bad_sector_is_damage_and_the_other_is_read(name: str) -> None:
    disk = DiskDouble()
    copies = TwoCopies(disk, "r")
    copies.write(b"old")
    copies.write(b"new")
    disk.unreadable = {name}
    again = TwoCopies(disk, "r")
    assert again.read() == (b"new" if name == "r-a" else b"old")
    assert again.damaged == [name]
    again.write(b"next")
    disk.unreadable = set()
    assert TwoCopies(disk, "r").read() == b"next"


def test_a_disk_that_fails_altogether_loses_no_floors() -> None:
    disk = DiskDouble()
    TwoCopies(disk, "r").write(b"x")
    disk.unreadable = {"r-a"}
    with pytest.raises(StorageError) as caught:
        TwoCopies(disk, "r").read()
    assert caught.value.cause is Cause.BROKEN


def test_a_length_beyond_the_file_is_damage() -> None:
    disk = DiskDouble()
    TwoCopies(disk, "r").write(b"x")
    data = bytearray(disk.contents()["r-a"])
    data[16:20] = struct.pack(">I", 1 << 31)
    replace(disk, "r-a", bytes(data))
    copies = TwoCopies(disk, "r")
    assert copies.read() is None
    assert copies.damaged == ["r-a"]


def test_a_record_without_bounds_is_not_written() -> None:
    with pytest.raises(StorageError, match="at most"):
        TwoCopies(DiskDouble(), "r").write(bytes(MAX_BYTES + 1))


# Floors --------------------------------------------------------------------------------------------------------------


def info(**fields: Any) -> ImageInfo:
    blob = Blob(codec="none", length=1, sha256="0" * 64, blocks="0" * 64)
    facts = {"kind": "release-dir", "hardware": ["h"], "family": "rsu/gateway", "version": "1", "full": [blob]}
    return ImageInfo(**{**facts, **fields})


def test_floors_rise_with_what_is_confirmed_and_never_fall() -> None:
    disk = DiskDouble()
    floors = Floors(disk, "floors")
    floors.open()
    assert floors.release("h", "rsu/gateway") is None
    floors.confirm("h", info(counter=5, min_counter=4, schema=Schema(reads_from=1, writes=2)))
    assert floors.release("h", "rsu/gateway") == ReleaseFloor(4, 2)
    floors.confirm("h", info(counter=4, min_counter=0, schema=Schema(reads_from=1, writes=1)))
    again = Floors(disk, "floors")
    again.open()
    assert again.release("h", "rsu/gateway") == ReleaseFloor(4, 2)
    assert again.release("other", "rsu/gateway") is None


def test_what_is_confirmed_twice_is_written_once() -> None:
    disk = DiskDouble()
    floors = Floors(disk, "floors")
    floors.open()
    floors.confirm("h", info(counter=5, min_counter=4))
    steps = disk.steps
    floors.confirm("h", info(counter=5, min_counter=4))
    assert disk.steps == steps


def test_fields_of_a_newer_release_do_no_harm() -> None:
    disk = DiskDouble()
    TwoCopies(disk, "floors").write(b'{"plan_number": 7, "of the future": [1]}')
    floors = Floors(disk, "floors")
    floors.open()
    assert floors.record == FloorRecord(plan_number=7)


@pytest.mark.parametrize("record", [b"[]", b'{"plan_sha256": "\xff"}', b'{"plan_number": "'])
def test_a_record_of_another_kind_is_told(record: bytes) -> None:
    disk = DiskDouble()
    TwoCopies(disk, "floors").write(record)
    with pytest.raises(StorageError, match="no record of floors"):
        Floors(disk, "floors").open()


@pytest.mark.parametrize(
    ("keys", "threshold", "stands"),
    [("abc", 2, True), ("abx", 2, True), ("ade", 2, False), ("ade", 1, True), ("def", 1, False), ("", 1, False)],
)
def test_a_floor_stands_while_its_keys_could_still_speak(keys: str, threshold: int, stands: bool) -> None:
    assert RoleFloor(9, list("abc")).stands(list(keys), threshold) is stands


def test_a_floor_of_no_keys_stands_for_ever() -> None:
    assert RoleFloor(9).stands(["x"], 1)


def test_stolen_online_keys_that_drove_versions_up_do_not_shut_the_device_out() -> None:
    double = with_plan()
    device = TrustingDevice(double)
    double._snapshot_version = 1 << 40
    double.relist()
    device.refresh()
    assert device.client().floors.record.roles["image/timestamp"].version > 1 << 40
    double._snapshot_version = 2
    stolen = double.keys["online"]
    fresh = type(double)().keys["online"]

    def rotate(root: Any) -> None:
        for role in ("snapshot", "timestamp"):
            root.revoke_key(stolen[0].public.keyid, role)
            root.add_key(fresh[0].public.tuf, role)

    double.new_root(rotate, by=double.keys["root"][:2])
    double.keys["online"] = fresh
    double.relist()
    device.refresh()
    assert device.client().floors.record.roles["image/timestamp"].version == 3


# The time ------------------------------------------------------------------------------------------------------------


def clock_floor(clock: float, *, is_synchronised: bool = True, build_time: int = 1000) -> ClockFloor:
    return ClockFloor(build_time=build_time, clock=lambda: clock, is_synchronised=lambda: is_synchronised)


def test_the_clock_is_believed_when_it_is_synchronised_and_not_below_the_floor() -> None:
    assert clock_floor(2000.9).judge(1500) == Now(2000, is_synchronised=True)
    assert clock_floor(1500).judge(1500) == Now(1500, is_synchronised=True)


@pytest.mark.parametrize(
    ("clock", "is_synchronised", "seen", "expected"),
    [
        (0, True, 0, 1000),
        (1499, True, 1500, 1500),
        (5000, False, 0, 1000),
        (5000, False, 1500, 1500),
        (-5, False, 0, 1000),
    ],
)
def test_else_it_is_the_floor_and_says_so(clock: float, is_synchronised: bool, seen: int, expected: int) -> None:
    now = clock_floor(clock, is_synchronised=is_synchronised).judge(seen)
    assert now == Now(expected, is_synchronised=False)
    assert now.remark == "time: unsynchronised"


def test_a_clock_is_confirmed_in_steps_and_only_when_it_is_synchronised() -> None:
    assert confirmed(Now(9000, is_synchronised=True), 9000 - CLOCK_STEP_S, 8000) == 9000
    assert confirmed(Now(9000, is_synchronised=True), 9001 - CLOCK_STEP_S, 8000) == 9001 - CLOCK_STEP_S
    assert confirmed(Now(90_000, is_synchronised=False), 1, 80_000) == 1
    assert confirmed(Now(900_000, is_synchronised=True), 1, 80_000) == 80_000 + DAY


def with_plan() -> RepositoryDouble:
    double = RepositoryDouble()
    double.add_image(V1, b"one", counter=1)
    double.set_plan("rsu-7", {"gateway": V1})
    return double


def expired(device: TrustingDevice, word: str) -> None:
    with pytest.raises(RefusedError, match=word) as caught:
        device.refresh()
    assert caught.value.rule is Rule.EXPIRY


def test_a_device_that_wakes_in_1970_updates_and_says_that_it_has_no_time() -> None:
    device = TrustingDevice(with_plan())
    device.clock_s, device.is_synchronised = 0.0, False
    assert device.refresh().now.remark == "time: unsynchronised"


def test_metadata_that_ended_before_the_build_is_refused_by_a_device_without_a_clock() -> None:
    double = with_plan()
    device = TrustingDevice(double)
    device.clock_s, device.is_synchronised = 0.0, False
    device.build_time = int(double.now.timestamp()) + DAY + 1
    expired(device, "Director: timestamp.json")


@pytest.mark.parametrize(
    ("side", "kept", "word"),
    [(DIRECTOR, "director_root", "Director: timestamp.json"), (METADATA, "image_root", "image repository: timestamp")],
)
def test_a_new_device_knows_that_it_is_not_older_than_the_root_it_was_made_with(
    side: str, kept: str, word: str
) -> None:
    """A mirror that has kept an old answer finds no device so new, and so without a clock, that it takes it."""
    double = with_plan()
    double.now += timedelta(days=2)
    made_with = double.new_root(lambda _root: None, by=double.keys["root"], side=side)
    device = TrustingDevice(double)
    device.trusted[kept] = made_with
    device.clock_s, device.is_synchronised = 0.0, False
    expired(device, word)


def test_a_confirmed_clock_outlives_the_loss_of_it() -> None:
    """The image repository's timestamp ends; without the clock that was confirmed meanwhile nobody could tell."""
    double = with_plan()
    device = TrustingDevice(double)
    device.clock_s = double.now.timestamp() + DAY - 60
    device.refresh()
    clock = device.client().floors.record.clock
    assert clock == int(device.clock_s)
    device.clock_s, device.is_synchronised = 0.0, False
    assert device.refresh().now == Now(clock, is_synchronised=False)
    device.build_time = clock + 120
    expired(device, "Director: timestamp.json")


def test_a_clock_below_the_floor_is_not_believed_even_when_it_says_that_it_is_right() -> None:
    double = with_plan()
    device = TrustingDevice(double)
    device.refresh()
    device.clock_s = double.now.timestamp() - 30 * DAY
    assert device.refresh().now == Now(int(double.now.timestamp()), is_synchronised=False)


@pytest.mark.parametrize("days", [3650, 10**9, 10**15])
def test_a_clock_in_the_far_future_is_never_confirmed(days: int) -> None:
    double = with_plan()
    device = TrustingDevice(double)
    device.clock_s = double.now.timestamp() + days * DAY
    expired(device, "root.json")
    assert device.client().floors.record == FloorRecord()
    device.clock_s = None
    assert not device.refresh().now.remark


def test_a_clock_that_was_driven_ahead_while_a_stick_held_shuts_nobody_out() -> None:
    """What is on a stick holds for months; what a server says the day after holds for a day."""
    double = with_plan()
    server = dict(double.files)
    long = timedelta(days=300)
    online, listed = double.keys["online"], double._listed
    snapshot = roles.snapshot(9, {f"{name}.json": one for name, one in listed.items()}, double.now, long)
    data = double._put(METADATA, "snapshot", snapshot, online)
    stamp = roles.timestamp(9, 9, data, double.now, long)
    stamp.sign(online[0].signer)
    double.files[f"{METADATA}/timestamp.json"] = stamp.to_bytes()
    double.sign_plan("rsu-7", long)
    device = TrustingDevice(double)
    device.clock_s = double.now.timestamp() + 299 * DAY
    assert device.refresh().now.is_synchronised
    double.files.clear()
    double.files.update(server)
    double._snapshot_version = 9
    double.now += timedelta(hours=6)
    double.relist()
    double.sign_plan("rsu-7")
    device.clock_s = None
    assert device.refresh().plan.number == 1


@pytest.mark.parametrize(("hours", "holds"), [(23, True), (25, False)])
def test_signed_times_raise_the_floor_of_a_device_without_a_clock(hours: int, holds: bool) -> None:
    """The Director says when it signed; what a mirror still gives of the images had ended by then, or had not."""
    double = with_plan()
    device = TrustingDevice(double)
    device.clock_s, device.is_synchronised = 0.0, False
    double.now += timedelta(hours=hours)
    double.sign_plan("rsu-7")
    if holds:
        assert device.refresh().now.seconds == int(double.now.timestamp())
        assert device.client().floors.record.roles["director/timestamp"].signed_at == int(double.now.timestamp())
    else:
        expired(device, "image repository: timestamp.json")


def test_a_signed_time_in_the_far_future_is_cut_at_its_own_expiry_and_not_remembered() -> None:
    double = with_plan()
    device = TrustingDevice(double)
    device.clock_s, device.is_synchronised = 0.0, False

    def dated(targets: Any) -> None:
        targets.unrecognized_fields[SIGNED_AT_KEY] = 1 << 60

    double.forge_plan("rsu-7", dated, by=double.keys["director"])
    expired(device, "image repository: timestamp.json")
    assert device.client().floors.record == FloorRecord()
    double.sign_plan("rsu-7")
    double.sign_plan("rsu-7")
    assert device.refresh().now.seconds == int(double.now.timestamp())


def test_the_hooks_of_python_tuf_are_where_they_were() -> None:
    """`Workflow` overrides these; another python-tuf may have moved them."""
    hooks = {
        "_download_metadata", "_load_local_metadata", "_persist_metadata", "_persist_root", "_update_root_symlink",
        "_load_root", "_load_timestamp", "_load_snapshot", "_load_targets",
    }  # fmt: skip
    assert hooks <= set(vars(Updater))
    assert {name for name in vars(Workflow) if name in vars(Updater) and not name.startswith("__")} == hooks


def test_nothing_is_written_but_through_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """python-tuf's own files would lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    double = with_plan()
    TrustingDevice(double).refresh()
    assert list(tmp_path.iterdir()) == []
    assert f"{METADATA}/timestamp.json" in double.files
