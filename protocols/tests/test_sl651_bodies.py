"""SL 651: each shape of body through both layers, and what is none."""

import json

import pytest

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
from protocols.sl651.catalogue import decode_body, read_body
from protocols.sl651.elements import element_of
from protocols.sl651.frame import (
    ENQ,
    ETX,
    Frame,
    decode_frame,
    encode_frame,
)
from protocols.sl651.groups import (
    Group,
    hour_group,
    number_group,
    observed_group,
    station_group,
    status_group,
    step_group,
)
from protocols.sl651.message import decode_message, encode_message
from protocols.sl651.packets import join, split
from protocols.sl651.payloads import Switches, read_switches, write_event_counts, write_switches, write_version
from protocols.sl651.series import Series

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

    assert told(1)["elements"] == [
        {"id": "Z", "quantity": "river or tide level", "values": [1, 1, 1], "unit": "m"},
        {"id": "PJ", "quantity": "rain since the start of the day", "values": [None] * 3, "unit": "mm"},
    ]
    assert (told(1)["time_step"], told(2)["time_step"], told(3)["time_step"]) == ("000005", "010000", "000000")
    assert told(2)["elements"] == [
        {"id": "39", "quantity": "river or tide level", "values": [102.03, None], "unit": "m", "definition": "1A"}
    ]
    assert told(5)["manual_text"] == "PJ 02 "
    assert told(8)["query_definitions"] == ["23", "1B"]
    assert told(16)["elements"] == [{"id": "45", "quantity": "status word", "value": 512, "states": ["IC card active"]}]
    assert told(18)["is_on"] == [True] * 9
    assert told(20)["openings_cm"] == [120, 0]
    assert told(21)["quota"] is True
    assert told(24)["raw"] == "0102"


def test_what_the_standard_says_of_elements_is_told() -> None:
    gates, own = "091A055500091A000150", "76120001FF22120001"
    rest = gates + "4520000004C1F460" + "05" * 12 + "F8C0" + "0005" * 12 + own
    body = OPEN.encode(False) + bytes.fromhex(rest)
    read = decode_message({"hex": encode_frame(Frame(1, bytes(5), bytes(2), 0x32, body, ETX)).hex()})
    gate, opening, status, rain, level, reserved, extension = read["elements"]  # type: ignore[misc, attr-defined]
    assert (gate["quantity"], gate["value"], gate["unit"], gate["states"]) == ("gate opening", 555, "m", ["no gate"])
    assert (opening["value"], "states" in opening) == (1.5, False)
    assert status["states"] == ["mains lost", "level meter fault", "box door closed", "pump stopped"]
    assert (rain["quantity"], rain["values"], rain["unit"]) == ("rain in each 5 min", [0.5] * 12, "mm")
    assert (level["quantity"], level["unit"]) == ("relative level 4 every 5 min", "m")
    assert set(reserved) == set(extension) == {"id", "value", "definition"}
    assert encode_message(read)["hex"] == encode_frame(Frame(1, bytes(5), bytes(2), 0x32, body, ETX)).hex().upper()
    with pytest.raises(LocalProtocolError):
        encode_message({**read, "elements": [{**gate, "vale": 1}]})


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
    assert read["elements"] == [
        {"id": "45", "quantity": "status word", "values": [0x480, 0xABC], "obs_time": "2611240000"}
    ]
    assert encode_message(read) == {"hex": encode_frame(frame).hex().upper()}
    ascii_body = b"0007261124000000TT 2611240000 DRH01 ZT Z 00000480 12.345 0000000G 12.346 "
    with pytest.raises(FieldError):
        read_body(ascii_body, 0x38, False, True)
    ascii_frame = Frame(1, bytes(5), bytes(2), 0x38, ascii_body.replace(b"G", b"1"), ETX, is_ascii=True)
    read = decode_message({"hex": encode_frame(ascii_frame).hex()})
    assert read["elements"] == [
        {"id": "ZT", "quantity": "status word", "values": [0x480, 1], "obs_time": "2611240000"},
        {
            "id": "Z",
            "quantity": "river or tide level",
            "values": [12.345, 12.346],
            "unit": "m",
            "obs_time": "2611240000",
        },
    ]
    assert encode_message(read) == {"hex": encode_frame(ascii_frame).hex().upper()}
