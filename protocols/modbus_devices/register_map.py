"""A device's registers as data: what each point is called, where it stands and how it is read.

Addresses are those of the protocol, from 0. The files live with the drivers; this is their type.
"""

from math import isfinite
from typing import Annotated, Literal

import msgspec

_ADDRESSES = 0x1_0000
_SMALLEST_SCALE = 1e-12

Table = Literal["coil", "discrete", "input", "holding"]
ValueType = Literal[
    "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bool", "bits", "string"
]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""How a number's bytes, A the highest, stand in its registers. CDAB turns the words round, BADC the bytes of each word,
DCBA both; 64-bit numbers likewise."""

PointName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Address = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Factor = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
ReferenceName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]

READ_FUNCTIONS: dict[str, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""Which function reads a table."""

WORDS: dict[str, int] = {
    "uint16": 1,
    "int16": 1,
    "uint32": 2,
    "int32": 2,
    "uint64": 4,
    "int64": 4,
    "float32": 2,
    "float64": 4,
    "bool": 1,
    "bits": 1,
    "string": 1,
}
"""How many registers a value of each type takes where `words` does not say."""


class RegisterPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a device: physical value = raw x `scale` + `offset`."""

    name: PointName
    """What it is called in samples and commands."""
    table: Table
    """`coil`, `discrete`, `input` or `holding`."""
    address: Address
    """The protocol address of its first register, from 0: the manual's 40001 is 0 of `holding`."""
    type: ValueType = "uint16"
    """How its registers are read; `bool` in a table of bits."""
    order: Order = "ABCD"
    """How a number's bytes stand in its registers."""
    scale: Factor = 1.0
    """What one step of the raw value is in `unit`."""
    offset: Factor = 0.0
    """What is added to it."""
    unit: Annotated[str, msgspec.Meta(max_length=32)] = "1"
    """The unit of the physical value; 1 for none."""
    min: float | None = None
    """The smallest physical value that can be true; below it the value is out of range."""
    max: float | None = None
    """The largest one."""
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """With `report = "change"`: a change of at most this much is no change."""
    invalid: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    """Raw values (unsigned, as on the wire) with which the device says that it has none."""
    bit: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = None
    """Of a `bool` in a register: which bit, 0 the lowest."""
    words: Annotated[int, msgspec.Meta(ge=1, le=125)] | None = None
    """Of a `string` or `bits`: how many registers."""
    writable: bool = False
    """Whether a signed command may write it. Nothing is written that a map does not allow."""
    write_only: bool = False
    """Never read: a register that takes commands and holds no value."""
    scale_factor: ReferenceName | None = None
    """The scale factor by whose power of ten the raw value is multiplied as well (SunSpec)."""
    scale_option: ReferenceName | None = None
    """The option of the map that stands in for `scale`."""
    every: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    """Read in every n-th poll round only."""
    title: dict[str, str] | None = None
    """What people call it, by language."""

    @property
    def is_bit(self) -> bool:
        """Whether it stands in a table of bits."""
        return self.table in ("coil", "discrete")

    @property
    def count(self) -> int:
        """How many registers (or bits, in a table of bits) it takes."""
        return WORDS[self.type] if self.words is None else self.words

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.count

    def __post_init__(self) -> None:
        """Refuse what no register can hold. msgspec adds the path to the `ValueError`."""
        self._check_type()
        self._check_numbers()
        if self.writable and self.table in ("discrete", "input"):
            raise ValueError(f"{self.name}: no function writes a {self.table} register")
        if self.write_only and not self.writable:
            raise ValueError(f"{self.name}: write_only makes sense with writable = true alone")

    def _check_type(self) -> None:
        if self.is_bit and self.type != "bool":
            raise ValueError(f"{self.name}: a {self.table} is a bool, not {self.type}")
        if self.is_bit and self.bit is not None:
            raise ValueError(f"{self.name}: bit belongs to a register, a {self.table} is one itself")
        if self.bit is not None and self.type != "bool":
            raise ValueError(f"{self.name}: bit belongs to type bool, not {self.type}")
        if self.words is not None and self.type not in ("string", "bits"):
            raise ValueError(f"{self.name}: words belongs to string and bits; {self.type} has its own size")
        if self.type == "bits" and self.words not in (None, 1, 2, 4):
            raise ValueError(f"{self.name}: bits fill 1, 2 or 4 registers, not {self.words}")

    def _check_numbers(self) -> None:
        if self.end > _ADDRESSES:
            raise ValueError(f"{self.name} ends behind the last address, 65535")
        numbers = (self.scale, self.offset, self.deadband, self.min, self.max)
        if any(number is not None and not isfinite(number) for number in numbers):
            raise ValueError(f"{self.name}: nan and inf bound nothing; leave the key out")
        if abs(self.scale) < _SMALLEST_SCALE:
            raise ValueError(f"{self.name}: a scale of {self.scale:g} leaves nothing; leave it out for 1")
        if self.type in ("bool", "bits", "string") and (self.scale, self.offset, self.scale_factor) != (1, 0, None):
            raise ValueError(f"{self.name}: scale and offset belong to numbers, not to {self.type}")
        if self.type in ("bool", "string") and (self.invalid or self.min is not None or self.max is not None):
            raise ValueError(f"{self.name}: min, max and invalid belong to numbers, not to {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"{self.name}: min {self.min:g} is above max {self.max:g}")
        if any(marker >> 16 * self.count for marker in self.invalid):
            raise ValueError(f"{self.name}: an invalid marker has at most {4 * self.count} hex digits")


class ScaleFactor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A register (int16) that holds a power of ten; 8000H, "not implemented", counts as 0 (SunSpec)."""

    address: Address
    table: Literal["input", "holding"] = "holding"


class MapOption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scale that differs between models which look the same otherwise."""

    default: Factor
    allowed: tuple[Factor, ...]
    title: dict[str, str] | None = None


class RegisterMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of device."""

    name: PointName
    title: dict[str, str]
    source: str
    """The manual or public code that the addresses come from."""
    points: tuple[RegisterPoint, ...]
    line: str | None = None
    """How the device's line is set when it leaves the factory, such as `9600 8N1`."""
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    """How many registers one request may read."""
    max_bits: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 2000
    max_hole: Annotated[int, msgspec.Meta(ge=0, le=125)] | None = None
    """The largest gap of unwanted registers that a request may read over; None: any."""
    even_start: bool = False
    """The device refuses requests that start at an odd address."""
    device_delay_ms: Annotated[float, msgspec.Meta(ge=0, le=60_000)] = 0.0
    """How long it thinks before it answers."""
    options: dict[ReferenceName, MapOption] = {}
    scale_factors: dict[ReferenceName, ScaleFactor] = {}
    """Read once before the points: they do not change while a device runs."""
    sunspec_model: Annotated[int, msgspec.Meta(ge=1, le=0xFFFE)] | None = None
    """Addresses count from the id register of this model, wherever the device has it."""

    def __post_init__(self) -> None:
        """Refuse a map that contradicts itself. msgspec adds the path to the `ValueError`."""
        if not self.points:
            raise ValueError("a map without points reads nothing")
        seen: set[str] = set()
        for point in self.points:
            if point.name in seen:
                raise ValueError(f"{point.name} stands twice")
            seen.add(point.name)
            if not point.is_bit and point.count > self.max_registers:
                raise ValueError(f"{point.name} takes {point.count} registers, one request reads {self.max_registers}")
            if self.even_start and not point.is_bit and point.address % 2:
                raise ValueError(f"{point.name} starts at odd {point.address}, which the device refuses (even_start)")
            if point.scale_factor is not None and point.scale_factor not in self.scale_factors:
                raise ValueError(f"{point.name}: no scale factor {point.scale_factor} in [scale_factors]")
            if point.scale_option is not None and point.scale_option not in self.options:
                raise ValueError(f"{point.name}: no option {point.scale_option} in [options]")
        for name, option in self.options.items():
            if option.default not in option.allowed:
                raise ValueError(f"option {name}: the default {option.default:g} is not among those allowed")


def with_options(register_map: RegisterMap, options: dict[str, float]) -> RegisterMap:
    """The map for one model: each point with a `scale_option` gets its scale from `options`, else the default.

    Raises `ValueError` for an option that the map does not have or a value that it does not allow.
    """
    for name, value in options.items():
        if name not in register_map.options:
            known = ", ".join(register_map.options) or "none"
            raise ValueError(f"{register_map.name} has no option {name}; it has: {known}")
        if value not in register_map.options[name].allowed:
            allowed = ", ".join(f"{choice:g}" for choice in register_map.options[name].allowed)
            raise ValueError(f"{name} of {register_map.name} is one of {allowed}, not {value:g}")
    points = tuple(
        point
        if point.scale_option is None
        else msgspec.structs.replace(
            point,
            scale=options.get(point.scale_option, register_map.options[point.scale_option].default),
            scale_option=None,
        )
        for point in register_map.points
    )
    return msgspec.structs.replace(register_map, points=points, options={})
