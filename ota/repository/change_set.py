"""What a step of the ceremony would do: in words and as files. A dry run shows it; `apply` does it, all or nothing."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Literal

import msgspec

from ota.errors import RefusedError, Rule, StorageError
from ota.storage import FRESH, Storage, parent
from ota.text import _

Action = Literal[
    "new version", "add key", "remove key", "threshold", "delegate", "remove family",
    "add image", "remove image", "change image", "add blob", "sign", "put plan", "copy",
]  # fmt: skip

_WORDS: dict[Action, Callable[[], str]] = {
    "new version": lambda: _("{file}: a new version: {subject}"),
    "add key": lambda: _("{file}: lets sign: {subject}"),
    "remove key": lambda: _("{file}: lets sign no more: {subject}"),
    "threshold": lambda: _("{file}: signatures that must come: {subject}"),
    "delegate": lambda: _("{file}: a product family: {subject}"),
    "remove family": lambda: _("{file}: a product family no more: {subject}"),
    "add image": lambda: _("{file}: a new image: {subject}"),
    "remove image": lambda: _("{file}: lists no more: {subject}"),
    "change image": lambda: _("{file}: says otherwise of: {subject}"),
    "add blob": lambda: _("{file}: to be fetched: {subject}"),
    "sign": lambda: _("{file}: a signature: {subject}"),
    "put plan": lambda: _("{file}: a plan: {subject}"),
    "copy": lambda: _("{file}: copied: {subject}"),
}


class Change(msgspec.Struct, frozen=True):
    """One thing that changes."""

    action: Action
    file: str
    subject: str

    def words(self) -> str:
        """For a person."""
        return _WORDS[self.action]().format(file=self.file, subject=self.subject)


class ChangeSet(msgspec.Struct, kw_only=True):
    """Everything that one step changes. Names are relative to the storage that `apply` is given."""

    changes: list[Change] = []
    files: dict[str, bytes] = {}
    """To write, in this order; a file that is there with other bytes is never replaced, but those of `replaced`."""
    replaced: set[str] = set()
    last: list[str] = []
    """Files that make the rest known; they appear after all others are sure."""
    removed: list[str] = []
    """At the very end; what is not there is no error."""
    facts: dict[str, Any] = {}
    """For programs, beside the changes."""
    is_served: bool = False
    """A web server reads it: everybody may."""

    def say(self, action: Action, file: str, subject: str) -> None:
        """Note a change."""
        self.changes.append(Change(action, file, subject))

    def add(self, other: "ChangeSet") -> None:
        """Do what another does too, in the same breath."""
        self.changes += other.changes
        self.files.update(other.files)
        self.replaced |= other.replaced
        self.last += other.last
        self.removed += other.removed

    def apply(self, storage: Storage) -> None:
        """Do it. Raises `RefusedError` and `StorageError`; then nothing of it is there, nor half of it known."""
        wanted = self._missing(storage)
        self._write_all_fresh(storage, wanted)
        for name in wanted:
            if name not in self.last:
                storage.rename(name + FRESH, name)
        for folder in _with_parents({parent(name) for name in wanted}):
            storage.sync_folder(folder)
        for name in wanted:
            if name in self.last:
                storage.rename(name + FRESH, name)
                storage.sync_folder(parent(name))
        for name in self.removed:
            storage.remove(name)

    def _write_all_fresh(self, storage: Storage, wanted: list[str]) -> None:
        folders = _Folders(storage)
        try:
            for name in wanted:
                folders.make(parent(name))
                self._write_fresh(storage, name)
        except StorageError:
            with suppress(StorageError):  # the first reason is the one to tell
                for name in wanted:
                    storage.remove(name + FRESH)
                for folder in reversed(folders.made):
                    storage.remove(folder)
            raise

    def _write_fresh(self, storage: Storage, name: str) -> None:
        fresh = name + FRESH
        storage.truncate(fresh, 0)
        storage.write(fresh, 0, self.files[name])
        storage.set_mode(fresh, 0o644 if self.is_served else 0o600)
        storage.sync(fresh)

    def _missing(self, storage: Storage) -> list[str]:
        missing = []
        for name, data in self.files.items():
            if storage.size(name) >= 0:
                if storage.read(name) == data:
                    continue
                if name not in self.replaced:
                    raise RefusedError(Rule.STORAGE, name, "it exists with other content, and is not replaced")
            missing.append(name)
        return missing


class _Folders:
    """Makes folders that are not there, and remembers which; looks into each only once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._there: dict[str, set[str]] = {}
        self.made: list[str] = []

    def make(self, folder: str) -> None:
        """Make it, and those above it."""
        if not folder:
            return
        above = parent(folder)
        if above not in self._there:
            self.make(above)
            self._there[above] = set(self._storage.list(above))
        name = f"{folder.rpartition('/')[2]}/"
        if name not in self._there[above]:
            self._storage.make_folder(folder)
            self._there[above].add(name)
            self.made.append(folder)


def _with_parents(folders: Iterable[str]) -> list[str]:
    found = set(folders)
    for folder in folders:
        while folder := parent(folder):  # upwards
            found.add(folder)
    return sorted(found | {""}, reverse=True)
