"""The store's folder besides its lanes: the lock, the count of starts, and the ballast that a full disk gives back."""

import fcntl
import os
from pathlib import Path

import msgspec

from edge.store.errors import Cause, StorageError, StoreLockedError
from edge.store.medium import Medium

BALLAST = "ballast"
BALLAST_BYTES = 256 << 10
ROOM_FOR_BALLAST_BYTES = 4 << 20
"""With less free space than this the ballast stays out: it would only take the last bytes."""
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
    """A file that is given back when the disk is full, so that what is evicted can still be written down."""

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self.is_out = True

    def lay(self) -> None:
        """Put it down where there is ample room."""
        medium = self._medium
        missing = BALLAST_BYTES - medium.size(BALLAST)
        try:
            if missing > 0:
                if medium.free_bytes() < ROOM_FOR_BALLAST_BYTES:
                    return
                medium.append(BALLAST, bytes(missing))
                medium.end(BALLAST)
            self.is_out = False
        except StorageError:
            self.give()  # the disk is full already: it is laid when there is room again

    def give(self) -> None:
        """Give its space back. Raises `StorageError`."""
        self.is_out = True
        self._medium.remove(BALLAST)
