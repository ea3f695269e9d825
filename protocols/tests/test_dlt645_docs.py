"""The page of dlt645: its examples run, its diagrams and its table of functions are those of the code."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from protocols.dlt645.edition import CODES, Edition, Function
from protocols.dlt645.master import MasterDialogue
from protocols.dlt645.meter import MeterDialogue

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "dlt645.md"


@pytest.mark.parametrize("dialogue", [MasterDialogue, MeterDialogue])
def test_a_diagram_is_that_of_the_table(dialogue: Any) -> None:
    ways: dict[tuple[str, str], list[str]] = {}
    for (start, stimulus), (_action, end) in dialogue.TRANSITIONS.items():
        ways.setdefault((start.value.replace(" ", "_"), end.value.replace(" ", "_")), []).append(stimulus.value)
    lines = [f"    {start} --> {end}: {'<br>'.join(stimuli)}" for (start, end), stimuli in ways.items()]
    drawn = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)\n```", PAGE.read_text("utf-8"), re.DOTALL)
    assert sorted(lines) in [sorted(diagram.split("\n")) for diagram in drawn]


@pytest.mark.parametrize("function", list(Function))
def test_the_table_of_functions_is_that_of_the_code(function: Function) -> None:
    codes = [CODES[edition].get(function) for edition in (Edition.E2007, Edition.E1997)]
    cells = ["" if code is None else f"{code:02X}" for code in codes]
    row = f"| {function.value} | {cells[0]} | {cells[1]} |".replace("|  |", "| |")
    assert row in PAGE.read_text("utf-8")


def test_the_examples_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 10
    assert failures == 0
