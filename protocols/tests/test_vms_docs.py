"""The page of the variable message signs: its examples run, and its diagrams are those of the transition tables."""

import doctest
from pathlib import Path

import pytest

from protocols.tests.kit import diagram_of
from protocols.vms.host import SignHost
from protocols.vms.sign import SignDialogue

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "vms.md"


@pytest.mark.parametrize("dialogue", [SignHost, SignDialogue])
def test_a_diagram_is_that_of_the_table(dialogue):
    assert diagram_of(dialogue.TRANSITIONS) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run():
    failures, examples = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert examples > 2
    assert failures == 0
