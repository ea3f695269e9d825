"""A running gateway's parts as a demonstration, a benchmark or a test holds them: child processes, status, journal."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers.text import _
from edge.gateway.status_socket import short_path
from edge.store.lane import Lane
from edge.store.opening import open_store
from edge.store.store import Quotas
from protocols.wayside.pack_codec import encode_pack

READY_WITHIN_S = 15.0
STOP_WITHIN_S = 20.0
PREFILLED_DEVICE = "flow-1"


class SceneError(Exception):
    """A part does not start or does not stop; the text says which and what it said last."""


class Part:
    """A child process and the end of what it said."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self._log = log
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; standard error goes to its log."""
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log
            )

    async def first_lines(self, count: int) -> list[dict[str, Any]]:
        """Its first lines on standard output, each one JSON object."""
        assert self.process is not None, "not started"
        assert self.process.stdout is not None, "made as a pipe"
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                return [json.loads(await self.process.stdout.readline()) for _n in range(count)]
        except (TimeoutError, ValueError) as error:
            raise SceneError(
                _("{part} does not start: {said}").format(part=self.name, said=self.last_words())
            ) from error

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; return the exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
        return process.returncode or 0

    def last_words(self) -> str:
        """The end of its log."""
        try:
            lines = self._log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return " | ".join(lines[-3:])


def status_of(data: Path) -> dict[str, Any] | None:
    """The status document of the gateway with this data folder; None while nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            with short_path(data / "status.sock") as name:
                connection.connect(name)
            connection.sendall(b'{"what": "status"}\n')
            with connection.makefile("rb") as answers:
                answer: dict[str, Any] = json.loads(answers.readline())
                return answer
    except (OSError, ValueError):
        return None


def sink_command(broker: str, ledger: Path, credential: tuple[Path, Path, Path] | None = None) -> list[str]:
    """How the ingest is started. credential: CA, certificate and key, where the broker asks for them."""
    command = [sys.executable, "-m", "tools.cli", "sink", "--json", "--broker", broker, "--ledger", str(ledger)]
    for option, file in zip(("--ca", "--cert", "--key"), credential or (), strict=False):
        command += [option, str(file)]
    return command


def prefill(data: Path, *, node: str, count: int, points: int) -> None:
    """Put packs into the journal of a stopped gateway as if they had been made while nobody was reached."""
    store = open_store(data / "journal", quotas=Quotas(4_000), encode_loss=_never, monotonic=lambda: 0.0)
    lane = store.lanes["telemetry"]
    names = [f"r{number}" for number in range(points)]
    values = [[(7 * number) & 0x3FFF for number in range(points)]]
    for number in range(count):
        payload = encode_pack(
            node=node,
            epoch=lane.epoch,
            boot=store.boot,
            seq=lane.next_seq,
            device=PREFILLED_DEVICE,
            time=1_790_000_000_000 + 1_000 * number,
            time_quality="ntp",
            uptime=1_000 * number,
            points=names,
            offsets=[0],
            values=values,
            bad=[],
        )
        lane.append(f"telemetry/{PREFILLED_DEVICE}", payload)
        if number % 200 == 0:
            store.commit_now()
    store.commit_now()
    store.close()


def lanes_of(data: Path) -> dict[str, Lane]:
    """The lanes of a stopped gateway as they lie on the disk. Counts as a start of the gateway."""
    store = open_store(data / "journal", quotas=Quotas(1_000_000), encode_loss=_never, monotonic=lambda: 0.0)
    store.close()
    return store.lanes


def _never(**_fields: object) -> bytes:
    raise AssertionError("nothing is lost by filling it or by looking")
