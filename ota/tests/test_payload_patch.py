"""Deltas: any pair round-trips; whatever is wrong with base or patch is refused; memory stays bounded."""

import hashlib
import random
import tracemalloc
import zlib
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ota.errors import RefusedError, Rule
from ota.payload.delta_body import make_body, read_size
from ota.payload.patch import DEFLATE, HEADER_BYTES, LZMA2, apply_patch, compress, decode_header

detools = pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")

from ota.payload.patch import make_patch  # noqa: E402  # named after the skip

WAYS = [(LZMA2, 12), (LZMA2, 22), (DEFLATE, 10), (DEFLATE, 15)]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def applied(patch: bytes, old: bytes, new: bytes, *, piece: int = 4096, base: bytes | None = None) -> bytes:
    """What a device makes of a patch, when metadata says that it turns `old` into `new`."""
    held = old if base is None else base
    chunks = [patch[at : at + piece] for at in range(0, len(patch), piece)]
    pieces = apply_patch(
        chunks,
        lambda at, size: held[at : at + size],
        old_sha256=sha(old),
        new_sha256=sha(new),
        new_length=len(new),
        what="d",
    )
    return b"".join(pieces)


def refused(patch: bytes, old: bytes, new: bytes) -> Rule:
    with pytest.raises(RefusedError) as caught:
        applied(patch, old, new)
    assert "\n" not in str(caught.value)
    return caught.value.rule


