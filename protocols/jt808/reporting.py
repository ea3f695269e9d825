"""When a terminal reports where it is (JT/T 808, 0x8202 and parameters 0x0020 to 0x0029).

By time: every `interval_s`, another interval asleep and in an emergency. The emergency alarm is reported at once, and
then until the platform confirms it (0x8203) or the switch is back. Temporary tracking (0x8202) overrides the interval
for a while, but never makes an emergency slower.

>>> clock = ReportClock(ReportIntervals(), now=0.0)
>>> clock.track(interval_s=5, duration_s=20, now=0.0)
>>> [at for at in range(60) if clock.is_due(float(at))]
[0, 5, 10, 15, 20, 50]
"""

import msgspec


class ReportIntervals(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters 0x0029, 0x0027 and 0x0028."""

    default_s: float = 30.0
    asleep_s: float = 300.0
    emergency_s: float = 5.0


class ReportClock:
    """Tells when a location is due. Nothing is made up for what was missed."""

    def __init__(self, intervals: ReportIntervals, *, now: float) -> None:
        self.intervals = intervals
        self._last = now - max(intervals.default_s, intervals.asleep_s)
        self._tracking_s = 0.0
        self._tracked_until = now
        self.is_asleep = False
        self._is_emergency = False

    @property
    def is_emergency(self) -> bool:
        """Whether the emergency alarm is on and not confirmed."""
        return self._is_emergency

    def track(self, interval_s: float, duration_s: float, now: float) -> None:
        """Temporary tracking; an interval of 0 ends it."""
        self._tracking_s = interval_s
        self._tracked_until = now + duration_s if interval_s else now

    def raise_emergency(self, now: float) -> None:
        """The switch was pressed: a report is due at once."""
        if not self._is_emergency:
            self._is_emergency = True
            self._last = now - self.intervals.emergency_s

    def end_emergency(self) -> None:
        """The platform confirmed it, or the switch is back."""
        self._is_emergency = False

    def next_deadline(self, now: float) -> float:
        """When the next report is due."""
        interval_s = self.intervals.asleep_s if self.is_asleep else self.intervals.default_s
        due = self._last + interval_s
        if self._tracking_s and self._last + self._tracking_s <= self._tracked_until and now <= self._tracked_until:
            due = self._last + self._tracking_s
        return min(due, self._last + self.intervals.emergency_s) if self._is_emergency else due

    def is_due(self, now: float) -> bool:
        """Whether a report is due, which then counts as made."""
        if now < self.next_deadline(now):
            return False
        self._last = now
        return True
