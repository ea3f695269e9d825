"""What is to be done with a campaign: from counts alone, so that it can be tried on any that one can think of.

Failures are counted for each model and for all of them together, over the whole campaign: condemned is what has failed
so often that a good release would not, by the lower Wilson bound. A stage is over when enough of its devices have come
to an end, well; what is too little to be judged by numbers, and yet has failures in it, is left to a person: all of
a small stage, or the few devices that a rare model has in a great one.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Literal

import msgspec

from ota.campaign.bound import chance_of_so_many, wilson_lower
from ota.campaign.course import BAD, Course, State
from ota.campaign.rules import Campaign, Gate

Action = Literal["wait", "next", "finish", "pause", "halt", "halt-and-revert"]
HARDLY = 1e-4
"""What is less likely than this with a good release is not left to chance, however few the devices are."""


class Tally(msgspec.Struct, kw_only=True):
    """How many devices of a model are where."""

    states: dict[State, int] = {}
    rules: dict[str, int] = {}
    """Why the bad ones are: by rule."""

    def count(self, state: State, number: int = 1) -> None:
        """One more, or one less."""
        self.states[state] = self.states.get(state, 0) + number

    def of(self, *states: State) -> int:
        """How many are in one of these."""
        return sum(self.states.get(state, 0) for state in states)

    @property
    def all(self) -> int:
        """Every device."""
        return sum(self.states.values())

    @property
    def bad(self) -> int:
        """Failed, silent, worse than before; those that have gone back since are counted by their rule."""
        return sum(self.rules.values())

    @property
    def well(self) -> int:
        """Confirmed, whether the watch over them is over or not."""
        return self.of("confirmed", "good")

    @property
    def watched(self) -> int:
        """Confirmed, and still looked at."""
        return self.of("confirmed")

    @property
    def under_way(self) -> int:
        """Reached, and not at an end."""
        return self.of("reached", "retrying", "confirmed")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and why, in one line."""

    action: Action
    reason: str = ""
    models: tuple[str, ...] = ()
    """The models that are condemned; all of them where the release is."""


WAIT = Verdict(action="wait")


def tally(courses: Iterable[Course]) -> dict[str, Tally]:
    """By model."""
    tallies: dict[str, Tally] = {}
    for course in courses:
        one = tallies.setdefault(course.model, Tally(states={}, rules={}))
        one.count(course.state)
        if is_counted_bad(course):
            one.rules[course.rule] = one.rules.get(course.rule, 0) + 1
    return tallies


def is_counted_bad(course: Course) -> bool:
    """Also when it is on its way back: what has happened has happened."""
    return course.state in BAD or (course.state in ("reverting", "reverted", "stranded") and bool(course.rule))


def condemned(gate: Gate, so_far: Mapping[str, Tally]) -> Verdict | None:
    """The models that failed too often by themselves; and where the rest of them together did, the worst of the rest.

    A release that fails everywhere condemns all of them in the end; one that fails on two models, each too few to be
    judged alone, condemns those two: where one is condemned, what is hardly chance on another one is no chance, and
    those that keep it must have kept within what is tolerated.
    """
    guilty = [model for model, one in sorted(so_far.items()) if _is_bad(gate, one)]
    reasons = [_said(gate, model, so_far[model]) for model in guilty]
    left = sorted(set(so_far) - set(guilty), key=lambda model: (_share(so_far[model]), model))
    rest = _sum(so_far[model] for model in left)
    if _is_bad(gate, rest):
        reasons.append(_said(gate, "the other models together" if guilty else "all models together", rest))
    while left and _is_bad(gate, _sum(so_far[model] for model in left)):
        worst = left.pop()
        guilty.append(worst)
        reasons.append(f"the worst of them {worst}: {so_far[worst].bad} of {_ended(so_far[worst])}")
    if not guilty:
        return None
    for model in reversed(tuple(left)):
        if _is_odd(gate, so_far[model]) or _is_no_better(gate, model, left, so_far):
            left = [each for each in left if each != model]
            guilty.append(model)
            reasons.append(f"{model} too: {so_far[model].bad} of {_ended(so_far[model])}")
    return Verdict(action=gate.on_failure, reason="; ".join(reasons), models=tuple(sorted(guilty)))


def _is_no_better(gate: Gate, model: str, left: Sequence[str], so_far: Mapping[str, Tally]) -> bool:
    """Whether a model has its part in what is left failing more often than is tolerated: the release is bad there too.

    One failure is nobody's part: it may be what any fleet has on any day.
    """
    rest = _sum(so_far[each] for each in left)
    return so_far[model].bad > 1 and rest.bad > gate.tolerated * (_ended(rest) + rest.of("reached"))


def _is_bad(gate: Gate, counts: Tally) -> bool:
    return is_condemned(gate, counts.bad, _ended(counts), counts.of("reached"))


def _share(counts: Tally) -> float:
    return counts.bad / max(1, _ended(counts))


def _ended(counts: Tally) -> int:
    return counts.bad + counts.well


