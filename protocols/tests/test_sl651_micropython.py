"""SL 651 on a real MicroPython: every vector, the framer, and reports written as CPython writes them."""

import json
import sys
from typing import Any

import pytest

from protocols.sl651.catalogue import decode_body
from protocols.sl651.elements import ELEMENTS
from protocols.sl651.frame import decode_frame
from protocols.sl651.message import decode_message
from protocols.tests.kit import VECTORS, cases_of
from protocols.tests.test_micropython_clean import ROOT, run_micropython

SCRIPT = """
import json
import sys

sys.path.insert(0, sys.argv[1])

from protocols.core.errors import NEED_DATA, RemoteProtocolError
from protocols.sl651.catalogue import decode_body
from protocols.sl651.frame import Frame, decode_frame, encode_frame
from protocols.sl651.framer import Framer
from protocols.sl651.packets import join, split

results = {}
for case in json.load(open(sys.argv[2]))["cases"]:
    if "scan" in case:
        continue
    packets = case["hex"] if isinstance(case["hex"], list) else [case["hex"]]
    framer = Framer()
    found = []
    for packet in packets:
        wire = bytes.fromhex(packet)
        for at in range(len(wire)):
            assert framer.next_frame() is NEED_DATA
            framer.feed(wire[at : at + 1])
        frame = framer.next_frame()
        if isinstance(frame, Frame):
            assert encode_frame(frame) == wire
            assert decode_frame(wire) == frame
            found.append(frame)
    if len(packets) > 1:
        if len(found) == found[0].packet_total:
            frame = join(found)
            assert [part.body for part in split(frame, 100)]
            results[case["name"]] = [group.leader for group in decode_body(frame).groups_of_body]
        continue
    if not found or found[0].packet_total:
        continue
    try:
        body = decode_body(found[0])
    except RemoteProtocolError as error:
        results[case["name"]] = error.field
        continue
    assert body.encode(found[0].is_ascii) == found[0].body
    results[case["name"]] = [body.opening.serial, [[group.leader, group.value[0]] for group in body.groups_of_body]]
print(json.dumps(results))
"""


def test_every_vector_on_micropython() -> None:
    results = json.loads(run_micropython(SCRIPT, str(VECTORS / "sl651.json")))
    read = 0
    for case in cases_of("sl651"):
        got = results.get(case["name"])
        if got is None or isinstance(case["hex"], list):
            continue
        frame = decode_frame(bytes.fromhex(case["hex"]))
        if case["expect"].get("error"):
            assert got == case["expect"]["reason"]
            continue
        groups = decode_body(frame).groups_of_body
        assert got == [case["expect"]["serial"], [[group.leader, group.value[0]] for group in groups]]
        read += 1
    assert read > 50
    assert results["m3_picture_13_packets_in_order"] == ["F1", "F0", "F3"]


WRITING = """
import sys

sys.path.insert(0, sys.argv[1])

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.sl651.bodies import Bare, IdentifierList, Opening, Payload, PeriodQuery, Report
from protocols.sl651.confirm import confirm_of
from protocols.sl651.elements import ELEMENTS, element_of
from protocols.sl651.frame import ENQ, ESC, ETX, Frame, encode_frame
from protocols.sl651.framer import Framer
from protocols.sl651.groups import (
    ASCII_PICTURE, PICTURE, Group, hour_group, ident_of, number_group, observed_group, station_group, status_group,
    step_group,
)
from protocols.sl651.packets import again, split
from protocols.sl651.payloads import Switches, write_event_counts, write_switches, write_version
from protocols.sl651.series import Series

address = b"\\x00\\x12\\x34\\x56\\x78"
opening = Opening(0xABCD, "261124000000")


def frame_of(code, body, is_ascii, is_down=False):
    end = ENQ if is_down else ETX
    return Frame(1, address, b"\\x12\\xCD", code, body.encode(is_ascii), end, is_down, is_ascii)


frames = []
for is_ascii in (False, True):
    head = [station_group(address, "H", is_ascii), observed_group("2611240000", is_ascii)]
    for element in ELEMENTS:
        most = 10**element.digits - 1
        values = [number_group(element, mantissa, is_ascii) for mantissa in (0, 1, most, -most, None)]
        frames.append(frame_of(0x32, Report(opening, head + values), is_ascii))
    hours = [hour_group(0xF4, [0, 254, None] * 4, is_ascii), hour_group(0xF5, [0, 65534, None] * 4, is_ascii)]
    frames.append(frame_of(0x34, Report(opening, head + hours + [status_group(0x480, is_ascii)]), is_ascii))
    level = element_of("Z")
    values = [number_group(level, 12345, is_ascii).data, number_group(level, None, is_ascii).data]
    series = Series(opening, head + [step_group("000005", is_ascii)], [ident_of(0x39, is_ascii)], values)
    frames.append(frame_of(0x31, series, is_ascii))
    station = station_group(address, None, is_ascii)
    for code, payload in (
        (0x45, write_version(b"V1.0")),
        (0x4E, write_switches(Switches([True, False, True], [120, 0, None]))),
        (0x50, write_event_counts(list(range(32)))),
    ):
        frames.append(frame_of(code, Payload(opening, station, payload), is_ascii))
    query = PeriodQuery(opening, "26112400", "26112423", step_group("000100", is_ascii), [ident_of(0x45, is_ascii)])
    frames.append(frame_of(0x38, query, is_ascii, True))
    frames.append(frame_of(0x3A, IdentifierList(opening, [ident_of("VT", is_ascii)]), is_ascii, True))
    frames.append(frame_of(0x2F, Bare(opening), is_ascii))
    frames.append(confirm_of(frames[0], 7, "261124000001", ESC))
    data = bytes(range(256)) * 2
    picture = Group(ASCII_PICTURE, data.hex().upper().encode(), True) if is_ascii else Group(PICTURE, data)
    packets = split(frame_of(0x36, Report(opening, head + [picture]), is_ascii), 200)
    frames += packets + [again(packets[1]), confirm_of(packets[-1], 7, "261124000001", 0x15, 2)]
framer = Framer(max_bytes=4096)
sent = b""
for number, frame in enumerate(frames):
    wire = encode_frame(frame)
    print(wire.hex())
    sent += b"\\x7e" * (number % 3) + b"\\x01" * (number % 2) + wire
found = []
for at in range(0, len(sent), 97):
    framer.feed(sent[at : at + 97])
    while True:
        frame = framer.next_frame()
        if frame is NEED_DATA:
            break
        found.append(frame)
assert found == frames
print(framer.discarded_bytes, framer.bad_checks, framer.waiting)
for wrong in (lambda: number_group(level, 10**8), lambda: step_group("010101"), lambda: hour_group(0xF4, [1])):
    try:
        wrong()
    except LocalProtocolError as error:
        print(error)
"""


def test_what_a_station_writes_comes_out_alike(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    theirs = run_micropython(WRITING)
    monkeypatch.setattr(sys, "argv", ["", str(ROOT)])
    monkeypatch.setattr(sys, "path", sys.path[:])
    exec(compile(WRITING, "writing", "exec"), {})
    ours = capsys.readouterr().out
    assert theirs == ours
    *wires, counts, _number, _step, _hour = theirs.splitlines()
    assert counts.split()[1:] == ["0", "0"]
    assert len(wires) > 2 * len(ELEMENTS)
    level = decode_message({"hex": wires[[element.code for element in ELEMENTS].index(0x39)]})
    assert [element["value"] for element in level["elements"]] == [0, 0.001, 9999.999, -9999.999, None]  # type: ignore[attr-defined]
