"""What both ends of ISO-DEP share: the frame that is due, the deadline."""

from protocols.dialogue import EventQueue, EventT


class IsoDepEnd(EventQueue[EventT]):
    """A reader's or a card's end: `pcd.py` and `picc.py`. One frame at most is due."""

    def __init__(self) -> None:
        super().__init__()
        self._outgoing = b""
        self._deadline: float | None = None

    def bytes_to_send(self) -> bytes:
        """The frame that is due on the air now; empty when none is."""
        frame, self._outgoing = self._outgoing, b""
        return frame

    def next_deadline(self) -> float | None:
        """When `tick()` is due."""
        return self._deadline
