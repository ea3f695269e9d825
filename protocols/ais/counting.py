"""Counting ships at a line across the fairway: a pure function from one track and one sighting to the next track.

The line goes from A on the right bank (looking downstream) to B on the left one. In a plane around A, the distance d of
a ship is positive to the left of A to B, which is upstream. A passage counts once a ship has been beyond the band on
one side and then beyond it on the other, over the line itself and not around its ends:

          upstream, d > 0          track.side = +1
    - - - - - - - - - - - - - - -  band
    A ------------------------- B  the crossing is kept until the ship has left the band
    - - - - - - - - - - - - - - -  band
          downstream, d < 0        track.side = -1: counted as "down"

Whoever calls keeps one track a ship, forgets those not seen for `GAP_S` and `SAME_PASSAGE_S`, and drops what came twice
(`Repeats`) before. What ships are is told in `ship_class`.

>>> line = CountingLine(lat_a=32.08, lon_a=118.73, lat_b=32.09, lon_b=118.73)
>>> before, after = Sighting(413000001, 10.0, 32.0851, 118.7285), Sighting(413000001, 20.0, 32.0852, 118.731)
>>> track, passage = advance(line, None, before)
>>> track, passage = advance(line, track, after)
>>> passage.direction, round(passage.at, 1), round(passage.lat_deg, 5)
('down', 16.0, 32.08516)
"""

import math
from collections import OrderedDict
from typing import Any, Literal

import msgspec

from protocols.ais.position import PER_DEGREE, ClassBExtendedReport, ClassBReport, LongRangeReport, PositionReport

BAND_M = 40.0
GAP_S = 600.0
"""After a longer silence a new track begins: nothing is inferred over it."""
SAME_PASSAGE_S = 1800.0
"""Within this time a ship is not counted again in the same direction."""
REPEAT_S = 30.0
"""Within this time the same bits are a repeat: of a base station, or of a second receiver."""
FASTEST_KN = 40.0
FASTEST_JUMP_KN = 60.0
_METRES_PER_DEGREE = 111_319.49
_MPS_PER_KN = 1852 / 3600
_MOST_REMEMBERED = 4096

Direction = Literal["up", "down"]


