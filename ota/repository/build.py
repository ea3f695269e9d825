"""From an image to what a device fetches: the whole, packed and as it is, deltas from older images, block lists."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import zstandard

from ota.errors import RefusedError, Rule
from ota.payload.blocks import block_list
from ota.payload.delta_body import PIECE_BYTES
from ota.payload.file_set import make_image, make_package
from ota.payload.patch import make_patch
from ota.payload.unpack import zstd
from ota.repository.bom import bom_of
from ota.repository.files import read_file
from ota.repository.image_tar import folder_files, image_of
from ota.repository.layout import block_list_name
from ota.targets import MAX_IMAGE_BYTES, Blob, Delta, ImageInfo, Schema, Target, decode_target, to_json_types

ZSTD_LEVEL = 19
ENDINGS = {"release-dir": "tar", "mcu": "set", "rauc": "raucb"}
_SQUASHFS = b"hsqs"
_MAX_CMS_BYTES = 1 << 20

Kind = Literal["release-dir", "mcu", "rauc"]


class Facts(NamedTuple):
    """What a person says of a release."""

    kind: Kind
    family: str
    """`rsu/gateway`."""
    version: str
    counter: int
    hardware: list[str]
    entry: list[str]
    """What the launcher starts; only of a `release-dir`."""
    min_counter: int = 0
    schema: Schema = Schema()

    @property
    def path(self) -> str:
        """The target's: `rsu/gateway/1.4.2.tar`."""
        return f"{self.family}/{self.version}.{ENDINGS[self.kind]}"


class Release(NamedTuple):
    """A release as it is staged."""

    target: Target
    blobs: dict[str, bytes]
    """By name in the folder of blobs: what is fetched, and block lists."""
    bom: bytes


def build(folder: Path, facts: Facts, bases: Iterable[bytes] = ()) -> Release:
    """Build a release of a folder, or of the file that a bundle for RAUC is.

    bases: older images to make deltas from. Raises `RefusedError`, `StorageError`.
    """
    check(facts)
    image = _image(folder, facts)
    sha256 = hashlib.sha256(image).hexdigest()
    blobs: dict[str, bytes] = {}
    name = facts.family.replace("/", "-")
    if facts.kind == "rauc":  # it is packed already, and a device does not keep it as a base
        target = _target(facts, len(image), sha256, [Blob(**_blob("none", image, blobs))], [])
        return Release(target, blobs, bom_of(None, name=name, version=facts.version, image_sha256=sha256))
    packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(image)
    full = [Blob(**_blob("zstd", packed, blobs)), Blob(**_blob("none", image, blobs))]
    deltas = []
    for base in bases:
        delta = make_patch(base, image) if facts.kind == "release-dir" else make_package(image, base)
        if len(delta) < len(packed):  # else the whole is the cheaper way
            deltas.append(Delta(from_sha256=hashlib.sha256(base).hexdigest(), **_blob("delta", delta, blobs)))
    target = _target(facts, len(image), sha256, full, deltas)
    bom = bom_of(folder, name=name, version=facts.version, image_sha256=sha256)
    return Release(target, blobs, bom)


def unpacked(blob: Blob, data: bytes, what: str) -> bytes:
    """The image out of a blob that is all of it, by the device's own reader. Raises `RefusedError`."""
    if blob.codec != "zstd":
        return data
    unpacker = zstd([data], what)
    image = bytearray()
    while len(image) <= MAX_IMAGE_BYTES and (piece := unpacker.take(PIECE_BYTES)):
        image += piece
    unpacker.end()
    return bytes(image)


def check(facts: Facts) -> None:
    """Raises `RefusedError` where a release may not be called so: before hours of compressing, not after."""
    nothing = "0" * 64
    _target(facts, 0, nothing, [Blob(codec="none", length=0, sha256=nothing, blocks=nothing)], [])
    if facts.min_counter > facts.counter:
        reason = f"the floor {facts.min_counter} is above its own counter {facts.counter}: it would refuse itself"
        raise RefusedError(Rule.FLOOR, facts.path, reason)
    if bool(facts.entry) != (facts.kind == "release-dir"):
        reason = "a release-dir says what is started, and no other kind does"
        raise RefusedError(Rule.FORMAT, facts.path, reason)


def _image(folder: Path, facts: Facts) -> bytes:
    if facts.kind == "release-dir":
        return image_of(
            folder,
            name=facts.family,
            version=facts.version,
            counter=facts.counter,
            entry=facts.entry,
            schema=facts.schema,
        )
    if facts.kind == "rauc":
        return _bundle(folder)
    files = {}
    for path in folder_files(folder):
        files[path.relative_to(folder).as_posix()] = read_file(path, MAX_IMAGE_BYTES)
    return make_image(files, counter=facts.counter, floor=facts.min_counter, version=facts.version)


def _bundle(file: Path) -> bytes:
    """A bundle as RAUC makes it: a squashfs, its CMS signature, and the length of that in 8 bytes."""
    data = read_file(file, MAX_IMAGE_BYTES)
    signature = int.from_bytes(data[-8:])
    if data[:4] != _SQUASHFS or not 0 < signature <= min(_MAX_CMS_BYTES, len(data) - 8):
        raise RefusedError(Rule.FORMAT, str(file), "it is no bundle that RAUC has made and signed")
    return data


def _target(facts: Facts, length: int, sha256: str, full: list[Blob], deltas: list[Delta]) -> Target:
    info = ImageInfo(
        kind=facts.kind,
        hardware=facts.hardware,
        family=facts.family,
        version=facts.version,
        counter=facts.counter,
        min_counter=facts.min_counter,
        schema=facts.schema,
        full=full,
        deltas=deltas,
    )
    return decode_target(facts.path, length, sha256, to_json_types(info), facts.path)


def _blob(codec: str, data: bytes, blobs: dict[str, bytes]) -> dict[str, Any]:
    """Keep what is fetched and its block list; the fields of a `Blob`."""
    sha256, blocks = hashlib.sha256(data).hexdigest(), block_list([data])
    blobs[sha256], blobs[block_list_name(sha256)] = data, blocks
    return {"codec": codec, "length": len(data), "sha256": sha256, "blocks": hashlib.sha256(blocks).hexdigest()}
