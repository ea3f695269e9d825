"""Who may say what: the roles of both repositories, their keys, their thresholds, how long their word holds.

    image repository                                    Director
    root       2 of 3, offline, a year                  root       2 of 3, offline, a year
    targets    2 of 3, offline, a year; delegates only  targets    the Director's key, a day; a plan, no delegations
      rsu …    2 of 3, offline, a year; `rsu/*/*`       snapshot   as above
    snapshot   online, a week                           timestamp  as above
    timestamp  online, a day

The tree is one level deep and each name is in it once, so that no role can be reached by two ways (a "diamond", where
what one delegator has verified might be believed in the name of another). The TUF specification, 1.0.34, section 4;
a `*` in a path of a delegation stands for one folder or one file.
"""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from ota.errors import RefusedError, Rule
from ota.repository.keys import PublicKey, has_own_id, holder_of
from ota.targets import SIGNED_AT_KEY, Target, decode_target, is_directors, to_json_types

THRESHOLD = 2
KEYS = 3
MAX_TARGETS = 500
"""Of one role. With 500 a device takes 46 ms of CPU to read them, with 1 000 it takes 75 ms and some 2 MB more."""
FAMILIES = ("rsu", "buoy", "obu", "etc", "reader")
OFFLINE = timedelta(days=365)
SNAPSHOT = timedelta(days=7)
TIMESTAMP = timedelta(days=1)
_FAMILY = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")

S = TypeVar("S", bound=Signed)
T = TypeVar("T", Root, Targets)


def image_root(
    root: Sequence[PublicKey], targets: Sequence[PublicKey], online: PublicKey, now: datetime
) -> Metadata[Root]:
    """The image repository's first root. Raises `RefusedError` where a role has too few keys."""
    made = dated(Root(), now, OFFLINE)
    _give(made, "root", root)
    _give(made, "targets", targets)
    for role in ("snapshot", "timestamp"):
        made.add_key(online.tuf, role)
    return Metadata(made)


def director_root(root: Sequence[PublicKey], director: PublicKey, now: datetime) -> Metadata[Root]:
    """The Director's first root. Raises `RefusedError` where there are too few keys."""
    made = dated(Root(), now, OFFLINE)
    _give(made, "root", root)
    for role in ("targets", "snapshot", "timestamp"):
        made.add_key(director.tuf, role)
    return Metadata(made)


def top_targets(families: Mapping[str, Sequence[PublicKey]], now: datetime) -> Metadata[Targets]:
    """What delegates to the product families. Raises `RefusedError` for a bad name and for too few keys."""
    keys, roles = {}, {}
    for family, holders in families.items():
        check_family_name(family)
        enough_keys(family, [holder.keyid for holder in holders])
        keys.update({holder.keyid: holder.tuf for holder in holders})
        names = [holder.keyid for holder in holders]
        roles[family] = DelegatedRole(family, names, THRESHOLD, terminating=True, paths=[paths_of(family)])
    return Metadata(dated(Targets(delegations=Delegations(keys, roles)), now, OFFLINE))


def family_targets(now: datetime) -> Metadata[Targets]:
    """A product family without an image."""
    return Metadata(dated(Targets(), now, OFFLINE))


def snapshot(
    version: int, files: Mapping[str, tuple[int, bytes]], now: datetime, holds: timedelta = SNAPSHOT
) -> Metadata[Snapshot]:
    """`files`: for `targets.json` and each family's its version and bytes."""
    meta = {name: MetaFile.from_data(number, data, ["sha256"]) for name, (number, data) in files.items()}
    return Metadata(dated(Snapshot(version, meta=meta), now, holds))


def timestamp(
    version: int, snapshot_version: int, snapshot_bytes: bytes, now: datetime, holds: timedelta = TIMESTAMP
) -> Metadata[Timestamp]:
    """What says which snapshot is the newest."""
    meta = MetaFile.from_data(snapshot_version, snapshot_bytes, ["sha256"])
    return Metadata(dated(Timestamp(version, snapshot_meta=meta), now, holds))


def next_of(metadata: Metadata[T], now: datetime, holds: timedelta = OFFLINE) -> Metadata[T]:
    """The next version of offline metadata: the same words, unsigned, with a new expiry."""
    signed = copy.deepcopy(metadata.signed)
    signed.version += 1
    return Metadata(dated(signed, now, holds))


def dated(signed: S, now: datetime, holds: timedelta) -> S:
    """Say when it was made, and until when it holds."""
    signed.expires = now + holds
    signed.unrecognized_fields[SIGNED_AT_KEY] = int(now.timestamp())
    return signed


def target_file(target: Target, more: Mapping[str, object] | None = None) -> TargetFile:
    """An image as metadata lists it; `more` goes beside what `ImageInfo` has."""
    custom = {**to_json_types(target.info), **(more or {})}
    return TargetFile(target.length, {"sha256": target.sha256}, target.path, {"custom": custom})


