"""The page of traffic_survey: its examples run, its diagrams are those of the code, its tables name every class."""

import doctest
import typing
from pathlib import Path
from typing import Any

import pytest

from protocols.tests.kit import diagram_of
from protocols.traffic_survey import ss125_messages, survey_commands
from protocols.traffic_survey.survey_centre import Centre
from protocols.traffic_survey.survey_station import Station

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "traffic_survey.md"


@pytest.mark.parametrize("dialogue", [Station, Centre])
def test_a_diagram_is_that_of_the_table(dialogue: Any) -> None:
    assert diagram_of(dialogue.TRANSITIONS) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 10
    assert failures == 0


def test_every_class_and_module_stands_in_the_tables() -> None:
    page = PAGE.read_text("utf-8")
    for kind in (*typing.get_args(survey_commands.Packet), *typing.get_args(ss125_messages.Body)):
        assert f"`{kind.__name__}`" in page
    for module in Path(survey_commands.__file__).parent.glob("[!_]*.py"):
        assert f"`{module.name}`" in page or module.name.startswith("message_")
