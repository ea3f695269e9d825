"""The delta container: what turns one certain image into one other, and says so.

    0   4    WSD1
    4   1    compression of the body: 1 LZMA2, raw; 2 deflate, raw (for a microcontroller)
    5   1    its window: a power of two, in bits; 12 to 23 for LZMA2, 9 to 15 for deflate
    6   2    0
    8   8    length of the old image, big-endian
    16  8    length of the new image
    24  32   SHA-256 of the old image
    56  32   SHA-256 of the new image
    88       the body (`ota.payload.delta_body`), compressed

The container is no authority: its own hash and both images' hashes come from signed metadata. It repeats them, so that
a wrong base is refused before a byte is written.
"""

import hashlib
import lzma
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from ota.errors import RefusedError, Rule
from ota.payload.delta_body import PIECE_BYTES, ReadOld, apply_body, make_body
from ota.payload.unpack import Unpacker, deflate, lzma2, lzma2_filters

HEADER_BYTES = 88
LZMA2, DEFLATE = 1, 2
_MAGIC = b"WSD1"
_HEADER = struct.Struct(">4sBBHQQ32s32s")
_WINDOW_BITS = {LZMA2: range(12, 24), DEFLATE: range(9, 16)}


class PatchHeader(NamedTuple):
    """What a container says of itself."""

    compression: int
    window_bits: int
    old_length: int
    new_length: int
    old_sha256: bytes
    new_sha256: bytes


def make_patch(old: bytes, new: bytes, *, compression: int = LZMA2, window_bits: int = 20) -> bytes:
    """A container, made on a host: needs detools and some ten times the memory of the old image."""
    header = _HEADER.pack(
        _MAGIC,
        compression,
        window_bits,
        0,
        len(old),
        len(new),
        hashlib.sha256(old).digest(),
        hashlib.sha256(new).digest(),
    )
    return header + compress(make_body(old, new), compression, window_bits)


def compress(body: bytes, compression: int, window_bits: int) -> bytes:
    """A body as it stands in a container."""
    if compression == LZMA2:
        return lzma.compress(body, lzma.FORMAT_RAW, filters=lzma2_filters(window_bits))
    packer = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
    return packer.compress(body) + packer.flush()


def decode_header(data: bytes, what: str) -> PatchHeader:
    """Read a container's first 88 bytes. Raises `RefusedError`."""
    if len(data) < HEADER_BYTES or data[:4] != _MAGIC:
        raise RefusedError(Rule.FORMAT, what, "it is no delta")
    _magic, compression, window_bits, reserved, *rest = _HEADER.unpack_from(data)
    if compression not in _WINDOW_BITS or window_bits not in _WINDOW_BITS[compression] or reserved:
        reason = f"compression {compression} with a window of {window_bits} bits is not known here"
        raise RefusedError(Rule.FORMAT, what, reason)
    return PatchHeader(compression, window_bits, *rest)


def apply_patch(
    patch: Iterable[bytes], read_old: ReadOld, *, old_sha256: str, new_sha256: str, new_length: int, what: str
) -> Iterator[bytes]:
    """The new image in pieces of at most 64 KiB; the container comes in pieces of any size.

    The lengths and hashes are those of the signed metadata. Raises `RefusedError`, at the very end too, where the hash
    of all that was given is not the new image's: until the iterator has ended, nothing of it counts. Holds the window
    of the compression, 1 MiB as made here and 8 MiB at most, and some pieces.
    """
    chunks = iter(patch)
    start = b""
    while len(start) < HEADER_BYTES and (chunk := next(chunks, None)) is not None:
        start += chunk
    header = decode_header(start, what)
    if header.old_sha256.hex() != old_sha256:
        raise RefusedError(Rule.HASH, what, f"the delta is for the image {header.old_sha256.hex()[:16]}, not this one")
    if header.new_sha256.hex() != new_sha256 or header.new_length != new_length:
        raise RefusedError(Rule.HASH, what, "the delta makes another image than the metadata names")
    unpack = lzma2 if header.compression == LZMA2 else deflate
    body = _Body(unpack(chain([start[HEADER_BYTES:]], chunks), header.window_bits, what), what)
    hasher = hashlib.sha256()
    for piece in apply_body(body.read, read_old, header.old_length, new_length, what):
        hasher.update(piece)
        yield piece
    body.end()
    if hasher.hexdigest() != new_sha256:
        raise RefusedError(Rule.HASH, what, "what the delta has made is not the image that the metadata names")


class _Body:
    """The unpacked body in pieces of the sizes that are asked for."""

    def __init__(self, unpacker: Unpacker, what: str) -> None:
        self._unpacker = unpacker
        self._what = what
        self._ready = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, at most 64 KiB. Raises `RefusedError` where there are fewer."""
        if self._at + size > len(self._ready):
            parts = [self._ready[self._at :]]
            have = len(parts[0])
            while have < size:
                part = self._unpacker.take(PIECE_BYTES)
                if not part:
                    raise RefusedError(Rule.LENGTH, self._what, "the delta ends before the image is whole")
                parts.append(part)
                have += len(part)
            self._ready = b"".join(parts)
            self._at = 0
        start = self._at
        self._at += size
        return self._ready[start : self._at]

    def end(self) -> None:
        """Nothing may follow. Raises `RefusedError`."""
        if self._at != len(self._ready):
            raise RefusedError(Rule.LENGTH, self._what, "bytes follow the delta's last step")
        self._unpacker.end()
