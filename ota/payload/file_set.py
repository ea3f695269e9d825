"""Sets of modules for a microcontroller: the image that is signed, and the package that a secondary is sent.

Both begin with four letters, the length of the manifest (4 bytes, big-endian) and the manifest (`ota.mcu.manifest`).

    WSI1   the image: then each file of the manifest, in its order, as it is
    WSU1   a package: then for each file one byte, k (as it runs), f (whole) or d (a delta from the file of that name
           that runs), the length of what follows (4 bytes), and a raw deflate stream with a window of 4 KiB

A package is a blob of a release: a delta where it is made from an older image, else made here from the whole image.
Each file takes what is shorter, itself or its delta.
"""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ota.errors import RefusedError, Rule
from ota.mcu.delta import WINDOW_BITS
from ota.mcu.errors import SecondaryError
from ota.mcu.manifest import MAX_FILES, Entry, check_name, head_line, read_entry, read_head
from ota.mcu.sets import DELTA, FULL, KEEP
from ota.payload.delta_body import make_body

IMAGE, PACKAGE = b"WSI1", b"WSU1"
_HEAD_BYTES = 8
MAX_MANIFEST_BYTES = 1 << 17


class Part(NamedTuple):
    """One file of a package: what to do, and the stream."""

    kind: bytes
    stream: bytes


def make_image(files: Mapping[str, bytes], *, counter: int, floor: int, version: str) -> bytes:
    """The image of a set. Raises `RefusedError` (format) where a name may not be."""
    names = sorted(files)
    try:
        for name in names:
            check_name(name)
    except SecondaryError as error:
        raise RefusedError(Rule.FORMAT, name, error.reason) from error
    if len(names) > MAX_FILES:
        raise RefusedError(Rule.FORMAT, version, f"{len(names)} files where a set has {MAX_FILES} at most")
    manifest = head_line(counter, floor, version)
    for name in names:
        manifest += Entry(hashlib.sha256(files[name]).hexdigest(), len(files[name]), name).line()
    return _head(IMAGE, manifest) + b"".join(files[name] for name in names)


def read_image(data: bytes, what: str) -> tuple[bytes, dict[str, bytes]]:
    """The manifest and the files, each held against its hash. Raises `RefusedError`."""
    manifest, at = _manifest_of(data, IMAGE, what)
    files = {}
    for entry in entries_of(manifest, what):
        files[entry.name] = content = data[at : at + entry.length]
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise RefusedError(Rule.HASH, what, f"{entry.name} is not what the manifest says")
        at += entry.length
    if at != len(data):
        raise RefusedError(Rule.LENGTH, what, "bytes follow the last file")
    return manifest, files


def make_package(image: bytes, old_image: bytes | None = None) -> bytes:
    """What a secondary is sent. With an `old_image`, which it must run, as deltas: that needs detools."""
    manifest, files = read_image(image, "the image")
    old = {} if old_image is None else read_image(old_image, "the old image")[1]
    parts = [_head(PACKAGE, manifest)]
    for name, content in files.items():
        kind, stream = _shortest(content, old.get(name))
        parts += [kind, len(stream).to_bytes(4), stream]
    return b"".join(parts)


def read_package(data: bytes, what: str) -> tuple[bytes, Iterator[Part]]:
    """The manifest, and one part for each of its files. Raises `RefusedError`, the iterator too."""
    manifest, at = _manifest_of(data, PACKAGE, what)
    count = sum(1 for _entry in entries_of(manifest, what))
    return manifest, _parts_of(data, at, count, what)


def entries_of(manifest: bytes, what: str) -> Iterator[Entry]:
    """The files of a manifest. Raises `RefusedError` (format)."""
    head, *lines = manifest.splitlines(keepends=True) or [b""]
    before = ""
    try:
        read_head(head)
        for line in lines:
            entry = read_entry(line, before)
            before = entry.name
            yield entry
    except SecondaryError as error:
        raise RefusedError(Rule.FORMAT, what, error.reason) from error


def _head(letters: bytes, manifest: bytes) -> bytes:
    return letters + len(manifest).to_bytes(4) + manifest


def _manifest_of(data: bytes, letters: bytes, what: str) -> tuple[bytes, int]:
    length = int.from_bytes(data[4:_HEAD_BYTES])
    end = _HEAD_BYTES + length
    if data[:4] != letters or length > MAX_MANIFEST_BYTES or end > len(data):
        raise RefusedError(Rule.FORMAT, what, "it is no set of modules")
    return data[_HEAD_BYTES:end], end


def _parts_of(data: bytes, at: int, count: int, what: str) -> Iterator[Part]:
    for _file in range(count):
        kind, length = data[at : at + 1], int.from_bytes(data[at + 1 : at + 5])
        stream = data[at + 5 : at + 5 + length]
        if kind not in (KEEP, FULL, DELTA) or len(stream) != length or (kind == KEEP and length):
            raise RefusedError(Rule.FORMAT, what, "a file of the package is cut short or of a kind that is not known")
        yield Part(kind, stream)
        at += 5 + length
    if at != len(data):
        raise RefusedError(Rule.LENGTH, what, "bytes follow the last file")


def _shortest(content: bytes, old: bytes | None) -> tuple[bytes, bytes]:
    if content == old:
        return KEEP, b""
    full = _deflated(content)
    if old is None:
        return FULL, full
    delta = _deflated(make_body(old, content))
    return (DELTA, delta) if len(delta) < len(full) else (FULL, full)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS, 9)
    return packer.compress(data) + packer.flush()
