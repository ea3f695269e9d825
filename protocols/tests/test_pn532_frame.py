"""PN532 frames: cut short, flipped, in noise, without end."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.core.errors import RemoteProtocolError as RemoteError
from protocols.pn532.frame import (
    ACK,
    ERROR,
    MAX_FRAME_BYTES,
    NACK,
    WAKE_UP,
    AckFrame,
    DataFrame,
    ErrorFrame,
    Framer,
    NackFrame,
    data_frame,
    decode_frame,
    encode_frame,
)
from protocols.tests.kit import drip, frames_of, noisy
from protocols.tests.pn532_cases import GOOD

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
FRAMES = [case for case in GOOD if case["kind"] == "host_frame"]


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_frames_byte_by_byte_and_in_noise(case):
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire)
    assert encode_frame(frame) == wire[wire.index(b"\x00\x00\xff") :]
    assert drip(Framer(), wire) == [frame]
    assert drip(Framer(), wire[:-1] * 3) == [frame] * 3  # the postamble may be missing
    assert noisy(Framer(), wire, seed=len(wire), ceiling=MAX_FRAME_BYTES)[-1] == frame


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_a_frame_cut_short_is_refused(case):
    wire = bytes.fromhex(case["hex"])
    for end in range(len(wire) - 1):
        with pytest.raises(RemoteError):
            decode_frame(wire[:end])


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_any_flipped_bit_behind_the_start_code_is_seen(case):
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire)
    if len(wire) > 100:
        wire_range = range(wire.index(b"\x00\xff") + 2, 40)
    else:
        wire_range = range(wire.index(b"\x00\xff") + 2, len(wire) - 1)
    for at in wire_range:
        for bit in range(8):
            broken = wire[:at] + bytes((wire[at] ^ 1 << bit,)) + wire[at + 1 :]
            with pytest.raises(RemoteError):
                decode_frame(broken)
            framer = Framer()
            framer.feed(broken + wire)
            assert frames_of(framer)[-1] == frame


@pytest.mark.parametrize(
    "wire",
    [
        "0000ff0000",  # LEN 0
        "0000ff01ffd42c00",  # no command
        "0000ff01ff7e8200",  # one byte that is not 7f
        "0000ff02fe7f008100",  # 7f is alone in an error frame
        "0000ffffff010bf4" + "d4" * 267,  # longer than the chip can
        "0000ff00ff0001",  # something follows
        "0000ff02fed4022a00" * 2,
        "",
    ],
)
def test_there_is_no_such_frame(wire):
    with pytest.raises(RemoteError):
        decode_frame(bytes.fromhex(wire))


def test_the_shorter_form_that_fits_is_chosen():
    assert not data_frame(0xD4, 0x40, bytes(253)).is_extended
    assert data_frame(0xD4, 0x40, bytes(254)).is_extended
    with pytest.raises(LocalProtocolError):
        encode_frame(data_frame(0xD4, 0x40, bytes(264)))
    with pytest.raises(LocalProtocolError):
        encode_frame(DataFrame(0xD4, 0x40, bytes(254)))
    with pytest.raises(LocalProtocolError):
        encode_frame(DataFrame(0xD6, 0x40))


FRAME = st.one_of(
    st.sampled_from([AckFrame(), NackFrame(), ErrorFrame()]),
    st.builds(data_frame, st.sampled_from([0xD4, 0xD5]), st.integers(0, 255), st.binary(max_size=263)),
)


@EXAMPLES
@given(frames=st.lists(FRAME, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_any_split_equals_the_whole(frames, seed):
    rng = random.Random(seed)
    wire = b"".join(WAKE_UP * rng.randrange(2) + encode_frame(frame) for frame in frames)
    whole = Framer()
    whole.feed(wire)
    assert frames_of(whole) == frames
    split = Framer()
    found = []
    at = 0
    while at < len(wire):
        size = rng.randint(1, 30)
        split.feed(wire[at : at + size])
        found += frames_of(split)
        at += size
    assert found == frames
    assert split.discarded_bytes == whole.discarded_bytes == 0


@EXAMPLES
@given(noise=st.binary(max_size=400), payload=st.binary(max_size=60))
def test_after_noise_every_later_frame_is_found(noise, payload):
    frame = data_frame(0xD5, 0x41, payload)
    framer = Framer()
    framer.feed(noise + bytes(MAX_FRAME_BYTES))  # whatever the noise began is over by then
    frames_of(framer)
    for _ in range(3):
        framer.feed(encode_frame(frame))
    assert frames_of(framer)[-3:] == [frame] * 3


def test_a_false_header_does_not_swallow_a_true_frame():
    true = encode_frame(data_frame(0xD5, 0x03, b"\x32\x01\x06\x07"))
    framer = Framer()
    framer.feed(bytes.fromhex("00ff20e0") + true + bytes(40))
    assert frames_of(framer) == [decode_frame(true)]
    assert framer.bad_checks == 1


def test_memory_stays_bounded_under_an_endless_frame():
    framer = Framer(max_bytes=1000)
    for _ in range(1000):
        framer.feed(b"\x00\xff\xff\xff\x01\x09\xf6" + bytes(range(1, 255)))
        framer.next_frame()
        assert len(framer._buffer) <= 1000
    assert framer.discarded_bytes > 100_000


def test_a_framer_that_is_reset_forgets_half_a_frame():
    framer = Framer()
    framer.feed(bytes.fromhex("0000ff20e0d5"))
    assert framer.next_frame() is NEED_DATA
    framer.reset()
    framer.feed(ACK)
    assert framer.next_frame() == AckFrame()


def test_constants_are_frames():
    assert decode_frame(ACK) == AckFrame()
    assert decode_frame(NACK) == NackFrame()
    assert decode_frame(ERROR) == ErrorFrame()
