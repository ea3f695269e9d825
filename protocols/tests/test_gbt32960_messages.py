"""GB/T 32960: bodies through both layers, what values mean, and messages that have no frame."""

import json
import random
from typing import Any

import pytest

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.gbt32960.catalogue import Answer, Empty, Opaque, decode_body, encode_body
from protocols.gbt32960.frame import (
    COMMAND,
    Command,
    Frame,
    encode_frame,
)
from protocols.gbt32960.heavy import (
    HeavyFrame,
    HeavyLogin,
    HeavyReport,
    decode_heavy,
    encode_heavy,
    read_heavy,
    write_heavy,
)
from protocols.gbt32960.heavy_items import Obd, OtherItem
from protocols.gbt32960.items_2016 import Alarm, BatteryVoltage, DriveMotors, Position, Vehicle
from protocols.gbt32960.items_2025 import Position as Position2025
from protocols.gbt32960.layout import ABNORMAL, Reader
from protocols.gbt32960.login import Logout, PlatformLogin, VehicleLogin, VehicleLogin2025
from protocols.gbt32960.message import HEAVY, decode_message, encode_message
from protocols.gbt32960.parameters import (
    NAMES,
    SIZES,
    SIZES_2025,
    Activation,
    ActivationAnswer,
    Control,
    KeyExchange,
    Parameter,
    ParameterIds,
    Parameters,
)
from protocols.gbt32960.readable import readable_of, structure_of
from protocols.gbt32960.report import Custom, Item
from protocols.gbt32960.times import instant_of_time, time_of, time_of_instant, time_text
from protocols.tests.kit import cases_of, damaged_message, input_of

VIN = b"LZYTAGBW0G1042536"
TIME = bytes.fromhex("1a0b18080000")
CODE = b"0RJPEA00HAU0AAF131001955"
BODIES: list[tuple[int, int, int, Any]] = [
    (2016, 0x01, COMMAND, VehicleLogin(TIME, 1, b"8" * 20, 2, 1, (b"A", b"B"))),
    (2016, 0x01, COMMAND, VehicleLogin(TIME, 1, b"8" * 20, 7, 0, ())),
    (2025, 0x01, COMMAND, VehicleLogin2025(TIME, 1, b"8" * 20, ((CODE, CODE), (), (CODE,)))),
    (2016, 0x04, COMMAND, Logout(TIME, 9)),
    (2016, 0x05, COMMAND, PlatformLogin(TIME, 9, b"u" * 12, b"p" * 20, 1)),
    (2025, 0x06, COMMAND, Logout(TIME, 9)),
    (2016, 0x07, COMMAND, Empty()),
    (2016, 0x08, COMMAND, Empty()),
    (2016, 0x08, 1, Answer(TIME)),
    (2016, 0x01, 3, Answer(TIME, b"\x01\x02")),
    (2016, 0x07, 1, Answer(None)),
    (2016, 0x09, COMMAND, Opaque(b"\x01\x02")),
    (2016, 0xC5, COMMAND, Opaque(b"\x01\x02")),
    (2025, 0x09, COMMAND, Activation(TIME, b"c" * 16, b"key", VIN, 1, b"rr", b"ss")),
    (2025, 0x0A, COMMAND, ActivationAnswer(2, 3)),
    (2025, 0x0B, COMMAND, KeyExchange(4, b"key", TIME, TIME)),
    (2016, 0x80, COMMAND, ParameterIds(TIME, b"\x01\x02\x10")),
    (2016, 0x80, 1, Parameters(TIME, (Parameter(0x01, b"\x00\x01"),))),
    (2025, 0x80, COMMAND, Parameters(TIME, (Parameter(0x02, b"\x0a"), Parameter(0x03, b"\x01")))),
    (2016, 0x80, 1, Answer(TIME)),
    (2016, 0x81, COMMAND, Parameters(TIME, tuple(Parameter(key, b"1" * size) for key, size in SIZES.items()))),
    (
        2016,
        0x81,
        COMMAND,
        Parameters(
            TIME,
            (
                Parameter(0x04, b"\x04"),
                Parameter(0x05, b"host"),
                Parameter(0x0D, b"\x01"),
                Parameter(0x0E, b"h"),
                Parameter(0x04, b"\x00"),
                Parameter(0x05, b""),
            ),
        ),
    ),
    (2016, 0x82, COMMAND, Control(TIME, 6, b"\x01text")),
    (2016, 0x82, COMMAND, Control(TIME, 2)),
]


