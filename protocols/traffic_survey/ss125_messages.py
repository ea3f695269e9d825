"""What the bodies of a SmartSensor HD say: vehicles as they pass, and intervals of one lane.

    event      67 | sub 1 | type 1 | date 4 time 4 | lane 1 | range 2 | duration 3 | speed 3 | class 1 | length 2
    interval   71 or 70 | sub 1 | type 1 | number 3 | date 4 time 4 | speed 3 | count 3 | occupancy 2 | classes 4 x 3
               | 85 % speed 3 | headway 3 | gap 3 | lanes 1 | approaches 1
    request for an interval   71 | sub 1 | type 1 | number 3        0 asks for the newest
    request    id | sub 1 | type 1              result   id | sub 1 | type 1 | code 2

Which one a body is follows from its id and its length, not from its type: recorded events carry type 0. Sub-id 0 of an
event says that none is waiting. Others are kept as bytes. Words are kept as they are; properties say what they mean:

* a date word holds year 12 bits, month 4, day 5; a time word hour 5, minute 6, second 6, millisecond 10, in UTC;
* a speed word has bit 23 set when it is valid, then an integer of 15 bits, signed, and a fraction of 8 bits that takes
  the integer's sign, in km/h or mph as the sensor is set;
* ranges and lengths are in 1/256 of the unit that is set.

>>> speed_of(0xFFED40), speed_of(0x005123), word_of_speed(-19.25) == 0xFFED40
(-19.25, None, True)
"""

import struct
from math import isfinite

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

EVENT_ID = 0x67
INTERVAL_ID = 0x71
STORED_INTERVAL_ID = 0x70
CLOCK_ID = 0x0E
VERSION_ID = 0x04

READ = 0
WRITE = 1
RESULT = 2

MISSING_OCCUPANCY = 0x7FFF
"""An occupancy of this or more is missing."""

_VALID = 1 << 23
_EVENT = struct.Struct(">BBBIIBH3s3sBH")
_INTERVAL = struct.Struct(">BBB3sII3s3sH3s3s3s3s3s3s3sBB")
_REQUEST = struct.Struct(">BBB3s")
_RESULT = struct.Struct(">BBBH")
_PLAIN = struct.Struct(">BBB")


class Clock(msgspec.Struct, frozen=True, gc=False):
    """Date and time as two words."""

    date_word: int
    time_word: int

    @property
    def year(self) -> int:
        """Of 12 bits."""
        return self.date_word >> 9 & 0xFFF

    @property
    def month(self) -> int:
        """From 1."""
        return self.date_word >> 5 & 0xF

    @property
    def day(self) -> int:
        """From 1."""
        return self.date_word & 0x1F

    @property
    def hour(self) -> int:
        """UTC."""
        return self.time_word >> 22 & 0x1F

    @property
    def minute(self) -> int:
        """From 0."""
        return self.time_word >> 16 & 0x3F

    @property
    def second(self) -> int:
        """From 0."""
        return self.time_word >> 10 & 0x3F

    @property
    def millisecond(self) -> int:
        """From 0."""
        return self.time_word & 0x3FF


def clock_of(year: int, month: int, day: int, hour: int, minute: int, second: int, millisecond: int) -> Clock:
    """The two words of a date and time, each number within its bits."""
    return Clock(year << 9 | month << 5 | day, hour << 22 | minute << 16 | second << 10 | millisecond)


class Event(msgspec.Struct, frozen=True):
    """One vehicle."""

    message_sub_id: int
    message_type: int
    clock: Clock
    lane_id: int
    range_256th: int
    duration_ms: int
    speed_word: int
    vehicle_class_id: int
    length_256th: int
    message_id: int = EVENT_ID


class Interval(msgspec.Struct, frozen=True):
    """One lane during one interval. message_sub_id: which lane, from 0."""

    message_id: int
    message_sub_id: int
    message_type: int
    interval_number: int
    clock: Clock
    speed_word: int
    vehicle_count: int
    occupancy_word: int
    class_counts: tuple[int, int, int, int]
    speed85_word: int
    headway_ms: int
    gap_ms: int
    lane_count: int
    approach_count: int


class IntervalRequest(msgspec.Struct, frozen=True):
    """Which interval is wanted; 0 is the newest."""

    message_sub_id: int
    message_type: int
    interval_number: int
    message_id: int = INTERVAL_ID


class Request(msgspec.Struct, frozen=True):
    """Nothing but an id."""

    message_id: int
    message_sub_id: int
    message_type: int


class Result(msgspec.Struct, frozen=True):
    """How a request went."""

    message_id: int
    message_sub_id: int
    message_type: int
    result_code: int


