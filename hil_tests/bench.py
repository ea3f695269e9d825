"""One bench for end-to-end tests: a real Mosquitto over mutual TLS, the real ingest and the real gateway as processes.

Devices are emulated in the test's own process, so that a test can make them misbehave, or stand on real ports.
"""

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiomqtt

from edge.deploy import __file__ as deploy_package
from edge.identity.development_ca import DevelopmentCa
from edge.identity.operator_keys import OperatorKey
from edge.store.lane import Lane
from emulators.broker import BrokerTls, Mosquitto
from emulators.kit.hosts import Host
from tools.demo.parts import Part, lanes_of, prefill, sink_command, status_of
from tools.sink.ledger import Ledger, LedgerError, StoredRecord, read_ledger, read_records, verify_ledger

NODE = "bench-1"
PATIENCE_S = 20.0
JUST_NOW_S = 4.0
"""What is older and still owed was lost on its way, and goes again later."""


class Bench:
    """Enter it as a context; then `add` devices, write a configuration, start what is wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "node.toml"
        self.data = folder / "data"
        self.ledger_file = folder / "ledger.sqlite"
        self.operator = OperatorKey.new()
        self.hosts: list[Host] = []
        self.broker: Mosquitto
        self.gateway: Part
        self.as_shipped()
        self.sink = self.gateway

    async def __aenter__(self) -> Self:
        now = datetime.now(UTC)
        self.ca = DevelopmentCa.create(self.folder / "pki", now=now)
        server = self.ca.issue_server("localhost", now=now)
        for name in (NODE, "ingest", "control", "rollout"):
            self.ca.issue_client(name, now=now)
        (self.folder / "broker").mkdir()
        self.broker = Mosquitto(
            self.folder / "broker",
            tls=BrokerTls(ca=self.ca.ca, cert=server.cert, key=server.key),
            acl=Path(deploy_package).parent / "mosquitto.acl",
        )
        await self.broker.start()
        self.operator.write(self.folder / "ops-1.key", self.folder / "ops-1.pub")
        key = self.folder / "pseudonym.key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
        self.sink = Part(
            "sink", sink_command(self.broker.url, self.ledger_file, self.pki("ingest")), self.folder / "sink.log"
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.gateway.end(signal.SIGTERM)
        await self.sink.end(signal.SIGTERM)
        for host in self.hosts:
            await host.aclose()
        if self.broker.is_running:
            self.broker.resume()
            await self.broker.stop()

    async def add(self, host: Host) -> str:
        """Start an emulated device's host; return its endpoint."""
        await host.start()
        self.hosts.append(host)
        return host.endpoint

    # Configuration ----------------------------------------------------------------------------------------------

    def pki(self, name: str) -> tuple[Path, Path, Path]:
        """CA, certificate and key of a client."""
        folder = self.folder / "pki"
        return self.ca.ca, folder / f"{name}.pem", folder / f"{name}.key"

    def document(self, devices: str, *, brokers: list[str] | None = None, extra: str = "", mqtt: str = "") -> str:
        """A whole configuration around some device and bus tables."""
        ca, cert, key = self.pki(NODE)
        return f"""
[node]
id = "{NODE}"
data = "data"

[uplink.mqtt]
brokers = {json.dumps(brokers or [self.broker.url])}
acknowledged_by = "ingest"
{mqtt}

[uplink.mqtt.tls]
ca = "{ca}"
cert = "{cert}"
key = "{key}"

[privacy]
hash_key = "pseudonym.key"

[[commands.operator]]
name = "ops-1"
key = "ops-1.pub"
ops = ["*"]

{extra}
{devices}
"""

    def configure(self, devices: str, **options: Any) -> str:
        """Write the configuration and return it."""
        document = self.document(devices, **options)
        self.config.write_text(document)
        return document

    def prefill(self, count: int, *, points: int = 20) -> None:
        """Put packs into the journal as if they had been made while nobody was reached; the gateway must be stopped."""
        prefill(self.data, node=NODE, count=count, points=points)

    def as_shipped(self) -> None:
        """Have the gateway run as it is."""
        self.gateway = Part("gateway", [sys.executable, "-m", "edge", str(self.config)], self.folder / "gateway.log")

    def die_before(self, module: str, function: str) -> None:
        """Have the gateway be killed at the moment in which it would call a function of a module."""
        self._run_after(
            f"import os, signal\nimport {module} as module\n"
            f"module.{function} = lambda *_any: os.kill(os.getpid(), signal.SIGKILL)"
        )

    def shorten_trial(self, seconds: float) -> None:
        """Have the gateway judge a changed configuration sooner than in the field."""
        self.shorten("edge.gateway.trial", TRIAL_S=seconds, SETTLE_S=min(1.0, seconds / 4))

    def shorten(self, module: str, **seconds: float) -> None:
        """Have the gateway run with other constants in a module: what waits minutes in the field, a test does not."""
        self._run_after(f"import {module} as module\nvars(module).update({seconds})")

    def wake_in_1970(self) -> None:
        """Have the gateway run on a box without a clock of its own: at each start the system's begins at 1970."""
        self._run_after(
            "import time\n"
            "from edge.gateway import system_time\n"
            "began_ns = time.monotonic_ns()\n"
            "now_ms = lambda: (time.monotonic_ns() - began_ns) // 1_000_000\n"
            "time_at = lambda clock: system_time.SystemTime(wall_ms=now_ms(), is_kept=False)\n"
            "system_time.SystemClock.read = time_at"
        )

    def _run_after(self, preparation: str) -> None:
        program = (
            f"import sys, pathlib\n{preparation}\n"
            "from edge.gateway.start import run_gateway\n"
            "sys.exit(run_gateway(pathlib.Path(sys.argv[1])))"
        )
        self.gateway = Part("gateway", [sys.executable, "-c", program, str(self.config)], self.folder / "gateway.log")

    async def command_line(self, *arguments: str) -> tuple[int, str, str]:
        """Run `wayside ...` as the control side does; return (exit code, stdout, stderr)."""
        ca, cert, key = self.pki("control")
        where = ["--broker", self.broker.url, "--ca", str(ca), "--cert", str(cert), "--key", str(key)]
        who = ["--node", NODE, "--signing-key", str(self.folder / "ops-1.key"), "--key-id", "ops-1"]
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "tools.cli", *arguments, *where, *who],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, said = await process.communicate()
        return process.returncode or 0, out.decode(), said.decode()

    def client(self, name: str) -> aiomqtt.Client:
        """A connection to the broker as one of its other clients: `control`, `ingest` or `rollout`."""
        ca, cert, key = self.pki(name)
        return aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            identifier=f"{name}-test",
            tls_params=aiomqtt.TLSParameters(ca_certs=str(ca), certfile=str(cert), keyfile=str(key)),
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=10,
        )

    # Life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start ingest and gateway and wait until the gateway answers."""
        await self.start_sink()
        await self.start_gateway()

    async def start_sink(self) -> None:
        """Start the ingest and wait until it hears what nodes say."""
        await self.sink.start()
        await self.sink.first_lines(1)

    async def start_gateway(self) -> None:
        """Start the gateway and wait until it answers."""
        await self.gateway.start()
        await self.until(lambda: self.status() is not None, "the gateway answers")

    async def stop_gateway(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the gateway; return its exit code."""
        return await self.gateway.end(number)

    async def until(self, condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        """Wait until a condition holds and return what it gave."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = await asyncio.to_thread(condition)
                    if found:
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            said = f"gateway: {self.gateway.last_words()}; sink: {self.sink.last_words()}"
            raise AssertionError(f"not within {within_s} s: {what}; {said}") from None

    async def connected(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the uplink is reached."""
        await self.until(lambda: self.status()["uplink"]["state"] == "connected", "the uplink is reached", within_s)

    # What is seen -----------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any] | None:
        """The status document; None while nobody answers."""
        return status_of(self.data)

    def lane(self, name: str) -> dict[str, Any]:
        """The counters of a lane of the running gateway."""
        status = self.status()
        assert status is not None, "the gateway does not answer"
        lane: dict[str, Any] = status["lanes"][name]
        return lane

    def log(self) -> str:
        """What the gateway has said."""
        return (self.folder / "gateway.log").read_text("utf-8", "replace")

    def records(self, lane: str | None = None) -> list[StoredRecord]:
        """Every record that the ingest has."""
        try:
            return list(read_records(self.ledger_file, node=NODE, lane=lane)) if self.ledger_file.exists() else []
        except LedgerError:
            return []  # the ingest is only just making it

    def ledger(self) -> Ledger:
        """The ledger's counters."""
        return read_ledger(self.ledger_file)

    def journal(self) -> dict[str, Lane]:
        """The lanes as they lie on the disk; the gateway must be stopped."""
        return lanes_of(self.data)

    async def everything_arrived(self, within_s: float = 60.0, few: int = 3) -> None:
        """Wait until next to nothing is owed, stop the gateway, and hold its journal against the ledger."""
        await self.until(lambda: self.is_drained(few), "everything is acknowledged", within_s)
        await self.stop_gateway()
        ledger = verify_ledger(self.ledger_file)
        assert ledger.problems == [], ledger.problems
        for name, lane in self.journal().items():
            assert lane.made == lane.acked + lane.queued + lane.lost
            stored = [entry for entry in ledger.lanes if entry.lane == name and entry.epoch == lane.epoch]
            received = sum(entry.received + entry.lost for entry in stored)
            assert received == lane.made, f"{name}: {lane.made} made, {received} received or declared lost"

    def is_drained(self, few: int = 3) -> bool:
        """Whether the uplink is there and no lane owes more than a few records, which were made just now."""
        status = self.status()
        if status is None or status["uplink"]["state"] != "connected":
            return False
        return all(lane["queued"] <= few and lane["oldest_s"] < JUST_NOW_S for lane in status["lanes"].values())
