"""Data segments and readable messages of HJ 212: vectors both ways; what is kept and what is refused, and where."""

import doctest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    FieldError,
    FrameError,
    LocalProtocolError,
    OptionError,
    RemoteProtocolError,
)
from protocols.hj212 import cp, crc, message, packet, segment
from protocols.hj212.cp import Item, chained, factor_groups, factor_items, format_items, parse_items, plain_item
from protocols.hj212.message import decode_message, encode_message
from protocols.hj212.packet import Packet, decode_packet, encode_packet
from protocols.hj212.segment import Segment, decode_segment, encode_segment, header_of
from protocols.tests.hj212_kit import crc_by_the_book
from protocols.tests.kit import cases_of, check_vector, each_vector, input_of

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
GOOD = [case for case in cases_of("hj212") if "error" not in case["expect"]]
each_good = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])


@each_vector("hj212")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@each_good
def test_a_vector_is_written_byte_for_byte(case: dict[str, Any]) -> None:
    wire = case["text"].encode("gbk")
    got = decode_packet(wire, accepts_modbus_crc=True)
    assert encode_packet(got) == wire
    assert encode_segment(decode_segment(got.data)) == got.data


@each_good
def test_a_vector_survives_its_readable_form(case: dict[str, Any]) -> None:
    said = decode_message(input_of(case))
    again = encode_message(said)
    assert {**decode_message({**again, "crc_mode": "modbus"}), "crc_hex": "", "data_length": 0} == {
        **said, "crc_hex": "", "data_length": 0,
    }  # fmt: skip
    if " LA" not in case["text"] and not case["text"].endswith("cc01\r\n"):
        assert again["text"] == case["text"]


# -- data segments -----


@pytest.mark.parametrize(
    "data",
    [
        b"CP=&&&&",
        b"ST=91;CP=&& ;; ,&&",
        b"CN=2011;X=1;noequals;=;;QN=;CP=&&a&&b=1;&&",
        b"CP=&&DataTime=20200101000000,a-b-c=1 ,\ta-=;-x=2;=;-;a=b=c&&",
        "ST=1;CP=&&Info=//清洗管路//&&".encode("gbk"),
        b"ST=1;CP=&&Info=\xff\x81&&",
        b"ST=1;MN=\x80\x81;CP=&&\x81 \xff-\xfe=\xfd&&",
        b"Flag=3;CP=&&&&",
        b"Flag=252;CP=&&&&",
        b"Flag=253;PNUM=9999;PNO=0;CP=&&&&",
        b"Flag=0;PNUM=3;PNO=3;CP=&&&&",
    ],
)
def test_odd_segments_keep_their_bytes(data: bytes) -> None:
    assert encode_segment(decode_segment(data)) == data


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "cp"),
        (b"ST=91;CN=9014", "cp"),
        (b"ST=91;CN=9014CP=&&&&", "cp"),
        (b"ST=91;CP=&&", "cp"),
        (b"ST=91;CP=&&&", "cp"),
        (b"ST=91;CP=&&a=1", "cp"),
        (b"ST=91;CP=&&a=1&& ", "cp"),
        (b"Flag=5;Flag=5;CP=&&&&", "Flag"),
        (b"Flag=x;CP=&&&&", "Flag"),
        (b"Flag=;CP=&&&&", "Flag"),
        (b"Flag=-1;CP=&&&&", "Flag"),
        (b"Flag=256;CP=&&&&", "Flag"),
        ("Flag=\N{SUPERSCRIPT TWO};CP=&&&&".encode("gbk", "ignore"), "Flag"),
        (b"Flag=7;CP=&&&&", "Flag"),
        (b"Flag=7;PNUM=2;CP=&&&&", "Flag"),
        (b"PNUM=x;PNO=1;CP=&&&&", "PNUM"),
        (b"PNUM=1;PNO=2;CP=&&&&", "PNO"),
    ],
)
def test_a_wrong_segment_is_refused(data: bytes, field: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        decode_segment(data)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ST=1;Flag=7;CP=&&a-b=\u4e2d&&", ">Flag"),
        ("ST=1;Flag=7;X=\u4e2d;CP=&&&&", ">Flag"),
        ("Flag=7;CP=&&&&", ">Flag"),
        ("X=\u4e2d;PNUM=1;PNO=2;CP=&&a=1&&", ">PNO"),
        ("X=\u4e2d;ST=91;CN=9014", ">"),
        ("X=\u4e2d;CP=&&a=1&", ">"),
    ],
)
def test_what_is_wrong_is_told_by_its_place_in_the_packet(text: str, place: str) -> None:
    data = text.encode("gbk")
    wire = b"##%04d%b%04X\r\n" % (len(data), data, crc_by_the_book(data))
    for case, whole in (({"hex": wire.hex()}, wire), ({"text": wire.decode("gbk")}, wire.decode("gbk"))):
        with pytest.raises(RemoteProtocolError) as refused:
            decode_message(case)
        offset = refused.value.offset
        assert offset is not None
        rest = whole[offset:] if isinstance(whole, str) else whole[offset:].decode("gbk")
        assert rest.startswith(place[1:])
        if place == ">":
            assert len(rest) == 6  # the check and CR LF


