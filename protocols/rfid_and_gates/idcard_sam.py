"""Frames of readers for resident identity cards (居民身份证阅读机具): 115200 baud, 8N1.

    AA AA AA 96 69 | length 2 | payload | check 1        high byte first
    request payload     command 1 | parameter 1 | data
    answer payload      SW1 1 | SW2 1 | SW3 1 | data

The length counts the payload and the check, which is exclusive or over length and payload. SW1 and SW2 are 00; SW3 says
how it went. An answer does not name its command. What a card says is personal: no `repr` and no error shows any of it.

>>> decode_request(decode_frame(bytes.fromhex("aaaaaa96690003200122")))
Request(command=32, parameter=1, data=b'')
"""

from enum import IntEnum

import msgspec

from protocols.core.checksum import xor8
from protocols.core.errors import ChecksumError, FieldError, LocalProtocolError
from protocols.length_framer import FrameForm, LengthFramer, check_whole

START = bytes.fromhex("aaaaaa9669")
HEAD_BYTES = 7
MIN_LENGTH = 3
MAX_LENGTH = 4096
"""More than text, photo and fingerprints of any card."""
MAX_FRAME_BYTES = HEAD_BYTES + MAX_LENGTH
_LENGTHS = f"a length from {MIN_LENGTH} to {MAX_LENGTH}"
MIN_READ_BYTES = 256
"""From so many bytes on the data of an answer 90 are a card's."""


class Command(IntEnum):
    """Command and parameter in one number."""

    RESET = 0x10FF
    STATUS = 0x11FF
    MODULE_NUMBER = 0x12FF
    FIND = 0x2001
    SELECT = 0x2002
    READ = 0x3001
    READ_WITH_FINGERPRINT = 0x3010
    SET_MAX_PACKET = 0x61FF


SET_BAUD = 0x60
"""With 00 for 115200 to 04 for 9600."""


class Sw3(IntEnum):
    """How it went."""

    CHECKSUM = 0x10
    UNKNOWN_COMMAND = 0x21
    MODULE_FAULT = 0x31
    READ_FAILED = 0x41
    NO_CARD = 0x80
    SELECT_FAILED = 0x81
    OK = 0x90
    FOUND = 0x9F


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame, of either direction."""

    payload: bytes

    def __repr__(self) -> str:
        return f"Frame({len(self.payload)} bytes)"


class Request(msgspec.Struct, frozen=True):
    """What the reader is asked."""

    command: int
    parameter: int
    data: bytes = b""


class Response(msgspec.Struct, frozen=True):
    """What it answers."""

    sw1: int
    sw2: int
    sw3: int
    data: bytes = b""

    def __repr__(self) -> str:
        return f"Response({self.sw1:02x}{self.sw2:02x}{self.sw3:02x}, {len(self.data)} bytes)"

    @property
    def is_card(self) -> bool:
        """Whether it holds what a card says."""
        return self.sw3 == Sw3.OK and len(self.data) >= MIN_READ_BYTES


def decode_frame(wire: bytes) -> Frame:
    """Read one frame. Raises `FrameError`, `ChecksumError`."""
    check_whole(wire, FORM, _LENGTHS, len(START), "payload_length")
    if xor8(wire[len(START) :]):
        raise ChecksumError("the check does not hold", len(wire) - 1, "check")
    return Frame(wire[HEAD_BYTES:-1])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    length = len(frame.payload) + 1
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise LocalProtocolError(f"{MIN_LENGTH - 1} to {MAX_LENGTH - 1} bytes, not {length - 1}", field="payload")
    checked = length.to_bytes(2, "big") + frame.payload
    return START + checked + bytes((xor8(checked),))


def size_of(head: bytes) -> int:
    """The bytes of the frame that a head begins, or 0 for none."""
    length = head[5] << 8 | head[6]
    return HEAD_BYTES + length if MIN_LENGTH <= length <= MAX_LENGTH else 0


def is_response(frame: Frame) -> bool:
    """Whether a frame looks like an answer: no command begins with 00 00."""
    return frame.payload[:2] == b"\x00\x00"


def decode_request(frame: Frame) -> Request:
    """Read what is asked. Every payload is long enough."""
    return Request(frame.payload[0], frame.payload[1], frame.payload[2:])


def decode_response(frame: Frame) -> Response:
    """Read an answer. Raises `FieldError`."""
    if len(frame.payload) < 3:
        raise FieldError("an answer has three status bytes", HEAD_BYTES + len(frame.payload), "sw3")
    sw1, sw2, sw3 = frame.payload[:3]
    return Response(sw1, sw2, sw3, frame.payload[3:])


def request_frame(request: Request) -> Frame:
    """The frame of a request. Raises `LocalProtocolError`."""
    return Frame(_octets(request.command, request.parameter) + request.data)


def response_frame(response: Response) -> Frame:
    """The frame of an answer. Raises `LocalProtocolError`."""
    return Frame(_octets(response.sw1, response.sw2, response.sw3) + response.data)


def request_of(command: Command) -> Request:
    """A command without data."""
    return Request(command >> 8, command & 0xFF)


def _octets(*numbers: int) -> bytes:
    if not all(0 <= number <= 0xFF for number in numbers):
        raise LocalProtocolError("numbers of one byte", field="payload")
    return bytes(numbers)


FORM = FrameForm(
    start=START, head_bytes=HEAD_BYTES, max_frame_bytes=MAX_FRAME_BYTES, size_of=size_of, decode=decode_frame
)


def idcard_framer() -> LengthFramer[Frame]:
    """A framer of one line."""
    return LengthFramer(FORM)
