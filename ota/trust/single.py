"""One TUF repository by itself, without a Director: the public client-under-test contract, over the device's own code.

    {metadata}/root.json timestamp.json …  bytes as they were received
    {metadata}/trusted-root                what `init` was given: each start begins there
    {metadata}/floors-a floors-b           versions that were seen
    {targets}/{name, quoted}               verified files; `.{name}.part` while one comes

The time floor of the build is off here: such a client also reads repositories of long ago, under a clock of its own.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from ota.errors import OtaError, RefusedError, Rule
from ota.storage import PosixStorage, replace
from ota.trust.cache import MAX_FILE_BYTES, MetadataCache
from ota.trust.client import find, refreshed
from ota.trust.clock_floor import ClockFloor
from ota.trust.fetcher import Pieces
from ota.trust.floors import Floors
from ota.trust.web import URL_SAFE
from ota.trust.workflow import Workflow

_TRUSTED_ROOT = "trusted-root"
_REPOSITORY = "single"
_NAME_LENGTH = 200
"""A longer name is stored under its hash."""


class SingleRepository:
    """What a client keeps of it in one folder."""

    def __init__(self, metadata_folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._storage = PosixStorage(metadata_folder)
        self._cache = MetadataCache(self._storage, "")
        self._floors = Floors(self._storage, "floors")
        self._clock = ClockFloor(build_time=0, clock=clock, is_synchronised=lambda: True)

    def init(self, root: Path) -> None:
        """Trust a root. Raises `StorageError`."""
        data = PosixStorage(root.parent).read(root.name, 0, MAX_FILE_BYTES)
        self._open()
        replace(self._storage, _TRUSTED_ROOT, data)
        self._cache.write("root", data)

    def refresh(self, pieces: Pieces, metadata_url: str) -> Workflow:
        """Bring the top-level roles up to date. Raises `RefusedError`, `StorageError`."""
        self._open()
        workflow = Workflow(
            name="repository", cache=self._cache, pieces=pieces, base_url=metadata_url,
            bootstrap=self._storage.read(_TRUSTED_ROOT, 0, MAX_FILE_BYTES),
            floors=self._floors.role_floors(_REPOSITORY), clock=lambda seen: self._clock.judge(seen).seconds,
        )  # fmt: skip
        refreshed(workflow)
        self._floors.keep({_REPOSITORY: workflow.floors})
        return workflow

    def download(self, workflow: Workflow, pieces: Pieces, path: str, base_url: str, folder: Path) -> None:
        """Have a target's file in the folder, fetched where it is not there yet. Raises as `refresh` does."""
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise RefusedError(Rule.FORMAT, path, "this name is no text") from error
        target = find(workflow, path)
        self._floors.keep({_REPOSITORY: workflow.floors})
        if target is None:
            raise RefusedError(Rule.ROLE, path, "no role lists it")
        name = _file_name(path)
        storage = PosixStorage(folder)
        storage.open()
        if _holds(folder / name, target):
            return
        part = f".{name}.part"
        url = f"{base_url.rstrip('/')}/{quote(_served_path(target, is_hashed=workflow.is_consistent), URL_SAFE)}"
        try:
            storage.truncate(part, 0)
            length = 0
            for piece in pieces(url):
                storage.write(part, length, piece)
                length += len(piece)
                if length > target.length:
                    raise RefusedError(Rule.LENGTH, path, f"it goes on after its {target.length} bytes")
            if not _holds(folder / part, target):
                raise RefusedError(Rule.HASH, path, "what was fetched has not the length or the hash that is signed")
            storage.sync(part)
            storage.rename(part, name)
            storage.sync_folder("")
        except OtaError:
            storage.remove(part)
            raise

    def _open(self) -> None:
        self._storage.open()
        self._cache.open()
        self._floors.open()


def _served_path(target: TargetFile, *, is_hashed: bool) -> str:
    folder, slash, file = target.path.rpartition("/")
    return f"{folder}{slash}{next(iter(target.hashes.values()))}.{file}" if is_hashed else target.path


def _file_name(path: str) -> str:
    name = quote(path, "")
    if name.startswith("."):  # no file of ours is hidden, and none is called `..`
        name = "%2E" + name[1:]
    return name if len(name) <= _NAME_LENGTH else hashlib.sha256(path.encode()).hexdigest()


def _holds(file: Path, target: TargetFile) -> bool:
    try:
        with file.open("rb") as stream:
            target.verify_length_and_hashes(stream)
    except (OSError, LengthOrHashMismatchError):
        return False
    return True