class CountingLine(msgspec.Struct, frozen=True):
    """Two points on opposite banks, in degrees, and the half width of the band around the line between them."""

    lat_a: float
    lon_a: float
    lat_b: float
    lon_b: float
    band_m: float = BAND_M

    def __post_init__(self) -> None:
        """Refuse a line without length."""
        if self.place(self.lat_b, self.lon_b) == (0.0, 0.0):
            raise ValueError("A and B are the same point")

    def place(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """(east, north) of A in m."""
        east = (lon_deg - self.lon_a + 180.0) % 360.0 - 180.0
        scale = math.cos(math.radians(self.lat_a)) * _METRES_PER_DEGREE
        return east * scale, (lat_deg - self.lat_a) * _METRES_PER_DEGREE

    def distance_m(self, lat_deg: float, lon_deg: float) -> float:
        """Signed distance from the line, positive to the left of A to B."""
        x, y = self.place(lat_deg, lon_deg)
        x_b, y_b = self.place(self.lat_b, self.lon_b)
        return (x_b * y - y_b * x) / math.hypot(x_b, y_b)


class Sighting(msgspec.Struct, frozen=True):
    """Where a ship was. `at` is seconds of any one clock."""

    mmsi: int
    at: float
    lat_deg: float
    lon_deg: float
    speed_kn: float | None = None


class Passage(msgspec.Struct, frozen=True):
    """A ship that went over the line."""

    mmsi: int
    at: float
    direction: Direction
    lat_deg: float
    lon_deg: float
    speed_kn: float | None


class Track(msgspec.Struct, frozen=True):
    """What is remembered of one ship."""

    last: Sighting
    side: int = 0
    """The side on which it was beyond the band most recently; 0 when it has not been yet."""
    crossed: Passage | None = None
    """A crossing that does not count yet."""
    counted_at: dict[Direction, float] = {}
    """When it was counted in each direction."""


def sighting_of(message: Any, at: float) -> Sighting | None:
    """What a message says about where a ship is; None when it is no ship's position or none to be believed."""
    match message:
        case PositionReport() | ClassBReport() | ClassBExtendedReport():
            lat, lon, per = message.lat_e4_min, message.lon_e4_min, PER_DEGREE
            speed = None if message.speed_tenth_kn is None else message.speed_tenth_kn / 10
        case LongRangeReport():
            lat, lon, per = message.lat_tenth_min, message.lon_tenth_min, 600
            speed = message.speed_kn
        case _:
            return None
    if lat is None or lon is None or not is_ship(message.mmsi) or (speed is not None and speed > FASTEST_KN):
        return None
    if abs(lat) > 90 * per or abs(lon) > 180 * per:
        return None
    return Sighting(message.mmsi, at, lat / per, lon / per, speed)


def is_ship(mmsi: int) -> bool:
    """Whether an MMSI is a ship's: MIDxxxxxx. Coast stations, aircraft, aids and auxiliary craft are not."""
    return 200_000_000 <= mmsi < 800_000_000


def advance(line: CountingLine, track: Track | None, sighting: Sighting) -> tuple[Track, Passage | None]:
    """The track after a sighting, and the passage that it completes. Late and impossible sightings change nothing."""
    distance = line.distance_m(sighting.lat_deg, sighting.lon_deg)
    side = 0 if abs(distance) <= line.band_m else 1 if distance > 0 else -1
    if track is None:
        return Track(sighting, side), None
    elapsed = sighting.at - track.last.at
    if elapsed > GAP_S:
        return Track(sighting, side, counted_at=track.counted_at), None
    if elapsed <= 0 or _metres(line, track.last, sighting) > FASTEST_JUMP_KN * _MPS_PER_KN * elapsed:
        return track, None
    crossed = _crossed(line, track, sighting, distance)
    if side in (0, track.side):
        return Track(sighting, track.side, None if side else crossed, track.counted_at), None
    if not track.side or crossed is None or _is_counted(track, crossed):
        return Track(sighting, side, counted_at=track.counted_at), None
    return Track(sighting, side, counted_at={**track.counted_at, crossed.direction: crossed.at}), crossed


def _crossed(line: CountingLine, track: Track, sighting: Sighting, distance: float) -> Passage | None:
    """The crossing that counts once the band is left: the last one from the track's side, within the line's ends."""
    last = track.last
    before = line.distance_m(last.lat_deg, last.lon_deg)
    if (before > 0) == (distance > 0):
        return track.crossed
    direction: Direction = "down" if before > 0 else "up"
    if (before > 0) != (track.side > 0):
        return None  # it went back
    part = before / (before - distance)
    lat = last.lat_deg + part * (sighting.lat_deg - last.lat_deg)
    lon = last.lon_deg + part * ((sighting.lon_deg - last.lon_deg + 180.0) % 360.0 - 180.0)
    x, y = line.place(lat, lon)
    x_b, y_b = line.place(line.lat_b, line.lon_b)
    along = (x * x_b + y * y_b) / (x_b * x_b + y_b * y_b)
    if not 0 <= along <= 1:
        return None
    speed = last.speed_kn if sighting.speed_kn is None else sighting.speed_kn
    return Passage(sighting.mmsi, last.at + part * (sighting.at - last.at), direction, lat, lon, speed)


def _metres(line: CountingLine, one: Sighting, other: Sighting) -> float:
    x_1, y_1 = line.place(one.lat_deg, one.lon_deg)
    x_2, y_2 = line.place(other.lat_deg, other.lon_deg)
    return math.hypot(x_2 - x_1, y_2 - y_1)


def _is_counted(track: Track, passage: Passage) -> bool:
    counted_at = track.counted_at.get(passage.direction)
    return counted_at is not None and passage.at - counted_at < SAME_PASSAGE_S


class Repeats:
    """Remembers for half a minute which messages came, the latest 4096 of them."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[int, int], float] = OrderedDict()

    def is_repeat(self, bits: int, bit_length: int, now: float) -> bool:
        """Whether the same bits came within `REPEAT_S`; remembers them when they did not."""
        while self._seen and now - next(iter(self._seen.values())) >= REPEAT_S:
            self._seen.popitem(last=False)
        if (bits, bit_length) in self._seen:
            return True
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        self._seen[bits, bit_length] = now
        return False
