"""Cuts the power everywhere: at every step that changes the disk, in every way that it allows, and again after it.

One run is a device from a start on, until nothing is left to do. At each of its steps every disk that a cut may leave
is a state to start from, with the world outside as it was at that moment. States are explored breadth first and each
once. A run ends early where it comes to a state from which another run has gone on: it would find the same.
"""

import random
from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest

from ota.errors import RefusedError, Rule
from ota.slots.driver import Did, Driver
from ota.slots.machine import State
from ota.slots.neighbours import Offer
from ota.slots.record import Record, RecordStore
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import (
    KEY,
    MCU,
    MCU_SETS,
    MCU_TARGETS,
    PayloadDouble,
    Release,
    World,
    driver_on,
    launch,
    number_of_blocks,
    set_up_with,
)

MOST_BOOTS = 12
OLD, NEW = Release(1), Release(2, min_counter=2)
RELEASES = {release.sha256: release for release in (OLD, NEW)}
FLOOR = "rsu-1 rsu/gateway"


@dataclass
class Found:
    """A state to start from."""

    disk: DiskDouble
    world: World
    depth: int
    """Cuts so far."""
    is_confirmed: bool
    """The new release was durably confirmed before the last cut."""
    story: tuple[str, ...] = ()
    """Where the cuts were."""


@dataclass
class Explorer:
    """What has been seen. `ends`: outcomes of the attempt, how often."""

    offer: Offer
    depth: int
    expected: set[str]
    """How the attempt may end, however it is cut."""
    without_image: str = ""
    """A slot whose image has rotted before: its tree alone must be right."""
    seed: int = 0
    share: float = 1.0
    """Of the steps of a run that has been cut already, so many are looked at; of the first run every one."""
    most: int = 6
    """Disks where all that is pending lands in any way, a step; beside those where one thing of it does."""
    queue: deque[Found] = field(default_factory=deque)
    seen: set[object] = field(default_factory=set)
    gone_on: dict[object, object] = field(default_factory=dict)
    steps: int = 0
    leaves: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    rng: random.Random = field(default_factory=random.Random)

    def explore(self, disk: DiskDouble, world: World) -> None:
        """Everything that may come of a start from here."""
        self.rng = random.Random(self.seed)
        self.queue.append(Found(disk, world, 0, is_confirmed=False))
        while self.queue:
            found = self.queue.popleft()
            try:
                Run(self, found).to_the_end()
            except BaseException as error:
                error.add_note(f"cut at: {' / '.join(found.story) or 'nowhere'}")
                raise

    def __str__(self) -> str:
        cuts = f"{self.leaves} states after up to {self.depth} cuts, at {self.steps} steps"
        return f"{cuts}; ends: {self.ends}"


