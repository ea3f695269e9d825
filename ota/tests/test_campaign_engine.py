"""The engine: who is told and when, what an outage does, who joins late, what is tried again."""

from typing import Any

import pytest
from sqlalchemy import Connection

from ota.campaign.engine import steps
from ota.campaign.engine.engine import SETTLE_S
from ota.campaign.engine.heard import Account, Answer, Look, Sign
from ota.campaign.rules import Campaign
from ota.campaign.store import courses, devices, plans
from ota.campaign.store.plans import CLAIM_S
from ota.errors import StorageError
from ota.tests.rollout_office import (
    BEGIN,
    CAMPAIGN,
    NAME,
    NEW,
    OLD,
    ROUND_S,
    Field,
    Office,
    campaign_of,
    device,
    info,
    repeated,
)

DAY_S = 86_400
ONE = CAMPAIGN.partition("[[stage]]")[0] + "[[stage]]\npercent = 100\n[when]\njitter_s = 0\n[gate]\nmin_sample = 10\n"


def test_a_good_release_reaches_everybody_once(office: Office) -> None:
    office.fill({"bus": 8, "lane": 12})
    office.begin()
    field = Field()
    assert field.run(office).state == "finished"
    assert set(office.states().values()) == {"good"}
    assert sorted(office.told()) == sorted((name, 1) for name in office.states())
    assert len(field.commands) == 20
    with office.database.reading() as connection:
        assert {one.device.targets["main"] for one in devices.every(connection)} == {NEW}


def test_a_bad_model_goes_back_and_nobody_else_is_told(office: Office) -> None:
    office.fill({"bus": 8, "lane": 12})
    office.begin()
    field = Field({"bus"})
    kept = field.run(office)
    assert (kept.state, kept.stage, kept.guilty) == ("halted", 0, ["bus"])
    assert "bus: 3 of 3" in kept.reason
    back = [name for name, plan in office.told() if plan == 2]
    assert {office.states()[name] for name in back} == {"reverted"}
    assert {name.partition("-")[0] for name in back} == {"bus"}
    with office.database.reading() as connection:
        plan = plans.latest(connection, back)[back[0]].plan
    assert plan.ecus["main"].target == OLD


@pytest.mark.parametrize("bad", [set(), {"bus"}], ids=["finishes", "is sent back"])
@pytest.mark.parametrize("from_round", [0, 1, 3])
def test_an_outage_delays_and_does_nothing_else(office: Office, bad: set[str], from_round: int) -> None:
    """Longer than any device may be silent; while it lasts nothing is heard, and nobody is judged for it."""
    office.fill({"bus": 8, "lane": 12})
    office.begin()
    field, engine = Field(bad), office.engine()
    for number in range(from_round):
        field.round(engine, BEGIN + number * ROUND_S)
    field.is_reachable = False
    engine.hear_since(None)
    before = office.states()
    for hour in range(1, 49):
        field.round(engine, BEGIN + from_round * ROUND_S + hour * 3600)
    moved = {name for name, state in office.states().items() if state != before[name]}
    assert {office.states()[name] for name in moved} <= {"told"}, "only what was planned went on"
    back_at = BEGIN + 3 * DAY_S
    field.is_reachable = True
    engine.hear_since(back_at)
    engine.take(field.kept(back_at))
    kept = field.run(office, engine, at=back_at)
    assert (kept.state, kept.guilty) == (("halted", ["bus"]) if bad else ("finished", []))
    assert not repeated(office.told())
    assert "silent" not in {office.course(name).rule for name in office.states()}
    if not bad:
        assert set(office.states().values()) == {"good"}
        assert len({each for _device, each, _plan in field.commands}) == len(field.commands) == 20


def test_a_silent_device_is_a_failure_unless_it_was_we_who_were_deaf(office: Office) -> None:
    office.fill({"bus": 3})
    office.begin(campaign_of(ONE))
    engine = office.engine()
    engine.work_all(BEGIN)
    commands = engine.claim(BEGIN, 10)
    engine.take([Answer(device=one.device, command=one.id, at=BEGIN) for one in commands])
    engine.hear_since(BEGIN + 5 * 3600)
    engine.work_all(BEGIN + 10 * 3600)
    assert set(office.states().values()) == {"reached"}
    engine.take([Sign(device="bus-000", at=BEGIN + 10 * 3600)])
    engine.work_all(BEGIN + 11 * 3600 + 60)
    assert office.states() == {"bus-000": "reached", "bus-001": "silent", "bus-002": "silent"}
    assert office.course("bus-001").reason == "not heard of for 6.0 hours after it had taken its plan"
    engine.take([Sign(device="bus-001", at=BEGIN + 12 * 3600)])
    assert office.states()["bus-001"] == "reached"


