"""A node with the gateway's own inbox, and the command that speaks to it as a process."""

import asyncio
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
from typer.testing import CliRunner, Result

from drivers.errors import DeviceConfigError, DeviceTimeoutError
from edge.gateway.audit import AuditLog
from edge.gateway.config import digest_of
from edge.gateway.inbox import Inbox
from edge.gateway.operators import Operator
from edge.gateway.results import Results
from edge.identity.operator_keys import OperatorKey
from emulators.broker import Mosquitto
from protocols.wayside.envelope import Desired, desired_of, parse_envelope
from protocols.wayside.state import Reported, ReportedConfig, encode
from protocols.wayside.topics import down_topic, up_topic
from tools.cli import app

WAYSIDE = Path(sys.executable).with_name("wayside")
V5 = aiomqtt.ProtocolVersion.V5
NODE = "rsu-7f3a"
CONFIG = f"""
[node]
id = "{NODE}"
data = "var"

[uplink.mqtt]
brokers = ["mqtt://localhost:1883"]
acknowledged_by = "ingest"
"""


class Clock:
    def wall_ms(self, at: float | None = None) -> int:
        return time.time_ns() // 1_000_000

    def quality(self) -> str:
        return "ntp"

    def uptime_ms(self, at: float | None = None) -> int:
        return time.monotonic_ns() // 1_000_000


class Node:
    """A node: the gateway's inbox for commands; for configurations it does as `verdict` says."""

    def __init__(self, client: aiomqtt.Client, folder: Path, public: bytes, ops: tuple[str, ...]) -> None:
        self._client = client
        self._unsent: asyncio.Queue[tuple[str, bytes, bool]] = asyncio.Queue()
        self.done: list[tuple[str | None, str, Mapping[str, Any]]] = []
        self.heard: list[aiomqtt.Message] = []
        self.desired: list[Desired] = []
        self.is_slow = asyncio.Event()
        self.verdict: Callable[[Desired, str], ReportedConfig] = lambda desired, digest: ReportedConfig(
            version=desired.version, digest=digest, state="running"
        )
        audit = AuditLog(folder / "audit")
        audit.open()
        self.inbox = Inbox(
            node=NODE, clock=Clock(), results=Results(folder / "results.jsonl"), audit=audit,
            carry_out=self._carry_out, publish=lambda route, payload: self.say(route, payload),
        )  # fmt: skip
        self.inbox.set_operators([Operator("ops-1", public, ops)], [])
        self.inbox.open()

    def say(self, route: str, payload: bytes, *, retain: bool = False) -> None:
        self._unsent.put_nowait((route, payload, retain))

    def report(self, config: ReportedConfig) -> None:
        self.say("reported", encode(Reported(config=config)), retain=True)

    async def listen(self) -> None:
        async for message in self._client.messages:
            self.heard.append(message)
            if message.topic.value == down_topic(NODE, "command"):
                self.inbox.receive(message.payload)
                continue
            envelope = parse_envelope(message.payload)
            assert envelope.is_signed("desired", self.inbox.verify)
            desired = desired_of(envelope)
            self.desired.append(desired)
            digest = digest_of(tomllib.loads(desired.document))
            self.report(self.verdict(desired, digest))

    async def talk(self) -> None:
        while True:
            route, payload, retain = await self._unsent.get()
            await self._client.publish(up_topic(NODE, route), payload, qos=1, retain=retain)

    async def _carry_out(self, device: str | None, op: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.done.append((device, op, arguments))
        if op == "test.wait":
            await asyncio.wait_for(self.is_slow.wait(), 30)
        if device == "dead":
            raise DeviceTimeoutError("no answer \x1b[2J")
        if device == "nobody":
            raise DeviceConfigError("no device is called nobody")
        return {"shown": 1, "text": "好"}


@asynccontextmanager
async def node_on(
    broker: Mosquitto, folder: Path, key: OperatorKey, *, ops: tuple[str, ...] = ("*",), **options: Any
) -> AsyncIterator[Node]:
    async with aiomqtt.Client(broker.host, broker.port, identifier=NODE, protocol=V5, **options) as client:
        await client.subscribe(f"wayside/1/down/{NODE}/#", qos=1)
        node = Node(client, folder, key.public_bytes, ops)
        tasks = [asyncio.create_task(node.listen()), asyncio.create_task(node.talk())]
        try:
            yield node
        finally:
            await node.inbox.aclose()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Wayside:
    """The command, as a process, so that its exit code and its two outputs are the real ones."""

    def __init__(self, broker_url: str, folder: Path, *common: str) -> None:
        self._common = ["--broker", broker_url, "--node", NODE, "--signing-key", str(folder / "ops-1.key"), *common]

    async def __call__(self, *words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            str(WAYSIDE), *words, *self._common, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | (env or {}),
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                out, talk = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, out.decode(), talk.decode()


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


# Configurations -----------------------------------------------------------------------------------------------------


def config_file(folder: Path, text: str = CONFIG) -> Path:
    file = folder / "pushed.toml"
    file.write_text(text, "utf-8")
    return file


def invoke(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, words, env=env)
