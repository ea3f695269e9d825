"""The devices of a simulation are as they are said to be: their links, their conditions, their counters."""

import statistics
import time
from collections.abc import Iterator

import pytest

from ota.agent.world import why_not_now
from ota.campaign.rules import CampaignError
from ota.campaign.simulation.agenda import Agenda
from ota.campaign.simulation.fleet import MODELS, Model, Trouble, check_model, default_campaign
from ota.campaign.simulation.world import OF_RELEASE, RESTARTS, WELL, World, window_opens
from ota.targets import Conditions, EcuPlan, Plan

BEGIN = 1_800_000_000
FLAKY = Model(name="flaky", share=1.0, online_s=7200.0, offline_s=1800.0, away=0.1)


def world_of(model: Model = FLAKY, devices: int = 2_000, trouble: Trouble | None = None, seed: int = 1) -> World:
    return World((model,), bytes(devices), trouble or Trouble(), seed, BEGIN)


def test_links_are_down_for_the_share_of_time_that_the_model_says() -> None:
    world, later = world_of(), BEGIN + 30 * 86_400
    down = sum(world.online_at(device, BEGIN) != BEGIN for device in range(2_000))
    assert 0.25 < down / 2_000 < 0.31, "a tenth is away, a fifth of the others is in a spell"
    down = sum(world.online_at(device, later) != later for device in range(2_000))
    assert 0.17 < down / 2_000 < 0.23, "who was away is back"


def test_a_spell_ends_when_it_was_said_to_end() -> None:
    world = world_of()
    for device in range(200):
        back = world.online_at(device, BEGIN)
        assert world.online_at(device, back) == back
        assert world.last_heard(device, back) == back


def test_who_is_offline_was_heard_when_it_was_online_last() -> None:
    world, seen = world_of(), 0
    for device in range(200):
        for now in range(BEGIN, BEGIN + 86_400, 600):
            if world.online_at(device, now) > now:
                assert world.last_heard(device, now) <= now
                seen += 1
            else:
                assert world.last_heard(device, now) == now
    assert seen > 1_000


def test_the_dead_are_never_online_and_were_heard_before_they_died() -> None:
    world = world_of()
    world.dies(7, BEGIN + 100)
    assert world.last_heard(7, BEGIN + 86_400) <= BEGIN + 100
    assert world.online_at(7, BEGIN + 100) == 0
    world.dies(7, BEGIN + 900)
    assert world.last_heard(7, BEGIN + 86_400) <= BEGIN + 100


def test_failures_are_the_shares_that_were_asked_for() -> None:
    model_of = bytes(number % len(MODELS) for number in range(60_000))
    world = World(MODELS, model_of, Trouble(failure_rate=0.1, model="lane", background=0.01), 1, BEGIN)
    lane = [world.fate[number] for number in range(60_000) if MODELS[model_of[number]].name == "lane"]
    others = [world.fate[number] for number in range(60_000) if MODELS[model_of[number]].name != "lane"]
    assert 0.09 < sum(fate > OF_RELEASE for fate in lane) / len(lane) < 0.11
    assert not any(fate > OF_RELEASE for fate in others)
    assert 0.008 < sum(WELL < fate < OF_RELEASE for fate in others) / len(others) < 0.013


def test_counters_grow_as_they_did_before_but_on_one_that_restarts() -> None:
    world = world_of(devices=400)
    world.fate[0] = OF_RELEASE + RESTARTS
    first = [world.look(device, BEGIN) for device in range(400)]
    later = [world.look(device, BEGIN + 5 * 86_400) for device in range(400)]
    starts = [new.starts - old.starts for new, old in zip(later, first, strict=True)]
    records = [(new.records - old.records) / 5 for new, old in zip(later, first, strict=True)]
    assert 80 < starts[0] < 160
    assert 0.3 < statistics.mean(starts[1:]) < 0.7
    assert 0.97 < statistics.mean(records) / FLAKY.records_a_day < 1.03


# Conditions of a plan ---------------------------------------------------------------------------------------------


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_utc")
@pytest.mark.parametrize(("start", "end"), [(60, 240), (1320, 240), (0, 1439)])
@pytest.mark.parametrize("deadline_s", [0, 40_000])
def test_a_window_opens_when_the_agent_on_a_device_would_say_so(start: int, end: int, deadline_s: int) -> None:
    deadline = BEGIN + deadline_s if deadline_s else 0
    conditions = Conditions(window_from_minute=start, window_to_minute=end, deadline=deadline)
    plan = Plan(device="a", number=1, ecus={"main": EcuPlan(target="x/y.tar")}, conditions=conditions)
    for ready in range(BEGIN, BEGIN + 86_400, 1_260):
        opens = window_opens(conditions, ready)
        waits = [at for at in range(ready, opens, 60) if not why_not_now(plan, at, lambda names: "")]
        assert not waits, "it could have begun sooner"
        assert not why_not_now(plan, opens, lambda names: "")


def test_a_local_condition_makes_it_later_and_a_jitter_is_waited_for() -> None:
    plain, closed = (
        world_of().fetched_at(0, conditions, BEGIN) for conditions in (Conditions(), Conditions(local=["lane-closed"]))
    )
    assert closed > plain > BEGIN
    assert world_of().fetched_at(0, Conditions(not_before=BEGIN + 5_000), BEGIN) >= BEGIN + 5_000


# The rest ---------------------------------------------------------------------------------------------------------


def test_the_agenda_is_in_the_order_of_time_and_then_of_putting() -> None:
    agenda = Agenda()
    assert agenda.next_at() is None
    for at, device in ((5, 1), (3, 2), (5, 3), (3, 4)):
        agenda.put(at, 0, device)
    seen = []
    while (at := agenda.next_at()) is not None:
        for _kind, device, _plan, _outcome in agenda.take():
            seen.append((at, device))
            if device == 4:
                agenda.put(at, 0, 9)
    assert seen == [(3, 2), (3, 4), (3, 9), (5, 1), (5, 3)]


def test_small_fleets_begin_with_a_stage_that_can_be_judged() -> None:
    shares = {devices: [stage.percent for stage in default_campaign(devices).stage] for devices in (50, 3_000, 100_000)}
    assert shares == {50: [100], 3_000: [5, 25, 100], 100_000: [0.1, 1, 5, 25, 100]}
    assert [stage.percent for stage in default_campaign(10_000).stage] == [1, 5, 25, 100]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(CampaignError, match="no device is a tram; there are bus-a, bus-b"):
        check_model("tram", MODELS)
    with pytest.raises(ValueError, match="together at most 1"):
        Trouble(silent=0.6, regressed=0.5)
