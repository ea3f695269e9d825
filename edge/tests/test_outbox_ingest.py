"""What an outbox makes of an ingest that answers late, not at all, appears, goes away, or is ahead of it."""

import asyncio

import pytest

from edge.store.folder import BALLAST_BYTES
from edge.store.lane import MAX_ACKED_RANGES
from edge.store.lane_view import RESEND_CAP_S, RESEND_FIRST_S
from edge.store.outbox import (
    AHEAD_AGAIN_S,
    ANSWER_WITHIN_S,
    INGEST_SILENT_S,
    MAX_UNACKNOWLEDGED,
    PRESENT_ANSWER_WITHIN_S,
)
from edge.tests.test_outbox import Bench, seqs
from edge.tests.test_store import balance


def test_live_data_goes_at_once_and_backlog_waits_for_the_ingests_answer():
    bench = Bench()
    bench.make(count=5)
    bench.begin()
    bench.connect(10)
    bench.make(count=2)
    assert seqs(bench.drain(10)) == [6, 7]
    assert bench.outbox.next_deadline() == 10 + ANSWER_WITHIN_S
    bench.ack("telemetry", 3, 10.5)
    late = bench.drain(10.5)
    assert seqs(late) == [4, 5]
    assert {entry.route for entry in late} == {"backfill/a"}


def test_only_the_answer_to_this_birth_opens_the_backlog():
    """What an earlier connection sent may still be on its way to being acknowledged: the rest of it follows."""
    bench = Bench()
    bench.make(count=9)
    bench.begin()
    bench.connect(10)
    bench.outbox.acknowledged("telemetry", bench.store.lanes["telemetry"].epoch, 2, (), 10.1, answers=bench.session - 1)
    bench.ack("telemetry", 4, 10.1, is_answer=False)
    assert bench.drain(10.1) == []
    bench.ack("telemetry", 7, 10.2)
    assert seqs(bench.drain(10.2)) == [8, 9]


def test_an_ingest_that_names_no_session_is_waited_for_and_no_longer():
    bench = Bench()
    bench.make(count=3)
    bench.begin()
    bench.connect(10)
    bench.outbox.ingest_seen(online=True, now=10.1, is_retained=True)
    bench.ack("telemetry", 1, 10.2, is_answer=False)
    assert bench.drain(10.1 + PRESENT_ANSWER_WITHIN_S - 0.01) == []
    assert seqs(bench.drain(10.1 + PRESENT_ANSWER_WITHIN_S)) == [2, 3]


def test_what_was_in_flight_when_the_connection_broke_waits_for_the_answer_however_young_it_is():
    bench = Bench()
    bench.connect(0)
    bench.make(count=3)
    bench.drain(0, publish=False)
    bench.outbox.disconnected(0.1)
    bench.make()
    bench.connect(0.2)
    assert seqs(bench.drain(0.2)) == [4]


def test_an_ingest_that_has_a_copy_of_what_is_still_backlog_is_not_ahead_of_us():
    bench = Bench()
    bench.make(count=5)
    bench.begin()
    bench.make()  # the catalogue: its record is backlog by the time a broker serves us, a retained copy goes at once
    bench.connect(10)
    bench.outbox.sent_beside("telemetry", 6)
    bench.make()
    assert seqs(bench.drain(10)) == [7]
    bench.ack("telemetry", 0, 10.5, also=[(6, 7)])
    assert bench.ahead == []
    assert seqs(bench.drain(10.5)) == [1, 2, 3, 4, 5]


def test_what_the_ingest_does_not_acknowledge_is_sent_again_later_and_later():
    """Row 8 of docs/field_failures.md: the broker took it, nobody stored it."""
    bench = Bench()
    bench.connect(0)
    bench.make("transaction", 3)
    assert len(bench.drain(0)) == 3
    times, now = [], 0.0
    while now < 4_000:
        due = bench.outbox.next_deadline()
        assert due is not None
        now = due
        if seqs(bench.drain(now), "transaction"):
            times.append(now)
    gaps = [round(b - a) for a, b in zip([0.0, *times], times, strict=False)]
    assert gaps[:6] == [30, 60, 120, 240, 480, 600]
    assert max(gaps) <= RESEND_CAP_S + 1
    assert bench.store.lanes["transaction"].queued == 3
    bench.ack("transaction", 3, now)
    assert bench.store.lanes["transaction"].queued == 0
    assert bench.outbox.next_deadline() is None


