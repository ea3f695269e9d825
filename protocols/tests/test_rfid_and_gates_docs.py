"""The page of rfid_and_gates: its examples run, its diagrams are those of the code, its table names every module."""

import doctest
from pathlib import Path
from typing import Any

import pytest

from protocols.rfid_and_gates import eseal
from protocols.rfid_and_gates.gate import Gate
from protocols.rfid_and_gates.hostapd_client import HostapdClient
from protocols.rfid_and_gates.idcard_reader import CardReader
from protocols.rfid_and_gates.llrp_client import LlrpClient
from protocols.tests.kit import diagram_of

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "rfid_and_gates.md"


@pytest.mark.parametrize(
    "transitions",
    [machine.TRANSITIONS for machine in (LlrpClient, CardReader, HostapdClient, Gate)] + [eseal.TRANSITIONS],
)
def test_a_diagram_is_that_of_the_table(transitions: Any) -> None:
    assert diagram_of(transitions) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 10
    assert failures == 0


def test_every_module_stands_in_the_table() -> None:
    page = PAGE.read_text("utf-8")
    for module in Path(eseal.__file__).parent.glob("[!_]*.py"):
        assert f"`{module.name}`" in page or module.name.startswith("message_")
