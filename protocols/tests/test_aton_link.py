"""Frames, reports and commands of a buoy by property; what it refuses; both ends over a line that loses."""

import random
from collections.abc import Callable
from typing import Any

import fastcrc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.aton import commands as verbs
from protocols.aton.commands import (
    EXECUTED,
    LAMP_OFF,
    LAMP_ON,
    LAMP_TEST,
    REASONS,
    RECEIVED,
    REFUSED,
    VERBS,
    VERIFIED,
    Answer,
    Arguments,
    Command,
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
    decode_answer,
    decode_command,
    encode_answer,
    encode_command,
)
from protocols.aton.frame import MAX_BODY_BYTES, MAX_BUFFERED, Frame, Framer, decode_frame, encode_frame
from protocols.aton.link import MOST_EVENTS, MOST_PENDING, MOST_TRIES, REPEAT_S, Buoy, Shore, Unanswered
from protocols.aton.message import decode_message, encode_message
from protocols.aton.orders import EVERYONE, MOST_REMEMBERED, OrderBook, why_refused
from protocols.aton.telemetry import (
    ITEMS,
    POSITION,
    REPORT,
    ROUTINE,
    Item,
    Report,
    decode_report,
    encode_report,
    item_of,
)
from protocols.core.errors import (
    NEED_DATA,
    FieldError,
    LocalProtocolError,
    OptionError,
    ProtocolError,
    RemoteProtocolError,
)
from protocols.tests.kit import cases_of, drip, frames_of, noisy, pieces

BUOY = 994_121_001
NOW_S = 1_795_501_733
LATER_S = NOW_S + 3600
WIRES = [bytes.fromhex(case["hex"]) for case in cases_of("aton") if "hex" in case and not case["expect"].get("error")]


@pytest.mark.parametrize("wire", WIRES)
def test_frames_and_bodies_come_back(wire: bytes) -> None:
    frame = decode_frame(wire)
    assert encode_frame(frame) == wire
    codecs: list[tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = [
        (decode_report, encode_report), (decode_command, encode_command), (decode_answer, encode_answer),
    ]  # fmt: skip
    decode, encode = codecs[frame.kind - 1]
    assert encode(decode(frame.body)) == frame.body
    assert drip(Framer(), wire) == [frame]
    assert noisy(Framer(), wire, seed=len(wire), ceiling=MAX_BUFFERED)[-1] == frame


@given(st.builds(Frame, st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 65535), st.binary(max_size=480)))
def test_any_frame_comes_back(frame: Frame) -> None:
    wire = encode_frame(frame)
    assert decode_frame(wire) == frame
    assert int.from_bytes(wire[-2:], "little") == fastcrc.crc16.modbus(wire[2:-2])
    with pytest.raises(RemoteProtocolError):
        decode_frame(wire[:-1])
    with pytest.raises(RemoteProtocolError):
        decode_frame(wire + b"\x00")


@given(st.integers(0, 2**16), st.lists(st.integers(0, len(WIRES) - 1), max_size=6))
def test_any_split_equals_the_whole(seed: int, numbers: list[int]) -> None:
    wire = b"\xc5\x00" + b"".join(WIRES[number] for number in numbers)
    found = []
    framer = Framer()
    for piece in pieces(wire, seed):
        framer.feed(piece)
        found += frames_of(framer)
    assert found == [decode_frame(WIRES[number]) for number in numbers]
    assert framer.discarded_bytes == 2 or not numbers


def test_a_false_start_swallows_no_true_frame() -> None:
    for false in (b"\xc5\xa7\x01\x00", WIRES[0][:-1] + b"\x00", b"\xc5\xa7" + b"\x01" * 7 + b"\xff\xff"):
        framer = Framer()
        framer.feed(false + WIRES[1] + WIRES[2] + b"\x00" * 500)
        assert frames_of(framer) == [decode_frame(WIRES[1]), decode_frame(WIRES[2])]
        assert framer.bad_checks >= 1


def test_an_endless_frame_is_bounded() -> None:
    framer = Framer()
    for _ in range(1000):
        framer.feed(b"\xc5\xa7\x01\x00\x00\x00\x00\x00\x00\x01\xe0")
        assert len(framer._buffer) <= MAX_BUFFERED
        framer.next_frame()
    assert framer.discarded_bytes > 0


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_what_they_may(data: bytes) -> None:
    for decode in (decode_frame, decode_report, decode_command, decode_answer):
        try:
            decode(data)
        except RemoteProtocolError:
            continue
    for kind in (1, 2, 3, 4):
        try:
            message = decode_message({"hex": encode_frame(Frame(kind, 1, 2, data)).hex()})
        except RemoteProtocolError:
            continue
        assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize(
    "changes", [{"kind": 256}, {"station": 1 << 32}, {"serial": -1}, {"body": b"x" * (MAX_BODY_BYTES + 1)}]
)
def test_frames_that_cannot_be_written(changes: dict[str, Any]) -> None:
    fields = {"kind": 1, "station": 1, "serial": 1, "body": b""} | changes
    with pytest.raises(LocalProtocolError):
        encode_frame(Frame(**fields))


