"""NMEA 0183 framing: torn, merged and endless lines, noise, the ceiling."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA
from protocols.nmea0183.framer import MAX_BUFFERED, Framer
from protocols.nmea0183.sentence import LONGEST_LINE
from protocols.tests.kit import drip, frames_of, pieces

HDT = b"$GPHDT,274.07,T*03"
ROT = b"$HEROT,0.0,A*2B"
AIS = b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C"
TAGGED = b"\\s:GN01,c:1700000000*32\\$GPHDT,45.0,T*04"
modest = settings(derandomize=True, deadline=None, max_examples=100)


def fed(*parts: bytes) -> Framer:
    framer = Framer()
    for part in parts:
        framer.feed(part)
    return framer


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n"])
def test_any_line_end_ends_a_line(end: bytes) -> None:
    framer = fed(HDT + end + AIS + end + TAGGED + end)
    assert frames_of(framer) == [HDT, AIS, TAGGED]
    assert framer.discarded == 0


def test_two_lines_without_an_end_between_them_part_at_the_start_character() -> None:
    for second in (ROT, AIS, TAGGED):
        framer = fed(HDT + second + b"\r\n")
        assert frames_of(framer) == [HDT, second]
        assert framer.discarded == 0
        assert drip(Framer(), HDT + second + b"\r\n") == [HDT, second]


def test_a_torn_line_costs_no_more_than_itself() -> None:
    for second in (ROT, AIS, TAGGED):
        framer = fed(b"$GPGGA,0010" + second + b"\r\n")
        assert frames_of(framer) == [second]
        assert framer.discarded == len("$GPGGA,0010")


def test_a_start_character_alone_is_no_line_whatever_stands_at_the_end() -> None:
    framer = Framer()
    framer.feed(b"$$GPHDT*A\r\n")
    assert framer.next_frame() == b"$GPHDT*A"
    assert framer.discarded == 1


def test_a_line_waits_for_its_end_and_for_nothing_after() -> None:
    framer = fed(HDT)
    assert framer.next_frame() is NEED_DATA
    framer.feed(b"\r")
    assert framer.next_frame() == HDT


def test_noise_between_lines_is_counted() -> None:
    framer = fed(b"\x00\xff hello\r\n" + HDT + b"\r\nU*@\r\n" + ROT + b"\r\n")
    assert frames_of(framer) == [HDT, ROT]
    assert framer.discarded == len(b"\x00\xff hello") + len(b"U*@")


def test_noise_right_before_a_start_character_is_cut_off() -> None:
    framer = fed(b"\x00\xff" + HDT + b"\r\n" + b"x\\y\\" + HDT + b"\r\n" + b"\\" + HDT + b"\r\n")
    assert frames_of(framer) == [HDT, b"\\y\\" + HDT, HDT]
    assert framer.discarded == 4


def test_unknown_and_broken_lines_come_out_too() -> None:
    lines = [b"$PUBX,00,1*00", b"$GPXYZ*ZZ", b"$", b"$GPHDT,1,T"]
    assert frames_of(fed(b"\r\n".join([*lines, b""]))) == lines


def test_an_endless_line_is_bounded_and_the_next_one_is_found() -> None:
    framer = Framer()
    for _ in range(10_000):
        framer.feed(b"$" + b"x" * 99)
        assert framer.next_frame() is NEED_DATA
    framer.feed(b"y" * (LONGEST_LINE + 1))
    assert framer.next_frame() is NEED_DATA
    framer.feed(b"\r\n" + HDT + b"\r\n")
    assert frames_of(framer) == [HDT]
    assert framer.discarded + len(HDT) + 4 == framer.fed


@pytest.mark.parametrize("flood", [b"z", b"$", b"!", b"\\", b"\x00", b"*"])
def test_a_flood_stays_within_the_ceiling(flood: bytes) -> None:
    framer = Framer()
    for _ in range(200):
        framer.feed(flood * 1000)
        framer.next_frame()
        assert len(framer._buffer) <= MAX_BUFFERED
    framer.feed(b"\n" + HDT + b"\n")
    assert frames_of(framer)[-1] == HDT


def test_whoever_feeds_more_than_the_ceiling_loses_the_oldest_and_it_is_counted() -> None:
    line = HDT + b"\r\n"
    framer = fed(line * 1000)
    got = frames_of(framer)
    assert got == [HDT] * (MAX_BUFFERED // len(line))
    assert framer.fed - 2 <= framer.discarded + len(got) * len(line) <= framer.fed


def test_where_a_frame_began_is_counted_from_the_first_byte() -> None:
    framer = Framer()
    stream = b"noise\r\n" + HDT + b"\r\n$GPG" + TAGGED + b"\r\n"
    for at in range(0, len(stream), 7):
        framer.feed(stream[at : at + 7])
        while (frame := framer.next_frame()) is not NEED_DATA:
            assert isinstance(frame, bytes)
            assert stream[framer.frame_offset :].startswith(frame)
    assert framer.fed == len(stream)


@given(st.binary(max_size=300), st.integers(0, 2**32))
@modest
def test_any_split_equals_the_whole(data: bytes, seed: int) -> None:
    stream = data + b"\n" + HDT + b"\r\n"
    whole = fed(stream)
    split = Framer()
    lines = []
    for piece in pieces(stream, seed):
        split.feed(piece)
        lines += frames_of(split)
    assert lines == frames_of(whole)
    assert lines[-1] == HDT
    assert split.discarded == whole.discarded


def test_five_percent_of_flipped_bits_cost_five_percent_of_the_bytes() -> None:
    """Row 14: noise on the line loses what it hit, and nothing after it."""
    rng = random.Random(14)
    wire = bytearray((HDT + b"\r\n") * 2000)
    hit = set()
    for _ in range(100):
        at = rng.randrange(len(wire))
        wire[at] ^= 1 << rng.randrange(8)
        hit.add(at // (len(HDT) + 2))
    framer = Framer()
    lines = []
    for piece in pieces(bytes(wire), 14):
        framer.feed(piece)
        lines += frames_of(framer)
    assert lines.count(HDT) >= 2000 - 2 * len(hit)
