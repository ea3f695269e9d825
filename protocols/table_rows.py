"""Rows of tables (`table.py`): a field's type carries its row. What only one standard has stands beside its tables.

`U16` is `Annotated[int, Unsigned(2)]`: an int to whoever uses the type, two bytes, high byte first, to whoever reads or
writes it. BCD digits, identifiers and text stay bytes, with their padding, so that nothing is lost; `text_of` says what
a text reads.
"""

import struct
from typing import Annotated, Any

from protocols.core.errors import LocalProtocolError
from protocols.message_fields import Fields


def text_of(raw: bytes) -> str:
    """What a GBK text says: 00 and then blanks off its end, U+FFFD for what is not GBK."""
    return raw.rstrip(b"\x00").decode("gbk", "replace").rstrip(" ")


def bytes_of_text(text: str, size: int) -> bytes:
    """A GBK text, filled with 00. Raises `LocalProtocolError` for what has no bytes, or too many."""
    try:
        raw = text.encode("gbk")
    except UnicodeEncodeError:
        raise LocalProtocolError("a character that GBK does not have") from None
    if len(raw) > size or text_of(raw) != text:
        raise LocalProtocolError(f"at most {size} bytes of GBK, without 00 or blanks at the end")
    return raw.ljust(size, b"\x00")


class Row:
    """A row of a table. `size` is None where the row takes what the others leave."""

    size: int | None
    code: str
    """Its letter for the module `struct`."""

    def read(self, raw: Any) -> Any:
        """The value, from what `struct` gives for the letter."""
        return raw

    def write(self, value: Any) -> bytes:
        """The value's bytes. Raises `LocalProtocolError`."""
        raise NotImplementedError

    def show(self, value: Any) -> object:
        """The value in the readable form."""
        raise NotImplementedError

    def parse(self, fields: Fields, name: str) -> Any:
        """The value from the readable form. Raises `LocalProtocolError`."""
        raise NotImplementedError


class Unsigned(Row):
    """A number of one to four bytes."""

    def __init__(self, size: int) -> None:
        self.size: int = size
        self.maximum = (1 << 8 * size) - 1
        self.code = {1: "B", 2: "H", 3: "3s", 4: "I"}[size]

    def read(self, raw: Any) -> int:
        """`struct` has no letter for three bytes."""
        return raw if isinstance(raw, int) else int.from_bytes(raw, "big")

    def write(self, value: int) -> bytes:
        """High byte first."""
        if not 0 <= value <= self.maximum:
            raise LocalProtocolError(f"{value} is not 0 to {self.maximum}")
        return value.to_bytes(self.size, "big")

    def show(self, value: int) -> object:
        """The number."""
        return value

    def parse(self, fields: Fields, name: str) -> int:
        """The number."""
        return fields.integer(name, self.maximum)


class Octets(Row):
    """Bytes, shown as hex digits: BCD, dates, identifiers, records. Without a size: whatever the others leave."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.code = f"{size}s"

    def write(self, value: bytes) -> bytes:
        """The bytes, as many as there must be."""
        if self.size is not None and len(value) != self.size:
            raise LocalProtocolError(f"{self.size} bytes, not {len(value)}")
        return bytes(value)

    def show(self, value: bytes) -> object:
        """Hex digits."""
        return value.hex()

    def parse(self, fields: Fields, name: str) -> bytes:
        """From hex digits."""
        return fields.octets(name, self.size)


class Text(Octets):
    """GBK, filled with 00 at its end."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._room = size

    def show(self, value: bytes) -> object:
        """What it says."""
        return text_of(value)

    def parse(self, fields: Fields, name: str) -> bytes:
        """From what it says."""
        return bytes_of_text(fields.text(name), self._room)


def struct_of(rows: tuple[Row, ...]) -> struct.Struct:
    """Rows of known size, one behind the other."""
    return struct.Struct(">" + "".join(row.code for row in rows))


U8 = Annotated[int, Unsigned(1)]
U16 = Annotated[int, Unsigned(2)]
U24 = Annotated[int, Unsigned(3)]
U32 = Annotated[int, Unsigned(4)]
Bytes1 = Annotated[bytes, Octets(1)]
Bytes2 = Annotated[bytes, Octets(2)]
Bytes3 = Annotated[bytes, Octets(3)]
Bytes4 = Annotated[bytes, Octets(4)]
Bytes6 = Annotated[bytes, Octets(6)]
Bytes8 = Annotated[bytes, Octets(8)]
Date = Bytes4
"""BCD, YYYYMMDD."""
TerminalId = Bytes6
"""Of a PSAM: the security module of a terminal or of a roadside unit."""
