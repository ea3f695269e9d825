"""Lines, parts and the assembler: what belongs together, what is too old, what is refused and why."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from protocols.ais.assembler import MOST_WAITING, PATIENCE_S, Assembler, Received
from protocols.ais.binary import SafetyText
from protocols.ais.catalogue import decode, encode
from protocols.ais.listener import AisListener
from protocols.ais.sentence import MOST_PARTS, Part, decode_part, encode_part, join, parts_of
from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    RemoteProtocolError,
    UnsupportedError,
)
from protocols.nmea0183.sentence import Sentence, encode_sentence
from protocols.tests.kit import pieces

SINGLE = b"!AIVDM,1,1,,B,15N4cJ`005Jrek0H@9n`DW5608EP,0*13"


def text_message(text: str, mmsi: int = 4_120_001, seq: int = 3) -> list[Part]:
    """A message of as many parts as its text needs."""
    return parts_of(*encode(SafetyText(type=14, repeat=0, mmsi=mmsi, text=text)), "AI", "VDM", "A", seq)


LONG = "A" * 140
ONE, TWO, THREE = text_message(LONG)
OTHER_ONE, OTHER_TWO, OTHER_THREE = text_message("B" * 140, mmsi=4_120_002)


def text_of(received: Any) -> str:
    assert isinstance(received, Received)
    text: str = received.message.text
    return text


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_parts_in_any_order(order: tuple[int, ...]) -> None:
    assembler = Assembler()
    parts = [ONE, TWO, THREE]
    answers = [assembler.take(parts[at], float(number) / 10) for number, at in enumerate(order)]
    assert answers[:2] == [NEED_DATA, NEED_DATA]
    assert text_of(answers[2]) == LONG
    assert answers[2].head.number == 1  # type: ignore[union-attr]
    assert assembler.dropped == 0
    assert assembler.next_deadline() is None


def test_a_stale_first_half_is_never_joined_to_another_ship() -> None:
    assembler = Assembler()
    for part in (ONE, TWO):
        assert assembler.take(part, 10.0) is NEED_DATA
    assert assembler.next_deadline() == 10.0 + PATIENCE_S
    assert assembler.take(OTHER_THREE, 10.0 + PATIENCE_S) is NEED_DATA
    assert assembler.dropped == 2
    assert assembler.take(OTHER_ONE, 12.1) is NEED_DATA
    assert text_of(assembler.take(OTHER_TWO, 12.2)) == "B" * 140


def test_just_in_time() -> None:
    assembler = Assembler()
    assembler.take(ONE, 10.0)
    assembler.take(TWO, 10.0)
    assert text_of(assembler.take(THREE, 9.999 + PATIENCE_S)) == LONG


def test_another_part_of_the_same_number_begins_anew() -> None:
    assembler = Assembler()
    assembler.take(ONE, 10.0)
    assembler.take(TWO, 10.1)
    assert assembler.take(OTHER_ONE, 10.2) is NEED_DATA
    assert assembler.dropped == 2
    assert assembler.take(OTHER_TWO, 10.3) is NEED_DATA
    assert text_of(assembler.take(OTHER_THREE, 10.4)) == "B" * 140


def test_the_same_part_twice_changes_nothing() -> None:
    assembler = Assembler()
    for part in (ONE, ONE, TWO, TWO):
        assert assembler.take(part, 10.0) is NEED_DATA
    assert text_of(assembler.take(THREE, 10.1)) == LONG
    assert assembler.dropped == 0


def test_sources_channels_totals_and_sequence_numbers_are_kept_apart() -> None:
    heads: list[dict[str, Any]] = [{"channel": "B"}, {"seq": 4}, {"total": 4}]
    assembler = Assembler()
    assembler.take(ONE, 10.0, "mast")
    assembler.take(TWO, 10.0, "mast")
    assert assembler.take(THREE, 10.0, "pier") is NEED_DATA
    for changes in heads:
        assert assembler.take(structs.replace(THREE, head=structs.replace(THREE.head, **changes)), 10.0) is NEED_DATA
    assert text_of(assembler.take(THREE, 10.1, "mast")) == LONG


def test_a_message_is_read_once_at_the_first_look() -> None:
    received = Assembler().take_line(SINGLE, 0.0)
    assert isinstance(received, Received)
    assert (received.type, received.mmsi) == (1, 367_078_250)
    assert received._message is None
    assert received.message is received.message
    assert (received.message.type, received.message.mmsi) == (received.type, received.mmsi)
    again = Assembler().take_line(SINGLE, 5.0)
    assert received == again
    assert hash(received) == hash(again)
    assert received != Assembler().take_line(SINGLE.replace(b",B,", b",A,")[:-2] + b"10", 0.0)


def test_a_wrong_length_is_told_before_anybody_looks() -> None:
    with pytest.raises(FieldError) as caught:
        Assembler().take_line(line_of("!AIVDM", "1", "1", "", "A", "15RTgt0PAso;90TKcjM8", "0"), 0.0)
    assert caught.value.field == "length"


def test_memory_is_bounded_and_the_oldest_gives_way() -> None:
    assembler = Assembler()
    for number in range(MOST_WAITING + 5):
        assembler.take(ONE, 10.0, f"source {number}")
    assert assembler.dropped == 5
    assembler.take(TWO, 10.1, "source 5")
    assert text_of(assembler.take(THREE, 10.1, "source 5")) == LONG
    assembler.take(TWO, 10.1, "source 4")
    assert assembler.take(THREE, 10.1, "source 4") is NEED_DATA


def test_a_message_that_is_wrong_is_forgotten() -> None:
    assembler = Assembler()
    bad = parts_of(5 << 394, 400, "AI", "VDM", "A", 3)
    assembler.take(bad[0], 10.0)
    with pytest.raises(FieldError):
        assembler.take(bad[1], 10.0)
    assert assembler.next_deadline() is None


@given(st.integers(0, 10**6))
def test_a_lossy_link_never_joins_what_does_not_belong_together(seed: int) -> None:
    rng = random.Random(seed)
    sent = {chr(65 + number) * 140 for number in range(20)}
    wire = []
    for number, text in enumerate(sorted(sent)):
        wire += [(number * 3.0 + rng.random(), part) for part in text_message(text, seq=3) if rng.random() < 0.8]
    wire.sort(key=lambda pair: pair[0])
    assembler = Assembler()
    for now, part in wire:
        received = assembler.take(part, now)
        if isinstance(received, Received):
            assert received.message.text in sent


@given(st.integers(1, 9 * 360), st.data())
def test_any_message_is_split_and_joined_again(bit_length: int, data: st.DataObject) -> None:
    bits = data.draw(st.integers(0, (1 << bit_length) - 1))
    parts = parts_of(bits, bit_length, "AN", "VDO", None, 7)
    lines = [encode_part(part) for part in parts]
    assert all(len(line) <= 80 for line in lines)
    assert len(parts) == 1 or {part.head.seq for part in parts} == {7}
    assert join([decode_part(line) for line in lines]) == (bits, bit_length)


@pytest.mark.parametrize(
    ("bit_length", "talker", "formatter", "channel", "seq", "field"),
    [
        (0, "AI", "VDM", "A", 0, "length"),
        (MOST_PARTS * 360 + 1, "AI", "VDM", "A", 0, "length"),
        (400, "AI", "VDM", "A", 10, "length"),
        (168, "A", "VDM", "A", 0, "talker"),
        (168, "AI", "VDX", "A", 0, "formatter"),
        (168, "AI", "VDM", "A,", 0, "channel"),
    ],
)
def test_parts_that_cannot_be_written(
    bit_length: int, talker: str, formatter: str, channel: str, seq: int, field: str
) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parts_of(0, bit_length, talker, formatter, channel, seq)
    assert caught.value.field == field


def line_of(*fields: str) -> bytes:
    return encode_sentence(Sentence(",".join(fields)))


@pytest.mark.parametrize(
    ("line", "error", "field"),
    [
        (SINGLE[:-2] + b"14", ChecksumError, "checksum"),
        (SINGLE[:-3], ChecksumError, "checksum"),
        (b"$" + SINGLE[1:], FrameError, "start"),
        (line_of("!AIVDX", "1", "1", "", "A", "0", "0"), UnsupportedError, "formatter"),
        (line_of("!PAIVDM", "1", "1", "", "A", "0", "0"), UnsupportedError, "formatter"),
        (line_of("!AIVDM", "1", "1", "", "A", "0"), FieldError, "fields"),
        (line_of("!AIVDM", "1", "1", "", "A", "0", "0", ""), FieldError, "fields"),
        (line_of("!AIVDM", "x", "1", "", "A", "0", "0"), FieldError, "total"),
        (line_of("!AIVDM", "", "1", "", "A", "0", "0"), FieldError, "total"),
        (line_of("!AIVDM", "1", "10", "", "A", "0", "0"), FieldError, "number"),
        (line_of("!AIVDM", "1", "2", "", "A", "0", "0"), FieldError, "fragment"),
        (line_of("!AIVDM", "1", "0", "", "A", "0", "0"), FieldError, "fragment"),
        (line_of("!AIVDM", "1", "1", "y", "A", "0", "0"), FieldError, "seq"),
        (line_of("!AIVDM", "1", "1", "", "A", "", "0"), FieldError, "empty"),
        (line_of("!AIVDM", "1", "1", "", "A", "0", "6"), FieldError, "fill"),
        (line_of("!AIVDM", "1", "1", "", "A", "0", ""), FieldError, "fill"),
        (line_of("!AIVDM", "1", "1", "", "A", "0X", "0"), FieldError, "armor"),
    ],
)
def test_lines_that_are_refused(line: bytes, error: type[RemoteProtocolError], field: str) -> None:
    with pytest.raises(error) as caught:
        decode_part(line)
    assert caught.value.field == field
    assembler = Assembler()
    assembler.take_line(SINGLE, 0.0)  # the short way is open now, and leads to the same
    with pytest.raises(error) as caught:
        assembler.take_line(line, 0.0)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        (line_of("!AIVDM", "1", "1", "", "A", "15N4cJ`0{5Jrek0H@9n`DW5608EP", "0"), b"{"),
        (line_of("!AIVDM", "2", "1", "3", "A", "15N4cJ`0X5Jrek0H@9n`DW5608EP", "0"), b"X"),
        (line_of("!AIVDM", "1", "1", "", "A", "15N4cJ`005Jrek0H@9n`DW5608EP", "7"), b"7*"),
        (line_of("!AIVDM", "1", "1", "", "A", "", "0"), b",0*"),
        (line_of("!AIVDM", "1", "1", "y", "A", "15N4cJ`005Jrek0H@9n`DW5608EP", "0"), b"y"),
        (line_of("!AIVDM", "3", "4", "", "A", "15N4cJ`005Jrek0H@9n`DW5608EP", "0"), b"4,"),
    ],
)
def test_the_place_of_an_error_is_told_within_the_line(line: bytes, bad: bytes) -> None:
    used = Assembler()
    for head in (("!AIVDM", "1", "1", "", "A"), ("!AIVDM", "2", "1", "3", "A")):
        used.take_line(line_of(*head, "15N4cJ`005Jrek0H@9n`DW5608EP", "0"), 0.0)
    for assembler in (Assembler(), used):
        for tag in (b"", b"\\s:GN01,c:1700000000*32\\"):
            with pytest.raises(FieldError) as caught:
                assembler.take_line(tag + line, 0.0)
            assert caught.value.offset == len(tag) + line.index(bad)


@given(st.binary(max_size=90) | st.builds(lambda at, byte: SINGLE[:at] + bytes([byte]) + SINGLE[at + 1 :],
                                          st.integers(0, len(SINGLE) - 1), st.integers(0, 255)))  # fmt: skip
def test_the_short_way_reads_what_the_long_way_reads(line: bytes) -> None:
    assembler = Assembler()
    assembler.take_line(SINGLE, 0.0)
    results: list[Any] = []
    for take in (assembler.take_line, lambda given_line, now: Assembler().take(decode_part(given_line), now)):
        try:
            results.append(take(line, 0.0))
        except RemoteProtocolError:
            results.append(None)
    assert results[0] == results[1]


def test_beginnings_are_remembered_up_to_a_ceiling() -> None:
    assembler = Assembler()
    payload = SINGLE.split(b",")[5].decode()
    for talker in ("AI", "AB", "AN", "BS"):
        for code in range(33, 127):
            if chr(code) not in "!$,*\\^~":
                assembler.take_line(line_of(f"!{talker}VDM", "1", "1", "", chr(code), payload, "0"), 0.0)
    assert len(assembler._met) == 256


@pytest.mark.parametrize("beginning", ["!AIVDM,1,1,,,", "!AIVDM,1,1,,ABC,"])
def test_other_beginnings_are_not_remembered(beginning: str) -> None:
    assembler = Assembler()
    payload = SINGLE.split(b",")[5].decode()
    line = line_of(*beginning[:-1].split(","), payload, "0")
    assert assembler.take_line(line, 0.0) == assembler.take_line(line, 0.0)
    assert not assembler._met


def test_parts_of_several_take_the_short_way_too() -> None:
    assembler = Assembler()
    lines = [encode_part(part) for part in (ONE, TWO, THREE)]
    for _ in range(2):
        answers = [assembler.take_line(line, 0.0) for line in lines]
        assert answers[:2] == [NEED_DATA, NEED_DATA]
        assert text_of(answers[2]) == LONG
    assert len(assembler._met) == 3


def test_lower_case_checksum_and_channel_without_letter_come_back() -> None:
    line = line_of("!BSVDM", "1", "1", "", "", "15N4cJ`005Jrek0H@9n`DW5608EP", "2")
    assert line[-2:] != line[-2:].lower()
    for given_line in (line, line[:-2] + line[-2:].lower()):
        assert encode_part(decode_part(given_line)) == given_line


def test_listener_counts_and_never_raises() -> None:
    listener = AisListener()
    rng = random.Random(1)
    listener.receive(b"$GPHDT,274.07,T*03\r\n" + SINGLE[:-1] + b"9\r\n" + rng.randbytes(5000) + b"\r\n", 1.0)
    broken = listener.broken
    assert broken >= 1
    assert listener.unsupported == 1
    assert listener.discarded > 2000
    listener.receive(encode_part(ONE) + b"\r\n" + SINGLE + b"\r\n", 2.0)
    assert listener.next_deadline() == 2.0 + PATIENCE_S
    event = listener.next_event()
    assert isinstance(event, Received)
    assert event.message == decode(join([decode_part(SINGLE)])[0], 168)
    listener.tick(4.0)
    assert (listener.dropped, listener.next_deadline()) == (1, None)
    assert listener.bytes_to_send() == b""
    with pytest.raises(LocalProtocolError):
        listener.send("anything", 4.0)


@given(st.integers(0, 2**32), st.lists(st.sampled_from([ONE, TWO, THREE]) | st.binary(max_size=90), max_size=12))
def test_any_split_is_heard_as_the_whole(seed: int, sent: list[Part | bytes]) -> None:
    wire = b"".join(
        (encode_part(one) if isinstance(one, Part) else one) + b"\r\n" for one in [*sent, *[ONE, TWO, THREE]]
    )
    whole, split = AisListener(), AisListener()
    whole.receive(wire, 1.0)
    for piece in pieces(wire, seed):
        split.receive(piece, 1.0)
    heard: tuple[list[object], list[object]] = ([], [])
    for listener, events in zip((whole, split), heard, strict=True):
        while (event := listener.next_event()) is not NEED_DATA:
            events.append(event)
    assert heard[0] == heard[1]
    assert (whole.broken, whole.discarded, whole.dropped) == (split.broken, split.discarded, split.dropped)
    assert heard[0]


def test_events_that_nobody_takes_are_bounded() -> None:
    listener = AisListener()
    listener.receive((SINGLE + b"\r\n") * 3000, 1.0)
    count = 0
    while listener.next_event() is not NEED_DATA:
        count += 1
    assert (count, listener.sentences) == (1024, 3000)
