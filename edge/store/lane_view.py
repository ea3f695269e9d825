"""One lane as one uplink sees it: what of it is owed, live or late, and what must wait. Pure: `now` comes in.

The queue is the journal; what has become of its numbers are ranges, so nothing here grows with the backlog.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from edge.store.errors import StorageError
from edge.store.lane import Lane, Record
from protocols.wayside.ranges import RangeSet

RESEND_FIRST_S, RESEND_CAP_S = 30.0, 600.0
UNREADABLE_AGAIN_S = 60.0
"""What the disk could not give is asked for again."""
MAX_LIVE_LAG = 1_000
"""Live telemetry that lies further behind than this is backlog: the newest goes first."""
MAX_RANGES_BEYOND = 1_000
"""Of what an ingest has that is ahead of us. Beyond that more is declared lost than is, which harms no account."""
FRESH_S = 2.0
"""Whoever waits for us to come back sees at once how things are, and not only when the next record is made."""
_BUCKET_S = 1.0


class _ReadAhead:
    """Records read in one go from the journal and handed out one by one."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._records: deque[Record] = deque()

    def record(self, seq: int) -> Record | None:
        """Record `seq`, None where there is none. Raises `StorageError`."""
        records = self._records
        while records and records[0].seq < seq:
            records.popleft()
        if not records or records[0].seq > seq:
            records = self._records = deque(self._lane.read(seq))
        return records[0] if records and records[0].seq == seq else None


