"""Frames that say how long they are, out of a byte stream: bounded, and back in step from the very next byte.

A format is told by a `FrameForm`: how its frames begin, how long a head announces them to be, and how one is read. A
false start costs one byte. Half a frame looks like one that is still on its way: `silence()` tells that nothing more
will come, and `protocols/listener.py` tells it in time.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, ChecksumError, NeedData, RemoteProtocolError

FrameT = TypeVar("FrameT")

MAX_PIECE = 4096
"""Whoever asks for all frames after each piece of at most this size loses nothing."""


class FrameForm(msgspec.Struct, Generic[FrameT], frozen=True, kw_only=True):
    """A format whose frames say how long they are.

    start: how a frame begins; may be empty. head_bytes: how many of its bytes tell the length. size_of: the bytes of
    the whole frame by its head, 0 for a head that begins no frame. decode: reads one whole frame.
    """

    start: bytes
    head_bytes: int
    max_frame_bytes: int
    size_of: Callable[[bytes], int]
    decode: Callable[[bytes], FrameT]


class LengthFramer(Generic[FrameT]):
    """Finds frames of one form; what never became one is counted, not raised."""

    def __init__(self, form: FrameForm[FrameT]) -> None:
        self._form = form
        self._buffer = ByteBuffer(form.max_frame_bytes + MAX_PIECE)
        self._is_silent = False
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

    def next_frame(self) -> FrameT | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""
        buffer, form = self._buffer, self._form
        while self._is_at_start():
            if len(buffer) >= form.head_bytes:
                size = form.size_of(buffer.peek(0, form.head_bytes))
                if not form.head_bytes <= size <= form.max_frame_bytes:
                    self._throw_away(1)
                    continue
                if size <= len(buffer):
                    try:
                        frame = form.decode(buffer.peek(0, size))
                    except RemoteProtocolError as error:
                        self.bad_checks += isinstance(error, ChecksumError)
                        self._throw_away(1)  # the very next byte may begin a true frame
                        continue
                    buffer.drop(size)
                    return frame
            if not self._is_silent:
                break
            self._throw_away(1)
        return NEED_DATA

    def _is_at_start(self) -> bool:
        """Go to where a frame may begin; whether there is such a place. The first bytes of a start are kept."""
        buffer, start = self._buffer, self._form.start
        at = buffer.find(start)
        if at is None:
            kept = min(len(buffer), len(start) - 1)
            while kept and buffer.peek(len(buffer) - kept, len(buffer)) != start[:kept]:
                kept -= 1
            self._throw_away(len(buffer) - (0 if self._is_silent else kept))
            return False
        self._throw_away(at)
        return len(buffer) > 0

    def _throw_away(self, count: int) -> None:
        self.discarded_bytes += count
        self._buffer.drop(count)
