"""The driver of an update: plans that are taken or refused, ends and their reports, disks that fail."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from ota.errors import RefusedError, Rule
from ota.slots import driver as driver_module
from ota.slots.driver import MAX_RETURNS, Did, Driver, NoSlotError, Outcome
from ota.slots.machine import (
    CRASH_TABLE,
    MAY_BE_OVERTAKEN,
    RESTING,
    TRANSITIONS,
    VOLATILE,
    Event,
    State,
    follow,
    state_of,
)
from ota.slots.neighbours import Offer, Verdict, Wellbeing
from ota.slots.record import NAMES, RecordStore
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import KEY, MCU_TARGETS, OWN, Release, World, driver_on, launch, offer_of
from ota.tests import test_slot_disks as disks
from ota.tests import test_slot_secondaries as secondaries
from ota.tests.power_cuts import FLOOR, NEW, OLD, a_device
from ota.tests.slot_boots import PLAN, boot, drive, record_on, step_to, updated

THIRD = Release(3)


# The table -----------------------------------------------------------------------------------------------------------


def test_every_state_is_in_the_table_and_reached_from_idle():
    assert set(CRASH_TABLE) == set(State)
    reached, waiting = {State.IDLE}, [State.IDLE]
    while waiting:
        for _action, end in CRASH_TABLE[waiting.pop()].ways.values():
            if end not in reached:
                reached.add(end)
                waiting.append(end)
    assert reached == set(State)


def test_from_every_state_a_resting_one_is_reached():
    good = set(RESTING)
    for _round in State:
        good |= {state for state, row in CRASH_TABLE.items() if any(end in good for _action, end in row.ways.values())}
    assert good == set(State)


def test_nothing_leads_back_from_a_confirmed_state():
    assert [end for _action, end in CRASH_TABLE[State.CONFIRMED].ways.values()] == [State.REPORTED]
    assert not {State.CONFIRMED, State.TRIAL, State.HEALTHY} & MAY_BE_OVERTAKEN
    with pytest.raises(KeyError):
        follow(State.CONFIRMED, Event.ILL)


def test_every_state_has_a_handler_and_a_name_that_the_record_keeps():
    for state in State:
        assert hasattr(Driver, f"_when_{state.name.lower()}")
        assert state_of(state.name) is state
    assert state_of("CANARY") is None
    assert {State.HEALTHY} == VOLATILE


def test_every_way_of_the_table_is_gone(monkeypatch: pytest.MonkeyPatch):
    """By the tests below and by what follows here: a way that nobody goes does not belong into the table."""
    gone = set()
    monkeypatch.setattr(driver_module, "follow", lambda state, event: gone.add((state, event)) or follow(state, event))
    bad = frozenset({NEW.sha256})
    for world in ({}, {"ill": bad}, {"crashing": bad}):
        drive(*a_device(**world))
    disk, world = updated()
    world.blobs[THIRD.sha256] = THIRD.image
    drive(disk, world, offer_of(6, THIRD))
    for state in MAY_BE_OVERTAKEN:
        disk, world = a_device()
        driver = driver_on(disk, world, "a")
        driver.offer(PLAN)
        step_to(driver, state)
        driver.offer(offer_of(5, NEW, mcu=2, is_cancelled=True))
        driver.run()
    test_health_that_takes_its_time_is_waited_for_and_lost_by_a_restart()
    secondaries.test_one_that_cannot_build_upon_what_it_runs_is_brought_the_whole_set()
    secondaries.test_one_alone_is_updated_without_touching_a_slot()
    secondaries.test_one_that_refuses_ends_an_atomic_plan_and_not_another("atomic")
    disks.test_a_disk_that_fills_up_ends_the_attempt_with_its_reason()
    disks.test_a_medium_that_keeps_nothing_is_not_written_for_ever()
    test_a_trial_that_is_damaged_while_it_waits_falls_back()
    test_a_trial_that_is_restarted_before_it_is_well_falls_back()
    test_an_image_that_lies_in_the_slot_is_not_fetched()
    test_a_slot_that_rots_while_it_waits_for_its_window_is_written_again()
    test_blobs_that_rot_are_fetched_again_and_not_for_ever()
    test_a_download_that_is_refused_ends_the_attempt()
    assert set(TRANSITIONS) == gone


def test_an_update_goes_through_its_states_in_order():
    disk, world = a_device()
    seen: list[str] = []
    for _boot in range(2):
        start, _said = launch(disk)
        assert start is not None
        driver = driver_on(disk, world, start.slot)
        driver.offer(PLAN)
        while True:
            state = driver.state(driver.record()).name
            seen += [state] if seen[-1:] != [state] else []
            if driver.step().did is not Did.STEP:
                break
    assert seen == [
        "PLANNED", "FETCHING", "FETCHED", "SLOT_INVALID", "WRITING", "WRITTEN", "SECONDARIES_STAGED",
        "ARMED", "TRIAL", "HEALTHY", "CONFIRMED", "REPORTED",
    ]  # fmt: skip


# Plans ---------------------------------------------------------------------------------------------------------------


def refused(disk: DiskDouble, world: World, offer: Offer) -> Rule:
    before = disk.state()
    with pytest.raises(RefusedError) as caught:
        driver_on(disk, world, record_on(disk).confirmed).offer(offer)
    assert "\n" not in str(caught.value)
    assert disk.state() == before
    return caught.value.rule


def test_what_the_record_forbids_is_refused_and_changes_nothing():
    disk, world = updated()
    assert record_on(disk).floors == {FLOOR: 2}
    assert refused(disk, world, offer_of(4, NEW, mcu=2)) is Rule.PLAN
    assert refused(disk, world, offer_of(5, OLD, mcu=2)) is Rule.PLAN
    assert refused(disk, world, offer_of(6, OLD, mcu=2)) is Rule.FLOOR
    assert refused(disk, world, offer_of(6, Release(3))._replace(hardware={OWN: "rsu-9"})) is Rule.HARDWARE


def test_a_bad_image_is_quarantined_until_a_plan_with_a_higher_number():
    disk, world = a_device(ill=frozenset({NEW.sha256}))
    for _boot in range(3):
        boot(disk, world)
    record = record_on(disk)
    assert (record.outcome, record.rule, record.reason) == ("rolled back", "health", "no broker in 600 s")
    assert record.quarantine == {NEW.sha256: 5, MCU_TARGETS[2].sha256: 5}
    assert world.reports[0].log_tail == b"the last words\n"
    assert not driver_on(disk, world, "a").offer(PLAN)
    lost = replace(record, plan_number=4)  # as after both records were lost: the quarantine alone must hold
    RecordStore(disk, KEY, nullcontext).write(lost)
    assert refused(disk, world, PLAN) is Rule.QUARANTINE
    world.ill = frozenset()
    assert boot(disk, world, offer_of(6, NEW, mcu=2))[1].did is Did.RESTART
    assert boot(disk, world, offer_of(6, NEW, mcu=2))[1].did is Did.RESTING
    assert [report.outcome for report in world.reports] == ["rolled back", "confirmed"]


def test_a_newer_plan_for_what_runs_already_only_raises_the_number():
    disk, world = updated()
    assert not driver_on(disk, world, "b").offer(offer_of(9, NEW, mcu=2))
    assert (record_on(disk).plan_number, record_on(disk).state) == (9, "REPORTED")
    assert len(world.reports) == 1


@pytest.mark.parametrize("state", sorted(MAY_BE_OVERTAKEN - {State.ARMED}, key=lambda state: state.name))
def test_a_cancelled_plan_ends_with_one_report_wherever_it_is(state: State):
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    step_to(driver, state)
    assert driver.offer(offer_of(5, NEW, mcu=2, is_cancelled=True))
    assert driver.run().did is Did.RESTING
    record = record_on(disk)
    assert (record.state, record.confirmed, record.outcome) == ("IDLE", "a", "cancelled")
    assert [(report.attempt, report.outcome) for report in world.reports] == [("5", "cancelled")]
    assert not driver.offer(PLAN)


def test_an_armed_slot_is_given_up_while_the_old_one_still_runs():
    disk, world = a_device()
    driver, outcome = boot(disk, world)
    assert outcome.did is Did.RESTART
    driver.offer(offer_of(6, NEW, mcu=2, is_cancelled=True))
    assert driver.run().did is Did.RESTING
    assert launch(disk)[0].slot == "a"
    assert record_on(disk).quarantine == {}


def test_a_newer_plan_overtakes_the_one_that_is_under_way():
    disk, world = a_device()
    world.blobs[THIRD.sha256] = THIRD.image
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    step_to(driver, State.FETCHED)
    driver.offer(offer_of(6, THIRD))
    assert driver.run().did is Did.RESTART
    assert [(report.attempt, report.outcome) for report in world.reports] == [("5", "cancelled")]
    assert boot(disk, world, offer_of(6, THIRD))[1].did is Did.RESTING
    assert [(report.attempt, report.outcome) for report in world.reports][1:] == [("6", "confirmed")]


def test_without_verified_metadata_it_waits_and_never_switches():
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    for state in (State.PLANNED, State.FETCHING, State.FETCHED, State.WRITING, State.SECONDARIES_STAGED):
        step_to(driver, state)
        outcome = boot(disk.settled(), world.copy(), None)[1]
        assert (outcome.did, "verified" in outcome.reason) == (Did.WAITING, True)


def test_a_plan_that_is_not_allowed_to_switch_yet_waits_armed_with_nothing():
    disk, world = a_device()
    driver, outcome = boot(disk, world, may_switch=lambda _plan: "outside its window")
    assert outcome == Outcome(Did.WAITING, "outside its window")
    assert record_on(disk).trial == ""
    driver._may_switch = lambda _plan: ""
    assert driver.run().did is Did.RESTART


# Ends ----------------------------------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_kept_never_rolls_back():
    """A status report that failed after the commit once rolled other systems back."""
    disk, world = a_device(is_report_queue_broken=True)
    boot(disk, world)
    for _boot in range(20):
        outcome = boot(disk, world)[1]
        assert outcome.did is Did.WAITING
        record = record_on(disk)
        assert (record.state, record.confirmed, record.trial) == ("CONFIRMED", "b", "")
    world.is_report_queue_broken = False
    assert boot(disk, world)[1].did is Did.RESTING
    assert [report.outcome for report in world.reports] == ["confirmed"]


def test_health_that_takes_its_time_is_waited_for_and_lost_by_a_restart():
    disk, world = a_device()
    boot(disk, world)

    class Slow:
        verdicts = [Wellbeing.WAITING, Wellbeing.WAITING, Wellbeing.WELL, Wellbeing.ILL]  # noqa: RUF012  # of one test

        def check(self) -> Verdict:
            return Verdict(self.verdicts.pop(0), "42 s of 600")

    driver, outcome = boot(disk, world, health=Slow())
    assert outcome == Outcome(Did.WAITING, "42 s of 600")
    assert driver.run().did is Did.WAITING
    assert driver.step().did is Did.STEP
    assert driver.state(driver.record()) is State.HEALTHY
    assert driver_on(disk, world, "b").state(record_on(disk)) is State.TRIAL
    assert driver.run().did is Did.RESTART, "ill at the last moment"
    assert record_on(disk).state == "ROLLING_BACK"


def test_a_trial_that_is_damaged_while_it_waits_falls_back():
    disk, world = a_device()
    boot(disk, world)
    disk.write("slots/b/image.tar", 600, b"rot")
    assert boot(disk, world)[1].did is Did.RESTING
    assert [(report.outcome, report.rule) for report in world.reports] == [("rolled back", "health")]
    assert "is not the image" in world.reports[0].reason


def test_a_trial_that_is_restarted_before_it_is_well_falls_back():
    disk, world = a_device()
    boot(disk, world)

    class Never:
        def check(self) -> Verdict:
            return Verdict(Wellbeing.WAITING, "1 s of 600")

    for _boot in range(3):
        assert boot(disk, world, health=Never())[1].did is Did.WAITING
        assert record_on(disk).state == "TRIAL"
    assert boot(disk, world)[1].did is Did.RESTING
    assert [report.reason for report in world.reports] == ["it was not confirmed in 3 starts"]


def test_an_image_that_lies_in_the_slot_is_not_fetched():
    disk, world = a_device(ill=frozenset({NEW.sha256}))
    drive(disk, world)
    world.ill, fetched = frozenset(), len(world.downloads)
    drive(disk, world, offer_of(6, NEW))
    assert len(world.downloads) == fetched
    assert record_on(disk).outcome == "confirmed"


def test_a_slot_that_rots_while_it_waits_for_its_window_is_written_again():
    disk, world = a_device()
    driver, _outcome = boot(disk, world, may_switch=lambda _plan: "outside its window")
    fetched = len(world.downloads)
    disk.write("slots/b/image.tar", 600, b"rot")
    driver._may_switch = lambda _plan: ""
    assert driver.run().did is Did.RESTART
    assert boot(disk, world)[1].did is Did.RESTING
    assert (record_on(disk).outcome, len(world.downloads)) == ("confirmed", fetched)


def test_blobs_that_rot_are_fetched_again_and_not_for_ever():
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    for state in (State.FETCHED, State.WRITING):
        step_to(driver, state)
        disk.write(f"fetch/{NEW.sha256}.part", 5_000, b"rot")
        driver._payload.image = driver_on(disk, world, "a")._payload.image
        assert driver.step().did is Did.STEP
        assert driver.state(driver.record()) is State.FETCHING
    for _time in range(MAX_RETURNS):
        step_to(driver, State.FETCHED)
        disk.write(f"fetch/{NEW.sha256}.part", 5_000, b"rot")
        driver.step()
        if driver.state(driver.record()) is State.FAILED:
            break
    assert driver.run().did is Did.RESTING
    assert [(report.outcome, report.rule) for report in world.reports] == [("failed", "storage")]


def test_a_download_that_is_refused_ends_the_attempt():
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)

    def refuse(rule: Rule) -> None:
        raise RefusedError(rule, "blobs/1", "no")

    for rule in (Rule.NETWORK, Rule.BUDGET, Rule.CONDITION, Rule.SPACE):
        driver._payload.fetch_next = lambda _target, rule=rule: refuse(rule)
        assert driver.run() == Outcome(Did.WAITING, f"{rule.value}: blobs/1: no")
    driver._payload.fetch_next = lambda _target: refuse(Rule.LENGTH)
    assert driver.run().did is Did.RESTING
    assert [(report.outcome, report.rule) for report in world.reports] == [("failed", "length")]


# Records ------------------------------------------------------------------------------------------------------------


def test_a_slot_that_there_is_not_runs_nothing():
    """As somebody may type it: it must not be recorded as the confirmed one."""
    disk, world = a_device()
    before = disk.state()
    with pytest.raises(RefusedError, match=r"^format: slot c: "):
        driver_on(disk, world, "c")
    assert disk.state() == before


def test_without_records_and_slots_it_says_so():
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    for name in (*NAMES, "slots/a/trailer"):
        disk.remove(name)
    with pytest.raises(NoSlotError):
        driver.offer(PLAN)


@pytest.mark.parametrize("state", ["REPORTED", "WRITTEN", "SECONDARIES_STAGED"])
def test_a_confirmed_slot_that_rots_is_replaced_by_what_runs_and_no_restart_is_asked_for(state: str):
    """The launcher starts what is left; asking it for the other slot again and again would be the end of the device."""
    disk, world = updated() if state == "REPORTED" else a_device()
    lost, left = ("b", "a") if state == "REPORTED" else ("a", "b")
    if state != "REPORTED":
        driver = driver_on(disk, world, "a")
        driver.offer(PLAN)
        step_to(driver, State[state])
    for name in ("image.tar", "tree/agent/f0.py"):
        disk.write(f"slots/{lost}/{name}", 600, b"rot")
    assert launch(disk)[0].slot == left
    if state == "REPORTED":
        assert boot(disk, world)[1].did is Did.RESTING
        assert (record_on(disk).confirmed, record_on(disk).floors) == ("a", {FLOOR: 2})
        assert "is not the image" in record_on(disk).reason
    drive(disk, world, offer_of(6, NEW, mcu=2) if state == "REPORTED" else PLAN)
    assert record_on(disk).outcome == "confirmed"
    confirmed = record_on(disk).confirmed
    assert driver_on(disk, world, confirmed)._installer.fault(confirmed) == ""


def test_lost_records_are_made_again_and_the_update_begins_anew():
    disk, world = updated()
    for name in NAMES:
        disk.remove(name)
    driver = driver_on(disk, world, "b")
    record = driver.record()
    assert (record.confirmed, record.floors, record.plan_number) == ("b", {FLOOR: 2}, 5)
    assert record_on(disk) == record
    assert not driver.offer(PLAN), "the plan that was taken is known by its number"
    assert refused(disk, world, offer_of(6, OLD)) is Rule.FLOOR


def test_another_process_that_was_quicker_is_no_error():
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    store = RecordStore(disk, KEY, nullcontext)
    seen = driver.record
    driver.record = lambda: replace(seen(), sequence=seen().sequence - 1)
    assert driver.step() == Outcome(Did.STEP)
    assert store.read() == seen()
