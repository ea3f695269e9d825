"""The page of gbt32960: its examples run, its diagrams are those of the code, its tables name every class."""

import doctest
from pathlib import Path
from typing import Any

import pytest

from protocols.gbt32960.catalogue import structure_kind
from protocols.gbt32960.frame import Command
from protocols.gbt32960.platform import Platform
from protocols.gbt32960.vehicle import Vehicle
from protocols.tests.kit import diagram_of

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "gbt32960.md"


@pytest.mark.parametrize("dialogue", [Vehicle, Platform])
def test_a_diagram_is_that_of_the_table(dialogue: Any) -> None:
    assert diagram_of(dialogue.TRANSITIONS) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 10
    assert failures == 0


def test_every_class_of_a_command_stands_in_the_table() -> None:
    page = PAGE.read_text("utf-8")
    kinds = [structure_kind(command, edition) for command in Command for edition in (2016, 2025)]
    for kind in filter(None, kinds):
        assert f"`{kind.__name__}`" in page
