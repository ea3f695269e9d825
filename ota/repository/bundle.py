"""A folder for a USB stick: what is served, for some devices only, with plans that hold longer.

    index.json             what is there: for a person, and to tell a broken stick early; no authority
    metadata/              the image repository; its snapshot and timestamp hold longer too
    director/{device}/     the offline plan
    blobs/                 what the plans' images need: the whole image packed, its deltas, block lists

A device verifies it as it verifies a server: the same files under the same names.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from tuf.api.metadata import Metadata

from ota.errors import RefusedError, Rule
from ota.repository.change_set import ChangeSet
from ota.repository.director import MAX_OFFLINE
from ota.repository.keys import SigningKey
from ota.repository.layout import BLOBS, METADATA, PUBLIC, TIMESTAMP, block_list_name
from ota.repository.planning import Planner
from ota.repository.publish import COMPACT
from ota.repository.roles import SNAPSHOT, snapshot, timestamp
from ota.repository.roles import TIMESTAMP as TIMESTAMP_HOLDS
from ota.repository.signatures import name_of
from ota.repository.verify import Images
from ota.repository.workspace import Workspace
from ota.targets import decode_image_info

INDEX = "index.json"
FORMAT = "wayside-bundle-1"


def make_bundle(
    workspace: Workspace,
    devices: Sequence[str],
    *,
    director: SigningKey,
    online: SigningKey,
    now: datetime,
    holds: timedelta,
) -> tuple[ChangeSet, ChangeSet]:
    """(the bundle, what changes in the repository). Raises `RefusedError`.

    What holds longer takes a version of its own, so what is served is signed again above it: a device that has been
    given a stick takes the next word from the server as the newer one.
    """
    if not timedelta() < holds <= MAX_OFFLINE:
        raise RefusedError(Rule.EXPIRY, "offline plan", f"it may hold for 1 to {MAX_OFFLINE.days} days")
    if not devices:
        raise RefusedError(Rule.PLAN, "bundle", "it is for no device")
    images = workspace.published_images(now)
    if online.public.keyid not in images.root.roles["timestamp"].keyids:
        reason = f"{online.public.holder}'s key {online.public.keyid[:8]} is not the online key that it names"
        raise RefusedError(Rule.KEY, f"{images.root.version}.root.json", reason)
    bundle = ChangeSet(is_served=True, last=[INDEX])
    served = ChangeSet(is_served=True, last=[f"{PUBLIC}/{METADATA}/{TIMESTAMP}"])
    lasting: dict[str, Metadata[Any]] = {"targets": images.targets, **images.families}
    names = [f"{root.signed.version}.root.json" for root in images.roots]
    for name in (*names, *(name_of(metadata, role) for role, metadata in lasting.items())):
        bundle.files[f"{METADATA}/{name}"] = workspace.storage.read(f"{PUBLIC}/{METADATA}/{name}")
    listed = {
        f"{role}.json": (one.signed.version, bundle.files[f"{METADATA}/{name_of(one, role)}"])
        for role, one in lasting.items()
    }
    bundle.files.update(_listing(images, listed, online, now, 1, {"snapshot": holds, "timestamp": holds}))
    usual = {"snapshot": SNAPSHOT, "timestamp": TIMESTAMP_HOLDS}
    again = _listing(images, listed, online, now, 2, usual)
    served.files.update({f"{PUBLIC}/{name}": data for name, data in again.items()})
    served.replaced |= set(served.files)
    planner = Planner(workspace, director, now)
    for device in devices:
        known = planner.last(device)
        if known is None:
            raise RefusedError(Rule.PLAN, device, "there is no plan for this device")
        offline = planner.put(known.plan, holds=holds)
        bundle.files.update({name.removeprefix(f"{PUBLIC}/"): data for name, data in offline.files.items()})
        bundle.changes += offline.changes
        served.add(planner.put(known.plan, versions_ahead=2))
        for one in known.plan.ecus.values():
            _take_blobs(workspace, images.listed[one.target].custom, one.target, bundle)
    bundle.files[INDEX] = _index(bundle.files, devices, now, now + holds)
    bundle.facts = {"devices": list(devices), "expires": int((now + holds).timestamp())}
    return bundle, served


def _listing(
    images: Images,
    listed: Mapping[str, tuple[int, bytes]],
    online: SigningKey,
    now: datetime,
    ahead: int,
    holds: Mapping[str, timedelta],
) -> dict[str, bytes]:
    version = images.snapshot.signed.version + ahead
    newest = snapshot(version, listed, now, holds["snapshot"])
    newest.sign(online.signer)
    data = newest.to_bytes(COMPACT)
    stamp = timestamp(images.timestamp.signed.version + ahead, version, data, now, holds["timestamp"])
    stamp.sign(online.signer)
    return {f"{METADATA}/{version}.snapshot.json": data, f"{METADATA}/{TIMESTAMP}": stamp.to_bytes(COMPACT)}


def _take_blobs(workspace: Workspace, custom: Any, target: str, bundle: ChangeSet) -> None:
    info = decode_image_info(custom, target)
    for blob in (info.full[0], *info.deltas):
        for name, expected in ((blob.sha256, blob.sha256), (block_list_name(blob.sha256), blob.blocks)):
            data = workspace.storage.read(f"{PUBLIC}/{BLOBS}/{name}")
            if hashlib.sha256(data).hexdigest() != expected:
                raise RefusedError(Rule.HASH, f"{BLOBS}/{name}", f"it is not what the metadata of {target} names")
            bundle.files[f"{BLOBS}/{name}"] = data
        bundle.say("copy", f"{BLOBS}/{blob.sha256[:16]}…", f"{target}, {blob.codec}, {blob.length:,} bytes")


def _index(files: dict[str, bytes], devices: Sequence[str], now: datetime, expires: datetime) -> bytes:
    listed = {name: {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    said = {
        "format": FORMAT,
        "made": int(now.timestamp()),
        "expires": int(expires.timestamp()),
        "devices": list(devices),
        "files": dict(sorted(listed.items())),
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=1) + b"\n"
