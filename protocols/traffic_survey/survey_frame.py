"""Frames between a traffic survey station and its data centre (JT/T 1008.2, 公路交通情况调查设备 通信协议).

    AA AA | length L 2 | data L, its first byte the packet type | CRC 2 | EE EE

All numbers are low byte first. The CRC is CRC-16/MODBUS over the length and the data. Nothing is escaped, so AA AA and
EE EE may stand within the data: the length counts.

>>> encode_frame(Frame(bytes.fromhex("02ffff"))).hex()
'aaaa030002ffffc070eeee'
>>> decode_frame(bytes.fromhex("aaaa030002ffffc070eeee")).packet_type
2
"""

import msgspec
from fastcrc import crc16

from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole

START = b"\xaa\xaa"
END = b"\xee\xee"
HEAD_BYTES = 4
TAIL_BYTES = 4
MAX_DATA_BYTES = 42 + 255 * 68
"""The longest record known: 255 lanes of nine classes with reserved fields."""
_LENGTHS = f"1 to {MAX_DATA_BYTES} bytes of data"
MAX_FRAME_BYTES = HEAD_BYTES + MAX_DATA_BYTES + TAIL_BYTES


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame. data: from the packet type on, at least that."""

    data: bytes

    @property
    def packet_type(self) -> int:
        """What the data are."""
        return self.data[0]


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    check_whole(wire, FORM, _LENGTHS, 2)
    size = len(wire)
    if wire[-2:] != END:
        raise FrameError("a frame ends with ee ee", size - 2, "tail")
    if crc16.modbus(wire[2 : size - TAIL_BYTES]) != int.from_bytes(wire[-4:-2], "little"):
        raise ChecksumError("the CRC does not hold", size - TAIL_BYTES, "crc")
    return Frame(wire[HEAD_BYTES : size - TAIL_BYTES])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if not 1 <= len(frame.data) <= MAX_DATA_BYTES:
        raise LocalProtocolError(f"1 to {MAX_DATA_BYTES} bytes, not {len(frame.data)}", field="data")
    checked = len(frame.data).to_bytes(2, "little") + frame.data
    return START + checked + crc16.modbus(checked).to_bytes(2, "little") + END


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    length = int.from_bytes(head[2:4], "little")
    return HEAD_BYTES + length + TAIL_BYTES if 1 <= length <= MAX_DATA_BYTES else 0


FORM = FrameForm(
    start=START, head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def survey_framer() -> LengthFramer[Frame]:
    """A framer of one link."""
    return LengthFramer(FORM)
