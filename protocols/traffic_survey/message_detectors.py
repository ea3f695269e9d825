"""Readable form of the frames of microwave detectors (`ss125.py`, `ss125_messages.py`, `rtms_g4.py`).

A speed that is not valid and an occupancy that is missing read as null.
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.message_fields import Fields
from protocols.traffic_survey import rtms_g4, ss125
from protocols.traffic_survey.ss125_messages import (
    MISSING_OCCUPANCY,
    Body,
    Clock,
    Event,
    Interval,
    IntervalRequest,
    OtherBody,
    Request,
    Result,
    clock_of,
    decode_body,
    encode_body,
    speed_of,
    word_of_speed,
)

Message = dict[str, object]

_CLOCK = {"year": 0xFFF, "month": 0xF, "day": 0x1F, "hour": 0x1F, "minute": 0x3F, "second": 0x3F, "millisecond": 0x3FF}
_BCD = ("second", "minute", "hour", "weekday", "day", "month", "year")
_THREE = 0xFFFFFF
_CENTURY = 2000
ROUNDED_KEYS = ("range_raw_ft", "length_raw_ft", "speed_raw", "speed85_raw")
"""What is written to the next 1/256."""


def decode_ss125(wire: bytes) -> Message:
    """Read a frame. Raises `RemoteProtocolError`."""
    frame = ss125.decode_frame(wire)
    body = _body_keys(decode_body(frame.body))
    return {
        "dest_sub_id": frame.dest_sub_id,
        "dest_id": frame.dest_id,
        "source_sub_id": frame.source_sub_id,
        "source_id": frame.source_id,
        "sequence": frame.sequence,
        "body_size": len(frame.body),
        **body,
    }


def encode_ss125(fields: Fields) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    body = encode_body(_body(fields))
    if fields.integer("body_size", 0xFF, len(body)) != len(body):
        raise LocalProtocolError("does not fit the body", field="body_size")
    return ss125.encode_frame(
        ss125.Frame(
            fields.integer("dest_sub_id", 0xFF, 0),
            fields.integer("dest_id", 0xFFFF),
            fields.integer("source_sub_id", 0xFF, 0),
            fields.integer("source_id", 0xFFFF),
            fields.integer("sequence", 0xFF),
            body,
        )
    )


def decode_ss125_body(wire: bytes) -> Message:
    """Read a body with its CRC. Raises `RemoteProtocolError`."""
    return _body_keys(decode_body(ss125.decode_checked(wire)))


def encode_ss125_body(fields: Fields) -> bytes:
    """Write a body with its CRC. Raises `LocalProtocolError`."""
    return ss125.encode_checked(encode_body(_body(fields)))


def _body_keys(body: Body) -> Message:
    head: Message = {
        "message_id": body.message_id,
        "message_sub_id": body.message_sub_id,
        "message_type": body.message_type,
    }
    match body:
        case Event():
            return head | _event_keys(body)
        case Interval():
            return head | _interval_keys(body)
        case IntervalRequest():
            return head | {"interval_number": body.interval_number}
        case Request():
            return head
        case Result():
            return head | {"result_code": body.result_code}
        case OtherBody():
            return head | {"payload_hex": body.payload.hex()}


def _event_keys(body: Event) -> Message:
    return {
        **_clock_keys(body.clock),
        "lane_id": body.lane_id,
        "range_raw_ft": body.range_256th / 256,
        "duration_ms": body.duration_ms,
        "speed_raw": speed_of(body.speed_word),
        "vehicle_class_id": body.vehicle_class_id,
        "length_raw_ft": body.length_256th / 256,
    }


def _interval_keys(body: Interval) -> Message:
    return {
        "interval_number": body.interval_number,
        **_clock_keys(body.clock),
        "speed_raw": speed_of(body.speed_word),
        "vehicle_count": body.vehicle_count,
        "occupancy_raw": None if body.occupancy_word >= MISSING_OCCUPANCY else body.occupancy_word,
        "class_counts": list(body.class_counts),
        "speed85_raw": speed_of(body.speed85_word),
        "headway_ms": body.headway_ms,
        "gap_ms": body.gap_ms,
        "lane_count": body.lane_count,
        "approach_count": body.approach_count,
    }


def _clock_keys(clock: Clock) -> Message:
    return {name: getattr(clock, name) for name in _CLOCK}


def _body(fields: Fields) -> Body:
    head = (
        fields.integer("message_id", 0xFF),
        fields.integer("message_sub_id", 0xFF),
        fields.integer("message_type", 0xFF),
    )
    if fields.has("lane_id"):
        return _event(fields)
    if fields.has("vehicle_count"):
        return _interval(fields)
    if fields.has("interval_number"):
        return IntervalRequest(head[1], head[2], fields.integer("interval_number", _THREE), head[0])
    if fields.has("result_code"):
        return Result(*head, fields.integer("result_code", 0xFFFF))
    return OtherBody(*head, fields.octets("payload_hex")) if fields.has("payload_hex") else Request(*head)


def _event(fields: Fields) -> Event:
    return Event(
        fields.integer("message_sub_id", 0xFF),
        fields.integer("message_type", 0xFF),
        _clock(fields),
        fields.integer("lane_id", 0xFF),
        _fixed(fields, "range_raw_ft"),
        fields.integer("duration_ms", _THREE),
        word_of_speed(fields.number("speed_raw")),
        fields.integer("vehicle_class_id", 0xFF),
        _fixed(fields, "length_raw_ft"),
        fields.integer("message_id", 0xFF),
    )


def _interval(fields: Fields) -> Interval:
    counts = fields.integers("class_counts", _THREE)
    if len(counts) != 4:
        raise LocalProtocolError("four counts", field="class_counts")
    occupancy = fields.optional("occupancy_raw", MISSING_OCCUPANCY - 1)
    return Interval(
        fields.integer("message_id", 0xFF),
        fields.integer("message_sub_id", 0xFF),
        fields.integer("message_type", 0xFF),
        fields.integer("interval_number", _THREE),
        _clock(fields),
        word_of_speed(fields.number("speed_raw")),
        fields.integer("vehicle_count", _THREE),
        MISSING_OCCUPANCY if occupancy is None else occupancy,
        (counts[0], counts[1], counts[2], counts[3]),
        word_of_speed(fields.number("speed85_raw")),
        fields.integer("headway_ms", _THREE),
        fields.integer("gap_ms", _THREE),
        fields.integer("lane_count", 0xFF),
        fields.integer("approach_count", 0xFF),
    )


def _clock(fields: Fields) -> Clock:
    return clock_of(**{name: fields.integer(name, maximum) for name, maximum in _CLOCK.items()})


def _fixed(fields: Fields, name: str) -> int:
    value = fields.number(name)
    if value is None or not 0 <= value < 256 or round(value * 256) > 0xFFFF:
        raise LocalProtocolError("a number from 0 to less than 256", field=name)
    return round(value * 256)


def decode_rtms(wire: bytes) -> Message:
    """Read a frame. Raises `RemoteProtocolError`."""
    frame = rtms_g4.decode_frame(wire)
    keys: Message = {
        "qualifier": frame.qualifier,
        "sensor_id": frame.sensor_id,
        "payload_hex": frame.payload.hex(),
    }
    if frame.qualifier in rtms_g4.ZONE_VALUES:
        keys["values"] = list(rtms_g4.decode_zone_values(frame.payload))
    elif frame.qualifier == rtms_g4.Qualifier.STATISTICS_HEADER:
        keys |= _statistics_keys(rtms_g4.decode_statistics_header(frame.payload))
    return keys


def _statistics_keys(header: rtms_g4.StatisticsHeader) -> Message:
    digits = header.time_bcd.hex()
    if not digits.isdecimal():
        raise FieldError("the time is not BCD", rtms_g4.HEAD_BYTES + 4, "time")
    numbers = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    keys: Message = dict(zip(_BCD, numbers, strict=True))
    return {
        "message_number": header.message_number,
        "page": header.page,
        "flags": header.flags,
        **keys,
        "year": _CENTURY + numbers[-1],
        "zones": header.zones,
        "composition": header.composition,
        "period": header.period,
        "voltage": header.voltage,
        "health": header.health,
    }


def encode_rtms(fields: Fields) -> bytes:
    """Write a frame from its payload. Raises `LocalProtocolError`."""
    payload = fields.octets("payload_hex")
    frame = rtms_g4.Frame(fields.integer("qualifier", 0xFF), fields.integer("sensor_id", 0xFFFF), payload)
    return rtms_g4.encode_frame(frame)
