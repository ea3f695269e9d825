"""GB/T 32960 against frames from outside our encoder: both layers, one byte at a time, in noise."""

import doctest
import struct
from typing import Any

import pytest

from protocols.core.checksum import xor8
from protocols.core.errors import OptionError, ProtocolError
from protocols.gbt32960 import (
    catalogue,
    frame,
    heavy,
    items_2016,
    items_2025,
    login,
    message,
    parameters,
    readable,
    report,
    times,
)
from protocols.gbt32960.catalogue import Opaque, decode_body, encode_body
from protocols.gbt32960.frame import Command, Framer, decode_frame, encode_frame
from protocols.gbt32960.heavy import START, decode_heavy, encode_heavy, read_heavy, write_heavy
from protocols.gbt32960.message import HEAVY, decode_message, encode_message
from protocols.gbt32960.report import TYPES
from protocols.tests.kit import cases_of, check_vector, drip, each_vector, input_of, noisy

GOOD = [case for case in cases_of("gbt32960") if not case["expect"].get("error")]
LIGHT = [case for case in GOOD if case["version"] != HEAVY]
TRUCKS = [case for case in GOOD if case["version"] == HEAVY]
each_good = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GOOD])
each_light = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in LIGHT])
each_truck = pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in TRUCKS])

NOT_CANONICAL = {
    "rtm_06_data2016_with_only_e_motor_data": "abnormal, which is shown as null, is written as invalid",
    "rtm_07_data2025_with_only_e_motor_data": "the same",
    "rtm_17_data2016_with_only_probe_temps_data": "a count that says nothing",
    "hd_05_cmd02": "a time of zeros",
}
CEILING = 4096


@each_vector("gbt32960")
def test_vector(vector: dict[str, Any]) -> None:
    check_vector(vector, decode_message)


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("malformed_bcc_bitflip", "bcc", "checksum"),
        ("malformed_truncated", "data_length", "frame"),
        ("malformed_trailing_byte", "data_length", "frame"),
        ("malformed_start", "start", "frame"),
        ("malformed_length_plus_one", "data_length", "frame"),
        ("malformed_body_one_short", "other_faults", "field"),
        ("malformed_unknown_info_type", "type", "unsupported"),
        ("malformed_short", "length", "frame"),
    ],
)
def test_an_error_says_what_is_wrong(name: str, field: str, kind: str) -> None:
    case = next(case for case in cases_of("gbt32960") if case["name"] == name)
    with pytest.raises(ProtocolError) as caught:
        decode_message(input_of(case))
    assert (caught.value.field, caught.value.kind) == (field, kind)
    assert caught.value.raw == b""


