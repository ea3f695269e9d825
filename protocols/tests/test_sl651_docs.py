"""The page of sl651: its examples run, its diagrams are those of the code, its table has every function."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from protocols.sl651.catalogue import UP
from protocols.sl651.centre import Centre
from protocols.sl651.station import Station
from protocols.tests.kit import diagram_of

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "sl651.md"


@pytest.mark.parametrize("dialogue", [Station, Centre])
def test_a_diagram_is_that_of_the_table(dialogue: Any) -> None:
    assert diagram_of(dialogue.TRANSITIONS) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 10
    assert failures == 0


def test_every_function_stands_in_the_table() -> None:
    rows = re.findall(r"^\| ((?:[0-9A-F]{2} ?)+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {int(code, 16) for row in rows for code in row.split()} == set(UP)
