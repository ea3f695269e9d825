"""What goes up beside the records: state, results, reported, health, requests. Bounded, ahead of records, not durable.

A retained message is a statement of how things are, so a newer one takes the place of an older one that has not yet
gone; a request is asked once, too, however many connections it waits for. A message with a life is dropped when it is
over. What the queue cannot hold is refused and counted.
"""

from collections import OrderedDict
from itertools import count
from typing import NamedTuple

MAX_MESSAGES = 256
MAX_BYTES = 1_000_000


class Note(NamedTuple):
    """One message that is not a record."""

    route: str
    """The tail of its topic below `wayside/1/up/{node}/`."""
    payload: bytes
    qos: int
    retain: bool
    dies_at: float | None
    """Monotonic moment after which nobody wants it."""


class SideQueue:
    """First in, first out; what came back unacknowledged goes first again."""

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._notes: OrderedDict[str | int, Note] = OrderedDict()
        self._numbers = count()
        self._bytes = 0
        self.dropped = 0
        """Messages that found no room or outlived their life here."""

    def __len__(self) -> int:
        return len(self._notes)

    def put(self, note: Note) -> bool:
        """Take a message; False when there is no room for it."""
        key = self._key_of(note)
        previous = self._notes.get(key)
        grown_bytes = len(note.payload) - (len(previous.payload) if previous else 0)
        if self._bytes + grown_bytes > self._max_bytes or (previous is None and len(self._notes) >= self._max_messages):
            self.dropped += 1
            return False
        self._notes[key] = note
        self._bytes += grown_bytes
        return True

    def put_back(self, note: Note) -> None:
        """A message that was sent but not acknowledged is next again, unless a newer statement waits already."""
        key = self._key_of(note)
        if key not in self._notes:
            self._notes[key] = note  # no ceiling: what comes back was let in once, and is at most a window
            self._notes.move_to_end(key, last=False)
            self._bytes += len(note.payload)

    def _key_of(self, note: Note) -> str | int:
        return note.route if note.retain or note.route.startswith("request/") else next(self._numbers)

    def first(self, now: float) -> Note | None:
        """The next message, left where it is; None when there is none. Drops those whose life is over."""
        while self._notes:
            note = next(iter(self._notes.values()))
            if note.dies_at is None or now < note.dies_at:
                return note
            self.pop()
            self.dropped += 1
        return None

    def pop(self) -> Note:
        """Take out the next message."""
        _key, note = self._notes.popitem(last=False)
        self._bytes -= len(note.payload)
        return note
