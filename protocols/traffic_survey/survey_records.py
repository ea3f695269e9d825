"""What a survey station reports (JT/T 1008.2): interval records, single vehicles, and the centre's replies.

    01 interval   device 16 | station 15 | error 1 | content 1 | year 2 month day | period 1 | index 2 | n 1 | n lanes
       lane       number 1 | following % 1 | headway m 2 | occupancy % 1 | classes of count 2, speed 1 (, reserved 4)
    11 vehicle    device 16 | error 1 | year 2 month day hour minute second ms 2 | serial 3 | lane 1 | class 1 | speed 1
                  | reserved 16
    0A reply      device 16 | year 2 month day | period 1 | index 2 | code 2        its layout is not certain
    1A reply      device 16 | year 2 month day | serial 3 | code 2

Reserved fields stand behind each class where the survey content is an even number. A device of class I tells nine kinds
of vehicle, of class II six; the record does not say which, so the reader is asked. Numbers are as on the wire: dates
and codes that the standard does not know are kept.
"""

import struct
from typing import Any, ClassVar

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError, OptionError

CLASSES: dict[int, tuple[str, ...]] = {
    1: (
        "minibus",
        "small_truck",
        "large_bus",
        "medium_truck",
        "large_truck",
        "extra_large_truck",
        "container",
        "tractor",
        "motorcycle",
    ),
    2: ("small", "medium", "large", "extra_large", "tractor", "motorcycle"),
}
"""Device class -> its kinds of vehicle in the order of the record, JT/T 1008.1 and its annex."""

CAMERA_CLASSES: dict[int, str] = {
    1: "minibus",
    2: "large_bus",
    3: "small_truck",
    4: "medium_truck",
    5: "large_truck",
    6: "extra_large_truck",
    7: "container",
    8: "motorcycle",
    9: "tractor",
}
"""Class code of one vehicle -> its kind, as two makers of cameras number them. Others may differ: it is for whoever
knows the maker, and no record is read by it."""

ACCEPTED = 0xFFFF
BAD_CRC = 0x1201
BAD_FORMAT = 0x1301

_INTERVAL = struct.Struct("<B16s15sBBHBBBHB")
_VEHICLE = struct.Struct("<B16sBHBBBBBH3sBBB16s")
_VEHICLE_REPLY = struct.Struct("<B16sHBB3sH")
_INTERVAL_REPLY = struct.Struct("<B16sHBBBHH")
_LANES = {
    (device_class, has_reserved): struct.Struct("<BBHB" + ("HB4s" if has_reserved else "HB") * len(names))
    for device_class, names in CLASSES.items()
    for has_reserved in (False, True)
}


class ClassCount(msgspec.Struct, frozen=True, gc=False):
    """Vehicles of one kind on a lane. reserved: 4 bytes where the record has such fields."""

    count: int
    mean_speed_kmh: int
    reserved: bytes = b""


class Lane(msgspec.Struct, frozen=True):
    """One lane. lane: upstream from 11, downstream from 31, on a road of two lanes 1 and 3."""

    lane: int
    follow_percent: int
    mean_headway_m: int
    time_occupancy_percent: int
    classes: tuple[ClassCount, ...]


class IntervalRecord(msgspec.Struct, frozen=True):
    """Type 01: the traffic of one period. Identities are as on the wire, their fill included."""

    TYPE: ClassVar[int] = 0x01

    device_id: bytes
    station_code: bytes
    hardware_error: int
    survey_content: int
    year: int
    month: int
    day: int
    period_min: int
    period_index: int
    lanes: tuple[Lane, ...]


class VehicleRecord(msgspec.Struct, frozen=True):
    """Type 11: one vehicle. vehicle_serial: its number in the day."""

    TYPE: ClassVar[int] = 0x11

    device_id: bytes
    hardware_error: int
    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    millisecond: int
    vehicle_serial: int
    lane: int
    vehicle_class: int
    speed_kmh: int
    reserved: bytes = bytes(16)


class VehicleReply(msgspec.Struct, frozen=True):
    """Type 1A: what the centre says to one vehicle's record."""

    TYPE: ClassVar[int] = 0x1A

    device_id: bytes
    year: int
    month: int
    day: int
    vehicle_serial: int
    result_code: int


class IntervalReply(msgspec.Struct, frozen=True):
    """Type 0A: what the centre says to an interval record."""

    TYPE: ClassVar[int] = 0x0A

    device_id: bytes
    year: int
    month: int
    day: int
    period_min: int
    period_index: int
    result_code: int


