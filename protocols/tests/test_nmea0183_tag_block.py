"""Tag blocks before a sentence."""

import pytest

from protocols.core.errors import FrameError, LocalProtocolError, RemoteProtocolError
from protocols.nmea0183.catalogue import decode
from protocols.nmea0183.checksum import check_of, digits_of
from protocols.nmea0183.message import decode_message
from protocols.nmea0183.sentence import encode_sentence
from protocols.nmea0183.tag_block import decode_tag, encode_tag, tag_of


def test_tag_block_keeps_unknown_keys_and_its_bytes() -> None:
    block = tag_of([("g", "1-2-73874"), ("n", "157036"), ("s", "r003669945"), ("q", "u"), ("c", "1241544035")])
    line = encode_tag(block) + b"$HEHDT,4.1,T*2A"
    sentence = decode(line)
    assert sentence.tag is not None
    assert sentence.tag.group == (1, 2, "73874")
    assert sentence.tag.received_ms == 1241544035000
    assert sentence.tag.get("q") == "u"
    assert encode_sentence(sentence) == line
    assert decode_message({"text": line.decode()})["tag"]["q"] == "u"  # type: ignore[index]


def test_tag_block_with_ms_and_lower_case_checksum() -> None:
    text = "c:1700000001500,t:a:b"
    check = digits_of(check_of(text.encode())).lower()
    tag = decode_tag(f"{text}*{check}".encode())
    assert tag.received_ms == 1700000001500
    assert tag.get("t") == "a:b"
    assert encode_tag(tag) == f"\\{text}*{check}\\".encode()


@pytest.mark.parametrize("value", ["", "x", "1" * 16])
def test_a_time_of_reception_that_is_none(value: str) -> None:
    assert tag_of([("c", value)]).received_ms is None


@pytest.mark.parametrize("value", ["", "1-2", "a-b-c", "1-2-3-4"])
def test_a_group_that_is_none(value: str) -> None:
    assert tag_of([("g", value)]).group is None


@pytest.mark.parametrize(
    "prefix",
    [
        b"\\s:GN01*32",
        b"\\\\",
        b"\\s\\",
        b"\\s:GN01,c:1700000000*33\\",
        b"\\s:G$*32\\",
        b"\\sGN01*08\\",
        b"\\",
        b"\\\xff*00\\",
    ],
)
def test_bad_and_unterminated_tag_blocks_spoil_the_line(prefix: bytes) -> None:
    with pytest.raises(FrameError):
        decode(prefix + b"$HEHDT,4.1,T*2A")


@pytest.mark.parametrize(
    ("line", "offset"),
    [
        (b"\\s:GN01,c:1700000000*33\\$HEHDT,4.1,T*2A", 21),
        (b"\\s:GN01,c:1700000000*32\\$HEHDT,4.1,T*2B", 37),
        (b"\\s:GN01,c:1700000000*32\\$HEHDT,4$1,T*2B", 32),
        (b"\\s:GN01,c:1700000000*32\\$HEHDX,4.1,T*26", 25),
        (b"\\s:GN01,c:1700000000*32\\HEHDT,4.1,T*2A", 24),
    ],
)
def test_the_place_of_an_error_counts_from_the_beginning_of_the_line(line: bytes, offset: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(line)
    assert caught.value.offset == offset


@pytest.mark.parametrize("pair", [("", "x"), ("a:b", "x"), ("s", "a,b"), ("s", "a\\b"), ("s", "é"), ("s", "a*b")])
def test_tags_that_no_block_carries(pair: tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        tag_of([pair])
