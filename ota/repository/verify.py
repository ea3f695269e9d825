"""Is what is published whole, and signed by whom it must be? The same walk that a device makes, from root to image.

It reads through a function (path below `public/` -> bytes, or None where it is not there), so that a folder, a memory
and a web server are verified alike. The TUF specification, 1.0.34, section 5.3 to 5.6, in its order.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from ota.errors import RefusedError, Rule
from ota.repository.layout import DIRECTOR, METADATA, TIMESTAMP
from ota.repository.roles import check_root, check_tree, families_of
from ota.repository.signatures import check_signed, parse
from ota.targets import PLAN_KEY, Plan, decode_image_info, decode_plan

Read = Callable[[str], bytes | None]
DIRECTOR_ONLINE = ("targets", "snapshot", "timestamp")


class Images(NamedTuple):
    """The verified image repository."""

    roots: list[Metadata[Root]]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    families: dict[str, Metadata[Targets]]

    @property
    def root(self) -> Root:
        """The newest."""
        return self.roots[-1].signed

    @property
    def listed(self) -> dict[str, TargetFile]:
        """Every image by its path."""
        return {path: file for family in self.families.values() for path, file in family.signed.targets.items()}


class DevicePlan(NamedTuple):
    """A verified plan."""

    plan: Plan
    targets: Metadata[Targets]


def read_images(read: Read, now: datetime | None, trusted: bytes | None = None) -> Images:
    """Verify the image repository. `now`: None takes expired metadata too, for a signer renews it.

    trusted: a root that is known for certain; else the first one that is served. Raises `RefusedError`.
    """
    roots = read_roots(read, METADATA, now, trusted, online=("snapshot", "timestamp"))
    root = roots[-1].signed
    timestamp: Metadata[Timestamp] = _read(read, f"{METADATA}/{TIMESTAMP}", Timestamp, root, "timestamp", now)
    meta = timestamp.signed.snapshot_meta
    name = f"{METADATA}/{meta.version}.snapshot.json"
    snapshot: Metadata[Snapshot] = _read(read, name, Snapshot, root, "snapshot", now, meta)
    targets: Metadata[Targets] = _read_listed(read, METADATA, "targets", snapshot.signed, root, now)
    check_tree(targets.signed, {})
    families = {}
    for family in families_of(targets.signed):
        families[family] = _read_listed(read, METADATA, family, snapshot.signed, targets.signed, now)
    check_tree(targets.signed, {name: family.signed for name, family in families.items()})
    for path, file in ((p, f) for family in families.values() for p, f in family.signed.targets.items()):
        decode_image_info(file.custom, path)
    return Images(roots, timestamp, snapshot, targets, families)


def read_roots(
    read: Read, folder: str, now: datetime | None, trusted: bytes | None = None, *, online: tuple[str, ...]
) -> list[Metadata[Root]]:
    """The chain of roots, each signed as the one before it demands and as it demands itself."""
    name = f"{folder}/1.root.json"
    if trusted is not None:
        name = "the trusted root"
    first = _root(trusted if trusted is not None else _must(read, name), name, online)
    check_signed(first.signed, "root", first, name)
    chain = [first]
    while (data := read(name := f"{folder}/{chain[-1].signed.version + 1}.root.json")) is not None:
        root = _root(data, name, online)
        if root.signed.version != chain[-1].signed.version + 1:
            raise RefusedError(Rule.VERSION, name, f"it holds version {root.signed.version}")
        check_signed(chain[-1].signed, "root", root, name)
        check_signed(root.signed, "root", root, name)
        chain.append(root)
    _check_expiry(chain[-1], f"{folder}/{chain[-1].signed.version}.root.json", now)
    return chain


def read_plan(
    read: Read, device: str, images: Images, now: datetime | None, trusted: bytes | None = None
) -> DevicePlan:
    """Verify a device's plan, and that the image repository says the same of its images. Raises `RefusedError`."""
    folder = f"{DIRECTOR}/{device}"
    root = read_roots(read, folder, now, trusted, online=DIRECTOR_ONLINE)[-1].signed
    timestamp: Metadata[Timestamp] = _read(read, f"{folder}/{TIMESTAMP}", Timestamp, root, "timestamp", now)
    meta = timestamp.signed.snapshot_meta
    snapshot: Metadata[Snapshot] = _read(
        read, f"{folder}/{meta.version}.snapshot.json", Snapshot, root, "snapshot", now, meta
    )
    targets: Metadata[Targets] = _read_listed(read, folder, "targets", snapshot.signed, root, now)
    name = f"{folder}/{targets.signed.version}.targets.json"
    if targets.signed.delegations is not None:
        raise RefusedError(Rule.ROLE, name, "a plan delegates to nobody")
    plan = decode_plan(targets.signed.unrecognized_fields.get(PLAN_KEY), name)
    if plan.device != device:
        raise RefusedError(Rule.PLAN, name, f"it is for {plan.device}")
    for ecu, one in plan.ecus.items():
        said, known = targets.signed.targets.get(one.target), images.listed.get(one.target)
        if said is None or known is None or said != known:
            reason = f"{ecu}: the Director and the image repository do not say the same of {one.target}"
            raise RefusedError(Rule.AGREEMENT, name, reason)
    return DevicePlan(plan, targets)


def _read_listed(
    read: Read, folder: str, role: str, snapshot: Snapshot, delegator: Root | Targets, now: datetime | None
) -> Metadata[Any]:
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise RefusedError(Rule.ROLE, f"{folder}/{snapshot.version}.snapshot.json", f"it does not list {role}.json")
    return _read(read, f"{folder}/{meta.version}.{role}.json", Targets, delegator, role, now, meta)


def _read(
    read: Read,
    name: str,
    expected: type[Signed],
    delegator: Root | Targets,
    role: str,
    now: datetime | None,
    meta: MetaFile | None = None,
) -> Metadata[Any]:
    data = _must(read, name)
    if meta is not None:
        try:
            meta.verify_length_and_hashes(data)
        except LengthOrHashMismatchError as error:
            raise RefusedError(Rule.HASH, name, "it is not the file that the newest listing names") from error
    metadata = parse(data, name)
    version: int = metadata.signed.version
    if type(metadata.signed) is not expected:
        raise RefusedError(Rule.ROLE, name, f"it holds {metadata.signed.type}")
    check_signed(delegator, role, metadata, name)
    if meta is not None and version != meta.version:
        raise RefusedError(Rule.VERSION, name, f"it holds version {version}")
    _check_expiry(metadata, name, now)
    return metadata


def _root(data: bytes, name: str, online: tuple[str, ...]) -> Metadata[Root]:
    metadata = parse(data, name)
    if not isinstance(metadata.signed, Root):
        raise RefusedError(Rule.ROLE, name, f"it holds {metadata.signed.type}")
    check_root(metadata.signed, name, online=online)
    return metadata


def _must(read: Read, name: str) -> bytes:
    data = read(name)
    if data is None:
        raise RefusedError(Rule.ROLE, name, "it is not there")
    return data


def _check_expiry(metadata: Metadata[Any], name: str, now: datetime | None) -> None:
    if now is not None and metadata.signed.is_expired(now):
        raise RefusedError(Rule.EXPIRY, name, f"it expired at {metadata.signed.expires:%Y-%m-%d %H:%M} UTC")
