"""A CAN frame as a raw SocketCAN socket reads and writes it: 16 bytes, the layout of Linux on a little-endian machine.

    identifier and flags (4, the lowest byte first)   length   3 x 00   data (8, filled up with 00)
    flags: bit 31 29-bit identifier, bit 30 remote request, bit 29 error report

>>> encode_can_frame(CanFrame(0x18FEF100, bytes(8))).hex()
'00f1fe98080000000000000000000000'
"""

import struct

import msgspec

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.vehicle_bus.identifier import MAX_11_BIT, MAX_29_BIT

FRAME_BYTES = 16
MAX_DATA_BYTES = 8
_LAYOUT = struct.Struct("<IB3x8s")
_EXTENDED = 1 << 31
_NO_DATA = 3 << 29


class CanFrame(msgspec.Struct, frozen=True):
    """A data frame."""

    identifier: int
    data: bytes
    is_extended: bool = True


def decode_can_frame(record: bytes) -> CanFrame:
    """Read a frame. Raises `FrameError` for another size or kind, `FieldError` for an identifier out of bounds."""
    if len(record) != FRAME_BYTES:
        raise FrameError(f"{FRAME_BYTES} bytes, not {len(record)}", offset=len(record), raw=record)
    word, length, data = _LAYOUT.unpack(record)
    if word & _NO_DATA:
        raise FrameError("no data frame", offset=0, field="flags", raw=record)
    if length > MAX_DATA_BYTES:
        raise FieldError(f"0 to 8, not {length}", offset=4, field="length", raw=record)
    is_extended = bool(word & _EXTENDED)
    identifier = word & MAX_29_BIT
    if not is_extended and identifier > MAX_11_BIT:
        raise FieldError(f"{identifier:x} has more than 11 bits", offset=0, field="id", raw=record)
    return CanFrame(identifier, data[:length], is_extended)


def encode_can_frame(frame: CanFrame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if not 0 <= frame.identifier <= (MAX_29_BIT if frame.is_extended else MAX_11_BIT):
        raise LocalProtocolError("more bits than an identifier has", field="id")
    if len(frame.data) > MAX_DATA_BYTES:
        raise LocalProtocolError("more than 8 bytes", field="data")
    return _LAYOUT.pack(frame.identifier | frame.is_extended << 31, len(frame.data), frame.data)
