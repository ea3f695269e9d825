"""Frames of both codings out of a byte stream: bounded, and back in step from the very next byte.

SL 651-2014, clause 6.2. MicroPython-clean. Nothing is stuffed, so `7E7E` may stand in data: the length goes before the
start characters. A head that cannot be, a bad end or CRC costs one byte, and the search goes on behind it. A frame that
is cut short looks like one that is still on its way: `silence()` tells that nothing more will come.

>>> framer = Framer()
>>> framer.feed(bytes.fromhex("7E007E" "7E7E1234567891001234458008020000210408102055052B73" "7E"))
>>> framer.next_frame().function_code == 0x45, framer.next_frame(), framer.discarded
(True, NEED_DATA, 3)
"""

from protocols.core.buffer import ByteBuffer
from protocols.core.checksum import crc16_modbus
from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, NeedData, RemoteProtocolError
from protocols.sl651.frame import (
    ASCII_HEAD_BYTES,
    ASCII_START,
    HEX_HEAD_BYTES,
    HEX_START,
    MAX_FRAME_BYTES,
    Frame,
    decode_frame,
    frame_bytes,
    is_hex,
)

TYPE_CHECKING = False  # what typing would say; MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

_HEX_BYTE = 0x7E
_ASCII_BYTE = 0x01


class Framer:
    """Finds frames in a stream; what never became one is counted, not raised.

    At most `max_bytes` are kept, and a frame that claims to be longer is noise: a station that hears nothing but
    confirms and queries can do with few.
    """

    __slots__ = ("_buffer", "_crc16", "_is_silent", "bad_checks", "discarded")

    def __init__(self, crc16: "Callable[[bytes], int]" = crc16_modbus, max_bytes: int = 2 * MAX_FRAME_BYTES) -> None:
        self._buffer = ByteBuffer(max(max_bytes, ASCII_HEAD_BYTES))
        self._crc16 = crc16
        self._is_silent = False
        self.bad_checks = 0
        """Whole frames whose CRC did not hold."""
        self.discarded = 0
        """Bytes that belonged to no frame."""

    @property
    def waiting(self) -> int:
        """Bytes that may become a frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. More than fit push out the oldest."""
        self._is_silent = False
        self.discarded += self._buffer.append(data)

    def silence(self) -> None:
        """Nothing more will come for now. Ask for frames once more afterwards."""
        self._is_silent = True

    def next_frame(self) -> Frame | NeedData:
        """The next frame, or `NEED_DATA`. Never raises."""
        while self._find_start():
            try:
                size = self._size()
                if size <= len(self._buffer):
                    frame = decode_frame(self._buffer.peek(0, size), self._crc16)
                    self._buffer.drop(size)
                    return frame
                if size <= self._buffer.max_bytes and not self._is_silent:
                    return NEED_DATA
            except ChecksumError:
                self.bad_checks += 1
            except RemoteProtocolError:
                pass  # no frame begins here; the byte is counted below
            self._throw_away(1)
        return NEED_DATA

    def _size(self) -> int:
        """How long the frame at the start is, or more than there is while its head is not whole."""
        have = len(self._buffer)
        if self._buffer[0] == _HEX_BYTE:
            head = self._buffer.peek(0, HEX_HEAD_BYTES)
            return frame_bytes(head) if have >= HEX_HEAD_BYTES else have + 1
        head = self._buffer.peek(0, ASCII_HEAD_BYTES)
        if have < ASCII_HEAD_BYTES:
            if not is_hex(head[1:]):
                raise FrameError("numbers are hex characters")
            return have + 1
        return frame_bytes(head)

    def _find_start(self) -> bool:
        """Throw away what cannot begin a frame; False when nothing is left."""
        buffer = self._buffer
        while len(buffer):
            first = buffer[0]
            if first == _ASCII_BYTE or (first == _HEX_BYTE and (len(buffer) == 1 or buffer[1] == _HEX_BYTE)):
                return True
            hex_at = buffer.find(HEX_START, 1)
            ascii_at = buffer.find(ASCII_START, 1)
            if hex_at is None:  # the last byte may be half a start
                hex_at = len(buffer) - (1 if buffer[len(buffer) - 1] == _HEX_BYTE else 0)
            self._throw_away(hex_at if ascii_at is None else min(hex_at, ascii_at))
        return False

    def _throw_away(self, count: int) -> None:
        self._buffer.drop(count)
        self.discarded += count
