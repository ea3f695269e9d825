"""Data identifiers of DL/T 645-1997 (appendix A). An identifier has two bytes; a last digit F means a block.

Voltages have no digit behind the point; newer meters send one all the same, which their configuration must say.

>>> decode_reading_1997(0x9010, bytes.fromhex("56341200")).numbers
(123456,)
"""

import msgspec

from protocols.dlt645.quantities import Quantity, Reading, read_values

_FORWARD = Quantity("forward active energy", 4, 2, "kWh")
_REVERSE = Quantity("reverse active energy", 4, 2, "kWh")
_DEMAND = Quantity("forward active maximum demand", 3, 4, "kW")
_VOLTAGE = Quantity("voltage", 2, 0, "V")
_CURRENT = Quantity("current", 2, 2, "A")
_POWER = Quantity("active power", 3, 4, "kW")
_FACTOR = Quantity("power factor", 2, 3)
_ROWS = {
    0x901: (_FORWARD, 0, 0xE),
    0x902: (_REVERSE, 0, 0xE),
    0xA01: (_DEMAND, 0, 0xE),
    0xB61: (_VOLTAGE, 1, 3),
    0xB62: (_CURRENT, 1, 3),
    0xB63: (_POWER, 0, 3),
    0xB65: (_FACTOR, 0, 3),
}
"""By the first three digits, with the lowest and highest last digit: a tariff or a phase, 0 the total."""
_SINGLES = {
    0xC010: Quantity("date and weekday", 0, record_bytes=4, is_digits=True),
    0xC011: Quantity("time", 0, record_bytes=3, is_digits=True),
    0xC032: Quantity("meter number", 0, record_bytes=6),
}
_BLOCK = 0xF
_BLOCK_END = b"\xaa"
"""Closes a block in some answers."""


def quantity_of_1997(di: int, *, voltage_decimals: int = 0) -> tuple[Quantity, bool] | None:
    """The row of an identifier and whether it asks for a block; None for one that is not listed."""
    row = _ROWS.get(di >> 4)
    last = di & 0xF
    if row is None:
        return (_SINGLES[di], False) if di in _SINGLES else None
    quantity, lowest, highest = row
    if not (lowest <= last <= highest or last == _BLOCK):
        return None
    if quantity is _VOLTAGE and voltage_decimals:
        quantity = msgspec.structs.replace(quantity, decimals=voltage_decimals)
    return quantity, last == _BLOCK


def decode_reading_1997(
    di: int, data: bytes, *, is_fragment: bool = False, voltage_decimals: int = 0
) -> Reading | None:
    """What an answer says; None for an identifier that is not listed. Raises `FieldError`."""
    found = quantity_of_1997(di, voltage_decimals=voltage_decimals)
    if found is None:
        return None
    quantity, is_block = found
    if is_block and len(data) % quantity.total_bytes == 1 and data.endswith(_BLOCK_END):
        data = data[:-1]
    return read_values(quantity, is_block, data, is_fragment=is_fragment)
