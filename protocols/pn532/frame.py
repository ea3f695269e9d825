"""Frames between a host and a PN532 (NXP UM0701-02, 6.2.1).

    00 00 FF LEN LCS TFI command parameters DCS 00             normal, LEN counts TFI to the last parameter: 2 to 255
    00 00 FF FF FF LENM LENL LCS TFI command .. DCS 00         extended, LEN 2 to 265
    00 00 FF 00 FF 00   ACK     00 00 FF FF 00 00   NACK     00 00 FF 01 FF 7F 81 00   error

LEN + LCS and TFI + .. + DCS are 0 modulo 256. TFI is D4 towards the chip, D5 from it. The first 00 and the last are
filler: there may be any number of them or none, and 55 wakes the chip up, so everything before a start code 00 FF is
passed over.

>>> decode_frame(bytes.fromhex("0000ff02fed4022a00"))
DataFrame(tfi=212, command=2, payload=b'', is_extended=False)
"""

import msgspec

from protocols.core.buffer import ByteBuffer
from protocols.core.checksum import lrc8
from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    NeedData,
    RemoteProtocolError,
)

TFI_HOST = 0xD4
"""From the host to the chip."""
TFI_CHIP = 0xD5
"""From the chip to the host."""
TFI_ERROR = 0x7F
MAX_LEN = 265
"""TFI, command and 263 bytes, UM0701-02 6.2.1.2."""
MAX_NORMAL_LEN = 255
MAX_PAYLOAD_BYTES = MAX_LEN - 2
MAX_FRAME_BYTES = MAX_LEN + 8
"""From the start code to DCS, in the extended form."""

_START = b"\x00\xff"
_ACK = (0x00, 0xFF)
_NACK = (0xFF, 0x00)
_EXTENDED = (0xFF, 0xFF)


class DataFrame(msgspec.Struct, frozen=True):
    """A command or a response. is_extended: which form it was sent in."""

    tfi: int
    command: int
    payload: bytes = b""
    is_extended: bool = False


class AckFrame(msgspec.Struct, frozen=True):
    """The chip took a command; or, from the host, stop what you are doing."""


class NackFrame(msgspec.Struct, frozen=True):
    """The host wants the last response again."""


class ErrorFrame(msgspec.Struct, frozen=True):
    """The chip does not know the command, or not with these parameters."""


Frame = DataFrame | AckFrame | NackFrame | ErrorFrame

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
ERROR = bytes.fromhex("0000ff01ff7f8100")
WAKE_UP = b"\x55\x55" + bytes(14)
"""What a host sends ahead of a command while the chip may be asleep, UM0701-02 7.2.11."""


def data_frame(tfi: int, command: int, payload: bytes) -> DataFrame:
    """A frame in the shorter form that can carry the payload."""
    return DataFrame(tfi, command, payload, is_extended=len(payload) + 2 > MAX_NORMAL_LEN)


def encode_frame(frame: Frame) -> bytes:
    """Write a frame with one byte of preamble and a postamble. Raises `LocalProtocolError`."""
    match frame:
        case AckFrame():
            return ACK
        case NackFrame():
            return NACK
        case ErrorFrame():
            return ERROR
        case DataFrame():
            return _encoded_data(frame)


def _encoded_data(frame: DataFrame) -> bytes:
    if frame.tfi not in {TFI_HOST, TFI_CHIP} or not 0 <= frame.command <= 0xFF:
        raise LocalProtocolError("TFI is d4 or d5 and a command one byte", field="tfi")
    body = bytes((frame.tfi, frame.command)) + frame.payload
    if len(body) > (MAX_LEN if frame.is_extended else MAX_NORMAL_LEN):
        raise LocalProtocolError(f"{len(frame.payload)} bytes of payload are too many", field="payload")
    length = len(body).to_bytes(2, "big") if frame.is_extended else bytes((len(body),))
    head = b"\x00" + _START + (b"\xff\xff" if frame.is_extended else b"")
    return head + length + bytes((lrc8(length),)) + body + bytes((lrc8(body), 0))


