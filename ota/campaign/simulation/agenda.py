"""What is to happen in virtual time: in the order of time, and within a second in the order that it was put.

Cheaper than one heap of all events: a heap of the seconds, and a list for each.
"""

from collections.abc import Iterator
from heapq import heappop, heappush

Event = tuple[int, int, int, int]
"""(kind, device, plan, outcome)"""


class Agenda:
    """Events by second."""

    def __init__(self) -> None:
        self._seconds: list[int] = []
        self._events: dict[int, list[Event]] = {}

    def put(self, at: int, kind: int, device: int, plan: int = 0, outcome: int = 0) -> None:
        """Let it happen at this time."""
        events = self._events.get(at)
        if events is None:
            self._events[at] = events = []
            heappush(self._seconds, at)
        events.append((kind, device, plan, outcome))

    def next_at(self) -> int | None:
        """When something happens next; None: nothing does."""
        return self._seconds[0] if self._seconds else None

    def take(self) -> Iterator[Event]:
        """What happens in the next second, with what is put into the same second meanwhile."""
        at = self._seconds[0]
        yield from self._events[at]
        heappop(self._seconds)
        del self._events[at]
