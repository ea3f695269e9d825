"""`wayside bench --peers`: ThingsBoard gateway from the package index, beside ours, in the same run.

It gets an environment of its own in a cache folder, the same device and broker, its own answers to what it asks of a
ThingsBoard server before it sends anything, SQLite as its storage and logs of errors only. It asks each register by
itself, as its Modbus connector does. What cannot be measured of it (it keeps no numbers by which a subscriber could
tell what is missing, and waits for its own server's protocol) is left out.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt

from drivers.text import _
from emulators.tcp_proxy import TcpProxy
from tools.bench.harness import Harness, cpu_s, resident_mb
from tools.demo.parts import SceneError

PEER = "ThingsBoard gateway"
PACKAGES = ("thingsboard-gateway==3.8.5", "pymodbus==3.9.2", "pyserial", "pyserial-asyncio")
"""The last three it would install by itself at its first start."""
INSTALL_WITHIN_S = 600.0
FIRST_POINT_WITHIN_S = 60.0
SETTLE_S = 3.0
FLAT_OUT_MS = 100
"""10 000 points a second are more than it takes; asked for many more, it sends nothing for minutes."""
_NO_LIMIT = "100000000:1,"


async def install() -> Path:
    """The peer's command, installed at the first call. Raises `SceneError`, saying why it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wayside" / "bench-peers"
    command = cache / "bin" / "thingsboard-gateway"
    done = cache / "complete"
    if done.is_file() and done.read_text() == " ".join(PACKAGES):
        return command
    shutil.rmtree(cache, ignore_errors=True)
    await _run(sys.executable, "-m", "venv", str(cache))
    await _run(str(cache / "bin" / "pip"), "install", "--quiet", *PACKAGES)
    done.write_text(" ".join(PACKAGES))
    return command


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(INSTALL_WITHIN_S):
            _out, said = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.communicate()
        raise SceneError(_("{peer} cannot be installed: it takes too long").format(peer=PEER)) from error
    if process.returncode:
        reason = said.decode(errors="replace").strip().splitlines()[-1:] or [str(process.returncode)]
        raise SceneError(_("{peer} cannot be installed: {reason}").format(peer=PEER, reason=reason[0]))


async def measure(command: Path, scale: float) -> dict[str, float]:
    """Figures of the peer by the name of the row."""
    figures = {}
    async with _running(command, registers=1_000, period_ms=1_000) as peer:
        figures["start"] = peer.start_s
        await asyncio.sleep(SETTLE_S)
        cpu, sent = cpu_s(peer.pid), peer.proxy.up_bytes
        points = await peer.points(10 * scale)
        figures["cpu"] = (cpu_s(peer.pid) - cpu) / points * 1e6
        figures["bytes"] = (peer.proxy.up_bytes - sent) / points
        figures["memory"] = resident_mb(peer.pid)
    async with _running(command, registers=1, period_ms=1_000) as peer:
        await asyncio.sleep(SETTLE_S)
        cpu, began = cpu_s(peer.pid), time.monotonic()
        await peer.points(10 * scale)
        figures["idle"] = (cpu_s(peer.pid) - cpu) / (time.monotonic() - began) * 100
    async with _running(command, registers=1_000, period_ms=FLAT_OUT_MS) as peer:
        await asyncio.sleep(SETTLE_S)
        began = time.monotonic()
        points = await peer.points(10 * scale)
        figures["flat-out"] = points / (time.monotonic() - began)
    return figures


