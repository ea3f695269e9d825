"""What a simulation gives a person to look at."""

from ota.campaign.picture import Line, Mark, Panel, draw
from ota.campaign.progress import Progress
from ota.campaign.rules import Campaign
from ota.campaign.simulation.run import BEGIN, Moment, Outcome, Simulation

_COUNTS = ("told", "reached", "confirmed", "failed", "sent back")
_MARGIN = 1.15
_STOPPED = {"pause": "paused", "halt": "halted", "halt-and-revert": "halted, sent back"}


def picture_of(simulation: Simulation, outcome: Outcome) -> bytes:
    """SVG: the stages one over the other, the share of failures below them, and what was decided."""
    campaign, moments = simulation.campaign, simulation.moments
    panels = [_stage(campaign, number, moments) for number in range(len(campaign.stage))]
    judged = [one for one in _until_stopped(simulation) if _ended(one.stages) >= campaign.gate.min_sample]
    share = Line(name="failed", points=[(one.at - BEGIN, _failed_percent(one.stages)) for one in judged], holds=False)
    panels.append(
        Panel(
            title="Failed, of all that came to an end", lines=[share] if judged else [], unit="%",
            top=200 * campaign.gate.tolerated,
            limit=100 * campaign.gate.tolerated, limit_name=f"{100 * campaign.gate.tolerated:g} % are tolerated",
        )
    )  # fmt: skip
    marks = [
        Mark(
            at=one.at - BEGIN,
            text=_STOPPED.get(
                one.verdict.action, "finished" if one.verdict.action == "finish" else f"stage {one.stage + 2}"
            ),
            reason=one.verdict.reason,
            is_alarm=one.verdict.action in _STOPPED,
        )
        for one in simulation.decided
    ]
    about = (
        f"{outcome.devices:,} devices; {outcome.switched:,} started the release; harmed by it {outcome.harmed:,} "
        f"({100 * outcome.harmed_share:.3f} % of the fleet), failed without its doing {outcome.background:,}; "
        f"{how_it_ended(outcome)}; seed {outcome.seed}"
    )  # fmt: skip
    until_s = _until(moments, outcome)
    return draw(f"Simulated rollout of {campaign.target}", panels, marks, until_s=until_s, about=[about])


def how_it_ended(outcome: Outcome) -> str:
    """In a few words."""
    if outcome.halted_after_s is None:
        return f"finished after {_in_time(outcome.lasted_s)}"
    return f"{_STOPPED[outcome.stopped_by]} after {_in_time(outcome.halted_after_s)}, in stage {outcome.stage}"


def _in_time(seconds: float) -> str:
    unit_s, unit = next((one for one in ((86_400, "days"), (3600, "hours")) if seconds >= 2 * one[0]), (60, "minutes"))
    return f"{seconds / unit_s:.1f} {unit}"


def _until_stopped(simulation: Simulation) -> list[Moment]:
    """What it was judged by: who goes back after that is not among those that came to an end."""
    stop = next((one.at for one in simulation.decided if one.verdict.action in _STOPPED), None)
    if stop is None:
        return simulation.moments
    first = next(number for number, one in enumerate(simulation.moments) if one.at >= stop)
    return simulation.moments[: first + 1]


def _until(moments: list[Moment], outcome: Outcome) -> float:
    """Stragglers, that come back after days, would make all before them narrow."""
    if outcome.halted_after_s is not None:
        return min(outcome.lasted_s, max(outcome.halted_after_s * _MARGIN, outcome.halted_after_s + 3600))
    nearly_all = 0.99 * sum(one.confirmed for one in moments[-1].stages)
    when = next(one.at for one in moments if sum(stage.confirmed for stage in one.stages) >= nearly_all)
    return min(outcome.lasted_s, (when - BEGIN) * _MARGIN)


def _stage(campaign: Campaign, number: int, moments: list[Moment]) -> Panel:
    series = [(one.at - BEGIN, one.stages[number]) for one in moments]
    last = series[-1][1]
    begun = next((at for at, one in series if one.told), None)
    lines = [
        Line(name=name, points=[(at, _counts(one)[place]) for at, one in series if at >= begun])
        for place, name in enumerate(_COUNTS)
        if begun is not None
    ]
    before = campaign.stage[number - 1].percent if number else 0
    note = ", ".join(f"{count:,} {name}" for name, count in zip(_COUNTS, _counts(last), strict=True) if count)
    return Panel(
        title=f"Stage {number + 1}: {before:g} to {campaign.stage[number].percent:g} %, {last.devices:,} devices",
        note=note if begun is not None else "not begun", lines=lines, unit="devices", top=last.devices,
    )  # fmt: skip


def _counts(one: Progress) -> tuple[int, ...]:
    return one.told, one.reached, one.confirmed, one.failed, one.back


def _failed_percent(stages: list[Progress]) -> float:
    return 100 * sum(one.failed for one in stages) / _ended(stages)


def _ended(stages: list[Progress]) -> int:
    return sum(one.failed + one.confirmed for one in stages)
