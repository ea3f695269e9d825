"""Tells a dead line from a quiet one. Pure: takes `now`.

Two signs, whichever comes first. The oldest QoS 1 publish of the window waits 20 s for its acknowledgement, counted
from when it became the oldest: on a slow line a full window may take longer, as long as it moves. Or nothing at all has
come for one and a half keep-alives, although a ping was sent after one: a line that is merely open looks alive for
hours otherwise.
"""

from enum import Enum

PUBACK_WITHIN_S = 20.0
DEAD_AFTER_KEEPALIVES = 1.5


class Sign(Enum):
    """What the line looks like."""

    FINE = "fine"
    PING_DUE = "ping due"
    UNACKNOWLEDGED = "unacknowledged"
    """Dead: a publish waits too long."""
    SILENT = "silent"
    """Dead: nothing comes."""


class LinkWatch:
    """Watches one connection."""

    def __init__(self, *, keepalive_s: float, now: float) -> None:
        self.keepalive_s = keepalive_s
        self._last_in = now
        self._last_out = now
        self._is_pinging = False
        self._head_since: float | None = None

    def heard(self, now: float) -> None:
        """Bytes came."""
        self._last_in = now
        self._is_pinging = False

    def sent(self, now: float) -> None:
        """Bytes went."""
        self._last_out = now

    def pinged(self, now: float) -> None:
        """A ping went; any byte answers it."""
        self._last_out = now
        self._is_pinging = True

    def head_changed(self, now: float | None) -> None:
        """Since when the oldest unacknowledged publish is the oldest; None: nothing waits."""
        self._head_since = now

    def look(self, now: float) -> Sign:
        """Judge the line."""
        if self._head_since is not None and now >= self._head_since + PUBACK_WITHIN_S:
            return Sign.UNACKNOWLEDGED
        if now >= self._last_in + DEAD_AFTER_KEEPALIVES * self.keepalive_s:
            return Sign.SILENT
        if not self._is_pinging and now >= min(self._last_in, self._last_out) + self.keepalive_s:
            return Sign.PING_DUE
        return Sign.FINE

    def next_deadline(self) -> float:
        """When to look again."""
        if self._is_pinging:
            at = self._last_in + DEAD_AFTER_KEEPALIVES * self.keepalive_s
        else:
            at = min(self._last_in, self._last_out) + self.keepalive_s
        return at if self._head_since is None else min(at, self._head_since + PUBACK_WITHIN_S)
