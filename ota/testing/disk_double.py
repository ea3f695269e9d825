"""A disk in memory that loses its power: after a cut, whatever was not synced may be there, or not, or in part.

What it promises is less than any real disk does:

- a file's bytes, length and mode are those of its last `sync`; of the steps since then any subset may have landed; a
  write may have landed in part, by sectors or byte by byte, or have lengthened the file with zeros only;
- a folder's names are those of its last `sync_folder`; of what was made, renamed and removed since then any subset may
  have landed, and of a rename the new name without the loss of the old one;
- a name may be durable before its file's bytes are, and bytes before their name.

`after_cut` gives the disks that may be found. They are other disks: the one that was cut goes on as if nothing were.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator
from itertools import product
from math import prod

from ota.errors import Cause, StorageError
from ota.storage import CAUSES, parent
from ota.testing.disk_steps import File, Folder, Kept, Names

Begun = Callable[[str, str], None]
"""Called with each step that changes something, when it is pending: the word for it and its name."""

Listing = tuple[tuple[str, object], ...]
"""Name and content of each file and folder, sorted."""

MOST_TOGETHER = 24
"""So many disks where everything pending has landed in any way; of more, a sample."""


class PowerCut(BaseException):  # no error: nobody may catch it but the test
    """The power is gone: a test's own `begun` raises it to leave code in the middle."""


class DiskDouble:
    """`Storage` in memory."""

    def __init__(self, *, capacity: int = 1 << 30) -> None:
        self.root = Folder()
        self.capacity = capacity
        self.steps = 0
        """Steps so far that change something; syncs are among them."""
        self.begun: Begun = lambda _step, _name: None
        """A test's own: it may look, take `after_cut`, or raise."""
        self.failing: dict[str, int] = {}
        """Step (`read`, `write`, `sync`, ...) to the error number that it fails with."""
        self.unreadable: set[str] = set()
        """Files with a bad sector."""
        self.is_read_only_from: int | None = None
        """From this step on nothing can be changed."""
        self.bytes_written = 0

    # What a program sees ----------------------------------------------------------------------------------------

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """See `Storage`."""
        self._fail("read", name)
        if name in self.unreadable:
            raise _error(errno.EIO, name)
        data = self._file(name).data
        return data[offset:] if size < 0 else data[offset : offset + size]

    def write(self, name: str, offset: int, data: bytes) -> None:
        """See `Storage`. A full disk takes what it can and then says so."""
        file = self._opened("write", name)
        room = self.capacity - self._used() + max(0, len(file.data) - offset)
        landed = bytes(data[: max(0, room)])
        file.write(offset, landed)
        self.bytes_written += len(landed)
        self.begun("write", name)
        if len(landed) < len(data):
            raise _error(errno.ENOSPC, name)

    def truncate(self, name: str, size: int) -> None:
        """See `Storage`."""
        self._opened("truncate", name).truncate(size)
        self.begun("truncate", name)

    def set_mode(self, name: str, mode: int) -> None:
        """See `Storage`."""
        self._change("set_mode", name)
        self._file(name).set_mode(mode & 0o777)
        self.begun("set_mode", name)

    def sync(self, name: str) -> None:
        """See `Storage`. A sync that fails has lost what it was to keep, as on Linux."""
        file = self._file(name)
        try:
            self._change("sync", name)
        except StorageError:
            file.lose()
            raise
        self.begun("sync", name)
        file.settle()

    def sync_folder(self, folder: str) -> None:
        """See `Storage`."""
        self._change("sync_folder", folder)
        self.begun("sync_folder", folder)
        self._folder(folder).settle()

    def rename(self, name: str, other: str) -> None:
        """See `Storage`."""
        self._change("rename", name)
        source, target = self._folder(parent(name)), self._folder(parent(other))
        node = source.names.get(_last(name))
        if node is None:
            raise _error(errno.ENOENT, name)
        there = target.names.get(_last(other))
        if isinstance(there, Folder) and there.names:
            raise _error(errno.ENOTEMPTY, other)
        if there is not None and isinstance(there, Folder) != isinstance(node, Folder):
            raise _error(errno.EISDIR if isinstance(there, Folder) else errno.ENOTDIR, other)
        if source is not target:
            raise _error(errno.EXDEV, other)  # nobody needs it, and what a cut leaves of it differs from disk to disk
        source.move(_last(name), _last(other))
        self.begun("rename", name)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        self._change("remove", name)
        try:
            folder = self._folder(parent(name))
        except StorageError:
            return
        node = folder.names.get(_last(name))
        if isinstance(node, Folder) and node.names:
            raise _error(errno.ENOTEMPTY, name)
        if node is not None:
            folder.drop(_last(name))
        self.begun("remove", name)

    def make_folder(self, name: str) -> None:
        """See `Storage`."""
        self._change("make_folder", name)
        folder = self._folder(parent(name))
        there = folder.names.get(_last(name))
        if isinstance(there, File):
            raise _error(errno.EEXIST, name)
        if there is None:
            folder.put(_last(name), Folder())
        self.begun("make_folder", name)

    def list(self, folder: str) -> list[str]:
        """See `Storage`."""
        self._fail("list", folder)
        node = self._find(folder)
        if node is None:
            return []
        if isinstance(node, File):
            raise _error(errno.ENOTDIR, folder)
        return sorted(name + "/" * isinstance(each, Folder) for name, each in node.names.items())

    def size(self, name: str) -> int:
        """See `Storage`."""
        node = self._find(name)
        return len(node.data) if isinstance(node, File) else -1

    def mode(self, name: str) -> int:
        """The permission bits of a file."""
        return self._file(name).mode

    def free_bytes(self) -> int:
        """See `Storage`."""
        return max(0, self.capacity - self._used())

    # What a cut leaves ------------------------------------------------------------------------------------------

    def contents(self) -> dict[str, bytes]:
        """Every file as a program sees it; a folder has a `/` at its end."""
        return dict(_contents(self.root, ""))

    def state(self) -> Listing:
        """Equal for disks with the same names, bytes and modes."""
        return _listing(self.root, is_durable=False)

    def state_with_pending(self) -> tuple[Listing, Listing]:
        """Equal for disks that are alike both as a program sees them and as they are durable."""
        return _listing(self.root, is_durable=False), _listing(self.root, is_durable=True)

    def settled(self) -> "DiskDouble":
        """The disk after a clean stop: everything has landed."""
        return self._grown({})

    def after_cut(self, seed: object = 0, *, most: int = MOST_TOGETHER) -> Iterator["DiskDouble"]:
        """The disks that may be found if the power goes now, no two of them alike.

        Nothing of what is pending; all of it; each file and folder in every way that a cut may leave it, with the
        others as they were and with the others complete; then everything in any way, all of them together: all such
        disks where they are at most so many, else a sample.
        """
        nodes = [self.root, *_below(self.root)]
        rng = random.Random(f"{seed} {self.steps}")  # noqa: S311  # which sample is taken must be repeatable
        ways: list[list[Kept | Names]] = [list(node.may_be(rng)) for node in nodes]
        nothing, everything = [each[0] for each in ways], [each[-1] for each in ways]
        chosen = [nothing, everything]
        for at, each in enumerate(ways):
            for one in each[1:]:
                chosen += [[*rest[:at], one, *rest[at + 1 :]] for rest in (nothing, everything)]
        if prod(map(len, ways)) <= most:
            chosen += map(list, product(*ways))
        else:
            chosen += [[rng.choice(each) for each in ways] for _ in range(most)]
        seen = set()
        for way in chosen:
            disk = self._grown({id(node): one for node, one in zip(nodes, way, strict=True)})
            state = disk.state()
            if state not in seen:
                seen.add(state)
                yield disk

    def some_after_cut(self, rng: random.Random) -> "DiskDouble":
        """One of the disks that may be found if the power goes now."""
        chosen: dict[int, Kept | Names] = {}
        for node in (self.root, *_below(self.root)):
            ways: list[Kept | Names] = list(node.may_be(rng))
            chosen[id(node)] = rng.choice(ways)
        return self._grown(chosen)

    # Inside -----------------------------------------------------------------------------------------------------

    def _fail(self, step: str, name: str) -> None:
        if step in self.failing:
            raise _error(self.failing[step], name)

    def _change(self, step: str, name: str) -> None:
        self.steps += 1
        self._fail(step, name)
        if self.is_read_only_from is not None and self.steps >= self.is_read_only_from:
            raise _error(errno.EROFS, name)

    def _opened(self, step: str, name: str) -> File:
        self._change(step, name)
        folder = self._folder(parent(name))
        node = folder.names.get(_last(name))
        if isinstance(node, Folder):
            raise _error(errno.EISDIR, name)
        if node is None:
            node = File()
            folder.put(_last(name), node)
        return node

    def _find(self, name: str) -> "File | Folder | None":
        node: File | Folder | None = self.root
        for part in filter(None, name.split("/")):
            node = node.names.get(part) if isinstance(node, Folder) else None
        return node

    def _file(self, name: str) -> File:
        node = self._find(name)
        if node is None:
            raise _error(errno.ENOENT, name)
        if isinstance(node, Folder):
            raise _error(errno.EISDIR, name)
        return node

    def _folder(self, name: str) -> Folder:
        node = self._find(name)
        if node is None:
            raise _error(errno.ENOENT, name)
        if isinstance(node, File):
            raise _error(errno.ENOTDIR, name)
        return node

    def _used(self) -> int:
        return sum(len(data) for _name, data in _contents(self.root, ""))

    def _grown(self, chosen: dict[int, Kept | Names]) -> "DiskDouble":
        """Another disk: each node as chosen, else as a program sees it; all of it durable."""
        disk = DiskDouble(capacity=self.capacity)
        disk.root = _grown_folder(self.root, chosen)
        return disk


