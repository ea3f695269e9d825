"""`wayside ota campaign simulate`: a rollout of a release that may be bad, to a fleet that does not exist.

The stages, the gate and every decision are those of a real rollout; the devices, their links and the time are not.
"""

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from drivers.text import _
from tools.output import Exit, fail, print_json, print_line
from tools.rollouts.office import JsonOption
from tools.rollouts.tables import print_table, table_of

if TYPE_CHECKING:
    from ota.campaign.rules import Campaign
    from ota.campaign.simulation.fleet import Trouble
    from ota.campaign.simulation.run import Outcome, Simulation

MAX_DEVICES = 1_000_000
_Report = Callable[[int, int, int], None]
_Run = tuple["Simulation", "Outcome"]


def simulate(
    devices: Annotated[int, typer.Option(min=1, max=MAX_DEVICES, help=_("how many there are"))] = 100_000,
    failure_rate: Annotated[
        float, typer.Option(min=0, max=1, help=_("the share of devices that the release breaks; 0: it is a good one"))
    ] = 0.1,
    model: Annotated[str, typer.Option(help=_("it is bad on this model only"))] = "",
    silent: Annotated[float, typer.Option(min=0, max=1, help=_("of these failures: not heard of again"))] = 0.2,
    regressed: Annotated[
        float, typer.Option(min=0, max=1, help=_("of these failures: confirmed, and worse off than before"))
    ] = 0.2,
    background: Annotated[
        float, typer.Option(min=0, max=0.5, help=_("the share that fails whatever the release is"))
    ] = 0.005,
    seed: Annotated[int, typer.Option(min=0, help=_("another one is another run of chance"))] = 1,
    seeds: Annotated[int, typer.Option(min=1, max=100_000, help=_("so many runs, from this seed on"))] = 1,
    campaign: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help=_("your own stages and gate (default: 0.1, 1, 5, 25, 100 %)")),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help=_("draw the stages over time; of the worst run"))
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Try a rollout on devices that do not exist, and count whom a bad release harms before it is halted."""
    from ota.campaign.rules import CampaignError
    from ota.campaign.simulation.fleet import MODELS, Trouble, check_model

    if picture is not None and picture.suffix != ".svg":
        fail(_("{file}: pictures are SVG; name it .svg").format(file=picture), Exit.USAGE, as_json=as_json)
    try:
        wanted = _campaign(campaign, devices)
        check_model(model, MODELS)
        trouble = Trouble(
            failure_rate=failure_rate, model=model, silent=silent, regressed=regressed, background=background
        )
    except (CampaignError, ValueError) as error:
        fail(str(error), Exit.USAGE, as_json=as_json)
    except OSError as error:
        fail(_("{file} cannot be read").format(file=campaign) + f": {error.strerror}", Exit.USAGE, as_json=as_json)
    outcomes, worst = _run(wanted, devices, trouble, range(seed, seed + seeds), as_json=as_json)
    if picture is not None:
        _draw(picture, worst, as_json=as_json)
    if seeds > 1:
        _tell_all(summary_of(outcomes), as_json=as_json)
    elif as_json:
        print_json(outcomes[0])
    else:
        _show(*worst)


def summary_of(outcomes: Sequence["Outcome"]) -> dict[str, Any]:
    """Of several runs: the worst of them, how many were halted, and the last halt."""
    worst = max(outcomes, key=lambda one: one.harmed)
    halted = [one.halted_after_s for one in outcomes if one.halted_after_s is not None]
    return {
        "devices": worst.devices,
        "harmed": worst.harmed,
        "harmed_share": worst.harmed_share,
        "halted_after_s": max(halted) if len(halted) == len(outcomes) else None,
        "worst_seed": worst.seed,
        "harmed_median": statistics.median(one.harmed for one in outcomes),
        "background": max(one.background for one in outcomes),
        "seeds": [outcomes[0].seed, outcomes[-1].seed],
        "halted": len(halted),
        "not_halted": [one.seed for one in outcomes if one.halted_after_s is None],
        "halted_after_s_median": statistics.median(halted) if halted else None,
    }


def _campaign(file: Path | None, devices: int) -> "Campaign":
    from ota.campaign.rules import MAX_FILE_BYTES, read_campaign
    from ota.campaign.simulation.fleet import default_campaign

    if file is None:
        return default_campaign(devices)
    with file.open("rb") as source:
        return read_campaign(source.read(MAX_FILE_BYTES + 1), str(file))


def _run(
    campaign: "Campaign", devices: int, trouble: "Trouble", seeds: range, *, as_json: bool
) -> tuple[list["Outcome"], _Run]:
    """All outcomes, and the run in which the most were harmed."""
    from ota.campaign.simulation.run import Simulation

    outcomes: list[Outcome] = []
    worst: _Run | None = None
    with _progress(len(seeds)) as begin:
        for seed in seeds:
            simulation = Simulation(campaign, devices, trouble, seed, progress=begin(seed))
            outcome = simulation.run()
            outcomes.append(outcome)
            if as_json and len(seeds) > 1:
                print_json(outcome)
            if worst is None or outcome.harmed > worst[1].harmed:
                worst = simulation, outcome
    assert worst is not None, "there is a seed at least"
    return outcomes, worst


@contextlib.contextmanager
def _progress(runs: int) -> Iterator[Callable[[int], _Report]]:
    """A bar on stderr, for people: none where nobody looks."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=runs)
        begun = 0

        def begin(seed: int) -> _Report:
            nonlocal begun
            before = begun
            begun += 1

            def report(ended: int, devices: int, stage: int) -> None:
                said = _("seed {seed}, stage {stage}: {ended} of {devices} devices")
                text = said.format(seed=seed, stage=stage + 1, ended=f"{ended:,}", devices=f"{devices:,}")
                bar.update(task, description=text, completed=before + ended / devices)

            return report

        yield begin


def _draw(file: Path, run: _Run, *, as_json: bool) -> None:
    from ota.campaign.simulation.report import picture_of

    try:
        file.write_bytes(picture_of(*run))
    except OSError as error:
        fail(_("{file} cannot be written").format(file=file) + f": {error.strerror}", as_json=as_json)


def _show(simulation: "Simulation", outcome: "Outcome") -> None:
    from ota.campaign.simulation.report import how_it_ended

    table = table_of(
        _("stage"), "%", _("devices"), _("told"), _("reached"), _("confirmed"), _("failed"), _("sent back")
    )  # fmt: skip
    stages = zip(simulation.campaign.stage, simulation.moments[-1].stages, strict=True)
    for number, (stage, one) in enumerate(stages, start=1):
        counts = (one.devices, one.told, one.reached, one.confirmed, one.failed, one.back)
        table.add_row(str(number), f"{stage.percent:g}", *(f"{count:,}" for count in counts))
    print_table(table)
    print_line(f"{how_it_ended(outcome)}: {outcome.reason}")
    said = _("harmed by the release: {harmed} of {devices} devices, {share} %; failed without its doing: {others}")
    numbers = {"harmed": f"{outcome.harmed:,}", "devices": f"{outcome.devices:,}", "others": f"{outcome.background:,}"}
    print_line(said.format(share=f"{100 * outcome.harmed_share:.3f}", **numbers))


def _tell_all(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    for name, value in summary.items():
        print_line(f"{name}: {msgspec.json.encode(value).decode()}")
