"""The gate: exact cases, then any counts: never on while condemned, never milder for more failures, never blind."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.course import Course, State
from ota.campaign.judge import Tally, Verdict, condemned, in_words, is_condemned, judge, tally
from ota.campaign.rules import Campaign, Gate, Stage

DAY_S = 86_400
GATE = Gate()
CAMPAIGN = Campaign(name="x", target="rsu/x.tar", stage=[Stage(percent=1), Stage(percent=10), Stage(percent=100)])
FIRST, LAST = 0, 2
MILDNESS = ("halt-and-revert", "halt", "pause", "wait", "next", "finish")


def counts(**states: int) -> Tally:
    """By state; those that are bad for their health."""
    bad = sum(states.get(state, 0) for state in ("failed", "silent", "regressed"))
    named: dict[State, int] = {state: number for state, number in states.items() if number}  # type: ignore[misc]
    return Tally(states=named, rules={"health": bad} if bad else {})


def verdict(
    of_stage: Mapping[str, Tally] | Tally,
    *,
    stage: int = FIRST,
    so_far: Mapping[str, Tally] | None = None,
    after_s: int = DAY_S,
    campaign: Campaign = CAMPAIGN,
) -> Verdict:
    if isinstance(of_stage, Tally):
        of_stage = {"rsu-a": of_stage}
    now = 1_000 + after_s
    return judge(campaign, stage, of_stage, of_stage if so_far is None else so_far, begun_at=1_000, now=now)


# Condemned ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "ended", "is_so"),
    [
        (4, 20, False),  # below the least number of failures
        (5, 19, False),  # below the least sample
        (5, 20, True),
        (5, 92, True),
        (5, 93, False),
        (6, 100, True),
        (10, 1_000, False),
        (24, 1_000, True),
        (23, 1_000, False),
    ],
)
def test_the_counts_from_which_a_release_is_condemned(bad: int, ended: int, is_so: bool) -> None:
    """By hand: the bound is above 1 % where bad / ended - 0.01 > 4.26489 * sqrt(0.0099 / ended)."""
    assert is_condemned(GATE, bad, ended) is is_so


def test_a_bad_release_is_named_with_its_counts_and_what_is_tolerated() -> None:
    found = condemned(GATE, {"rsu-a": counts(good=30, failed=10)})
    assert found is not None
    assert (found.action, found.models) == ("halt-and-revert", ("rsu-a",))
    assert found.reason == ("rsu-a: 10 of 40 failed (10 health): at least 7.4 % of all would, 1 % are tolerated")


def test_one_bad_model_is_condemned_and_those_that_are_well_are_not() -> None:
    found = condemned(GATE, {"rsu-a": counts(good=500, failed=2), "rsu-b": counts(good=20, failed=10)})
    assert found is not None
    assert found.models == ("rsu-b",)


def test_failures_that_are_few_on_each_model_condemn_those_on_which_they_are() -> None:
    so_far = {"a": counts(good=8, failed=4), "b": counts(good=9, failed=4), "c": counts(good=60)}
    found = condemned(GATE, so_far)
    assert found is not None
    assert found.models == ("a", "b")
    assert found.reason == (
        "all models together: 8 of 85 failed (8 health): at least 2.4 % of all would, 1 % are tolerated; "
        "the worst of them a: 4 of 12; b too: 4 of 13"
    )


def test_a_rare_model_is_not_let_go_because_another_one_was_condemned_meanwhile() -> None:
    rare = counts(failed=4)
    for failed in (6, 7, 8, 9):
        found = condemned(GATE, {"great": counts(good=193, failed=failed), "rare": rare})
        assert found is not None
        assert "rare" in found.models


def test_who_is_on_the_way_is_taken_for_well() -> None:
    """When a stage begins, those that have come to an end are at first those that failed at once."""
    assert condemned(GATE, {"rsu-a": counts(good=14, failed=6)}) is not None
    assert condemned(GATE, {"rsu-a": counts(good=14, failed=6, reached=400)}) is None


@pytest.mark.parametrize("action", ["pause", "halt", "halt-and-revert"])
def test_what_is_done_is_what_was_written_down(action: str) -> None:
    gate = Gate(on_failure=action)  # type: ignore[arg-type]
    found = condemned(gate, {"rsu-a": counts(good=30, failed=10)})
    assert found is not None
    assert found.action == action


def test_failures_of_the_stages_before_are_not_forgotten() -> None:
    so_far = {"rsu-a": counts(good=30, failed=10)}
    assert verdict(counts(told=400), stage=1, so_far=so_far).action == "halt-and-revert"


# The end of a stage ------------------------------------------------------------------------------------------------


def test_a_stage_that_went_well_gives_way_to_the_next_and_the_last_one_finishes() -> None:
    assert verdict(counts(good=100)).action == "next"
    assert verdict(counts(good=100), stage=LAST).action == "finish"


def test_a_stage_is_not_over_while_many_are_under_way_or_few_were_reached() -> None:
    assert verdict(counts(good=89, confirmed=11)).action == "wait"
    assert verdict(counts(good=90, confirmed=10)).action == "next"
    assert verdict(counts(good=19, told=81)).action == "wait"
    assert verdict(counts(good=20, told=80)).action == "next", "who is in his depot holds up nobody"


def test_no_stage_is_over_before_one_device_is_at_its_end() -> None:
    at_once = with_gate(Gate(min_done=0))
    assert verdict(counts(told=40), campaign=at_once).action == "wait"
    assert verdict(counts(told=39, good=1), campaign=at_once).action == "next"


def test_the_last_stage_waits_for_everybody_and_then_finishes_without_them() -> None:
    late = counts(good=95, told=5)
    assert verdict(late, stage=LAST).action == "wait"
    found = verdict(late, stage=LAST, after_s=7 * DAY_S)
    assert found.action == "finish"
    assert "5 devices were waited for in vain" in found.reason


def test_what_is_waited_for_in_vain_is_no_reason_to_overlook_failures() -> None:
    assert verdict(counts(good=36, failed=4, told=5), stage=LAST, after_s=7 * DAY_S).action == "pause"
    assert verdict(counts(good=9, failed=1, told=1), stage=LAST, after_s=7 * DAY_S).action == "pause"


def test_a_stage_with_too_many_failures_for_the_next_is_left_to_a_person() -> None:
    found = verdict(counts(good=37, failed=3))
    assert (found.action, found.reason) == ("pause", "stage 1: 92.5 % went well; 95 % are wanted to go on")


def test_a_stage_without_devices_is_passed_over() -> None:
    assert judge(CAMPAIGN, FIRST, {}, {}, begun_at=0, now=1).action == "next"


def test_a_stage_in_which_nobody_came_to_an_end_proves_nothing() -> None:
    found = verdict(counts(cancelled=40))
    assert (found.action, found.reason) == ("pause", "stage 1 has proven nothing: 40 cancelled")


@pytest.mark.parametrize("state", ["waiting", "told", "reached"])
def test_a_stage_that_is_all_offline_or_held_waits_and_then_asks_a_person(state: State) -> None:
    held = Tally(states={state: 300}, rules={})
    assert verdict(held, after_s=7 * DAY_S - 1).action == "wait"
    found = verdict(held, after_s=7 * DAY_S)
    assert (found.action, found.reason) == ("pause", f"stage 1 has not come to its end in time: 300 {state}")
    assert verdict(held, stage=LAST, after_s=7 * DAY_S).action == "pause"


def test_the_time_of_a_stage_does_not_run_before_it_may_begin() -> None:
    later = Campaign(name="x", target="rsu/x.tar", stage=CAMPAIGN.stage, may_begin_at=1_000 + 30 * DAY_S)
    assert verdict(counts(waiting=300), campaign=later, after_s=37 * DAY_S - 1).action == "wait"
    assert verdict(counts(waiting=300), campaign=later, after_s=37 * DAY_S).action == "pause"


# Few devices -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [1, 2, 5, 19])
@pytest.mark.parametrize("stage", [FIRST, LAST])
def test_a_tiny_fleet_never_goes_on_by_itself_after_a_failure(devices: int, stage: int) -> None:
    for failed in range(1, devices + 1):
        found = verdict(counts(good=devices - failed, failed=failed), stage=stage)
        assert found.action == "pause"
        assert f"{failed} of {devices} failed" in found.reason
    assert verdict(counts(good=devices), stage=FIRST).action == "next"


def test_a_rare_model_that_fails_in_a_great_stage_is_not_overlooked() -> None:
    found = verdict({"rsu-a": counts(good=990), "rsu-z": counts(good=1, failed=3)})
    assert (found.action, found.reason) == (
        "pause",
        "stage 1: rsu-z: 3 of 4 failed; so few are for a person to judge",
    )
    assert verdict({"rsu-a": counts(good=990), "rsu-z": counts(good=3, failed=1)}).action == "next"


def test_a_great_model_with_a_few_failures_is_not_rare() -> None:
    assert verdict(counts(good=996, failed=4)).action == "next"


# Any counts --------------------------------------------------------------------------------------------------------

NUMBER = st.one_of(st.integers(0, 6), st.integers(0, 400))
TALLIES = st.builds(
    lambda well, bad, on_the_way: counts(
        good=well[0], confirmed=well[1], failed=bad[0], silent=bad[1], told=on_the_way[0], reached=on_the_way[1]
    ),
    st.tuples(NUMBER, NUMBER),
    st.tuples(NUMBER, NUMBER),
    st.tuples(NUMBER, NUMBER),
)
FLEETS = st.dictionaries(st.sampled_from(["rsu-a", "rsu-b", "rsu-c", "buoy"]), TALLIES, max_size=4)
GATES = st.builds(
    Gate,
    tolerated=st.sampled_from([0.0, 0.01, 0.1]),
    min_sample=st.integers(1, 30),
    min_failures=st.integers(1, 6),
    on_failure=st.sampled_from(["pause", "halt", "halt-and-revert"]),
)
STAGES = st.integers(FIRST, LAST)
AFTER_S = st.sampled_from([0, DAY_S, 30 * DAY_S])


def with_gate(gate: Gate) -> Campaign:
    return Campaign(name="x", target="rsu/x.tar", stage=CAMPAIGN.stage, gate=gate)


@given(GATES, STAGES, FLEETS, AFTER_S)
def test_nothing_that_is_condemned_goes_on(gate: Gate, stage: int, fleet: dict[str, Tally], after_s: int) -> None:
    found = verdict(fleet, stage=stage, after_s=after_s, campaign=with_gate(gate))
    sentence = condemned(gate, fleet)
    assert (found.action in ("next", "finish", "wait")) <= (sentence is None)
    if sentence is not None:
        assert found == sentence


@given(GATES, FLEETS)
def test_whoever_is_condemned_has_failed_and_the_rest_have_not(gate: Gate, fleet: dict[str, Tally]) -> None:
    sentence = condemned(gate, fleet)
    guilty = set() if sentence is None else set(sentence.models)
    rest = {model: one for model, one in fleet.items() if model not in guilty}
    assert all(fleet[model].bad for model in guilty)
    assert condemned(gate, rest) is None
    assert sentence is None or sentence.reason.isprintable()


@given(GATES, STAGES, FLEETS, AFTER_S, st.data())
def test_more_failures_never_make_the_verdict_milder(
    gate: Gate, stage: int, fleet: dict[str, Tally], after_s: int, data: st.DataObject
) -> None:
    well = sorted(model for model, one in fleet.items() if one.of("good"))
    if not well:
        return
    model = data.draw(st.sampled_from(well))
    turned = data.draw(st.integers(1, fleet[model].of("good")))
    worse = Tally(states=dict(fleet[model].states), rules={"health": fleet[model].bad + turned})
    worse.count("good", -turned)
    worse.count("failed", turned)
    campaign = with_gate(gate)
    before = verdict(fleet, stage=stage, after_s=after_s, campaign=campaign)
    after = verdict({**fleet, model: worse}, stage=stage, after_s=after_s, campaign=campaign)
    assert MILDNESS.index(after.action) <= MILDNESS.index(before.action)


@given(GATES, STAGES, FLEETS, AFTER_S)
def test_a_next_stage_begins_only_after_enough_went_well(
    gate: Gate, stage: int, fleet: dict[str, Tally], after_s: int
) -> None:
    found = verdict(fleet, stage=stage, after_s=after_s, campaign=with_gate(gate))
    well, bad = sum(one.well for one in fleet.values()), sum(one.bad for one in fleet.values())
    if found.action == "next":
        assert well >= gate.min_success * (well + bad)
        assert well or not any(one.all for one in fleet.values())
        assert not bad or well + bad >= gate.min_sample
        assert stage < LAST
    assert (found.action == "finish") <= (stage == LAST)


@given(GATES, STAGES, FLEETS)
def test_no_stage_is_waited_for_longer_than_its_patience(gate: Gate, stage: int, fleet: dict[str, Tally]) -> None:
    assert verdict(fleet, stage=stage, after_s=7 * DAY_S, campaign=with_gate(gate)).action != "wait"


@given(GATES, STAGES, FLEETS, AFTER_S)
def test_the_order_of_models_does_not_matter(gate: Gate, stage: int, fleet: dict[str, Tally], after_s: int) -> None:
    turned = dict(reversed(fleet.items()))
    campaign = with_gate(gate)
    assert verdict(fleet, stage=stage, after_s=after_s, campaign=campaign) == verdict(
        turned, stage=stage, after_s=after_s, campaign=campaign
    )


# Counting ----------------------------------------------------------------------------------------------------------


def test_devices_are_counted_by_model_and_by_why_they_failed() -> None:
    courses = [
        Course(device="a", model="rsu-a", stage=0, state="good"),
        Course(device="b", model="rsu-a", stage=0, state="failed", rule="hash"),
        Course(device="c", model="rsu-a", stage=0, state="reverted", rule="hash"),
        Course(device="d", model="rsu-b", stage=0, state="reverted"),
        Course(device="e", model="rsu-b", stage=0, state="retrying", rule="network"),
    ]
    found = tally(courses)
    assert (found["rsu-a"].bad, found["rsu-a"].well, found["rsu-a"].rules) == (2, 1, {"hash": 2})
    assert (found["rsu-b"].bad, found["rsu-b"].well, found["rsu-b"].under_way) == (0, 0, 1)
    assert in_words(found["rsu-a"]) == "1 failed, 1 good, 1 reverted"
    assert in_words(Tally(states={}, rules={})) == "no device"


def test_two_tallies_share_nothing() -> None:
    Tally().count("good")
    assert Tally().all == 0


def test_a_release_that_is_bad_everywhere_goes_back_everywhere() -> None:
    """No model stands out: each has its part, and none is let off because the others were worse."""
    so_far = {f"model-{number}": _tally(bad=4 + number % 2, well=190) for number in range(6)}
    verdict = condemned(Gate(), so_far)
    assert verdict is not None
    assert verdict.models == tuple(sorted(so_far))


def test_a_model_keeps_what_runs_well_on_it_while_others_go_back() -> None:
    so_far = {"bus": _tally(bad=20, well=20), "lane": _tally(bad=1, well=60), "buoy": _tally(bad=2, well=600)}
    verdict = condemned(Gate(), so_far)
    assert verdict is not None
    assert verdict.models == ("bus",), "a failure or two are what any fleet has on any day"


def _tally(*, bad: int, well: int) -> Tally:
    return Tally(states={"failed": bad, "good": well}, rules={"health": bad})
