"""`decode_message` and `encode_message`: every vector both ways, every option, and cases that make no sense."""

import doctest
import json
import struct
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.map_file import ShippedMaps, load_map
from protocols.core.errors import (
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    OptionError,
    RemoteProtocolError,
)
from protocols.modbus_devices import line_message, message
from protocols.modbus_devices.message import decode_message, encode_message
from protocols.modbus_devices.rtu import encode_rtu
from protocols.modbus_devices.tcp import encode_tcp
from protocols.tests.kit import check_vector, each_vector, input_of

MAPS = ShippedMaps()
decode = partial(decode_message, maps=MAPS)


def rtu(text, **options):
    """A case whose frame is a unit and a PDU in hex; the CRC is added."""
    wire = bytes.fromhex(text)
    return {"hex": encode_rtu(wire[0], wire[1:]).hex(), **options}


@each_vector("modbus_devices")
def test_vector(vector):
    check_vector(vector, decode)


@each_vector("modbus_devices")
def test_vector_is_written_back(vector):
    if "hex" not in vector or "error" in vector["expect"]:
        return
    readable = decode(input_of(vector))
    assert encode_message(readable) == {"hex": vector["hex"]}
    assert encode_message(json.loads(json.dumps(readable))) == {"hex": vector["hex"]}


@pytest.mark.parametrize(
    ("wire", "want"),
    [
        ("11 0100130013", {"function": 1, "start_address": 0x13, "quantity": 19}),
        ("11 0103cd6b05", {"byte_count": 3}),
        ("11 0f0013000a02cd01", {"start_address": 19, "quantity": 10, "byte_count": 2}),
        ("11 0f0013000a", {"start_address": 19, "quantity": 10}),
        ("11 1000010002", {"start_address": 1, "quantity": 2}),
        ("11 0600010003", {"start_address": 1, "register_value": 3}),
        ("11 050003 0000", {"start_address": 3, "coil_value": False}),
        (
            "11 1700030006000e00030600ff00ff00ff",
            {"start_address": 3, "quantity": 6, "write_start_address": 14, "write_quantity": 3, "registers": [255] * 3},
        ),
        ("11 170c00fe0acd00010003000d00ff", {"byte_count": 12, "registers": [254, 2765, 1, 3, 13, 255]}),
        ("11 2b0e0100", {"read_device_id_code": 1, "object_id": 0}),
        ("11 2b0e01010000010003" + b"ab\xff".hex(), {"objects": [{"object_id": 0, "value": "ab\xff"}]}),
        (
            "11 8302",
            {"function": 3, "is_exception": True, "exception_code": 2, "exception_name": "illegal data address"},
        ),
        ("11 83e0", {"exception_code": 0xE0, "exception_name": "of the device's own"}),
        ("ff 0302012c", {"unit_id": 255, "registers": [300]}),  # some devices answer to FFH
    ],
)
def test_direction_is_found_and_the_frame_written_back(wire, want):
    case = rtu(wire)
    readable = decode(case)
    assert {key: readable[key] for key in want} == want
    assert encode_message(readable) == case
    json.dumps(readable)


@pytest.mark.parametrize("wire", ["09 16000400f20025", "09 076d", "09 41ff", "09 2b0d0102"])
def test_other_functions_have_unit_and_function_only(wire):
    case = rtu(wire)
    assert decode(case) == {"unit_id": 9, "function": bytes.fromhex(wire)[1]}
    with pytest.raises(LocalProtocolError):
        encode_message(decode(case))


@pytest.mark.parametrize(
    ("pdu", "options", "offset"),
    [
        ("0300000000", {}, 3),
        ("030300010002", {"direction": "response"}, 1),
        ("0500001234", {}, 3),
        ("0100", {}, 2),
        ("010100", {"quantity": 9}, 1),
        ("01020000", {"quantity": 8}, 1),
    ],
)
def test_an_error_is_pointed_at_in_the_frame_and_not_in_the_pdu(pdu, options, offset):
    raw = bytes.fromhex(pdu)
    for protocol, wire, head in (("rtu", encode_rtu(1, raw), 1), ("tcp", encode_tcp(7, 1, raw), 7)):
        with pytest.raises(RemoteProtocolError) as refused:
            decode_message({"hex": wire.hex(), "protocol": protocol, **options})
        assert refused.value.offset == head + offset


