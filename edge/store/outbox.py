"""What one uplink still owes: what is in flight, what must go again, and in which order. Pure: `now` comes in.

Order: transactions, live events, live telemetry, then what is late: events, then backfill. Late events and backfill get
a fifth of the bytes each whenever they have something, and all of them when the others are quiet; so neither a backlog
holds up live data, nor live data a backlog. With an ingest, a record is let go on the ingest's acknowledgement only;
what the broker took and the ingest did not acknowledge is sent again after 30 s, doubling to 10 min. Without one, the
broker's PUBACK lets it go.

Live data waits for nobody, but for one thing: where the disk has damaged the end of a lane, its new numbers may be old
ones, so the ingest is given time to say what it has.

Nothing here grows with the backlog: the queue itself is the journal, and what has become of its numbers are ranges.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from edge.store.lane import Lane, Record
from edge.store.lane_view import LaneView
from edge.store.store import LANES
from protocols.wayside.ranges import RangeSet
from protocols.wayside.topics import backfill_route

REFUSED_FIRST_S = 30.0
AHEAD_AGAIN_S = 30.0
"""How often an ingest that is ahead of us is spoken of, until the lane has a new epoch."""
ANSWER_WITHIN_S = 2.0
"""How long, after a connect, backlog waits for an ingest that may be there to say what it has."""
PRESENT_ANSWER_WITHIN_S = 10.0
"""The same for an ingest that is known to be there."""
MAX_UNACKNOWLEDGED = 1_000
"""Late records of a lane that the broker has and a present ingest has not acknowledged: five of its batches."""
INGEST_SILENT_S = 90.0
"""An ingest that was heard repeats itself every 30 s; silent for this long it is away."""
BEHIND_LIVE = ("event", "telemetry")
"""Lanes whose backlog goes after the live records of all lanes."""
LATE_SHARE = 0.2
"""What each backlog behind live data gets of the bytes all the same."""
MAX_CREDIT_BYTES = 65_536


class Entry(msgspec.Struct, frozen=True):
    """One record on its way out."""

    lane: str
    seq: int
    route: str
    """The tail of its topic; telemetry that is sent late travels as `backfill/...`."""
    payload: bytes
    live: bool
    epoch: str


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
        self._views: dict[str, LaneView] = {name: LaneView(by_name[name], uplink) for name in LANES if name in by_name}
        self._order = list(self._views.values())
        self._uplink = uplink
        self._has_ingest = has_ingest
        self._on_ahead = on_ahead
        self._is_connected = False
        self._session = 0
        self._answer_due = 0.0
        self._behind = {name: 0.0 for name in BEHIND_LIVE if name in self._views}
        """Bytes that are due to the backlog of a lane behind live data."""
        self._in_flight: dict[str, RangeSet] = {name: RangeSet() for name in self._views}
        self._ingest_online: bool | None = None
        self._ingest_heard: float | None = None

    # The connection ---------------------------------------------------------------------------------------------

    def connected(self, now: float, session: int) -> None:
        """A broker serves us: nothing is in flight, and what is new by this moment is live.

        session: what the birth says; the ingest's answer repeats it.
        """
        self._is_connected = True
        self._session = session
        self._answer_due = now + ANSWER_WITHIN_S
        self._ingest_online = None
        self._ingest_heard = None
        for view in self._order:
            view.is_answered = not self._has_ingest
            view.begin_connection(now)

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
            view.begin_resends()

    def ingest_seen(self, online: bool, now: float, *, is_retained: bool) -> bool:
        """The ingest's state came by. True when it should be asked, by another birth, what it has.

        An ingest that was there before us, as a retained state says, answers our birth. One that appears in
        mid-connection has missed what we sent since then, perhaps the birth too. What it has it says when asked; what
        it does not have by then, although a broker took it, is owed at once and not after the wait for a second try.
        """
        was_away = self.is_ingest_away(now)
        is_new = online and (was_away or self._ingest_online is None)
        self._ingest_heard = now
        self._ingest_online = online
        if online and was_away:
            for view in self._order:
                view.begin_live()  # what was made while it was away is late by now
        if not is_new or not self._has_ingest:
            return False
        was_there = is_retained and now < self._answer_due and not was_away
        self._answer_due = now + PRESENT_ANSWER_WITHIN_S  # it is there: a busy one is waited for
        if was_there:
            return False
        for view in self._order:
            view.is_answered = False
            view.wake(float("inf"))
            view.begin_resends()
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
        is_open = now >= self._answer_due
        for view in self._order:
            if view.epoch != view.lane.epoch:
                self.epoch_renewed(view.lane.name)
                return self.take(now, max_bytes)
            if view.due <= now:
                view.wake(now)
            if view.lane.doubt_from and not view.must_renew and (is_open or view.is_answered):
                view.lane.trust()  # nobody answers, or nobody could
        found = self._pick(now, is_open=is_open)
        if found is None:
            return None
        view, record, live = found
        if len(record.payload) > max_bytes:
            return None
        name = view.lane.name
        gained = len(record.payload) * LATE_SHARE / (1 - LATE_SHARE)
        for other, credit in self._behind.items():
            if other == name and not live:
                self._behind[other] = max(0.0, credit - len(record.payload))
            else:
                self._behind[other] = min(MAX_CREDIT_BYTES, credit + gained)
        view.taken(record.seq)
        self._in_flight[name].add(record.seq)
        route = backfill_route(record.route) if name == "telemetry" and not live else record.route
        return Entry(name, record.seq, route, record.payload, live, view.epoch)

    def _pick(self, now: float, *, is_open: bool) -> tuple[LaneView, Record, bool] | None:
        for name, credit in self._behind.items():
            found = self._late(self._views[name], now, is_open=is_open) if credit > 0 else None
            if found is not None and credit >= len(found[1].payload):
                return found
        for view in self._order:
            found = None if view.lane.name in self._behind else self._late(view, now, is_open=is_open)
            if found is not None:
                return found
            record = view.live(now) if view.may_send else None
            if record is not None:
                return view, record, True
        for name in self._behind:
            found = self._late(self._views[name], now, is_open=is_open)
            if found is not None:
                return found
        return None

    def _late(self, view: LaneView, now: float, *, is_open: bool) -> tuple[LaneView, Record, bool] | None:
        """The next record of a lane's backlog; none before the ingest has said what it has, or `is_open`.

        None either while the ingest, which is there, owes us too many answers: what a fast broker heaps up in front of
        a slow ingest would stand before live data, and be sent again after a restart.
        """
        if self._ingest_online and len(view.busy) >= MAX_UNACKNOWLEDGED:
            return None
        record = view.back(now) if view.may_send and (is_open or view.is_answered) else None
        return None if record is None else (view, record, False)

    def published(self, entry: Entry, now: float) -> None:
        """The broker has taken it."""
        view = self._landed(entry)
        if view is None:
            return
        if not self._has_ingest:
            view.lane.acknowledge(self._uplink, entry.seq, entry.seq)
            view.busy.discard(entry.seq, entry.seq)
        elif not view.lane.is_acked_by(self._uplink, entry.seq):
            view.wait(entry.seq, entry.seq, now + view.resend_s)
        else:
            view.busy.discard(entry.seq, entry.seq)

    def refused(self, entry: Entry, now: float) -> None:
        """The broker refuses it, or it does not fit: kept, and tried again later."""
        view = self._landed(entry)
        if view is not None:
            view.wait(entry.seq, entry.seq, now + max(REFUSED_FIRST_S, view.resend_s))

    def _landed(self, entry: Entry) -> LaneView | None:
        """It is no longer in flight. None when its lane has begun again meanwhile: its number is another record's."""
        view = self._views[entry.lane]
        if entry.epoch != view.epoch or entry.epoch != view.lane.epoch:
            return None
        self._in_flight[entry.lane].discard(entry.seq, entry.seq)
        return view

    def acknowledged(
        self,
        lane: str,
        epoch: str,
        upto: int,
        also: Iterable[Sequence[int]],
        now: float,
        *,
        answers: int | None = None,
    ) -> None:
        """The ingest has these for good.

        answers: the session whose birth this answers. An acknowledgement of what an earlier connection sent may still
        be on its way after a restart: it says nothing of what follows it, so it opens no backlog.
        """
        self._ingest_heard = now if self._ingest_heard is not None else None
        view = self._views.get(lane)
        if view is None or not self._has_ingest or epoch != view.epoch or epoch != view.lane.epoch:
            return
        ranges = [(1, upto), *((int(first), int(last)) for first, last in also)]
        if view.is_behind(ranges):
            view.note_beyond(ranges)
            view.must_renew = True
            if now >= view.ahead_again:
                view.ahead_again = now + AHEAD_AGAIN_S
                self._on_ahead(lane)
            return
        is_answer = not view.is_answered and answers == self._session
        view.is_answered = view.is_answered or is_answer
        settled = sum(view.lane.acknowledge(self._uplink, first, last) for first, last in ranges if first <= last)
        if settled:
            view.begin_resends()
            view.let_go(_outside(ranges, self._in_flight[lane]))
        if is_answer:
            view.lane.trust()
            view.owe(_outside(view.sent_before.pairs(), self._in_flight[lane]))

    def is_held(self, lane: str) -> bool:
        """Whether nothing of a lane may leave now: its new numbers may be old ones."""
        return not self._views[lane].may_send

    def sent_beside(self, lane: str, seq: int) -> None:
        """A copy of this record leaves on another way than `take`: the ingest may have it before we have sent it."""
        self._views[lane].sent_beside(seq)

    def epoch_renewed(self, lane: str) -> None:
        """A lane has begun again: nothing that was known of its numbers holds. `take` sees it by itself, too."""
        old = self._views[lane]
        self._views[lane] = fresh = LaneView(old.lane, self._uplink)
        fresh.is_answered = True
        fresh.begin_live()
        self._order = list(self._views.values())
        self._in_flight[lane] = RangeSet()

    def next_deadline(self) -> float | None:
        """When `take` may have something although nothing new was made."""
        if not self._is_connected or self._ingest_online is False:
            return None
        deadlines = [view.due for view in self._order if view.waiting]
        if any(view.lane.doubt_from or (not view.is_answered and view.is_backlogged()) for view in self._order):
            deadlines.append(self._answer_due)
        return min(deadlines) if deadlines else None

    def in_flight(self) -> int:
        """Records that wait for the broker."""
        return sum(len(flight) for flight in self._in_flight.values())


def _outside(ranges: Iterable[Sequence[int]], flight: RangeSet) -> list[tuple[int, int]]:
    """The ranges without what is in flight: that is settled when its PUBACK comes."""
    return [gap for first, last in ranges for gap in flight.gaps(first, last)]
