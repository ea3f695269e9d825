"""SL 651: what holds for any values and any bytes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.sl651.bodies import (
    Opening,
    Report,
)
from protocols.sl651.catalogue import DOWN, UP, read_body
from protocols.sl651.centre_events import Received
from protocols.sl651.elements import ELEMENTS, Element, element_of
from protocols.sl651.frame import (
    ENDS_DOWN,
    ENDS_DOWN_PACKET,
    ENDS_UP,
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
)
from protocols.sl651.message import decode_message, encode_message
from protocols.sl651.station_events import Confirmed, Send, StationState
from protocols.sl651.values import read_bcd, read_decimal, write_bcd, write_decimal
from protocols.tests.kit import drip, frames_of, pieces
from protocols.tests.sl651_pair import centre, events_of, level, settle, station

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


def test_both_directions_know_the_same_functions() -> None:
    assert list(UP) == list(DOWN)
    assert read_groups(b"", False, True) == []


@st.composite
def streams(draw: Any) -> bytes:
    """Any bytes, any frames, and halves of some."""
    wires = [encode_frame(frame) for frame in draw(st.lists(frames(), max_size=4))]
    parts = [wire[: draw(st.integers(0, len(wire)))] if draw(st.booleans()) else wire for wire in wires]
    return b"".join(draw(st.permutations([*parts, draw(st.binary(max_size=60))])))


@given(streams())
@modest
def test_after_any_bytes_both_ends_still_hear_each_other(noise: bytes) -> None:
    one, other = station(), centre()
    for end in (one, other):
        end.receive(noise, 0.0)
        while (deadline := end.next_deadline()) is not None and deadline < 300.0:
            end.tick(deadline)
        events_of(end)
        end.bytes_to_send()
    assert one.state is StationState.IDLE
    one.send(Send(0x32, level(12345)), 400.0)
    settle(one, other, 400.0)
    assert [type(event) for event in events_of(other)] == [Received]
    assert Confirmed in [type(event) for event in events_of(one)]
