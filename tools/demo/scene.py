"""Everything that the demonstration starts, in one folder, and what each part says."""

import json
import os
import secrets
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from edge.deploy import __file__ as deploy_package
from edge.identity.development_ca import DevelopmentCa
from edge.store.lane import Lane
from emulators.broker import BrokerTls, EmbeddedBroker, Mosquitto, find_mosquitto
from tools.demo.devices import LINE_UNITS, REGISTERS
from tools.demo.parts import Part, lanes_of, sink_command, status_of
from tools.sink.ledger import Ledger, LedgerError, read_ledger, read_records, verify_ledger

NODE = "demo-1"


class Scene:
    """One folder, four parts. Enter it as a context.

    update: the update agent's file; with one, the gateway is started by whoever shows updates, out of a slot.
    """

    def __init__(self, folder: Path, seed: int, *, update: Path | None = None) -> None:
        self.folder = folder
        self.config = folder / "node.toml"
        self.data = folder / "data"
        self.ledger = folder / "ledger.sqlite"
        self._seed = seed
        self._update = update
        self.has_mosquitto = find_mosquitto() is not None
        self.broker: Mosquitto | EmbeddedBroker
        python = sys.executable
        self.devices = Part(
            "devices", [python, "-m", "tools.demo.devices", str(folder), str(seed)], folder / "devices.log"
        )
        self.gateway = Part("gateway", [python, "-m", "edge", str(self.config)], folder / "gateway.log")
        self.sink = self.devices  # made in __aenter__, when the broker's address is known

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        tls = self._make_pki() if self.has_mosquitto else None
        (self.folder / "broker").mkdir(exist_ok=True)
        if tls is not None:
            acl = Path(deploy_package).parent / "mosquitto.acl"
            self.broker = Mosquitto(self.folder / "broker", tls=tls, acl=acl)
        else:
            self.broker = EmbeddedBroker(self.folder / "broker")
        try:
            await self.broker.start()
            await self.devices.start()
            endpoints = [line["endpoint"] for line in await self.devices.first_lines(4)]
            self._write_config(tcp=endpoints[1])
            credential = self._credential("ingest") if self.has_mosquitto else None
            self.sink = Part("sink", sink_command(self.broker.url, self.ledger, credential), self.folder / "sink.log")
            await self.sink.start()
            await self.sink.first_lines(1)
            if self._update is None:
                await self.gateway.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.gateway.end(signal.SIGTERM)
        if self.sink is not self.devices:
            await self.sink.end(signal.SIGTERM)
        await self.devices.end(signal.SIGTERM)
        if self.broker.is_running:
            await self.broker.stop()

    # What it is made of -----------------------------------------------------------------------------------------

    def _make_pki(self) -> BrokerTls:
        now = datetime.now(UTC)
        ca = DevelopmentCa.create(self.folder / "pki", now=now)
        server = ca.issue_server("localhost", now=now)
        for name in (NODE, "ingest"):
            ca.issue_client(name, now=now)
        return BrokerTls(ca=ca.ca, cert=server.cert, key=server.key)

    def _credential(self, name: str) -> tuple[Path, Path, Path]:
        pki = self.folder / "pki"
        return pki / "development-ca.pem", pki / f"{name}.pem", pki / f"{name}.key"

    def _write_config(self, *, tcp: str) -> None:
        key = self.folder / "pseudonym.key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32) + "\n")
        lines = [
            "[node]",
            f'id = "{NODE}"',
            'data = "data"',
            "",
            "[uplink.mqtt]",
            f'brokers = ["{self.broker.url}"]',
            'acknowledged_by = "ingest"',
        ]
        if self.has_mosquitto:
            ca, cert, private = self._credential(NODE)
            lines += ["", "[uplink.mqtt.tls]", f'ca = "{ca}"', f'cert = "{cert}"', f'key = "{private}"']
        lines += ["", "[privacy]", 'hash_key = "pseudonym.key"', ""]
        if self._update is not None:
            lines += ["[update]", f'file = "{self._update}"', "every_s = 10", ""]
        lines += ["[[bus]]", 'name = "rs485-1"', f'port = "serial:{self.folder / "rs485"}?baud=9600"', ""]
        for name, unit, register_map in LINE_UNITS:
            lines += ["[[device]]", f'name = "{name}"', 'driver = "modbus"', 'bus = "rs485-1"']
            lines += [f"unit_id = {unit}", f'map = "{register_map}"', "period_s = 1.0", ""]
        lines += ["[[device]]", 'name = "plc-1"', 'driver = "modbus"', f'port = "{tcp}"', "max_in_flight = 8"]
        lines += ["period_s = 1.0", "", "[[device.range]]", 'name = "raw"', 'table = "holding"', "address = 0"]
        lines += [f"count = {REGISTERS}", 'type = "uint16"', ""]
        lines += [
            "[[device]]",
            'name = "gnss"',
            'driver = "gnss"',
            f'port = "serial:{self.folder / "gnss"}?baud=9600"',
            "",
        ]
        lines += ["[[device]]", 'name = "reader-1"', 'driver = "card_reader"']
        lines += [f'port = "serial:{self.folder / "reader"}?baud=115200"', ""]
        self.config.write_text("\n".join(lines))

    # What it says -----------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any] | None:
        """The gateway's status document; None while it does not answer."""
        return status_of(self.data)

    def received(self) -> dict[str, dict[str, int]]:
        """The ledger's totals by lane; empty while there is no ledger."""
        try:
            return read_ledger(self.ledger).totals()
        except (LedgerError, OSError, sqlite3.Error):
            return {}

    def reports(self) -> list[dict[str, Any]]:
        """What came of updates, as the ledger has it; a cut may have repeated one."""
        found = {}
        with suppress(LedgerError):  # the ingest is only just making it
            for record in read_records(self.ledger, node=NODE, lane="event"):
                if record.route == "event/update":
                    report = json.loads(json.loads(record.payload)["data"]["report"])["report"]
                    found[report["attempt"]] = report
        return list(found.values())

    def verified(self) -> Ledger:
        """The ledger, held against every record. Raises `LedgerError`."""
        return verify_ledger(self.ledger)

    def journal(self) -> dict[str, Lane]:
        """The lanes as they lie on the disk, when the gateway has stopped."""
        return lanes_of(self.data)

    def taps(self) -> tuple[int, int]:
        """(cards that people placed, taps that the ledger has)."""
        placed = 0
        truth = self.folder / "truth.jsonl"
        if truth.exists():
            placed = sum(json.loads(line)["what"] == "placed" for line in truth.read_text().splitlines() if line)
        try:
            with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as ledger:
                (stored,) = ledger.execute("SELECT count(*) FROM records WHERE route = 'event/tap'").fetchone()
        except sqlite3.Error:
            stored = 0
        return placed, int(stored)


def is_tty() -> bool:
    """Whether somebody watches."""
    return os.isatty(sys.stderr.fileno())
