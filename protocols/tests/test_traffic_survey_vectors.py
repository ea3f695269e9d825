"""Traffic surveys: frames from outside, both ways, byte by byte, in noise, cut and damaged."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from protocols.core.errors import RemoteProtocolError
from protocols.length_framer import FrameForm
from protocols.tests.kit import cases_of, check_vector, each_case, each_vector, input_of
from protocols.tests.length_forms import check_byte_by_byte, check_cut_or_longer, check_false_starts, check_in_noise
from protocols.traffic_survey import rtms_g4, ss125, survey_frame
from protocols.traffic_survey.message import decode_message, encode_message
from protocols.traffic_survey.ss125_messages import decode_body, encode_body
from protocols.traffic_survey.survey_commands import decode_packet, encode_packet

CASES = cases_of("traffic_survey")
GOOD = [case for case in CASES if "error" not in case["expect"]]
FORMS: dict[str, tuple[FrameForm[Any], Callable[[Any], bytes]]] = {
    "jtt1008": (survey_frame.FORM, survey_frame.encode_frame),
    "ss125": (ss125.FORM, ss125.encode_frame),
    "rtms_g4": (rtms_g4.FORM, rtms_g4.encode_frame),
}
FRAMES = [case for case in GOOD if case["protocol"] in FORMS]
NO_FORM = "SS125 active event body, speed not valid (public test data)"
"""Its speed word holds bits although it is not valid; a message has no place for them."""


@each_vector("traffic_survey")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@each_case(FRAMES)
def test_wire_types_lose_nothing(case: dict[str, Any]) -> None:
    form, encode = FORMS[case["protocol"]]
    wire = bytes.fromhex(case["hex"])
    frame = form.decode(wire)
    assert encode(frame) == wire
    if isinstance(frame, survey_frame.Frame):
        assert encode_packet(decode_packet(frame.data, case.get("device_class", 1))) == frame.data
    if isinstance(frame, ss125.Frame):
        assert encode_body(decode_body(frame.body)) == frame.body


@each_case([case for case in GOOD if case["protocol"] == "ss125_body"])
def test_bodies_lose_nothing(case: dict[str, Any]) -> None:
    body = ss125.decode_checked(bytes.fromhex(case["hex"]))
    assert encode_body(decode_body(body)) == body
    assert ss125.encode_checked(body).hex() == case["hex"]


@each_case([case for case in GOOD if case["name"] != NO_FORM])
def test_a_message_is_written_back_as_it_was(case: dict[str, Any]) -> None:
    message = json.loads(json.dumps(decode_message(input_of(case))))
    written = encode_message(message)
    if "hex" in case:
        assert written == {"hex": case["hex"]}
    else:
        assert json.loads(str(written["text"])) == json.loads(case["text"])


@each_case(FRAMES)
def test_byte_by_byte_in_noise_and_cut(case: dict[str, Any]) -> None:
    form, _encode = FORMS[case["protocol"]]
    for check in (check_byte_by_byte, check_in_noise, check_false_starts, check_cut_or_longer):
        check(form, bytes.fromhex(case["hex"]))


@each_case(FRAMES)
def test_a_flipped_bit_is_noticed(case: dict[str, Any]) -> None:
    form, encode = FORMS[case["protocol"]]
    wire = bytes.fromhex(case["hex"])
    for at in range(len(wire) * 8):
        broken = bytearray(wire)
        broken[at // 8] ^= 1 << at % 8
        if case["protocol"] == "rtms_g4" and at // 8 == 2:
            assert encode(form.decode(bytes(broken))) == broken  # its checksum leaves the qualifier out
            continue
        with pytest.raises(RemoteProtocolError):
            form.decode(bytes(broken))
