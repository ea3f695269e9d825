"""Whole updates of a box whose slots are RAUC's: the driver, RAUC, and a bootloader that counts starts."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import StorageError
from ota.installers.rauc import FlashedSlots, RaucSlots
from ota.installers.rauc_boot import RaucBoot
from ota.installers.rauc_command import Rauc, RaucError
from ota.slots.driver import Did, Driver, Outcome
from ota.slots.neighbours import Offer
from ota.slots.record import NAMES, Record, RecordStore
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage
from ota.targets import Blob, EcuPlan, ImageInfo, Plan, Target
from ota.testing.rauc_bench import RaucBench, missing
from ota.testing.slot_world import KEY, OWN, HealthDouble, PayloadDouble, ReportsDouble, SecondariesDouble, World

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
RESTARTS = 12


def target_of(bundle: bytes, counter: int) -> Target:
    sha256 = hashlib.sha256(bundle).hexdigest()
    info = ImageInfo(
        kind="rauc",
        hardware=["rsu-os"],
        family="rsu/os",
        version=f"1.{counter}",
        counter=counter,
        min_counter=counter,
        full=[Blob(codec="none", length=len(bundle), sha256=sha256, blocks="00" * 32)],
    )
    return Target(path=f"rsu/os/1.{counter}.raucb", length=len(bundle), sha256=sha256, info=info)


class Box:
    """The box between two starts: its data partition, its bootloader, its slots."""

    def __init__(self, bench: RaucBench, folder: Path) -> None:
        self.bench = bench
        self.storage = PosixStorage(folder)
        self.storage.open()
        self.world = World()
        self.offered: Offer | None = None
        set_up(
            self.storage,
            lambda: KEY,
            lock=nullcontext,
            installer_of=lambda key: FlashedSlots(self.storage, key, bench.rauc()),
            trailer=Trailer(target="rsu/os/1.1.raucb", sha256="11" * 32, length=1, version="1.1", counter=1),
            pieces=[],
        )

    def offer(self, number: int, counter: int, *, is_cancelled: bool = False) -> str:
        """Plan `number` wants release 1.{counter}; its hash."""
        bundle = self.bench.bundle(f"1.{counter}")
        target = target_of(bundle, counter)
        self.world.blobs[target.sha256] = bundle
        plan = Plan(device="d1", number=number, ecus={OWN: EcuPlan(target=target.path)}, is_cancelled=is_cancelled)
        digest = hashlib.sha256(repr(plan).encode()).hexdigest()
        self.offered = Offer(plan, digest, {target.path: target}, {OWN: "rsu-os"}, {"targets": {"version": number}})
        return target.sha256

    def record(self) -> Record:
        record = RecordStore(self.storage, KEY, nullcontext).read()
        assert record is not None
        return record

    def change_record(self, **values: Any) -> None:
        RecordStore(self.storage, KEY, nullcontext).write(replace(self.record(), **values))

    def boot_side(self, rauc: Rauc | None = None) -> RaucBoot:
        return RaucBoot(
            self.storage, KEY, rauc or self.bench.rauc(), lock=nullcontext, boot=lambda: str(self.bench.boots)
        )

    def start(self, rauc: Rauc | None = None) -> Outcome:
        """The agent of the system that runs, once; it ends as the driver does."""
        slot = self.boot_side(rauc).settle()
        installer = RaucSlots(self.storage, KEY, rauc or self.bench.rauc())
        trailer = installer.trailer(slot)
        driver = Driver(
            self.storage,
            KEY,
            lock=nullcontext,
            installer=installer,
            payload=PayloadDouble(self.storage, self.world),
            secondaries=SecondariesDouble(self.world),
            health=HealthDouble(self.world, trailer.sha256 if trailer else ""),
            reports=ReportsDouble(self.world),
            own_ecu=OWN,
            running=slot,
            may_switch=lambda _plan: "",
        )
        if self.offered is not None:
            driver.offer(self.offered)
        return driver.run()

    def restart(self) -> None:
        """The bootloader chooses, and again for as long as what it starts dies at once."""
        for _ in range(RESTARTS):
            number = "AB".index(self.bench.boot())
            slot = "ab"[number]
            trailer = RaucSlots(self.storage, KEY, self.bench.rauc()).trailer(slot)
            assert trailer is not None, f"slot {slot} is not sealed, and was started"
            if number and trailer.sha256 not in self.world.crashing:
                image = self.bench.image(trailer.version)
                assert self.bench.slot_bytes(number, len(image)) == image
            if trailer.sha256 not in self.world.crashing:
                return
        raise AssertionError("it is started over and over")

    def live(self, rauc: Callable[[], Rauc | None] = lambda: None) -> Outcome:
        """Until it rests or waits, with every restart that it wants."""
        for _ in range(RESTARTS):
            outcome = self.start(rauc())
            if outcome.did is not Did.RESTART:
                return outcome
            assert self.boot_side(rauc()).switch()
            self.restart()
        raise AssertionError("it restarts over and over")

    def told(self) -> list[tuple[str, str, str]]:
        return [(report.outcome, report.rule, report.reason) for report in self.world.reports]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with RaucBench(tmp_path / "box").running() as bench:
        yield Box(bench, tmp_path / "data")


def test_an_update_is_started_on_trial_judged_and_confirmed(box: Box) -> None:
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    assert (box.record().state, box.record().to_start, box.bench.primary) == ("ARMED", "b", "A")
    assert box.boot_side().switch()
    assert (box.bench.primary, box.bench.starts_left("B"), box.record().boots_left) == ("B", 3, 0)
    box.restart()
    assert (box.bench.booted, box.bench.starts_left("B")) == ("B", 2)
    assert box.live().did is Did.RESTING
    record = box.record()
    assert (record.state, record.confirmed, record.outcome) == ("REPORTED", "b", "confirmed")
    assert record.floors == {"rsu-os rsu/os": 2}
    assert box.bench.starts_left("B") == 3  # marked good
    assert [outcome for outcome, _rule, _reason in box.told()] == ["confirmed"]
    box.offer(2, 3)
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.bench.booted) == ("a", "A")
    assert box.bench.slot_bytes(0, 65_536) == box.bench.image("1.3")


def test_an_unhealthy_release_is_marked_bad_and_the_old_one_runs_again(box: Box) -> None:
    bad = box.offer(1, 2)
    box.world.ill = frozenset({bad})
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.record().trial, box.bench.booted) == ("a", "", "A")
    assert (box.bench.primary, box.bench.starts_left("B")) == ("A", 0)
    assert box.record().quarantine == {bad: 1}
    assert box.told() == [("rolled back", "health", "no broker in 600 s")]
    box.offer(2, 3)
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.bench.booted) == ("b", "B")


def test_a_release_that_dies_before_its_agent_has_three_starts(box: Box) -> None:
    bad = box.offer(1, 2)
    box.world.crashing = frozenset({bad})
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.bench.booted) == ("a", "A")
    assert box.told() == [("rolled back", "health", "the bootloader gave rootfs.1 up")]
    assert box.record().quarantine == {bad: 1}


def test_a_cut_before_the_bootloader_was_told_is_no_failed_trial(box: Box) -> None:
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    box.restart()
    assert (box.bench.booted, box.record().fell_back) == ("A", "")
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.told()[0][0]) == ("b", "confirmed")


def test_a_cut_before_the_starts_are_noted_as_given_gives_them_once_more(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = box.offer(1, 2)
    box.world.crashing = frozenset({bad})
    assert box.start().did is Did.RESTART
    with monkeypatch.context() as patch:
        patch.setattr(RaucBoot, "_give", lambda *_: None)
        assert box.boot_side().switch()
    box.restart()
    assert (box.bench.booted, box.bench.starts_left("B"), box.record().boots_left) == ("A", 0, 3)
    assert box.live().did is Did.RESTING
    assert box.told() == [("rolled back", "health", "the bootloader gave rootfs.1 up")]


def test_what_the_trial_itself_finds_not_noted_it_notes(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a trial that runs, and dies later, would be started three times more."""
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    with monkeypatch.context() as patch:
        patch.setattr(RaucBoot, "_give", lambda *_: None)
        assert box.boot_side().switch()
    box.restart()
    assert (box.boot_side().settle(), box.record().boots_left) == ("b", 0)