@each_light
def test_wire_types_lose_nothing(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    read = decode_frame(wire)
    assert encode_frame(read) == wire
    assert encode_body(decode_body(read), read.edition) == read.data


@each_truck
def test_wire_types_of_trucks_lose_nothing(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    read = decode_heavy(wire)
    assert encode_heavy(read) == wire
    assert write_heavy(read_heavy(read)) == read.data


@each_good
def test_message_encodes_to_the_same_frame(case: dict[str, Any]) -> None:
    read = decode_message(input_of(case))
    written = encode_message(read)
    if case["name"] in NOT_CANONICAL:
        assert decode_message({**written, "version": case["version"]}) == read
    else:
        assert written == {"hex": case["hex"]}


@each_light
def test_framer_one_byte_at_a_time(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    framer = Framer()
    assert drip(framer, wire) == [decode_frame(wire)]
    assert framer.discarded_bytes == 0


@each_truck
def test_framer_finds_frames_of_trucks(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    framer = Framer(starts=(START,))
    framer.feed(b"\x24\x24\x23" + wire)
    assert framer.next_bytes() == wire
    assert framer.discarded_bytes == 3


@each_light
def test_framer_recovers_after_noise(case: dict[str, Any]) -> None:
    wire = bytes.fromhex(case["hex"])
    frames = noisy(Framer(CEILING), wire, seed=len(wire), ceiling=CEILING)
    assert frames[-1] == decode_frame(wire)


def test_framer_takes_all_vectors_in_one_piece() -> None:
    wires = [bytes.fromhex(case["hex"]) for case in LIGHT]
    framer = Framer()
    assert drip(framer, b"".join(wires)) == [decode_frame(wire) for wire in wires]
    assert framer.discarded_bytes == 0


def test_signature_covers_what_stands_before_it() -> None:
    case = next(case for case in LIGHT if case["name"].startswith("rtm_33"))
    read = decode_frame(bytes.fromhex(case["hex"]))
    body = decode_body(read)
    assert isinstance(body, report.Report)
    signed = body.signed_bytes()
    assert signed is not None
    assert read.data.startswith(signed + b"\xff\x02\x01\x00")
    unsigned = next(case for case in LIGHT if case["name"] == "emqx_2025_vehicle")
    assert decode_body(decode_frame(bytes.fromhex(unsigned["hex"]))).signed_bytes() is None  # type: ignore[union-attr]


def test_version_in_a_case_that_disagrees_is_not_looked_at() -> None:
    case = LIGHT[0]
    for version in ("2016", "2025", None):
        assert decode_message({"hex": case["hex"], "version": version})["version"] == case["expect"]["version"]


@pytest.mark.parametrize("case", [{}, {"hex": 1}, {"hex": "00", "x": 1}, {"hex": "00", "version": 2016}])
def test_options_that_nobody_knows_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


def test_what_has_no_vector_from_outside_is_what_the_page_says() -> None:
    seen: dict[str, set[int]] = {"2016": set(), "2025": set(), HEAVY: set()}
    commands: set[int] = set()
    for case in GOOD:
        expect = case["expect"]
        commands.add(expect["command"])
        seen[expect["version"]] |= {info["type"] for info in expect["body"].get("infos", [])}
    assert set(TYPES[2016]) - seen["2016"] == {0x03}
    assert set(TYPES[2025]) - seen["2025"] == {0x30, 0x31, 0x32}
    assert set(Command) - commands == {Command.ACTIVATION_ANSWER, Command.KEY_EXCHANGE, Command.SET_PARAMETERS}


T26, T27 = "2026-11-24T08:00:00+08:00", "2027-11-24T08:00:00+08:00"


@pytest.mark.parametrize(
    ("edition", "command", "data", "body"),
    [
        (2025, 0x0A, "01 02", {"activation_status": 1, "activation_info": 2}),
        (
            2025,
            0x0B,
            "04 0003 aabbcc 1a0b18080000 1b0b18080000",
            {"key_type": 4, "key": "aabbcc", "valid_from": T26, "valid_until": T27},
        ),
        (
            2016,
            0x81,
            "1a0b18080000 04 02 001e 04 03 05 616263 10 01",
            {
                "time": T26,
                "param_count": 4,
                "params": [
                    {"id": 2, "value": 30}, {"id": 4, "value": 3}, {"id": 5, "value": "abc"}, {"id": 16, "value": 1},
                ],
            },
        ),
        (
            2025,
            0x81,
            "1a0b18080000 02 02 1e 03 0a",
            {"time": T26, "param_count": 2, "params": [{"id": 2, "value": 30}, {"id": 3, "value": 10}]},
        ),
    ],
)  # fmt: skip
def test_commands_without_an_outside_frame_are_read_as_the_tables_say(
    edition: int, command: int, data: str, body: dict[str, Any]
) -> None:
    unit = bytes.fromhex(data)
    content = bytes((command, 0xFE)) + b"LZYTAGBW0G1042536" + b"\1" + len(unit).to_bytes(2, "big") + unit
    wire = (b"##" if edition == 2016 else b"$$") + content + bytes((xor8(content),))
    assert decode_message({"hex": wire.hex()})["body"] == body


def test_an_encrypted_data_unit_is_kept() -> None:
    case = next(case for case in LIGHT if case["name"] == "jtne_01_ceed30")
    read = decode_frame(bytes.fromhex(case["hex"]))
    assert decode_body(read) == Opaque(read.data)
    assert struct.unpack_from(">H", bytes.fromhex(case["hex"]), 22)[0] == len(read.data)


@pytest.mark.parametrize(
    "module",
    [catalogue, frame, heavy, items_2016, items_2025, login, message, parameters, readable, report, times],
)
def test_examples_in_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