def a_release(seed: int = 1, size: int = 40_000) -> tuple[bytes, bytes]:
    """An image and its patch release: some words changed, something put in, something taken out."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randrange(20, 300)) for _ in range(200)]
    old = b"".join(rng.choice(words) for _ in range(size // 150))
    new = bytearray(old)
    for _ in range(30):
        at = rng.randrange(len(new))
        new[at : at + 4] = rng.randbytes(4)
    new[5_000:5_000] = rng.randbytes(700)
    del new[20_000:20_900]
    return old, bytes(new)


@given(st.binary(max_size=3_000), st.binary(max_size=3_000), st.sampled_from(WAYS))
@settings(max_examples=60, deadline=None)
def test_any_pair_round_trips(old: bytes, new: bytes, way: tuple[int, int]):
    patch = make_patch(old, new, compression=way[0], window_bits=way[1])
    assert applied(patch, old, new) == new


@given(st.integers(0, 1_000), st.sampled_from(WAYS), st.integers(1, 200))
@settings(max_examples=20, deadline=None)
def test_a_release_round_trips_in_pieces_of_any_size(seed: int, way: tuple[int, int], piece: int):
    old, new = a_release(seed, 8_000)
    patch = make_patch(old, new, compression=way[0], window_bits=way[1])
    assert applied(patch, old, new, piece=piece) == new


def test_a_piece_that_ends_with_the_header_is_none_that_ends_the_patch():
    old, new = a_release()
    assert applied(make_patch(old, new), old, new, piece=HEADER_BYTES) == new


def test_a_patch_release_is_small():
    old, new = a_release(size=400_000)
    assert len(make_patch(old, new)) < len(new) // 100


@pytest.mark.parametrize("way", WAYS)
def test_a_patch_cut_anywhere_is_refused(way: tuple[int, int]):
    old, new = a_release(size=4_000)
    patch = make_patch(old, new, compression=way[0], window_bits=way[1])
    for end in range(0, len(patch), 7):
        assert refused(patch[:end], old, new) in (Rule.LENGTH, Rule.FORMAT)
    assert refused(patch[:-1], old, new) == Rule.LENGTH
    assert refused(patch + b"x", old, new) == Rule.LENGTH


@pytest.mark.parametrize("way", WAYS)
def test_a_patch_with_one_bit_turned_is_refused(way: tuple[int, int]):
    """But for the bits that say which image it is for, which the metadata says as well, nothing else is checked."""
    old, new = a_release(size=4_000)
    patch = make_patch(old, new, compression=way[0], window_bits=way[1])
    rng = random.Random(2026)
    for _ in range(300):
        bad = bytearray(patch)
        at = rng.randrange(len(bad))
        bad[at] ^= 1 << rng.randrange(8)
        try:
            made = applied(bytes(bad), old, new)
        except RefusedError:
            continue
        assert made == new, f"byte {at}"  # a bit that the decompressor does not look at


def test_another_base_or_another_result_than_the_metadata_names_is_refused_before_anything_is_made():
    old, new = a_release()
    patch = make_patch(old, new)
    for pair in ((new, new), (old, old), (old, new + b"x")):
        with pytest.raises(RefusedError) as caught:
            next(apply_patch([patch], lambda _at, _size: pytest.fail("it reads the base"), old_sha256=sha(pair[0]),
                             new_sha256=sha(pair[1]), new_length=len(pair[1]), what="d"))  # fmt: skip
        assert caught.value.rule is Rule.HASH


def test_a_base_that_is_not_what_its_hash_says_is_noticed_at_the_end():
    old, new = a_release()
    damaged = bytes([old[0] ^ 1]) + old[1:]
    with pytest.raises(RefusedError, match=r"^hash: d: what the delta has made is not the image"):
        applied(make_patch(old, new), old, new, base=damaged)


def packed(value: int) -> bytes:
    """A size as the format writes it, from its description."""
    sign, value = (0x40, -value) if value < 0 else (0, value)
    groups = [value & 0x3F | sign]
    value >>= 6
    while value:
        groups.append(value & 0x7F)
        value >>= 7
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def by_hand(old: bytes, new: bytes, body: bytes, *, compression: int = LZMA2) -> bytes:
    """A container around any body."""
    bits = 12
    head = make_patch(old, old)[:4] + bytes([compression, bits, 0, 0])
    head += len(old).to_bytes(8) + len(new).to_bytes(8)
    return head + hashlib.sha256(old).digest() + hashlib.sha256(new).digest() + compress(body, compression, bits)


@given(st.integers(-(1 << 60), 1 << 60))
def test_sizes_are_read_as_they_are_written(value: int):
    data = iter(packed(value) + b"\xff")
    assert read_size(lambda size: bytes(next(data) for _ in range(size)), "d") == value


def test_a_body_by_hand():
    """Three steps: take four bytes and raise one of them, put in two, move back."""
    old, new = b"abcdefgh", b"abddXYgh"
    body = packed(0) + packed(4) + b"\0\0\1\0" + packed(2) + b"XY" + packed(2)
    body += packed(2) + b"\0\0" + packed(0) + packed(-3)
    assert applied(by_hand(old, new, body), old, new) == new
    assert applied(by_hand(old, new, body, compression=DEFLATE), old, new) == new


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (packed(3) + b"arm", "recodes machine code"),
        (packed(0) + packed(9), "makes 9 bytes where 8 are left"),
        (packed(0) + packed(-1), "makes -1 bytes"),
        (packed(0) + packed(0) + packed(9), "makes 9 bytes where 8 are left"),
        (packed(0) + packed(1) + b"\0" + packed(0) + packed(-5) + packed(1), "reads the old image at -4"),
        (packed(0) + packed(1) + b"\0" + packed(0) + packed(1 << 40) + packed(1), "reads the old image at 10995116"),
        (packed(0) + b"\xff" * 20, "a size in the delta has no end"),
        (packed(0) + packed(4) + b"\0" * 4 + packed(4) + b"....", "ends before the image is whole"),
    ],
)
def test_a_body_that_reaches_beyond_an_image_is_refused(body: bytes, why: str):
    with pytest.raises(RefusedError, match=why):
        applied(by_hand(b"abcdefgh", b"abddXYgh", body), b"abcdefgh", b"abddXYgh")


@pytest.mark.parametrize(
    ("at", "value"), [(0, 0x58), (4, 0), (4, 3), (5, 24), (5, 11), (6, 1)], ids=["magic", "0", "3", "24", "11", "spare"]
)
def test_a_header_that_is_not_known_is_refused(at: int, value: int):
    patch = bytearray(make_patch(b"a", b"b"))
    patch[at] = value
    with pytest.raises(RefusedError) as caught:
        decode_header(bytes(patch), "d")
    assert caught.value.rule is Rule.FORMAT


def bomb() -> Iterator[bytes]:
    """A container of a few kB whose body goes on for 256 MB of zeros."""
    new_length = 1 << 28
    head = b"WSD1" + bytes([DEFLATE, 15, 0, 0]) + (0).to_bytes(8) + new_length.to_bytes(8)
    yield head + hashlib.sha256(b"").digest() + bytes(32)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    yield packer.compress(packed(0) + packed(0) + packed(new_length))
    for _ in range(256):
        yield packer.compress(bytes(1 << 20))
    yield packer.compress(packed(0)) + packer.flush()


def test_memory_does_not_grow_with_what_a_patch_makes():
    tracemalloc.start()
    try:
        pieces = apply_patch(bomb(), lambda _at, _size: b"", old_sha256=sha(b""), new_sha256="0" * 64,
                             new_length=1 << 28, what="d")  # fmt: skip
        with pytest.raises(RefusedError, match="hash"):
            deque(pieces, maxlen=0)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_every_body_that_detools_makes_is_undone_by_detools_too(tmp_path):
    """The body is detools' own: its applier, given detools' header, agrees with ours."""
    old, new = a_release()
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "patch").write_bytes(b"\0" + packed(len(new)) + make_body(old, new))
    detools.apply_patch_filenames(str(tmp_path / "old"), str(tmp_path / "patch"), str(tmp_path / "new"))
    assert (tmp_path / "new").read_bytes() == new