class OtherBody(msgspec.Struct, frozen=True):
    """A body that is not laid out here. payload: behind the type."""

    message_id: int
    message_sub_id: int
    message_type: int
    payload: bytes


Body = Event | Interval | IntervalRequest | Request | Result | OtherBody


def decode_body(data: bytes) -> Body:
    """Read a body without its CRC. Raises `FieldError`."""
    if len(data) < _PLAIN.size:
        raise FieldError("a body begins with id, sub-id and type", len(data), "message_id")
    match data[0], len(data):
        case _, 3:
            return Request(*data)
        case _, 5:
            return Result(*_RESULT.unpack(data))
        case 0x67, 23:
            return _event(data)
        case ((0x71 | 0x70), 45):
            return _interval(data)
        case 0x71, 6:
            _id, sub, kind, number = _REQUEST.unpack(data)
            return IntervalRequest(sub, kind, _number(number))
        case _:
            return OtherBody(data[0], data[1], data[2], data[3:])


def _event(data: bytes) -> Event:
    _id, sub, kind, date, time, lane, distance, duration, speed, group, length = _EVENT.unpack(data)
    clock = Clock(date, time)
    return Event(sub, kind, clock, lane, distance, _number(duration), _number(speed), group, length)


def _interval(data: bytes) -> Interval:
    number, sub, kind, interval, date, time, speed, count, occupancy, *rest = _INTERVAL.unpack(data)
    *counts, speed85, headway, gap = (_number(each) for each in rest[:-2])
    return Interval(
        number,
        sub,
        kind,
        _number(interval),
        Clock(date, time),
        _number(speed),
        _number(count),
        occupancy,
        (counts[0], counts[1], counts[2], counts[3]),
        speed85,
        headway,
        gap,
        *rest[-2:],
    )


def encode_body(body: Body) -> bytes:
    """Write a body without its CRC. Raises `LocalProtocolError`, also for an id with which it is another body."""
    data = _body_bytes(body)
    if type(decode_body(data)) is not type(body):
        raise LocalProtocolError("a body of this id and length is another one", field="message_id")
    return data


def _body_bytes(body: Body) -> bytes:
    head = (body.message_id, body.message_sub_id, body.message_type)
    try:
        match body:
            case Event():
                return _EVENT.pack(
                    *head,
                    body.clock.date_word,
                    body.clock.time_word,
                    body.lane_id,
                    body.range_256th,
                    _three(body.duration_ms),
                    _three(body.speed_word),
                    body.vehicle_class_id,
                    body.length_256th,
                )
            case Interval():
                return _interval_bytes(body)
            case IntervalRequest():
                return _REQUEST.pack(*head, _three(body.interval_number))
            case Result():
                return _RESULT.pack(*head, body.result_code)
            case Request():
                return _PLAIN.pack(*head)
            case OtherBody():
                return _PLAIN.pack(*head) + body.payload
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}") from None


def _interval_bytes(body: Interval) -> bytes:
    threes = (*body.class_counts, body.speed85_word, body.headway_ms, body.gap_ms)
    return _INTERVAL.pack(
        body.message_id,
        body.message_sub_id,
        body.message_type,
        _three(body.interval_number),
        body.clock.date_word,
        body.clock.time_word,
        _three(body.speed_word),
        _three(body.vehicle_count),
        body.occupancy_word,
        *map(_three, threes),
        body.lane_count,
        body.approach_count,
    )


def speed_of(word: int) -> float | None:
    """What a speed word says, or None when it is not valid."""
    if not word & _VALID:
        return None
    whole = (word >> 8 & 0x7FFF) - (word >> 7 & 0x8000)
    fraction = (word & 0xFF) / 256
    return whole - fraction if whole < 0 else whole + fraction


def word_of_speed(speed: float | None) -> int:
    """The inverse, to 1/256; 0 for none. Raises `LocalProtocolError`; -1 < speed < 0 cannot be said."""
    if speed is None:
        return 0
    units = round(speed * 256) if isfinite(speed) and abs(speed) < 1 << 15 else 1 << 24
    whole, fraction = divmod(abs(units), 256)
    if whole > (0x4000 if units < 0 else 0x3FFF) or (units < 0 and not whole):
        raise LocalProtocolError("out of range", field="speed_raw")
    return _VALID | (-whole if units < 0 else whole) << 8 & 0x7FFF00 | fraction


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _three(number: int) -> bytes:
    if not 0 <= number < 1 << 24:
        raise LocalProtocolError("a number of three bytes")
    return number.to_bytes(3, "big")
