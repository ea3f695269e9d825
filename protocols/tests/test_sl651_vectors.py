"""SL 651 against frames from outside our encoder: both layers, one byte at a time, in noise, as packets."""

import doctest
from typing import Any

import fastcrc
import pytest

from protocols.core.errors import FieldError, LocalProtocolError, OptionError, ProtocolError, UnsupportedError
from protocols.sl651 import (
    catalogue,
    confirm,
    elements,
    frame,
    framer,
    groups,
    message,
    message_elements,
    message_fields,
    packets,
    payloads,
    series,
    values,
)
from protocols.sl651.bodies import Unread
from protocols.sl651.catalogue import DOWN, UP, decode_body, read_body
from protocols.sl651.frame import MAX_FRAME_BYTES, Frame, decode_frame, encode_frame
from protocols.sl651.framer import Framer
from protocols.sl651.message import decode_message, encode_message
from protocols.sl651.packets import join
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, input_of, noisy

GOOD = [case for case in cases_of("sl651") if not case["expect"].get("error") and not case.get("scan")]
SINGLE = [case for case in GOOD if isinstance(case["hex"], str)]
WHOLE = [case for case in SINGLE if "packet_seq" not in case["expect"]]
each_single = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in SINGLE])
each_whole = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in WHOLE])
each_packets = pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"]) for case in GOOD if isinstance(case["hex"], list)]
)

NOT_CANONICAL = {"up_32_stx_035", "up_34_stx_047"}
"""They say "no value" with A, which the standard writes with F."""
REASONS = {
    "soh": "soh",
    "short": "soh",
    "length": "length",
    "end_char": "end_char",
    "crc": "crc",
    "body_short": "body_short",
    "zero_len": "zero_len",
    "packet_seq": "packet_seq",
    "body_trailer": "body_trailer",
}


