"""Disks that can lose their power: what was not synced may be there, in part, with holes, or not at all after a cut.

A file's content is durable as it was at its last sync; what was appended since may survive as any prefix, or with a
hole of zeros. What was made, renamed or removed is durable once its directory was synced; before that any part of these
changes may have reached the medium, in any order. A sync that fails has lost its bytes for good, although they can
still be read, and the next sync of that file says that all is well: as Linux does it. Stricter than a real disk.
"""

import random
from collections.abc import Iterator, Mapping

from edge.store.errors import Cause, StorageError


class PowerCut(BaseException):
    """The power is gone: nobody may catch this but the test."""


class Power:
    """What all disks of one box share: every operation counts, one of them may be the last, or fail."""

    def __init__(self) -> None:
        self.operations = 0
        self.cut_at: int | None = None
        self.fail_at: range | None = None
        self.cause = Cause.FULL

    def begin(self, name: str) -> None:
        self.operations += 1
        if self.fail_at is not None and self.operations in self.fail_at:
            raise StorageError(f"{name}: failed", self.cause)

    def end(self) -> None:
        if self.operations == self.cut_at:
            raise PowerCut


class File:
    """`data` is what a program reads, `durable` what the medium has."""

    def __init__(self, data: bytes = b"", *, durable: bytes | None = None) -> None:
        self.data = bytearray(data)
        self.durable = bytes(data) if durable is None else durable
        self.dead: tuple[int, int] = (0, 0)
        """Bytes that a failed sync has lost."""

    def on_medium(self) -> bytes:
        first, last = self.dead
        return bytes(self.data[:first]) + bytes(last - first) + bytes(self.data[last:])

    def after_cut(self, kind: str, rng: random.Random) -> bytes:
        now = self.on_medium()
        if kind == "nothing":
            return self.durable
        if kind == "all" or not now.startswith(self.durable):
            return now if kind == "all" or rng.random() < 0.5 else self.durable
        kept = bytearray(now[: rng.randint(len(self.durable), len(now))] if kind == "torn" else now)
        if kind == "holes" and len(kept) > len(self.durable):
            first, last = sorted(rng.randint(len(self.durable), len(kept)) for _ in range(2))
            kept[first:last] = bytes(last - first)
        return bytes(kept)


class Disk:
    """One folder."""

    def __init__(self, power: Power | None = None) -> None:
        self.power = power or Power()
        self.files: dict[str, File] = {}
        self.capacity: int | None = None
        self.unreadable: set[str] = set()
        self.bytes_written = 0
        self.sync_dirs = 0
        self._names: dict[str, File] = {}
        self._changes: list[tuple[str, str | None, File | None]] = []
        """(name that goes, name that comes, file) since the last sync of the directory."""

    @classmethod
    def holding(cls, contents: Mapping[str, bytes], power: Power | None = None) -> "Disk":
        disk = cls(power)
        for name, content in contents.items():
            disk.files[name] = disk._names[name] = File(content)
        return disk

    def contents(self) -> dict[str, bytes]:
        return {name: bytes(file.data) for name, file in self.files.items()}

    # The medium's face ------------------------------------------------------------------------------------------

    def append(self, name: str, data: bytes) -> None:
        try:
            self.power.begin(name)
        except StorageError:
            self._grow(name, data[: len(data) // 2])
            raise
        room = len(data) if self.capacity is None else self.capacity - sum(len(f.data) for f in self.files.values())
        self._grow(name, data[: max(0, room)])
        if len(data) > room:
            raise StorageError(f"{name}: No space left on device", Cause.FULL)
        self.power.end()

    def _grow(self, name: str, data: bytes) -> None:
        if name not in self.files:
            file = self.files[name] = File()
            self._changes.append(("", name, file))
        self.files[name].data += data
        self.bytes_written += len(data)

    def sync(self, name: str) -> None:
        file = self.files[name]
        try:
            self.power.begin(name)
        except StorageError:
            file.dead = (len(file.durable), len(file.data))
            raise
        self.power.end()
        file.durable = file.on_medium()

    def end(self, name: str) -> None:
        pass

    def sync_dir(self) -> None:
        self.power.begin("")
        self.power.end()
        self._names = dict(self.files)
        self._changes.clear()
        self.sync_dirs += 1

    def replace(self, name: str, data: bytes) -> None:
        """A fresh file, its sync, a rename, the directory's sync: a cut may come between any two of them."""
        fresh = name + ".new"
        self._drop(fresh)
        try:
            self.append(fresh, data)
            self.sync(fresh)
            self.rename(fresh, name)
        except StorageError:
            self._drop(fresh)
            raise
        self.sync_dir()

    def _drop(self, name: str) -> None:
        file = self.files.pop(name, None)
        if file is not None:
            self._changes.append((name, None, None))

    def rename(self, name: str, other: str) -> None:
        self.power.begin(name)
        file = self.files[other] = self.files.pop(name)
        self._changes.append((name, other, file))
        self.power.end()

    def list(self) -> list[str]:
        return sorted(self.files)

    def read(self, name: str, offset: int, size: int) -> bytes:
        if name in self.unreadable:
            raise StorageError(f"{name}: Input/output error", Cause.BROKEN)
        return bytes(self.files[name].data[offset : offset + size])

    def size(self, name: str) -> int:
        return len(self.files[name].data) if name in self.files else 0

    def remove(self, name: str) -> None:
        self.power.begin(name)
        self._drop(name)
        self.power.end()

    def truncate(self, name: str, size: int) -> None:
        self.power.begin(name)
        file = self.files[name]
        del file.data[size:]
        file.dead = (0, 0) if file.dead[0] >= size else file.dead
        self.power.end()
        file.durable = file.on_medium()

    def free_bytes(self) -> int:
        return 1 << 30

    # Cuts -------------------------------------------------------------------------------------------------------

    def after_cut(self, kind: str, rng: random.Random, power: Power) -> "Disk":
        names = dict(self._names)
        for gone, came, file in self._changes:
            if kind in ("nothing", "undone") or (kind == "mixed" and rng.random() < 0.5):
                continue  # the directory never heard of it
            names.pop(gone, None)
            if came is not None and file is not None:
                names[came] = file
        kinds = ("nothing", "all", "torn", "holes") if kind == "mixed" else ("all" if kind == "undone" else kind,)
        contents = {name: names[name].after_cut(rng.choice(kinds), rng) for name in sorted(names)}
        return Disk.holding(contents, power)


def survivors(disks: Mapping[str, Disk], rng: random.Random) -> Iterator[dict[str, Disk]]:
    """Every kind of box that may be found after the cut."""
    for kind in ("nothing", "all", "torn", "torn", "holes", "undone", "mixed", "mixed", "mixed"):
        power = Power()
        yield {name: disk.after_cut(kind, rng, power) for name, disk in disks.items()}


def copies(disks: Mapping[str, Disk]) -> dict[str, Disk]:
    power = Power()
    return {name: Disk.holding(disk.contents(), power) for name, disk in disks.items()}
