"""A fleet for tests of rollouts: each device is the real update agent on a real disk, at a real broker over mutual TLS.

What is played is the gateway around the agent: it takes commands, starts the agent, publishes its account and its
reports as docs/wire.md says, and is well or not, by the model of the device and by what runs.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge.identity.development_ca import DevelopmentCa
from edge.identity.operator_keys import is_signed
from ota.agent.account_file import ACCOUNT
from ota.agent.agent import End, UpdateAgent
from ota.agent.config import read_config
from ota.agent.world import World
from ota.errors import OtaError
from ota.installers.release_dir import ReleaseDir
from ota.installers.tree import tree_of
from ota.slots.lock import record_lock
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage
from ota.vitals import Vitals
from protocols.wayside import state
from protocols.wayside.envelope import command_of, parse_envelope
from protocols.wayside.events import encode_event
from protocols.wayside.topics import down_topic, result_route, up_topic

HARDWARE = "rsu-arm64"
FAMILY = "rsu/gateway"
HEALTH_S = 2.0
OLD, NEW = "rsu/gateway/1.1.tar", "rsu/gateway/1.2.tar"
WELL = Vitals(boot=1, uptime_s=1e6, has_uplink=True, has_disk=True, time="set", devices=frozenset({"plc"}))


class Site(msgspec.Struct, frozen=True):
    """What devices are built with, and where they look."""

    director: str
    images: str
    director_root: bytes
    image_root: bytes
    first: bytes
    """The image that they run."""
    first_sha256: str
    command_key: bytes
    """Ed25519, of whoever may tell them to look."""


class _World(World):
    """Waiting costs nothing; the time of day is the real one."""

    def __init__(self) -> None:
        self._slept = 0.0
        self.vitals = WELL
        self.monotonic = lambda: self._slept  # type: ignore[method-assign]
        self.uniform = lambda low, high: (low + high) / 2  # type: ignore[method-assign]

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self._slept += seconds

    def look(self, _path: Path) -> Vitals:  # type: ignore[override]
        return self.vitals


class FleetDevice:
    """One device: `build` it, then `live`."""

    def __init__(
        self, name: str, model: str, folder: Path, site: Site, *, is_well: Callable[[str], bool], poll_s: float
    ) -> None:
        self.name = name
        self.model = model
        self.key = Ed25519PrivateKey.generate()
        self.commands: list[tuple[str, int]] = []
        """(id, plan) of each command that it has carried out."""
        self._folder = folder / name
        self._site = site
        self._is_well = is_well
        self._poll_s = poll_s
        self._turn = asyncio.Lock()
        self._world = _World()
        self._slot = "a"
        self._storage = PosixStorage(self._folder / "update")
        self._boot = 1
        self._sequence = 0
        self._epoch = secrets.token_hex(8)
        self._results: dict[str, str] = {}

    def build(self) -> None:
        """A box as it leaves the workshop, with the first release in slot `a`."""
        folder, site = self._folder, self._site
        folder.mkdir()
        (folder / "director.root.json").write_bytes(site.director_root)
        (folder / "image.root.json").write_bytes(site.image_root)
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "report.pem").write_bytes(pem)
        (folder / "update.toml").write_text(f"""
