"""An image out of what was fetched: streamed, verified while it streams, whichever way it takes."""

import hashlib
from collections.abc import Iterator

from ota.errors import RefusedError, Rule, StorageError
from ota.payload.choice import Held, Way
from ota.payload.delta_body import PIECE_BYTES, ReadOld
from ota.payload.patch import apply_patch
from ota.payload.unpack import zstd
from ota.storage import Storage
from ota.targets import Target

_READ_BYTES = 1 << 16


def image_pieces(storage: Storage, target: Target, way: Way, part: str) -> Iterator[bytes]:
    """The image in pieces of at most 64 KiB; `part` is the file that the way's blob was fetched into.

    Raises `RefusedError` (at the end, too, where the whole is not what the metadata names: until then nothing of it
    counts) and `StorageError`.
    """
    if way.blob is None:
        assert way.base is not None, "with nothing to fetch, the image lies here"
        yield from _verified(_held(way.base), target)
    elif way.base is not None:
        yield from apply_patch(
            _file(storage, part, way.blob.length),
            _of_base(way.base, f"blobs/{way.blob.sha256}"),
            old_sha256=way.base.sha256,
            new_sha256=target.sha256,
            new_length=target.length,
            what=f"blobs/{way.blob.sha256}",
        )
    elif way.blob.codec == "zstd":
        yield from _verified(_unpacked(storage, target, way.blob.length, part), target)
    else:
        yield from _verified(_file(storage, part, way.blob.length), target)


def _of_base(base: Held, what: str) -> ReadOld:
    """What a delta builds upon: where that cannot be read, the whole image is the way, not another try."""

    def read(offset: int, size: int) -> bytes:
        try:
            return base.read(offset, size)
        except StorageError as error:
            raise RefusedError(Rule.STORAGE, what, f"what it builds upon cannot be read ({error})") from error

    return read


def _file(storage: Storage, name: str, length: int) -> Iterator[bytes]:
    for offset in range(0, length, _READ_BYTES):
        yield storage.read(name, offset, min(_READ_BYTES, length - offset))


def _held(image: Held) -> Iterator[bytes]:
    for offset in range(0, image.length, _READ_BYTES):
        yield image.read(offset, min(_READ_BYTES, image.length - offset))


def _unpacked(storage: Storage, target: Target, length: int, part: str) -> Iterator[bytes]:
    unpacker = zstd(_file(storage, part, length), target.path)
    left = target.length
    while left and (piece := unpacker.take(min(left, PIECE_BYTES))):
        yield piece
        left -= len(piece)
    unpacker.end()


def _verified(pieces: Iterator[bytes], target: Target) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    length = 0
    for piece in pieces:
        hasher.update(piece)
        length += len(piece)
        yield piece
    if length != target.length:
        reason = f"{length:,} bytes where the metadata names {target.length:,}"
        raise RefusedError(Rule.LENGTH, target.path, reason)
    if hasher.hexdigest() != target.sha256:
        raise RefusedError(Rule.HASH, target.path, "what was made is not the image that the metadata names")
