"""Registers to values and back: types, word orders, scales, "not available".

A word order is a matter of two byte orders: a number in order CDAB whose words have their bytes swapped is a
little-endian one, in order BADC a big-endian one. So a whole block is unpacked by `struct`, once as it came and once
swapped, whatever its points' orders are, and Python looks only at those points that need more: a scale, a bit, a
marker. `compile_block` works that out once; what it returns is called at every poll.

In place of a scale of 0.1 stands its exact ratio 1/10, so that 2303 becomes 230.3 and not 230.30000000000001.

>>> from protocols.modbus_devices.register_map import RegisterPoint
>>> current = RegisterPoint(name="current_a", table="input", address=1, type="uint32", order="CDAB", scale=0.001)
>>> compile_block([current], start=1, count=2)(bytes.fromhex("04d20000"))
[1.234]
>>> write_request(RegisterPoint(name="set_hz", table="holding", address=7, scale=0.01, writable=True), 49.5)
WriteRegister(4950, 7)
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from math import inf, isfinite
from operator import itemgetter
from typing import Any

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.modbus_devices.pdu import Request, WriteCoil, WriteRegister, WriteRegisters
from protocols.modbus_devices.register_map import RegisterPoint

Value = float | int | bool | str | None
_Unpack = Callable[[bytes], tuple[Any, ...]]
_Pick = Callable[[tuple[Any, ...]], Iterable[Any]]

OUT_OF_RANGE = 3
"""Quality: the value is not within the point's `min` and `max`."""
NOT_AVAILABLE = 4
"""Quality: the device itself says that it has no value (an invalid marker, a float that is no number)."""

_NO_SCALE_FACTOR = -0x8000
_MAX_SCALE_FACTOR = 10
"""A scale factor is a power of ten from -10 to 10 (SunSpec Information Model Specification, type sunssf)."""

_CODES = {
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
    "bool": "H",
}
_UNSIGNED = {1: "H", 2: "I", 4: "Q"}
_PAD = "2x"
_AS_IT_IS: tuple[int, int, float] = (1, 1, 0)
"""The ratio and offset of a raw value that is the physical one."""


