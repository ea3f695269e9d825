"""Boots of a device on the disk that loses its power, for tests of the driver."""

from contextlib import nullcontext

from ota.slots.driver import Did, Driver, Outcome
from ota.slots.machine import State
from ota.slots.neighbours import Offer
from ota.slots.record import Record, RecordStore
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import KEY, World, driver_on, launch, offer_of
from ota.tests.power_cuts import NEW, a_device

PLAN = offer_of(5, NEW, mcu=2)


def record_on(disk: DiskDouble) -> Record:
    record = RecordStore(disk, KEY, nullcontext).read()
    assert record is not None
    return record


def boot(disk: DiskDouble, world: World, offer: Offer | None = PLAN, **parts: object) -> tuple[Driver, Outcome]:
    """One start of whatever the launcher chooses, until it waits, rests or wants a restart."""
    start, said = launch(disk)
    assert start is not None, said
    driver = driver_on(disk, world, start.slot)
    for name, part in parts.items():
        setattr(driver, f"_{name}", part)
    if offer is not None:
        driver.offer(offer)
    return driver, driver.run()


def step_to(driver: Driver, state: State) -> None:
    """As far as a state."""
    for _step in range(60):
        if driver.state(driver.record()) is state:
            return
        assert driver.step().did is Did.STEP
    raise AssertionError(f"it never comes to {state}")


def updated() -> tuple[DiskDouble, World]:
    disk, world = a_device()
    assert boot(disk, world)[1].did is Did.RESTART
    assert boot(disk, world)[1].did is Did.RESTING
    return disk, world


def drive(disk: DiskDouble, world: World, offer: Offer = PLAN) -> None:
    """Boots until it rests; an agent that crashes does nothing."""
    for _boot in range(9):
        start, said = launch(disk)
        assert start is not None, said
        trailer = driver_on(disk, world, start.slot)._installer.trailer(start.slot)
        if trailer.sha256 in world.crashing:
            continue
        driver = driver_on(disk, world, start.slot)
        driver.offer(offer)
        if driver.run().did is Did.RESTING:
            return
    raise AssertionError("no end")
