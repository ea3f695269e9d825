"""Verified metadata on the disk, so that a power cut at any moment leaves a cache from which a client starts.

python-tuf's own cache may lose a file's bytes, or its current root, to a power cut. Here each file is replaced whole
and durably, bytes as they were received; the chain of roots lies beside and is walked anew from the built-in root at
each start, so that no file of the cache is needed, and none is believed before its signatures are.

    {folder}/timestamp.json            and each other role, its name quoted as in its address
    {folder}/root.json                 the newest root, for a person to see
    {folder}/root_history/2.root.json  each root after the built-in one
"""

from urllib.parse import quote

import msgspec

from ota.errors import Cause, StorageError
from ota.storage import FRESH, Storage, parent, replace

MAX_FILE_BYTES = 5_000_000
"""Of any metadata, whatever length is signed for it: the keys that sign lengths are online, and memory is short."""
_ROOTS = "root_history"


class MetadataCache:
    """One repository's."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self.damaged: list[str] = []
        """Files that were there and empty, torn, too long or on a bad sector: they are fetched anew."""

    def open(self) -> None:
        """Make the folders and remove what a cut has left half-written. Raises `StorageError`."""
        for folder in (self._folder, self._name(_ROOTS)):
            if not folder:
                continue
            self._storage.make_folder(folder)
            self._storage.sync_folder(parent(folder))
        for folder in (self._folder, self._name(_ROOTS)):
            for name in self._storage.list(folder):
                if name.endswith(FRESH):
                    self._storage.remove(f"{folder}/{name}".lstrip("/"))

    def read(self, role: str) -> bytes | None:
        """A role's metadata, not to be believed yet; none where there is none that holds. Raises `StorageError`."""
        return self._read(self._file(role))

    def write(self, role: str, data: bytes) -> None:
        """Keep verified metadata; returns when the disk has it. Raises `StorageError`."""
        self._write(self._file(role), data)

    def read_root(self, version: int) -> bytes | None:
        """A root of the chain. Raises `StorageError`."""
        return self._read(self._root_file(version))

    def write_root(self, version: int, data: bytes) -> None:
        """Keep a verified root of the chain. Raises `StorageError`."""
        self._write(self._root_file(version), data)

    def _name(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name

    def _file(self, role: str) -> str:
        return self._name(f"{quote(role, '')}.json")

    def _root_file(self, version: int) -> str:
        return self._name(f"{_ROOTS}/{version}.root.json")

    def _read(self, name: str) -> bytes | None:
        size = self._storage.size(name)
        if size < 0:
            return None
        try:
            data = self._storage.read(name) if 0 < size <= MAX_FILE_BYTES else b""
            msgspec.json.decode(data, type=msgspec.Raw)  # walks over it, and builds nothing
        except (StorageError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if isinstance(error, StorageError) and error.cause is not Cause.BROKEN:
                raise
            if name not in self.damaged:
                self.damaged.append(name)
            return None
        return data

    def _write(self, name: str, data: bytes) -> None:
        if self._read(name) != data:
            replace(self._storage, name, data)
