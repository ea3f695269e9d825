"""The installer of a `release-dir`: two folders of the agent itself, on any Linux box.

    slots/{a|b}/image.tar  tree/  trailer  confirmed      see `ota.installers.tree` and `ota.slots.trailer`

The trailer is written last and erased first: whatever the power leaves of the rest is never started.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from ota.errors import Cause, RefusedError, Rule, StorageError
from ota.installers.tree import (
    entries,
    image_fault,
    image_of,
    is_tree,
    manifest_of,
    tree_fault,
    tree_of,
    unpack,
    unpacked_sha256,
)
from ota.payload.choice import Held
from ota.payload.space import Room
from ota.slots.sealed import UnsealedError
from ota.slots.trailer import Mark, Trailer, erase_trailer, read_trailer, write_mark, write_trailer
from ota.storage import Storage, remove_all, size_of_all


class ReleaseDir:
    """See `ota.installers.installer.Installer`."""

    def __init__(self, storage: Storage, key: bytes) -> None:
        self._storage = storage
        self._key = key
        self._has_image: dict[str, bool] = {}
        """Slot -> whether its image is right; looked at once."""

    def trailer(self, slot: str) -> Trailer | None:
        """See `Installer`."""
        try:
            return read_trailer(self._storage, slot, self._key)
        except (UnsealedError, StorageError):
            return None

    def held(self, slot: str) -> Held | None:
        """See `Installer`."""
        trailer = self.trailer(slot)
        if trailer is None:
            return None
        if slot not in self._has_image:
            self._has_image[slot] = not image_fault(self._storage, slot, trailer.sha256, trailer.length)
        if not self._has_image[slot]:
            return None
        image = image_of(slot)
        return Held(trailer.sha256, trailer.length, lambda offset, size: self._storage.read(image, offset, size))

    def room(self, slot: str, length: int) -> Room:
        """See `Installer`: the image, and a tree of about its size."""
        return Room(2 * length, max(0, self._storage.size(image_of(slot))) + size_of_all(self._storage, tree_of(slot)))

    def erase(self, slot: str) -> None:
        """See `Installer`."""
        self._has_image.pop(slot, None)
        self._make_slot(slot)
        erase_trailer(self._storage, slot)

    def write(self, slot: str, trailer: Trailer, pieces: Iterable[bytes]) -> None:
        """See `Installer`. The old image makes room first, and a new one that does not fit makes room again."""
        assert self.trailer(slot) is None, "a slot that may be started is not written to"
        self._make_slot(slot)
        try:
            self._write(slot, trailer, pieces)
        except StorageError as error:
            if error.cause is Cause.FULL:  # the record must still say so
                self._clear(slot)
            raise

    def seal(self, slot: str, trailer: Trailer) -> None:
        """See `Installer`."""
        tree = unpacked_sha256(self._storage, slot, trailer.sha256, trailer.length)
        write_trailer(self._storage, slot, replace(trailer, tree_sha256=tree), self._key)

    def fault(self, slot: str) -> str:
        """See `Installer`."""
        try:
            trailer = read_trailer(self._storage, slot, self._key)
        except (UnsealedError, StorageError) as error:
            return f"slots/{slot}/trailer: {error}"
        return image_fault(self._storage, slot, trailer.sha256, trailer.length) or tree_fault(self._storage, slot)

    def start_fault(self, slot: str) -> str:
        """See `Installer`: its tree is enough, as it is for the launcher."""
        fault, trailer = self.fault(slot), self.trailer(slot)
        is_enough = fault and trailer is not None and is_tree(self._storage, slot, trailer.tree_sha256)
        return "" if is_enough else fault

    def mark(self, slot: str, mark: Mark) -> None:
        """See `Installer`."""
        write_mark(self._storage, slot, mark, self._key)

    def _write(self, slot: str, trailer: Trailer, pieces: Iterable[bytes]) -> None:
        image = image_of(slot)
        self._clear(slot)
        hasher = hashlib.sha256()
        length = 0
        for piece in pieces:
            self._storage.write(image, length, piece)
            hasher.update(piece)
            length += len(piece)
        if (length, hasher.hexdigest()) != (trailer.length, trailer.sha256):
            raise RefusedError(Rule.HASH, trailer.target, f"{length:,} bytes came that are not this image")
        self._storage.sync(image)
        manifest = manifest_of(self._storage, image, entries(self._storage, image))
        says, wanted = (manifest.version, manifest.counter), (trailer.version, trailer.counter)
        if says != wanted:
            reason = f"it says that it is {says[0]} ({says[1]}), the metadata {wanted[0]} ({wanted[1]})"
            raise RefusedError(Rule.FORMAT, trailer.target, reason)
        unpack(self._storage, slot)

    def _clear(self, slot: str) -> None:
        remove_all(self._storage, tree_of(slot))
        self._storage.truncate(image_of(slot), 0)

    def _make_slot(self, slot: str) -> None:
        for folder in ("slots", f"slots/{slot}"):
            self._storage.make_folder(folder)
        self._storage.sync_folder("slots")
        self._storage.sync_folder("")
