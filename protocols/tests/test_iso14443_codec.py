"""ISO/IEC 14443 on the air: what its codecs read and write back, what they refuse, and any bytes."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core import checksum
from protocols.core.errors import (
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    RemoteProtocolError,
)
from protocols.iso14443 import activation, air, apdu, ber_tlv, block, crc, type_a, type_b
from protocols.tests.iso14443_cases import GOOD, hostile_bytes

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
WIRE_CODECS = {
    "atqa": (type_a.decode_atqa, type_a.encode_atqa),
    "anticoll_reply": (type_a.decode_anticollision_reply, type_a.encode_anticollision_reply),
    "select": (type_a.decode_select, type_a.encode_select),
    "sak": (type_a.decode_sak, type_a.encode_sak),
    "atqb": (type_b.decode_atqb, type_b.encode_atqb),
    "attrib": (type_b.decode_attrib, type_b.encode_attrib),
    "attrib_answer": (type_b.decode_attrib_answer, type_b.encode_attrib_answer),
    "reqb": (type_b.decode_reqb, type_b.encode_reqb),
    "slot_marker": (type_b.decode_slot_marker, type_b.encode_slot_marker),
    "hltb": (type_b.decode_hltb, type_b.encode_hltb),
    "rats": (activation.decode_rats, activation.encode_rats),
    "ats": (activation.decode_ats, activation.encode_ats),
    "pps": (activation.decode_pps, activation.encode_pps),
    "block": (block.decode_block, block.encode_block),
    "apdu_command": (apdu.decode_command, apdu.encode_command),
    "apdu_response": (apdu.decode_response, apdu.encode_response),
    "ber_tlv": (ber_tlv.decode_tlv, ber_tlv.encode_tlv),
}


@pytest.mark.parametrize("case", [case for case in GOOD if case["kind"] in WIRE_CODECS], ids=lambda case: case["name"])
def test_the_wire_type_loses_nothing(case):
    decode, encode = WIRE_CODECS[case["kind"]]
    assert encode(decode(bytes.fromhex(case["hex"]))).hex() == case["hex"]


@pytest.mark.parametrize("kind", sorted(WIRE_CODECS))
@EXAMPLES
@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_and_written_back_or_refused(kind, data):
    decode, encode = WIRE_CODECS[kind]
    try:
        value = decode(data)
    except RemoteProtocolError:
        return
    assert encode(value) == data


def test_check_values_of_the_catalogue():
    assert crc.crc_a(b"123456789") == bytes.fromhex("05bf")
    assert crc.crc_b(b"123456789") == bytes.fromhex("6e90")


@EXAMPLES
@given(data=st.binary(max_size=300))
def test_both_ways_to_compute_a_crc_agree(data):
    assert int.from_bytes(crc.crc_a(data), "little") == checksum.crc_a(data)
    assert int.from_bytes(crc.crc_b(data), "little") == checksum.crc_b(data)


def test_samples_of_annex_b():
    for data, want in (("0000", "a01e"), ("1234", "26cf")):
        assert crc.strip_crc_a(bytes.fromhex(data + want)).hex() == data
    for data, want in (("000000", "ccc6"), ("0faaff", "fcd1"), ("0a123456", "2cf6")):
        assert crc.strip_crc_b(bytes.fromhex(data + want)).hex() == data
    with pytest.raises(ChecksumError, match="CRC_A"):
        crc.strip_crc_a(bytes.fromhex("0000a01f"))
    with pytest.raises(FrameError):
        crc.strip_crc_b(b"\x00\x00")


@pytest.mark.parametrize("uid", ["11223344", "04010203040506", "04010203040506070809"])
def test_a_uid_is_cut_into_parts_and_put_together(uid):
    parts = type_a.parts_of(bytes.fromhex(uid))
    assert all(part[0] == 0x88 for part in parts[:-1])
    assert type_a.uid_of(parts).hex() == uid


@pytest.mark.parametrize("uid", ["", "88112233", "112233", "0401020304050607"])
def test_there_is_no_such_uid(uid):
    with pytest.raises(LocalProtocolError):
        type_a.parts_of(bytes.fromhex(uid))


def test_parts_without_a_cascade_tag_are_no_uid():
    with pytest.raises(FieldError):
        type_a.uid_of([b"\x01\x02\x03\x04", b"\x01\x02\x03\x04"])
    with pytest.raises(FieldError):
        type_a.uid_of([])
    with pytest.raises(FieldError):
        type_a.uid_of([b"\x88\x02\x03\x04"])


def test_a_random_uid_says_nothing():
    assert type_a.is_random_uid(bytes.fromhex("08112233"))
    assert not type_a.is_random_uid(bytes.fromhex("08112233445566"))


@pytest.mark.parametrize(("known_bits", "wire"), [(0, "9320"), (1, "932101"), (8, "9330ff"), (13, "9335ff1f")])
def test_known_bits_stand_in_the_nvb(known_bits, wire):
    frame = type_a.encode_anticollision(type_a.Anticollision(1, 0xFFFF, known_bits))
    assert frame.data.hex() == wire
    assert frame.bits == 16 + known_bits
    assert type_a.decode_anticollision(frame) == type_a.Anticollision(1, (1 << known_bits) - 1, known_bits)


@EXAMPLES
@given(data=st.binary(max_size=9), cut=st.integers(0, 7))
def test_any_anticollision_frame_is_read_and_written_back_or_refused(data, cut):
    frame = air.frame_of_bits(int.from_bytes(data, "little"), max(0, 8 * len(data) - cut))
    try:
        request = type_a.decode_anticollision(frame)
    except RemoteProtocolError:
        return
    assert type_a.encode_anticollision(request) == frame


def test_answers_that_differ_collide_at_the_first_different_bit():
    one, other = air.air_frame(b"\x12\x34"), air.air_frame(b"\x12\x24")
    assert air.superpose([one, other]) == air.AirFrame(b"\x12\x34", 16, 12)
    assert air.superpose([one, one]) == one
    assert air.superpose([one, air.air_frame(b"\x12")]).collision == 8
    assert air.superpose([air.AirFrame(b"\x12", 8, 3), air.air_frame(b"\x12")]).collision == 3
    assert air.superpose([]) is None


def test_an_ats_without_t0_means_the_defaults():
    answer = activation.decode_ats(b"\x01")
    assert (answer.fsc, answer.fwi, answer.sfgi, answer.cid_supported, answer.nad_supported) == (32, 4, 0, True, False)


@pytest.mark.parametrize("wire", ["0270", "037080", "0280", "0208ff", ""])
def test_an_ats_must_keep_what_tl_and_t0_promise(wire):
    with pytest.raises(RemoteProtocolError):
        activation.decode_ats(bytes.fromhex(wire))


def test_reserved_codes_count_as_what_the_standard_says():
    answer = activation.decode_ats(bytes.fromhex("032fff"))
    assert (answer.fsc, answer.fwi, answer.sfgi) == (256, 4, 0)


@pytest.mark.parametrize(
    "wire", ["00", "e2", "c3", "d2", "a602", "f23c", "f20000", "0a", "06", "c201", "22", "8200", "a6", "ab0100"]
)
def test_there_is_no_such_block(wire):
    with pytest.raises(RemoteProtocolError):
        block.decode_block(bytes.fromhex(wire))


def test_power_level_and_reserved_bits_of_the_cid_are_kept():
    wire = bytes.fromhex("0ac1" + "9000")
    decoded = block.decode_block(wire)
    assert (decoded.cid, decoded.cid_flags) == (1, 0xC)
    assert block.encode_block(decoded) == wire


@pytest.mark.parametrize(
    "value",
    [
        block.InformationBlock(2),
        block.InformationBlock(0, cid=16),
        block.WaitBlock(60),
        block.WaitBlock(1, 4),
        block.ReceiveBlock(-1),
    ],
)
def test_a_block_that_does_not_fit_is_refused(value):
    with pytest.raises(LocalProtocolError):
        block.encode_block(value)


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (type_a.encode_atqa, type_a.Atqa(4, 4, proprietary=16)),
        (type_a.encode_atqa, type_a.Atqa(4, 4, rfu=1)),
        (type_a.encode_anticollision_reply, type_a.UidPart(bytes(3))),
        (type_a.encode_anticollision, type_a.Anticollision(4)),
        (type_a.encode_anticollision, type_a.Anticollision(1, 0, 40)),
        (type_a.encode_sak, type_a.Sak(256)),
        (type_b.encode_slot_marker, 17),
        (type_b.encode_atqb, type_b.Atqb(bytes(3))),
        (type_b.encode_atqb, type_b.Atqb(bytes(4), crc_b_aid=bytes(3))),
        (type_b.encode_atqb, type_b.Atqb(bytes(4), timing=256)),
        (type_b.encode_attrib_answer, type_b.AttribAnswer(mbli=16)),
        (activation.encode_ats, activation.Ats(None, ta=0)),
        (activation.encode_ats, activation.Ats(0x10, ta=256)),
        (activation.encode_ats, activation.Ats(0x00, historical_bytes=bytes(254))),
        (activation.encode_pps, activation.Pps(16)),
        (apdu.encode_response, apdu.ResponseApdu(sw=0x10000)),
    ],
)
def test_what_no_frame_can_carry_is_refused(write, value):
    with pytest.raises(LocalProtocolError):
        write(value)


@pytest.mark.parametrize("build", [lambda: activation.ats(fwi=15), lambda: type_b.reqb(slots=3)])
def test_what_no_card_and_no_reader_says_is_refused(build):
    with pytest.raises(LocalProtocolError):
        build()


@pytest.mark.parametrize("wire", ["932100", "93600011223344"])
def test_a_select_or_anticollision_whose_nvb_does_not_fit_is_refused(wire):
    data = bytes.fromhex(wire)
    with pytest.raises(RemoteProtocolError):
        type_a.decode_anticollision(air.air_frame(data))
    whole = b"\x93\x60" + bytes(5)
    with pytest.raises(FieldError):
        type_a.decode_select(whole + crc.crc_a(whole))


def fuzz(data):
    """A target for any fuzzer: whatever the bytes, nothing but a remote error; and what was read is written back."""
    for decode, encode in WIRE_CODECS.values():
        try:
            value = decode(data)
        except RemoteProtocolError:
            continue
        assert encode(value) == data


def test_fuzz_for_a_moment():
    rng = random.Random(1)
    for _ in range(1500):
        fuzz(hostile_bytes(rng))


@pytest.mark.long
def test_fuzz_for_a_minute():
    rng = random.Random(2)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        fuzz(hostile_bytes(rng))
