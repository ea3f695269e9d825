"""The steps of a campaign that runs, each within one transaction of the caller's.

Each gives how many devices, or campaigns, it has moved: 0 means that there is nothing to do of its kind now.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
from sqlalchemy import Connection

from ota.campaign import course as courses_of
from ota.campaign.course import BAD, ON_ITS_WAY, Course, State
from ota.campaign.engine.planning import plan_of, why_not
from ota.campaign.judge import Verdict, condemned, judge
from ota.campaign.rules import Campaign
from ota.campaign.selection import Filter, stage_of_late_joiner, stages_of
from ota.campaign.store import campaigns, courses, devices, plans, trail
from ota.campaign.store.campaigns import OPEN, Kept
from ota.campaign.store.devices import Known
from ota.targets import ImageInfo, Plan

BATCH = 500
CANCELLED_AT_ONCE = 5_000
"""Nobody is told of it."""
LOOK_AGAIN_S = 60
_STOPPED: tuple[State, ...] = (*sorted(ON_ITS_WAY), "silent")
_TO_SEND_BACK: tuple[State, ...] = ("confirmed", "good", "failed", "silent", "regressed")
_WAITING: tuple[State, ...] = ("waiting",)
NOT_KNOWN = "what it ran before is not known"


def enrol(connection: Connection, kept: Kept, info: ImageInfo, now: int) -> int:
    """Devices that came after the campaign had begun, where it takes late joiners."""
    campaign = kept.campaign
    if not campaign.takes_late_joiners or devices.imported_at(connection) <= kept.enrolled_at:
        return 0
    newest = devices.lock_fleet(connection)
    late = devices.each(connection, added_after=kept.enrolled_at)
    joined = 0
    for some in _batches(meant_of(campaign, late, devices.labels(connection))):
        there = {one.device for _name, one in courses.of_devices(connection, [each.device.id for each in some], OPEN)}
        fit = [one.device for one in some if one.device.id not in there and not why_not(campaign, info, one)]
        stages = {one.id: stage_of_late_joiner(campaign, one.id, kept.stage) for one in fit}
        courses.add(
            connection, campaign.name, [Course(device=one.id, model=one.model, stage=stages[one.id]) for one in fit]
        )
        if fit:
            names = sorted(stages)
            trail.append(connection, at=now, who=trail.ENGINE, what="joined", campaign=campaign.name, devices=names)
        joined += len(fit)
    campaigns.move(connection, campaign.name, enrolled_at=newest)
    return joined


def begin(connection: Connection, kept: Kept, now: int) -> int:
    """Everybody who is meant, each in its stage; the first one begins."""
    campaign = kept.campaign
    newest = devices.lock_fleet(connection)
    labels = devices.labels(connection)
    stages = stages_of(campaign, [one.device.id for one in meant_of(campaign, devices.each(connection), labels)])
    for some in _batches(meant_of(campaign, devices.each(connection), labels)):
        fit = [one.device for one in some]
        courses.add(
            connection, campaign.name, [Course(device=one.id, model=one.model, stage=stages[one.id]) for one in fit]
        )
    campaigns.move(connection, campaign.name, state="running", stage=0, begun_at=now, enrolled_at=newest, reason="")
    trail.append(connection, at=now, who=trail.ENGINE, what="begun", campaign=campaign.name, devices=len(stages))
    return len(stages)


def meant_of(campaign: Campaign, fleet: Iterable[Known], labels: set[str]) -> Iterator[Known]:
    """The devices that the terms of a campaign mean. Raises `CampaignError`."""
    terms = Filter(campaign.where, labels)
    return (one for one in fleet if terms.means(one.device))


def _batches(all_: Iterable[Known]) -> Iterator[list[Known]]:
    rest = iter(all_)
    while some := list(islice(rest, BATCH)):
        yield some


def look(connection: Connection, kept: Kept, now: int, listening_since: int) -> int:
    """Time went by: who was silent for too long, who was well for long enough."""
    found = courses.due(connection, kept.campaign.name, now, BATCH, is_retry=False)
    changed = [courses_of.passed(kept.campaign, one, now, listening_since) for one in found]
    # The same ones too: who would be silent if we had not been deaf is not in the way of all others until then.
    again_at = max(now + LOOK_AGAIN_S, listening_since + kept.campaign.gate.silent_after_s)
    courses.save(connection, kept.campaign, changed, looked_at=now, again_at=again_at)
    return len(found)


def tell(connection: Connection, kept: Kept, now: int) -> int:
    """A plan for devices whose turn it is, or whose next try is due; those that have it already are done."""
    campaign = kept.campaign
    wanted = courses.due(connection, campaign.name, now, BATCH, is_retry=True) or courses.next_in(
        connection, campaign.name, _WAITING, BATCH, stages_below=kept.stage + 1
    )
    known = devices.get(connection, [one.device for one in wanted], is_locked=True)
    last = plans.latest(connection, known)
    told: list[Course] = []
    made: list[Plan] = []
    done: list[Course] = []
    for one in wanted:
        device = known[one.device]
        before = device.device.targets.get(campaign.ecu, "")
        if before == campaign.target and one.state == "waiting":
            done.append(msgspec.structs.replace(one, state="good", ended_at=now, reason="it ran it already"))
            continue
        plan = plan_of(campaign, device, last[one.device].plan if one.device in last else None, campaign.target, now)
        made.append(plan)
        starts, records = device.looks.usual
        first = msgspec.structs.replace(
            one, before=one.before or before, usual_starts=starts, usual_records=records, heard_at=device.heard_at
        )
        told.append(courses_of.told(first, plan.number, now))
    _put(connection, kept, known, made, told + done, now)
    if told:
        facts = {"stage": kept.stage + 1, "plans": {plan.device: plan.number for plan in made}}
        trail.append(connection, at=now, who=trail.ENGINE, what="told", campaign=campaign.name, **facts)
    return len(told) + len(done)


def decide(connection: Connection, kept: Kept, now: int) -> Verdict:
    """Judge it, and do what the verdict says. A paused one can only be halted by it."""
    name = kept.campaign.name
    counts = campaigns.counts(connection, name, kept.stage)
    kept.excused.take_from(counts, kept.stage)
    if kept.state == "paused":
        verdict = condemned(kept.campaign.gate, counts.so_far) or Verdict(action="wait")
    else:
        verdict = judge(kept.campaign, kept.stage, counts.of_stage, counts.so_far, begun_at=kept.begun_at, now=now)
    if verdict.action == "wait" or (verdict.action == "pause" and kept.state == "paused"):
        return Verdict(action="wait")
    if verdict.action == "next":
        campaigns.move(connection, name, stage=kept.stage + 1, begun_at=now, reason=verdict.reason)
    elif verdict.action == "finish":
        campaigns.move(connection, name, state="finished", reason=verdict.reason)
    elif verdict.action == "pause":
        excused = msgspec.structs.replace(kept.excused, is_asked=True)
        campaigns.move(connection, name, state="paused", reason=verdict.reason, excused=excused)
    else:
        guilty = list(verdict.models) if verdict.action == "halt-and-revert" else []
        plans.withdraw(connection, name, now)
        campaigns.move(connection, name, state="reverting", reason=verdict.reason, guilty=guilty)
    facts = {"stage": kept.stage + 1, "reason": verdict.reason, "models": list(verdict.models)}
    trail.append(connection, at=now, who=trail.ENGINE, what=verdict.action, campaign=name, **facts)
    return verdict


def send_back(connection: Connection, kept: Kept, now: int) -> int:
    """A halted campaign: the guilty models go back to what they ran, and nobody who is on the way goes further.

    Nor does whoever is silent, of any model: turning up again, it would go on.
    """
    campaign = kept.campaign
    found = courses.next_in(connection, campaign.name, _STOPPED, BATCH)
    if kept.guilty and not found:
        found = courses.next_in(connection, campaign.name, _TO_SEND_BACK, BATCH, models=kept.guilty)
    if not found:
        waiting = courses.next_in(connection, campaign.name, _WAITING, CANCELLED_AT_ONCE)
        if waiting:
            courses.save(connection, campaign, [courses_of.cancelled(one, 0, now) for one in waiting])
            return len(waiting)
        campaigns.move(connection, campaign.name, state="halted")
        trail.append(connection, at=now, who=trail.ENGINE, what="halted", campaign=campaign.name)
        return 1
    known = devices.get(connection, [one.device for one in found], is_locked=True)
    last = plans.latest(connection, known)
    made: list[Plan] = []
    moved: list[Course] = []
    for one in found:
        made.append(
            plan_of(campaign, known[one.device], last[one.device].plan, one.before, now, is_back=True)
            if one.before
            else _cancelling(last[one.device].plan)
        )
        moved.append(_on_its_way_back(one, made[-1].number, now))
    _put(connection, kept, known, made, moved, now)
    facts = {"plans": {plan.device: plan.number for plan in made}}
    trail.append(connection, at=now, who=trail.ENGINE, what="sent back", campaign=campaign.name, **facts)
    return len(found)


def _on_its_way_back(one: Course, plan: int, now: int) -> Course:
    if one.before:
        return courses_of.reverting(one, plan, now)
    if one.state in ON_ITS_WAY:
        return courses_of.cancelled(one, plan, now)
    state: State = "stranded"
    reason = one.reason if one.state in BAD else NOT_KNOWN
    return msgspec.structs.replace(one, state=state, plan=plan, reason=reason)


def _cancelling(last: Plan) -> Plan:
    """What was not begun is not begun any more; nobody knows what else there is to run."""
    return msgspec.structs.replace(last, number=last.number + 1, is_cancelled=True)


def _put(
    connection: Connection, kept: Kept, known: dict[str, Known], made: list[Plan], moved: list[Course], now: int
) -> None:
    plans.put(connection, made, campaign=kept.campaign.name, stage=kept.stage, at=now)
    devices.save(connection, [known[plan.device]._replace(plan=plan.number) for plan in made])
    courses.save(connection, kept.campaign, moved)
