"""Variable message signs: play lists and the markup inside their items, both ways, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    FieldError,
    LocalProtocolError,
)
from protocols.vms.frame import (
    DIALECTS,
    DIANMING,
    FENGHAI,
    SANSI,
    XIANKE,
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


@pytest.mark.parametrize(
    ("elements", "dialect"),
    [
        ([TextElement("a"), TextElement("b")], SANSI),
        ([TextElement("a", x=1)], SANSI),
        ([TextElement("a", font_height=32, font_width=32)], SANSI),
        ([ImageElement("bmp", "001", y=1)], SANSI),
        ([TextElement("a"), TextElement("b")], FENGHAI),
        ([TextElement("a", 0, 0)], FENGHAI),
        ([TextElement("a", font_color="255000000000")], FENGHAI),
        ([ImageElement("BMP", "008")], FENGHAI),
        ([ImageElement("bmp", "0.8")], FENGHAI),
    ],
    ids=str,
)
def test_elements_that_would_be_read_as_others_are_not_written(elements, dialect):
    with pytest.raises(LocalProtocolError):
        encode_markup(elements, dialect)


def test_a_ground_that_is_no_colour_is_named():
    with pytest.raises(LocalProtocolError) as caught:
        encode_markup([TextElement("a", back_color="black")], SANSI)
    assert caught.value.field == "back_color"


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
