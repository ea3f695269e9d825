"""A whole update, cut at every step in every way, and again while it recovers: the invariants hold at every leaf.

I1 a slot boots and is sealed; I2 only bytes that metadata names; I3 no floor falls, nothing confirmed is rolled back;
I4 no verified block comes twice; I5 the same plan again is nothing to do; I7 one attempt, one report. They stand in
`power_cuts.py`. I6 (bytes a day) is the payload's, tested there; I8 (what an unconfirmed release has written) is below.
"""

import json
import random
import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest

from ota.slots.driver import Did
from ota.slots.machine import State
from ota.slots.record import BOOTS, NAMES, RecordStore, decode, encode
from ota.slots.sealed import seal
from ota.slots.trailer import TRAILER
from ota.testing.disk_double import DiskDouble, PowerCut
from ota.testing.slot_world import KEY, World, driver_on, launch, offer_of, set_up_with
from ota.tests.power_cuts import NEW, OLD, Explorer, Found, Run, a_device

BAD = {"well": {}, "crashing": {"crashing": frozenset({NEW.sha256})}, "ill": {"ill": frozenset({NEW.sha256})}}
ENDS = {"well": "confirmed", "crashing": "rolled back", "ill": "rolled back"}
PLAN = offer_of(5, NEW, mcu=2)


@pytest.mark.parametrize("how", BAD)
def test_an_update_survives_every_cut_and_a_second_one(how: str, capsys: pytest.CaptureFixture[str]):
    explorer = Explorer(PLAN, depth=2, expected={ENDS[how]}, share=0.01, most=4, seed=1)
    explorer.explore(*a_device(**BAD[how]))
    with capsys.disabled():
        sys.stdout.write(f"\n    a release that is {how}: {explorer}, seed {explorer.seed}\n")
    assert explorer.leaves > 600
    assert explorer.ends[ENDS[how]] > 20


@pytest.mark.parametrize("how", BAD)
def test_an_update_from_a_slot_whose_image_has_rotted_survives_every_cut(how: str, capsys: pytest.CaptureFixture[str]):
    disk, world = a_device(**BAD[how])
    disk.write("slots/a/image.tar", 700, b"rot")
    explorer = Explorer(PLAN, depth=1, expected={ENDS[how]}, without_image="a")
    explorer.explore(disk.settled(), world)
    with capsys.disabled():
        sys.stdout.write(f"\n    from a tree alone, to a release that is {how}: {explorer}\n")
    assert explorer.leaves > 400


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", BAD)
def test_an_update_survives_every_pair_of_cuts(how: str):
    explorer = Explorer(PLAN, depth=2, expected={ENDS[how]}, most=12)
    explorer.explore(*a_device(**BAD[how]))
    sys.stdout.write(f"{explorer}\n")
    assert explorer.leaves > 10_000


# Many cuts, at random -----------------------------------------------------------------------------------------------


