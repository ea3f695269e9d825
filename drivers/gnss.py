"""A GNSS receiver that talks NMEA 0183: position, speed and course as samples, its time as offers to the clock.

Models: any receiver that sends RMC or GGA or GNS (u-blox, Quectel, Unicore, SkyTraq, Techtotop and kin), whatever its
talker. Held against recordings of such receivers (see docs/devices/gnss.md), not yet against one on the bench.
Wiring: serial 8N1, 4800 to 115200 baud, receive only; or a TCP server of NMEA lines.

    can                                   cannot
    one sample an epoch, or one a period  configure the receiver (it is never written to)
    time with week rollover undone        PPS: the offer is good to some tenths of a second
    tell no fix from silence              tell a jammed or spoofed sky from a good one

`MAX_IN_FLIGHT` is 0: nothing is ever asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from drivers.clock import Clock
from drivers.device_config import DeviceConfig, PeriodSeconds
from drivers.errors import DeviceRefusedError, DeviceTimeoutError, PortError
from drivers.exchange import Exchange
from drivers.ports.port import Port
from drivers.readings import DeviceEvent, Point, Quality, Readings, Sample, TimeOffer, Value
from drivers.text import _
from protocols.core.instant import BUILD_DAY, MS_PER_DAY, date_text
from protocols.nmea0183.fix import NO_HDOP, Fix, corrected_day
from protocols.nmea0183.receiver import GnssListener

MAX_IN_FLIGHT = 0
OFFER_PERIOD_S = 1.0
OFFER_ACCURACY_MS = 500.0
"""Receivers begin to send an epoch 20 to 500 ms after it, each in its own way; without PPS nobody knows when."""
DAYS_A_WEEK = 7
_KNOT_MPS = 1852 / 3600
_SLACK = 0.25
"""Part of a period by which an epoch without a time of its own may come early and still be the next one."""

POINTS = (
    Point(name="lat_deg", type="float64", unit="deg", min=-90, max=90, deadband=0.00001),
    Point(name="lon_deg", type="float64", unit="deg", min=-180, max=180, deadband=0.00001),
    Point(name="altitude_m", type="float64", unit="m", deadband=1.0),
    Point(name="speed_mps", type="float64", unit="m/s", min=0, deadband=0.1),
    Point(name="course_deg", type="float64", unit="deg", min=0, max=360, deadband=1.0),
    Point(name="hdop", type="float64", unit="1", min=0, deadband=0.2),
    Point(name="num_sats", type="uint16", unit="1", deadband=1),
    Point(name="fix_quality", type="uint16", unit="1"),
)
"""What a sample holds, in order. With `report = "change"` a step of a metre is news, the noise of a fix is not."""
_ALL_FAILED = [(at, int(Quality.COMMUNICATION_FAILED)) for at in range(len(POINTS))]


class GnssConfig(DeviceConfig, tag="gnss", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[device]]` with `driver = "gnss"`."""

    period_s: PeriodSeconds = 1.0
    """At most one sample in this time. A receiver that talks more slowly is reported as often as it talks."""
    report: Literal["all", "change"] = "all"
    """`change`: only what moved by more than the deadbands."""
    silence_s: Annotated[float, msgspec.Meta(ge=0.5, le=3600)] = 5.0
    """Without a whole round of sentences for this long the receiver is lost."""
    max_hdop: Annotated[float, msgspec.Meta(gt=0, lt=50)] = 2.5
    """A position with poorer geometry is not used."""
    min_satellites: Annotated[int, msgspec.Meta(ge=0, le=50)] = 4
    """A position from fewer satellites is not used."""


