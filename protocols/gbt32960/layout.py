"""Tables of fields that read, write and explain the same bytes.

Information items are long tables of numbers, each with a scale, an offset and codes for "invalid" and "abnormal". A
class of such an item lists its `PARTS` in wire order; decoding, encoding and the readable layer all go by that list, so
that they cannot disagree. A wire value is the exact integer in the unit that its name tells (`speed_tenth_kmh`), its
offset applied: None for invalid (all bits one), `ABNORMAL` for abnormal (all bits one, less one).

    Numbers   fields one behind the other          Bytes   bytes of a fixed size
    Array     a count, then that many numbers      Items   a count, then that many structures
    Blob      a length, then bytes                        Rest    bytes to the end

A count of all bits one, or one less, says that there is nothing: None or `ABNORMAL` in place of the tuple.
"""

import struct
from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError


class Abnormal(Enum):
    """The type of `ABNORMAL`: the sensor or the line to it is faulty."""

    ABNORMAL = "abnormal"

    def __repr__(self) -> str:
        return "ABNORMAL"


ABNORMAL = Abnormal.ABNORMAL
Reading = int | Abnormal | None
T = TypeVar("T")
Counted = tuple[T, ...] | Abnormal | None
Form = Literal["number", "hex", "text", "time"]

_CODES = {1: "B", 2: "H", 4: "I"}


class Reader:
    """Bytes and a place in them. `start` is where they stand in their frame, for the offsets of errors."""

    __slots__ = ("at", "data", "start")

    def __init__(self, data: bytes, start: int = 0, at: int = 0) -> None:
        self.data = data
        self.start = start
        self.at = at

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at

    def take(self, size: int, name: str) -> bytes:
        """The next bytes. Raises `FieldError`."""
        end = self.at + size
        if end > len(self.data):
            raise self.error("the data end within a field", name)
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, size: int, name: str) -> int:
        """The next number. Raises `FieldError`."""
        return int.from_bytes(self.take(size, name), "big")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left, "raw")

    def end(self) -> None:
        """Raises `FieldError` when something is left."""
        if self.left:
            raise self.error("bytes are left over", "data")

    def error(self, reason: str, name: str) -> FieldError:
        """An error at this place; no bytes with it."""
        return FieldError(reason, self.start + self.at, name)


class Number(msgspec.Struct, frozen=True):
    """A number: its attribute, bytes, readable key (none: the attribute), scale of one unit, offset in units.

    nulls: 2 when all bits one is None and one less `ABNORMAL`, 1 when only the former, 0 when every value is itself.
    form: `hex` is read as digits.
    """

    name: str
    size: int
    key: str = ""
    scale: float = 1
    offset: int = 0
    nulls: int = 0
    form: Form = "number"

    @property
    def readable_key(self) -> str:
        """What the readable layer calls it."""
        return self.key or self.name

    def value_of(self, raw: int) -> Reading:
        """The value of what stands on the wire."""
        most = (1 << 8 * self.size) - 1
        if self.nulls and raw == most:
            return None
        if self.nulls > 1 and raw == most - 1:
            return ABNORMAL
        return raw + self.offset

    def raw_of(self, value: Reading) -> int:
        """The inverse. Raises `LocalProtocolError`."""
        most = (1 << 8 * self.size) - 1
        if value is None and self.nulls:
            return most
        if value is ABNORMAL and self.nulls > 1:
            return most - 1
        raw = value - self.offset if isinstance(value, int) else -1
        if not 0 <= raw <= most - self.nulls:
            raise LocalProtocolError("out of range", field=self.readable_key)
        return raw


class Bytes(msgspec.Struct, frozen=True):
    """Bytes of a fixed size, and how they are shown."""

    name: str
    size: int
    form: Form = "hex"

    @property
    def readable_key(self) -> str:
        """What the readable layer calls it."""
        return self.name


class Numbers:
    """Numbers and bytes one behind the other; the plain part of every table."""

    def __init__(self, *rows: Number | Bytes) -> None:
        self.rows = rows
        codes = [_CODES[row.size] if isinstance(row, Number) else f"{row.size}s" for row in rows]
        self._struct = struct.Struct(">" + "".join(codes))
        self._special = [
            (at, row) for at, row in enumerate(rows) if isinstance(row, Number) and (row.nulls or row.offset)
        ]

    def read(self, reader: Reader) -> list[Any]:
        """The values."""
        at = reader.at
        if reader.left < self._struct.size:
            for row in self.rows:  # one of them raises: the field that is cut short
                reader.take(row.size, row.readable_key)
        values = list(self._struct.unpack_from(reader.data, at))
        reader.at = at + self._struct.size
        for place, row in self._special:
            values[place] = row.value_of(values[place])
        return values

    def write(self, item: object) -> bytes:
        """Their bytes."""
        raws: list[Any] = []
        for row in self.rows:
            value = getattr(item, row.name)
            if isinstance(row, Number):
                raws.append(row.raw_of(value))
            elif len(value) != row.size:
                raise LocalProtocolError(f"{row.size} bytes", field=row.name)
            else:
                raws.append(value)
        return self._struct.pack(*raws)


