r"""Frames of UHF readers with a MagicRF M100 or QM100 (EPC Gen2, ISO/IEC 18000-63): 115200 baud, 8N1.

    BB | type 1 | command 1 | length 2 | parameter | checksum 1 | 7E        high byte first

The checksum is the sum from type to parameter, modulo 256. A parameter may hold 7E: the length counts. Type 00 is a
command, 01 its answer, 02 a notice: a tag that was seen is a notice of command 22.

    tag         RSSI 1, signed, dBm | PC 2 | EPC | CRC 2        bits 15 to 11 of the PC: words of the EPC
    error       an answer FF: code 1, more
    poll many   a command 27: 22 | count 2

>>> frame = decode_frame(bytes.fromhex("bb02220011c9340030751feb705c5904e3d50d703a76ef7e"))
>>> decode_tag(frame.parameter)
Tag(rssi_dbm=-55, pc=13312, epc=b'0u\x1f\xebp\\Y\x04\xe3\xd5\rp', crc=14966)
"""

from enum import IntEnum

import msgspec

from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole

START = b"\xbb"
END = 0x7E
HEAD_BYTES = 5
TAIL_BYTES = 2
MAX_PARAMETER_BYTES = 1024
"""More than any memory bank of a tag."""
MAX_FRAME_BYTES = HEAD_BYTES + MAX_PARAMETER_BYTES + TAIL_BYTES
_LENGTHS = f"at most {MAX_PARAMETER_BYTES} bytes of parameter"
_TAG_EXTRA_BYTES = 5
_POLL_MANY = 0x22


class FrameType(IntEnum):
    """Who speaks, and why."""

    COMMAND = 0x00
    ANSWER = 0x01
    NOTICE = 0x02


class Command(IntEnum):
    """What a reader is asked."""

    INFO = 0x03
    REGION = 0x07
    SELECT = 0x0C
    QUERY = 0x0E
    SELECT_MODE = 0x12
    POLL = 0x22
    POLL_MANY = 0x27
    STOP = 0x28
    READ = 0x39
    WRITE = 0x49
    KILL = 0x65
    LOCK = 0x82
    POWER = 0xB6
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """The first byte of an error."""

    READ_FAILED = 0x09
    WRITE_FAILED = 0x10
    LOCK_FAILED = 0x13
    NO_TAG = 0x15
    ACCESS_PASSWORD = 0x16
    WRONG_COMMAND = 0x17


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame."""

    frame_type: int
    command: int
    parameter: bytes = b""


class Tag(msgspec.Struct, frozen=True, gc=False):
    """A tag that was seen."""

    rssi_dbm: int
    pc: int
    epc: bytes
    crc: int


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    check_whole(wire, FORM, _LENGTHS, 3)
    if wire[-1] != END:
        raise FrameError("a frame ends with 7e", len(wire) - 1, "tail")
    if sum(wire[1:-2]) & 0xFF != wire[-2]:
        raise ChecksumError("the checksum does not hold", len(wire) - TAIL_BYTES, "checksum")
    return Frame(wire[1], wire[2], wire[HEAD_BYTES:-TAIL_BYTES])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if len(frame.parameter) > MAX_PARAMETER_BYTES:
        raise LocalProtocolError(f"{len(frame.parameter)} bytes are too many", field="parameter")
    if not (0 <= frame.frame_type <= 0xFF and 0 <= frame.command <= 0xFF):
        raise LocalProtocolError("type and command have one byte each", field="command")
    summed = bytes((frame.frame_type, frame.command)) + len(frame.parameter).to_bytes(2, "big") + frame.parameter
    return START + summed + bytes((sum(summed) & 0xFF, END))


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    length = head[3] << 8 | head[4]
    return HEAD_BYTES + length + TAIL_BYTES if length <= MAX_PARAMETER_BYTES else 0


def epc_bytes_of(pc: int) -> int:
    """How long an EPC is by its PC word."""
    return (pc >> 11) * 2


def is_tag(frame: Frame) -> bool:
    """Whether a frame tells of a tag."""
    return frame.frame_type == FrameType.NOTICE and frame.command == Command.POLL


def decode_tag(parameter: bytes) -> Tag:
    """Read the parameter of a frame that tells of a tag. Raises `FieldError`."""
    if len(parameter) < _TAG_EXTRA_BYTES:
        raise FieldError("RSSI, PC and CRC take 5 bytes", HEAD_BYTES + len(parameter), "pc")
    pc = int.from_bytes(parameter[1:3], "big")
    if len(parameter) != epc_bytes_of(pc) + _TAG_EXTRA_BYTES:
        raise FieldError("the PC tells another length of the EPC", HEAD_BYTES + 1, "pc")
    rssi = int.from_bytes(parameter[:1], "big", signed=True)
    return Tag(rssi, pc, parameter[3:-2], int.from_bytes(parameter[-2:], "big"))


def encode_tag(tag: Tag) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    if not (-128 <= tag.rssi_dbm <= 127 and 0 <= tag.pc <= 0xFFFF and 0 <= tag.crc <= 0xFFFF):
        raise LocalProtocolError("a number does not fit its field", field="rssi_dbm")
    if len(tag.epc) != epc_bytes_of(tag.pc):
        raise LocalProtocolError("the PC tells another length of the EPC", field="pc")
    return (
        tag.rssi_dbm.to_bytes(1, "big", signed=True) + tag.pc.to_bytes(2, "big") + tag.epc + tag.crc.to_bytes(2, "big")
    )


def error_code_of(frame: Frame) -> int | None:
    """The code of an error, or None for a frame that is none. Raises `FieldError` for one without a code."""
    if frame.frame_type != FrameType.ANSWER or frame.command != Command.ERROR:
        return None
    if not frame.parameter:
        raise FieldError("an error without its code", HEAD_BYTES, "error_code")
    return frame.parameter[0]


def poll_many(count: int) -> Frame:
    """The command to look for tags `count` times. Raises `LocalProtocolError`."""
    if not 0 <= count <= 0xFFFF:
        raise LocalProtocolError("a number of two bytes", field="repeat_count")
    return Frame(FrameType.COMMAND, Command.POLL_MANY, bytes((_POLL_MANY,)) + count.to_bytes(2, "big"))


def repeat_count_of(frame: Frame) -> int | None:
    """How often a frame asks to look for tags, or None for another frame."""
    is_poll = frame.frame_type == FrameType.COMMAND and frame.command == Command.POLL_MANY
    if not is_poll or len(frame.parameter) != 3 or frame.parameter[0] != _POLL_MANY:
        return None
    return int.from_bytes(frame.parameter[1:], "big")


FORM = FrameForm(
    start=START, head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def m100_framer() -> LengthFramer[Frame]:
    """A framer of one line."""
    return LengthFramer(FORM)
