"""Variable message signs: frames, contents, markup and lists, both ways, and what is refused."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    OptionError,
    RemoteProtocolError,
)
from protocols.tests.kit import frames_of
from protocols.vms import dianming, sansi, xianke
from protocols.vms.content import Unread
from protocols.vms.contents import REQUESTS, RESPONSES, content_type
from protocols.vms.frame import (
    DIALECTS,
    DIANMING,
    FENGHAI,
    MAX_FRAME_BYTES,
    SANSI,
    XIANKE,
    Frame,
    Framer,
    decode_frame,
    encode_frame,
)
from protocols.vms.markup import MARKUPS, ImageElement, TextElement, decode_markup, encode_markup
from protocols.vms.message import decode_message, encode_message
from protocols.vms.play_list import (
    PlayList,
    decode_play_list,
    encode_play_list,
    items_of,
    play_list_of,
)

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
ANY_DIALECT = st.sampled_from(list(DIALECTS.values()))


@st.composite
def frames(draw, dialect, is_response):
    kind = f"{draw(st.integers(0, 99)):02}" if dialect.has_type(is_response=is_response) else None
    source = draw(st.binary(min_size=2, max_size=2)) if dialect.has_source else None
    return Frame(draw(st.binary(min_size=2, max_size=2)), draw(st.binary(max_size=60)), kind, source)


@EXAMPLES
@given(data=st.data(), dialect=ANY_DIALECT, is_response=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_frames_are_read_as_they_were_written_however_they_are_split(data, dialect, is_response, seed):
    sent = data.draw(st.lists(frames(dialect, is_response), max_size=5))
    wires = [encode_frame(frame, dialect, is_response=is_response) for frame in sent]
    assert [decode_frame(wire, dialect, is_response=is_response) for wire in wires] == sent
    assert not any(mark in wire[1:-1] for wire in wires for mark in b"\x02\x03")
    rng = random.Random(seed)
    stream = b"".join(wires)
    framer = Framer(dialect, is_response=is_response)
    found = []
    while stream:
        size = rng.randint(1, 30)
        framer.feed(stream[:size])
        stream = stream[size:]
        found += frames_of(framer)
    assert found == sent
    assert framer.discarded_bytes == framer.bad_frames == 0


@EXAMPLES
@given(
    wire=st.binary(max_size=40).map(lambda inner: b"\x02" + inner + b"\x03"),
    dialect=ANY_DIALECT,
    response=st.booleans(),
)
def test_any_bytes_are_a_frame_or_refused(wire, dialect, response):
    try:
        frame = decode_frame(wire, dialect, is_response=response)
    except RemoteProtocolError:
        return
    assert encode_frame(frame, dialect, is_response=response) == wire


GOOD = "0230303036ba4c03"


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        ("", FrameError),
        ("02", FrameError),
        ("03", FrameError),
        ("0203", FrameError),
        ("02ba03", FrameError),
        ("02000003", FrameError),
        (GOOD[:-2], FrameError),
        ("0330303036ba4c03", FrameError),
        ("023030303602ba4c03", FrameError),
        ("023030303603ba4c03", FrameError),
        ("02303030361b41ba4c03", FrameError),
        ("0230303036ba1b03", FrameError),
        ("0230303036ba4d03", ChecksumError),
        (encode_frame(Frame(b"00", b"", "06"), FENGHAI, is_response=False).hex(), None),
        (encode_frame(Frame(b"00", b"6A"), SANSI, is_response=True).hex(), FieldError),
    ],
)
def test_there_is_no_such_frame(wire, error):
    if error is None:
        assert decode_frame(bytes.fromhex(wire), SANSI, is_response=False).frame_type == "06"
        return
    with pytest.raises(error):
        decode_frame(bytes.fromhex(wire), SANSI, is_response=False)


@pytest.mark.parametrize(
    ("frame", "dialect", "is_response"),
    [
        (Frame(b"0", b"", "06"), SANSI, False),
        (Frame(b"00", b"", "6"), SANSI, False),
        (Frame(b"00", b"", "0a"), SANSI, False),
        (Frame(b"00", b"", "\N{SUPERSCRIPT TWO}1"), SANSI, False),
        (Frame(b"00", b"", None), SANSI, False),
        (Frame(b"00", b"", "06"), SANSI, True),
        (Frame(b"00", b"", "06", b"01"), SANSI, False),
        (Frame(b"00", b"", "06"), DIANMING, False),
        (Frame(b"00", b"", "06", b"0"), DIANMING, False),
    ],
)
def test_a_frame_that_cannot_be_written(frame, dialect, is_response):
    with pytest.raises(LocalProtocolError):
        encode_frame(frame, dialect, is_response=is_response)


def test_a_start_always_begins_anew_and_an_endless_frame_stays_bounded():
    framer = Framer(SANSI, is_response=False)
    good = bytes.fromhex(GOOD)
    framer.feed(b"\x03\x03noise" + good[:4] + good + b"\x03" + good[:-1])
    assert frames_of(framer) == [Frame(b"00", b"", "06")]
    assert framer.discarded_bytes == 2 + 5 + 4 + 1
    framer.reset()
    for _ in range(100):
        framer.feed(b"\x02" + bytes(1000))
        assert framer.next_frame() is NEED_DATA
        assert len(framer._buffer) <= MAX_FRAME_BYTES
    framer.feed(b"\x03" + good)
    assert frames_of(framer) == [Frame(b"00", b"", "06")]
    assert framer.bad_frames == 1


@EXAMPLES
@given(noise=st.binary(max_size=300), data=st.binary(max_size=100))
def test_after_noise_every_later_frame_is_found(noise, data):
    frame = Frame(b"01", data, "10")
    framer = Framer(SANSI, is_response=False)
    framer.feed(noise + encode_frame(frame, SANSI, is_response=False) * 3)
    assert frames_of(framer)[-3:] == [frame] * 3


CONTENTS = [
    (dialect, is_response, kind)
    for is_response, tables in ((False, REQUESTS), (True, RESPONSES))
    for dialect, table in tables.items()
    for kind in table
]
DIGITS = st.text("0123456789", max_size=20).map(str.encode)


@EXAMPLES
@given(
    where=st.sampled_from(CONTENTS),
    data=st.one_of(st.binary(max_size=40), st.builds(bytes.__add__, DIGITS, st.binary(max_size=20))),
)
def test_any_content_is_written_back_byte_for_byte_or_refused(where, data):
    dialect, is_response, kind = where
    try:
        content = content_type(kind, DIALECTS[dialect], is_response=is_response).from_data(data)
    except FieldError:
        return
    assert content.data() == data


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (sansi.ModeRequest(1), b"1"),
        (sansi.LevelsRequest(31, 5, 0), b"310500"),
        (sansi.Brightness(0, 9), b"009"),
        (sansi.FengHaiBrightness(0x30, b"1xx15"), b"01xx15"),
        (sansi.FileRequest(b"play.lst", 258), b"play.lst\x00\x00\x01\x02"),
        (sansi.FileChunk(b"a-b.lst", b"+", 1, b"x+y"), b"a-b.lst+\x00\x00\x00\x01x+y"),
        (sansi.FileChunk(b"play.lst", b"-", 0, b"a+b"), b"play.lst-\x00\x00\x00\x00a+b"),
        (sansi.FengHaiFile(0x30, b"a.lst+\x00\x00\x00\x00[x]"), b"0a.lst+\x00\x00\x00\x00[x]"),
        (sansi.SansiItem(1, 300, 2, 7, b"<a>"), b"0010030002" + b"00007<a>"),
        (dianming.DianMingLevels(b"FFFFFF"), b"FFFFFF"),
        (dianming.DianMingFileRequest(b"play00.lst", 12), b"00000012play00.lst"),
        (dianming.DianMingFileRequest(b"a", 0, is_zero_bytes=True), bytes(8) + b"a"),
        (dianming.DianMingFile(b"a.lst", 0, b"[P"), b"+00000000a.lst[P"),
        (dianming.DianMingFile(b"a.lst", 2048, b"x[y"), b"+00002048a.lstx[y"),
        (xianke.XianKeFile(rb"list\000.xkl", 0, b"[LIST]"), rb"012list\000.xkl0000[LIST]"),
        (xianke.XianKeFetched(1, b"003a.b0000x"), b"\x01003a.b0000x"),
        (xianke.XianKeResult(0), b"\x00"),
    ],
)
def test_contents(content, data):
    assert content.data() == data
    assert type(content).from_data(data) == content


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (sansi.ModeRequest, b"x"),
        (sansi.ModeRequest, b"11"),
        (sansi.LevelsRequest, b"31311"),
        (sansi.LevelsRequest, b"3131a1"),
        (sansi.Brightness, b"1"),
        (sansi.FileRequest, b"abc"),
        (sansi.FileChunk, b"play.lst"),
        (sansi.FileChunk, b"play.lst+\0\0\0"),
        (sansi.SansiItem, b"00100300020000"),
        (sansi.SansiResult, b""),
        (sansi.SansiResult, b"x"),
        (sansi.FengHaiBrightness, b"011"),
        (sansi.FengHaiBrightness, b"0x11"),
        (sansi.FengHaiBrightness, b"011x"),
        (sansi.FengHaiFile, b"0abc"),
        (dianming.DianMingLevels, b"FFFFF0"),
        (dianming.DianMingBrightness, b"FFFFFFI"),
        (dianming.DianMingFileRequest, b"0000000xa"),
        (dianming.DianMingFile, b"*00000000a.lst"),
        (dianming.DianMingFile, b"+0000"),
        (dianming.DianMingItem, b"00100050000000"),
        (xianke.XianKeFile, b"0x2ab0000"),
        (xianke.XianKeFile, b"005ab"),
        (xianke.XianKeFile, b"002ab000"),
        (xianke.XianKeFetched, b"\x01002"),
    ],
)
def test_there_are_no_such_contents(kind, data):
    with pytest.raises(FieldError):
        kind.from_data(data)


@pytest.mark.parametrize(
    "content",
    [
        sansi.ModeRequest(10),
        sansi.LevelsRequest(100, 0, 0),
        sansi.FileRequest(b"a", 1 << 32),
        sansi.FileChunk(b"a+b", b"+", 0, b""),
        sansi.FileChunk(b"a.b", b"*", 0, b""),
        sansi.SansiResult(256),
        sansi.SansiItem(1000, 1, 1, 1, b""),
        dianming.DianMingLevels(b"abc"),
        dianming.DianMingBrightness(b"abc", 0, 0),
        dianming.DianMingBrightness(b"FFFFFF", 0, 256),
        dianming.DianMingFile(b"a[b", 0, b"[P"),
        dianming.DianMingFile(b"a.lst", 1, b"", is_zero_bytes=True),
        xianke.XianKeFile(bytes(1000), 0),
        xianke.XianKeFile(b"a", 10000),
    ],
)
def test_a_content_that_cannot_be_written(content):
    with pytest.raises(LocalProtocolError):
        content.data()


def test_results_differ_between_vendors():
    assert sansi.SansiResult.from_data(b"0").is_ok
    assert not sansi.SansiResult.from_data(b"1").is_ok
    assert dianming.DianMingResult.from_data(b"1").is_ok
    assert not dianming.DianMingResult.from_data(b"0").is_ok
    assert xianke.XianKeResult.from_data(b"\x01").is_ok
    assert not xianke.XianKeResult.from_data(b"\x00").is_ok
    assert content_type("02", SANSI, is_response=False) is Unread
    assert content_type(None, SANSI, is_response=True) is Unread


TEXT = st.text(
    st.characters(codec="gbk", exclude_characters="\\\r<>.", exclude_categories=["Cc"]) | st.just("\n"),
    min_size=1,
    max_size=12,
)
COORDINATE = st.integers(0, 999)
COLOR = st.none() | st.text("0123456789", min_size=12, max_size=12)


@st.composite
def elements(draw, dialect):
    if dialect is FENGHAI:
        return TextElement(draw(TEXT))
    place = (draw(COORDINATE), draw(COORDINATE))
    markup = MARKUPS[dialect.name]
    if draw(st.booleans()):
        digits = f"{draw(COORDINATE):03}"
        return ImageElement(draw(st.sampled_from(sorted(markup.images.values()))), digits, *place)
    font = (None, None, None)
    if draw(st.booleans()):
        height = draw(st.integers(0, 99))
        font = (draw(st.sampled_from("hksfx")), height, height if markup.font_digits == 2 else draw(st.integers(0, 99)))
    space = draw(st.none() | st.integers(0, 10**markup.space_digits - 1))
    return TextElement(draw(TEXT), *place, *font, draw(COLOR), draw(COLOR), space)


@EXAMPLES
@given(data=st.data(), dialect=ANY_DIALECT)
def test_elements_are_read_as_they_were_written(data, dialect):
    most = 1 if dialect is FENGHAI else 4
    written = data.draw(st.lists(elements(dialect), min_size=1, max_size=most))
    assert decode_markup(encode_markup(written, dialect), dialect) == written


@EXAMPLES
@given(text=st.text(st.sampled_from(r"\CfFcTbKBSMVWUAnNPJGx0123456789<>.,"), max_size=40), dialect=ANY_DIALECT)
def test_any_markup_is_read_or_refused(text, dialect):
    try:
        found = decode_markup(text, dialect)
    except FieldError:
        return
    assert all(isinstance(one, (TextElement, ImageElement)) for one in found)


@pytest.mark.parametrize(
    ("dialect", "text", "found"),
    [
        (SANSI, "", []),
        (SANSI, r"\C000000", []),
        (SANSI, r"a\nb", [TextElement("a\nb")]),
        (SANSI, "a\nb", [TextElement("a\nb")]),
        (SANSI, r"\S05\c255000000000x", [TextElement("x", font_color="255000000000", char_space=5)]),
        (SANSI, r"\fs3216x", [TextElement("x", font="s", font_height=32, font_width=16)]),
        (SANSI, r"\C001002\M004", [ImageElement("mpg", "004", 1, 2)]),
        (SANSI, r"\C001002a\C003004b", [TextElement("a", 1, 2), TextElement("b", 3, 4)]),
        (SANSI, r"\xa", [TextElement(r"\xa")]),
        (DIANMING, r"\C000000\W", [TextElement("", 0, 0)]),
        (DIANMING, r"\Wa\Wb", [TextElement("a"), TextElement("b")]),
        (DIANMING, r"\M07\Wa\Ab", [TextElement("a\nb", char_space=7)]),
        (DIANMING, "plain", [TextElement("plain")]),
        (XIANKE, r"\C000000\Fs32\T255000000000\B000000000000\V012\Ua\Nb\P003",
         [TextElement("a\nb", 0, 0, "s", 32, 32, "255000000000", "000000000000", 12), ImageElement("bmp", "003")]),
        (FENGHAI, "<前方\n施工>\0", [TextElement("前方\n施工")]),
        (FENGHAI, "<008.BMP>", [ImageElement("bmp", "008")]),
        (FENGHAI, r"\C000000x", [TextElement("x", 0, 0)]),
    ],
)  # fmt: skip
def test_markup(dialect, text, found):
    assert decode_markup(text, dialect) == found


@pytest.mark.parametrize(
    "text", [r"\C00000", r"\C00x000", r"\f13232", r"\fs323", r"\c25500000000", r"\B08", "\\c１２３４５６７８９０１２"]
)
def test_markup_that_does_not_parse(text):
    with pytest.raises(FieldError):
        decode_markup(text, SANSI)


@pytest.mark.parametrize(
    ("element", "dialect"),
    [
        (TextElement("a\\n"), SANSI),
        (TextElement(""), SANSI),
        (TextElement("a", 1000, 0), SANSI),
        (TextElement("a", font="s"), SANSI),
        (TextElement("a", font="ss", font_height=1, font_width=1), SANSI),
        (TextElement("a", font="s", font_height=32, font_width=16), XIANKE),
        (TextElement("a", font_color="red"), SANSI),
        (TextElement("a", char_space=100), SANSI),
        (ImageElement("gif", "001"), XIANKE),
        (ImageElement("bmp", "1"), SANSI),
        (TextElement("<a"), FENGHAI),
        (TextElement("a.b"), FENGHAI),
    ],
)
def test_markup_that_cannot_be_written(element, dialect):
    with pytest.raises(LocalProtocolError):
        encode_markup([element], dialect)


@EXAMPLES
@given(text=st.text(max_size=80))
def test_a_list_is_written_back_as_it_was(text):
    assert encode_play_list(decode_play_list(text)) == text


def listed(text, dialect=SANSI):
    return items_of(decode_play_list(text), dialect)


def test_lists_of_each_vendor():
    sansi_items = listed(
        "[PlayList]\r\nNWINDOWS=1\r\nITEM_NO=2\r\nitem10=2,30,49,a,b\r\nITEM002= 300 ,1,0,c\nd\r\nitem11=9,9,9,e"
    )
    assert [(one.stay, one.media) for one in sansi_items] == [(300, "c\nd"), (2, "a,b")]
    (item,) = listed("[LIST]\r\nItemCount=1\r\nItem00=5,1,2,3,4,\\Uhi", XIANKE)
    assert (item.stay, item.in_mode, item.effect, item.out_mode, item.speed, item.media) == (5, 1, 2, 3, 4, r"\Uhi")
    (item,) = listed("[PLAYLIST]\r\nITEM_NO=001\r\nITEM000=99999,99,99,99,99,x\r\n", DIANMING)
    assert item.stay == 99999
    (item,) = listed("[playlist]\r\nnwindows=2\r\nwindows1_x=0\r\nwindows1_item_no=1\r\nwindows1_item0=300,1,0,w\r\n")
    assert item.media == "w"
    assert listed("[playlist]\r\nitem_no=0\r\n") == []
    with pytest.raises(FieldError):
        listed("[other]\r\nitem_no=0\r\n[playlist]\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "item_no=1\r\nitem0=300,1,0,a",
        "[list]\r\nitem_no=1\r\nitem0=300,1,0,a",
        "[playlist]\r\nitem0=300,1,0,a",
        "[playlist]\r\nitem_no=x\r\nitem0=300,1,0,a",
        "[playlist]\r\nitem_no=\r\nitem0=300,1,0,a",
        "[playlist]\r\nitem_no=2\r\nitem0=300,1,0,a",
        "[playlist]\r\nitem_no=1\r\nitem0=300,1,a",
        "[playlist]\r\nitem_no=1\r\nitem0=1,1,0,a",
        "[playlist]\r\nitem_no=1\r\nitem0=30001,1,0,a",
        "[playlist]\r\nitem_no=1\r\nitem0=300,31,0,a",
        "[playlist]\r\nitem_no=1\r\nitem0=300,1,50,a",
        "[playlist]\r\nitem_no=1\r\nitem0=３00,1,0,a",
        "[playlist]\r\nitem_no=1\r\nitem0=-300,1,0,a",
        "[playlist]\r\nitem_no=" + "9" * 5000,
    ],
)
def test_a_list_that_is_none(text):
    with pytest.raises(FieldError):
        listed(text)
    with pytest.raises(FieldError):
        decode_message({"text": text})


@EXAMPLES
@given(data=st.data(), dialect=ANY_DIALECT)
def test_items_are_read_as_they_were_written(data, dialect):
    effects = dialect in {DIANMING, XIANKE}
    item = {
        "stay_raw": data.draw(st.integers(2, 30000)),
        "in_mode": data.draw(st.integers(0, 30)),
        "play_speed": data.draw(st.integers(0, 49)),
        **({"effect_mode": 3, "out_mode": data.draw(st.integers(0, 15))} if effects else {}),
        "media_text": data.draw(TEXT),
    }
    text = encode_message({"profile": dialect.name, "items": [item] * 3})["text"]
    message = decode_message({"profile": dialect.name, "text": text})
    assert message["item_count"] == 3
    assert [{name: one[name] for name in item} for one in message["items"]] == [item] * 3


def test_a_list_that_cannot_be_written():
    good = listed("[playlist]\r\nitem_no=1\r\nitem0=300,1,0,a")[0]
    assert encode_play_list(play_list_of([good], SANSI)) == "[playlist]\r\nitem_no=1\r\nitem0=300,1,0,a\r\n"
    for items, dialect in (
        ([], SANSI),
        ([good], DIANMING),
        ([type(good)(1, 1, 0, "a")], SANSI),
        ([type(good)(300, 1, 0, "a\r\nb")], SANSI),
        ([type(good)(300, 1, 0, "a", 1, 1)], SANSI),
        ([type(good)(300, 1, 0, "a", 16, 1)], DIANMING),
    ):
        with pytest.raises(LocalProtocolError):
            play_list_of(items, dialect)
    assert PlayList(("a",)) == decode_play_list("a")


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
    (asked("23", b"101010", DIANMING), {"brightness_mode": "manual"}),
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
    if message.get("brightness_mode") == "manual":
        fields["brightness_raw"] = 10
    again = decode_message({**case, **encode_message({**fields, "request_type": case.get("request_type")})})
    assert {key: again.get(key) for key in expect} == expect


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
    "message",
    [
        {},
        {"items": 1},
        {"items": [1]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0}]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": True, "media_text": "a"}]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0, "elements": [1]}]},
        {"items": [{"stay_raw": 300, "in_mode": 1, "play_speed": 0, "elements": [{"kind": "text"}]}]},
        {"address": "0", "frame_type": "06", "data_hex": ""},
        {"address": "zzzz", "frame_type": "06", "data_hex": ""},
        {"address": "00", "frame_type": 6, "data_hex": ""},
        {"address": "00", "frame_type": "06", "data_hex": "x"},
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
