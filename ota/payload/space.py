"""Whether an update fits on the disk: asked before a byte of it is fetched, and what the disk has answered before.

    fetch/no-space    [length of an image, what was available] when the disk took no more, whatever it had said before

Available is what is free, with what the slot that is written to gives up, and what of the update is here already.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ota.errors import RefusedError, Rule, StorageError
from ota.payload.choice import Way
from ota.storage import Storage, make_durable, replace, with_check, without_check
from ota.targets import Target

MARGIN_BYTES = 4 << 20
"""Left free: logs and the journal go on while an update is written."""
NO_SPACE = "fetch/no-space"


class Room(NamedTuple):
    """What an image takes where it goes to, and what that place gives up for it first."""

    needed: int
    freed: int


class Space:
    """The disk, for one process. room: of the place that a target goes to."""

    def __init__(self, storage: Storage, room: Callable[[Target], Room]) -> None:
        self._storage = storage
        self._room = room

    def check(self, target: Target, way: Way, *, missing_bytes: int) -> None:
        """Whether the rest of the blob, what is made of it, and a margin fit. Raises `RefusedError` (space).

        A disk that was full before with an image of this length must have a margin more by now.
        """
        room, free = self._room(target), self._storage.free_bytes()
        needed = missing_bytes + max(0, room.needed - room.freed) + MARGIN_BYTES
        if needed > free:
            kind = "delta" if way.is_delta else "image"
            reason = f"{needed:,} bytes are needed ({kind} and slot), {free:,} are free"
            raise RefusedError(Rule.SPACE, target.path, reason)
        full = self._was_full()
        if full is None:
            return
        length, had = full
        missing = had + MARGIN_BYTES - self._available(target, way, missing_bytes)
        if target.length >= length and missing > 0:
            reason = f"the disk was full with an image of {length:,} bytes; {missing:,} bytes more must be free"
            raise RefusedError(Rule.SPACE, target.path, reason)
        self._storage.remove(NO_SPACE)

    def was_full(self, target: Target, way: Way, *, missing_bytes: int) -> None:
        """It took no more of a target. A disk that does not take this note either is asked again."""
        said = [target.length, self._available(target, way, missing_bytes)]
        with suppress(StorageError):
            make_durable(self._storage, "fetch")
            replace(self._storage, NO_SPACE, with_check(json.dumps(said).encode()))

    def _available(self, target: Target, way: Way, missing_bytes: int) -> int:
        here = 0 if way.blob is None else way.blob.length - missing_bytes
        return self._storage.free_bytes() + self._room(target).freed + here

    def _was_full(self) -> tuple[int, int] | None:
        with suppress(StorageError, ValueError):
            length, available = json.loads(without_check(self._storage.read(NO_SPACE, 0, 256)))
            return int(length), int(available)
        return None
