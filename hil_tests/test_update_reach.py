"""How whoever rolls releases out reaches a node, and hears of it: a poke, an account, a report; by the real parts.

The broker and its access list, the gateway and the update agent are real processes; the client is `rollout`, whose key
may ask for `update.*` alone.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.identity.operator_keys import OperatorKey
from hil_tests.bench import NODE, PATIENCE_S, Bench
from hil_tests.test_commands import knows_the_time
from ota.reports import Report, read_report
from ota.repository.image_tar import image_of
from ota.targets import Conditions, Schema, Target
from ota.testing.repository_double import RepositoryDouble
from protocols.wayside.envelope import Command, build_envelope
from protocols.wayside.events import decode_event, update_report_of
from protocols.wayside.state import Reported, Result, UpdateAccount, decode, update_account_of
from protocols.wayside.topics import down_topic, up_topic
from tools.demo.update_scene import FAMILY, HARDWARE, Box

pytestmark = pytest.mark.hil

OPERATOR = """
[[commands.operator]]
name = "rollout"
key = "rollout.pub"
ops = ["update.*"]
"""
UPDATE = """
[update]
file = "update.toml"
every_s = 604800
"""
NEVER = Conditions(local=["lane-closed"])
"""No part of the gateway judges it yet: a plan that names it waits."""


class Fleet:
    """The operator's side: releases, plans, and a connection as `rollout`."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.key = OperatorKey.new()
        self.repository = RepositoryDouble(now=datetime.now(UTC))
        self.targets: dict[int, Target] = {}
        self.commands = 0

    def set_up(self, url: str) -> None:
        """The device at the bench, with release 1 in slot a."""
        self.key.write(self.bench.folder / "rollout.key", self.bench.folder / "rollout.pub")
        self.box = Box(self.bench.folder, self.repository, url, device=NODE)
        for number in (1, 2):
            self._add(number)
        self.box.set_up(self.targets[1], self.repository.images[f"{FAMILY}/1.tar"])
        self.bench.configure("", extra=OPERATOR + UPDATE)

    def _add(self, number: int) -> None:
        source = self.bench.folder / f"source-{number}"
        source.mkdir()
        (source / "app.py").write_text(f"VERSION = {number}\n")
        image = image_of(
            source, name=FAMILY, version=str(number), counter=number, entry=["python", "app.py"], schema=Schema()
        )
        path = f"{FAMILY}/{number}.tar"
        facts = {"hardware": [HARDWARE], "family": FAMILY, "version": str(number)}
        self.targets[number] = self.repository.add_image(path, image, counter=number, **facts)

    def plan(self, release: int, **more: Any) -> int:
        """Plan a release; the plan's number."""
        return self.repository.set_plan(NODE, {"main": f"{FAMILY}/{release}.tar"}, **more).number

    def envelope(self, op: str, arguments: dict[str, Any]) -> bytes:
        self.commands += 1
        command = Command(
            v=1,
            node=NODE,
            id=f"c-{self.commands}",
            op=op,
            args=arguments,
            issued=time.time_ns() // 1_000_000,
            life_s=60,
        )
        return build_envelope("command", command, key_id="rollout", sign=self.key.sign)

    def verified(self, line: str) -> Report:
        """A report whose signature holds."""
        key = load_pem_private_key((self.bench.folder / "report.pem").read_bytes(), None)

        def verify(signature: bytes, data: bytes) -> bool:
            key.public_key().verify(signature, data)
            return True

        return read_report(line.encode(), verify)

    def events(self) -> list[dict[str, Any]]:
        """The data of every `update` event that the ingest has, each under a sequence of its own."""
        return [
            decode_event(record.payload).data
            for record in self.bench.records("event")
            if record.route == "event/update"
        ]


