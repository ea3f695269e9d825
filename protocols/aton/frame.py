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

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError, NeedData
from protocols.core.frame_search import FrameSearch

START = b"\xc5\xa7"
MAX_BODY_BYTES = 480
_HEADER = ">BIHH"
BODY_AT = 11
_LENGTH_AT = 9
_CHECK_BYTES = 2
MAX_FRAME_BYTES = BODY_AT + MAX_BODY_BYTES + _CHECK_BYTES
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
    if data[:2] != START[: len(data)]:
        raise FrameError("does not start with C5 A7", offset=0, field="start", raw=data)
    if len(data) < BODY_AT:
        raise FrameError("ends within its head", offset=len(data), field="length", raw=data)
    kind, station, serial, length = struct.unpack(_HEADER, data[2:BODY_AT])
    end = BODY_AT + length
    if length > MAX_BODY_BYTES:
        raise FrameError("a body of more than 480 bytes", offset=_LENGTH_AT, field="length", raw=data)
    if len(data) != end + _CHECK_BYTES:
        raise FrameError(f"{len(data)} bytes where {end + _CHECK_BYTES} are due", _LENGTH_AT, "length", data)
    want, got = crc16_modbus(data[2:end]), data[end] | data[end + 1] << 8
    if got != want:
        raise ChecksumError(f"the check is {got:04X} where {want:04X} is due", offset=end, field="check", raw=data)
    return Frame(kind, station, serial, bytes(data[BODY_AT:end]))


class Framer(FrameSearch):
    """Cuts a stream into frames; after a frame that is none it goes on from the very next byte."""

    __slots__ = ()

    def __init__(self) -> None:
        FrameSearch.__init__(self, (START,), MAX_FRAME_BYTES, MAX_BUFFERED - MAX_FRAME_BYTES)

    def next_frame(self) -> Frame | NeedData:
        """The next frame, or `NEED_DATA`. Never raises."""
        return self._search(self._size, decode_frame)

    def _size(self) -> int:
        buffer = self._buffer
        if len(buffer) < BODY_AT:
            return BODY_AT
        length = buffer[_LENGTH_AT] << 8 | buffer[_LENGTH_AT + 1]
        return BODY_AT + length + _CHECK_BYTES if length <= MAX_BODY_BYTES else 0