def test_a_read_request_at_an_address_that_looks_like_a_byte_count():
    """03 03xx: three bytes follow, but registers come in pairs, so it is a request."""
    assert decode(rtu("01 0303000002"))["start_address"] == 0x0300
    assert decode(rtu("01 0103000002"))["bits"] == [False] * 17 + [True] + [False] * 6  # bits do come so
    assert decode(rtu("01 0103000002", direction="request"))["start_address"] == 0x0300


def test_bits_are_cut_to_the_quantity():
    assert decode(rtu("01 0103cd6b05", quantity=19))["bits"][-3:] == [True, False, True]
    assert len(decode(rtu("01 0103cd6b05"))["bits"]) == 24
    with pytest.raises(FieldError):
        decode(rtu("01 0103cd6b05", quantity=25))


def test_tcp_has_a_transaction_and_no_crc():
    case = {"protocol": "tcp", "hex": "000700000006010300100004"}
    readable = decode(case)
    assert readable == {"transaction_id": 7, "unit_id": 1, "function": 3, "start_address": 16, "quantity": 4}
    assert encode_message(readable) == {"hex": case["hex"]}
    assert decode({"protocol": "tcp", "hex": "000000000005010302010e", "profile": "acrel_adw300", "start_address": 20})[
        "values"
    ] == {"voltage_l1_v": 27.0}


def test_values_only_of_points_that_lie_in_the_answer():
    readable = decode(rtu("01 0404 4366 3334", profile="eastron_sdm630", start_address=1))
    assert readable["values"] == {}
    readable = decode(rtu("01 0406 0001 4366 3334", profile="eastron_sdm630", start_address=0xFFFF))
    assert readable["values"] == {}
    assert "values" not in decode(rtu("01 0400000002", profile="eastron_sdm630"))
    assert "values" not in decode(rtu("01 8402", profile="eastron_sdm630"))
    assert "values" not in decode(rtu("01 010101", profile="eastron_sdm630"))


def test_float32_has_no_more_digits_than_it_can_tell_apart():
    """Tested against `struct`: what is shown packs into the very bytes that came."""
    for value in (230.2, 12345.678, 0.982, -10.5, 0.0, 1e-30, 3.4e38, 16777217.0, 0.1 + 0.2, 1 / 3):
        wire = struct.pack(">f", value)
        readable = decode(rtu("01 0404" + wire.hex(), profile="eastron_sdm630", start_address=0))
        shown = readable["values"]["voltage_l1_v"]
        assert struct.pack(">f", shown) == wire
        assert len(repr(shown)) <= len(repr(struct.unpack(">f", wire)[0]))
    readable = decode(rtu("01 0404 43663333", profile="eastron_sdm630", start_address=0))
    assert readable["values"] == {"voltage_l1_v": 230.2}


def test_status_bits_of_the_ups():
    readable = decode(rtu("01 0302 0008", profile="apc_nmc2", start_address=3))
    assert readable["values"] == {
        "mains_ok": True,
        "on_battery": False,
        "overload": False,
        "low_battery": False,
        "replace_battery": False,
    }


@pytest.mark.parametrize(("options", "speed"), [({}, 12.3), ({"word_scale": 0.1}, 12.3), ({"word_scale": 0.01}, 1.23)])
def test_wind_by_its_word_scale(options, speed):
    readable = decode(rtu("01 0302 007b", profile="weather_500", start_address=500, **options))
    assert readable["values"] == {"wind_speed_mps": speed}


