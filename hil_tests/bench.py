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

from edge.deploy import __file__ as deploy_package
from edge.identity.development_ca import DevelopmentCa
from edge.identity.operator_keys import OperatorKey
from edge.store.lane import Lane
from emulators.broker import BrokerTls, Mosquitto
from emulators.kit.hosts import Host
from tools.demo.parts import Part, lanes_of, status_of
from tools.sink.ledger import Ledger, StoredRecord, read_ledger, read_records, verify_ledger

NODE = "bench-1"
PATIENCE_S = 20.0


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
        self.gateway = Part("gateway", [sys.executable, "-m", "edge", str(self.config)], folder / "gateway.log")
        self.sink = self.gateway

    async def __aenter__(self) -> Self:
        now = datetime.now(UTC)
        self.ca = DevelopmentCa.create(self.folder / "pki", now=now)
        server = self.ca.issue_server("localhost", now=now)
        for name in (NODE, "ingest", "control"):
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
        self.sink = Part("sink", self._sink_command(), self.folder / "sink.log")
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

    def _sink_command(self) -> list[str]:
        ca, cert, key = self.pki("ingest")
        command = [sys.executable, "-m", "tools.cli", "sink", "--json", "--broker", self.broker.url]
        return [*command, "--ledger", str(self.ledger_file), "--ca", str(ca), "--cert", str(cert), "--key", str(key)]

    # Life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start ingest and gateway and wait until the gateway answers."""
        await self.sink.start()
        await self.sink.first_lines(1)
        await self.start_gateway()

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
        return list(read_records(self.ledger_file, node=NODE, lane=lane)) if self.ledger_file.exists() else []

    def ledger(self) -> Ledger:
        """The ledger's counters."""
        return read_ledger(self.ledger_file)

    def journal(self) -> dict[str, Lane]:
        """The lanes as they lie on the disk; the gateway must be stopped."""
        return lanes_of(self.data)

    async def everything_arrived(self, within_s: float = 30.0) -> None:
        """Wait until nothing is owed, stop the gateway, and hold its journal against the ledger."""
        await self.until(lambda: self._is_drained(), "everything is acknowledged", within_s)
        await self.stop_gateway()
        ledger = verify_ledger(self.ledger_file)
        assert ledger.problems == []
        for name, lane in self.journal().items():
            assert lane.made == lane.acked + lane.queued + lane.lost
            stored = [entry for entry in ledger.lanes if entry.lane == name and entry.epoch == lane.epoch]
            received = sum(entry.received + entry.lost for entry in stored)
            assert received == lane.made, f"{name}: {lane.made} made, {received} received or declared lost"

    def _is_drained(self) -> bool:
        status = self.status()
        return status is not None and all(lane["queued"] <= 3 for lane in status["lanes"].values())
