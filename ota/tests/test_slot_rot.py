"""What of a slot may rot, and what is started all the same: the tree runs, the image is only what it was made of."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ota.installers.release_dir import ReleaseDir
from ota.launcher import Start
from ota.slots.driver import Did
from ota.slots.record import BOOTS, NAMES
from ota.slots.trailer import read_trailer, write_trailer
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import KEY, MCU_TARGETS, driver_on, launch, set_up_with
from ota.tests.power_cuts import NEW, OLD, a_device
from ota.tests.slot_boots import PLAN, boot, drive, record_on, updated


def alone() -> DiskDouble:
    """One slot, and nothing in the other."""
    disk = DiskDouble()
    set_up_with(disk, OLD)
    return disk.settled()


def rot(disk: DiskDouble, slot: str) -> None:
    disk.write(f"slots/{slot}/image.tar", 600, b"rot")


def of_an_older_release(disk: DiskDouble, slot: str) -> None:
    """A trailer that says nothing of the tree."""
    write_trailer(disk, slot, replace(read_trailer(disk, slot, KEY), tree_sha256=""), KEY)


@pytest.mark.parametrize("harm", ["rotten", "cut", "gone", "unreadable"])
def test_a_slot_whose_image_is_lost_is_started_from_its_tree(harm: str):
    disk = alone()
    image = "slots/a/image.tar"
    if harm == "rotten":
        rot(disk, "a")
    elif harm == "cut":
        disk.truncate(image, 700)
    elif harm == "gone":
        disk.remove(image)
    else:
        disk.unreadable.add(image)
    before = disk.state()
    start, said = launch(disk)
    assert start == Start("a", OLD.version, ["python", "-m", "agent"])
    (line,) = said
    assert image in line
    assert line.endswith(": slot a is started from its tree, which is whole")
    assert disk.state() == before
    installer = ReleaseDir(disk, KEY)
    assert installer.fault("a")
    assert installer.start_fault("a") == ""
    assert installer.held("a") is None, "no delta is built upon it"


HARM: dict[str, Callable[[DiskDouble], None]] = {
    "another byte": lambda disk: disk.write("slots/a/tree/agent/f0.py", 9, b"rot"),
    "a file cut": lambda disk: disk.truncate("slots/a/tree/agent/f1.py", 40),
    "a file gone": lambda disk: disk.remove("slots/a/tree/agent/f1.py"),
    "a file more": lambda disk: disk.write("slots/a/tree/sitecustomize.py", 0, b"import os"),
    "a folder more": lambda disk: disk.make_folder("slots/a/tree/agent/__pycache__"),
    "another name": lambda disk: disk.rename("slots/a/tree/agent/f1.py", "slots/a/tree/agent/f2.py"),
    "two exchanged": lambda disk: exchange(disk, "slots/a/tree/agent/f0.py", "slots/a/tree/agent/f1.py"),
    "an unreadable file": lambda disk: disk.unreadable.add("slots/a/tree/agent/f1.py"),
    "an older trailer": lambda disk: of_an_older_release(disk, "a"),
}


def exchange(disk: DiskDouble, one: str, other: str) -> None:
    disk.rename(one, f"{one}.kept")
    disk.rename(other, one)
    disk.rename(f"{one}.kept", other)


@pytest.mark.parametrize("harm", HARM)
def test_without_its_image_a_tree_is_started_only_where_all_of_it_is_right(harm: str):
    disk = alone()
    rot(disk, "a")
    HARM[harm](disk)
    start, said = launch(disk)
    assert start is None
    assert said[0] == "slot a is not started: slots/a/image.tar is not the image that its trailer names"
    assert ReleaseDir(disk, KEY).start_fault("a")


def test_a_trailer_of_an_older_release_vouches_for_its_image_as_before():
    disk = alone()
    of_an_older_release(disk, "a")
    disk.write("slots/a/tree/agent/f0.py", 9, b"rot")
    start, said = launch(disk)
    assert start is not None
    assert [line.endswith("unpacked again") for line in said] == [True]


def test_an_image_that_rots_before_its_trailer_is_written_vouches_for_no_tree():
    disk = alone()
    installer = ReleaseDir(disk, KEY)
    installer.erase("b")
    installer.write("b", NEW.trailer, [NEW.image])
    rot(disk, "b")
    installer.seal("b", NEW.trailer)
    assert read_trailer(disk, "b", KEY).tree_sha256 == ""
    assert installer.start_fault("b")


def test_a_confirmed_slot_keeps_running_from_its_tree_though_the_other_one_is_whole():
    """The other one is an older release: losing an archive must not bring it back."""
    disk, world = updated()
    rot(disk, "b")
    assert launch(disk)[0].slot == "b"
    assert boot(disk, world)[1].did is Did.RESTING
    assert record_on(disk).confirmed == "b"


def test_a_trial_whose_image_rots_is_given_up():
    """What is to be confirmed must be whole; what is known to be good must only run."""
    disk, world = a_device()
    assert boot(disk, world)[1].did is Did.RESTART
    rot(disk, "b")
    start, said = launch(disk)
    assert start is not None
    assert start.slot == "a"
    assert said == ["slot b is given up: slots/b/image.tar is not the image that its trailer names"]
    assert record_on(disk).boots_left == BOOTS


def test_a_rollback_to_a_slot_without_its_image_is_one():
    disk, world = a_device(ill=frozenset({NEW.sha256}))
    assert boot(disk, world)[1].did is Did.RESTART
    rot(disk, "a")
    drive(disk, world)
    assert (record_on(disk).confirmed, record_on(disk).outcome) == ("a", "rolled back")


def lose(disk: DiskDouble, slot: str) -> None:
    rot(disk, slot)
    disk.write(f"slots/{slot}/tree/agent/f0.py", 9, b"rot")


LOST = "and slot a cannot be started any more (slots/a/image.tar is not the image that its trailer names)"


def test_an_ill_release_that_cannot_go_back_is_not_told_as_rolled_back():
    disk, world = a_device(ill=frozenset({NEW.sha256}))
    assert boot(disk, world)[1].did is Did.RESTART
    lose(disk, "a")
    drive(disk, world)
    record = record_on(disk)
    assert (record.confirmed, record.trial, record.state) == ("b", "", "IDLE")
    (report,) = world.reports
    assert (report.outcome, report.rule) == ("failed", "health")
    assert report.reason == f"no broker in 600 s, {LOST}"
    assert report.log_tail, "it says why it was ill"
    assert record.quarantine == {NEW.sha256: 5, MCU_TARGETS[2].sha256: 5}
    assert world.mcu_running == MCU_TARGETS[1].sha256


def test_a_trial_without_starts_left_that_cannot_go_back_is_not_told_as_rolled_back():
    disk, world = a_device()
    assert boot(disk, world)[1].did is Did.RESTART
    for _start in range(BOOTS):
        assert launch(disk)[0].slot == "b"
    lose(disk, "a")
    drive(disk, world)
    assert (record_on(disk).confirmed, record_on(disk).fell_back) == ("b", "")
    (report,) = world.reports
    assert (report.outcome, report.rule) == ("failed", "health")
    assert report.reason == f"it was not confirmed in 3 starts, {LOST}"


def test_a_slot_that_is_lost_after_it_was_gone_back_to_is_told_too():
    disk, world = a_device(ill=frozenset({NEW.sha256}), is_report_queue_broken=True)
    for _boot in range(3):
        boot(disk, world)
    assert (record_on(disk).state, record_on(disk).confirmed) == ("ROLLED_BACK", "a")
    lose(disk, "a")
    world.is_report_queue_broken = False
    drive(disk, world)
    assert [report.outcome for report in world.reports] == ["failed"]
    assert record_on(disk).confirmed == "b"


def test_an_update_from_a_slot_without_its_image_goes_its_way():
    disk, world = a_device()
    rot(disk, "a")
    drive(disk, world)
    assert (record_on(disk).confirmed, record_on(disk).outcome) == ("b", "confirmed")


@pytest.mark.parametrize("who", ["launcher", "agent"])
def test_lost_records_are_made_again_from_a_slot_without_its_image(who: str):
    disk, world = updated()
    rot(disk, "b")
    for name in NAMES:
        disk.remove(name)
    if who == "launcher":
        assert launch(disk)[0].slot == "b"
    else:
        driver_on(disk, world, "b").offer(PLAN)
    assert record_on(disk).confirmed == "b"


def test_a_tree_that_never_ends_is_no_tree():
    disk = alone()
    rot(disk, "a")
    folder = "slots/a/tree/agent"
    for _ in range(40):
        folder += "/x"
        disk.make_folder(folder)
    assert launch(disk)[0] is None
