"""Real-time and re-issued reports (commands 02 and 03): a time, then information items in any order.

GB/T 32960.3-2016 and -2025, clause 7.2.2. Items of the standard have no length on the wire, so a type that nobody knows
ends the reading; the types 80 to FE are a maker's own and have one.

>>> report = Report.read_edition(Reader(bytes.fromhex("11 0c14 16173b 04 01 07d0 ffff 81 0002 abcd")), 2016)
>>> [(item.type, name_of(item.type, 2016)) for item in report.items]
[(4, 'engine'), (129, 'custom')]
"""

from typing import ClassVar

import msgspec

from protocols.core.errors import UnsupportedError
from protocols.gbt32960 import items_2016, items_2025
from protocols.gbt32960.layout import Blob, Part, Reader, Structure
from protocols.gbt32960.times import TIME_BYTES

CUSTOM_TYPES = range(0x80, 0xFF)
SIGNATURE = 0xFF


class Custom(Structure, frozen=True):
    """A maker's own item."""

    raw: bytes

    PARTS: ClassVar[tuple[Part, ...]] = (Blob(2, "raw"),)


TYPES: dict[int, dict[int, tuple[str, type[Structure]]]] = {
    2016: {
        0x01: ("vehicle", items_2016.Vehicle),
        0x02: ("drive_motor", items_2016.DriveMotors),
        0x03: ("fuel_cell", items_2016.FuelCell),
        0x04: ("engine", items_2016.Engine),
        0x05: ("position", items_2016.Position),
        0x06: ("extremes", items_2016.Extremes),
        0x07: ("alarm", items_2016.Alarm),
        0x08: ("battery_voltage", items_2016.BatteryVoltage),
        0x09: ("battery_temperature", items_2016.BatteryTemperature),
    },
    2025: {
        0x01: ("vehicle", items_2025.Vehicle),
        0x02: ("drive_motor", items_2025.DriveMotors),
        0x03: ("fuel_cell", items_2025.FuelCell),
        0x04: ("engine", items_2025.Engine),
        0x05: ("position", items_2025.Position),
        0x06: ("alarm", items_2025.Alarm),
        0x07: ("battery_voltage", items_2025.BatteryVoltage),
        0x08: ("battery_temperature", items_2025.BatteryTemperature),
        0x30: ("fuel_cell_stack", items_2025.FuelCellStacks),
        0x31: ("supercapacitor", items_2025.Supercapacitor),
        0x32: ("supercapacitor_extremes", items_2025.SupercapacitorExtremes),
        SIGNATURE: ("signature", items_2025.Signature),
    },
}
"""Edition -> type -> name and class."""


class Item(msgspec.Struct, frozen=True):
    """One information item."""

    type: int
    body: Structure


class Report(msgspec.Struct, frozen=True):
    """What a vehicle reports for one moment."""

    time: bytes
    items: tuple[Item, ...] = ()

    @classmethod
    def read_edition(cls, reader: Reader, edition: int) -> "Report":
        """Read one. Raises `FieldError`, and `UnsupportedError` for a type without a known layout."""
        time = reader.take(TIME_BYTES, "time")
        items = []
        while reader.left:
            at = reader.start + reader.at
            item_type = reader.number(1, "type")
            kind = class_of(item_type, edition)
            if kind is None:
                raise UnsupportedError(f"no layout is known for type {item_type:02x}", at, "type")
            items.append(Item(item_type, kind.read(reader)))
        return cls(time, tuple(items))

    def write(self) -> bytes:
        """Its bytes. Raises `LocalProtocolError`."""
        return self.time + b"".join([bytes((item.type,)) + item.body.write() for item in self.items])

    def signed_bytes(self) -> bytes | None:
        """What the signature is over: from the time to the byte before it; None without one."""
        for place, item in enumerate(self.items):
            if item.type == SIGNATURE:
                return Report(self.time, self.items[:place]).write()
        return None


def class_of(item_type: int, edition: int) -> type[Structure] | None:
    """The class of a type; None when its layout is not known."""
    known = TYPES[edition].get(item_type)
    return known[1] if known else Custom if item_type in CUSTOM_TYPES else None


def name_of(item_type: int, edition: int) -> str:
    """What a type is called."""
    known = TYPES[edition].get(item_type)
    return known[0] if known else "custom"
