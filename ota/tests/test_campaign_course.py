"""One device's way: each event by itself, then any events in any order against the picture in `ota.campaign.course`."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.course import (
    BAD,
    ENDED,
    MAX_REASON_CHARS,
    ON_ITS_WAY,
    STATES,
    Course,
    State,
    Vitals,
    cancelled,
    ended,
    heard,
    next_look_at,
    passed,
    reached,
    reverting,
    told,
    watched,
)
from ota.campaign.judge import is_counted_bad, tally
from ota.campaign.rules import Campaign, Gate, Stage, When, Window
from ota.errors import Rule

HOUR_S = 3600
CAMPAIGN = Campaign(
    name="x",
    target="rsu/gateway/2.tar",
    stage=[Stage(percent=100, soak_s=HOUR_S)],
    gate=Gate(silent_after_s=6 * HOUR_S),
    when=When(jitter_s=900),
)
NEW = Course(device="bus-1", model="rsu-a", stage=0, before="rsu/gateway/1.tar", usual_records=20_000.0)
TOLD = told(NEW, 7, 1_000)
REACHED = reached(TOLD, 7, 1_060)
CONFIRMED = ended(CAMPAIGN, REACHED, 7, "confirmed", 2_000)


def report(course: Course, outcome: str, rule: str = "", at: int = 2_000) -> Course:
    return ended(CAMPAIGN, course, course.plan, outcome, at, rule, "why")


# One after the other -----------------------------------------------------------------------------------------------


def test_the_way_of_a_device_that_is_well() -> None:
    states = [NEW.state, TOLD.state, REACHED.state, CONFIRMED.state]
    course = heard(CONFIRMED, 2_000 + HOUR_S)
    assert [*states, passed(CAMPAIGN, course, 2_000 + HOUR_S).state] == [
        "waiting",
        "told",
        "reached",
        "confirmed",
        "good",
    ]
    assert (CONFIRMED.plan, CONFIRMED.tries, CONFIRMED.told_at, CONFIRMED.ended_at) == (7, 1, 1_000, 2_000)


@pytest.mark.parametrize("outcome", ["rolled-back", "failed", "refused"])
def test_what_the_release_did_counts_at_once_and_says_why(outcome: str) -> None:
    course = report(REACHED, outcome, Rule.HASH.value)
    assert (course.state, course.rule, course.reason, course.ended_at) == ("failed", "hash", "why", 2_000)
    assert report(REACHED, outcome).rule == ("health" if outcome == "rolled-back" else outcome), "never without a rule"


def test_what_was_rolled_back_is_never_tried_again() -> None:
    for rule in Rule:
        assert report(REACHED, "rolled-back", rule.value).state == "failed"


def test_what_the_surroundings_did_is_tried_again_under_a_new_plan() -> None:
    course = report(REACHED, "failed", Rule.NETWORK.value)
    assert (course.state, course.next_at, next_look_at(CAMPAIGN, course)) == ("retrying", 2_900, 2_900)
    again = told(course, 8, 2_900)
    assert (again.state, again.plan, again.tries, again.rule, again.next_at) == ("told", 8, 2, "", 0)


def test_a_failure_that_is_told_again_later_does_not_put_the_next_try_off() -> None:
    course = report(REACHED, "failed", Rule.NETWORK.value)
    assert report(course, "failed", Rule.NETWORK.value, at=2_800).next_at == 2_900


@pytest.mark.parametrize(("outcome", "state"), [("confirmed", "confirmed"), ("rolled-back", "failed")])
def test_one_that_went_on_by_itself_while_it_was_to_be_told_again_is_believed(outcome: str, state: str) -> None:
    assert report(report(REACHED, "failed", Rule.NETWORK.value), outcome, at=2_500).state == state


def test_a_report_is_enough_without_a_word_before_it() -> None:
    assert report(TOLD, "confirmed").state == "confirmed"


def test_a_reason_is_bounded() -> None:
    course = ended(CAMPAIGN, REACHED, 7, "failed", 2_000, Rule.HASH.value, "x" * 10_000)
    assert len(course.reason) == MAX_REASON_CHARS


# Silence -----------------------------------------------------------------------------------------------------------


def test_one_that_was_told_and_never_reached_is_not_silent() -> None:
    assert passed(CAMPAIGN, TOLD, 1 << 40) is TOLD
    assert next_look_at(CAMPAIGN, TOLD) == 0


def test_one_that_took_its_plan_and_is_not_heard_of_counts_until_it_turns_up() -> None:
    due = next_look_at(CAMPAIGN, REACHED)
    assert due == 1_060 + 6 * HOUR_S + 900
    assert passed(CAMPAIGN, REACHED, due - 1) is REACHED
    silent = passed(CAMPAIGN, REACHED, due)
    assert (silent.state, silent.rule) == ("silent", "silent")
    assert silent.reason == "not heard of for 6.2 hours after it had taken its plan"
    assert tally([silent])["rsu-a"].bad == 1
    back = heard(silent, due + 60)
    assert (back.state, back.rule, back.reason) == ("reached", "", "")
    assert tally([back])["rsu-a"].bad == 0
    assert report(back, "confirmed", at=due + 120).state == "confirmed"


def test_a_report_that_was_on_its_way_when_the_device_fell_silent_counts() -> None:
    silent = passed(CAMPAIGN, REACHED, 1 << 30)
    assert report(silent, "confirmed", at=1_060).state == "confirmed", "another engine's clock is a second behind"
    assert report(silent, "rolled-back", at=1_060).state == "failed"


def test_a_window_gives_a_device_another_day_to_do_nothing() -> None:
    windowed = msgspec.structs.replace(CAMPAIGN, when=When(window=Window(from_="01:00", to="04:00"), jitter_s=900))
    assert next_look_at(windowed, REACHED) == 1_060 + 6 * HOUR_S + 900 + 24 * HOUR_S


@given(st.sampled_from([REACHED, CONFIRMED]), st.integers(0, 1 << 30), st.integers(0, 1 << 30))
def test_nobody_is_silent_because_we_were_deaf(course: Course, now: int, listening_since: int) -> None:
    course = passed(CAMPAIGN, course, now, listening_since)
    if course.state == "silent":
        assert now - listening_since >= 6 * HOUR_S
        assert now - course.heard_at >= 6 * HOUR_S


# The way back ------------------------------------------------------------------------------------------------------


def test_one_that_failed_is_counted_on_its_way_back_and_after_it() -> None:
    failed = report(REACHED, "rolled-back", Rule.HEALTH.value)
    back = reverting(failed, 8, 3_000)
    for course in (failed, back, report(back, "confirmed", at=4_000), report(back, "failed", at=4_000)):
        assert tally([course])["rsu-a"].rules == {"health": 1}
    assert (back.tries, back.plan) == (1, 8), "the way back is no try"


@pytest.mark.parametrize("course", [TOLD, REACHED, CONFIRMED, report(REACHED, "failed", Rule.NETWORK.value)])
def test_one_that_had_not_failed_is_not_counted_for_being_sent_back(course: Course) -> None:
    back = reverting(course, 8, 3_000)
    for each in (back, report(back, "confirmed", at=4_000), report(back, "failed", Rule.NETWORK.value, at=4_000)):
        assert not is_counted_bad(each)


def test_one_that_could_not_go_back_and_does_in_the_end_is_back() -> None:
    stranded = report(reverting(CONFIRMED, 8, 3_000), "failed", Rule.NETWORK.value, at=4_000)
    assert stranded.state == "stranded"
    assert report(stranded, "confirmed", at=9_000).state == "reverted"
    assert ended(CAMPAIGN, stranded, 7, "confirmed", 9_000).state == "stranded", "the release itself is no way back"


def test_one_of_which_nobody_knows_what_it_ran_is_stranded_whatever_it_says() -> None:
    unknown = msgspec.structs.replace(CONFIRMED, state="stranded", before="")
    assert report(unknown, "confirmed", at=9_000).state == "stranded"


# Its health --------------------------------------------------------------------------------------------------------


def test_a_look_from_before_it_confirmed_is_not_where_its_watch_begins() -> None:
    early = watched(CAMPAIGN, CONFIRMED, Vitals(at=1_999, starts=4, records=10))
    assert early is CONFIRMED


def test_an_old_look_that_is_heard_of_late_does_not_begin_the_watch_anew() -> None:
    first = Vitals(at=2_100, starts=5, records=1_000)
    course = watched(CAMPAIGN, CONFIRMED, first)
    assert watched(CAMPAIGN, course, Vitals(at=2_050, starts=4, records=900)).first == first


def test_counters_that_begin_anew_begin_the_watch_anew() -> None:
    course = watched(CAMPAIGN, CONFIRMED, Vitals(at=2_100, starts=5, records=1_000))
    anew = Vitals(at=9_000, starts=6, records=0)
    assert watched(CAMPAIGN, course, anew).first == anew


def test_what_is_worse_counts_as_a_failure_of_its_own_kind() -> None:
    course = watched(CAMPAIGN, CONFIRMED, Vitals(at=2_100, starts=5, records=1_000))
    worse = watched(CAMPAIGN, course, Vitals(at=2_100 + HOUR_S, starts=5, records=1_010))
    assert (worse.state, worse.rule, worse.reason) == ("regressed", "regressed", "240 records a day; 20000 before")


# Any events in any order -------------------------------------------------------------------------------------------

DRAWN: dict[State, set[State]] = {
    "waiting": {"told", "cancelled"},
    "told": {"reached", "confirmed", "failed", "retrying", "cancelled", "reverting"},
    "reached": {"confirmed", "failed", "retrying", "silent", "cancelled", "reverting"},
    "retrying": {"told", "confirmed", "failed", "cancelled", "reverting"},
    "confirmed": {"good", "regressed", "silent", "reverting"},
    "good": {"reverting"},
    "failed": {"reverting"},
    "regressed": {"reverting"},
    "silent": {"reached", "confirmed", "failed", "retrying", "cancelled", "regressed", "reverting"},
    "reverting": {"reverted", "stranded"},
    "stranded": {"reverted"},
    "reverted": set(),
    "cancelled": set(),
}
Move = Callable[[Course, int], Course]
BEHIND = st.sampled_from([0, 0, 0, 0, 1])
"""So many plans is what a device speaks of behind the one that it was told last."""
OUTCOMES = st.sampled_from(["confirmed", "rolled-back", "failed", "refused", "cancelled"])
RULES = st.sampled_from(["", *(rule.value for rule in Rule)])


def tell(course: Course, at: int) -> Course:
    """As an engine does: a new one, or one whose next try is due."""
    is_due = course.state == "waiting" or (course.state == "retrying" and course.next_at <= at)
    return told(course, course.plan + 1, at) if is_due else course


def send_back(course: Course, at: int) -> Course:
    is_told = course.state in ON_ITS_WAY | BAD | {"confirmed", "good"}
    return reverting(course, course.plan + 1, at) if is_told else course


def leave_out(course: Course, at: int) -> Course:
    return cancelled(course, 0, at) if course.state == "waiting" else course


HEARD: st.SearchStrategy[Move] = st.one_of(
    st.just(heard),
    BEHIND.map(lambda behind: lambda course, at: reached(course, course.plan - behind, at)),
    st.tuples(BEHIND, OUTCOMES, RULES).map(
        lambda said: lambda course, at: ended(CAMPAIGN, course, course.plan - said[0], said[1], at, said[2], "why")
    ),
    BEHIND.map(lambda behind: lambda course, at: ended(CAMPAIGN, course, course.plan - behind, "confirmed", at)),
    st.tuples(st.integers(0, 50), st.integers(0, 30_000)).map(
        lambda counts: lambda course, at: watched(CAMPAIGN, course, Vitals(at=at, starts=counts[0], records=counts[1]))
    ),
)
PASSED: st.SearchStrategy[Move] = st.sampled_from([0, 0, 5_000, 1 << 40]).map(
    lambda since: lambda course, at: passed(CAMPAIGN, course, at, since)
)
DONE: st.SearchStrategy[Move] = st.one_of(PASSED, PASSED, PASSED, st.sampled_from([send_back, leave_out]))
LATER_S = st.one_of(st.integers(-60, 9_000), st.just(25_000))
EVENTS = st.lists(st.tuples(LATER_S, st.one_of(HEARD, HEARD, DONE)), min_size=3, max_size=25)


STARTS = st.sampled_from(
    [
        NEW,
        REACHED,
        CONFIRMED,
        report(REACHED, "failed", Rule.NETWORK.value),
        passed(CAMPAIGN, REACHED, 30_000),
        passed(CAMPAIGN, CONFIRMED, 30_000),
        watched(CAMPAIGN, msgspec.structs.replace(CONFIRMED, first=Vitals(at=2_100)), Vitals(at=9_000, starts=90)),
        reverting(CONFIRMED, 8, 3_000),
        report(reverting(CONFIRMED, 8, 3_000), "failed"),
    ]
)


def walk(events: list[tuple[int, Move]], course: Course = NEW) -> list[Course]:
    """What each event made of it. It is told first and whenever it is due, or most walks would not leave the door."""
    way, now = [course], 1_000
    for after_s, move in events:
        way.append(tell(way[-1], now))
        now = max(1, now + after_s)
        way.append(move(way[-1], now))
    return way


@given(STARTS, EVENTS)
def test_no_path_is_taken_that_is_not_drawn(start: Course, events: list[tuple[int, Move]]) -> None:
    way = walk(events, start)
    for before, after in pairwise(way):
        assert before.state == after.state or after.state in DRAWN[before.state]
        assert after.heard_at >= before.heard_at
        assert after.plan >= before.plan


@given(STARTS, EVENTS)
def test_whoever_is_counted_as_bad_has_a_rule_and_nobody_else_is(start: Course, events: list[tuple[int, Move]]) -> None:
    for course in walk(events, start):
        counts = tally([course])["rsu-a"]
        assert counts.bad == (is_counted_bad(course))
        assert "" not in counts.rules
        if course.state in BAD:
            assert counts.bad == 1
        if course.state in {"waiting", "told", "reached", "retrying", "confirmed", "good", "cancelled"}:
            assert counts.bad == 0


def test_a_sign_of_life_that_is_not_newer_says_nothing() -> None:
    silent = passed(CAMPAIGN, REACHED, 1 << 30)
    for at in (1_059, 1_060):
        assert heard(REACHED, at) is REACHED
        assert heard(silent, at) is silent


@given(STARTS, EVENTS, HEARD)
def test_the_same_heard_twice_changes_nothing(start: Course, events: list[tuple[int, Move]], move: Move) -> None:
    course = walk(events, start)[-1]
    once = move(course, 1 << 20)
    assert move(once, 1 << 20) == once


@given(EVENTS, st.integers(100, 1 << 30), OUTCOMES, RULES)
def test_what_is_of_another_plan_changes_nothing_but_when_it_was_heard(
    events: list[tuple[int, Move]], plan: int, outcome: str, rule: str
) -> None:
    course = walk(events)[-1]
    alive = heard(course, 1 << 20)
    assert reached(course, plan, 1 << 20) == alive
    assert ended(CAMPAIGN, course, plan, outcome, 1 << 20, rule, "why") == alive


@given(EVENTS)
def test_whoever_is_looked_at_when_it_asks_for_it_comes_to_an_end_by_time_alone(
    events: list[tuple[int, Move]],
) -> None:
    """Unless it cannot be reached, or is on its way back: these wait for the device."""
    course = walk(events)[-1]
    looks = 0
    while due := next_look_at(CAMPAIGN, course):
        course = tell(course, due) if course.state == "retrying" else passed(CAMPAIGN, course, due)
        looks += 1
        assert looks < 6
    assert course.state in ENDED | {"waiting", "told", "reverting"}


@given(EVENTS, EVENTS, st.randoms(use_true_random=False))
def test_events_of_different_devices_in_any_order_give_the_same_counts(
    first: list[tuple[int, Move]], second: list[tuple[int, Move]], mixed: random.Random
) -> None:
    """Each device's own are in their order; how those of two are mixed says nothing."""
    apart = tally([walk(first)[-1], walk(second, other())[-1]])
    courses, queues = [NEW, other()], [list(first), list(second)]
    clocks = [1_000, 1_000]
    while any(queues):
        which = mixed.randrange(2) if all(queues) else int(not queues[0])
        after_s, move = queues[which].pop(0)
        course = tell(courses[which], clocks[which])
        clocks[which] = max(1, clocks[which] + after_s)
        courses[which] = move(course, clocks[which])
    assert tally(courses) == apart == tally(reversed(courses))


def other() -> Course:
    return msgspec.structs.replace(NEW, device="bus-2", model="rsu-b")


def test_the_states_are_those_of_the_picture() -> None:
    assert set(STATES) == set(DRAWN) == set(get_args(State))
    assert ENDED | ON_ITS_WAY | {"waiting", "confirmed", "reverting"} == set(STATES)