@pytest.mark.parametrize(("edition", "command", "response", "body"), BODIES)
def test_a_body_comes_back_through_both_layers(edition: int, command: int, response: int, body: Any) -> None:
    frame = Frame(edition, command, response, VIN, data=encode_body(body, edition))
    assert decode_body(frame) == body
    read = decode_message({"hex": encode_frame(frame).hex()})
    json.dumps(read)
    assert encode_message(read) == {"hex": encode_frame(frame).hex()}
    with pytest.raises(LocalProtocolError):
        encode_message({**read, "body": {**read["body"], "nonsense": 1}})  # type: ignore[dict-item]
    with pytest.raises(LocalProtocolError):
        encode_message({**read, "nonsense": 1})


def test_every_parameter_is_told_about() -> None:
    assert set(NAMES) == set(range(0x01, 0x11))
    words = {0x01, 0x02, 0x03, 0x06, 0x0A, 0x0B, 0x0F}
    sizes = {key: 2 if key in words else 5 if key in {0x07, 0x08} else 1 for key in NAMES if key not in {0x05, 0x0E}}
    assert sizes == SIZES
    assert {**sizes, 0x02: 1, 0x03: 1} == SIZES_2025


def test_a_query_that_ends_behind_its_time_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_body(Frame(2016, Command.QUERY_PARAMETERS, COMMAND, VIN, data=TIME))
    assert (caught.value.field, caught.value.offset) == ("param_count", 24 + 6)


HEAVY_BODIES: list[tuple[int, int | None, int, Any]] = [
    (1, 3, 1, HeavyLogin(TIME, 1, b"8" * 20)),
    (4, None, 1, Logout(TIME, 1)),
    (2, None, 3, HeavyReport(TIME, 5, ())),
    (
        3,
        2,
        1,
        HeavyReport(
            TIME,
            5,
            (
                Item(1, Obd(TIME, 2, 1, 0xFFFF, 0, VIN, b"S" * 18, bytes(18), bytes(36), 2, (0x11111111, 2))),
                Item(0x80, OtherItem(TIME, b"\x01\x02")),
            ),
        ),
    ),
    (6, 1, 1, Opaque(b"\x01")),
    (2, 1, 2, Opaque(b"\x01\x02")),
]


@pytest.mark.parametrize(("command", "software", "encryption", "body"), HEAVY_BODIES)
def test_a_body_of_a_truck_comes_back_through_both_layers(
    command: int, software: int | None, encryption: int, body: Any
) -> None:
    frame = HeavyFrame(command, VIN, software, encryption, write_heavy(body))
    assert decode_heavy(encode_heavy(frame)) == frame
    assert read_heavy(frame) == body
    read = decode_message({"hex": encode_heavy(frame).hex(), "version": HEAVY})
    assert ("software_version" in read) == (software is not None)
    assert encode_message(read) == {"hex": encode_heavy(frame).hex()}


@pytest.mark.parametrize("count", [0xFD, 0xFE, 0xFF])
def test_trouble_codes_that_are_none_keep_their_count(count: int) -> None:
    item = Obd(TIME, 2, 1, 0, 0, VIN, b"S" * 18, bytes(18), bytes(36), count)
    assert Obd.read(Reader(item.write())) == item
    assert readable_of(item)["dtcs"] == []


@pytest.mark.parametrize("code", ["01", "0102030405", "1122334g"])
def test_a_trouble_code_has_four_bytes(code: str) -> None:
    shown = readable_of(Obd(TIME, 2, 1, 0, 0, VIN, b"S" * 18, bytes(18), bytes(36), 1, (0x11223344,)))
    assert shown["dtcs"] == ["11223344"]
    refused(lambda: structure_of(Obd, {**shown, "dtcs": [code]}))


def test_an_item_that_is_cut_short_tells_the_field_that_is() -> None:
    whole = bytes.fromhex("0103010000000000000000271000011f00000000")
    places = {0: "vehicle_status", 4: "speed_kmh", 13: "soc_pct", 17: "insulation_kohm", 19: "brake_pct"}
    for size, field in places.items():
        with pytest.raises(RemoteProtocolError) as caught:
            Vehicle.read(Reader(whole[:size], start=100))
        assert (caught.value.field, caught.value.offset) == (field, 100 + size - (size in {4, 17}))


def test_signs_of_a_position_stand_in_its_status() -> None:
    for status, longitude, latitude in ((0, 12.5, 45.0), (2, 12.5, -45.0), (4, -12.5, 45.0), (6, -12.5, -45.0)):
        item = Position(status, 12_500_000, 45_000_000)
        assert readable_of(item) == {"position_status": status, "longitude": longitude, "latitude": latitude}
        assert structure_of(Position, readable_of(item)) == item
    assert readable_of(Position2025(6, 1, 0, None)) == {
        "position_status": 6,
        "coordinate_system": 1,
        "longitude": 0.0,
        "latitude": None,
    }


