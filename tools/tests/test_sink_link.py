"""The sink on a broker, in this process: early acknowledgements, a disk that fills and empties, a bounded inbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.tests.scripted_broker import ScriptedBroker
from emulators.broker import Mosquitto
from protocols.wayside.pack_codec import encode_pack
from protocols.wayside.state import Ack, Ingest, decode
from tools.sink import link as link_module
from tools.sink.link import Inbox, Link, LinkSettings, UnreachableError
from tools.sink.store import Store
from tools.tests.sink_records import FullDisk

V5 = aiomqtt.ProtocolVersion.V5
NODE = "rsu-7f3a"
EPOCH = "9c41d07be21f00aa"


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


async def say(client: aiomqtt.Client, seq: int) -> None:
    payload = encode_pack(node=NODE, epoch=EPOCH, boot=1, seq=seq, device="flow-1", time=seq, time_quality="ntp",
                          uptime=seq, points=["n"], offsets=[0], values=[[seq]], bad=[])  # fmt: skip
    await client.publish(f"wayside/1/up/{NODE}/telemetry/flow-1", payload, qos=1)


class Ear:
    """What a node hears."""

    def __init__(self) -> None:
        self.upto = 0
        self.ingest: list[bool] = []

    async def listen(self, client: aiomqtt.Client) -> None:
        await client.subscribe(f"wayside/1/down/{NODE}/ack", qos=1)
        await client.subscribe("wayside/1/ingest", qos=1)
        async for message in client.messages:
            if message.topic.value == "wayside/1/ingest":
                self.ingest.append(decode(message.payload, Ingest).online)
            else:
                self.upto = max(self.upto, decode(message.payload, Ack).upto)


def settings_for(broker: Mosquitto, **options: Any) -> LinkSettings:
    return LinkSettings(host=broker.host, port=broker.port, client_id="ingest-1", patience_s=5, **options)


@asynccontextmanager
async def sink_on(broker: Mosquitto, store: Store, talk: list[str]) -> AsyncIterator[tuple[Link, asyncio.Event]]:
    stop, connected = asyncio.Event(), asyncio.Event()
    link = Link(settings_for(broker), store, tls=None, say=talk.append, on_connected=connected.set)
    task = asyncio.create_task(link.run(stop))
    try:
        await asyncio.wait_for(connected.wait(), 10)
        yield link, stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


@asynccontextmanager
async def node_on(broker: Mosquitto) -> AsyncIterator[tuple[aiomqtt.Client, Ear]]:
    ear = Ear()
    async with aiomqtt.Client(broker.host, broker.port, identifier=NODE, protocol=V5) as client:
        task = asyncio.create_task(ear.listen(client))
        try:
            yield client, ear
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_200_records_are_acknowledged_before_the_period_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "ACK_PERIOD_S", 3600)
    store = Store(tmp_path / "ledger.db")
    async with (
        Mosquitto(tmp_path / "broker") as broker,
        sink_on(broker, store, []),
        node_on(broker) as (node, ear),
    ):
        for start in range(1, 200, 9):
            await asyncio.gather(*(say(node, seq) for seq in range(start, min(start + 9, 200))))
        assert ear.upto == 0
        await say(node, 200)
        await until(lambda: ear.upto == 200)
    store.close()


async def test_a_disk_that_is_full_sends_the_nodes_waiting_until_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PROBE_PERIOD_S", 0.05)
    talk: list[str] = []
    store = Store(tmp_path / "ledger.db")
    disk: Any = FullDisk(store._db)
    store._db = disk
    async with (
        Mosquitto(tmp_path / "broker") as broker,
        sink_on(broker, store, talk),
        node_on(broker) as (node, ear),
    ):
        await say(node, 1)
        await until(lambda: ear.upto == 1 and ear.ingest[-1:] == [True])
        disk.is_full = True
        for seq in (2, 3, 4):
            await say(node, seq)
        await until(lambda: ear.ingest[-1] is False)
        assert ear.upto == 1
        disk.is_full = False
        await until(lambda: ear.ingest[-1] is True)
        assert ear.upto == 1, "what was not stored is not acknowledged afterwards either"
        for seq in (2, 3, 4):
            await say(node, seq)
        await until(lambda: ear.upto == 4)
    store.close()
    assert [("full" in line, "again" in line) for line in talk] == [(True, False), (False, True)], (
        "once lost, once back"
    )


async def test_a_broker_that_is_frozen_is_left_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "KEEPALIVE_S", 1)
    monkeypatch.setattr(link_module, "RECONNECT_CAP_S", 0.2)
    talk: list[str] = []
    store = Store(tmp_path / "ledger.db")
    async with Mosquitto(tmp_path / "broker") as broker, sink_on(broker, store, talk):
        broker.freeze()
        await until(lambda: any("lost the broker" in line for line in talk))
        broker.resume()
        await until(lambda: any("connected again" in line for line in talk), 30)
        async with node_on(broker) as (node, ear):
            await say(node, 1)
            await until(lambda: ear.upto == 1)
    store.close()
    assert sum("lost the broker" in line for line in talk) == 1


async def test_a_broker_that_never_was_there_is_given_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "ledger.db")
    settings = LinkSettings(host="127.0.0.1", port=1, client_id="ingest-1", patience_s=0)
    link = Link(settings, store, tls=None, say=print, on_connected=lambda: None)
    with pytest.raises(UnreachableError):
        await link.run(asyncio.Event())
    store.close()


@pytest.mark.parametrize("versions", [(5, 4), (4,)])
async def test_a_broker_that_does_not_let_it_hear_the_nodes_ends_it_with_words(
    tmp_path: Path, versions: tuple[int, ...]
) -> None:
    """A certificate for another role: without this it would serve, and store nothing, for ever."""
    store = Store(tmp_path / "ledger.db")
    try:
        async with ScriptedBroker(versions=versions) as broker:
            broker.denied_filters.add("wayside/1/up/#")
            settings = LinkSettings(host="127.0.0.1", port=broker.port, client_id="ingest-1", patience_s=10)
            link = Link(settings, store, tls=None, say=print, on_connected=lambda: None)
            with pytest.raises(UnreachableError, match="does not let us hear"):
                await asyncio.wait_for(link.run(asyncio.Event()), 20)
    finally:
        store.close()


async def test_the_inbox_hands_out_batches_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MAX_WAITING_BYTES", 10_000)
    inbox = Inbox()
    for number in range(30):
        inbox.put_nowait(aiomqtt.Message("a", bytes(500), 1, False, number, None))
    assert inbox.dropped == 20
    assert [message.mid for message in await inbox.take_batch()] == list(range(10))
    assert inbox.take_now() == []
    waiting = asyncio.create_task(inbox.take_batch())
    inbox.put_nowait(aiomqtt.Message("a", b"", 1, False, 99, None))
    assert [message.mid for message in await asyncio.wait_for(waiting, 5)] == [99]
