"""Requests and answers: the examples of the standard's clause 6, both ways, and their limits."""

import doctest

import pytest

from protocols.core.errors import NEED_DATA, FieldError, FrameError, LocalProtocolError
from protocols.modbus_devices import lengths, pdu
from protocols.modbus_devices.lengths import request_bytes, response_bytes
from protocols.modbus_devices.pdu import (
    BitsResponse,
    DeviceId,
    ExceptionResponse,
    RawPdu,
    ReadDeviceId,
    ReadRequest,
    ReadWriteRegisters,
    RegistersResponse,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
    WrittenRange,
    check_answer,
    decode_request,
    decode_response,
    pack_bits,
    pack_registers,
)

# MODBUS Application Protocol Specification V1.1b3: the example of each clause, request and answer.
EXAMPLES = {
    "6.1 read coils": (
        "0100130013",
        ReadRequest(1, 0x13, 19),
        "0103cd6b05",
        BitsResponse(1, bytes.fromhex("cd6b05")),
    ),
    "6.2 read discrete inputs": (
        "0200c40016",
        ReadRequest(2, 0xC4, 22),
        "0203acdb35",
        BitsResponse(2, bytes.fromhex("acdb35")),
    ),
    "6.3 read holding registers": (
        "03006b0003",
        ReadRequest(3, 0x6B, 3),
        "0306022b00000064",
        RegistersResponse(3, bytes.fromhex("022b00000064")),
    ),
    "6.4 read input registers": (
        "0400080001",
        ReadRequest(4, 8, 1),
        "0402000a",
        RegistersResponse(4, bytes.fromhex("000a")),
    ),
    "6.5 write single coil": ("0500acff00", WriteCoil(0xAC, True), "0500acff00", WriteCoil(0xAC, True)),
    "6.6 write single register": ("0600010003", WriteRegister(1, 3), "0600010003", WriteRegister(1, 3)),
    "6.11 write multiple coils": (
        "0f0013000a02cd01",
        WriteCoils(0x13, 10, bytes.fromhex("cd01")),
        "0f0013000a",
        WrittenRange(15, 0x13, 10),
    ),
    "6.12 write multiple registers": (
        "100001000204000a0102",
        WriteRegisters(1, bytes.fromhex("000a0102")),
        "1000010002",
        WrittenRange(16, 1, 2),
    ),
    "6.17 read/write multiple registers": (
        "1700030006000e00030600ff00ff00ff",
        ReadWriteRegisters(3, 6, 0xE, bytes.fromhex("00ff00ff00ff")),
        "170c00fe0acd00010003000d00ff",
        RegistersResponse(0x17, bytes.fromhex("00fe0acd00010003000d00ff")),
    ),
    "6.21 read device identification": (
        "2b0e0100",
        ReadDeviceId(1, 0),
        "2b0e0101000003"
        + b"\x00\x16Company identification".hex()
        + b"\x01\x0fProduct code XX".hex()
        + b"\x02\x05V2.11".hex(),
        DeviceId(1, 1, 0, 0, [(0, b"Company identification"), (1, b"Product code XX"), (2, b"V2.11")]),
    ),
}
# Functions that the standard has and this codec keeps as bytes.
RAW_EXAMPLES = {
    "6.7 read exception status": ("07", "076d"),
    "6.8 diagnostics": ("080000a537", "080000a537"),
    "6.9 get comm event counter": ("0b", "0bffff0108"),
    "6.10 get comm event log": ("0c", "0c08000001080121" + "2000"),
    "6.13 report server id": ("11", "110300ff00"),
    "6.14 read file record": ("140e0600040001000206000300090002", "140c05060dfe0020050633cd0040"),
    "6.15 write file record": ("150d0600040007000306af04be100d", "150d0600040007000306af04be100d"),
    "6.16 mask write register": ("16000400f20025", "16000400f20025"),
    "6.18 read fifo queue": ("1804de", "180006000201b81284"),
    "6.19 CANopen over 2B": ("2b0d0102", "2b0d0102"),
}
example = pytest.mark.parametrize(
    ("request_hex", "request_pdu", "answer_hex", "answer_pdu"), EXAMPLES.values(), ids=EXAMPLES
)


