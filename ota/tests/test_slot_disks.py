"""The driver on disks that fail: full, broken at any step, read-only from a step on, keeping nothing."""

import errno

import pytest

from ota.errors import Cause, StorageError
from ota.slots.driver import MAX_RETURNS, Did
from ota.slots.machine import State
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import World, driver_on, launch
from ota.tests.power_cuts import NEW, a_device
from ota.tests.slot_boots import PLAN, boot, record_on, step_to


def test_a_disk_that_fills_up_ends_the_attempt_with_its_reason():
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    step_to(driver, State.WRITING)
    disk.capacity -= disk.free_bytes() - 3_000
    assert driver.run().did is Did.RESTING
    record = record_on(disk)
    assert (record.outcome, record.rule) == ("failed", "space")
    assert "No space left on device" in world.reports[0].reason
    assert world.was_full == [NEW.sha256], "it is not to be fetched again for nothing"
    assert launch(disk)[0].slot == "a"


def boot_on(disk: DiskDouble, world: World, cause: Cause) -> Did | None:
    """One start on a disk that may fail, with this cause and no other; None where it has."""
    try:
        return boot(disk, world)[1].did
    except StorageError as error:
        if error.cause is not cause:
            raise
        return None


def ends(disk: DiskDouble, world: World) -> list[str]:
    """How all of it ends on a disk that is well again."""
    for _boot in range(5):
        if boot(disk, world)[1].did is Did.RESTING:
            return [report.outcome for report in world.reports]
    raise AssertionError("no end")


@pytest.mark.parametrize("room", range(0, 90_000, 1_500))
def test_however_little_room_there_is_a_slot_boots_and_it_ends_or_goes_on(room: int):
    disk, world = a_device()
    whole = disk.capacity
    disk.capacity -= disk.free_bytes() - room
    boot_on(disk, world, Cause.FULL)
    assert launch(disk.settled())[0] is not None
    disk.capacity = whole
    assert ends(disk, world) in (["confirmed"], ["failed"])


def fail_once(disk: DiskDouble, step: str, nth: int) -> list[int]:
    """The nth step of its kind fails; what is returned counts down to it."""
    left = [nth]

    def begun(made: str, _name: str) -> None:
        left[0] -= made == step
        disk.failing = {step: errno.EIO} if left[0] == 0 else {}

    disk.begun = begun
    return left


@pytest.mark.parametrize("step", ["write", "sync", "sync_folder", "rename", "truncate", "remove", "make_folder"])
def test_a_disk_that_fails_once_at_any_step_is_taken_up_again(step: str):
    """The step after the nth of its kind fails, once: whatever n is, the update ends well after it."""
    failures = 0
    for nth in range(1, 60):
        disk, world = a_device()
        left = fail_once(disk, step, nth)
        for _boot in range(8):
            did = boot_on(disk, world, Cause.BROKEN)
            if did is None:
                failures, left[0], disk.failing = failures + 1, -1, {}
            if did is Did.RESTING:
                break
        assert [report.outcome for report in world.reports] == ["confirmed"], nth
        if left[0] > 0:
            assert failures
            return
    raise AssertionError("an update has fewer such steps")


@pytest.mark.parametrize("at", range(1, 148, 3))
def test_a_disk_that_turns_read_only_boots_and_goes_on_when_it_is_well_again(at: int):
    disk, world = a_device()
    disk.is_read_only_from = disk.steps + at
    for _boot in range(3):
        if boot_on(disk, world, Cause.READ_ONLY) is None:
            break
    else:
        raise AssertionError("it starts again for ever on a disk that takes nothing")
    assert ends(disk.settled(), world) == ["confirmed"]


def test_a_trial_on_a_disk_that_has_turned_read_only_is_not_started_again_for_ever():
    """The launcher cannot count its start and takes the old slot; a restart would end there again."""
    disk, world = a_device()
    boot(disk, world)
    driver = driver_on(disk, world, launch(disk)[0].slot)
    step_to(driver, State.TRIAL)
    disk.is_read_only_from = 0
    assert launch(disk)[0].slot == "a"
    assert boot_on(disk, world, Cause.READ_ONLY) is None
    assert ends(disk.settled(), world) == ["confirmed"]


def test_a_medium_that_keeps_nothing_is_not_written_for_ever():
    disk, world = a_device()
    installer = driver_on(disk, world, "a")._installer
    installer.fault = lambda _slot: "it is not right"
    driver, outcome = boot(disk, world, installer=installer)
    assert outcome.did is Did.RESTING
    assert world.reports[0].rule == "storage"
    assert driver._returns == MAX_RETURNS + 1
