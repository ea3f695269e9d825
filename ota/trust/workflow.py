"""The TUF client workflow over the durable cache: python-tuf verifies, this decides what it reads and what is kept.

The TUF specification, 1.0.34, section 5.3 to 5.6. Added to it: the floors of this device, which are checked before
anything is kept; the time that expiry is judged by; and a cache that may keep nothing until it is told to.
`tuf.ngclient.Updater` has no public place for these. What is overridden here is pinned by a test.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater, UpdaterConfig

from ota.errors import OtaError, RefusedError, Rule
from ota.targets import SIGNED_AT_KEY, is_directors
from ota.trust.cache import MAX_FILE_BYTES, MetadataCache
from ota.trust.fetcher import MetadataFetcher, Pieces
from ota.trust.floors import RoleFloor
from ota.trust.web import plain

CEILINGS = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=32,
    root_max_length=512_000,
    timestamp_max_length=16_384,
    snapshot_max_length=1_000_000,
    targets_max_length=2_000_000,
)
"""Bytes that a file may have, where nobody has signed its length."""
_WITHOUT_SNAPSHOT = (Root.type, Timestamp.type)
_NO_NEWER_ROOT = (403, 404)
_RULES: tuple[tuple[type[Exception], Rule], ...] = (
    (UnsignedMetadataError, Rule.THRESHOLD),
    (BadVersionNumberError, Rule.VERSION),
    (ExpiredMetadataError, Rule.EXPIRY),
    (LengthOrHashMismatchError, Rule.HASH),
    (DeserializationError, Rule.FORMAT),
    (DownloadError, Rule.NETWORK),
    (RepositoryError, Rule.ROLE),
)


class Workflow(Updater):
    """One refresh of one repository.

    name: for a person: `image repository`.
    clock: the time that expiry is judged by, given the newest time that floors know of.
    is_held: keep nothing but roots until `keep`.
    is_directors: which of the two repositories it is; none: one by itself.
    """

    def __init__(
        self,
        *,
        name: str,
        cache: MetadataCache,
        pieces: Pieces,
        base_url: str,
        bootstrap: bytes,
        floors: Mapping[str, RoleFloor],
        clock: Callable[[int], int],
        is_held: bool = False,
        is_directors: bool | None = None,
    ) -> None:
        self._name = name
        self._cache = cache
        self._floors = dict(floors)
        self._clock = clock
        self._is_held = is_held
        self._is_directors = is_directors
        self._held: dict[str, bytes] = {}
        self._root_data = b""
        self._delegators: dict[str, str] = {}
        self._file = "root.json"
        self.seen: dict[str, RoleFloor] = {}
        """What each role that was read has said."""
        try:
            super().__init__("", base_url, fetcher=MetadataFetcher(pieces), config=CEILINGS, bootstrap=bootstrap)
        except RepositoryError as error:
            raise RefusedError(Rule.FORMAT, f"{name}: built-in root", str(error)) from error
        self._check_side(self._trusted_set.root, "built-in root")

    @property
    def floors(self) -> dict[str, RoleFloor]:
        """The floors from now on: what was seen, and of what was not read those that have not ended."""
        return {**self._floors, **self.seen}

    @property
    def delegators(self) -> Mapping[str, str]:
        """Role -> who delegates to it, of the roles that were read."""
        return self._delegators

    def role(self, name: str) -> Signed:
        """The verified metadata of a role that was read."""
        return self._trusted_set[name]

    @property
    def targets(self) -> Targets:
        """The verified top-level targets."""
        return self._trusted_set.targets

    @property
    def is_consistent(self) -> bool:
        """Whether files are named by version and hash."""
        return bool(self._trusted_set.root.consistent_snapshot)

    def keep(self) -> None:
        """Write what was held. Raises `StorageError`."""
        for role, data in self._held.items():
            self._cache.write(role, data)
        self._held.clear()

    def refusal(self, error: Exception) -> OtaError:
        """What to raise for what python-tuf raised: one line for an operator."""
        if isinstance(error, OtaError):
            return error
        if isinstance(error.__cause__, RefusedError):
            return error.__cause__
        rule = next(rule for kind, rule in _RULES if isinstance(error, kind))
        return RefusedError(rule, f"{self._name}: {plain(self._file)}", plain(str(error)) or type(error).__name__)

    # What python-tuf asks of its disk and its line -------------------------------------------------------------

    def _download_metadata(self, rolename: str, length: int, version: int | None = None) -> bytes:
        self._file = f"{rolename}.json" if version is None else f"{version}.{rolename}.json"
        return super()._download_metadata(rolename, min(length, MAX_FILE_BYTES), version)

    def _load_local_metadata(self, rolename: str) -> bytes:
        self._file = f"{rolename}.json"
        data = self._held.get(rolename) or self._cache.read(rolename)
        if data is None:
            raise FileNotFoundError(rolename)
        return data

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        self._check_floor(rolename)
        if self._is_held:
            self._held[rolename] = data
        else:
            self._cache.write(rolename, data)

    def _persist_root(self, version: int, data: bytes) -> None:
        if self._root_data:  # the first one is built in
            self._cache.write_root(version, data)
        self._root_data = data

    def _update_root_symlink(self) -> None:
        """`_load_root` writes the newest root; there is no link that a cut could leave without its file."""

    # The workflow, with floors and time ------------------------------------------------------------------------

    def _load_root(self) -> None:
        first = self._trusted_set.root.version + 1
        try:
            for version in range(first, first + self.config.max_root_rotations):
                cached = self._cache.read_root(version)
                if cached is not None and self._takes_root(cached):
                    self._root_data = cached
                    continue
                try:
                    data = self._download_metadata(Root.type, self.config.root_max_length, version)
                except DownloadHTTPError as error:
                    if error.status_code not in _NO_NEWER_ROOT:
                        raise
                    break
                self._update_root(data)
                self._persist_root(version, data)
        finally:
            self._cache.write(Root.type, self._root_data)
        self._check_floor(Root.type)

    def _takes_root(self, cached: bytes) -> bool:
        try:
            self._update_root(cached)
        except (RepositoryError, RefusedError):  # rotten, or of another chain: the repository has the right one
            return False
        return True

    def _update_root(self, data: bytes) -> None:
        root = Metadata.from_bytes(data).signed
        if isinstance(root, Root):
            self._check_side(root, self._file)
        self._trusted_set.update_root(data)

    def _check_side(self, root: Root, file: str) -> None:
        """The same people sign both roots, and the Director's is the weaker one: neither may stand for the other."""
        if self._is_directors is not None and is_directors(root) is not self._is_directors:
            whose = "the image repository's" if self._is_directors else "the Director's"
            raise RefusedError(Rule.ROLE, f"{self._name}: {file}", f"it is a root of {whose}")

    def _load_timestamp(self) -> None:
        root = self._trusted_set.root
        for role in (Timestamp.type, Snapshot.type, Targets.type):
            self._end_floor(role, root)
        if Snapshot.type not in self._floors:  # it is what says the versions of all others: they begin anew with it
            self._floors = {role: self._floors[role] for role in _WITHOUT_SNAPSHOT if role in self._floors}
        root_floor = self.seen[Root.type]  # of a new device all that it knows: it was made after that was signed
        newest = max(floor.signed_at for floor in (root_floor, *self._floors.values()))
        self._trusted_set.reference_time = datetime.fromtimestamp(self._clock(newest), UTC)
        if root.is_expired(self._trusted_set.reference_time):
            what = f"{self._name}: {root.version}.root.json"
            raise RefusedError(Rule.EXPIRY, what, f"it expired on {root.expires:%Y-%m-%d}, and there is no newer one")
        super()._load_timestamp()
        self._check_floor(Timestamp.type)
        timestamp = self._trusted_set.timestamp
        if timestamp.is_expired(self._trusted_set.reference_time):  # the cached one, and there is no newer
            what = f"{self._name}: {Timestamp.type}.json"
            raise RefusedError(
                Rule.EXPIRY, what, f"it expired on {timestamp.expires:%Y-%m-%d}, and there is no newer one"
            )

    def _load_snapshot(self) -> None:
        super()._load_snapshot()
        self._check_floor(Snapshot.type)

    def _load_targets(self, role: str, parent_role: str) -> Targets:
        if role != Targets.type:
            delegator = cast("Targets", self._trusted_set[parent_role])
            self._end_floor(role, delegator)
            self._delegators[role] = parent_role
        targets = super()._load_targets(role, parent_role)
        self._check_floor(role)
        return targets

    def _end_floor(self, role: str, delegator: Root | Targets) -> None:
        by = delegator.get_delegated_role(role)
        floor = self._floors.get(role)
        if floor is not None and not floor.stands(by.keyids, by.threshold):
            del self._floors[role]

    def _check_floor(self, role: str) -> None:
        signed = self._trusted_set[role]
        floor = self._floors.get(role)
        if floor is not None and signed.version < floor.version:
            reason = f"version {signed.version} is older than {floor.version}, which this device has seen"
            raise RefusedError(Rule.VERSION, f"{self._name}: {plain(role)}.json", reason)
        keys: list[str] = []
        if role != Root.type:
            delegator = cast("Root | Targets", self._trusted_set[self._delegators.get(role, Root.type)])
            keys = sorted(delegator.get_delegated_role(role).keyids)
        self.seen[role] = RoleFloor(signed.version, keys, _signed_at(signed))


def _signed_at(signed: Signed) -> int:
    """When it was signed, where it says so; never later than it expires."""
    value = signed.unrecognized_fields.get(SIGNED_AT_KEY, 0)
    return min(value, int(signed.expires.timestamp())) if type(value) is int and value > 0 else 0