class Ear:
    """What `rollout` has heard."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.accounts: list[UpdateAccount | None] = []
        self.results: list[Result] = []
        self.reports: list[str] = []

    async def listen(self) -> None:
        async for message in self._client.messages:
            topic, payload = message.topic.value, bytes(message.payload)
            if topic.endswith("/reported"):
                self.accounts.append(update_account_of(decode(payload, Reported)))
            elif "/result/" in topic:
                self.results.append(decode(payload, Result))
            elif topic.endswith("/event/update"):
                self.reports.append(update_report_of(decode_event(payload)).report)
            else:
                assert topic.endswith(("/state", "/health")), f"{topic} is nothing for rollouts"


@asynccontextmanager
async def connected(bench: Bench) -> AsyncIterator[tuple[aiomqtt.Client, Ear]]:
    """As `rollout`, from now on hearing all that it may."""
    async with bench.client("rollout") as client, asyncio.TaskGroup() as group:
        await client.subscribe(up_topic(NODE, "#"), qos=1)
        ear = Ear(client)
        listening = group.create_task(ear.listen())
        yield client, ear
        listening.cancel()


@pytest.fixture
def fleet(bench: Bench) -> Iterator[Fleet]:
    standing = Fleet(bench)
    with standing.repository.serving() as web:
        standing.set_up(web.url)
        yield standing


async def ended(bench: Bench, fleet: Fleet, client: aiomqtt.Client, ear: Ear) -> None:
    """From a poke over a download to an attempt that is cancelled, which ends in a report."""
    plan = fleet.plan(2, conditions=NEVER)
    await client.publish(down_topic(NODE, "command"), fleet.envelope("update.look", {"plan": plan}), qos=1)
    await bench.until(
        lambda: any(each and each.attempt == str(plan) and each.waits_for for each in ear.accounts),
        "the agent was started, has fetched the release and waits",
    )
    assert [(each.id, each.state, each.out) for each in ear.results][-1] == ("c-1", "done", {"plan": plan})
    waiting = ear.accounts[-1]
    assert waiting is not None
    assert (waiting.plan, waiting.has_taken, waiting.outcome) == (plan, plan, "")
    assert "lane-closed" in waiting.waits_for
    assert [(slot.slot, slot.version, slot.is_confirmed) for slot in waiting.slots] == [
        ("a", "1", True),
        ("b", "2", False),
    ]
    cancelled = fleet.plan(2, is_cancelled=True)
    await client.publish(down_topic(NODE, "command"), fleet.envelope("update.look", {"plan": cancelled}), qos=1)


async def test_a_poke_an_account_and_a_report_that_comes_once(bench: Bench, fleet: Fleet):
    await bench.start()
    await knows_the_time(bench)
    async with connected(bench) as (client, ear):
        await ended(bench, fleet, client, ear)
        await bench.until(lambda: ear.reports and ear.accounts[-1].outcome == "cancelled", "it is told how it ended")
        refused = fleet.envelope("node.status", {})
        await client.publish(down_topic(NODE, "command"), refused, qos=1)
        await bench.until(lambda: ear.results[-1].state == "rejected", "no more than update.* is its own")
    (line,) = ear.reports
    report = fleet.verified(line)
    assert (report.device, report.attempt, report.outcome) == (NODE, "1", "cancelled")
    assert not list((bench.folder / "update" / "reports").glob("*.json")), "what the journal has goes from the disk"
    await bench.everything_arrived()
    assert fleet.events() == [{"report": line, "log": ""}]


async def test_a_power_cut_before_the_report_has_gone_repeats_it_and_loses_nothing(bench: Bench, fleet: Fleet):
    bench.die_before("edge.gateway.update_reports", "remove_report")
    await bench.start()
    await knows_the_time(bench)
    async with connected(bench) as (client, ear):
        await ended(bench, fleet, client, ear)
        async with asyncio.timeout(PATIENCE_S):
            assert await bench.gateway.process.wait() == -signal.SIGKILL
        assert (bench.folder / "update" / "reports" / "1.json").exists()
        bench.as_shipped()
        await bench.start_gateway()
        await bench.until(lambda: len(fleet.events()) == 2, "it comes again under another sequence")
        await bench.until(lambda: ear.accounts[-1].outcome == "cancelled", "what came of it is said at the start")
    await bench.everything_arrived()
    reports = {(each.device, each.attempt): each for each in map(fleet.verified, [e["report"] for e in fleet.events()])}
    assert [report.outcome for report in reports.values()] == ["cancelled"], "one attempt, one report"
    assert not list((bench.folder / "update" / "reports").glob("*.json"))


async def test_a_node_without_updates_rejects_a_poke_in_a_line(bench: Bench, fleet: Fleet):
    bench.configure("", extra=OPERATOR)
    await bench.start()
    await knows_the_time(bench)
    async with connected(bench) as (client, ear):
        await client.publish(down_topic(NODE, "command"), fleet.envelope("update.look", {}), qos=1)
        await bench.until(lambda: ear.results and ear.results[-1].state == "rejected", "it is answered")
        await bench.until(lambda: ear.accounts, "it says what it runs")
    assert ear.results[-1].reason == "this node takes no updates: its configuration names no file in [update]"
    assert ear.accounts[-1] is None
