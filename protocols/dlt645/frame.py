r"""Frames between a station and electricity meters (DL/T 645-2007 and 1997, clause 5).

    FE .. | 68 | address 6 | 68 | control | length | data, each byte + 33H | checksum | 16

    address   12 digits, lowest pair first; AA stands for any pair, 99..99 is broadcast
    control   bit 7 from the meter | bit 6 error | bit 5 more data follow | bits 4..0 function
    checksum  sum of all bytes from the first 68 on, modulo 256

Any number of wake-up bytes FE may come first; a station sends four. The standard allows 200 bytes of data to be read
and 50 to be written; all that a length byte can say is read.

>>> frame = decode_frame(bytes.fromhex("fefefefe68129078563412681104333334336816"))
>>> frame
Frame(address='123456789012', control=17, data=b'\x00\x00\x01\x00', preamble_count=4)
"""

import msgspec

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, LocalProtocolError, NeedData
from protocols.dlt645.bcd import bytes_of, digits_of

WAKE_UP = 0xFE
PREAMBLE_COUNT = 4
"""Wake-up bytes ahead of a request."""
MAX_READ_BYTES = 200
MAX_WRITE_BYTES = 50
MAX_DATA_BYTES = 255
MAX_PREAMBLE_COUNT = 255
"""What is written at most; a reader counts on."""

GAP_S = 0.5
"""Bytes of one frame follow each other so soon."""

ANY_ADDRESS = "aaaaaaaaaaaa"
BROADCAST = "999999999999"

RESPONSE = 0x80
ERROR = 0x40
MORE = 0x20
FUNCTION = 0x1F

_START = 0x68
_END = 0x16
_OVERHEAD_BYTES = 12
_HEAD_BYTES = 10
MAX_FRAME_BYTES = MAX_DATA_BYTES + _OVERHEAD_BYTES
_OFFSET = 0x33
_TO_WIRE = bytes((value + _OFFSET) & 0xFF for value in range(256))
_FROM_WIRE = bytes((value - _OFFSET) & 0xFF for value in range(256))


class Frame(msgspec.Struct, frozen=True):
    """A frame. address: 12 hex digits, highest first. data: without the offset of 33H."""

    address: str
    control: int
    data: bytes = b""
    preamble_count: int = 0

    @property
    def is_response(self) -> bool:
        """From the meter."""
        return bool(self.control & RESPONSE)

    @property
    def is_error(self) -> bool:
        """The meter refuses."""
        return bool(self.control & ERROR)

    @property
    def data_offset(self) -> int:
        """Where the data stand, counted from the first wake-up byte."""
        return self.preamble_count + _HEAD_BYTES

    @property
    def has_more(self) -> bool:
        """More data can be asked for."""
        return bool(self.control & MORE)

    @property
    def function(self) -> int:
        """What is to be done, or was."""
        return self.control & FUNCTION


def is_address(text: str) -> bool:
    """Whether a text is 12 hex digits in lower case."""
    return len(text) == 12 and all(character in "0123456789abcdef" for character in text)


def fits_address(wanted: str, address: str) -> bool:
    """Whether a meter of that address is meant; a pair AA stands for any."""
    return all(wanted[at : at + 2] in ("aa", address[at : at + 2]) for at in range(0, 12, 2))


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if not is_address(frame.address):
        raise LocalProtocolError("an address is 12 hex digits in lower case", field="address")
    if not 0 <= frame.control <= 0xFF:
        raise LocalProtocolError("is one byte", field="control")
    if len(frame.data) > MAX_DATA_BYTES:
        raise LocalProtocolError(f"{len(frame.data)} bytes are too many", field="data")
    if not 0 <= frame.preamble_count <= MAX_PREAMBLE_COUNT:
        raise LocalProtocolError(f"0 to {MAX_PREAMBLE_COUNT} wake-up bytes", field="preamble_count")
    address = bytes_of(frame.address)
    body = b"\x68%b\x68%c%c%b" % (address, frame.control, len(frame.data), frame.data.translate(_TO_WIRE))
    return b"\xfe" * frame.preamble_count + body + bytes((sum(body) & 0xFF, _END))


def decode_frame(wire: bytes) -> Frame:
    """Read one frame and its wake-up bytes. Raises `FrameError` or `ChecksumError`."""
    at = len(wire) - len(wire.lstrip(b"\xfe"))
    size = len(wire) - at
    if size < 1 or wire[at] != _START:
        raise FrameError("a frame starts with 68", at, "start")
    if size < _OVERHEAD_BYTES:
        raise FrameError("the frame is cut short", len(wire))
    if wire[at + 7] != _START:
        raise FrameError("68 stands on both sides of the address", at + 7, "start")
    if wire[at + 9] != size - _OVERHEAD_BYTES:
        reason = f"{wire[at + 9]} bytes of data are announced, {size - _OVERHEAD_BYTES} there"
        raise FrameError(reason, at + 9, "length")
    if wire[-1] != _END:
        raise FrameError("a frame ends with 16", len(wire) - 1, "end")
    due = sum(wire[at:-2]) & 0xFF
    if due != wire[-2]:
        raise ChecksumError(f"the sum is {wire[-2]:02X} where {due:02X} is due", len(wire) - 2, "checksum")
    return _frame_of(wire[at:], at)


def _frame_of(wire: bytes, preamble_count: int) -> Frame:
    return Frame(digits_of(wire[1:7]), wire[8], wire[_HEAD_BYTES:-2].translate(_FROM_WIRE), preamble_count)


class Framer:
    """Finds frames in a stream; what never became one is counted, not raised.

    At most `max_bytes` are kept: of more than that in one piece the oldest are lost.
    """

    def __init__(self, max_bytes: int = 1024) -> None:
        self._buffer = ByteBuffer(max(max_bytes, MAX_FRAME_BYTES))
        self._preamble_count = 0
        self.discarded_bytes = 0
        """Bytes that belonged to no frame; wake-up bytes are not counted."""
        self.bad_checks = 0
        """Frames that were whole but for their sum."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        lost = self._buffer.append(data)
        if lost:
            self.discarded_bytes += lost
            self._preamble_count = 0

    def reset(self) -> None:
        """Forget what came so far: nothing more will come of it."""
        self._throw_away(len(self._buffer))
        self._preamble_count = 0

    def next_frame(self) -> Frame | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""
        buffer = self._buffer
        while (at := buffer.find(b"\x68")) is not None:
            if at:
                self._throw_away(at)
            size = len(buffer)
            if size < 8:
                return NEED_DATA
            if buffer[7] != _START:
                self._throw_away(1)
                continue
            if size < _HEAD_BYTES or size < buffer[9] + _OVERHEAD_BYTES:
                return NEED_DATA
            wire = buffer.peek(0, buffer[9] + _OVERHEAD_BYTES)
            if wire[-1] != _END or sum(wire[:-2]) & 0xFF != wire[-2]:
                self.bad_checks += wire[-1] == _END
                self._throw_away(1)  # the very next byte may start a true frame
                continue
            buffer.drop(len(wire))
            count, self._preamble_count = self._preamble_count, 0
            return _frame_of(wire, count)
        self._throw_away(len(buffer))
        return NEED_DATA

    def _throw_away(self, count: int) -> None:
        """Drop bytes and count the wake-up bytes at their end."""
        dropped = self._buffer.peek(0, count)
        tail = count - len(dropped.rstrip(b"\xfe"))
        self._preamble_count = self._preamble_count + count if tail == count else tail
        self.discarded_bytes += count - dropped.count(WAKE_UP)
        self._buffer.drop(count)
