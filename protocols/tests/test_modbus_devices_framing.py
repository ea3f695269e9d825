"""RTU frames: one, the answer to a known request, a line listened to; examples in docstrings."""

import doctest
import random

import fastcrc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, LocalProtocolError
from protocols.modbus_devices import rtu, tcp, umb
from protocols.modbus_devices.pdu import (
    DeviceId,
    ExceptionResponse,
    RawPdu,
    ReadDeviceId,
    ReadRequest,
    RegistersResponse,
    WriteRegister,
    WriteRegisters,
    WrittenRange,
)
from protocols.modbus_devices.rtu import ANY, REQUESTS, RESPONSES, RtuFrame, RtuFramer, decode_rtu, encode_rtu
from protocols.tests.kit import cases_of, drip, frames_of, noisy, pieces

RTU_WIRES = [
    pytest.param(bytes.fromhex(case["hex"]), id=case["name"])
    for case in cases_of("modbus_devices")
    if "hex" in case and "protocol" not in case and "error" not in case["expect"]
]
READ = ReadRequest(3, 0x10, 4)
ANSWER = RegistersResponse(3, bytes.fromhex("0102030405060708"))


def answer_framer(unit_id=1, request=READ):
    framer = RtuFramer(fastcrc.crc16.modbus)
    framer.expect_answer(unit_id, request)
    return framer


def answer_wire(unit_id=1, answer=ANSWER):
    return encode_rtu(unit_id, answer.encode())


# -- RTU: one frame -----


@pytest.mark.parametrize("wire", RTU_WIRES)
def test_vector_is_framed_both_ways(wire):
    frame = decode_rtu(wire)
    assert encode_rtu(frame.unit_id, frame.pdu) == wire
    assert encode_rtu(frame.unit_id, frame.pdu, fastcrc.crc16.modbus) == wire
    assert drip(RtuFramer(), wire) == [frame]


@pytest.mark.parametrize("wire", RTU_WIRES)
def test_vector_is_found_again_after_noise(wire):
    for seed in range(8):
        assert noisy(RtuFramer(), wire, seed=seed, ceiling=rtu.MAX_RTU_BYTES)[-1] == decode_rtu(wire)


@pytest.mark.parametrize(("wire", "error"), [("010400", FrameError), ("01040443663334381b", ChecksumError)])
def test_a_broken_frame_is_refused(wire, error):
    with pytest.raises(error):
        decode_rtu(bytes.fromhex(wire))


def test_a_frame_above_256_bytes_is_refused():
    with pytest.raises(FrameError):
        decode_rtu(bytes(257))


@pytest.mark.parametrize(("unit_id", "pdu"), [(-1, b"\3"), (256, b"\3"), (1, b""), (1, bytes(254))])
def test_no_frame_for_nonsense(unit_id, pdu):
    with pytest.raises(LocalProtocolError):
        encode_rtu(unit_id, pdu)


# -- RTU: the answer to a known request -----


def test_answer_is_found_byte_by_byte():
    framer = answer_framer()
    assert drip(framer, answer_wire()) == [RtuFrame(1, ANSWER.encode())]
    assert framer.discarded_bytes == 0


def test_exception_is_an_answer():
    framer = answer_framer()
    assert drip(framer, encode_rtu(1, ExceptionResponse(3, 2).encode())) == [RtuFrame(1, bytes.fromhex("8302"))]


@pytest.mark.parametrize(
    "foreign",
    [
        answer_wire(2),  # another unit's
        answer_wire(1, RegistersResponse(4, bytes(8))),  # another function's
        answer_wire(1, RegistersResponse(3, bytes(2))),  # another length: late, to an earlier request
        encode_rtu(1, READ.encode()),  # the echo of our own request
        b"\0\xff\x01\x03",
    ],
)
def test_foreign_frames_are_noise(foreign):
    framer = answer_framer()
    assert drip(framer, foreign + answer_wire()) == [RtuFrame(1, ANSWER.encode())]
    assert framer.discarded_bytes == len(foreign)


def test_any_unit_may_answer_where_none_is_named():
    framer = answer_framer(unit_id=None)
    assert drip(framer, answer_wire(77)) == [RtuFrame(77, ANSWER.encode())]


def test_a_bad_check_is_counted_and_the_next_frame_found():
    broken = bytearray(answer_wire())
    broken[5] ^= 1
    framer = answer_framer()
    assert drip(framer, bytes(broken) + answer_wire()) == [RtuFrame(1, ANSWER.encode())]
    assert framer.bad_checks == 1
    assert framer.discarded_bytes == len(broken)


def test_a_true_answer_behind_a_false_header_is_not_swallowed():
    """The false header is just like ours; the true frame ends after it would have, so it comes out at its last byte."""
    for cut in range(1, 12):
        framer = answer_framer()
        wire = answer_wire()[:cut] + answer_wire()
        framer.feed(wire[:-1])
        assert framer.next_frame() is NEED_DATA
        framer.feed(wire[-1:])
        assert framer.next_frame() == RtuFrame(1, ANSWER.encode())
        assert framer.next_frame() is NEED_DATA


def test_silence_frees_an_exception_that_a_false_header_holds_back():
    framer = answer_framer()
    framer.feed(b"\x01\x03\x08" + encode_rtu(1, b"\x83\x06"))
    assert framer.next_frame() is NEED_DATA
    framer.silence()
    assert framer.next_frame() == RtuFrame(1, b"\x83\x06")


