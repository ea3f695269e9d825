"""A blob as blocks of 256 KiB, each with its hash in a signed list: what arrives is judged at once and kept for good.

block list   SHA-256 of block 0 | SHA-256 of block 1 | ...   32 bytes each; its own SHA-256 stands in the metadata
range map    one bit a block, most significant first: set once the disk has the block
"""

import hashlib
from collections.abc import Iterable

from ota.errors import RefusedError, Rule
from ota.targets import BLOCK_BYTES, Blob

HASH_BYTES = 32


def block_list(chunks: Iterable[bytes]) -> bytes:
    """The block list of a blob given in pieces of any size."""
    hashes = []
    current, left = hashlib.sha256(), BLOCK_BYTES
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            part = view[:left]
            current.update(part)
            left -= len(part)
            view = view[len(part) :]
            if left == 0:
                hashes.append(current.digest())
                current, left = hashlib.sha256(), BLOCK_BYTES
    if left < BLOCK_BYTES:
        hashes.append(current.digest())
    return b"".join(hashes)


class BlockList:
    """The verified block list of a blob."""

    def __init__(self, blob: Blob, data: bytes) -> None:
        """Raises `RefusedError` where `data` is not the list that the metadata names."""
        what = f"blobs/{blob.sha256}.blocks"
        if len(data) != blob.block_count * HASH_BYTES:
            reason = f"{len(data)} bytes where {blob.block_count} blocks have {blob.block_count * HASH_BYTES}"
            raise RefusedError(Rule.LENGTH, what, reason)
        if hashlib.sha256(data).hexdigest() != blob.blocks:
            raise RefusedError(Rule.HASH, what, "it is not the list that the metadata names")
        self._blob = blob
        self._data = data

    def __len__(self) -> int:
        return self._blob.block_count

    def span(self, number: int) -> tuple[int, int]:
        """(offset, length) of a block in the blob."""
        offset = number * BLOCK_BYTES
        return offset, min(BLOCK_BYTES, self._blob.length - offset)

    def is_right(self, number: int, data: bytes) -> bool:
        """Whether these are the bytes of a block."""
        at = number * HASH_BYTES
        return len(data) == self.span(number)[1] and hashlib.sha256(data).digest() == self._data[at : at + HASH_BYTES]


class RangeMap:
    """Which blocks the disk has. Bits that the file lacks, as after a power cut, count as not set."""

    def __init__(self, count: int, data: bytes = b"") -> None:
        size = -(-count // 8)
        self._count = count
        self._bits = bytearray(data[:size].ljust(size, b"\0"))

    def __contains__(self, number: int) -> bool:
        return 0 <= number < self._count and bool(self._bits[number >> 3] & (0x80 >> (number & 7)))

    def add(self, number: int) -> None:
        """The disk has a block."""
        self._bits[number >> 3] |= 0x80 >> (number & 7)

    def discard(self, number: int) -> None:
        """What the disk has of a block is wrong."""
        self._bits[number >> 3] &= ~(0x80 >> (number & 7))

    def missing(self) -> list[int]:
        """Blocks to fetch, in order."""
        return [number for number in range(self._count) if number not in self]

    def byte_of(self, number: int) -> tuple[int, bytes]:
        """(offset, the byte) of the map's file that holds a block's bit."""
        at = number >> 3
        return at, bytes(self._bits[at : at + 1])

    def __bytes__(self) -> bytes:
        return bytes(self._bits)