def decode_interval(data: bytes, device_class: int = 1) -> IntervalRecord:
    """Read an interval record. Raises `FieldError`; `OptionError` for a class of device that there is not."""
    names = CLASSES.get(device_class)
    if names is None:
        raise OptionError("1 or 2", field="device_class")
    if len(data) < _INTERVAL.size:
        raise FieldError("the record is cut short", len(data), "lane_count")
    _type, device, station, error, content, year, month, day, period, index, count = _INTERVAL.unpack_from(data)
    row = _LANES[device_class, _has_reserved(content)]
    if len(data) != _INTERVAL.size + count * row.size:
        due = _INTERVAL.size + count * row.size
        raise FieldError(f"{count} lanes take {due} bytes, not {len(data)}", min(due, len(data)), "lanes")
    step = 3 if _has_reserved(content) else 2
    lanes = tuple(
        Lane(
            number,
            follow,
            headway,
            occupancy,
            tuple(ClassCount(*kinds[at : at + step]) for at in range(0, len(kinds), step)),
        )
        for number, follow, headway, occupancy, *kinds in row.iter_unpack(data[_INTERVAL.size :])
    )
    return IntervalRecord(device, station, error, content, year, month, day, period, index, lanes)


def encode_interval(record: IntervalRecord) -> bytes:
    """Write it. The kinds of vehicle of its lanes tell the class of device. Raises `LocalProtocolError`."""
    has_reserved = _has_reserved(record.survey_content)
    wire = _packed(
        _INTERVAL,
        record.TYPE,
        octets(record.device_id, 16, "device_id"),
        octets(record.station_code, 15, "station_code"),
        record.hardware_error,
        record.survey_content,
        record.year,
        record.month,
        record.day,
        record.period_min,
        record.period_index,
        len(record.lanes),
    )
    device_class = 1
    if record.lanes:
        kinds = len(record.lanes[0].classes)
        device_class = next((key for key, names in CLASSES.items() if len(names) == kinds), 0)
    for lane in record.lanes:
        if device_class not in CLASSES or len(lane.classes) != len(CLASSES[device_class]):
            raise LocalProtocolError("nine or six kinds of vehicle, the same on every lane", field="classes")
        values: list[int | bytes] = []
        for one in lane.classes:
            values += (one.count, one.mean_speed_kmh)
            reserved = octets(one.reserved, 4 if has_reserved else 0, "reserved")
            values += [reserved] if has_reserved else []
        wire += _packed(
            _LANES[device_class, has_reserved],
            lane.lane,
            lane.follow_percent,
            lane.mean_headway_m,
            lane.time_occupancy_percent,
            *values,
        )
    return wire


def decode_vehicle(data: bytes) -> VehicleRecord:
    """Read one vehicle's record. Raises `FieldError`."""
    values = list(_unpacked(_VEHICLE, data))
    values[9] = int.from_bytes(values[9], "little")
    return VehicleRecord(*values)


def encode_vehicle(record: VehicleRecord) -> bytes:
    """Write it. Raises `LocalProtocolError`."""
    return _packed(
        _VEHICLE,
        record.TYPE,
        octets(record.device_id, 16, "device_id"),
        record.hardware_error,
        record.year,
        record.month,
        record.day,
        record.hour,
        record.minute,
        record.second,
        record.millisecond,
        _three(record.vehicle_serial),
        record.lane,
        record.vehicle_class,
        record.speed_kmh,
        octets(record.reserved, 16, "reserved"),
    )


def decode_vehicle_reply(data: bytes) -> VehicleReply:
    """Read the reply to a vehicle's record. Raises `FieldError`."""
    device, year, month, day, serial, code = _unpacked(_VEHICLE_REPLY, data)
    return VehicleReply(device, year, month, day, int.from_bytes(serial, "little"), code)


def encode_vehicle_reply(reply: VehicleReply) -> bytes:
    """Write it. Raises `LocalProtocolError`."""
    device = octets(reply.device_id, 16, "device_id")
    serial = _three(reply.vehicle_serial)
    return _packed(_VEHICLE_REPLY, reply.TYPE, device, reply.year, reply.month, reply.day, serial, reply.result_code)


def decode_interval_reply(data: bytes) -> IntervalReply:
    """Read the reply to an interval record. Raises `FieldError`."""
    return IntervalReply(*_unpacked(_INTERVAL_REPLY, data))


def encode_interval_reply(reply: IntervalReply) -> bytes:
    """Write it. Raises `LocalProtocolError`."""
    return _packed(
        _INTERVAL_REPLY,
        reply.TYPE,
        octets(reply.device_id, 16, "device_id"),
        reply.year,
        reply.month,
        reply.day,
        reply.period_min,
        reply.period_index,
        reply.result_code,
    )


def _has_reserved(content: int) -> bool:
    return content % 2 == 0


def octets(data: bytes, size: int, name: str) -> bytes:
    """The bytes, if they are `size` of them. Raises `LocalProtocolError`."""
    if len(data) != size:
        raise LocalProtocolError(f"{size} bytes, not {len(data)}", field=name)
    return data


def _three(number: int) -> bytes:
    if not 0 <= number < 1 << 24:
        raise LocalProtocolError("a number of three bytes", field="vehicle_serial")
    return number.to_bytes(3, "little")


def _packed(layout: struct.Struct, *values: int | bytes) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}") from None


def _unpacked(layout: struct.Struct, data: bytes) -> tuple[Any, ...]:
    """The values behind the packet type. Raises `FieldError`."""
    if len(data) != layout.size:
        raise FieldError(f"{layout.size} bytes are due, not {len(data)}", min(layout.size, len(data)), "data")
    return layout.unpack(data)[1:]