def test_who_waits_for_ears_keeps_nobody_else_waiting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a batch of devices that would be silent had we heard, and behind them one that is."""
    monkeypatch.setattr(steps, "BATCH", 3)
    office.fill({"bus": 7})
    office.begin(campaign_of(ONE.replace("jitter_s = 0", 'jitter_s = 0\nwindow = { from = "01:00", to = "02:00" }')))
    engine = office.engine()
    engine.work_all(BEGIN)
    commands = engine.claim(BEGIN, 10)
    engine.take([Answer(device=one.device, command=one.id, at=BEGIN) for one in commands])
    back_at = BEGIN + 40 * 3600
    account = {"plan": 1, "outcome": "confirmed"}
    engine.take([Account(device="bus-006", account=account, at=back_at - 3600)])
    engine.hear_since(back_at)
    engine.work_all(back_at + SETTLE_S)
    saved: list[str] = []
    save = courses.save

    def noted(connection: Connection, wanted: Campaign, changed: list[courses.Course], **more: int) -> None:
        saved.extend(one.device for one in changed)
        save(connection, wanted, changed, **more)

    monkeypatch.setattr(courses, "save", noted)
    engine.work_all(back_at + SETTLE_S + 60)
    assert saved == [], "they are not looked at anew until they can be silent"
    engine.work_all(back_at + 6 * 3600)
    states = office.states()
    assert states.pop("bus-006") == "silent"
    assert set(states.values()) == {"reached"}, "they may wait for their window another day"


def test_those_that_are_to_be_tried_again_keep_no_other_waiting(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a campaign is paused nobody is told again: who is silent is found all the same."""
    monkeypatch.setattr(steps, "BATCH", 2)
    office.fill({"bus": 5})
    campaign = office.begin(campaign_of(ONE))
    engine = office.engine()
    engine.work_all(BEGIN)
    commands = {one.device: one.id for one in engine.claim(BEGIN, 10)}
    failed = {"plan": 1, "outcome": "failed", "rule": "network", "reason": "no route"}
    engine.take([Account(device=f"bus-00{number}", account=failed, at=BEGIN) for number in range(4)])
    engine.take([Answer(device="bus-004", command=commands["bus-004"], at=BEGIN)])
    office.clerk.pause(NAME, office.signed("pause", "li", campaign, at=BEGIN + 1))
    engine.work_all(BEGIN + 2 * DAY_S)
    assert office.states()["bus-004"] == "silent"
    assert sorted(office.states().values()) == ["retrying"] * 4 + ["silent"]
    office.clerk.resume(NAME, office.signed("resume", "li", campaign, at=BEGIN + 2 * DAY_S))
    engine.work_all(BEGIN + 2 * DAY_S)
    assert sorted(office.states().values()) == ["silent"] + ["told"] * 4


def test_what_the_surroundings_did_is_tried_again_with_pauses_that_grow(office: Office) -> None:
    office.fill({"bus": 1})
    office.begin(campaign_of(ONE, "[retry.network]", "attempts = 2", "first_s = 600"))
    engine, now = office.engine(), BEGIN
    failed = {"outcome": "failed", "rule": "network", "reason": "no route"}
    for number, wait_s in ((1, 600), (2, 1200)):
        engine.work_all(now)
        assert office.course("bus-000").plan == number
        engine.take([Account(device="bus-000", account={**failed, "plan": number}, at=now + 1)])
        engine.work_all(now + wait_s)
        assert office.states() == {"bus-000": "retrying"}
        now += wait_s + 1
    engine.work_all(now)
    engine.take([Account(device="bus-000", account={**failed, "plan": 3}, at=now + 1)])
    assert (office.course("bus-000").state, office.course("bus-000").rule) == ("failed", "network")
    assert office.told() == [("bus-000", 1), ("bus-000", 2), ("bus-000", 3)]
    assert len({one.id for one in engine.claim(now, 10)}) == 3


def test_who_comes_late_joins_also_within_one_second(office: Office) -> None:
    office.fill({"bus": 4})
    office.begin(campaign_of(ONE.replace("[[stage]]", 'where = ["region=north"]\n[[stage]]', 1)))
    engine = office.engine()
    engine.work_all(BEGIN)
    for name in ("late-1", "late-2", "late-3"):
        office.add([device(name), device(f"south-{name}", labels={"region": "south"})], at=1)
        engine.work_all(BEGIN)
        assert office.states()[name] == "told", "also one that is dated as those before"
    assert len(office.states()) == 7
    office.add([device("lamp-1", ecus={"main": "lamp"})])
    engine.work_all(BEGIN)
    assert "lamp-1" not in office.states(), "the release is not for its hardware"


def test_a_campaign_that_takes_nobody_late_takes_nobody(office: Office) -> None:
    office.fill({"bus": 4})
    office.begin(campaign_of("takes_late_joiners = false\n" + ONE))
    engine = office.engine()
    engine.work_all(BEGIN)
    office.add([device("late-1")], at=BEGIN)
    engine.work_all(BEGIN)
    assert len(office.states()) == 4


