"""The page of hj212: its examples run, its diagrams and its table are those of the code."""

import doctest
from pathlib import Path
from typing import Any

import pytest

from protocols.hj212 import answers, control, data, parameters
from protocols.hj212.exchange import Exchange
from protocols.hj212.tasks import Task
from protocols.tests.kit import diagram_of

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "hj212.md"


@pytest.mark.parametrize("machine", [Exchange, Task])
def test_a_diagram_is_that_of_the_table(machine: Any) -> None:
    assert diagram_of(machine.TRANSITIONS) in PAGE.read_text("utf-8")


@pytest.mark.parametrize("family", [parameters, data, control, answers])
def test_the_table_of_commands_is_that_of_the_code(family: Any) -> None:
    name = family.__name__.rpartition(".")[2]
    down, up = (" ".join(kind.CN for kind in kinds) for kinds in (family.DOWN, family.UP))
    assert f"| `{name}.py` | {down} | {up} |" in PAGE.read_text("utf-8")


def test_the_examples_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 10
    assert failures == 0
