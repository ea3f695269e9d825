"""ETC roadside unit: what holds for any values and any bytes."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.core.checksum import crc_b, xor8
from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FrameError,
    LocalProtocolError,
    RemoteProtocolError,
)
from protocols.etc_rsu import frame as frames
from protocols.etc_rsu.card_files import RECORD_LENGTHS, TOLL_RECORD, CompositeRecord, read_records, write_records
from protocols.etc_rsu.catalogue import TABLES, UNNAMED, VARIANTS, Interface, decode_payload, payload_types
from protocols.etc_rsu.classic_commands import Antenna, Stop
from protocols.etc_rsu.classic_reports import TradeResult
from protocols.etc_rsu.codes import error_meaning
from protocols.etc_rsu.frame import ClassicFrame, SequencedFrame, UrbanFrame, VendorFrame
from protocols.etc_rsu.framer import ClassicFramer, SequencedFramer, UrbanFramer, VendorFramer, framer_of
from protocols.etc_rsu.gantry_commands import BeginAuthorisation
from protocols.etc_rsu.message import FILES, decode_frame, decode_message, encode_frame, encode_message, readable_of
from protocols.etc_rsu.obu_files import ObuStatus
from protocols.etc_rsu.payload import RawPayload
from protocols.length_framer import MAX_PIECE
from protocols.table import Records, layout_of
from protocols.table_rows import Unsigned, bytes_of_text, text_of
from protocols.tests.kit import frames_of, pieces

modest = settings(derandomize=True, deadline=None, max_examples=40)
FILE_TYPES = [each for each in FILES.values() if each is not ObuStatus]
PAYLOADS = [(interface, each) for interface in Interface for each in payload_types(interface)]
VARIANT_TYPES = [each for tables in VARIANTS.values() for choice in tables.values() for each in choice]
ALL_TYPES = [*dict.fromkeys([*(each for _interface, each in PAYLOADS), *VARIANT_TYPES, *FILE_TYPES])]
FRAMERS = [ClassicFramer, SequencedFramer, UrbanFramer, VendorFramer]
COUNTS = {"psam_num": "psams", "written_flags": "gantries", "antenna_count": "antenna_status", "ef04_length": "ef04"}


def values_of(row: Any, size: int | None) -> st.SearchStrategy[Any]:
    if isinstance(row, Unsigned):
        return st.integers(0, row.maximum)
    if isinstance(row, Records):
        many = 20 if row.item.__name__ == "ProvinceFee" else 0
        return st.lists(tables(row.item), min_size=many, max_size=many or 4).map(tuple)
    size = row.size if size is None else size
    return st.binary(max_size=30) if size is None else st.binary(min_size=size, max_size=size)


def refusal_of(decode: Any, *args: Any) -> RemoteProtocolError | None:
    """What a decoder raises, which shows no bytes, or None."""
    try:
        decode(*args)
    except RemoteProtocolError as error:
        assert error.raw == b""  # noqa: PT017  # whether it is raised at all is the caller's question
        return error
    return None


@st.composite
def tables(draw: Any, kind: Any) -> Any:
    """Any value of a type, in any of its forms."""
    form = draw(st.sampled_from(kind.FORMS))
    values = {}
    for name, row in layout_of(kind).rows:
        values[name] = None if name in form.lacks else draw(values_of(row, form.sizes.get(name)))
    for count, counted in COUNTS.items():
        if count in values and counted in values and kind.__name__ != "GantryDeviceState":
            values[count] = len(values[counted])
    if "ef04_cmd_type" in values:
        values["ef04_cmd_type"] = 0 if values["ef04_info"] is None else 1
    return kind(**values)


@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.__name__)
def test_any_value_comes_back(kind: Any) -> None:
    @modest
    @given(tables(kind))
    def check(value: Any) -> None:
        wire = value.to_bytes()
        assert kind.has_size(len(wire))
        assert kind.from_bytes(wire) == value
        shown = json.loads(json.dumps(value.readable()))
        if "\ufffd" not in json.dumps(shown, ensure_ascii=False):
            again = kind.from_readable(shown)
            assert again.readable() == value.readable()
            assert len(again.to_bytes()) == len(wire)

    check()


@pytest.mark.parametrize(("interface", "kind"), PAYLOADS, ids=lambda each: getattr(each, "__name__", None))
def test_the_catalogue_finds_each_type(interface: Interface, kind: Any) -> None:
    @modest
    @given(tables(kind))
    def check(value: Any) -> None:
        read = decode_payload(interface, value.to_bytes())
        assert read == value
        assert readable_of(read) == (None if kind in UNNAMED else value.readable())
        frame = SequencedFrame(1, value.to_bytes()) if interface is not Interface.CLASSIC else None
        if interface is Interface.URBAN:
            frame = UrbanFrame(value.to_bytes())
        wire = encode_frame(frame or ClassicFrame(0x18, value.to_bytes()))
        message = decode_message({"kind": interface.value, "hex": wire.hex()})
        assert encode_message(message) == {"hex": wire.hex()}

    check()


@pytest.mark.parametrize("interface", VARIANTS)
def test_a_link_may_have_tables_of_its_own(interface: Interface) -> None:
    @modest
    @given(st.sampled_from([each for choice in VARIANTS[interface].values() for each in choice]).flatmap(tables))
    def check(value: Any) -> None:
        assert decode_payload(interface, value.to_bytes(), VARIANTS[interface]) == value

    check()


@modest
@given(st.sampled_from(list(Interface)), st.binary(max_size=300))
def test_any_payload_is_read_or_refused(interface: Interface, data: bytes) -> None:
    for variants in (None, VARIANTS.get(interface)):
        if refusal_of(decode_payload, interface, data, variants):
            assert data[0] in {**TABLES[interface], **(variants or {})}
        else:
            assert decode_payload(interface, data, variants).to_bytes() == data


@modest
@given(st.sampled_from(PAYLOADS), st.data())
def test_a_payload_with_a_wrong_length_is_refused(chosen: Any, data: Any) -> None:
    interface, kind = chosen
    wire = data.draw(tables(kind)).to_bytes()
    longer = wire + data.draw(st.binary(min_size=1, max_size=3))
    refusal = refusal_of(decode_payload, interface, longer)
    if refusal is None:
        assert decode_payload(interface, longer).to_bytes() == longer  # an open end, or another form
    else:
        assert refusal.field is not None
        assert refusal.offset is not None
        assert 0 < refusal.offset <= len(longer)


@modest
@given(st.integers(0, 255), st.binary(max_size=510))
@example(0xFF, b"\xff\xfe\xff\x00\x01")
@example(0xFE, b"\xfe\x01\xfe\x00")
def test_classic_frames_come_back(rsctl: int, data: bytes) -> None:
    frame = ClassicFrame(rsctl, data)
    wire = encode_frame(frame)
    assert b"\xff" not in wire[2:-1]
    assert decode_frame(Interface.CLASSIC, wire) == frame
    assert frames.decode_classic(frames.encode_classic(frame, 1), 1) == frame
    assert wire.count(b"\xfe") == (frame_bytes := bytes((rsctl, *data, xor8(bytes((rsctl, *data)))))).count(
        b"\xfe"
    ) + frame_bytes.count(b"\xff")
    framer = ClassicFramer()
    for piece in pieces(b"\x00\xff" + wire[1:] + wire, len(data)):  # a single start, then two
        framer.feed(piece)
    assert frames_of(framer) == [frame, frame]


@modest
@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=600))
def test_frames_with_a_length_come_back(one: int, other: int, data: bytes) -> None:
    for interface, frame in (
        (Interface.GANTRY, SequencedFrame(one, data, other)),
        (Interface.LANE_CRC, SequencedFrame(one, data)),
        (Interface.URBAN, UrbanFrame(data)),
        (Interface.VENDOR, VendorFrame(one, other, data)),
    ):
        wire = encode_frame(frame)
        assert decode_frame(interface, wire) == frame
        message = decode_message({"kind": interface.value, "hex": wire.hex()}) if data[:1] in (b"", b"\x01") else {}
        assert not message or encode_message(message) == {"hex": wire.hex()}
        framer = framer_of(interface)
        for piece in pieces(b"\x55\xff\x00" + wire + wire, one):
            framer.feed(piece)
        assert frames_of(framer) == [frame, frame]
        assert framer.discarded_bytes == 3


@modest
@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    for interface in Interface:
        for head in (b"", b"\xff\xff", b"\x55\xaa", b"\xff\xff\x00\x01\x00\x00\x00\x05"):
            wire = head + data + b"\xff"
            if refusal_of(decode_frame, interface, wire) is None:
                assert encode_frame(decode_frame(interface, wire)) == wire


@pytest.mark.parametrize("kind", [kind for kind in FILES if FILES[kind] is not ObuStatus])
def test_any_file_comes_back_byte_for_byte(kind: str) -> None:
    @modest
    @given(tables(FILES[kind]))
    def check(value: Any) -> None:
        message = decode_message({"kind": kind, "hex": value.to_bytes().hex()})
        assert encode_message(message) == {"hex": value.to_bytes().hex()}
        assert encode_message({**message, "data": value.to_bytes().hex().upper()}) == {"hex": value.to_bytes().hex()}

    check()


@pytest.mark.parametrize("framer_type", FRAMERS)
def test_memory_is_bounded_and_noise_is_counted(framer_type: Any) -> None:
    framer = framer_type()
    start = b"\x55\xaa\x01\x0f\xff\xb2" if framer_type is VendorFramer else b"\xff\xff\x00\x01\x00\x00\x0f\xff\xb2"
    framer.feed(start)
    fed = len(start)
    for _ in range(40):
        framer.feed(bytes(MAX_PIECE))
        fed += MAX_PIECE
        assert framer.next_frame() is NEED_DATA
    assert len(framer._buffer) <= 3 * MAX_PIECE
    framer.silence()
    assert framer.next_frame() is NEED_DATA
    assert framer.discarded_bytes >= fed - 1
    framer.feed(bytes(30_000))
    assert framer.next_frame() is NEED_DATA


@pytest.mark.parametrize("framer_type", [SequencedFramer, UrbanFramer, VendorFramer])
def test_framers_share_what_says_how_their_frames_look(framer_type: Any) -> None:
    """Each holds its buffer and little else: what it holds is its stated ceiling."""
    assert framer_type()._form is framer_type()._form


@pytest.mark.parametrize("framer_type", FRAMERS)
def test_a_bad_check_is_counted(framer_type: Any) -> None:
    interface, frame = {
        ClassicFramer: (Interface.CLASSIC, ClassicFrame(0x18, b"\xb0")),
        SequencedFramer: (Interface.GANTRY, SequencedFrame(1, b"\xb0")),
        UrbanFramer: (Interface.URBAN, UrbanFrame(b"\xb0")),
        VendorFramer: (Interface.VENDOR, VendorFrame(1, 0xB0, b"\x01")),
    }[framer_type]
    wire = encode_frame(frame)
    at = wire.index(b"\xb0")
    broken = wire[:at] + b"\xa0" + wire[at + 1 :]
    with pytest.raises(ChecksumError):
        decode_frame(interface, broken)
    framer = framer_type()
    framer.feed(broken + wire)
    assert frames_of(framer) == [frame]
    assert framer.bad_checks == 1


def test_a_crc_that_begins_with_zero_must_be_configured() -> None:
    wire = frames.encode_sequenced(SequencedFrame(0x10, b"\xcf\x00"), frames.crc_from_zero)
    with pytest.raises(ChecksumError):
        frames.decode_sequenced(wire)
    assert frames.decode_sequenced(wire, frames.crc_from_zero).data == b"\xcf\x00"
    framer = SequencedFramer(frames.crc_from_zero)
    framer.feed(wire)
    assert framer.next_frame() == SequencedFrame(0x10, b"\xcf\x00")


@modest
@given(st.binary(max_size=300))
def test_the_crc_is_that_of_the_catalogue(data: bytes) -> None:
    assert frames.crc_x25(data) == crc_b(data)
    assert frames.crc_x25(b"123456789") == 0x906E


@modest
@given(st.text(max_size=8), st.binary(max_size=12))
def test_texts(text: str, raw: bytes) -> None:
    try:
        assert text_of(bytes_of_text(text, 12)) == text
    except LocalProtocolError:
        assert (
            len(text.encode("gbk", "replace")) > 12
            or text.rstrip("\x00 ") != text
            or "?" in str(text.encode("gbk", "replace"))
        )
    shown = text_of(raw)
    assert not shown.endswith((" ", "\x00"))


@modest
@given(st.lists(st.builds(CompositeRecord, st.integers(0, 255), st.binary(max_size=255)), max_size=5))
def test_records_of_a_card_come_back(records: list[CompositeRecord]) -> None:
    data = write_records(records)
    assert read_records(data) == records
    for cut in range(1, len(records[-1].body) + 2 if records else 0):
        with pytest.raises(FrameError):
            read_records(data[:-cut])


def test_a_toll_record_is_one_of_the_file() -> None:
    record = next(iter(read_records(bytes((TOLL_RECORD, 0x29, *range(41))))))
    assert (record.record_id, len(record.body)) == (TOLL_RECORD, RECORD_LENGTHS[TOLL_RECORD])


def test_a_table_that_has_no_such_form_is_not_written() -> None:
    found: Any = decode_payload(Interface.CLASSIC, bytes.fromhex("b20000000080"))
    with pytest.raises(LocalProtocolError) as caught:
        type(found)(found.obu_id, found.error_code, bytes(8), None, None, None, None, None).to_bytes()
    assert caught.value.field == "serial_number"
    with pytest.raises(LocalProtocolError):
        type(found)(b"\x00", 0, None, None, None, None, None, None).to_bytes()
    heartbeat: Any = decode_payload(Interface.GANTRY, bytes.fromhex("b100000000000000"))
    for change in ({"antenna_count": 1}, {"psam_status_1": (None,) * 256}, {"controller_link": 256}):
        values = {name: getattr(heartbeat, name) for name in heartbeat.__struct_fields__} | change
        with pytest.raises(LocalProtocolError):
            type(heartbeat)(**values).to_bytes()
    with pytest.raises(LocalProtocolError):
        write_records([CompositeRecord(1, bytes(256))])
    assert RawPayload(b"").to_bytes() == b""


@pytest.mark.parametrize(
    "data",
    ["b1", "b1000000", "b100000001", "b100000000000100", "b10000000000000100000000", "b700000000000001000000"],
)
def test_counts_that_do_not_close_are_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_payload(Interface.GANTRY, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (Antenna(256), "antenna"),
        (Antenna(-1), "antenna"),
        (Antenna(None), "antenna"),
        (Antenna(1.5), "antenna"),
        (Stop(b"123", 1), "obu_id"),
        (Stop(None, 1), "obu_id"),
        (BeginAuthorisation(7), "channels"),
        (BeginAuthorisation(b"123"), "channels"),
    ],
)
def test_a_value_that_its_field_cannot_hold_is_refused(value: Any, field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        value.to_bytes()
    assert caught.value.field == field


@pytest.mark.parametrize("frame", [ClassicFrame(256, b""), SequencedFrame(-1, b""), SequencedFrame(0, b"", 256)])
def test_a_number_that_no_frame_has_is_refused(frame: Any) -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(frame)


def test_a_type_reads_only_its_own_bytes() -> None:
    kinds = {kind.TYPE: kind for _interface, kind in PAYLOADS}
    for data in (b"", b"\x00", b"\x00" * 13):
        for kind in kinds.values():
            with pytest.raises(RemoteProtocolError):
                kind.from_bytes(data)
    with pytest.raises(FrameError):
        kinds[0xC1].from_bytes(b"\xc1")


def test_what_is_not_read_is_none() -> None:
    result = TradeResult(bytes(4), 0, 0, bytes(6), bytes(7), 9, bytes(4), 1, 2, 98_750)
    assert result.balance == 98_750
    assert TradeResult.from_bytes(result.to_bytes()[:-4] + b"\xff" * 4).balance is None
    assert error_meaning(TradeResult.TABLE, 8) is None
    assert error_meaning("urban_B5", 2) == "no card"
    assert error_meaning("urban_B5", 200) is None


def test_a_count_that_is_wrong_but_harmless_is_kept() -> None:
    psam = "010200" + "440100000123"
    tail = "00" + "a1" + "0000fe" + "2001" + "00" + "440a11" + "03040000"
    state: Any = decode_payload(Interface.GANTRY, bytes.fromhex("b00000" + psam + tail))
    assert state.psam_num == 0
    assert [one.terminal_id.hex() for one in state.psams] == ["440100000123"]
    assert state.manufacturer_id == b"\xa1"
