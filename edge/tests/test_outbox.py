"""What is owed goes in order, once, and again when it must; nothing grows with the backlog."""

import asyncio
import random
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store.errors import Cause, StorageError
from edge.store.lane_view import UNREADABLE_AGAIN_S
from edge.store.outbox import (
    ANSWER_WITHIN_S,
    Entry,
    Outbox,
)
from edge.tests.test_store import balance, disks, store_on


class Bench:
    def __init__(
        self,
        *,
        has_ingest: bool = True,
        quota_bytes: int = 1 << 24,
        segment_bytes: int = 1 << 16,
        monotonic: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.media = disks()
        self.store = store_on(self.media, quota_bytes=quota_bytes, segment_bytes=segment_bytes, monotonic=monotonic)
        self.ahead: list[str] = []
        self.session = 0
        self.has_ingest = has_ingest
        self.begin()

    def begin(self) -> None:
        """As a process does that starts with what lies there."""
        self.outbox = Outbox(list(self.store.lanes.values()), has_ingest=self.has_ingest, on_ahead=self.ahead.append)

    def make(self, lane: str = "telemetry", count: int = 1, size: int = 100) -> None:
        for _ in range(count):
            self.store.lanes[lane].append(f"{lane}/a", b"x" * size)
        self.store.commit_now()

    def drain(self, now: float, most: int = 10_000, *, publish: bool = True) -> list[Entry]:
        taken = []
        while len(taken) < most and (entry := self.outbox.take(now, 1 << 20)) is not None:
            taken.append(entry)
            if publish:
                self.outbox.published(entry, now)
        return taken

    def connect(self, now: float) -> None:
        self.session += 1
        self.outbox.connected(now, self.session)

    def ack(self, lane: str, upto: int, now: float, also=(), *, is_answer: bool = True) -> None:
        answers = self.session if is_answer else None
        self.outbox.acknowledged(lane, self.store.lanes[lane].epoch, upto, also, now, answers=answers)


def seqs(entries, lane="telemetry") -> list[int]:
    return [entry.seq for entry in entries if entry.lane == lane]


def test_nothing_leaves_before_a_broker_serves_us():
    bench = Bench()
    bench.make()
    assert bench.drain(0) == []
    bench.connect(1)
    assert len(bench.drain(1 + ANSWER_WITHIN_S)) == 1


def test_what_was_made_just_before_a_connection_goes_with_it_and_what_is_older_waits():
    """After an outage people see at once how things are."""
    now = 0.0
    bench = Bench(monotonic=lambda: now)
    bench.connect(0)
    bench.make()
    assert seqs(bench.drain(0)) == [1]
    bench.make(count=2)
    bench.drain(0, publish=False)
    bench.outbox.disconnected(0.5)
    for now in (1.0, 57.0, 58.2, 59.5):  # noqa: B007  # it is the store's clock
        bench.make()
    bench.connect(60)
    fresh = bench.drain(60)
    assert [(entry.seq, entry.live, entry.route) for entry in fresh] == [(n, True, "telemetry/a") for n in (6, 7)]
    bench.ack("telemetry", 1, 60.1)
    assert seqs(bench.drain(60.1)) == [2, 3, 4, 5]


def test_ranks_are_kept_and_backfill_gets_a_fifth_of_the_bytes():
    bench = Bench()
    bench.make(count=400)
    bench.begin()
    bench.connect(0)
    bench.ack("telemetry", 0, 0)
    bench.make("event", 100)
    bench.make("transaction", 100)
    bench.make("telemetry", 200)
    taken = bench.drain(1, 500)
    kinds = [(entry.lane, entry.live) for entry in taken]
    backfill = kinds.count(("telemetry", False))
    assert 0.18 < backfill / len(taken) < 0.22
    others = [kind for kind in kinds if kind != ("telemetry", False)]
    assert others == [("transaction", True)] * 100 + [("event", True)] * 100 + [("telemetry", True)] * 200
    assert len(bench.drain(1)) == 300


def test_live_age_stays_low_while_a_backlog_of_100_000_drains():
    """Row 21 of docs/field_failures.md: the newest goes first; p95 of its age stays under 3 s."""
    bench = Bench(segment_bytes=1 << 20, quota_bytes=1 << 28)
    bench.make(count=100_000, size=10)
    bench.connect(0)
    bench.ack("telemetry", 0, 0)
    ages, made_at = [], {}
    now, drained = 0.0, 0
    first_backlog = None
    while drained < 100_000:
        now += 0.1
        bench.make(size=10)
        made_at[bench.store.lanes["telemetry"].made] = now
        for entry in bench.drain(now, 500):
            if entry.seq in made_at:
                ages.append(now - made_at[entry.seq])
            else:
                drained += 1
                first_backlog = first_backlog or now
        bench.ack("telemetry", 0, now, also=[(1, drained)] if drained else ())
    assert sorted(ages)[int(0.95 * len(ages))] < 3
    assert first_backlog < 5


def test_a_backlog_of_events_holds_up_no_live_telemetry_and_is_not_starved_by_it():
    """Row 21 of docs/field_failures.md, with alarms that piled up over an outage."""
    bench = Bench(segment_bytes=1 << 18, quota_bytes=1 << 26)
    bench.make("event", 2_000)
    bench.make("telemetry", 2_000)
    bench.begin()
    bench.connect(0)
    bench.ack("event", 0, 0)
    bench.ack("telemetry", 0, 0)
    late = {"event": 0, "telemetry": 0}
    now = 0.0
    for _ in range(20):
        now += 1
        bench.make("telemetry", 60)
        fresh = bench.store.lanes["telemetry"].made
        taken = bench.drain(now, 100)
        assert fresh in seqs(taken), "live data is not held up"
        for entry in taken:
            late[entry.lane] += not entry.live
    assert 0.18 < late["event"] / 2_000 < 0.22
    assert 0.18 < late["telemetry"] / 2_000 < 0.22
    assert [entry.lane for entry in bench.drain(now, 100)].count("event") > 70, "all of it when others are quiet"


def test_with_a_broker_only_the_puback_lets_go():
    bench = Bench(has_ingest=False)
    bench.make(count=3)
    bench.connect(0)
    assert len(bench.drain(0, publish=False)) == 3
    assert bench.store.lanes["telemetry"].queued == 3
    bench.outbox.disconnected(1)
    bench.connect(2)
    assert len(bench.drain(2)) == 3
    assert bench.store.lanes["telemetry"].queued == 0


def test_what_was_in_flight_when_the_line_broke_is_sent_again_and_nothing_else():
    """Row 18 of docs/field_failures.md."""
    bench = Bench()
    bench.connect(0)
    bench.make(count=20)
    sent = [bench.outbox.take(0, 1 << 20) for _ in range(20)]
    for entry in sent[:16]:
        bench.outbox.published(entry, 0)
    bench.outbox.disconnected(1)
    bench.connect(2)
    bench.ack("telemetry", 10, 2)
    assert seqs(bench.drain(2)) == [11, 12, 13, 14, 15, 16, 17, 18, 19, 20], "the ingest has said that it has ten"


def test_another_broker_gets_what_the_first_took_and_nobody_acknowledged():
    bench = Bench()
    bench.connect(0)
    bench.make(count=5)
    assert len(bench.drain(0)) == 5
    bench.outbox.disconnected(1)
    bench.outbox.broker_changed()
    bench.connect(1)
    bench.ack("telemetry", 2, 1)
    assert seqs(bench.drain(1)) == [3, 4, 5]


def test_what_was_in_flight_when_its_lane_began_again_is_not_taken_for_the_new_record_of_that_number():
    bench = Bench(has_ingest=False)
    bench.connect(0)
    bench.make(count=3)
    old = [bench.outbox.take(0, 1 << 20) for _ in range(3)]
    asyncio.run(bench.store.renew_epoch("telemetry"))
    bench.make(count=3)
    for entry in old:
        bench.outbox.published(entry, 1)
    lane = bench.store.lanes["telemetry"]
    assert (lane.made, lane.acked, lane.queued) == (3, 0, 3)
    fresh = [entry for entry in bench.drain(2) if entry.lane == "telemetry"]
    assert [(entry.seq, entry.epoch) for entry in fresh] == [(1, lane.epoch), (2, lane.epoch), (3, lane.epoch)]
    for entry in old:
        bench.outbox.refused(entry, 3)
    bench.outbox.disconnected(3)
    balance(bench.store)


def test_what_the_disk_cannot_give_now_waits_and_the_rest_goes_on():
    """Row 19 of docs/field_failures.md: a bad spot on the disk neither stops the drain nor counts as lost."""
    bench = Bench(segment_bytes=3_000)
    bench.make(count=100)
    bench.begin()
    bench.store.lanes["telemetry"]._recent.clear()
    bad = bench.media["telemetry"].list()[1]
    bench.media["telemetry"].unreadable.add(bad)
    bench.connect(0)
    bench.ack("telemetry", 0, 0)
    bench.make("event", 2)
    taken = bench.drain(0)
    assert 60 < len(seqs(taken)) < 100
    assert len(seqs(taken, "event")) == 2
    assert bench.store.lanes["telemetry"].lost == 0
    bench.ack("telemetry", 0, 0, also=[(seq, seq) for seq in seqs(taken)])
    bench.media["telemetry"].unreadable.clear()
    assert bench.outbox.next_deadline() <= UNREADABLE_AGAIN_S
    assert sorted(seqs(taken) + seqs(bench.drain(UNREADABLE_AGAIN_S))) == list(range(1, 101))


def test_a_failing_read_is_told_until_one_succeeds():
    bench = Bench(segment_bytes=3_000)
    bench.make(count=100)
    lane = bench.store.lanes["telemetry"]
    lane._recent.clear()
    bench.media["telemetry"].unreadable.update(bench.media["telemetry"].list())
    with pytest.raises(StorageError, match="Input/output") as caught:
        lane.read(1)
    assert caught.value.cause is Cause.BROKEN
    assert "Input/output" in bench.store.trouble
    bench.media["telemetry"].unreadable.clear()
    lane.read(1)
    assert bench.store.trouble is None


def test_an_acknowledgement_of_what_was_declared_lost_or_is_in_flight_leaves_the_ledger_whole():
    bench = Bench(quota_bytes=8_000, segment_bytes=600)
    bench.connect(0)
    bench.make(count=10)
    sent = bench.drain(0, publish=False)
    bench.make(count=300)
    lane = bench.store.lanes["telemetry"]
    assert lane.lost >= 10
    lost = lane.lost
    bench.ack("telemetry", 10, 1)
    balance(bench.store)
    assert (lane.acked, lane.lost) == (0, lost), "what is declared lost stays so"
    for entry in sent:
        bench.outbox.published(entry, 2)
    assert bench.outbox.in_flight() == 0
    assert bench.outbox._views["telemetry"].busy.range_count == 0
    balance(bench.store)


def test_an_acknowledgement_in_many_pieces_holds_up_nothing():
    """Hundreds of seconds without an answer, then one that names every second record."""
    bench = Bench(segment_bytes=1 << 18)
    bench.make(count=6_000, size=10)
    bench.begin()
    bench.connect(0)
    bench.ack("telemetry", 0, 0)
    for now in range(300):
        assert len(bench.drain(now, 20)) == 20
    view = bench.outbox._views["telemetry"]
    assert len(view.waiting) > 100
    began = time.perf_counter()
    bench.ack("telemetry", 0, 300, also=[(n, n) for n in range(2, 4_000, 2)])
    assert time.perf_counter() - began < 0.5
    assert bench.store.lanes["telemetry"].acked > 1_900
    bench.ack("telemetry", 6_000, 301)
    assert not view.waiting
    assert not view.busy
    assert bench.outbox.next_deadline() is None


def test_an_acknowledgement_of_another_epoch_is_passed_over():
    bench = Bench()
    bench.make(count=3)
    bench.connect(0)
    bench.outbox.acknowledged("telemetry", "f" * 16, 3, (), 0)
    assert bench.store.lanes["telemetry"].queued == 3


def test_a_refused_record_is_kept_and_tried_again():
    bench = Bench(has_ingest=False)
    bench.make()
    bench.connect(0)
    entry = bench.outbox.take(0, 1 << 20)
    bench.outbox.refused(entry, 0)
    assert bench.outbox.take(1, 1 << 20) is None
    again = bench.outbox.take(bench.outbox.next_deadline(), 1 << 20)
    assert again.seq == entry.seq


def test_a_record_larger_than_the_room_waits():
    bench = Bench()
    bench.connect(0)
    bench.make(size=1_000)
    assert bench.outbox.take(0, 999) is None
    assert bench.outbox.take(0, 1_000) is not None


def test_what_was_evicted_meanwhile_is_passed_over():
    bench = Bench(quota_bytes=8_000, segment_bytes=600)
    bench.make(count=500)
    bench.connect(0)
    bench.ack("telemetry", 0, 0)
    taken = seqs(bench.drain(1))
    lane = bench.store.lanes["telemetry"]
    assert taken == list(range(lane.lost + 1, 501))
    balance(bench.store)


def test_memory_does_not_grow_with_the_backlog():
    """Row 7 of docs/field_failures.md: ranges, not numbers."""
    bench = Bench(segment_bytes=1 << 18)
    bench.make(count=20_000, size=10)
    bench.connect(10)
    bench.ack("telemetry", 0, 10)
    bench.drain(11)
    view = bench.outbox._views["telemetry"]
    assert view.busy.range_count == 1
    assert len(view.waiting) < 5
    assert len(view.back_ahead._records) < 5_000
    assert view._sent.range_count == 1
    assert sys.getsizeof(view.waiting) < 10_000


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data())
def test_whatever_the_network_does_every_record_arrives_and_the_ledger_holds(data):  # noqa: C901, PLR0912  # a world
    """Row 19 of docs/field_failures.md: random acknowledgements, refusals, breaks and silences; then it drains."""
    bench = Bench(segment_bytes=400)
    rng = random.Random(data.draw(st.integers(0, 1 << 30)))
    received: dict[str, set[int]] = {name: set() for name in bench.store.lanes}
    flying: list[Entry] = []
    now, is_connected = 0.0, False

    def acknowledge() -> None:
        for name, numbers in received.items():
            upto = next(n for n in range(len(numbers) + 2) if n + 1 not in numbers)
            bench.ack(name, upto, now, also=[(n, n) for n in sorted(numbers) if n > upto])

    for _ in range(data.draw(st.integers(20, 120))):
        now += rng.random() * 20
        match rng.choice(["make", "take", "take", "puback", "refuse", "break", "connect", "ack", "ingest", "away"]):
            case "make":
                bench.make(rng.choice(["transaction", "event", "telemetry"]), rng.randint(1, 5), 20)
            case "take":
                while len(flying) < 16 and (entry := bench.outbox.take(now, 1 << 20)) is not None:
                    flying.append(entry)
            case "puback" if flying:
                entry = flying.pop(rng.randrange(len(flying)))
                received[entry.lane].add(entry.seq)
                bench.outbox.published(entry, now)
            case "refuse" if flying:
                bench.outbox.refused(flying.pop(), now)
            case "break" if is_connected:
                flying.clear()
                is_connected = False
                bench.outbox.disconnected(now)
            case "connect" if not is_connected:
                is_connected = True
                bench.connect(now)
            case "ack" if is_connected:
                acknowledge()
            case "ingest":
                bench.outbox.ingest_seen(online=True, now=now, is_retained=False)
            case "away":
                bench.outbox.ingest_seen(online=False, now=now, is_retained=False)
        assert bench.outbox.in_flight() == len(flying)
        balance(bench.store)
    if is_connected:
        bench.outbox.disconnected(now)
    bench.connect(now)
    for _ in range(60):
        now += 30
        bench.outbox.ingest_seen(online=True, now=now, is_retained=False)
        for entry in bench.drain(now):
            received[entry.lane].add(entry.seq)
        acknowledge()
    for name, lane in bench.store.lanes.items():
        assert received[name] == set(range(1, lane.made + 1))
        assert lane.queued == 0
    assert bench.outbox.next_deadline() is None
