"""Locations that could not be sent when they were taken (JT/T 808-2013 and 2019, 0x0704).

They are kept in the order in which they were reported, up to a limit at which the oldest give way, and are replayed in
batches of one frame, or one by one where the dialect or the platform has no batches. One replay is on its way at a
time, and an entry is forgotten only when it was answered.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterable
from itertools import islice

import msgspec

from protocols.jt808.dialect import Dialect
from protocols.jt808.frame import MAX_BODY_BYTES
from protocols.jt808.general import SUCCESS
from protocols.jt808.location import Location, LocationBatch, batch_of

_MOST_IN_A_BATCH = 34
"""Locations without extras that fit one frame."""


class Kept(msgspec.Struct, frozen=True):
    """A location that was reported. order: where it stands among the others."""

    location: Location
    token: object
    order: int


class BlindArea:
    """The store of one terminal."""

    def __init__(self, dialect: Dialect, max_stored: int) -> None:
        self._dialect = dialect
        self._max_stored = max_stored
        self._waiting: deque[Kept] = deque()
        self._on_their_way: list[Kept] = []
        self._has_batches = dialect.has_bulk_upload

    def __len__(self) -> int:
        return len(self._waiting) + len(self._on_their_way)

    def add(self, report: Kept) -> list[Kept]:
        """Keep a location; the ones that gave way to it."""
        if self._waiting and report.order < self._waiting[-1].order:
            insort(self._waiting, report, key=lambda kept: kept.order)
        else:
            self._waiting.append(report)
        lost = []
        while self._waiting and len(self) > self._max_stored:
            lost.append(self._waiting.popleft())
        return lost

    def next_batch(self) -> LocationBatch | Location | None:
        """What to replay now, or None while a replay is on its way or nothing waits."""
        if self._on_their_way or not self._waiting:
            return None
        if self._has_batches:
            first = [report.location for report in islice(self._waiting, _MOST_IN_A_BATCH)]
            count, batch = batch_of(first, self._dialect, MAX_BODY_BYTES)
            if count:
                self._on_their_way = [self._waiting.popleft() for _ in range(count)]
                return batch
        self._on_their_way = [self._waiting.popleft()]
        return self._on_their_way[0].location

    def settled(self, result: int) -> tuple[Iterable[Kept], Iterable[Kept]]:
        """The replay was answered: what is delivered, and what was refused.

        A batch that is refused is tried one by one from now on: who is to blame is not known otherwise.
        """
        settled, self._on_their_way = self._on_their_way, []
        if result == SUCCESS:
            return settled, ()
        if self._has_batches and len(settled) > 1:
            self._has_batches = False
            self._waiting.extendleft(reversed(settled))
            return (), ()
        return (), settled

    def give_back(self) -> None:
        """The replay was not answered: it will be done again."""
        self._waiting.extendleft(reversed(self._on_their_way))
        self._on_their_way = []