device = "{self.name}"
data = "update"
status_socket = "status.sock"
report_key = "report.pem"
[ecu.main]
hardware = "{HARDWARE}"
family = "{FAMILY}"
[director]
url = "{site.director}/director/{self.name}"
root = "director.root.json"
[images]
url = "{site.images}"
root = "image.root.json"
[health]
steady_s = 60
within_s = 600
""")
        self._config = read_config(folder / "update.toml")
        self._storage.open()
        trailer = Trailer(target=OLD, sha256=site.first_sha256, length=len(site.first), version="1.1", counter=1)
        set_up(
            self._storage, lambda: secrets.token_bytes(32), lock=partial(record_lock, folder / "update"),
            installer_of=lambda key: ReleaseDir(self._storage, key), trailer=trailer, pieces=[site.first],
        )  # fmt: skip

    @property
    def row(self) -> dict[str, Any]:
        """As the operator's side is told of it."""
        return {
            "id": self.name,
            "model": self.model,
            "ecu.main": HARDWARE,
            "target.main": OLD,
            "report_key": self.key.public_key().public_bytes_raw().hex(),
        }

    def runs(self) -> str:
        """The version in the slot that runs."""
        manifest = self._folder / "update" / tree_of(self._slot) / "manifest.json"
        version: str = json.loads(manifest.read_bytes())["version"]
        return version

    async def live(self, connect: Callable[[str], aiomqtt.Client], threads: ThreadPoolExecutor) -> None:
        """Until cancelled; a broker that is away is waited for."""
        while True:
            try:
                async with connect(self.name) as client:
                    await self._serve(client, threads)
            except* aiomqtt.MqttError:
                await asyncio.sleep(0.5)

    async def _serve(self, client: aiomqtt.Client, threads: ThreadPoolExecutor) -> None:
        await client.subscribe(down_topic(self.name, "command"), qos=1)
        await self._say_state(client)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._say_health(client))
            tasks.create_task(self._poll(client, threads))
            await self._work(client, threads, is_forced=False)
            async for message in client.messages:
                await self._take(client, threads, bytes(message.payload))

    async def _poll(self, client: aiomqtt.Client, threads: ThreadPoolExecutor) -> None:
        """Ask by itself, now and then, as every device does."""
        while True:
            await asyncio.sleep(self._poll_s)
            await self._work(client, threads, is_forced=True)

    async def _take(self, client: aiomqtt.Client, threads: ThreadPoolExecutor, payload: bytes) -> None:
        envelope = parse_envelope(payload)
        key = self._site.command_key
        assert envelope.is_signed("command", lambda _form, _id, signed, sig: is_signed(key, sig, signed))
        command = command_of(envelope)
        if command.id not in self._results:
            self.commands.append((command.id, command.args["plan"]))
            self._results[command.id] = "running"
            await self._answer(client, command.id, "accepted")
            await self._work(client, threads, is_forced=True)
        self._results[command.id] = "done"
        await self._answer(client, command.id, "done")

    async def _work(self, client: aiomqtt.Client, threads: ThreadPoolExecutor, *, is_forced: bool) -> None:
        """Run the agent until it rests, as the gateway's supervisor does; then pass on what it has to say."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            while True:
                end = await loop.run_in_executor(threads, partial(self._run, is_forced=is_forced))
                await self._say_account(client)
                if end is End.RESTING:
                    break
                if end is End.RESTART:
                    self._boot += 1
                    await self._say_state(client)
                else:
                    await asyncio.sleep(0.5)
            await self._say_reports(client)

    def _run(self, *, is_forced: bool) -> End:
        is_well = self._is_well(self.runs())
        self._world.vitals = msgspec.structs.replace(WELL, boot=self._boot, has_uplink=is_well)
        try:
            agent = UpdateAgent(self._config, running=self._slot, world=self._world)
            end = agent.run(is_forced=is_forced)
        except OtaError:  # as a process of its own it would have ended with it, and be started again
            return End.WAITING
        if end is End.RESTART:
            self._slot = agent.driver.record().to_start
        return end

    # What it says -----------------------------------------------------------------------------------------------

    async def _say(self, client: aiomqtt.Client, route: str, payload: bytes, *, retain: bool = False) -> None:
        await client.publish(up_topic(self.name, route), payload, qos=1, retain=retain)

    async def _say_state(self, client: aiomqtt.Client) -> None:
        birth = state.State(node=self.name, online=True, boot=self._boot, session=1)
        await self._say(client, "state", state.encode(birth), retain=True)
        await self._say_account(client)

    async def _say_health(self, client: aiomqtt.Client) -> None:
        while True:
            lane = state.LaneHealth(made=1, acked=1, queued=0, lost=0)
            health = state.Health(time=int(time.time() * 1000), uptime=1000, lanes={"telemetry": lane})
            await self._say(client, "health", state.encode(health))
            await asyncio.sleep(HEALTH_S)

    def _account(self) -> dict[str, Any]:
        if self._storage.size(ACCOUNT) < 0:
            return {}
        account: dict[str, Any] = json.loads(self._storage.read(ACCOUNT))
        return account

    async def _say_account(self, client: aiomqtt.Client) -> None:
        config = state.ReportedConfig(version=1, digest="sha256:0", state="running")
        reported = state.Reported(config=config, firmware={"version": self.runs()}, slots=self._account())
        await self._say(client, "reported", state.encode(reported), retain=True)

    async def _say_reports(self, client: aiomqtt.Client) -> None:
        reports = UpdateAgent(self._config, running=self._slot, world=self._world).reports
        assert reports is not None, "it has a key for them"
        for attempt in reports.waiting():
            line, log = reports.read(attempt)
            self._sequence += 1
            event = encode_event(
                node=self.name,
                device=None,
                kind="update",
                data={"report": line.decode(), "log": log.decode("utf-8", "replace")},
                epoch=self._epoch,
                seq=self._sequence,
                boot=self._boot,
                time_ms=int(time.time() * 1000),
                time_quality="ntp",
                uptime_ms=1000,
            )
            await self._say(client, "event/update", event)
            reports.taken(attempt)

    async def _answer(self, client: aiomqtt.Client, command: str, word: Any) -> None:
        result = state.Result(id=command, state=word, time=int(time.time() * 1000))
        await self._say(client, result_route(command), state.encode(result))


def credentials(ca: DevelopmentCa, names: list[str]) -> None:
    """A certificate for each."""
    now = datetime.now(UTC)
    for name in names:
        ca.issue_client(name, now=now)