@st.composite
def items(draw: Any) -> Item:
    number, name, form = draw(st.sampled_from(ITEMS))
    assert ITEMS[number - 1][1] == name
    if draw(st.booleans()):
        return item_of(name, None)
    if form == "text":
        return item_of(name, draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)))
    if form == "codes":
        return item_of(name, tuple(draw(st.lists(st.integers(0, 255), min_size=1, max_size=9))))
    if form == POSITION:
        return item_of(name, (draw(st.integers(-(2**31), 2**31 - 1)), draw(st.integers(-(2**31), 2**31 - 1))))
    top = {">B": 8, ">H": 16, ">I": 32, ">h": 15}[form]
    return item_of(name, draw(st.integers(-(1 << 15) if form == ">h" else 0, (1 << top) - 1)))


others = st.builds(Item, st.integers(34, 255), st.binary(max_size=20))
reports = st.builds(
    Report, st.integers(0, 255), st.none() | st.integers(1, 2**32 - 1), st.lists(items() | others, max_size=6)
)


@given(reports)
def test_any_report_comes_back(report: Report) -> None:
    body = encode_report(report)
    assert decode_report(body) == report
    assert encode_report(decode_report(body)) == body
    for item in report.items:
        if item.name is not None and item.raw:
            assert item_of(item.name, item.value) == item
    last = {item.name: item for item in report.items}
    for name, item in last.items():
        assert name is None or report.get(name) == item.value
    assert report.get("nothing") is None


@given(st.integers(1, 255), st.binary(max_size=60))
def test_any_item_has_a_value_or_a_field_error(number: int, raw: bytes) -> None:
    item = decode_report(encode_report(Report(0, None, [Item(number, raw)]))).items[0]
    try:
        value = item.value
    except FieldError as error:
        assert error.field == item.name  # noqa: PT017  # it is about this item
        return
    assert (value is None) == (not raw or item.name is None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("battery_cv", 65_536), ("battery_cv", -1), ("battery_cv", "x"), ("battery_cv", (1, 2)), ("temp_tenth_c", 32_768),
     ("temp_tenth_c", -32_769), ("position_e7_deg", (1,)), ("position_e7_deg", 1), ("position_e7_deg", (1 << 31, 0)),
     ("alarms", (256,)), ("alarms", ()), ("character", ""), ("character", 5), ("character", "\u00e9"),
     ("character", "x" * 256), ("no_such", 1)],
)  # fmt: skip
def test_items_that_cannot_be_written(name: str, value: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        item_of(name, value)
    assert caught.value.field == name


@pytest.mark.parametrize(
    "report",
    [
        Report(256, None, []),
        Report(0, 0, []),
        Report(0, 1 << 32, []),
        Report(0, 1, [Item(256, b"")]),
        Report(0, 1, [Item(1, b"x" * 256)]),
    ],
)
def test_reports_that_cannot_be_written(report: Report) -> None:
    with pytest.raises(LocalProtocolError):
        encode_report(report)


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


def test_the_book_remembers_the_last_ones() -> None:
    book = OrderBook()
    for number in range(MOST_REMEMBERED + 1):
        book.note(Answer(number, RECEIVED))
        book.note(Answer(number, EXECUTED))
    assert book.answer_of(0) is None
    assert book.answer_of(1) == Answer(1, EXECUTED)
    assert len(book._answers) == MOST_REMEMBERED


def both() -> tuple[Shore, Buoy]:
    shore, buoy = Shore(BUOY), Buoy(BUOY)
    buoy.utc_offset_s = NOW_S
    return shore, buoy


def events_of(end: Shore | Buoy) -> list[Any]:
    events = []
    while (event := end.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def test_a_command_from_received_to_verified() -> None:
    shore, buoy = both()
    command = Command(5, LATER_S, LampMode(LAMP_ON, 0, 0))
    shore.send(command, 0.0)
    assert shore.next_deadline() == REPEAT_S
    buoy.receive(shore.bytes_to_send(), 1.0)
    assert events_of(buoy) == [command]
    buoy.send(Answer(5, EXECUTED), 2.0)
    buoy.send(Answer(5, VERIFIED, 0, "0.52 A"), 3.0)
    buoy.send(Report(ROUTINE, NOW_S, [item_of("lamp_on", 1)]), 3.0)
    shore.receive(buoy.bytes_to_send(), 4.0)
    *answers, report = events_of(shore)
    assert answers == [Answer(5, RECEIVED), Answer(5, EXECUTED), Answer(5, VERIFIED, 0, "0.52 A")]
    assert report.get("lamp_on") == 1
    assert shore.next_deadline() is None
    assert (shore.bytes_to_send(), buoy.bytes_to_send(), buoy.next_deadline()) == (b"", b"", None)
    buoy.tick(9.0)


def test_the_same_command_is_done_once() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, Reboot()), 0.0)
    wire = shore.bytes_to_send()
    for _ in range(3):
        buoy.receive(wire, 1.0)
    assert len(events_of(buoy)) == 1
    buoy.send(Answer(5, EXECUTED), 1.0)
    buoy.bytes_to_send()
    buoy.receive(wire, 2.0)
    assert events_of(buoy) == []
    shore.receive(buoy.bytes_to_send() * 2, 3.0)
    assert events_of(shore) == [Answer(5, EXECUTED)]