def test_scale_factors_from_the_option_or_the_answer():
    volts = rtu("01 0302 1388", profile="sunspec_802", start_address=34)
    assert decode(volts)["values"] == {"dc_voltage_v": 5000}  # a missing one counts as 0
    assert decode({**volts, "scale_factors": {"V_SF": -2}})["values"] == {"dc_voltage_v": 50.0}
    registers = [0] * 50
    registers[0], registers[59 - 34] = 5000, 0xFFFF
    whole = rtu("01 0364" + b"".join(value.to_bytes(2, "big") for value in registers).hex())
    whole |= {"profile": "sunspec_802", "start_address": 34}
    assert decode(whole)["values"]["dc_voltage_v"] == 500.0
    assert decode({**whole, "scale_factors": {"V_SF": 1}})["values"]["dc_voltage_v"] == 50_000
    registers[59 - 34] = 99
    broken = rtu("01 0364" + b"".join(value.to_bytes(2, "big") for value in registers).hex())
    with pytest.raises(FieldError):
        decode({**whole, **broken})


def test_what_a_device_does_not_have_is_null():
    readable = decode(rtu("01 0404 ffffffff", profile="thies_clima_us", start_address=0x7533))
    assert readable["values"] == {"wind_speed_mps": None}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"hex": 5},
        {"hex": "01", "colour": "red"},
        {"hex": "01", "protocol": "profibus"},
        {"hex": "01", "protocol": ["rtu"]},
        {"text": "01"},
        {"hex": "01", "protocol": "timing"},
        {"hex": "01", "protocol": "umb", "profile": "x"},
        rtu("01 0302012c", direction="sideways"),
        rtu("01 0302012c", profile="no_such_map"),
        rtu("01 0302012c", profile=5),
        rtu("01 0302012c", start_address=65_536),
        rtu("01 0302012c", start_address="0"),
        rtu("01 0302012c", quantity=0),
        rtu("01 0302012c", profile="weather_500", word_scale=0.5),
        rtu("01 0302012c", profile="pzem_016", word_scale=0.1),
        rtu("01 0302012c", profile="sunspec_802", scale_factors={"V_SF": 11}),
        rtu("01 0302012c", profile="sunspec_802", scale_factors={"Volt_SF": 1}),
        rtu("01 0302012c", profile="sunspec_802", scale_factors=5),
    ],
    ids=str,
)
def test_a_case_that_makes_no_sense_is_an_option_error(case):
    with pytest.raises(OptionError):
        decode(case)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ({"hex": ""}, FrameError),
        ({"hex": "zz"}, FrameError),
        ({"hex": "010"}, FrameError),
        ({"hex": "00" * 5000}, FrameError),
        ({"hex": "010400"}, FrameError),
        ({"hex": "01040000000271cc"}, ChecksumError),
        (rtu("01 0304ffff"), FrameError),
        (rtu("01 8302", direction="request"), FieldError),
        (rtu("01 0300000001", direction="response"), FrameError),
        (rtu("01 0500031234"), FieldError),
        ({"protocol": "umb", "hex": "0110017001f0040223106400036100"}, FrameError),
        ({"protocol": "timing", "text": "{"}, FrameError),
        ({"protocol": "timing", "text": "[]"}, FieldError),
        ({"protocol": "timing", "text": "\ud800"}, FrameError),
        ({"protocol": "timing", "text": '{"baud": 0, "bits_per_char": 10, "registers": 2}'}, FieldError),
        ({"protocol": "timing", "text": '{"baud": 9600, "bits_per_char": 9, "registers": 2}'}, FieldError),
        ({"protocol": "timing", "text": '{"baud": 9600, "bits_per_char": 10, "registers": 126}'}, FieldError),
        ({"protocol": "timing", "text": '{"baud": 9600, "bits_per_char": 10, "registers": 2, "x": 1}'}, FieldError),
        ({"protocol": "planner", "text": '{"registers": [[0, 0]], "baud": 9600, "bits_per_char": 10}'}, FieldError),
        ({"protocol": "planner", "text": '{"registers": [[0]], "baud": 9600, "bits_per_char": 10}'}, FieldError),
        ({"protocol": "planner", "text": "[" * 100_000}, RemoteProtocolError),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_a_case_holds_is_a_remote_error(case, error):
    with pytest.raises(error):
        decode(case)


