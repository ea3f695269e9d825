"""JT/T 808 frames and the framer: both ways, any split, noise, bounds, what is refused and where."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.checksum import xor8
from protocols.core.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from protocols.jt808.frame import (
    MAX_BODY_BYTES,
    MAX_CONTENT_BYTES,
    MAX_FRAME_BYTES,
    Frame,
    Package,
    decode_frame,
    encode_frame,
    escape,
    unescape,
    xor_check,
)
from protocols.jt808.framer import MAX_PIECE, Framer
from protocols.tests.kit import frames_of, pieces

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)

PHONE = st.text("0123456789abcdef", min_size=12, max_size=12)
OLD = st.builds(
    Frame,
    st.integers(0, 0xFFFF),
    PHONE,
    st.integers(0, 0xFFFF),
    st.binary(max_size=90) | st.binary(min_size=MAX_BODY_BYTES, max_size=MAX_BODY_BYTES),
    encryption=st.integers(0, 7),
    package=st.none() | st.builds(Package, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    has_reserved_bit=st.booleans(),
)
FRAME = OLD | OLD.map(
    lambda frame: Frame(
        frame.msg_id, frame.phone + "12345678", frame.serial, frame.body, 1, frame.encryption, frame.package
    )
)


@EXAMPLES
@given(frame=FRAME)
def test_a_frame_goes_there_and_back(frame):
    wire = encode_frame(frame)
    assert decode_frame(wire) == frame
    assert len(wire) <= MAX_FRAME_BYTES
    assert b"\x7e" not in wire[1:-1]


@EXAMPLES
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_or_written_back(data):
    for wire in (data, b"\x7e" + data + b"\x7e", b"\x7e" + escape(data + bytes((xor8(data),))) + b"\x7e"):
        try:
            frame = decode_frame(wire)
        except RemoteProtocolError:
            continue
        assert encode_frame(frame) == wire


@EXAMPLES
@given(frames=st.lists(FRAME, max_size=5), seed=SEEDS)
def test_any_split_equals_the_whole(frames, seed):
    rng = random.Random(seed)
    wire = b""
    for frame in frames:
        encoded = encode_frame(frame)
        wire += encoded[1:] if wire and rng.random() < 0.5 else b"\x7e" * rng.randrange(3) + encoded
    framer = Framer()
    found = []
    for piece in pieces(wire, seed):
        framer.feed(piece)
        found += frames_of(framer)
    assert found == frames
    assert (framer.discarded_bytes, framer.bad_frames) == (0, 0)


@EXAMPLES
@given(noise=st.binary(max_size=400), frame=FRAME)
def test_after_noise_every_frame_is_found(noise, frame):
    framer = Framer()
    framer.feed(noise)
    framer.feed(encode_frame(frame) * 2)
    assert frames_of(framer)[-2:] == [frame] * 2


def test_a_false_start_does_not_swallow_a_true_frame():
    true = bytes.fromhex("7e000200000139123456780001337e")
    framer = Framer()
    framer.feed(b"\x7e\x00\x02\x00\x00" + true)
    assert frames_of(framer) == [decode_frame(true)]
    assert (framer.bad_frames, framer.discarded_bytes) == (1, 5)


def test_half_a_frame_behind_much_noise_waits_for_its_other_half():
    true = bytes.fromhex("7e000200000139123456780001337e")
    framer = Framer()
    framer.feed(bytes(MAX_FRAME_BYTES - 20) + true[:-5])
    assert framer.next_frame() is NEED_DATA
    framer.feed(true[-5:])
    assert frames_of(framer) == [decode_frame(true)]
    assert framer.discarded_bytes == MAX_FRAME_BYTES - 20


def test_memory_stays_bounded_under_an_endless_frame():
    framer = Framer()
    for _ in range(500):
        framer.feed(b"\x7e" + bytes(1000))
        framer.feed(bytes(3000))
        assert framer.next_frame() is NEED_DATA
        assert len(framer._buffer) <= MAX_FRAME_BYTES
    assert framer.discarded_bytes > 1_900_000


def test_a_piece_of_the_stated_size_is_never_lost():
    frame = Frame(0x0900, "0" * 12, 1, b"\x7e" * MAX_BODY_BYTES)
    wire = encode_frame(frame)
    framer = Framer()
    stream = wire * 9
    found = []
    for at in range(0, len(stream), MAX_PIECE):
        framer.feed(stream[at : at + MAX_PIECE])
        found += frames_of(framer)
    assert found == [frame] * 9
    framer.feed(wire[:-4])
    framer.reset()
    framer.feed(wire)
    assert frames_of(framer) == [frame]


def test_the_fast_check_is_the_plain_one():
    rng = random.Random(808)
    for size in range(MAX_CONTENT_BYTES + 1):
        piece = rng.randbytes(size)
        assert xor_check(piece) == xor8(piece)
    assert xor_check(b"123456789") == 0x31


@given(data=st.binary(max_size=60))
def test_escapes(data):
    assert unescape(escape(data)) == data
    assert b"\x7e" not in escape(data)


@pytest.mark.parametrize(
    ("wire", "offset", "field"),
    [
        ("", 0, "flag"),
        ("7e", 1, "flag"),
        ("00027e", 0, "flag"),
        ("7e0002", 3, "flag"),
        ("7e00" * 2 + "7e", 2, "flag"),
        ("7e00027d0300000000000000000000007e", 3, "escape"),
        ("7e0002000001391234567800017d7e", 13, "escape"),
        ("7e000200000139123456780001347e", 13, "check"),
        ("7e000200010139123456780001327e", 3, "body_length"),
        ("7e00024000013912345678000100737e", 14, "phone"),
    ],
)
def test_an_error_tells_what_is_wrong_and_where(wire, offset, field):
    with pytest.raises(RemoteProtocolError) as caught:
        decode_frame(bytes.fromhex(wire))
    assert (caught.value.offset, caught.value.field) == (offset, field)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("000240000139123456780001", "phone"),  # the version bit, and a header of 2013
        ("00022000013912345678000100", "package_total"),
        ("00026000" + "01" + "00" * 12 + "0001", "package_total"),
    ],
)
def test_a_header_that_is_cut_short_is_refused(content, field):
    data = bytes.fromhex(content)
    with pytest.raises(RemoteProtocolError) as caught:
        decode_frame(b"\x7e" + escape(data + bytes((xor8(data),))) + b"\x7e")
    assert caught.value.field == field


@pytest.mark.parametrize("size", [MAX_CONTENT_BYTES + 1, 5000, 100_000])
def test_a_frame_that_is_too_long_is_refused(size):
    with pytest.raises(RemoteProtocolError):
        decode_frame(b"\x7e" + bytes(size) + b"\x7e")


@pytest.mark.parametrize(
    "change",
    [
        {"msg_id": -1},
        {"serial": 65536},
        {"body": bytes(1024)},
        {"phone": "1"},
        {"phone": "01391234567A"},
        {"protocol_version": 1},
        {"encryption": 8},
        {"package": Package(65536, 1)},
        {"package": Package(1, -1)},
        {"protocol_version": 256, "phone": "0" * 20},
    ],
)
def test_a_frame_that_the_wire_cannot_carry_is_a_local_error(change):
    with pytest.raises(LocalProtocolError):
        encode_frame(Frame(**{"msg_id": 2, "phone": "0" * 12, "serial": 1} | change))
