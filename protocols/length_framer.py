"""A framer of formats whose frames say how long they are. A format is told by a `FrameForm`.

How it searches stands in `protocols/core/frame_search.py`; `protocols/listener.py` tells it in time that a line is
silent.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from protocols.core.errors import NeedData
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
