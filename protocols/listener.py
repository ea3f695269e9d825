"""A framer that forgets half a frame at its deadline, for dialogues of formats that go by a length.

What is cut short on the line looks like a frame that is still on its way, and would hold up what follows: after a gap
without a byte it never was one.
"""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from protocols.core.errors import NeedData
from protocols.length_framer import MAX_PIECE

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)


class SilentFramer(Protocol[FrameT_co]):
    """A framer that can be told that nothing more will come."""

    @property
    def waiting(self) -> int:
        """Bytes that may become a frame."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""

    def silence(self) -> None:
        """Nothing more will come for now."""

    def next_frame(self) -> FrameT_co | NeedData:
        """The next frame, or `NEED_DATA`."""


class Listener(Generic[FrameT]):
    """Frames out of bytes, and a deadline while half a frame waits."""

    def __init__(self, framer: SilentFramer[FrameT], gap_s: float) -> None:
        self.framer = framer
        self.deadline: float | None = None
        self._gap_s = gap_s

    def frames(self, data: bytes, now: float) -> Iterator[FrameT]:
        """Take bytes, however many; the frames that are whole now."""
        for at in range(0, len(data), MAX_PIECE):
            self.framer.feed(data[at : at + MAX_PIECE])
            yield from self._whole()
        if data:
            self.deadline = now + self._gap_s if self.framer.waiting else None

    def tick(self, now: float) -> Iterator[FrameT]:
        """Time has passed: what stood behind half a frame, once that is given up."""
        if self.deadline is None or now < self.deadline:
            return
        self.deadline = None
        self.framer.silence()
        yield from self._whole()

    def _whole(self) -> Iterator[FrameT]:
        while not isinstance(frame := self.framer.next_frame(), NeedData):
            yield frame


def earliest(*moments: float | None) -> float | None:
    """The first of some deadlines."""
    return min((moment for moment in moments if moment is not None), default=None)
