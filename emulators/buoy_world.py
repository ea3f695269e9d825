"""The world of a buoy: sun, battery, lamp, sea, sinker and chain, with a truth that tests are measured by.

It has no clock: `run_to(ms)` lets its time go on, in steps of ten seconds at most, and tells what would wake a sleeping
board on the way. What happens when stands in its settings (`emulators.buoy_happenings`); every physical change is given
to `on_truth`. As TOML, all of it optional:

    start = 2026-06-21T10:00:00Z       # else now
    speed = 0                          # of sleep: 0 at once, 1 real time, 60 an hour a minute
    light_file = "light.jsonl"         # every edge of the light
    place = { lat_deg = 31.2, lon_deg = 121.5 }
    mooring = { chain_m = 25.0, depth_m = 15.0 }
    battery = { capacity_ah = 30.0, soc = 0.8 }

The sun is that of the date and place, good to a degree. The battery is a resistance behind a voltage that goes with its
charge. The buoy swings around its sinker with the tide; its position strays by some metres as a receiver sees it.
"""

import datetime as dt
import math
import random
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from emulators import buoy_happenings as happening

Latitude = Annotated[float, msgspec.Meta(ge=-66, le=66)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Metres = Annotated[float, msgspec.Meta(ge=0, le=1000)]
Milliamps = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
STEP_MS = 10_000
MAX_LEVEL = 15
METRES_PER_DEGREE = 111_319.49
_TIDE_MS = 12.42 * 3_600_000
_DAY_MS = 86_400_000
_TOLD_SOC = 0.05
_FULL_SOC = 0.98
"""From here on the charger gives less and less."""
_SHARE_OF_LAMP = {"ok": 100, "open": 0, "partial": 65, "short": 260, "stuck": 100}


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the sinker lies at the beginning."""

    lat_deg: Latitude = 31.2
    lon_deg: Longitude = 121.5


class Mooring(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the buoy hangs on."""

    chain_m: Metres = 25.0
    depth_m: Metres = 15.0

    @property
    def swing_m(self) -> float:
        """How far from the sinker it gets."""
        return math.sqrt(max(0.0, self.chain_m**2 - self.depth_m**2))


class Battery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lead, 12 V."""

    capacity_ah: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 30.0
    soc: happening.Share = 0.8


class Loads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What draws how much."""

    asleep_ma: Milliamps = 3
    awake_ma: Milliamps = 30
    gnss_ma: Milliamps = 30
    modem_ma: Milliamps = 200
    lamp_ma: Milliamps = 500
    """At full brightness."""
    solar_ma: Milliamps = 1200
    """What the panel gives in full sun."""


class Gnss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver."""

    acquire_s: happening.Seconds = 20.0
    """From power to the first fix."""
    noise_m: Metres = 2.5


class BuoySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A world file."""

    start: dt.datetime | None = None
    speed: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 1.0
    light_file: str | None = None
    place: Place = Place()
    mooring: Mooring = Mooring()
    battery: Battery = Battery()
    loads: Loads = Loads()
    gnss: Gnss = Gnss()
    rssi_dbm: Annotated[int, msgspec.Meta(ge=-140, le=0)] = -83
    has_water_level: bool = False
    roll_deg: happening.Degrees = 2.0
    event: tuple[happening.AnyHappening, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a time of no zone. msgspec adds the path."""
        if self.start is not None and self.start.tzinfo is None:
            raise ValueError("start needs a zone, such as 2026-06-21T10:00:00Z")


class BuoyWorld:
    """Everything around the board, and what hangs on its wires. Attributes are the truth."""

    def __init__(
        self, settings: BuoySettings, *, seed: int, now_utc_ms: int, on_truth: Callable[[dict[str, Any]], None]
    ) -> None:
        self.settings = settings
        self.rng = random.Random(seed)  # noqa: S311  # a seeded world, no secret
        self._on_truth = on_truth
        self.start_utc_ms = now_utc_ms if settings.start is None else round(settings.start.timestamp() * 1000)
        self.ms = 0
        """Since the world began."""
        self._coming = sorted(settings.event, key=lambda one: one.at_s)
        self.lamp = "ok"
        self.tilt_deg = 3.0
        self.roll_deg = settings.roll_deg
        self.is_leaking = self.is_door_open = False
        self.sun_share = 1.0
        self.stuck_lux: int | None = None
        self.water_m = 0.0
        self.soc = self._told_soc = settings.battery.soc
        self.drawn_mas = self.charged_mas = 0.0
        """mA s, for the board's own counters to begin anew."""
        self.load_ma = 0
        """What the board draws at the moment, without the lamp."""
        self.shock_g, self.shock_ms = 0.0, 0
        self.limit_shock_g, self.limit_tilt_deg = 2.0, 30.0
        self.limit_lux: int | None = None
        self._until_ms = {"gnss-silent": -1.0, "gnss-no-fix": -1.0, "gnss-outliers": -1.0, "modem-dead": -1.0}
        self.outlier_share = 0.0
        self._sinker = (0.0, 0.0)  # north and east of the place
        self._adrift: tuple[float, float, float] | None = None  # since ms, speed, bearing
        self._left_at: tuple[float, float] | None = None  # where the chain parted, or where it lies aground
        self.has_rtc = False
        """Whether the clock of the board knows the time: set by the board, lost by an event."""
        self._lux_before = self.lux()

    @property
    def utc_ms(self) -> int:
        """The true time."""
        return self.start_utc_ms + self.ms

    def tell(self, what: str, **facts: object) -> None:
        """A line of truth."""
        self._on_truth({"world_ms": self.ms, "utc_ms": self.utc_ms, "what": what, **facts})

    def is_in(self, span: str) -> bool:
        """Whether a state that lasts a while (`gnss-silent`, `modem-dead` ...) lasts now."""
        return self.ms < self._until_ms[span]

    def run_to(self, to_ms: int, *, can_wake: bool = False) -> str | None:
        """Let time go on. Returns what would wake a sleeper, and then stops there if it `can_wake`."""
        reason = None
        while self.ms < to_ms and not (can_wake and reason is not None):
            next_ms = min(to_ms, self.ms + STEP_MS)
            if self._coming:
                next_ms = min(next_ms, max(self.ms, round(self._coming[0].at_s * 1000)))
            self._flow(next_ms - self.ms)
            self.ms = next_ms
            while self._coming and self._coming[0].at_s * 1000 <= self.ms:
                reason = self._happen(self._coming.pop(0)) or reason
            reason = self._light_passed() or reason
        return reason

    def _happen(self, one: happening.AnyHappening) -> str | None:  # noqa: C901, PLR0911, PLR0912  # a table in code
        facts = msgspec.to_builtins(one)
        self.tell(facts.pop("kind"), **facts)
        match one:
            case happening.Collision():
                return self._collide(one)
            case happening.ChainParted():
                self._left_at = self.offset_m()
                self._adrift = (self.ms, one.speed_mps, one.bearing_deg)
            case happening.Aground():
                self._left_at, self._adrift = self.offset_m(), None
            case happening.Lamp():
                self.lamp = one.state
                return "lamp"
            case happening.Tilt():
                self.tilt_deg = one.deg
                return "tilt" if one.deg > self.limit_tilt_deg else None
            case happening.Sea():
                self.roll_deg = one.roll_deg
            case happening.Leak():
                self.is_leaking = one.is_so
                return "leak"
            case happening.Door():
                self.is_door_open = one.is_so
                return "leak"
            case happening.GnssSilent() | happening.GnssNoFix() | happening.ModemDead() | happening.GnssOutliers():
                self._until_ms[msgspec.to_builtins(one)["kind"]] = self.ms + one.for_s * 1000
                if isinstance(one, happening.GnssOutliers):
                    self.outlier_share = one.share
            case happening.Ring():
                return "modem"
            case happening.Clouds():
                self.sun_share = one.share
            case happening.LuxStuck():
                self.stuck_lux = None if one.lux < 0 else one.lux
            case happening.Battery():
                self.soc = one.soc
            case happening.RtcLost():
                self.has_rtc = False
            case happening.Water():
                self.water_m = one.level_m
        return None

    def _collide(self, one: happening.Collision) -> str | None:
        self.shock_g, self.shock_ms = max(self.shock_g, one.shock_g), max(self.shock_ms, one.shock_ms)
        north, east = _towards(one.push_m, one.bearing_deg)
        self._sinker = (self._sinker[0] + north, self._sinker[1] + east)
        return "shock" if one.shock_g > self.limit_shock_g else None

    # Light

    def sun_elevation_deg(self) -> float:
        """How high the sun stands."""
        day, ms = divmod(self.utc_ms, _DAY_MS)
        year_angle = math.tau * ((day + 10.0) % 365.2422) / 365.2422
        declination = math.radians(-23.44 * math.cos(year_angle))
        hour_angle = math.tau * ms / _DAY_MS - math.pi + math.radians(self.settings.place.lon_deg)
        lat = math.radians(self.settings.place.lat_deg)
        sine = math.sin(lat) * math.sin(declination) + math.cos(lat) * math.cos(declination) * math.cos(hour_angle)
        return math.degrees(math.asin(max(-1.0, min(1.0, sine))))

    def lux(self) -> int:
        """What falls on the sensor, as it sees it: 400 lx with the sun at the horizon, a tenth at -3 degrees."""
        if self.stuck_lux is not None:
            return self.stuck_lux
        high = self.sun_elevation_deg()
        if high < 0:
            return round(400 * math.pow(10, high / 2.85))
        return round((400 + 100_000 * math.pow(math.sin(math.radians(high)), 1.15)) * self.sun_share)

    def _light_passed(self) -> str | None:
        lux, limit = self.lux(), self.limit_lux
        before, self._lux_before = self._lux_before, lux
        if limit is None or (before >= limit) == (lux >= limit):
            return None
        self.tell("dusk" if lux < limit else "dawn", lux=lux)
        return "light"

    # Energy

    def solar_ma(self) -> int:
        """What the panel gives."""
        high = self.sun_elevation_deg()
        full = self.settings.loads.solar_ma * math.sin(math.radians(max(0.0, high))) * self.sun_share
        return round(full * min(1.0, (1 - self.soc) / (1 - _FULL_SOC)))

    def battery_mv(self) -> int:
        """Its voltage under the load of the moment."""
        flowing_ma = self.solar_ma() - self.load_ma
        return round(11_000 + 1_800 * self.soc + flowing_ma * 0.3)

    def draw(self, mas: float) -> None:
        """Take a charge (mA s) that something else than the board took: the lamp."""
        self.drawn_mas += mas
        self._charge(-mas)

    def _flow(self, ms: int) -> None:
        solar_mas, load_mas = self.solar_ma() * ms / 1000, self.load_ma * ms / 1000
        self.charged_mas += solar_mas
        self.drawn_mas += load_mas
        self._charge(solar_mas - load_mas)

    def _charge(self, mas: float) -> None:
        self.soc = max(0.0, min(1.0, self.soc + mas / (self.settings.battery.capacity_ah * 3_600_000)))
        if abs(self.soc - self._told_soc) >= _TOLD_SOC:
            self._told_soc = self.soc
            self.tell("battery", soc=round(self.soc, 3), battery_mv=self.battery_mv())

    def lamp_ma(self, level: int) -> int:
        """What the lamp draws when the board lights it so bright."""
        if self.lamp == "stuck":
            return self.settings.loads.lamp_ma
        return self.settings.loads.lamp_ma * level * _SHARE_OF_LAMP[self.lamp] // (MAX_LEVEL * 100)

    def light(self, level: int) -> int:
        """What is seen of it: the level of the light."""
        if self.lamp == "stuck":
            return MAX_LEVEL
        return 0 if self.lamp in ("open", "short") else level

    # Position

    def offset_m(self) -> tuple[float, float]:
        """(north, east) of the place, truly."""
        if self._adrift is not None:
            assert self._left_at is not None
            since_ms, speed, bearing = self._adrift
            north, east = _towards(speed * (self.ms - since_ms) / 1000, bearing)
            return self._left_at[0] + north, self._left_at[1] + east
        if self._left_at is not None:
            return self._left_at
        tide = math.tau * self.ms / _TIDE_MS
        stream = math.cos(tide)
        north, east = _towards(self.settings.mooring.swing_m * 0.8 * abs(stream), 140 if stream > 0 else 320)
        return self._sinker[0] + north, self._sinker[1] + east + 2.0 * math.sin(self.ms / 7000)

    def position_deg(self, stray_m: float = 0.0) -> tuple[float, float]:
        """(latitude, longitude), truly or as strayed."""
        north, east = self.offset_m()
        north += self.rng.gauss(0, stray_m) if stray_m else 0.0
        east += self.rng.gauss(0, stray_m) if stray_m else 0.0
        place = self.settings.place
        lon = place.lon_deg + east / (METRES_PER_DEGREE * math.cos(math.radians(place.lat_deg)))
        return place.lat_deg + north / METRES_PER_DEGREE, lon


def _towards(way_m: float, bearing_deg: float) -> tuple[float, float]:
    return way_m * math.cos(math.radians(bearing_deg)), way_m * math.sin(math.radians(bearing_deg))
