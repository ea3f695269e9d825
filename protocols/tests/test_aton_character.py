"""Characters of lights: the grammar, the patterns and the way back, day and night."""

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.aton import (
    character,
    classify,
    commands,
    drift,
    frame,
    marks,
    message,
    orders,
    rhythm,
    telemetry,
    verbs,
)
from protocols.aton.character import BLUE, COLOURS, Character, Part, character_text, checked, parse_character
from protocols.aton.classify import character_of
from protocols.aton.message import decode_message, encode_message
from protocols.aton.morse import letter_of, signs_of
from protocols.aton.ready import READY
from protocols.aton.rhythm import Rhythm, rhythm_of, why_unfit
from protocols.core.errors import FieldError, LocalProtocolError
from protocols.tests.kit import cases_of, check_vector, each_vector, input_of

GOOD = [case for case in cases_of("aton") if not case["expect"].get("error")]

IN_ANOTHER_ORDER = ("report_alarm_off_position", "report_nothing_known", "report_unknown_items_and_codes")
"""Their items do not come in the order of their numbers, in which ours are written."""
ALTERNATIVES = {
    # A second pattern that lists have for the same character, in tenths of a second.
    "Fl 3s": (5, 25),
    "Fl 4s": (8, 32),
    "Fl 6s": (6, 54),
    "Fl(2) 6s": (10, 10, 10, 30),
    "Mo(A) 8s": (8, 12, 24, 36),
    "Oc 3s": (25, 5),
    "Oc(2) 8s": (30, 20, 10, 20),
    "Q 1s": (5, 5),
}


@each_vector("aton")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])
def test_message_encodes_to_what_says_the_same(case: dict[str, Any]) -> None:
    read = decode_message(input_of(case))
    written = encode_message(read)
    if "hex" in case:
        assert decode_message(written) == read
        assert (written == {"hex": case["hex"]}) is (case["name"] not in IN_ANOTHER_ORDER)
    else:
        assert written == {"text": case["expect"]["character"]}


@pytest.mark.parametrize("text", READY)
def test_each_ready_pattern_adds_up_and_is_read_back(text: str) -> None:
    parsed = parse_character(text)
    shown = rhythm_of(parsed)
    assert shown.intervals == READY[text]
    assert shown.period_ms == parsed.period_ms
    assert why_unfit(shown, parsed.period_ms) is None
    assert character_of(shown) == parsed


@pytest.mark.parametrize(("text", "tenths"), ALTERNATIVES.items())
def test_other_patterns_of_the_same_character_are_read_back(text: str, tenths: tuple[int, ...]) -> None:
    shown = Rhythm(tuple(100 * length for length in tenths))
    assert why_unfit(shown, parse_character(text).period_ms) is None
    assert character_text(character_of(shown)) == text


@pytest.mark.parametrize(
    ("text", "intervals"),
    [
        ("Fl 7s", (500, 6500)),
        ("Fl(2)R 9s", (500, 1500, 500, 6500)),
        ("Fl(4)Y 15s", (500, 1500) * 3 + (500, 8500)),
        ("Fl(3)R 8s", (500, 1000, 500, 1000, 500, 4500)),
        ("Fl(2)R 4.5s", (300, 950, 300, 2950)),
        ("Fl R 1.3s", (300, 1000)),
        ("Fl(2+1)R 9s", (400, 600, 400, 1800, 400, 5400)),
        ("LFl W 8s", (2000, 6000)),
        ("Iso G 5s", (2500, 2500)),
        ("Oc G 8s", (6000, 2000)),
        ("Oc(3)W 12s", (7000,) + (1000,) * 5),
        ("Oc(2+1)W 15s", (8000, 1000, 1000, 1000, 3000, 1000)),
        ("Q(2)G 6s", (300, 700, 300, 4700)),
        ("UQ(4)W 5s", (100, 150) * 3 + (100, 4150)),
        ("Mo(N)R 8s", (1500, 500, 500, 5500)),
        ("Mo(D)R 10s", (1500, 500, 500, 500, 500, 6500)),
        ("Mo(AU)Y 20s", (500, 500, 1500, 1500, 500, 500, 500, 500, 1500, 12_500)),
        ("Al.WR 4s", (2000, 0, 2000, 0)),
        ("Al.WRG 10s", (3333, 0, 3333, 0, 3334, 0)),
    ],
)
def test_patterns_by_rule_and_back(text: str, intervals: tuple[int, ...]) -> None:
    parsed = parse_character(text)
    assert character_text(parsed) == text
    shown = rhythm_of(parsed)
    assert shown.intervals == intervals
    assert character_of(shown) == parsed


def test_fixed_and_flashing() -> None:
    shown = rhythm_of(parse_character("FFl(2) W 10s"))
    assert (shown.intervals, shown.is_fixed_between) == ((500, 1500, 500, 7500), True)
    assert character_text(character_of(shown)) == "FFl(2)W 10s"


