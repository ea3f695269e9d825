"""One lane: a journal, who has acknowledged what of it, and what of it is lost for good.

Always, and after any power cut: made = acknowledged + queued + lost. *Made* is what the disk has; *acknowledged* is
what every required uplink has let go; *lost* is what will never arrive, each range of it declared in an event.

The position file is replaced in one step and may lag behind by some seconds: a lag only repeats records. It is always
newer than the removal of a segment, so a missing number is never mistaken; so is a copy of it, which counts where the
file itself is damaged. Without both, what is there is owed once more, and of what is gone nobody can say any longer
that it arrived: it counts as lost.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from edge.store.errors import StorageError, StoreError, StoreFullError
from edge.store.journal import Batch, Journal
from edge.store.medium import Medium
from edge.store.position import (
    POSITION,
    POSITION_COPY,
    Loss,
    Position,
    Why,
    encode_position,
    read_position,
)
from edge.store.recovery import DOUBT, mark_doubt
from edge.store.segment import FRAME_BYTES, MAX_BODY_BYTES, Segment
from protocols.wayside.ranges import RangeSet

LaneName = Literal["transaction", "event", "telemetry"]

MAX_PENDING_BYTES = 8 << 20
"""What may wait in memory for a disk that does not answer."""
RECENT_BYTES = 512 << 10
"""Records just made are kept in memory this far, so that live data is not read back from the disk."""
MAX_ACKED_RANGES = 2_000
"""What is acknowledged beyond so many holes is passed over: it is sent again, and acknowledged when there are fewer."""
MAX_ROUTE_BYTES = 255


class Record(msgspec.Struct, frozen=True):
    """One record as it was appended."""

    seq: int
    route: str
    payload: bytes


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
        self._checksum = checksum
        self.journal = Journal(medium, checksum, new_epoch, segment_bytes)
        self._uplinks = tuple(uplinks)
        self._acked = {uplink: RangeSet() for uplink in uplinks}
        self.released = RangeSet()
        """Acknowledged by every required uplink."""
        self.lost_ranges = RangeSet()
        """What will never arrive."""
        self.settled = RangeSet()
        """Released or lost: nobody owes it any more."""
        self.losses: list[Loss] = []
        self._recent: dict[int, Record] = {}
        self._recent_bytes = 0
        self._ages: list[tuple[int, float]] = []
        self.read_error: str | None = None
        """Why the disk could not give a record, the last time that it was asked."""
        self.on_dirty: Callable[[bool], None] | None = None
        """Called when the position file begins to lag. True: somebody waits for it."""
        self._is_position_dirty = False
        self.is_copy_behind = True
        """The copy of the position may not know what has been settled."""
        self.is_epoch_new = False
        """Begun again, and the position file does not say so yet: nothing of the epoch counts as made until it does."""
        self.is_full = False
        """At its quota with nothing to evict: appends are refused until something is acknowledged."""
        self.doubt_from = 0
        """Its end was damaged: from here on the ingest may have other records of the same numbers. 0: no doubt."""
        self._is_trusted = False
        self.known_beyond = RangeSet()
        """Above `made`: what the ingest has of this epoch all the same."""

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
        return len(self.lost_ranges)

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

    def first_since(self, at: float) -> int:
        """The first record that is surely no older than `at`; the next one where none is."""
        return next((seq for seq, made_at in self._ages if made_at >= at), self.made + 1)

    # Opening ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Find what is there. Raises `StorageError`."""
        position, damaged = read_position(self._medium, self._checksum)
        if position is None:
            self.journal.open()
        elif not self.journal.open(position.made, position.epoch):
            position = None
        self.journal.notes += damaged
        if damaged and not self.journal.doubt_from:
            self.journal.doubt_from = self.next_seq
            mark_doubt(self._medium, self.epoch, self.next_seq)
        first_kept = self.journal.segments[0].first if self.journal.segments else self.journal.next_seq
        if position is not None:
            for uplink, acked in self._acked.items():
                # An uplink that is new here owes nothing of what has gone before it came.
                for first, last in position.acked.get(uplink, [(1, first_kept - 1)]):
                    acked.add(first, last)
            self.losses = list(position.lost)
            for loss in self.losses:
                if not loss.epoch:
                    self.lost_ranges.add(loss.first, loss.last)
        self.doubt_from = self.journal.doubt_from
        made = self.made
        for each in (*self._acked.values(), self.lost_ranges):
            each.discard(made + 1, 1 << 62)
        self._rebuild()
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
        for first, last in self.lost_ranges.pairs():
            self.released.discard(first, last)
        self.settled = RangeSet(self.released.pairs())
        for first, last in self.lost_ranges.pairs():
            self.settled.add(first, last)

    def position(self) -> bytes:
        """The position file as it should be now; `save_position` writes it, perhaps in another thread."""
        acked = {uplink: [(first, last) for first, last in ranges.pairs()] for uplink, ranges in self._acked.items()}
        return encode_position(Position(self.epoch, self.made, acked, self.losses), self._checksum)

    def save_position(self, position: bytes, *, with_copy: bool) -> None:
        """Write the position file, and the copy too before segments go. Raises `StorageError`.

        The copy first: at a new epoch, one that is still of the old would set the new segments aside.
        """
        if with_copy:
            self._medium.replace(POSITION_COPY, position)
        self._medium.replace(POSITION, position)
        if self._is_trusted:
            self._medium.remove(DOUBT)
            self._medium.sync_dir()
            self._is_trusted, self.doubt_from = False, 0

    def trust(self) -> None:
        """The ingest has said what it has, and it is no more than is here; or it has had its time.

        The doubt ends when the disk has forgotten it too: else the next start would take what is sent now for what was
        sent before the damage.
        """
        if self.doubt_from and not self._is_trusted:
            self._is_trusted = self.is_position_dirty = True
            if self.on_dirty is not None:
                self.on_dirty(True)

    @property
    def is_position_dirty(self) -> bool:
        """The position on the disk lags behind."""
        return self._is_position_dirty

    @is_position_dirty.setter
    def is_position_dirty(self, is_dirty: bool) -> None:
        has_begun = is_dirty and not self._is_position_dirty
        self._is_position_dirty = is_dirty
        if is_dirty:
            self.is_copy_behind = True
        if has_begun and self.on_dirty is not None:
            self.on_dirty(False)

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
        if len(name) > MAX_ROUTE_BYTES or 1 + len(name) + len(payload) > MAX_BODY_BYTES:
            raise StoreError(f"{route[:40]}: a record of {len(payload)} bytes is too large")
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

        What proves to be damaged is lost from now on. Raises `StorageError`.
        """
        recent = self._recent.get(seq)
        if recent is not None and seq <= self.made:
            return [recent]
        try:
            records = [_record(found, body) for found, body in self.journal.read(seq)]
        except StorageError as error:
            self.read_error = str(error)
            raise
        self.read_error = None
        self.note_damage()
        return records

    def readable_with(self, seq: int) -> int:
        """The last number that lies in one file with `seq`."""
        return max(seq, self.journal.last_beside(seq))

    def _remember(self, record: Record) -> None:
        self._recent[record.seq] = record
        self._recent_bytes += len(record.payload) + FRAME_BYTES
        while self._recent_bytes > RECENT_BYTES and len(self._recent) > 1:
            oldest = next(iter(self._recent))
            self._recent_bytes -= len(self._recent.pop(oldest).payload) + FRAME_BYTES

    # Letting go -------------------------------------------------------------------------------------------------

    def acknowledge(self, uplink: str, first: int, last: int) -> int:
        """An uplink lets go of a range; return how many numbers it had not let go before. What is lost stays lost."""
        first, last = max(1, first), min(last, self.made)
        acked = self._acked[uplink]
        if acked.range_count >= MAX_ACKED_RANGES and first > 1 and first not in acked and first - 1 not in acked:
            return 0
        new = acked.add(first, last)
        if new == 0:
            return 0
        self.is_position_dirty = True
        pieces = [(first, last)]
        for name, other in self._acked.items():
            if name != uplink:
                pieces = [piece for begin, end in pieces for piece in other.within(begin, end)]
        for begin, end in pieces:
            for gap_first, gap_last in self.lost_ranges.gaps(begin, end):
                self.released.add(gap_first, gap_last)
                self.settled.add(gap_first, gap_last)
        if self.is_full and (self.queued == 0 or self.journal.segments[0].last <= self.settled.upto):
            self.is_full = False  # the next commit frees a segment
        return new

    def is_acked_by(self, uplink: str, seq: int) -> bool:
        """Whether an uplink has let go of a record."""
        return seq in self._acked[uplink] or seq in self.lost_ranges

    def skip_acked(self, uplink: str, seq: int) -> int:
        """`seq`, or the first number after it that this uplink still owes."""
        acked = self._acked[uplink]
        while True:
            after = self.lost_ranges.end_of_run(acked.end_of_run(seq) + 1) + 1
            if after == seq:
                return seq
            seq = after

    def lose(self, first: int, last: int, why: Why) -> int:
        """What of a range nobody has settled will never arrive; return how many records that are."""
        gone = 0
        for gap_first, gap_last in self.settled.gaps(first, min(last, self.made)):
            self.lost_ranges.add(gap_first, gap_last)
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
                if not self.lose(first, last, "damaged"):
                    self.journal.forgive(first)

    def take_settled_segments(self) -> list[Segment]:
        """Segments that nobody owes anything of; save the position before their files are removed."""
        taken = []
        upto = self.settled.upto
        segments = self.journal.segments
        while len(segments) > 1 and segments[0].last <= upto:
            taken.append(self.journal.pop_first())
        return taken

    def take_settled_behind(self) -> Segment | None:
        """One settled segment that lies behind others, as live data does behind a backlog; as with those in front."""
        for number, segment in enumerate(self.journal.segments[:-1]):
            if not self.settled.gaps(segment.first, segment.last):
                return self.journal.pop_at(number)
        return None

    def evict_oldest(self) -> Segment | None:
        """Give up the oldest segment: what of it is not settled is lost. None when only the newest is left."""
        if len(self.journal.segments) < 2:
            return None
        segment = self.journal.pop_first()
        self.lose(segment.first, segment.last, "quota")
        return segment

    def renew_epoch(self, left: list[Loss]) -> list[Segment]:
        """Begin again under another epoch; nothing may wait for a commit. Return the segments to be set aside.

        left: what the old epoch, and others before it, have left to be told.
        """
        segments = self.journal.renew_epoch()
        self._acked = {uplink: RangeSet() for uplink in self._uplinks}
        self.released, self.lost_ranges, self.settled, self.losses = RangeSet(), RangeSet(), RangeSet(), left
        self._recent.clear()
        self._recent_bytes = 0
        self._ages.clear()
        self.is_epoch_new = self.is_position_dirty = True
        self.is_full = False
        self.known_beyond = RangeSet()
        self._is_trusted = self.doubt_from > 0
        return segments


def _record(seq: int, body: bytes) -> Record:
    length = body[0] if body else 0
    return Record(seq, body[1 : 1 + length].decode(errors="replace"), body[1 + length :])