@pytest.mark.parametrize(
    "readable",
    [
        {},
        {"char_ms": 1.0},
        {"function": 3},
        {"unit_id": 1, "function": 3},
        {"unit_id": 1, "function": 3, "start_address": 0},
        {"unit_id": 256, "function": 3, "start_address": 0, "quantity": 1},
        {"unit_id": 1, "function": 3, "start_address": 0, "quantity": 126},
        {"unit_id": 1, "function": 3, "registers": [70_000]},
        {"unit_id": 1, "function": 3, "registers": []},
        {"unit_id": 1, "function": 3, "registers": [1], "byte_count": 4},
        {"unit_id": 1, "function": 3, "start_address": "0", "quantity": 1},
        {"unit_id": 1, "function": 5, "start_address": 0, "coil_value": 1},
        {"unit_id": 1, "function": 16, "start_address": 0, "quantity": 2, "registers": [1]},
        {"unit_id": 1, "function": 15, "start_address": 0, "quantity": 2, "bits": [True]},
        {"unit_id": 1, "function": 3, "is_exception": True},
        {"unit_id": 1, "function": 0x41},
        {"unit_id": 1, "function": 3, "start_address": 0, "quantity": 1, "colour": 5},
        {"transaction_id": 65_536, "unit_id": 1, "function": 3, "start_address": 0, "quantity": 1},
        {"unit_id": 1, "function": 0x2B, "read_device_id_code": 1, "conformity_level": 1, "objects": [5]},
        {
            "unit_id": 1,
            "function": 0x2B,
            "read_device_id_code": 1,
            "conformity_level": 1,
            "objects": [{"object_id": 0, "value": "水"}],
        },
        {"to_address": 1},
        {"to_address": 1, "from_address": 2, "command": 0x26, "data": "zz"},
        {
            "to_address": 1,
            "from_address": 2,
            "command": 0x23,
            "channel": 1,
            "status": 0,
            "data_type": 0x99,
            "channel_value": 1,
        },
        {
            "to_address": 1,
            "from_address": 2,
            "command": 0x23,
            "channel": 1,
            "status": 0,
            "data_type": 0x10,
            "channel_value": 300,
        },
    ],
    ids=str,
)
def test_what_has_no_canonical_frame_is_not_written(readable):
    with pytest.raises(LocalProtocolError):
        encode_message(readable)


def test_plan_and_timing_of_a_line():
    plan = decode(
        {
            "protocol": "planner",
            "text": '{"registers": [[10, 1], [0, 2]], "baud": 9600, "bits_per_char": 10, "max_hole": 3}',
        }
    )
    assert plan["blocks"] == [[0, 2], [10, 1]]
    assert 0 < plan["utilisation"] < 1
    assert (
        decode({"protocol": "planner", "text": '{"registers": [], "baud": 9600, "bits_per_char": 10}'})["blocks"] == []
    )


@settings(derandomize=True, deadline=None)
@given(
    st.binary(min_size=2, max_size=253),
    st.sampled_from([None, "request", "response"]),
    st.sampled_from([None, *MAPS]),
    st.integers(0, 0xFFFF),
)
def test_any_frame_decodes_or_raises_a_remote_error(body, direction, name, start):
    case = {"hex": encode_rtu(body[0], body[1:]).hex(), "start_address": start}
    case |= {} if direction is None else {"direction": direction}
    case |= {} if name is None else {"profile": name}
    try:
        readable = decode(case)
    except RemoteProtocolError:
        return
    json.dumps(readable, allow_nan=False)
    try:
        written = encode_message(readable)
    except LocalProtocolError:
        assert set(readable) <= {"unit_id", "function"}
        return
    assert decode(case | written) == readable


def test_examples_in_the_docstrings():
    assert doctest.testmod(message).failed == 0
    assert doctest.testmod(line_message).failed == 0


def test_examples_of_the_page():
    page = Path(__file__).parents[2] / "docs" / "protocols" / "modbus_devices.md"
    assert doctest.testfile(str(page), module_relative=False).failed == 0
    text = page.read_text("utf-8")
    assert [name for name in MAPS if f"`{name}`" not in text] == []


def test_the_map_of_the_page_is_one(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "protocols" / "modbus_devices.md"
    (tmp_path / "gauge.toml").write_text(page.read_text("utf-8").split("```toml\n")[1].split("```")[0], "utf-8")
    assert [point.name for point in load_map("gauge.toml", tmp_path).points] == ["level_m", "pump_on", "limit_m"]
