"""The page of epurse: its examples run, its diagram is that of the code, its table names every kind and type."""

import doctest
from pathlib import Path

from protocols.epurse.message import KINDS, TABLES
from protocols.epurse.purchase import PurchaseDialogue
from protocols.epurse.purchase_events import PurchaseSettings, PurchaseState, PurchaseStimulus
from protocols.tests.kit import diagram_of

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "epurse.md"


def test_the_diagram_is_that_of_the_table():
    assert diagram_of(PurchaseDialogue.TRANSITIONS) in PAGE.read_text("utf-8")


def test_every_state_and_stimulus_stands_in_the_table():
    states = {state for state, _stimulus in PurchaseDialogue.TRANSITIONS}
    assert states == set(PurchaseState) == {end for _action, end in PurchaseDialogue.TRANSITIONS.values()}
    assert {stimulus for _state, stimulus in PurchaseDialogue.TRANSITIONS} == set(PurchaseStimulus)


def test_the_examples_of_the_page_run():
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 20
    assert failures == 0


def test_every_kind_and_table_stands_on_the_page():
    page = PAGE.read_text("utf-8")
    for name in [*KINDS, *(table.__name__ for table in TABLES.values())]:
        if name != "diversify_3des_2":
            assert f"`{name}`" in page


def test_the_numbers_of_the_page_are_those_of_the_settings():
    settings = PurchaseSettings(terminal_id=bytes(6))
    assert (settings.keep_s, settings.max_kept) == (300.0, 16)
    assert {settings.card_timeout_s, settings.sam_timeout_s, settings.store_timeout_s} == {1.0}