def test_one_that_may_begin_later_is_not_over_before_it_begins(office: Office) -> None:
    """Its patience is that of its stage, not of the time since it was approved."""
    office.fill({"bus": 4})
    office.begin(campaign_of(f"may_begin_at = {BEGIN + 30 * DAY_S}\n" + ONE))
    engine = office.engine()
    for day in range(30):
        engine.work_all(BEGIN + day * DAY_S)
    assert (office.kept().state, set(office.states().values())) == ("running", {"waiting"})
    engine.work_all(BEGIN + 30 * DAY_S)
    assert (office.kept().state, set(office.states().values())) == ("running", {"told"})
    engine.work_all(BEGIN + 38 * DAY_S)
    assert office.kept().state == "paused"


def test_a_release_that_cannot_be_looked_up_stops_no_way_back_and_no_other_campaign(office: Office) -> None:
    office.fill({"bus": 4})
    office.add([device("lane-1", "lane")])
    bus = office.begin(campaign_of(ONE.replace("[[stage]]", 'where = ["model=bus"]\n[[stage]]', 1)))
    other = ONE.replace(NAME, "another").replace(NEW, "rsu/gateway/1.5.tar")
    office.infos["rsu/gateway/1.5.tar"] = info()
    office.begin(campaign_of(other.replace("[[stage]]", 'where = ["model=lane"]\n[[stage]]', 1)))

    class Away(dict[str, Any]):
        def get(self, target: str, _default: Any = None) -> Any:
            if target == NEW:
                raise StorageError("repository", "it is away")
            return super().get(target)

    engine = office.engine()
    engine._step(NAME, engine._tell, BEGIN)
    office.infos = Away(office.infos)
    with pytest.raises(StorageError, match="it is away"):
        engine.work(BEGIN)
    office.clerk.halt(NAME, office.signed("halt", "li", bus), is_sent_back=False)
    while office.kept().state != "halted":
        engine.work(BEGIN)
    assert set(office.states().values()) == {"reverting"}
    assert office.states("another") == {"lane-1": "told"}


@pytest.mark.parametrize("jitter_s", [0, 1000])
def test_what_was_not_sent_when_it_was_halted_is_not_sent(office: Office, jitter_s: int) -> None:
    office.fill({"bus": 4})
    campaign = office.begin(campaign_of(ONE.replace("jitter_s = 0", f"jitter_s = {jitter_s}")))
    engine = office.engine()
    engine.work_all(BEGIN)
    assert len(engine.claim(BEGIN, 10)) == (0 if jitter_s else 4), "a fleet is told spread over its jitter"
    at = BEGIN + CLAIM_S
    while not (claimed := engine.claim(at, 1)):
        at += 1
    (held,) = claimed
    office.clerk.halt(NAME, office.signed("halt", "li", campaign, at=at), is_sent_back=False)
    engine.work_all(at)
    sent = [(one.device, one.plan) for one in engine.claim(at + CLAIM_S, 10)]
    assert sorted(sent) == sorted([(f"bus-00{number}", 2) for number in range(4)] + [(held.device, 1)])


def test_a_claim_is_given_back_by_whom_it_belongs_to(office: Office) -> None:
    office.fill({"bus": 4})
    office.begin(campaign_of(ONE))
    one, two, three = (office.engine(name) for name in ("one", "two", "three"))
    one.work_all(BEGIN)
    ids = [each.id for each in one.claim(BEGIN, 10)]
    assert two.claim(BEGIN + CLAIM_S - 1, 10) == []
    assert [each.id for each in two.claim(BEGIN + CLAIM_S, 10)] == ids
    one.give_back(ids)
    assert three.claim(BEGIN + CLAIM_S, 10) == [], "they are the second one's by now"
    two.give_back(ids[:1])
    assert [each.id for each in three.claim(BEGIN + CLAIM_S, 10)] == ids[:1]
    two.sent(ids, BEGIN + CLAIM_S)
    assert one.claim(BEGIN + 9 * CLAIM_S, 10) == []


def test_counters_that_fall_off_after_it_confirmed_are_a_regression(office: Office) -> None:
    office.fill({"bus": 1})
    engine = office.engine()
    for day in range(4):
        engine.take([Look(device="bus-000", records=1000 * day, starts=1, at=BEGIN - (4 - day) * DAY_S)])
    office.begin(campaign_of(ONE.replace("percent = 100", f"percent = 100\nsoak_s = {DAY_S}")))
    engine.work_all(BEGIN)
    engine.take([Account(device="bus-000", account={"plan": 1, "outcome": "confirmed"}, at=BEGIN + 60)])
    engine.take([Look(device="bus-000", records=3000, starts=2, at=BEGIN + 120)])
    engine.take([Look(device="bus-000", records=3100, starts=2, at=BEGIN + 120 + DAY_S // 2)])
    course = office.course("bus-000")
    assert (course.state, course.reason) == ("regressed", "200 records a day; 1000 before")
