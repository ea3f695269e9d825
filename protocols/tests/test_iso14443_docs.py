"""The pages of iso14443 and pn532: their examples run, and their diagrams are those of the transition tables."""

import doctest
from pathlib import Path

import pytest

from protocols.iso14443.anticollision import TypeASearch
from protocols.iso14443.pcd import PcdDialogue
from protocols.iso14443.picc import PiccDialogue
from protocols.iso14443.slots import TypeBSearch
from protocols.pn532.chip import ChipDialogue
from protocols.pn532.host import HostDialogue
from protocols.tests.kit import diagram_of

PAGES = Path(__file__).parents[2] / "docs" / "protocols"


@pytest.mark.parametrize(
    ("page", "dialogue"),
    [
        ("iso14443", TypeASearch),
        ("iso14443", TypeBSearch),
        ("iso14443", PcdDialogue),
        ("iso14443", PiccDialogue),
        ("pn532", HostDialogue),
        ("pn532", ChipDialogue),
    ],
)
def test_a_diagram_is_that_of_the_table(page, dialogue):
    assert diagram_of(dialogue.TRANSITIONS) in (PAGES / f"{page}.md").read_text("utf-8")


@pytest.mark.parametrize("page", ["iso14443", "pn532"])
def test_the_examples_of_a_page_run(page):
    failures, examples = doctest.testfile(str(PAGES / f"{page}.md"), module_relative=False)
    assert examples > 2
    assert failures == 0
