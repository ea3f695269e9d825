"""A GNSS receiver in software: a seeded track, any talker, and what real receivers do to those who trust them.

It is driven like every emulated device (`emulators.kit.device`): `tick(now)` returns the sentences that are due. Time
of day comes from the `wall_ms` function that is handed in: a test has it under its thumb. It encodes with our own
codec and so proves nothing about it; the recordings in the protocol's vectors do.

What it can play: any rate from 1 to 10 Hz, any set of sentences, a cold start with default dates, a fix that is lost
and regained, a GPS week that rolled over, one system (`BD`, `GB`, `GP`) or several (`GN`). As TOML:

    rate_hz = 10.0
    outages_s = [[20.0, 30.0]]
    track = { kind = "circle", lat_deg = 32.0687, lon_deg = 118.7757, radius_m = 200.0, speed_mps = 5.0 }
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from protocols.core.instant import day_and_ms_of, days_of, instant_of
from protocols.nmea0183.fix import ROLLOVER_DAYS
from protocols.nmea0183.motion import Hdt, Vtg, Zda
from protocols.nmea0183.position import Gga, Gll, Gns, Rmc
from protocols.nmea0183.satellites import Gsa, Gsv, Satellite
from protocols.nmea0183.sentence import Sentence, encode_for_sending
from protocols.nmea0183.text import Txt

SENTENCES = ("RMC", "VTG", "GGA", "GSA", "GSV", "GLL", "ZDA")
"""In the order in which a u-blox receiver sends them; GNS and HDT can be asked for too."""
COLD_DATE = days_of(1980, 1, 6)
"""What a receiver without an almanac shows: the first day of GPS time."""
Latitude = Annotated[float, msgspec.Meta(ge=-85, le=85)]
Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Speed = Annotated[float, msgspec.Meta(ge=0, le=300)]
Course = Annotated[float, msgspec.Meta(ge=0, lt=360)]
Height = Annotated[float, msgspec.Meta(ge=-1000, le=20_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Talker = Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{2}$")]
_EARTH_RADIUS_M = 6_371_008.8
_KNOT_MPS = 1852 / 3600
_KMH_PER_MPS = 3.6
_HDOP = 0.8
_NO_HDOP = 99.99
_SATELLITES_A_SYSTEM = 8
_GPS_IDS = range(1, 33)
_BEIDOU_IDS = range(1, 64)


@dataclass(frozen=True)
class Place:
    """Where something is and how it moves."""

    lat_deg: float
    lon_deg: float
    speed_mps: float = 0.0
    course_deg: float | None = None

    def at_offset(self, north_m: float, east_m: float) -> tuple[float, float]:
        """(latitude, longitude) of a point some metres away."""
        lat = self.lat_deg + math.degrees(north_m / _EARTH_RADIUS_M)
        lon = self.lon_deg + math.degrees(east_m / (_EARTH_RADIUS_M * math.cos(math.radians(self.lat_deg))))
        return lat, (lon + 180.0) % 360.0 - 180.0


class Stationary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="stationary"):
    """A cabinet, a buoy on its anchor: it stays."""

    lat_deg: Latitude = 32.0687
    lon_deg: Longitude = 118.7757

    def place(self, seconds: float) -> Place:
        """The same place always. The course of something at rest is not known."""
        del seconds
        return Place(self.lat_deg, self.lon_deg)


class StraightLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="line"):
    """A bus on a straight road."""

    lat_deg: Latitude = 32.0687
    lon_deg: Longitude = 118.7757
    speed_mps: Speed = 15.0
    course_deg: Course = 45.0

    def place(self, seconds: float) -> Place:
        """So many metres along the course."""
        way_m = self.speed_mps * seconds
        start = Place(self.lat_deg, self.lon_deg)
        angle = math.radians(self.course_deg)
        lat, lon = start.at_offset(way_m * math.cos(angle), way_m * math.sin(angle))
        return Place(lat, lon, self.speed_mps, self.course_deg)


class Circle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="circle"):
    """A ship on a turning circle, clockwise from its northernmost point."""

    lat_deg: Latitude = 32.0687
    lon_deg: Longitude = 118.7757
    radius_m: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 200.0
    speed_mps: Speed = 5.0

    def place(self, seconds: float) -> Place:
        """A point of the circle."""
        angle = self.speed_mps * seconds / self.radius_m
        lat, lon = Place(self.lat_deg, self.lon_deg).at_offset(
            self.radius_m * math.cos(angle), self.radius_m * math.sin(angle)
        )
        return Place(lat, lon, self.speed_mps, (math.degrees(angle) + 90.0) % 360.0)


class GnssSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What kind of receiver it is and what will happen to it. Seconds count from the moment it is switched on."""

    track: Stationary | StraightLine | Circle = Stationary()
    """Where it truly is."""
    talker: Talker = "GN"
    """`GN`: GPS and BeiDou together; another: one system."""
    beidou_talker: Talker = "GB"
    """How it calls BeiDou in GSV beside `GN`: `GB` since edition 4.11, `BD` by the Chinese rule."""
    sentences: tuple[str, ...] = SENTENCES
    rate_hz: Annotated[float, msgspec.Meta(ge=0.01, le=20)] = 1.0
    cold_start_s: Seconds = 0.0
    """How long it shows default dates and no position."""
    outages_s: tuple[tuple[Seconds, Seconds], ...] = ()
    """(from, to): no sky; it keeps its time and says so with status V."""
    rollovers: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    """How many GPS week rollovers its firmware has not heard of: each puts its date 7168 days back."""
    noise_m: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 1.0
    """How far a position strays from the truth (standard deviation)."""
    latency_s: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """How long after an epoch its sentences begin."""
    altitude_m: Height = 9.7
    geoid_sep_m: Height = 3.1
    mode: Annotated[str, msgspec.Meta(pattern="^[ADEFMPRS]$")] = "A"
    """RMC's mode while it has a fix: `A`, `D`, `R`; `E`, `M`, `S` for what must not be used."""
    wrong_checksums: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """Which part of its sentences bears a wrong checksum, as on a noisy line."""

    def __post_init__(self) -> None:
        """Refuse what no receiver is: raises `ValueError`."""
        known = (*SENTENCES, "GNS", "HDT", "TXT")
        if unknown := [name for name in self.sentences if name not in known]:
            raise ValueError(f"sentences are {', '.join(known)}, not {unknown[0]}")


