"""Frames between a buoy and its shore side: our own format, since JT/T 788 has no public message tables.

MicroPython-clean. Integers are big-endian.

    C5 A7 | kind | station (4) | serial (2) | length (2) | body | check (2, low byte first)

`station` is the aid's MMSI, `serial` counts what a side sends, `length` counts the body, and the check is CRC-16/MODBUS
of kind to body. The codec is only this folder: whoever gets hold of the tables of JT/T 788-2023 puts another one in its
place. Nothing here proves who sent a frame: commands travel in signed envelopes wherever others can reach the line.

>>> decode_frame(encode_frame(Frame(1, 994121001, 7, b"x"))).station
994121001
"""

import struct

from protocols.core.buffer import ByteBuffer
from protocols.core.checksum import crc16_modbus
from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, LocalProtocolError, NeedData

START = b"\xc5\xa7"
MAX_BODY_BYTES = 480
_HEADER = ">BIHH"
_HEADER_BYTES = 9
_BODY_AT = 11
_CHECK_BYTES = 2
MAX_FRAME_BYTES = _BODY_AT + MAX_BODY_BYTES + _CHECK_BYTES
MAX_BUFFERED = 2 * MAX_FRAME_BYTES
"""Whoever asks for all frames after each piece of at most one frame's size loses nothing."""


class Frame:
    """One frame, whatever its kind."""

    __slots__ = ("body", "kind", "serial", "station")

    def __init__(self, kind: int, station: int, serial: int, body: bytes) -> None:
        self.kind = kind
        self.station = station
        self.serial = serial
        self.body = body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        return "Frame" + repr(_values(self))


def _values(frame: Frame) -> tuple[int, int, int, bytes]:
    return (frame.kind, frame.station, frame.serial, frame.body)


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame. Raises `LocalProtocolError`."""
    if len(frame.body) > MAX_BODY_BYTES:
        raise LocalProtocolError("a body of more than 480 bytes", field="length")
    for name, value, top in (("kind", frame.kind, 8), ("station", frame.station, 32), ("serial", frame.serial, 16)):
        if not 0 <= value < 1 << top:
            raise LocalProtocolError(f"does not fit into {top} bits", field=name)
    inside = struct.pack(_HEADER, frame.kind, frame.station, frame.serial, len(frame.body)) + frame.body
    return START + inside + struct.pack("<H", crc16_modbus(inside))


def decode_frame(data: bytes) -> Frame:
    """Decode one whole frame and nothing else. Raises `FrameError` and `ChecksumError`."""
    parsed = _parse(data)
    if isinstance(parsed, NeedData) or len(data) != _BODY_AT + len(parsed.body) + _CHECK_BYTES:
        raise FrameError("longer or shorter than it says", field="length", raw=data)
    return parsed


def _parse(data: bytes) -> Frame | NeedData:
    """The frame at the beginning of some bytes."""
    if data[:2] != START[: len(data)]:
        raise FrameError("does not start with C5 A7", offset=0, field="start", raw=data)
    if len(data) < _BODY_AT:
        return NEED_DATA
    kind, station, serial, length = struct.unpack(_HEADER, data[2:_BODY_AT])
    if length > MAX_BODY_BYTES:
        raise FrameError("a body of more than 480 bytes", offset=9, field="length", raw=data)
    end = _BODY_AT + length
    if len(data) < end + _CHECK_BYTES:
        return NEED_DATA
    if crc16_modbus(data[2:end]) != data[end] | data[end + 1] << 8:
        raise ChecksumError("the check does not hold", offset=end, field="check", raw=data)
    return Frame(kind, station, serial, bytes(data[_BODY_AT:end]))


class Framer:
    """Cuts a stream into frames; after a frame that is none it goes on from the very next byte."""

    __slots__ = ("_buffer", "bad_checks", "discarded_bytes")

    def __init__(self) -> None:
        self._buffer = ByteBuffer(MAX_BUFFERED)
        self.discarded_bytes = 0
        self.bad_checks = 0
        """Starts that led to no frame."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self.discarded_bytes += self._buffer.append(data)

    def next_frame(self) -> Frame | NeedData:
        """The next frame, or `NEED_DATA`. Never raises."""
        while True:
            at = self._buffer.find(START)
            if at is None:
                size = len(self._buffer)
                self._throw_away(size - (size > 0 and self._buffer[size - 1] == START[0]))
                return NEED_DATA
            self._throw_away(at)
            try:
                parsed = _parse(self._buffer.peek(0, MAX_FRAME_BYTES))
            except FrameError:
                self.bad_checks += 1
                self._throw_away(1)  # the very next byte may start a true frame
                continue
            if not isinstance(parsed, NeedData):
                self._buffer.drop(_BODY_AT + len(parsed.body) + _CHECK_BYTES)
            return parsed

    def _throw_away(self, count: int) -> None:
        self._buffer.drop(count)
        self.discarded_bytes += count