def run_with_cuts(seed: int) -> str:
    """How an attempt ends that is cut up to nine times."""
    rng = random.Random(seed)
    how = rng.choice(sorted(BAD))
    disk, world = a_device(**BAD[how])
    cuts = rng.randint(1, 9)
    is_confirmed = False
    for cut in range(cuts + 1):
        left = rng.choice([rng.randrange(160), rng.randrange(20)]) if cut < cuts else 1 << 30

        def begun(_step: str, _name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerCut

        may_roll_back = how == "well" and cuts >= BOOTS
        expected = {"confirmed", "rolled back"} if may_roll_back else {ENDS[how]}
        run = Run(Explorer(PLAN, depth=0, expected=expected), Found(disk, world, cut, is_confirmed=is_confirmed))
        disk.begun = begun
        try:
            run.to_the_end()
            return run.record().outcome
        except PowerCut:
            disk, is_confirmed = disk.some_after_cut(rng), run.is_confirmed
    raise AssertionError("the last run is not cut")


def runs_with_cuts(first_seed: int, count: int) -> dict[str, int]:
    ends: dict[str, int] = {}
    for seed in range(first_seed, first_seed + count):
        try:
            end = run_with_cuts(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        ends[end] = ends.get(end, 0) + 1
    sys.stdout.write(f"{count} runs from seed {first_seed}: {ends}\n")
    return ends


def test_a_row_of_cuts_at_random_ends_well():
    assert set(runs_with_cuts(1, 50)) == {"confirmed", "rolled back"}


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_rows_of_cuts_at_random_end_well():
    assert set(runs_with_cuts(random.SystemRandom().randrange(1 << 40), 10_000)) == {"confirmed", "rolled back"}


# That this test can fail ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [*NAMES, "slots/b/image.tar", f"slots/b/{TRAILER}.new"])
def test_a_sync_that_is_forgotten_is_found(lost: str, monkeypatch: pytest.MonkeyPatch):
    """Without any one of these syncs, some cut breaks an invariant."""
    sync = DiskDouble.sync
    monkeypatch.setattr(DiskDouble, "sync", lambda disk, name: None if name == lost else sync(disk, name))
    with pytest.raises(AssertionError):
        runs_with_cuts(1, 1_000)


def test_a_sync_of_the_slot_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch):
    sync = DiskDouble.sync_folder
    monkeypatch.setattr(DiskDouble, "sync_folder", lambda disk, name: None if name == "slots/b" else sync(disk, name))
    with pytest.raises(AssertionError):
        runs_with_cuts(1, 1_000)


def test_a_tree_that_was_never_synced_is_made_again(monkeypatch: pytest.MonkeyPatch):
    """What is unpacked is only a copy: the launcher verifies it, and makes it anew from the image."""
    sync = DiskDouble.sync
    monkeypatch.setattr(DiskDouble, "sync", lambda disk, name: None if "/tree/" in name else sync(disk, name))
    runs_with_cuts(1, 50)


# I8, and the record itself ------------------------------------------------------------------------------------------


def test_what_an_unconfirmed_release_writes_into_the_record_the_old_one_reads():
    """The new release adds a field and dies three times: the old one rolls back, reports, and keeps the field."""
    disk, world = a_device(crashing=frozenset({NEW.sha256}))
    assert driver_to(disk, world, PLAN) is Did.RESTART
    for _boot in range(3):
        start, _said = launch(disk)
        assert start is not None
        assert start.slot == "b"
        name = max(NAMES, key=lambda each: decode(disk.read(each), KEY).sequence)
        text = disk.read(name)
        body = json.loads(text[8 : text.rindex(b"}") + 1])
        disk.write(name, 0, seal(b"WSR1", KEY, body | {"rings": {"canary": 1}, "sequence": body["sequence"]}))
    assert driver_to(disk, world, PLAN) is Did.RESTING
    record = RecordStore(disk, KEY, nullcontext).read()
    assert record is not None
    assert record.unknown == {"rings": {"canary": 1}}
    assert [report.outcome for report in world.reports] == ["rolled back"]


@pytest.mark.parametrize("row", [{"progress": "cooling"}, {"sha256": 7}, 7])
def test_rows_that_only_a_newer_release_can_read_do_not_stop_the_old_one(row: object):
    disk, world = a_device(crashing=frozenset({NEW.sha256}))
    assert driver_to(disk, world, PLAN) is Did.RESTART
    store = RecordStore(disk, KEY, nullcontext)
    record = store.read()
    assert record is not None
    ecus = {name: each | row if isinstance(row, dict) else row for name, each in record.ecus.items()}
    store.write(replace(record, ecus=ecus, fell_back="it fell"))
    assert driver_to(disk, world, PLAN) is Did.RESTING
    assert [report.outcome for report in world.reports] == ["rolled back"]


@pytest.mark.parametrize("trial", ["", "b"])
def test_a_state_that_only_a_newer_release_knows_ends_in_a_report(trial: str):
    disk, world = a_device()
    assert driver_to(disk, world, PLAN) is Did.RESTART
    store = RecordStore(disk, KEY, nullcontext)
    record = store.read()
    assert record is not None
    fields = record.__dict__ | {"state": "CANARY", "trial": trial, "fell_back": "it fell" if trial else ""}
    disk.write(NAMES[0], 0, encode(type(record)(**fields | {"sequence": record.sequence + 1}), KEY))
    assert driver_to(disk, world, PLAN) is Did.RESTING
    assert [report.outcome for report in world.reports] == ["rolled back" if trial else "failed"]
    after = store.read()
    assert after is not None
    assert (after.confirmed, after.state) == ("a", State.IDLE.name)


def driver_to(disk: DiskDouble, world: World, offer: object) -> Did:
    start, said = launch(disk)
    assert start is not None, said
    driver = driver_on(disk, world, start.slot)
    driver.offer(offer)
    return driver.run().did


# Starts that are not clean ------------------------------------------------------------------------------------------


def spoil_tree(disk: DiskDouble) -> None:
    disk.remove("slots/b/tree/agent/f0.py")


def spoil_image(disk: DiskDouble) -> None:
    disk.write("slots/b/image.tar", 700, b"rot")


def no_trailer(disk: DiskDouble) -> None:
    disk.remove(f"slots/b/{TRAILER}")


def half_a_trailer(disk: DiskDouble) -> None:
    disk.truncate(f"slots/b/{TRAILER}", 40)


def strangers_in_the_tree(disk: DiskDouble) -> None:
    disk.write("slots/b/tree/sitecustomize.py", 0, b"import os")
    disk.make_folder("slots/b/tree/left")
    disk.write("slots/b/tree/left/x", 0, b"x")
    disk.write(f"slots/b/{TRAILER}.new", 0, b"half")


def a_lying_map(disk: DiskDouble) -> None:
    disk.make_folder("fetch")
    disk.write(f"fetch/{NEW.sha256}.part", 0, bytes(len(NEW.image)))
    disk.write(f"fetch/{NEW.sha256}.map", 0, b"\1" * 9)


def a_record_of_rubbish(disk: DiskDouble) -> None:
    disk.truncate(NAMES[1], 0)
    disk.write(NAMES[1], 0, bytes(range(256)))


def nothing_wrong(_disk: DiskDouble) -> None:
    pass


@pytest.mark.parametrize(
    "spoil",
    [
        nothing_wrong,
        spoil_tree,
        spoil_image,
        no_trailer,
        half_a_trailer,
        strangers_in_the_tree,
        a_lying_map,
        a_record_of_rubbish,
    ],
)
def test_an_update_into_a_slot_that_is_not_clean_survives_every_cut(spoil):
    """The starts from which a bootloader's own power-cut test never began."""
    disk, world = a_device()
    set_up_slot_b(disk)
    spoil(disk)
    explorer = Explorer(PLAN, depth=1, expected={"confirmed"}, most=3)
    explorer.explore(disk.settled(), world)
    assert explorer.leaves > 100
    if spoil is nothing_wrong:
        assert not [image for image, _block in world.downloads if image == NEW.sha256], "it lies in the slot already"


def set_up_slot_b(disk: DiskDouble) -> None:
    """The new release lies in the other slot, from an attempt before."""
    other = DiskDouble()
    set_up_with(other, NEW)
    disk.make_folder("slots/b")
    for name, data in sorted(other.contents().items()):
        if name.startswith("slots/a/") and name != "slots/a/confirmed":
            there = name.replace("slots/a", "slots/b")
            if there.endswith("/"):
                disk.make_folder(there[:-1])
            else:
                disk.write(there, 0, data)


def test_the_old_release_is_what_it_is_said_to_be():
    disk, _world = a_device()
    start, said = launch(disk)
    assert start is not None
    assert (start.slot, start.entry, said) == ("a", ["python", "-m", "agent"], [])
    assert disk.read("slots/a/image.tar") == OLD.image
