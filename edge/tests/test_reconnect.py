"""When to try which broker: the rule under a clock that the test holds."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.uplinks.reconnect import (
    DWELL_FIRST_S,
    DWELL_MOST_S,
    GUESS_MEMORY_S,
    JITTER_CAP_S,
    LONG_CAP_S,
    METERED_LEAST_S,
    METERED_MOST_S,
    PATIENT_AFTER_S,
    PERSON_LEAST_S,
    PROBE_FIRST_S,
    PROBE_MOST_S,
    STEADY_S,
    VERSION_MEMORY_S,
    Failure,
    Reconnect,
)

FAILURES = [failure for failure in Failure if failure is not Failure.PREFERRED_IS_BACK]  # that one is our own wish

Uniform = Callable[[float, float], float]


def highest(_least: float, most: float) -> float:
    return most


def lowest(least: float, _most: float) -> float:
    return least


def rule(*, brokers: int = 1, metered: bool = False, uniform: Uniform = highest, now: float = 0.0) -> Reconnect:
    return Reconnect(brokers=brokers, metered=metered, now=now, uniform=uniform)


def fail(reconnect: Reconnect, failure: Failure = Failure.LINK) -> float:
    """Make the next attempt fail, and say how long the wait after it is."""
    attempt = reconnect.next_attempt(0.0)
    now = attempt.at
    reconnect.failed(now, failure, mqtt5=attempt.mqtt5)
    return reconnect.next_attempt(now).at - now


def test_the_first_attempt_is_due_at_once_at_the_first_broker_in_version_5() -> None:
    assert rule(brokers=3, now=7.0).next_attempt(7.0) == (7.0, 0, True)


def test_waits_are_drawn_from_nothing_to_four_seconds_for_ten_minutes() -> None:
    reconnect = rule(uniform=random.Random(1).uniform)
    waits = []
    while reconnect.next_attempt(0.0).at < PATIENT_AFTER_S:
        waits.append(fail(reconnect))
    assert all(0 <= wait <= JITTER_CAP_S for wait in waits)
    assert min(waits) < 0.2
    assert max(waits) > 3.8
    assert 1.8 < sum(waits) / len(waits) < 2.2  # even: half the cap on average


def test_after_ten_minutes_the_cap_doubles_to_two_minutes() -> None:
    reconnect = rule()
    while reconnect.next_attempt(0.0).at < PATIENT_AFTER_S:
        assert fail(reconnect) == JITTER_CAP_S
    assert [fail(reconnect) for _ in range(7)] == [8, 16, 32, 64, 120, 120, 120]
    assert LONG_CAP_S == 120


def test_a_link_that_comes_up_is_tried_at_once_and_eagerly_again() -> None:
    reconnect = rule()
    while fail(reconnect) < LONG_CAP_S:
        pass
    now = reconnect.next_attempt(0.0).at - 100
    reconnect.link_up(now)
    assert reconnect.next_attempt(now).at == now
    assert fail(reconnect) == JITTER_CAP_S


def test_a_link_that_comes_up_leaves_a_connection_alone() -> None:
    reconnect = rule()
    reconnect.connected(1.0)
    reconnect.link_up(50.0)
    reconnect.lost(60.0, Failure.LINK)
    assert reconnect.next_attempt(60.0).at == 60 + JITTER_CAP_S


def test_metered_waits_are_half_a_minute_to_five_minutes() -> None:
    least = rule(metered=True, uniform=lowest)
    assert [fail(least) for _ in range(4)] == [METERED_LEAST_S] * 4
    most = rule(metered=True)
    assert [fail(most) for _ in range(5)] == [60, 120, 240, METERED_MOST_S, METERED_MOST_S]
    now = most.next_attempt(0.0).at - 200
    most.link_up(now)
    assert most.next_attempt(now).at == now


def test_two_failures_and_the_next_broker_has_its_turn() -> None:
    reconnect = rule(brokers=3)
    turns = []
    for _ in range(8):
        turns.append(reconnect.next_attempt(0.0).broker)
        fail(reconnect)
    assert turns == [0, 0, 1, 1, 2, 2, 0, 0]


@pytest.mark.parametrize("failure", [Failure.DEAD_LINK, Failure.NO_INGEST, Failure.TAKEN_OVER])
def test_a_dead_link_sends_to_the_next_broker_at_once(failure: Failure) -> None:
    reconnect = rule(brokers=2)
    reconnect.connected(0.0)
    reconnect.lost(100.0, failure)
    assert reconnect.next_attempt(100.0)[:2] == (100 + JITTER_CAP_S, 1)


def test_a_connection_that_hangs_up_goes_back_to_its_broker() -> None:
    reconnect = rule(brokers=2)
    reconnect.connected(0.0)
    reconnect.lost(100.0, Failure.LINK)
    assert reconnect.next_attempt(100.0).broker == 0
    assert reconnect.outage_since == 100


def test_a_connection_that_never_stands_long_is_no_end_of_the_outage() -> None:
    reconnect = rule(brokers=2)
    for second in range(2):
        reconnect.connected(float(second))
        reconnect.lost(second + STEADY_S / 2, Failure.LINK)
    assert reconnect.outage_since == 0
    assert reconnect.next_attempt(9.0).broker == 1


def test_what_a_person_must_mend_is_tried_about_once_a_minute() -> None:
    reconnect = rule(uniform=lowest)
    assert fail(reconnect, Failure.CREDENTIAL) == PERSON_LEAST_S
    assert fail(reconnect, Failure.LINK) == 0  # another failure now, so the old one no longer counts


def test_another_broker_need_not_wait_for_the_person() -> None:
    reconnect = rule(brokers=2)
    assert fail(reconnect, Failure.CREDENTIAL) == JITTER_CAP_S
    assert reconnect.next_attempt(0.0).broker == 1
    assert fail(reconnect, Failure.CREDENTIAL) > PERSON_LEAST_S  # now both need one
    assert reconnect.next_attempt(0.0).broker == 0


def test_a_broker_that_refuses_version_5_gets_3_1_1_at_once_and_for_a_day() -> None:
    reconnect = rule()
    assert fail(reconnect, Failure.VERSION) == 0
    assert not reconnect.next_attempt(0.0).mqtt5
    reconnect.connected(0.0)
    reconnect.lost(VERSION_MEMORY_S / 2, Failure.LINK)
    assert not reconnect.next_attempt(VERSION_MEMORY_S / 2).mqtt5
    assert reconnect.next_attempt(VERSION_MEMORY_S).mqtt5


def test_the_version_is_remembered_for_each_broker() -> None:
    reconnect = rule(brokers=2)
    fail(reconnect, Failure.VERSION)
    fail(reconnect)
    fail(reconnect)
    assert reconnect.next_attempt(0.0)[1:] == (1, True)
    fail(reconnect)
    fail(reconnect)
    assert reconnect.next_attempt(0.0)[1:] == (0, False)


def test_a_broker_that_refuses_both_versions_waits_like_any_other() -> None:
    reconnect = rule()
    assert fail(reconnect, Failure.VERSION) == 0
    assert fail(reconnect, Failure.VERSION) == JITTER_CAP_S
    assert reconnect.next_attempt(0.0).mqtt5


def test_two_silent_closes_are_taken_for_a_refused_version_but_soon_forgotten() -> None:
    reconnect = rule()
    fail(reconnect, Failure.SILENT_CLOSE)
    assert reconnect.next_attempt(0.0).mqtt5
    fail(reconnect, Failure.SILENT_CLOSE)
    assert not reconnect.next_attempt(0.0).mqtt5
    fail(reconnect, Failure.SILENT_CLOSE)
    fail(reconnect, Failure.SILENT_CLOSE)
    assert reconnect.next_attempt(0.0).mqtt5  # 3.1.1 did no better
    fail(reconnect, Failure.SILENT_CLOSE)
    fail(reconnect, Failure.SILENT_CLOSE)
    assert not reconnect.next_attempt(0.0).mqtt5
    reconnect.connected(100.0)
    reconnect.lost(GUESS_MEMORY_S + 200, Failure.LINK)
    assert reconnect.next_attempt(GUESS_MEMORY_S + 200).mqtt5


def test_while_another_broker_serves_the_preferred_one_is_probed_ever_more_rarely() -> None:
    reconnect = rule(brokers=2)
    fail(reconnect)
    fail(reconnect)
    assert reconnect.probe_due() is None
    reconnect.connected(0.0)
    waits, now = [], 0.0
    for _ in range(6):
        due = reconnect.probe_due()
        assert due is not None
        waits.append(due - now)
        now = due
        reconnect.probed(now)
    assert waits == [PROBE_FIRST_S, 600, 1200, 2400, PROBE_MOST_S, PROBE_MOST_S]
    reconnect.lost(now, Failure.PREFERRED_IS_BACK)
    assert reconnect.next_attempt(now) == (now, 0, True)
    assert reconnect.probe_due() is None


def test_the_preferred_broker_is_not_probed_while_it_serves() -> None:
    reconnect = rule(brokers=2)
    reconnect.connected(0.0)
    assert reconnect.probe_due() is None


def test_a_switch_back_that_fails_does_not_start_the_probing_anew() -> None:
    reconnect = rule(brokers=2)
    reconnect.connected(0.0)
    reconnect.lost(100.0, Failure.DEAD_LINK)
    reconnect.connected(101.0)
    due = reconnect.probe_due()
    assert due == 101 + PROBE_FIRST_S
    reconnect.probed(due)
    reconnect.lost(due, Failure.PREFERRED_IS_BACK)
    reconnect.connected(due)
    reconnect.lost(due + 1, Failure.DEAD_LINK)  # it took the connection and dropped it
    reconnect.connected(due + 2)
    assert reconnect.probe_due() == due + 2 + 2 * PROBE_FIRST_S


def test_brokers_without_an_ingest_are_walked_ever_more_slowly_until_one_is_heard() -> None:
    reconnect = rule(brokers=2)
    stays = []
    for second in range(0, 70, 10):
        stays.append(reconnect.dwell_s)
        reconnect.connected(second + 0.0)
        reconnect.lost(second + 9.0, Failure.NO_INGEST)
    assert stays == [DWELL_FIRST_S, 60, 120, 240, 480, DWELL_MOST_S, DWELL_MOST_S]
    reconnect.ingest_heard()
    assert reconnect.dwell_s == DWELL_FIRST_S


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    brokers=st.integers(1, 4),
    metered=st.booleans(),
    seed=st.integers(0, 99),
    what=st.lists(st.tuples(st.sampled_from(FAILURES), st.floats(0, 2000), st.booleans()), max_size=60),
)
def test_whatever_happens_the_next_attempt_is_bounded_and_never_in_the_past(
    brokers: int, metered: bool, seed: int, what: list[tuple[Failure, float, bool]]
) -> None:
    reconnect = rule(brokers=brokers, metered=metered, uniform=random.Random(seed).uniform)
    now = 0.0
    at_once = 0
    for failure, stood_s, stood in what:
        attempt = reconnect.next_attempt(now)
        assert now <= attempt.at <= now + METERED_MOST_S
        assert 0 <= attempt.broker < brokers
        at_once = at_once + 1 if attempt.at == now else 0
        assert at_once <= 2  # no broker can make it spin
        now = attempt.at
        if stood:
            reconnect.connected(now)
            now += stood_s
            reconnect.lost(now, failure)
        else:
            reconnect.failed(now, failure, mqtt5=attempt.mqtt5)
