"""What came of each command, by its id: kept over restarts, replayed for a repeated id, so that nothing is done twice.

A command is *begun* on the disk before the device is asked: power that fails in between leaves an id without a result,
and the next start answers for it that its outcome is unknown. It is never carried out again.
"""

from pathlib import Path
from typing import Any

import msgspec

from edge.gateway.durable import append_line, cut_torn_line, decode_kept, replace_file

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
        self._is_open = False

    def open(self) -> list[Kept]:
        """Read what is kept; return those that were begun and never ended. A torn or damaged line is passed over.

        Raises `ResultsError` when the disk does not give it; then nothing is begun until it does at another start.
        """
        try:
            cut_torn_line(self._path)
            lines = self._path.read_bytes().split(b"\n") if self._path.exists() else []
        except OSError as error:
            raise ResultsError(f"{self._path}: {error.strerror}") from error
        for line in lines:
            kept = decode_kept(line, Kept)
            if kept is not None:
                self._remember(kept)
        self._is_open = True
        self._compact()
        return [kept for kept in self._kept.values() if kept.result is None]

    def find(self, command_id: str) -> Kept | None:
        """What is known of an id."""
        return self._kept.get(command_id)

    def begin(self, command_id: str, payload_sha256: str, now_ms: int) -> None:
        """Note durably that a command is about to be carried out. Raises `ResultsError`."""
        if not self._is_open:
            raise ResultsError(f"{self._path}: what was done before could not be read")
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
        """Write what is kept anew, in one step: the old file stands until the new one is whole on the disk.

        A disk that has no room for it keeps the old one, which says the same; the next line tries again.
        """
        newest = max((kept.begun_ms for kept in self._kept.values()), default=0)
        self._kept = {i: kept for i, kept in self._kept.items() if newest - kept.begun_ms <= MAX_AGE_MS}
        try:
            replace_file(self._path, b"".join(msgspec.json.encode(kept) + b"\n" for kept in self._kept.values()))
        except OSError:
            self._lines = _COMPACT_AT_LINES
        else:
            self._lines = len(self._kept)
