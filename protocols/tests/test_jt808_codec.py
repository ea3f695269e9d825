"""JT/T 808 beyond the vectors: every type under every dialect, any bytes, the framer's bounds, the editions apart."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.jt808 import data, driver, information, kinds, location, parameters, registration
from protocols.jt808.catalogue import BODIES, BODIES_2011, body_type, decode_body, read_packet
from protocols.jt808.dialect import JT2011, JT2013, JT2019, JT2019_WIDE_MAKER
from protocols.jt808.flags import Alarm, Status, cleared_by_answer
from protocols.jt808.frame import (
    MAX_BODY_BYTES,
    Frame,
    encode_frame,
)
from protocols.jt808.general import RawBody
from protocols.jt808.layout import Scope, Source
from protocols.jt808.location import Extra, Location, LocationBatch, batch_of
from protocols.jt808.message import decode_message, encode_message
from protocols.jt808.values import bytes_of_text, bytes_of_utc_ms, text_of, time_text_of, utc_ms_of
from protocols.tests.jt808_bodies import a_body, a_location

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
DIALECTS = [JT2011, JT2013, JT2019, JT2019_WIDE_MAKER]


ALL_TYPES = [*BODIES.values(), *BODIES_2011.values()]


@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.__name__)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=SEEDS)
def test_every_type_goes_there_and_back_in_every_dialect(kind, seed):
    rng = random.Random(seed)
    for dialect in DIALECTS:
        body = a_body(kind, dialect, rng)
        wire = body.to_bytes(dialect)
        assert kind.from_bytes(wire, dialect) == body
        readable = json.loads(json.dumps(body.readable(dialect)))
        try:
            again = kind.from_readable(readable, dialect)
        except LocalProtocolError:
            continue  # bytes that are no text
        assert json.loads(json.dumps(again.readable(dialect))) == readable


@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.__name__)
@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=SEEDS)
def test_whatever_is_read_is_written_back_byte_for_byte(kind, seed):
    rng = random.Random(seed)
    for dialect in DIALECTS:
        wire = a_body(kind, dialect, rng).to_bytes(dialect)
        for damaged in (wire[: rng.randrange(len(wire) + 1)], wire + rng.randbytes(3), rng.randbytes(len(wire))):
            try:
                body = kind.from_bytes(damaged, dialect)
            except RemoteProtocolError:
                continue
            assert body.to_bytes(dialect) == damaged
            json.dumps(body.readable(dialect))


@pytest.mark.parametrize(
    ("msg_id", "dialect", "body", "readable"),
    [
        (0x0005, JT2013, "0007 02 0001 0003", {"original_serial": 7, "package_ids": [1, 3]}),
        (0x0005, JT2019, "0007 0002 0001 0003", {"original_serial": 7, "package_ids": [1, 3]}),
        (0x0608, JT2019, "02 00000001 aabb", {"query_type": 2, "count": 1, "data": "aabb"}),
        (0x0700, JT2013, "0007 08 0102", {"reply_serial": 7, "command": 8, "data": "0102"}),
        (0x8107, JT2013, "", {}),
        (0x8204, JT2019, "", {}),
        (0x8700, JT2013, "08 0102", {"command": 8, "data": "0102"}),
        (0x8701, JT2013, "82 0102", {"command": 0x82, "data": "0102"}),
        (0x8900, JT2013, "f0 0102", {"transparent_type": 0xF0, "data": "0102"}),
        (
            0x0702,
            JT2011,
            "04 b2e2cad4" + b"440100".ljust(20, b"\0").hex() + b"C1".ljust(40).hex() + "02 4742",
            {"driver_name": "测试", "id_card_no": "440100", "certificate_no": "C1", "issuer": "GB"},
        ),
        (
            0x0801,
            JT2011,
            "00000009 00 01 03 02 ffd8",
            {"media_id": 9, "media_type": 0, "media_format": 1, "event_code": 3, "channel_id": 2, "data": "ffd8"},
        ),
    ],
)
def test_messages_without_an_outside_frame_are_read_as_the_tables_say(msg_id, dialect, body, readable):
    frame = Frame(msg_id, "0" * 2 * dialect.phone_bytes, 1, bytes.fromhex(body), 1 if dialect.has_version else None)
    packet = read_packet(frame, dialect)
    assert packet.body.readable(dialect) == readable
    assert packet.body.to_bytes(dialect) == frame.body
    if msg_id != 0x0801:  # the one that no body tells apart
        assert read_packet(frame) == packet


@EXAMPLES
@given(msg_id=st.sampled_from([*BODIES, 0x1205]), body=st.binary(max_size=80), has_version=st.booleans())
def test_any_body_is_read_or_refused(msg_id, body, has_version):
    try:
        value, dialect = decode_body(msg_id, body, has_version=has_version)
    except RemoteProtocolError:
        return
    assert value.to_bytes(dialect) == body


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        (Location(1 << 32, 0, 0, 0, 0, 0, 0, bytes(6)), JT2013),
        (Location(0, 0, 0, 0, 0, 0, 0, bytes(5)), JT2013),
        (Location(0, 0, 0, 0, 0, 0, 0, bytes(6), (Extra(1, bytes(256)),)), JT2013),
        (registration.Registration(1, 2, b"123456", b"", b"", 1, b""), JT2013),
        (registration.Authentication(b"1", b"2", b"3"), JT2013),
        (registration.Authentication(b"1"), JT2019),
        (parameters.SetParameters((parameters.Parameter(1, bytes(256)),)), JT2013),
        (parameters.SetParameters((parameters.Parameter(1, b""),) * 256), JT2013),
        (driver.DriverCard(1, bytes(6), None, b"name", bytes(20), b"", bytes(4)), JT2013),
        (driver.DriverCard(1, bytes(6), 0, b"name"), JT2013),
        (information.TextMessage(text_flags=1, text_type=1, text=b""), JT2013),
        (location.TemporaryTracking(1), JT2013),
        (data.CanData(bytes(5), (data.CanFrame(2, 0, 0, 0, bytes(8)),)), JT2013),
        (data.TerminalPublicKey(1, bytes(127)), JT2013),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_body_that_the_wire_cannot_carry_is_a_local_error(body, dialect):
    with pytest.raises(LocalProtocolError):
        body.to_bytes(dialect)


def test_the_editions_are_told_apart_by_the_body():
    for dialect in DIALECTS[:3]:
        body = registration.Registration(44, 300, b"MAKER", b"MODEL", b"ID", 2, "粤B12345".encode("gbk"))
        wire = body.to_bytes(dialect)
        read, found = decode_body(0x0100, wire, has_version=dialect.has_version)
        assert found is dialect
        assert text_of(read.terminal_model) == "MODEL"
    name = driver.DriverIdentity(b"name", bytes(20), bytes(40), b"issuer").to_bytes(JT2011)
    assert isinstance(decode_body(0x0702, name, has_version=False)[0], driver.DriverIdentity)
    card = driver.DriverCard(driver.PULLED_OUT, bytes(6)).to_bytes(JT2013)
    assert decode_body(0x0702, card, has_version=False) == (driver.DriverCard(2, bytes(6)), JT2013)


@pytest.mark.parametrize(
    ("msg_id", "dialect"), [(0x0107, JT2019_WIDE_MAKER), (0x0107, JT2011), (0x8108, JT2019_WIDE_MAKER)]
)
def test_a_maker_of_another_width_is_found_by_the_exact_fit(msg_id, dialect):
    kind = body_type(msg_id, dialect)
    body = a_body(kind, dialect, random.Random(msg_id))
    assert decode_body(msg_id, body.to_bytes(dialect), has_version=dialect.has_version) == (body, dialect)
    readable = body.readable(dialect) | {
        name: "V1"
        for name in ("manufacturer_id", "terminal_model", "terminal_id", "hardware_version", "firmware_version")
        if name in kind.__struct_fields__
    }
    length = len(kind.from_readable(readable, dialect).to_bytes(dialect))
    message = {"msg_id": msg_id, "version": "2019" if dialect.has_version else "2013", "serial": 1}
    message |= {"phone": "0" * 2 * dialect.phone_bytes, "body_length": length, "body": readable}
    assert decode_message(encode_message(message))["body"] == readable


def test_a_picture_of_2011_has_no_location():
    body = a_body(BODIES_2011[0x0801], JT2011, random.Random(1))
    frame = Frame(0x0801, "0" * 12, 1, body.to_bytes(JT2011))
    assert read_packet(frame, JT2011).body == body


def test_an_encrypted_body_and_an_unknown_message_are_kept():
    frame = Frame(0x0200, "0" * 12, 1, b"\x01\x02", encryption=1)
    assert read_packet(frame).body == RawBody(b"\x01\x02")
    shown = decode_message({"hex": encode_frame(frame).hex()})
    assert shown["body"] == {"raw": "0102"}
    assert decode_message({"hex": encode_frame(Frame(0x0200, "0" * 12, 1, encryption=1)).hex()})["body"] == {"raw": ""}
    assert decode_message({"hex": encode_frame(Frame(0x1205, "0" * 12, 1)).hex()})["body"] == {}


def test_a_position_has_signs_and_may_be_invalid():
    there = Location(0, Status.POSITION_VALID | Status.SOUTH | Status.WEST, 1, 2, 0, 0, 0, bytes(6))
    assert there.position_e6_deg == (-1, -2)
    assert there.readable(JT2013)["latitude"] == pytest.approx(-1e-6)
    assert Location(0, 0, 1, 2, 0, 0, 0, bytes(6)).position_e6_deg is None
    with pytest.raises(LocalProtocolError):
        Location.from_readable(there.readable(JT2013) | {"status_flags": 0}, JT2013)


def test_times():
    raw = bytes.fromhex("261124062853")
    assert utc_ms_of(raw) == 1795472933000
    assert bytes_of_utc_ms(1795472933999) == raw
    assert time_text_of(raw) == "2026-11-24T06:28:53+08:00"
    for wrong in ("261324062853", "261124240000", "26112406285a", "261100000000", "000000000000"):
        assert time_text_of(bytes.fromhex(wrong)) is None
        assert utc_ms_of(bytes.fromhex(wrong)) is None
    assert utc_ms_of(bytes.fromhex("260230000000")) is None  # digits in their ranges, but no such day
    for outside in (-1, 4102444800000):
        with pytest.raises(LocalProtocolError):
            bytes_of_utc_ms(outside)


@given(text=st.text(max_size=20))
def test_text_is_written_as_it_is_read_or_refused(text):
    try:
        raw = bytes_of_text(text)
    except LocalProtocolError:
        return
    assert text_of(raw) == text


def test_a_batch_takes_what_fits():
    locations = [a_location(random.Random(seed), 0) for seed in range(50)]
    count, batch = batch_of(locations, JT2013, MAX_BODY_BYTES)
    assert count == 34
    assert batch.items == tuple(locations[:34])
    assert len(batch.to_bytes(JT2013)) == 3 + 34 * 30
    assert LocationBatch.from_bytes(batch.to_bytes(JT2013), JT2013) == batch
    assert batch_of(locations, JT2013, 10) == (0, LocationBatch(1, ()))


def test_a_code_is_in_no_text():
    for body in (registration.Authentication(b"secret"), registration.RegistrationReply(1, 0, b"secret")):
        assert "secret" not in repr(body)
    reply = registration.RegistrationReply.from_bytes(bytes.fromhex("000103ffff"), JT2013)
    assert reply.readable(JT2013) == {"reply_serial": 1, "result": 3}
    assert reply.to_bytes(JT2013) == bytes.fromhex("000103ffff")


def test_a_count_that_the_body_cannot_hold_costs_nothing():
    for msg_id, body in ((0x8608, "01ffffffff"), (0x0805, "000100ffff"), (0x8103, "ff"), (0x0704, "ffff01")):
        with pytest.raises(RemoteProtocolError):
            decode_body(msg_id, bytes.fromhex(body), has_version=False)


@pytest.mark.parametrize(
    ("msg_id", "body", "field", "offset"),
    [
        (0x0704, "000101001d" + "00" * 28 + "01", "extras", 5 + 29),  # an extra without a length
        (0x0704, "000101000400000000", "items", 5 + 4),
        (0x8300, "", "text_flags", 0),
        (0x0200, "00" * 27, None, 27),
        (0x0200, "00" * 28 + "0104000000", "extras", 33),
        (0x0102, "", None, None),
        (0x8103, "01000000010500", "params", 7),
        (0x0002, "00", None, 0),
    ],
)
def test_an_error_tells_the_field_and_the_place(msg_id, body, field, offset):
    if offset is None:
        assert decode_body(msg_id, bytes.fromhex(body), has_version=False)
        return
    with pytest.raises(RemoteProtocolError) as caught:
        decode_body(msg_id, bytes.fromhex(body), has_version=False)
    assert (caught.value.field, caught.value.offset) == (field, offset)


def test_what_a_count_of_bytes_counts_too_many_is_refused():
    with pytest.raises(RemoteProtocolError) as caught:
        kinds.Sized(1, kinds.Octets(2)).read(Source(bytes.fromhex("03010203")), Scope(JT2013))
    assert caught.value.offset == 3


PLACE = Location(0, 0, 0, 0, 0, 0, 0, bytes(6)).readable(JT2013)


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"latitude": "north"},
        {"latitude": 1e11},
        {"latitude": True},
        {"time": "now"},
        {"extras": [7]},
        {"extras": [{"id": 1, "length": 3, "mileage_km": 1.0}]},
        {"extras": [{"id": 1, "length": 3, "raw": "00"}]},
        {"extras": [{"id": 1, "length": 4, "mileage_km": 1.0, "fuel_l": 1.0}]},
        {"extras": [{"id": 1, "fuel_l": 1.0}]},
        {"extras": [{"id": 6, "length": 2, "compartment_temp_c": 32768}]},
        {"extras": [{"id": 2, "length": 2, "fuel_l": 1e6}]},
        {"extras": [{"id": 0xE1, "length": 1, "value": 1}]},
        {"extras": [{"id": 0x31, "length": 1, "gnss_satellites": 7.6}]},
        {"extras": [{"id": 6, "length": 2, "compartment_temp_c": -1.5}]},
    ],
)
def test_a_readable_location_that_cannot_be_written_is_a_local_error(change):
    with pytest.raises(LocalProtocolError):
        Location.from_readable(PLACE | change, JT2013).to_bytes(JT2013)


def test_an_extra_needs_no_length_where_its_names_tell():
    extras = [
        {"id": 1, "mileage_km": 12.3},
        {"id": 0x11, "area_type": 1, "area_id": 7},
        {"id": 6, "compartment_temp_c": -5},
    ]
    assert [
        (extra.id, extra.value.hex()) for extra in Location.from_readable(PLACE | {"extras": extras}, JT2013).extras
    ] == [
        (1, "0000007b"),
        (0x11, "0100000007"),
        (6, "8005"),
    ]


def test_a_can_frame_has_no_other_keys():
    frame = data.CanFrame(0, 1, 0, 7, bytes(8))
    shown = data.CanData(bytes(5), (frame,)).readable(JT2013)
    assert data.CanData.from_readable(shown, JT2013).items == (frame,)
    shown["items"][0]["can_idd"] = 8
    with pytest.raises(LocalProtocolError):
        data.CanData.from_readable(shown, JT2013)


def test_nothing_south_of_the_equator_is_plain_nothing():
    there = Location(0, Status.SOUTH | Status.WEST, 0, 0, 0, 0, 0, bytes(6)).readable(JT2013)
    assert (str(there["latitude"]), str(there["longitude"])) == ("0.0", "0.0")


def test_a_corner_in_the_wrong_hemisphere_is_a_local_error():
    polygon = {"area_id": 1, "area_flags": 0, "points": [{"latitude": -23.1, "longitude": 113.2}]}
    with pytest.raises(LocalProtocolError):
        body_type(0x8604, JT2013).from_readable(polygon, JT2013)
    south = body_type(0x8604, JT2013).from_readable(polygon | {"area_flags": 1 << 6}, JT2013)
    assert south.points[0].latitude == 23_100_000
    assert south.readable(JT2013)["points"] == polygon["points"]


def test_text_that_no_string_can_hold_is_a_local_error():
    with pytest.raises(LocalProtocolError):
        bytes_of_text("\ud800")
    with pytest.raises(LocalProtocolError):
        information.Question(0, bytes(256)).to_bytes(JT2013)


def test_every_bit_of_the_tables_has_one_name():
    assert [alarm.value for alarm in Alarm] == [1 << bit for bit in range(32)]
    assert {status.value for status in Status} == {1 << bit for bit in range(23) if bit != 9}
    assert Status(3 << 8) is Status.FULLY_LOADED
    assert cleared_by_answer(2013).value == sum(1 << bit for bit in (0, 3, 20, 21, 22, 27, 28, 31))
    assert cleared_by_answer(2019).value == sum(1 << bit for bit in (0, 20, 21, 22, 27, 28))
