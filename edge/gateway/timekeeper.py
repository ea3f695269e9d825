"""Which time to believe: pure logic over what the system and GNSS receivers claim.

The box's time is the monotonic clock plus an offset. A **claim** says what that offset would be. It is weighed so:

| the claim | what happens |
|---|---|
| lies before the build, or more than 1024 weeks after it | refused, always |
| agrees with the time at hand | supports it; a finer one corrects it |
| disagrees, and nothing better than the RTC is at hand | believed after `FIRST_CLAIMS` that agree with each other |
| disagrees, while another source supports the time at hand | refused |
| disagrees otherwise (a jump) | believed after `JUMP_CLAIMS` that agree with each other over `JUMP_SPAN_S` |

A source that falls silent leaves its time behind: the quality is `hold` then, and the offset goes on. Without any
source the time of the system counts, as `rtc` when its date is possible and as `none` when it is not (1970).
"""

import msgspec

from protocols.core.instant import MS_PER_DAY
from protocols.nmea0183.fix import ROLLOVER_DAYS

AGREE_MS = 2_000
"""NMEA without PPS is late by up to half a second and jitters by as much; NTP over a bad link likewise."""
FIRST_CLAIMS = 3
JUMP_CLAIMS = 10
JUMP_SPAN_S = 60.0
SUPPORT_S = 30.0
"""A source that has not supported the time for this long is lost."""
FINEST_NTP_MS = 20
"""A step of NTP below this is not worth an event that re-dates a boot."""
SOURCES = ("ntp", "gnss")
"""Best first: without PPS a receiver's time is the coarser one."""


class Setting(msgspec.Struct, frozen=True):
    """The clock was moved by `offset_ms`, forward when positive."""

    source: str
    offset_ms: int


class _Candidate:
    """A jump that wants to be believed."""

    def __init__(self, offset_ms: float, at: float) -> None:
        self.offset_ms = offset_ms
        self.first_at = at
        self.claims = 1


class Timekeeper:
    """The offset between monotonic and wall time, and how good it is. Moments (`at`, `now`) are monotonic seconds."""

    def __init__(self, wall_ms: int, is_kept: bool, now: float, build_day: int) -> None:
        self._earliest_ms = build_day * MS_PER_DAY
        self._latest_ms = (build_day + ROLLOVER_DAYS) * MS_PER_DAY
        self._offset_ms = wall_ms - now * 1000
        self._source: str | None = None
        """Whose time it is; None: the system's, which nobody vouches for."""
        self._supported: dict[str, float] = {}
        self._candidates: dict[str, _Candidate] = {}
        self.doubted: dict[str, int] = {}
        """How many claims of each source were not believed when they came."""
        if is_kept and self._is_possible(wall_ms):
            self._source = "ntp"
            self._supported["ntp"] = now

    def wall_ms(self, at: float) -> int:
        """UTC ms of a moment, as believed now; never before 1970."""
        return max(0, round(at * 1000 + self._offset_ms))

    def quality(self, now: float) -> str:
        """`ntp`, `gnss`, `hold`, `rtc` or `none`."""
        if self._source is None:
            return "rtc" if self._is_possible(self.wall_ms(now)) else "none"
        if self._supports(self._source, now):
            return self._source
        return next((source for source in SOURCES if self._supports(source, now)), "hold")

    def claim(self, source: str, at: float, utc_ms: int, accuracy_ms: float = 0.0) -> Setting | None:
        """Weigh what `ntp` or `gnss` says of the moment `at`; return the setting when it moved the clock."""
        offset_ms = utc_ms - at * 1000
        if not self._is_possible(utc_ms):
            self._doubt(source)
            return None
        if self._source is None:
            return self._believe_later(source, offset_ms, at, FIRST_CLAIMS, 0.0)
        if abs(offset_ms - self._offset_ms) <= AGREE_MS:
            return self._support(source, offset_ms, at, accuracy_ms)
        if any(other != source and self._supports(other, at) for other in SOURCES):
            self._doubt(source)
            return None
        return self._believe_later(source, offset_ms, at, JUMP_CLAIMS, JUMP_SPAN_S)

    def follow_system(self, wall_ms: int, now: float) -> Setting | None:
        """The system's clock says this and nobody keeps it: it counts only while there is nothing better."""
        offset_ms = wall_ms - now * 1000
        if self._source is not None or abs(offset_ms - self._offset_ms) <= AGREE_MS:
            self._candidates.pop("rtc", None)
            return None
        if not self._is_possible(wall_ms):
            self._doubt("rtc")
            return None
        return self._believe_later("rtc", offset_ms, now, FIRST_CLAIMS, 0.0)

    def _is_possible(self, utc_ms: int) -> bool:
        return self._earliest_ms <= utc_ms < self._latest_ms

    def _supports(self, source: str, now: float) -> bool:
        at = self._supported.get(source)
        return at is not None and now - at <= SUPPORT_S

    def _support(self, source: str, offset_ms: float, at: float, accuracy_ms: float) -> Setting | None:
        self._supported[source] = at
        self._candidates.pop(source, None)
        if source == "ntp":
            is_correction = abs(offset_ms - self._offset_ms) >= FINEST_NTP_MS
        else:  # what NTP keeps a receiver only supports; alone it corrects what is beyond its own doubt
            is_correction = not self._supports("ntp", at) and abs(offset_ms - self._offset_ms) > accuracy_ms
        if is_correction:
            return self._set(source, offset_ms, at)
        if source == "ntp" or not self._supports("ntp", at):
            self._source = source
        return None

    def _believe_later(self, source: str, offset_ms: float, at: float, claims: int, span_s: float) -> Setting | None:
        candidate = self._candidates.get(source)
        if candidate is None or abs(candidate.offset_ms - offset_ms) > AGREE_MS:
            self._candidates[source] = candidate = _Candidate(offset_ms, at)
        else:
            candidate.claims += 1
        if candidate.claims < claims or at - candidate.first_at < span_s:
            self.doubted[source] = self.doubted.get(source, 0) + 1
            return None
        return self._set(source, offset_ms, at)

    def _doubt(self, source: str) -> None:
        self._candidates.pop(source, None)
        self.doubted[source] = self.doubted.get(source, 0) + 1

    def _set(self, source: str, offset_ms: float, at: float) -> Setting:
        moved_ms = round(offset_ms - self._offset_ms)
        self._offset_ms = offset_ms
        self._candidates.pop(source, None)
        if source != "rtc":
            self._candidates.clear()
            self._source = source
            self._supported = {source: at}
        return Setting(source, moved_ms)
