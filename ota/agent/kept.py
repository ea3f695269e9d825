"""Small files of the agent's own. What a disk has made of one is never a reason to stay down: it is begun anew."""

from contextlib import suppress
from typing import TypeVar

import msgspec

from ota.errors import StorageError
from ota.storage import Storage

T = TypeVar("T")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading JSON raises that a bad sector has touched."""


def read_kept(storage: Storage, name: str, kind: type[T], max_bytes: int) -> T | None:
    """What a file says; None where it is lost or damaged."""
    with suppress(StorageError, *UNREADABLE):
        return msgspec.json.decode(storage.read(name, 0, max_bytes), type=kind)
    return None