def test_refused_at_once_and_not_an_event() -> None:
    shore, buoy = both()
    shore.send(Command(5, LATER_S, LampMode(LAMP_OFF, 0, 0)), 0.0)
    buoy.receive(shore.bytes_to_send(), 1.0)
    assert events_of(buoy) == []
    shore.receive(buoy.bytes_to_send(), 2.0)
    assert events_of(shore) == [Answer(5, REFUSED, REASONS.index("not_confirmed"))]


def test_a_command_expires_by_the_buoys_clock() -> None:
    _shore, buoy = both()
    wire = encode_frame(Frame(2, BUOY, 1, encode_command(Command(5, NOW_S + 10, Reboot()))))
    buoy.receive(wire, 9.9)
    assert len(events_of(buoy)) == 1
    _shore, buoy = both()
    buoy.receive(wire, 10.0)
    assert events_of(buoy) == []


def test_unanswered_after_five_tries() -> None:
    shore, _buoy = both()
    shore.send(Command(5, LATER_S, Reboot()), 0.0)
    sent = [shore.bytes_to_send()]
    now = 0.0
    while (deadline := shore.next_deadline()) is not None:
        shore.tick(deadline - 0.01)
        assert shore.bytes_to_send() == b""
        now = deadline
        shore.tick(now)
        sent.append(shore.bytes_to_send())
    assert now == MOST_TRIES * REPEAT_S
    assert [bool(wire) for wire in sent] == [True] * MOST_TRIES + [False]
    assert len({decode_frame(wire).serial for wire in sent[:-1]}) == MOST_TRIES
    [event] = events_of(shore)
    assert isinstance(event, Unanswered)
    assert event.command_id == 5


def test_commands_and_answers_that_are_refused_here() -> None:
    shore, buoy = both()
    for number in range(MOST_PENDING):
        shore.send(Command(number, LATER_S, Reboot()), 0.0)
    for number in (3, MOST_PENDING):
        with pytest.raises(LocalProtocolError):
            shore.send(Command(number, LATER_S, Reboot()), 0.0)
    with pytest.raises(LocalProtocolError):
        buoy.send(Answer(77, EXECUTED), 0.0)


def test_what_is_remembered_is_bounded() -> None:
    shore, buoy = both()
    for number in range(3 * MOST_EVENTS):
        shore.send(Command(number, LATER_S, Query(0, 0, 0)), 0.0)
        buoy.receive(shore.bytes_to_send(), 0.0)
        shore.receive(buoy.bytes_to_send(), 0.0)
    assert len(shore._stages) == MOST_EVENTS
    assert len(events_of(shore)) == MOST_EVENTS
    assert len(events_of(buoy)) == MOST_EVENTS


