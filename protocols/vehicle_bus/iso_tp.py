"""ISO 15765-2 frames: messages of any length in CAN data fields.

    0L data                    single, 1 to 7 bytes           CAN FD: 00 LL data, up to 62
    1L LL data                 first, of 8 to 4095 bytes      longer: 10 00 and four bytes of length
    2N data                    consecutive, N counts 1 to F, 0, 1 ..
    3S BS ST                   flow control: S 0 go on, 1 wait, 2 too long; BS frames until the next one, 0 = all;
                               ST 00-7F milliseconds, F1-F9 hundreds of microseconds between frames

With extended addressing one address byte stands in front. Bytes behind the message are padding of any value.

>>> decode_frame(bytes.fromhex("3108F5"))
FlowControl(status=1, block_size=8, separation=245, padding=b'', address=None)
>>> _.separation_us
500
"""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError, UnsupportedError

CLASSIC_BYTES = 8
FD_BYTES = 64
FD_SIZES = (12, 16, 20, 24, 32, 48, FD_BYTES)
"""Of longer data fields on CAN FD."""
MAX_SHORT_LENGTH = 4095
MAX_LENGTH = 0xFFFFFFFF

SINGLE = 0
FIRST = 1
CONSECUTIVE = 2
FLOW_CONTROL = 3

CONTINUE = 0
WAIT = 1
OVERFLOW = 2


class SingleFrame(msgspec.Struct, frozen=True):
    """A whole message. is_long: with the length in a byte of its own, as CAN FD has it."""

    data: bytes
    padding: bytes = b""
    is_long: bool = False
    address: int | None = None


class FirstFrame(msgspec.Struct, frozen=True):
    """The beginning of a message of `length` bytes. is_long: with the length in four bytes."""

    length: int
    data: bytes
    is_long: bool = False
    address: int | None = None


class ConsecutiveFrame(msgspec.Struct, frozen=True):
    """What follows. data: with the padding of the last frame, which only the receiver can tell."""

    sequence: int
    data: bytes
    address: int | None = None


class FlowControl(msgspec.Struct, frozen=True):
    """What the receiver says: go on, wait, or too long. separation: the byte STmin."""

    status: int
    block_size: int = 0
    separation: int = 0
    padding: bytes = b""
    address: int | None = None

    @property
    def separation_us(self) -> int:
        """The least time between frames; a reserved value means 127 ms."""
        if self.separation <= 0x7F:
            return self.separation * 1000
        if 0xF1 <= self.separation <= 0xF9:
            return (self.separation - 0xF0) * 100
        return 127_000


IsoTpFrame = SingleFrame | FirstFrame | ConsecutiveFrame | FlowControl


def decode_frame(field: bytes, *, is_extended: bool = False, is_fd: bool = False) -> IsoTpFrame:
    """Read one data field. Raises `FieldError`, and `UnsupportedError` for a type from 4 on."""
    most = FD_BYTES if is_fd else CLASSIC_BYTES
    at = 1 if is_extended else 0
    if not at < len(field) <= most:
        raise FieldError(f"{len(field)} bytes are not {at + 1} to {most}", offset=len(field), field="data")
    address = field[0] if is_extended else None
    match field[at] >> 4:
        case 0:
            return _decode_single(field, at, address, is_fd=is_fd)
        case 1:
            return _decode_first(field, at, address)
        case 2:
            data = bytes(field[at + 1 :])
            if not data:
                raise FieldError("no data", offset=at + 1, field="data", raw=field)
            return ConsecutiveFrame(field[at] & 0x0F, data, address)
        case 3:
            status = field[at] & 0x0F
            if len(field) < at + 3:
                raise FieldError("flow control has 3 bytes", offset=len(field), field="data", raw=field)
            if status > OVERFLOW:
                raise FieldError(f"0 to 2, not {status}", offset=at, field="status", raw=field)
            return FlowControl(status, field[at + 1], field[at + 2], bytes(field[at + 3 :]), address)
        case other:
            raise UnsupportedError(f"no frame of type {other}", offset=at, field="type", raw=field)


