"""Registers that move: a counter that tells every reading from every other, and maps whose values swing.

What physically changes is told to `on_change` as it happens, so that a test compares the truth with the ledger and
never two things that the agent made. Values are put into registers by the plain reading of the word orders here, not by
the product's own encoder.
"""

import math
import random
import struct
from collections.abc import Callable
from typing import Any

from emulators.modbus_server import ModbusUnit
from protocols.modbus_devices.register_map import RegisterMap, RegisterPoint, with_options

OnChange = Callable[[dict[str, Any]], None]

_CODES = {
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}
_LIMITS = {
    "uint16": (0, 0xFFFE),
    "int16": (-0x7FFF, 0x7FFE),
    "uint32": (0, 0x7FFF_FFFF),
    "int32": (-(2**31) + 1, 2**31 - 2),
}
SWING_S = 20.0
"""A value of a map goes once up and down in this time."""


class CounterWorld:
    """Register i holds (count + i) modulo 65536, and the count goes up by one every `step_s`.

    So a reading whose registers disagree was torn, and a count that comes twice or too late was repeated or stale.
    """

    def __init__(
        self,
        unit: ModbusUnit,
        *,
        registers: int = 1000,
        table: str = "holding",
        step_s: float = 1.0,
        on_change: OnChange | None = None,
    ) -> None:
        self.count = -1
        self._unit = unit
        self._registers = registers
        self._table = table
        self._step_s = step_s
        self._began: float | None = None
        self._on_change = on_change
        unit.move = self.move
        self._set(0)

    def move(self, now: float) -> None:
        """Bring the registers up to this time."""
        if self._began is None:
            self._began = now
        count = int((now - self._began) / self._step_s)
        while self.count < count:
            self._set(self.count + 1)

    def _set(self, count: int) -> None:
        self.count = count
        first = count & 0xFFFF
        values = [*range(first, min(first + self._registers, 0x1_0000)), *range(first + self._registers - 0x1_0000)]
        self._unit.set_registers(self._table, 0, values)
        if self._on_change is not None:
            self._on_change({"unit_id": self._unit.unit_id, "count": count})


class MapWorld:
    """A unit that follows a register map: every point swings within its own bounds, a step every `step_s`.

    Of points that share registers, such as a status word and its bits, one is the truth: the bits, or the first.
    """

    def __init__(
        self,
        unit: ModbusUnit,
        register_map: RegisterMap,
        *,
        seed: int = 1,
        step_s: float = 1.0,
        on_change: OnChange | None = None,
    ) -> None:
        self.values: dict[str, Any] = {}
        """The truth: point to physical value."""
        self._unit = unit
        self._points = _independent(with_options(register_map, {}).points)
        self._step_s = step_s
        self._on_change = on_change
        self._began: float | None = None
        self._step = -1
        rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
        self._phases = {point.name: rng.random() for point in self._points}
        unit.max_registers = register_map.max_registers
        unit.move = self.move
        for factor in register_map.scale_factors.values():
            unit.set_registers(factor.table, factor.address, [0])
        self._set(0)

    def move(self, now: float) -> None:
        """Bring the registers up to this time."""
        if self._began is None:
            self._began = now
        step = int((now - self._began) / self._step_s)
        if step > self._step:
            self._set(step)

    def _set(self, step: int) -> None:
        self._step = step
        for point in self._points:
            swing = math.sin(2 * math.pi * (step * self._step_s / SWING_S + self._phases[point.name]))
            value, registers = _swung(point, swing)
            if point.bit is not None:
                old = self._unit.tables[point.table].get(point.address, 0) & ~(1 << point.bit)
                registers = [old | (1 << point.bit if value else 0)]
            self._unit.set_registers(point.table, point.address, registers)
            self.values[point.name] = value
        if self._on_change is not None:
            self._on_change({"unit_id": self._unit.unit_id, "values": dict(self.values)})


def _independent(points: tuple[RegisterPoint, ...]) -> list[RegisterPoint]:
    """Points of which each can be set without changing another."""
    chosen = [point for point in points if point.bit is not None]
    taken = {(point.table, point.address) for point in chosen}
    for point in points:
        own = {(point.table, at) for at in range(point.address, point.end)}
        if point.bit is None and not point.write_only and not own & taken:
            chosen.append(point)
            taken |= own
    return chosen


def _swung(point: RegisterPoint, swing: float) -> tuple[Any, list[int]]:
    """A physical value that the registers can hold, and the registers."""
    if point.type == "bool":
        return swing > 0, [int(swing > 0)]
    if point.type == "string":
        text = point.name.encode("ascii")[: 2 * point.count]
        return text.decode("ascii"), words_of(text.ljust(2 * point.count, b"\0"), point.order)
    low = 0.0 if point.min is None else point.min
    high = low + 200.0 * abs(point.scale) if point.max is None else point.max
    wanted = low + (high - low) * (swing + 1) / 2
    if point.type.startswith("float"):
        raw: float = struct.unpack(">f", struct.pack(">f", (wanted - point.offset) / point.scale))[0]
    else:
        least, most = _LIMITS.get(point.type, (0, 2**31 - 2))
        raw = max(least, min(most, round((wanted - point.offset) / point.scale)))
    code = _CODES.get(point.type) or {1: "H", 2: "I", 4: "Q"}[point.count]
    return raw * point.scale + point.offset, words_of(struct.pack(">" + code, raw), point.order)


def words_of(big_endian: bytes, order: str) -> list[int]:
    """A number's registers. ABCD is the number as it is written; the other orders as the letters say."""
    words = [big_endian[i : i + 2] for i in range(0, len(big_endian), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [int.from_bytes(word, "big") for word in words]