class Array:
    """A count of `count_size` bytes, then that many numbers, each as `row` tells."""

    def __init__(self, count_size: int, row: Number) -> None:
        self.count_size = count_size
        self.row = row
        self._code = _CODES[row.size]
        self._most = (1 << 8 * row.size) - 1

    def read(self, reader: Reader) -> list[Any]:
        """One value: the tuple."""
        count = read_count(reader, self.count_size, self.row.readable_key)
        if not isinstance(count, int):
            return [count]
        data = reader.take(count * self.row.size, self.row.readable_key)
        raws = struct.unpack(f">{count}{self._code}", data)
        offset = self.row.offset
        if self.row.nulls and raws and max(raws) > self._most - self.row.nulls:
            return [tuple(map(self.row.value_of, raws))]
        return [tuple(raw + offset for raw in raws) if offset else raws]

    def write(self, item: object) -> bytes:
        """Count and numbers."""
        values = getattr(item, self.row.name)
        head = write_count(values, self.count_size, self.row.readable_key)
        if not isinstance(values, Sequence):
            return head
        raws = values if self._are_plain(values) else tuple(map(self.row.raw_of, values))
        return head + struct.pack(f">{len(values)}{self._code}", *raws)

    def _are_plain(self, values: Sequence[Reading]) -> bool:
        """Whether the values are what stands on the wire; one that is not available compares with no number."""
        if self.row.offset or not values:
            return False
        try:
            return min(values) >= 0 and max(values) <= self._most - self.row.nulls  # type: ignore[type-var, operator]
        except TypeError:
            return False


class Items:
    """A count, then that many structures of one class."""

    def __init__(self, count_size: int, name: str, kind: "type[Structure]") -> None:
        self.count_size = count_size
        self.name = name
        self.kind = kind

    def read(self, reader: Reader) -> list[Any]:
        """One value: the tuple."""
        count = read_count(reader, self.count_size, self.name)
        if not isinstance(count, int):
            return [count]
        return [tuple(self.kind.read(reader) for _ in range(count))]

    def write(self, item: object) -> bytes:
        """Count and structures."""
        values = getattr(item, self.name)
        head = write_count(values, self.count_size, self.name)
        return head + b"".join(value.write() for value in values) if isinstance(values, Sequence) else head


class Blob:
    """A length of `count_size` bytes, then bytes."""

    def __init__(self, count_size: int, name: str) -> None:
        self.count_size = count_size
        self.name = name

    def read(self, reader: Reader) -> list[Any]:
        """One value: the bytes."""
        return [reader.take(reader.number(self.count_size, self.name), self.name)]

    def write(self, item: object) -> bytes:
        """Length and bytes."""
        data: bytes = getattr(item, self.name)
        if len(data) >= 1 << 8 * self.count_size:
            raise LocalProtocolError("too long", field=self.name)
        return len(data).to_bytes(self.count_size, "big") + data


class Rest:
    """Bytes to the end."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, reader: Reader) -> list[Any]:
        """One value: the bytes."""
        return [reader.rest()]

    def write(self, item: object) -> bytes:
        """The bytes."""
        data: bytes = getattr(item, self.name)
        return data


class OwnPart(Protocol):
    """A part that only one structure has. `names` are its attributes."""

    names: tuple[str, ...]

    def read(self, reader: Reader) -> list[Any]:
        """A value for each of `names`. Raises `FieldError`."""

    def write(self, item: Any) -> bytes:
        """The inverse. Raises `LocalProtocolError`."""


Part = Numbers | Array | Items | Blob | Rest | OwnPart


class Structure(msgspec.Struct, frozen=True):
    """What is read and written by its table."""

    PARTS: ClassVar[tuple[Part, ...]] = ()

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read one. Raises `FieldError`."""
        values: list[Any] = []
        for part in cls.PARTS:
            values += part.read(reader)
        return cls(*values)

    def write(self) -> bytes:
        """Its bytes. Raises `LocalProtocolError`."""
        return b"".join([part.write(self) for part in self.PARTS])


def read_count(reader: Reader, size: int, name: str) -> Reading:
    """How many elements follow. Raises `FieldError`."""
    count = reader.number(size, name)
    most = (1 << 8 * size) - 1
    return None if count == most else ABNORMAL if count == most - 1 else count


def write_count(values: object, size: int, name: str) -> bytes:
    """The inverse for the elements themselves. Raises `LocalProtocolError`."""
    most = (1 << 8 * size) - 1
    if values is None or values is ABNORMAL:
        return (most if values is None else most - 1).to_bytes(size, "big")
    if not isinstance(values, Sequence) or len(values) > most - 2:
        raise LocalProtocolError("too many elements", field=name)
    return len(values).to_bytes(size, "big")
