"""Requests and answers of any content, both ways, and pymodbus as a witness."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.pdu import DecodePDU

from protocols.core.errors import RemoteProtocolError
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
    decode_request,
    decode_response,
    pack_bits,
    unpack_bits,
)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=260))
def test_any_bytes_raise_only_remote_errors_and_what_decodes_encodes_back(data):
    for decode in (decode_request, decode_response):
        try:
            decoded = decode(data)
        except RemoteProtocolError:
            continue
        assert decoded.encode() == data
        assert decoded == decode(data)
        assert hash(decoded) == hash(decode(data))
        assert repr(decoded)


addresses = st.integers(0, 0xFFFF)
words = st.integers(1, 100).map(lambda n: bytes(range(2 * n)))
requests = st.one_of(
    st.builds(ReadRequest, st.integers(1, 2), addresses, st.integers(1, 2000)),
    st.builds(ReadRequest, st.integers(3, 4), addresses, st.integers(1, 125)),
    st.builds(WriteCoil, addresses, st.booleans()),
    st.builds(WriteRegister, addresses, addresses),
    st.lists(st.booleans(), min_size=1, max_size=1968).map(lambda bits: WriteCoils(9, len(bits), pack_bits(bits))),
    st.builds(WriteRegisters, addresses, words),
    st.builds(ReadWriteRegisters, addresses, st.integers(1, 125), addresses, words),
    st.builds(ReadDeviceId, st.integers(0, 255), st.integers(0, 255)),
    st.builds(RawPdu, st.sampled_from([7, 8, 0x16, 0x41, 0x7F]), st.binary(max_size=252)),
)
responses = st.one_of(
    st.builds(BitsResponse, st.integers(1, 2), st.binary(min_size=1, max_size=250)),
    st.builds(RegistersResponse, st.sampled_from([3, 4, 0x17]), words),
    st.builds(WrittenRange, st.just(15), addresses, st.integers(1, 1968)),
    st.builds(WrittenRange, st.just(16), addresses, st.integers(1, 123)),
    st.builds(ExceptionResponse, st.integers(1, 0x7F), st.integers(0, 255)),
    st.builds(
        DeviceId,
        st.integers(0, 255),
        st.integers(0, 255),
        st.sampled_from([0, 255]),
        st.integers(0, 255),
        st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=8),
    ),
)


@settings(derandomize=True, deadline=None)
@given(requests)
def test_encode_then_decode_is_identity_for_requests(request_pdu):
    assert decode_request(request_pdu.encode()) == request_pdu


@settings(derandomize=True, deadline=None)
@given(responses)
def test_encode_then_decode_is_identity_for_answers(answer):
    assert decode_response(answer.encode()) == answer


@settings(derandomize=True, deadline=None)
@given(requests)
def test_pymodbus_reads_our_requests_alike(request_pdu):
    if isinstance(request_pdu, (RawPdu, ReadDeviceId)):
        return
    theirs = DecodePDU(is_server=True).decode(request_pdu.encode())
    assert theirs is not None
    assert theirs.function_code == request_pdu.function
    if isinstance(request_pdu, ReadRequest):
        assert (theirs.address, theirs.count) == (request_pdu.start_address, request_pdu.quantity)
    elif isinstance(request_pdu, WriteCoil):
        assert (theirs.address, theirs.bits[0]) == (request_pdu.start_address, request_pdu.coil_value)
    elif isinstance(request_pdu, WriteRegister):
        assert (theirs.address, theirs.registers[0]) == (request_pdu.start_address, request_pdu.register_value)
    elif isinstance(request_pdu, WriteCoils):
        assert theirs.bits[: request_pdu.quantity] == request_pdu.bits
    elif isinstance(request_pdu, WriteRegisters):
        assert (theirs.address, theirs.registers) == (request_pdu.start_address, list(request_pdu.registers))
    else:
        assert (theirs.read_address, theirs.read_count) == (request_pdu.start_address, request_pdu.quantity)
        assert (theirs.write_address, theirs.write_registers) == (
            request_pdu.write_start_address,
            list(request_pdu.registers),
        )
    assert bytes((theirs.function_code,)) + theirs.encode() == request_pdu.encode()


@settings(derandomize=True, deadline=None)
@given(responses)
def test_pymodbus_reads_our_answers_alike(answer):
    if isinstance(answer, DeviceId):
        return
    theirs = DecodePDU(is_server=False).decode(answer.encode())
    assert theirs is not None
    if isinstance(answer, RegistersResponse):
        assert theirs.registers == list(answer.registers)
    elif isinstance(answer, BitsResponse):
        assert theirs.bits == unpack_bits(answer.data)
    elif isinstance(answer, ExceptionResponse):
        assert theirs.exception_code == answer.exception_code
    else:
        assert (theirs.address, theirs.count) == (answer.start_address, answer.quantity)
