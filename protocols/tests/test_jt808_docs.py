"""The page of jt808 and the docstrings: examples run, diagrams and lists are those of the code."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

from protocols.jt808.catalogue import BODIES
from protocols.jt808.platform import PlatformDialogue
from protocols.jt808.terminal import TerminalDialogue
from protocols.tests.kit import cases_of, diagram_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocols" / "jt808.md").read_text("utf-8")
MODULES = sorted(file.stem for file in (ROOT / "protocols" / "jt808").glob("[a-z]*.py"))


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("dialogue", [TerminalDialogue, PlatformDialogue])
def test_a_diagram_is_that_of_the_table(dialogue):
    assert diagram_of(dialogue.TRANSITIONS) in PAGE


def test_the_table_of_messages_is_that_of_the_code():
    rows = dict(re.findall(r"^\| `(\w+)\.py`[^|]*\| (0x[^|]*) \|$", section("Messages"), re.MULTILINE))
    listed = set()
    for name, text in rows.items():
        ids = {int(word, 16) for word in re.findall("0x([0-9A-F]{4})", text)}
        if " to " in text:
            first, last = (int(word, 16) for word in re.search(r"0x(\w+) to 0x(\w+)", text).groups())
            ids |= set(range(first, last + 1))
        assert ids == {msg_id for msg_id, body in BODIES.items() if body.__module__.endswith(f".{name}")}
        listed |= ids
    assert listed == set(BODIES)


def test_the_page_lists_every_message_without_an_outside_frame():
    good = [case for case in cases_of("jt808") if "error" not in case["expect"]]
    unseen = sorted(set(BODIES) - {case["expect"]["msg_id"] for case in good})
    listed = section("Not covered by a frame from outside our own encoder").split(";")[0]
    assert re.findall("[0-9A-F]{4}", listed) == [f"{msg_id:04X}" for msg_id in unseen]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    result = doctest.testmod(importlib.import_module(f"protocols.jt808.{name}"))
    assert result.failed == 0


def test_the_examples_of_the_page_run():
    failures, examples = doctest.testfile(str(ROOT / "docs" / "protocols" / "jt808.md"), module_relative=False)
    assert examples > 15
    assert failures == 0