@example
def test_example_of_the_standard_decodes(request_hex, request_pdu, answer_hex, answer_pdu):
    assert decode_request(bytes.fromhex(request_hex)) == request_pdu
    assert decode_response(bytes.fromhex(answer_hex)) == answer_pdu
    check_answer(request_pdu, answer_pdu)


@example
def test_example_of_the_standard_encodes(request_hex, request_pdu, answer_hex, answer_pdu):
    assert request_pdu.encode().hex() == request_hex
    assert answer_pdu.encode().hex() == answer_hex
    if request_pdu.response_bytes is not None:
        assert request_pdu.response_bytes == len(answer_hex) // 2


@pytest.mark.parametrize(("request_hex", "answer_hex"), RAW_EXAMPLES.values(), ids=RAW_EXAMPLES)
def test_other_functions_of_the_standard_keep_their_bytes(request_hex, answer_hex):
    for decode, wire in ((decode_request, request_hex), (decode_response, answer_hex)):
        raw = decode(bytes.fromhex(wire))
        assert isinstance(raw, RawPdu)
        assert raw.encode().hex() == wire


@pytest.mark.parametrize(
    ("wire_request", "wire_answer"),
    [
        *[(bytes.fromhex(row[0]), bytes.fromhex(row[2])) for row in EXAMPLES.values()],
        *[(bytes.fromhex(row[0]), bytes.fromhex(row[1])) for name, row in RAW_EXAMPLES.items() if "2B" not in name],
    ],
)
def test_the_first_bytes_tell_the_length(wire_request, wire_answer):
    assert request_bytes(wire_request + b"tail", 0, len(wire_request) + 4) == len(wire_request)
    assert response_bytes(wire_answer + b"tail", 0, len(wire_answer) + 4) == len(wire_answer)
    assert response_bytes(bytes((wire_answer[0] | 0x80, 2)), 0, 2) == 2


@pytest.mark.parametrize(
    ("head", "of_request", "of_answer"),
    [
        ("", NEED_DATA, NEED_DATA),
        ("41", None, None),
        ("2b", NEED_DATA, NEED_DATA),
        ("2b0d", None, None),
        ("2b0e", 4, NEED_DATA),
        ("2b0e0101000001", 4, NEED_DATA),
        ("2b0e0101000002" + "00ff" + 255 * "00" + "00ff", 4, None),  # longer than any PDU
        ("18", 3, NEED_DATA),
        ("10", NEED_DATA, 5),
        ("03", 5, NEED_DATA),
    ],
)
def test_a_head_that_says_too_little(head, of_request, of_answer):
    wire = bytes.fromhex(head)
    assert request_bytes(wire, 0, len(wire)) is of_request or request_bytes(wire, 0, len(wire)) == of_request
    assert response_bytes(wire, 0, len(wire)) is of_answer or response_bytes(wire, 0, len(wire)) == of_answer


def test_bits_have_the_lowest_of_the_first_byte_first():
    bits = decode_response(bytes.fromhex("0103cd6b05")).bits
    assert bits[:8] == [True, False, True, True, False, False, True, True]  # 27 to 20: CDH, clause 6.1
    assert pack_bits(bits) == bytes.fromhex("cd6b05")


def test_exceptions_are_answers():
    for function in (1, 4, 0x10, 0x2B, 0x55):
        answer = decode_response(bytes((function | 0x80, 2)))
        assert answer == ExceptionResponse(function, 2)
        assert answer.encode() == bytes((function | 0x80, 2))
    assert decode_response(b"\x81\xe0").exception_code == 0xE0  # a maker's own code survives


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        ("", FrameError),
        ("0000000001", FieldError),  # no function 0
        ("8300000001", FieldError),  # an exception is no request
        ("01000007d1", FieldError),  # 2001 bits
        ("0300000000", FieldError),
        ("030000007e", FieldError),
        ("03000000", FrameError),
        ("030000000102", FrameError),
        ("0500031234", FieldError),
        ("0f000007b1f7" + 247 * "00", FieldError),  # 1969 coils
        ("0f0000000a01ff", FrameError),  # ten coils in one byte
        ("100000007cf8" + 248 * "00", FrameError),  # 124 registers make the PDU too long as well
        ("100000000103000000", FrameError),
        ("10000000010200", FrameError),
        ("17000000000000000102ffff", FieldError),
        ("1700000001000000000000", FrameError),
        ("2b0e01", FrameError),
        ("03" + 253 * "00", FrameError),  # longer than any PDU
    ],
)
def test_requests_outside_the_limits_are_refused(wire, error):
    with pytest.raises(error):
        decode_request(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        ("", FrameError),
        ("80", FieldError),
        ("83", FrameError),
        ("830200", FrameError),
        ("0300", FieldError),
        ("0301ff", FieldError),  # half a register
        ("0304ffff", FrameError),
        ("0302ffffff", FrameError),
        ("0100", FieldError),
        ("01fb" + 251 * "00", FieldError),
        ("0500000001", FieldError),
        ("0f00000000", FieldError),
        ("100000007c", FieldError),
        ("2b0e01010000", FrameError),
        ("2b0e0101000001", FrameError),
        ("2b0e0101000001000541", FrameError),
        ("2b0e010100000000", FrameError),
    ],
)
def test_answers_outside_the_limits_are_refused(wire, error):
    with pytest.raises(error):
        decode_response(bytes.fromhex(wire))


