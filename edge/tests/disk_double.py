"""A disk that can lose its power: what was not synced may be there, in part, or not at all after a cut.

A file's content is durable up to its last sync; what was appended since may survive as any prefix. A file that was
made, renamed or removed is durable once its directory was synced; before that either state may be found. Stricter than
a real disk.
"""

import random
from collections.abc import Iterator

from edge.store.errors import Cause, StorageError


class PowerCut(BaseException):
    """The power is gone: nobody may catch this but the test."""


class Disk:
    """What is on the medium, and what a power cut may take back."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.synced: dict[str, int] = {}
        self.durable_names: dict[str, bytes | None] = {}
        self.operations = 0
        self.cut_at: int | None = None
        self.fail_at: int | None = None
        self.cause = Cause.FULL
        self.capacity: int | None = None
        self.bytes_written = 0
        self._lost: dict[str, bytes] = {}

    # The medium's face ------------------------------------------------------------------------------------------

    def append(self, name: str, data: bytes) -> None:
        self._step(name, data)
        if name not in self.files:
            self.files[name] = bytearray()
            self.synced.setdefault(name, 0)
        if self.capacity is not None:
            room = self.capacity - sum(map(len, self.files.values()))
            if len(data) > room:
                self.files[name] += data[: max(0, room)]
                raise StorageError(f"{name}: No space left on device", Cause.FULL)
        self.files[name] += data
        self.bytes_written += len(data)

    def sync(self, name: str) -> None:
        self._step(name)
        self.synced[name] = len(self.files[name])

    def end(self, name: str) -> None:
        pass

    def sync_dir(self) -> None:
        self._step("")
        self.durable_names = dict.fromkeys(self.files)
        self._lost.clear()

    def replace(self, name: str, data: bytes) -> None:
        """Temporary file, sync, rename, sync of the directory: old or new, and new once the last step is done."""
        self._step(name, data)
        if self.capacity is not None:
            others = sum(len(content) for other, content in self.files.items() if other != name)
            if others + len(data) > self.capacity:
                raise StorageError(f"{name}: No space left on device", Cause.FULL)
        old = bytes(self.files[name]) if name in self.files else None
        self.files[name] = bytearray(data)
        self.synced[name] = len(data)
        self._replaced = (name, old)
        self._step(name)
        self._replaced = None
        self.durable_names[name] = None
        self.bytes_written += len(data)

    _replaced: tuple[str, bytes | None] | None = None

    def rename(self, name: str, other: str) -> None:
        self._step(name)
        self.files[other] = self.files.pop(name)
        self.synced[other] = self.synced.pop(name)
        self.durable_names[other] = None

    def list(self) -> list[str]:
        return sorted(self.files)

    def read(self, name: str, offset: int, size: int) -> bytes:
        return bytes(self.files[name][offset : offset + size])

    def size(self, name: str) -> int:
        return len(self.files.get(name, b""))

    def remove(self, name: str) -> None:
        self._step(name)
        content = self.files.pop(name, None)
        if content is not None:
            self._lost[name] = bytes(content[: self.synced.pop(name)])
        self.durable_names.pop(name, None)

    def truncate(self, name: str, size: int) -> None:
        self._step(name)
        del self.files[name][size:]
        self.synced[name] = min(self.synced[name], size)

    def free_bytes(self) -> int:
        return 1 << 30

    # Cuts -------------------------------------------------------------------------------------------------------

    def _step(self, name: str, data: bytes = b"") -> None:
        self.operations += 1
        if self.fail_at is not None and self.operations == self.fail_at:
            raise StorageError(f"{name}: failed", self.cause)
        if self.cut_at is not None and self.operations == self.cut_at:
            self.torn = (name, data)
            raise PowerCut

    torn: tuple[str, bytes] = ("", b"")

    def survivors(self, rng: random.Random) -> Iterator["Disk"]:
        """Every kind of disk that may be found after the cut."""
        name, data = self.torn
        for kind in ("nothing", "all", "torn", "torn", "mixed", "undone"):
            after = Disk()
            for file, content in self.files.items():
                kept = bytes(content)
                if file == name and data and not self._replaced:
                    kept += data
                durable = self.synced[file]
                if kind == "nothing" or (kind == "mixed" and rng.random() < 0.5):
                    kept = kept[:durable]
                elif kind in ("torn", "mixed") and len(kept) > durable:
                    kept = kept[: rng.randint(durable, len(kept))]
                if kind in ("nothing", "undone") and file not in self.durable_names:
                    continue  # the directory never heard of it
                after._put(file, kept)
            if kind == "undone":
                for file, content in self._lost.items():
                    after._put(file, content)  # a removal that the directory has not kept
                if self._replaced and self._replaced[1] is not None:
                    after._put(*self._replaced)
            yield after

    def _put(self, name: str, content: bytes | None) -> None:
        self.files[name] = bytearray(content or b"")
        self.synced[name] = len(self.files[name])
        self.durable_names[name] = None
