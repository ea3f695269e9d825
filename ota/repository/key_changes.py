"""Keys that come and go: rotation puts one in the place of another, revocation takes one away, in every role it has.

What a key has signed does not count any more once its role has lost it. Where what is published would then have too
few signatures, its next version waits to be signed too, with the same words.
"""

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tuf.api.metadata import DelegatedRole, Key, Metadata, Role, Root, Targets

from ota.errors import RefusedError, Rule
from ota.repository.ceremony import different_holders, stage
from ota.repository.change_set import ChangeSet
from ota.repository.keys import HOLDER_FIELD, KeyRole, PublicKey, holder_of
from ota.repository.layout import STAGED_DIRECTOR, STAGED_IMAGE
from ota.repository.roles import THRESHOLD, check_family_name, enough_keys, family_targets, paths_of
from ota.repository.signatures import name_of
from ota.repository.verify import Images
from ota.repository.workspace import Workspace


class _Places(NamedTuple):
    """Where a key is used."""

    key: Key
    image: list[str]
    director: list[str]
    families: list[str]


def change_key(workspace: Workspace, keyid: str, new: PublicKey | None, now: datetime) -> ChangeSet:
    """Put `new` in the place of a key, or nothing. `keyid`: its first characters do. Raises `RefusedError`."""
    images = workspace.published_images()
    director = workspace.director_roots()
    places = _find(images, director[-1].signed, keyid)
    if new is not None:
        _check_successor(places, new)
    made = ChangeSet(facts={"removed": places.key.keyid, **({"added": new.keyid} if new else {})})
    root = images.roots[-1]
    if places.image:
        root = workspace.draft(STAGED_IMAGE, "root", root, now)
        for name in places.image:
            _swap_in_root(root.signed, name, places.key, new, f"{STAGED_IMAGE}/{name_of(root, 'root')}")
        stage(made, STAGED_IMAGE, "root", root, images.roots[-1])
    if places.director:
        draft = workspace.draft(STAGED_DIRECTOR, "root", director[-1], now)
        for name in places.director:
            _swap_in_root(draft.signed, name, places.key, new, f"{STAGED_DIRECTOR}/{name_of(draft, 'root')}")
        stage(made, STAGED_DIRECTOR, "root", draft, director[-1])
    _change_targets(workspace, images, root.signed, places, new, now, made)
    return made


def add_family(workspace: Workspace, name: str, holders: Sequence[PublicKey], now: datetime) -> ChangeSet:
    """A new product family. Raises `RefusedError`."""
    check_family_name(name)
    enough_keys(name, [holder.keyid for holder in holders])
    different_holders(name, holders)
    images = workspace.published_images()
    if name in images.families:
        raise RefusedError(Rule.ROLE, name, "there is such a product family already; a name is once in the tree")
    made = ChangeSet()
    targets = workspace.draft(STAGED_IMAGE, "targets", images.targets, now)
    delegations = targets.signed.delegations
    assert delegations is not None  # checked when it was read
    assert delegations.roles is not None
    delegations.keys.update({holder.keyid: holder.tuf for holder in holders})
    keyids = [holder.keyid for holder in holders]
    delegations.roles[name] = DelegatedRole(name, keyids, THRESHOLD, terminating=True, paths=[paths_of(name)])
    stage(made, STAGED_IMAGE, "targets", targets, images.targets)
    stage(made, STAGED_IMAGE, name, family_targets(now), None)
    return made


def _find(images: Images, director: Root, keyid: str) -> _Places:
    delegations = images.targets.signed.delegations
    assert delegations is not None  # checked when it was read
    known = {**images.root.keys, **director.keys, **delegations.keys}
    found = [key for one, key in known.items() if one.startswith(keyid)]
    if len(found) != 1 or not keyid:
        reason = f"{len(found)} keys begin so; there are {', '.join(sorted(holder_of(key) for key in known.values()))}"
        raise RefusedError(Rule.KEY, keyid, reason)
    (key,) = found
    return _Places(
        key,
        [name for name, role in images.root.roles.items() if key.keyid in role.keyids],
        [name for name, role in director.roles.items() if key.keyid in role.keyids],
        _used_by(images.targets.signed, key),
    )


