"""Frames and reports of a buoy: by vector, by property, and what cannot be written."""

from collections.abc import Callable
from typing import Any

import fastcrc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.aton import commands as verbs
from protocols.aton.commands import (
    Answer,
    Command,
    decode_answer,
    decode_command,
    encode_answer,
    encode_command,
)
from protocols.aton.frame import MAX_BODY_BYTES, MAX_BUFFERED, Frame, Framer, decode_frame, encode_frame
from protocols.aton.telemetry import (
    ITEMS,
    POSITION,
    Item,
    Report,
    decode_report,
    encode_report,
    item_of,
)
from protocols.aton.verbs import (
    VERBS,
    SetIntensity,
)
from protocols.core.errors import (
    FieldError,
    LocalProtocolError,
    RemoteProtocolError,
)
from protocols.tests.kit import cases_of, drip, frames_of, noisy, pieces

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
    beyond = b"\xc5\xa7" + b"\x01" * 7 + b"\xff\xff"
    for false, bad_checks in ((b"\xc5\xa7\x01\x00", 0), (WIRES[0][:-1] + b"\x00", 1), (beyond, 0)):
        framer = Framer()
        framer.feed(false + WIRES[1] + WIRES[2] + b"\x00" * 500)
        assert frames_of(framer) == [decode_frame(WIRES[1]), decode_frame(WIRES[2])]
        assert framer.discarded_bytes == len(false) + 500
        assert framer.bad_checks == bad_checks


def test_an_endless_frame_is_bounded() -> None:
    framer = Framer()
    for _ in range(1000):
        framer.feed(b"\xc5\xa7\x01\x00\x00\x00\x00\x00\x00\x01\xe0")
        assert len(framer._buffer) <= MAX_BUFFERED
        framer.next_frame()
    assert framer.discarded_bytes > 0


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
