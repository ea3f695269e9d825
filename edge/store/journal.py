"""The journal of one lane: an append-only queue of records that survives power cuts. MicroPython-clean.

A record has a sequence number, from 1, and a body. Records wait in memory until a commit makes them durable: one write
and one sync for all that waits. `edge.store.segment` has the files' layout.

What follows the last commit mark when a journal is opened was being written when the power went: whole records are
kept, the rest is cut. What cannot be read *before* a commit mark was damaged later: it is skipped, to the next whole
record, and the numbers between are told as lost. The newest segment always stays, so that no number is used twice.

`storage` has append(name, data), sync(name), end(name), sync_dir(), list(), read(name, offset, size), size(name),
remove(name), rename(name, other), and truncate(name, size), which is None where the medium has none: there a torn
segment stays as it is and the next record begins another. `checksum(data)` is CRC-32C. `new_epoch()` gives 16
hexadecimal digits.

A commit has three steps so that the middle one may run in another thread: `begin_commit`, `write_commit`, `end_commit`.
"""

from edge.store.segment import (
    FORMAT_VERSION,
    FRAME_BYTES,
    HEADER_BYTES,
    MAX_BODY_BYTES,
    Segment,
    commit_mark,
    format_of,
    frames,
    header,
    parse_name,
    record_head,
    segment_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.store.medium import Medium

DEFAULT_SEGMENT_BYTES = 1048576
KEPT_ASIDE = 2
"""Damaged segments kept for whoever wants to look; older ones go."""
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

    # Opening ----------------------------------------------------------------------------------------------------

    def open(self, at_least: int = 0, epoch: str | None = None) -> None:
        """Find what is there.

        `epoch` and `at_least` come from the position file: the epoch that was in use, and a sequence number that is
        known to have been made. What is missing below it is lost, and its number is not used again.
        """
        found = self._found()
        if epoch is None and found:
            epoch = max(found, key=lambda e: max(found[e])[0])
        if self._keep_newer(found):
            found, epoch, at_least = {}, None, 0
        for other in found:
            if other != epoch:
                for _first, name in found[other]:
                    self._keep_aside(name, "it belongs to another epoch")
        self.epoch = epoch or self._new_epoch()
        for first, name in sorted(found.get(self.epoch, ())):
            self._take_segment(name, first)
        self._scan_last()
        if self.segments:
            self.next_seq = max(self.segments[-1].last + 1, self.segments[-1].first)
        if at_least >= self.next_seq:
            self._lose(self.next_seq, at_least)
            self.next_seq = at_least + 1
            self._can_append = False
        self.committed_seq = self.next_seq - 1
        self._pending_first = self.next_seq

    def _found(self) -> dict[str, list[tuple[int, str]]]:
        """Segments by epoch, as (first sequence, name)."""
        found: dict[str, list[tuple[int, str]]] = {}
        for name in self._storage.list():
            parsed = parse_name(name)
            if parsed is not None:
                found.setdefault(parsed[0], []).append((parsed[1], name))
        return found

    def _keep_newer(self, found: dict[str, list[tuple[int, str]]]) -> bool:
        """After an update was rolled back: what the newer program wrote stays for its return, and we begin anew."""
        names = [name for each in found.values() for first, name in each if self._is_newer(name, first)]
        if not names:
            return False
        for each in found.values():
            for _first, name in each:
                self._storage.rename(name, "newer-" + name)
        self.notes.append(str(len(names)) + " segments are of a newer format: kept for the program that wrote them")
        return True

    def _is_newer(self, name: str, first: int) -> bool:
        version = self._version_of(self._storage.read(name, 0, HEADER_BYTES), first)
        return version is not None and version > FORMAT_VERSION

    def _take_segment(self, name: str, first: int) -> None:
        head = self._storage.read(name, 0, HEADER_BYTES)
        if len(head) < HEADER_BYTES:
            # Power went while the segment was made: nothing in it was ever committed.
            self._storage.remove(name)
            return
        segment = Segment(name, first)
        segment.size = self._storage.size(name)
        segment.is_damaged = self._version_of(head, first) is None
        if self.segments:
            self.segments[-1].last = first - 1
        self.segments.append(segment)
        self.total_bytes += segment.size

    def _version_of(self, head: bytes, first: int) -> int | None:
        return format_of(head, first, self._checksum)

    def _scan_last(self) -> None:
        """Find the end of the newest segment: whole records are kept, a torn tail is cut."""
        if not self.segments:
            return
        segment = self.segments[-1]
        end = HEADER_BYTES
        committed_end = HEADER_BYTES
        segment.last = segment.first - 1
        for _start, stop, seq, _body in frames(self._storage, self._checksum, segment, 0):
            if seq < 0:
                committed_end = stop
                segment.last = max(segment.last, -seq - 1)
            else:
                segment.last = max(segment.last, seq)
            end = stop
        segment.is_scanned = True
        size = segment.size
        if end < size:
            if self._storage.truncate is not None:
                self._storage.truncate(segment.name, end)
                self.total_bytes -= size - end
                segment.size = end
            self._can_append = False
        else:
            self._can_append = end == committed_end and not segment.is_damaged

    def _keep_aside(self, name: str, why: str) -> None:
        self.notes.append(name + ": set aside: " + why)
        self._storage.rename(name, "aside-" + name)
        aside = [n for n in self._storage.list() if n.startswith("aside-")]
        while len(aside) > KEPT_ASIDE:
            self._storage.remove(aside.pop(0))

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
        """What the next commit is to write, or None when nothing waits. The records stay pending until `end_commit`."""
        if not self._pending:
            return None
        first = self._pending_first
        parts = []
        marks = []
        at = 0
        seq = first
        for body in self._pending:
            marks.append(at)
            parts.append(record_head(body, seq, self._checksum))
            parts.append(body)
            at += FRAME_BYTES + len(body)
            seq += 1
        parts.append(commit_mark(seq, self._checksum))
        data = b"".join(parts)
        segment = self.segments[-1] if self.segments and self._can_append else None
        is_new = segment is None or segment.size + len(data) > self._segment_bytes
        if segment is None or is_new:
            start = HEADER_BYTES
            segment = Segment(segment_name(self.epoch, first), first)
            data = header(self.epoch, first, self._checksum) + data
        else:
            start = segment.size
        return Batch(segment, is_new, first, seq - 1, data, start, marks)

    def write_commit(self, batch: Batch) -> None:
        """Write and sync; may run in another thread. After an error call `fail_commit`."""
        name = batch.segment.name
        if batch.is_new:
            if self.segments:
                self._storage.end(self.segments[-1].name)
            # An attempt that failed may have left a part of this very file.
            if self._storage.size(name):
                self._storage.remove(name)
        self._storage.append(name, batch.data)
        self._storage.sync(name)
        if batch.is_new:
            self._storage.sync_dir()

    def end_commit(self, batch: Batch) -> None:
        """The disk has the batch: its records are made."""
        segment = batch.segment
        if batch.is_new:
            if self.segments and self.segments[-1].first == segment.first:
                # A segment without a single record: this one has taken the place of its file.
                self.total_bytes -= self.segments.pop().size
            segment.is_scanned = True
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

    def fail_commit(self, batch: Batch) -> None:
        """The write failed: nobody knows what the disk has. The next attempt goes into a segment of its own."""
        self._can_append = False
        self._storage.end(batch.segment.name)

    def commit(self) -> None:
        """All three steps at once."""
        batch = self.begin_commit()
        if batch is None:
            return
        try:
            self.write_commit(batch)
        except Exception:
            self.fail_commit(batch)
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

    def _read_segment(self, segment: Segment, seq: int, limit_bytes: int) -> list[tuple[int, bytes]]:
        records = []
        size = 0
        at = self._start_of(segment, seq)
        expected = None if at > HEADER_BYTES and not segment.index else seq
        for start, _stop, found, body in frames(self._storage, self._checksum, segment, at):
            if found < 0:
                continue
            if not segment.is_scanned:
                self._index(segment, found, start)
            if found < seq or found > segment.last:
                continue
            if expected is not None and found > expected:
                self._damaged(segment, expected, found - 1)
            records.append((found, body))
            expected = found + 1
            size += len(body)
            if size >= limit_bytes:
                return records
        if expected is None:
            expected = seq
        if expected <= segment.last:
            self._damaged(segment, expected, segment.last)
        return records

    def _damaged(self, segment: Segment, first: int, last: int) -> None:
        segment.is_damaged = True
        self._lose(first, last)

    def _lose(self, first: int, last: int) -> None:
        if first <= last and (first, last) not in self.lost:
            self.lost.append((first, last))

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
        segment = self.segments.pop(0)
        self.total_bytes -= segment.size
        return segment

    def discard(self, segment: Segment) -> None:
        """Remove a segment's file; a damaged one is kept aside, a few at most."""
        if segment.is_damaged:
            self._keep_aside(segment.name, "it was damaged")
        else:
            self._storage.remove(segment.name)

    def renew_epoch(self) -> None:
        """Begin again at 1 under another epoch. What is here goes aside; what waits is forgotten."""
        for segment in self.segments:
            self._storage.end(segment.name)
            self._keep_aside(segment.name, "its epoch ended")
        self.segments = []
        self.total_bytes = 0
        self._pending = []
        self.pending_bytes = 0
        self._can_append = False
        self.epoch = self._new_epoch()
        self.next_seq = self._pending_first = 1
        self.committed_seq = 0
