"""What came of each command, by its id: kept over restarts, replayed for a repeated id, so that nothing is done twice.

A command is *begun* on the disk before the device is asked: power that fails in between leaves an id without a result,
and the next start answers for it that its outcome is unknown. It is never carried out again.
"""

import contextlib
from pathlib import Path
from typing import Any

import msgspec

from edge.gateway.durable import append_line, replace_file

MAX_RESULTS = 1_000
MAX_AGE_MS = 7 * 86_400_000
_COMPACT_AT_LINES = 4 * MAX_RESULTS
MAX_LINE_BYTES = 65_536


class ResultsError(Exception):
    """The results cannot be read or written: then no command may be carried out."""


class Kept(msgspec.Struct, frozen=True):
    """One command and what came of it; `result` is None while it runs."""

    id: str
    payload_sha256: str
    """Tells a repeated command from another one that bears its id."""
    begun_ms: int
    result: dict[str, Any] | None = None


class Results:
    """At most `MAX_RESULTS` commands, the oldest forgotten first, none older than seven days."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, Kept] = {}
        self._lines = 0

    def open(self) -> list[Kept]:
        """Read what is kept; return those that were begun and never ended. A torn last line is passed over."""
        with contextlib.suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines():
                with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                    self._remember(msgspec.json.decode(line, type=Kept))
                self._lines += 1
        self._compact()
        return [kept for kept in self._kept.values() if kept.result is None]

    def find(self, command_id: str) -> Kept | None:
        """What is known of an id."""
        return self._kept.get(command_id)

    def begin(self, command_id: str, payload_sha256: str, now_ms: int) -> None:
        """Note durably that a command is about to be carried out. Raises `ResultsError`."""
        self._write(Kept(command_id, payload_sha256, now_ms))

    def end(self, command_id: str, result: dict[str, Any]) -> None:
        """Note durably what came of it. Raises `ResultsError`."""
        kept = self._kept[command_id]
        self._write(Kept(kept.id, kept.payload_sha256, kept.begun_ms, result))

    def _write(self, kept: Kept) -> None:
        line = msgspec.json.encode(kept) + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise ResultsError(f"a result of {len(line)} bytes is above the ceiling of {MAX_LINE_BYTES}")
        try:
            append_line(self._path, line)
        except OSError as error:
            raise ResultsError(f"{self._path}: {error.strerror}") from error
        self._remember(kept)
        self._lines += 1
        if self._lines > _COMPACT_AT_LINES:
            self._compact()

    def _remember(self, kept: Kept) -> None:
        self._kept.pop(kept.id, None)
        self._kept[kept.id] = kept
        while len(self._kept) > MAX_RESULTS:
            del self._kept[next(iter(self._kept))]

    def _compact(self) -> None:
        """Write what is kept anew, in one step: the old file stands until the new one is whole on the disk."""
        newest = max((kept.begun_ms for kept in self._kept.values()), default=0)
        self._kept = {i: kept for i, kept in self._kept.items() if newest - kept.begun_ms <= MAX_AGE_MS}
        try:
            replace_file(self._path, b"".join(msgspec.json.encode(kept) + b"\n" for kept in self._kept.values()))
        except OSError as error:
            raise ResultsError(f"{self._path}: {error.strerror}") from error
        self._lines = len(self._kept)
