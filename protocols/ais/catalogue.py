"""Which bits are which message: type, part, DAC and function -> table, written out by hand.

ITU-R M.1371-5, Annex 8. Types without a table here (10, 12, 13, 15, 16, 17, 20, 22, 23, 25, 26 and those to come) are
kept bit for bit as `Plain`.

>>> report = decode(unarmour(b"13aGv5HP00PHQd:N@h:>4?vL2>`<"), 168)
>>> report.mmsi, report.lon_e4_min, report.course_tenth_deg
(244710933, 3214725, None)
>>> encode(report) == (unarmour(b"13aGv5HP00PHQd:N@h:>4?vL2>`<"), 168)
True
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from protocols.ais import aton, binary, inland, position, static
from protocols.ais.armour import unarmour
from protocols.ais.table import COMMON_BITS, LONGEST, Message, Plain, Table
from protocols.core.errors import FieldError, LocalProtocolError

__all__ = ["APPLICATIONS", "decode", "encode", "table_for", "unarmour"]

Application = tuple[int, int, int]
"""(message type, DAC, function)"""
Applications = Mapping[Application, Table[Any]]

BY_TYPE: Mapping[int, Table[Any]] = MappingProxyType(
    {
        1: position.POSITION,
        2: position.POSITION,
        3: position.POSITION,
        4: position.BASE_STATION,
        5: static.VOYAGE,
        9: position.AIRCRAFT,
        11: position.BASE_STATION,
        14: binary.SAFETY_TEXT,
        18: position.CLASS_B,
        19: position.CLASS_B_EXTENDED,
        21: aton.AID,
        27: position.LONG_RANGE,
    }
)
_TABLES: tuple[Table[Any] | None, ...] = (*(BY_TYPE.get(kind) for kind in range(64)), None)
"""By type; the last one stands for a message too short to have a type."""
APPLICATIONS: Applications = MappingProxyType(
    {
        (6, 0, 0): aton.LANTERN_REPORT,
        (6, 235, 10): aton.MONITORING,
        (6, 250, 10): aton.MONITORING,
        (6, 200, 21): inland.ARRIVAL_ESTIMATE,
        (6, 200, 22): inland.ARRIVAL_REQUEST,
        (6, 200, 55): inland.PERSONS_TOLD,
        (8, 200, 10): inland.SHIP,
        (8, 200, 24): inland.WATER_LEVELS,
        (8, 200, 40): inland.SIGNAL,
        (8, 200, 55): inland.PERSONS_BROADCAST,
    }
)
"""A country that sends the monitoring of its aids under a DAC of its own adds a line in a mapping of its own."""
PLAIN = Table(Plain, COMMON_BITS, longest=LONGEST)
_MADE_BY: Mapping[type[Message], Table[Any]] = MappingProxyType(
    {
        table.made: table
        for table in (
            *BY_TYPE.values(),
            *APPLICATIONS.values(),
            *(static.NAME_PART, static.SHIP_PART, static.AUXILIARY_PART, binary.ADDRESSED, binary.BROADCAST, PLAIN),
        )
    }
)
ADDRESSED_TYPE = 6
BROADCAST_TYPE = 8
STATIC_PARTS_TYPE = 24
_UNKNOWN_APPLICATION: Mapping[int, Table[Any]] = {ADDRESSED_TYPE: binary.ADDRESSED, BROADCAST_TYPE: binary.BROADCAST}


def decode(bits: int, bit_length: int, applications: Applications = APPLICATIONS) -> Any:
    """Decode a message. Raises `FieldError` for its length, and for a part of message 24 that there is not."""
    return table_of(bits, bit_length, applications).decode(bits, bit_length)


def table_of(bits: int, bit_length: int, applications: Applications = APPLICATIONS) -> Table[Any]:
    """The table that decodes a message, which then cannot fail any more. Raises `FieldError`, as `decode` does."""
    kind = bits >> bit_length - 6 if bit_length >= COMMON_BITS else -1
    table = _TABLES[kind]
    if table is None:
        table = _table_of_others(kind, bits, bit_length, applications)
    if bit_length != table.plain_length:
        table.check_length(bit_length)
    return table


def _table_of_others(kind: int, bits: int, bit_length: int, applications: Applications) -> Table[Any]:
    if kind < 0:
        raise FieldError(f"{bit_length} bits, and not {COMMON_BITS} at least", field="length")
    if kind in _UNKNOWN_APPLICATION:
        unknown = _UNKNOWN_APPLICATION[kind]
        if bit_length < unknown.width:
            raise FieldError(f"{bit_length} bits, and not {unknown.width} at least", field="length")
        identifier = bits >> bit_length - unknown.width & 0xFFFF
        table = applications.get((kind, identifier >> 6, identifier & 0x3F), unknown)
        return table if table is not aton.LANTERN_REPORT or _is_lantern(bits, bit_length) else unknown
    if kind == STATIC_PARTS_TYPE:
        if bit_length < 40:
            raise FieldError(f"{bit_length} bits, too few for the number of the part", field="length")
        mmsi = bits >> bit_length - 38 & 0x3FFFFFFF
        return table_of_part(bits >> bit_length - 40 & 3, mmsi)
    return PLAIN


def _is_lantern(bits: int, bit_length: int) -> bool:
    return bit_length >= aton.LANTERN_REPORT.width and bits >> bit_length - 104 & 0xFFFF == aton.LANTERN


def table_of_part(partno: int, mmsi: int) -> Table[Any]:
    """The table of a part of message 24. Raises `FieldError`."""
    if partno == 0:
        return static.NAME_PART
    if partno != 1:
        raise FieldError("part A is 0 and part B is 1", field="partno")
    return static.AUXILIARY_PART if static.is_auxiliary(mmsi) else static.SHIP_PART


def table_for(made: type[Message]) -> Table[Any]:
    """The table of a class."""
    return _MADE_BY[made]


def encode(message: Message) -> tuple[int, int]:
    """(bits, how many). Raises `LocalProtocolError` for a value that does not fit."""
    table = _MADE_BY.get(type(message))
    if table is None or not _is_of(message, table):
        raise LocalProtocolError(f"{type(message).__name__} is no message of type {message.type}", field="type")
    return table.encode(message)


def _is_of(message: Message, table: Table[Any]) -> bool:
    """Whether a message says of itself what its class is."""
    if message.type in BY_TYPE:
        return BY_TYPE[message.type] is table
    if isinstance(message, aton.LanternReport) and message.sub_application != aton.LANTERN:
        return False
    if isinstance(message, (binary.Addressed, binary.Broadcast)):
        return message.type == (ADDRESSED_TYPE if isinstance(message, binary.Addressed) else BROADCAST_TYPE)
    if isinstance(message, (static.NamePart, static.ShipPart, static.AuxiliaryPart)):
        is_known = message.type == STATIC_PARTS_TYPE and message.partno in (0, 1)
        return is_known and table_of_part(message.partno, message.mmsi) is table
    return table is PLAIN and message.type not in {*_UNKNOWN_APPLICATION, STATIC_PARTS_TYPE}
