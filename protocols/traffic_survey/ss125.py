"""Wavetronix SmartSensor HD (SS125): frames of a microwave detector on a serial line or a stream.

    "Z" "1" | dest sub-id 1 | dest id 2 | source sub-id 1 | source id 2 | sequence 1 | body size 1 | CRC-8
    body | CRC-8

Numbers are high byte first. The body size leaves the body's CRC out. CRC-8: polynomial 1CH, start 0, not reflected;
head and body have one each.

>>> decode_frame(bytes.fromhex("5a31000155000000000618710000000000f0")).dest_id
341
"""

import struct

import msgspec

from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer

START = b"Z1"
MIN_BODY_BYTES = 3
"""Message id, sub-id, type."""
MAX_BODY_BYTES = 255

_HEAD = struct.Struct(">2sBHBHBB")
HEAD_BYTES = _HEAD.size + 1
MAX_FRAME_BYTES = HEAD_BYTES + MAX_BODY_BYTES + 1
_POLYNOMIAL = 0x1C


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame. body: without its CRC."""

    dest_sub_id: int
    dest_id: int
    source_sub_id: int
    source_id: int
    sequence: int
    body: bytes


def _crc_of_byte(byte: int) -> int:
    for _bit in range(8):
        byte = (byte << 1 ^ _POLYNOMIAL if byte & 0x80 else byte << 1) & 0xFF
    return byte


_TABLE = bytes(map(_crc_of_byte, range(256)))


def crc8(data: bytes) -> int:
    """The check of heads and bodies. Over a message and its check it is 0; over `123456789` it is BCH."""
    crc = 0
    for byte in data:
        crc = _TABLE[crc ^ byte]
    return crc


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    if wire[:2] != START:
        raise FrameError("a frame begins with 5a 31", 0, "sync")
    if len(wire) < HEAD_BYTES:
        raise FrameError("the head is cut short", len(wire), "body_size")
    if crc8(wire[:HEAD_BYTES]):
        raise ChecksumError("the CRC of the head does not hold", HEAD_BYTES - 1, "header_crc")
    _start, dest_sub, dest, source_sub, source, sequence, size = _HEAD.unpack_from(wire)
    if len(wire) != HEAD_BYTES + size + 1:
        due = HEAD_BYTES + size + 1
        raise FrameError(f"{due} bytes are due, not {len(wire)}", min(due, len(wire)), "body_size")
    return Frame(dest_sub, dest, source_sub, source, sequence, decode_checked(wire[HEAD_BYTES:], HEAD_BYTES))


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    body = encode_checked(frame.body)
    try:
        head = _HEAD.pack(
            START,
            frame.dest_sub_id,
            frame.dest_id,
            frame.source_sub_id,
            frame.source_id,
            frame.sequence,
            len(frame.body),
        )
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}") from None
    return head + bytes((crc8(head),)) + body


def decode_checked(wire: bytes, offset: int = 0) -> bytes:
    """The body of a body and its CRC. offset: where it stands. Raises `FrameError`, `ChecksumError`."""
    if not MIN_BODY_BYTES <= len(wire) - 1 <= MAX_BODY_BYTES:
        raise FrameError(f"a body has {MIN_BODY_BYTES} to {MAX_BODY_BYTES} bytes", offset + len(wire), "body")
    if crc8(wire):
        raise ChecksumError("the CRC of the body does not hold", offset + len(wire) - 1, "body_crc")
    return wire[:-1]


def encode_checked(body: bytes) -> bytes:
    """A body and its CRC. Raises `LocalProtocolError`."""
    if not MIN_BODY_BYTES <= len(body) <= MAX_BODY_BYTES:
        raise LocalProtocolError(f"a body has {MIN_BODY_BYTES} to {MAX_BODY_BYTES} bytes", field="body")
    return body + bytes((crc8(body),))


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    return 0 if crc8(head) else HEAD_BYTES + head[HEAD_BYTES - 2] + 1


FORM = FrameForm(
    start=START, head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def ss125_framer() -> LengthFramer[Frame]:
    """A framer of one line."""
    return LengthFramer(FORM)
