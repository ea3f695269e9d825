"""JT/T 808 frames from outside: both ways, byte by byte, in noise, and through the command line's two verbs."""

import json

import pytest

from protocols.core.errors import LocalProtocolError, OptionError, RemoteProtocolError
from protocols.jt808.catalogue import BODIES, read_packet
from protocols.jt808.frame import MAX_FRAME_BYTES, decode_frame, encode_frame
from protocols.jt808.framer import Framer
from protocols.jt808.general import RawBody
from protocols.jt808.message import decode_message, encode_message
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, input_of, noisy

CASES = cases_of("jt808")
FRAMES = [case for case in CASES if "hex" in case and "error" not in case["expect"]]
REFUSED = [case for case in CASES if "error" in case["expect"]]
NOT_CANONICAL = {
    "m0702_v2013_02_escaped": "zeros ahead of the text",
    "m8400_v2013_01": "zeros behind the text that ends the body",
}


def each(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases])


@each_vector("jt808")
def test_vector(vector):
    check_vector(vector, decode_message)


@each(FRAMES)
def test_wire_types_lose_nothing(case):
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire)
    assert encode_frame(frame) == wire
    packet = read_packet(frame)
    assert packet.body.to_bytes(packet.dialect) == frame.body
    is_opaque = frame.package is not None or frame.encryption != 0 or frame.msg_id not in BODIES
    assert isinstance(packet.body, RawBody) == is_opaque
    assert read_packet(frame, packet.dialect) == packet


@each(FRAMES)
def test_a_message_is_written_back_as_it_was(case):
    message = json.loads(json.dumps(decode_message(input_of(case))))
    if case["name"] in NOT_CANONICAL:
        del message["body_length"]
        again = decode_message(encode_message(message))
        assert again["body"] == message["body"]
    else:
        assert encode_message(message) == {"hex": case["hex"].lower()}


@each(FRAMES)
def test_byte_by_byte_and_in_noise(case):
    wire = bytes.fromhex(case["hex"])
    frame = decode_frame(wire)
    assert drip(Framer(), wire) == [frame]
    assert drip(Framer(), wire[:-1] + wire) == [frame, frame]  # one flag between two frames
    assert noisy(Framer(), wire, seed=len(wire), ceiling=MAX_FRAME_BYTES)[-1] == frame


@each([case for case in FRAMES if len(case["hex"]) < 200])
def test_a_frame_that_is_cut_or_damaged_is_refused(case):
    wire = bytes.fromhex(case["hex"])
    for end in range(len(wire)):
        with pytest.raises(RemoteProtocolError):
            decode_frame(wire[:end])
    for at in range(1, len(wire) - 1):
        broken = wire[:at] + bytes((wire[at] ^ 0x10,)) + wire[at + 1 :]
        with pytest.raises(RemoteProtocolError):
            decode_frame(broken)


@each(REFUSED)
def test_what_is_refused_never_leaves_the_framer(case):
    framer = Framer()
    found = drip(framer, bytes.fromhex(case["hex"]))
    for frame in found:  # the frame itself is good, its body is not
        with pytest.raises(RemoteProtocolError):
            read_packet(frame)
    good = bytes.fromhex("7e000200000139123456780001337e")
    assert drip(framer, good)[-1] == decode_frame(good)


def test_a_worked_example():
    assert decode_message({"hex": "7e000200000139123456780001337e"}) == {
        "msg_id": 2,
        "version": "2013",
        "body_length": 0,
        "encryption": 0,
        "subpackaged": False,
        "phone": "013912345678",
        "serial": 1,
        "body": {},
    }


GOOD = "7e000200000139123456780001337e"


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"hex": GOOD, "frames": [GOOD]},
        {"hex": GOOD, "kind": "frame"},
        {"hex": GOOD, "version": "2011"},
        {"hex": GOOD, "version": ["2013"]},
        {"hex": 7},
        {"frames": GOOD},
        {"frames": [7]},
    ],
)
def test_a_bad_case_is_an_option_error(case):
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize("case", [{"hex": "7e0"}, {"hex": ""}, {"hex": "7e7e"}, {"frames": []}, {"frames": [GOOD]}])
def test_bad_frames_are_a_remote_error(case):
    with pytest.raises(RemoteProtocolError):
        decode_message(case)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2012"},
        {"phone": "13912345678"},
        {"phone": "01391234567G"},
        {"serial": 65536},
        {"encryption": 8},
        {"subpackaged": 1},
        {"subpackaged": True},
        {"body": {"raw": "00"}},
        {"body": None},
        {"body_length": 1},
        {"more": 1},
        {"msg_id": 0x1205, "body": {"raw": "0"}},
        {"msg_id": 0x1205, "body": {"raw": "00" * 1024}},
        {"msg_id": 0x1205, "body": {"fragment": "00"}},
        {"msg_id": 0x8300, "body": {"text_flags": 1, "text": "\ufffd"}},
        {"msg_id": 0x8300, "body": {"text_flags": 1, "text": "blank "}},
        {"msg_id": 0x8300, "body": {"text_flags": 1, "text_type": 1, "text": "x"}},
        {"msg_id": 0x8300, "body": {"text_flags": 256, "text": "x"}},
        {"msg_id": 0x8300, "body": {"text": "x"}},
        {"msg_id": 0x8004, "body": {"time_utc": "2026-11-24T06:28:53+08:00"}},
        {"msg_id": 0x8004, "body": {"time_utc": "2026-13-24T06:28:53Z"}},
        {"msg_id": 0x0702, "body": {"card_status": 1, "time": None, "driver_name": "x"}},
        {"msg_id": 0x0702, "body": {"card_status": 3, "time": None}},
        {"msg_id": 0x8103, "body": {"params": [{"id": 1, "length": 2, "value": 7}]}},
        {"msg_id": 0x8103, "body": {"params": [{"id": 0x75, "length": 1, "value": 7}]}},
        {"msg_id": 0x8103, "body": {"params": [{"id": 1, "length": 4, "value": 7, "raw": "00000007"}]}},
        {"msg_id": 0x8103, "body": {"params": [7]}},
        {"msg_id": 0x8202, "body": {"interval_s": 1}},
    ],
)
def test_a_message_without_a_frame_is_a_local_error(change):
    with pytest.raises(LocalProtocolError):
        encode_message(decode_message({"hex": GOOD}) | {"body_length": None} | change)


def test_an_error_tells_where_it_is_on_the_wire():
    wire = next(case["hex"] for case in REFUSED if case["name"] == "malformed_derived_bitflip")
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message({"hex": wire})
    assert (caught.value.kind, caught.value.field, caught.value.offset) == ("checksum", "check", 106)
    message = {
        "msg_id": 0x8401,
        "version": "2013",
        "phone": "0" * 12,
        "serial": 0,
        "body": {"action": 0, "contacts": []},
    }
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message({"hex": as_raw(message, "7e7e02")})
    assert (caught.value.field, caught.value.offset) == ("contacts", 1 + 12 + 4)


def as_raw(message, body):
    """The frame of a message with another body: hex of the unescaped bytes."""
    frame = decode_frame(bytes.fromhex(encode_message(message)["hex"]))
    return encode_frame(type(frame)(frame.msg_id, frame.phone, frame.serial, bytes.fromhex(body))).hex()


def test_no_error_holds_bytes_of_a_frame():
    for case in REFUSED:
        if "hex" in case:
            with pytest.raises(RemoteProtocolError) as caught:
                decode_message(input_of(case))
            assert caught.value.raw == b""