class Run:
    """A device that goes on from a state until it rests."""

    def __init__(self, explorer: Explorer, found: Found) -> None:
        self.explorer = explorer
        self.found = found
        self.disk = found.disk
        self.world = found.world
        self.is_confirmed = found.is_confirmed
        self.slot = ""
        self.token = object()
        self.missing = self.blocks_to_come()
        """Blocks that the disk does not have: no others may come over the line."""
        self.downloads_before = len(self.world.downloads)
        if found.depth < explorer.depth:
            self.disk.begun = self._look

    def to_the_end(self) -> None:
        for _boot in range(MOST_BOOTS):
            outcome = self._boot()
            if outcome is Did.RESTING:
                self._check_end()
            if outcome is not Did.RESTART:
                return
        raise AssertionError(f"no end after {MOST_BOOTS} boots")

    def _boot(self) -> Did:
        """Did.STEP: from here on another run has gone on."""
        start, said = launch(self.disk)
        assert start is not None, f"I1: no slot can be started: {said}"
        self.slot = start.slot
        release = self._check_bytes(start.slot)
        record = self.record()
        self._check_floor(record)
        if release.sha256 in self.world.crashing:
            return Did.RESTART
        driver = self.driver()
        driver.offer(self.explorer.offer)
        while True:
            outcome = driver.step()
            self.check_downloads()
            self._check_floor(self.record())
            if outcome.did is not Did.STEP:
                assert outcome.did is not Did.WAITING, f"waits for {outcome.reason}"
                return outcome.did
            if self._is_known(driver.state(driver.record())):
                return Did.STEP

    def driver(self) -> Driver:
        """The update agent of the slot that runs."""
        return driver_on(self.disk, self.world, self.slot)

    def _is_known(self, state: State) -> bool:
        """Whether another run has gone on from here; what a driver remembers beside the disk is in the state."""
        key = (self.disk.state_with_pending(), self.world.key(), self.slot, self.is_confirmed, state)
        return self.explorer.gone_on.setdefault(key, self.token) is not self.token

    def _look(self, step: str, name: str) -> None:
        """The power may go here."""
        explorer, found = self.explorer, self.found
        if found.depth and explorer.rng.random() >= explorer.share:
            return
        explorer.steps += 1
        for disk in self.disk.after_cut(explorer.seed, most=explorer.most):
            key = (disk.state(), self.world.key(), self.is_confirmed)
            if key not in explorer.seen:
                explorer.seen.add(key)
                explorer.leaves += 1
                story = (*found.story, f"{step} {name}")
                explorer.queue.append(Found(disk, self.world.copy(), found.depth + 1, self.is_confirmed, story))

    # Invariants ---------------------------------------------------------------------------------------------------

    def _check_bytes(self, slot: str) -> Release:
        """I2: what runs is, byte for byte, an image that verified metadata names. Does not ask the code under test."""
        contents = self.disk.contents()
        for release in RELEASES.values():
            if contents.get(f"slots/{slot}/image.tar") == release.image or slot == self.explorer.without_image:
                tree = {name.removeprefix(f"slots/{slot}/tree/"): data for name, data in contents.items() if
                        name.startswith(f"slots/{slot}/tree/") and not name.endswith("/")}  # fmt: skip
                assert tree == release.files, "I2: the tree is not that of its image"
                return release
        raise AssertionError("I2: bytes are run that no verified metadata names")

    def _check_floor(self, record: Record) -> None:
        """I3: what was once confirmed stays: its floor, and the slot."""
        if self.is_confirmed:
            assert record.floors == {FLOOR: 2}, "I3: a confirmed floor has fallen"
            assert record.to_start == "b", "a confirmed release was rolled back"
        self.is_confirmed |= record.confirmed == "b"
        assert record.floors == ({FLOOR: 2} if record.confirmed == "b" else {}), "the floor rises with the confirmation"

    def check_downloads(self) -> None:
        """I4: no verified block comes a second time."""
        fresh = self.world.downloads[self.downloads_before :]
        assert len(fresh) == len(set(fresh)), "I4: a block has come twice"
        assert set(fresh) <= self.missing, "I4: a block has come that the disk had"
        wanted = self.explorer.offer.targets.values()
        once = sum(number_of_blocks(self.world.blobs[target.sha256]) for target in wanted)
        assert len(self.world.downloads) <= once + self.found.depth, "I4: a cut costs the block that is under way"

    def _check_end(self) -> None:
        explorer, record = self.explorer, self.record()
        offer = explorer.offer
        explorer.ends[record.outcome] = explorer.ends.get(record.outcome, 0) + 1
        assert record.outcome in explorer.expected
        assert self.told(record.attempt) == [record.outcome], "I7: one attempt, one report"
        is_new = record.outcome == "confirmed"
        assert (record.confirmed, record.trial, record.fell_back) == ("b" if is_new else "a", "", "")
        assert self._check_bytes(record.confirmed) is (NEW if is_new else OLD)
        has_new_set = is_new and MCU in offer.plan.ecus
        assert self.world.mcu_running == MCU_TARGETS[2 if has_new_set else 1].sha256, "both or none"
        assert not self.world.mcu_on_trial
        assert bool(record.quarantine) is not is_new
        before = self.disk.state()
        driver = driver_on(self.disk, self.world, record.confirmed)
        assert not driver.offer(offer), "I5: the same plan again is nothing to do"
        assert driver.run().did is Did.RESTING
        older = offer._replace(plan=type(offer.plan)(device="d1", number=1, ecus=offer.plan.ecus))
        with pytest.raises(RefusedError) as caught:
            driver.offer(older)
        assert caught.value.rule is Rule.PLAN
        assert self.disk.state() == before, "I5: nothing on the disk has changed"

    def told(self, attempt: str) -> list[str]:
        """What was reported of an attempt."""
        return [report.outcome for report in self.world.reports if report.attempt == attempt]

    def blocks_to_come(self) -> set[tuple[str, int]]:
        payload = PayloadDouble(self.disk, self.world)
        wanted = self.explorer.offer.targets.values()
        return {(target.sha256, number) for target in wanted for number in payload.missing(target)}

    def record(self) -> Record:
        record = RecordStore(self.disk, KEY, nullcontext).read()
        assert record is not None, "no power cut loses both records"
        return record


def a_device(**world: object) -> tuple[DiskDouble, World]:
    """The old release runs; the new one can be fetched."""
    disk = DiskDouble()
    set_up_with(disk, OLD)
    blobs = {NEW.sha256: NEW.image} | {MCU_TARGETS[n].sha256: data for n, data in MCU_SETS.items()}
    return disk.settled(), World(blobs=blobs, **world)
