"""Frames of UHF readers of the UHFReader18 kind: what their protocol holds in common, from memory.

    length 1 | address 1 | command 1 | data | CRC 2        an answer's data begin with a status

The length counts what follows it. The CRC is CRC-16/MCRF4XX from the length on, low byte first. Command 01 looks for
tags; its answer, status 01 (done) or 03 (more follow), holds a count and for each tag a length and the EPC.

>>> encode_frame(Frame(0x00, 0x01)).hex()
'040001db4b'
"""

import msgspec
from fastcrc import crc16

from protocols.core.errors import ChecksumError, FieldError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole

MIN_LENGTH = 4
MAX_DATA_BYTES = 255 - MIN_LENGTH
MAX_FRAME_BYTES = 256
HEAD_BYTES = 3
_LENGTHS = f"a length is {MIN_LENGTH} at least"

INVENTORY = 0x01
DONE = 0x01
MORE = 0x03


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame. data: an answer's status included."""

    address: int
    command: int
    data: bytes = b""


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    check_whole(wire, FORM, _LENGTHS, 0)
    if crc16.mcrf4xx(wire[:-2]) != int.from_bytes(wire[-2:], "little"):
        raise ChecksumError("the CRC does not hold", len(wire) - 2, "crc")
    return Frame(wire[1], wire[2], wire[HEAD_BYTES:-2])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if len(frame.data) > MAX_DATA_BYTES:
        raise LocalProtocolError(f"{len(frame.data)} bytes are too many", field="data")
    if not (0 <= frame.address <= 0xFF and 0 <= frame.command <= 0xFF):
        raise LocalProtocolError("address and command have one byte each", field="command")
    summed = bytes((len(frame.data) + MIN_LENGTH, frame.address, frame.command)) + frame.data
    return summed + crc16.mcrf4xx(summed).to_bytes(2, "little")


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    return 1 + head[0] if head[0] >= MIN_LENGTH else 0


def decode_tags(data: bytes) -> tuple[bytes, ...]:
    """The EPCs in an answer to `INVENTORY`, status included. Raises `FieldError`."""
    if len(data) < 2 or data[0] not in (DONE, MORE):
        raise FieldError("no answer that holds tags", HEAD_BYTES, "status")
    tags = []
    at = 2
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            raise FieldError("an EPC is cut short", HEAD_BYTES + len(data), "epc")
        tags.append(data[at + 1 : end])
        at = end
    if len(tags) != data[1]:
        raise FieldError(f"{data[1]} tags are due, not {len(tags)}", HEAD_BYTES + 1, "count")
    return tuple(tags)


FORM = FrameForm(
    start=b"", head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def reader18_framer() -> LengthFramer[Frame]:
    """A framer of one line."""
    return LengthFramer(FORM)
