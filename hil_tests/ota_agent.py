"""A small agent that takes one update after the other: the program of the images of `test_ota_kill.py`.

It is started by the launcher out of a slot, works on the real disk, and may be killed at any moment. What is outside
of the device lies in a folder: the images that can be fetched, the plan, the reports that have come, and a log.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

from ota.installers.release_dir import ReleaseDir
from ota.slots.driver import Did, Driver
from ota.slots.lock import record_lock
from ota.slots.neighbours import Report
from ota.slots.record import read_key
from ota.storage import PosixStorage
from ota.testing.slot_world import OWN, HealthDouble, PayloadDouble, Release, SecondariesDouble, World, offer_of

DONE = 3
"""Exit code: nothing is left to do."""


class ReportFolder:
    """Reports as they come in: one file an attempt, and a line each time that one comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, report: Report) -> None:
        """See `Reports`."""
        fresh = self._folder / f"{report.attempt}.new"
        fresh.write_text(json.dumps([report.attempt, report.outcome, report.reason]))
        fresh.rename(self._folder / f"{report.attempt}.json")


def main() -> None:
    """`<update folder> <outside>`; the launcher says which slot this is."""
    folder, outside = Path(sys.argv[1]), Path(sys.argv[2])
    slot = os.environ["WAYSIDE_SLOT"]
    number, is_ill = json.loads((outside / "plan.json").read_text())
    release = release_of(number)
    storage = PosixStorage(folder)
    key = read_key(storage)
    assert key is not None, "the launcher has read it"
    world = World(blobs={release.sha256: release.image}, ill=frozenset({release.sha256} if is_ill else ()))
    installer = ReleaseDir(storage, key)
    trailer = installer.trailer(slot)
    assert trailer is not None, "the launcher has verified it"
    with (outside / "log").open("a") as log:
        log.write(f"{slot} {trailer.counter}\n")
    driver = Driver(
        storage,
        key,
        lock=partial(record_lock, folder),
        installer=installer,
        payload=PayloadDouble(storage, world),
        secondaries=SecondariesDouble(world),
        health=HealthDouble(world, trailer.sha256),
        reports=ReportFolder(outside),
        own_ecu=OWN,
        running=slot,
        may_switch=lambda _plan: "",
    )
    driver.offer(offer_of(number, release))
    sys.exit(DONE if driver.run().did is Did.RESTING else 0)


def release_of(number: int) -> Release:
    """The release that a plan wants: each has a counter of its own, and the same program."""
    return Release(number, min_counter=number, source=b"from hil_tests.ota_agent import main\n\nmain()\n")
