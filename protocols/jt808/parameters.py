"""Terminal parameters (JT/T 808-2019, chapter 8).

    each item: id 4, length 1, value

What the wire does not say is in `PARAMETERS`: whether an id holds a number or text, and what it is. An unknown id, or a
number of another length than the table has, keeps its bytes.

>>> show_parameter(Parameter(0x0001, bytes.fromhex("0000000a")))
{'id': 1, 'length': 4, 'value': 10}
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.jt808.kinds import U16, Counted, Ids
from protocols.jt808.layout import Body, Kind, Readable, Scope, Source
from protocols.jt808.values import bytes_of_text, text_of
from protocols.message_fields import refuse_others

HEARTBEAT_INTERVAL_S = 0x0001
TCP_REPLY_TIMEOUT_S = 0x0002
TCP_RETRANSMISSIONS = 0x0003
DEFAULT_INTERVAL_S = 0x0029
EMERGENCY_INTERVAL_S = 0x0028
"""Parameters by which a terminal's dialogue lives."""

_NUMBER_BYTES = {"D": 4, "W": 2, "B": 1}

# fmt: off
_ROWS = (
    "0001 D heartbeat interval s", "0002 D TCP reply timeout s", "0003 D TCP retransmissions",
    "0004 D UDP reply timeout s", "0005 D UDP retransmissions", "0006 D SMS reply timeout s",
    "0007 D SMS retransmissions", "0010 S main server APN", "0011 S main server user", "0012 S main server password",
    "0013 S main server address", "0014 S backup server APN", "0015 S backup server user",
    "0016 S backup server password", "0017 S backup server address", "0018 D TCP port", "0019 D UDP port",
    "001A S IC-card server address", "001B D IC-card server TCP port", "001C D IC-card server UDP port",
    "001D S IC-card backup server address", "0020 D report strategy: 0 time, 1 distance, 2 both",
    "0021 D report plan: 0 by ACC, 1 by login, then ACC", "0022 D interval s, driver not logged in",
    "0023 S slave server APN", "0024 S slave server user", "0025 S slave server password",
    "0026 S slave server address", "0027 D interval s asleep", "0028 D interval s in emergency", "0029 D interval s",
    "002C D distance m", "002D D distance m, driver not logged in", "002E D distance m asleep",
    "002F D distance m in emergency", "0030 D corner angle degrees", "0031 W fence radius m", "0040 S platform phone",
    "0041 S reset phone", "0042 S factory reset phone", "0043 S platform SMS phone", "0044 S alarm SMS phone",
    "0045 D answering policy", "0046 D longest call s", "0047 D longest calls of a month s", "0048 S listen-in phone",
    "0049 S privileged SMS phone", "0050 D alarm mask", "0051 D alarm SMS switch", "0052 D alarm shoot switch",
    "0053 D alarm shoot-store flags", "0054 D key alarm flags", "0055 D maximum speed km/h",
    "0056 D overspeed duration s", "0057 D longest drive s", "0058 D longest drive of a day s",
    "0059 D shortest rest s", "005A D longest parking s", "005B W overspeed margin 0.1 km/h",
    "005C W fatigue margin s", "005D W collision: low byte 4 ms, high byte 0.1 g", "005E W rollover angle degrees",
    "0064 D timed photo control", "0065 D distance photo control", "0070 D image quality", "0071 D brightness",
    "0072 D contrast", "0073 D saturation", "0074 D chroma", "0080 D odometer 0.1 km", "0081 W province",
    "0082 W city", "0083 S plate", "0084 B plate colour", "0090 B GNSS mode", "0091 B GNSS baud rate",
    "0092 B NMEA output rate", "0093 D GNSS sampling s", "0094 B GNSS upload mode", "0095 D GNSS upload setting",
    "0100 D CAN 1 sampling ms", "0101 W CAN 1 upload s", "0102 D CAN 2 sampling ms", "0103 W CAN 2 upload s",
)
# fmt: on

