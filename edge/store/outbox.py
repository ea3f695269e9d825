"""What one uplink still owes: what is in flight, what must go again, and in which order. Pure: `now` comes in.

Order: transactions, events, live telemetry, then backfill, which gets a fifth of the bytes whenever it has something
and all of them when the others are quiet. With an ingest, a record is let go on the ingest's acknowledgement only;
what the broker took and the ingest did not acknowledge is sent again after 30 s, doubling to 10 min. Without one, the
broker's PUBACK lets it go.

Nothing here grows with the backlog: the queue itself is the journal, and what has become of its numbers are ranges.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from edge.store.lane import Lane, Record
from edge.store.store import LANES
from protocols.wayside.ranges import RangeSet
from protocols.wayside.topics import backfill_route

RESEND_FIRST_S, RESEND_CAP_S = 30.0, 600.0
REFUSED_FIRST_S = 30.0
ANSWER_WITHIN_S = 2.0
"""How long, after a connect, backlog waits for the ingest to say what it has."""
INGEST_SILENT_S = 90.0
"""An ingest that was heard repeats itself every 30 s; silent for this long it is away."""
BACKFILL_SHARE = 0.2
MAX_CREDIT_BYTES = 65_536
MAX_LIVE_LAG = 1_000
"""Live telemetry that lies further behind than this is backlog: the newest goes first."""
_BUCKET_S = 1.0


class Entry(msgspec.Struct, frozen=True):
    """One record on its way out."""

    lane: str
    seq: int
    route: str
    """The tail of its topic; telemetry that is sent late travels as `backfill/...`."""
    payload: bytes
    live: bool


class _LaneView:
    """One lane as this uplink sees it."""

    def __init__(self, lane: Lane, uplink: str) -> None:
        self.lane = lane
        self.uplink = uplink
        self.live_from = lane.next_seq
        self.live_at = lane.next_seq
        self.back_at = 1
        self.busy = RangeSet()
        """In flight, or sent and waiting for the ingest, or refused and waiting to be tried again."""
        self.waiting: deque[tuple[float, RangeSet]] = deque()
        self.due = float("inf")
        self.sent_before = RangeSet()
        """What the broker had taken before this connection began, and nobody has acknowledged."""
        """(due, numbers) of what was sent or refused; when due, what is still owed goes again."""
        self.resend_s = RESEND_FIRST_S
        self.is_answered = False
        self.ahead: deque[Record] = deque()
        """Backlog read ahead from the journal."""

    def begin_live(self) -> None:
        """What is made from now on is live; all before it is backlog."""
        self.live_from = self.live_at = self.lane.made + 1
        self.back_at = 1

    def begin_connection(self) -> None:
        """What was sent before is told apart: the ingest's first answer says which of it has got lost on the way."""
        self.begin_live()
        self.sent_before = RangeSet()
        for _due, numbers in self.waiting:
            for first, last in numbers.pairs():
                self.sent_before.add(first, last)

    def owe(self, numbers: RangeSet) -> None:
        """These go again, as far as nobody has let them go."""
        pairs = [(first, last) for first, last in numbers.pairs()]
        self.forget_busy(pairs)
        for first, _last in pairs:
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

    def live(self) -> Record | None:
        """The next live record, or None."""
        made = self.lane.made
        if made - self.live_at > MAX_LIVE_LAG:
            self.live_from = self.live_at = made
        while True:
            seq = self.live_at = self.owed_from(self.live_at)
            if seq > made:
                return None
            records = self.lane.read(seq)
            if not records:
                return None
            if records[0].seq == seq:
                return records[0]
            # What lay between has just proven damaged: it is lost by now, and the next look passes over it.

    def back(self) -> Record | None:
        """The next record of the backlog, or None."""
        while True:
            seq = self.owed_from(self.back_at)
            self.back_at = min(seq, self.live_from)
            if seq >= self.live_from or seq > self.lane.made:
                return None
            while self.ahead and self.ahead[0].seq < seq:
                self.ahead.popleft()
            if not self.ahead or self.ahead[0].seq > seq:
                self.ahead = deque(self.lane.read(seq))
                if not self.ahead:
                    if self.owed_from(seq) == seq:
                        return None  # not readable and not lost either: the disk is at fault; try again later
                    continue
            if self.ahead[0].seq == seq:
                return self.ahead[0]

    def is_backlogged(self) -> bool:
        """Whether there is any backlog that could go now."""
        return self.owed_from(self.back_at) < min(self.live_from, self.lane.made + 1)

    def wait(self, seq: int, due: float) -> None:
        """Look at a number again when `due`."""
        if self.waiting and abs(self.waiting[-1][0] - due) < _BUCKET_S:
            self.waiting[-1][1].add(seq)
        else:
            bucket = RangeSet()
            bucket.add(seq)
            self.waiting.append((due, bucket))
        self.due = min(self.due, due)

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

    def forget_busy(self, numbers: Iterable[tuple[int, int]]) -> None:
        """These are let go: nothing waits for them any more."""
        for first, last in numbers:
            self.busy.discard(first, last)
            for _due, bucket in self.waiting:
                bucket.discard(first, last)
        if any(not bucket for _due, bucket in self.waiting):
            self.waiting = deque((due, bucket) for due, bucket in self.waiting if bucket)