def test_others_and_nonsense_are_counted() -> None:
    shore, buoy = both()
    foreign = [Frame(2, BUOY + 1, 1, b""), Frame(REPORT, BUOY, 1, b""), Frame(9, BUOY, 1, b"")]
    for frame in foreign:
        buoy.receive(encode_frame(frame), 0.0)
    buoy.receive(encode_frame(Frame(2, BUOY, 1, b"x")), 0.0)
    assert (buoy.foreign, buoy.broken) == (3, 1)
    for frame in (Frame(REPORT, BUOY + 1, 1, b""), Frame(2, BUOY, 1, b"")):
        shore.receive(encode_frame(frame), 0.0)
    shore.receive(encode_frame(Frame(REPORT, BUOY, 1, b"x")), 0.0)
    assert (shore.foreign, shore.broken) == (2, 1)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_over_a_line_that_loses_and_damages(seed: int) -> None:
    rng = random.Random(seed)

    def line(wire: bytes) -> bytes:
        if rng.random() < 0.4:
            return b""
        if rng.random() < 0.2 and wire:
            at = rng.randrange(len(wire))
            return wire[:at] + bytes([wire[at] ^ 1 << rng.randrange(8)]) + wire[at + 1 :]
        return wire

    shore, buoy = both()
    wanted = [Command(number, LATER_S, SetIntensity(number)) for number in range(6)]
    done: list[Command] = []
    for command in wanted:
        shore.send(command, 0.0)
    now = 0.0
    while (deadline := shore.next_deadline()) is not None:
        buoy.receive(line(shore.bytes_to_send()), now)
        for event in events_of(buoy):
            done.append(event)
            buoy.send(Answer(event.command_id, EXECUTED), now)
        shore.receive(line(buoy.bytes_to_send()), now)
        now = deadline
        shore.tick(now)
    told = events_of(shore)
    assert len(done) == len({command.command_id for command in done})  # nothing is done twice
    unanswered = {event.command_id for event in told if isinstance(event, Unanswered)}
    answered = {event.command_id for event in told if isinstance(event, Answer)}
    assert unanswered | answered == {command.command_id for command in wanted}
    assert answered <= {command.command_id for command in done}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"hex": 3},
        {"hex": "c5a"},
        {"hex": "zz"},
        {"hex": "", "x": 1},
        {"text": "Fl 4s"},
        {"protocol": "character"},
        {"protocol": "character", "text": "F", "x": 1},
    ],
)
def test_cases_that_are_none(case: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


COMMAND = {"kind": "command", "station": BUOY, "id": 1, "expires": "2026-11-24T06:28:53Z"}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"kind": "x"}, "kind"),
        ({"kind": 1}, "kind"),
        ({"kind": "report"}, "station"),
        ({"kind": "report", "station": True}, "station"),
        ({"kind": "report", "station": 1, "wrong": 1}, "wrong"),
        ({"kind": "report", "station": 1, "reason": "x"}, "reason"),
        ({"kind": "report", "station": 1, "time": "2026-02-30T00:00:00Z"}, "time"),
        ({"kind": "report", "station": 1, "time": 5}, "time"),
        ({"kind": "report", "station": 1, "battery_v": "x"}, "battery_v"),
        ({"kind": "report", "station": 1, "battery_v": float("inf")}, "battery_v"),
        ({"kind": "report", "station": 1, "battery_v": 700.0}, "battery_cv"),
        ({"kind": "report", "station": 1, "lamp_on": "x"}, "lamp_on"),
        ({"kind": "report", "station": 1, "lat": 1.0}, "lon"),
        ({"kind": "report", "station": 1, "alarms": "x"}, "alarms"),
        ({"kind": "report", "station": 1, "alarms": ["x"]}, "alarms"),
        ({"kind": "report", "station": 1, "character": 5}, "character"),
        ({"kind": "report", "station": 1, "other_items": 5}, "other_items"),
        ({"kind": "report", "station": 1, "other_items": [{"number": 200, "hex": "0"}]}, "other_items"),
        (COMMAND, "verb"),
        (COMMAND | {"verb": "x"}, "verb"),
        (COMMAND | {"verb": 1, "arguments_hex": ""}, "verb"),
        (COMMAND | {"verb": 200, "arguments_hex": "0"}, "arguments_hex"),
        (COMMAND | {"verb": "reboot", "text": "x"}, "text"),
        (COMMAND | {"verb": "reboot", "id": None}, "id"),
        (COMMAND | {"verb": "reboot", "expires": None}, "expires"),
        (COMMAND | {"verb": "lamp_mode", "mode": "x"}, "mode"),
        (COMMAND | {"verb": "set_thresholds", "thresholds": 5}, "thresholds"),
        ({"kind": "answer", "station": 1, "id": 1, "stage": "x"}, "stage"),
        ({"kind": "answer", "station": 1, "id": 1, "stage": 1, "wrong": 1}, "wrong"),
    ],
)
def test_messages_that_cannot_be_written(message: dict[str, object], field: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        encode_message(message)
    assert isinstance(caught.value, LocalProtocolError)
    assert caught.value.field == field


def test_equal_things_are_equal() -> None:
    assert repr(decode_frame(WIRES[0])).startswith("Frame(1, 994121001, 7")
    assert hash(decode_frame(WIRES[0])) == hash(decode_frame(WIRES[0]))
    assert hash(Item(1, b"x")) == hash(Item(1, b"x"))
    assert repr(Report(0, None, [Item(1, b"\x01")])) == "Report(0, None, [Item(1, b'\\x01')])"
    assert hash(SetIntensity(3)) == hash(SetIntensity(3)) != hash(SetIntensity(4))
    assert hash(Command(1, 2, SetIntensity(3))) == hash(Command(1, 2, SetIntensity(3)))
    assert hash(Answer(1, 2)) == hash(Answer(1, 2))
    assert {kind.VERB for kind in VERBS.values()} == set(VERBS)
    assert verbs.ANSWER == 3
