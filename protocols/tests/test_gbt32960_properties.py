"""GB/T 32960: what holds for any values and any bytes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.checksum import xor8
from protocols.core.errors import RemoteProtocolError
from protocols.gbt32960.catalogue import decode_body, encode_body
from protocols.gbt32960.frame import (
    COMMAND,
    MAX_DATA_BYTES,
    Command,
    Encryption,
    Frame,
    Framer,
    bcc_of,
    decode_frame,
    encode_frame,
)
from protocols.gbt32960.heavy import (
    HeavyFrame,
    decode_heavy,
    read_heavy,
)
from protocols.gbt32960.heavy_items import EngineStream
from protocols.gbt32960.layout import ABNORMAL, Array, Blob, Items, Number, Numbers, Reader, Rest, Structure
from protocols.gbt32960.message import decode_message, encode_message
from protocols.gbt32960.readable import readable_of, structure_of
from protocols.gbt32960.report import TYPES, Custom, Item, Report
from protocols.tests.kit import frames_of, pieces

modest = settings(derandomize=True, deadline=None, max_examples=100)
VIN = b"LZYTAGBW0G1042536"
TIME = bytes.fromhex("1a0b18080000")
KINDS = {kind for edition in TYPES.values() for _, kind in edition.values()} | {EngineStream, Custom}


def readings(row: Number) -> st.SearchStrategy[Any]:
    """Every value that a row can have."""
    most = (1 << 8 * row.size) - 1 - row.nulls
    values: st.SearchStrategy[Any] = st.integers(row.offset, most + row.offset)
    specials = [None, ABNORMAL][: row.nulls]
    return values | st.sampled_from(specials) if specials else values


@st.composite
def structures(draw: Any, kind: type[Structure]) -> Structure:
    """Any structure of a class, by its table."""
    values: list[Any] = []
    for part in kind.PARTS:
        match part:
            case Numbers():
                for row in part.rows:
                    strategy = (
                        readings(row) if isinstance(row, Number) else st.binary(min_size=row.size, max_size=row.size)
                    )
                    values.append(draw(strategy))
            case Array():
                some = st.lists(readings(part.row), max_size=4).map(tuple)
                values.append(draw(some | st.sampled_from([None, ABNORMAL])))
            case Items():
                some = st.lists(structures(part.kind), max_size=3).map(tuple)
                values.append(draw(some | st.sampled_from([None, ABNORMAL])))
            case Blob() | Rest():
                values.append(draw(st.binary(max_size=20)))
            case _:
                raise AssertionError(part)
    return kind(*values)


@st.composite
def reports(draw: Any, edition: int) -> Report:
    kinds = [(number, kind) for number, (_, kind) in TYPES[edition].items()] + [(0x80, Custom), (0xFE, Custom)]
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=4))
    items = tuple(Item(number, draw(structures(kind))) for number, kind in chosen)
    return Report(draw(st.binary(min_size=6, max_size=6)), items)


@st.composite
def frames(draw: Any) -> Frame:
    return Frame(
        draw(st.sampled_from([2016, 2025])),
        draw(st.integers(0, 0x22) | st.integers(0x25, 255)),
        draw(st.integers(0, 255)),
        draw(st.binary(min_size=17, max_size=17)),
        draw(st.integers(0, 255)),
        draw(st.binary(max_size=200)),
    )


@given(st.sampled_from(sorted(KINDS, key=lambda kind: (kind.__module__, kind.__name__))), st.data())
@modest
def test_any_item_comes_back(kind: type[Structure], data: Any) -> None:
    item = data.draw(structures(kind))
    wire = item.write()
    reader = Reader(wire)
    assert kind.read(reader) == item
    assert reader.left == 0
    shown = readable_of(item)
    json.dumps(shown)
    again = structure_of(kind, shown)
    assert readable_of(again) == shown


@given(st.sampled_from([2016, 2025]), st.data())
@modest
def test_any_report_comes_back(edition: int, data: Any) -> None:
    report = data.draw(reports(edition))
    frame = Frame(edition, Command.REAL_TIME, COMMAND, VIN, data=report.write())
    assert decode_body(decode_frame(encode_frame(frame))) == report
    read = decode_message({"hex": encode_frame(frame).hex()})
    assert decode_message(encode_message(read)) == read


@given(frames())
@modest
def test_any_frame_comes_back(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(frames())
@modest
def test_what_is_read_is_written_as_it_was(frame: Frame) -> None:
    for command, response in ((frame.command, frame.response), (frame.command, COMMAND), (0x80, 1), (0x02, COMMAND)):
        plain = Frame(frame.edition, command, response, frame.vin, Encryption.NONE, frame.data)
        try:
            body = decode_body(plain)
        except RemoteProtocolError:
            continue
        assert encode_body(body, plain.edition) == plain.data


@given(st.binary(max_size=120), st.sampled_from([2016, 2025]), st.sampled_from(sorted(Command)))
@modest
def test_any_data_unit_raises_only_what_it_may(data: bytes, edition: int, command: int) -> None:
    problem = None
    try:
        decode_body(Frame(edition, command, COMMAND, VIN, data=data))
        read_heavy(HeavyFrame(command, VIN, data=data))
    except RemoteProtocolError as error:
        problem = error
    if problem is not None:
        assert problem.field
        assert 24 <= (problem.offset or 0) <= 24 + len(data)
        assert problem.raw == b""


@given(st.binary(max_size=60))
@modest
def test_any_bytes_raise_only_what_they_may(data: bytes) -> None:
    for wire in (data, b"\x23\x23" + data, b"\x24\x24" + data):
        with pytest.raises(RemoteProtocolError):
            decode_frame(wire)
        with pytest.raises(RemoteProtocolError):
            decode_heavy(wire)


@given(st.binary(max_size=700))
@modest
def test_the_check_is_that_of_a_walk_over_all_bytes(data: bytes) -> None:
    assert bcc_of(data) == xor8(data)


@given(st.lists(frames(), max_size=4), st.binary(max_size=60), st.integers(0, 2**32))
@modest
def test_any_split_equals_the_whole(sent: list[Frame], noise: bytes, seed: int) -> None:
    stream = noise.join([b"", *(encode_frame(frame) for frame in sent)])
    whole, split = Framer(), Framer()
    whole.feed(stream)
    got = []
    for piece in pieces(stream, seed):
        split.feed(piece)
        got += frames_of(split)
    assert got == frames_of(whole)
    assert split.discarded_bytes == whole.discarded_bytes
    if not noise:
        assert got == sent


def test_a_torn_frame_costs_no_more_than_itself_once_it_is_silent() -> None:
    wire = encode_frame(Frame(2016, Command.HEARTBEAT, COMMAND, VIN))
    for size in range(1, len(wire)):
        framer = Framer()
        framer.feed(wire[:size] + wire)
        found = frames_of(framer)
        framer.silence()
        found += frames_of(framer)
        assert len(found) == 1
        assert framer.discarded_bytes == size


def test_frames_inside_a_frame_that_is_none_are_found() -> None:
    inner = encode_frame(Frame(2016, Command.HEARTBEAT, COMMAND, VIN))
    outer = bytearray(encode_frame(Frame(2025, Command.CONTROL, COMMAND, VIN, data=inner * 3)))
    outer[-1] ^= 1
    framer = Framer()
    framer.feed(bytes(outer))
    assert len(frames_of(framer)) == 3
    assert framer.bad_checks == 1


@pytest.mark.parametrize("flood", [b"\x23", b"\x24", b"\x23\x24", b"\x00", b"\x23\x23" + b"\x0f" * 9])
def test_a_flood_stays_within_the_ceiling(flood: bytes) -> None:
    framer = Framer(1024)
    for _ in range(100):
        framer.feed(flood * 50)
        assert frames_of(framer) == []
        assert framer.waiting <= 1024
    framer.silence()
    assert frames_of(framer) == []
    framer.feed(encode_frame(Frame(2016, Command.HEARTBEAT, COMMAND, VIN)))
    assert len(frames_of(framer)) == 1


def test_a_frame_as_long_as_the_ceiling_is_found() -> None:
    wire = encode_frame(Frame(2016, Command.CONTROL, COMMAND, VIN, data=bytes(75)))
    assert len(wire) == 100
    framer = Framer(100)
    for at in range(99):
        framer.feed(wire[at : at + 1])
        assert frames_of(framer) == []
    framer.feed(wire[99:])
    assert len(frames_of(framer)) == 1


def test_a_frame_longer_than_the_ceiling_is_noise() -> None:
    framer = Framer(100)
    framer.feed(encode_frame(Frame(2016, Command.CONTROL, COMMAND, VIN, data=bytes(90)))[:60])
    assert frames_of(framer) == []
    framer.feed(encode_frame(Frame(2016, Command.HEARTBEAT, COMMAND, VIN)))
    assert len(frames_of(framer)) == 1


def test_an_endless_frame_is_bounded_and_the_next_one_is_found() -> None:
    framer = Framer()
    framer.feed(encode_frame(Frame(2016, Command.CONTROL, COMMAND, VIN, data=bytes(MAX_DATA_BYTES)))[:24])
    for _ in range(100):
        framer.feed(b"\x01" * 1000)
        frames_of(framer)
        assert framer.waiting <= MAX_DATA_BYTES + 25
    framer.feed(encode_frame(Frame(2016, Command.HEARTBEAT, COMMAND, VIN)))
    assert len(frames_of(framer)) == 1
