"""The medium on Linux: files of one folder, appended, synced, replaced in one step. All I/O of the store is here.

Every failure becomes a `StorageError` that says what and where, with its `cause` told apart: a full disk, a dead one, a
read-only one. Counts the bytes given to write(), which wear the flash.
"""

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

from edge.store.errors import Cause, StorageError

_CAUSES = {errno.ENOSPC: Cause.FULL, errno.EDQUOT: Cause.FULL, errno.EIO: Cause.BROKEN, errno.EROFS: Cause.READ_ONLY}
MAX_READERS = 8


class PosixStorage:
    """One folder. Appends keep their file open; reads keep a few."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, int] = {}
        self._readers: dict[str, int] = {}
        self._lock = threading.Lock()  # commits write in a thread of their own while the event loop reads
        self.bytes_written = 0

    def open(self) -> None:
        """Make the folder. Raises `StorageError`."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._error(error, "") from error

    def close(self) -> None:
        """Let go of every file."""
        for name in tuple(self._writers):
            self.end(name)
        for descriptor in self._readers.values():
            os.close(descriptor)
        self._readers.clear()

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to the end of a file, made when it is not there."""
        try:
            descriptor = self._writers.get(name)
            if descriptor is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                descriptor = self._writers[name] = os.open(self._folder / name, flags, 0o600)
            view = memoryview(data)
            while view:  # a nearly full disk takes a part, and then says that it is full
                written = os.write(descriptor, view)
                self.bytes_written += written
                view = view[written:]
        except OSError as error:
            raise self._error(error, name) from error

    def sync(self, name: str) -> None:
        """Return when the disk has all that was appended."""
        try:
            descriptor = self._writers.get(name)
            if descriptor is not None:
                os.fdatasync(descriptor)
            else:
                self._sync_path(self._folder / name, os.O_RDONLY)
        except OSError as error:
            raise self._error(error, name) from error

    def end(self, name: str) -> None:
        """Nothing more will be appended to this file."""
        descriptor = self._writers.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def sync_dir(self) -> None:
        """Return when the disk knows which files there are."""
        try:
            self._sync_path(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._error(error, "") from error

    def replace(self, name: str, data: bytes) -> None:
        """Put a small file in place of another: a power cut leaves the old or the new, never a part."""
        fresh = name + ".new"
        self._forget(name)
        try:
            descriptor = os.open(self._folder / fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    written = file.write(view)
                    self.bytes_written += written
                    view = view[written:]
                os.fsync(descriptor)
            (self._folder / fresh).replace(self._folder / name)
        except OSError as error:
            with suppress(OSError):
                (self._folder / fresh).unlink(missing_ok=True)  # a full disk needs every byte
            raise self._error(error, name) from error
        self.sync_dir()

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""
        self._forget(name)
        try:
            (self._folder / name).replace(self._folder / other)
        except OSError as error:
            raise self._error(error, name) from error

    def list(self) -> list[str]:
        """The names of all files, sorted."""
        try:
            return sorted(entry.name for entry in os.scandir(self._folder) if entry.is_file(follow_symlinks=False))
        except OSError as error:
            raise self._error(error, "") from error

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer at the end of the file."""
        try:
            with self._lock:
                descriptor = self._readers.get(name)
                if descriptor is None:
                    while len(self._readers) >= MAX_READERS:
                        os.close(self._readers.pop(next(iter(self._readers))))
                    descriptor = self._readers[name] = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
                return os.pread(descriptor, size, offset)
        except OSError as error:
            raise self._error(error, name) from error

    def size(self, name: str) -> int:
        """Bytes in a file; 0 when it is not there."""
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._error(error, name) from error

    def remove(self, name: str) -> None:
        """Delete a file; harmless when it is not there."""
        self._forget(name)
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._error(error, name) from error

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to `size` bytes, durably."""
        self._forget(name)
        try:
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.ftruncate(descriptor, size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._error(error, name) from error

    def free_bytes(self) -> int:
        """What a user without privileges could still write."""
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            raise self._error(error, "") from error
        return found.f_bavail * found.f_frsize

    @staticmethod
    def _sync_path(path: Path, flags: int) -> None:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _forget(self, name: str) -> None:
        self.end(name)
        with self._lock:
            descriptor = self._readers.pop(name, None)
            if descriptor is not None:
                os.close(descriptor)

    def _error(self, error: OSError, name: str) -> StorageError:
        return StorageError(f"{self._folder / name}: {error.strerror}", _CAUSES.get(error.errno or 0, Cause.OTHER))