class GnssDriver:
    """One receiver on one port. See `drivers.driver.Driver` for the face."""

    def __init__(self, config: GnssConfig, port: Port, readings: Readings, clock: Clock) -> None:
        self._config = config
        self._port = port
        self._readings = readings
        self._clock = clock
        self._listener = GnssListener()
        self._state = "closed"
        self._fix: Fix | None = None
        self._heard_at = 0.0
        """When the last epoch ended, or the port was opened."""
        self._is_heard = False
        self._counts_then = (0, 0)
        """Sentences and useless bytes or lines at that moment."""
        self._last_sampled: Fix | None = None
        self._offered_at: float | None = None
        self._rollover_days = 0

    @property
    def name(self) -> str:
        """The device's name in the configuration."""
        return self._config.name

    @property
    def points(self) -> Sequence[Point]:
        """The quantities of a sample."""
        return POINTS

    async def run(self) -> None:
        """Listen until cancelled. Raises `PortError`; then, and while silent, samples say that nothing is known."""
        line = self._port.line
        self._listener = GnssListener(char_time=0.0 if line is None else line.bits_per_char / line.baud)
        self._last_sampled = None
        self._is_heard = False
        self._counts_then = (0, 0)
        lost: asyncio.Future[PortError] = asyncio.get_running_loop().create_future()
        exchange: Exchange[object, Fix] = Exchange(
            self._port, self._listener, self._clock, on_event=self._take, on_lost=lost.set_result
        )
        try:
            await exchange.open()
            self._state = "waiting"
            self._heard_at = self._clock.monotonic()
            while not lost.done():
                await asyncio.wait((lost,), timeout=self._silence_deadline() - self._clock.monotonic())
                if not lost.done() and self._clock.monotonic() >= self._silence_deadline():
                    self._be_silent()
            raise lost.result()
        except PortError:
            self._sample_nothing()
            raise
        finally:
            self._state = "closed"
            await exchange.aclose()

    async def command(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002  # the face
        """Refuse: raises `DeviceRefusedError`."""
        raise DeviceRefusedError(_("%s: a GNSS receiver takes no commands") % self.name)

    def status(self) -> dict[str, Any]:
        """State, the last fix, and counters."""
        fix = self._fix
        listener = self._listener
        return {
            "state": self._state,
            "fix": None if fix is None else self._why_unusable(fix) or "usable",
            "num_sats": None if fix is None else fix.num_sats,
            "hdop": None if fix is None else fix.hdop,
            "rollover_weeks": self._rollover_days // DAYS_A_WEEK,
            "sentences": listener.sentences,
            "heard": dict(listener.heard),
            "broken": listener.broken,
            "unsupported": listener.unsupported,
            "late": listener.late,
            "discarded_bytes": listener.discarded,
        }

    # An epoch ended

    def _take(self, fix: Fix) -> None:
        self._fix = fix
        self._heard_at = self._clock.monotonic()
        self._counts_then = self._counts()
        if not self._is_heard:
            self._is_heard = True
            self._readings.device_back(self.name)
        self._state = self._why_unusable(fix) or "fix"
        self._offer_time(fix)
        if self._is_due(fix):
            self._last_sampled = fix
            self._readings.sample(self._sample_of(fix))

    def _why_unusable(self, fix: Fix) -> str | None:
        return fix.why_unusable(self._config.max_hdop, self._config.min_satellites)

    def _is_due(self, fix: Fix) -> bool:
        """Whether a period has passed since the last sample: by the receiver's own time, else by ours."""
        last = self._last_sampled
        period_s = self._config.period_s
        if last is None:
            return True
        passed_s = fix.at - last.at
        if fix.utc_ms is None or last.utc_ms is None or passed_s >= 2 * period_s:
            return passed_s >= (1 - _SLACK) * period_s
        return (fix.utc_ms - last.utc_ms) % MS_PER_DAY >= round(period_s * 1000)

    def _sample_of(self, fix: Fix) -> Sample:
        is_usable = self._why_unusable(fix) is None and fix.position_e9 is not None
        lat_e9, lon_e9 = fix.position_e9 or (0, 0)
        speed = fix.speed_knots
        values: list[Value] = [
            lat_e9 / 1e9 if is_usable else None,
            lon_e9 / 1e9 if is_usable else None,
            fix.altitude_m if is_usable and fix.has_height else None,
            round(speed * _KNOT_MPS, 3) if is_usable and speed is not None else None,
            fix.course_deg if is_usable else None,
            fix.hdop if fix.hdop is not None and fix.hdop < NO_HDOP else None,
            fix.num_sats,
            fix.quality,
        ]
        bad = [(at, int(Quality.UNCERTAIN)) for at, value in enumerate(values) if value is None]
        return Sample(self.name, fix.at, values, bad)

    def _offer_time(self, fix: Fix) -> None:
        utc_ms = fix.utc_instant(BUILD_DAY)
        if utc_ms is None or fix.day is None:
            return
        self._tell_rollover(fix.day, fix.at)
        if self._offered_at is None or fix.at - self._offered_at >= (1 - _SLACK) * OFFER_PERIOD_S:
            self._offered_at = fix.at
            self._readings.time_offer(
                TimeOffer(device=self.name, source="gnss", at=fix.at, utc_ms=utc_ms, accuracy_ms=OFFER_ACCURACY_MS)
            )

    def _tell_rollover(self, day: int, at: float) -> None:
        """Say once that the receiver's GPS week rolled over and by how much its date is corrected."""
        corrected = corrected_day(day, BUILD_DAY)
        if corrected is None or corrected - day == self._rollover_days:
            return
        self._rollover_days = corrected - day
        if self._rollover_days:
            data = {
                "received": date_text(day),
                "corrected": date_text(corrected),
                "weeks": self._rollover_days // DAYS_A_WEEK,
            }
            self._readings.event(
                DeviceEvent(device=self.name, kind="clock-corrected", at=at, data=data, severity="warning")
            )

    # No epoch ended

    def _silence_deadline(self) -> float:
        return self._heard_at + (self._config.silence_s if self._state != "silent" else self._config.period_s)

    def _be_silent(self) -> None:
        """Tell the loss once, and at each period that nothing is known: never the last value again."""
        if self._state != "silent":
            self._state = "silent"
            self._is_heard = False
            self._readings.device_lost(self.name, DeviceTimeoutError(self._why_silent()))
        self._heard_at = self._clock.monotonic()
        self._sample_nothing()

    def _counts(self) -> tuple[int, int]:
        return (self._listener.sentences, self._listener.discarded + self._listener.broken)

    def _why_silent(self) -> str:
        sentences, useless = self._counts()
        if sentences > self._counts_then[0]:
            return _("it talks, but sent no RMC, GGA, GNS or GLL for %g s") % self._config.silence_s
        if useless > self._counts_then[1]:
            return _("bytes come, but no sentences: is the baud rate right?")
        return _("not a byte for %g s: is it powered and wired?") % self._config.silence_s

    def _sample_nothing(self) -> None:
        self._last_sampled = None
        self._fix = None
        self._readings.sample(Sample(self.name, self._clock.monotonic(), [None] * len(POINTS), list(_ALL_FAILED)))
