"""Variable message signs: every vector, read and written back, byte by byte and in noise."""

import random
from contextlib import suppress

import pytest

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.tests.kit import cases_of, check_vector, damaged_message, drip, each_vector, frames_of, input_of, noisy
from protocols.vms.frame import DIALECTS, Framer, decode_frame, encode_frame
from protocols.vms.message import decode_message, encode_message

GOOD = [case for case in cases_of("vms") if "error" not in case["expect"]]
FRAMES = [case for case in GOOD if "hex" in case]
CEILING = 2048


def of(case):
    return DIALECTS[case["profile"]], case["direction"] == "response"


@each_vector("vms")
def test_vector(vector):
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_a_frame_is_written_back_as_it_was(case):
    dialect, is_response = of(case)
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire, dialect, is_response=is_response)
    assert encode_frame(frame, dialect, is_response=is_response) == wire
    message = decode_message(input_of(case))
    assert encode_message(message) == {"hex": case["hex"]}


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_a_frame_is_written_from_its_named_fields(case):
    message = decode_message(input_of(case))
    if len(message) <= 6 + ("src_address" in message):
        return  # a request without data
    fields = {key: value for key, value in message.items() if key not in {"data_hex", "crc_hex"}}
    if "request_type" in case:
        fields["request_type"] = case["request_type"]
    assert encode_message(fields) == {"hex": case["hex"]}


@pytest.mark.parametrize("case", [case for case in GOOD if "text" in case], ids=lambda case: case["name"])
def test_a_list_is_written_back_as_it_was(case):
    message = decode_message(input_of(case))
    assert encode_message(message) == {"text": case["text"]}
    for item in message["items"]:
        del item["media_text"]
    assert encode_message(message) == {"text": case["text"]}


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_frames_byte_by_byte_and_in_noise(case):
    dialect, is_response = of(case)
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire, dialect, is_response=is_response)
    assert drip(Framer(dialect, is_response=is_response), wire * 3) == [frame] * 3
    framer = Framer(dialect, is_response=is_response, max_bytes=CEILING)
    assert noisy(framer, wire, seed=len(wire), ceiling=CEILING)[-1] == frame


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_any_flipped_bit_is_seen(case):
    dialect, is_response = of(case)
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire, dialect, is_response=is_response)
    for at in range(min(len(wire), 60)):
        for bit in range(8):
            broken = wire[:at] + bytes((wire[at] ^ 1 << bit,)) + wire[at + 1 :]
            framer = Framer(dialect, is_response=is_response)
            framer.feed(broken + wire)
            assert frames_of(framer) == [frame]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_damaged_is_refused_or_written(seed):
    rng = random.Random(seed)
    cases = [input_of(case) for case in GOOD]
    messages = [decode_message(case) for case in cases]
    written = read = 0
    for _ in range(1000):
        message, case = damaged_message(rng, rng.choice(messages)), damaged_message(rng, rng.choice(cases))
        if isinstance(message, dict):
            with suppress(LocalProtocolError):
                written += set(encode_message(message)) <= {"hex", "text"}
        if isinstance(case, dict):
            with suppress(RemoteProtocolError, OptionError):
                read += bool(decode_message(case))
    assert written > 10
    assert read > 10
