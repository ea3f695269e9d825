"""Commands to a buoy and its answers: by property, and what a buoy refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.aton.commands import (
    EXECUTED,
    REASONS,
    RECEIVED,
    REFUSED,
    Answer,
    Command,
    decode_answer,
    decode_command,
    encode_answer,
    encode_command,
)
from protocols.aton.frame import Frame, encode_frame
from protocols.aton.message import decode_message, encode_message
from protocols.aton.orders import EVERYONE, MOST_REMEMBERED, OrderBook, why_refused
from protocols.aton.verbs import (
    LAMP_OFF,
    LAMP_ON,
    LAMP_TEST,
    VERBS,
    Arguments,
    LampMode,
    Query,
    Reboot,
    SetAnchor,
    SetCharacter,
    SetDaylight,
    SetIntensity,
    SetSchedule,
    SetThresholds,
    SyncTime,
    UnknownVerb,
    UpdateFirmware,
)
from protocols.core.errors import (
    LocalProtocolError,
)
from protocols.tests.aton_buoy import BUOY, LATER_S, NOW_S

SIZES = {"B": 8, "H": 16, "I": 32, "i": 31}
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@st.composite
def arguments(draw: Any) -> Arguments:
    kind = draw(st.sampled_from([*VERBS.values(), UnknownVerb]))
    if kind is UnknownVerb:
        return UnknownVerb(draw(st.integers(13, 255)), draw(st.binary(max_size=40)))
    if kind is SetCharacter:
        return SetCharacter(draw(st.integers(0, 255)), draw(printable))
    if kind is UpdateFirmware:
        return UpdateFirmware(draw(printable))
    if kind is SetThresholds:
        pair = st.tuples(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1))
        return SetThresholds(tuple(draw(st.lists(pair, max_size=16))))
    values = [draw(st.integers(-(1 << 31) if code == "i" else 0, (1 << SIZES[code]) - 1)) for code in kind.FORMAT[1:]]
    made: Arguments = kind(*values)
    return made


ids = st.integers(0, 2**32 - 1)


@given(st.builds(Command, ids, ids, arguments()))
def test_any_command_comes_back(command: Command) -> None:
    body = encode_command(command)
    assert decode_command(body) == command
    assert decode_command(body).arguments == command.arguments
    assert encode_command(decode_command(body)) == body
    wire = encode_frame(Frame(2, BUOY, 1, body)).hex()
    assert encode_message(decode_message({"hex": wire})) == {"hex": wire}
    assert isinstance(why_refused(command, NOW_S), int)


@given(st.builds(Answer, ids, st.integers(0, 255), st.integers(0, 255), printable))
def test_any_answer_comes_back(answer: Answer) -> None:
    body = encode_answer(answer)
    assert decode_answer(body) == answer
    wire = encode_frame(Frame(3, BUOY, 1, body)).hex()
    assert encode_message(decode_message({"hex": wire})) == {"hex": wire}


@pytest.mark.parametrize(
    "made",
    [
        LampMode(256, 0, 0),
        SetIntensity(-1),
        SetAnchor(0, 1 << 31, 0, 0, 0),
        SetCharacter(0, "\u00e9"),
        SetCharacter(300, ""),
        UpdateFirmware("x" * 129),
        SetThresholds(((256, 0),)),
        SetThresholds(((1, 1 << 31),)),
        SetThresholds(((1, 1),) * 17),
        UnknownVerb(256, b""),
    ],
)
def test_commands_that_cannot_be_written(made: Arguments) -> None:
    with pytest.raises(LocalProtocolError):
        encode_command(Command(1, LATER_S, made))


def test_answers_that_cannot_be_written() -> None:
    for answer in (Answer(1 << 32, 0), Answer(1, 256), Answer(1, 0, 256), Answer(1, 0, 0, "\n")):
        with pytest.raises(LocalProtocolError):
            encode_answer(answer)


REFUSALS: list[tuple[Arguments, str]] = [
    (LampMode(0, 0, 0), ""),
    (LampMode(LAMP_ON, 0, 0), ""),
    (LampMode(LAMP_OFF, 3600, 1), ""),
    (LampMode(LAMP_OFF, 3600, 0), "not_confirmed"),
    (LampMode(LAMP_OFF, 3600, 2), "bad_value"),
    (LampMode(LAMP_ON, 7 * 86_400 + 1, 0), "bad_value"),
    (LampMode(LAMP_TEST, 0, 0), "bad_value"),
    (LampMode(LAMP_TEST, 600, 0), ""),
    (LampMode(LAMP_TEST, 601, 0), "bad_value"),
    (LampMode(4, 0, 0), "bad_value"),
    (SetCharacter(0, "Fl(2)R 6s"), ""),
    (SetCharacter(0, "Fl(2+1)R 6s"), "not_allowed"),
    (SetCharacter(0, "Fl(2)G 6s"), "not_allowed"),
    (SetCharacter(0, "Fl(2)R 1s"), "bad_value"),
    (SetCharacter(0, "nothing"), "bad_value"),
    (SetCharacter(0, ""), "bad_value"),
    (SetCharacter(1, ""), ""),
    (SetCharacter(2, ""), ""),
    (SetCharacter(1, "Fl 4s"), "bad_value"),
    (SetCharacter(3, ""), "bad_value"),
    (SetDaylight(100, 200, 60), ""),
    (SetDaylight(200, 200, 60), "bad_value"),
    (SetIntensity(15), ""),
    (SetIntensity(16), "bad_value"),
    (SetThresholds(((3, 1180),)), ""),
    (SetThresholds(()), "bad_value"),
    (SetThresholds(((99, 1),)), "bad_value"),
    (SetThresholds(((3, 3000), (4, 0), (9, 9000), (15, -4000), (15, 8500))), ""),
    (SetThresholds(((3, 3001),)), "bad_value"),
    (SetThresholds(((3, 1180), (4, -1))), "bad_value"),
    (SetThresholds(((9, 9001),)), "bad_value"),
    (SetThresholds(((14, 10001),)), "bad_value"),
    (SetThresholds(((15, -4001),)), "bad_value"),
    (SetThresholds(((7, -1),)), "bad_value"),
    (SetAnchor(0, 320_891_230, 1_187_812_350, 210, 370), ""),
    (SetAnchor(0, 900_000_001, 0, 210, 370), "bad_value"),
    (SetAnchor(0, 0, -1_800_000_001, 210, 370), "bad_value"),
    (SetAnchor(0, 0, 0, 210, 210), "bad_value"),
    (SetAnchor(2, 0, 0, 210, 370), "bad_value"),
    (SetSchedule(60, 60, 60, 60), ""),
    (SetSchedule(60, 60, 60, 59), "bad_value"),
    (Query(3, 0, 0), ""),
    (Query(4, 0, 0), "bad_value"),
    (Query(2, 5, 4), "bad_value"),
    (SyncTime(NOW_S), ""),
    (SyncTime(1_700_000_000), "bad_value"),
    (UpdateFirmware("buoy-2"), ""),
    (UpdateFirmware(""), "bad_value"),
    (Reboot(), ""),
    (UnknownVerb(200, b""), "unknown_verb"),
]


@pytest.mark.parametrize(("made", "reason"), REFUSALS)
def test_what_a_buoy_refuses(made: Arguments, reason: str) -> None:
    command = Command(1, LATER_S, made)
    assert REASONS[why_refused(command, NOW_S, BUOY, "port")] == reason
    late = REASONS[why_refused(command, LATER_S, BUOY, "port")]
    assert late == (reason if isinstance(made, (SyncTime, UnknownVerb)) else "expired")
    if not reason:
        is_harmless = isinstance(made, (Query, SyncTime))
        assert REASONS[why_refused(command, None, BUOY)] == ("" if is_harmless else "no_time")
        assert REASONS[why_refused(command, NOW_S, EVERYONE)] == ("" if is_harmless else "not_allowed")


def test_any_character_is_allowed_where_no_mark_is_named() -> None:
    assert why_refused(Command(1, LATER_S, SetCharacter(0, "Q(3) 10s")), NOW_S, BUOY) == 0


def test_a_book_is_kept_and_read_again() -> None:
    book = OrderBook()
    for number in range(MOST_REMEMBERED + 5):
        book.note(Answer(number, REFUSED if number % 2 else EXECUTED, number % 3, "0.52 A" if number == 9 else ""))
    again = OrderBook(book.saved())
    assert again.saved() == book.saved()
    for number in range(MOST_REMEMBERED + 5):
        assert again.answer_of(number) == book.answer_of(number)
    again.note(Answer(99, RECEIVED))
    assert again.answer_of(5) is None  # the oldest gives way
    assert OrderBook(b"").saved() == b""


@given(st.binary(max_size=200))
def test_a_book_that_was_damaged_is_read_as_far_as_it_goes(kept: bytes) -> None:
    whole = OrderBook(kept).saved()
    assert len(whole) <= len(kept)
    assert OrderBook(whole).saved() == whole


def test_the_book_remembers_the_last_ones() -> None:
    book = OrderBook()
    for number in range(MOST_REMEMBERED + 1):
        book.note(Answer(number, RECEIVED))
        book.note(Answer(number, EXECUTED))
    assert book.answer_of(0) is None
    assert book.answer_of(1) == Answer(1, EXECUTED)
    assert len(book._answers) == MOST_REMEMBERED
