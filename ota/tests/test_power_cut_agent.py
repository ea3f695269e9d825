"""The whole agent with a real secondary, its power cut at any step of the gateway's disk, several times in a row.

The slots alone are explored with every cut (`test_power_cut_update.py`); here all that the agent keeps beside them is
on the same disk: trust, what was fetched, the last look, the trail, what secondaries run, reports. The secondary keeps
what it was told: after a cut it may know more than its gateway does.
"""

import random
import shutil
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ota.agent.account import account_on, explained
from ota.agent.agent import End
from ota.installers.mcu import McuInstaller
from ota.launcher import Launcher
from ota.reports import FOLDER as REPORTS
from ota.reports import ReportError, read_report
from ota.slots.record import BOOTS, RecordStore, read_key
from ota.testing.disk_double import DiskDouble, PowerCut
from ota.testing.mcu_double import KEY, Box
from ota.testing.repository_double import RepositoryDouble
from ota.tests.agent_device import DEVICE, Device, release, stick_of
from ota.tests.test_agent_secondaries import LAMP, NEW_FILES, OLD_FILES, Pair

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")

MOST_RUNS = 40
STEPS = 260
"""So many has the longest of its runs, and some more."""


class Disk:
    """The disk of the moment, for an agent that asks for a folder of the real one."""

    def __init__(self, folder: Path, double: DiskDouble) -> None:
        self.folder = folder
        self.double = double

    def __getattr__(self, name: str) -> Any:  # whatever a `Storage` has
        return getattr(self.double, name)

    def open(self) -> None:
        """It is there."""


def double_of(folder: Path) -> DiskDouble:
    """A real folder as a disk in memory."""
    disk = DiskDouble()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            disk.make_folder(name)
        else:
            disk.write(name, 0, path.read_bytes())
            disk.set_mode(name, path.stat().st_mode & 0o777)
    return disk.settled()


class Scene:
    """A gateway and its lamp as they come from the bench, and a stick with a plan for both."""

    def __init__(self, folder: Path) -> None:
        repository = RepositoryDouble(now=datetime(2026, 6, 1, tzinfo=UTC))
        (folder / "sources").mkdir()
        with repository.serving() as web:
            self.device = Device(folder / "box", repository, web, release("1", 1, folder / "sources", 4_000))
        repository.add_image("rsu/gateway/2.tar", release("2", 2, folder / "sources", 4_000), counter=2, min_counter=2)
        self.pair = Pair(folder, repository, self.device)
        self.pair.publish()
        self.pair.plan("2", "2")
        self.stick = stick_of(self.device, folder / "stick")
        self.disk = double_of(folder / "box" / "update")
        shutil.copytree(folder / "lamp", folder / "lamp as it was")
        self.folder = folder

    def begin(self) -> DiskDouble:
        """The lamp as it was; returns such a disk."""
        shutil.rmtree(self.folder / "lamp")
        shutil.copytree(self.folder / "lamp as it was", self.folder / "lamp")
        self.pair.lamp = Box(self.folder / "lamp", ecu=LAMP)
        return self.disk.settled()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


class Row:
    """One update with some cuts."""

    def __init__(self, scene: Scene, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene = scene
        self.rng = random.Random(seed)
        self.cuts = self.rng.randint(1, 6)
        self.disk = Disk(scene.folder / "box" / "update", scene.begin())
        self.left = 0
        monkeypatch.setattr("ota.agent.agent.PosixStorage", lambda _folder: self.disk)

    def to_the_end(self) -> str:
        """How it ends. Whatever was cut, each start starts something, and the agent comes as far as it should."""
        with self.scene.pair.lamp.serving(self.scene.pair.socket):
            for run in range(MOST_RUNS):
                self.left = self.rng.choice([self.rng.randrange(STEPS), self.rng.randrange(60)])
                self.disk.double.begun = self._begun if run < self.cuts else lambda _step, _name: None
                try:
                    end = self._run()
                except PowerCut:
                    self.disk.double = self.disk.double.some_after_cut(self.rng)
                    continue
                assert self._explained(), "status and explain read what is there"
                if end is End.RESTING and self._outcome():
                    return self._outcome()
        raise AssertionError(f"no end after {MOST_RUNS} runs: {self._explained()}")

    def _run(self) -> End:
        key = read_key(self.disk)
        assert key is not None
        said: list[str] = []
        start = next(Launcher(self.disk, key, lock=nullcontext, say=said.append).starts(), None)
        assert start is not None, f"no slot can be started: {said}"
        device = self.scene.device
        device.slot = start.slot
        return device.agent(stick=self.scene.stick).run(is_forced=True)

    def _begun(self, _step: str, _name: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCut

    def _outcome(self) -> str:
        return account_on(self.disk, DEVICE).outcome

    def _explained(self) -> list[str]:
        return explained(account_on(self.disk, DEVICE))

    def check(self, outcome: str) -> None:
        """Both or none; the floor with it; and one report, signed, that says so."""
        is_new = outcome == "confirmed"
        lamp = self.scene.pair.lamp
        assert lamp.runs() == (NEW_FILES if is_new else OLD_FILES)
        assert not McuInstaller(LAMP, KEY, lamp.ask).state().is_trial
        key = read_key(self.disk)
        assert key is not None
        record = RecordStore(self.disk, key, nullcontext).read()
        assert record is not None
        assert (record.confirmed, record.trial) == ("b" if is_new else "a", "")
        assert record.floors == ({"rsu-arm64 rsu/gateway": 2} if is_new else {})
        names = [name for name in self.disk.list(REPORTS) if name.endswith(".json")]
        assert names == ["1.json"]
        report = read_report(self.disk.read(f"{REPORTS}/1.json"), self._verify)
        assert report.outcome == outcome.replace(" ", "-")
        assert self.disk.list("fetch") == ["account"], "nothing of it is left"

    def _verify(self, signature: bytes, data: bytes) -> bool:
        self.scene.device.key.public_key().verify(signature, data)
        return True


def rows(scene: Scene, first_seed: int, count: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    ends: dict[str, int] = {}
    for seed in range(first_seed, first_seed + count):
        row = Row(scene, seed, monkeypatch)
        try:
            outcome = row.to_the_end()
            assert outcome == "confirmed" or row.cuts >= BOOTS, "only its starts roll back what is well"
            row.check(outcome)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        ends[outcome] = ends.get(outcome, 0) + 1
    sys.stdout.write(f"{count} rows from seed {first_seed}: {ends}\n")
    return ends


def test_a_gateway_and_its_lamp_end_together_however_the_power_goes(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    assert rows(scene, 1, 12, monkeypatch)["confirmed"] > 6


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_hundred_such_rows(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    assert rows(scene, random.SystemRandom().randrange(1 << 40), 500, monkeypatch)["confirmed"] > 200


def test_a_sync_of_the_report_that_is_forgotten_is_found(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """That this test can fail."""
    sync = DiskDouble.sync
    forgotten = f"{REPORTS}/1.json.new"
    monkeypatch.setattr(DiskDouble, "sync", lambda disk, name: None if name == forgotten else sync(disk, name))
    with pytest.raises((AssertionError, ReportError)):
        rows(scene, 1, 300, monkeypatch)
