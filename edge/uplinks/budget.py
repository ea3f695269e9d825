"""What records may cost a day on a metered line: a token bucket of bytes. Pure: takes `now`.

The bucket fills evenly and holds one day at most, so that a quiet day is not lost and an outage's backlog has something
to draw on. It starts with an hour's share: a box that restarts often gets no fresh day each time. It may go below
nothing by the last message, which is then paid back first.
"""

DAY_S = 86_400.0
HOUR_S = 3_600.0


class Budget:
    """Bytes a day; None: no limit."""

    def __init__(self, bytes_per_day: float | None, *, now: float) -> None:
        self._bytes_per_s = None if bytes_per_day is None else bytes_per_day / DAY_S
        self._left = 0.0 if bytes_per_day is None else bytes_per_day * HOUR_S / DAY_S
        self._filled_at = now

    def has_some(self, now: float) -> bool:
        """Whether another message may go."""
        if self._bytes_per_s is None:
            return True
        self._fill(now, self._bytes_per_s)
        return self._left > 0

    def spend(self, count: int) -> None:
        """So many bytes have gone."""
        if self._bytes_per_s is not None:
            self._left -= count

    def ready_at(self, now: float) -> float | None:
        """When `has_some` will be true again; None while it is."""
        if self._bytes_per_s is None or self.has_some(now):
            return None
        return now + (1 - self._left) / self._bytes_per_s

    def left_bytes(self, now: float) -> int | None:
        """What is left, for people; None where there is no limit."""
        if self._bytes_per_s is None:
            return None
        self._fill(now, self._bytes_per_s)
        return int(self._left)

    def _fill(self, now: float, bytes_per_s: float) -> None:
        self._left = min(self._left + (now - self._filled_at) * bytes_per_s, bytes_per_s * DAY_S)
        self._filled_at = now
