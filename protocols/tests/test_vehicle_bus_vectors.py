"""The vehicle bus: every vector, read and written back, and cases that are refused."""

import random
from contextlib import suppress

import pytest

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, OptionError, RemoteProtocolError
from protocols.tests.kit import cases_of, check_vector, damaged_message, each_vector, input_of
from protocols.vehicle_bus.elm_answers import EcuAnswer, read_lines, write_lines
from protocols.vehicle_bus.message import decode_message, encode_message
from protocols.vehicle_bus.obd_monitors import CONTINUOUS

GOOD = [case for case in cases_of("vehicle_bus") if "error" not in case["expect"]]

FAULT = {"spn": 110, "fmi": 3, "occurrence": 5, "conversion": 0}
TWO_FAULTS = {"spn": 92, "fmi": 4, "occurrence": 2, "conversion": 0}
OLD_FAULT = {"spn": None, "fmi": 3, "occurrence": None, "conversion": 1, "raw": "5b0003ff"}


def plain(digits):
    return "".join(digits.split()).lower()


@each_vector("vehicle_bus")
def test_vector(vector):
    check_vector(vector, decode_message)


@pytest.mark.parametrize(
    "case",
    [case for case in GOOD if case["kind"] in {"can_id", "j1939", "obd", "isotp_frame"}],
    ids=lambda c: c["name"],
)
def test_a_message_is_written_back_as_it_was(case):
    message = decode_message(input_of(case))
    written = encode_message(message)
    if "frames" in case:
        assert written["frames"] == [plain(frame) for frame in case["frames"]]
    elif case["kind"] in {"can_id", "obd", "isotp_frame"}:
        assert plain(written["hex"]) == plain(case["hex"])
    again = decode_message({**input_of(case), **written})
    assert again == message