def is_condemned(gate: Gate, bad: int, ended: int, on_their_way: int = 0) -> bool:
    """Whether a release that fails no more often than is tolerated would hardly fail so often.

    bad: of `ended` devices that came to an end, how many did not come to a good one. on_their_way: those that have
    their plan and may yet fail; they are taken for well, since a failure is heard of sooner than a confirmation: when
    a stage begins, those that have come to an end are at first those that failed at once.
    """
    if bad < gate.min_failures or ended < gate.min_sample:
        return False
    return wilson_lower(bad, ended + on_their_way, gate.confidence) > gate.tolerated


def judge(
    campaign: Campaign,
    stage: int,
    of_stage: Mapping[str, Tally],
    so_far: Mapping[str, Tally],
    *,
    begun_at: int,
    now: int,
) -> Verdict:
    """What is to be done now.

    of_stage: the devices of the stage that runs; so_far: those of all stages up to it. begun_at: of this stage.
    """
    verdict = condemned(campaign.gate, so_far)
    if verdict is not None:
        return verdict
    counts = _sum(of_stage.values())
    is_last = stage == len(campaign.stage) - 1
    if _is_over(campaign.gate, counts, is_last=is_last):
        return _settle(campaign.gate, stage, of_stage, is_last=is_last)
    if now - max(begun_at, campaign.may_begin_at) < campaign.stage[stage].patience_s:
        return WAIT
    if is_last and _is_over(campaign.gate, counts, is_last=False):
        verdict = _settle(campaign.gate, stage, of_stage, is_last=True)
        left = counts.of("waiting", "told") + counts.under_way
        reason = f"{verdict.reason}; {left} devices were waited for in vain, and may still take it"
        return Verdict(action=verdict.action, reason=reason)
    return Verdict(action="pause", reason=f"stage {stage + 1} has not come to its end in time: {in_words(counts)}")


def _settle(gate: Gate, stage: int, of_stage: Mapping[str, Tally], *, is_last: bool) -> Verdict:
    """The stage is over, and nothing is condemned."""
    counts = _sum(of_stage.values())
    ended = _ended(counts)
    if counts.bad and ended < gate.min_sample:
        reason = f"stage {stage + 1}: {counts.bad} of {ended} failed; so few are for a person to judge"
        return Verdict(action="pause", reason=reason)
    if ended and counts.well < gate.min_success * ended:
        share = f"{100 * counts.well / ended:.1f} % went well; {100 * gate.min_success:g} % are wanted to go on"
        return Verdict(action="pause", reason=f"stage {stage + 1}: {share}")
    if counts.all and not ended and not is_last:
        return Verdict(action="pause", reason=f"stage {stage + 1} has proven nothing: {in_words(counts)}")
    few = [f"{model}: {one.bad} of {_ended(one)}" for model, one in sorted(of_stage.items()) if _is_odd(gate, one)]
    if few:
        reason = f"stage {stage + 1}: {', '.join(few)} failed; so few are for a person to judge"
        return Verdict(action="pause", reason=reason)
    return Verdict(action="finish" if is_last else "next", reason=f"stage {stage + 1}: {in_words(counts)}")


def _is_odd(gate: Gate, counts: Tally) -> bool:
    """Of too few devices for the bound so many failed that it is hardly chance."""
    is_small = counts.bad < gate.min_failures or _ended(counts) < gate.min_sample
    return is_small and counts.bad > 1 and chance_of_so_many(counts.bad, gate.tolerated * _ended(counts)) < HARDLY


def _is_over(gate: Gate, counts: Tally, *, is_last: bool) -> bool:
    """Enough of those that were reached are at their end, and enough were reached to say anything.

    Who could not be reached, as a bus in its depot without a network, holds up nobody; the last stage waits for it.
    """
    open_ = counts.of("waiting", "told") + counts.under_way
    if is_last:
        return open_ == 0
    settled = counts.of("good") + counts.bad
    met = settled + counts.under_way
    wanted = min(gate.min_sample, ceil(gate.min_done * (met + open_ - counts.under_way)))
    return met >= wanted and settled >= gate.min_done * met and (settled > 0 or open_ == 0)


def in_words(counts: Tally) -> str:
    """Each count that is not zero."""
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.states.items()) if number) or "no device"


def _said(gate: Gate, who: str, counts: Tally) -> str:
    ended = _ended(counts)
    at_least = 100 * wilson_lower(counts.bad, ended + counts.of("reached"), gate.confidence)
    why = ", ".join(f"{number} {rule}" for rule, number in sorted(counts.rules.items(), key=lambda item: -item[1]))
    return (
        f"{who}: {counts.bad} of {ended} failed ({why}): at least {at_least:.1f} % of all would, "
        f"{100 * gate.tolerated:g} % are tolerated"
    )


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally(states={}, rules={})
    for one in tallies:
        for state, number in one.states.items():
            total.count(state, number)
        for rule, number in one.rules.items():
            total.rules[rule] = total.rules.get(rule, 0) + number
    return total
