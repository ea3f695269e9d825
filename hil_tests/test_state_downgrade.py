"""A release on trial writes journal, configuration and slots in its own way and dies; the one before runs again.

What it must read it reads; what it cannot read it keeps apart and says so; and what the newer one has written is there
when it comes back.
"""

import json
from pathlib import Path

import pytest

from edge.gateway.start import _start_configuration
from edge.store.opening import open_store
from edge.store.store import Quotas, Store
from hil_tests.newer_edition import PUSHED_VERSION, RADAR, NewerEdition
from ota.slots.driver import Did
from ota.slots.machine import State
from ota.storage import PosixStorage
from ota.testing.slot_world import KEY, Release, World, driver_on, launch, offer_of, set_up_with

OLD, NEW = Release(1), Release(2)
PLAN = offer_of(5, NEW)
DOCUMENT = b"""
[node]
id = "rsu-1"
data = "data"

[uplink.mqtt]
brokers = ["mqtt://127.0.0.1:1883"]
acknowledged_by = "ingest"
"""


class Box:
    """A device with the release of today."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "node.toml"
        self.file.write_bytes(DOCUMENT)
        self.data = folder / "data"
        self.slots = PosixStorage(folder / "update")
        self.slots.open()
        set_up_with(self.slots, OLD)
        self.world = World(blobs={NEW.sha256: NEW.image})

    def start(self) -> tuple[str, list[str]]:
        """The slot that the launcher starts, and what it says."""
        start, said = launch(self.slots)
        assert start is not None, said
        return start.slot, said

    def store(self) -> Store:
        """Its journal."""
        (self.data / "journal").mkdir(parents=True, exist_ok=True)
        return open_store(
            self.data / "journal",
            quotas=Quotas(8),
            encode_loss=lambda **said: json.dumps(said).encode(),
            monotonic=lambda: 0.0,
        )

    def works(self) -> None:
        """A day: three events and three values, of which the ingest has the first; its configuration runs well."""
        store = self.store()
        for number in (1, 2, 3):
            store.lanes["event"].append("event/tap", b"event %d" % number)
            store.lanes["telemetry"].append("telemetry/flow", b"value %d" % number)
        store.commit_now()
        for lane in store.lanes.values():
            lane.acknowledge("mqtt", 1, 1)
        store.commit_now()
        store.close()
        document, _config, history = _start_configuration(self.file)
        history.confirm(document)


def owed(store: Store, lane: str) -> list[bytes]:
    """What the uplink still has to bring."""
    return [record.payload for record in store.lanes[lane].read(1) if record.seq not in store.lanes[lane].settled]


def test_what_a_release_on_trial_has_written_is_read_or_kept_and_nothing_is_refused_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    box = Box(tmp_path)
    box.works()
    driver = driver_on(box.slots, box.world, "a")
    driver.offer(PLAN)
    assert driver.run().did is Did.RESTART

    # The newer release runs, three times, and never confirms itself.
    newer = NewerEdition(box.data, tmp_path / "update", KEY)
    before = {file.name: file.read_bytes() for file in (box.data / "journal" / "event").glob("*-*.seg")}
    for boot in range(3):
        assert box.start()[0] == "b"
        if boot == 0:
            newer.run()
    slot, said = box.start()
    assert slot == "a"
    assert said, "the launcher tells why it starts the old one"

    # The slots: rolled back, reported once with its reason, and the newer one's field is still there.
    driver = driver_on(box.slots, box.world, "a")
    driver.offer(PLAN)
    assert driver.run().did is Did.RESTING
    record = driver.record()
    assert (driver.state(record), record.confirmed, record.outcome) == (State.IDLE, "a", "rolled back")
    assert [(report.outcome, report.rule) for report in box.world.reports] == [("rolled back", "health")]
    assert box.world.reports[0].reason

    # The configuration: the last one that this release knows runs; the other is named, and so is its number.
    document, config, history = _start_configuration(box.file)
    assert document == DOCUMENT
    assert config.node.id == "rsu-1"
    assert (history.state.version, history.state.outcome) == (PUSHED_VERSION, "refused")
    assert history.state.reason is not None
    assert "radar" in history.state.reason
    assert "this release cannot use what was pushed" in caplog.text
    assert "radar" in caplog.text
    history.confirm(document)

    # The journal: telemetry goes on where it was, events begin anew beside what only the newer release can read.
    store = box.store()
    assert store.boot == 42
    assert owed(store, "telemetry") == [b"value 2", b"value 3"]
    assert store.lanes["event"].made == 0
    (note,) = store.notes()
    assert note == "event: 1 segments are of a newer format: kept for the program that wrote them"
    for lane in ("event", "telemetry"):
        store.lanes[lane].append(f"{lane}/x", b"after")
    store.commit_now()
    assert owed(store, "event") == [b"after"]
    assert owed(store, "telemetry") == [b"value 2", b"value 3", b"after"]
    assert all(lane.lost == 0 for lane in store.lanes.values()), "nothing was declared lost"
    store.close()

    # And the newer one, should it come back, finds all that was its own, and what was owed before it came.
    found = newer.finds_again()
    assert before.items() <= found["events"].items()
    assert any(data.startswith(b"WSJ\2") for data in found["events"].values())
    assert "position.json" in found["events"]
    assert DOCUMENT + RADAR in found["configurations"]
    assert found["rings"] == {"canary": 1}
