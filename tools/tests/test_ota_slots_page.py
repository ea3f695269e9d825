"""`docs/ota_slots.md`: its diagram and its table are those of the machine."""

from pathlib import Path

from ota.launcher import NOTHING_TO_START
from ota.slots.machine import CRASH_TABLE, TRANSITIONS, VOLATILE
from ota.slots.record import KEYS, NAMES
from ota.slots.trailer import MARK, TRAILER
from protocols.tests.kit import diagram_of

PAGE = (Path(__file__).parents[2] / "docs" / "ota_slots.md").read_text("utf-8")


def test_the_diagram_is_that_of_the_table():
    assert diagram_of(TRANSITIONS) in PAGE


def test_the_crash_table_is_that_of_the_machine():
    rows = [f"| {state.value} | {row.leaving} | {row.after_cut} |" for state, row in CRASH_TABLE.items()]
    head = "| state | durable on leaving it | the power goes in it: the next boot |\n|---|---|---|\n"
    assert head + "\n".join(rows) + "\n\n" in PAGE


def test_the_files_and_numbers_are_those_of_the_code():
    listed = PAGE.split("## The files")[1].split("## ")[0]
    assert all(name in listed for name in (*NAMES, *KEYS, TRAILER, MARK))
    assert f"Exit code {NOTHING_TO_START}:" in PAGE
    assert [f"`{state.value}`" in PAGE for state in VOLATILE] == [True]