@pytest.mark.parametrize(
    "nonsense",
    [
        ReadRequest(5, 0, 1),
        ReadRequest(3, -1, 1),
        ReadRequest(3, 0x10000, 1),
        ReadRequest(3, 0, 126),
        ReadRequest(1, 0, 2001),
        ReadRequest(4, 0, 0),
        WriteCoil(70_000, True),
        WriteRegister(0, 65_536),
        WriteCoils(0, 9, b"\0"),
        WriteCoils(0, 1969, bytes(247)),
        WriteRegisters(0, b""),
        WriteRegisters(0, b"abc"),
        WriteRegisters(0, bytes(248)),
        ReadWriteRegisters(0, 126, 0, b"ab"),
        ReadWriteRegisters(0, 1, 0, bytes(244)),
        ReadDeviceId(256),
        BitsResponse(1, b""),
        RegistersResponse(3, bytes(252)),
        WrittenRange(16, 0, 124),
        DeviceId(1, 1, 0, 0, [(0, bytes(250))]),
        ExceptionResponse(0, 1),
        RawPdu(0x80, b""),
        RawPdu(0x41, bytes(253)),
    ],
    ids=repr,
)
def test_what_no_frame_can_carry_is_our_own_mistake(nonsense):
    with pytest.raises(LocalProtocolError):
        nonsense.encode()


def test_registers_outside_16_bits_are_our_own_mistake():
    with pytest.raises(LocalProtocolError):
        pack_registers([0, -1])


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        (ReadRequest(3, 0, 2), RegistersResponse(4, bytes(4))),
        (ReadRequest(3, 0, 2), RegistersResponse(3, bytes(2))),
        (ReadRequest(1, 0, 9), BitsResponse(1, bytes(1))),
        (WriteCoil(1, True), WriteCoil(1, False)),
        (WriteRegister(1, 5), WriteRegister(2, 5)),
        (WriteRegisters(1, bytes(4)), WrittenRange(16, 1, 1)),
        (WriteCoils(1, 3, b"\1"), WrittenRange(15, 2, 3)),
        (ReadRequest(3, 0, 2), ExceptionResponse(4, 2)),
    ],
    ids=repr,
)
def test_an_answer_to_another_request_is_refused(request_pdu, answer):
    with pytest.raises(FieldError):
        check_answer(request_pdu, answer)


@pytest.mark.parametrize(
    ("request_pdu", "answer", "stranger"),
    [
        (ReadRequest(3, 0, 2), ExceptionResponse(3, 2), ExceptionResponse(4, 2)),
        (RawPdu(0x41, b"x"), RawPdu(0x41, b"y"), RawPdu(0x42, b"y")),
    ],
    ids=repr,
)
def test_an_answer_of_the_function_belongs_to_its_request(request_pdu, answer, stranger):
    assert check_answer(request_pdu, answer) is None
    with pytest.raises(FieldError):
        check_answer(request_pdu, stranger)


def test_every_request_and_answer_writes_itself():
    kinds = [pdu.Pdu]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert RawPdu in kinds
    without = {kind for kind in kinds if kind.encode is pdu.Pdu.encode}
    assert without == {pdu.Pdu, pdu.Request}


def test_examples_in_the_docstrings():
    assert doctest.testmod(pdu).failed == 0
    assert doctest.testmod(lengths).failed == 0