def _grown_folder(folder: Folder, chosen: dict[int, Kept | Names]) -> Folder:
    grown = Folder()
    names = chosen.get(id(folder), folder.names)
    assert isinstance(names, dict)
    for name, node in names.items():
        if isinstance(node, Folder):
            grown.kept[name] = _grown_folder(node, chosen)
        else:
            kept = chosen[id(node)] if id(node) in chosen else node.everything()
            assert isinstance(kept, Kept)
            grown.kept[name] = File(kept)
    grown.names = dict(grown.kept)
    return grown


def _below(folder: Folder) -> Iterator[File | Folder]:
    for node in folder.nodes():
        yield node
        if isinstance(node, Folder):
            yield from _below(node)


def _contents(folder: Folder, path: str) -> Iterator[tuple[str, bytes]]:
    for name, node in folder.names.items():
        if isinstance(node, Folder):
            yield f"{path}{name}/", b""
            yield from _contents(node, f"{path}{name}/")
        else:
            yield path + name, node.data


def _listing(folder: Folder, *, is_durable: bool) -> Listing:
    found: list[tuple[str, object]] = []
    for name, node in sorted((folder.kept if is_durable else folder.names).items()):
        if isinstance(node, Folder):
            found.append((name, _listing(node, is_durable=is_durable)))
        else:
            found.append((name, node.kept if is_durable else (node.data, node.mode)))
    return tuple(found)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _error(number: int, name: str) -> StorageError:
    return StorageError(name, os.strerror(number), CAUSES.get(number, Cause.OTHER))
