"""Traffic surveys: what holds for any values and any bytes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import (
    NEED_DATA,
    FieldError,
    LocalProtocolError,
)
from protocols.length_framer import FrameForm, LengthFramer
from protocols.tests.kit import frames_of, refusal_of
from protocols.tests.length_forms import check_any_bytes, check_any_split, check_flood
from protocols.traffic_survey import rtms_g4, ss125, survey_frame
from protocols.traffic_survey.message import decode_message, encode_message
from protocols.traffic_survey.ss125_messages import (
    Body,
    Clock,
    Event,
    Interval,
    IntervalRequest,
    OtherBody,
    Request,
    Result,
    decode_body,
    encode_body,
    speed_of,
    word_of_speed,
)
from protocols.traffic_survey.survey_commands import (
    RESENDS,
    SETTINGS,
    Moment,
    OtherPacket,
    PacketType,
    Resend,
    Setting,
    decode_packet,
    encode_packet,
)
from protocols.traffic_survey.survey_records import (
    CLASSES,
    ClassCount,
    IntervalRecord,
    IntervalReply,
    Lane,
    VehicleRecord,
    VehicleReply,
)

modest = settings(derandomize=True, deadline=None, max_examples=60)

BYTE, TWO, THREE, FOUR = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 24, 32))


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


FRAMES: dict[str, tuple[FrameForm[Any], Any, st.SearchStrategy[Any]]] = {
    "jtt1008": (
        survey_frame.FORM,
        survey_frame.encode_frame,
        st.builds(survey_frame.Frame, st.binary(min_size=1, max_size=300)),
    ),
    "ss125": (
        ss125.FORM,
        ss125.encode_frame,
        st.builds(ss125.Frame, BYTE, TWO, BYTE, TWO, BYTE, st.binary(min_size=3, max_size=255)),
    ),
    "rtms_g4": (rtms_g4.FORM, rtms_g4.encode_frame, st.builds(rtms_g4.Frame, BYTE, TWO, st.binary(max_size=253))),
}
each_form = pytest.mark.parametrize("name", FRAMES)


@st.composite
def intervals(draw: Any) -> tuple[int, IntervalRecord]:
    device_class = draw(st.sampled_from(sorted(CLASSES)))
    content = draw(BYTE)
    kinds = len(CLASSES[device_class])
    counts = st.builds(ClassCount, TWO, BYTE, octets(0 if content % 2 else 4))
    lane = st.builds(Lane, BYTE, BYTE, TWO, BYTE, st.lists(counts, min_size=kinds, max_size=kinds).map(tuple))
    lanes = tuple(draw(st.lists(lane, max_size=4)))
    record = st.builds(
        IntervalRecord, octets(16), octets(15), BYTE, st.just(content), TWO, BYTE, BYTE, BYTE, TWO, st.just(lanes)
    )
    return device_class, draw(record)


MOMENTS = st.builds(Moment, TWO, BYTE, BYTE, BYTE, BYTE)
UNKNOWN_TYPES = sorted(set(range(256)) - set(SETTINGS) - set(RESENDS) - {0x01, 0x0A, 0x11, 0x1A})
PACKETS = st.one_of(
    st.builds(
        VehicleRecord, octets(16), BYTE, TWO, BYTE, BYTE, BYTE, BYTE, BYTE, TWO, THREE, BYTE, BYTE, BYTE, octets(16)
    ),
    st.builds(VehicleReply, octets(16), TWO, BYTE, BYTE, THREE, TWO),
    st.builds(IntervalReply, octets(16), TWO, BYTE, BYTE, BYTE, TWO, TWO),
    st.builds(Setting, st.sampled_from(sorted(SETTINGS)), octets(8), octets(8), st.binary(max_size=20)),
    st.builds(Resend, st.sampled_from(sorted(RESENDS)), MOMENTS, MOMENTS),
    st.builds(OtherPacket, st.sampled_from(UNKNOWN_TYPES), st.binary(max_size=40)),
)
CLOCKS = st.builds(Clock, FOUR, FOUR)
COUNTS = st.tuples(THREE, THREE, THREE, THREE)
BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(Event, BYTE, BYTE, CLOCKS, BYTE, TWO, THREE, THREE, BYTE, TWO),
    st.builds(
        Interval,
        *(st.sampled_from((0x70, 0x71)), BYTE, BYTE, THREE, CLOCKS, THREE, THREE, TWO, COUNTS),
        *(THREE, THREE, THREE, BYTE, BYTE),
    ),
    st.builds(IntervalRequest, BYTE, BYTE, THREE),
    st.builds(Request, BYTE, BYTE, BYTE),
    st.builds(Result, BYTE, BYTE, BYTE, TWO),
    st.builds(OtherBody, st.integers(0, 0x60), BYTE, BYTE, st.binary(min_size=4, max_size=60)),
)


@modest
@given(intervals())
def test_interval_records_come_back(given_record: tuple[int, IntervalRecord]) -> None:
    device_class, record = given_record
    data = encode_packet(record)
    assert decode_packet(data, device_class) == record
    wire = survey_frame.encode_frame(survey_frame.Frame(data)).hex()
    message = json.loads(json.dumps(decode_message({"hex": wire, "device_class": device_class})))
    assert encode_message(message) == {"hex": wire}


@modest
@given(PACKETS)
def test_packets_come_back(packet: Any) -> None:
    data = encode_packet(packet)
    assert decode_packet(data) == packet
    wire = survey_frame.encode_frame(survey_frame.Frame(data)).hex()
    message = json.loads(json.dumps(decode_message({"hex": wire})))
    if isinstance(packet, Setting):
        assert "password" not in message
        with pytest.raises(LocalProtocolError):
            encode_message(message)
        message["password"] = packet.password.decode("latin-1")
    assert encode_message(message) == {"hex": wire}


@modest
@given(BODIES)
def test_bodies_come_back(body: Body) -> None:
    data = encode_body(body)
    assert decode_body(data) == body
    wire = ss125.encode_checked(data).hex()
    message = json.loads(json.dumps(decode_message({"protocol": "ss125_body", "hex": wire})))
    again = bytes.fromhex(str(encode_message(message)["hex"]))
    assert decode_message({"protocol": "ss125_body", "hex": again.hex()}) == message  # unused bits are not kept


@given(st.integers(0, 0xFFFFFF))
def test_a_speed_word_means_one_speed(word: int) -> None:
    speed = speed_of(word)
    if speed is None:
        assert word < 1 << 23
    else:
        assert word_of_speed(speed) == word
        assert -(1 << 14) - 1 < speed < 1 << 14


@pytest.mark.parametrize(("word", "speed"), [(0x80375E, 55 + 94 / 256), (0xFFED40, -19.25), (0x800000, 0.0)])
def test_known_speed_words(word: int, speed: float) -> None:
    assert speed_of(word) == speed


@pytest.mark.parametrize("speed", [16384.0, -16385.0, -0.5, float("nan"), float("inf"), 1e300])
def test_a_speed_that_no_word_says(speed: float) -> None:
    with pytest.raises(LocalProtocolError):
        word_of_speed(speed)


@each_form
def test_any_frame_comes_back_however_it_is_split(name: str) -> None:
    check_any_split(*FRAMES[name])


@each_form
def test_any_bytes_are_a_frame_or_refused(name: str) -> None:
    form, encode, _frames = FRAMES[name]
    check_any_bytes(form, encode, form.start)


@modest
@given(st.sampled_from((1, 2)), st.binary(max_size=200))
def test_any_packet_is_read_or_refused(device_class: int, data: bytes) -> None:
    for kind in (b"", *(bytes((kind,)) for kind in PacketType)):
        if (refusal := refusal_of(decode_packet, kind + data, device_class)) is None:
            assert encode_packet(decode_packet(kind + data, device_class)) == kind + data
        else:
            assert refusal.raw == b""


@modest
@given(st.binary(max_size=80))
def test_any_body_is_read_or_refused(data: bytes) -> None:
    try:
        body = decode_body(data)
    except FieldError:
        assert len(data) < 3
    else:
        assert encode_body(body) == data


@each_form
def test_memory_is_bounded_noise_is_counted_and_so_is_a_bad_check(name: str) -> None:
    form, encode, _frames = FRAMES[name]
    frame, longest = {
        "jtt1008": (survey_frame.Frame(b"\x02"), b"\xaa\xaa\xff\x43"),
        "ss125": (ss125.Frame(0, 1, 0, 2, 3, b"abc"), b"Z1"),
        "rtms_g4": (rtms_g4.Frame(0x53, 5, b"\x00"), b"\xff\xaa\x10\xff"),
    }[name]
    check_flood(form, encode, frame, longest, b"\x01")
    wire = encode(frame)
    framer: LengthFramer[Any] = LengthFramer(form)
    framer.feed(wire[:-3] + bytes((wire[-3] ^ 1,)) + wire[-2:] + wire)
    assert frames_of(framer) == [frame]
    assert framer.bad_checks == 1


def test_the_crc_is_that_of_the_catalogue() -> None:
    frame = survey_frame.encode_frame(survey_frame.Frame(b"\x01\x02\x03"))
    assert int.from_bytes(frame[-4:-2], "little") == crc16_modbus(frame[2:-4])


def test_a_first_byte_of_a_start_is_kept() -> None:
    framer = survey_frame.survey_framer()
    wire = survey_frame.encode_frame(survey_frame.Frame(b"\x02"))
    framer.feed(b"\x00\x00" + wire[:1])
    assert framer.next_frame() is NEED_DATA
    assert (framer.waiting, framer.discarded_bytes) == (1, 2)
    framer.feed(wire[1:])
    assert framer.next_frame() == survey_frame.Frame(b"\x02")


CLOCK = Clock(0, 0)


@pytest.mark.parametrize(
    "body",
    [
        Event(1, 2, CLOCK, 0, 0, 0, 0, 0, 0, 0x71),
        Interval(0x67, 0, 2, 1, CLOCK, 0, 0, 0, (0, 0, 0, 0), 0, 0, 0, 1, 1),
        IntervalRequest(0, 0, 1, 0x70),
        OtherBody(0x0E, 0, 2, b"\x00\x01"),
    ],
)
def test_a_body_that_would_be_read_as_another_is_not_written(body: Body) -> None:
    with pytest.raises(LocalProtocolError):
        encode_body(body)


@pytest.mark.parametrize(
    "packet",
    [
        VehicleRecord(b"", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        VehicleRecord(bytes(16), 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        VehicleReply(bytes(16), 0, 0, 0, 1 << 24, 0),
        Setting(0x02, bytes(8), bytes(8), b""),
        Setting(0x03, bytes(9), bytes(8), b""),
        Resend(0x09, Moment(1 << 16, 0, 0, 0, 0), Moment(0, 0, 0, 0, 0)),
        OtherPacket(0x01, b""),
        OtherPacket(0x03, b""),
        OtherPacket(0x0A, bytes(25)),
        OtherPacket(256, b""),
        IntervalRecord(bytes(16), bytes(15), 0, 1, 0, 0, 0, 0, 0, (Lane(1, 0, 0, 0, ()),)),
        IntervalRecord(bytes(16), bytes(15), 0, 1, 0, 0, 0, 0, 0, (Lane(1, 0, 0, 0, (ClassCount(0, 0, b"x"),) * 9),)),
    ],
)
def test_what_no_packet_carries_is_refused(packet: Any) -> None:
    with pytest.raises(LocalProtocolError):
        encode_packet(packet)
