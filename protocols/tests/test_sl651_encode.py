"""SL 651: messages that have no frame are refused, whatever is wrong with them, and never misunderstood."""

import random
from typing import Any

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.sl651.bodies import IdentifierList, Opening, PeriodQuery, Report
from protocols.sl651.frame import ETX, Frame, decode_frame, encode_frame
from protocols.sl651.groups import Group, hour_group, observed_group, station_group, status_group, step_group
from protocols.sl651.message import decode_message, encode_message
from protocols.sl651.packets import split
from protocols.sl651.payloads import Switches, write_event_counts, write_switches, write_version
from protocols.sl651.series import Series
from protocols.sl651.values import definition_of, write_counts
from protocols.tests.kit import cases_of, damaged_message, input_of, is_same

OPEN = Opening(7, "261124000000")
GOOD = [
    decode_message(input_of(case))
    for case in cases_of("sl651")
    if isinstance(case["hex"], str)
    and not case["expect"].get("error")
    and not case.get("scan")
    and "packet_seq" not in case["expect"]
]
HEAD: dict[str, Any] = {
    "encoding": "hex",
    "direction": "up",
    "center_addr": 1,
    "station_addr": "0012345678",
    "password": "1234",
    "function_code": "32",
    "end_char": "ETX",
    "serial": 7,
    "send_time": "261124000000",
}
STATION = {"elem_station_addr": "0012345678"}
TYPED = {**STATION, "station_type": "48"}
DOWN = {**HEAD, "direction": "down", "end_char": "ENQ"}
ASCII = {**HEAD, "encoding": "ascii"}
OTHERS: list[dict[str, Any]] = [
    {**HEAD, "function_code": "4E", **STATION, "is_on": [True, False], "openings_cm": [1, None]},
    {**HEAD, "function_code": "4C", **STATION, "is_on": [True, False]},
    {**HEAD, "function_code": "4D", **STATION, "is_on": [True, False], "bits": "F1"},
    {**DOWN, "function_code": "4F", "quota": True},
    {**HEAD, "function_code": "45", **STATION, "version": "V1"},
    {**HEAD, "function_code": "50", **STATION, "event_counts": list(range(32))},
    {**HEAD, "function_code": "E5", "raw": "0102"},
    {**HEAD, "function_code": "36", **TYPED, "picture_hex": "FFD8"},
    {**HEAD, **TYPED, "flow_data": "0102"},
    {**HEAD, **TYPED, "time_step": "000005", "elements": [{"id": "39", "value": 1.0}]},
    {**ASCII, **TYPED, "time_step": "010000", "elements": [{"id": "Z", "value": 1.0}]},
    {**HEAD, **TYPED, "elements": [{"id": "FF22", "value": 1.5, "definition": "1B"}, {"id": "45", "value": 7}]},
    {**HEAD, **TYPED, "elements": [{"id": "45", "value": 7, "definition": "10"}]},
    {**HEAD, **TYPED, "elements": [{"id": "F4", "values": [None] * 12}, {"id": "F5", "values": [1.0] * 12}]},
    {**DOWN, "function_code": "3A", "query_ids": ["39", "FF22"], "query_definitions": ["23", "1B"]},
    {**DOWN, "function_code": "38", "range_start": "26112400", "range_end": "26112401", "time_step": "000100",
     "query_ids": ["39"]},
    {**DOWN, "function_code": "40", "params": [{"id": "0E", "hex": "01" * 40}, {"id": "FF01", "hex": "02"}]},
    {**DOWN, "function_code": "42", "params": [{"id": "28", "hex": "00010000", "definition": "21"}]},
    {**ASCII, **TYPED, "obs_time": "2611240000", "elements": [{"id": "XX", "value": 1.25}, {"id": "Z", "value": None}]},
    {**ASCII, **TYPED, "elements": [{"id": "DRP", "values": [0.1] * 12}, {"id": "DRZ8", "values": [0.01] * 12}]},
    {**ASCII, "function_code": "40", **STATION, "params": [{"id": "AB", "text": "12"}]},
    {**ASCII, "function_code": "31", **TYPED, "time_step": "000005", "elements": [{"id": "Z", "values": [1.0, None]}]},
    {**HEAD, "function_code": "31", **TYPED, "time_step": "000005", "elements": [{"id": "39", "values": [1.0, None]}]},
    {**HEAD, "function_code": "31", **TYPED, "time_step": "000005", "elements": [{"id": "45", "values": [1, 1152]}]},
    {**ASCII, "function_code": "38", **TYPED, "time_step": "000100", "elements": [{"id": "ZT", "values": [1152, 7]}]},
    {**DOWN, "function_code": "3A", "query_ids": ["39", "45"]},
    {**DOWN, "function_code": "38", "range_start": "26112400", "range_end": "26112401", "time_step": "000100",
     "query_ids": ["45"]},
    {**HEAD, "function_code": "38", **TYPED, "time_step": "000000", "elements": [{"id": "F4", "values": [0.5] * 12}]},
    {**ASCII, "direction": "down", "end_char": "ENQ", "function_code": "3A", "query_ids": ["Z", "VT"]},
    {**ASCII, "function_code": "45", **STATION, "version": "V1"},
    {**HEAD, "direction": "down", "end_char": "NAK", "function_code": "36", "packet_total": 3, "packet_seq": 2},
]  # fmt: skip


