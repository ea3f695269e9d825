r"""RTMS G4: frames of a microwave detector on a serial line.

    FF AA | qualifier 1 | length 1 | sensor id 2 | payload | checksum 2

Numbers are high byte first. The length counts the sensor id and the payload. The checksum is the 16-bit sum over both.

>>> decode_frame(bytes.fromhex("ffaa53030005000005"))
Frame(qualifier=83, sensor_id=5, payload=b'\x00')
"""

import struct
from enum import IntEnum

import msgspec

from protocols.core.errors import ChecksumError, FieldError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole

START = b"\xff\xaa"
HEAD_BYTES = 6
TAIL_BYTES = 2
MAX_PAYLOAD_BYTES = 253
MAX_FRAME_BYTES = HEAD_BYTES + MAX_PAYLOAD_BYTES + TAIL_BYTES
_SENSOR_BYTES = 2


class Qualifier(IntEnum):
    """What a frame is."""

    COUNTS = 0x10
    OCCUPANCY = 0x11
    SPEED = 0x12
    GAP = 0x13
    CLASS_1 = 0x14
    CLASS_2 = 0x15
    CLASS_3 = 0x16
    CLASS_4 = 0x17
    CLASS_5 = 0x18
    NAK = 0x1A
    ACK = 0x1C
    HEADWAY = 0x1E
    SPEED_85 = 0x1F
    POLL = 0x53
    VEHICLE_EVENT = 0x5E
    STATISTICS_HEADER = 0x80
    STATISTICS_FOOTER = 0x81


ZONE_VALUES = frozenset({*range(Qualifier.COUNTS, Qualifier.CLASS_5 + 1), Qualifier.HEADWAY, Qualifier.SPEED_85})
"""Qualifiers whose payload is one 16-bit number a zone."""

_HEADER = struct.Struct(">BHB7sBBHBB5s")


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame."""

    qualifier: int
    sensor_id: int
    payload: bytes


class StatisticsHeader(msgspec.Struct, frozen=True):
    """The payload that opens statistics. time_bcd: second, minute, hour, weekday, day, month, year after 2000."""

    message_number: int
    page: int
    flags: int
    time_bcd: bytes
    zones: int
    composition: int
    period: int
    voltage: int
    health: int
    spare: bytes = bytes(5)


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    check_whole(wire, FORM, "a length counts at least the sensor id", 3)
    if sum(wire[4:-2]) != int.from_bytes(wire[-2:], "big"):
        raise ChecksumError("the checksum does not hold", len(wire) - TAIL_BYTES, "checksum")
    return Frame(wire[2], int.from_bytes(wire[4:6], "big"), wire[6:-2])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if len(frame.payload) > MAX_PAYLOAD_BYTES:
        raise LocalProtocolError(f"{len(frame.payload)} bytes are too many", field="payload")
    if not (0 <= frame.qualifier <= 0xFF and 0 <= frame.sensor_id <= 0xFFFF):
        raise LocalProtocolError("a qualifier has one byte and a sensor id two", field="qualifier")
    summed = frame.sensor_id.to_bytes(2, "big") + frame.payload
    return START + bytes((frame.qualifier, len(summed))) + summed + sum(summed).to_bytes(2, "big")


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    return HEAD_BYTES - _SENSOR_BYTES + head[3] + TAIL_BYTES if head[3] >= _SENSOR_BYTES else 0


def decode_zone_values(payload: bytes) -> tuple[int, ...]:
    """The numbers of a payload, one a zone. Raises `FieldError`."""
    if len(payload) % 2:
        raise FieldError("two bytes a zone", HEAD_BYTES + len(payload), "values")
    return struct.unpack(f">{len(payload) // 2}H", payload)


def encode_zone_values(values: tuple[int, ...]) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    try:
        return struct.pack(f">{len(values)}H", *values)
    except struct.error:
        raise LocalProtocolError("numbers of two bytes", field="values") from None


def decode_statistics_header(payload: bytes) -> StatisticsHeader:
    """Read the payload of `STATISTICS_HEADER`. Raises `FieldError`."""
    if len(payload) != _HEADER.size:
        raise FieldError(f"{_HEADER.size} bytes, not {len(payload)}", HEAD_BYTES + len(payload), "payload")
    return StatisticsHeader(*_HEADER.unpack(payload))


def encode_statistics_header(header: StatisticsHeader) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    if len(header.time_bcd) != 7 or len(header.spare) != 5:
        raise LocalProtocolError("7 bytes of time and 5 spare ones", field="time_bcd")
    try:
        return _HEADER.pack(*(getattr(header, name) for name in header.__struct_fields__))
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}") from None


FORM = FrameForm(
    start=START, head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def rtms_framer() -> LengthFramer[Frame]:
    """A framer of one line."""
    return LengthFramer(FORM)
