"""The store's folder besides its lanes: the lock, the count of starts, and the ballast that a full disk gives back."""

import fcntl
import os
from pathlib import Path

import msgspec

from edge.store.errors import Cause, StorageError, StoreLockedError
from edge.store.medium import Medium

BALLAST = "ballast"
BALLAST_BYTES = 64 << 10
"""Room for the largest position file there is, and no more than the smallest segment that is given up."""
_BOOT = "boot.json"


class _Boot(msgspec.Struct):
    boot: int


def take_lock(folder: Path) -> int:
    """Lock the folder until the descriptor is closed. Raises `StoreLockedError`, `StorageError`."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{folder / 'lock'}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreLockedError(f"{folder}: another gateway holds this data folder") from error
    return lock


def count_boot(root: Medium, ballast: "Ballast") -> int:
    """Count this start. A damaged count begins again; on a full disk the count is kept from the next start on."""
    try:
        boot = msgspec.json.decode(root.read(_BOOT, 0, 1000), type=_Boot).boot + 1 if root.size(_BOOT) else 1
    except (msgspec.DecodeError, UnicodeDecodeError):
        boot = 1
    content = msgspec.json.encode(_Boot(boot))
    try:
        root.replace(_BOOT, content)
    except StorageError as error:
        if error.cause is not Cause.FULL:
            raise
        ballast.give()
        _try_replace(root, content)
    return boot


def _try_replace(root: Medium, content: bytes) -> None:
    try:
        root.replace(_BOOT, content)
    except StorageError as error:
        if error.cause is not Cause.FULL:
            raise


class Ballast:
    """A file that is given back when the disk is full, so that what is evicted can still be written down.

    It is laid again from what that frees, before new records take it all: else the next full disk could evict nothing.
    """

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self.is_out = True

    def lay(self) -> None:
        """Put it down, as much of it as there is room for."""
        medium = self._medium
        try:
            missing = BALLAST_BYTES - medium.size(BALLAST)
            if missing > 0:
                medium.append(BALLAST, bytes(missing))
            self.is_out = False
        except StorageError:
            self.is_out = True  # what there is of it stays; the rest follows when there is room
        medium.end(BALLAST)

    def give(self) -> None:
        """Give its space back. Raises `StorageError`."""
        self.is_out = True
        self._medium.remove(BALLAST)
