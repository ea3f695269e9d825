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
    "change",
    [
        {"formatter": "XYZ"},
        {"formatter": None},
        {"talker": None},
        {"talker": "gn"},
        {"talker": "GNX"},
        {"lat_deg": None},
        {"lon_deg": None},
        {"lat_deg": 91.0},
        {"lon_deg": float("nan")},
        {"lat_deg": "32.5"},
        {"lat_deg": True},
        {"utc_s": -1.0},
        {"utc_s": 86_401.0},
        {"status": "A,B"},
        {"status": 1},
        {"mode": "*"},
        {"colour": "red"},
        {"tag": "s:1"},
        {"tag": {"s": 1}},
        {"tag": {"s": "a,b"}},
    ],
)
def test_messages_without_a_canonical_line(change: dict[str, Any]) -> None:
    assert encode_message(FIX)
    with pytest.raises(LocalProtocolError):
        encode_message(FIX | change)


@pytest.mark.parametrize(
    "message",
    [
        {"formatter": "RMC", "status": "Q"},
        {"formatter": "RMC", "status": "A", "date": "2026-02-30"},
        {"formatter": "RMC", "status": "A", "date": "1979-12-31"},
        {"formatter": "RMC", "status": "A", "date": 20261124},
        {"formatter": "GSA", "sat_ids": [1.5]},
        {"formatter": "GSA", "sat_ids": None},
        {"formatter": "GSV", "sats": [{"id": None}]},
        {"formatter": "GSV", "sats": [{"id": 1, "snr": 40}]},
        {"formatter": "GSV", "sats": [7], "num_msgs": 1},
        {"formatter": "GSV", "sats": [], "signal_id": 16},
        {"formatter": "XDR", "transducers": [{"type": 1}]},
        {"formatter": "XDR", "transducers": []},
        {"formatter": "GGA", "fix_quality": 1.0},
        {"formatter": "TXT", "text": "x" * 80},
        {"formatter": "TXT", "text": "水"},
        {"formatter": "ZDA", "zone_hours": 20},
    ],
)
def test_messages_that_break_their_table(message: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_message({"talker": "GN"} | message)


def test_message_with_a_tag_block_keeps_it() -> None:
    written = encode_message(FIX | {"tag": {"s": "GN01", "c": "1700000000"}})
    assert str(written["text"]).startswith("\\s:GN01,c:1700000000*32\\$GNGLL,")
    assert decode_message(written) == FIX | {"tag": {"s": "GN01", "c": "1700000000"}}


def test_what_is_too_long_to_send_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        encode_for_sending(Sentence("$GPTXT," + "x" * 80))
