"""What every row of the benchmark stands on: a real broker, the ingest, a cheap device, and the gateway."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiomqtt

from drivers.text import _
from emulators.broker import Mosquitto
from tools.demo.parts import Part, SceneError, lanes_of, prefill, sink_command, status_of

NODE = "bench-1"
_PAGE = os.sysconf("SC_PAGESIZE")
_SCHEDULED = 2
"""CPUCLOCK_SCHED: with the complement of a process number it names that process's CPU clock (clock_getcpuclockid)."""


class Harness:
    """One folder for one measurement. Enter it as a context; the gateway is started by the row."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="wayside-bench-")
        self.folder = Path(self._scratch.name)
        self.data = self.folder / "data"
        self.ledger = self.folder / "ledger.sqlite"
        self.config = self.folder / "node.toml"
        (self.folder / "broker").mkdir()
        self.broker = Mosquitto(self.folder / "broker")
        python = sys.executable
        self.slave = Part("slave", [python, "-m", "tools.bench.fast_slave"], self.folder / "slave.log")
        self.gateway = Part("gateway", [python, "-m", "edge", str(self.config)], self.folder / "gateway.log")
        self.sink = self.gateway
        self.slave_port = 0

    async def __aenter__(self) -> Self:
        await self.broker.start()
        await self.slave.start()
        assert self.slave.process is not None
        assert self.slave.process.stdout is not None
        self.slave_port = int(await self.slave.process.stdout.readline())
        self.sink = Part("sink", sink_command(self.broker.url, self.ledger), self.folder / "sink.log")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.gateway.end(signal.SIGTERM)
        await self.sink.end(signal.SIGTERM)
        await self.slave.end(signal.SIGTERM)
        if self.broker.is_running:
            await self.broker.stop()
        self._scratch.cleanup()

    def configure(self, devices: str, *, mqtt: str = "", broker: str = "") -> None:
        """Write the gateway's configuration around device tables; `broker` is another way to the same broker."""
        url = broker or self.broker.url
        head = f'[node]\nid = "{NODE}"\ndata = "data"\n\n[uplink.mqtt]\nbrokers = ["{url}"]\n'
        self.config.write_text(head + f'acknowledged_by = "ingest"\n{mqtt}\n{devices}')

    def registers(self, count: int, period_s: float) -> str:
        """The table of the device behind TCP with so many registers."""
        return (
            f'[[device]]\nname = "plc-1"\ndriver = "modbus"\nport = "tcp:127.0.0.1:{self.slave_port}"\n'
            f"max_in_flight = 8\nperiod_s = {period_s}\n"
            f'[[device.range]]\nname = "r"\ntable = "holding"\naddress = 0\ncount = {count}\n'
        )

    async def start(self) -> None:
        """Start ingest and gateway."""
        await self.sink.start()
        await self.sink.first_lines(1)
        await self.gateway.start()
        await self.until(lambda: self.status() is not None)

    def status(self) -> dict[str, Any] | None:
        """The gateway's status document."""
        return status_of(self.data)

    def telemetry(self) -> dict[str, Any]:
        """The telemetry lane's counters."""
        status = self.status()
        assert status is not None
        lane: dict[str, Any] = status["lanes"]["telemetry"]
        return lane

    def uplink(self) -> dict[str, Any]:
        """The uplink's counters."""
        status = self.status()
        assert status is not None
        uplink: dict[str, Any] = status["uplink"]
        return uplink

    def device(self) -> dict[str, Any]:
        """The device's status."""
        status = self.status()
        assert status is not None
        device: dict[str, Any] = status["devices"]["plc-1"]
        return device

    @property
    def pid(self) -> int:
        """The gateway's process."""
        assert self.gateway.process is not None
        return self.gateway.process.pid

    async def until(self, condition: Any, within_s: float = 120.0) -> float:
        """Wait for a condition; return how long it took."""
        began = time.monotonic()
        while not await asyncio.to_thread(condition):
            for part in (self.gateway, self.sink):
                if part.process is not None and part.process.returncode is not None:
                    raise SceneError(_("{part} has ended: {said}").format(part=part.name, said=part.last_words()))
            if time.monotonic() - began > within_s:
                raise TimeoutError
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    def prefill(self, count: int, points: int) -> None:
        """Put packs into the journal as if they had been made while nobody was reached."""
        prefill(self.data, node=NODE, count=count, points=points)

    def made(self) -> int:
        """Telemetry records in the journal of the stopped gateway."""
        return lanes_of(self.data)["telemetry"].made

    @contextlib.asynccontextmanager
    async def listener(self) -> AsyncIterator[aiomqtt.Client]:
        """A subscriber of everything that nodes publish."""
        async with aiomqtt.Client("127.0.0.1", self.broker.port, identifier="bench-listener") as client:
            await client.subscribe("#", qos=0)
            yield client


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, all threads, to the nanosecond (`/proc/PID/stat` counts in 10 ms)."""
    return time.clock_gettime((~pid << 3) | _SCHEDULED)


def resident_mb(pid: int) -> float:
    """Memory of a process that lies in RAM, MB of 10^6 bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def peak_mb(pid: int) -> float:
    """The most memory of a process that ever lay in RAM, MB of 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024 / 1e6


async def bare_loop(
    harness: Harness, registers: int, period_s: float, seconds: float, form: str = "plain"
) -> dict[str, float]:
    """Run the bare loop against the same device and broker."""
    arguments = [harness.slave_port, harness.broker.port, registers, period_s, seconds, form]
    command = [sys.executable, "-m", "tools.bench.bare_loop", *map(str, arguments)]
    part = Part("bare loop", command, harness.folder / "bare.log")
    await part.start()
    assert part.process is not None
    out, _err = await part.process.communicate()
    result: dict[str, float] = json.loads(out)
    return result
