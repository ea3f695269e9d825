"""What travels in ISO-DEP: APDUs and BER-TLV objects."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.iso14443 import apdu, ber_tlv
from protocols.iso14443.message import decode_message
from protocols.tests.iso14443_cases import GOOD

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    "command",
    [
        apdu.CommandApdu(0, 0x100, 0, 0),
        apdu.CommandApdu(0, 0, 0, 0, bytes(256)),
        apdu.CommandApdu(0, 0, 0, 0, ne=257),
        apdu.CommandApdu(0, 0, 0, 0, extended=True),
        apdu.CommandApdu(0, 0, 0, 0, bytes(65_536), extended=True),
    ],
)
def test_an_apdu_that_does_not_fit_is_refused(command):
    with pytest.raises(LocalProtocolError):
        apdu.encode_command(command)


COMMANDS = st.builds(
    apdu.CommandApdu,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=255),
    st.integers(0, 256),
)


@EXAMPLES
@given(command=COMMANDS, is_extended=st.booleans())
def test_every_command_goes_there_and_back(command, is_extended):
    if is_extended and command.case > 1:
        command = apdu.CommandApdu(
            command.cla, command.ins, command.p1, command.p2, command.data, command.ne * 256, extended=True
        )
    assert apdu.decode_command(apdu.encode_command(command)) == command


def test_61xx_asks_for_the_rest_and_6cxx_repeats():
    command = apdu.select_by_name(b"\xa0\x00\x00\x06\x32\x01\x01\x05")
    rest = apdu.follow_up(command, apdu.ResponseApdu(b"", 0x6110))
    assert apdu.encode_command(rest).hex() == "00c0000010"
    again = apdu.follow_up(apdu.read_binary(0, 256), apdu.ResponseApdu(b"", 0x6C1E))
    assert apdu.encode_command(again).hex() == "00b000001e"
    assert apdu.follow_up(command, apdu.ResponseApdu(b"", 0x9000)) is None
    assert apdu.follow_up(again, apdu.ResponseApdu(b"", 0x6C1E)) is None  # it was repeated already
    assert apdu.follow_up(command, apdu.ResponseApdu(b"", 0x6100)).ne == 256


def test_commands_that_read_files():
    assert apdu.encode_command(apdu.read_binary(0, 30, short_id=0x15)).hex() == "00b095001e"
    assert apdu.encode_command(apdu.read_binary(0x1234, 256)).hex() == "00b0123400"
    assert apdu.encode_command(apdu.read_record(2, 256, short_id=0x18)).hex() == "00b202c400"
    assert apdu.encode_command(apdu.select_by_id(0x3F00)).hex() == "00a40000023f0000"
    for call in (
        lambda: apdu.read_binary(0x8000, 1),
        lambda: apdu.read_binary(256, 1, short_id=1),
        lambda: apdu.read_binary(0, 1, short_id=31),
        lambda: apdu.read_record(0, 1),
        lambda: apdu.select_by_id(-1),
    ):
        with pytest.raises(LocalProtocolError):
            call()


def objects(depth):
    value = st.binary(max_size=20)
    primitive = st.builds(ber_tlv.tlv, st.sampled_from(["84", "50", "9f0c", "9f8101", "c1"]), value)
    if depth == 0:
        return st.lists(primitive, max_size=3)
    constructed = st.builds(ber_tlv.tlv, st.sampled_from(["6f", "a5", "bf0c", "e1"]), objects(depth - 1))
    return st.lists(st.one_of(primitive, constructed), max_size=3)


@EXAMPLES
@given(items=objects(3))
def test_every_tree_of_objects_goes_there_and_back(items):
    assert list(ber_tlv.decode_tlv(ber_tlv.encode_tlv(items))) == items


def test_padding_and_long_length_fields_are_kept():
    wire = bytes.fromhex("00ff84810102" + "a5830000035001aa" + "00")
    decoded = ber_tlv.decode_tlv(wire)
    assert ber_tlv.encode_tlv(decoded) == wire
    assert decode_message({"kind": "ber_tlv", "hex": wire.hex()})["tlv"] == [
        {"tag": "84", "value": "02"},
        {"tag": "a5", "value": [{"tag": "50", "value": "aa"}]},
    ]


def test_a_card_cannot_exhaust_the_stack_with_nested_objects():
    wire = b""
    for _ in range(ber_tlv.MAX_DEPTH):
        wire = ber_tlv.encode_tlv([ber_tlv.Tlv(b"\x6f", ber_tlv.decode_tlv(wire), 3)])
    ber_tlv.decode_tlv(wire)
    nested = bytes.fromhex("3f01") + len(wire).to_bytes(1, "big")
    with pytest.raises(FieldError):
        ber_tlv.decode_tlv(nested + wire)
    deep = b""
    for _ in range(3000):
        deep = b"\x30\x83" + len(deep).to_bytes(3, "big") + deep
    with pytest.raises(FieldError):
        ber_tlv.decode_tlv(deep)


def test_an_object_is_found_by_its_path():
    fci = bytes.fromhex(next(case["hex"] for case in GOOD if case["name"] == "tunion fci"))
    found = ber_tlv.find_tlv(ber_tlv.decode_tlv(fci), "6f", "a5", "9f0c")
    assert found.value[:2].hex() == "0101"
    assert ber_tlv.find_tlv(ber_tlv.decode_tlv(fci), "6f", "84", "50") is None
    assert ber_tlv.find_tlv(ber_tlv.decode_tlv(fci), "70") is None
    entries = ber_tlv.decode_tlv(bytes.fromhex("700a610387010161034f01a0"))
    assert ber_tlv.find_tlv(entries, "70", "61", "4f").value == b"\xa0"  # not in the first entry


@pytest.mark.parametrize(
    "items",
    [
        [ber_tlv.Tlv(b"", b"")],
        [ber_tlv.Tlv(b"\x84\x01", b"")],
        [ber_tlv.Tlv(b"\x9f\x81", b"")],
        [ber_tlv.Tlv(b"\x84", ())],
        [ber_tlv.Tlv(b"\xa5", b"")],
        [ber_tlv.Tlv(b"\x84", bytes(200), 1)],
        [ber_tlv.Tlv(b"\x84", b"", 5)],
    ],
)
def test_an_object_that_cannot_be_written_is_refused(items):
    with pytest.raises(LocalProtocolError):
        ber_tlv.encode_tlv(items)