def test_one_that_was_told_and_not_restarted_only_wants_its_restart(box: Box) -> None:
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    assert box.boot_side().switch()
    before = (box.bench.folder / "bootloader/asked").read_text().count("set-primary")
    assert box.start().did is Did.RESTART
    assert box.boot_side().switch()
    assert (box.bench.folder / "bootloader/asked").read_text().count("set-primary") == before
    box.restart()
    assert box.live().did is Did.RESTING
    assert box.record().confirmed == "b"


def test_a_plan_that_is_cancelled_after_the_switch_is_not_started_any_more(box: Box) -> None:
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    assert box.boot_side().switch()
    box.offer(2, 2, is_cancelled=True)
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.record().outcome) == ("a", "cancelled")
    box.offered = None
    assert box.live().did is Did.RESTING
    assert box.bench.primary == "A"
    box.restart()
    assert box.bench.booted == "A"


def test_a_cancelled_one_that_the_bootloader_starts_all_the_same_goes_back(box: Box) -> None:
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    assert box.boot_side().switch()
    box.offer(2, 2, is_cancelled=True)
    assert box.start().did is Did.RESTING
    box.offered = None
    box.restart()
    assert box.bench.booted == "B"
    assert box.live().did is Did.RESTING
    assert (box.bench.booted, box.record().confirmed, box.bench.primary) == ("A", "a", "A")


