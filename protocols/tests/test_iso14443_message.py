"""ISO/IEC 14443 messages in readable form: vectors both ways, what is refused, and any bytes."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    LocalProtocolError,
    OptionError,
    ProtocolError,
    RemoteProtocolError,
)
from protocols.iso14443 import ber_tlv
from protocols.iso14443.message import KINDS, decode_message, encode_message
from protocols.tests.iso14443_cases import GOOD, hostile_bytes
from protocols.tests.kit import cases_of, check_vector, each_vector, input_of

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
ATQB_MESSAGE = decode_message({"kind": "atqb", "hex": "50e8253eec00000011008185"})
ATS_MESSAGE = decode_message({"kind": "ats", "hex": "0578804002"})
NESTED_TOO_DEEP: list[object] = []
for _depth in range(ber_tlv.MAX_DEPTH + 1):
    NESTED_TOO_DEEP = [{"tag": "a5", "value": NESTED_TOO_DEEP}]


@each_vector("iso14443")
def test_vector(vector):
    check_vector(vector, decode_message)


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


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("9000", "done"),
        ("6982", "security status not satisfied"),
        ("63c2", "verification failed, tries left: 2"),
        ("6110", "more data"),
        ("9401", "status 9401"),  # that of a purse
    ],
)
def test_a_status_word_is_said_in_words(wire, text):
    message = decode_message({"kind": "apdu_response", "hex": wire})
    assert message["sw_text"] == text
    assert encode_message(message) == {"hex": wire}


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
    for kind in KINDS:
        try:
            message = decode_message({"kind": kind, "hex": data.hex()})
        except RemoteProtocolError:
            continue
        assert "crc" in kind or encode_message(message) == {"hex": data.hex()}


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
