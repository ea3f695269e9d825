"""Rollouts on a fleet that does not exist: a bad release is halted before it harms many, a good one is left alone.

Here fewer and smaller runs; `make soak` has all of them, 100 seeds of 100 000 devices for each rate.
"""

import msgspec
import pytest

from ota.campaign.judge import tally
from ota.campaign.rules import Campaign, Gate, Stage, When, Window
from ota.campaign.simulation.fleet import MODELS, Model, Trouble, default_campaign
from ota.campaign.simulation.run import BEGIN, Outcome, Simulation

GOAL = 0.005
"""Of the fleet: so many may be harmed at most."""
FLEET = 100_000
RATES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
STEADY = (Model(name="cabinet", share=1.0, online_s=1e9, offline_s=1.0, loss=0.0, fetch_s=5.0, fetch_fails=0.0),)
"""Devices on a wire: all that fails of itself fails at once."""


def outcome_of(devices: int, trouble: Trouble, seed: int, campaign: Campaign | None = None) -> Outcome:
    return Simulation(campaign or default_campaign(devices), devices, trouble, seed).run()


def assert_halted_in_time(outcome: Outcome) -> None:
    assert outcome.halted_after_s is not None, outcome
    assert outcome.harmed < GOAL * outcome.devices, outcome
    assert outcome.harmed_share == outcome.harmed / outcome.devices


# A bad release ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
def test_a_bad_release_is_halted_before_it_harms_many(rate: float) -> None:
    for seed in range(1, 4):
        outcome = outcome_of(FLEET, Trouble(failure_rate=rate), seed)
        assert_halted_in_time(outcome)
        assert outcome.stage <= 3
        assert outcome.stopped_by == "halt-and-revert"


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rate", RATES)
def test_a_bad_release_is_halted_before_it_harms_many_over_100_seeds(rate: float) -> None:
    for seed in range(1, 101):
        assert_halted_in_time(outcome_of(FLEET, Trouble(failure_rate=rate), seed))


