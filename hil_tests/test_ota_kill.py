"""The real launcher and a real agent under SIGKILL at random, on a real disk: it boots, it ends, it tells once."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil_tests.ota_agent import DONE, release_of
from ota.installers.release_dir import ReleaseDir
from ota.slots.lock import record_lock
from ota.slots.record import Record, RecordStore
from ota.storage import PosixStorage
from ota.testing.slot_world import KEY, set_up_with

pytestmark = pytest.mark.hil

FLOOR = "rsu-1 rsu/gateway"


class Device:
    """A folder with slots, and what is outside of it."""

    def __init__(self, folder: Path) -> None:
        self.storage = PosixStorage(folder / "update")
        self.storage.open()
        self.outside = folder / "outside"
        self.outside.mkdir()
        set_up_with(self.storage, release_of(1))

    def record(self) -> Record:
        record = RecordStore(self.storage, KEY, lambda: record_lock(self.storage.folder)).read()
        assert record is not None
        return record

    def plan(self, number: int, *, is_ill: bool) -> None:
        (self.outside / "plan.json").write_text(json.dumps([number, is_ill]))

    def start(self) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "-m", "ota.launcher", str(self.storage.folder)]
        return subprocess.Popen([*line, str(self.storage.folder), str(self.outside)], stderr=subprocess.PIPE)

    def report(self, number: int) -> str:
        """How the attempt ended, as it was told."""
        return json.loads((self.outside / f"{number}.json").read_text())[1]

    def started(self) -> list[tuple[str, int]]:
        """(slot, counter) of every start of an agent."""
        log = (self.outside / "log").read_text().split()
        return list(zip(log[::2], map(int, log[1::2]), strict=True))


def run_for(device: Device, seconds: float) -> int | None:
    """Its exit code; None where it was killed."""
    with device.start() as process:
        try:
            said = process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None
    assert process.returncode in (0, DONE), said.decode()
    return process.returncode


def to_the_end(device: Device) -> None:
    for _start in range(8):
        if run_for(device, 60) == DONE:
            return
    raise AssertionError("no end after 8 starts")


@pytest.mark.parametrize("rounds", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.long)])
@pytest.mark.timeout(1200)
def test_a_device_that_is_killed_at_random_boots_ends_and_tells_once(rounds: int, tmp_path: Path):
    seed = random.SystemRandom().randrange(1 << 32)
    sys.stdout.write(f"seed {seed}\n")
    rng = random.Random(seed)
    device = Device(tmp_path)
    installer = ReleaseDir(device.storage, KEY)
    begun = time.monotonic()
    device.plan(2, is_ill=False)
    to_the_end(device)
    whole_s = (time.monotonic() - begun) / 2
    confirmed, number, kills = 2, 2, 0
    ends = {"confirmed": 0, "rolled back": 0}
    while kills < rounds:
        number += 1
        is_ill = rng.random() < 0.3
        device.plan(number, is_ill=is_ill)
        for _kill in range(rng.randint(1, 6)):
            code = run_for(device, rng.uniform(0, whole_s))
            kills += code is None
            assert installer.fault(device.record().confirmed) == "", "the confirmed slot is whole at every moment"
            assert device.record().floors == {FLOOR: max(confirmed, device.record().floors[FLOOR])}
            if code == DONE:
                break
        to_the_end(device)
        record = device.record()
        end = device.report(number)
        ends[end] += 1
        assert (record.outcome, record.attempt, record.trial) == (end, str(number), "")
        assert end == "rolled back" or not is_ill
        confirmed = number if end == "confirmed" else confirmed
        trailer = installer.trailer(record.confirmed)
        assert trailer is not None
        assert (trailer.counter, record.floors) == (confirmed, {FLOOR: confirmed})
    told = sorted(int(file.stem) for file in device.outside.glob("*.json") if file.stem != "plan")
    assert told == list(range(2, number + 1)), "every attempt has ended in one report"
    assert {counter for _slot, counter in device.started()} <= set(range(1, number + 1))
    assert ends["confirmed"]
    sys.stdout.write(f"{kills} kills over {number - 2} updates: {ends}\n")
