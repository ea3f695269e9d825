"""What a data centre asks of a survey station (JT/T 1008.2), and the packet type of everything.

    02 accepted        code                                         08 parameters     of the station, in reply to 02
    03 04 05 06 07 0B  user name 8 | password 8 | new value         station number, server, clock, survey content,
                                                                    period, threshold of following
    09 19              begin 6 | end 6: year 2 month day hour minute
                       send the intervals, the single vehicles of a time span again

The layouts of 02 and 08 are not public: their data are kept as bytes, as are packets of other types. The password is
shown by no `repr` and stands in no message.
"""

import struct
from collections.abc import Callable
from enum import IntEnum

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.traffic_survey import survey_records as records
from protocols.traffic_survey.survey_records import IntervalRecord, IntervalReply, VehicleRecord, VehicleReply, octets

_MOMENT = struct.Struct("<HBBBB")
_SPAN = struct.Struct("<B6s6s")


class PacketType(IntEnum):
    """The first byte of the data."""

    INTERVAL = 0x01
    ACCEPTED = 0x02
    SET_STATION_CODE = 0x03
    SET_SERVER = 0x04
    SET_CLOCK = 0x05
    SET_SURVEY_CONTENT = 0x06
    SET_PERIOD = 0x07
    PARAMETERS = 0x08
    RESEND_INTERVALS = 0x09
    INTERVAL_REPLY = 0x0A
    SET_FOLLOW_TIME = 0x0B
    VEHICLE = 0x11
    RESEND_VEHICLES = 0x19
    VEHICLE_REPLY = 0x1A


SETTINGS = frozenset(
    {
        PacketType.SET_STATION_CODE,
        PacketType.SET_SERVER,
        PacketType.SET_CLOCK,
        PacketType.SET_SURVEY_CONTENT,
        PacketType.SET_PERIOD,
        PacketType.SET_FOLLOW_TIME,
    }
)
RESENDS = frozenset({PacketType.RESEND_INTERVALS, PacketType.RESEND_VEHICLES})


class Setting(msgspec.Struct, frozen=True):
    """One of `SETTINGS`. value: its layout depends on the type, and is not public for all."""

    packet_type: int
    user_name: bytes
    password: bytes
    value: bytes

    def __repr__(self) -> str:
        return f"Setting(packet_type={self.packet_type}, user_name={self.user_name!r}, value={self.value!r})"


class Moment(msgspec.Struct, frozen=True, gc=False):
    """A minute, as on the wire."""

    year: int
    month: int
    day: int
    hour: int
    minute: int


class Resend(msgspec.Struct, frozen=True):
    """One of `RESENDS`: records from `begin` to `end` are wanted again."""

    packet_type: int
    begin: Moment
    end: Moment


class OtherPacket(msgspec.Struct, frozen=True):
    """A packet whose layout is not public. data: behind the type."""

    packet_type: int
    data: bytes


Packet = IntervalRecord | IntervalReply | VehicleRecord | VehicleReply | Setting | Resend | OtherPacket

_PLAIN: dict[int, Callable[[bytes], Packet]] = {
    PacketType.VEHICLE: records.decode_vehicle,
    PacketType.VEHICLE_REPLY: records.decode_vehicle_reply,
}
INTERVAL_REPLY_BYTES = 26
SETTING_HEAD_BYTES = 17


def decode_packet(data: bytes, device_class: int = 1) -> Packet:
    """Read the data of a frame. Raises `FieldError`."""
    if not data:
        raise FieldError("there is no packet type", 0, "packet_type")
    kind = data[0]
    if kind == PacketType.INTERVAL:
        return records.decode_interval(data, device_class)
    if kind in _PLAIN:
        return _PLAIN[kind](data)
    if kind in SETTINGS:
        if len(data) < SETTING_HEAD_BYTES:
            raise FieldError("user name and password have 8 bytes each", len(data), "password")
        return Setting(kind, data[1:9], data[9:17], data[17:])
    if kind in RESENDS and len(data) == _SPAN.size:
        return Resend(kind, _moment(data[1:7]), _moment(data[7:13]))
    if kind == PacketType.INTERVAL_REPLY and len(data) == INTERVAL_REPLY_BYTES:
        return records.decode_interval_reply(data)
    return OtherPacket(kind, data[1:])


def encode_packet(packet: Packet) -> bytes:
    """Write the data of a frame. Raises `LocalProtocolError`."""
    match packet:
        case IntervalRecord():
            return records.encode_interval(packet)
        case VehicleRecord():
            return records.encode_vehicle(packet)
        case VehicleReply():
            return records.encode_vehicle_reply(packet)
        case IntervalReply():
            return records.encode_interval_reply(packet)
        case _:
            return _command_bytes(packet)


def _command_bytes(packet: Setting | Resend | OtherPacket) -> bytes:
    match packet:
        case Setting():
            name, password = octets(packet.user_name, 8, "user_name"), octets(packet.password, 8, "password")
            return _type_byte(packet.packet_type, SETTINGS) + name + password + packet.value
        case Resend():
            return _type_byte(packet.packet_type, RESENDS) + _moment_bytes(packet.begin) + _moment_bytes(packet.end)
        case OtherPacket():
            return _other_bytes(packet)


def _other_bytes(packet: OtherPacket) -> bytes:
    wire = _type_byte(packet.packet_type, range(256)) + packet.data
    if packet.packet_type in _LAID_OUT or not isinstance(decode_packet(wire), OtherPacket):
        raise LocalProtocolError("packets of this type have a layout", field="packet_type")
    return wire


_LAID_OUT: frozenset[int] = frozenset({PacketType.INTERVAL, *_PLAIN, *SETTINGS})


def _type_byte(kind: int, allowed: range | frozenset[PacketType]) -> bytes:
    if kind not in allowed:
        raise LocalProtocolError("no such packet", field="packet_type")
    return bytes((kind,))


def _moment(data: bytes) -> Moment:
    return Moment(*_MOMENT.unpack(data))


def _moment_bytes(moment: Moment) -> bytes:
    try:
        return _MOMENT.pack(moment.year, moment.month, moment.day, moment.hour, moment.minute)
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}", field="begin") from None