@pytest.mark.parametrize(
    "wrong",
    [
        Segment((("ST", "a;b"),)),
        Segment((("S=T", "a"),)),
        Segment((("ST", "1;CP=&&"),)),
        Segment((("Flag", "7"),)),
        Segment((("PNO", "2"), ("PNUM", "1"))),
        Segment((), (Item("a", "1;2", None, ""),)),
        Segment((), (Item("a", "1 ", None, ""),)),
        Segment((), (Item(" a", "1", None, ""),)),
        Segment((), (Item("a-b", "1", None, ""),)),
        Segment((), (Item("a", "1", None, ""), Item("b", "1", None, ""))),
        Segment((), (), "x"),
        Segment((), (Item("a", "\N{GRINNING FACE}", None, ""),)),
    ],
)
def test_no_segment_for_nonsense(wrong: Segment) -> None:
    with pytest.raises(LocalProtocolError):
        encode_segment(wrong)


NAMES = st.text("abAB019_", min_size=1, max_size=6)
VALUES = st.text("abAB019.-=:/中文&", max_size=8)
BEFORE = st.sampled_from([";", ",", "; ", " ,", ";;"])
ITEMS = st.builds(Item, NAMES, st.none() | VALUES, st.none() | st.text("abR-", max_size=4), BEFORE)
FIELDS = st.tuples(st.sampled_from(["QN", "ST", "CN", "PW", "MN", "X1"]), st.text("0aZ=中", max_size=5))


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    header = draw(st.lists(FIELDS, max_size=6))
    items = draw(st.lists(ITEMS, max_size=6))
    if items:
        items[0] = Item(items[0].name, items[0].value, items[0].attribute, draw(st.sampled_from(["", " ", ";"])))
    return Segment(tuple({name: (name, value) for name, value in header}.values()), tuple(items), draw(st.just("")))


@EXAMPLES
@given(segments())
def test_every_segment_reads_back(one: Segment) -> None:
    if one.items and one.items[-1].value is None and (one.items[-1].attribute or "").endswith("&"):
        return
    assert decode_segment(encode_segment(one)) == one


@EXAMPLES
@given(st.binary(max_size=60))
def test_whatever_is_read_is_written_byte_for_byte(noise: bytes) -> None:
    for data in (noise, b"ST=1;CP=&&" + noise + b"&&", b"QN=1;" + noise + b";CP=&&a=1&&"):
        try:
            read_segment = decode_segment(data)
        except (FieldError, FrameError):
            continue
        assert encode_segment(read_segment) == data


@EXAMPLES
@given(st.text(";,= \t-ab1", max_size=60))
def test_every_text_is_some_items(text: str) -> None:
    assert format_items(*parse_items(text)) == text


def test_a_cp_of_blanks_costs_one_pass() -> None:
    text = " " * 9000 + "a" + " " * 9000 + "b"
    assert parse_items(text) == ((Item("a" + " " * 9000 + "b", None, None, " " * 9000),), "")