def test_offsets_and_null_codes() -> None:
    wire = bytes.fromhex("0103010000fffffffeffff2710fe011fffff0065")
    item = Vehicle.read(Reader(wire))
    assert (item.odometer_tenth_km, item.total_voltage_tenth_v, item.total_current_tenth_a) == (ABNORMAL, None, 0)
    assert (item.soc_pct, item.insulation_kohm, item.brake_pct) == (ABNORMAL, 0xFFFF, 0x65)
    assert item.write() == wire
    assert repr(ABNORMAL) == "ABNORMAL"


@pytest.mark.parametrize(("count", "motors"), [(0xFF, None), (0xFE, ABNORMAL), (0x00, ())])
def test_a_count_that_says_nothing_is_kept(count: int, motors: Any) -> None:
    item = DriveMotors.read(Reader(bytes((count,))))
    assert item.motors == motors
    assert item.write() == bytes((count,))
    assert readable_of(item) == {"motors": []}


def test_times() -> None:
    assert time_text(time_of("2018-10-30T20:35:54+08:00")) == "2018-10-30T20:35:54+08:00"
    for wrong in ("64010100000000", "000001000000", "000d01000000", "000120000000", "000101180000", "0001010000003c"):
        assert time_text(bytes.fromhex(wrong)[-6:]) is None
    assert instant_of_time(bytes.fromhex("130a1e00003b")) == 1_572_364_859_000
    assert time_of_instant(1_572_364_859_999).hex() == "130a1e00003b"
    assert instant_of_time(bytes.fromhex("13021e000000")) is None  # 30 February is in the standard's range
    for text in ("2018-10-30", "2018-13-30T20:35:54+08:00", "1999-10-30T20:35:54+08:00"):
        with pytest.raises(LocalProtocolError):
            time_of(text)
    for instant in (0, 4_200_000_000_000):
        with pytest.raises(LocalProtocolError):
            time_of_instant(instant)


def refused(call: Any) -> None:
    with pytest.raises(LocalProtocolError):
        call()


def test_what_no_frame_carries_is_refused() -> None:
    refused(lambda: encode_frame(Frame(2020, 1, 1, VIN)))
    refused(lambda: encode_frame(Frame(2016, 256, 1, VIN)))
    refused(lambda: encode_frame(Frame(2016, 1, 1, b"")))
    refused(lambda: encode_frame(Frame(2016, 1, 1, VIN, data=bytes(65532))))
    refused(lambda: encode_heavy(HeavyFrame(1, b"\xfe" * 17, 1)))
    refused(lambda: encode_heavy(HeavyFrame(1, VIN, 256)))
    refused(lambda: encode_heavy(HeavyFrame(1, VIN, data=bytes(65532))))
    refused(lambda: Position(0, -1, 0).write())
    refused(lambda: Position(256, 0, 0).write())
    refused(lambda: Logout(b"", 1).write())
    refused(lambda: Alarm(0, 0, (1 << 32,), (), (), ()).write())
    refused(lambda: Alarm(0, 0, (0,) * 254, (), (), ()).write())
    assert Alarm(0, 0, (0,) * 253, (), (), ()).write()[5] == 253
    refused(lambda: Custom(bytes(65536)).write())
    refused(lambda: VehicleLogin(TIME, 1, bytes(20), 1, 1, ()).write())
    refused(lambda: VehicleLogin2025(TIME, 1, bytes(20), ((b"short",),)).write())
    refused(lambda: VehicleLogin2025(TIME, 1, bytes(20), ((),) * 256).write())
    refused(lambda: Obd(TIME, 2, 1, 0, 0, VIN, b"S" * 18, bytes(18), bytes(36), 1).write())
    refused(lambda: HeavyReport(TIME, 65536).write())
    refused(lambda: ParameterIds(TIME, bytes(256)).write())
    refused(lambda: Parameters(TIME, (Parameter(1, b""),)).write_edition(2016))
    refused(lambda: Parameters(TIME, (Parameter(5, b"host"),)).write_edition(2016))
    refused(lambda: Parameters(TIME, (Parameter(0x10, b"1"),) * 256).write_edition(2016))