def _role_of(places: _Places) -> KeyRole:
    if places.families or "targets" in places.image:
        return KeyRole.TARGETS
    if "root" in places.image or "root" in places.director:
        return KeyRole.ROOT
    return KeyRole.ONLINE if places.image else KeyRole.DIRECTOR


def _check_successor(places: _Places, new: PublicKey) -> None:
    role = _role_of(places)
    if new.role is not role:
        reason = f"{holder_of(places.key)} is a key for {role.value}; the new one is for {new.role.value}"
        raise RefusedError(Rule.KEY, new.holder, reason)
    if new.keyid == places.key.keyid:
        raise RefusedError(Rule.KEY, holder_of(new.tuf), "the new key is the old one")


def _swap_in_root(root: Root, name: str, old: Key, new: PublicKey | None, what: str) -> None:
    role = root.roles[name]
    if old.keyid not in role.keyids:
        raise _has_gone(old, what)
    if new is not None:
        _check_new_holder(role, root.keys, name, old, new)
    place = role.keyids.index(old.keyid)
    root.revoke_key(old.keyid, name)
    if new is not None:
        root.add_key(new.tuf, name)
        role.keyids.remove(new.keyid)
        role.keyids.insert(place, new.keyid)
    _check_left(role, name)


def _change_targets(
    workspace: Workspace,
    images: Images,
    root: Root,
    places: _Places,
    new: PublicKey | None,
    now: datetime,
    made: ChangeSet,
) -> None:
    """The top targets and the families: whom they let sign, and whether what is published still counts."""
    targets = images.targets
    changed: Metadata[Targets] | None = None
    waits = workspace.waiting(STAGED_IMAGE, "targets")
    if places.families or (waits is not None and _used_by(waits.signed, places.key)):
        changed = workspace.draft(STAGED_IMAGE, "targets", targets, now)
        _swap_in_targets(changed.signed, places.key, new, f"{STAGED_IMAGE}/{name_of(changed, 'targets')}")
    elif not root.get_verification_result("targets", targets.signed_bytes, targets.signatures):
        changed = workspace.draft(STAGED_IMAGE, "targets", targets, now)
    if changed is None:
        return
    stage(made, STAGED_IMAGE, "targets", changed, targets)
    for name, family in images.families.items():
        if not changed.signed.get_verification_result(name, family.signed_bytes, family.signatures):
            stage(made, STAGED_IMAGE, name, workspace.draft(STAGED_IMAGE, name, family, now), family)


def _used_by(targets: Targets, key: Key) -> list[str]:
    """The families that a key may sign for: also those that wait to be signed."""
    roles = targets.delegations.roles if targets.delegations is not None else None
    return [name for name, role in (roles or {}).items() if key.keyid in role.keyids]


def _swap_in_targets(targets: Targets, old: Key, new: PublicKey | None, what: str) -> None:
    delegations = targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    families = _used_by(targets, old)
    if not families:
        raise _has_gone(old, what)
    for name in families:
        role = delegations.roles[name]
        if new is not None:
            _check_new_holder(role, delegations.keys, name, old, new)
        place = role.keyids.index(old.keyid)
        role.keyids.remove(old.keyid)
        if new is not None:
            role.keyids.insert(place, new.keyid)
        _check_left(role, name)
    del delegations.keys[old.keyid]
    if new is not None:
        delegations.keys[new.keyid] = copy.deepcopy(new.tuf)


def _has_gone(key: Key, what: str) -> RefusedError:
    reason = f"{holder_of(key)} has gone from what waits there already: publish it, or remove it, first"
    return RefusedError(Rule.KEY, what, reason)


def _check_new_holder(role: Role, keys: dict[str, Key], name: str, old: Key, new: PublicKey) -> None:
    others = [keys[keyid] for keyid in role.keyids if keyid != old.keyid]
    if any(key.keyid == new.keyid or key.unrecognized_fields.get(HOLDER_FIELD) == new.holder for key in others):
        reason = f"{new.holder} has another key for {name} already; two signatures are to be those of two persons"
        raise RefusedError(Rule.THRESHOLD, holder_of(new.tuf), reason)


def _check_left(role: Role, name: str) -> None:
    if len(role.keyids) < role.threshold:
        reason = (
            f"{len(role.keyids)} keys would be left and {role.threshold} must sign; put a new key in its place instead"
        )
        raise RefusedError(Rule.THRESHOLD, name, reason)
