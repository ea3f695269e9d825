"""One device's way through a campaign: what is heard of it, and what that makes of it.

    waiting ── told ── reached ── confirmed ── good
                 │        │           └─────── regressed    its health is worse than before
                 │        ├─────────────────── failed       it rolled back, refused or gave up
                 │        │  └── retrying ── told           what the surroundings did is tried again
                 │        └─────────────────── silent       it took the plan and was not heard of again
                 └── cancelled
    told, reached, confirmed, good, ... ── reverting ── reverted | stranded ── reverted    it came back in the end

One that is silent goes back to where it was when it turns up; what a report says of a plan holds in every state before
its end, also when nothing was heard of in between.

A function for each thing that can be heard; each gives the course as it is then, the same object where nothing has
changed. What belongs to another plan than the one that the device was told last changes nothing but when it was heard.
"""

from typing import Literal

import msgspec

from ota.campaign.bound import chance_of_so_few, chance_of_so_many
from ota.campaign.conditions import longest_wait_s
from ota.campaign.retry import next_try_s
from ota.campaign.rules import Campaign
from ota.errors import Rule

State = Literal[
    "waiting",
    "told",
    "reached",
    "retrying",
    "confirmed",
    "good",
    "failed",
    "silent",
    "regressed",
    "cancelled",
    "reverting",
    "reverted",
    "stranded",
]
STATES: tuple[State, ...] = State.__args__  # type: ignore[attr-defined]
BAD: frozenset[State] = frozenset({"failed", "silent", "regressed"})
ENDED: frozenset[State] = BAD | {"good", "cancelled", "reverted", "stranded"}
ON_ITS_WAY: frozenset[State] = frozenset({"told", "reached", "retrying"})
SILENT, REGRESSED = "silent", "regressed"
"""Stand in the place of a rule."""
MAX_REASON_CHARS = 500
DAY_S = 86_400.0
HEARD_WITHIN_S = 900
"""Within this time whoever can be heard has been."""
CHANCE = 1e-4
"""What is less likely than this on a well device is not put down to chance."""
LEAST_USUAL_STARTS = 0.5
"""A day: a few quiet weeks do not say that a device is never started anew."""


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a device at one time: two looks make a rate."""

    at: int
    starts: int = 0
    """Starts of its agent since it was made."""
    records: int = 0
    """Records made since it was made; 0 where it does not say."""


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """One device in one campaign. Times in seconds since 1970."""

    device: str
    model: str
    stage: int
    state: State = "waiting"
    plan: int = 0
    """The number of the plan that it was told last."""
    tries: int = 0
    """Plans that it was told, the way back not counted."""
    told_at: int = 0
    heard_at: int = 0
    ended_at: int = 0
    """When it confirmed or failed."""
    next_at: int = 0
    """While it is retrying: when it is told again."""
    before: str = ""
    """The target that it ran, for the way back; nothing where that is not known."""
    rule: str = ""
    reason: str = ""
    usual_starts: float = 0.0
    """A day, before."""
    usual_records: float = 0.0
    first: Vitals | None = None
    """The first look after it confirmed."""
    is_overdue: bool = False
    """The watch over it has ended, and it was not heard of since."""


def told(course: Course, plan: int, at: int) -> Course:
    """A plan is made for it, and it is about to be told."""
    return msgspec.structs.replace(
        course, state="told", plan=plan, tries=course.tries + 1, told_at=at, ended_at=0, next_at=0, rule="", reason=""
    )


def reverting(course: Course, plan: int, at: int) -> Course:
    """A plan for the way back is made. Why it has failed stays written; what was to be tried again is no failure."""
    rule, reason = (course.rule, course.reason) if course.state in BAD else ("", "")
    return msgspec.structs.replace(
        course, state="reverting", plan=plan, told_at=at, next_at=0, rule=rule, reason=reason
    )


def cancelled(course: Course, plan: int, at: int) -> Course:
    """It is told to leave it, or was never told."""
    return msgspec.structs.replace(course, state="cancelled", plan=plan or course.plan, ended_at=at, next_at=0)


def heard(course: Course, at: int) -> Course:
    """Any sign of life. One that is silent no more goes on where it was: what became of it is yet to be heard."""
    if at <= course.heard_at:
        return course
    if course.state == "silent":
        back: State = "confirmed" if course.ended_at else "reached"
        return msgspec.structs.replace(course, state=back, heard_at=at, rule="", reason="", is_overdue=False)
    return msgspec.structs.replace(course, heard_at=at)


def reached(course: Course, plan: int, at: int) -> Course:
    """It has said that it knows its plan."""
    course = heard(course, at)
    if course.state == "told" and plan == course.plan:
        return msgspec.structs.replace(course, state="reached")
    return course


def ended(
    campaign: Campaign, course: Course, plan: int, outcome: str, at: int, rule: str = "", reason: str = ""
) -> Course:
    """A report of its own: `confirmed`, `rolled-back`, `failed`, `refused` or `cancelled` (`ota.reports.Outcome`)."""
    course = heard(course, at)
    if plan != course.plan or not plan:
        return course
    reason = reason[:MAX_REASON_CHARS]
    if course.state == "silent" and not course.ended_at:  # said before it fell silent, and heard of late
        course = msgspec.structs.replace(course, state="reached", rule="", reason="")
    if course.state in ("reverting", "stranded"):
        return _sent_back(course, outcome, at, reason)
    if course.state not in ON_ITS_WAY:
        return course
    if outcome == "confirmed":
        return msgspec.structs.replace(course, state="confirmed", ended_at=at, first=None, rule="", reason="")
    if outcome == "cancelled":
        return msgspec.structs.replace(course, state="cancelled", ended_at=at, rule=rule, reason=reason)
    return _failed(campaign, course, outcome, at, rule, reason)


def _sent_back(course: Course, outcome: str, at: int, reason: str) -> Course:
    is_back = outcome == "confirmed"
    if course.state == "stranded" and not (is_back and course.before):
        return course
    state: State = "reverted" if is_back else "stranded"
    return msgspec.structs.replace(course, state=state, ended_at=at, reason=reason or course.reason)


def _failed(campaign: Campaign, course: Course, outcome: str, at: int, rule: str, reason: str) -> Course:
    wait_s = None if outcome == "rolled-back" else next_try_s(rule, course.tries, campaign.retry)
    if wait_s is not None:
        if course.state == "retrying":  # said once more: it is tried again when it was to be
            return course
        return msgspec.structs.replace(course, state="retrying", next_at=at + wait_s, rule=rule, reason=reason)
    rule = rule or (Rule.HEALTH.value if outcome == "rolled-back" else outcome)
    return msgspec.structs.replace(course, state="failed", ended_at=at, rule=rule, reason=reason)


def watched(campaign: Campaign, course: Course, now: Vitals) -> Course:
    """A look at its counters: after it has confirmed it must not be worse off than before."""
    course = heard(course, now.at)
    first = course.first
    is_late = now.at < (course.ended_at if first is None else first.at)  # looked at before, and heard of after it
    if course.state != "confirmed" or is_late:
        return course
    if first is None or now.starts < first.starts or now.records < first.records:  # its journals began anew
        return msgspec.structs.replace(course, first=now)
    past_s = now.at - first.at
    if past_s < campaign.health.after_s:
        return course
    days = past_s / DAY_S
    starts, records = now.starts - first.starts, now.records - first.records
    usual_starts, usual_records = course.usual_starts * days, course.usual_records * days
    is_restless = starts > usual_starts + campaign.health.restarts_more_a_day * days
    if is_restless and chance_of_so_many(starts, max(usual_starts, LEAST_USUAL_STARTS * days)) < CHANCE:
        reason = f"{starts / days:.1f} restarts a day; {course.usual_starts:.1f} before"
        return _regressed(course, now.at, reason)
    if records < campaign.health.min_rate * usual_records and chance_of_so_few(records, usual_records) < CHANCE:
        reason = f"{records / days:.0f} records a day; {course.usual_records:.0f} before"
        return _regressed(course, now.at, reason)
    return course


def _regressed(course: Course, at: int, reason: str) -> Course:
    return msgspec.structs.replace(course, state="regressed", ended_at=at, rule=REGRESSED, reason=reason)


def passed(campaign: Campaign, course: Course, now: int, listening_since: int = 0) -> Course:
    """Time went by: it has been silent for too long, or well for long enough and then was heard of.

    listening_since: when we could hear devices again; nobody is silent because we were deaf.
    """
    silent_after_s = campaign.gate.silent_after_s
    if course.state == "reached":
        silent_after_s += longest_wait_s(campaign.when)
    if course.state in ("reached", "confirmed") and _silent_for(course, now, listening_since) >= silent_after_s:
        what = "taken its plan" if course.state == "reached" else "confirmed"
        reason = f"not heard of for {silent_after_s / 3600:.1f} hours after it had {what}"
        return msgspec.structs.replace(course, state="silent", rule=SILENT, reason=reason)
    if course.state != "confirmed":
        return course
    over_at = course.ended_at + campaign.stage[course.stage].soak_s
    if now >= over_at and course.heard_at >= over_at:
        return msgspec.structs.replace(course, state="good")
    if now >= over_at + HEARD_WITHIN_S and not course.is_overdue:
        return msgspec.structs.replace(course, is_overdue=True)
    return course


def _silent_for(course: Course, now: int, listening_since: int) -> int:
    return now - max(course.heard_at, course.told_at, listening_since)


def next_look_at(campaign: Campaign, course: Course) -> int:
    """When `passed` may next change it; 0: never by itself."""
    silent_after_s = campaign.gate.silent_after_s
    last = max(course.heard_at, course.told_at)
    if course.state == "reached":
        return last + silent_after_s + longest_wait_s(campaign.when)
    if course.state == "confirmed":
        over_at = course.ended_at + campaign.stage[course.stage].soak_s
        if course.heard_at >= over_at:
            return over_at
        return last + silent_after_s if course.is_overdue else min(last + silent_after_s, over_at + HEARD_WITHIN_S)
    return course.next_at if course.state == "retrying" else 0