class _Peer:
    """The running peer as a subscriber sees it."""

    def __init__(self, pid: int, client: aiomqtt.Client, proxy: TcpProxy) -> None:
        self.pid = pid
        self.proxy = proxy
        self.start_s = 0.0
        self._client = client

    async def first_point(self) -> None:
        """Answer what it asks, until its first reading is there."""
        limits = {"messages": _NO_LIMIT, "telemetryMessages": _NO_LIMIT, "telemetryDataPoints": _NO_LIMIT}
        answer = {"maxPayloadSize": 65_536, "maxInflightMessages": 100, "rateLimits": limits} | {
            "gatewayRateLimits": limits
        }
        async for message in self._client.messages:
            topic = str(message.topic)
            if topic.startswith("v1/devices/me/rpc/request/"):
                await self._client.publish(topic.replace("request", "response"), json.dumps(answer), qos=1)
            elif topic == "v1/gateway/telemetry":
                return

    async def points(self, seconds: float) -> int:
        """Count the readings that come in so long."""
        count = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in self._client.messages:
                    if str(message.topic) == "v1/gateway/telemetry":
                        assert isinstance(message.payload, bytes)
                        devices = json.loads(message.payload)
                        count += sum(len(row["values"]) for rows in devices.values() for row in rows)
        if not count:
            raise SceneError(_("{peer} sends nothing").format(peer=PEER))
        return count


@contextlib.asynccontextmanager
async def _running(command: Path, *, registers: int, period_ms: int) -> AsyncIterator[_Peer]:
    async with Harness() as h, h.listener() as client, TcpProxy("127.0.0.1", h.broker.port) as proxy:
        folder = h.folder / "peer"
        (folder / "data").mkdir(parents=True)
        (folder / "logs").mkdir()
        _configure(folder, command, broker=proxy.port, device=h.slave_port, registers=registers, period_ms=period_ms)
        began = time.monotonic()
        with (h.folder / "peer.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                str(command),
                cwd=folder,
                env=os.environ | {"TB_GW_CONFIG_DIR": str(folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            peer = _Peer(process.pid, client, proxy)
            try:
                async with asyncio.timeout(FIRST_POINT_WITHIN_S):
                    await peer.first_point()
            except TimeoutError as error:
                raise SceneError(_("{peer} sends nothing").format(peer=PEER)) from error
            peer.start_s = time.monotonic() - began
            yield peer
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()


def _configure(folder: Path, command: Path, *, broker: int, device: int, registers: int, period_ms: int) -> None:
    limits = ("rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits", "deviceRateLimits")
    server: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": broker,
        "remoteShell": False,
        "remoteConfiguration": False,
        "statistics": {"enable": False},
        "minPackSendDelayMS": 50,
        "minPackSizeToSend": 500,
        "maxPayloadSizeBytes": 60_000,
        "security": {"type": "accessToken", "accessToken": "bench"},
        "qos": 1,
    }
    server |= dict.fromkeys((*limits, "deviceDpRateLimits"), _NO_LIMIT)
    gateway = {
        "thingsboard": server,
        "storage": {
            "type": "sqlite",
            "data_file_path": str(folder / "data" / "data.db"),
            "messages_ttl_check_in_hours": 1,
            "messages_ttl_in_days": 7,
            "max_read_records_count": 1_000,
        },
        "grpc": {"enabled": False},
        "connectors": [{"name": "modbus", "type": "modbus", "configuration": "modbus.json"}],
    }
    one = {"type": "16uint", "functionCode": 3, "objectsCount": 1}
    unit = {
        "host": "127.0.0.1",
        "port": device,
        "type": "tcp",
        "method": "socket",
        "unitId": 1,
        "deviceName": "plc-1",
        "timeout": 5,
        "byteOrder": "BIG",
        "wordOrder": "BIG",
        "pollPeriod": period_ms,
        "connectAttemptTimeMs": 1_000,
        "connectAttemptCount": 5,
        "waitAfterFailedAttemptsMs": 1_000,
        "attributes": [],
        "attributeUpdates": [],
        "rpc": [],
        "timeseries": [one | {"tag": f"r{address}", "address": address} for address in range(registers)],
    }
    (folder / "tb_gateway.json").write_text(json.dumps(gateway))
    (folder / "modbus.json").write_text(
        json.dumps({"name": "modbus", "logLevel": "ERROR", "master": {"slaves": [unit]}})
    )
    (shipped,) = command.parents[1].glob("lib/python*/site-packages/thingsboard_gateway/config/logs.json")
    logs = json.loads(shipped.read_text())
    for each in (*logs.get("handlers", {}).values(), *logs.get("loggers", {}).values()):
        each["level"] = "ERROR"
    (folder / "logs.json").write_text(json.dumps(logs))
