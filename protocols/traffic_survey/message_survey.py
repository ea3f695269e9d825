"""Readable form of the packets of survey stations (`survey_records.py`, `survey_commands.py`).

Identities are text without the 00 bytes that fill them up. A result code is the hex text of its 16 bits.
"""

from collections.abc import Callable, Mapping
from typing import Any

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.message_fields import Fields
from protocols.traffic_survey.survey_commands import (
    RESENDS,
    SETTINGS,
    Moment,
    OtherPacket,
    Packet,
    PacketType,
    Resend,
    Setting,
    decode_packet,
    encode_packet,
)
from protocols.traffic_survey.survey_frame import HEAD_BYTES, Frame, decode_frame, encode_frame
from protocols.traffic_survey.survey_records import (
    CLASSES,
    ClassCount,
    IntervalRecord,
    IntervalReply,
    Lane,
    VehicleRecord,
    VehicleReply,
)

Message = dict[str, object]

_BYTE, _TWO, _THREE = 0xFF, 0xFFFF, 0xFFFFFF
_DATE = {"year": _TWO, "month": _BYTE, "day": _BYTE}
_INTERVAL = {"hardware_error": _BYTE, "survey_content": _BYTE, **_DATE, "period_min": _BYTE, "period_index": _TWO}
_VEHICLE = {
    "hardware_error": _BYTE,
    **_DATE,
    "hour": _BYTE,
    "minute": _BYTE,
    "second": _BYTE,
    "millisecond": _TWO,
    "vehicle_serial": _THREE,
    "lane": _BYTE,
    "vehicle_class": _BYTE,
    "speed_kmh": _BYTE,
}
_LANE = {"lane": _BYTE, "follow_percent": _BYTE, "mean_headway_m": _TWO, "time_occupancy_percent": _BYTE}
_MOMENT = {**_DATE, "hour": _BYTE, "minute": _BYTE}
_NO_RESERVED = bytes(16)


def decode_survey(wire: bytes, device_class: int) -> Message:
    """Read one frame. Raises `RemoteProtocolError`; `OptionError` for a class of device that there is not."""
    data = decode_frame(wire).data
    try:
        packet = decode_packet(data, device_class)
    except RemoteProtocolError as error:
        error.offset = HEAD_BYTES + (error.offset or 0)
        raise
    return {"packet_type": data[0], **_keys(packet)}


def _keys(packet: Packet) -> Message:
    match packet:
        case IntervalRecord():
            return {
                "device_id": _text(packet.device_id),
                "station_code": _text(packet.station_code),
                **_values(packet, _INTERVAL),
                "lane_count": len(packet.lanes),
                "lanes": [_lane_keys(lane) for lane in packet.lanes],
            }
        case VehicleRecord():
            rest = {} if packet.reserved == _NO_RESERVED else {"reserved_hex": packet.reserved.hex()}
            return {"device_id": _text(packet.device_id), **_values(packet, _VEHICLE), **rest}
        case VehicleReply() | IntervalReply():
            return {
                "device_id": _text(packet.device_id),
                **_values(packet, _reply_fields(packet)),
                "result_code": f"{packet.result_code:04X}",
            }
        case Setting():
            return {"user_name": _text(packet.user_name), "value_hex": packet.value.hex()}
        case Resend():
            return {"begin": _values(packet.begin, _MOMENT), "end": _values(packet.end, _MOMENT)}
        case OtherPacket():
            return {"data_hex": packet.data.hex()}


def _reply_fields(packet: VehicleReply | IntervalReply | type[VehicleReply | IntervalReply]) -> Mapping[str, int]:
    if isinstance(packet, VehicleReply) or packet is VehicleReply:
        return {**_DATE, "vehicle_serial": _THREE}
    return {**_DATE, "period_min": _BYTE, "period_index": _TWO}


def _lane_keys(lane: Lane) -> Message:
    names = next(names for names in CLASSES.values() if len(names) == len(lane.classes))
    classes = {
        name: {"count": one.count, "mean_speed_kmh": one.mean_speed_kmh}
        | ({"reserved_hex": one.reserved.hex()} if one.reserved else {})
        for name, one in zip(names, lane.classes, strict=True)
    }
    return {**_values(lane, _LANE), "classes": classes}


