"""Packets of HJ 212: the check, what is refused, the framer byte by byte, in noise and under a flood."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, LocalProtocolError, RemoteProtocolError
from protocols.hj212.crc import crc_hj212
from protocols.hj212.packet import MAX_PACKET_BYTES, Framer, Packet, decode_packet, encode_packet
from protocols.tests.hj212_kit import crc_by_the_book
from protocols.tests.kit import cases_of, drip, frames_of, noisy, pieces

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
WIRES = [case["text"].encode("gbk") for case in cases_of("hj212") if "error" not in case["expect"]]
PARTS = [*WIRES, b"#", b"##", b"##0101", b"\r\n", b"noise"]
DATA = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"


def read(wire: bytes) -> Packet:
    return decode_packet(wire, accepts_modbus_crc=True)


def framer() -> Framer:
    return Framer(accepts_modbus_crc=True)


@pytest.mark.parametrize("wire", WIRES)
def test_a_packet_comes_byte_by_byte(wire: bytes) -> None:
    found = framer()
    assert drip(found, wire) == [read(wire)]
    assert found.discarded_bytes == 0


@pytest.mark.parametrize("wire", WIRES)
def test_a_packet_is_found_again_after_noise(wire: bytes) -> None:
    for seed in range(3):
        assert noisy(framer(), wire, seed=seed, ceiling=MAX_PACKET_BYTES)[-1] == read(wire)


# -- the check -----


@EXAMPLES
@given(st.binary(max_size=2000))
@example(b"")
@example(bytes(9999))
def test_the_check_is_that_of_the_standard(data: bytes) -> None:
    assert crc_hj212(data) == crc_by_the_book(data)


def test_the_check_does_not_see_bytes_change_places_eight_apart() -> None:
    """What the standard's check is worth; the module says so."""
    assert crc_hj212(b"1a1a1a1aX2345678Y") == crc_hj212(b"1a1a1a1aY2345678X")


# -- packets -----


@pytest.mark.parametrize(
    ("wire", "error", "field", "offset"),
    [
        (b"", FrameError, None, 0),
        (b"##", FrameError, "data_length", 2),
        (b"##010\r\n", FrameError, "data_length", 2),
        (b"##+101" + DATA + b"1C80\r\n", FrameError, "data_length", 2),
        (b"##0101" + DATA + b"1C80", FrameError, None, 111),
        (b"##0100" + DATA + b"1C80\r\n", FrameError, "data_length", 2),
        (b"##0102" + DATA + b"1C80\r\n", FrameError, "data_length", 2),
        (b"##0101" + DATA + b"1C8 \r\n", ChecksumError, "crc", 107),
        (b"##0101" + DATA + b"1C81\r\n", ChecksumError, "crc", 107),
        (b"##0004a\r\nbFFFF\r\n", FrameError, None, 7),
    ],
)
def test_a_broken_packet_is_refused(
    wire: bytes, error: type[RemoteProtocolError], field: str | None, offset: int
) -> None:
    with pytest.raises(error) as refused:
        decode_packet(wire)
    assert (refused.value.field, refused.value.offset) == (field, offset)
    assert b"100000" not in refused.value.raw  # the password


def test_a_packet_that_is_hardly_there_is_told_as_such() -> None:
    with pytest.raises(FrameError) as refused:
        decode_packet(b"##0101ABC\r\n")
    assert refused.value.reason == "101 bytes are announced, 0 there"


def test_the_modbus_check_is_taken_only_when_asked_for() -> None:
    wire = encode_packet(Packet(DATA, is_modbus_crc=True))
    assert wire.endswith(b"%04X\r\n" % crc16_modbus(DATA))
    with pytest.raises(ChecksumError, match="is CRC-16/MODBUS") as refused:
        decode_packet(wire)
    assert (refused.value.offset, refused.value.field) == (len(wire) - 6, "crc")
    assert read(wire) == Packet(DATA, wire[-6:-2], is_modbus_crc=True)
    assert frames_of_all(Framer(), wire) == []
    assert frames_of_all(framer(), wire) == [read(wire)]


def frames_of_all(found: Framer, wire: bytes) -> list[Packet]:
    found.feed(wire)
    return frames_of(found)


@pytest.mark.parametrize(
    "nonsense", [Packet(bytes(10_000)), Packet(b"a\r\nb"), Packet(DATA, b"1C81"), Packet(DATA, b"1C80", True)]
)
def test_no_packet_for_nonsense(nonsense: Packet) -> None:
    with pytest.raises(LocalProtocolError):
        encode_packet(nonsense)


def test_the_longest_packet_comes_through() -> None:
    wire = encode_packet(Packet(b"x" * 9999))
    assert drip(framer(), wire) == [Packet(b"x" * 9999, wire[-6:-2])]


# -- framer -----


@pytest.mark.parametrize("false_head", [b"##9999", b"##0300", b"###", b"##00", b"#", b"##0101QN=1\r\n", b"\r\n##0050"])
def test_a_false_head_swallows_no_packet(false_head: bytes) -> None:
    """The line of the true packet ends before the false one would: it is known at once."""
    found = framer()
    assert drip(found, false_head + WIRES[0]) == [read(WIRES[0])]
    assert found.discarded_bytes == len(false_head)


def test_a_bad_check_is_counted_and_the_next_packet_found() -> None:
    broken = WIRES[0].replace(b"=30&&", b"=31&&")
    found = framer()
    assert drip(found, broken + WIRES[0]) == [read(WIRES[0])]
    assert found.bad_checks == 1
    assert found.broken_data == DATA.replace(b"=30&&", b"=31&&")
    assert found.discarded_bytes == len(broken)


def test_a_packet_inside_a_broken_one_is_found() -> None:
    outer = b"##%04d" % (len(WIRES[1]) + 3) + b"ab" + WIRES[1] + b"cFFFF\r\n"
    found = framer()
    assert drip(found, outer + WIRES[2]) == [read(WIRES[1]), read(WIRES[2])]


@EXAMPLES
@given(st.lists(st.sampled_from(PARTS), max_size=8), st.integers(0, 2**32))
def test_any_split_equals_the_whole(parts: list[bytes], seed: int) -> None:
    wire = b"".join(parts)
    whole, split = framer(), framer()
    whole.feed(wire)
    found: list[Packet] = []
    for piece in pieces(wire, seed):
        split.feed(piece)
        found += frames_of(split)
    assert found == frames_of(whole)
    assert split.discarded_bytes == whole.discarded_bytes
    assert [encode_packet(one) for one in found] == [part for part in parts if part in WIRES]


def test_an_endless_packet_stays_bounded_and_accounted_for() -> None:
    rng = random.Random(1)
    found = Framer(max_bytes=1)
    fed = 0
    for _ in range(300):
        data = rng.choice((b"##9999", b"x" * 700, rng.randbytes(200)))
        found.feed(data)
        fed += len(data)
        assert found.next_frame() is NEED_DATA
        assert 0 <= fed - found.discarded_bytes <= MAX_PACKET_BYTES
    assert drip(found, b"\r\n" + WIRES[0])[-1:] == [read(WIRES[0])]


def test_heads_that_all_fail_at_the_same_line_end_cost_a_bounded_time() -> None:
    """Each of them announces what is there, so each would be checked to its end."""
    heads = b"".join(b"##%04d" % (9900 - 6 * number) for number in range(1, 1651))
    found = Framer(accepts_modbus_crc=True)
    for _ in range(5):
        assert frames_of_all(found, heads + b"none\r\n") == []
    assert 0 < found.bad_checks < 200
    assert frames_of_all(found, WIRES[0]) == [read(WIRES[0])]
