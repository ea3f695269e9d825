"""The page of etc_rsu: its examples run, its diagrams are those of the code, its table names every payload."""

import doctest
from pathlib import Path
from typing import Any

import pytest

from protocols.etc_rsu.catalogue import VARIANTS, Interface, payload_types
from protocols.etc_rsu.controller import Controller
from protocols.etc_rsu.message import FILES
from protocols.etc_rsu.roadside import Roadside
from protocols.etc_rsu.vehicles import Vehicles
from protocols.tests.kit import diagram_of

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "etc_rsu.md"


@pytest.mark.parametrize("transitions", [Controller.LINK, Vehicles.PASSAGES, Roadside.TRANSITIONS])
def test_a_diagram_is_that_of_the_table(transitions: Any) -> None:
    assert diagram_of(transitions) in PAGE.read_text("utf-8")


def test_the_examples_of_the_page_run() -> None:
    failures, examples = doctest.testfile(str(PAGE), module_relative=False)
    assert examples > 20
    assert failures == 0


def test_every_payload_and_file_stands_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    kinds = [kind for interface in Interface for kind in payload_types(interface)]
    kinds += [kind for tables in VARIANTS.values() for choice in tables.values() for kind in choice]
    for kind in [*kinds, *FILES.values()]:
        assert f"`{kind.__name__}`" in page
