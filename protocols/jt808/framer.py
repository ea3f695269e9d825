"""Frames out of a byte stream: bounded, and back in step at the next flag whatever came before.

JT/T 808, 4.4. Two frames may share the flag between them, and any number of flags may stand between two frames. A
flag never stands inside a frame, so whatever lies between two flags and is no frame is thrown away up to the second
flag, which may open the next one.

>>> framer = Framer()
>>> framer.feed(bytes.fromhex("ff7e00020000013912345678000133" "7e00020000013912345678000230" "7e"))
>>> [framer.next_frame().serial for _ in range(2)], framer.next_frame(), framer.discarded_bytes
([1, 2], NEED_DATA, 1)
"""

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, NeedData, RemoteProtocolError
from protocols.jt808.frame import MAX_FRAME_BYTES, Frame, decode_content

MAX_PIECE = 4096
"""Whoever asks for all frames after each piece of at most this size loses nothing."""
_FLAG = b"\x7e"


class Framer:
    """Finds frames in a stream; what never became one is counted, not raised."""

    def __init__(self) -> None:
        self._buffer = ByteBuffer(MAX_FRAME_BYTES + MAX_PIECE)
        self.discarded_bytes = 0
        """Bytes that belonged to no frame."""
        self.bad_frames = 0
        """Pieces between two flags that were no frame."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self.discarded_bytes += self._buffer.append(data)

    def reset(self) -> None:
        """Forget what came so far: the link was closed, the rest will not come."""
        self.discarded_bytes += len(self._buffer)
        self._buffer.clear()

    def next_frame(self) -> Frame | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""
        buffer = self._buffer
        while True:
            start = buffer.find(_FLAG)
            if start is None:
                self.discarded_bytes += buffer.clear()
                return NEED_DATA
            end = buffer.find(_FLAG, start + 1)
            if end is None:
                self._throw_away(start if len(buffer) - start < MAX_FRAME_BYTES else len(buffer))
                return NEED_DATA
            self._throw_away(start)
            size = end - start
            if size == 1:
                buffer.drop(1)  # the closing flag of the frame before
                continue
            piece = buffer.peek(1, size)
            buffer.drop(size)  # the second flag may open the next frame
            try:
                return decode_content(piece)
            except RemoteProtocolError:
                self.bad_frames += 1
                self.discarded_bytes += size

    def _throw_away(self, count: int) -> None:
        if count:
            self.discarded_bytes += count
            self._buffer.drop(count)