def test_without_an_answer_what_the_broker_took_waits_its_time_over_a_reconnect():
    bench = Bench()
    bench.connect(0)
    bench.make(count=20)
    sent = [bench.outbox.take(0, 1 << 20) for _ in range(20)]
    for entry in sent[:16]:
        bench.outbox.published(entry, 0)
    bench.outbox.disconnected(1)
    bench.connect(2)
    assert seqs(bench.drain(2 + ANSWER_WITHIN_S)) == [17, 18, 19, 20]
    assert seqs(bench.drain(1 + RESEND_FIRST_S)) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]


@pytest.mark.parametrize("how", ["offline", "silent"])
def test_an_ingest_that_is_away_keeps_us_journaling_until_it_is_back(how):
    bench = Bench()
    bench.connect(0)
    bench.outbox.ingest_seen(online=True, now=0, is_retained=True)
    if how == "offline":
        bench.outbox.ingest_seen(online=False, now=1, is_retained=False)
    now = 1 if how == "offline" else INGEST_SILENT_S + 1
    bench.make(count=3)
    assert bench.drain(now) == []
    assert bench.outbox.ingest_seen(online=True, now=now + 5, is_retained=False) is True
    assert bench.outbox.next_deadline() == now + 5 + PRESENT_ANSWER_WITHIN_S
    assert len(bench.drain(now + 5 + PRESENT_ANSWER_WITHIN_S)) == 3


def test_an_ingest_that_is_away_sets_no_deadline():
    bench = Bench()
    bench.connect(0)
    bench.make()
    bench.drain(0)
    bench.outbox.ingest_seen(online=False, now=1, is_retained=False)
    assert bench.outbox.next_deadline() is None


def test_an_ingest_that_appears_in_mid_connection_is_asked_and_gets_what_it_has_missed():
    bench = Bench()
    bench.connect(0)
    bench.make(count=4)
    assert len(bench.drain(0)) == 4
    assert bench.outbox.ingest_seen(online=True, now=10, is_retained=False) is True
    assert bench.drain(10) == []
    bench.ack("telemetry", 1, 10.1)
    assert seqs(bench.drain(10.1)) == [2, 3, 4]
    assert bench.outbox.ingest_seen(online=True, now=40, is_retained=False) is False


def test_an_ingest_that_was_there_at_birth_is_not_asked_again():
    bench = Bench()
    bench.connect(0)
    assert bench.outbox.ingest_seen(online=True, now=0.1, is_retained=True) is False


def test_an_ingest_that_appears_just_after_us_gets_at_once_what_it_has_missed():
    bench = Bench()
    bench.connect(0)
    bench.make(count=2)
    assert seqs(bench.drain(0.1)) == [1, 2]
    assert bench.outbox.ingest_seen(online=True, now=0.5, is_retained=False) is True
    bench.ack("telemetry", 1, now=0.6)
    assert seqs(bench.drain(0.7)) == [2]


def test_what_goes_again_already_is_not_owed_a_second_time_by_a_late_answer():
    bench = Bench()
    bench.connect(0)
    bench.make(count=2)
    bench.drain(0)
    bench.outbox.disconnected(20)
    bench.connect(25)
    assert seqs(bench.drain(RESEND_FIRST_S, publish=False)) == [1, 2]
    bench.ack("telemetry", 0, now=RESEND_FIRST_S + 1)
    assert bench.drain(RESEND_FIRST_S + 1) == []
    assert bench.outbox.in_flight() == 2


def test_an_ingest_nobody_has_heard_of_is_no_reason_to_wait():
    bench = Bench()
    bench.connect(0)
    bench.make()
    assert len(bench.drain(1_000)) == 1


def test_an_ingest_that_knows_numbers_we_have_not_made_asks_for_a_new_epoch():
    bench = Bench()
    bench.make(count=3)
    bench.connect(0)
    bench.ack("telemetry", 500, 0)
    assert bench.ahead == ["telemetry"]
    assert bench.store.lanes["telemetry"].acked == 0


def test_an_ingest_that_knows_records_we_have_never_sent_asks_for_a_new_epoch():
    """A folder from a backup, and new records under old numbers since: the ingest would take them for repeats."""
    bench = Bench()
    bench.make(count=100)
    bench.begin()
    bench.make(count=20)
    bench.connect(0)
    bench.ack("telemetry", 110, 0.1)
    assert bench.ahead == ["telemetry"]
    assert bench.store.lanes["telemetry"].acked == 0
    bench.ack("telemetry", 110, 1)
    assert bench.ahead == ["telemetry"], "said once"
    bench.ack("telemetry", 110, 0.1 + AHEAD_AGAIN_S)
    assert bench.ahead == ["telemetry"] * 2, "and again, should nothing have come of it"