def test_flaky_power_does_not_use_up_a_slot_that_is_confirmed(box: Box) -> None:
    for _ in range(6):
        box.restart()
        assert box.bench.starts_left("A") == 2
        assert box.start().did is Did.RESTING
    assert (box.bench.booted, box.bench.starts_left("A"), box.told()) == ("A", 3, [])


def test_a_confirmed_slot_is_marked_good_once_a_start_and_not_once_a_run(box: Box) -> None:
    asked = box.bench.folder / "bootloader/asked"
    for boots in (1, 2):
        box.restart()
        for _ in range(3):
            assert box.start().did is Did.RESTING
        assert asked.read_text().count("set-state A good") == 1 + boots  # once when it was set up


def test_a_confirmed_slot_that_does_not_start_any_more_is_given_up(box: Box) -> None:
    box.offer(1, 2)
    box.live()
    assert box.record().confirmed == "b"
    dead = RaucSlots(box.storage, KEY, box.bench.rauc()).trailer("b")
    assert dead is not None
    box.world.crashing = frozenset({dead.sha256})
    box.offered = None
    box.restart()
    assert box.bench.booted == "A"
    assert box.live().did is Did.RESTING
    record = box.record()
    assert (record.confirmed, record.reason) == ("a", "the bootloader gave rootfs.1 up, which was confirmed")
    assert record.floors == {"rsu-os rsu/os": 2}


def test_a_slot_that_was_started_by_hand_goes_back_to_the_one_that_is_confirmed(box: Box) -> None:
    box.offer(1, 2)
    box.live()
    box.bench.rauc().mark("active", "rootfs.0")
    box.restart()
    assert box.bench.booted == "A"
    assert box.live().did is Did.RESTING
    assert (box.bench.booted, box.record().confirmed) == ("B", "b")
    assert box.bench.starts_left("A") > 0  # the old release stays a way out