@each_vector("sl651")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@pytest.mark.parametrize("case", [case for case in cases_of("sl651") if case["expect"].get("error")])
def test_an_error_says_what_is_wrong(case: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_message(input_of(case))
    assert caught.value.field == REASONS[case["expect"]["reason"]]


@each_single
def test_frame_comes_back_byte_for_byte(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    assert encode_frame(decode_frame(wire)) == wire
    assert decode_frame(wire, fastcrc.crc16.modbus) == decode_frame(wire)


@each_whole
def test_body_comes_back_byte_for_byte(case: dict[str, Any]) -> None:
    read = decode_frame(bytes.fromhex(case["hex"]))
    body = decode_body(read)
    assert not isinstance(body, Unread)
    assert body.encode(read.is_ascii) == read.body


@each_whole
def test_message_encodes_to_the_same_frame(case: dict[str, Any]) -> None:
    written = encode_message(decode_message(input_of(case)))
    if case["name"] in NOT_CANONICAL:
        again, read = decode_message(written), decode_message(input_of(case))
        assert {**again, "crc": None} == {**read, "crc": None}
    else:
        assert written == {"hex": case["hex"]}


def test_a_packet_of_the_centre_encodes_to_the_same_frame() -> None:
    case = next(case for case in SINGLE if case["name"] == "synthetic_down_nak_packet_3")
    assert encode_message(decode_message(input_of(case))) == {"hex": case["hex"]}


def test_a_packet_of_a_station_is_not_in_its_message() -> None:
    case = next(case for case in SINGLE if case["name"] == "up_36_syn_094")
    with pytest.raises(LocalProtocolError):
        encode_message(decode_message(input_of(case)))


@each_single
def test_framer_one_byte_at_a_time(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    found = Framer()
    assert drip(found, wire) == [decode_frame(wire)]
    assert found.discarded_bytes == 0


@each_single
def test_framer_recovers_after_noise(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    frames = noisy(Framer(fastcrc.crc16.modbus), wire, seed=len(wire), ceiling=MAX_FRAME_BYTES)
    assert frames[-1] == decode_frame(wire)


def test_framer_takes_all_vectors_in_one_piece() -> None:
    wires = [bytes.fromhex(case["hex"]) for case in SINGLE]
    assert drip(Framer(fastcrc.crc16.modbus), b"".join(wires)) == [decode_frame(wire) for wire in wires]


@each_packets
def test_packets_in_any_order_are_one_message(case: dict[str, Any]) -> None:
    backwards = {**case, "hex": case["hex"][::-1]}
    check_vector(backwards, decode_message)
    twice = {**case, "hex": case["hex"] + case["hex"][:2]}
    check_vector(twice, decode_message)
    if not case["expect"]["missing"]:
        whole = join([decode_frame(bytes.fromhex(packet)) for packet in case["hex"]])
        assert read_body(whole.body, whole.function_code, False, False).encode(False) == whole.body


def test_a_packet_of_another_message_is_refused() -> None:
    packet = next(case["hex"] for case in SINGLE if case["name"] == "up_36_syn_094")
    single = next(case["hex"] for case in SINGLE if case["name"] == "up_2F_stx_013")
    other = decode_frame(bytes.fromhex(packet))
    other.password = b"\x00\x00"
    for wrong in (single, encode_frame(other).hex()):
        for pair in ([packet, wrong], [wrong, packet]):
            with pytest.raises(ProtocolError):
                decode_message({"hex": pair})


def test_a_later_packet_tells_no_serial() -> None:
    packets = next(case["hex"] for case in GOOD if case["name"] == "m3_picture_13_packets_in_order")
    later = decode_message({"hex": packets[1]})
    assert (later["packet_seq"], later["chunk_len"]) == (2, 256)
    assert not {"serial", "send_time"} & set(later)
    assert decode_message({"hex": packets[1], "scan": True}) == {
        "frames": [{"function_code": "36", "serial": None, "crc": "59D8"}]
    }
    with pytest.raises(UnsupportedError):
        decode_body(decode_frame(bytes.fromhex(packets[1])))
    with pytest.raises(FieldError):
        join([decode_frame(bytes.fromhex(packet)) for packet in packets[:3]])


def test_reply_is_the_confirm_that_a_centre_sent() -> None:
    by_name = {case["name"]: case["hex"] for case in SINGLE}
    reply = {"end_char": "ESC", "send_time": "591011154947"}
    uplink = (
        "7E7E010012345678123430002B020003591011154947F1F1001234567848F0F0"
        "591011154920190000052619000005392300000127381211150320FA"
    )
    assert decode_message({"hex": uplink, "reply": reply})["reply_hex"] == by_name["down_30_stx_001"]
    whole = decode_message({"hex": by_name["up_36_syn_094"], "reply": {**reply, "end_char": "EOT"}})
    assert str(whole["reply_hex"]).startswith("7E7E001234567801123436800B1600D00D000559")
    nak = decode_message({"hex": by_name["up_36_syn_094"], "reply": {**reply, "end_char": "NAK"}})["reply_hex"]
    assert decode_message({"hex": nak})["packet_seq"] == 1
    ascii_reply = decode_message({"hex": by_name["synthetic_ascii_heartbeat"], "reply": reply})["reply_hex"]
    assert decode_message({"hex": ascii_reply})["encoding"] == "ascii"


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"hex": 1},
        {"hex": []},
        {"hex": "00", "x": 1},
        {"hex": "00", "scan": 1},
        {"hex": ["00"], "scan": True},
        {"hex": "00", "scan": True, "reply": {}},
    ],
)
def test_options_that_nobody_knows_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        {"end_char": "ESC"},
        {"end_char": "ETX", "send_time": "591011154947"},
        {"end_char": "NAK", "send_time": "591011154947"},
        {"end_char": ["ESC"], "send_time": "591011154947"},
        {"end_char": "ESC", "send_time": "59101115494"},
        {"end_char": "ESC", "send_time": "59101115494x"},
    ],
)
def test_a_reply_that_no_frame_carries_is_refused(reply: Any) -> None:
    confirm = next(case["hex"] for case in SINGLE if case["name"] == "down_30_stx_001")
    with pytest.raises(OptionError):
        decode_message({"hex": confirm, "reply": {"end_char": "EOT", "send_time": "591011154947"}})
    with pytest.raises(OptionError):
        decode_message({"hex": next(case["hex"] for case in SINGLE if case["name"] == "up_32_stx_019"), "reply": reply})


def test_every_function_is_read_both_ways_and_most_are_seen_from_outside() -> None:
    assert set(UP) == set(DOWN) == {*range(0x2F, 0x3B), *range(0x40, 0x52)}
    outside = {case["expect"]["function_code"] for case in GOOD if not case["origin"].startswith("built")}
    assert {f"{code:02X}" for code in UP} - outside == {"39", "44", "4B", "4C", "4D", "4E", "4F"}


def test_a_frame_may_be_read_whatever_its_function() -> None:
    unknown = Frame(1, bytes(5), bytes(2), 0xE7, bytes(8) + b"\x01\x02", 0x03)
    read = decode_message({"hex": encode_frame(unknown).hex()})
    assert (read["function_code"], read["raw"]) == ("E7", "0102")
    assert encode_message(read) == {"hex": encode_frame(unknown).hex().upper()}


@pytest.mark.parametrize(
    "module",
    [
        catalogue,
        confirm,
        elements,
        frame,
        framer,
        groups,
        message,
        message_elements,
        message_fields,
        packets,
        payloads,
        series,
        values,
    ],
)
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
