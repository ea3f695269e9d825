"""A framer of formats whose frames say how long they are. A format is told by a `FrameForm`.

How it searches stands in `protocols/core/frame_search.py`; `protocols/listener.py` tells it in time that a line is
silent.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from protocols.core.errors import FrameError, NeedData
from protocols.core.frame_search import FrameSearch

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


def check_whole(wire: bytes, form: FrameForm[FrameT], lengths: str, at: int, field: str = "length") -> None:
    """Raise `FrameError` for what is not one whole frame by its start and its length.

    lengths: which ones there are, for whoever reads the error. at, field: where the length stands, and its name.
    """
    if not wire.startswith(form.start):
        raise FrameError(f"a frame begins with {form.start.hex(' ')}", 0, "start")
    if len(wire) < form.head_bytes:
        raise FrameError("the frame is cut short", len(wire), field)
    size = form.size_of(wire[: form.head_bytes])
    if not size:
        raise FrameError(lengths, at, field)
    if len(wire) != size:
        raise FrameError(f"{size} bytes are due, not {len(wire)}", min(size, len(wire)), field)


class LengthFramer(FrameSearch, Generic[FrameT]):
    """Finds frames of one form; what never became one is counted, not raised."""

    def __init__(self, form: FrameForm[FrameT]) -> None:
        super().__init__((form.start,), form.max_frame_bytes, MAX_PIECE)
        self._form = form

    def next_frame(self) -> FrameT | NeedData:
        """The next whole frame, or `NEED_DATA`. Raises nothing."""
        return self._search(self._size, self._form.decode)

    def _size(self) -> int:
        head_bytes = self._form.head_bytes
        if len(self._buffer) < head_bytes:
            return head_bytes
        size = self._form.size_of(self._buffer.peek(0, head_bytes))
        return size if size >= head_bytes else 0
