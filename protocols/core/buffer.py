"""The bounded byte buffer that framers read from.

MicroPython-clean. One block of memory, allocated once at twice the ceiling: bytes are written behind one another, and
what is left moves to the front only when the end of the block is reached. So each byte is moved once at most on the
average, however small the pieces are in which it comes and goes.

>>> buffer = ByteBuffer(4)
>>> buffer.append(b"abc")
0
>>> buffer.append(b"de")  # the oldest byte gives way
1
>>> buffer.peek(0, 4), len(buffer), buffer[1] == ord("c")
(b'bcde', 4, True)
"""


class ByteBuffer:
    """The newest bytes of a stream, at most `max_bytes` of them. Positions count from the oldest byte kept."""

    __slots__ = ("_block", "_end", "_start", "_view", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._block = bytearray(2 * max_bytes)
        self._view = memoryview(self._block)
        self._start = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, position: int) -> int:
        """One byte. `position` lies within the buffer: it is the caller's own invariant, never input."""
        return self._block[self._start + position]

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes; answer how many of the oldest had to give way to the ceiling."""
        size = len(data)
        kept = self._end - self._start
        lost = kept + size - self.max_bytes
        if lost <= 0:
            lost = 0
        elif lost >= kept:
            data = memoryview(data)[lost - kept :]
            size = len(data)
            self._start = self._end = 0
        else:
            self._start += lost
        if self._end + size > 2 * self.max_bytes:
            kept = self._end - self._start
            self._view[:kept] = self._view[self._start : self._end]
            self._start = 0
            self._end = kept
        self._view[self._end : self._end + size] = data
        self._end += size
        return lost

    def drop(self, count: int) -> None:
        """Forget the oldest `count` bytes, or all when there are fewer."""
        if count >= self._end - self._start:
            self._start = self._end = 0
        else:
            self._start += count

    def peek(self, start: int, stop: int) -> bytes:
        """A copy of the bytes from `start` up to `stop`, shorter where the buffer ends sooner."""
        first = self._start + start
        return bytes(self._view[first : min(self._start + stop, self._end)])

    def find(self, wanted: bytes, start: int = 0) -> int | None:
        """The position of the first `wanted` at or after `start`, or None."""
        at = self._block.find(wanted, self._start + start, self._end)
        return None if at < 0 else at - self._start

    def clear(self) -> int:
        """Forget everything; answer how many bytes that were."""
        count = self._end - self._start
        self._start = self._end = 0
        return count
