"""PN532 messages: vectors both ways, what is refused, and any bytes."""

import random
import time

import pytest

from protocols.core.errors import LocalProtocolError, OptionError
from protocols.core.errors import RemoteProtocolError as RemoteError
from protocols.pn532.commands import decode_command
from protocols.pn532.frame import DataFrame, Framer
from protocols.pn532.message import KINDS, decode_message, encode_message
from protocols.tests.kit import check_vector, each_vector, frames_of, input_of
from protocols.tests.pn532_cases import GOOD


@each_vector("pn532")
def test_vector(vector):
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["name"])
def test_a_message_is_written_back_as_it_was(case):
    for message in (decode_message(input_of(case)), {"kind": case["kind"], **case["expect"]}):
        wire = encode_message(message)["hex"]
        assert case["hex"].endswith(wire.removeprefix("00"))  # but for the filler that woke the chip up
        assert wire == case["hex"] or case["name"] == "libnfc wakeup + sam"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("list_passive_a", "01"),
        ("list_passive_a", "0101000420"),
        ("list_passive_a", "01010004200411"),
        ("list_passive_a", "0101000408041122334400"),
        ("list_passive_a", "0101000420041122334400"),
        ("list_passive_a", "010100042004112233440578"),
        ("list_passive_a", "00aa"),
        ("list_passive_a", ""),
        ("list_passive_b", "010151e8253eec000000110081850100"),
        ("list_passive_b", "010150e8253eec0000001100818501"),
        ("list_passive_b", "010150e8253eec00000011008185"),
        ("list_passive_b", "010150e8253eec00000011008185010000"),
        ("list_passive_b", "00aa"),
        ("firmware_version", "320106"),
        ("firmware_version", "3201060700"),
        ("status_byte", "0000"),
        ("host_frame", ""),
        ("host_frame", "0"),
    ],
)
def test_malformed_messages_are_refused(kind, data):
    with pytest.raises(RemoteError):
        decode_message({"kind": kind, "hex": data})


@pytest.mark.parametrize("case", [{}, {"kind": "x", "hex": ""}, {"kind": "status_byte", "hex": 1}])
def test_a_bad_case_is_an_option_error(case):
    with pytest.raises(OptionError):
        decode_message(case)
    with pytest.raises(OptionError):
        decode_message({"kind": "status_byte", "hex": "00", "more": 1})


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "none"},
        {"kind": "host_frame", "frame_type": "other"},
        {"kind": "host_frame", "frame_type": "normal", "tfi": 0, "command": 0},
        {"kind": "list_passive_a", "nb_targets": 1, "targets": []},
        {"kind": "list_passive_a", "targets": [1]},
        {"kind": "list_passive_b", "targets": [{"tg": 1, "atqb": "00" * 12}]},
    ],
)
def test_a_message_without_a_frame_is_a_local_error(message):
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def test_hostile_bytes_raise_nothing_but_remote_errors():
    rng = random.Random(532)
    read = 0
    for _ in range(4000):
        data = rng.randbytes(rng.choice((0, 1, 4, 9, 16, 30, 300)))
        if rng.random() < 0.5:
            data = b"\x00\x00\xff" + data
        try:
            message = decode_message({"kind": rng.choice(sorted(KINDS)), "hex": data.hex()})
        except RemoteError:
            continue
        read += 1
        assert bytes.fromhex(str(encode_message(message)["hex"])) in data
    assert read > 100, "some of it can be read"


def fuzz(data):
    """A target for any fuzzer: nothing but a remote error, what is read can be written, and a framer is bounded."""
    for kind in KINDS:
        try:
            message = decode_message({"kind": kind, "hex": data.hex()})
        except RemoteError:
            continue
        assert decode_message({"kind": kind, **encode_message(message)}) == message
    framer = Framer(max_bytes=600)
    framer.feed(data)
    frames = frames_of(framer)
    assert len(framer._buffer) + framer.discarded_bytes <= len(data)
    for frame in frames:
        if isinstance(frame, DataFrame):
            try:
                command = decode_command(frame)
            except RemoteError:
                continue
            assert (command.CODE, command.parameters()) == (frame.command, frame.payload)


def hostile(rng):
    start = rng.choice([b"", b"\x00\x00\xff", b"\x00\x00\xff\xff\xff"])
    return start + bytes(
        rng.choice((0, 1, 2, 0xD4, 0xD5, 0x7F, 0xFF, rng.randrange(256))) for _ in range(rng.randrange(40))
    )


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