class LaneView:
    """One lane as this uplink sees it."""

    def __init__(self, lane: Lane, uplink: str) -> None:
        self.lane = lane
        self.uplink = uplink
        self.epoch = lane.epoch
        self.live_from = lane.next_seq
        self.live_at = lane.next_seq
        self.back_at = 1
        self.busy = RangeSet()
        """In flight, or sent and waiting for the ingest, or refused and waiting to be tried again."""
        self.waiting: deque[tuple[float, RangeSet]] = deque()
        """(due, numbers) of what was sent or refused; when due, what is still owed goes again."""
        self.due = float("inf")
        self.sent_before = RangeSet()
        """What the broker had taken before this connection began, and nobody has acknowledged."""
        self.resend_s = RESEND_FIRST_S
        self.is_answered = False
        self.must_renew = False
        """The ingest is ahead of us: nothing leaves before another epoch has begun."""
        self.ahead_again = float("-inf")
        """When an ingest that is ahead of us is spoken of again."""
        self._found_made = lane.made if lane.doubt_from == 0 else lane.doubt_from - 1
        self._sent = RangeSet()
        """Of what was made after this view began: what has ever left."""
        self.live_ahead = _ReadAhead(lane)
        self.back_ahead = _ReadAhead(lane)

    def begin_live(self) -> None:
        """What is made from now on is live; all before it is backlog."""
        self.live_from = self.live_at = self.lane.made + 1
        self.back_at = 1

    def begin_connection(self, now: float) -> None:
        """What was made just now counts as live, if it was made since the last connection: it cannot have left before.

        What was sent before is told apart: the ingest's first answer says which of it has got lost on the way.
        """
        fresh = max(self.live_from, self.lane.first_since(now - FRESH_S))
        self.begin_live()
        self.live_from = self.live_at = min(self.live_from, fresh)
        self.sent_before = RangeSet()
        for _due, numbers in self.waiting:
            for first, last in numbers.pairs():
                self.sent_before.add(first, last)

    def owe(self, numbers: Sequence[tuple[int, int]]) -> None:
        """Of what was sent before, these go again, as far as nobody has let them go. None of them is in flight."""
        self._forget(numbers)
        for first, _last in numbers:
            self.back_at = min(self.back_at, first)
        self.sent_before = RangeSet()

    def owed_from(self, seq: int) -> int:
        """`seq`, or the first number after it that is neither let go nor busy."""
        while True:
            after = self.busy.end_of_run(self.lane.skip_acked(self.uplink, seq)) + 1
            if after == seq:
                return seq
            after = self.lane.skip_acked(self.uplink, after)
            if after == seq:
                return seq
            seq = after

    def live(self, now: float) -> Record | None:
        """The next live record, or None."""
        made = self.lane.made
        if made - self.live_at > MAX_LIVE_LAG:
            self.live_from = self.live_at = made
        while self.live_at <= made:
            seq = self.live_at = self.owed_from(self.live_at)
            if seq > made:
                break
            record = self._read(self.live_ahead, seq, now)
            if record is not None:
                return record
        return None

    def back(self, now: float) -> Record | None:
        """The next record of the backlog, or None."""
        end = min(self.live_from, self.lane.made + 1)
        while self.back_at < end:
            seq = self.owed_from(self.back_at)
            self.back_at = min(seq, self.live_from)
            if seq >= end:
                break
            record = self._read(self.back_ahead, seq, now)
            if record is not None:
                return record
        return None

    def _read(self, ahead: "_ReadAhead", seq: int, now: float) -> Record | None:
        """A record; None when it has just proven damaged, and so lost, or when the disk cannot give it now.

        In the latter case it and its neighbours wait, and the rest goes on.
        """
        last = seq
        try:
            record = ahead.record(seq)
        except StorageError:  # the lane remembers it, for the status
            record = None
            last = self.lane.readable_with(seq)
        if record is None and self.owed_from(seq) == seq:
            self.busy.add(seq, last)
            self.wait(seq, last, now + UNREADABLE_AGAIN_S)
        return record

    def taken(self, seq: int) -> None:
        """A record is on its way out."""
        self.busy.add(seq)
        self.sent_beside(seq)

    def sent_beside(self, seq: int) -> None:
        """A record has left, here or on another way: that the ingest has it says nothing about this box."""
        if seq > self._found_made:
            self._sent.add(seq)

    def is_behind(self, ranges: Iterable[tuple[int, int]]) -> bool:
        """Whether the ingest has numbers of this epoch that we have not made, or made and never sent.

        The latter is a box whose folder was restored, and that has made new records under the old numbers since.
        """
        for first, last in ranges:
            if last > self.lane.made:
                return True
            for gap_first, gap_last in self._sent.gaps(max(first, self._found_made + 1), last):
                if self.lane.settled.gaps(gap_first, gap_last):
                    return True
        return False

    def note_beyond(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Keep what the ingest has above what we have made: what it has not of that is lost."""
        made = self.lane.made
        for first, last in ranges:
            if last > made and self.lane.known_beyond.range_count < MAX_RANGES_BEYOND:
                self.lane.known_beyond.add(max(first, made + 1), last)

    @property
    def may_send(self) -> bool:
        """Whether its new numbers are surely no old ones."""
        return not self.must_renew and not self.lane.doubt_from

    def is_backlogged(self) -> bool:
        """Whether there is any backlog that could go now."""
        end = min(self.live_from, self.lane.made + 1)
        return self.back_at < end and self.owed_from(self.back_at) < end

    def wait(self, first: int, last: int, due: float) -> None:
        """Look at these numbers again when `due`."""
        if self.waiting and abs(self.waiting[-1][0] - due) < _BUCKET_S:
            self.waiting[-1][1].add(first, last)
        else:
            bucket = RangeSet()
            bucket.add(first, last)
            self.waiting.append((due, bucket))
        self.due = min(self.due, due)

    def begin_resends(self) -> None:
        """The ingest takes things, or another broker is there: what must go again goes soon."""
        self.resend_s = RESEND_FIRST_S

    def wake(self, now: float) -> None:
        """What is due and still owed goes back to the backlog."""
        again = False
        for _ in range(len(self.waiting)):
            due, numbers = self.waiting.popleft()
            if due > now:
                self.waiting.append((due, numbers))
                continue
            for first, last in numbers.pairs():
                self.busy.discard(first, last)
                again = again or self.owed_from(first) <= last
                self.back_at = min(self.back_at, first)
                if last >= self.live_from:
                    self.live_from = max(self.live_from, last + 1)
                    self.live_at = max(self.live_at, self.live_from)
        self.due = min((due for due, _numbers in self.waiting), default=float("inf"))
        if again:
            self.resend_s = min(self.resend_s * 2, RESEND_CAP_S)

    def let_go(self, numbers: Iterable[tuple[int, int]]) -> None:
        """The ingest has these. What waits for nothing else need not be looked at again.

        A single number is not taken out of its bucket: many ranges times many buckets would hold up everything else,
        and `wake` passes over what is let go.
        """
        for first, last in numbers:
            self.busy.discard(first, last)
        if self.waiting:
            self.waiting = deque(each for each in self.waiting if self._owes_any(each[1]))
            self.due = min((due for due, _numbers in self.waiting), default=float("inf"))

    def _owes_any(self, numbers: RangeSet) -> bool:
        return any(self.lane.skip_acked(self.uplink, first) <= last for first, last in numbers.pairs())

    def _forget(self, numbers: Iterable[tuple[int, int]]) -> None:
        """Nothing waits for these any more."""
        for first, last in numbers:
            self.busy.discard(first, last)
            for _due, bucket in self.waiting:
                bucket.discard(first, last)
        if any(not bucket for _due, bucket in self.waiting):
            self.waiting = deque((due, bucket) for due, bucket in self.waiting if bucket)
