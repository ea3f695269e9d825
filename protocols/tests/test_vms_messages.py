"""Variable message signs: the readable form, both ways, and what is refused."""

import pytest

from protocols.core.errors import (
    FieldError,
    FrameError,
    LocalProtocolError,
    OptionError,
    RemoteProtocolError,
)
from protocols.vms.frame import DIANMING, FENGHAI, SANSI, XIANKE, Frame, encode_frame
from protocols.vms.message import decode_message, encode_message

GOOD = "0230303036ba4c03"


def frame_hex(kind, data, dialect=SANSI, *, is_response=False):
    source = b"00" if dialect.has_source else None
    return encode_frame(Frame(b"01", data, kind, source), dialect, is_response=is_response).hex()


LIST = "[playlist]\r\nitem_no=1\r\nitem0=300,1,0,禁行".encode("gbk")


def asked(kind, data, dialect=SANSI):
    """A case of a request."""
    return {"hex": frame_hex(kind, data, dialect), "profile": dialect.name}


def told(kind, data, dialect):
    """A case of a response."""
    digits = frame_hex(kind, data, dialect, is_response=True)
    return {"hex": digits, "profile": dialect.name, "direction": "response"}


def told_by_sansi(kind, data):
    """A case of a response that does not tell what it answers."""
    return {**told(None, data, SANSI), "request_type": kind}


FENGHAI_ITEM = {"item_index": 1, "stay_s": 3.0, "play_speed": 0, "media_text": "<a\nb>"}
LEVEL_15 = {"result_ok": True, "brightness_mode": 1, "brightness_raw": 15, "brightness_percent": 48}
XIANKE_LIST = b"005a.xkl0000[LIST]\r\nItemCount=0"
MESSAGES = [
    (asked("09", b"play.lst\0\0\0\1"), {"file_name": "play.lst", "file_offset": 1}),
    (asked("04", b"1"), {"brightness_mode": 1}),
    (asked("10", b"play.lst+\0\0\0\0" + LIST), {"item_count": 1}),
    (asked("10", b"play.lst+\0\0\0\1" + LIST), {"file_offset": 1, "item_count": None}),
    (asked("10", b"a.txt+\0\0\0\0hello"), {"play_list_text": "hello", "item_count": None}),
    (told_by_sansi("09", LIST), {"item_count": 1}),
    (told_by_sansi("10", b"1"), {"result_ok": False}),
    (told("06", b"01x15", FENGHAI), LEVEL_15),
    (told("06", b"1", FENGHAI), {"result_ok": False, "brightness_raw": None}),
    (told("09", b"0a.lst+\0\0\0\0" + LIST, FENGHAI), {"result_ok": True, "file_name": "a.lst", "item_count": 1}),
    (told("09", b"1", FENGHAI), {"result_ok": False}),
    (told("97", b"001003000100000<a\nb>\0", FENGHAI), FENGHAI_ITEM),
    (asked("23", b"101010", DIANMING), {"brightness_mode": "manual", "brightness_raw": 10}),
    (asked("23", b"FFFFFF", DIANMING), {"brightness_mode": "auto", "brightness_raw": None}),
    (asked("57", b"00000000a.lst", DIANMING), {"file_name": "a.lst", "file_offset": 0}),
    (told("24", b"1", DIANMING), {"result_ok": True}),
    (asked("20", XIANKE_LIST, XIANKE), {"file_name": "a.xkl", "item_count": 0}),
    (told("21", b"\x01" + XIANKE_LIST, XIANKE), {"result_ok": True, "file_name": "a.xkl", "item_count": 0}),
    (told("21", b"\x00", XIANKE), {"result_ok": False, "file_name": None}),
    (told("22", b"\x00", XIANKE), {"result_ok": False}),
    (asked("72", b"1", DIANMING), {"result_ok": True}),
]


@pytest.mark.parametrize(("case", "expect"), MESSAGES, ids=range(len(MESSAGES)))
def test_messages(case, expect):
    message = decode_message(case)
    assert {key: message.get(key) for key in expect} == expect
    assert encode_message(message) == {"hex": case["hex"]}
    fields = {key: value for key, value in message.items() if key != "data_hex"}
    again = decode_message({**case, **encode_message({**fields, "request_type": case.get("request_type")})})
    assert {key: again.get(key) for key in expect} == expect


@pytest.mark.parametrize(
    ("case", "change"),
    [
        (asked("05", b"313131"), {"brightness_raw": 10}),
        (asked("05", b"313131"), {"brightness_row": 31}),
        (asked("05", b"313131"), {"frame_type": "04"}),
        (asked("10", b"play.lst+\0\0\0\0" + LIST), {"item_count": 2}),
        (asked("10", b"play.lst+\0\0\0\0" + LIST), {"items": []}),
        (told("09", b"1", FENGHAI), {"result_ok": True}),
        ({"text": LIST.decode("gbk")}, {"item_count": 2}),
    ],
    ids=range(7),
)
def test_a_message_that_was_changed_in_one_place_only_is_not_written(case, change):
    """Whoever changes a number beside `data_hex` must not get the old frame back."""
    message = {**decode_message(case), **change}
    with pytest.raises(LocalProtocolError):
        encode_message(message)