def test_items_are_chained_as_the_standard_does() -> None:
    items = (
        plain_item("DataTime", "1"),
        *factor_items("a", {"Rtd": "1", "Flag": "N"}),
        *factor_items("b", {"Rtd": "2"}),
    )
    assert format_items(chained(items)) == "DataTime=1;a-Rtd=1,a-Flag=N;b-Rtd=2"
    assert [len(group) for group in factor_groups(items)] == [1, 2, 1]


def test_the_header_of_2005_answers_has_its_number_in_cp() -> None:
    answer = decode_segment(b"ST=91;CN=9013;PW=123456;MN=A;Flag=0;CP=&&QN=20170516010101001&&")
    assert (answer.qn, answer.exchange, answer.version, answer.is_ack_required) == (None, "20170516010101001", 0, False)
    assert not decode_segment(b"CP=&&&&").is_split


def test_a_header_is_written_in_the_order_of_the_standard() -> None:
    header = header_of(qn="1", st="32", cn="2011", pw=None, mn="M", flag=7, pnum=2, pno=1)
    assert encode_segment(Segment(header)) == b"QN=1;ST=32;CN=2011;MN=M;Flag=7;PNUM=2;PNO=1;CP=&&&&"


# -- readable -----


def test_chinese_text_is_counted_in_bytes() -> None:
    said: dict[str, Any] = {
        "cn": "3020",
        "flag": 4,
        "cp": {"InfoId": "i11001"},
        "factors": {"i11001": {"Info": "//清洗管路//"}},
    }
    text = encode_message(said)["text"]
    assert isinstance(text, str)
    again = decode_message({"hex": text.encode("gbk").hex()})
    assert again["data_length"] == len(text.encode("gbk")) - 12
    assert {key: again[key] for key in said} == said


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"text": "a", "hex": "00"},
        {"text": 1},
        {"text": "##", "crc_mode": "none"},
        {"text": "##", "crc_mode": "\udcff"},
        {"text": "##", "unknown": 1},
    ],
)
def test_a_senseless_case_is_refused(case: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


def wire_text(data: bytes) -> dict[str, object]:
    return {"hex": encode_packet(Packet(data)).hex()}


@pytest.mark.parametrize(
    "case",
    [
        {"text": "##\N{GRINNING FACE}"},
        {"hex": "0"},
        {"hex": "20" * 100_000},
        wire_text(b"ST=1;MN=\xff;CP=&&&&"),
        wire_text(b"CP=&&a=\xff&&"),
        wire_text(b"CP=&&a=\x80&&"),
        wire_text(b"CP=&&a=1;a=2&&"),
        wire_text(b"CP=&&a-Rtd=1,a-Rtd=2&&"),
    ],
)
def test_what_cannot_be_shown_is_refused(case: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message(case)


def test_the_same_value_twice_is_shown_once() -> None:
    assert decode_message(wire_text(b"CP=&&a=1;a=1&&"))["cp"] == {"a": "1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"cn": 1011},
        {"cn": "1011", "unknown": 1},
        {"cn": "1011", "flag": 256},
        {"cn": "1011", "flag": 4, "ack_required": True},
        {"cn": "1011", "flag": 7},
        {"cn": "1011", "cp": {"a": "\udcff"}},
        {"cn": "1011", "cp": "\udcff"},
        {"cn": "1011", "factors": {"a21026": {}}},
        {"cn": "1011", "cp": {"a": "\N{GRINNING FACE}"}},
        {"cn": "1011", "cp": {"a": "x" * 10_000}},
    ],
)
def test_no_text_for_a_senseless_message(wrong: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_message(wrong)


@EXAMPLES
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_raise_only_remote_errors(noise: bytes, is_framed: bool) -> None:
    for case in ({"hex": noise.hex()}, wire_text(noise.replace(b"\r\n", b"")), {"text": noise.decode("latin-1")}):
        raised: list[bytes] = []
        try:
            decode_message({**case, "crc_mode": "modbus" if is_framed else "standard"})
        except RemoteProtocolError as refused:
            raised.append(refused.raw)
        assert raised in ([], [b""])  # never the bytes: the password is among them


@pytest.mark.parametrize("module", [crc, packet, cp, segment, message])
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
