"""`wayside sink` as its own process on a real Mosquitto: killed, restarted, cut off, and used wrongly."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiomqtt
import pytest

from edge.identity.development_ca import DevelopmentCa
from emulators.broker import BrokerTls, EmbeddedBroker, Mosquitto
from protocols.wayside.events import encode_event, encode_transaction
from protocols.wayside.pack_codec import encode_pack
from protocols.wayside.ranges import RangeSet
from protocols.wayside.state import Ack, Ingest, State, decode, encode
from protocols.wayside.topics import INGEST_TOPIC, down_topic, up_topic
from tools.sink.ledger import read_ledger, verify_ledger

pytestmark = pytest.mark.hil

WAYSIDE = Path(sys.executable).with_name("wayside")
V5 = aiomqtt.ProtocolVersion.V5
NODE = "rsu-7f3a"
EPOCHS: dict[Any, str] = {
    "telemetry": "9c41d07be21f00aa",
    "event": "11b2ee0c9aa04417",
    "transaction": "22b2ee0c9aa04417",
}
ACL = Path(__file__).parents[2] / "edge/deploy/mosquitto.acl"


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


class Sink:
    """The process, and the ledger that it writes."""

    def __init__(self, url: str, ledger: Path, *options: str) -> None:
        self.ledger = ledger
        self.command = [str(WAYSIDE), "sink", "--broker", url, "--ledger", str(ledger), "--json", *options]
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            line = await self.process.stdout.readline()
            if not line:
                raise AssertionError((await self.process.stderr.read()).decode())
        assert "ready" in json.loads(line)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def end(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            out, _ = await self.process.communicate()
        assert self.process.returncode == 0
        return json.loads(out)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.communicate()

    def received(self) -> dict[str, int]:
        if not self.ledger.exists():
            return {}
        return {lane.lane: lane.received for lane in read_ledger(self.ledger).lanes}


class Node:
    """A node's side in a few lines: publishes records, and remembers what the ingest acknowledged."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.acked = {lane: RangeSet() for lane in EPOCHS}
        self.acks: list[Ack] = []
        self.ingest: list[bool] = []

    async def listen(self) -> None:
        await self.client.subscribe(down_topic(NODE, "ack"), qos=1)
        await self.client.subscribe(INGEST_TOPIC, qos=1)
        async for message in self.client.messages:
            if message.topic.value == INGEST_TOPIC:
                self.ingest.append(decode(message.payload, Ingest).online)
                continue
            ack = decode(message.payload, Ack)
            self.acks.append(ack)
            for first, last in [(1, ack.upto), *ack.also]:
                self.acked[ack.lane].add(first, last)

    async def say(self, seq: int, lane: str = "telemetry", *, late: bool = False) -> None:
        common = {"node": NODE, "epoch": EPOCHS[lane], "seq": seq, "boot": 1, "time_quality": "ntp"}
        if lane == "telemetry":
            payload = encode_pack(**common, device="flow-1", time=seq, uptime=seq, points=["n"], offsets=[0],
                                  values=[[seq]], bad=[])  # fmt: skip
            route = f"{'backfill' if late else 'telemetry'}/flow-1"
        else:
            encoder = encode_event if lane == "event" else encode_transaction
            payload = encoder(**common, device="reader-1", kind="tap", time_ms=seq, uptime_ms=seq, data={"n": seq})
            route = f"{lane}/tap"
        await self.client.publish(up_topic(NODE, route), payload, qos=1)

    async def be_born(self, **fields: Any) -> None:
        state = State(node=NODE, online=True, boot=1, session=1, epochs=EPOCHS, **fields)
        await self.client.publish(up_topic(NODE, "state"), encode(state), qos=1, retain=True)


@asynccontextmanager
async def node_on(broker: Mosquitto | EmbeddedBroker) -> AsyncIterator[Node]:
    async with aiomqtt.Client(broker.host, broker.port, identifier=NODE, protocol=V5) as client:
        node = Node(client)
        task = asyncio.create_task(node.listen())
        try:
            yield node
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def test_records_are_stored_once_and_acknowledged_in_ranges(broker: Mosquitto, ledger: Path) -> None:
    async with Sink(broker.url, ledger) as sink, node_on(broker) as node:
        for seq in (1, 2, 3, 7, 7, 2, 5):
            await node.say(seq, late=seq == 5)
        await node.say(1, "event")
        await node.say(1, "transaction")
        await until(lambda: len(node.acked["telemetry"]) == 5 and len(node.acked["transaction"]) == 1)
        assert node.acked["telemetry"].pairs() == [[1, 3], [5, 5], [7, 7]]
        assert len(node.acked["event"]) == 1
        answer = await sink.end()
    assert answer["lanes"]["telemetry"] == {
        "made": 7, "received": 5, "acked": 5, "lost": 0, "duplicates": 2, "missing": 2,
    }  # fmt: skip
    assert answer["ok"] is True


