"""Intents: written before a step that moves money or opens a gate, ended when its result is durable. Never published.

An intent that the store finds without a result when it opens was cut short: nobody knows whether the step was taken.
Its role makes an `uncertain` record of it before the first customer. Small: a journal of its own whose segments go as
soon as every intent in them has ended.

An end names its result by lane, epoch and number, and is on the disk before that record: so an intent has ended when,
and only when, its result is durable, wherever the power goes between the two. An end whose result is not there when the
store opens is taken back before any other record gets that number.
"""

import struct
from collections.abc import Callable

import msgspec

from edge.store.errors import StoreError
from edge.store.journal import Batch, Journal
from edge.store.medium import Medium
from edge.store.segment import Segment

SEGMENT_BYTES = 64 << 10
MAX_INTENT_BYTES = 4096
MAX_OPEN = 1000
_BEGIN, _END, _REOPEN = b"\x01", b"\x00", b"\x02"
_END_HEAD = struct.Struct("<xQQ8s")
"""The intent, and its result's number and epoch; the lane's name follows."""
_REOPEN_BODY = struct.Struct("<xQ")


class Result(msgspec.Struct, frozen=True):
    """The record that is an intent's result."""

    lane: str
    epoch: str
    seq: int


IsDurable = Callable[[Result], bool]


class Intent(msgspec.Struct, frozen=True):
    """A step that may have been taken. `data` is None where the disk was damaged: what it was is not known."""

    seq: int
    data: bytes | None


class Intents:
    """See the module's docstring. The store commits the journal, always before the lanes."""

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
        self._open: dict[int, tuple[int, Result] | None] = {}
        """Intents by number, rising; the number of their end and their result, once that is appended to its lane."""
        self._before: dict[int, str] = {}
        """What must be on the disk before records of a lane: number of the end, lane."""
        self.unfinished: list[Intent] = []
        """What was found without a result at the start. Each stays until `end` is called for it."""
        self._found: dict[int, bytes | None] = {}
        self._ends: dict[int, Result] = {}

    def open(self) -> None:
        """Find what is there; `compare` follows. Raises `StorageError`."""
        self.journal.open()
        found, ends = self._found, self._ends
        segments = self.journal.segments
        seq = segments[0].first if segments else 1
        while records := self.journal.read(seq):
            for number, body in records:
                if body[:1] == _BEGIN:
                    found[number] = body[1:]
                elif body[:1] == _END and len(body) > _END_HEAD.size:
                    intent, result, epoch = _END_HEAD.unpack_from(body)
                    ends[intent] = Result(body[_END_HEAD.size :].decode("ascii", "replace"), epoch.hex(), result)
                elif body[:1] == _REOPEN and len(body) == _REOPEN_BODY.size:
                    ends.pop(_REOPEN_BODY.unpack(body)[0], None)
            seq = records[-1][0] + 1
        for first, last in self.journal.take_lost():
            found.update(dict.fromkeys(range(first, min(last, first + MAX_OPEN) + 1)))

    def compare(self, is_durable: IsDurable) -> None:
        """Tell intents with a result from those without, before anything is appended to a lane."""
        found, ends = self._found, self._ends
        self._found, self._ends = {}, {}
        for intent, end in tuple(ends.items()):
            if not is_durable(end):
                del ends[intent]
                self._before[self.journal.append(_REOPEN + struct.pack("<Q", intent))] = end.lane
        self.unfinished = [Intent(number, found[number]) for number in sorted(found) if number not in ends]
        self._open = dict.fromkeys((intent.seq for intent in self.unfinished), None)

    def begin(self, data: bytes) -> int:
        """Queue an intent for the next commit and return its number. Raises `StoreError`."""
        if len(data) > MAX_INTENT_BYTES:
            raise StoreError(f"an intent of {len(data)} bytes is above the ceiling of {MAX_INTENT_BYTES}")
        if len(self._open) >= MAX_OPEN:
            raise StoreError(f"{MAX_OPEN} intents have no result yet")
        seq = self.journal.append(_BEGIN + data)
        self._open[seq] = None
        return seq

    def end(self, seq: int, result: Result) -> None:
        """Queue the end of an intent whose result waits in its lane. Raises `StoreError` where it is not open."""
        if self._open.get(seq, ()) is not None:
            raise StoreError(f"there is no open intent {seq}")
        head = _END_HEAD.pack(seq, result.seq, bytes.fromhex(result.epoch))
        number = self.journal.append(head + result.lane.encode())
        self._before[number] = result.lane
        self._open[seq] = number, result

    def lanes_behind(self, batch: Batch | None) -> tuple[set[str], set[str]]:
        """Lanes whose records must wait until a batch is written, and those that must wait for a later one."""
        last = batch.last if batch is not None else self.journal.committed_seq
        return (
            {lane for number, lane in self._before.items() if number <= last},
            {lane for number, lane in self._before.items() if number > last},
        )

    def settle(self, is_durable: IsDurable) -> None:
        """Forget those whose end and result the disk has."""
        made = self.journal.committed_seq
        self._before = {number: lane for number, lane in self._before.items() if number > made}
        for seq, end in tuple(self._open.items()):
            if end is not None and end[0] <= made and is_durable(end[1]):
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
