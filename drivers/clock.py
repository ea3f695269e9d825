"""Monotonic time as drivers see it. Wall time belongs to `edge`."""

from typing import Protocol


class Clock(Protocol):
    """Hands out monotonic seconds on the scale of the event loop's own clock."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never steps, goes on over a change of the wall clock."""
