"""The rows that the tables of JT/T 808 are made of. See `layout.py`.

Strings stay bytes on the way in and out, with their padding; `values.py` says what they mean.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.jt808.layout import (
    Kind,
    Readable,
    Scope,
    Source,
    parse_struct,
    read_struct,
    show_struct,
    write_struct,
)
from protocols.jt808.values import bytes_of_text, bytes_of_time_text, degrees_of, text_of, time_text_of


class Unsigned(Kind):
    """BYTE, WORD, DWORD."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.maximum = (1 << 8 * size) - 1

    def read(self, source: Source, _scope: Scope) -> int:
        """An integer, high byte first."""
        return int.from_bytes(source.take(self.size), "big")

    def write(self, value: int, _scope: Scope) -> bytes:
        """Its bytes, high byte first."""
        if not 0 <= value <= self.maximum:
            raise LocalProtocolError(f"{value} is not 0 to {self.maximum}")
        return value.to_bytes(self.size, "big")

    def show(self, value: int, _scope: Scope) -> object:
        """The integer itself."""
        return value

    def parse(self, fields: Readable, name: str, _scope: Scope) -> int:
        """The integer itself."""
        return fields.integer(name, self.maximum)


_BYTE = Unsigned(1)
_WORD = Unsigned(2)
_DWORD = Unsigned(4)
_BY_SIZE = {1: _BYTE, 2: _WORD, 4: _DWORD}


class Coordinate(Kind):
    """A latitude or longitude: a magnitude in 1e-6 degree whose sign is a bit of some flags around it."""

    def __init__(self, flags: str, negative_bit: int) -> None:
        self.flags = flags
        self.mask = 1 << negative_bit

    def read(self, source: Source, scope: Scope) -> int:
        """The magnitude."""
        return _DWORD.read(source, scope)

    def write(self, value: int, scope: Scope) -> bytes:
        """The magnitude."""
        return _DWORD.write(value, scope)

    def show(self, value: int, scope: Scope) -> object:
        """Degrees, south and west negative."""
        return degrees_of(value, is_negative=bool(scope.values[self.flags] & self.mask))

    def parse(self, fields: Readable, name: str, scope: Scope) -> int:
        """The magnitude of degrees whose sign agrees with the flags."""
        degrees = fields.number(name)
        magnitude = round(abs(degrees) * 1e6)
        flags = scope.values[self.flags] if self.flags in scope.values else fields.integer(self.flags, 0xFFFF)
        if magnitude > _DWORD.maximum or (degrees and (degrees < 0) != bool(flags & self.mask)):
            raise LocalProtocolError(f"degrees with the sign that {self.flags} says", field=name)
        return magnitude