@pytest.mark.parametrize(
    ("text", "seen_as"),
    [("Q", "Q 1s"), ("VQ W", "VQ W 0.5s"), ("UQ", "UQ 0.25s"), ("IQ 10s", "Q(6) 10s"), ("IVQ R 8s", "VQ(10)R 8s"),
     ("Mo(M)G 12s", "Fl(2)G 12s"), ("Fl(1) 4s", "Fl 4s"), ("F G", "F G")],
)  # fmt: skip
def test_what_looks_like_another_character(text: str, seen_as: str) -> None:
    assert character_text(character_of(rhythm_of(parse_character(text)))) == seen_as


@pytest.mark.parametrize("text", ["Fl 0.2s", "Fl 1.2s", "Fl(3) 5s",
                                  "Fl(10) 5s", "Oc(5) 4s", "LFl 4s", "Q(10) 9s", "Mo(Q) 4s", "Fl", "Iso",
                                  "Q(6)+LFl 8s", "IQ 0.5s", "UQ 0.2s"])  # fmt: skip
def test_characters_that_do_not_fit_their_period(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        rhythm_of(parse_character(text))
    assert decode_message({"protocol": "character", "text": text})["intervals_ms"] is None


@pytest.mark.parametrize(
    ("intervals", "colours"),
    [
        ((500,), ()),
        ((50, 950), ()),
        ((500, 0), ()),
        ((500, 60_000), ()),
        ((500, 500) * 33, ()),
        ((500, 3000, 500, 1000), ()),
        ((500, 1000, 500, 3000, 500, 3000, 500, 9000), ()),
        ((300, 300, 1000, 300, 300, 300, 300, 300, 300, 5000), ()),
        ((500, 3500), ("R", "G", "B")),
    ],
)
def test_patterns_that_are_no_character(intervals: tuple[int, ...], colours: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        character_of(Rhythm(intervals, colours))


def test_a_fixed_light_has_no_period() -> None:
    assert why_unfit(Rhythm(()), 4000) is not None
    assert why_unfit(Rhythm((500, 3500)), 5000) == "the intervals add up to 4 s"


def test_state_at_a_moment() -> None:
    shown = rhythm_of(parse_character("Fl(2)R 6s"))  # 0.8 1.2 0.8 3.2
    assert shown.state_at(1_764_000_000_000) == (True, "R", 800)
    assert shown.state_at(1_764_000_000_799) == (True, "R", 1)
    assert shown.state_at(1_764_000_000_800) == (False, "R", 1200)
    assert shown.state_at(1_764_000_005_999) == (False, "R", 1)
    assert shown.state_at(1_764_000_000_000, phase_ms=2000) == (False, "R", 2000)
    wreck = rhythm_of(parse_character("Al.BuY 3s"))
    assert [wreck.state_at(ms)[:2] for ms in (0, 1000, 1500, 2500)] == [
        (True, BLUE), (False, BLUE), (True, "Y"), (False, "Y"),
    ]  # fmt: skip
    both = rhythm_of(parse_character("Al.WR 4s"))
    assert (both.state_at(1999), both.state_at(2000)) == ((True, "W", 1), (True, "R", 2000))
    assert Rhythm((), ("G",)).state_at(5) == (True, "G", 0)
    assert Rhythm(()).state_at(5) == (True, "", 0)


def test_duty_of_the_worked_examples() -> None:
    assert rhythm_of(parse_character("Fl 4s")).duty_permille == 125
    assert rhythm_of(parse_character("Q")).duty_permille == 300
    assert rhythm_of(parse_character("Oc 4s")).duty_permille == 750
    assert Rhythm(()).duty_permille == 1000


@st.composite
def characters(draw: Any) -> Character:
    kind = draw(
        st.sampled_from(["Oc", "Fl", "LFl", "Iso", "Q", "VQ", "UQ", "Mo", "FFl", "Al", "IQ", "IVQ", "IUQ", "F"])
    )
    part = Part(kind)
    colours = draw(st.lists(st.sampled_from(COLOURS), max_size=1))
    if kind == "Mo":
        part = Part(kind, letters=draw(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=4)))
    elif kind == "Al":
        colours = draw(st.lists(st.sampled_from(COLOURS), min_size=2, max_size=4))
    elif kind in ("Oc", "Fl", "FFl", "Q", "VQ", "UQ"):
        part = Part(kind, tuple(draw(st.lists(st.integers(1, 9), max_size=2))))
    parts: tuple[Part, ...] = (part,)
    if len(part.group) == 1 and draw(st.booleans()):
        parts = (part, Part("LFl"))
    period = None if kind == "F" else draw(st.none() | st.integers(1, 60_000))
    return Character(parts, tuple(colours), period)


@given(characters())
def test_any_character_is_read_as_it_is_written(made: Character) -> None:
    assert parse_character(character_text(checked(made))) == made
    noisy = character_text(made).replace(" ", " . ").upper()
    assert parse_character(noisy) == made
    try:
        shown = rhythm_of(made)
    except LocalProtocolError:
        return
    assert why_unfit(shown, made.period_ms) is None
    into = 0
    for at, length in enumerate(shown.intervals):
        if length:
            is_on, _colour, until_change = shown.state_at(into)
            assert (is_on, until_change) == (at % 2 == 0, length)
        into += length


@given(st.text(max_size=70))
def test_any_text_is_a_character_or_a_field_error(text: str) -> None:
    try:
        found = parse_character(text)
    except FieldError:
        return
    assert parse_character(character_text(found)) == found


@given(st.lists(st.integers(0, 5000), max_size=70), st.booleans())
def test_any_pattern_is_a_character_or_refused(lengths: list[int], is_fixed_between: bool) -> None:
    try:
        found = character_of(Rhythm(tuple(lengths), ("W",), is_fixed_between))
    except LocalProtocolError:
        return
    assert parse_character(character_text(found)) == found


@pytest.mark.parametrize(
    ("mark", "shown", "not_shown"),
    [
        ("port", ["Fl R 4s", "Fl(2)R 6s", "Q R", "Fl 4s", "Oc R 4s"], ["Fl G 4s", "Fl(2+1)R 6s", "Al.WR 4s"]),
        ("starboard", ["Fl G 4s", "Mo(A)G 8s"], ["Fl R 4s", "Fl(2+1)G 6s"]),
        ("preferred_to_starboard", ["Fl(2+1)R 6s", "Fl(2+1)R 12s"], ["Fl(2+1)G 6s", "Fl(2)R 6s"]),
        ("preferred_to_port", ["Fl(2+1)G 6s"], ["Fl(2+1)R 6s"]),
        ("north", ["VQ W", "Q W", "Q W 1s"], ["Q(3)W 10s", "Q R"]),
        ("east", ["VQ(3)W 5s", "Q(3)W 10s"], ["Q(3)W 12s", "Q W"]),
        ("south", ["VQ(6)+LFl W 10s", "Q(6)+LFl W 15s"], ["Q(6)W 15s", "Q(9)W 15s"]),
        ("west", ["VQ(9)W 10s", "Q(9)W 15s"], ["Q(9)W 10s"]),
        ("isolated_danger", ["Fl(2)W 5s", "Fl(2)W 10s"], ["Fl W 5s"]),
        ("safe_water", ["Iso W 4s", "Oc W 4s", "LFl W 10s", "Mo(A)W 6s"], ["LFl W 8s", "Mo(U)W 10s"]),
        ("special", ["Fl Y 4s", "Mo(Q)Y 12s"], ["Fl W 4s", "Fl(2+1)Y 12s"]),
        ("emergency_wreck", ["Al.BuY 3s"], ["Al.WR 4s", "Fl Y 4s"]),
    ],
)
def test_what_a_mark_may_show(mark: str, shown: list[str], not_shown: list[str]) -> None:
    assert [text for text in shown if not marks.may_show(mark, parse_character(text))] == []
    assert [text for text in not_shown if marks.may_show(mark, parse_character(text))] == []


def test_every_letter_of_morse() -> None:
    assert [letter_of(signs_of(chr(code))) for code in range(65, 91)] == [chr(code) for code in range(65, 91)]
    assert (signs_of("S"), signs_of("O"), letter_of("......")) == ("...", "---", None)


def test_equal_things_are_equal() -> None:
    one, other = parse_character("Fl(2) R 6s"), parse_character("FL.(2)R.6S")
    assert (one, hash(one), repr(one)) == (other, hash(other), "Character(Fl(2)R 6s)")
    assert one != parse_character("Fl(2) G 6s")
    assert one.parts[0] == other.parts[0]
    assert hash(one.parts[0]) == hash(other.parts[0])
    assert hash(rhythm_of(one)) == hash(rhythm_of(other))


@pytest.mark.parametrize(
    ("given_message", "want"),
    [
        ({"intervals_ms": [800, 1200, 800, 3200], "colours": ["R"]}, "Fl(2)R 6s"),
        ({"intervals_ms": [], "colours": ["G"]}, "F G"),
        ({"character": "fl 4s"}, "Fl 4s"),
    ],
)
def test_characters_from_what_they_look_like(given_message: dict[str, object], want: str) -> None:
    assert encode_message(given_message) == {"text": want}


@pytest.mark.parametrize(
    ("given_message", "field"),
    [
        ({}, "character"),
        ({"character": "nothing"}, "character"),
        ({"intervals_ms": [500]}, "intervals"),
        ({"intervals_ms": [True, 500]}, "intervals_ms"),
        ({"intervals_ms": [500, 500], "colours": [1]}, "colours"),
        ({"intervals_ms": [500, 3500], "colours": ["R", "G", "B", "B"], "kinds": 1}, "kinds"),
    ],
)
def test_characters_that_cannot_be_written(given_message: dict[str, object], field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_message(given_message)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["Mo(\u00df)W 8s", "I\u017fo 4s", "F\n", "Fl \uff14s", "Fl 4\u017f", "\ufb02 4s"])
def test_letters_of_other_scripts_are_no_character(text: str) -> None:
    with pytest.raises(FieldError):
        parse_character(text)


MODULES = (character, classify, commands, drift, frame, marks, message, orders, rhythm, telemetry, verbs)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
