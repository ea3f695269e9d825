"""What time it is at least: a box without a battery clock wakes in 1970, and a liar with a radio can say any hour.

The floor is the newest of the build, of what is signed (the built-in roots too), and of the last clock under which
fresh metadata held. Expiry is judged by the floor, or by the clock where it is synchronised and not below the floor.
A clock is confirmed only by metadata that has not expired under it, and no further than a day after that was signed:
one that was driven into the future, even while a stick's metadata held for months, can never shut the device out of
what a server signs next.
"""

from collections.abc import Callable
from typing import NamedTuple

CLOCK_STEP_S = 3600
"""A confirmed clock is written so often at most: flash wears."""

CONFIRMED_AHEAD_S = 86_400
"""The shortest that signed metadata holds. What is signed later has not ended within it."""

LATEST = 253_402_300_799
"""The end of the year 9999, when dates end too. A clock may say anything."""


class Now(NamedTuple):
    """The time that expiry is judged by, in seconds since 1970."""

    seconds: int
    is_synchronised: bool
    """Otherwise it is the floor: what expired after it cannot be told."""

    @property
    def remark(self) -> str:
        """For status and reports; empty where all is well."""
        return "" if self.is_synchronised else "time: unsynchronised"


class ClockFloor:
    """Judges the clock.

    build_time: when this program was built, where that is known: a release says no time, so that whoever builds it
    again finds the same bytes; when its metadata was signed is known instead.
    """

    def __init__(self, *, build_time: int = 0, clock: Callable[[], float], is_synchronised: Callable[[], bool]) -> None:
        self._build_time = build_time
        self._clock = clock
        self._is_synchronised = is_synchronised

    def judge(self, *seen: int) -> Now:
        """`seen`: times that it is certainly not before."""
        floor = max(self._build_time, *seen, 0)
        clock = min(int(self._clock()), LATEST)
        return Now(clock, True) if self._is_synchronised() and clock >= floor else Now(floor, False)


def confirmed(now: Now, last: int, signed_at: int) -> int:
    """The confirmed clock to keep after metadata has held under `now`. `signed_at`: of the newest of it."""
    seconds = min(now.seconds, signed_at + CONFIRMED_AHEAD_S)
    return seconds if now.is_synchronised and seconds >= last + CLOCK_STEP_S else last
