"""The body of a delta: how one image turns into another, from front to end, with memory for neither.

It is what detools calls a sequential patch, without its header and uncompressed: until the new image is whole,

    size | size bytes        added, byte by byte modulo 256, to as many bytes of the old image
    size | size bytes        new bytes as they are
    size                     how far to move in the old image, forwards or backwards

in front of all one size, 0: this body has no recoding of machine code. A size is a little-endian row of 7-bit groups,
the top bit of each byte telling that another follows; the first byte has 6 bits and, below the top bit, the sign.

Making one needs detools and the memory of both images, so it is done on a host only.
"""

import io
from collections.abc import Callable, Iterator

from ota.errors import RefusedError, Rule

PIECE_BYTES = 1 << 16
_FINE_BYTES = 1 << 10
"""Where a piece of a difference is not all zeros, only the parts of this size that are not are added up."""
_MAX_SIZE_BYTES = 9
_DETOOLS_TYPE_BYTES = 1

Read = Callable[[int], bytes]
"""Exactly so many bytes of the body; raises `RefusedError` where there are fewer."""
ReadOld = Callable[[int, int], bytes]
"""Bytes of the old image: offset, size."""


def make_body(old: bytes, new: bytes) -> bytes:
    """The body that turns `old` into `new`. Needs detools."""
    import detools  # on a host only

    if not new:
        return b""
    patch = io.BytesIO()
    detools.create_patch(io.BytesIO(old), io.BytesIO(new), patch, compression="none", patch_type="sequential")
    patch.seek(_DETOOLS_TYPE_BYTES)
    read_size(patch.read, "detools")  # the new image's length, which our own header has
    return patch.read()


def apply_body(read: Read, read_old: ReadOld, old_length: int, new_length: int, what: str) -> Iterator[bytes]:
    """The new image, in pieces of at most 64 KiB.

    Raises `RefusedError` where the body wants more than the new image has or what the old one has not. Whether the
    result is right is for the caller to judge, by its hash.
    """
    if new_length == 0:
        return
    if read_size(read, what) != 0:
        raise RefusedError(Rule.FORMAT, what, "the delta recodes machine code, which is not supported")
    made = at = 0
    while made < new_length:
        added = _span(read, new_length - made, what)
        if not 0 <= at <= old_length - added:
            raise RefusedError(
                Rule.FORMAT, what, f"the delta reads the old image at {at}, which has {old_length} bytes"
            )
        for size in _pieces(added):
            yield _add(read(size), read_old(at, size))
            at += size
        new = _span(read, new_length - made - added, what)
        for size in _pieces(new):
            yield read(size)
        made += added + new
        at += read_size(read, what)


def read_size(read: Read, what: str) -> int:
    """A size, or a distance with its sign. Raises `RefusedError` where it has no end."""
    byte = read(1)[0]
    is_negative = byte & 0x40
    value, shift = byte & 0x3F, 6
    for _more in range(_MAX_SIZE_BYTES):
        if not byte & 0x80:
            return -value if is_negative else value
        byte = read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
    raise RefusedError(Rule.FORMAT, what, "a size in the delta has no end")


def _span(read: Read, most: int, what: str) -> int:
    size = read_size(read, what)
    if not 0 <= size <= most:
        raise RefusedError(Rule.FORMAT, what, f"the delta makes {size} bytes where {most} are left")
    return size


def _pieces(length: int) -> Iterator[int]:
    while length:
        size = min(length, PIECE_BYTES)
        yield size
        length -= size


def _add(difference: bytes, old: bytes) -> bytes:
    """The sum byte by byte. Nearly all of a difference is zeros, so whole pieces pass as they are."""
    size = len(difference)
    if difference.count(0) == size:
        return old
    if size <= _FINE_BYTES:
        return _add_all(difference, old)
    parts = []
    for start in range(0, size, _FINE_BYTES):
        part = difference[start : start + _FINE_BYTES]
        beside = old[start : start + _FINE_BYTES]
        parts.append(beside if part.count(0) == len(part) else _add_all(part, beside))
    return b"".join(parts)


def _add_all(difference: bytes, old: bytes) -> bytes:
    """One addition of large numbers instead of one a byte: the top bits apart, so that nothing carries over."""
    size = len(difference)
    low = int.from_bytes(b"\x7f" * size)
    top = int.from_bytes(b"\x80" * size)
    a, b = int.from_bytes(difference), int.from_bytes(old)
    return (((a & low) + (b & low)) ^ ((a ^ b) & top)).to_bytes(size)
