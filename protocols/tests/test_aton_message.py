"""Readable messages of a buoy: what is none, and what cannot be written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.aton.commands import (
    decode_answer,
    decode_command,
    encode_answer,
    encode_command,
)
from protocols.aton.frame import Frame, decode_frame, encode_frame
from protocols.aton.message import decode_message, encode_message
from protocols.aton.telemetry import (
    decode_report,
    encode_report,
)
from protocols.core.errors import (
    LocalProtocolError,
    OptionError,
    ProtocolError,
    RemoteProtocolError,
)
from protocols.tests.aton_buoy import BUOY


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_what_they_may(data: bytes) -> None:
    codecs: list[tuple[Any, Any]] = [
        (decode_frame, encode_frame),
        (decode_report, encode_report),
        (decode_command, encode_command),
        (decode_answer, encode_answer),
    ]
    for decode, encode in codecs:
        try:
            decoded = decode(data)
        except RemoteProtocolError as error:
            assert error.field  # noqa: PT017  # most bytes are none
        else:
            assert encode(decoded) == data
    for kind in (1, 2, 3, 4):
        try:
            message = decode_message({"hex": encode_frame(Frame(kind, 1, 2, data)).hex()})
        except RemoteProtocolError:
            continue
        assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"hex": 3},
        {"hex": "c5a"},
        {"hex": "zz"},
        {"hex": "", "x": 1},
        {"text": "Fl 4s"},
        {"protocol": "character"},
        {"protocol": "character", "text": "F", "x": 1},
    ],
)
def test_cases_that_are_none(case: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


COMMAND = {"kind": "command", "station": BUOY, "id": 1, "expires": "2026-11-24T06:28:53Z"}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"kind": "x"}, "kind"),
        ({"kind": 1}, "kind"),
        ({"kind": "report"}, "station"),
        ({"kind": "report", "station": True}, "station"),
        ({"kind": "report", "station": 1, "wrong": 1}, "wrong"),
        ({"kind": "report", "station": 1, "reason": "x"}, "reason"),
        ({"kind": "report", "station": 1, "time": "2026-02-30T00:00:00Z"}, "time"),
        ({"kind": "report", "station": 1, "time": 5}, "time"),
        ({"kind": "report", "station": 1, "time": "\u00b2026-11-24T06:28:53Z"}, "time"),
        ({"kind": "report", "station": 1, "time": "\uff12026-11-24T06:28:53Z"}, "time"),
        ({"kind": "report", "station": 1, "fw_version": "\ud800"}, "fw_version"),
        ({"kind": "report", "station": 1, "battery_v": "x"}, "battery_v"),
        ({"kind": "report", "station": 1, "battery_v": float("inf")}, "battery_v"),
        ({"kind": "report", "station": 1, "battery_v": 700.0}, "battery_cv"),
        ({"kind": "report", "station": 1, "lamp_on": "x"}, "lamp_on"),
        ({"kind": "report", "station": 1, "lat": 1.0}, "lon"),
        ({"kind": "report", "station": 1, "alarms": "x"}, "alarms"),
        ({"kind": "report", "station": 1, "alarms": ["x"]}, "alarms"),
        ({"kind": "report", "station": 1, "character": 5}, "character"),
        ({"kind": "report", "station": 1, "other_items": 5}, "other_items"),
        ({"kind": "report", "station": 1, "other_items": [{"number": 200, "hex": "0"}]}, "other_items"),
        (COMMAND, "verb"),
        (COMMAND | {"verb": "x"}, "verb"),
        (COMMAND | {"verb": 1, "arguments_hex": ""}, "verb"),
        (COMMAND | {"verb": 200, "arguments_hex": "0"}, "arguments_hex"),
        (COMMAND | {"verb": "reboot", "text": "x"}, "text"),
        (COMMAND | {"verb": "reboot", "id": None}, "id"),
        (COMMAND | {"verb": "reboot", "expires": None}, "expires"),
        (COMMAND | {"verb": "lamp_mode", "mode": "x"}, "mode"),
        (COMMAND | {"verb": "set_thresholds", "thresholds": 5}, "thresholds"),
        ({"kind": "answer", "station": 1, "id": 1, "stage": "x"}, "stage"),
        ({"kind": "answer", "station": 1, "id": 1, "stage": 1, "wrong": 1}, "wrong"),
    ],
)
def test_messages_that_cannot_be_written(message: dict[str, object], field: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        encode_message(message)
    assert isinstance(caught.value, LocalProtocolError)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("frame", "field", "offset"),
    [
        (Frame(1, BUOY, 1, b"\x00"), "length", 12),
        (Frame(1, BUOY, 1, bytes(5) + b"\x08\x02\x01"), "item", 16),
        (Frame(1, BUOY, 1, bytes(5) + b"\x01\x01\x01\x08\x01\x01"), "battery_cv", 11),
        (Frame(2, BUOY, 1, bytes(8)), "length", 19),
        (Frame(2, BUOY, 1, bytes(8) + b"\x04"), "set_intensity", 11),
        (Frame(3, BUOY, 1, bytes(6) + b"\x07"), "text", 11),
        (Frame(4, BUOY, 1, b""), "kind", 2),
    ],
)
def test_an_error_is_pointed_at_in_the_frame(frame: Frame, field: str, offset: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message({"hex": encode_frame(frame).hex()})
    assert (caught.value.field, caught.value.offset) == (field, offset)