class BitDecoder:
    """Turns the bits of one answer to function 01 or 02 into the values of its points. Made by `compile_block`."""

    __slots__ = ("_bytes", "_places", "points")

    def __init__(self, points: Sequence[RegisterPoint], start: int, count: int) -> None:
        self.points = tuple(points)
        self._bytes = (count + 7) // 8
        self._places = [(at // 8, 1 << at % 8) for at in (point.address - start for point in points)]

    def __call__(self, data: bytes) -> list[Value]:
        """The values. `data` is the bits' part of an answer to exactly this block."""
        if len(data) != self._bytes:
            raise LocalProtocolError(f"{len(data)} bytes where a block has {self._bytes}")
        return [data[byte] & mask != 0 for byte, mask in self._places]

    def bad(self, values: Sequence[Value]) -> list[tuple[int, int]]:  # noqa: ARG002  # a bit is never out of range
        """See `BlockDecoder.bad`: nothing is wrong with a bit."""
        return []


class BlockDecoder:
    """Turns the registers of one read answer into the values of its points, in their order. Made by `compile_block`."""

    __slots__ = (
        "_bounds",
        "_bytes",
        "_floats",
        "_markers",
        "_masks",
        "_pick",
        "_ratios",
        "_same_divisor",
        "_texts",
        "_unpackers",
        "points",
    )

    def __init__(self, points: Sequence[RegisterPoint], start: int, count: int, exponents: Mapping[str, int]) -> None:
        self.points = tuple(points)
        self._bytes = 2 * count
        numbered = list(enumerate(points))
        self._unpackers, self._pick = _plan(points, start, count)
        self._masks = [(i, 0xFFFF if p.bit is None else 1 << p.bit) for i, p in numbered if p.type == "bool"]
        self._texts = [(i, _order_of(p)[1] == "<") for i, p in numbered if p.type == "string"]
        self._markers = [(i, _markers_of(p)) for i, p in numbered if p.invalid]
        self._floats = [i for i, p in numbered if p.type in ("float32", "float64")]
        ratios = [_ratio_of(p, exponents) for p in points]
        self._ratios = [(i, *ratio) for i, ratio in enumerate(ratios) if ratio != _AS_IT_IS]
        self._bounds = [
            (i, -inf if p.min is None else p.min, inf if p.max is None else p.max)
            for i, p in numbered
            if _may_be_bad(p)
        ]
        is_all_divided = len(set(ratios)) == 1 and ratios[0][0] == 1 and ratios[0][2] == 0 and not self._markers
        self._same_divisor = ratios[0][1] if is_all_divided and ratios[0][1] != 1 else None

    def __call__(self, data: bytes) -> list[Value]:
        """The values; None where the device has none. `data` is the registers' part of an answer to this very block."""
        if len(data) != self._bytes:
            raise LocalProtocolError(f"{len(data)} bytes where a block has {self._bytes}")
        raw: tuple[Any, ...] = ()
        for unpack, is_swapped in self._unpackers:
            raw += unpack(swap_bytes(data) if is_swapped else data)
        values: list[Any] = list(raw if self._pick is None else self._pick(raw))
        self._interpret(values)
        if self._same_divisor is not None:
            divisor = self._same_divisor
            values = [value / divisor for value in values]
        else:
            for i, numerator, denominator, offset in self._ratios:
                if values[i] is not None:
                    values[i] = _scaled(values[i], numerator, denominator, offset)
        for i in self._floats:
            value = values[i]
            if value is not None and value - value != 0:  # not so for nan and inf alone
                values[i] = None
        return values

    def _interpret(self, values: list[Any]) -> None:
        """Bits, texts and invalid markers in place of their raw values."""
        for i, mask in self._masks:
            values[i] = values[i] & mask != 0
        for i, is_reversed in self._texts:
            values[i] = _decode_text(values[i][::-1] if is_reversed else values[i])
        for i, markers in self._markers:
            if values[i] in markers:
                values[i] = None

    def bad(self, values: Sequence[Value]) -> list[tuple[int, int]]:
        """(index of the point, `OUT_OF_RANGE` or `NOT_AVAILABLE`) for what is not good in values just decoded."""
        bad = []
        for i, low, high in self._bounds:
            value: Any = values[i]
            if value is None:
                bad.append((i, NOT_AVAILABLE))
            elif not low <= value <= high:
                bad.append((i, OUT_OF_RANGE))
        return bad


def compile_block(
    points: Sequence[RegisterPoint], start: int, count: int, scale_factors: Mapping[str, int] | None = None
) -> BlockDecoder | BitDecoder:
    """What decodes the answer to reading `count` registers (or bits) from `start` into the values of `points`.

    All points stand in one table and within the block, in any order; they may overlap. `scale_factors` are the
    exponents of `decode_scale_factor`, by name; a missing one counts as 0. Raises `LocalProtocolError`.
    """
    for point in points:
        if point.table != points[0].table:
            raise LocalProtocolError(f"{point.name} is not of table {points[0].table}")
        if not start <= point.address <= point.end <= start + count:
            raise LocalProtocolError(f"{point.name} does not lie within {start} to {start + count - 1}")
    if points and points[0].is_bit:
        return BitDecoder(points, start, count)
    return BlockDecoder(points, start, count, scale_factors or {})


def decode_value(point: RegisterPoint, data: bytes, scale_factors: Mapping[str, int] | None = None) -> Value:
    """One value from its own registers (or its own bit)."""
    return compile_block([point], point.address, point.count, scale_factors)(data)[0]


def decode_scale_factor(register: int) -> int:
    """The power of ten in an unsigned register. Raises `FieldError` for one that no scale factor can be."""
    exponent = register - 0x1_0000 if register >= 0x8000 else register
    if exponent == _NO_SCALE_FACTOR:
        return 0
    if abs(exponent) > _MAX_SCALE_FACTOR:
        raise FieldError(f"a scale factor is -10 to 10, not {exponent}", field="scale_factor")
    return exponent


def encode_value(point: RegisterPoint, value: Value, scale_factors: Mapping[str, int] | None = None) -> bytes:
    """A value's registers, as they travel; numbers go to the nearest step of the scale, None to the first marker.

    Raises `LocalProtocolError` for a value that the point cannot hold, that lies outside its `min` and `max`, or that
    would be read as None.
    """
    is_swapped, byte_order = _order_of(point)
    if value is None:
        if not point.invalid:
            raise LocalProtocolError("has no way to say that there is no value", field=point.name)
        native = point.invalid[0].to_bytes(2 * point.count, "big" if byte_order == ">" else "little")
    elif point.type == "string":
        native = _encode_text(point, value)
        native = native if byte_order == ">" else native[::-1]
    elif point.bit is not None:
        raise LocalProtocolError("is one bit of a register, which is not written by itself", field=point.name)
    else:
        try:
            native = struct.pack(byte_order + _code_of(point), _raw_of(point, value, scale_factors or {}))
        except (struct.error, OverflowError):
            raise LocalProtocolError(f"{value!r} does not fit into {point.type}", field=point.name) from None
        if int.from_bytes(native, "big" if byte_order == ">" else "little") in point.invalid:
            raise LocalProtocolError(f"{value!r} stands for no value", field=point.name)
    return swap_bytes(native) if is_swapped else native


def write_request(
    point: RegisterPoint,
    value: Value,
    scale_factors: Mapping[str, int] | None = None,
    *,
    is_always_multiple: bool = False,
) -> Request:
    """The request that writes a value: function 05 for a coil, 06 for one register, 10 for more.

    `is_always_multiple`: function 10 for one register as well, for devices that lack 06. Raises `LocalProtocolError`,
    also for a point that is not `writable`.
    """
    if not point.writable:
        raise LocalProtocolError("is not writable", field=point.name)
    if point.is_bit:
        if not isinstance(value, bool):
            raise LocalProtocolError(f"a coil is true or false, not {value!r}", field=point.name)
        return WriteCoil(point.address, value)
    data = encode_value(point, value, scale_factors)
    if len(data) == 2 and not is_always_multiple:
        return WriteRegister(point.address, data[0] << 8 | data[1])
    return WriteRegisters(point.address, data)


def swap_bytes(data: bytes) -> bytes:
    """The two bytes of each register exchanged."""
    swapped = bytearray(len(data))
    swapped[0::2] = data[1::2]
    swapped[1::2] = data[0::2]
    return bytes(swapped)


def _order_of(point: RegisterPoint) -> tuple[bool, str]:
    """Whether a point's words are swapped first, and the byte order in which `struct` then finds it."""
    if point.order == "ABCD":
        return False, ">"
    if point.order == "DCBA":
        return False, "<"
    if point.count == 1 and point.type != "string":  # swapped twice is not at all
        return False, ">" if point.order == "CDAB" else "<"
    return True, "<" if point.order == "CDAB" else ">"


def _code_of(point: RegisterPoint) -> str:
    if point.type == "string":
        return f"{2 * point.count}s"
    return _UNSIGNED[point.count] if point.type == "bits" else _CODES[point.type]


class _Track:
    """Fields of one byte order that follow one another without overlap, so that one `struct` unpacks them."""

    def __init__(self, is_swapped: bool, byte_order: str) -> None:
        self.order = (is_swapped, byte_order)
        self.fields: list[tuple[int, int, str]] = []  # first word, word behind, code

    def place(self, first: int, end: int, code: str) -> int | None:
        """Which field it becomes, or None when it overlaps the last one. The same field twice is one."""
        if self.fields and self.fields[-1] == (first, end, code):
            return len(self.fields) - 1
        if self.fields and self.fields[-1][1] > first:
            return None
        self.fields.append((first, end, code))
        return len(self.fields) - 1

    def layout(self, words: int) -> struct.Struct:
        """The whole block, with padding where there is no field."""
        codes: list[str] = []
        at = 0
        for first, end, code in self.fields:
            codes += [_PAD] * (first - at) + [code]
            at = end
        codes += [_PAD] * (words - at)
        text = self.order[1]
        for code, run in groupby(codes):
            n = len(list(run))
            text += f"{2 * n}x" if code == _PAD else f"{n}{code}" if len(code) == 1 else code * n
        return struct.Struct(text)


def _plan(points: Sequence[RegisterPoint], start: int, words: int) -> tuple[list[tuple[_Unpack, bool]], _Pick | None]:
    """How a block is unpacked, and what picks each point's field from all that was (None: they lie in order)."""
    tracks: list[_Track] = []
    places: dict[int, tuple[_Track, int]] = {}
    for i in sorted(range(len(points)), key=lambda i: points[i].address):
        first = points[i].address - start
        field = (first, first + points[i].count, _code_of(points[i]))
        order = _order_of(points[i])
        for track in tracks:
            if track.order == order and (place := track.place(*field)) is not None:
                places[i] = track, place
                break
        else:
            tracks.append(_Track(*order))
            tracks[-1].place(*field)
            places[i] = tracks[-1], 0
    begins: dict[_Track, int] = {}
    fields = 0
    for track in tracks:
        begins[track] = fields
        fields += len(track.fields)
    picked = [begins[places[i][0]] + places[i][1] for i in range(len(points))]
    unpackers: list[tuple[_Unpack, bool]] = [(track.layout(words).unpack, track.order[0]) for track in tracks]
    if picked == list(range(fields)):
        return unpackers, None
    pick: _Pick = itemgetter(*picked) if len(picked) > 1 else itemgetter(slice(picked[0], picked[0] + 1))
    return unpackers, pick


def _may_be_bad(point: RegisterPoint) -> bool:
    """Whether a value of the point can be out of range or not available."""
    return bool(point.invalid) or point.type.startswith("float") or point.min is not None or point.max is not None


def _ratio_of(point: RegisterPoint, exponents: Mapping[str, int]) -> tuple[int, int, float]:
    """Numerator, denominator and offset of what turns a raw value into a physical one."""
    scale = Fraction(Decimal(repr(point.scale)))
    if point.scale_factor is not None:
        scale *= Fraction(10) ** exponents.get(point.scale_factor, 0)
    offset = int(point.offset) if point.offset == int(point.offset) else point.offset
    return scale.numerator, scale.denominator, offset


def _scaled(raw: float, numerator: int, denominator: int, offset: float) -> float:
    scaled = raw * numerator
    if denominator != 1:
        scaled = scaled / denominator
    return scaled + offset if offset else scaled


def _markers_of(point: RegisterPoint) -> frozenset[Any]:
    """A point's invalid markers as the values that `struct` makes of them."""
    layout = struct.Struct(">" + _code_of(point))
    return frozenset(layout.unpack(marker.to_bytes(layout.size, "big"))[0] for marker in point.invalid)


def _raw_of(point: RegisterPoint, value: Value, exponents: Mapping[str, int]) -> float | int:
    """The number that goes to the wire. Whether it fits, `struct` says."""
    if point.type == "bool" and isinstance(value, bool):
        return int(value)
    if point.type == "bool" or isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise LocalProtocolError(f"{value!r} is no value of {point.type}", field=point.name)
    if not (point.min is None or value >= point.min) or not (point.max is None or value <= point.max):
        raise LocalProtocolError(f"{value!r} is outside {point.min} to {point.max}", field=point.name)
    numerator, denominator, offset = _ratio_of(point, exponents)
    exact = (Fraction(Decimal(repr(value))) - Fraction(Decimal(repr(offset)))) * denominator / numerator
    return float(exact) if point.type in ("float32", "float64") else round(exact)


def _decode_text(data: bytes) -> str:
    """Text up to its first NUL, without the blanks that fill it; what is no UTF-8 becomes U+FFFD."""
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").rstrip(" ")


def _encode_text(point: RegisterPoint, value: Value) -> bytes:
    if not isinstance(value, str):
        raise LocalProtocolError(f"{value!r} is no text", field=point.name)
    data = value.encode("utf-8", "surrogatepass")
    if len(data) > 2 * point.count:
        raise LocalProtocolError(f"{len(data)} bytes of text where {2 * point.count} fit", field=point.name)
    return data.ljust(2 * point.count, b"\0")