@pytest.mark.parametrize(
    "case", [case for case in GOOD if case["kind"] in {"j1939_tp", "isotp", "elm"}], ids=lambda c: c["name"]
)
def test_what_a_stream_held_is_written_and_read_again(case):
    message = decode_message(input_of(case))
    if message.get("answers") and case.get("headers") and case.get("bus") == "kline":
        with pytest.raises(LocalProtocolError):
            encode_message(message)
        return
    again = decode_message({**input_of(case), **encode_message(message)})
    for key in ("messages", "answers", "text_lines", "garbled"):
        assert again.get(key) == message.get(key)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ({}, OptionError),
        ({"kind": "lin", "hex": "00"}, OptionError),
        ({"kind": "can_id"}, OptionError),
        ({"kind": "can_id", "hex": "7E8", "bus": "can"}, OptionError),
        ({"kind": "can_id", "hex": "07E8"}, FieldError),
        ({"kind": "can_id", "hex": "FFF"}, FieldError),
        ({"kind": "can_id", "hex": "7 E8"}, None),
        ({"kind": "j1939", "hex": "00"}, OptionError),
        ({"kind": "j1939", "hex": "00", "id": "7E8"}, FieldError),
        ({"kind": "j1939", "hex": "", "id": "18FEF100"}, FieldError),
        ({"kind": "j1939", "hex": "0", "id": "18FEF100"}, FrameError),
        ({"kind": "j1939", "hex": "00" * 1786, "id": "18FF0000"}, FieldError),
        ({"kind": "j1939", "hex": "00" * 1785, "id": "18FF0000"}, None),
        ({"kind": "j1939", "hex": "40FF5B0003010000", "id": "18FECA00"}, None),
        ({"kind": "j1939", "hex": "40FF5B000301FF00", "id": "18FECA00"}, FieldError),
        ({"kind": "j1939", "hex": "40FF5B0003", "id": "18FECA00"}, FieldError),
        ({"kind": "j1939", "hex": "0001020304050607", "id": "18E8FF00"}, None),
        ({"kind": "j1939", "hex": "00010203040506", "id": "18E8FF00"}, FieldError),
        ({"kind": "j1939", "hex": "0001", "id": "18EAFF00"}, FieldError),
        ({"kind": "j1939", "hex": "0001", "id": "18EEFF00"}, FieldError),
        ({"kind": "j1939", "hex": "80", "id": "18FEEC00"}, FieldError),
        ({"kind": "j1939_tp", "frames": ["18ECFF0020120003FFCAFE00"]}, FrameError),
        ({"kind": "j1939_tp", "frames": ["18ECFF00#2012"]}, FieldError),
        ({"kind": "j1939_tp", "frames": ["18ECFF0#00"]}, FieldError),
        ({"kind": "j1939_tp", "frames": [1]}, OptionError),
        ({"kind": "j1939_tp", "frames": ["7E8#00", "18FEF100#00"]}, None),
        ({"kind": "obd", "hex": ""}, FrameError),
        ({"kind": "obd", "hex": "41"}, FieldError),
        ({"kind": "obd", "hex": "410C1A"}, FieldError),
        ({"kind": "obd", "hex": "4400"}, FieldError),
        ({"kind": "obd", "hex": "7F01"}, FieldError),
        ({"kind": "obd", "hex": "49"}, FieldError),
        ({"kind": "obd", "hex": "43"}, FieldError),
        ({"kind": "obd", "hex": "4904024141"}, FieldError),
        ({"kind": "obd", "hex": "5001"}, RemoteProtocolError),
        ({"kind": "obd", "hex": "410D32", "bus": "lin"}, OptionError),
        ({"kind": "obd", "hex": "410D32", "frames": [], "bus": "kline"}, OptionError),
        ({"kind": "obd", "frames": ["410D32"]}, OptionError),
        ({"kind": "obd", "frames": [], "bus": "kline"}, FrameError),
        ({"kind": "obd", "frames": ["490601ABCDEF01"] * 300, "bus": "kline"}, FieldError),
        ({"kind": "obd", "frames": ["410D32", "410D33"], "bus": "kline"}, FieldError),
        ({"kind": "obd", "frames": ["49020100000031", "49020324847434"], "bus": "kline"}, FieldError),
        ({"kind": "obd", "frames": ["49020100000031", "49040224847434"], "bus": "kline"}, FieldError),
        ({"kind": "isotp", "frames": ["051122334455"], "addressing": "mixed"}, OptionError),
        ({"kind": "isotp", "frames": ["051122334455"], "fd": 1}, OptionError),
        ({"kind": "isotp", "hex": "051122334455"}, OptionError),
        ({"kind": "isotp_frame", "hex": "330000"}, FieldError),
        ({"kind": "isotp_frame", "hex": "3000"}, FieldError),
        ({"kind": "isotp_frame", "hex": "20"}, FieldError),
        ({"kind": "isotp_frame", "hex": "1007010203040506"}, FieldError),
        ({"kind": "isotp_frame", "hex": "1000000000100102"}, FieldError),
        ({"kind": "isotp_frame", "hex": "4000"}, RemoteProtocolError),
        ({"kind": "isotp_frame", "hex": "00080102030405060708"}, FieldError),
        ({"kind": "isotp_frame", "hex": "00080102030405060708", "fd": True}, None),
        ({"kind": "isotp_frame", "hex": "F10141", "addressing": "extended"}, None),
        ({"kind": "isotp_frame", "hex": "F1", "addressing": "extended"}, FieldError),
        ({"kind": "elm", "text": ">"}, OptionError),
        ({"kind": "elm", "text": ">", "request": "hello"}, OptionError),
        ({"kind": "elm", "text": "OK\r>OK\r>", "request": "ATE0"}, FrameError),
        ({"kind": "elm", "text": "OK\r> ", "request": "ATE0"}, FrameError),
    ],
)
def test_a_case_is_refused(case, error):
    if error is None:
        decode_message(case)
        return
    with pytest.raises(error):
        decode_message(case)


GROUPS = [
    ("18FEF200", "F000FFFFFFFFFFFF", {"fuel_rate_l_h": 12.0, "throttle_pct": None}),
    ("0CF00400", "F1A582413200FFFF", {"torque_mode": 1, "engine_speed_rpm": 1608.125}),
    ("0CF00400", "0F00FFFFFAFF", {"torque_mode": None, "driver_demand_torque_pct": -125, "engine_speed_rpm": 8031.875}),
    ("18F00503", "FFFFFFFB", {"current_gear": 126}),
    ("18F00503", "FFFFFFFC", {"current_gear": None}),
    ("18FEF100", "F70050E4FFFFFFFF", {"parking_brake": 1, "cruise_active": 0, "brake_switch": None}),
    ("18FEE500", "000000FB000000FA", {"engine_hours_h": None, "engine_revolutions": 0xFA000000 * 1000}),
    ("18FEEC00", "FFFFFFFFFFFFFFFF", {"vin": None}),
    ("18FEEC00", "31324142432AFFFF", {"vin": "12ABC"}),
    ("18FEEB00", "41422A2A312A", {"component_id": {"make": "AB", "model": None, "serial": "1", "unit": None}}),
    ("18FECA00", "04FF6E000305FFFF", {"amber_warning": 1, "dtcs": [FAULT]}),
    ("18FECA00", "00FF00000000FFFF", {"dtcs": []}),
    ("18FECA00", "00FF5B0003FFFFFF", {"dtcs": [OLD_FAULT]}),
    ("18FFAB10", "0102", {"group": None, "raw": "0102"}),
    ("18FECA00", "00FF5B0003015C000402", {"dtcs": [{**FAULT, "spn": 91, "occurrence": 1}, TWO_FAULTS]}),
    ("18E8FF00", "01FFFFFFFFCAFE00", {"ack": 1, "ack_pgn": 65226}),
    ("18FECC10", "FF", {"group": "DM3"}),
]


