"""A lane that must begin again begins again, however long the disk refuses, and the gateway lives on meanwhile."""

import asyncio

import pytest

from edge.gateway import epochs
from edge.gateway.epochs import EpochRenewal
from edge.store.errors import Cause, StorageError


class Disk:
    """Refuses `refusals` times, then renews."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.asked: list[str] = []

    async def renew(self, lane: str) -> int:
        self.asked.append(lane)
        await asyncio.sleep(0)
        if len(self.asked) <= self.refusals:
            raise StorageError("event: full", Cause.FULL)
        return 7


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    monkeypatch.setattr(epochs, "AGAIN_S", 0.001)


async def test_a_disk_that_refuses_is_said_once_and_asked_again_until_it_takes_it(caplog):
    disk, renewed = Disk(refusals=5), []
    await EpochRenewal(disk.renew, renewed.append).run("telemetry")
    assert renewed == ["telemetry"]
    assert len(disk.asked) == 6
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry: it needs a new epoch, and the disk does not take it: event: full; it is tried again by itself",
        "telemetry: the ingest knows records that this box has not made (a restored backup?): a new epoch, 7 lost",
    ]


async def test_an_ingest_that_says_it_again_meanwhile_does_not_cost_a_second_epoch(caplog):
    disk, renewed = Disk(refusals=2), []
    renewal = EpochRenewal(disk.renew, renewed.append)
    await asyncio.gather(renewal.run("event"), renewal.run("event"), renewal.run("telemetry"))
    assert sorted(renewed) == ["event", "telemetry"]
    await renewal.run("event")
    assert renewed.count("event") == 2


async def test_a_stop_meanwhile_is_a_stop():
    disk = Disk(refusals=10_000)
    task = asyncio.create_task(EpochRenewal(disk.renew, lambda _lane: None).run("event"))
    while len(disk.asked) < 2:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
