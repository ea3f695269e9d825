"""UMB frames: byte by byte, in noise, damaged, readable."""

import fastcrc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, ProtocolError
from protocols.modbus_devices.message import decode_message, encode_message
from protocols.modbus_devices.umb import MAX_UMB_BYTES, UmbFrame, UmbFramer, decode_umb, encode_umb
from protocols.tests.kit import drip, frames_of, noisy

UMB_WIRE = bytes.fromhex("0110017001f00402231064000361d904")


def test_umb_frame_both_ways_and_byte_by_byte():
    frame = decode_umb(UMB_WIRE)
    assert frame == UmbFrame(to_address=0x7001, from_address=0xF001, command=0x23, data=b"\x64\x00")
    assert not frame.is_answer
    assert encode_umb(frame) == UMB_WIRE
    assert drip(UmbFramer(), b"\x01\x10\x01" + UMB_WIRE * 2) == [frame, frame]


def test_umb_is_found_again_after_noise():
    for seed in range(20):
        assert noisy(UmbFramer(), UMB_WIRE, seed=seed, ceiling=MAX_UMB_BYTES)[-1] == decode_umb(UMB_WIRE)


def test_a_umb_frame_behind_a_damaged_one_is_found():
    damaged = bytearray(UMB_WIRE)
    damaged[10] ^= 1
    framer = UmbFramer()
    assert drip(framer, bytes(damaged) + UMB_WIRE) == [decode_umb(UMB_WIRE)]
    assert framer.discarded_bytes == len(UMB_WIRE)


def test_half_a_umb_frame_is_given_up_in_the_silence():
    framer = UmbFramer()
    framer.feed(bytes.fromhex("0110017001f0ff02") + UMB_WIRE)
    assert frames_of(framer) == []
    framer.silence()
    assert frames_of(framer) == [decode_umb(UMB_WIRE)]
    assert framer.discarded_bytes == 8


@pytest.mark.parametrize("place", range(len(UMB_WIRE)))
def test_a_flipped_bit_anywhere_is_noticed(place):
    broken = bytearray(UMB_WIRE)
    broken[place] ^= 0x20
    with pytest.raises(FrameError):
        decode_umb(bytes(broken))


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=255), st.integers(0, 0xFFFF), st.integers(0, 255))
def test_umb_encode_then_decode_is_identity(data, address, command):
    frame = UmbFrame(to_address=address, from_address=0xF001, command=command, data=data[:253])
    assert decode_umb(encode_umb(frame)) == frame


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_to_umb_raise_only_frame_errors(data):
    framer = UmbFramer()
    framer.feed(data)
    frames_of(framer)
    try:
        frame = decode_umb(data)
    except FrameError:
        return
    assert encode_umb(frame) == data


def test_no_umb_frame_for_nonsense():
    for nonsense in (
        UmbFrame(to_address=-1, from_address=0, command=0),
        UmbFrame(to_address=0, from_address=0, command=256),
        UmbFrame(to_address=0, from_address=0, command=0, data=bytes(254)),
    ):
        with pytest.raises(ProtocolError):
            encode_umb(nonsense)


def test_a_umb_value_that_is_no_number_is_written_as_one_that_is_none():
    data = bytes.fromhex("006400160000c07f")
    wire = encode_umb(UmbFrame(to_address=0xF001, from_address=0x7001, command=0x23, data=data))
    shown = decode_message({"hex": wire.hex(), "protocol": "umb"})
    assert shown["channel_value"] is None
    assert encode_message(shown) == {"hex": wire.hex()}
    with pytest.raises(LocalProtocolError):
        encode_message({**shown, "data_type": 0x12})
    assert encode_message({**shown, "data_type": 0x12, "status": 0x24})  # a device with an error may leave it out


def test_a_umb_frame_of_another_version_is_written_as_it_was():
    wire = encode_umb(UmbFrame(to_address=0x7001, from_address=0xF001, command=0x20, version=0x11))
    shown = decode_message({"hex": wire.hex(), "protocol": "umb"})
    assert shown["version"] == 0x11
    assert encode_message(shown) == {"hex": wire.hex()}


def test_umb_answers():
    base = {"to_address": 0xF001, "from_address": 0x7001, "command": 0x23, "command_version": 0x10}
    for more in (
        {"channel": 100, "status": 0, "data_type": 0x16, "channel_value": 21.5},
        {"channel": 200, "status": 0, "data_type": 0x13, "channel_value": -5},
        {"channel": 300, "status": 0x24},
        {"channel": 300, "status": 0x24, "data_type": 0x16, "channel_value": None},
    ):
        wire = encode_message({**base, **more})
        assert decode_message({"protocol": "umb", **wire}) == {**base, **more}
    status = encode_message({**base, "command": 0x26, "data": "0000"})
    assert decode_message({"protocol": "umb", **status}) == {**base, "command": 0x26, "data": "0000"}


@pytest.mark.parametrize(
    "data",
    ["00", "000064", "006400", "00640099", "0064001600", "00640016000000000000", "0064001200"],
)
def test_broken_umb_answers_are_refused(data):
    wire = encode_message({"to_address": 0xF001, "from_address": 0x7001, "command": 0x26, "data": data})["hex"]
    plain = bytearray.fromhex(wire)
    plain[8] = 0x23
    check = fastcrc.crc16.mcrf4xx(bytes(plain[:-3]))
    plain[-3:-1] = check.to_bytes(2, "little")
    with pytest.raises(FieldError):
        decode_message({"protocol": "umb", "hex": plain.hex()})


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": None},
        {"status": None, "data_type": None, "channel_value": None},
        {"from_address": 0xF001},
        {"data_type": None},
        {"data_type": 0x18},
        {"data_type": 0x10, "channel_value": 256},
        {"data_type": 0x10, "channel_value": 0.5},
        {"data": "\ud800"},
        {"\ud800": 1},
    ],
)
def test_what_no_umb_frame_says_is_not_written(changes):
    answer = {"to_address": 0xF001, "from_address": 0x7001, "command": 0x23, "channel": 100, "status": 0}
    answer |= {"data_type": 0x16, "channel_value": 21.5}
    assert decode_message({**encode_message(answer), "protocol": "umb"}) == {**answer, "command_version": 0x10}
    with pytest.raises(LocalProtocolError):
        encode_message({**answer, **changes})