@pytest.mark.parametrize(("silent", "regressed"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("rate", [0.02, 1.0])
def test_whatever_becomes_of_the_devices_it_is_halted(rate: float, silent: float, regressed: float) -> None:
    assert_halted_in_time(outcome_of(FLEET, Trouble(failure_rate=rate, silent=silent, regressed=regressed), seed=1))


@pytest.mark.parametrize("model", ["bus-a", "buoy"])
def test_a_release_that_is_bad_on_one_model_is_halted_for_it(model: str) -> None:
    simulation = Simulation(default_campaign(FLEET), FLEET, Trouble(failure_rate=0.5, model=model), seed=1)
    outcome = simulation.run()
    assert_halted_in_time(outcome)
    assert outcome.models == (model,)
    assert model in outcome.reason
    back = {course.model for course in simulation.courses if course.state == "reverted" and course.rule}
    assert back == {model}
    assert 0 < outcome.running < outcome.switched - outcome.harmed / 2, "the others keep it"


def test_a_halt_is_told_everybody_and_those_who_can_hear_it_go_back() -> None:
    simulation = Simulation(default_campaign(FLEET), FLEET, Trouble(failure_rate=0.5, silent=0.0), seed=3)
    outcome = simulation.run()
    states = {course.state for course in simulation.courses if course.model in outcome.models}
    assert states <= {"cancelled", "reverted", "silent"}
    assert outcome.switched < 0.002 * FLEET
    assert outcome.lasted_s > (outcome.halted_after_s or 0)


# A good release --------------------------------------------------------------------------------------------------


def test_a_good_release_goes_to_the_end() -> None:
    outcome = outcome_of(20_000, Trouble(), seed=1)
    assert (outcome.state, outcome.stage, outcome.halted_after_s, outcome.harmed) == ("finished", 4, None, 0)
    assert outcome.switched > 0.995 * outcome.devices
    assert 0 < outcome.switched - outcome.running < outcome.background
    assert 60 < outcome.background < 140


@pytest.mark.parametrize("first", [1, 26, 51, 76])
def test_a_good_release_is_never_halted_for_what_fails_of_itself(first: int) -> None:
    """100 seeds of a fleet that is small enough for each test run."""
    stopped = [out for seed in range(first, first + 25) if (out := outcome_of(2_000, Trouble(), seed)).stopped_by]
    assert not stopped


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", [1, 26, 51, 76])
def test_a_good_release_for_100_000_is_never_halted(first: int) -> None:
    stopped = [out for seed in range(first, first + 25) if (out := outcome_of(FLEET, Trouble(), seed)).stopped_by]
    assert not stopped


@pytest.mark.parametrize("jitter_s", [0, 900])
def test_quick_failures_at_the_beginning_of_a_large_stage_halt_no_good_release(jitter_s: int) -> None:
    stages = [Stage(percent=5), Stage(percent=100)]
    campaign = msgspec.structs.replace(default_campaign(20_000), stage=stages, when=When(jitter_s=jitter_s))
    for seed in range(1, 4):
        assert Simulation(campaign, 20_000, Trouble(), seed, models=STEADY).run().state == "finished"


def test_bad_links_and_long_absences_delay_and_halt_nothing() -> None:
    bad = [
        msgspec.structs.replace(model, loss=0.4, fetch_fails=0.3, away=0.2, online_s=7200.0, offline_s=1800.0)
        for model in MODELS
    ]
    simulation = Simulation(default_campaign(3_000), 3_000, Trouble(background=0.0), 1, models=tuple(bad))
    outcome = simulation.run()
    assert (outcome.state, outcome.stopped_by, outcome.background) == ("finished", "", 0)
    assert sum(course.tries > 1 for course in simulation.courses) > 500


# What it is ------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_run_again_and_another_one_another() -> None:
    first, again, other = (outcome_of(5_000, Trouble(failure_rate=0.1), seed) for seed in (1, 1, 2))
    assert first == again
    assert first.switched != other.switched


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.5])
def test_the_counts_that_are_judged_are_those_of_the_courses(rate: float) -> None:
    simulation = Simulation(default_campaign(5_000), 5_000, Trouble(failure_rate=rate), seed=1)
    simulation.run()
    for number, tallies in enumerate(simulation.of_stage):
        anew = tally(course for course in simulation.courses if course.stage == number)
        assert {model: (without_zeros(one.states), one.rules) for model, one in tallies.items()} == {
            model: (without_zeros(one.states), one.rules) for model, one in anew.items()
        }


def without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def test_own_stages_and_gate_are_kept_to() -> None:
    campaign = Campaign(
        name="own", target="x/y.tar", stage=[Stage(percent=50, soak_s=0), Stage(percent=100, soak_s=0)],
        gate=Gate(on_failure="pause"),
    )  # fmt: skip
    outcome = outcome_of(2_000, Trouble(failure_rate=0.3), 1, campaign)
    assert (outcome.stage, outcome.stopped_by, outcome.state) == (1, "pause", "paused")
    assert 200 < outcome.harmed < 400, "a pause calls nobody back, and half of the fleet was told"


def test_nobody_switches_outside_the_window() -> None:
    window = Window(from_="22:00", to="04:00")
    campaign = msgspec.structs.replace(default_campaign(2_000), when=When(window=window))
    simulation = Simulation(campaign, 2_000, Trouble(background=0.0), 1)
    assert simulation.run().stopped_by == ""
    hours = {at // 3600 % 24 for at in simulation.switched_at if at}
    assert {22, 23} < hours <= {22, 23, 0, 1, 2, 3}


def test_times_are_of_the_virtual_clock() -> None:
    simulation = Simulation(default_campaign(1_000), 1_000, Trouble(), 1)
    outcome = simulation.run()
    moments = [moment.at for moment in simulation.moments]
    assert moments == sorted(moments)
    assert (moments[0], moments[-1]) == (BEGIN, BEGIN + outcome.lasted_s)
    assert sum(stage.devices for stage in simulation.moments[-1].stages) == 1_000