@pytest.mark.parametrize(("identifier", "data", "expect"), GROUPS)
def test_groups_from_the_tables(identifier, data, expect):
    message = decode_message({"kind": "j1939", "id": identifier, "hex": data})
    assert {key: message[key] for key in expect} == expect
    written = encode_message(message)
    assert written["id"] == identifier
    assert decode_message({"kind": "j1939", **written}) == message


DIESEL = {
    "mil": 0,
    "ignition": "compression",
    "monitors": [*CONTINUOUS, "nmhc_catalyst", "exhaust_gas_sensor", "pm_filter"],
    "monitors_incomplete": ["exhaust_gas_sensor", "pm_filter"],
}


@pytest.mark.parametrize(
    ("digits", "expect"),
    [
        ("43020420C100", {"dtc_count": 2, "dtcs": ["P0420", "U0100"]}),
        ("43020000C100", {"dtc_count": 2, "dtcs": ["U0100"]}),
        ("47014213", {"service": 7, "dtcs": ["C0213"]}),
        ("4A0100FF", {"service": 10, "dtcs": ["P00FF"]}),
        ("44", {"service": 4}),
        ("7F0378", {"negative": "pending"}),
        ("7F0399", {"negative": None, "negative_code": 0x99}),
        ("410306FF", {"fuel_system": [6, 255]}),
        ("410640A6000F4240", {"short_trim_1_pct": -50.0, "odometer_km": 100000.0}),
        ("410640FE0041", {"short_trim_1_pct": -50.0, "unknown_pid": 0xFE, "raw": "0041"}),
        ("4101000F6160", DIESEL),
        ("490055400000", {"supported_infos": [2, 4, 6, 8, 10]}),
        ("49000155400000", {"supported_infos": [2, 4, 6, 8, 10]}),
        ("490A01" + b"ECM\0-Engine".hex().ljust(40, "0"), {"ecu_name": "ECM -Engine"}),
        ("490401" + b"37805".hex().ljust(32, "0"), {"calibration_ids": ["37805"]}),
        ("490801020304", {"info": 8, "raw": "01020304"}),
    ],
)
def test_obd_from_the_tables(digits, expect):
    message = decode_message({"kind": "obd", "hex": digits})
    assert {key: message[key] for key in expect} == expect
    assert decode_message({"kind": "obd", **encode_message(message)}) == message


@pytest.mark.parametrize(
    ("frames", "expect"),
    [
        (["43042001330000", "43000000000000"], {"dtcs": ["P0420", "P0133"]}),
        (["49000155400000"], {"supported_infos": [2, 4, 6, 8, 10]}),
        (["49060112345678"], {"cvns": ["12345678"]}),
        (["49060212345678", "490601ABCDEF01"], {"cvns": ["abcdef01", "12345678"]}),
        (["7F0112"], {"negative": "subfunction_not_supported"}),
        (["7F0911"], {"service": 9, "negative": "service_not_supported"}),
        (["43000000000000"], {"dtcs": []}),
        (["43042001330134", "43C10000000000"], {"dtcs": ["P0420", "P0133", "P0134", "U0100"]}),
        (["410D32"], {"speed_kmh": 50}),
    ],
)
def test_answers_on_the_k_line(frames, expect):
    message = decode_message({"kind": "obd", "frames": frames, "bus": "kline"})
    assert {key: message[key] for key in expect} == expect
    written = encode_message(message)
    again = decode_message({"kind": "obd", "bus": "kline", **written})
    assert {key: again[key] for key in expect} == expect


