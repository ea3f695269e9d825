"""Readable messages: options, what has no canonical line, what breaks its table."""

from typing import Any

import pytest

from protocols.core.errors import FrameError, LocalProtocolError, OptionError
from protocols.nmea0183.message import decode_message, encode_message
from protocols.nmea0183.sentence import Sentence, encode_for_sending


@pytest.mark.parametrize(
    "case",
    [{}, {"text": 7}, {"text": None}, {"text": "$HEHDT,4.1,T*2A", "strict": True}, {"hex": "24"}, {"text": ["a"]}],
)
def test_options_that_are_none(case: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


def test_two_lines_are_not_one() -> None:
    with pytest.raises(FrameError):
        decode_message({"text": "$HEHDT,4.1,T*2A\r\n$HEHDT,4.1,T*2A"})
    with pytest.raises(FrameError):
        decode_message({"text": "$HEHDT,4.1,T*2A$HEHDT,4.1,T*2A"})


FIX = {"talker": "GN", "formatter": "GLL", "lat_deg": 32.5, "lon_deg": 118.5, "utc_s": 1.0, "status": "A", "mode": "A"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"formatter": "XYZ"}, "formatter"),
        ({"formatter": None}, "formatter"),
        ({"talker": None}, "talker"),
        ({"talker": "gn"}, "talker"),
        ({"talker": "GNX"}, "talker"),
        ({"lat_deg": None}, "lat_deg"),
        ({"lon_deg": None}, "lon_deg"),
        ({"lat_deg": 91.0}, "position"),
        ({"lon_deg": float("nan")}, "lon_deg"),
        ({"lat_deg": "32.5"}, "lat_deg"),
        ({"lat_deg": True}, "lat_deg"),
        ({"utc_s": -1.0}, "utc"),
        ({"utc_s": 86_401.0}, "utc"),
        ({"status": "A,B"}, "status"),
        ({"status": 1}, "status"),
        ({"mode": "*"}, "mode"),
        ({"colour": "red"}, "colour"),
        ({"tag": "s:1"}, "tag"),
        ({"tag": {"s": 1}}, "tag"),
        ({"tag": {"s": "a,b"}}, "tag"),
    ],
)
def test_messages_without_a_canonical_line(change: dict[str, Any], field: str) -> None:
    assert encode_message(FIX)
    with pytest.raises(LocalProtocolError) as caught:
        encode_message(FIX | change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"formatter": "RMC", "status": "Q"}, "status"),
        ({"formatter": "RMC", "status": "A", "date": "2026-02-30"}, "date"),
        ({"formatter": "RMC", "status": "A", "date": "1979-12-31"}, "date"),
        ({"formatter": "RMC", "status": "A", "date": 20261124}, "date"),
        ({"formatter": "GSA", "sat_ids": [1.5]}, "sat_ids"),
        ({"formatter": "GSA", "sat_ids": None}, "sat_ids"),
        ({"formatter": "GSV", "sats": [{"id": None}]}, "id"),
        ({"formatter": "GSV", "sats": [{"id": 1, "snr": 40}]}, "id"),
        ({"formatter": "GSV", "sats": [7], "num_msgs": 1}, "id"),
        ({"formatter": "GSV", "sats": [], "signal_id": 16}, "signal_id"),
        ({"formatter": "XDR", "transducers": [{"type": 1}]}, "type"),
        ({"formatter": "XDR", "transducers": []}, "fields"),
        ({"formatter": "GGA", "fix_quality": 1.0}, "fix_quality"),
        ({"formatter": "TXT", "text": "x" * 80}, "length"),
        ({"formatter": "TXT", "text": "水"}, "text"),
        ({"formatter": "ZDA", "zone_hours": 20}, "zone_hours"),
    ],
)
def test_messages_that_break_their_table(message: dict[str, Any], field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_message({"talker": "GN"} | message)
    assert caught.value.field == field


def test_message_with_a_tag_block_keeps_it() -> None:
    written = encode_message(FIX | {"tag": {"s": "GN01", "c": "1700000000"}})
    assert str(written["text"]).startswith("\\s:GN01,c:1700000000*32\\$GNGLL,")
    assert decode_message(written) == FIX | {"tag": {"s": "GN01", "c": "1700000000"}}


def test_what_is_too_long_to_send_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        encode_for_sending(Sentence("$GPTXT," + "x" * 80))