class Octets(Kind):
    """Bytes shown as hex digits: BCD, blobs. `size` of them, or all that are left."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size

    def read(self, source: Source, _scope: Scope) -> bytes:
        """The bytes."""
        return source.rest() if self.size is None else source.take(self.size)

    def write(self, value: bytes, _scope: Scope) -> bytes:
        """The bytes, as many as there must be."""
        if self.size is not None and len(value) != self.size:
            raise LocalProtocolError(f"{self.size} bytes, not {len(value)}")
        return value

    def show(self, value: bytes, _scope: Scope) -> object:
        """Hex digits."""
        return value.hex()

    def parse(self, fields: Readable, name: str, _scope: Scope) -> bytes:
        """From hex digits."""
        return fields.octets(name, self.size)


class Date(Octets):
    """BCD[4] shown as YYYY-MM-DD, the digits as they were sent."""

    def __init__(self) -> None:
        super().__init__(4)

    def show(self, value: bytes, _scope: Scope) -> object:
        """YYYY-MM-DD."""
        digits = value.hex()
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"

    def parse(self, fields: Readable, name: str, _scope: Scope) -> bytes:
        """From YYYY-MM-DD."""
        return Readable({name: fields.text(name).replace("-", "")}).octets(name, self.size)


class Time(Octets):
    """BCD[6], shown as ISO 8601, or null where the digits are no time."""

    def __init__(self, zone: str = "+08:00") -> None:
        super().__init__(6)
        self.zone = zone

    def show(self, value: bytes, _scope: Scope) -> object:
        """ISO 8601 or None."""
        return time_text_of(value, self.zone)

    def parse(self, fields: Readable, name: str, _scope: Scope) -> bytes:
        """From ISO 8601; null is all zeros."""
        return bytes_of_time_text(fields.text(name) if fields.has(name) else None, self.zone, name)


class Text(Kind):
    """A STRING to the end of the body."""

    def read(self, source: Source, _scope: Scope) -> bytes:
        """The bytes, padding included."""
        return source.rest()

    def write(self, value: bytes, _scope: Scope) -> bytes:
        """The bytes."""
        return value

    def show(self, value: bytes, _scope: Scope) -> object:
        """What it says."""
        return text_of(value)

    def parse(self, fields: Readable, name: str, _scope: Scope) -> bytes:
        """From what it says."""
        return bytes_of_text(fields.text(name), name)


class FixedText(Text):
    """A STRING of a fixed size, or of a size that the dialect names. A shorter one is padded: with 0x00, mostly."""

    def __init__(self, size: int | str, padding: str | None = None) -> None:
        self._size = size
        self._padding = padding

    def _bytes(self, scope: Scope) -> int:
        size = getattr(scope.dialect, self._size) if isinstance(self._size, str) else self._size
        assert isinstance(size, int)
        return size

    def read(self, source: Source, scope: Scope) -> bytes:
        """The bytes, padding included."""
        return source.take(self._bytes(scope))

    def write(self, value: bytes, scope: Scope) -> bytes:
        """The bytes, padded."""
        size = self._bytes(scope)
        if len(value) > size:
            raise LocalProtocolError(f"at most {size} bytes, not {len(value)}")
        return value.ljust(size, b"\x00" if self._padding is None else getattr(scope.dialect, self._padding))


class Sized(Kind):
    """Bytes or a STRING behind a count of bytes."""

    def __init__(self, count_bytes: int, content: Kind) -> None:
        self._count = _BY_SIZE[count_bytes]
        self._content = content

    def read(self, source: Source, scope: Scope) -> Any:
        """The count and what it counts."""
        start = source.at
        inside = Source(source.take(self._count.read(source, scope)))
        try:
            value = self._content.read(inside, scope)
        except FrameError as error:
            error.offset = start + self._count.size + (error.offset or 0)
            raise
        if inside.remaining:
            raise FrameError(f"{inside.remaining} bytes follow the last field", offset=source.at - inside.remaining)
        return value

    def write(self, value: Any, scope: Scope) -> bytes:
        """The count and what it counts."""
        data = self._content.write(value, scope)
        if len(data) > self._count.maximum:
            raise LocalProtocolError(f"at most {self._count.maximum} bytes, not {len(data)}")
        return self._count.write(len(data), scope) + data

    def show(self, value: Any, scope: Scope) -> object:
        """What it says."""
        return self._content.show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Any:
        """From what it says."""
        return self._content.parse(fields, name, scope)


class Group(Kind):
    """A structure inside a structure."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self._struct = struct

    def read(self, source: Source, scope: Scope) -> Any:
        """Its fields."""
        return read_struct(self._struct, source, scope)

    def write(self, value: Any, scope: Scope) -> bytes:
        """Its fields."""
        return write_struct(value, scope)

    def show(self, value: Any, scope: Scope) -> object:
        """An object."""
        return show_struct(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Any:
        """From an object."""
        return parse_struct(self._struct, fields.mapping(name), scope)


class Listed(Kind):
    """Items up to the end of the body."""

    def __init__(self, item: Kind) -> None:
        self._item = item

    def read(self, source: Source, scope: Scope) -> tuple[Any, ...]:
        """Items until nothing is left."""
        items = []
        while source.remaining:
            items.append(self._item.read(source, scope))
        return tuple(items)

    def write(self, value: Sequence[Any], scope: Scope) -> bytes:
        """The items."""
        return b"".join([self._item.write(item, scope) for item in value])

    def show(self, value: Sequence[Any], scope: Scope) -> object:
        """A list."""
        return [self._item.show(item, scope) for item in value]

    def parse(self, fields: Readable, name: str, scope: Scope) -> tuple[Any, ...]:
        """From a list."""
        return tuple([self._item.parse(Readable({name: item}), name, scope) for item in fields.sequence(name)])


class Counted(Listed):
    """A count and that many items. The count's size may be one that the dialect names."""

    def __init__(self, count_bytes: int | str, item: Kind) -> None:
        super().__init__(item)
        self._count_bytes = count_bytes

    def _count(self, scope: Scope) -> Unsigned:
        size = self._count_bytes
        return _BY_SIZE[getattr(scope.dialect, size) if isinstance(size, str) else size]

    def read(self, source: Source, scope: Scope) -> tuple[Any, ...]:
        """As many items as the count says."""
        return _items(self._item, self._count(scope).read(source, scope), source, scope)

    def write(self, value: Sequence[Any], scope: Scope) -> bytes:
        """The count and the items."""
        return self._count(scope).write(len(value), scope) + super().write(value, scope)


class Announced(Listed):
    """Items whose count stood further ahead: `Announcing`."""

    def __init__(self, name: str, item: Kind) -> None:
        super().__init__(item)
        self._name = name

    def read(self, source: Source, scope: Scope) -> tuple[Any, ...]:
        """As many items as were announced."""
        return _items(self._item, scope.counts[self._name], source, scope)


class Announcing(Kind):
    """A WORD that counts the items of a later field, and then a field of its own."""

    def __init__(self, name: str, kind: Kind) -> None:
        self._name = name
        self._kind = kind

    def read(self, source: Source, scope: Scope) -> Any:
        """The count is remembered."""
        scope.counts[self._name] = _WORD.read(source, scope)
        return self._kind.read(source, scope)

    def write(self, value: Any, scope: Scope) -> bytes:
        """The count, and the field's own value."""
        return _WORD.write(len(scope.values[self._name]), scope) + self._kind.write(value, scope)

    def show(self, value: Any, scope: Scope) -> object:
        """The field's own value."""
        return self._kind.show(value, scope)

    def parse(self, fields: Readable, name: str, scope: Scope) -> Any:
        """The field's own value."""
        return self._kind.parse(fields, name, scope)


def _items(item: Kind, count: int, source: Source, scope: Scope) -> tuple[Any, ...]:
    """`count` items, each of one byte at least: a count that the body cannot hold is refused before it costs."""
    if count > source.remaining:
        raise FieldError(f"{count} items are announced where {source.remaining} bytes are left", offset=source.at)
    return tuple([item.read(source, scope) for _ in range(count)])


BYTE_TEXT = Sized(1, Text())
WORD_TEXT = Sized(2, Text())

U8 = Annotated[int, _BYTE]
U16 = Annotated[int, _WORD]
U32 = Annotated[int, _DWORD]
Blob = Annotated[bytes, Octets()]
Text8 = Annotated[bytes, BYTE_TEXT]
Text16 = Annotated[bytes, WORD_TEXT]
TextToEnd = Annotated[bytes, Text()]
BcdTime = Annotated[bytes, Time()]
Ids = Annotated[tuple[int, ...], Counted(1, _DWORD)]
BYTE, WORD, DWORD = _BYTE, _WORD, _DWORD
