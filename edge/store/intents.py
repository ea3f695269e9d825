"""Intents: written before a step that moves money or opens a gate, ended when its result is durable. Never published.

An intent that the store finds without its end when it opens was cut short: nobody knows whether the step was taken. Its
role makes an `uncertain` record of it before the first customer. Small: a journal of its own whose segments go as soon
as every intent in them has ended.
"""

import struct
from collections.abc import Callable

import msgspec

from edge.store.errors import StoreError
from edge.store.journal import Journal
from edge.store.medium import Medium
from edge.store.segment import Segment

SEGMENT_BYTES = 64 << 10
MAX_INTENT_BYTES = 4096
MAX_OPEN = 1000
_BEGIN, _END = b"\x01", b"\x00"


class Intent(msgspec.Struct, frozen=True):
    """A step that may have been taken. `data` is None where the disk was damaged: what it was is not known."""

    seq: int
    data: bytes | None


class Intents:
    """See the module's docstring. The store commits the journal, always after the lanes."""

    def __init__(
        self,
        medium: Medium,
        *,
        checksum: Callable[[bytes], int],
        new_epoch: Callable[[], str],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.medium = medium
        self.journal = Journal(medium, checksum, new_epoch, segment_bytes)
        self._open: dict[int, int] = {}
        """Intents by number, rising, and the number of their end; 0: not ended."""
        self.unfinished: list[Intent] = []
        """What was found without an end at `open`. Each stays until `end` is called for it."""

    def open(self) -> None:
        """Find what is there. Raises `StorageError`."""
        self.journal.open()
        found: dict[int, bytes | None] = {}
        ended = set()
        segments = self.journal.segments
        seq = segments[0].first if segments else 1
        while records := self.journal.read(seq):
            for number, body in records:
                if body[:1] == _BEGIN:
                    found[number] = body[1:]
                elif len(body) == 9:
                    ended.add(struct.unpack_from("<Q", body, 1)[0])
            seq = records[-1][0] + 1
        for first, last in self.journal.take_lost():
            found.update(dict.fromkeys(range(first, min(last, first + MAX_OPEN) + 1)))
        self.unfinished = [Intent(number, found[number]) for number in sorted(found) if number not in ended]
        self._open = {intent.seq: 0 for intent in self.unfinished}

    def begin(self, data: bytes) -> int:
        """Queue an intent for the next commit and return its number. Raises `StoreError`."""
        if len(data) > MAX_INTENT_BYTES:
            raise StoreError(f"an intent of {len(data)} bytes is above the ceiling of {MAX_INTENT_BYTES}")
        if len(self._open) >= MAX_OPEN:
            raise StoreError(f"{MAX_OPEN} intents have no result yet")
        seq = self.journal.append(_BEGIN + data)
        self._open[seq] = 0
        return seq

    def end(self, seq: int) -> None:
        """Queue the end of an intent: its result is in a lane. Raises `StoreError` where there is no such intent."""
        if self._open.get(seq) != 0:
            raise StoreError(f"there is no open intent {seq}")
        self._open[seq] = self.journal.append(_END + struct.pack("<Q", seq))

    def settle(self) -> None:
        """Forget those whose end the disk has."""
        made = self.journal.committed_seq
        for seq in [seq for seq, end in self._open.items() if 0 < end <= made]:
            del self._open[seq]

    def take_settled_segments(self) -> list[Segment]:
        """Segments whose intents have all ended."""
        oldest = next(iter(self._open), self.journal.committed_seq + 1)
        taken = []
        while len(self.journal.segments) > 1 and self.journal.segments[0].last < oldest:
            taken.append(self.journal.pop_first())
        return taken

    def discard(self, segment: Segment) -> None:
        """Remove a segment, durably: its intents must not come back without their ends, which lie in later ones."""
        self.journal.discard(segment)
        self.medium.sync_dir()
