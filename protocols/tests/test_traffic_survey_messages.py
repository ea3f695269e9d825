"""Traffic surveys: readable messages, those that are damaged or refused, and what RTMS G4 says."""

import random
from typing import Any

import pytest

from protocols.core.errors import (
    FieldError,
    LocalProtocolError,
    OptionError,
    ProtocolError,
    RemoteProtocolError,
)
from protocols.tests.kit import damaged_message
from protocols.traffic_survey import rtms_g4, ss125, survey_frame
from protocols.traffic_survey.message import PROTOCOLS, decode_message, encode_message
from protocols.traffic_survey.ss125_messages import (
    Result,
    encode_body,
)
from protocols.traffic_survey.survey_commands import (
    decode_packet,
    encode_packet,
)
from protocols.traffic_survey.survey_records import (
    ClassCount,
    IntervalRecord,
    Lane,
    VehicleRecord,
)

RESULT = decode_message(
    {"protocol": "ss125_body", "hex": ss125.encode_checked(encode_body(Result(0x0E, 0, 2, 1))).hex()}
)
VEHICLE = VehicleRecord(b"0044010000000012", 0, 2025, 3, 9, 23, 59, 59, 999, 70001, 12, 6, 88)
RECORD = decode_message({"hex": survey_frame.encode_frame(survey_frame.Frame(encode_packet(VEHICLE))).hex()})


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (RESULT, {"body_size": 5}),
        (RESULT, {"interval_number": None, "interval": 4}),
        (RECORD, {"speed": 90}),
        (RECORD, {"device_id": "0044010000000012\0"}),
        (RECORD, {"device_class": 1, "result_code": "FFFF"}),
    ],
    ids=range(5),
)
def test_what_is_no_part_of_a_message_is_not_passed_over(message: dict[str, object], change: dict[str, object]) -> None:
    assert encode_message(message)
    with pytest.raises(LocalProtocolError):
        encode_message({**message, **change})


def test_no_repr_tells_a_password() -> None:
    setting = decode_packet(b"\x03" + b"operator" + b"p4ssw0rd" + b"S216")
    assert "p4ssw0rd" not in repr(setting)
    with pytest.raises(FieldError) as caught:
        decode_packet(b"\x03" + b"operator" + b"p4ssw0")
    assert caught.value.raw == b""


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_message_is_refused_or_written(seed: int) -> None:
    rng = random.Random(seed)
    wires = [
        {"protocol": "ss125_body", "hex": ss125.encode_checked(encode_body(Result(0x0E, 0, 2, 1))).hex()},
        {"protocol": "pcu", "text": '{"counts": {"minibus": 4}}'},
        {"protocol": "overload", "text": '{"axle_count": 6, "vehicle_kind": "train", "gross_weight_kg": 50000}'},
        {"protocol": "rtms_g4", "hex": rtms_g4.encode_frame(rtms_g4.Frame(0x80, 1, bytes(22))).hex()},
        {
            "protocol": "jtt1008",
            "hex": survey_frame.encode_frame(
                survey_frame.Frame(
                    encode_packet(
                        IntervalRecord(
                            *(bytes(16), bytes(15), 0, 2, 2025, 1, 1, 5, 1),
                            (Lane(11, 0, 0, 0, (ClassCount(1, 2, bytes(4)),) * 9),),
                        )
                    )
                )
            ).hex(),
        },
    ]
    for _ in range(400):
        message = damaged_message(rng, decode_message(rng.choice(wires)))
        if not isinstance(message, dict):
            continue
        try:
            written = encode_message(message)
        except LocalProtocolError:
            continue
        protocol = message.get("protocol", "jtt1008")
        decode_message({"protocol": protocol, **written})


@pytest.mark.parametrize(
    "case",
    [
        {"protocol": "frame", "hex": ""},
        {"protocol": ["pcu"], "text": "{}"},
        {"protocol": "pcu", "hex": ""},
        {"protocol": "rtms_g4", "hex": "", "device_class": 1},
        {"hex": 7},
        {"hex": "00", "more": 1},
    ],
)
def test_a_bad_case_is_an_option_error(case: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("device_class", [0, 3, "1", True, None])
def test_a_class_of_device_that_there_is_not(device_class: Any) -> None:
    wire = survey_frame.encode_frame(survey_frame.Frame(b"\x01" + bytes(41)))
    with pytest.raises(OptionError):
        decode_message({"hex": wire.hex(), "device_class": device_class})


@pytest.mark.parametrize("text", ["", "zz", "0", "aa" * 80_000])
@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name not in ("pcu", "overload")])
def test_no_hex_is_no_frame(protocol: str, text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message({"protocol": protocol, "hex": text})


def test_statistics_of_rtms() -> None:
    payload = bytes.fromhex("05000102301508022411250803001e780a0000000000")
    wire = rtms_g4.encode_frame(rtms_g4.Frame(0x80, 7, payload)).hex()
    message = decode_message({"protocol": "rtms_g4", "hex": wire})
    assert (message["year"], message["month"], message["day"], message["hour"]) == (2025, 11, 24, 8)
    assert (message["zones"], message["period"], message["voltage"]) == (8, 30, 120)
    assert encode_message(message) == {"hex": wire}
    with pytest.raises(LocalProtocolError):
        encode_message({**message, "zones": 7})
    header = rtms_g4.decode_statistics_header(payload)
    assert rtms_g4.encode_statistics_header(header) == payload
    for bad in (payload[:-1], payload[:4] + b"\xff" + payload[5:]):
        with pytest.raises(FieldError):
            decode_message({"protocol": "rtms_g4", "hex": rtms_g4.encode_frame(rtms_g4.Frame(0x80, 7, bad)).hex()})


def test_zone_values() -> None:
    assert rtms_g4.decode_zone_values(rtms_g4.encode_zone_values((1, 65535))) == (1, 65535)
    with pytest.raises(ProtocolError):
        rtms_g4.encode_zone_values((65536,))
    with pytest.raises(FieldError):
        rtms_g4.decode_zone_values(b"\x00")
