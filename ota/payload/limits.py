"""What a download may cost: bytes and attempts a day, and a speed.

The day's account is on the disk before the bytes are asked for, in steps, so that no row of power cuts buys more than a
day has (a cut wastes at most a step, an end nothing).

A clock that goes back leaves the account in the later day, until it is one that somebody vouches for: then the account
goes back too, and what the later day has cost counts for this one. From there on only such a clock begins days up to
the latest that there was, so that a clock that steps back and forth buys none twice.

    fetch/account    [day, bytes, attempts], and the latest day there was, where that is another
"""

import json
from collections.abc import Callable
from contextlib import suppress

from ota.errors import RefusedError, Rule, StorageError
from ota.payload.source import InterruptedFetchError
from ota.storage import Storage, make_durable, replace, with_check, without_check

DAY_S = 86_400
STEP_BYTES = 1 << 20
ACCOUNT = "fetch/account"


class DailyBudget:
    """Bytes and attempts of this day.

    wall_s: seconds since 1970 as the device believes them; is_synchronised: whether somebody else vouches for that.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        bytes_a_day: int | None,
        attempts_a_day: int,
        wall_s: Callable[[], float],
        is_synchronised: Callable[[], bool],
    ) -> None:
        self._storage = storage
        self._bytes_a_day = bytes_a_day
        self._attempts_a_day = attempts_a_day
        self._wall_s = wall_s
        self._is_synchronised = is_synchronised
        self._day, self._reserved, self._attempts, self._latest = self._read()
        self._spent = self._reserved

    def begin_attempt(self, what: str) -> None:
        """Another request. Raises `RefusedError` where the day has no more."""
        self._turn()
        self._turn_by_a_true_clock()
        if self._attempts >= self._attempts_a_day:
            raise RefusedError(Rule.BUDGET, what, f"all {self._attempts_a_day} attempts of today are used up")
        self._attempts += 1
        self._write()

    def spend(self, size: int, what: str) -> None:
        """So many bytes are about to come. Raises `RefusedError` where the day has no more."""
        self._turn()
        if self._bytes_a_day is None:
            return
        if self._spent + size > self._bytes_a_day:
            raise RefusedError(Rule.BUDGET, what, f"the {self._bytes_a_day} bytes of today are used up")
        self._spent += size
        if self._spent > self._reserved:
            self._reserved = min(self._bytes_a_day, self._spent + STEP_BYTES)
            self._write()

    def give_back(self, size: int) -> None:
        """So many bytes have not come."""
        if self._bytes_a_day is not None:
            self._spent = max(0, self._spent - size)  # of a day that has ended under way, nothing is left to give back

    def settle(self) -> None:
        """Nothing more is asked for: what was set aside beyond what was spent is there again. Raises `StorageError`."""
        if self._spent < self._reserved:
            self._reserved = self._spent
            self._write()

    def _turn(self) -> None:
        today = self._today()
        if today > self._latest:
            self._begin(today)

    def _turn_by_a_true_clock(self) -> None:
        today = self._today()
        if self._day - 1 <= today <= self._day or not self._is_synchronised():  # a day ahead ends by itself
            return
        if today > self._day:
            self._begin(today)
            return
        self._day = today
        self._write()  # at once: the attempt may be refused, and the next day must find it

    def _today(self) -> int:
        return int(self._wall_s() // DAY_S)

    def _begin(self, day: int) -> None:
        self._day, self._reserved, self._attempts, self._spent = day, 0, 0, 0
        self._latest = max(day, self._latest)

    def _read(self) -> tuple[int, int, int, int]:
        with suppress(StorageError, ValueError):
            day, reserved, attempts, *latest = json.loads(without_check(self._storage.read(ACCOUNT, 0, 256)))
            return int(day), int(reserved), int(attempts), max(map(int, [day, *latest]))
        return 0, 0, 0, 0

    def _write(self) -> None:
        account = [self._day, self._reserved, self._attempts]
        if self._latest != self._day:  # an older release reads three
            account.append(self._latest)
        make_durable(self._storage, "fetch")
        replace(self._storage, ACCOUNT, with_check(json.dumps(account).encode()))


class SpeedLimit:
    """A token bucket of one second. `None`: as fast as it comes."""

    def __init__(
        self, bytes_per_s: int | None, *, monotonic: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self.monotonic = monotonic
        self._sleep = sleep
        self._free_at = monotonic()

    def took(self, size: int) -> None:
        """So many bytes have come: wait until they may have."""
        if self._bytes_per_s is None:
            return
        now = self.monotonic()
        self._free_at = max(self._free_at, now - 1.0) + size / self._bytes_per_s
        if self._free_at > now:
            self._sleep(self._free_at - now)


class Patience:
    """Ends a download that drips: at least 1 kB must come in every minute."""

    WINDOW_S = 60.0
    LEAST_BYTES = 1024

    def __init__(self, monotonic: Callable[[], float], what: str) -> None:
        self._monotonic = monotonic
        self._what = what
        self._since = monotonic()
        self._came = 0

    def took(self, size: int) -> None:
        """So many bytes have come. Raises `InterruptedFetchError` where it is too slow."""
        self._came += size
        if self._monotonic() - self._since < self.WINDOW_S:
            return
        if self._came < self.LEAST_BYTES:
            raise InterruptedFetchError(f"network: {self._what}: {self._came} bytes in a minute: given up")
        self._since, self._came = self._monotonic(), 0
