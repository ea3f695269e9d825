"""The outbox's face over lists in memory, and an uplink put together for a test."""

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edge.uplinks.config import MqttConfig
from edge.uplinks.mqtt_session import Heard
from edge.uplinks.mqtt_uplink import MqttUplink

NODE = "rsu-7f3a"
EPOCH = "9c41d07be21f00aa"


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Entry(msgspec.Struct, eq=False):
    lane: str
    seq: int
    route: str
    payload: bytes
    live: bool = True


class OutboxDouble:
    """Records of one lane. `resend_s`: how long after PUBACK without an acknowledgement they are owed again."""

    def __init__(self, *, acknowledged_by: str = "broker", resend_s: float = 30.0) -> None:
        self.acknowledged_by = acknowledged_by
        self.resend_s = resend_s
        self.made: dict[int, Entry] = {}
        self.acked: set[int] = set()
        self.refused_seqs: list[int] = []
        self.ingest: list[bool] = []
        self.session = 0
        self.answered: list[int] = []
        self.is_connected = False
        self._due: dict[int, float] = {}
        self._flying: set[int] = set()

    def make(self, count: int = 1, *, route: str = "telemetry/flow-1", bytes_each: int = 100) -> None:
        for _ in range(count):
            seq = len(self.made) + 1
            self.made[seq] = Entry("telemetry", seq, route, b"%d " % seq + b"." * (bytes_each - 8))
            self._due[seq] = 0.0

    @property
    def queued(self) -> int:
        return len(self.made) - len(self.acked)

    def connected(self, now: float, session: int) -> None:
        assert not self.is_connected
        self.is_connected = True
        self.session = session
        assert not self._flying
        self._due.update(dict.fromkeys(self._due, now))

    def disconnected(self, now: float) -> None:
        assert self.is_connected
        self.is_connected = False
        self._due.update(dict.fromkeys(self._flying, now))
        self._flying.clear()

    def take(self, now: float, max_bytes: int) -> Entry | None:
        for seq, due in self._due.items():
            if due <= now and len(self.made[seq].payload) <= max_bytes:
                del self._due[seq]
                self._flying.add(seq)
                return self.made[seq]
            if due <= now:
                return None
        return None

    def published(self, entry: Entry, now: float) -> None:
        self._flying.remove(entry.seq)
        if self.acknowledged_by == "broker":
            self.acked.add(entry.seq)
        elif entry.seq not in self.acked:
            self._due[entry.seq] = now + self.resend_s

    def refused(self, entry: Entry, now: float) -> None:
        self._flying.remove(entry.seq)
        self.refused_seqs.append(entry.seq)
        self._due[entry.seq] = now + self.resend_s

    def acknowledged(
        self, lane: str, epoch: str, upto: int, also: Any, now: float, *, answers: int | None = None
    ) -> None:
        if answers is not None:
            self.answered.append(answers)
        if (lane, epoch) == ("telemetry", EPOCH):
            for first, last in [(1, upto), *also]:
                self.acked.update(range(first, min(last, len(self.made)) + 1))
            for seq in self.acked:
                self._due.pop(seq, None)

    def broker_changed(self) -> None:
        """Nothing is kept apart here."""

    def ingest_seen(self, online: bool, now: float, *, is_retained: bool) -> None:
        self.ingest.append(online)

    def next_deadline(self) -> float | None:
        return min(self._due.values(), default=None)


class Told:
    """What an uplink has told its gateway."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.desired: list[bytes] = []
        self.notices: list[bytes] = []
        self.alarms: list[tuple[str, str]] = []
        self.connections = 0
        self.sessions = 0

    def next_session(self) -> int:
        self.sessions += 1
        return self.sessions

    def connected(self) -> None:
        self.connections += 1


def state_payload(*, session: int, online: bool, why: str | None, epochs: Mapping[str, str] | None = None) -> bytes:
    state = {"v": 1, "node": NODE, "online": online, "boot": 1, "session": session, "why": why, "epochs": epochs or {}}
    return msgspec.json.encode(state)


def mqtt_config(*urls: str, **keys: Any) -> MqttConfig:
    return msgspec.convert({"brokers": urls, "acknowledged_by": "broker", **keys}, MqttConfig)


def make_uplink(
    config: MqttConfig,
    outbox: Any,
    told: Told,
    *,
    folder: Path = Path(),
    hasty: bool = True,
    on_connected: Callable[[], None] | None = None,
    epochs: Mapping[str, str] | None = None,
) -> MqttUplink:
    """`hasty`: waits are a fiftieth of what chance would draw, so that tests do not last."""
    chance = random.Random(7)
    return MqttUplink(
        node=NODE,
        config=config,
        folder=folder,
        outbox=outbox,
        clock=LoopClock(),
        state_payload=partial(state_payload, epochs=epochs),
        next_session=told.next_session,
        on_connected=on_connected or told.connected,
        heard=Heard(
            command=told.commands.append,
            desired=told.desired.append,
            notice=told.notices.append,
            alarm=lambda kind, text: told.alarms.append((kind, text)),
        ),
        uniform=lambda least, most: chance.uniform(least, most) / (50 if hasty else 1),
    )


class Running:
    """`async with Running(uplink):` runs it as the gateway would, and cancels it."""

    def __init__(self, uplink: MqttUplink) -> None:
        self.uplink = uplink

    async def __aenter__(self) -> MqttUplink:
        self._task = asyncio.get_running_loop().create_task(self.uplink.run())
        return self.uplink

    async def __aexit__(self, *_exc: object) -> None:
        self._task.cancel()
        results = await asyncio.gather(self._task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError), results


async def stays(condition: Callable[[], object], for_s: float) -> None:
    """Something holds, all the while."""
    ends_at = asyncio.get_running_loop().time() + for_s
    while asyncio.get_running_loop().time() < ends_at:
        assert condition()
        await asyncio.sleep(0.005)


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for a condition, not for a time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