def paths_of(family: str) -> str:
    """Which paths a family speaks for: `{family}/{product}/{file}`."""
    return f"{family}/*/*"


def families_of(targets: Targets) -> list[str]:
    """The product families that the top targets delegate to."""
    return list(targets.delegations.roles or {}) if targets.delegations else []


def check_family_name(family: str) -> None:
    """Raises `RefusedError` where a name cannot be a family's."""
    if family in _TOP_LEVEL or not _FAMILY.fullmatch(family):
        raise RefusedError(
            Rule.ROLE, family, "a product family's name is 1 to 31 of a-z 0-9 - and no role of TUF itself"
        )


def enough_keys(role: str, keyids: Iterable[str]) -> None:
    """Raises `RefusedError` where an offline role would begin with less than two of three."""
    count = len(set(keyids))
    if count < KEYS:
        reason = f"it has {count} different keys; {THRESHOLD} of at least {KEYS} must sign, so that one may get lost"
        raise RefusedError(Rule.THRESHOLD, role, reason)


def check_root(root: Root, what: str, *, online: Sequence[str] = ("snapshot", "timestamp")) -> None:
    """Raises `RefusedError` where a root says what ours never say. `online`: roles with a key on a server."""
    if not root.consistent_snapshot:
        raise RefusedError(Rule.FORMAT, what, "it has no consistent snapshots: a half-updated mirror could not be told")
    if "targets" in online and not is_directors(root):
        raise RefusedError(Rule.ROLE, what, "it is a root of the image repository, not the Director's")
    for name, role in root.roles.items():
        _check_role(role, name, what, 1 if name in online else THRESHOLD)
        _check_keys(role, root.keys, name, what)


def check_tree(targets: Targets, families: Mapping[str, Targets], what: str = "targets.json") -> None:
    """Raises `RefusedError` where the tree of delegations is not as the head of this file has it."""
    if targets.targets:
        first = next(iter(targets.targets))
        raise RefusedError(Rule.ROLE, what, f"it lists {first} itself; it may only delegate to product families")
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise RefusedError(Rule.ROLE, what, "it delegates to no product family by name")
    for name, role in delegations.roles.items():
        check_family_name(name)
        _check_role(role, name, what, THRESHOLD)
        _check_keys(role, delegations.keys, name, what)
        if role.paths != [paths_of(name)]:
            said = ", ".join(role.paths or ["hashes"])
            raise RefusedError(Rule.ROLE, what, f"{name} speaks for {said}; it may for {paths_of(name)} and no other")
        if not role.terminating:
            raise RefusedError(Rule.ROLE, what, f"the delegation to {name} is not terminating")
    for name, family in families.items():
        check_family(name, family)


def check_family(name: str, family: Targets, what: str | None = None) -> None:
    """Raises `RefusedError` where a family delegates, is too large, speaks for others, or lists what is no image."""
    what = what or f"{name}.json"
    if family.delegations is not None:
        to = ", ".join(family.delegations.roles or ["bins"])
        reason = f"it delegates to {to}: a role that can be reached by two ways (a diamond) is never made"
        raise RefusedError(Rule.ROLE, what, reason)
    if len(family.targets) > MAX_TARGETS:
        reason = f"{len(family.targets)} images; one role has at most {MAX_TARGETS}: remove old ones"
        raise RefusedError(Rule.LENGTH, what, reason)
    role = DelegatedRole(name, [], 1, terminating=True, paths=[paths_of(name)])
    for path, file in family.targets.items():
        if not role.is_delegated_path(path):
            raise RefusedError(Rule.ROLE, what, f"{path} is not one of {paths_of(name)}")
        decode_target(path, file.length, file.hashes.get("sha256"), file.custom, f"{what}: {path}")


def _check_role(role: Role, name: str, what: str, least: int) -> None:
    if role.threshold < least:
        raise RefusedError(Rule.THRESHOLD, what, f"{name} wants {role.threshold} signatures; at least {least} are due")
    if len(set(role.keyids)) < role.threshold:
        reason = f"{name} wants {role.threshold} signatures and has {len(set(role.keyids))} keys: it could never speak"
        raise RefusedError(Rule.THRESHOLD, what, reason)


def _check_keys(role: Role, keys: Mapping[str, Key], name: str, what: str) -> None:
    for keyid in role.keyids:
        key = keys.get(keyid)
        if key is None:
            raise RefusedError(Rule.KEY, what, f"{name} may be signed by {keyid[:8]}…, and that key is not in it")
        if not has_own_id(key):
            raise RefusedError(Rule.KEY, what, f"{name}: the id of its key {holder_of(key)} is another key's")


def _give(root: Root, role: str, keys: Sequence[PublicKey]) -> None:
    enough_keys(role, [key.keyid for key in keys])
    for key in keys:
        root.add_key(key.tuf, role)
    root.roles[role].threshold = THRESHOLD
