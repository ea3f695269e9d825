"""The page of the vehicle bus: its examples run, and its diagrams are those of the transition tables."""

import doctest
from pathlib import Path

import pytest

from protocols.tests.kit import diagram_of
from protocols.vehicle_bus.elm_dialogue import ElmDialogue
from protocols.vehicle_bus.iso_tp_receiver import IsoTpReceiver
from protocols.vehicle_bus.iso_tp_sender import IsoTpSender
from protocols.vehicle_bus.transport_receiver import ReceiverSession
from protocols.vehicle_bus.transport_sender import TransportSender

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "vehicle_bus.md"


@pytest.mark.parametrize("dialogue", [ElmDialogue, IsoTpReceiver, IsoTpSender, ReceiverSession, TransportSender])
def test_a_diagram_is_that_of_the_table(dialogue):
    assert diagram_of(dialogue.TRANSITIONS) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run():
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 2
    assert failures == 0
