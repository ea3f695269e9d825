"""The audit trail of updates, and what `wayside ota status` reads: both in words, neither believed by anything.

audit.jsonl       one line for each thing that was done or refused; 256 KB, then it begins anew beside `audit.old`
status.json       the last look at the repositories, what it said, and when the next is due
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import msgspec

from ota.agent.kept import read_kept
from ota.errors import OtaError, RefusedError, StorageError
from ota.storage import Storage, replace

AUDIT, OLD_AUDIT, STATUS = "audit.jsonl", "audit.old.jsonl", "status.json"
MAX_AUDIT_BYTES = 256 * 1024
_MAX_STATUS_BYTES = 64 * 1024
Instant = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to where dates end."""


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`status.json`."""

    asked_at: Instant = 0
    """Seconds since 1970: when the repositories were asked last."""
    answered_at: Instant = 0
    """And when they were asked with success."""
    refusal: str = ""
    """What the last look was refused for, in a line."""
    rule: str = ""
    remark: str = ""
    """`time: unsynchronised`, a damaged file that was replaced."""
    state: str = ""
    """The state that was noted last in the trail."""
    waits_for: str = ""
    """What an update that is under way waits for."""
    next_at: Instant = 0
    way: str = ""
    """How the image comes, or came: same, delta, full."""
    done_bytes: int = 0
    all_bytes: int = 0


class Audit:
    """Appends lines. A disk that does not take one loses it and nothing else."""

    def __init__(self, storage: Storage, wall_s: Callable[[], float]) -> None:
        self._storage = storage
        self._wall_s = wall_s
        self._last = ""

    def note(self, what: str, **facts: Any) -> None:
        """One line; the same as the last is not repeated."""
        line = msgspec.json.encode({"what": what, **facts})
        if line.decode() == self._last:
            return
        with suppress(StorageError):
            size = max(0, self._storage.size(AUDIT))
            if size > MAX_AUDIT_BYTES:
                self._storage.rename(AUDIT, OLD_AUDIT)
                self._storage.sync_folder("")  # before another may take its place
                size = 0
            stamped = msgspec.json.encode({"time": int(self._wall_s()), "what": what, **facts})
            self._storage.write(AUDIT, size, b"\n" * self._is_torn(size) + stamped + b"\n")
            self._storage.sync(AUDIT)  # what is noted once, as a refusal is, nobody says again
            if size == 0:
                self._storage.sync_folder("")
            self._last = line.decode()

    def _is_torn(self, size: int) -> bool:
        """Whether a cut has left a part of a line at the end: another one begins behind it."""
        try:
            return size > 0 and self._storage.read(AUDIT, size - 1, 1) != b"\n"
        except StorageError:
            return True

    def refused(self, error: OtaError) -> None:
        """A refusal, with the rule that it rests on."""
        if isinstance(error, RefusedError):
            self.note("refused", rule=error.rule.value, of=error.what, reason=error.reason)
        else:
            self.note("trouble", reason=str(error))


def read_seen(storage: Storage) -> Seen:
    """The last look; an empty one where it is lost."""
    return read_kept(storage, STATUS, Seen, _MAX_STATUS_BYTES) or Seen()


def write_seen(storage: Storage, seen: Seen) -> None:
    """Raises `StorageError`."""
    if seen != read_seen(storage):
        replace(storage, STATUS, msgspec.json.encode(seen))