async def test_a_birth_is_answered_also_one_that_was_retained(broker: Mosquitto, ledger: Path) -> None:
    async with node_on(broker) as node:
        await node.be_born(lanes={"telemetry": (3, 0)})
        async with Sink(broker.url, ledger) as sink:
            await until(lambda: {ack.lane for ack in node.acks} == set(EPOCHS))
            assert {(ack.epoch, ack.upto) for ack in node.acks} == {(epoch, 0) for epoch in EPOCHS.values()}
            await node.say(2)
            await until(lambda: 2 in node.acked["telemetry"])
            node.acks.clear()
            await node.be_born()
            await until(lambda: {ack.lane for ack in node.acks} == set(EPOCHS))
            assert [ack.also for ack in node.acks if ack.lane == "telemetry"] == [[(2, 2)]]
            assert (await sink.end())["lanes"]["telemetry"]["made"] == 3


async def test_killed_between_commit_and_acknowledgement_it_counts_once_and_acknowledges_later(
    broker: Mosquitto, ledger: Path
) -> None:
    """Field failure 18: with an acknowledgement lost, repeats carry the same key and the sink counts them once."""
    async with node_on(broker) as node:
        await node.be_born()
        async with Sink(broker.url, ledger, "--withhold-acks") as sink:
            for seq in range(1, 51):
                await node.say(seq)
                await node.say(seq, "transaction")
            await until(lambda: sink.received() == {"telemetry": 50, "event": 0, "transaction": 50})
            assert node.acks == []
            await sink.kill()
        async with Sink(broker.url, ledger) as sink:
            # The retained birth is enough: nothing needs to be sent again.
            await until(lambda: node.acked["telemetry"].upto == 50 and node.acked["transaction"].upto == 50)
            for seq in range(1, 51):
                await node.say(seq, late=True)
            await until(lambda: read_ledger(ledger).totals()["telemetry"]["duplicates"] == 50)
            await sink.end()
    account = verify_ledger(ledger)
    assert account.problems == []
    assert account.totals()["telemetry"]["received"] == 50


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_a_restart_in_mid_stream_loses_nothing(broker: Mosquitto, ledger: Path, how: str) -> None:
    total = 1200
    async with node_on(broker) as node:
        await node.be_born()

        async def stream() -> None:
            for start in range(1, total, 10):
                await asyncio.gather(*(node.say(seq) for seq in range(start, start + 10)))

        async with Sink(broker.url, ledger) as first:
            task = asyncio.create_task(stream())
            await until(lambda: node.acked["telemetry"].count >= 200)
            await (first.end() if how == "restart" else first.kill())
        async with Sink(broker.url, ledger) as second:
            await task
            async with asyncio.timeout(60):
                while gaps := node.acked["telemetry"].gaps(1, total):
                    seen = len(node.acks)
                    for first_seq, last_seq in gaps:
                        for seq in range(first_seq, last_seq + 1):
                            await node.say(seq, late=True)
                    await until(lambda seen=seen: len(node.acks) > seen)
            await second.end()
    account = verify_ledger(ledger)
    assert account.problems == []
    assert account.totals()["telemetry"]["received"] == total
    assert account.totals()["telemetry"]["acked"] == total


async def test_an_ingest_that_loses_what_it_took_never_acknowledges(broker: Mosquitto, ledger: Path) -> None:
    """Field failure 8: the sink PUBACKs, discards, withholds the application's acknowledgement."""
    async with node_on(broker) as node:
        await node.be_born()
        async with Sink(broker.url, ledger, "--discard") as sink:
            await asyncio.gather(*(node.say(seq, "transaction") for seq in range(1, 21)))  # every one is PUBACKed
            assert (await sink.end())["lanes"] == {}
        assert node.acks == []
        async with Sink(broker.url, ledger) as sink:
            for seq in range(1, 21):
                await node.say(seq, "transaction")
            await until(lambda: node.acked["transaction"].upto == 20)
            assert (await sink.end())["lanes"]["transaction"]["duplicates"] == 0


async def test_it_says_when_it_is_there_and_when_it_is_not(broker: Mosquitto, ledger: Path) -> None:
    async with node_on(broker) as node:
        async with Sink(broker.url, ledger) as sink:
            await until(lambda: node.ingest == [True])
            await sink.end()
            await until(lambda: node.ingest[-1] is False)
        async with Sink(broker.url, ledger) as sink:
            await until(lambda: node.ingest[-1] is True)
            await sink.kill()
            await until(lambda: node.ingest[-1] is False)
        assert node.ingest == [True, False, True, False]


async def test_it_comes_back_after_the_broker(broker: Mosquitto, ledger: Path) -> None:
    async with Sink(broker.url, ledger) as sink:
        async with node_on(broker) as node:
            await node.be_born()
            await node.say(1)
            await until(lambda: node.acked["telemetry"].upto == 1)
        await broker.kill()
        await broker.start()
        async with node_on(broker) as node:
            await until(lambda: True in node.ingest)
            await node.be_born()
            await node.say(2)
            await until(lambda: node.acked["telemetry"].upto == 2)
        await sink.end()
    assert verify_ledger(ledger).problems == []


