"""Frames out of a byte stream: bounded, and back in step from the very next byte.

A classic frame begins behind any number of FF and ends with the next FF; that FF is nobody's start, unless what it ends
is no frame. The others go by their length, and a false start costs one byte. Half a frame of those looks like one that
is still on its way: `silence()` tells that nothing more will come.

>>> framer = ClassicFramer()
>>> framer.feed(bytes.fromhex("00ffff8181ff" "ffff9898ff"))
>>> framer.next_frame().rsctl, framer.next_frame().rsctl, framer.next_frame(), framer.discarded_bytes
(129, 152, NEED_DATA, 1)
"""

import struct
from collections.abc import Callable
from typing import Protocol, TypeVar

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, ChecksumError, NeedData, RemoteProtocolError
from protocols.etc_rsu.catalogue import Interface
from protocols.etc_rsu.frame import (
    MAX_CLASSIC_BYTES,
    MAX_DATA_BYTES,
    SEQUENCED_HEAD,
    START,
    URBAN_HEAD,
    VENDOR_HEAD,
    VENDOR_START,
    ClassicFrame,
    CrcFunction,
    Frame,
    SequencedFrame,
    UrbanFrame,
    VendorFrame,
    crc_x25,
    decode_content,
    decode_sequenced,
    decode_urban,
    decode_vendor,
)
from protocols.length_framer import MAX_PIECE, FrameForm, LengthFramer

_CRC_BYTES = 2
_BCC_BYTES = 1
_MAX_ESCAPED_BYTES = 2 * MAX_CLASSIC_BYTES
_FF = 0xFF
_ETX = b"\xff"

FrameT = TypeVar("FrameT")


class Framer(Protocol):
    """What all of them have. What never became a frame is counted, not raised."""

    discarded_bytes: int
    bad_checks: int

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""

    def silence(self) -> None:
        """Nothing more will come for now: half a frame never was one. Ask for frames once more afterwards."""

    def next_frame(self) -> Frame | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""


class ClassicFramer:
    """Frames between FF and FF."""

    def __init__(self) -> None:
        self._buffer = ByteBuffer(_MAX_ESCAPED_BYTES + MAX_PIECE)
        self.discarded_bytes = 0
        """Bytes that belonged to no frame; FF ahead of one is not counted."""
        self.bad_checks = 0
        """Whole frames whose check did not hold."""

    @property
    def waiting(self) -> int:
        """Bytes that may become a frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. More than fit push out the oldest."""
        self.discarded_bytes += self._buffer.append(data)

    def silence(self) -> None:
        """Forget half a frame."""
        self.discarded_bytes += self._buffer.clear()

    def next_frame(self) -> ClassicFrame | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""
        buffer = self._buffer
        while (start := buffer.find(_ETX)) is not None:
            self._throw_away(start)
            size = len(buffer)
            first = 1
            while first < size and buffer[first] == _FF:
                first += 1
            buffer.drop(first - 1)  # of several FF the last one is start enough
            end = buffer.find(_ETX, 1)
            if end is None:
                if len(buffer) > _MAX_ESCAPED_BYTES + 1:
                    self._throw_away(len(buffer))  # no FF is in it, so nothing else begins in it
                return NEED_DATA
            inner = buffer.peek(1, end)
            try:
                frame = decode_content(inner)
            except RemoteProtocolError as error:
                self.bad_checks += isinstance(error, ChecksumError)
                self._throw_away(end)  # the FF that ended it may begin the next
                continue
            buffer.drop(end + 1)
            return frame
        self.discarded_bytes += buffer.clear()
        return NEED_DATA

    def _throw_away(self, count: int) -> None:
        self.discarded_bytes += count
        self._buffer.drop(count)


def _form(
    start: bytes, head: struct.Struct, length_at: int, tail_bytes: int, decode: Callable[[bytes], FrameT]
) -> FrameForm[FrameT]:
    """length_at: which field of the head is the length of the data."""
    others = head.size + tail_bytes
    return FrameForm(
        start=start,
        head_bytes=head.size,
        max_frame_bytes=others + MAX_DATA_BYTES,
        size_of=lambda data: others + int(head.unpack(data)[length_at]),
        decode=decode,
    )


def _sequenced(crc: CrcFunction) -> FrameForm[SequencedFrame]:
    return _form(START, SEQUENCED_HEAD, 2, _CRC_BYTES, lambda wire: decode_sequenced(wire, crc))


def _urban(crc: CrcFunction) -> FrameForm[UrbanFrame]:
    return _form(START, URBAN_HEAD, 0, _CRC_BYTES, lambda wire: decode_urban(wire, crc))


_SEQUENCED = _sequenced(crc_x25)
_URBAN = _urban(crc_x25)
_VENDOR = _form(VENDOR_START, VENDOR_HEAD, 1, _BCC_BYTES, decode_vendor)


class SequencedFramer(LengthFramer[SequencedFrame]):
    """Of a gantry, or of a lane with CRC."""

    def __init__(self, crc: CrcFunction = crc_x25) -> None:
        super().__init__(_SEQUENCED if crc is crc_x25 else _sequenced(crc))


class UrbanFramer(LengthFramer[UrbanFrame]):
    """Of urban parking."""

    def __init__(self, crc: CrcFunction = crc_x25) -> None:
        super().__init__(_URBAN if crc is crc_x25 else _urban(crc))


class VendorFramer(LengthFramer[VendorFrame]):
    """Of frames that begin with 55 AA."""

    def __init__(self) -> None:
        super().__init__(_VENDOR)


def framer_of(interface: Interface, crc: CrcFunction = crc_x25) -> Framer:
    """The framer of a link. crc: that of its frames, where they have one."""
    match interface:
        case Interface.CLASSIC:
            return ClassicFramer()
        case Interface.URBAN:
            return UrbanFramer(crc)
        case Interface.VENDOR:
            return VendorFramer()
        case _:
            return SequencedFramer(crc)