def class_of_device(message: Mapping[str, object]) -> int:
    """Which class of device a message is of, by the kinds of vehicle on its lanes; 1 where it has none."""
    lanes = message.get("lanes")
    kinds = lanes[0].get("classes") if isinstance(lanes, list) and lanes and isinstance(lanes[0], Mapping) else None
    return next((key for key, names in CLASSES.items() if isinstance(kinds, Mapping) and set(kinds) == set(names)), 1)


def encode_survey(fields: Fields) -> bytes:
    """Write one frame. Raises `LocalProtocolError`."""
    kind = fields.integer("packet_type", _BYTE)
    writer = _WRITERS.get(kind)
    if writer is not None:
        packet = writer(fields)
    elif kind in SETTINGS:
        name, password = _octets(fields, "user_name", 8), _octets(fields, "password", 8)
        packet = Setting(kind, name, password, fields.octets("value_hex"))
    elif kind in RESENDS and fields.has("begin"):
        packet = Resend(kind, _moment(fields, "begin"), _moment(fields, "end"))
    elif kind == PacketType.INTERVAL_REPLY and fields.has("device_id"):
        packet = _reply(IntervalReply, fields)
    else:
        packet = OtherPacket(kind, fields.octets("data_hex"))
    return encode_frame(Frame(encode_packet(packet)))


def _interval(fields: Fields) -> Packet:
    lanes = tuple(map(_lane, fields.records("lanes")))
    if fields.integer("lane_count", _BYTE, min(len(lanes), _BYTE)) != len(lanes):
        raise LocalProtocolError("as many lanes as lane_count says, 255 at most", field="lanes")
    device, station = _octets(fields, "device_id", 16), _octets(fields, "station_code", 15)
    return IntervalRecord(device, station, **_numbers(fields, _INTERVAL), lanes=lanes)


def _lane(fields: Fields) -> Lane:
    classes = fields.record("classes")
    names = next((names for names in CLASSES.values() if set(names) == set(classes.all_names())), None)
    if names is None:
        raise LocalProtocolError("the nine or the six kinds of vehicle", field="classes")
    counts = map(classes.record, names)
    return Lane(
        **_numbers(fields, _LANE),
        classes=tuple(
            ClassCount(
                one.integer("count", _TWO),
                one.integer("mean_speed_kmh", _BYTE),
                one.octets("reserved_hex", default=""),
            )
            for one in counts
        ),
    )


def _vehicle(fields: Fields) -> Packet:
    reserved = fields.octets("reserved_hex", 16, default=_NO_RESERVED.hex())
    return VehicleRecord(_octets(fields, "device_id", 16), **_numbers(fields, _VEHICLE), reserved=reserved)


def _reply(kind: type[VehicleReply | IntervalReply], fields: Fields) -> Packet:
    code = fields.octets("result_code", 2)
    numbers = _numbers(fields, _reply_fields(kind))
    return kind(_octets(fields, "device_id", 16), **numbers, result_code=int.from_bytes(code, "big"))


def _vehicle_reply(fields: Fields) -> Packet:
    return _reply(VehicleReply, fields)


_WRITERS: Mapping[int, Callable[[Fields], Packet]] = {
    PacketType.INTERVAL: _interval,
    PacketType.VEHICLE: _vehicle,
    PacketType.VEHICLE_REPLY: _vehicle_reply,
}


def _moment(fields: Fields, name: str) -> Moment:
    return Moment(**_numbers(fields.record(name), _MOMENT))


def _values(source: object, names: Mapping[str, int]) -> dict[str, object]:
    return {name: getattr(source, name) for name in names}


def _numbers(fields: Fields, names: Mapping[str, int]) -> dict[str, Any]:
    return {name: fields.integer(name, maximum) for name, maximum in names.items()}


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\x00").decode("latin-1")


def _octets(fields: Fields, name: str, size: int) -> bytes:
    try:
        raw = fields.text(name).encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("one byte a character", field=name) from None
    if len(raw) > size:
        raise LocalProtocolError(f"at most {size} characters", field=name)
    return raw.ljust(size, b"\x00")
