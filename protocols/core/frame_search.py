"""The search for frames that say how long they are, in a stream: bounded, and back in step from the very next byte.

MicroPython-clean. What cannot begin a frame is thrown away and counted. A false start costs one byte. Half a frame
looks like one that is still on its way: `silence()` tells that nothing more will come.

Bytes can be made so that a long frame seems to begin at every few of them and each fails at its very end. What is
looked at in vain is therefore paid for by what leaves the buffer (`VAIN_BYTES_A_BYTE`); a false frame for which there
is no credit left is thrown away whole. Noise never comes to that, nor does any format of at most 256 bytes.
"""

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, ChecksumError, NeedData, RemoteProtocolError

TYPE_CHECKING = False  # what typing would say; MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    FoundT = TypeVar("FoundT")


VAIN_BYTES_A_BYTE = 256
"""So many bytes may be decoded in vain for each byte that leaves the buffer,"""
VAIN_FRAMES = 16
"""and so many of the longest frames at once."""


class FrameSearch:
    """What framers of such formats have in common; each has its own `next_frame()`, which calls `_search()`."""

    __slots__ = ("_buffer", "_credit", "_is_silent", "_longest", "_starts", "bad_checks", "discarded_bytes")

    def __init__(self, starts: tuple[bytes, ...], longest: int, max_piece: int = 0) -> None:
        """starts: how a frame may begin. longest: of a frame in bytes. max_piece: how much is kept besides."""
        self._starts = starts
        self._longest = longest
        self._buffer = ByteBuffer(longest + max_piece)
        self._is_silent = False
        self._credit = VAIN_FRAMES * longest
        self.discarded_bytes = 0
        """Bytes that belonged to no frame."""
        self.bad_checks = 0
        """Whole frames whose check did not hold."""

    @property
    def waiting(self) -> int:
        """Bytes that may become a frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. More than fit push out the oldest."""
        self._is_silent = False
        self.discarded_bytes += self._buffer.append(data)

    def silence(self) -> None:
        """Nothing more will come for now. Ask for frames once more afterwards."""
        self._is_silent = True

    def _search(self, size_of: "Callable[[], int]", decode: "Callable[[bytes], FoundT]") -> "FoundT | NeedData":
        """What `decode` makes of the next frame, or `NEED_DATA`. Raises nothing.

        size_of: how long the frame is whose start is the buffer's first byte; 0 where none begins, more than there is
        while that is not known. Both may raise `RemoteProtocolError`: it is no frame then.
        """
        buffer = self._buffer
        while self._find_start():
            size = 0
            try:
                size = size_of()
                if 0 < size <= self._longest:
                    if size <= len(buffer):
                        frame = decode(buffer.peek(0, size))
                        buffer.drop(size)
                        self._earn(size)
                        return frame
                    if not self._is_silent:
                        return NEED_DATA
                size = 0
            except ChecksumError:
                self.bad_checks += 1
            except RemoteProtocolError:
                pass  # no frame begins here; the byte is counted below
            self._throw_away(self._pay(size))
        return NEED_DATA

    def _find_start(self) -> bool:
        """Throw away what cannot begin a frame; False when nothing is left that may."""
        buffer = self._buffer
        size = len(buffer)
        first = size
        for start in self._starts:
            if buffer.peek(0, len(start)) == start:
                return size > 0
        for start in self._starts:
            at = buffer.find(start)
            if at is None:
                at = size - self._begun_at_end(start)
            first = min(first, at)
        self._throw_away(first)
        return first < size

    def _begun_at_end(self, start: bytes) -> int:
        """How many of the last bytes are the first ones of a start."""
        size = len(self._buffer)
        count = min(len(start) - 1, size)
        while count > 0 and self._buffer.peek(size - count, size) != start[:count]:
            count -= 1
        return count

    def _pay(self, size: int) -> int:
        """Pay for what was decoded in vain; answer how much is to be thrown away."""
        self._credit -= size
        return 1 if self._credit >= 0 else size  # the very next byte may begin a true frame

    def _earn(self, count: int) -> None:
        self._credit = min(self._credit + VAIN_BYTES_A_BYTE * count, VAIN_FRAMES * self._longest)

    def _throw_away(self, count: int) -> None:
        self._buffer.drop(count)
        self._earn(count)
        self.discarded_bytes += count
