"""The journal of one lane: an append-only queue of records that survives power cuts. MicroPython-clean.

A record has a sequence number, from 1, and a body. Records wait in memory until a commit makes them durable: one write
and one sync for all that waits, up to a segment of it. What cannot be read is skipped, to the next whole record, and
the numbers between are told as lost. The newest segment always stays, so that no number is used twice. The layout is
in `edge.store.segment`, what happens when they are opened in `edge.store.recovery`.

`storage` has append(name, data), sync(name), end(name), sync_dir(), list(), read(name, offset, size), size(name),
remove(name), rename(name, other), and truncate(name, size), which is None where the medium has none: there a torn
segment stays as it is and the next record begins another. `checksum(data)` is CRC-32C. `new_epoch()` gives 16
hexadecimal digits.

A commit has three steps so that the middle one may run in another thread: `begin_commit`, `write_commit`, `end_commit`.
"""

from edge.store.recovery import keep_aside, recover
from edge.store.segment import (
    FRAME_BYTES,
    HEADER_BYTES,
    MAX_BODY_BYTES,
    Segment,
    commit_mark,
    frames,
    header,
    record_head,
    segment_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.store.medium import Medium

DEFAULT_SEGMENT_BYTES = 1048576
_INDEX_EVERY_BYTES = 65536
_READ_BYTES = 262144


class Batch:
    """What one commit writes."""

    __slots__ = ("data", "first", "is_new", "last", "marks", "segment", "start")

    def __init__(
        self, segment: Segment, is_new: bool, first: int, last: int, data: bytes, start: int, marks: list[int]
    ) -> None:
        self.segment = segment
        self.is_new = is_new
        self.first = first
        self.last = last
        self.data = data
        self.start = start
        self.marks = marks


class Journal:
    """See the module's docstring. Not for several threads but as said there."""

    def __init__(
        self,
        storage: "Medium",
        checksum: "Callable[[bytes], int]",
        new_epoch: "Callable[[], str]",
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> None:
        self._storage = storage
        self._checksum = checksum
        self._new_epoch = new_epoch
        self._segment_bytes = segment_bytes
        self._pending: list[bytes] = []
        self._pending_first = 1
        self._can_append = False
        self.segments: list[Segment] = []
        self.epoch = ""
        self.next_seq = 1
        self.committed_seq = 0
        self.pending_bytes = 0
        self.total_bytes = 0
        self.lost: list[tuple[int, int]] = []
        """Ranges (first, last) found damaged since the last `take_lost()`."""
        self.notes: list[str] = []
        """Lines for a person about what was found at `open()`."""
        self.doubt_from = 0
        """Found at `open()`: numbers from here on may have been given before; 0: no doubt."""

    # Opening ----------------------------------------------------------------------------------------------------

    def open(self, at_least: int = 0, epoch: str | None = None) -> bool:
        """Find what is there. False when a newer program has been here: what it left is kept for it under other names.

        `epoch` and `at_least` come from the position file: the epoch that was in use, and a sequence number that is
        known to have been made. What is missing below it is lost, and its number is not used again.
        """
        found = recover(self._storage, self._checksum, epoch, at_least)
        self.epoch = found.epoch or self._new_epoch()
        self.segments = found.segments
        self.total_bytes = sum([segment.size for segment in found.segments])
        self.notes += found.notes
        for first, last in found.lost:
            self._lose(first, last)
        self._can_append = found.can_append
        self.doubt_from = found.doubt_from
        self.next_seq = self._pending_first = found.next_seq
        self.committed_seq = found.next_seq - 1
        return not found.is_newer

    # Writing ----------------------------------------------------------------------------------------------------

    def append(self, body: bytes) -> int:
        """Queue a record for the next commit; return its sequence number."""
        if len(body) > MAX_BODY_BYTES:
            raise ValueError("a record of " + str(len(body)) + " bytes is above the ceiling")
        self._pending.append(body)
        self.pending_bytes += len(body) + FRAME_BYTES
        seq = self.next_seq
        self.next_seq = seq + 1
        return seq

    def begin_commit(self) -> Batch | None:
        """What the next commit is to write, at most a segment of it; None when nothing waits.

        The records stay pending until `end_commit`.
        """
        if not self._pending:
            return None
        first = seq = self._pending_first
        parts = []
        marks = []
        at = 0
        for body in self._pending:
            if at and at + FRAME_BYTES + len(body) > self._segment_bytes:
                break
            marks.append(at)
            parts.append(record_head(body, seq, self._checksum))
            parts.append(body)
            at += FRAME_BYTES + len(body)
            seq += 1
        parts.append(commit_mark(seq, self._checksum))
        segment = self.segments[-1] if self._can_append and self.segments else None
        is_new = segment is None or segment.size + at + FRAME_BYTES > self._segment_bytes
        if segment is None or is_new:
            start = HEADER_BYTES
            segment = Segment(segment_name(self.epoch, first), first)
            parts.insert(0, header(self.epoch, first, self._checksum))
        else:
            start = segment.size
        return Batch(segment, is_new, first, seq - 1, b"".join(parts), start, marks)

    def write_commit(self, batch: Batch) -> None:
        """Write and sync; may run in another thread. After an error call `fail_commit`."""
        name = batch.segment.name
        try:
            if batch.is_new:
                if self.segments:
                    self._storage.end(self.segments[-1].name)
                # An attempt that failed, or that a power cut ended, may have left a part of this very file.
                if self._storage.size(name):
                    self._storage.remove(name)
            self._storage.append(name, batch.data)
            self._storage.sync(name)
            if batch.is_new:
                self._storage.sync_dir()
        except Exception:
            self._undo(batch)
            raise

    def _undo(self, batch: Batch) -> None:
        """Take back what a failed write may have left.

        After a failed sync the system takes the bytes for written although the medium does not have them: whoever
        opened the journal next would read them and believe them.
        """
        name = batch.segment.name
        try:
            self._storage.end(name)
            if batch.is_new:
                self._storage.remove(name)
            elif self._storage.truncate is not None:
                self._storage.truncate(name, batch.start)
        except Exception:  # noqa: BLE001  # media differ in what they raise; the caller hears of the first error
            return

    def end_commit(self, batch: Batch) -> None:
        """The disk has the batch: its records are made."""
        segment = batch.segment
        if batch.is_new:
            if self.segments and self.segments[-1].first == segment.first:
                # A segment without a single record: this one has taken the place of its file.
                self.total_bytes -= self.segments.pop().size
            self.segments.append(segment)
        for number in range(batch.last - batch.first + 1):
            self._index(segment, batch.first + number, batch.start + batch.marks[number])
        segment.last = batch.last
        segment.size += len(batch.data)
        self.total_bytes += len(batch.data)
        count = batch.last - batch.first + 1
        del self._pending[:count]
        self.pending_bytes -= len(batch.data) - FRAME_BYTES - (HEADER_BYTES if batch.is_new else 0)
        self._pending_first = batch.last + 1
        self.committed_seq = batch.last
        self._can_append = True

    def fail_commit(self) -> None:
        """The write failed: nobody knows what the disk has. The next attempt goes into a segment of its own."""
        self._can_append = False

    def commit(self) -> None:
        """All three steps at once, until nothing waits."""
        while True:
            batch = self.begin_commit()
            if batch is None:
                return
            try:
                self.write_commit(batch)
            except Exception:
                self.fail_commit()
                raise
            self.end_commit(batch)

    # Reading ----------------------------------------------------------------------------------------------------

    def read(self, seq: int, limit_bytes: int = _READ_BYTES) -> list[tuple[int, bytes]]:
        """Committed records from `seq` on as a list of (sequence, body), about `limit_bytes` long, from one segment.

        Empty when nothing from `seq` on is there. What turns out to be damaged goes into `lost`.
        """
        while seq <= self.committed_seq:
            segment = self._segment_of(seq)
            if segment is None:
                return []
            if seq > segment.last:
                self._lose(seq, segment.last)
                return []
            records = self._read_segment(segment, max(seq, segment.first), limit_bytes)
            if records:
                return records
            seq = segment.last + 1
        return []

    def last_beside(self, seq: int) -> int:
        """The last committed record of the segment that holds `seq`; 0 when there is none."""
        segment = self._segment_of(seq)
        return segment.last if segment is not None else 0

    def _read_segment(self, segment: Segment, seq: int, limit_bytes: int) -> list[tuple[int, bytes]]:
        records = []
        size = 0
        at = self._start_of(segment, seq)
        expected = seq
        for start, _stop, found, body in frames(self._storage, self._checksum, segment, at):
            if found < 0 or found > segment.last:
                continue
            self._index(segment, found, start)
            if found < seq:
                continue
            if found > expected:
                self._damaged(segment, expected, found - 1)
            records.append((found, body))
            expected = found + 1
            size += len(body)
            if size >= limit_bytes:
                return records
        if expected <= segment.last:
            self._damaged(segment, expected, segment.last)
        return records

    def _damaged(self, segment: Segment, first: int, last: int) -> None:
        segment.is_damaged = True
        self._lose(first, last)

    def _lose(self, first: int, last: int) -> None:
        if first <= last and (first, last) not in self.lost:
            self.lost.append((first, last))

    def forgive(self, seq: int) -> None:
        """Nobody misses what could not be read at `seq`: its segment need not be set aside for it."""
        segment = self._segment_of(seq)
        if segment is not None:
            segment.is_damaged = False

    def take_lost(self) -> list[tuple[int, int]]:
        """Ranges found damaged since the last call."""
        lost = self.lost
        self.lost = []
        return lost

    def _segment_of(self, seq: int) -> Segment | None:
        """The segment that holds `seq`, or the first one after it."""
        low = 0
        high = len(self.segments)
        while low < high:
            middle = (low + high) // 2
            if self.segments[middle].last < seq:
                low = middle + 1
            else:
                high = middle
        return self.segments[low] if low < len(self.segments) else None

    def _index(self, segment: Segment, seq: int, offset: int) -> None:
        index = segment.index
        if not index or offset - index[-1][1] >= _INDEX_EVERY_BYTES:
            index.append((seq, offset))

    def _start_of(self, segment: Segment, seq: int) -> int:
        offset = HEADER_BYTES
        for first, at in segment.index:
            if first > seq:
                break
            offset = at
        return offset

    # Letting go -------------------------------------------------------------------------------------------------

    def drop_through(self, seq: int) -> None:
        """Remove every segment but the newest whose records all lie at or below `seq`."""
        while len(self.segments) > 1 and self.segments[0].last <= seq:
            self.discard(self.pop_first())

    def pop_first(self) -> Segment:
        """Let go of the oldest segment in memory; its file is removed by `discard`, which may run in another thread."""
        return self.pop_at(0)

    def pop_at(self, number: int) -> Segment:
        """The same for a segment in the middle."""
        segment = self.segments.pop(number)
        self.total_bytes -= segment.size
        return segment

    def discard(self, segment: Segment) -> None:
        """Remove a segment's file; a damaged one is kept aside, a few at most."""
        if segment.is_damaged:
            keep_aside(self._storage, segment.name)
        else:
            self._storage.remove(segment.name)

    def renew_epoch(self) -> list[Segment]:
        """Begin again at 1 under another epoch, with nothing waiting. Return the segments that now are to be discarded.

        They must stay until it is durable elsewhere that another epoch is in use.
        """
        assert not self._pending
        segments = self.segments
        for segment in segments:
            segment.is_damaged = True  # set aside when it is discarded, for whoever wants to look
        self.segments = []
        self.total_bytes = 0
        self._can_append = False
        self.epoch = self._new_epoch()
        self.next_seq = self._pending_first = 1
        self.committed_seq = 0
        return segments
