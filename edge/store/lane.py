"""One lane: a journal, who has acknowledged what of it, and what of it is lost for good.

Always, and after any power cut: made = acknowledged + queued + lost. *Made* is what the disk has; *acknowledged* is
what every required uplink has let go; *lost* is what will never arrive, each range of it declared in an event.

The position file is replaced in one step and may lag behind by some seconds: a lag only repeats records. It is always
newer than the removal of a segment, so a missing number is never mistaken.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from edge.store.errors import StoreError, StoreFullError
from edge.store.journal import Batch, Journal
from edge.store.medium import Medium
from edge.store.segment import FRAME_BYTES, Segment
from protocols.wayside.ranges import RangeSet

LaneName = Literal["transaction", "event", "telemetry"]
Why = Literal["quota", "damaged"]

MAX_PENDING_BYTES = 8 << 20
"""What may wait in memory for a disk that does not answer."""
RECENT_BYTES = 512 << 10
"""Records just made are kept in memory this far, so that live data is not read back from the disk."""
MAX_ACKED_RANGES = 10_000
POSITION = "position.json"


class Record(msgspec.Struct, frozen=True):
    """One record as it was appended."""

    seq: int
    route: str
    payload: bytes


class Loss(msgspec.Struct, frozen=True):
    """Records that will never arrive. `is_declared`: the disk has the event that says so."""

    first: int
    last: int
    why: Why
    is_declared: bool = False


class Position(msgspec.Struct, frozen=True):
    """The position file."""

    epoch: str
    made: int
    acked: dict[str, list[list[int]]]
    lost: list[Loss]


class Lane:
    """See the module's docstring. `uplinks` are those that must let a record go before it may leave."""

    def __init__(
        self,
        name: LaneName,
        medium: Medium,
        *,
        checksum: Callable[[bytes], int],
        new_epoch: Callable[[], str],
        segment_bytes: int,
        uplinks: Sequence[str] = ("mqtt",),
    ) -> None:
        self.name = name
        self._medium = medium
        self.journal = Journal(medium, checksum, new_epoch, segment_bytes)
        self._uplinks = tuple(uplinks)
        self._acked = {uplink: RangeSet() for uplink in uplinks}
        self.released = RangeSet()
        """Acknowledged by every required uplink."""
        self._lost = RangeSet()
        self.settled = RangeSet()
        """Released or lost: nobody owes it any more."""
        self.losses: list[Loss] = []
        self._recent: dict[int, Record] = {}
        self._recent_bytes = 0
        self._ages: list[tuple[int, float]] = []
        self.is_position_dirty = False
        self.is_full = False
        """At its quota with nothing to evict: appends are refused until something is acknowledged."""

    # What it holds ----------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> str:
        """64 random bits in hexadecimal, new whenever the journal is."""
        return self.journal.epoch

    @property
    def next_seq(self) -> int:
        """The number that the next record gets."""
        return self.journal.next_seq

    @property
    def made(self) -> int:
        """Records that the disk has, of this epoch."""
        return self.journal.committed_seq

    @property
    def acked(self) -> int:
        """Records that every required uplink has let go."""
        return len(self.released)

    @property
    def lost(self) -> int:
        """Records that will never arrive."""
        return len(self._lost)

    @property
    def queued(self) -> int:
        """Records that are still owed."""
        return self.made - len(self.settled)

    @property
    def acked_upto(self) -> int:
        """The end of the unbroken run, from 1, that is settled."""
        return self.settled.upto

    def oldest_s(self, now: float) -> float:
        """Age of the oldest record that is still owed, as far back as this process knows."""
        upto = self.settled.upto
        while len(self._ages) > 1 and self._ages[1][0] <= upto + 1:
            self._ages.pop(0)
        return 0.0 if self.queued == 0 or not self._ages else max(0.0, now - self._ages[0][1])

    # Opening ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Find what is there. Raises `StorageError`."""
        position = self._read_position()
        if position is None:
            self.journal.open()
        else:
            self.journal.open(position.made, position.epoch)
        if position is not None and position.epoch == self.journal.epoch:
            for uplink, pairs in position.acked.items():
                if uplink in self._acked:
                    self._acked[uplink] = RangeSet(pairs)
            for loss in position.lost:
                self._lost.add(loss.first, loss.last)
                self.losses.append(loss)
        self._rebuild()
        made = self.journal.committed_seq
        for each in (*self._acked.values(), self.released, self.settled, self._lost):
            each.discard(made + 1, 1 << 62)
        first_kept = self.journal.segments[0].first if self.journal.segments else self.journal.next_seq
        self.lose(1, first_kept - 1, "damaged")  # what is neither settled nor there any more
        self.note_damage()
        self.is_position_dirty = True

    def _rebuild(self) -> None:
        sets = list(self._acked.values())
        self.released = RangeSet(sets[0].pairs()) if sets else RangeSet()
        for other in sets[1:]:
            for first, last in self.released.pairs():
                for gap_first, gap_last in other.gaps(first, last):
                    self.released.discard(gap_first, gap_last)
        for first, last in self._lost.pairs():
            self.released.discard(first, last)
        self.settled = RangeSet(self.released.pairs())
        for first, last in self._lost.pairs():
            self.settled.add(first, last)

    def _read_position(self) -> Position | None:
        if not self._medium.size(POSITION):
            return None
        try:
            return msgspec.json.decode(self._medium.read(POSITION, 0, 4 << 20), type=Position)
        except msgspec.DecodeError as error:
            self.journal.notes.append(f"{POSITION}: cannot be read ({error}); everything that is kept is sent again")
            return None

    def position(self) -> bytes:
        """The position file as it should be now; `save_position` writes it, perhaps in another thread."""
        acked = {uplink: ranges.pairs() for uplink, ranges in self._acked.items()}
        return msgspec.json.encode(Position(self.epoch, self.made, acked, self.losses))

    def save_position(self, position: bytes) -> None:
        """Write the position file. Raises `StorageError`."""
        self._medium.replace(POSITION, position)

    # Records ----------------------------------------------------------------------------------------------------

    def append(self, route: str, payload: bytes) -> int:
        """Queue a record for the next commit and return its number.

        Raises `StoreFullError` when the lane is full, `StoreError` when too much waits for the disk already.
        """
        if self.is_full:
            raise StoreFullError(f"the lane {self.name} is at its quota")
        if self.journal.pending_bytes > MAX_PENDING_BYTES:
            raise StoreError(f"{MAX_PENDING_BYTES >> 20} MB of the lane {self.name} wait for the disk")
        name = route.encode()
        seq = self.journal.append(bytes((len(name),)) + name + payload)
        self._remember(Record(seq, route, payload))
        return seq

    def committed(self, batch: Batch, now: float) -> None:
        """The disk has a batch."""
        self.journal.end_commit(batch)
        if not self._ages or now - self._ages[-1][1] >= 1.0:
            self._ages.append((batch.first, now))
            if len(self._ages) > 600:
                del self._ages[1::2]

    def read(self, seq: int) -> list[Record]:
        """Committed records from `seq` on, as many as are at hand; empty when none is there.

        What proves to be damaged is lost from now on.
        """
        recent = self._recent.get(seq)
        if recent is not None and seq <= self.made:
            return [recent]
        records = [_record(found, body) for found, body in self.journal.read(seq)]
        self.note_damage()
        return records

    def _remember(self, record: Record) -> None:
        self._recent[record.seq] = record
        self._recent_bytes += len(record.payload) + FRAME_BYTES
        while self._recent_bytes > RECENT_BYTES and len(self._recent) > 1:
            oldest = next(iter(self._recent))
            self._recent_bytes -= len(self._recent.pop(oldest).payload) + FRAME_BYTES

    # Letting go -------------------------------------------------------------------------------------------------

    def acknowledge(self, uplink: str, first: int, last: int) -> int:
        """An uplink has let go of a range; return how many numbers are settled by it that were not before."""
        last = min(last, self.made)
        acked = self._acked[uplink]
        if acked.add(first, last) == 0:
            return 0
        self.is_position_dirty = True
        pieces = [(first, last)]
        for name, other in self._acked.items():
            if name != uplink:
                pieces = [piece for begin, end in pieces for piece in _within(other, begin, end)]
        settled = 0
        for begin, end in pieces:
            for gap_first, gap_last in self._lost.gaps(begin, end):
                self.released.add(gap_first, gap_last)
                settled += self.settled.add(gap_first, gap_last)
        if settled:
            self.is_full = False
        return settled

    def is_acked_by(self, uplink: str, seq: int) -> bool:
        """Whether an uplink has let go of a record."""
        return seq in self._acked[uplink] or seq in self._lost

    def skip_acked(self, uplink: str, seq: int) -> int:
        """`seq`, or the first number after it that this uplink still owes."""
        acked = self._acked[uplink]
        while True:
            after = self._lost.end_of_run(acked.end_of_run(seq) + 1) + 1
            if after == seq:
                return seq
            seq = after

    def lose(self, first: int, last: int, why: Why) -> int:
        """What of a range nobody has settled will never arrive; return how many records that are."""
        gone = 0
        for gap_first, gap_last in self.settled.gaps(first, min(last, self.made)):
            self._lost.add(gap_first, gap_last)
            self.settled.add(gap_first, gap_last)
            self.losses.append(Loss(gap_first, gap_last, why))
            gone += gap_last - gap_first + 1
        if gone:
            self.is_position_dirty = True
        return gone

    def note_damage(self) -> None:
        """Take over what the journal found damaged."""
        if self.journal.lost:
            for first, last in self.journal.take_lost():
                self.lose(first, last, "damaged")

    def undeclared(self) -> list[Loss]:
        """Losses whose event the disk does not have."""
        return [loss for loss in self.losses if not loss.is_declared]

    def declared(self, loss: Loss) -> None:
        """The disk has the event of a loss. Neighbours of one reason become one, so that the list stays short."""
        self.losses[self.losses.index(loss)] = msgspec.structs.replace(loss, is_declared=True)
        merged: list[Loss] = []
        for each in sorted(self.losses, key=lambda one: one.first):
            before = merged[-1] if merged else None
            if (
                before
                and each.is_declared
                and before.is_declared
                and before.last + 1 == each.first
                and before.why == each.why
            ):
                merged[-1] = Loss(before.first, each.last, each.why, is_declared=True)
            else:
                merged.append(each)
        self.losses = merged
        self.is_position_dirty = True

    def take_settled_segments(self) -> list[Segment]:
        """Segments that nobody owes anything of; save the position before their files are removed."""
        taken = []
        upto = self.settled.upto
        segments = self.journal.segments
        while len(segments) > 1 and segments[0].last <= upto:
            taken.append(self.journal.pop_first())
        return taken

    def evict_oldest(self) -> Segment | None:
        """Give up the oldest segment: what of it is not settled is lost. None when only the newest is left."""
        if len(self.journal.segments) < 2:
            return None
        segment = self.journal.pop_first()
        self.lose(segment.first, segment.last, "quota")
        return segment

    def renew_epoch(self) -> None:
        """Begin again under another epoch: the ingest knows numbers of this one that we have not made."""
        self.journal.renew_epoch()
        self._acked = {uplink: RangeSet() for uplink in self._uplinks}
        self.released, self._lost, self.settled = RangeSet(), RangeSet(), RangeSet()
        self.losses = []
        self._recent.clear()
        self._recent_bytes = 0
        self._ages.clear()
        self.is_position_dirty = True


def _within(ranges: RangeSet, first: int, last: int) -> list[tuple[int, int]]:
    """What of a range the set holds."""
    return [(begin, min(last, end)) for begin, end in ranges.pairs(first) if begin <= last]


def _record(seq: int, body: bytes) -> Record:
    length = body[0]
    return Record(seq, body[1 : 1 + length].decode("ascii", "replace"), body[1 + length :])
