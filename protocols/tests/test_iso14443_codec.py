"""ISO/IEC 14443 messages: vectors both ways, what stands on the air, what is refused, and any bytes."""

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
    OptionError,
    ProtocolError,
    RemoteProtocolError,
)
from protocols.iso14443 import activation, air, apdu, ber_tlv, block, crc, type_a, type_b
from protocols.iso14443.message import KINDS, decode_message, encode_message
from protocols.tests.iso14443_cases import GOOD
from protocols.tests.kit import cases_of, check_vector, each_vector, input_of

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


ATQB_MESSAGE = decode_message({"kind": "atqb", "hex": "50e8253eec00000011008185"})
ATS_MESSAGE = decode_message({"kind": "ats", "hex": "0578804002"})
NESTED_TOO_DEEP: list[object] = []
for _depth in range(ber_tlv.MAX_DEPTH + 1):
    NESTED_TOO_DEEP = [{"tag": "a5", "value": NESTED_TOO_DEEP}]


@each_vector("iso14443")
def test_vector(vector):
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", [case for case in GOOD if case["kind"] in WIRE_CODECS], ids=lambda case: case["name"])
def test_the_wire_type_loses_nothing(case):
    decode, encode = WIRE_CODECS[case["kind"]]
    assert encode(decode(bytes.fromhex(case["hex"]))).hex() == case["hex"]


@pytest.mark.parametrize("case", [case for case in GOOD if "crc_" not in case["kind"]], ids=lambda case: case["name"])
def test_a_message_is_written_back_as_it_was(case):
    message = decode_message(input_of(case))
    assert encode_message(message) == {"hex": case["hex"]}


@pytest.mark.parametrize("case", [case for case in GOOD if "crc_" not in case["kind"]], ids=lambda case: case["name"])
def test_the_keys_of_the_specification_are_enough_to_write(case):
    """What they leave open (other bits of a SAK, a PPS without PPS1) comes out in its shortest or usual form."""
    wire = encode_message({"kind": case["kind"], **case["expect"]})["hex"]
    message = decode_message({"kind": case["kind"], "hex": wire})
    assert all(message[key] == value for key, value in case["expect"].items())


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


@EXAMPLES
@given(kind=st.sampled_from(sorted(KINDS)), data=st.binary(max_size=300))
def test_a_readable_message_goes_there_and_back(kind, data):
    try:
        message = decode_message({"kind": kind, "hex": data.hex()})
    except RemoteProtocolError:
        return
    if "crc" in kind:
        with pytest.raises(LocalProtocolError):
            encode_message(message)
    else:
        assert encode_message(message) == {"hex": data.hex()}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("block", "0ac19000"),  # power level beside the CID
        ("atqa", "2401"),
        ("rats", "e0c2"),  # FSDI C
        ("ats", "057c80f083"),  # FSCI C, FWI 15, reserved bits of TC
        ("atqb", "50e8253eec000000110081850f"),
        ("attrib", "1de8253eec00181100"),
        ("ber_tlv", "00ff84810101"),
    ],
)
def test_what_the_keys_do_not_say_is_kept_beside_them(kind, data):
    message = decode_message({"kind": kind, "hex": data})
    assert message["hex"] == data
    assert encode_message(message) == {"hex": data}
    with pytest.raises(LocalProtocolError):
        encode_message({**message, "hex": data[:-2]})
    name = next(key for key in message if key not in {"kind", "hex"})
    with pytest.raises(LocalProtocolError):
        encode_message({**message, name: "another"})


def test_hostile_bytes_raise_nothing_but_remote_errors():
    rng = random.Random(14443)
    rounds, refused = 4000, 0
    for _ in range(rounds):
        kind = rng.choice(sorted(KINDS))
        data = rng.randbytes(rng.choice((0, 1, 2, 3, 5, 9, 12, 13, 40, 700)))
        try:
            decode_message({"kind": kind, "hex": data.hex()})
        except RemoteProtocolError:
            refused += 1
    assert 0 < refused < rounds, "some of it can be read"


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


