"""The gateway's clock: monotonic time for schedules, wall time with its quality for records.

Wall time exists only here. It is never taken from the system unseen: `edge.gateway.timekeeper` weighs what NTP (as the
system reports it) and GNSS receivers claim, `edge.gateway.system_time` looks at the system. The system's own clock is
never set. A box that boots in 1970 polls and journals at once, with quality `none`; when the time is known an event
`clock-set` lets the ingest re-date what that boot made before.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from drivers.readings import TimeOffer
from drivers.text import _
from edge.gateway.system_time import SystemClock, SystemTime
from edge.gateway.timekeeper import Setting, Timekeeper
from protocols.core.instant import BUILD_DAY, instant_text

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How often the system's clock is looked at."""


class GatewayClock:
    """Monotonic and wall time. `watch()` must run for the wall time to follow the system.

    on_set takes the data of a `clock-set` event; it is called from `poll()` and `offer()` only, never from a getter.
    """

    def __init__(
        self,
        *,
        boot: int,
        monotonic: Callable[[], float],
        on_set: Callable[[dict[str, Any]], None],
        read_system: Callable[[], SystemTime] | None = None,
        build_day: int = BUILD_DAY,
    ) -> None:
        self._boot = boot
        self._monotonic = monotonic
        self._on_set = on_set
        self._read_system = SystemClock().read if read_system is None else read_system
        self._started = monotonic()
        system = self._read_system()
        self._keeper = Timekeeper(system.wall_ms, system.is_kept, self._started, build_day)
        self._doubted: set[str] = set()
        """Sources whose time is not believed at present; each was logged once."""

    def monotonic(self) -> float:
        """Seconds on the event loop's scale; never steps."""
        return self._monotonic()

    def wall_ms(self, at: float | None = None) -> int:
        """UTC in ms as believed now, of the moment `at` (monotonic seconds) or of now."""
        return self._keeper.wall_ms(self._monotonic() if at is None else at)

    def quality(self) -> str:
        """How good wall time is: `gnss`, `ntp`, `rtc`, `hold` or `none`."""
        return self._keeper.quality(self._monotonic())

    def uptime_ms(self, at: float | None = None) -> int:
        """Monotonic ms since this process started, at the moment `at` or now; what was before counts as 0."""
        return max(0, round(((self._monotonic() if at is None else at) - self._started) * 1000))

    def offer(self, offer: TimeOffer) -> None:
        """Take an offer of time from a device."""
        self._weigh(offer.source, offer.utc_ms, offer.at, offer.accuracy_ms)

    def poll(self) -> None:
        """Look at the system's clock."""
        now = self._monotonic()
        system = self._read_system()
        if system.is_kept:
            self._weigh("ntp", system.wall_ms, now, 0.0)
        else:
            self._settle(self._keeper.follow_system(system.wall_ms, now))

    async def watch(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            self.poll()

    def status(self) -> dict[str, Any]:
        """Plain data for `wayside status`."""
        wall_ms = self.wall_ms()
        return {
            "time": instant_text(wall_ms),
            "time_ms": wall_ms,
            "quality": self.quality(),
            "uptime_ms": self.uptime_ms(),
            "doubted": dict(self._keeper.doubted),
        }

    def _weigh(self, source: str, utc_ms: int, at: float, accuracy_ms: float) -> None:
        before = self._keeper.doubted.get(source, 0)
        self._settle(self._keeper.claim(source, at, utc_ms, accuracy_ms))
        is_doubted = self._keeper.doubted.get(source, 0) > before
        if is_doubted and source not in self._doubted and self.quality() not in ("rtc", "none"):
            log.warning(
                _("clock: %s says %s; that is not believed, it stays %s"),
                source,
                instant_text(utc_ms),
                instant_text(self.wall_ms(at)),
            )
            self._doubted.add(source)
        elif not is_doubted:
            self._doubted.discard(source)

    def _settle(self, setting: Setting | None) -> None:
        if setting is None:
            return
        now = self._monotonic()
        wall_ms = self.wall_ms(now)
        log.info(
            _("clock: set by %s to %s, moved by %.3f s"),
            setting.source,
            instant_text(wall_ms),
            setting.offset_ms / 1000,
        )
        self._on_set(
            {
                "boot": self._boot,
                "uptime": self.uptime_ms(now),
                "time": wall_ms,
                "offset_ms": setting.offset_ms,
                "source": setting.source,
            }
        )
