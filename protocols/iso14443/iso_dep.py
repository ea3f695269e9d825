"""What both ends of ISO-DEP share: the queue of events, the frame that is due, the deadline."""

from collections import deque
from typing import Generic, TypeVar

from protocols.core.errors import NEED_DATA, NeedData

EventT = TypeVar("EventT")


class IsoDepEnd(Generic[EventT]):
    """A reader's or a card's end: `pcd.py` and `picc.py`. One frame at most is due."""

    def __init__(self) -> None:
        self._events: deque[EventT] = deque()
        self._outgoing = b""
        self._deadline: float | None = None

    def next_event(self) -> EventT | NeedData:
        """The next thing that happened, or `NEED_DATA`."""
        return self._events.popleft() if self._events else NEED_DATA

    def bytes_to_send(self) -> bytes:
        """The frame that is due on the air now; empty when none is."""
        frame, self._outgoing = self._outgoing, b""
        return frame

    def next_deadline(self) -> float | None:
        """When `tick()` is due."""
        return self._deadline
