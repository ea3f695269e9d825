"""Blocks and the map of those that the disk has."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.errors import RefusedError, Rule
from ota.payload.blocks import BlockList, RangeMap, block_list
from ota.targets import BLOCK_BYTES, Blob

DATA = b"".join(bytes([n]) * BLOCK_BYTES for n in range(3)) + b"tail"


def blob_of(data: bytes) -> tuple[Blob, bytes]:
    blocks = block_list([data])
    sha, of_blocks = hashlib.sha256(data).hexdigest(), hashlib.sha256(blocks).hexdigest()
    return Blob(codec="none", length=len(data), sha256=sha, blocks=of_blocks), blocks


@pytest.mark.parametrize("piece", [1000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, len(DATA)])
def test_the_list_is_the_same_in_pieces_of_any_size(piece: int):
    blocks = block_list(DATA[at : at + piece] for at in range(0, len(DATA), piece))
    assert blocks == b"".join(
        hashlib.sha256(DATA[at : at + BLOCK_BYTES]).digest() for at in range(0, len(DATA), BLOCK_BYTES)
    )


def test_nothing_has_no_block_and_a_whole_one_no_empty_one_behind_it():
    assert block_list([]) == block_list([b""]) == b""
    assert len(block_list([bytes(BLOCK_BYTES)])) == 32
    assert len(BlockList(*blob_of(b""))) == 0


def test_every_block_is_told_from_every_other():
    blocks = BlockList(*blob_of(DATA))
    pieces = [DATA[at : at + BLOCK_BYTES] for at in range(0, len(DATA), BLOCK_BYTES)]
    assert [blocks.span(n) for n in range(len(blocks))] == [
        (n * BLOCK_BYTES, len(piece)) for n, piece in enumerate(pieces)
    ]
    for number in range(len(blocks)):
        assert [blocks.is_right(number, piece) for piece in pieces] == [n == number for n in range(len(pieces))]
    assert not blocks.is_right(3, b"tai")
    assert not blocks.is_right(3, b"tail.")


def test_a_list_that_the_metadata_does_not_name_is_refused():
    blob, blocks = blob_of(DATA)
    for bad, rule in ((blocks[:-1], Rule.LENGTH), (blocks + bytes(32), Rule.LENGTH), (bytes(len(blocks)), Rule.HASH)):
        with pytest.raises(RefusedError, match=r"blobs/[0-9a-f]{64}\.blocks") as caught:
            BlockList(blob, bad)
        assert caught.value.rule is rule


@given(st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(0, n - 1))))))
def test_a_map_says_what_was_added_and_survives_its_file(case: tuple[int, set[int]]):
    count, have = case
    have = {number for number in have if number < count}
    kept = RangeMap(count)
    for number in have:
        kept.add(number)
        at, byte = kept.byte_of(number)
        assert bytes(kept)[at : at + 1] == byte
    again = RangeMap(count, bytes(kept))
    assert {number for number in range(-1, count + 9) if number in again} == have
    assert again.missing() == sorted(set(range(count)) - have)
    for number in have:
        again.discard(number)
    assert again.missing() == list(range(count))


def test_a_map_that_is_cut_short_has_less_and_one_that_is_too_long_no_more():
    assert RangeMap(20, b"\xff").missing() == list(range(8, 20))
    assert RangeMap(3, b"\xff\xff\xff").missing() == []
    assert 3 not in RangeMap(3, b"\xff\xff\xff")
