"""The driver and its secondaries: all or none of an atomic plan, whatever one of them does or does not say."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import NoReturn

import pytest

from ota.errors import OtaError, RefusedError, Rule
from ota.slots.driver import Did, Driver, Outcome
from ota.slots.ecus import table_of
from ota.slots.machine import State
from ota.slots.neighbours import Offer
from ota.slots.record import Record, RecordStore
from ota.targets import EcuPlan, Plan, Target
from ota.testing.disk_double import DiskDouble
from ota.testing.slot_world import KEY, MCU, MCU_TARGETS, OWN, World, driver_on, launch, offer_of
from ota.tests.power_cuts import NEW, OLD, a_device
from ota.tests.slot_boots import PLAN, boot, record_on, step_to


def offer_with(policy: str) -> Offer:
    ecus = {OWN: EcuPlan(target=NEW.target.path), MCU: EcuPlan(target=MCU_TARGETS[2].path)}
    return PLAN._replace(plan=Plan(device="d1", number=5, ecus=ecus, policy=policy))


def no_answer(*_asked: object) -> NoReturn:
    raise OtaError("mast: no answer")


def in_trial(offer: Offer = PLAN) -> tuple[DiskDouble, World, Driver]:
    """The new slot runs, the secondary was started on its new set."""
    disk, world = a_device()
    boot(disk, world, offer)
    driver = driver_on(disk, world, launch(disk)[0].slot)
    driver.offer(offer)
    step_to(driver, State.HEALTHY)
    assert world.mcu_on_trial
    return disk, world, driver


@pytest.mark.parametrize("policy", ["atomic", "best-effort"])
def test_one_that_refuses_ends_an_atomic_plan_and_not_another(policy: str):
    disk, world = a_device()
    offer = offer_with(policy)

    def stage(_ecu: str, _target: object) -> bool:
        raise RefusedError(Rule.HARDWARE, MCU, "it is another board")

    driver = driver_on(disk, world, "a")
    driver._secondaries.stage = stage
    driver.offer(offer)
    outcome = driver.run()
    if policy == "atomic":
        assert outcome.did is Did.RESTING
        assert [(report.outcome, report.rule) for report in world.reports] == [("failed", "hardware")]
        assert record_on(disk).confirmed == "a"
    else:
        assert boot(disk, world, offer)[1].did is Did.RESTING
        assert world.reports[0].ecus[MCU]["progress"] == "failed"
        assert record_on(disk).confirmed == "b"


def test_one_that_cannot_build_upon_what_it_runs_is_brought_the_whole_set():
    """Its delta counts as wrong from then on, so that what was fetched is not all any more."""
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    stage, refusals = driver._secondaries.stage, []

    def refuse_once(ecu: str, target: Target) -> bool:
        if refusals:
            return stage(ecu, target)
        disk.write(f"fetch/{target.sha256}.part", 10, b"rot")
        refusals.append(RefusedError(Rule.HASH, MCU, "the running set has no such file"))
        raise refusals[0]

    driver._secondaries.stage = refuse_once
    driver.offer(PLAN)
    assert driver.run().did is Did.RESTART
    assert boot(disk, world)[1].did is Did.RESTING
    assert [(report.outcome, report.reason) for report in world.reports] == [("confirmed", "")]
    assert world.downloads.count((MCU_TARGETS[2].sha256, 0)) == 2


def test_one_alone_is_updated_without_touching_a_slot():
    disk, world = a_device()
    before = {name: data for name, data in disk.contents().items() if name.startswith("slots/")}
    outcome = boot(disk, world, offer_of(5, OLD, mcu=2))[1]
    assert outcome.did is Did.RESTING
    after = {name: data for name, data in disk.contents().items() if name.startswith("slots/")}
    assert {name for name in after if after[name] != before.get(name)} <= {"slots/a/confirmed"}
    assert world.mcu_running == MCU_TARGETS[2].sha256
    assert [report.outcome for report in world.reports] == ["confirmed"]


def test_one_that_never_answers_again_does_not_stop_the_next_plan():
    disk, world = a_device()
    boot(disk, world)
    driver = driver_on(disk, world, launch(disk)[0].slot)
    driver._secondaries.commit = no_answer
    driver.offer(PLAN)
    assert driver.run() == Outcome(Did.WAITING, "mast: no answer")
    driver.offer(offer_of(6, NEW, mcu=2))
    driver.run()
    assert world.reports[0].outcome == "confirmed"
    assert world.reports[0].ecus[MCU]["progress"] == "unanswered"


@pytest.mark.parametrize("policy", ["atomic", "best-effort"])
def test_nothing_is_confirmed_with_one_that_has_fallen_back_in_its_trial(policy: str):
    disk, world, driver = in_trial(offer_with(policy))
    world.mcu_on_trial = ""
    outcome = driver.run()
    if policy == "atomic":
        assert outcome.did is Did.RESTART
        assert boot(disk, world)[1].did is Did.RESTING
        assert (record_on(disk).confirmed, record_on(disk).outcome) == ("a", "rolled back")
        assert world.reports[0].reason == "health: mast: it has fallen back to the set before"
    else:
        assert outcome.did is Did.RESTING
        assert (record_on(disk).confirmed, record_on(disk).outcome) == ("b", "confirmed")
        assert world.reports[0].ecus[MCU]["progress"] == "failed"
    assert world.mcu_running == MCU_TARGETS[1].sha256


def test_nothing_is_confirmed_before_each_has_answered():
    disk, world, driver = in_trial()
    runs, driver._secondaries.runs = driver._secondaries.runs, no_answer
    assert driver.run() == Outcome(Did.WAITING, "mast: no answer")
    assert record_on(disk).state == "TRIAL"
    driver._secondaries.runs = runs
    assert driver.run().did is Did.RESTING
    assert [report.outcome for report in world.reports] == ["confirmed"]


def test_one_that_will_never_keep_its_set_is_reported_and_not_waited_for():
    _disk, world, driver = in_trial()

    def refuse(_ecu: str, _sha256: str) -> None:
        raise RefusedError(Rule.ECU, MCU, "it does not run the set that it was to try")

    driver._secondaries.commit = refuse
    assert driver.run().did is Did.RESTING
    (report,) = world.reports
    assert (report.outcome, report.ecus[MCU]["progress"]) == ("confirmed", "failed")
    assert report.ecus[MCU]["reason"] == "ecu: mast: it does not run the set that it was to try"


@pytest.mark.parametrize("asked", ["stage", "is_staged"])
def test_one_that_does_not_answer_is_waited_for(asked: str):
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    setattr(driver._secondaries, asked, no_answer)
    assert driver.run() == Outcome(Did.WAITING, "mast: no answer")
    assert boot(disk, world)[1].did is Did.RESTART


@pytest.mark.parametrize("state", [State.FETCHING, State.WRITING, State.SECONDARIES_STAGED])
def test_an_attempt_whose_rows_only_a_newer_release_can_read_is_ended(state: State):
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    step_to(driver, state)
    record = record_on(disk)
    rows = {ecu: row | {"progress": "a word of the future"} for ecu, row in record.ecus.items()}
    RecordStore(disk, KEY, nullcontext).write(replace(record, ecus=rows))
    assert driver.run().did is Did.RESTING
    assert [report.outcome for report in world.reports] == ["failed"]


@pytest.mark.parametrize(
    ("running", "did"),
    [(no_answer, Did.WAITING), (lambda _ecu: MCU_TARGETS[1].sha256, Did.RESTING)],
    ids=["unanswered", "refused"],
)
def test_a_newer_plan_that_cannot_be_taken_after_all_ends_in_words(running: Callable[[str], str], did: Did):
    disk, world = a_device()
    driver = driver_on(disk, world, "a")
    driver.offer(PLAN)
    step_to(driver, State.FETCHED)
    driver.offer(offer_of(6, OLD, mcu=2)._replace(hardware={OWN: "rsu-9", MCU: "mast-1"}))
    driver._secondaries.running = running
    outcome = driver.run()
    assert outcome.did is did
    assert outcome.reason.startswith("mast: no answer" if did is Did.WAITING else "hardware: gateway: ")
    assert record_on(disk).state == "IDLE"


def test_the_rows_of_a_record_come_in_the_order_of_their_groups():
    record = Record(
        ecus={
            name: {
                "target": "a/b",
                "sha256": "",
                "length": 0,
                "version": "1",
                "counter": 1,
                "floor_name": "",
                "group": n,
            }
            for name, n in (("z", 0), ("a", 2), ("b", 1))
        }
    )
    assert list(table_of(record)) == ["z", "b", "a"]