def decode_frame(data: bytes) -> Frame:
    """Read one frame, perhaps after filler. Raises `FrameError`, `ChecksumError`, `FieldError`."""
    at = data.find(_START)
    if at < 0:
        raise FrameError("no start code 00 ff", raw=data)
    try:
        parsed = _parse(data[at:])
    except RemoteProtocolError as error:
        error.offset = at + (error.offset or 0)
        raise
    if isinstance(parsed, NeedData):
        raise FrameError("the frame is cut short", offset=len(data), raw=data)
    frame, size = parsed
    if data[at + size :].strip(b"\x00"):
        raise FrameError("something follows the frame", offset=at + size, raw=data)
    return frame


def _parse(data: bytes) -> tuple[Frame, int] | NeedData:
    """The frame whose start code stands at 0, and where it ends, without its postamble."""
    if len(data) < 4:
        return NEED_DATA
    control = (data[2], data[3])
    if control == _ACK:
        return AckFrame(), 4
    if control == _NACK:
        return NackFrame(), 4
    is_extended = control == _EXTENDED
    length_at, body_at = (4, 7) if is_extended else (2, 4)
    if len(data) < body_at:
        return NEED_DATA
    if sum(data[length_at:body_at]) & 0xFF:
        raise ChecksumError("LCS does not hold", offset=body_at - 1, field="lcs", raw=data)
    length = int.from_bytes(data[length_at : body_at - 1], "big")
    if not 1 <= length <= MAX_LEN:
        raise FrameError(f"LEN is 1 to {MAX_LEN}, not {length}", offset=length_at, field="len", raw=data)
    end = body_at + length + 1
    if len(data) < end:
        return NEED_DATA
    return _parse_body(data[body_at : end - 1], data[end - 1], body_at, is_extended=is_extended), end


def _parse_body(body: bytes, check: int, at: int, *, is_extended: bool) -> Frame:
    if lrc8(body) != check:
        reason = f"DCS is {check:02x} where {lrc8(body):02x} is due"
        raise ChecksumError(reason, offset=at + len(body), field="dcs", raw=body)
    if body[0] == TFI_ERROR and len(body) == 1 and not is_extended:
        return ErrorFrame()
    if body[0] not in {TFI_HOST, TFI_CHIP}:
        raise FieldError(f"TFI is d4 or d5, not {body[0]:02x}", offset=at, field="tfi", raw=body)
    if len(body) < 2:
        raise FrameError("no command follows the TFI", offset=at + 1, field="command", raw=body)
    return DataFrame(body[0], body[1], bytes(body[2:]), is_extended)


class Framer:
    """Finds frames in a stream; what never became one is counted, not raised.

    At most `max_bytes` are kept: of more than that in one piece the oldest are lost.
    """

    def __init__(self, max_bytes: int = 4096) -> None:
        self._buffer = ByteBuffer(max(max_bytes, MAX_FRAME_BYTES))
        self.discarded_bytes = 0
        """Bytes that belonged to no frame; filler (00 and 55) between frames is not counted."""
        self.bad_checks = 0
        """Start codes behind which a check did not hold."""
        self.broken_body = b""
        """TFI and command of the last frame whose DCS did not hold: its sender may be asked for it again."""

    @property
    def waiting(self) -> int:
        """Bytes that may become a frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self.discarded_bytes += self._buffer.append(data)

    def reset(self) -> None:
        """Forget what came so far, such as half a frame whose rest will not come."""
        self._throw_away(len(self._buffer))

    def next_frame(self) -> Frame | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""
        while (at := self._buffer.find(_START)) is not None:
            self._throw_away(at)
            try:
                parsed = _parse(self._buffer.peek(0, MAX_FRAME_BYTES))
            except RemoteProtocolError as error:
                self.bad_checks += 1
                if error.field == "dcs":
                    self.broken_body = error.raw[:2]
                self._throw_away(1)  # the very next byte may start a true frame
                continue
            if isinstance(parsed, NeedData):
                return NEED_DATA
            frame, size = parsed
            self._buffer.drop(size)
            return frame
        size = len(self._buffer)
        self._throw_away(size - (size > 0 and self._buffer[size - 1] == 0))
        return NEED_DATA

    def _throw_away(self, count: int) -> None:
        filler = self._buffer.peek(0, count)
        self.discarded_bytes += count - filler.count(0x00) - filler.count(0x55)
        self._buffer.drop(count)
