"""The uplink with the real store: exactly once by deduplication, over restarts, refusals and an ingest that is away."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge.store import lane_view
from edge.store.opening import open_store
from edge.store.outbox import Outbox
from edge.store.store import Quotas, Store
from edge.tests.outbox_double import NODE, LoopClock, Running, Told, make_uplink, mqtt_config, stays, until
from edge.tests.scripted_broker import Publish, ScriptedBroker
from edge.uplinks.mqtt_uplink import MqttUplink
from protocols.wayside.ranges import RangeSet

Key = tuple[str, str, int]


class IngestDouble:
    """Behind a scripted broker: keeps what it gets by key, and answers each birth and each record."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.broker = broker
        broker.answer = self.take
        self.seen: Counter[Key] = Counter()
        self.order: list[tuple[str, Key]] = []
        self.ranges: dict[tuple[str, str], RangeSet] = {}
        self.acknowledges = True

    def take(self, publish: Publish) -> int | str:
        body = json.loads(publish.payload)
        if publish.topic.endswith("/state"):
            if body["online"]:
                for lane, epoch in body["epochs"].items():
                    self.ranges.setdefault((lane, epoch), RangeSet())
                asyncio.get_running_loop().call_soon(self.acknowledge, body["session"])
            return 0
        key = (body["lane"], body["epoch"], body["seq"])
        self.seen[key] += 1
        self.order.append((publish.topic.split("/")[4], key))
        self.ranges.setdefault(key[:2], RangeSet()).add(key[2])
        asyncio.get_running_loop().call_soon(self.acknowledge)
        return 0

    @property
    def repeats(self) -> int:
        """Records that came once more."""
        return sum(self.seen.values()) - len(self.seen)

    def acknowledge(self, session: int | None = None) -> None:
        if self.acknowledges:
            for (lane, epoch), ranges in self.ranges.items():
                ack = {"lane": lane, "epoch": epoch, "upto": ranges.upto, "also": ranges.also}
                ack |= {} if session is None else {"session": session}
                self.broker.send(f"wayside/1/down/{NODE}/ack", json.dumps(ack).encode())

    def say(self, *, online: bool) -> None:
        self.broker.send("wayside/1/ingest", json.dumps({"online": online, "time": 0, "id": "ingest-1"}).encode())


def encode_loss(**what: Any) -> bytes:
    return json.dumps(
        {"lane": "event", "epoch": what["event_epoch"], "seq": what["seq"], "loss": what["lane"]}
    ).encode()


class Box:
    """A store and an uplink, as one start of the gateway has them."""

    def __init__(self, folder: Path, broker: ScriptedBroker) -> None:
        clock = LoopClock()
        self.store: Store = open_store(folder, quotas=Quotas(64), encode_loss=encode_loss, monotonic=clock.monotonic)
        self.ahead: list[str] = []
        self.outbox = Outbox(list(self.store.lanes.values()), has_ingest=True, on_ahead=self.ahead.append)
        epochs = {name: lane.epoch for name, lane in self.store.lanes.items()}
        config = mqtt_config(broker.url, acknowledged_by="ingest")
        self.uplink: MqttUplink = make_uplink(config, self.outbox, Told(), epochs=epochs)

    async def make(self, count: int, lane_name: str = "telemetry", route: str = "telemetry/flow-1") -> None:
        lane = self.store.lanes[lane_name]
        for _ in range(count):
            body = {"lane": lane_name, "epoch": lane.epoch, "seq": lane.next_seq, "values": "." * 200}
            lane.append(route, json.dumps(body).encode())
        await self.store.commit()
        self.uplink.wake()

    @property
    def queued(self) -> int:
        return sum(lane.queued for lane in self.store.lanes.values())


@asynccontextmanager
async def box_at(folder: Path, broker: ScriptedBroker) -> AsyncIterator[Box]:
    box = Box(folder, broker)
    try:
        async with Running(box.uplink):
            yield box
    finally:
        box.store.close()


