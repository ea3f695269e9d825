"""A picture of counts over time: what a person can read in it, and what a program can find."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from ota.campaign.picture import WIDTH, Line, Mark, Panel, draw

SVG = "{http://www.w3.org/2000/svg}"
TOLD = Line(name="told", points=[(0, 0), (60, 100)])
FAILED = Line(name="failed", points=[(0, 0), (600, 3), (1200, 3), (1800, 9)])
STAGE = Panel(title="Stage 1", lines=[TOLD, FAILED], note="9 failed", unit="devices", top=100)
HALT = Mark(at=1800, text="halted", reason='model <a> & "b": 9 of 20 failed', is_alarm=True)


def drawn(*panels: Panel, marks: tuple[Mark, ...] = (), until_s: float = 3600) -> ET.Element:
    return ET.fromstring(draw("A rollout", panels, marks, until_s=until_s, about=["of a release"]))


def texts(svg: ET.Element, tag: str = "text") -> list[str]:
    return [one.text or "" for one in svg.iter(SVG + tag)]


def test_names_numbers_and_units_are_text() -> None:
    svg = drawn(STAGE)
    for said in ("A rollout", "of a release", "Stage 1", "9 failed", "devices", "told", "failed", "50", "100"):
        assert said in texts(svg)
    assert "minutes since it began" in texts(svg)


def test_a_pointer_is_told_what_it_rests_upon() -> None:
    said = texts(drawn(STAGE, marks=(HALT,)), "title")
    assert "Stage 1: failed 9 at the end" in said
    assert 'halted: model <a> & "b": 9 of 20 failed' in said


def test_an_alarm_says_its_reason_in_full() -> None:
    assert 'halted: model <a> & "b": 9 of 20 failed' in texts(drawn(STAGE, marks=(HALT,)))


def test_a_line_goes_up_when_it_does_and_holds_to_the_end() -> None:
    path = next(one for one in drawn(STAGE).iter(SVG + "path") if "failed" in (one[0].text or ""))
    assert re.fullmatch(r"M84\.0 (\S+)H232\.7V\S+H530\.0V\S+H976\.0", path.get("d", "")), path.get("d")


def test_a_line_that_does_not_hold_ends_with_its_last_value() -> None:
    line = Line(name="share", points=[(0, 1), (1800, 2)], holds=False)
    assert next(drawn(Panel(title="x", lines=[line])).iter(SVG + "path")).get("d", "").endswith("H530.0")


def test_a_line_that_never_leaves_zero_is_not_drawn() -> None:
    svg = drawn(Panel(title="x", lines=[Line(name="sent back", points=[(0, 0), (60, 0)])]))
    assert not list(svg.iter(SVG + "path"))


def test_lines_of_one_name_look_alike_and_others_do_not() -> None:
    svg = drawn(STAGE, Panel(title="Stage 2", lines=[FAILED, TOLD]))
    looks = {one[0].text.split(": ")[1].split(" ")[0]: set() for one in svg.iter(SVG + "path")}
    for one in svg.iter(SVG + "path"):
        looks[one[0].text.split(": ")[1].split(" ")[0]].add(one.get("stroke"))
    assert [len(colours) for colours in looks.values()] == [1, 1]
    assert looks["told"] != looks["failed"]


def test_a_panel_without_lines_is_but_its_title() -> None:
    empty = Panel(title="Stage 2", lines=[], note="not begun")
    assert float(drawn(STAGE, empty).get("height")) < float(drawn(STAGE, STAGE).get("height"))
    assert "not begun" in texts(drawn(STAGE, empty))


def test_the_limit_is_drawn_and_within_the_scale() -> None:
    low = Panel(title="share", lines=[Line(name="failed", points=[(0, 0.1)])], limit=1.0, limit_name="1 % is tolerated")
    assert {"1 % is tolerated", "1"} <= set(texts(drawn(low)))


@pytest.mark.parametrize(
    ("until_s", "said", "last"),
    [(60, "minutes", "1"), (3600, "minutes", "60"), (86_400, "hours", "24"), (10 * 86_400, "days", "10")],
)
def test_time_is_told_in_a_unit_that_fits(until_s: float, said: str, last: str) -> None:
    svg = drawn(STAGE, until_s=until_s)
    assert f"{said} since it began" in texts(svg)
    ticks = [one for one in svg.iter(SVG + "text") if one.get("text-anchor") == "middle" and one.text[0].isdigit()]
    assert 2 <= len(ticks) <= 11
    assert ticks[-1].text == last or float(ticks[-1].get("x")) > 0.8 * WIDTH


def test_names_of_marks_never_run_into_each_other() -> None:
    marks = (*(Mark(at=90 * number, text=f"stage {number}") for number in range(2, 40)), HALT)
    names = {one.text: float(one.get("x")) for one in drawn(STAGE, marks=marks).iter(SVG + "text")}
    shown = sorted(x for name, x in names.items() if name == "halted" or name.startswith("stage "))
    assert "halted" in names
    assert len(shown) > 8
    assert all(right - left > 40 for left, right in pairwise(shown))


def test_nothing_is_drawn_outside_the_picture() -> None:
    svg = drawn(STAGE, marks=(HALT, Mark(at=99_999, text="later")), until_s=1800)
    assert "later" not in texts(svg)
    for path in svg.iter(SVG + "path"):
        assert all(0 <= float(x) <= WIDTH for x in re.findall(r"[MH](\S+?)(?=[ VH]|$)", path.get("d")))


def test_whatever_a_reason_holds_the_picture_is_xml() -> None:
    said = drawn(marks=(Mark(at=60, text="halted", reason="bus\x1b[31m \x00 \ud800 <b>", is_alarm=True),))
    assert "halted: bus\\x1b[31m \\x00 \\ud800 <b>" in texts(said, "title")