async def test_it_works_on_the_embedded_broker_too(tmp_path: Path, ledger: Path) -> None:
    async with EmbeddedBroker(tmp_path / "embedded") as broker, Sink(broker.url, ledger) as sink:
        async with node_on(broker) as node:
            await node.be_born()
            await node.say(1)
            await until(lambda: node.acked["telemetry"].upto == 1)
        await sink.end()
    assert verify_ledger(ledger).problems == []


async def test_with_mutual_tls_and_the_shipped_list_it_does_its_work(tmp_path: Path, ledger: Path) -> None:
    now = datetime.now(UTC)
    ca = DevelopmentCa.create(tmp_path / "pki", now=now)
    server, us, them = (
        ca.issue_server("broker", now=now),
        ca.issue_client("ingest", now=now),
        ca.issue_client(NODE, now=now),
    )
    tls = BrokerTls(ca=ca.ca, cert=server.cert, key=server.key)
    async with Mosquitto(tmp_path / "tls", tls=tls, acl=ACL) as broker:
        options = ("--ca", str(ca.ca), "--cert", str(us.cert), "--key", str(us.key))
        theirs = aiomqtt.TLSParameters(ca_certs=str(ca.ca), certfile=str(them.cert), keyfile=str(them.key))
        async with (
            Sink(broker.url, ledger, *options) as sink,
            aiomqtt.Client(broker.host, broker.port, identifier=NODE, protocol=V5, tls_params=theirs) as client,
        ):
            node = Node(client)
            task = asyncio.create_task(node.listen())
            await node.be_born()
            await node.say(1)
            await until(lambda: node.acked["telemetry"].upto == 1 and True in node.ingest)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await sink.end()
    assert verify_ledger(ledger).problems == []


async def test_hostile_messages_are_counted_and_nothing_else(broker: Mosquitto, ledger: Path) -> None:
    async with Sink(broker.url, ledger) as sink, node_on(broker) as node:
        for tail in ("telemetry/flow-1", "event/x", "state", "catalogue/aa", "health", "nonsense", "x/y/z"):
            for payload in (b"", b"\xff" * 100, b"{" * 1000, b"x" * 70_000):
                await node.client.publish(up_topic(NODE, tail), payload, qos=1)
        await node.say(1)
        await until(lambda: node.acked["telemetry"].upto == 1)
        answer = await sink.end()
    assert answer["refused"] == 7 * 4 - 5  # the five empty ones clear their topics
    assert answer["lanes"]["telemetry"]["received"] == 1


def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
    command = [str(WAYSIDE), "sink", "--json", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--broker", "http://localhost"],
        ["--broker", "mqtt://"],
        ["--broker", "mqtt://localhost:x"],
        ["--broker", "mqtt://localhost/path"],
        ["--broker", "mqtt://user:secret@localhost"],
        ["--broker", "mqtts://broker..example"],
        ["--broker", "mqtt://broker.example"],
        ["--broker", "mqtts://localhost", "--cert", "/etc/hostname"],
        ["--broker", "mqtts://localhost", "--ca", "/nowhere/ca.pem"],
        ["--broker", "mqtts://localhost", "--ca", "/etc/hostname"],
        ["--broker", "mqtt://localhost", "--id", "Not Good"],
    ],
    ids=lambda arguments: " ".join(arguments[1:]),
)
def test_a_wrong_option_is_named_and_ends_with_2(arguments: list[str], ledger: Path) -> None:
    code, answer, talk = run(*arguments, "--ledger", str(ledger))
    assert code == 2
    assert answer["ok"] is False
    assert answer["reason"] in talk
    assert len(talk.splitlines()) == 1
    assert "secret" not in talk
    assert not ledger.exists()


def test_a_broker_that_is_not_there_ends_with_3(ledger: Path) -> None:
    code, answer, talk = run("--broker", "mqtt://127.0.0.1:1", "--ledger", str(ledger), "--patience", "0.5")
    assert (code, answer["ok"]) == (3, False)
    assert len(talk.splitlines()) == 1
    assert "127.0.0.1:1" in talk


async def test_a_ledger_in_use_or_in_no_folder_ends_with_1(broker: Mosquitto, ledger: Path) -> None:
    async with Sink(broker.url, ledger):
        code, answer, _ = await asyncio.to_thread(run, "--broker", broker.url, "--ledger", str(ledger))
        assert code == 1
        assert "another sink" in answer["reason"]
    code, answer, talk = await asyncio.to_thread(run, "--broker", broker.url, "--ledger", "/nowhere/ledger.db")
    assert code == 1
    assert len(talk.splitlines()) == 1
    assert "/nowhere" in answer["reason"]
