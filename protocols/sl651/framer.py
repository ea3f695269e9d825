"""Frames of both codings out of a byte stream: bounded, and back in step from the very next byte.

SL 651-2014, clause 6.2. MicroPython-clean. Nothing is stuffed, so `7E7E` may stand in data: the length goes before the
start characters. A head that cannot be, a bad end or CRC costs one byte, and the search goes on behind it. A frame that
is cut short looks like one that is still on its way: `silence()` tells that nothing more will come.

>>> framer = Framer()
>>> framer.feed(bytes.fromhex("7E007E" "7E7E1234567891001234458008020000210408102055052B73" "7E"))
>>> framer.next_frame().function_code == 0x45, framer.next_frame(), framer.discarded_bytes
(True, NEED_DATA, 3)
"""

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import FrameError, NeedData
from protocols.core.frame_search import FrameSearch
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


class Framer(FrameSearch):
    """Finds frames in a stream; what never became one is counted, not raised.

    At most `max_bytes` are kept, and a frame that claims to be longer is noise: a station that hears nothing but
    confirms and queries can do with few.
    """

    __slots__ = ("_crc16",)

    def __init__(self, crc16: "Callable[[bytes], int]" = crc16_modbus, max_bytes: int = 2 * MAX_FRAME_BYTES) -> None:
        super().__init__((HEX_START, ASCII_START), max(max_bytes, ASCII_HEAD_BYTES))
        self._crc16 = crc16

    def next_frame(self) -> Frame | NeedData:
        """The next frame, or `NEED_DATA`. Never raises."""
        return self._search(self._size, self._decode)

    def _decode(self, wire: bytes) -> Frame:
        return decode_frame(wire, self._crc16)

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
