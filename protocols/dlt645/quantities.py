"""Data identifiers of DL/T 645-2007 (appendix A): what a value means, how it is written, its unit.

An identifier has four bytes DI3 DI2 DI1 DI0. Where DI1 chooses a tariff or a phase, FF there means a block of all of
them, and FF for DI0 of an energy a block of all settlement days.

Numbers stand here in the wire's own scale: `Quantity.decimals` tells where the point is.

>>> reading = decode_reading(0x00010000, bytes.fromhex("56341200"))
>>> reading.numbers, reading.quantity.decimals, reading.quantity.unit
((123456,), 2, 'kWh')
"""

from typing import NamedTuple

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.dlt645.bcd import bytes_of_number, number_of


class Quantity(msgspec.Struct, frozen=True):
    """A row of the table.

    name: in words. size: bytes of the number, 0 for what is none. decimals: digits behind the point. time_bytes: of the
    moment that follows a maximum demand. record_bytes: of a record without a number; is_digits: of digits 0 to 9.
    """

    name: str
    size: int
    decimals: int = 0
    unit: str = ""
    is_signed: bool = False
    time_bytes: int = 0
    record_bytes: int = 0
    is_digits: bool = False

    @property
    def total_bytes(self) -> int:
        """Of one value, with all that belongs to it."""
        return self.size + self.time_bytes + self.record_bytes


class Reading(msgspec.Struct, frozen=True):
    """Values of an identifier. numbers: in the wire's scale; None where the meter does not have one."""

    quantity: Quantity
    numbers: tuple[int | None, ...]
    is_block: bool = False


BLOCK = 0xFF


class _Row(NamedTuple):
    """Which DI1 and DI0 go with a DI3 DI2, from lowest to highest, and where FF asks for a block."""

    quantity: Quantity
    di1: tuple[int, int]
    di0: tuple[int, int]
    blocks_by: str


def _by_tariff(quantity: Quantity) -> _Row:
    return _Row(quantity, (0x00, 0x3F), (0x00, 0x0C), "tariff or day")


def _by_phase(quantity: Quantity, lowest: int) -> _Row:
    return _Row(quantity, (lowest, 3), (0, 0), "phase")


def _of_phase(phase: str) -> _Row:
    return _Row(Quantity(f"forward active energy, phase {phase}", 4, 2, "kWh"), (0, 0), (0x00, 0x0C), "day")


_ROWS = {
    0x0000: _by_tariff(Quantity("combined active energy", 4, 2, "kWh", is_signed=True)),
    0x0001: _by_tariff(Quantity("forward active energy", 4, 2, "kWh")),
    0x0002: _by_tariff(Quantity("reverse active energy", 4, 2, "kWh")),
    0x0003: _by_tariff(Quantity("combined reactive energy 1", 4, 2, "kvarh", is_signed=True)),
    0x0004: _by_tariff(Quantity("combined reactive energy 2", 4, 2, "kvarh", is_signed=True)),
    0x0015: _of_phase("A"),
    0x0029: _of_phase("B"),
    0x003D: _of_phase("C"),
    0x0101: _by_tariff(Quantity("forward active maximum demand", 3, 4, "kW", time_bytes=5)),
    0x0201: _by_phase(Quantity("voltage", 2, 1, "V"), 1),
    0x0202: _by_phase(Quantity("current", 3, 3, "A", is_signed=True), 1),
    0x0203: _by_phase(Quantity("active power", 3, 4, "kW", is_signed=True), 0),
    0x0204: _by_phase(Quantity("reactive power", 3, 4, "kvar", is_signed=True), 0),
    0x0205: _by_phase(Quantity("apparent power", 3, 4, "kVA", is_signed=True), 0),
    0x0206: _by_phase(Quantity("power factor", 2, 3, "", is_signed=True), 0),
    0x0207: _by_phase(Quantity("phase angle", 2, 1, "°"), 1),
    0x0311: _Row(Quantity("power-off record", 0, record_bytes=12), (0, 0), (1, 0x0A), ""),
    0x0330: _Row(Quantity("cover-open record", 0, record_bytes=60), (0x0D, 0x0D), (1, 0x0A), ""),
    0x0400: _Row(Quantity("status word", 0, record_bytes=2), (5, 5), (1, 7), "word"),
}
"""By DI3 DI2."""
_SINGLES = {
    0x02800001: Quantity("neutral current", 3, 3, "A"),
    0x02800002: Quantity("grid frequency", 2, 2, "Hz"),
    0x02800003: Quantity("active power of one minute", 3, 4, "kW"),
    0x02800004: Quantity("active demand", 3, 4, "kW"),
    0x02800007: Quantity("meter temperature", 2, 1, "°C", is_signed=True),
    0x02800008: Quantity("clock battery voltage", 2, 2, "V"),
    0x0280000A: Quantity("battery work time", 4, 0, "min"),
    0x04000101: Quantity("date and weekday", 0, record_bytes=4, is_digits=True),
    0x04000102: Quantity("time", 0, record_bytes=3, is_digits=True),
    0x04000306: Quantity("current transformer ratio", 3),
    0x04000307: Quantity("voltage transformer ratio", 3),
    0x04000401: Quantity("communication address", 0, record_bytes=6),
    0x04000402: Quantity("meter number", 0, record_bytes=6),
}


