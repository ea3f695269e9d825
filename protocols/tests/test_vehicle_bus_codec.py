"""J1939 groups and OBD answers: what is generated comes back, and any bytes raise only what is permitted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.vehicle_bus import obd
from protocols.vehicle_bus.catalogue import GROUPS, NAMES
from protocols.vehicle_bus.diagnostics import DiagnosticMessage, Fault, Lamps, decode_dm, encode_dm, fault_of
from protocols.vehicle_bus.identifier import (
    J1939Id,
    StandardId,
    decode_identifier,
    encode_identifier,
    flow_control_id,
)
from protocols.vehicle_bus.identity import (
    NAME_FIELDS,
    Name,
    component_identification,
    decode_name,
    encode_name,
    vehicle_identification,
)
from protocols.vehicle_bus.message import decode_message, encode_message
from protocols.vehicle_bus.obd import (
    FaultCodes,
    VehicleInformation,
    code_number,
    code_text,
    decode_answer,
    decode_kline,
    encode_answer,
)
from protocols.vehicle_bus.obd_monitors import (
    COMPRESSION,
    CONTINUOUS,
    SPARK,
    decode_monitors,
    encode_monitors,
    monitors_of,
)
from protocols.vehicle_bus.obd_pids import PIDS, size_of
from protocols.vehicle_bus.parameter_group import NumberGroup, decode_group, encode_group, number_group
from protocols.vehicle_bus.requests import Acknowledgement, Request, encode_acknowledgement, encode_request

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
PGNS = st.sampled_from([*NAMES, 65300])


@EXAMPLES
@given(value=st.integers(0, 0x1FFFFFFF))
def test_an_identifier_is_written_back_bit_for_bit(value):
    assert encode_identifier(decode_identifier(value, 29)) == value
    assert encode_identifier(decode_identifier(value & 0x7FF, 11)) == value & 0x7FF


@pytest.mark.parametrize(
    "wrong",
    [
        StandardId(0x800),
        J1939Id(8, 61444, 255, 0),
        J1939Id(3, 1 << 18, 255, 0),
        J1939Id(3, 59904, 256, 0),
        J1939Id(3, 59905, 1, 0),
        J1939Id(3, 61444, 1, 0),
        J1939Id(3, 61444, 255, -1),
    ],
)
def test_there_is_no_such_identifier(wrong):
    with pytest.raises(LocalProtocolError):
        encode_identifier(wrong)


def test_flow_control_goes_to_the_ecu_that_answered():
    assert flow_control_id(0x7EF) == 0x7E7
    assert flow_control_id(0x18DAF110) == 0x18DA10F1
    for wrong in (0x7E7, 0x7F0, 0x18DBF110):
        with pytest.raises(LocalProtocolError):
            flow_control_id(wrong)


@EXAMPLES
@given(pgn=PGNS, data=st.binary(max_size=30))
def test_any_group_is_written_back_byte_for_byte_or_refused(pgn, data):
    try:
        group = decode_group(pgn, data)
    except RemoteProtocolError:
        return
    assert encode_group(group) == data


@EXAMPLES
@given(pgn=st.sampled_from(sorted(GROUPS)), data=st.binary(min_size=8, max_size=8))
def test_every_number_of_a_group_is_written_back(pgn, data):
    """Bits without a row are lost in the readable form, and only they."""
    values = NumberGroup(pgn, data).values()
    again = number_group(pgn, values)
    assert again.values() == values
    assert {key: again.value(key) for key in values} == values
    bits, back = int.from_bytes(data, "little"), int.from_bytes(again.data, "little")
    for signal in GROUPS[pgn].signals:
        if values[signal.key] is not None:
            mask = (1 << signal.size) - 1 << signal.bit
            assert bits & mask == back & mask


def test_every_signal_has_its_own_bits_and_reads_its_reserved_values_as_none():
    for row in GROUPS.values():
        taken = 0
        for signal in row.signals:
            mask = (1 << signal.size) - 1 << signal.bit
            assert not taken & mask, signal
            assert mask < 1 << 64
            taken |= mask
            assert signal.value(mask) is None
            assert signal.value(signal.limit << signal.bit) is None
            assert signal.value(signal.limit - 1 << signal.bit) is not None
            assert signal.raw(signal.value(signal.limit - 1 << signal.bit)) == signal.limit - 1
            for wrong in (signal.offset - 1e9, 1e15, float("nan"), float("inf")):
                with pytest.raises(LocalProtocolError):
                    signal.raw(wrong)


def test_numbers_of_another_group_are_refused():
    for pgn, values in ((65265, {"oil_temp_c": 1}), (65300, {}), (65226, {})):
        with pytest.raises(LocalProtocolError):
            number_group(pgn, values)


BYTE = st.integers(0, 255)
LAMPS = st.builds(Lamps, *[st.integers(0, 3)] * 4)
FAULTS = st.builds(Fault, BYTE, BYTE, BYTE, BYTE)


@EXAMPLES
@given(lamps=LAMPS, flash=LAMPS, faults=st.lists(FAULTS, max_size=6), tail=st.sampled_from([b"", b"\xff\xff", b"\0\0"]))
def test_a_diagnostic_message_is_read_as_it_was_written(lamps, flash, faults, tail):
    message = DiagnosticMessage(lamps, flash, tuple(faults), tail if len(faults) == 1 else b"")
    assert decode_dm(encode_dm(message)) == message


@EXAMPLES
@given(spn=st.integers(0, 0x7FFFF), fmi=st.integers(0, 31), occurrence=st.none() | st.integers(0, 126))
def test_a_fault_keeps_its_numbers(spn, fmi, occurrence):
    fault = fault_of(spn, fmi, occurrence)
    assert (fault.spn, fault.fmi, fault.occurrence, fault.conversion) == (spn, fmi, occurrence, 0)


def test_diagnostics_out_of_bounds_are_not_written():
    for spn, fmi, count in ((1 << 19, 0, 0), (0, 32, 0), (0, 0, 128)):
        with pytest.raises(LocalProtocolError):
            fault_of(spn, fmi, count)
    for wrong in (
        DiagnosticMessage(Lamps(4)),
        DiagnosticMessage(faults=(Fault(256, 0, 0, 0),)),
        DiagnosticMessage(tail=b"\xff\xff"),
        DiagnosticMessage(faults=(Fault(1, 0, 0, 0),), tail=b"\x01\x02"),
    ):
        with pytest.raises(LocalProtocolError):
            encode_dm(wrong)


@EXAMPLES
@given(values=st.tuples(*(st.integers(0, (1 << size) - 1) for _field, size in NAME_FIELDS)))
def test_a_name_is_read_as_it_was_written(values):
    assert decode_name(encode_name(Name(*values))) == Name(*values)


def test_what_cannot_be_written():
    for write in (
        lambda: encode_name(Name(1 << 21, 0)),
        lambda: vehicle_identification("A*"),
        lambda: component_identification("Ä"),
        lambda: encode_request(Request(1 << 24)),
        lambda: encode_request(Request(1, bytes(6))),
        lambda: encode_acknowledgement(Acknowledgement(256, 1)),
        lambda: encode_acknowledgement(Acknowledgement(0, 1, middle=b"")),
    ):
        with pytest.raises(LocalProtocolError):
            write()
    assert vehicle_identification(None).vin() is None


@EXAMPLES
@given(
    head=st.sampled_from([0x41, 0x43, 0x44, 0x47, 0x49, 0x4A, 0x7F, 0x50]),
    rest=st.binary(max_size=40),
    count=st.booleans(),
)
def test_any_answer_is_written_back_byte_for_byte_or_refused(head, rest, count):
    data = bytes((head,)) + rest
    try:
        answer = decode_answer(data, has_count=count)
    except RemoteProtocolError:
        return
    assert encode_answer(answer) == data


@EXAMPLES
@given(data=st.binary(max_size=9))
def test_any_request_is_written_back_byte_for_byte_or_refused(data):
    try:
        request = obd.decode_request(data)
    except RemoteProtocolError:
        return
    assert obd.encode_request(request) == data


def test_a_request_asks_for_six_pids_at_most():
    assert obd.encode_request(obd.ServiceRequest(1, bytes((0x0C, 0x0D)))) == bytes.fromhex("010C0D")
    assert obd.decode_request(bytes.fromhex("0902")) == obd.ServiceRequest(9, b"\x02")
    for wrong in ("", "01", "01" + "0C" * 7, "41"):
        with pytest.raises(RemoteProtocolError):
            obd.decode_request(bytes.fromhex(wrong))
    for wrong in (obd.ServiceRequest(1), obd.ServiceRequest(1, bytes(7)), obd.ServiceRequest(0x40)):
        with pytest.raises(LocalProtocolError):
            obd.encode_request(wrong)


@EXAMPLES
@given(parts=st.lists(st.binary(max_size=8), min_size=2, max_size=6), order=st.randoms(use_true_random=False))
def test_numbered_messages_of_a_k_line_are_joined_in_their_order(parts, order):
    messages = [bytes((0x49, 0x06, number)) + part for number, part in enumerate(parts, 1)]
    shuffled = order.sample(messages, len(messages))
    assert decode_kline(shuffled) == VehicleInformation(6, b"".join(parts))
    for wrong in ([message for message in shuffled if message[2] != 1], [*shuffled, b"\x44"]):
        with pytest.raises(RemoteProtocolError):
            decode_kline(wrong)


@EXAMPLES
@given(
    messages=st.lists(st.binary(min_size=1, max_size=8), max_size=6), head=st.sampled_from([b"", b"\x43", b"\x49\x02"])
)
def test_any_messages_of_a_k_line_are_an_answer_or_refused(messages, head):
    messages = [head + message for message in messages]
    try:
        answer = decode_kline(messages)
    except RemoteProtocolError:
        return
    if isinstance(answer, FaultCodes):
        assert len(answer.numbers) == sum(len(message) // 2 for message in messages)
    elif not isinstance(answer, VehicleInformation):
        assert [encode_answer(answer)] == messages


@EXAMPLES
@given(pid=st.sampled_from(sorted(PIDS)), data=st.binary(min_size=4, max_size=4))
def test_every_pid_is_written_back(pid, data):
    row = PIDS[pid]
    data = data[: row.size]
    assert size_of(pid) == row.size
    assert row.octets(row.value(data)) == data
    for wrong in (1e12, -1e12, float("nan")):
        with pytest.raises(LocalProtocolError):
            row.octets(wrong)
    message = decode_message({"kind": "obd", "hex": f"41{pid:02x}{data.hex()}"})
    assert encode_message(message) == {"hex": f"41{pid:02x}{data.hex()}"}


@EXAMPLES
@given(data=st.binary(min_size=4, max_size=4))
def test_monitors_are_written_back(data):
    monitors = decode_monitors(data)
    assert encode_monitors(monitors) == data
    again = monitors_of(
        has_lamp=monitors.has_lamp,
        fault_count=monitors.fault_count,
        ignition=monitors.ignition,
        supported=monitors.supported(),
        incomplete=monitors.incomplete(),
    )
    assert (again.supported(), again.incomplete(), again.a) == (monitors.supported(), monitors.incomplete(), data[0])
    names = {*CONTINUOUS, *(COMPRESSION if monitors.ignition == "compression" else SPARK)}
    assert names >= set(monitors.supported()) >= set(monitors.incomplete())


@EXAMPLES
@given(number=st.integers(0, 0xFFFF))
def test_a_fault_code_is_read_as_it_is_written(number):
    assert code_number(code_text(number)) == number


@pytest.mark.parametrize(
    "text",
    ["", "P042", "X0420", "P4420", "P04G0", "P04 0", "P04200", "P00x1", "P01_2", "P0+40", "P0-40", "P0 40", "P0420\n"],
)
def test_there_is_no_such_fault_code(text):
    with pytest.raises(LocalProtocolError):
        code_number(text)


LAMP = {"mil": 1, "dtc_count": 1, "ignition": "spark", "monitors": [], "monitors_incomplete": []}
BAD_MESSAGES = [
    {},
    {"kind": "lin"},
    {"kind": "can_id", "group": "EEC9"},
    {"kind": "can_id", "pgn": 61444, "priority": 8},
    {"kind": "can_id", "bits": 11, "id": 2048},
    {"kind": "j1939", "bits": 11, "id": 1},
    {"kind": "j1939", "group": "EEC1", "colour": 1},
    {"kind": "j1939", "group": "EEC1", "engine_speed_rpm": "fast"},
    {"kind": "j1939", "group": "EEC1", "engine_speed_rpm": 10**400},
    {"kind": "j1939", "group": "DM1", "dtcs": [1]},
    {"kind": "j1939", "group": "DM1"},
    {"kind": "j1939", "group": "CI", "component_id": 1},
    {"kind": "j1939", "pgn": 65300},
    {"kind": "j1939_tp", "messages": [{"pgn": 1, "source": 1, "data_hex": "00"}]},
    {"kind": "j1939_tp", "messages": {}},
    {"kind": "obd"},
    {"kind": "obd", "service": 2},
    {"kind": "obd", "service": 1, "colour": 1},
    {"kind": "obd", "service": 1},
    {"kind": "obd", "service": 1, "speed_kmh": None},
    {"kind": "obd", "service": 1, "speed_kmh": 10**400},
    {"kind": "obd", "service": 1, "speed_kmh": float("nan")},
    {"kind": "obd", "service": 1, "speed_kmh": 50, "raw": "00"},
    {"kind": "obd", "service": 1, "speed_kmh": 50, "dtc_count": 1},
    {"kind": "obd", "service": 1, "unknown_pid": 0x0D, "raw": "32"},
    {"kind": "obd", "service": 1, "fuel_system": [1, 2, 3]},
    {"kind": "obd", "service": 1, "fuel_system": [1]},
    {"kind": "obd", "service": 1, "supported_pids": [0, 1]},
    {"kind": "obd", "service": 1, "mil": 1},
    {"kind": "obd", "service": 3, "dtcs": [1]},
    {"kind": "obd", "service": 3, "dtcs": [], "bus": "lin"},
    {"kind": "obd", "service": 3, "dtcs": ["P0420", "P0421"], "dtc_count": 1},
    {"kind": "obd", "service": 3, "dtcs": ["P0420"] * 256},
    {"kind": "obd", "service": 9, "info": 2, "vin": "short"},
    {"kind": "obd", "service": 9, "info": 4, "calibration_ids": []},
    {"kind": "obd", "service": 9, "info": 6, "cvns": ["xx"]},
    {"kind": "obd", "service": 9, "info": 6, "cvns": ["0000"]},
    {"kind": "obd", "service": 9, "info": 6, "cvns": ["00000000"] * 256},
    {"kind": "obd", "service": 9, "info": 6, "cvns": ["00000000"] * 256, "bus": "kline"},
    {"kind": "obd", "service": 9, "info": 0, "supported_infos": [33]},
    {"kind": "obd", "service": 9, "info": 0, "supported_infos": ["2"]},
    {"kind": "obd", "service": 1, **LAMP, "dtc_count": 128},
    {"kind": "obd", "service": 1, **LAMP, "ignition": "steam"},
    {"kind": "obd", "service": 1, **LAMP, "monitors": ["nox_scr"]},
    {"kind": "obd", "service": 9, "info": 10, "ecu_name": "x" * 21},
    {"kind": "obd", "service": 256, "negative_code": 1},
    {"kind": "isotp", "messages": ["xx"]},
    {"kind": "isotp_frame", "type": "odd"},
    {"kind": "isotp_frame", "type": "single", "data_hex": "00" * 8},
    {"kind": "isotp_frame", "type": "single", "data_hex": "00" * 63, "fd": True},
    {"kind": "isotp_frame", "type": "first", "length": 10, "data_hex": "00" * 7},
    {"kind": "isotp_frame", "type": "first", "length": 10, "data_hex": "00" * 5},
    {"kind": "isotp_frame", "type": "first", "length": 7, "data_hex": "00" * 6},
    {"kind": "isotp_frame", "type": "consecutive", "sequence": 1, "data_hex": "00" * 8},
    {"kind": "isotp_frame", "type": "consecutive", "sequence": 1, "data_hex": ""},
    {"kind": "isotp_frame", "type": "flow_control", "status": "maybe"},
    {"kind": "isotp_frame", "type": "flow_control", "status": "wait", "block_size": 0, "st_min_ms": 1.5},
    {"kind": "isotp_frame", "type": "flow_control", "status": "wait", "block_size": 0, "st_min_ms": float("inf")},
    {"kind": "elm", "status": "sad"},
    {"kind": "elm", "answers": [{"ecu": "10", "data_hex": "41"}]},
    {"kind": "elm", "answers": [{"ecu": "7E8", "data_hex": ""}]},
    {"kind": "elm", "answers": [{"ecu": None, "data_hex": "41" * 4096}]},
]


@pytest.mark.parametrize("message", BAD_MESSAGES, ids=str)
def test_a_message_that_cannot_be_written(message):
    with pytest.raises(LocalProtocolError):
        encode_message(message)


@EXAMPLES
@given(
    kind=st.sampled_from(["can_id", "j1939", "obd", "isotp_frame"]),
    digits=st.binary(max_size=20).map(bytes.hex),
    identifier=st.sampled_from(["18FECA00", "18FEEB00", "18FEEC00", "18EEFF00", "0CF00400", "18E8FF00"]),
)
def test_any_hex_is_read_or_refused(kind, digits, identifier):
    case = {"kind": kind, "hex": digits, **({"id": identifier} if kind == "j1939" else {})}
    try:
        message = decode_message(case)
    except RemoteProtocolError:
        return
    try:
        written = encode_message(message)
    except LocalProtocolError:
        return
    assert decode_message({**case, **written}) == message
