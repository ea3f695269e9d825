"""Seeded misfortune between a device and its wire: the same seed and the same traffic give the same faults.

A plan is TOML, one table a fault; a fault that has no table never happens.

    seed = 7

    [flip]
    p = 0.05                       # of all frames that pass
    [silence]
    during = [[10.0, 15.0]]        # seconds since the plan began; within them p is 1 unless it says otherwise
    [late]
    p = 0.01
    s = [0.2, 0.6]                 # from, to

| fault | what happens to a frame that the device says |
|---|---|
| drop | it is lost |
| silence | it is lost, and so is every frame to the device |
| reboot | its first half goes out, then the device is dead for `s` |
| duplicate | it comes twice |
| delay, late | it comes after `s`, and what is said meanwhile overtakes it; `late` is for beyond the peer's time-out |
| split | it comes in two pieces, `s` apart |
| merge | it waits and comes in one piece with the next one |
| truncate | its end is missing |
| flip | one bit is wrong |
| checksum | its last two bytes are wrong |
| foreign | a frame that is nobody's (`frames`, else random bytes) comes before it |
"""

import random
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from emulators.kit.device import EmulatedDevice

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When one kind of misfortune strikes, and how hard."""

    p: Probability | None = None
    """The chance for each frame; 1 when only `during` is given."""
    during: tuple[tuple[Seconds, Seconds], ...] = ()
    """Spans in seconds since the plan began outside which nothing happens; none: always."""
    s: tuple[Seconds, Seconds] = (0.05, 0.2)
    """For faults that take time: at least and at most."""
    frames: tuple[str, ...] = ()
    """For `foreign`: frames in hex to choose from."""

    def __post_init__(self) -> None:
        """Refuse what could never happen or never end. msgspec adds the path."""
        if self.p is None and not self.during:
            raise ValueError("a fault needs p or during")
        if self.s[0] > self.s[1] or any(first > last for first, last in self.during):
            raise ValueError("a span goes from the smaller to the larger number")
        for frame in self.frames:
            bytes.fromhex(frame)


class FaultPlan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What may go wrong. `FaultyDevice.struck` counts what did."""

    seed: int = 1
    drop: Fault | None = None
    silence: Fault | None = None
    reboot: Fault | None = None
    duplicate: Fault | None = None
    delay: Fault | None = None
    late: Fault | None = None
    split: Fault | None = None
    merge: Fault | None = None
    truncate: Fault | None = None
    flip: Fault | None = None
    checksum: Fault | None = None
    foreign: Fault | None = None


def load_faults(path: Path) -> FaultPlan:
    """The plan in a TOML file. Raises `ValueError` (msgspec's and tomllib's errors are such) or `OSError`."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), FaultPlan)


class FaultyDevice:
    """A device behind a fault plan; it has the face of a device itself."""

    def __init__(self, device: EmulatedDevice, plan: FaultPlan) -> None:
        self.device = device
        self.plan = plan
        self.struck: dict[str, int] = {}
        """How often each fault struck."""
        self._random = random.Random(plan.seed)  # noqa: S311  # repeatable, not secret
        self._began: float | None = None
        self._dead_until = 0.0
        self._queue: list[tuple[float, int, bytes]] = []  # when, order, what
        self._order = 0
        self._merging: list[bytes] = []

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """What the device says, as far as it comes through at once."""
        if self._is_deaf(now):
            return self.tick(now)
        for wire in self.device.receive(data, now):
            self._suffer(wire, now)
        return self._due(now)

    def tick(self, now: float) -> list[bytes]:
        """What the device says by itself and what was held back until now."""
        said = self.device.tick(now)
        if not self._is_deaf(now):
            for wire in said:
                self._suffer(wire, now)
        return self._due(now)

    def next_deadline(self) -> float | None:
        """The device's own, or when something that was held back is due."""
        deadlines = [when for when, _order, _wire in self._queue]
        own = self.device.next_deadline()
        return min(deadlines if own is None else [*deadlines, own], default=None)

    def _is_deaf(self, now: float) -> bool:
        if self._began is None:
            self._began = now
        return now < self._dead_until or self._strikes("silence", now)

    def _strikes(self, name: str, now: float) -> bool:
        fault: Fault | None = getattr(self.plan, name)
        if fault is None or self._began is None:
            return False
        since = now - self._began
        if fault.during and not any(first <= since < last for first, last in fault.during):
            return False
        if fault.p is not None and self._random.random() >= fault.p:
            return False
        self.struck[name] = self.struck.get(name, 0) + 1
        return True

    def _span(self, name: str) -> float:
        fault: Fault = getattr(self.plan, name)
        return self._random.uniform(*fault.s)

    def _suffer(self, wire: bytes, now: float) -> None:
        if self._strikes("drop", now):
            return
        if self._strikes("reboot", now):
            self._put(now, wire[: len(wire) // 2])
            self._dead_until = now + self._span("reboot")
            return
        wire = self._spoil(wire, now)
        when = now
        for name in ("delay", "late"):
            if self._strikes(name, now):
                when += self._span(name)
        if self._strikes("merge", now):
            self._merging.append(wire)
            return
        wire = b"".join([*self._merging, wire])
        self._merging.clear()
        if self._strikes("foreign", now):
            self._put(when, self._foreign_frame())
        if len(wire) > 1 and self._strikes("split", now):
            cut = self._random.randrange(1, len(wire))
            self._put(when, wire[:cut])
            when += self._span("split")
            wire = wire[cut:]
        self._put(when, wire)
        if self._strikes("duplicate", now):
            self._put(when, wire)

    def _spoil(self, wire: bytes, now: float) -> bytes:
        if len(wire) > 1 and self._strikes("truncate", now):
            wire = wire[: self._random.randrange(1, len(wire))]
        if wire and self._strikes("flip", now):
            at = self._random.randrange(len(wire))
            wire = wire[:at] + bytes((wire[at] ^ 1 << self._random.randrange(8),)) + wire[at + 1 :]
        if len(wire) > 2 and self._strikes("checksum", now):
            wire = wire[:-2] + bytes(byte ^ 0x55 for byte in wire[-2:])
        return wire

    def _foreign_frame(self) -> bytes:
        assert self.plan.foreign is not None
        if self.plan.foreign.frames:
            return bytes.fromhex(self._random.choice(self.plan.foreign.frames))
        return self._random.randbytes(self._random.randrange(1, 40))

    def _put(self, when: float, wire: bytes) -> None:
        self._order += 1
        self._queue.append((when, self._order, wire))

    def _due(self, now: float) -> list[bytes]:
        due = sorted(entry for entry in self._queue if entry[0] <= now)
        self._queue = [entry for entry in self._queue if entry[0] > now]
        return [wire for _when, _order, wire in due]
