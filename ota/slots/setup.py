"""The first image of a new device: the slot `a`, its key, its record."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import msgspec

from ota.errors import RefusedError, Rule
from ota.installers.installer import Installer
from ota.slots.record import Record, RecordStore, make_key, read_key
from ota.slots.trailer import Mark, Trailer
from ota.storage import Storage
from ota.targets import Path

FOLDERS = ("slots", "fetch", "reports", "secondaries", "trust")
"""There from the beginning: what is written into a folder that may itself be lost is not durable."""


def set_up(
    storage: Storage,
    new_key: Callable[[], bytes],
    *,
    lock: Callable[[], AbstractContextManager[object]],
    installer_of: Callable[[bytes], Installer],
    trailer: Trailer,
    pieces: Iterable[bytes],
) -> None:
    """Bring a verified image into slot `a` and confirm it; cut and done again it comes out the same.

    new_key: 32 bytes of the system's own randomness. Raises `RefusedError` where the device is set up already, and
    `StorageError`.
    """
    try:
        msgspec.convert(trailer.target, Path)
    except msgspec.ValidationError as error:
        reason = "no image has such a name; one is rsu/gateway/1.0.0.tar"
        raise RefusedError(Rule.FORMAT, trailer.target, reason) from error
    kept = read_key(storage)
    if kept is not None and RecordStore(storage, kept, lock).read() is not None:
        raise RefusedError(Rule.STORAGE, "state-a", "this device has slots already")
    for folder in FOLDERS:
        storage.make_folder(folder)
    storage.sync_folder("")
    key = new_key() if kept is None else kept
    make_key(storage, key)  # a cut may have left one of the two
    installer = installer_of(key)
    installer.erase("a")
    installer.write("a", trailer, pieces)
    installer.seal("a", trailer)
    installer.mark("a", Mark(sha256=trailer.sha256, sequence=0))
    RecordStore(storage, key, lock).write(Record(confirmed="a"))
