"""The maintainers' folder as it stands: what is published, and what waits for signatures (`ota.repository.layout`)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from ota.errors import RefusedError, Rule, StorageError
from ota.repository import signatures
from ota.repository.layout import DIRECTOR, METADATA, PUBLIC, STAGED_DIRECTOR, STAGED_IMAGE, TIMESTAMP
from ota.repository.roles import next_of
from ota.repository.verify import DIRECTOR_ONLINE, Images, read_images, read_roots
from ota.storage import PosixStorage, Storage

T = TypeVar("T", Root, Targets)
_READABLE = JSONSerializer(compact=False)


class HostStorage(PosixStorage):
    """A folder on the maintainers' machine: its folders may be entered by a web server."""

    def make_folder(self, name: str) -> None:
        """See `Storage`."""
        super().make_folder(name)
        self.set_mode(name, 0o755)


class Pending(NamedTuple):
    """A new version of metadata that waits for signatures."""

    folder: str
    """`staged/image` or `staged/director`."""
    file: str
    role: str
    metadata: Metadata[Any]
    """With the signatures that have come."""
    signature_files: list[str]
    file_of: dict[str, str]
    """By key id: the file that its signature came in."""


class Workspace:
    """Reads the folder; what changes it is a `ChangeSet`."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def read_public(self, name: str) -> bytes | None:
        """A file that is served; None where it is not there."""
        path = f"{PUBLIC}/{name}"
        return self.storage.read(path) if self.storage.size(path) >= 0 else None

    def images(self, now: datetime | None = None) -> Images | None:
        """The verified image repository; None before the first publication. Raises `RefusedError`."""
        if self.read_public(f"{METADATA}/{TIMESTAMP}") is None:
            return None
        try:
            return read_images(self.read_public, now)
        except RefusedError:
            hidden = [f"{METADATA}/{one.file}" for one in self._pending_in(STAGED_IMAGE) if one.role == "root"]
            if not any(self.read_public(name) for name in hidden):
                raise
            # A publication was cut after its root and before its timestamp: without that root all is as it was.
            return read_images(lambda name: None if name in hidden else self.read_public(name), now)

    def published_images(self, now: datetime | None = None) -> Images:
        """As `images`. Raises `RefusedError` before the first publication."""
        found = self.images(now)
        if found is None:
            raise RefusedError(Rule.ROLE, f"{PUBLIC}/{METADATA}", "nothing is published yet")
        return found

    def director_roots(self) -> list[Metadata[Root]]:
        """The Director's roots; none before the first publication."""
        if self.read_public(f"{DIRECTOR}/1.root.json") is None:
            return []
        return read_roots(self.read_public, DIRECTOR, None, online=DIRECTOR_ONLINE)

    def devices(self) -> list[str]:
        """Devices that have a plan."""
        return [name[:-1] for name in self.storage.list(f"{PUBLIC}/{DIRECTOR}") if name.endswith("/")]

    def pending(self) -> list[Pending]:
        """What waits, with the signatures that have come. Raises `RefusedError` where one is of no use."""
        return [*self._pending_in(STAGED_IMAGE), *self._pending_in(STAGED_DIRECTOR)]

    def waiting(self, folder: str, role: str) -> Metadata[Any] | None:
        """The version of a role that waits."""
        return next((one.metadata for one in self._pending_in(folder) if one.role == role), None)

    def draft(self, folder: str, role: str, published: Metadata[T], now: datetime) -> Metadata[T]:
        """What a change begins with: the version that waits, or a new one. Raises `RefusedError` where it is signed."""
        for one in self._pending_in(folder):
            if one.role != role:
                continue
            what = f"{folder}/{one.file}"
            if one.metadata.signed.version <= published.signed.version:
                raise RefusedError(Rule.VERSION, what, "it is published already: run publish, which clears it away")
            if one.metadata.signatures:
                reason = "somebody has signed it as it is: publish it, or remove it and its signatures, first"
                raise RefusedError(Rule.SIGNATURE, what, reason)
            return one.metadata
        return next_of(published, now)

    def _pending_in(self, folder: str) -> Iterator[Pending]:
        names = [name for name in self.storage.list(folder) if not name.endswith("/")]
        seen: dict[str, str] = {}
        for name in names:
            if not name.endswith(".json"):
                continue
            path = f"{folder}/{name}"
            metadata = signatures.parse(self.storage.read(path), path)
            role = signatures.check_name(metadata, path)
            if role in seen:
                raise RefusedError(Rule.VERSION, path, f"{seen[role]} waits too; one version of a role at a time")
            seen[role] = name
            metadata.signatures.clear()  # what counts comes as files of its own
            beside = [other for other in names if other.startswith(name) and other.endswith(signatures.ENDING)]
            files = [f"{folder}/{other}" for other in beside]
            file_of = {signatures.attach(metadata, name, self.storage.read(file), file): file for file in files}
            yield Pending(folder, name, role, metadata, files, file_of)


def staged_bytes(metadata: Metadata[Any]) -> bytes:
    """Unsigned metadata as it lies in `staged/`: a person can read it before they sign."""
    return metadata.to_bytes(_READABLE) + b"\n"


@contextmanager
def opened(folder: Path) -> Iterator[Workspace]:
    """The folder for this process alone. Raises `RefusedError` where another works in it, `StorageError`."""
    if not folder.is_dir():
        raise StorageError(str(folder), "there is no such folder")
    with _held(folder):
        yield Workspace(HostStorage(folder))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise RefusedError(Rule.STORAGE, str(folder), "another command works in this folder just now") from error
        raise StorageError(str(folder), error.strerror or str(error)) from error
    try:
        yield
    finally:
        os.close(descriptor)
