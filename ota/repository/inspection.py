"""All that is served, down to the last byte: each blob makes the image that signed metadata names."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from tuf.api.metadata import Key, Metadata, Root, TargetFile, Targets

from ota.errors import RefusedError, Rule
from ota.payload.blocks import BlockList
from ota.payload.file_set import read_image, read_package
from ota.payload.patch import apply_patch
from ota.repository.build import unpacked
from ota.repository.keys import HOLDER_FIELD
from ota.repository.layout import BLOBS, BOM, DIRECTOR, block_list_name
from ota.repository.release import BOM_FIELD
from ota.repository.verify import DIRECTOR_ONLINE, Images, Read, read_images, read_plan, read_roots
from ota.targets import Blob, Delta, decode_image_info

SOON = timedelta(days=30)
"""Of an offline role: its holders have to be found, and to meet."""


class RoleState(msgspec.Struct, frozen=True):
    """A role as it is served."""

    role: str
    version: int
    expires: datetime
    signed_by: list[str]
    is_soon: bool
    """It is time to renew it."""


class Inspection(msgspec.Struct, frozen=True):
    """What was found, all of it right."""

    roles: list[RoleState]
    images: int
    blobs: int
    plans: list[str]
    """Devices."""


def inspect(read: Read, devices: Sequence[str], now: datetime, trusted: bytes | None = None) -> Inspection:
    """Verify everything. Raises `RefusedError` with the first thing that is wrong."""
    images = read_images(read, now, trusted)
    roles = list(_roles(images, now))
    blobs = 0
    for file in images.listed.values():
        blobs += _check_image(read, file, images)
    read_roots(read, DIRECTOR, now, online=DIRECTOR_ONLINE)
    for device in devices:
        read_plan(read, device, images, now)
    return Inspection(roles, len(images.listed), blobs, list(devices))


def _roles(images: Images, now: datetime) -> Iterator[RoleState]:
    root = images.root
    yield _state("root", images.roots[-1], root, now)
    yield _state("targets", images.targets, root, now)
    for name, family in images.families.items():
        yield _state(name, family, images.targets.signed, now)
    yield _state("snapshot", images.snapshot, root, None)
    yield _state("timestamp", images.timestamp, root, None)


def _state(role: str, metadata: Metadata[Any], delegator: Root | Targets, now: datetime | None) -> RoleState:
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    holders = sorted(_holder(key) for key in result.signed.values())
    expires: datetime = metadata.signed.expires
    return RoleState(role, metadata.signed.version, expires, holders, now is not None and expires - now < SOON)


def _holder(key: Key) -> str:
    return str(key.unrecognized_fields.get(HOLDER_FIELD, key.keyid[:8]))


def _check_image(read: Read, file: TargetFile, images: Images) -> int:
    info = decode_image_info(file.custom, file.path)
    for blob in info.full:
        data = _blob(read, blob, file.path)
        image = unpacked(blob, data, f"{BLOBS}/{blob.sha256}")
        if (len(image), hashlib.sha256(image).hexdigest()) != (file.length, file.hashes["sha256"]):
            raise RefusedError(Rule.HASH, f"{BLOBS}/{blob.sha256}", f"it does not make {file.path}")
        if info.kind == "mcu":
            read_image(image, file.path)
    for delta in info.deltas:
        _check_delta(read, delta, file, info.kind, images)
    digest = file.custom.get(BOM_FIELD)
    if digest is not None:
        name = f"{BOM}/{file.hashes['sha256']}.cdx.json"
        if hashlib.sha256(read(name) or b"").hexdigest() != digest:
            raise RefusedError(Rule.HASH, name, f"it is not the bill of materials of {file.path}")
    return len(info.full) + len(info.deltas)


def _check_delta(read: Read, delta: Delta, file: TargetFile, kind: str, images: Images) -> None:
    data = _blob(read, delta, file.path)
    if kind == "mcu":
        read_package(data, f"{BLOBS}/{delta.sha256}")
        return
    base = next((one for one in images.listed.values() if one.hashes["sha256"] == delta.from_sha256), None)
    if base is None:
        return  # of a release that is listed no more: its hash is right, and a device checks what comes of it
    old = _image(read, base)
    pieces = apply_patch(
        [data],
        lambda offset, size: old[offset : offset + size],
        old_sha256=delta.from_sha256,
        new_sha256=file.hashes["sha256"],
        new_length=file.length,
        what=f"{BLOBS}/{delta.sha256}",
    )
    for _piece in pieces:
        pass


def _image(read: Read, file: TargetFile) -> bytes:
    blob = decode_image_info(file.custom, file.path).full[0]
    return unpacked(blob, _blob(read, blob, file.path), f"{BLOBS}/{blob.sha256}")


def _blob(read: Read, blob: Blob, path: str) -> bytes:
    name = f"{BLOBS}/{blob.sha256}"
    data = read(name)
    if data is None:
        raise RefusedError(Rule.HASH, name, f"it is not there, and {path} needs it")
    if hashlib.sha256(data).hexdigest() != blob.sha256 or len(data) != blob.length:
        raise RefusedError(Rule.HASH, name, f"it is not what the metadata of {path} names")
    blocks = BlockList(blob, read(f"{BLOBS}/{block_list_name(blob.sha256)}") or b"")
    for number in range(len(blocks)):
        offset, length = blocks.span(number)
        if not blocks.is_right(number, data[offset : offset + length]):
            raise RefusedError(Rule.HASH, f"{BLOBS}/{block_list_name(blob.sha256)}", f"block {number} is another")
    return data
