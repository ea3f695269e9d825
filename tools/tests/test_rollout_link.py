"""The engine's way to the nodes, at a real broker: outages, hostile messages, a database that is away, two of them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.identity.operator_keys import OperatorKey
from edge.tests.scripted_broker import ScriptedBroker
from emulators.broker import Mosquitto, find_mosquitto
from ota.campaign.engine.heard import Account, Heard, Look
from ota.campaign.engine.intake import Refused
from ota.campaign.store.plans import Command
from ota.errors import OtaError
from protocols.wayside.envelope import command_of, parse_envelope
from protocols.wayside.state import Reported, ReportedConfig, State, encode
from tools.control import Broker, UnreachableError
from tools.rollouts import link as link_module
from tools.rollouts.link import Link, Signer
from tools.sink import link as sink_link

needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None, reason="Mosquitto is not installed (apt-get install mosquitto)"
)
KEY = OperatorKey.new()
FLEET = ("bus-1", "bus-2")


class EngineDouble:
    """What the link asks of an engine; the commands to send are put into `waiting`."""

    def __init__(self) -> None:
        self.waiting: list[Command] = []
        self.claimed: dict[str, Command] = {}
        self.told: list[str] = []
        self.given_back: list[str] = []
        self.heard: list[Heard] = []
        self.listening: list[int | None] = []
        self.rounds = 0
        self.away = ""
        self.slow_s = 0.0

    def _look(self) -> None:
        if self.away:
            raise OtaError(self.away)

    def hear_since(self, now: int | None) -> None:
        self.listening.append(now)

    def take(self, heard: Sequence[Heard]) -> list[Refused]:
        self._look()
        time.sleep(self.slow_s)
        self.heard += heard
        return [
            Refused(device=one.device, reason="no device of this fleet") for one in heard if one.device not in FLEET
        ]

    def work(self, _now: int) -> int:
        self._look()
        self.rounds += 1
        return 0

    def claim(self, _now: int, limit: int) -> list[Command]:
        self._look()
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.claimed.update((one.id, one) for one in taken)
        return taken

    def sent(self, ids: Sequence[str], _now: int) -> None:
        self._look()
        self.told += ids

    def give_back(self, ids: Sequence[str]) -> None:
        self._look()
        self.given_back += ids
        self.waiting += [self.claimed[each] for each in ids]


def command(number: int, device: str = "bus-1") -> Command:
    return Command(id=f"rollout-{number:024x}", device=device, plan=number, made_at=1_790_000_000)


@asynccontextmanager
async def linked(
    broker: Mosquitto, engine: EngineDouble, said: list[str], *, instance: str = "1"
) -> AsyncIterator[asyncio.Event]:
    """A link that runs until the context is left."""
    stop = asyncio.Event()
    double: Any = engine
    own = Link(
        double, Broker(broker.url, broker.host, broker.port, None), Signer("rollout", KEY),
        instance=instance, clock=time.time, say=said.append,
    )  # fmt: skip
    running = asyncio.create_task(own.run(stop))
    try:
        await until(lambda: engine.listening or running.done())
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)


async def until(condition: Callable[[], Any], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits seconds in the field."""
    monkeypatch.setattr(link_module, "PAUSE_S", 0.02)
    monkeypatch.setattr(link_module, "RECONNECT_CAP_S", 0.2)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@asynccontextmanager
