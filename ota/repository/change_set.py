"""What a step of the ceremony would do: in words and as files. A dry run shows it; `apply` does it, all or nothing."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Literal

import msgspec

from ota.errors import RefusedError, Rule, StorageError
from ota.storage import FRESH, Storage, parent
from ota.text import _

Action = Literal[
    "new version", "add key", "remove key", "delegate", "add image", "remove image", "change image", "add blob", "sign",
    "put plan", "copy",
]  # fmt: skip

_WORDS: dict[Action, Callable[[], str]] = {
    "new version": lambda: _("{file}: a new version: {subject}"),
    "add key": lambda: _("{file}: lets sign: {subject}"),
    "remove key": lambda: _("{file}: lets sign no more: {subject}"),
    "delegate": lambda: _("{file}: a product family: {subject}"),
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
    moves: dict[str, str] = {}
    """Old name to new name; done before a file of `files` appears."""
    replaced: set[str] = set()
    last: list[str] = []
    """Files that make the rest known; they appear after all others are sure."""
    removed: list[str] = []
    """At the very end; what is not there is no error."""
    facts: dict[str, Any] = {}
    """For programs, beside the changes."""
    is_served: bool = False
    """A web server reads it: modes are for everybody."""

    def say(self, action: Action, file: str, subject: str) -> None:
        """Note a change."""
        self.changes.append(Change(action, file, subject))

    def add(self, other: "ChangeSet") -> None:
        """Do what another does too, in the same breath."""
        self.changes += other.changes
        self.files.update(other.files)
        self.moves.update(other.moves)
        self.replaced |= other.replaced
        self.last += other.last
        self.removed += other.removed

    def apply(self, storage: Storage) -> None:
        """Do it. Raises `RefusedError` and `StorageError`; then nothing of it is there, nor half of it known."""
        wanted = self._missing(storage)
        places = [*wanted, *self.moves.values()]
        made: list[str] = []
        try:
            for name in places:
                self._make_folders(storage, parent(name), made)
            for name in wanted:
                self._write_fresh(storage, name)
        except StorageError:
            with suppress(StorageError):  # the first reason is the one to tell
                for name in wanted:
                    storage.remove(name + FRESH)
                for folder in reversed(made):
                    storage.remove(folder)
            raise
        self._put(storage, wanted)
        for folder in _with_parents({parent(name) for name in places}):
            storage.sync_folder(folder)
        for name in self.last:
            if name in wanted:
                storage.rename(name + FRESH, name)
                storage.sync_folder(parent(name))
        for name in self.removed:
            storage.remove(name)

    def _write_fresh(self, storage: Storage, name: str) -> None:
        fresh = name + FRESH
        storage.truncate(fresh, 0)
        storage.write(fresh, 0, self.files[name])
        storage.set_mode(fresh, 0o644 if self.is_served else 0o600)
        storage.sync(fresh)

    def _put(self, storage: Storage, wanted: list[str]) -> None:
        for old, new in self.moves.items():
            if storage.size(old) >= 0:
                if self.is_served:
                    storage.set_mode(old, 0o644)
                storage.rename(old, new)
        for name in wanted:
            if name not in self.last:
                storage.rename(name + FRESH, name)

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

    def _make_folders(self, storage: Storage, folder: str, made: list[str]) -> None:
        if not folder or storage.size(folder) >= 0:
            return
        self._make_folders(storage, parent(folder), made)
        storage.make_folder(folder)
        made.append(folder)
        if self.is_served:
            storage.set_mode(folder, 0o755)


def _with_parents(folders: Iterable[str]) -> list[str]:
    found = set(folders)
    for folder in folders:
        while folder := parent(folder):  # upwards
            found.add(folder)
    return sorted(found | {""}, reverse=True)
