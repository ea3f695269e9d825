"""RFID and gates: frames, numbers and tokens from outside, both ways, byte by byte, in noise, cut and damaged."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from protocols.core.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from protocols.length_framer import FrameForm
from protocols.rfid_and_gates import idcard_sam, llrp_message, uhf_m100, uhf_r2000
from protocols.rfid_and_gates.message import decode_message, encode_message
from protocols.rfid_and_gates.scanner import ScannerFramer
from protocols.tests.kit import cases_of, check_vector, drip, each_case, each_vector, input_of
from protocols.tests.length_forms import check_byte_by_byte, check_cut_or_longer, check_false_starts, check_in_noise

CASES = cases_of("rfid_and_gates")
GOOD = [case for case in CASES if "error" not in case["expect"]]
FORMS: dict[str, tuple[FrameForm[Any], Callable[[Any], bytes]]] = {
    "uhf_m100": (uhf_m100.FORM, uhf_m100.encode_frame),
    "uhf_r2000": (uhf_r2000.FORM, uhf_r2000.encode_frame),
    "llrp": (llrp_message.FORM, llrp_message.encode_message_frame),
    "idcard_sam": (idcard_sam.FORM, idcard_sam.encode_frame),
}
FRAMES = [case for case in GOOD if case["protocol"] in FORMS]
CHECKED = [case for case in FRAMES if case["protocol"] != "llrp"]
SIGNED = ("jws", "ticket")


@each_vector("rfid_and_gates")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@each_case(FRAMES)
def test_wire_types_lose_nothing(case: dict[str, Any]) -> None:
    form, encode = FORMS[case["protocol"]]
    wire = bytes.fromhex(case["hex"])
    assert encode(form.decode(wire)) == wire


@each_case([case for case in GOOD if case["protocol"] not in SIGNED])
def test_a_message_is_written_back_as_it_was(case: dict[str, Any]) -> None:
    message = json.loads(json.dumps(decode_message(input_of(case))))
    written = encode_message(message)
    if case["protocol"] == "eseal":
        assert json.loads(str(written["text"])) == json.loads(case["text"])
    elif case["name"] == "idle bytes and empty lines are skipped":
        assert written == {"hex": b"6921734976505\r\n".hex()}
    else:
        assert written == {key: case[key] for key in ("hex", "text") if key in case}


@each_case([case for case in GOOD if case["protocol"] in SIGNED])
def test_a_ticket_is_written_by_its_issuer_only(case: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_message(decode_message(input_of(case)))


@each_case(FRAMES)
def test_byte_by_byte_and_in_noise(case: dict[str, Any]) -> None:
    form, _encode = FORMS[case["protocol"]]
    check_byte_by_byte(form, bytes.fromhex(case["hex"]))
    check_in_noise(form, bytes.fromhex(case["hex"]))


@each_case(CHECKED)
def test_a_false_start_swallows_no_frame(case: dict[str, Any]) -> None:
    check_false_starts(FORMS[case["protocol"]][0], bytes.fromhex(case["hex"]))


@each_case(FRAMES)
def test_a_frame_that_is_cut_or_longer_is_refused(case: dict[str, Any]) -> None:
    check_cut_or_longer(FORMS[case["protocol"]][0], bytes.fromhex(case["hex"]))


@each_case(CHECKED)
def test_a_flipped_bit_is_noticed(case: dict[str, Any]) -> None:
    form, _encode = FORMS[case["protocol"]]
    wire = bytes.fromhex(case["hex"])
    for at in range(len(wire) * 8):
        broken = bytearray(wire)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(RemoteProtocolError):
            form.decode(bytes(broken))


@each_case([case for case in GOOD if case["protocol"] == "scanner"])
def test_codes_byte_by_byte(case: dict[str, Any]) -> None:
    assert drip(ScannerFramer(), bytes.fromhex(case["hex"])) == case["expect"]["codes"]


@each_case([case for case in GOOD if case["protocol"] in SIGNED])
def test_any_character_of_a_token_changed_is_noticed(case: dict[str, Any]) -> None:
    text = case["text"]
    for at in range(0, len(text), 3):
        other = "A" if text[at] != "A" else "B"
        with pytest.raises(RemoteProtocolError):
            decode_message({**input_of(case), "text": text[:at] + other + text[at + 1 :]})
    for other in (text + "=", text[:-1], text + ".", text.replace(".", "", 1), " " + text, ""):
        with pytest.raises(RemoteProtocolError):
            decode_message({**input_of(case), "text": other})


@each_case([case for case in CASES if "error" in case["expect"]])
def test_a_refusal_tells_no_bytes(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_message(input_of(case))
    assert caught.value.raw == b""