@pytest.mark.parametrize(
    "case",
    [
        {"hex": "00"},
        {"kind": "nothing", "hex": "00"},
        {"kind": "sak"},
        {"kind": "sak", "hex": 0},
        {"kind": "sak", "hex": "00", "speed": 1},
        {"kind": ["sak"], "hex": "00"},
    ],
)
def test_a_bad_case_is_an_option_error(case):
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("text", ["0", "0g", "十"])
def test_half_a_byte_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        decode_message({"kind": "block", "hex": text})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "crc_a", "crc": "a01e"},
        {"kind": "sak", "sak": 256},
        {"kind": "sak"},
        {"kind": "atqa", "uid_size": 5, "bit_frame_anticollision": 4},
        {"kind": "anticoll_reply", "uid_part": "1122"},
        {"kind": "select", "cascade_level": 0, "uid_part": "11223344"},
        {"kind": "rats", "fsd": 100, "cid": 0},
        {"kind": "block", "block_type": "X"},
        {"kind": "block", "block_type": "S", "s_type": "reset"},
        {"kind": "block", "block_type": "I", "block_number": True},
        {"kind": "block", "block_type": "I", "block_number": 0, "inf": "zz"},
        {"kind": "apdu_command", "cla": 0, "ins": 0, "p1": 0, "p2": 0, "case": 4},
        {"kind": "apdu_response", "sw": 36864},
        {"kind": "ber_tlv", "tlv": "84"},
        {"kind": "ber_tlv", "tlv": [1]},
        {"kind": "ber_tlv", "tlv": [{"tag": "84", "value": 3}]},
        {"kind": "pps", "cid": 0, "dsi": 3, "dri": 0, "has_pps1": False},
        {**ATQB_MESSAGE, "sfgi": 1, "is_extended": False},
        {**ATS_MESSAGE, "fwi": 5, "interface_bytes": ["ta", "tc"]},
        {**ATS_MESSAGE, "ds_supported": [3]},
        {"kind": "ber_tlv", "tlv": NESTED_TOO_DEEP},
    ],
)
def test_a_message_without_a_frame_is_a_local_error(message):
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def test_an_ats_message_may_name_its_interface_bytes():
    for wire in ("0408aabb", "032870", "034801"):
        message = decode_message({"kind": "ats", "hex": wire})
        assert encode_message(message)["hex"] == wire
        del message["interface_bytes"]
        assert encode_message(message)["hex"] == wire
    with pytest.raises(LocalProtocolError):
        encode_message({**message, "interface_bytes": ["td"]})
    with pytest.raises(LocalProtocolError):
        encode_message({**message, "tl": 9, "interface_bytes": ["tc"]})


def test_every_error_fits_one_line():
    for case in cases_of("iso14443"):
        if "error" in case["expect"]:
            with pytest.raises(ProtocolError) as caught:
                decode_message(input_of(case))
            assert "\n" not in str(caught.value)
            assert caught.value.kind in {"frame", "checksum", "field"}
            assert len(caught.value.raw) <= 64


def fuzz(data):
    """A target for any fuzzer: whatever the bytes, nothing but a remote error; and what was read is written back."""
    for decode, encode in WIRE_CODECS.values():
        try:
            assert encode(decode(data)) == data
        except RemoteProtocolError:
            continue
    for kind in KINDS:
        try:
            message = decode_message({"kind": kind, "hex": data.hex()})
        except RemoteProtocolError:
            continue
        assert "crc" in kind or encode_message(message) == {"hex": data.hex()}


def hostile(rng):
    start = bytes.fromhex(rng.choice(["", "50", "e0", "d0", "02", "f2", "0a", "6f", "9f", "00a404", "9370", "1d"]))
    return start + bytes(rng.choice((0, 1, 0x80, 0x81, 0xFF, rng.randrange(256))) for _ in range(rng.randrange(24)))


def test_fuzz_for_a_moment():
    rng = random.Random(1)
    for _ in range(1500):
        fuzz(hostile(rng))


@pytest.mark.long
def test_fuzz_for_a_minute():
    rng = random.Random(2)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        fuzz(hostile(rng))