async def test_a_restart_in_mid_drain_repeats_at_most_a_window(tmp_path: Path) -> None:
    """Row 18: what was acknowledged is not sent again, and what is sent again bears the same key."""
    async with ScriptedBroker() as broker:
        ingest = IngestDouble(broker)
        repeats = [0]
        for start in range(5):
            async with box_at(tmp_path, broker) as box:
                await box.make(2000)
                await until(lambda: len(ingest.seen) > 2000 * start + 1000)  # noqa: B023 # it waits before the next turn
                repeats.append(ingest.repeats)
                # No farewell of the store: its position file lags behind, as after a power cut.
        async with box_at(tmp_path, broker) as box:
            await until(lambda: box.queued == 0)
            assert len(ingest.seen) == box.store.lanes["telemetry"].made == 10_000
        repeats.append(ingest.repeats)
        assert max(after - before for before, after in pairwise(repeats)) <= 16


async def test_live_records_overtake_a_backlog(tmp_path: Path) -> None:
    """Row 21: the first of the backlog within 5 s, live ones within 3 s."""
    async with ScriptedBroker() as broker:
        ingest = IngestDouble(broker)
        await broker.stop()
        async with box_at(tmp_path, broker) as box:
            await box.make(20_000)
            await broker.start()
            box.uplink.link_up()
            loop = asyncio.get_running_loop()
            began = loop.time()
            await until(lambda: any(kind == "backfill" for kind, _key in ingest.order))
            assert loop.time() - began < 5
            ages = []
            while box.queued > 500:
                seq = box.store.lanes["telemetry"].next_seq
                made_at = loop.time()
                await box.make(1)
                key = ("telemetry", box.store.lanes["telemetry"].epoch, seq)
                await until(lambda: key in ingest.seen)  # noqa: B023 # it waits before the next turn
                ages.append(loop.time() - made_at)
            await until(lambda: box.queued == 0)
            assert sorted(ages)[int(len(ages) * 0.95)] < 3
            assert {kind for kind, _key in ingest.order} == {"telemetry", "backfill"}


async def test_an_ingest_that_is_away_stops_the_flow_and_costs_nothing(tmp_path: Path) -> None:
    """Rows 8, 19: journaling goes on, nothing spins, and all arrives when it is back."""
    async with ScriptedBroker() as broker:
        ingest = IngestDouble(broker)
        async with box_at(tmp_path, broker) as box:
            await until(lambda: box.uplink.is_connected and broker.clients)
            ingest.say(online=False)
            await until(lambda: box.uplink.status()["ingest"] is False)
            await box.make(300)
            await box.make(10, "transaction", "transaction/fare")
            pumps = 0
            pump = box.uplink._session.pump

            def counted() -> None:
                nonlocal pumps
                pumps += 1
                pump()

            box.uplink._session.pump = counted
            await stays(lambda: pumps < 10 and not ingest.seen, 1.5)
            ingest.say(online=True)
            await until(lambda: box.queued == 0)
            assert len(ingest.seen) == 310
            assert ingest.order[0][0] == "transaction"


async def test_only_the_ingests_word_frees_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 8: PUBACK is not "stored": what the ingest does not acknowledge goes again, over reconnects too."""
    monkeypatch.setattr(lane_view, "RESEND_FIRST_S", 0.2)
    async with ScriptedBroker() as broker:
        ingest = IngestDouble(broker)
        ingest.acknowledges = False
        async with box_at(tmp_path, broker) as box:
            await box.make(50, "transaction", "transaction/fare")
            await until(lambda: len(ingest.seen) == 50 and box.uplink.status()["in_flight"] == 0)
            broker.reset_all()
            await until(lambda: sum(ingest.seen.values()) >= 100)
            assert box.queued == 50
            ingest.acknowledges = True
            ingest.acknowledge()
            await until(lambda: box.queued == 0)
