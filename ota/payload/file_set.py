"""Sets of modules for a microcontroller: the image that is signed, and the package that a secondary is sent.

    WSI1   the image: length of the manifest (4 bytes, big-endian), the manifest (`ota.mcu.manifest`), then each file of
           it, in its order, as it is
    WSU1   a package: SHA-256 of the manifest, its length (4 bytes), then for the manifest and for each of its files one
           byte, k (as it runs), f (whole) or d (a delta from the one that runs), behind f and d the length of what
           follows (4 bytes) and a raw deflate stream with a window of 4 KiB

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
_PACKAGE_HEAD_BYTES = 40
MAX_MANIFEST_BYTES = 1 << 17
_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED)


class Part(NamedTuple):
    """The manifest or one file of a package: what to do, and the stream."""

    kind: bytes
    stream: bytes


class Package(NamedTuple):
    """What a secondary is sent. `name`: SHA-256 of the manifest."""

    name: bytes
    manifest_length: int
    manifest: Part
    files: list[Part]


def make_image(files: Mapping[str, bytes], *, counter: int, floor: int, version: str) -> bytes:
    """The image of a set. Raises `RefusedError` (format) for what no secondary takes."""
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
    for _entry in entries_of(manifest, version):
        pass  # as a secondary reads it: it takes no file that is too long, and no version of two words
    return IMAGE + len(manifest).to_bytes(4) + manifest + b"".join(files[name] for name in names)


def read_image(data: bytes, what: str) -> tuple[bytes, dict[str, bytes]]:
    """The manifest and the files, each held against its hash. Raises `RefusedError`."""
    at = _HEAD_BYTES + int.from_bytes(data[4:_HEAD_BYTES])
    if data[:4] != IMAGE or not _HEAD_BYTES <= at <= min(len(data), _HEAD_BYTES + MAX_MANIFEST_BYTES):
        raise RefusedError(Rule.FORMAT, what, "it is no set of modules")
    manifest = data[_HEAD_BYTES:at]
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
    old_manifest, old = (None, {}) if old_image is None else read_image(old_image, "the old image")
    if manifest == old_manifest:
        old_manifest = None  # a manifest is always told
    parts = [_shortest(manifest, old_manifest)]
    parts += [_shortest(content, old.get(name)) for name, content in files.items()]
    head = PACKAGE + hashlib.sha256(manifest).digest() + len(manifest).to_bytes(4)
    return head + b"".join(_written(part) for part in parts)


def read_package(data: bytes, what: str) -> Package:
    """A package taken apart. What its streams make is the secondary's to judge. Raises `RefusedError`."""
    if data[:4] != PACKAGE or len(data) < _PACKAGE_HEAD_BYTES:
        raise RefusedError(Rule.FORMAT, what, "it is no package of modules")
    name, length = data[4:36], int.from_bytes(data[36:_PACKAGE_HEAD_BYTES])
    manifest, *files = _parts_of(data, _PACKAGE_HEAD_BYTES, what) or [Part(b"", b"")]
    if manifest.kind not in (FULL, DELTA) or length > MAX_MANIFEST_BYTES or len(files) > MAX_FILES:
        raise RefusedError(Rule.FORMAT, what, "its manifest is of a kind that is not known, or too large")
    return Package(name, length, manifest, files)


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


def _written(part: Part) -> bytes:
    return part.kind if part.kind == KEEP else part.kind + len(part.stream).to_bytes(4) + part.stream


def _parts_of(data: bytes, at: int, what: str) -> list[Part]:
    parts = []
    while at < len(data):
        kind = data[at : at + 1]
        start = at + 1 if kind == KEEP else at + 5
        end = start if kind == KEEP else start + int.from_bytes(data[at + 1 : start])
        if kind not in (KEEP, FULL, DELTA) or end > len(data):
            raise RefusedError(Rule.FORMAT, what, "a file of the package is cut short or of a kind that is not known")
        parts.append(Part(kind, data[start:end]))
        at = end
    return parts


def _shortest(content: bytes, old: bytes | None) -> Part:
    if content == old:
        return Part(KEEP, b"")
    full = Part(FULL, _deflated(content))
    if old is None:
        return full
    delta = Part(DELTA, _deflated(make_body(old, content)))
    return min(delta, full, key=lambda part: len(part.stream))


def _deflated(data: bytes) -> bytes:
    """The shortest that zlib makes: a delta is mostly zeros with a few bytes between, code is not."""
    packers = [zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS, 9, strategy) for strategy in _STRATEGIES]
    return min((packer.compress(data) + packer.flush() for packer in packers), key=len)