PARAMETERS: Mapping[int, tuple[str, str]] = {int(row[:4], 16): (row[5], row[7:]) for row in _ROWS}
"""Form (D, W, B a number of 4, 2, 1 bytes; S text) and meaning of each id. Every other is bytes."""


class Parameter(msgspec.Struct, frozen=True):
    """One parameter. value: the bytes; `parameter_value` says what they are."""

    id: int
    value: bytes


def parameter_value(parameter: Parameter) -> int | str | None:
    """A parameter's number or text, or None where the table does not say what its bytes are."""
    form, _meaning = PARAMETERS.get(parameter.id, ("X", ""))
    if form == "S":
        return text_of(parameter.value)
    return int.from_bytes(parameter.value, "big") if len(parameter.value) == _NUMBER_BYTES.get(form) else None


def parameter_of(parameter_id: int, value: int | str) -> Parameter:
    """A parameter with a number or text. Raises `LocalProtocolError` where the table has no such value."""
    form, meaning = PARAMETERS.get(parameter_id, ("X", ""))
    if form == "S" and isinstance(value, str):
        return Parameter(parameter_id, bytes_of_text(value, meaning))
    size = _NUMBER_BYTES.get(form)
    if size is None or not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 8 * size:
        raise LocalProtocolError(f"parameter {parameter_id:#06x} does not take this value", field="value")
    return Parameter(parameter_id, value.to_bytes(size, "big"))


def show_parameter(parameter: Parameter) -> dict[str, object]:
    """A parameter in the readable form."""
    value = parameter_value(parameter)
    shown = {"raw": parameter.value.hex()} if value is None else {"value": value}
    return {"id": parameter.id, "length": len(parameter.value), **shown}


class _Item(Kind):
    """One parameter of a list."""

    def read(self, source: Source, _scope: Scope) -> Parameter:
        """Id, length, value."""
        parameter_id = int.from_bytes(source.take(4), "big")
        return Parameter(parameter_id, source.take(source.take(1)[0]))

    def write(self, value: Parameter, _scope: Scope) -> bytes:
        """Id, length, value."""
        if not 0 <= value.id <= 0xFFFFFFFF or len(value.value) > 0xFF:
            raise LocalProtocolError("an id of 4 bytes and at most 255 bytes of value")
        return value.id.to_bytes(4, "big") + bytes((len(value.value),)) + value.value

    def show(self, value: Parameter, _scope: Scope) -> object:
        """An object."""
        return show_parameter(value)

    def parse(self, fields: Readable, name: str, _scope: Scope) -> Parameter:
        """From an object. Text shorter than its length is padded with 0x00."""
        item = fields.mapping(name)
        inside = Readable(item)
        parameter_id = inside.integer("id", 0xFFFFFFFF)
        refuse_others(item, {"id", "length", "raw" if "raw" in item else "value"})
        if "raw" in item:
            parameter = Parameter(parameter_id, inside.octets("raw"))
        else:
            value: Any = item.get("value")
            parameter = parameter_of(parameter_id, value)
            if isinstance(value, str) and "length" in item:
                padded = parameter.value.ljust(inside.integer("length", 0xFF), b"\x00")
                parameter = Parameter(parameter_id, padded)
        if inside.integer("length", 0xFF, len(parameter.value)) != len(parameter.value):
            raise LocalProtocolError(f"the value has {len(parameter.value)} bytes", field="length")
        return parameter


Items = Annotated[tuple[Parameter, ...], Counted(1, _Item())]


class SetParameters(Body, frozen=True):
    """0x8103."""

    ID: ClassVar[int] = 0x8103
    params: Items


class QueryAllParameters(Body, frozen=True):
    """0x8104."""

    ID: ClassVar[int] = 0x8104


class QueryParameters(Body, frozen=True):
    """0x8106 (from 2013)."""

    ID: ClassVar[int] = 0x8106
    param_ids: Ids


class ParametersReply(Body, frozen=True):
    """0x0104."""

    ID: ClassVar[int] = 0x0104
    reply_serial: U16
    params: Items
