"""From what waits, with its signatures, to what a web server serves: new files first, `timestamp.json` last.

A device that asks in the middle finds the old state or the new one, never half of each. One thing cannot be so: where
the online key itself changes, a device that asks between the new root and the new timestamp, some milliseconds, is
refused and comes again.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer

from ota.errors import RefusedError, Rule
from ota.repository import roles, signatures
from ota.repository.change_set import ChangeSet
from ota.repository.differences import differences
from ota.repository.keys import SigningKey
from ota.repository.layout import (
    BLOBS,
    BOM,
    DIRECTOR,
    METADATA,
    PUBLIC,
    STAGED,
    STAGED_DIRECTOR,
    STAGED_IMAGE,
    TIMESTAMP,
    block_list_name,
)
from ota.repository.planning import check_unplanned
from ota.repository.verify import DIRECTOR_ONLINE, Images
from ota.repository.workspace import Pending, Workspace
from ota.targets import SIGNED_AT_KEY, decode_image_info

COMPACT = JSONSerializer(compact=True)


class Publication(NamedTuple):
    """Everything that would be published, short of what the online key signs."""

    changes: ChangeSet
    root: Root
    listed: Mapping[str, tuple[int, bytes]]
    published: Images | None
    now: datetime

    def sign(self, online: SigningKey) -> ChangeSet:
        """Complete it with a snapshot, where one is due, and a timestamp. Raises `RefusedError`."""
        if online.public.keyid not in self.root.roles["timestamp"].keyids:
            reason = f"{online.public.holder}'s key {online.public.keyid[:8]} is not the online key that it names"
            raise RefusedError(Rule.KEY, f"{self.root.version}.root.json", reason)
        version, data = self._snapshot(online)
        old = self.published
        newest = roles.timestamp(old.timestamp.signed.version + 1 if old else 1, version, data, self.now)
        newest.sign(online.signer)
        name = f"{PUBLIC}/{METADATA}/{TIMESTAMP}"
        files = {
            **{name: data for name, data in self.changes.files.items() if not name.endswith(".root.json")},
            f"{PUBLIC}/{METADATA}/{version}.snapshot.json": data,
            **{name: data for name, data in self.changes.files.items() if name.endswith(".root.json")},
            name: newest.to_bytes(COMPACT),
        }
        self.changes.files = files
        self.changes.replaced |= {name, f"{PUBLIC}/{METADATA}/{version}.snapshot.json"}
        self.changes.last.append(name)
        return self.changes

    def _snapshot(self, online: SigningKey) -> tuple[int, bytes]:
        """The newest snapshot, (version, bytes): that which is published, where it says the same and holds on."""
        fresh = roles.snapshot(1, {f"{role}.json": one for role, one in self.listed.items()}, self.now)
        if self.published is not None:
            known = self.published.snapshot
            fresh.signed.version = known.signed.version + 1
            if self._still_holds(known, fresh.signed):
                return known.signed.version, known.to_bytes(COMPACT)
        fresh.sign(online.signer)
        return fresh.signed.version, fresh.to_bytes(COMPACT)

    def _still_holds(self, known: Metadata[Snapshot], fresh: Snapshot) -> bool:
        role = self.root.roles["snapshot"]
        return (
            known.signed.meta == fresh.meta
            and known.signed.expires - self.now > roles.SNAPSHOT / 2
            and bool(set(role.keyids) & set(known.signatures))
        )


def prepare(workspace: Workspace, now: datetime) -> Publication:
    """Judge everything that waits. Raises `RefusedError` with what is missing; nothing has changed then."""
    images, director = workspace.images(), workspace.director_roots()
    if images is not None and images.timestamp.signed.unrecognized_fields.get(SIGNED_AT_KEY, 0) > now.timestamp():
        reason = f"it was signed after {now:%Y-%m-%d %H:%M} UTC, which is what the clock here says: set it right first"
        raise RefusedError(Rule.EXPIRY, f"{METADATA}/{TIMESTAMP}", reason)
    changes = ChangeSet(is_served=True)
    waits = {}
    for one in workspace.pending():
        if _is_published(one, images, director):
            changes.removed += [f"{one.folder}/{one.file}", *one.signature_files]
        else:
            waits[one.folder, one.role] = one
    root = _next_root(waits.pop((STAGED_IMAGE, "root"), None), images.roots if images else [], changes, METADATA)
    targets = _next(
        waits.pop((STAGED_IMAGE, "targets"), None), images.targets if images else None, root.signed, "targets", changes
    )
    families = {}
    for name in roles.families_of(targets.signed):
        old = images.families.get(name) if images else None
        families[name] = _next(waits.pop((STAGED_IMAGE, name), None), old, targets.signed, name, changes)
    _take_director(workspace, waits.pop((STAGED_DIRECTOR, "root"), None), director, changes)
    for one in waits.values():
        raise RefusedError(Rule.ROLE, f"{one.folder}/{one.file}", f"nobody delegates to {one.role}")
    roles.check_tree(targets.signed, {name: family.signed for name, family in families.items()})
    listed = {}
    for name, metadata in {"targets": targets, **families}.items():
        file = f"{PUBLIC}/{METADATA}/{signatures.name_of(metadata, name)}"
        data = changes.files.get(file) or workspace.storage.read(file)
        listed[name] = (metadata.signed.version, data)
    known = images.listed if images else {}
    kept = {path for family in families.values() for path in family.signed.targets}
    check_unplanned(workspace, known.keys() - kept)
    for target in (file for family in families.values() for file in family.signed.targets.values()):
        if known.get(target.path) != target:
            _take_blobs(workspace, target, changes)
    return Publication(changes, root.signed, listed, images, now)


def _is_published(one: Pending, images: Images | None, director: list[Metadata[Root]]) -> bool:
    """Whether an earlier run got as far as making it known, and was cut before it removed it here."""
    known: list[Metadata[Any]] = list(director)
    if one.folder == STAGED_IMAGE:
        known = list(images.roots) if images else []
        if images and one.role != "root":
            known = [images.targets] if one.role == "targets" else [images.families.get(one.role, images.targets)]
    return any(other.signed_bytes == one.metadata.signed_bytes for other in known)


def _take_director(
    workspace: Workspace, one: Pending | None, published: list[Metadata[Root]], changes: ChangeSet
) -> None:
    if one is None:
        _next_root(None, published, changes, DIRECTOR)
        return
    own = ChangeSet()
    _next_root(one, published, own, DIRECTOR)
    data = own.files[f"{PUBLIC}/{DIRECTOR}/{one.file}"]
    copies = {f"{PUBLIC}/{DIRECTOR}/{device}/{one.file}": data for device in workspace.devices()}
    changes.files.update({**copies, **own.files})  # its own last: where it is, the copies are
    changes.replaced |= own.files.keys() | copies.keys()
    changes.changes += own.changes
    changes.removed += own.removed


def _next_root(one: Pending | None, published: list[Metadata[Root]], changes: ChangeSet, side: str) -> Metadata[Root]:
    if one is None:
        if not published:
            folder = STAGED_IMAGE if side == METADATA else STAGED_DIRECTOR
            raise RefusedError(Rule.ROLE, f"{folder}/1.root.json", "it is not there")
        return published[-1]
    new: Metadata[Root] = one.metadata
    name = f"{one.folder}/{one.file}"
    _check_version(one, published[-1] if published else None)
    roles.check_root(new.signed, name, online=DIRECTOR_ONLINE if side == DIRECTOR else DIRECTOR_ONLINE[1:])
    voices = [published[-1].signed, new.signed] if published else [new.signed]
    _check_signatures(one, {keyid: root for root in voices for keyid in root.roles["root"].keyids})
    for root in voices:
        signatures.check_signed(root, "root", new, name)
    _put(one, published[-1] if published else None, changes, side)
    return new


def _next(
    one: Pending | None,
    published: Metadata[Targets] | None,
    delegator: Root | Targets,
    role: str,
    changes: ChangeSet,
) -> Metadata[Targets]:
    """The version of a role that is to be listed: what waits, else what is published; signed either way."""
    if one is None:
        if published is None:
            raise RefusedError(Rule.ROLE, f"{STAGED_IMAGE}/1.{role}.json", "it is not there")
        name = f"{METADATA}/{signatures.name_of(published, role)}"
        signatures.check_signed(delegator, role, published, name)
        return published
    _check_version(one, published)
    _check_signatures(one, dict.fromkeys(delegator.get_delegated_role(role).keyids, delegator))
    signatures.check_signed(delegator, role, one.metadata, f"{one.folder}/{one.file}")
    _put(one, published, changes, METADATA)
    return one.metadata


def _check_version(one: Pending, published: Metadata[Any] | None) -> None:
    due = published.signed.version + 1 if published is not None else 1
    if one.metadata.signed.version != due:
        reason = f"version {due} is due; what waits here was made from something else"
        raise RefusedError(Rule.VERSION, f"{one.folder}/{one.file}", reason)


def _check_signatures(one: Pending, voices: Mapping[str, Root | Targets]) -> None:
    """Somebody who has signed in vain is told: a wrong key, or another file than this one."""
    for keyid, signature in one.metadata.signatures.items():
        name = one.file_of[keyid]
        if keyid not in voices:
            raise RefusedError(Rule.KEY, name, f"the key {keyid[:8]} has no say in {one.file}")
        key = voices[keyid].get_key(keyid)
        try:
            key.verify_signature(signature, one.metadata.signed_bytes)
        except UnverifiedSignatureError as error:
            reason = f"it is not over this {one.file}: another version was signed, or it was changed on the way"
            raise RefusedError(Rule.SIGNATURE, name, reason) from error


def _put(one: Pending, published: Metadata[Any] | None, changes: ChangeSet, side: str) -> None:
    name = f"{PUBLIC}/{side}/{one.file}"
    changes.files[name] = one.metadata.to_bytes(COMPACT)
    changes.replaced.add(name)  # nothing lists it yet: at most a run that was cut has left it
    changes.changes += differences(published, one.metadata, f"{side}/{one.file}")
    changes.removed += [f"{one.folder}/{one.file}", *one.signature_files]


def _take_blobs(workspace: Workspace, file: TargetFile, changes: ChangeSet) -> None:
    """Put what comes with an image to what is served; what is not what the metadata says is refused."""
    info = decode_image_info(file.custom, file.path)
    wanted = []
    for blob in (*info.full, *info.deltas):
        wanted += [(blob.sha256, blob.sha256), (block_list_name(blob.sha256), blob.blocks)]
    storage = workspace.storage
    for name, expected in wanted:
        waits, served = f"{STAGED}/{BLOBS}/{name}", f"{PUBLIC}/{BLOBS}/{name}"
        place = waits if storage.size(waits) >= 0 else served
        if storage.size(place) < 0:
            raise RefusedError(Rule.HASH, waits, f"it is not there, and {file.path} needs it")
        data = storage.read(place)
        if sha256(data).hexdigest() != expected:
            raise RefusedError(Rule.HASH, place, f"it is not what the metadata of {file.path} names")
        if place == waits:
            changes.files[served] = data
            changes.removed.append(waits)
    waits = f"{STAGED}/{BOM}/{file.hashes['sha256']}.cdx.json"
    if storage.size(waits) >= 0:
        changes.files[f"{PUBLIC}/{BOM}/{file.hashes['sha256']}.cdx.json"] = storage.read(waits)
        changes.removed.append(waits)
