"""The items behind a location's fixed part (JT/T 808, 0x0200; 0x14 to 0x18: JT/T 1078-2016).

A known item with a length that the table has becomes named values; any other keeps its bytes as `raw`. The vendor's
items (0xE1 to 0xFF) and 0xE0 are never interpreted.

>>> show_extra(0x01, bytes.fromhex("00000064"))
{'id': 1, 'length': 4, 'mileage_km': 10.0}
"""

from collections.abc import Mapping

from protocols.core.errors import LocalProtocolError
from protocols.jt808.layout import Readable
from protocols.message_fields import refuse_others

_TENTH = "tenth"
_HEX = "hex"
_SIGN_AND_MAGNITUDE = "sign"
_INTEGER = "integer"
_NEGATIVE = 0x8000

Row = tuple[tuple[str, int, str], ...]
"""Names, bytes and forms of the values that make up one item."""


def _integers(**sizes: int) -> Row:
    return tuple((name, size, _INTEGER) for name, size in sizes.items())


EXTRAS: Mapping[int, tuple[Row, ...]] = {
    0x01: ((("mileage_km", 4, _TENTH),),),
    0x02: ((("fuel_l", 2, _TENTH),),),
    0x03: ((("recorder_speed_kmh", 2, _TENTH),),),
    0x04: (_integers(alarm_event_id=2),),
    0x05: ((("tyre_pressures_raw", 30, _HEX),),),
    0x06: ((("compartment_temp_c", 2, _SIGN_AND_MAGNITUDE),),),
    0x11: (_integers(area_type=1), _integers(area_type=1, area_id=4)),
    0x12: (_integers(area_type=1, area_id=4, area_direction=1),),
    0x13: (_integers(section_id=4, drive_time_s=2, drive_time_result=1),),
    0x14: (_integers(video_alarm_flags=4),),
    0x15: (_integers(video_loss_channels=4),),
    0x16: (_integers(video_blocked_channels=4),),
    0x17: (_integers(storage_fault_flags=2),),
    0x18: ((("abnormal_driving_raw", 2, _HEX),), (("abnormal_driving_raw", 3, _HEX),)),
    0x25: (_integers(vehicle_signal_flags=4),),
    0x2A: (_integers(io_flags=2),),
    0x2B: (_integers(analog_ad1=2, analog_ad0=2),),
    0x30: (_integers(signal_strength=1),),
    0x31: (_integers(gnss_satellites=1),),
}
"""Every known item, with a row for each length that it may have."""


def _row_of(item_id: int, length: int) -> Row | None:
    rows = EXTRAS.get(item_id, ())
    return next((row for row in rows if sum(size for _name, size, _form in row) == length), None)


def extra_values(item_id: int, value: bytes) -> dict[str, int | float | str] | None:
    """The named values of a known item, or None."""
    row = _row_of(item_id, len(value))
    if row is None:
        return None
    values: dict[str, int | float | str] = {}
    at = 0
    for name, size, form in row:
        piece = value[at : at + size]
        at += size
        wire = int.from_bytes(piece, "big")
        if form == _HEX:
            values[name] = piece.hex()
        elif form == _TENTH:
            values[name] = wire / 10
        elif form == _SIGN_AND_MAGNITUDE:
            values[name] = -(wire - _NEGATIVE) if wire & _NEGATIVE else wire
        else:
            values[name] = wire
    return values


def show_extra(item_id: int, value: bytes) -> dict[str, object]:
    """An item in the readable form."""
    values = extra_values(item_id, value)
    return {"id": item_id, "length": len(value), **({"raw": value.hex()} if values is None else values)}


def parse_extra(item: object) -> tuple[int, bytes]:
    """Id and value of an item in the readable form. Raises `LocalProtocolError`."""
    if not isinstance(item, Mapping):
        raise LocalProtocolError("a list of objects", field="extras")
    fields = Readable(item)
    item_id = fields.integer("id", 0xFF)
    if "raw" in item:
        value = fields.octets("raw")
        names = {"raw"}
    else:
        length = fields.integer("length", 0xFF, _only_length(item_id, item))
        row = _row_of(item_id, length)
        if row is None:
            raise LocalProtocolError(f"item {item_id:#04x} of {length} bytes is given as raw", field="extras")
        value = b"".join([_bytes_of(fields, *part) for part in row])
        names = {name for name, _size, _form in row}
    if fields.integer("length", 0xFF, len(value)) != len(value):
        raise LocalProtocolError(f"the value has {len(value)} bytes", field="length")
    refuse_others(item, {"id", "length", *names})
    return item_id, value


def _only_length(item_id: int, item: Mapping[str, object]) -> int | None:
    """The length of the row whose names an item has."""
    for row in EXTRAS.get(item_id, ()):
        if {name for name, _size, _form in row} == set(item) - {"id", "length"}:
            return sum(size for _name, size, _form in row)
    return None


def _bytes_of(fields: Readable, name: str, size: int, form: str) -> bytes:
    if form == _HEX:
        return fields.octets(name, size)
    value = fields.number(name)
    wire = round(value * 10 if form == _TENTH else value)
    if form != _TENTH and wire != value:
        raise LocalProtocolError("a whole number", field=name)
    if form == _SIGN_AND_MAGNITUDE:
        sign, wire = (_NEGATIVE if wire < 0 else 0), abs(wire)
        if wire >= _NEGATIVE:
            raise LocalProtocolError("15 bits and a sign", field=name)
        wire |= sign
    if not 0 <= wire < 1 << 8 * size:
        raise LocalProtocolError(f"does not fit {size} bytes", field=name)
    return wire.to_bytes(size, "big")
