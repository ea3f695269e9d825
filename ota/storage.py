"""The one door to the disk: every byte that an update reads or writes on a device goes through `Storage`.

The steps are small on purpose, so that a test can cut the power between and within any two of them: what is written is
only sure after `sync` of the file, what is made, renamed or removed only after `sync_folder` of its folder. Names are
relative, with `/` between folders: `slots/a/image.tar`.
"""

import errno
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ota.errors import Cause, StorageError

FRESH = ".new"
"""The ending of a file that is about to take another's place. One found after a start is rubbish."""
CAUSES = {
    errno.ENOSPC: Cause.FULL,
    errno.EDQUOT: Cause.FULL,
    errno.EIO: Cause.BROKEN,
    errno.EROFS: Cause.READ_ONLY,
    errno.ENOENT: Cause.MISSING,
    errno.ENOTDIR: Cause.MISSING,
}
"""What an error number of the operating system asks for; any other is `Cause.OTHER`."""


class Storage(Protocol):
    """Files below one folder. Everything raises `StorageError` and nothing else."""

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """At most `size` bytes from `offset`; all that follows where it is negative."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Put bytes into a file, made when it is not there. Not sure before `sync`."""

    def truncate(self, name: str, size: int) -> None:
        """Cut a file, or lengthen it with zeros. Not sure before `sync`."""

    def sync(self, name: str) -> None:
        """Return when the disk has all of a file."""

    def sync_folder(self, folder: str) -> None:
        """Return when the disk knows what was made, renamed and removed in a folder; `""` is the one of all."""

    def rename(self, name: str, other: str) -> None:
        """Give a file or a folder another name, in place of a file that has it. Not sure before `sync_folder`."""

    def remove(self, name: str) -> None:
        """Remove a file or an empty folder; one that is not there is no error. Not sure before `sync_folder`."""

    def make_folder(self, name: str) -> None:
        """Make a folder; one that is there is no error. Not sure before `sync_folder` of its parent."""

    def set_mode(self, name: str, mode: int) -> None:
        """Permission bits of a file, 0o600 at first."""

    def list(self, folder: str) -> list[str]:
        """The names in a folder, sorted, folders with a `/` at their end; none where it is not there."""

    def size(self, name: str) -> int:
        """The length of a file; -1 where it is not there."""

    def free_bytes(self) -> int:
        """What may still be written."""


def replace(storage: Storage, name: str, data: bytes) -> None:
    """Put a small file in place of another: a power cut leaves the old or the new, never a part."""
    fresh = name + FRESH
    storage.truncate(fresh, 0)
    storage.write(fresh, 0, data)
    storage.sync(fresh)
    storage.rename(fresh, name)
    storage.sync_folder(parent(name))


def with_check(line: bytes) -> bytes:
    """A small file of one line: the line, and one with its CRC-32."""
    return line + b"\n%08x\n" % zlib.crc32(line)


def without_check(data: bytes) -> bytes:
    """The line of such a file. Raises `ValueError` where it does not hold."""
    line, _, check = data.partition(b"\n")
    if int(check, 16) != zlib.crc32(line):
        raise ValueError("the checksum is another one")
    return line


def make_durable(storage: Storage, folder: str) -> None:
    """Make a folder so that a power cut cannot take it again, with all that is put into it."""
    if folder.rpartition("/")[2] + "/" not in storage.list(parent(folder)):
        storage.make_folder(folder)
        storage.sync_folder(parent(folder))


def remove_all(storage: Storage, folder: str) -> None:
    """Remove a folder and all that is in it. May be cut and done again."""
    for name in storage.list(folder):
        path = f"{folder}/{name}"
        if name.endswith("/"):
            remove_all(storage, path[:-1])
        else:
            storage.remove(path)
    storage.remove(folder)


def size_of_all(storage: Storage, folder: str) -> int:
    """The lengths of all files in a folder, in those in it too; 0 where it is not there."""
    size = 0
    for name in storage.list(folder):
        path = f"{folder}/{name}"
        size += size_of_all(storage, path[:-1]) if name.endswith("/") else max(0, storage.size(path))
    return size


def parent(name: str) -> str:
    """The folder of a name; `""` for the one of all."""
    return name.rpartition("/")[0]


class PosixStorage:
    """A folder on Linux. Keeps no file open; a file is written by few and large writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    def open(self) -> None:
        """Make the folder. Raises `StorageError`."""
        with self._door(""):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """See `Storage`."""
        with self._door(name), (self._folder / name).open("rb", buffering=0) as file:
            file.seek(offset)
            if size < 0:
                return file.read()
            data = file.read(size) or b""
            while len(data) < size and (more := file.read(size - len(data))):
                data += more
            return data

    def write(self, name: str, offset: int, data: bytes) -> None:
        """See `Storage`."""
        with self._door(name):
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(data)
                while view:  # a nearly full disk takes a part, and then says that it is full
                    written = os.pwrite(descriptor, view, offset)
                    offset += written
                    view = view[written:]
            finally:
                os.close(descriptor)

    def truncate(self, name: str, size: int) -> None:
        """See `Storage`."""
        with self._door(name):
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, size)
            finally:
                os.close(descriptor)

    def sync(self, name: str) -> None:
        """See `Storage`."""
        self._sync(name, os.O_RDONLY)

    def sync_folder(self, folder: str) -> None:
        """See `Storage`."""
        self._sync(folder, os.O_RDONLY | os.O_DIRECTORY)

    def rename(self, name: str, other: str) -> None:
        """See `Storage`."""
        with self._door(name):
            (self._folder / name).rename(self._folder / other)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        path = self._folder / name
        with self._door(name), suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()

    def make_folder(self, name: str) -> None:
        """See `Storage`."""
        with self._door(name):
            (self._folder / name).mkdir(mode=0o700, exist_ok=True)

    def set_mode(self, name: str, mode: int) -> None:
        """See `Storage`."""
        with self._door(name):
            (self._folder / name).chmod(mode & 0o777)

    def list(self, folder: str) -> list[str]:
        """See `Storage`."""
        with self._door(folder):
            try:
                entries = list(os.scandir(self._folder / folder))
            except FileNotFoundError:
                return []
            return sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)

    def size(self, name: str) -> int:
        """See `Storage`."""
        with self._door(name):
            try:
                return (self._folder / name).stat().st_size
            except FileNotFoundError:
                return -1

    def free_bytes(self) -> int:
        """See `Storage`."""
        with self._door(""):
            state = os.statvfs(self._folder)
            return state.f_bavail * state.f_frsize

    def _sync(self, name: str, flags: int) -> None:
        with self._door(name):
            descriptor = os.open(self._folder / name, flags | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _door(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cause = CAUSES.get(error.errno or 0, Cause.OTHER)
            raise StorageError(str(self._folder / name), error.strerror or str(error), cause) from error