GOOD_MESSAGE: dict[str, Any] = {
    "version": "2016",
    "command": 2,
    "response": 254,
    "vin": VIN.decode(),
    "encryption": 1,
    "body": {
        "time": None,
        "infos": [{"type": 4, "engine_status": 1, "crank_speed_rpm": None, "fuel_rate_l_100km": 5.0}],
    },
}
GOOD_INFO = GOOD_MESSAGE["body"]["infos"][0]
NO_FAULTS: dict[str, Any] = {
    "type": 7, "max_level": 0, "alarm_flags": 0,
    "battery_faults": [], "motor_faults": [], "engine_faults": [], "other_faults": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1999"},
        {"body": 1},
        {"body": {}},
        {"command": 256},
        {"command": True},
        {"vin": 1},
        {"vin": "Ü"},
        {"vin": "x" * 18},
        {"body": {"time": 5, "infos": []}},
        {"body": {"time": None, "infos": [1]}},
        {"body": {"time": None, "infos": [{"type": 0x7D}]}},
        {"body": {"time": None, "infos": [{**GOOD_INFO, "engine_status": "1"}]}},
        {"body": {"time": None, "infos": [{**GOOD_INFO, "engine_status": None}]}},
        {"body": {"time": None, "infos": [{**GOOD_INFO, "fuel_rate_l_100km": 1e9}]}},
        {"body": {"time": None, "infos": [{**GOOD_INFO, "more": 1}]}},
        {"body": {"time": None, "infos": [{"type": 0x80, "raw": "0"}]}},
        {"body": {"time": None, "infos": [{"type": 0x80, "raw": 5}]}},
        {"body": {"time": None, "infos": [{"type": 2, "motors": [1]}]}},
        {"command": 0x81, "body": {"time": None, "params": [{"id": 0x77, "value": 1}]}},
        {"command": 0x81, "body": {"time": None, "params": [{"id": 1, "value": 65536}]}},
        {"command": 0x81, "body": {"time": None, "params": [{"id": 1}]}},
        {"encryption": 3},
        {"body": {"time": None, "infos": [{**GOOD_INFO, "engine_status": 1.4}]}},
        {"body": {"time": None, "infos": [{"type": 5, "position_status": 0, "longitude": -70.5, "latitude": 1.0}]}},
        {"body": {"time": None, "infos": [{"type": 5, "position_status": 2, "longitude": 70.5, "latitude": 1.0}]}},
        {"body": {"time": None, "infos": [{"type": 5, "position_status": 0, "longitude": True, "latitude": 1.0}]}},
        {"body": {"time": None, "infos": [{**NO_FAULTS, "battery_faults": ["1"]}]}},
        {"body": {"time": None, "infos": [{**NO_FAULTS, "battery_faults": ["0001"]}]}},
        {"body": {"time": None, "infos": [{**NO_FAULTS, "battery_faults": ["0000000001"]}]}},
    ],
)
def test_messages_that_have_no_frame_are_refused(change: dict[str, Any]) -> None:
    assert decode_message(encode_message(GOOD_MESSAGE))["body"] == {
        "time": None,
        "infos": [{**GOOD_INFO, "name": "engine"}],
    }
    with pytest.raises(LocalProtocolError):
        encode_message({**GOOD_MESSAGE, **change})


@pytest.mark.parametrize("seed", range(20))
def test_damaged_messages_raise_only_what_they_may(seed: int) -> None:
    rng = random.Random(seed)
    good = [decode_message(input_of(case)) for case in cases_of("gbt32960") if not case["expect"].get("error")]
    good += [
        decode_message({"hex": encode_frame(Frame(year, command, response, VIN, data=encode_body(body, year))).hex()})
        for year, command, response, body in BODIES
    ]
    for _ in range(150):
        message = damaged_message(rng, rng.choice(good))
        if not isinstance(message, dict):
            continue
        try:
            written = encode_message(message)
        except LocalProtocolError:
            continue
        decode_message({**written, "version": message["version"]})


def test_parameters_that_would_be_read_as_ids_are_refused() -> None:
    message = {**GOOD_MESSAGE, "command": 0x80, "body": {"time": None, "params": []}}
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def test_an_array_of_values_that_are_partly_missing_comes_back() -> None:
    wire = bytes.fromhex("01010000000000030001030fa0fffffffe")
    read = BatteryVoltage.read(Reader(wire))
    assert read.subsystems[0].cell_voltages_mv == (4000, None, ABNORMAL)  # type: ignore[union-attr, index]
    assert read.write() == wire


def test_no_key_is_shown_in_passing() -> None:
    assert "key=" not in repr(KeyExchange(1, b"secret", TIME, TIME))