def test_an_answer_without_a_result_says_nothing():
    assert "result_ok" not in decode_message(told("24", b"", DIANMING))
    assert "result_ok" not in decode_message(told_by_sansi("10", b""))


def test_a_request_type_may_be_a_number():
    assert decode_message({**told_by_sansi("06", b"115"), "request_type": 6})["brightness_raw"] == 15


@pytest.mark.parametrize("case", [asked("77", b"\xff"), told(None, b"1", SANSI), asked("10", b"a.b+\0\0\0\0\xff")])
def test_what_is_not_described_keeps_its_bytes(case):
    """Bytes that are no GBK are refused in a file, and only there."""
    if "612e62" in case["hex"]:
        with pytest.raises(FieldError):
            decode_message(case)
        return
    message = decode_message(case)
    assert list(message)[-2:] == ["data_hex", "crc_hex"]
    assert encode_message(message) == {"hex": case["hex"]}
    with pytest.raises(LocalProtocolError):
        encode_message({key: value for key, value in message.items() if key != "data_hex"})


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ({}, OptionError),
        ({"hex": GOOD, "text": ""}, OptionError),
        ({"hex": GOOD, "colour": 1}, OptionError),
        ({"hex": GOOD, "profile": "nova"}, OptionError),
        ({"hex": GOOD, "profile": []}, OptionError),
        ({"hex": GOOD, "direction": "up"}, OptionError),
        ({"hex": GOOD, "request_type": [6]}, OptionError),
        ({"hex": 1}, OptionError),
        ({"hex": "0"}, FrameError),
        ({"hex": frame_hex("10", b"a.lst+\0\0\0\0\xff\xff")}, FieldError),
        ({"hex": frame_hex("10", b"a.lst+\0\0\0\0[playlist]")}, FieldError),
        ({"hex": frame_hex("05", b"3x3131")}, FieldError),
    ],
)
def test_a_case_is_refused(case, error):
    with pytest.raises(error):
        decode_message(case)


@pytest.mark.parametrize(
    ("case", "offset", "reason"),
    [
        ({"hex": GOOD.replace("ba4c", "ba4d")}, 5, "CRC is ba4d where ba4c is due"),
        ({"hex": frame_hex("09", b"\x02ab")}, 9, "no offset"),
        ({"hex": frame_hex("05", b"3x3131")}, 5, "2 digits"),
        (asked("57", b"0000000x", DIANMING), 7, "8 digits"),
        (told("09", b"0a.lst+\0\0", FENGHAI), 14, "no offset"),
        (told("21", b"\x01003a.b000x", XIANKE), 12, "4 digits"),
        ({"hex": frame_hex("10", b"a.lst+\0\0\0\0\xff\xff")}, None, "no GBK at its byte 0"),
        ({"hex": encode_frame(Frame(b"00", b"6A"), SANSI, is_response=True).hex()}, 3, "two digits"),
        (
            {"hex": frame_hex("10", b"a.lst+\0\0\0\0" + LIST + b"\\c25")},
            None,
            "item 0: 12 digits at character 2 of its media",
        ),
        (told_by_sansi("97", b"001003000100000\\c25"), None, "12 digits at character 0 of its media"),
        (
            {"text": "[playlist]\r\nitem_no=1\r\nitem0=300,1,0,a\\c25"},
            None,
            "item 0: 12 digits at character 1 of its media",
        ),
    ],
    ids=range(11),
)
def test_an_error_tells_where_it_is_in_the_frame(case, offset, reason):
    with pytest.raises(RemoteProtocolError) as caught:
        decode_message(case)
    assert (caught.value.offset, caught.value.reason) == (offset, reason)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"items": 1},
        {"items": [1]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0}]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": True, "media_text": "a"}]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0, "media_text": "a\\C00"}]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0, "elements": [1]}]},
        {
            "items": [
                {"stay_raw": 300, "in_mode": 1, "play_speed": 0, "elements": [{"kind": "text", "text": "a", "x": 1}]}
            ]
        },
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0, "elements": [{"kind": "text"}]}]},
        {"address": "0", "frame_type": "06", "data_hex": ""},
        {"address": "zzzz", "frame_type": "06", "data_hex": ""},
        {"address": "00", "frame_type": 6, "data_hex": ""},
        {"address": "00", "frame_type": "06", "data_hex": "x"},
        {"address": "00", "frame_type": "06", "data_hex": 5},
        {"address": "00", "frame_type": "05", "brightness_raw": 32},
        {"address": "00", "frame_type": "06"},
        {
            "address": "00",
            "frame_type": "10",
            "file_name": "a.b",
            "file_offset": 0,
            "play_list_text": "\N{SNOWMAN}\ud800",
        },
        {"address": "00", "src_address": "00", "profile": "dianming", "frame_type": "23", "brightness_mode": 1},
        {"address": "00", "direction": "response", "request_type": "10", "result_ok": 1},
    ],
    ids=str,
)
def test_a_message_that_cannot_be_written(message):
    with pytest.raises(LocalProtocolError):
        encode_message(message)
