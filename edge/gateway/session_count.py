"""The count of connections over all starts: what tells the will of an old connection from the state of a newer one.

No number is given out twice. Within one start that needs no disk; over a restart the file has it, and a full disk,
which takes no new file, still takes a few bytes over those of the old one. A damaged file would let the count begin
again, and a will or an answer of long ago be taken for today's: so it goes on from the seconds of the clock.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from drivers.text import _
from edge.gateway.durable import decode_kept, encode_kept, replace_file, write_over

log = logging.getLogger(__name__)

WIDTH = 40
"""Characters of every number, in front of it blanks: one written over another leaves nothing of it."""


class SessionCount:
    """Kept in `file`. wall_ms: UTC, where a count begins that the disk has damaged, above all that went before."""

    def __init__(self, file: Path, wall_ms: Callable[[], int]) -> None:
        self._file = file
        self._wall_ms = wall_ms
        self._last = 0
        self._has_said = False

    def next(self) -> int:
        """The number of a new connection. Never fails: a disk that refuses is no reason to be offline."""
        self._last = max(self._last, self._kept()) + 1
        try:
            self._keep(encode_kept(self._last).rjust(WIDTH))
        except OSError as error:
            if not self._has_said:
                text = _("the count of connections cannot be kept: %s: %s; it goes on in memory")
                log.warning(text, self._file, error.strerror)
            self._has_said = True
        else:
            self._has_said = False
        return self._last

    def _kept(self) -> int:
        try:
            kept = decode_kept(self._file.read_bytes(), int, needs_checksum=True)
        except OSError:
            return 0
        return self._wall_ms() // 1000 if kept is None or kept < 0 else kept

    def _keep(self, data: bytes) -> None:
        try:
            replace_file(self._file, data)
        except OSError:
            if not self._file.exists():
                raise
            write_over(self._file, data)