class Outbox:
    """See the module's docstring. `on_ahead` is called when the ingest knows numbers that this node has not made."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        uplink: str = "mqtt",
        has_ingest: bool,
        on_ahead: Callable[[str], None],
    ) -> None:
        by_name = {lane.name: lane for lane in lanes}
        self._views: dict[str, _LaneView] = {
            name: _LaneView(by_name[name], uplink) for name in LANES if name in by_name
        }
        self._order = list(self._views.values())
        self._uplink = uplink
        self._has_ingest = has_ingest
        self._on_ahead = on_ahead
        self._is_connected = False
        self._answer_due = 0.0
        self._credit = 0.0
        self._in_flight: dict[str, RangeSet] = {name: RangeSet() for name in self._views}
        self._ingest_online: bool | None = None
        self._ingest_heard: float | None = None

    # The connection ---------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A broker serves us: nothing is in flight, and what is newer than this moment is live."""
        self._is_connected = True
        self._answer_due = now + ANSWER_WITHIN_S
        self._ingest_online = None
        self._ingest_heard = None
        for view in self._order:
            view.is_answered = not self._has_ingest
            view.begin_connection()

    def disconnected(self, now: float) -> None:
        """The connection ended: what was in flight is owed again."""
        self._is_connected = False
        for name, view in self._views.items():
            flight = self._in_flight[name]
            for first, last in flight.pairs():
                view.busy.discard(first, last)
            self._in_flight[name] = RangeSet()
            view.begin_live()
        del now

    def broker_changed(self) -> None:
        """Another broker than before serves us: what that one took and nobody acknowledged is owed to this one."""
        for view in self._order:
            view.wake(float("inf"))
            view.resend_s = RESEND_FIRST_S

    def ingest_seen(self, online: bool, now: float) -> bool:
        """The ingest's retained state came by. True when it should be asked, by another birth, what it has.

        An ingest that appears in mid-connection has missed our birth. What it has it says when asked; what it does not
        have by then, although a broker took it, is owed at once and not after the wait for a second try.
        """
        was_away = self.is_ingest_away(now)
        is_new = online and (was_away or self._ingest_online is None)
        self._ingest_heard = now
        self._ingest_online = online
        if online and was_away:
            for view in self._order:
                view.begin_live()  # what was made while it was away is late by now
        if not is_new or not self._has_ingest or now < self._answer_due:
            return False
        self._answer_due = now + ANSWER_WITHIN_S
        for view in self._order:
            view.is_answered = False
            view.wake(float("inf"))
            view.resend_s = RESEND_FIRST_S
        return True

    def is_ingest_away(self, now: float) -> bool:
        """Offline, or silent although it was heard before."""
        if not self._has_ingest:
            return False
        if self._ingest_heard is not None and now - self._ingest_heard > INGEST_SILENT_S:
            return True
        return self._ingest_online is False

    # Records ----------------------------------------------------------------------------------------------------

    def take(self, now: float, max_bytes: int) -> Entry | None:
        """The next record to publish, if one is due and at most `max_bytes` long."""
        if not self._is_connected or self.is_ingest_away(now):
            return None
        for view in self._order:
            if view.due <= now:
                view.wake(now)
        is_open = now >= self._answer_due
        found = self._pick(is_open=is_open)
        if found is None:
            return None
        view, record, live = found
        if len(record.payload) > max_bytes:
            return None
        name = view.lane.name
        is_backfill = not live and name == "telemetry"
        if is_backfill:
            self._credit = max(0.0, self._credit - len(record.payload))
        else:
            gained = len(record.payload) * BACKFILL_SHARE / (1 - BACKFILL_SHARE)
            self._credit = min(MAX_CREDIT_BYTES, self._credit + gained)
        view.busy.add(record.seq)
        self._in_flight[name].add(record.seq)
        route = backfill_route(record.route) if is_backfill else record.route
        return Entry(name, record.seq, route, record.payload, live)

    def _pick(self, *, is_open: bool) -> tuple[_LaneView, Record, bool] | None:
        telemetry = self._views.get("telemetry")
        if telemetry is not None and self._credit > 0 and (is_open or telemetry.is_answered):
            record = telemetry.back()
            if record is not None and self._credit >= len(record.payload):
                return telemetry, record, False
        for view in self._order:
            if view is not telemetry and (is_open or view.is_answered):
                record = view.back()
                if record is not None:
                    return view, record, False
            record = view.live()
            if record is not None:
                return view, record, True
        if telemetry is not None and (is_open or telemetry.is_answered):
            record = telemetry.back()
            if record is not None:
                return telemetry, record, False
        return None

    def published(self, entry: Entry, now: float) -> None:
        """The broker has taken it."""
        view = self._views[entry.lane]
        self._in_flight[entry.lane].discard(entry.seq, entry.seq)
        if not self._has_ingest:
            view.lane.acknowledge(self._uplink, entry.seq, entry.seq)
            view.busy.discard(entry.seq, entry.seq)
        elif not view.lane.is_acked_by(self._uplink, entry.seq):
            view.wait(entry.seq, now + view.resend_s)
        else:
            view.busy.discard(entry.seq, entry.seq)

    def refused(self, entry: Entry, now: float) -> None:
        """The broker refuses it, or it does not fit: kept, and tried again later."""
        view = self._views[entry.lane]
        self._in_flight[entry.lane].discard(entry.seq, entry.seq)
        view.wait(entry.seq, now + max(REFUSED_FIRST_S, view.resend_s))

    def acknowledged(self, lane: str, epoch: str, upto: int, also: Iterable[Sequence[int]], now: float) -> None:
        """The ingest has these for good."""
        self._ingest_heard = now if self._ingest_heard is not None else None
        view = self._views.get(lane)
        if view is None or not self._has_ingest or epoch != view.lane.epoch:
            return
        is_answer = not view.is_answered
        view.is_answered = True
        ranges = [(1, upto), *((int(first), int(last)) for first, last in also)]
        if max(last for _first, last in ranges) > view.lane.made:
            self._on_ahead(lane)
            return
        settled = sum(view.lane.acknowledge(self._uplink, first, last) for first, last in ranges if first <= last)
        if settled:
            view.resend_s = RESEND_FIRST_S
            view.forget_busy(_outside(ranges, self._in_flight[lane]))
        if is_answer:
            view.owe(view.sent_before)

    def epoch_renewed(self, lane: str) -> None:
        """A lane has begun again: nothing that was known of its numbers holds."""
        old = self._views[lane]
        self._views[lane] = fresh = _LaneView(old.lane, self._uplink)
        fresh.is_answered = True
        fresh.begin_live()
        self._order = list(self._views.values())
        self._in_flight[lane] = RangeSet()

    def next_deadline(self) -> float | None:
        """When `take` may have something although nothing new was made."""
        if not self._is_connected or self._ingest_online is False:
            return None
        deadlines = [view.due for view in self._order if view.waiting]
        if any(not view.is_answered and view.is_backlogged() for view in self._order):
            deadlines.append(self._answer_due)
        return min(deadlines) if deadlines else None

    def in_flight(self) -> int:
        """Records that wait for the broker."""
        return sum(len(flight) for flight in self._in_flight.values())


def _outside(ranges: Iterable[tuple[int, int]], flight: RangeSet) -> list[tuple[int, int]]:
    """The ranges without what is in flight: that is settled when its PUBACK comes."""
    return [gap for first, last in ranges for gap in flight.gaps(first, last)]
