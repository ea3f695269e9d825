"""SL 651: what holds for any values and any bytes, on CPython, and all vectors on a real MicroPython."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import FieldError, LocalProtocolError, RemoteProtocolError
from protocols.sl651.bodies import (
    Bare,
    Body,
    IdentifierList,
    Opening,
    Payload,
    PeriodQuery,
    Report,
    Unread,
)
from protocols.sl651.catalogue import DOWN, UP, decode_body, read_body
from protocols.sl651.elements import ELEMENTS, Element, element_of
from protocols.sl651.frame import (
    ENDS_DOWN,
    ENDS_DOWN_PACKET,
    ENDS_UP,
    ENQ,
    ETX,
    MAX_FRAME_BYTES,
    Frame,
    decode_frame,
    encode_frame,
)
from protocols.sl651.framer import Framer
from protocols.sl651.groups import (
    Group,
    hour_group,
    number_group,
    observed_group,
    read_groups,
    station_group,
    status_group,
    step_group,
)
from protocols.sl651.message import decode_message, encode_message
from protocols.sl651.packets import join, split
from protocols.sl651.payloads import Switches, read_switches, write_event_counts, write_switches, write_version
from protocols.sl651.series import Series
from protocols.sl651.values import read_bcd, read_decimal, write_bcd, write_decimal
from protocols.tests.kit import VECTORS, cases_of, drip, frames_of, pieces
from protocols.tests.test_micropython_clean import run_micropython

modest = settings(derandomize=True, deadline=None, max_examples=150)
coding = st.booleans()
digits = st.text("0123456789", min_size=10, max_size=10)


@st.composite
def openings(draw: Any) -> Opening:
    return Opening(draw(st.integers(0, 0xFFFF)), draw(st.text("0123456789", min_size=12, max_size=12)))


@st.composite
def frames(draw: Any) -> Frame:
    is_ascii, is_down, is_packet = draw(coding), draw(st.booleans()), draw(st.booleans())
    ends = ENDS_UP if not is_down else ENDS_DOWN_PACKET if is_packet else ENDS_DOWN
    total = draw(st.integers(1, 0xFFF)) if is_packet else None
    return Frame(
        draw(st.integers(0, 255)),
        draw(st.binary(min_size=5, max_size=5)),
        draw(st.binary(min_size=2, max_size=2)),
        draw(st.integers(0, 255)),
        draw(st.binary(min_size=1, max_size=300)),
        draw(st.sampled_from(ends)),
        is_down,
        is_ascii,
        total,
        draw(st.integers(1, total)) if total else None,
    )


@st.composite
def element_groups(draw: Any, is_ascii: bool) -> Group:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return hour_group(0xF4, draw(st.lists(st.none() | st.integers(0, 254), min_size=12, max_size=12)), is_ascii)
    if kind == 1:
        counts = draw(st.lists(st.none() | st.integers(0, 0xFFFE), min_size=12, max_size=12))
        return hour_group(draw(st.integers(0xF5, 0xFC)), counts, is_ascii)
    if kind == 2:
        return status_group(draw(st.integers(0, 0xFFFFFFFF)), is_ascii)
    element = draw(st.sampled_from(ELEMENTS))
    most = 10**element.digits - 1
    return number_group(element, draw(st.none() | st.integers(-most, most)), is_ascii)


@st.composite
def reports(draw: Any) -> tuple[Report, bool]:
    is_ascii = draw(coding)
    groups = [station_group(draw(st.binary(min_size=5, max_size=5)), draw(st.sampled_from("PHKZDTMGQIO")), is_ascii)]
    for time in draw(st.lists(digits, max_size=3, unique=True)):
        groups.append(observed_group(time, is_ascii))
        groups += draw(st.lists(element_groups(is_ascii), min_size=1, max_size=4))
    return Report(draw(openings()), groups), is_ascii


@given(frames())
@modest
def test_any_frame_comes_back(frame: Frame) -> None:
    wire = encode_frame(frame)
    assert decode_frame(wire) == frame
    assert encode_frame(decode_frame(wire)) == wire
    assert hash(decode_frame(wire)) == hash(frame)
    assert repr(frame).startswith("Frame(")


@given(frames(), st.data())
@modest
def test_hex_characters_of_either_case_are_kept(frame: Frame, data: Any) -> None:
    frame.is_ascii = True
    wire = encode_frame(frame)
    body_at = 24 + (6 if frame.packet_total else 0)
    lowered = bytes(
        byte | 0x20 if at < body_at and at != 23 and 0x41 <= byte <= 0x46 and data.draw(st.booleans()) else byte
        for at, byte in enumerate(wire[:-4])
    )
    respelled = decode_frame(wire)
    respelled.spelling = lowered[1:23] + lowered[24:body_at] + b"0000"
    again = encode_frame(respelled)
    assert again[:-4] == lowered
    assert encode_frame(decode_frame(again)) == again
    assert decode_frame(again).station_addr == frame.station_addr


@given(reports())
@modest
def test_any_report_comes_back(given_report: tuple[Report, bool]) -> None:
    report, is_ascii = given_report
    body = report.encode(is_ascii)
    assert read_body(body, 0x32, False, is_ascii) == report
    frame = Frame(1, bytes(5), bytes(2), 0x32, body, ETX, is_ascii=is_ascii)
    read = decode_message({"hex": encode_frame(frame).hex()})
    assert encode_message(read)["hex"] == encode_frame(frame).hex().upper()


@given(st.integers(0, 0xFFFF), st.sampled_from(sorted({*UP, 0xE5})), st.booleans(), coding, st.binary(max_size=80))
@modest
def test_what_is_read_is_written_as_it_was(serial: int, code: int, is_down: bool, is_ascii: bool, rest: bytes) -> None:
    if is_ascii:
        rest = rest.hex().upper().encode() + b" "
    body = Opening(serial, "261124000000").encode(is_ascii) + rest
    try:
        read = read_body(body, code, is_down, is_ascii)
    except RemoteProtocolError:
        return
    assert read.encode(is_ascii) == body


@given(st.binary(max_size=120), st.sampled_from(sorted(UP)), st.booleans(), coding)
@modest
def test_any_body_raises_only_what_it_may(body: bytes, code: int, is_down: bool, is_ascii: bool) -> None:
    problem = None
    try:
        read = read_body(body, code, is_down, is_ascii)
    except RemoteProtocolError as error:
        problem = error
    if problem is None:
        assert read.encode(is_ascii) == body
    else:
        assert problem.offset is not None
        assert problem.field


@given(st.binary(max_size=80))
@modest
def test_any_bytes_raise_only_what_they_may(data: bytes) -> None:
    for wire in (data, b"\x7e\x7e" + data, b"\x01" + data):
        with pytest.raises(RemoteProtocolError):
            decode_frame(wire)


@given(st.lists(frames(), max_size=4), st.binary(max_size=60), st.integers(0, 2**32))
@modest
def test_any_split_equals_the_whole(sent: list[Frame], noise: bytes, seed: int) -> None:
    stream = noise.join([b"", *(encode_frame(frame) for frame in sent)])
    whole, split_up = Framer(), Framer()
    whole.feed(stream)
    got = []
    for piece in pieces(stream, seed):
        split_up.feed(piece)
        got += frames_of(split_up)
    assert got == frames_of(whole)
    assert split_up.discarded_bytes == whole.discarded_bytes
    whole.silence()
    if not noise:
        assert got == sent
        assert frames_of(whole) == []
        assert whole.discarded_bytes == 0


def test_a_torn_frame_costs_no_more_than_itself_once_it_is_silent() -> None:
    wire = bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4")
    for size in range(1, len(wire)):
        framer = Framer()
        framer.feed(wire[:size] + wire)
        found = frames_of(framer)
        framer.silence()
        found += frames_of(framer)
        assert len(found) == 1
        assert framer.discarded_bytes == size


def test_frames_inside_a_frame_that_is_none_are_found() -> None:
    inner = bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4")
    outer = bytearray(encode_frame(Frame(1, bytes(5), bytes(2), 0x35, bytes(8) + inner * 3, ETX)))
    outer[-1] ^= 1
    framer = Framer()
    framer.feed(bytes(outer))
    assert len(frames_of(framer)) == 3
    assert framer.bad_checks == 1


@pytest.mark.parametrize("flood", [b"\x7e", b"\x01", b"\x00", b"\x01" + b"0" * 40, b"\x7e\x7e" + b"\x0f" * 9])
def test_a_flood_stays_within_the_ceiling(flood: bytes) -> None:
    framer = Framer()
    for _ in range(100):
        framer.feed(flood * 50)
        assert frames_of(framer) == []
        assert framer.waiting <= 2 * MAX_FRAME_BYTES
    framer.silence()
    assert frames_of(framer) == []
    framer.feed(bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4"))
    assert len(frames_of(framer)) == 1


def test_a_frame_as_long_as_the_ceiling_is_found() -> None:
    wire = encode_frame(Frame(1, bytes(5), bytes(2), 0x36, bytes(47), ETX))
    assert len(wire) == 64
    assert drip(Framer(max_bytes=64), wire) == [decode_frame(wire)]


def test_a_frame_longer_than_the_ceiling_is_noise() -> None:
    framer = Framer(max_bytes=64)
    framer.feed(encode_frame(Frame(1, bytes(5), bytes(2), 0x36, bytes(48), ETX))[:50])
    assert frames_of(framer) == []
    assert framer.discarded_bytes == 50
    confirm = bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4")
    for _ in range(5):
        framer.feed(confirm)
        assert len(frames_of(framer)) == 1


def test_an_endless_frame_is_bounded_and_the_next_one_is_found() -> None:
    head = encode_frame(Frame(1, bytes(5), bytes(2), 0x36, bytes(0xFFF), ETX))[:14]
    framer = Framer()
    framer.feed(head)
    for _ in range(1000):
        framer.feed(bytes(100))
        frames_of(framer)
        assert framer.waiting <= 2 * MAX_FRAME_BYTES
    framer.feed(bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4"))
    assert len(frames_of(framer)) == 1


@given(st.integers(-(10**11), 10**11), st.integers(1, 11))
@modest
def test_numbers_come_back(mantissa: int, count: int) -> None:
    if abs(mantissa) < 10**count:
        assert read_bcd(write_bcd(mantissa, count)) == mantissa
    for decimals in range(8):
        assert read_decimal(write_decimal(mantissa, decimals)) == (mantissa, decimals)


def test_numbers_as_the_table_writes_them() -> None:
    assert number_group(element_of("Z"), 12345).encode().hex() == "392300012345"
    assert number_group(element_of(0x39), -345).encode().hex() == "392bff00000345"
    assert number_group(element_of(0x02), -53).encode().hex() == "0219ff0053"
    assert number_group(element_of(0x39), None).encode().hex() == "3923ffffffff"
    assert number_group(element_of("VT"), 1245, True).encode() == b"VT 12.45 "
    assert number_group(element_of("VT"), None, True).encode() == b"VT M "
    assert read_bcd(bytes.fromhex("00A0")) is None
    assert read_decimal(b"1.2.3") == read_decimal(b"") == read_decimal(b"-") == read_decimal(b"M") == (None, 0)
    assert read_decimal(b"+1.50") == (150, 2)
    for wrong in (10**7, -(10**8)):
        with pytest.raises(LocalProtocolError):
            write_bcd(wrong, 6)


def test_usual_definitions_of_the_field_are_those_of_the_table() -> None:
    usual = {0x20: 0x19, 0x22: 0x19, 0x26: 0x19, 0x38: 0x12, 0x39: 0x23, 0x27: 0x2B, 0x36: 0x1B}
    assert {code: element_of(code).definition for code in usual} == usual
    assert {element.code for element in ELEMENTS} == set(range(0x01, 0x76)) - {0x04, 0x45}
    assert len({element.ascii_id for element in ELEMENTS}) == len(ELEMENTS)
    assert isinstance(element_of("Q8"), Element)
    assert element_of("SBL8").code == 0x6F
    with pytest.raises(LocalProtocolError):
        element_of(0x76)


STATION = station_group(bytes(5), None)
ASCII_STATION = station_group(bytes(5), None, True)
TYPED = station_group(bytes(5), "H")
OPEN = Opening(7, "261124000000")


def ascii_typed() -> Group:
    return station_group(bytes(5), "H", True)


BODIES: list[tuple[int, bool, bool, Body]] = [
    (0x2F, False, False, Bare(OPEN)),
    (0x31, False, True, Series(OPEN, [ascii_typed(), step_group("000005", True)], [b"Z", b"PJ"], [b"1.000", b"M"] * 3)),
    (0x31, False, False, Series(OPEN, [TYPED, step_group("010000")], [b"\x39\x1a"], [b"\x01\x02\x03", b"\xff" * 3])),
    (0x38, False, True, Series(OPEN, [step_group("000000", True), hour_group(0xF4, [1] * 12, True)], [], [])),
    (0x38, True, True, PeriodQuery(OPEN, "26112400", "26112423", step_group("000100", True), [b"Z"])),
    (0x35, False, True, Report(OPEN, [Group(b"RGZS", b"PJ 02 ", True)])),
    (0x36, False, True, Report(OPEN, [ascii_typed(), Group(b"PIC", b"FFD8FF", True)])),
    (0x34, False, False, Report(OPEN, [TYPED, Group(b"\xfd\xf6", b"bulk")])),
    (0x3A, True, False, IdentifierList(OPEN, [b"\x39\x23", b"\xff\x22\x1b"])),
    (0x3A, True, True, IdentifierList(OPEN, [b"Z", b"VT"])),
    (0x40, True, False, Report(OPEN, [Group(b"\x0e\x28", bytes(40)), Group(b"\x03\x10", b"\x12\x34")], False)),
    (0x44, False, False, Report(OPEN, [TYPED, observed_group("2611240000"), number_group(element_of(0x70), 2201)])),
    (0x45, False, False, Payload(OPEN, STATION, write_version(b"V1.0"))),
    (0x45, False, True, Payload(OPEN, ASCII_STATION, write_version(b"V1.0"))),
    (0x47, True, False, IdentifierList(OPEN, [b"\x97\x00"])),
    (0x49, True, False, Report(OPEN, [Group(b"\x03\x10", b"\x12\x34"), Group(b"\x03\x10", b"\x56\x78")], False)),
    (0x4B, True, False, Report(OPEN, [status_group(1 << 9)], False)),
    (0x4B, False, False, Report(OPEN, [STATION, status_group(1 << 9)], False)),
    (0x4C, True, False, Payload(OPEN, None, write_switches(Switches([True] * 9)))),
    (0x4D, False, True, Payload(OPEN, ASCII_STATION, write_switches(Switches([True, False])))),
    (0x4E, False, False, Payload(OPEN, STATION, write_switches(Switches([True, False], [120, 0])))),
    (0x4F, True, False, Payload(OPEN, None, b"\xff")),
    (0x50, False, True, Payload(OPEN, ASCII_STATION, write_event_counts(list(range(32))))),
    (0x51, False, True, Payload(OPEN, ASCII_STATION)),
    (0xE7, False, False, Unread(OPEN, b"\x01\x02")),
]


@pytest.mark.parametrize(("code", "is_down", "is_ascii", "body"), BODIES)
def test_a_body_comes_back_through_both_layers(code: int, is_down: bool, is_ascii: bool, body: Body) -> None:
    written = body.encode(is_ascii)
    frame = Frame(1, bytes(5), bytes(2), code, written, ENQ if is_down else ETX, is_down, is_ascii)
    assert decode_body(frame) == body
    read = decode_message({"hex": encode_frame(frame).hex()})
    json.dumps(read)
    if "picture_sha256" in read:
        with pytest.raises(LocalProtocolError):
            encode_message(read)
        read = {**read, "picture_hex": "ffd8ff"}
    assert encode_message(read) == {"hex": encode_frame(frame).hex().upper()}
    with pytest.raises(LocalProtocolError):
        encode_message({**read, "nonsense": 1})


def test_words_of_messages() -> None:
    def told(number: int) -> dict[str, object]:
        code, is_down, is_ascii, body = BODIES[number]
        end_char = ENQ if is_down else ETX
        frame = Frame(1, bytes(5), bytes(2), code, body.encode(is_ascii), end_char, is_down, is_ascii)
        return decode_message({"hex": encode_frame(frame).hex()})

    assert told(1)["elements"] == [{"id": "Z", "values": [1, 1, 1]}, {"id": "PJ", "values": [None] * 3}]
    assert (told(1)["time_step"], told(2)["time_step"], told(3)["time_step"]) == ("000005", "010000", "000000")
    assert told(2)["elements"] == [{"id": "39", "values": [102.03, None], "definition": "1A"}]
    assert told(5)["manual_text"] == "PJ 02 "
    assert told(8)["query_definitions"] == ["23", "1B"]
    assert told(16)["elements"] == [{"id": "45", "value": 512}]
    assert told(18)["is_on"] == [True] * 9
    assert told(20)["openings_cm"] == [120, 0]
    assert told(21)["quota"] is True
    assert told(24)["raw"] == "0102"


@pytest.mark.parametrize(
    ("code", "is_down", "rest"),
    [
        (0x31, False, "04180000053923000123"),
        (0x32, False, "39"),
        (0x32, False, "FF22"),
        (0x32, False, "3900"),
        (0x37, True, "00"),
        (0x38, True, "261124"),
        (0x38, True, "2611240026112423"),
        (0x38, True, "26112400261124233923"),
        (0x40, True, "0E050102"),
        (0x45, False, ""),
        (0x45, False, "F1F100000000000456"),
        (0x45, False, "3923000000000456"),
        (0x4C, True, ""),
        (0x4C, True, "0901"),
        (0x4E, True, "010101"),
        (0x4F, True, "01"),
        (0x50, False, "F1F100000000000001"),
        (0x51, False, "F1F1000000000000"),
    ],
)
def test_bodies_that_are_cut_short_or_too_long_are_refused(code: int, is_down: bool, rest: str) -> None:
    body = bytes.fromhex("0007261124000000" + rest)
    frame = Frame(1, bytes(5), bytes(2), code, body, ENQ if is_down else ETX, is_down)
    with pytest.raises(FieldError) as caught:
        decode_body(frame)
    assert 14 <= (caught.value.offset or 0) <= 14 + len(body)


@pytest.mark.parametrize(
    ("code", "is_down", "rest"),
    [
        (0x32, False, b"Z 1.0  VT 12.0 "),
        (0x32, False, b" Z 1.0 "),
        (0x32, False, b"Z "),
        (0x32, False, b"ST 0012345678 "),
        (0x32, False, b"Z \xe9 "),
        (0x32, False, b"DRP 00 "),
        (0x32, False, b"ZT 0000004g "),
        (0x36, False, b"PIC FFD "),
        (0x31, False, b"DRN05 Z PJ 1.0 2.0 3.0 "),
        (0x31, False, b"DRN05 1.0 "),
        (0x38, True, b"26112400 26112423 Z 1.0 "),
        (0x38, True, b"26112400 2611242 DRH01 Z "),
        (0x4F, True, b"F "),
        (0x4F, True, b"FF FF "),
        (0x4F, True, b"ff "),
    ],
)
def test_ascii_bodies_that_are_no_groups_are_refused(code: int, is_down: bool, rest: bytes) -> None:
    with pytest.raises(FieldError):
        read_body(b"0007261124000000" + rest, code, is_down, True)


def test_switches_keep_bits_behind_the_last_one() -> None:
    payload = bytes((3, 0xF5))
    switches = read_switches(payload, are_gates=False)
    assert switches.is_on == [True, False, True]
    assert write_switches(switches) == payload


def test_what_no_frame_carries_is_refused() -> None:
    good = Frame(1, bytes(5), bytes(2), 0x32, bytes(8), ETX)
    for name, value in [
        ("center_addr", 256),
        ("station_addr", bytes(4)),
        ("password", b""),
        ("function_code", -1),
        ("end_char", ENQ),
        ("body", b""),
        ("body", bytes(4096)),
        ("packet_total", 3),
        ("packet_seq", 1),
    ]:
        wrong = decode_frame(encode_frame(good))
        setattr(wrong, name, value)
        with pytest.raises(LocalProtocolError):
            encode_frame(wrong)
    for chunk in (0, 5000):
        with pytest.raises(LocalProtocolError):
            split(good, chunk)
    with pytest.raises(FieldError):
        join([])
    with pytest.raises(LocalProtocolError):
        Report(OPEN, [number_group(element_of("Z"), 1, True)]).encode(False)


def test_hex_characters_that_are_none_are_refused() -> None:
    frame = encode_frame(Frame(1, bytes(5), bytes(2), 0x36, bytes(8), ETX, False, True, 2, 1))
    for at in (1, 22, 24, 29, len(frame) - 1):
        damaged = frame[:at] + b"g" + frame[at + 1 :]
        if at in (24, 29):
            damaged = damaged[:-4] + b"%04X" % crc16_modbus(damaged[:-4])
        with pytest.raises(RemoteProtocolError):
            decode_frame(damaged)
    with pytest.raises(RemoteProtocolError):
        decode_message({"hex": "0g"})


def test_a_series_whose_values_have_no_length_is_refused() -> None:
    with pytest.raises(FieldError) as caught:
        read_body(bytes.fromhex("00072611240000000418000005390001"), 0x31, False, False)
    assert caught.value.field == "zero_len"


def test_no_error_carries_a_password() -> None:
    frame = encode_frame(Frame(1, bytes(5), b"\xca\xfe", 0x49, OPEN.encode(False) + b"\x03\x10\xca", ETX))
    for data in (frame, frame[:-1], frame[:-1] + b"\x00", b"\x00" + frame):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_body(decode_frame(data))
        assert b"\xca\xfe" not in caught.value.raw
        assert b"\xca" not in caught.value.raw
    with pytest.raises(RemoteProtocolError) as caught:
        read_body(b"0007261124000000ST 0012345678 03 C\x00FE ", 0x49, False, True)
    assert caught.value.raw == b""


def test_a_status_word_is_one_in_a_series_too() -> None:
    body = bytes.fromhex("0007261124000000F1F1001234567848F0F02611240000041800010045200000048000000ABC")
    frame = Frame(1, bytes(5), bytes(2), 0x38, body, ETX)
    read = decode_message({"hex": encode_frame(frame).hex()})
    assert read["elements"] == [{"id": "45", "values": [0x480, 0xABC], "obs_time": "2611240000"}]
    assert encode_message(read) == {"hex": encode_frame(frame).hex().upper()}
    ascii_body = b"0007261124000000TT 2611240000 DRH01 ZT Z 00000480 12.345 0000000G 12.346 "
    with pytest.raises(FieldError):
        read_body(ascii_body, 0x38, False, True)
    ascii_frame = Frame(1, bytes(5), bytes(2), 0x38, ascii_body.replace(b"G", b"1"), ETX, is_ascii=True)
    read = decode_message({"hex": encode_frame(ascii_frame).hex()})
    assert read["elements"] == [
        {"id": "ZT", "values": [0x480, 1], "obs_time": "2611240000"},
        {"id": "Z", "values": [12.345, 12.346], "obs_time": "2611240000"},
    ]
    assert encode_message(read) == {"hex": encode_frame(ascii_frame).hex().upper()}


def test_both_directions_know_the_same_functions() -> None:
    assert list(UP) == list(DOWN)
    assert read_groups(b"", False, True) == []


SCRIPT = """
import json
import sys