def test_an_ingest_that_acknowledges_only_every_second_record_costs_no_memory():
    bench = Bench(segment_bytes=1 << 18)
    bench.make(count=10_000, size=10)
    bench.begin()
    bench.connect(0)
    bench.ack("telemetry", 0, 0, also=[(n, n) for n in range(2, 10_000, 2)])
    lane = bench.store.lanes["telemetry"]
    assert lane.acked == MAX_ACKED_RANGES
    assert len(lane.position()) < BALLAST_BYTES / 2
    bench.ack("telemetry", 10_000, 1)
    assert (lane.acked, lane.queued) == (10_000, 0)
    balance(bench.store)


def test_no_more_backlog_is_heaped_up_in_front_of_an_ingest_than_it_answers_for():
    """Row 21 of docs/field_failures.md: live data would wait behind it."""
    bench = Bench(segment_bytes=1 << 18)
    bench.make(count=3_000, size=10)
    bench.connect(0)
    bench.outbox.ingest_seen(online=True, now=0.1, is_retained=True)
    bench.ack("telemetry", 0, 0.2)
    assert len(bench.drain(0.3)) == MAX_UNACKNOWLEDGED
    bench.make(size=10)
    assert [entry.live for entry in bench.drain(0.4)] == [True]
    bench.ack("telemetry", 500, 0.5)
    assert len(bench.drain(0.6)) == 499


def test_an_ingest_that_is_there_is_waited_for_longer():
    bench = Bench()
    bench.make(count=3)
    bench.begin()
    bench.connect(0)
    bench.outbox.ingest_seen(online=True, now=0.1, is_retained=True)
    assert bench.drain(ANSWER_WITHIN_S + 1) == []
    assert len(bench.drain(PRESENT_ANSWER_WITHIN_S + 0.2)) == 3


def test_another_broker_gets_what_the_one_before_took_and_nobody_acknowledged():
    bench = Bench()
    bench.connect(0)
    bench.make(count=2)
    bench.drain(0)
    bench.outbox.disconnected(1)
    bench.connect(2)
    bench.outbox.broker_changed()
    assert seqs(bench.drain(2 + ANSWER_WITHIN_S)) == [1, 2]


@pytest.mark.parametrize("what", ["another broker", "an ingest that appears", "an acknowledgement"])
def test_the_wait_for_a_second_try_begins_anew_with(what):
    bench = Bench()
    bench.connect(0)
    bench.make()
    now, wait = 0.0, RESEND_FIRST_S
    for _ in range(4):
        assert seqs(bench.drain(now)) == [1]
        now, wait = now + wait, wait * 2
    bench.drain(now)
    again_s = RESEND_FIRST_S
    if what == "another broker":
        bench.outbox.broker_changed()
    elif what == "an acknowledgement":
        bench.make("telemetry")
        bench.drain(now)
        bench.ack("telemetry", 0, now, also=[(2, 2)])
        now, again_s = now + wait, 2 * RESEND_FIRST_S
    else:
        bench.outbox.ingest_seen(online=True, now=now, is_retained=False)
        bench.ack("event", 0, now)
        now += PRESENT_ANSWER_WITHIN_S
    assert seqs(bench.drain(now)) == [1]
    assert bench.drain(now + again_s - 0.1) == []
    assert seqs(bench.drain(now + again_s)) == [1]


def test_what_is_live_stays_live_when_an_ingest_is_found_to_be_there():
    bench = Bench()
    bench.connect(10)
    bench.make()
    bench.outbox.ingest_seen(online=True, now=10.1, is_retained=True)
    assert [(entry.seq, entry.live) for entry in bench.drain(10.1)] == [(1, True)]


def test_what_is_acknowledged_before_the_brokers_puback_leaves_nothing_behind():
    bench = Bench()
    bench.connect(0)
    bench.make()
    (entry,) = bench.drain(0, publish=False)
    bench.ack("telemetry", 1, 0.1)
    bench.outbox.published(entry, 0.2)
    assert len(bench.outbox._views["telemetry"].busy) == 0
    assert bench.outbox.next_deadline() is None


def test_an_acknowledgement_of_a_lane_that_we_do_not_have_is_nothing():
    bench = Bench()
    bench.connect(0)
    bench.outbox.acknowledged("weather", "0" * 16, 3, (), 0, answers=bench.session)
    assert bench.ahead == []


def test_what_is_made_in_a_new_epoch_before_anybody_looks_goes_at_once():
    bench = Bench()
    bench.connect(0)
    asyncio.run(bench.store.renew_epoch("telemetry"))
    bench.make(count=2)
    assert seqs(bench.drain(0)) == [1, 2]
