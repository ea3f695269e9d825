"""Readable messages of AIS: what is refused, what we write, what cannot be written."""

from typing import Any

import pytest

from protocols.ais.binary import SafetyText
from protocols.ais.catalogue import encode
from protocols.ais.message import decode_message, encode_message
from protocols.ais.sentence import Part, encode_part, parts_of
from protocols.core.errors import FieldError, LocalProtocolError, OptionError, RemoteProtocolError

SINGLE = b"!AIVDM,1,1,,B,15N4cJ`005Jrek0H@9n`DW5608EP,0*13"


def text_message(text: str) -> list[Part]:
    """A message of as many parts as its text needs."""
    return parts_of(*encode(SafetyText(type=14, repeat=0, mmsi=4_120_001, text=text)), "AI", "VDM", "A", 3)


ONE, TWO, THREE = text_message("A" * 140)
OTHER_THREE = text_message("B" * 140)[2]


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ({"text": []}, "fragment"),
        ({"text": [SINGLE.decode()] * 10}, "fragment"),
        ({"text": [SINGLE.decode()] * 2}, "fragment"),
        ({"text": [encode_part(one).decode() for one in (ONE, TWO, OTHER_THREE, THREE)]}, "fragment"),
        ({"text": [encode_part(ONE).decode(), SINGLE.decode()]}, "fragment"),
        ({"text": "!AIVDM\u00e9"}, "text"),
    ],
)
def test_cases_that_are_refused(case: dict[str, object], field: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(case)
    assert caught.value.field == field


@pytest.mark.parametrize("case", [{}, {"text": 3}, {"text": [3]}, {"text": "", "seq": 3}])
def test_cases_that_are_none(case: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        decode_message(case)


AID = {
    "type": 21, "mmsi": 994_121_001, "aid_type": 24, "name": "BUOY", "accuracy": True, "lon": 118.7, "lat": 32.1,
    "to_bow": 1, "to_stern": 1, "to_port": 1, "to_starboard": 1, "epfd": 1, "second": 17, "off_position": False,
    "aton_page": 7, "aton_racon": 0, "aton_light": 1, "aton_health": False, "talker": "AN", "formatter": "VDO",
}  # fmt: skip
LEVELS = {"type": 8, "mmsi": 4_120_003, "dac": 200, "fid": 24, "country": "CN", "gauges": [{"id": 7, "level_cm": -12}],
          "talker": "AB", "formatter": "VDM"}  # fmt: skip
DATA = {"type": 8, "mmsi": 4_120_003, "dac": 413, "fid": 1, "app_data_hex": "ABC0", "app_data_bits": 13,
        "talker": "AB", "formatter": "VDM"}  # fmt: skip
PART = {"type": 24, "mmsi": 413_000_001, "partno": 0, "shipname": "x\u00e9@Y", "talker": "AI", "formatter": "VDM"}


def test_messages_of_our_own() -> None:
    assert decode_message(encode_message(AID))["name"] == "BUOY"
    assert decode_message(encode_message(AID | {"name": "x" * 34, "lon": None}))["name"] == "X" * 34
    read = decode_message(encode_message(AID | {"regional": 33, "aton_page": 1}))
    assert (read["regional"], read["aton_page"]) == (33, 1)
    assert decode_message(encode_message(LEVELS))["gauges"][:2] == [
        {"id": 7, "level_cm": -12},
        {"id": 0, "level_cm": None},
    ]
    assert decode_message(encode_message(DATA))["app_data_hex"] == "ABC0"
    assert decode_message(encode_message(PART))["shipname"] == "X  Y"
    tagged = encode_message(AID | {"tag": {"s": "st01"}, "channel": "A"})
    assert decode_message(tagged)["tag"] == {"s": "st01"}
    report = {"type": 1, "mmsi": 1, "status": 0, "accuracy": False, "second": 0, "maneuver": 0, "raim": False,
              "radio": 0, "talker": "AI", "formatter": "VDM"}  # fmt: skip
    assert decode_message(encode_message(report | {"turn": -17.9}))["turn_raw"] == -20
    assert decode_message(encode_message(report))["turn_raw"] == -128
    with pytest.raises(LocalProtocolError):
        encode_message(report | {"turn": 720.0})


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (AID | {"type": None}, "type"),
        (AID | {"type": 17}, "type"),
        (AID | {"name": "x" * 35}, "name"),
        (AID | {"name": 3}, "name"),
        (AID | {"lon": "3"}, "lon"),
        (AID | {"lon": float("nan")}, "lon"),
        (AID | {"lon": 400.0}, "lon"),
        (AID | {"accuracy": 1}, "accuracy"),
        (AID | {"epfd": True}, "epfd"),
        (AID | {"epfd": None}, "epfd"),
        (AID | {"aton_light": 4}, "regional"),
        (AID | {"wrong": 4}, "wrong"),
        (AID | {"talker": "a"}, "talker"),
        (AID | {"talker": None}, "talker"),
        (AID | {"channel": 3}, "channel"),
        (AID | {"tag": "s"}, "tag"),
        (AID | {"bit_length": "x"}, "bit_length"),
        (AID | {"bit_length": 400}, "length"),
        (LEVELS | {"gauges": [{"id": 1, "level_cm": 0}]}, "gauges"),
        (LEVELS | {"gauges": [{"id": 1}] * 5}, "gauges"),
        (LEVELS | {"gauges": [{"id": 2048}]}, "gauges"),
        (LEVELS | {"gauges": 3}, "gauges"),
        (LEVELS | {"fid": 25}, "dac"),
        (DATA | {"app_data_hex": "ABC1"}, "app_data_hex"),
        (DATA | {"app_data_hex": "A_C0"}, "app_data_hex"),
        (DATA | {"app_data_bits": 17}, "app_data_hex"),
        (DATA | {"bit_length": 70}, "data"),
        (PART | {"partno": 2}, "partno"),
    ],
)
def test_messages_that_cannot_be_written(message: dict[str, Any], field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_message(message)
    assert caught.value.field == field


def test_a_part_alone_says_that_the_others_are_missing() -> None:
    with pytest.raises(FieldError) as caught:
        decode_message({"text": encode_part(TWO).decode()})
    assert caught.value.reason == "part 2 of 3 and no other: all parts of one message belong together"
