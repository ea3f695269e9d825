"""`docs/campaign_simulation.md` says what the command takes, and of the fleet what the code says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from ota.campaign.simulation.fleet import DAY_S, HOUR_S, MODELS, Model
from tools.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "campaign_simulation.md").read_text("utf-8")
EXAMPLES = re.findall(r"^wayside (.*)$", PAGE, re.MULTILINE)


def command() -> Any:
    found: Any = typer.main.get_command(app)
    for word in ("ota", "campaign", "simulate"):
        context = found.make_context("wayside", [word], resilient_parsing=True)
        found = found.get_command(context, word)
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_parsed(example: str) -> None:
    words = shlex.split(example)
    assert words[:3] == ["ota", "campaign", "simulate"]
    with command().make_context("simulate", words[3:]) as parsed:
        assert not parsed.args


def test_every_option_stands_on_the_page_and_no_other() -> None:
    options = {name for one in command().params for name in one.opts if name.startswith("--")}
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `--")]
    assert {name for row in rows for name in re.findall(r"`(--[a-z-]+)`", row)} == options - {"--json", "--help"}


def test_defaults_are_those_of_the_command() -> None:
    defaults = {one.opts[0]: one.default for one in command().params}
    for name, said in (("--devices", "100 000"), ("--failure-rate", "0.1"), ("--background", "0.005")):
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        assert said in row
        assert defaults[name] == float(said.replace(" ", ""))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_fleet_is_the_one_that_is_simulated(model: Model) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {model.name} |"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        model.name,
        f"{100 * model.share:g} %",
        in_time(model.online_s),
        in_time(model.offline_s),
        f"{100 * model.away:g} %",
        f"{100 * model.loss:g} %",
        in_time(model.fetch_s),
        f"{100 * model.fetch_fails:g} %",
        f"{model.background:g}",
        f"{model.starts_a_day:g}",
        f"{model.records_a_day:g}",
    ]


def in_time(seconds: float) -> str:
    unit_s, unit = next(one for one in ((DAY_S, "d"), (HOUR_S, "h"), (60, "min")) if seconds >= one[0])
    return f"{seconds / unit_s:g} {unit}"
