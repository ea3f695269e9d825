"""The local audit log: who asked for what and what came of it, each line chained to the one before by its hash.

A line is JSON: `n` (count from 1), `time` (ms UTC as believed then), `time_quality`, `uptime` (ms), `what`, the facts,
and `chain`: SHA-256 over the previous line's `chain` and this line without it. Changing, dropping or reordering a line
breaks the chain at that place; `verify_audit` names the first broken line. Whoever holds the box's root could rewrite
the whole chain: the copy of its head in each command's result, which leaves the box, is what stops that.

Files have a ceiling; the oldest is let go when the newest is full, and the chain goes on over the change.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge.gateway.durable import append_line, cut_torn_line, decode_kept

MAX_FILE_BYTES = 1_000_000
KEPT_FILES = 4
MAX_LINE_BYTES = 16_384
_FIRST_CHAIN = "0" * 64


class AuditError(Exception):
    """The chain does not hold, or the log cannot be read or written."""


class AuditLog:
    """Appends lines, each on the disk before the call returns."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        self._chain = _FIRST_CHAIN

    @property
    def head(self) -> str:
        """The chain's newest hash."""
        return self._chain

    def open(self) -> None:
        """Go on after the last whole line; a torn one, from a power cut, is cut off. Raises `AuditError`.

        A damaged line is gone on after, too: it stays for `verify_audit` to name, and is no reason to stay down.
        """
        try:
            self._open()
        except OSError as error:
            raise AuditError(f"{self._directory}: {error.strerror}") from error

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        cut_torn_line(self._directory / "audit.jsonl")
        for _path, _number, raw in _raw_lines(self._directory):
            kept = decode_kept(raw, _Link)
            if kept is not None:
                self._count, self._chain = kept.n, kept.chain

    def write(self, what: str, *, time_ms: int, time_quality: str, uptime_ms: int, **facts: Any) -> str:
        """Append one line durably and return the chain's new head. Raises `AuditError`."""
        body = {"n": self._count + 1, "time": time_ms, "time_quality": time_quality, "uptime": uptime_ms, "what": what}
        body |= facts
        chain = _link(self._chain, body)
        line = msgspec.json.encode(body | {"chain": chain}) + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise AuditError(f"an audit line of {len(line)} bytes is above the ceiling of {MAX_LINE_BYTES}")
        newest = self._directory / "audit.jsonl"
        try:
            if newest.exists() and newest.stat().st_size + len(line) > MAX_FILE_BYTES:
                self._turn_over()
            append_line(newest, line)
        except OSError as error:
            raise AuditError(f"{newest}: {error.strerror}") from error
        self._count += 1
        self._chain = chain
        return chain

    def _turn_over(self) -> None:
        for number in range(KEPT_FILES - 1, 0, -1):
            older = self._directory / f"audit.{number}.jsonl"
            if older.exists():
                older.replace(self._directory / f"audit.{number + 1}.jsonl")
        (self._directory / "audit.jsonl").replace(self._directory / "audit.1.jsonl")
        (self._directory / f"audit.{KEPT_FILES}.jsonl").unlink(missing_ok=True)


def verify_audit(directory: Path) -> tuple[int, str]:
    """Check the chain that is kept; return the number of lines and the head. Raises `AuditError` naming the line."""
    count, chain, expected = 0, "", 0
    for path, number, line in _lines(directory):
        claimed = line.pop("chain", None)
        if count == 0:
            # The oldest file kept begins in mid-chain; its first line anchors what follows.
            chain, expected = str(claimed), int(line.get("n", 0))
            if expected == 1 and claimed != _link(_FIRST_CHAIN, line):
                raise AuditError(f"{path.name}:{number}: the chain is broken here")
        else:
            expected += 1
            if line.get("n") != expected or claimed != _link(chain, line):
                raise AuditError(f"{path.name}:{number}: the chain is broken here")
            chain = str(claimed)
        count += 1
    return count, chain or _FIRST_CHAIN


def _link(previous: str, body: dict[str, Any]) -> str:
    return hashlib.sha256(previous.encode() + msgspec.json.encode(body, order="sorted")).hexdigest()


class _Link(msgspec.Struct):
    """What the next line needs of a line."""

    n: int
    chain: str


def _lines(directory: Path) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    for path, number, raw in _raw_lines(directory):
        line = decode_kept(raw, dict[str, Any])
        if line is None:
            raise AuditError(f"{path.name}:{number}: not an audit line")
        yield path, number, line


def _raw_lines(directory: Path) -> Iterator[tuple[Path, int, bytes]]:
    older = [directory / f"audit.{number}.jsonl" for number in range(KEPT_FILES - 1, 0, -1)]
    for path in (*older, directory / "audit.jsonl"):
        if not path.exists():
            continue
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                yield path, number, raw