async def node(broker: Mosquitto, name: str) -> AsyncIterator[tuple[aiomqtt.Client, list[bytes]]]:
    """What a node is told."""
    told: list[bytes] = []
    async with aiomqtt.Client(broker.host, broker.port, identifier=name, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(f"wayside/1/down/{name}/command", qos=1)

        async def listen() -> None:
            with contextlib.suppress(aiomqtt.MqttError):  # the test takes its broker away
                async for message in client.messages:
                    told.append(bytes(message.payload))  # noqa: PERF401  # it is looked at while it grows

        ear = asyncio.create_task(listen())
        yield client, told
        ear.cancel()


async def publish(client: aiomqtt.Client, route: str, payload: bytes, name: str = "bus-1", **more: Any) -> None:
    await client.publish(f"wayside/1/up/{name}/{route}", payload, qos=1, **more)


def birth(name: str = "bus-1", boot: int = 3) -> bytes:
    return encode(State(node=name, online=True, boot=boot, session=1))


def report(**account: Any) -> bytes:
    config = ReportedConfig(version=1, digest="0" * 64, state="running")
    return encode(Reported(config=config, slots=account))


# Commands -------------------------------------------------------------------------------------------------------------


@needs_mosquitto
async def test_a_command_is_signed_and_sent_once(broker: Mosquitto):
    engine = EngineDouble()
    async with node(broker, "bus-1") as (_client, told), linked(broker, engine, []):
        engine.waiting.append(command(7))
        await until(lambda: engine.told)
        await asyncio.sleep(0.2)
    assert engine.told == [command(7).id]
    envelope = parse_envelope(told[0])
    assert len(told) == 1
    assert envelope.key_id == "rollout"
    sent = command_of(envelope)
    assert (sent.node, sent.id, sent.op, sent.args) == ("bus-1", command(7).id, "update.look", {"plan": 7})
    assert sent.issued == command(7).made_at * 1000


@needs_mosquitto
async def test_what_waited_through_an_outage_is_sent_after_it_and_is_the_same(broker: Mosquitto):
    engine, said = EngineDouble(), list[str]()
    async with linked(broker, engine, said):
        async with node(broker, "bus-1") as (_client, told):
            engine.waiting.append(command(1))
            await until(lambda: told)
        broker.freeze()
        engine.waiting.append(command(2))
        await until(lambda: command(2).id in engine.claimed)
        await broker.kill()
        await until(lambda: command(2).id in engine.given_back)
        assert engine.told == [command(1).id]
        await until(lambda: engine.listening[-1] is None)
        await broker.start()
        await until(lambda: command(2).id in engine.told)
    assert engine.told == [command(1).id, command(2).id]
    assert None in engine.listening, "we were deaf meanwhile, and nobody's silence counts"
    assert engine.listening[-1] is None or engine.listening[-1] > 0
    assert sum(line.startswith("broker: ") and "trying again" in line for line in said) == 1
    assert said.count("broker: connected again") == 1


@needs_mosquitto
async def test_a_command_that_is_sent_again_is_the_same_bytes(broker: Mosquitto):
    engine = EngineDouble()
    async with node(broker, "bus-1") as (_client, told), linked(broker, engine, []):
        engine.waiting.append(command(1))
        await until(lambda: len(told) == 1)
        engine.waiting.append(command(1))
        await until(lambda: len(told) == 2)
    assert told[0] == told[1]


# What is heard --------------------------------------------------------------------------------------------------------


@needs_mosquitto
async def test_what_nodes_say_reaches_the_engine(broker: Mosquitto):
    engine = EngineDouble()
    async with node(broker, "bus-1") as (client, _told):
        await publish(client, "reported", report(plan=3), retain=True)
        async with linked(broker, engine, []):
            await until(lambda: engine.heard)
            await publish(client, "state", birth())
            await until(lambda: len(engine.heard) == 2)
    kept, fresh = engine.heard
    assert isinstance(kept, Account)
    assert (kept.device, kept.is_fresh, kept.account) == ("bus-1", False, {"plan": 3})
    assert isinstance(fresh, Look)
    assert (fresh.starts, fresh.is_fresh) == (3, True)


@needs_mosquitto
async def test_what_comes_while_we_are_away_waits_for_us(broker: Mosquitto):
    engine = EngineDouble()
    async with node(broker, "bus-1") as (client, _told):
        async with linked(broker, engine, []):
            pass
        await publish(client, "state", birth(boot=9))
        async with linked(broker, engine, []):
            await until(lambda: engine.heard)
    (look,) = engine.heard
    assert isinstance(look, Look)
    assert look.starts == 9


@needs_mosquitto
async def test_hostile_messages_are_told_once_and_harm_nobody(broker: Mosquitto):
    engine, said = EngineDouble(), list[str]()
    routes = ("state", "reported", "health", "event/update", "result/x")
    bad = (b"", b"\xff\x00", b"{}", b"[" * 5000, b"null", birth()[:-1], b'{"v": 2}', b"9" * 500, bytes(100_000))
    async with linked(broker, engine, said), node(broker, "bus-1") as (client, _told):
        for _again in range(3):
            for route in routes:
                for payload in bad:
                    await publish(client, route, payload)
        await publish(client, "state", birth(name="stranger-1"), name="stranger-1")
        await publish(client, "state", birth(name="stranger-1"), name="stranger-1")
        await publish(client, "state", birth())
        await until(lambda: any(one.device == "bus-1" for one in engine.heard))
    assert {one.device for one in engine.heard} == {"bus-1", "stranger-1"}
    assert len(said) == len(routes) + 1
    assert said[-1] == "stranger-1: no device of this fleet"
    assert all(line.startswith("wayside/1/up/bus-1/") for line in said[:-1])


@needs_mosquitto
async def test_not_everybody_is_told_of(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(link_module, "MAX_SAID", 5)
    engine, said = EngineDouble(), list[str]()
    async with linked(broker, engine, said), node(broker, "bus-1") as (client, _told):
        for number in range(20):
            await publish(client, "state", birth(name=f"x-{number}"), name=f"x-{number}")
        await until(lambda: len(engine.heard) == 20)
    assert len(said) == 6
    assert said[-1] == "more of these are not told"


@needs_mosquitto
async def test_more_than_the_database_takes_waits_at_the_broker(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch):
    """The first connection to a large fleet: all that the broker keeps comes at once."""
    monkeypatch.setattr(sink_link, "MAX_WAITING_BYTES", 400_000)  # two thirds of what comes
    monkeypatch.setattr(link_module, "MAX_BATCH", 20)
    engine, said = EngineDouble(), list[str]()
    engine.slow_s = 0.02
    async with node(broker, "bus-1") as (client, _told):
        for number in range(900):
            await publish(client, "reported", report(plan=number), name=f"x-{number}", retain=True)
        async with linked(broker, engine, said):
            await until(lambda: len({one.device for one in engine.heard}) == 900, within_s=40)
    assert not [line for line in said if "more came" in line]


@needs_mosquitto
async def test_what_could_not_be_held_is_asked_for_again(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sink_link, "MAX_WAITING_BYTES", 60_000)  # of 60 accounts, and a half
    engine, said = EngineDouble(), list[str]()
    engine.away = "database: away"
    async with node(broker, "bus-1") as (client, _told):
        for number in range(60):
            await publish(client, "reported", report(plan=number), name=f"x-{number}", retain=True)
        async with linked(broker, engine, said):
            await asyncio.sleep(0.5)
            for number in range(180):
                await client.publish(f"wayside/1/up/x-{number % 60}/reported", report(plan=number), retain=True)
            await asyncio.sleep(0.5)
            engine.away = ""
            await until(lambda: len({one.device for one in engine.heard}) == 60)
    assert "broker: more came than could be held, and is asked for again; trying again" in said
    assert None in engine.listening, "we were deaf meanwhile"


# The database, the broker, another engine -----------------------------------------------------------------------------


@needs_mosquitto
async def test_a_database_that_is_away_is_told_once_and_nothing_is_lost(broker: Mosquitto):
    engine, said = EngineDouble(), list[str]()
    async with linked(broker, engine, said), node(broker, "bus-1") as (client, told):
        await until(lambda: engine.rounds)
        engine.away = "database: sqlite:///r.db: disk I/O error"
        engine.waiting.append(command(1))
        await publish(client, "state", birth())
        await until(lambda: said)
        await asyncio.sleep(1)
        assert said == [f"{engine.away}; trying again"]
        assert not told
        gone, engine.away = engine.away, ""
        await until(lambda: told and engine.heard and engine.told)
        await until(lambda: len(said) > 1)
        await asyncio.sleep(0.5)
    assert said == [f"{gone}; trying again", f"over: {gone}"]


async def test_a_broker_that_does_not_let_us_hear_ends_it_with_words():
    async with ScriptedBroker() as broker:
        broker.denied_filters.add("wayside/1/up/+/reported")
        url = f"mqtt://127.0.0.1:{broker.port}"
        engine: Any = EngineDouble()
        link = Link(
            engine, Broker(url, "127.0.0.1", broker.port, None), Signer("rollout", KEY), instance="1",
            clock=time.time, say=print,
        )  # fmt: skip
        with pytest.raises(BaseExceptionGroup) as refused:
            await asyncio.wait_for(link.run(asyncio.Event()), 20)
    (error,) = refused.value.exceptions
    assert isinstance(error, UnreachableError)
    assert str(error) == f"{url} does not let us hear wayside/1/up/+/reported"


@needs_mosquitto
async def test_two_engines_hear_both_and_each_sends_its_own(broker: Mosquitto):
    one, two = EngineDouble(), EngineDouble()
    said: list[str] = []
    async with (
        linked(broker, one, said), linked(broker, two, said, instance="2"), node(broker, "bus-1") as (client, told),
    ):  # fmt: skip
        one.waiting.append(command(1))
        two.waiting.append(command(2))
        await publish(client, "state", birth())
        await until(lambda: len(told) == 2 and one.heard and two.heard)
    assert {command_of(parse_envelope(each)).id for each in told} == {command(1).id, command(2).id}
    assert (one.told, two.told, said) == ([command(1).id], [command(2).id], [])