@pytest.mark.parametrize(
    ("hex_", "options", "expect"),
    [
        ("021234AA", {}, {"type": "single", "data_hex": "1234"}),
        ("000912345678901234567890", {"fd": True}, {"type": "single", "data_hex": "123456789012345678"}),
        ("1014490201314847", {}, {"type": "first", "length": 20, "data_hex": "490201314847"}),
        ("1000000013880102", {}, {"type": "first", "length": 5000, "data_hex": "0102"}),
        ("F1100701020304AA", {"addressing": "extended"}, {"type": "first", "length": 7, "address_extension": 0xF1}),
        ("2F01", {}, {"type": "consecutive", "sequence": 15}),
        ("300A14", {}, {"status": "continue", "block_size": 10, "st_min_ms": 20}),
        ("3200F1", {}, {"status": "overflow", "st_min_ms": 0.1}),
    ],
)
def test_iso_tp_frames(hex_, options, expect):
    message = decode_message({"kind": "isotp_frame", "hex": hex_, **options})
    assert {key: message[key] for key in expect} == expect
    again = decode_message({"kind": "isotp_frame", **options, **encode_message(message)})
    assert again == message


def test_aborts_and_messages_that_are_not_what_they_say():
    frames = ["1CEC0201#1014000301B0FE00", "1CEC0102#FF02FFFFFFB0FE00", "18ECFF00#200A0002FFECFE00"]
    frames += ["18EBFF00#0180808080808080", "18EBFF00#02808080FFFFFFFF"]
    message = decode_message({"kind": "j1939_tp", "frames": frames})
    assert message["aborted"] == [{"pgn": 65200, "source": 1, "destination": 2, "reason": 2}]
    assert message["messages"] == [
        {"pgn": 65260, "group": "VI", "source": 0, "destination": 255, "size": 10, "data_hex": "80" * 10}
    ]


def test_faults_on_the_k_line_are_three_a_message():
    """ISO 15031-5: a message of service 03 has three codes there, 00 00 for none."""
    none = {"kind": "obd", "bus": "kline", "service": 3, "dtcs": []}
    assert encode_message(none) == {"hex": "43000000000000"}
    four = {**none, "dtcs": ["P0420", "P0133", "P0134", "U0100"]}
    assert encode_message(four) == {"frames": ["43042001330134", "43c10000000000"]}


def test_two_lists_of_supported_pids_become_one():
    message = decode_message({"kind": "obd", "hex": "4100" + "00000001" + "20" + "80000001"})
    assert message["supported_pids"] == [32, 33, 64]
    assert encode_message(message) == {"hex": "41000000000120" + "80000001"}


def test_an_answer_on_the_k_line_is_written_as_its_messages():
    lines = ["49 02 01 00 00 00 31", "49 02 02 48 47 43 4D", "49 02 03 38 32 36 33", "49 02 04 33 41 30 30"]
    lines += ["49 02 05 34 33 35 32"]
    case = {"kind": "elm", "request": "0902", "bus": "kline", "text": "".join(f"{line}\r" for line in lines) + "\r>"}
    message = decode_message(case)
    assert message["answers"][0]["message"]["vin"] == "1HGCM82633A004352"
    assert encode_message(message) == {"text": case["text"]}


def test_lines_of_an_answer_are_read_as_they_were_written():
    long = bytes(range(200)) * 3
    for ecu, bus in ((None, "can11"), ("7E8", "can11"), ("18DAF110", "can29")):
        for data in (long, long[:7], long[:8], long[:20]):
            answer = EcuAnswer(ecu, (data,))
            found = read_lines(write_lines(answer), bus=bus, has_headers=ecu is not None)
            assert found.answers == [answer]
            assert not found.garbled
            assert not found.incomplete


@pytest.mark.parametrize("seed", range(4))
def test_what_is_damaged_is_refused_or_written(seed):
    rng = random.Random(seed)
    cases = [input_of(case) for case in GOOD]
    messages = [decode_message(case) for case in cases]
    written = read = 0
    for _ in range(1000):
        message, case = damaged_message(rng, rng.choice(messages)), damaged_message(rng, rng.choice(cases))
        if isinstance(message, dict):
            with suppress(LocalProtocolError):
                written += set(encode_message(message)) <= {"id", "hex", "text", "frames"}
        if isinstance(case, dict):
            with suppress(RemoteProtocolError, OptionError):
                read += bool(decode_message(case))
    assert written > 10
    assert read > 10
