"""What this device is to run, verified: the Director's plan and the image repository, over a network or from a stick.

One `refresh` reads both through the same code, whatever they come from. A refusal leaves the floors and the Director's
metadata as they were; what the image repository's keys have truly signed is kept even then, as the TUF workflow has it
(5.3.8, 5.4.5, 5.5.7): it can only make the next answer newer. The Director's is kept when its plan is this device's:
a mirror must not shut a device out by giving it another one's, whose versions may be higher.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import TargetFile, Targets

from ota.errors import RefusedError, Rule
from ota.storage import Storage
from ota.targets import PLAN_KEY, Plan, Target, decode_plan
from ota.trust.agreement import DIRECTOR, IMAGES, Device, Listed, agree, check_no_diamond, check_plan, plan_digest
from ota.trust.cache import MetadataCache
from ota.trust.clock_floor import ClockFloor, Now, confirmed
from ota.trust.fetcher import Pieces
from ota.trust.floors import Floors
from ota.trust.workflow import Workflow

FOLDER = "trust"


class Repository(NamedTuple):
    """Where a repository's metadata is."""

    pieces: Pieces
    """`Web.pieces` or `Folder.pieces`."""
    metadata_url: str
    """Its folder: an address, or a path below the stick's folder."""


class VerifiedPlan(NamedTuple):
    """The plan and what each ECU is to run."""

    plan: Plan
    targets: dict[str, Target]
    """By ECU."""
    now: Now
    damaged: list[str]
    """Files of the cache and the floors that did not hold. They are replaced; a disk that does it often is dying."""


class TrustClient:
    """The device's view of both repositories. `open` it, then `refresh` as often as wanted."""

    def __init__(
        self, storage: Storage, device: Device, *, director_root: bytes, image_root: bytes, clock: ClockFloor
    ) -> None:
        self._storage = storage
        self._device = device
        self._director_root = director_root
        self._image_root = image_root
        self._clock = clock
        self._director_cache = MetadataCache(storage, f"{FOLDER}/director")
        self._image_cache = MetadataCache(storage, f"{FOLDER}/image")
        self.floors = Floors(storage)

    def open(self) -> None:
        """Make the folders, read the floors. Raises `StorageError`."""
        self._storage.make_folder(FOLDER)
        self._storage.sync_folder("")
        self._director_cache.open()
        self._image_cache.open()
        self.floors.open()

    def refresh(
        self, director: Repository, images: Repository, *, quarantined: Mapping[str, int] | None = None
    ) -> VerifiedPlan:
        """Read both repositories and bring them to agree. Raises `RefusedError`, `StorageError`."""
        orders = self._workflow(
            DIRECTOR, "director", director, self._director_cache, self._director_root, [], is_held=True
        )
        refreshed(orders)
        if orders.targets.delegations is not None:
            raise RefusedError(
                Rule.ROLE, f"{DIRECTOR}: targets.json", "it delegates; a plan is the Director's own word"
            )
        raw = orders.targets.unrecognized_fields.get(PLAN_KEY)
        plan = decode_plan(raw, f"{DIRECTOR}: targets.json: {PLAN_KEY}")
        ordered = {path: _listed(target) for path, target in orders.targets.targets.items()}
        digest = plan_digest(raw, ordered)
        check_plan(plan, digest, self._device, self.floors.record)

        said = [floor.signed_at for floor in orders.seen.values()]
        made = self._workflow(IMAGES, "image", images, self._image_cache, self._image_root, said, is_held=False)
        refreshed(made)
        for path in made.targets.targets:
            raise RefusedError(Rule.ROLE, f"{IMAGES}: targets.json", f"it lists {path} itself; it only delegates")
        targets = agree(plan, self._device, ordered, _lookup(made), self.floors.release, quarantined or {})

        said += [floor.signed_at for floor in made.seen.values()]
        now = self._now(*said)
        self.floors.keep(
            {"director": orders.floors, "image": made.floors},
            plan_number=plan.number, plan_sha256=digest, clock=confirmed(now, self.floors.record.clock, max(said)),
        )  # fmt: skip
        orders.keep()
        return VerifiedPlan(plan, targets, now, self._take_damaged())

    def _workflow(
        self,
        name: str,
        key: str,
        source: Repository,
        cache: MetadataCache,
        root: bytes,
        said: list[int],
        *,
        is_held: bool,
    ) -> Workflow:
        return Workflow(
            name=name, cache=cache, pieces=source.pieces, base_url=source.metadata_url, bootstrap=root,
            floors=self.floors.role_floors(key), clock=lambda seen: self._now(seen, *said).seconds, is_held=is_held,
            is_directors=name == DIRECTOR,
        )  # fmt: skip

    def _now(self, *seen: int) -> Now:
        return self._clock.judge(self.floors.record.clock, *seen)

    def _take_damaged(self) -> list[str]:
        damaged = [*self._director_cache.damaged, *self._image_cache.damaged, *self.floors.damaged]
        self._director_cache.damaged.clear()
        self._image_cache.damaged.clear()
        self.floors.damaged.clear()
        return damaged


def refreshed(workflow: Workflow) -> None:
    """Refresh the top-level roles. Raises `RefusedError`, `StorageError`."""
    try:
        workflow.refresh()
    except (RepositoryError, DownloadError) as error:
        raise workflow.refusal(error) from error


def find(workflow: Workflow, path: str) -> TargetFile | None:
    """Look a target up. Raises `RefusedError`, `StorageError`."""
    try:
        return workflow.get_targetinfo(path)
    except (RepositoryError, DownloadError) as error:
        raise workflow.refusal(error) from error


def _lookup(workflow: Workflow) -> Callable[[str], Listed | None]:
    def look_up(path: str) -> Listed | None:
        found = find(workflow, path)
        check_no_diamond(_delegations(workflow))
        return None if found is None else _listed(found)

    return look_up


def _delegations(workflow: Workflow) -> dict[str, list[str]]:
    """Delegator -> roles, of all metadata that was read."""
    found = {}
    for name in (Targets.type, *workflow.delegators):
        role = workflow.role(name)
        assert isinstance(role, Targets)
        if role.delegations is not None:
            found[name] = list(role.delegations.roles or {})
    return found


def _listed(target: TargetFile) -> Listed:
    return Listed(target.length, target.hashes, target.unrecognized_fields.get("custom"))