def test_reset_forgets_a_late_answer():
    framer = answer_framer()
    framer.feed(answer_wire())
    assert framer.reset() == len(answer_wire())
    assert framer.next_frame() is NEED_DATA
    assert drip(framer, answer_wire(1)) == [RtuFrame(1, ANSWER.encode())]


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        (WriteRegister(7, 8), WriteRegister(7, 8)),
        (WriteRegisters(7, b"abcd"), WrittenRange(16, 7, 2)),
        (ReadRequest(1, 0, 9), RawPdu(1, b"\x02\x01\x01")),
        (ReadDeviceId(1), DeviceId(1, 1, 0, 0, [(0, b"Acme"), (1, b""), (2, b"V1")])),
        (RawPdu(0x11, b""), RawPdu(0x11, b"\x02\x0a\xff")),
        (RawPdu(7, b""), RawPdu(7, b"\x6d")),
    ],
)
def test_answers_of_every_kind_are_found_byte_by_byte(request_pdu, answer):
    framer = answer_framer(9, request_pdu)
    wire = encode_rtu(9, answer.encode())
    assert drip(framer, b"\x00" + wire) == [RtuFrame(9, answer.encode())]


def test_an_answer_of_unknown_length_ends_with_silence():
    framer = answer_framer(9, RawPdu(0x41, b"?"))
    framer.feed(encode_rtu(9, b"\x41whatever"))
    assert framer.next_frame() is NEED_DATA
    framer.silence()
    assert framer.next_frame() == RtuFrame(9, b"\x41whatever")
    framer.feed(b"\x09\x41" + bytes(2000))  # never silent: given up, not waited for for ever
    assert framer.next_frame() is NEED_DATA
    framer.feed(encode_rtu(9, b"\xc1\x01"))
    assert frames_of(framer)[-1:] == [RtuFrame(9, b"\xc1\x01")]


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_after_any_noise_the_answer_is_found(noise, seed):
    framer = answer_framer()
    found = []
    for piece in pieces(noise + answer_wire(), seed):
        framer.feed(piece)
        found += frames_of(framer)
    framer.silence()
    found += frames_of(framer)
    assert found[-1] == RtuFrame(1, ANSWER.encode())


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=3), st.integers(0, 2**32))
def test_every_later_frame_is_found(noise, seed):
    framer = answer_framer()
    found = []
    for piece in pieces(bytes(noise) + answer_wire() * 5, seed):
        framer.feed(piece)
        found += frames_of(framer)
    assert found == [RtuFrame(1, ANSWER.encode())] * 5
    assert framer.discarded_bytes == len(noise)


# -- RTU: listening to everything -----


@pytest.mark.parametrize(("kind", "wire"), [(REQUESTS, encode_rtu(1, READ.encode())), (RESPONSES, answer_wire())])
def test_requests_and_answers_can_be_told_apart(kind, wire):
    both = encode_rtu(1, READ.encode()) + answer_wire()
    framer = RtuFramer()
    framer.expect(kind)
    framer.feed(both)
    found = frames_of(framer)
    framer.silence()
    assert found + frames_of(framer) == [decode_rtu(wire)]
    framer.expect(ANY)
    framer.feed(both)
    assert frames_of(framer) == [RtuFrame(1, READ.encode()), RtuFrame(1, ANSWER.encode())]


def test_a_function_nobody_knows_is_a_frame_between_two_silences():
    wire = encode_rtu(1, b"\x41\1\2\3")
    framer = RtuFramer()
    framer.feed(wire)
    framer.silence()
    assert frames_of(framer) == [decode_rtu(wire)]
    framer.feed(b"\0" + wire)
    framer.silence()
    assert frames_of(framer) == []  # what stands between the silences is no frame


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**32))
def test_a_silence_ends_all_noise(noise, seed):
    framer = RtuFramer()
    for piece in pieces(noise, seed):
        framer.feed(piece)
        frames_of(framer)
    framer.silence()
    frames_of(framer)
    assert drip(framer, answer_wire()) == [RtuFrame(1, ANSWER.encode())]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.sampled_from([ANY, REQUESTS, RESPONSES, "answer"]))
def test_an_endless_stream_stays_bounded_and_accounted_for(seed, kind):
    rng = random.Random(seed)
    framer = answer_framer()
    if kind != "answer":
        framer.expect(kind)
    fed = framed = 0
    for _ in range(60):
        data = rng.randbytes(rng.randint(0, 400))
        if rng.random() < 0.1:
            framer.silence()
        framer.feed(data)
        fed += len(data)
        framed += sum(len(frame.pdu) + 3 for frame in frames_of(framer))
    left = framer.reset()
    assert left <= 1024
    assert framed + framer.discarded_bytes == fed


def test_more_than_the_ceiling_at_once_pushes_out_the_oldest():
    framer = answer_framer()
    framer.feed(bytes(5000) + answer_wire())
    assert frames_of(framer) == [RtuFrame(1, ANSWER.encode())]
    assert framer.discarded_bytes == 5000


@pytest.mark.parametrize("wire", RTU_WIRES)
@pytest.mark.parametrize("is_server", [True, False])
def test_pymodbus_frames_alike(wire, is_server):
    theirs = FramerRTU(DecodePDU(is_server))
    used, unit_id, _, pdu = theirs.decode(wire)
    if not used or not pdu:  # a frame of the other direction
        return
    assert RtuFrame(unit_id, pdu) == decode_rtu(wire)
    assert theirs.encode(pdu, unit_id, 0) == wire


def test_examples_in_the_docstrings():
    for module in (rtu, tcp, umb):
        assert doctest.testmod(module).failed == 0