@dataclass
class _Sky:
    """The satellites of one system."""

    talker: str
    system_id: int
    sats: list[Satellite] = field(default_factory=list)


class GnssReceiver:
    """The receiver. `power_cycle()` and `has_sky` are for whoever holds it in a test."""

    def __init__(
        self,
        *,
        seed: int,
        wall_ms: Callable[[], int],
        settings: GnssSettings | None = None,
        on_truth: Callable[[dict[str, object]], None] | None = None,
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311  # a seeded world, no secret
        self._wall_ms = wall_ms
        self.settings = GnssSettings() if settings is None else settings
        self._on_truth = on_truth
        self._period_ms = max(1, round(1000 / self.settings.rate_hz))
        self._skies = self._make_skies()
        self._started: float | None = None
        self._epoch = 0
        self._deadline = 0.0
        self.has_sky = True
        """False: as if somebody parked under a bridge."""
        self.has_fix = False
        """Whether the last epoch had one."""
        self.epochs = 0
        """How many were sent."""

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """A receiver that is only listened to hears nothing."""
        del data, now
        return []

    def tick(self, now: float) -> list[bytes]:
        """The sentences of the epoch that has begun since the last call, each one write; none when none has.

        The first call switches it on: its first epoch is the next one.
        """
        shown_ms = self._wall_ms() - round(self.settings.latency_s * 1000)
        epoch, past_ms = divmod(shown_ms, self._period_ms)
        self._deadline = now + (self._period_ms - past_ms) / 1000
        if self._started is None:
            self._started = now
            self._epoch = epoch if past_ms else epoch - 1
        if epoch == self._epoch:
            return []
        self._epoch = epoch
        self.epochs += 1
        lines = self._epoch_lines(epoch * self._period_ms, now - self._started)
        return [self._wire_of(line) for line in lines]

    def next_deadline(self) -> float:
        """When the next epoch's sentences begin; at once before the first `tick()`."""
        return self._deadline

    def sentences(self, now: float) -> bytes:
        """What `tick()` returns, in one piece: for whoever uses it without a host."""
        return b"".join(self.tick(now))

    def power_cycle(self) -> None:
        """Switch it off and on again: it starts cold where it is set to."""
        self._started = None
        self._deadline = 0.0

    def _wire_of(self, line: Sentence) -> bytes:
        wire = encode_for_sending(line)
        if self.settings.wrong_checksums and self._rng.random() < self.settings.wrong_checksums:
            star = wire.index(b"*")
            digits = b"%02X" % (int(wire[star + 1 : star + 3], 16) ^ self._rng.randrange(1, 256))
            wire = wire[: star + 1] + digits + wire[star + 3 :]
        return wire

    def _epoch_lines(self, utc_ms: int, seconds: float) -> list[Sentence]:
        settings = self.settings
        is_cold = seconds < settings.cold_start_s
        in_outage = any(start <= seconds < end for start, end in settings.outages_s)
        self._tell_fix(not is_cold and not in_outage and self.has_sky, utc_ms)
        if is_cold:
            utc_ms = instant_of(COLD_DATE, round(seconds * 1000))
        day, ms = day_and_ms_of(utc_ms)
        day -= settings.rollovers * ROLLOVER_DAYS
        shown = _Shown(settings, day, ms, self._strayed(seconds) if self.has_fix else None, self._skies)
        return [line for name in settings.sentences for line in _WRITERS[name](shown)]

    def _tell_fix(self, has_fix: bool, utc_ms: int) -> None:
        if has_fix != self.has_fix and self._on_truth is not None:
            self._on_truth({"kind": "fix" if has_fix else "no-fix", "utc_ms": utc_ms})
        self.has_fix = has_fix

    def _strayed(self, seconds: float) -> Place:
        place = self.settings.track.place(seconds)
        noise = self.settings.noise_m
        lat, lon = place.at_offset(self._rng.gauss(0, noise), self._rng.gauss(0, noise))
        return Place(lat, lon, place.speed_mps, place.course_deg)

    def _make_skies(self) -> list[_Sky]:
        talker = self.settings.talker
        skies = [_Sky("GP", 1), _Sky(self.settings.beidou_talker, 4)]
        if talker != "GN":
            skies = [_Sky(talker, 4 if talker in ("BD", "GB") else 1)]
        for sky in skies:
            ids = _GPS_IDS if sky.system_id == 1 else _BEIDOU_IDS
            sky.sats = [
                Satellite(number, self._rng.randint(5, 85), self._rng.randint(0, 359), self._rng.randint(25, 48))
                for number in sorted(self._rng.sample(ids, _SATELLITES_A_SYSTEM))
            ]
        return skies


@dataclass
class _Shown:
    """What the receiver believes in one epoch; without a place it has no fix."""

    settings: GnssSettings
    day: int
    ms: int
    place: Place | None
    skies: list[_Sky]

    @property
    def position_e9(self) -> tuple[int, int] | None:
        return None if self.place is None else (round(self.place.lat_deg * 1e9), round(self.place.lon_deg * 1e9))

    @property
    def knots(self) -> float | None:
        return None if self.place is None else self.place.speed_mps / _KNOT_MPS

    @property
    def course(self) -> float | None:
        return None if self.place is None or self.place.course_deg is None else round(self.place.course_deg, 2)

    @property
    def status(self) -> str:
        return "V" if self.place is None else "A"

    @property
    def mode(self) -> str:
        return "N" if self.place is None else self.settings.mode

    @property
    def used(self) -> int:
        return 0 if self.place is None else min(12, sum(len(sky.sats) for sky in self.skies))

    def if_fixed(self, value: float) -> float | None:
        return None if self.place is None else value


_QUALITY_OF_MODE = {"N": 0, "A": 1, "D": 2, "P": 3, "R": 4, "F": 5, "E": 6, "M": 7, "S": 8}


def _rmc(shown: _Shown) -> list[Sentence]:
    knots = None if shown.knots is None else round(shown.knots, 3)
    status = "A" if shown.mode in "ADPRF" else "V"
    return [
        Rmc.of(
            shown.settings.talker, shown.ms, status, shown.position_e9, knots, shown.course, shown.day,
            mode=shown.mode,
        )
    ]  # fmt: skip


def _vtg(shown: _Shown) -> list[Sentence]:
    kmh = None if shown.place is None else round(shown.place.speed_mps * _KMH_PER_MPS, 3)
    return [Vtg.of(shown.settings.talker, shown.course, None, shown.knots, kmh, shown.mode)]


def _gga(shown: _Shown) -> list[Sentence]:
    quality = _QUALITY_OF_MODE[shown.mode]
    hdop = _HDOP if shown.place is not None else _NO_HDOP
    altitude, separation = shown.if_fixed(shown.settings.altitude_m), shown.if_fixed(shown.settings.geoid_sep_m)
    return [Gga.of(shown.settings.talker, shown.ms, shown.position_e9, quality, shown.used, hdop, altitude, separation)]


def _gns(shown: _Shown) -> list[Sentence]:
    heard = {sky.system_id for sky in shown.skies}
    mode = "".join(shown.mode if system in heard else "N" for system in (1, 2, 3, 4))
    hdop = _HDOP if shown.place is not None else _NO_HDOP
    altitude, separation = shown.if_fixed(shown.settings.altitude_m), shown.if_fixed(shown.settings.geoid_sep_m)
    return [Gns.of(shown.settings.talker, shown.ms, shown.position_e9, mode, shown.used, hdop, altitude, separation)]


def _gsa(shown: _Shown) -> list[Sentence]:
    dops = (1.5, _HDOP, 1.2) if shown.place is not None else (_NO_HDOP,) * 3
    fix_mode = 3 if shown.place is not None else 1
    return [
        Gsa.of(
            shown.settings.talker, "A", fix_mode,
            [sat.sat_id for sat in sky.sats] if shown.place is not None else [],
            *dops, system_id=sky.system_id if shown.settings.talker == "GN" else None,
        )
        for sky in shown.skies
    ]  # fmt: skip


def _gsv(shown: _Shown) -> list[Sentence]:
    lines: list[Sentence] = []
    for sky in shown.skies:
        sats = sky.sats if shown.place is not None else []
        groups = [sats[at : at + 4] for at in range(0, len(sats), 4)] or [[]]
        for number, group in enumerate(groups, 1):
            lines.append(Gsv.of(sky.talker, len(groups), number, len(sats), group))
    return lines


def _gll(shown: _Shown) -> list[Sentence]:
    return [Gll.of(shown.settings.talker, shown.position_e9, shown.ms, shown.status, shown.mode)]


def _zda(shown: _Shown) -> list[Sentence]:
    return [Zda.of(shown.settings.talker, shown.ms, shown.day)]


def _hdt(shown: _Shown) -> list[Sentence]:
    return [Hdt.of(shown.settings.talker, shown.course)]


def _txt(shown: _Shown) -> list[Sentence]:
    return [Txt.of(shown.settings.talker, 1, 1, 2, "ANTENNA OK" if shown.place is not None else "ANTENNA OPEN")]


_WRITERS: dict[str, Callable[[_Shown], list[Sentence]]] = {
    "RMC": _rmc,
    "VTG": _vtg,
    "GGA": _gga,
    "GNS": _gns,
    "GSA": _gsa,
    "GSV": _gsv,
    "GLL": _gll,
    "ZDA": _zda,
    "HDT": _hdt,
    "TXT": _txt,
}