def quantity_of(di: int) -> tuple[Quantity, bool] | None:
    """The row of an identifier and whether it asks for a block; None for one that is not listed."""
    if di in _SINGLES:
        return _SINGLES[di], False
    row = _ROWS.get(di >> 16)
    if row is None:
        return None
    di1, di0 = di >> 8 & 0xFF, di & 0xFF
    is_block_by_di1 = di1 == BLOCK and row.blocks_by in ("tariff or day", "phase")
    is_block_by_di0 = di0 == BLOCK and row.blocks_by in ("tariff or day", "day", "word")
    if not (is_block_by_di1 or row.di1[0] <= di1 <= row.di1[1]):
        return None
    if not ((is_block_by_di0 and not is_block_by_di1) or row.di0[0] <= di0 <= row.di0[1]):
        return None
    return row.quantity, is_block_by_di1 or is_block_by_di0


def decode_reading(di: int, data: bytes, *, is_fragment: bool = False) -> Reading | None:
    """What an answer says; None for an identifier that is not listed. Raises `FieldError`.

    is_fragment: the answer is a piece of a longer one, so that a block or record may end in the middle of a value.
    """
    found = quantity_of(di)
    return None if found is None else read_values(*found, data, is_fragment=is_fragment)


def read_values(quantity: Quantity, is_block: bool, data: bytes, *, is_fragment: bool) -> Reading:
    """The values in data, of one row. Raises `FieldError`."""
    size = quantity.total_bytes
    is_open = is_fragment and (is_block or quantity.size == 0)
    if not is_open and (len(data) < size or (is_block and len(data) % size)):
        reason = f"{len(data)} bytes where {'a multiple of ' if is_block else ''}{size} are due"
        raise FieldError(reason, field="data")
    starts = range(0, len(data) // size * size, size) if is_block else range(1)
    if quantity.size == 0:
        if quantity.is_digits and not is_open and data[:size] != b"\xff" * size:
            number_of(data[:size], quantity.name)
        return Reading(quantity, (), is_block)
    return Reading(quantity, tuple(_number(quantity, data[at : at + size]) for at in starts), is_block)


def write_values(quantity: Quantity, numbers: tuple[int | None, ...]) -> bytes:
    """Values as a meter sends them, one of them or a block; the moment of a maximum demand is left 00.

    Raises `LocalProtocolError`.
    """
    if quantity.size == 0:
        raise LocalProtocolError("is no number", field=quantity.name)
    return b"".join(_written(quantity, number) for number in numbers)


def _number(quantity: Quantity, data: bytes) -> int | None:
    value, moment = data[: quantity.size], data[quantity.size :]
    if value == b"\xff" * len(value):
        return None
    if moment and moment != b"\xff" * len(moment):
        number_of(moment, quantity.name)
    if quantity.is_signed and value[-1] & 0x80:
        return -number_of(value[:-1] + bytes((value[-1] & 0x7F,)), quantity.name)
    return number_of(value, quantity.name)


def _written(quantity: Quantity, number: int | None) -> bytes:
    if number is None:
        return b"\xff" * quantity.total_bytes
    value = bytes_of_number(abs(number), quantity.size, quantity.name)
    if quantity.is_signed:
        if value[-1] & 0x80:
            raise LocalProtocolError("the sign leaves no room for this number", field=quantity.name)
        value = value[:-1] + bytes((value[-1] | (0x80 if number < 0 else 0),))
    elif number < 0:
        raise LocalProtocolError("is not signed", field=quantity.name)
    return value + bytes(quantity.time_bytes)


def scaled(quantity: Quantity, number: int | None) -> float | int | None:
    """A number in its unit."""
    return number if number is None or quantity.decimals == 0 else number / 10**quantity.decimals