def _decode_single(field: bytes, at: int, address: int | None, *, is_fd: bool) -> SingleFrame:
    length = field[at] & 0x0F
    is_long = is_fd and length == 0
    if is_long:
        at += 1
        length = field[at] if at < len(field) else 0
    begin = at + 1
    if not 0 < length <= len(field) - begin or (not is_long and begin + length > CLASSIC_BYTES):
        raise FieldError(f"a length of {length}", offset=at, field="length", raw=field)
    return SingleFrame(bytes(field[begin : begin + length]), bytes(field[begin + length :]), is_long, address)


def _decode_first(field: bytes, at: int, address: int | None) -> FirstFrame:
    begin = at + 2
    if len(field) < CLASSIC_BYTES:
        raise FieldError("a first frame is full", offset=len(field), field="data", raw=field)
    length = (field[at] & 0x0F) << 8 | field[at + 1]
    is_long = length == 0
    if is_long:
        length = int.from_bytes(field[begin : begin + 4], "big")
        begin += 4
    fits_single = length <= max(CLASSIC_BYTES - 1 - at, len(field) - begin)
    if fits_single or (is_long and length <= MAX_SHORT_LENGTH):
        raise FieldError(f"a length of {length}", offset=at, field="length", raw=field)
    return FirstFrame(length, bytes(field[begin:]), is_long, address)


def encode_frame(frame: IsoTpFrame) -> bytes:
    """Write one data field. Raises `LocalProtocolError` for numbers that do not fit."""
    try:
        head = b"" if frame.address is None else bytes((frame.address,))
        return head + _body(frame)
    except (ValueError, OverflowError):
        raise LocalProtocolError("a number does not fit its bytes", field="data") from None


def _body(frame: IsoTpFrame) -> bytes:
    match frame:
        case SingleFrame(data=data):
            if not frame.is_long and not 1 <= len(data) <= CLASSIC_BYTES - 1:
                raise LocalProtocolError(f"{len(data)} bytes do not fit a single frame", field="data")
            return bytes((0, len(data)) if frame.is_long else (len(data),)) + data + frame.padding
        case FirstFrame(length=length):
            if frame.is_long:
                return b"\x10\x00" + length.to_bytes(4, "big") + frame.data
            if not 1 <= length <= MAX_SHORT_LENGTH:
                raise LocalProtocolError(f"{length} is not 1 to {MAX_SHORT_LENGTH}", field="length")
            return (FIRST << 12 | length).to_bytes(2, "big") + frame.data
        case ConsecutiveFrame():
            if not 0 <= frame.sequence <= 0x0F:
                raise LocalProtocolError("0 to 15", field="sequence")
            return bytes((CONSECUTIVE << 4 | frame.sequence,)) + frame.data
        case FlowControl():
            if not 0 <= frame.status <= 0x0F:
                raise LocalProtocolError("0 to 15", field="status")
            return bytes((FLOW_CONTROL << 4 | frame.status, frame.block_size, frame.separation)) + frame.padding


def segment(message: bytes, *, address: int | None = None, fd_bytes: int = CLASSIC_BYTES) -> list[IsoTpFrame]:
    """The frames of a message, `fd_bytes` (8 to 64) each at most; not padded. Raises `LocalProtocolError`."""
    room = fd_bytes - (address is not None)
    if not 1 <= len(message) <= MAX_LENGTH:
        raise LocalProtocolError(f"a message of {len(message)} bytes", field="data")
    if len(message) <= CLASSIC_BYTES - 1 - (address is not None):
        return [SingleFrame(message, address=address)]
    if fd_bytes > CLASSIC_BYTES and len(message) <= room - 2:
        return [SingleFrame(message, is_long=True, address=address)]
    is_long = len(message) > MAX_SHORT_LENGTH
    at = room - (6 if is_long else 2)
    frames: list[IsoTpFrame] = [FirstFrame(len(message), message[:at], is_long, address)]
    while at < len(message):
        frames.append(ConsecutiveFrame(len(frames) % 16, message[at : at + room - 1], address))
        at += room - 1
    return frames