def test_a_bootloader_that_does_not_do_as_it_is_told_is_not_restarted_for(box: Box) -> None:
    box.offer(1, 2)
    assert box.start().did is Did.RESTART
    script = box.bench.folder / "bootloader.sh"
    script.write_text(script.read_text().replace("set-primary)", "set-primary) exit 0 ;;\nset-nothing)"))
    with pytest.raises(RaucError, match=r"rootfs\.1: it was made active, and the bootloader does not say that it will"):
        box.boot_side().switch()
    assert box.record().boots_left == 3


def test_both_records_lost_are_made_again_from_what_the_slots_say(box: Box) -> None:
    box.offer(1, 2)
    box.live()
    for name in NAMES:
        box.storage.truncate(name, 0)
    box.offered = None
    assert box.live().did is Did.RESTING
    assert (box.record().confirmed, box.record().floors) == ("b", {"rsu-os rsu/os": 2})


def test_a_box_that_neither_slot_of_ours_has_started_says_so(box: Box) -> None:
    strange = RaucBoot(box.storage, KEY, box.bench.rauc(), lock=nullcontext, names={"a": "rootfs.1", "b": "rootfs.1"})
    with pytest.raises(RaucError, match=r"neither rootfs\.1 nor rootfs\.1 runs"):
        strange.settle()


class CutError(Exception):
    """The power goes."""


class CutRauc(Rauc):
    """The power goes just before, or just after, the n-th thing that RAUC is told."""

    def __init__(self, rauc: Rauc, told: list[str], at: int, *, is_after: bool) -> None:
        self._rauc = rauc
        self._told = told
        self._at = at
        self._is_after = is_after

    def _tell(self, word: str, call: Callable[[], None]) -> None:
        self._told.append(word)
        if len(self._told) - 1 == self._at:
            if self._is_after:
                call()
            raise CutError(word)
        call()

    def status(self) -> Any:
        return self._rauc.status()

    def install(self, *words: Any) -> None:
        self._tell("install", lambda: self._rauc.install(*words))

    def mark(self, word: Any, slot: str) -> None:
        self._tell(f"mark-{word} {slot}", lambda: self._rauc.mark(word, slot))


def with_cuts(box: Box, at: int, *, is_after: bool) -> list[str]:
    """An update to its end, with one cut; what RAUC was told."""
    told: list[str] = []
    for _ in range(RESTARTS):
        try:
            outcome = box.live(lambda: CutRauc(box.bench.rauc(), told, at, is_after=is_after))
        except CutError:
            box.restart()
        else:
            assert outcome.did is Did.RESTING
            return told
    raise AssertionError("it comes to no end")


@pytest.mark.parametrize(
    ("is_ill", "is_after"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.long),
        pytest.param(True, False, marks=pytest.mark.long),
    ],
)
def test_the_power_goes_at_everything_that_rauc_is_told(tmp_path: Path, is_ill: bool, is_after: bool) -> None:
    at, told = 0, ["first"]
    while at < len(told):
        folder = tmp_path / str(at)
        with RaucBench(folder / "box").running() as bench:
            box = Box(bench, folder / "data")
            image = box.offer(1, 2)
            box.world.ill = frozenset({image}) if is_ill else frozenset()
            told = with_cuts(box, at, is_after=is_after)
            outcome, confirmed = ("rolled back", "a") if is_ill else ("confirmed", "b")
            assert [each[0] for each in box.told()] == [outcome], told[at]
            assert (box.record().confirmed, bench.booted) == (confirmed, confirmed.upper()), told[at]
            assert bench.primary == confirmed.upper()
        at += 1
    assert at > 4


def test_a_rauc_that_is_away_for_a_while_loses_nothing(box: Box) -> None:
    box.offer(1, 2)
    box.bench.end_service()
    with pytest.raises(StorageError, match="was not provided"):
        box.live()
    box.bench.start_service()
    assert box.live().did is Did.RESTING
    assert box.record().confirmed == "b"
