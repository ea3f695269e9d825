"""The whole gateway in this process, without a broker: what stops a part of it, and what must not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge.gateway import epochs
from edge.gateway.app import EXIT_STOPPED, Gateway
from edge.gateway.config import parse_config
from edge.gateway.config_history import ConfigHistory
from edge.store.errors import Cause, StorageError

HEAD = """\
[node]
id = "n-1"
data = "var"
[uplink.mqtt]
brokers = ["mqtt://127.0.0.1:1"]
acknowledged_by = "ingest"
"""


class Life:
    """A gateway from its start to its end."""

    def __init__(self, folder: Path, tail: str = "") -> None:
        self.file = folder / "node.toml"
        self.file.write_text(HEAD + tail)
        (folder / "var").mkdir()
        history = ConfigHistory(folder / "var" / "config", self.file)
        document = history.open()
        self.gateway = Gateway(self.file, document, parse_config(document, self.file), history)
        self.task = asyncio.get_running_loop().create_task(self.gateway.run())

    async def until(self, condition: Callable[[], object], within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.01)

    async def end(self) -> int:
        self.gateway._stop.set()
        return await self.task


@pytest.fixture
async def lives() -> AsyncIterator[list[Life]]:
    """What a test has started, which ends with it."""
    started: list[Life] = []
    yield started
    for life in started:
        if not life.task.done():
            await life.end()


async def test_a_disk_that_refuses_a_new_epoch_does_not_end_the_gateway(tmp_path, lives, monkeypatch):
    monkeypatch.setattr(epochs, "AGAIN_S", 0.01)
    lives.append(life := Life(tmp_path))
    store, link = life.gateway._store, life.gateway._link
    await life.until(lambda: store.lanes["telemetry"].made)
    before, renew = store.lanes["telemetry"].epoch, store.renew_epoch
    refusals = iter([StorageError("full", Cause.FULL)] * 3)

    async def refusing(lane: str) -> int:
        for error in refusals:
            raise error
        return await renew(lane)

    monkeypatch.setattr(life.gateway._epochs, "_renew", refusing)
    link._on_ahead("telemetry")
    await life.until(lambda: store.lanes["telemetry"].epoch != before)
    assert await life.end() == EXIT_STOPPED