@pytest.mark.parametrize("message", OTHERS)
def test_a_message_written_by_hand_is_read_as_it_was_meant(message: dict[str, Any]) -> None:
    read = decode_message(encode_message(message))
    for key, value in message.items():
        if key == "picture_hex":
            assert read["picture_len"] == len(value) // 2
        elif key == "elements":
            assert is_same(value, read[key])
        else:
            assert read[key] == value


@pytest.mark.parametrize("seed", range(20))
def test_damaged_messages_raise_only_what_they_may(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        message = damaged_message(rng, rng.choice([*GOOD, *OTHERS]))
        if not isinstance(message, dict):
            continue
        try:
            written = encode_message(message)
        except LocalProtocolError:
            continue
        decode_message(written)


@pytest.mark.parametrize(
    "message",
    [
        {**ASCII, **TYPED, "elements": [{"id": "Z Z", "value": 1}]},
        {**ASCII, "function_code": "40", **STATION, "params": [{"id": "AB", "text": "1 2"}]},
        {**ASCII, **TYPED, "elements": [{"id": "DRN05", "value": 1}]},
        {**HEAD, "elements": [{"id": "F1", "value": 1, "definition": "08"}, {"id": "F1", "value": 1}]},
        {**HEAD, "elements": [{"id": "F4", "value": 1, "definition": "08"}]},
        {**HEAD, "function_code": "45", "version": "V1"},
        {**DOWN, "function_code": "4F", **STATION, "quota": True},
        {**DOWN, "function_code": "3A", "query_ids": ["76"]},
        {**DOWN, "function_code": "43", "query_ids": [" "]},
        {**DOWN, "function_code": "40", "params": [{"id": "", "hex": "01"}]},
        {**HEAD, **TYPED, "elements": [{"id": "  ", "value": 1.5}]},
        {**HEAD, "serial": None},
        {**HEAD, "password": "12 34 "},
        {**HEAD, "encoding": "octal"},
        {**HEAD, "end_char": "EOF"},
        {**DOWN, "function_code": "3A", "query_ids": ["39"], "query_definitions": ["23", "12"]},
        {**ASCII, "function_code": "31", **TYPED, "time_step": "000005",
         "elements": [{"id": "Z", "values": [1.0]}, {"id": "PJ", "values": []}]},
        {**ASCII, **TYPED, "elements": [{"id": "DRZ9", "values": [None] * 12}]},
        {**HEAD, **TYPED, "elements": [{"id": "45", "value": 0.5}]},
        {**HEAD, **TYPED, "elements": [{"id": "45", "value": 256, "definition": "08"}]},
        {**HEAD, **TYPED, "elements": [{"id": "FF22", "value": 1.5}]},
        {**HEAD, **TYPED, "elements": [{"id": "FF", "value": 1.5, "definition": "1B"}]},
        {**HEAD, **TYPED, "elements": [{"id": "39", "value": 100.0, "definition": "0B"}]},
        {**HEAD, **TYPED, "elements": [{"id": "FF22", "value": 123456789012.1234567, "definition": "57"}]},
        {**HEAD, **TYPED, "obs_time": "\uff12611240000"},
        {**HEAD, **TYPED, "obs_time": "\u00b2611240000"},
        {**ASCII, **TYPED, "obs_time": "\u00b2611240000"},
        {**HEAD, **TYPED, "time_step": "\u00b20000"},
        {**ASCII, **TYPED, "elements": [{"id": "\ud800", "value": 1}]},
        {**ASCII, "function_code": "40", **STATION, "params": [{"id": "AB", "text": "\ud800"}]},
        {**ASCII, "function_code": "31", **TYPED, "time_step": "000005", "elements": [{"id": "\ud800", "values": []}]},
        {**ASCII, "direction": "down", "end_char": "ENQ", "function_code": "3A", "query_ids": ["\ud800"]},
        {**DOWN, "function_code": "3A", "packet_total": 2, "packet_seq": 1, "query_ids": ["39"]},
        {**DOWN, "function_code": "3A", "packet_total": 2, "packet_seq": 1},
        {**HEAD, "function_code": "4D", **STATION, "is_on": [True, False], "bits": "F2"},
        {**HEAD, "function_code": "4D", **STATION, "is_on": [True, False], "bits": "F100"},
    ],
)  # fmt: skip
def test_what_would_be_read_as_something_else_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def refused(call: Any) -> None:
    with pytest.raises(LocalProtocolError):
        call()


def test_what_no_group_carries_is_refused() -> None:
    refused(lambda: station_group(bytes(4), "H"))
    refused(lambda: station_group(bytes(5), "HH"))
    refused(lambda: observed_group("26112400"))
    refused(lambda: observed_group("26112400x0"))
    refused(lambda: observed_group("\u00b2611240000"))
    refused(lambda: step_group("\u0660\u06600005"))
    refused(lambda: status_group(-1))
    refused(lambda: hour_group(0xFD, [None] * 12))
    refused(lambda: hour_group(0xF4, [None]))
    refused(lambda: hour_group(0xF4, [255] * 12))
    refused(lambda: write_counts([-1], 2))
    refused(lambda: step_group("010100"))
    refused(lambda: step_group("00000"))
    refused(lambda: definition_of(32, 0))
    refused(lambda: definition_of(1, 8))


def test_what_no_body_carries_is_refused() -> None:
    step = step_group("000100")
    refused(lambda: Opening(-1, "0" * 12).encode(False))
    refused(lambda: Opening(1, "0").encode(False))
    refused(lambda: Opening(1, "x" * 12).encode(False))
    refused(lambda: Opening(1, "A" * 12).encode(True))
    refused(lambda: Opening(1, "\u0660" * 12).encode(True))
    refused(lambda: Series(OPEN, [], [], [b"1"]).encode(False))
    refused(lambda: Series(OPEN, [], [b"\x39\x23"], [b"1"]).encode(False))
    refused(lambda: Series(OPEN, [], [b"\x39\x23", b"\x38\x12"], []).encode(False))
    refused(lambda: PeriodQuery(OPEN, "26", "26112400", step, []).encode(False))
    refused(lambda: PeriodQuery(OPEN, "\u0660" * 8, "26112400", step_group("000100", True), []).encode(True))
    refused(lambda: Report(OPEN, [Group(b"DRN05", b"1", True)]).encode(True))
    refused(lambda: write_version(bytes(256)))
    refused(lambda: write_event_counts([0]))
    refused(lambda: write_event_counts([65536] * 32))
    refused(lambda: write_switches(Switches([True] * 256)))
    refused(lambda: write_switches(Switches([True], [1, 2])))
    refused(lambda: write_switches(Switches([True], [-1])))
    refused(lambda: write_switches(Switches([True], spare=b"\x00")))
    assert IdentifierList(OPEN, []).encode(False) == OPEN.encode(False)


def test_what_no_packets_carry_is_refused() -> None:
    refused(lambda: split(Frame(1, bytes(5), bytes(2), 0x36, bytes(4096), ETX), 1))
    packet = split(Frame(1, bytes(5), bytes(2), 0x36, bytes(40), ETX, is_ascii=True), 20)[0]
    packet.spelling = b"f" * 32
    refused(lambda: encode_frame(packet))


def test_a_serial_in_lower_case_is_kept() -> None:
    frame = Frame(1, bytes(5), bytes(2), 0x2F, b"00ab261124000000", ETX, is_ascii=True)
    body = decode_message({"hex": encode_frame(frame).hex()})
    assert body["serial"] == 0xAB
    assert Opening(0xAB, "261124000000", b"00ab").encode(True) == decode_frame(encode_frame(frame)).body
