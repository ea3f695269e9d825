"""Frames of UHF readers with an Impinj R2000 and the head A0 (EPC Gen2, ISO/IEC 18000-63): 115200 baud, 8N1.

    A0 | length 1 | address 1 | command 1 | parameter | check 1        high byte first

The length counts from the address to the check; the sum of all bytes is 0 modulo 256. Requests and answers look alike:
an answer of one byte is a result code. Under 89 and 8B (inventories) an answer tells of a tag, or that a round is over:

    tag         frequency index, bits 7 to 2, antenna, bits 1 and 0 | PC 2 | EPC, as long as the PC says | RSSI 1
    round       antenna 1 | tags a second 2 | reads 4           told by its length, 0A

>>> decode_tag(bytes.fromhex("043000e200301666130121155074ef45")).epc.hex()
'e200301666130121155074ef'
"""

import struct
from enum import IntEnum

import msgspec

from protocols.core.checksum import lrc8
from protocols.core.errors import ChecksumError, FieldError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole
from protocols.rfid_and_gates.uhf_m100 import epc_bytes_of

START = b"\xa0"
HEAD_BYTES = 4
"""Up to the command."""
MIN_LENGTH = 3
MAX_FRAME_BYTES = 2 + 255
MAX_PARAMETER_BYTES = 255 - MIN_LENGTH
RSSI_OFFSET_DBM = -129
"""RSSI + this is dBm on common modules; others differ."""
BROADCAST = 0xFF

_LENGTHS = f"a length is {MIN_LENGTH} at least"
_ROUND = struct.Struct(">BHI")
_MIN_TAG_BYTES = 4


class Command(IntEnum):
    """What a reader is asked."""

    RESET = 0x70
    VERSION = 0x72
    ANTENNA = 0x74
    POWER = 0x76
    BUFFER_INVENTORY = 0x80
    READ = 0x81
    WRITE = 0x82
    REAL_TIME_INVENTORY = 0x89
    SESSION_INVENTORY = 0x8B
    READ_BUFFER = 0x90


class ResultCode(IntEnum):
    """How it went."""

    OK = 0x10
    FAILED = 0x11
    ANTENNA_MISSING = 0x22
    NO_TAG = 0x36


INVENTORIES = frozenset({Command.REAL_TIME_INVENTORY, Command.SESSION_INVENTORY})


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame."""

    address: int
    command: int
    parameter: bytes = b""


class Tag(msgspec.Struct, frozen=True, gc=False):
    """A tag that was seen. antenna: from 0. rssi: see `RSSI_OFFSET_DBM`."""

    frequency_index: int
    antenna: int
    pc: int
    epc: bytes
    rssi: int


class RoundEnd(msgspec.Struct, frozen=True, gc=False):
    """A round is over."""

    antenna: int
    read_rate: int
    total_read: int


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    check_whole(wire, FORM, _LENGTHS, 1)
    if sum(wire) & 0xFF:
        raise ChecksumError("the check does not hold", len(wire) - 1, "check")
    return Frame(wire[2], wire[3], wire[HEAD_BYTES:-1])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if len(frame.parameter) > MAX_PARAMETER_BYTES:
        raise LocalProtocolError(f"{len(frame.parameter)} bytes are too many", field="parameter")
    if not (0 <= frame.address <= 0xFF and 0 <= frame.command <= 0xFF):
        raise LocalProtocolError("address and command have one byte each", field="command")
    summed = START + bytes((len(frame.parameter) + MIN_LENGTH, frame.address, frame.command)) + frame.parameter
    return summed + bytes((lrc8(summed),))


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    return 2 + head[1] if head[1] >= MIN_LENGTH else 0


def result_code_of(frame: Frame) -> int | None:
    """The one byte of an answer; a request of one byte, such as a repeat count, looks the same."""
    return frame.parameter[0] if len(frame.parameter) == 1 else None


def decode_inventory(frame: Frame) -> Tag | RoundEnd | None:
    """What an answer of `INVENTORIES` tells; None for a request, and for other commands. Raises `FieldError`."""
    if frame.command not in INVENTORIES or len(frame.parameter) < _MIN_TAG_BYTES:
        return None
    if len(frame.parameter) == _ROUND.size:
        return RoundEnd(*_ROUND.unpack(frame.parameter))
    return decode_tag(frame.parameter)


def decode_tag(parameter: bytes) -> Tag:
    """Read the parameter that tells of a tag. Raises `FieldError`."""
    pc = int.from_bytes(parameter[1:3], "big")
    if len(parameter) != epc_bytes_of(pc) + _MIN_TAG_BYTES:
        raise FieldError("the PC tells another length of the EPC", HEAD_BYTES + 1, "pc")
    return Tag(parameter[0] >> 2, parameter[0] & 3, pc, parameter[3:-1], parameter[-1])


def encode_tag(tag: Tag) -> bytes:
    """The inverse. Raises `LocalProtocolError`."""
    fits = 0 <= tag.frequency_index < 64 and 0 <= tag.antenna < 4 and 0 <= tag.pc <= 0xFFFF and 0 <= tag.rssi <= 0xFF
    if not fits or len(tag.epc) != epc_bytes_of(tag.pc):
        raise LocalProtocolError("a number does not fit its field, or the PC tells another length", field="pc")
    return bytes((tag.frequency_index << 2 | tag.antenna,)) + tag.pc.to_bytes(2, "big") + tag.epc + bytes((tag.rssi,))


def encode_round_end(end: RoundEnd) -> bytes:
    """Write the parameter that ends a round. Raises `LocalProtocolError`."""
    try:
        return _ROUND.pack(end.antenna, end.read_rate, end.total_read)
    except struct.error as error:
        raise LocalProtocolError(f"a number does not fit its field: {error}") from None


FORM = FrameForm(
    start=START, head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def r2000_framer() -> LengthFramer[Frame]:
    """A framer of one line."""
    return LengthFramer(FORM)
