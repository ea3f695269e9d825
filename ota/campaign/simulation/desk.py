"""The operator's side of a simulation: what is heard goes into the decision core, and what it says is done.

As the engine does it, with lists in the place of the database.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from ota.campaign import course as courses_of
from ota.campaign.course import ON_ITS_WAY, Course, State, Vitals
from ota.campaign.judge import WAIT, Tally, Verdict, condemned, is_counted_bad, judge
from ota.campaign.rules import Campaign
from ota.campaign.selection import stages_of

Standing = Literal["running", "paused", "halted", "finished"]
Send = Callable[[int, int, bool, int], None]
"""(device, plan, whether it is the way back, now)"""

BEFORE = "simulated/gateway/1.0.0.tar"
_SENT_BACK: frozenset[State] = frozenset({"confirmed", "good", "failed", "silent", "regressed"})


class Desk:
    """ids and models: of each device by its number; usual: starts and records a day, by model."""

    def __init__(
        self, campaign: Campaign, ids: Sequence[str], models: Sequence[str], usual: dict[str, tuple[float, float]]
    ) -> None:
        self.campaign = campaign
        self._usual = usual
        stages = stages_of(campaign, ids)
        self.courses = [
            Course(device=name, model=model, stage=stages[name]) for name, model in zip(ids, models, strict=True)
        ]
        self.of_stage: list[dict[str, Tally]] = [{} for _stage in campaign.stage]
        self._members: list[list[int]] = [[] for _stage in campaign.stage]
        for number, course in enumerate(self.courses):
            self._members[course.stage].append(number)
            _tally_of(self.of_stage[course.stage], course.model).count(course.state)
        self._so_far: dict[str, Tally] = {}
        self.standing: Standing = "running"
        self.stage = -1
        self.begun_at = 0
        self.has_changed = False

    def begin_stage(self, now: int, send: Send) -> None:
        """The next one: everybody in it is told."""
        self.stage += 1
        self.begun_at = now
        for model, one in self.of_stage[self.stage].items():
            whole = _tally_of(self._so_far, model)
            for state, count in one.states.items():
                whole.count(state, count)
        for device in self._members[self.stage]:
            course = self.courses[device]
            starts, records = self._usual[course.model]
            known = msgspec.structs.replace(course, before=BEFORE, usual_starts=starts, usual_records=records)
            self._set(device, courses_of.told(known, course.plan + 1, now))
            send(device, course.plan + 1, False, now)

    def tell_again(self, device: int, now: int, send: Send) -> None:
        """Its next try is due."""
        course = self.courses[device]
        if course.state == "retrying" and self.standing == "running":
            self._set(device, courses_of.told(course, course.plan + 1, now))
            send(device, course.plan + 1, False, now)

    # What is heard ----------------------------------------------------------------------------------------------

    def heard(self, device: int, at: int) -> None:
        """A sign of life."""
        self._set(device, courses_of.heard(self.courses[device], at))

    def reached(self, device: int, plan: int, at: int) -> None:
        """It knows its plan."""
        self._set(device, courses_of.reached(self.courses[device], plan, at))

    def ended(self, device: int, plan: int, outcome: str, rule: str, at: int) -> None:
        """Its report."""
        self._set(device, courses_of.ended(self.campaign, self.courses[device], plan, outcome, at, rule))

    def watched(self, device: int, vitals: Vitals) -> None:
        """Its counters."""
        self._set(device, courses_of.watched(self.campaign, self.courses[device], vitals))

    def passed(self, device: int, now: int) -> None:
        """Time went by."""
        self._set(device, courses_of.passed(self.campaign, self.courses[device], now))

    def _set(self, device: int, new: Course) -> None:
        old = self.courses[device]
        if new is old:
            return
        self.courses[device] = new
        if new.state == old.state and new.rule == old.rule:
            return
        self.has_changed = True
        _move(self.of_stage[new.stage][new.model], old, new)
        if new.stage <= self.stage:
            _move(self._so_far[new.model], old, new)

    # What is done -----------------------------------------------------------------------------------------------

    def verdict(self, now: int) -> Verdict:
        """What is to be done. A paused campaign can only be halted."""
        self.has_changed = False
        if self.standing == "paused":
            return condemned(self.campaign.gate, self._so_far) or WAIT
        of_stage = self.of_stage[self.stage]
        return judge(self.campaign, self.stage, of_stage, self._so_far, begun_at=self.begun_at, now=now)

    def act(self, verdict: Verdict, now: int, send: Send) -> None:
        """Do it."""
        match verdict.action:
            case "next":
                self.begin_stage(now, send)
            case "finish":
                self.standing = "finished"
            case "pause":
                self.standing = "paused"
            case "halt":
                self._halt((), now, send)
            case "halt-and-revert":
                self._halt(verdict.models, now, send)

    def _halt(self, guilty: Sequence[str], now: int, send: Send) -> None:
        """Who is on the way goes no further, and the guilty models go back."""
        self.standing = "halted"
        for device, course in enumerate(self.courses):
            if course.state == "waiting":
                self._set(device, courses_of.cancelled(course, 0, now))
            elif course.state in ON_ITS_WAY or (course.model in guilty and course.state in _SENT_BACK):
                self._set(device, courses_of.reverting(course, course.plan + 1, now))
                send(device, course.plan + 1, True, now)


def _tally_of(tallies: dict[str, Tally], model: str) -> Tally:
    return tallies.setdefault(model, Tally(states={}, rules={}))


def _move(one: Tally, old: Course, new: Course) -> None:
    one.count(old.state, -1)
    one.count(new.state)
    if is_counted_bad(old):
        one.rules[old.rule] -= 1
        if not one.rules[old.rule]:
            del one.rules[old.rule]
    if is_counted_bad(new):
        one.rules[new.rule] = one.rules.get(new.rule, 0) + 1