sys.path.insert(0, sys.argv[1])

from protocols.core.errors import RemoteProtocolError
from protocols.sl651.catalogue import decode_body
from protocols.sl651.elements import element_of
from protocols.sl651.frame import Frame, decode_frame, encode_frame
from protocols.sl651.framer import Framer
from protocols.sl651.groups import number_group, observed_group, station_group
from protocols.sl651.bodies import Opening, Report
from protocols.sl651.packets import join, split

results = {}
for case in json.load(open(sys.argv[2]))["cases"]:
    if "scan" in case:
        continue
    packets = case["hex"] if isinstance(case["hex"], list) else [case["hex"]]
    framer = Framer()
    found = []
    for packet in packets:
        wire = bytes.fromhex(packet)
        for at in range(len(wire)):
            framer.feed(wire[at : at + 1])
        frame = framer.next_frame()
        if isinstance(frame, Frame):
            assert encode_frame(frame) == wire
            assert decode_frame(wire) == frame
            found.append(frame)
    if len(packets) > 1:
        if len(found) == found[0].packet_total:
            frame = join(found)
            assert [part.body for part in split(frame, 100)]
            results[case["name"]] = [group.leader for group in decode_body(frame).groups_of_body]
        continue
    if not found or found[0].packet_total:
        continue
    try:
        body = decode_body(found[0])
    except RemoteProtocolError as error:
        results[case["name"]] = error.field
        continue
    assert body.encode(found[0].is_ascii) == found[0].body
    results[case["name"]] = [body.opening.serial, [[group.leader, group.value[0]] for group in body.groups_of_body]]

address = b"\\x00\\x12\\x34\\x56\\x78"
groups = [station_group(address, "H"), observed_group("2611240000"), number_group(element_of(0x39), -345)]
report = Report(Opening(1, "261124000000"), groups)
results["written"] = encode_frame(Frame(1, address, b"\\x12\\x34", 0x32, report.encode(False), 3)).hex()
print(json.dumps(results))
"""


def test_every_vector_on_micropython() -> None:
    results = json.loads(run_micropython(SCRIPT, str(VECTORS / "sl651.json")))
    read = 0
    for case in cases_of("sl651"):
        got = results.get(case["name"])
        if got is None or isinstance(case["hex"], list):
            continue
        frame = decode_frame(bytes.fromhex(case["hex"]))
        if case["expect"].get("error"):
            assert got == case["expect"]["reason"]
            continue
        groups = decode_body(frame).groups_of_body
        assert got == [case["expect"]["serial"], [[group.leader, group.value[0]] for group in groups]]
        read += 1
    assert read > 50
    assert results["m3_picture_13_packets_in_order"] == ["F1", "F0", "F3"]
    message = decode_message({"hex": results["written"]})
    assert message["elements"] == [{"id": "39", "value": -0.345, "obs_time": "2611240000"}]
