"""Is a buoy where it belongs: from bursts of fixes to on position, off position, adrift.

IALA A-126 (off-position alarms of AIS aids) and IALA G1098 for the purpose; the rules and numbers here are our own.
MicroPython-clean. Positions are integers of 1e-7 degree, differences of them are taken as integers, so that 32-bit
floats are good enough. `advance` is a pure function: a state and a burst in, the next state out.

The radius in which a buoy swings around its sinker follows from the length of its chain and the depth of the water:

>>> round(swing_radius_m(chain_m=25.0, height_m=15.0, antenna_m=1.0), 3)
21.0
"""

import math

ON_POSITION = 0
CHECKING = 1
OFF_POSITION = 2
ADRIFT = 3
PHASES = ("on_position", "checking", "off_position", "adrift")

WENT_OFF = "off_position"
RESTORED = "restored"
WENT_ADRIFT = "adrift"
STOPPED = "stopped"
GNSS_FAULT = "gnss_fault"
GNSS_BACK = "gnss_back"

MARGIN_M = 10.0
ACCURACY_OF_HDOP_M = 3.0
MAX_HDOP = 2.5
FEWEST_SATELLITES = 5
FEWEST_FIXES = 3
BURSTS_TO_OFF = 3
BURSTS_TO_ON = 2
BURSTS_TO_RESTORE = 5
RESTORED_SHARE = 0.8
ADRIFT_RADII = 3.0
ADRIFT_MPS = 0.3
STOPPED_MPS = 0.1
STOPPED_S = 1800
NO_FIX_S = 7200
SHIFT_SHARE = 0.5
SHIFT_DAYS = 3
NEXT_BURST_S = (0, 120, 600, 180)
"""When the next burst is due in each phase, 0: by the ordinary schedule."""

_METRES_PER_DEGREE = 111_319.49
_E7 = 10_000_000
_LEAST_SPREAD_E7 = 10
"""About a decimetre: closer fixes are never thrown away as outliers."""


class Fix:
    """One fix of a burst."""

    __slots__ = ("hdop", "lat_e7_deg", "lon_e7_deg", "num_sats")

    def __init__(self, lat_e7_deg: int, lon_e7_deg: int, hdop: float, num_sats: int) -> None:
        self.lat_e7_deg = lat_e7_deg
        self.lon_e7_deg = lon_e7_deg
        self.hdop = hdop
        self.num_sats = num_sats


class Burst:
    """What a burst of fixes amounts to."""

    __slots__ = ("hdop", "lat_e7_deg", "lon_e7_deg")

    def __init__(self, lat_e7_deg: int, lon_e7_deg: int, hdop: float = 1.0) -> None:
        self.lat_e7_deg = lat_e7_deg
        self.lon_e7_deg = lon_e7_deg
        self.hdop = hdop


class Mooring:
    """Where a buoy belongs."""

    __slots__ = ("lat_e7_deg", "lon_e7_deg", "swing_m")

    def __init__(self, lat_e7_deg: int, lon_e7_deg: int, swing_m: float) -> None:
        self.lat_e7_deg = lat_e7_deg
        self.lon_e7_deg = lon_e7_deg
        self.swing_m = swing_m


class Drift:
    """The state of the decision. Never changed: `advance` makes the next one."""

    __slots__ = ("bearing_deg", "began_at_s", "fixed_at_s", "has_fault", "inside", "last", "moved_at_s", "offset_m",
                 "outside", "phase", "radius_m", "speed_mps")  # fmt: skip

    def __init__(self, began_at_s: int) -> None:
        self.phase = ON_POSITION
        self.outside = 0
        """Bursts in a row beyond the alarm radius."""
        self.inside = 0
        """Bursts in a row within what the phase asks for."""
        self.last: Burst | None = None
        self.began_at_s = began_at_s
        self.fixed_at_s = began_at_s
        """When the last burst with a position was."""
        self.moved_at_s = began_at_s
        """When it was last as fast as a buoy adrift."""
        self.has_fault = False
        self.offset_m: float | None = None
        """From the anchor; None before the first burst."""
        self.bearing_deg: float | None = None
        self.radius_m = 0.0
        """The alarm radius of the last burst."""
        self.speed_mps: float | None = None
        """Between the last two bursts."""

    @property
    def is_off_position(self) -> bool:
        """What message 21 says of it."""
        return self.phase in (OFF_POSITION, ADRIFT)

    @property
    def next_burst_s(self) -> int:
        """After how long the next burst is due; 0 means by the ordinary schedule."""
        return NEXT_BURST_S[self.phase]


def swing_radius_m(chain_m: float, height_m: float, antenna_m: float) -> float:
    """How far the antenna gets from the sinker: `height_m` from sinker to hawse at the present level of the water."""
    if chain_m <= height_m:
        return antenna_m
    return math.sqrt(chain_m * chain_m - height_m * height_m) + antenna_m


def alarm_radius_m(swing_m: float, hdop: float) -> float:
    """Beyond this a buoy is off position: its swing, twice the accuracy, and a margin."""
    return swing_m + 2 * hdop * ACCURACY_OF_HDOP_M + MARGIN_M


def offset_of(lat_e7_deg: int, lon_e7_deg: int, other_lat_e7_deg: int, other_lon_e7_deg: int) -> tuple[float, float]:
    """(m, degrees true) from the first position to the second, on a plane: 0.5 % of 10 km is wrong at most."""
    east_e7 = other_lon_e7_deg - lon_e7_deg
    if east_e7 > 180 * _E7:
        east_e7 -= 360 * _E7
    elif east_e7 < -180 * _E7:
        east_e7 += 360 * _E7
    east = east_e7 / _E7 * _METRES_PER_DEGREE * math.cos(math.radians(lat_e7_deg / _E7))
    north = (other_lat_e7_deg - lat_e7_deg) / _E7 * _METRES_PER_DEGREE
    bearing = math.degrees(math.atan2(east, north))
    return (math.sqrt(east * east + north * north), bearing if bearing >= 0 else bearing + 360)


def burst_of(fixes: list[Fix]) -> Burst | None:
    """The median of the good fixes of one burst; None when fewer than three are good.

    Fixes of another burst are never mixed in: the buoy moves.
    """
    good = [fix for fix in fixes if fix.hdop <= MAX_HDOP and fix.num_sats >= FEWEST_SATELLITES]
    if len(good) < FEWEST_FIXES:
        return None
    good = _without_outliers(good)
    if len(good) < FEWEST_FIXES:
        return None
    hdops = sorted([fix.hdop for fix in good])
    lat = _median([fix.lat_e7_deg for fix in good])
    return Burst(lat, _median([fix.lon_e7_deg for fix in good]), hdops[len(hdops) // 2])


def _without_outliers(fixes: list[Fix]) -> list[Fix]:
    """Without what is further from the median than three times the median distance from it, in either direction."""
    lat = _median([fix.lat_e7_deg for fix in fixes])
    lon = _median([fix.lon_e7_deg for fix in fixes])
    lat_spread = max(_LEAST_SPREAD_E7, 3 * _median([abs(fix.lat_e7_deg - lat) for fix in fixes]))
    lon_spread = max(_LEAST_SPREAD_E7, 3 * _median([abs(fix.lon_e7_deg - lon) for fix in fixes]))
    return [fix for fix in fixes if abs(fix.lat_e7_deg - lat) <= lat_spread and abs(fix.lon_e7_deg - lon) <= lon_spread]


def _median(values: list[int]) -> int:
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) // 2


def advance(mooring: Mooring, state: Drift, burst: Burst | None, now_s: int) -> tuple[Drift, tuple[str, ...]]:
    """The next state after a burst (None: it brought no position), and what happened."""
    after = _copy(state)
    if burst is None:
        if state.has_fault or now_s - state.fixed_at_s < NO_FIX_S:
            return (after, ())
        after.has_fault = True
        return (after, (GNSS_FAULT,))
    notes = [GNSS_BACK] if state.has_fault else []
    after.has_fault = False
    after.offset_m, after.bearing_deg = offset_of(
        mooring.lat_e7_deg, mooring.lon_e7_deg, burst.lat_e7_deg, burst.lon_e7_deg
    )
    after.speed_mps = _speed(state, burst, now_s)
    after.last = burst
    after.fixed_at_s = now_s
    if after.speed_mps is None or after.speed_mps >= STOPPED_MPS:
        after.moved_at_s = now_s
    after.radius_m = alarm_radius_m(mooring.swing_m, burst.hdop)
    _count(after)
    for phase, _words, holds, next_phase, note in TRANSITIONS:
        if phase == after.phase and holds(after):
            after.phase = next_phase
            after.outside = after.inside = 0
            after.began_at_s = now_s
            if note is not None:
                notes.append(note)
            break
    return (after, tuple(notes))


def _copy(state: Drift) -> Drift:
    after = Drift(state.began_at_s)
    for name in Drift.__slots__:
        setattr(after, name, getattr(state, name))
    return after


def _speed(state: Drift, burst: Burst, now_s: int) -> float | None:
    last = state.last
    if last is None or now_s <= state.fixed_at_s:
        return None
    way, _ = offset_of(last.lat_e7_deg, last.lon_e7_deg, burst.lat_e7_deg, burst.lon_e7_deg)
    return way / (now_s - state.fixed_at_s)


def _count(state: Drift) -> None:
    offset = state.offset_m or 0.0
    state.outside = state.outside + 1 if offset > state.radius_m else 0
    within = state.radius_m * RESTORED_SHARE if state.phase == OFF_POSITION else state.radius_m
    state.inside = state.inside + 1 if offset <= within else 0


def _is_outside(state: Drift) -> bool:
    return state.outside > 0


def _stays_outside(state: Drift) -> bool:
    return state.outside >= BURSTS_TO_OFF


def _is_back(state: Drift) -> bool:
    return state.inside >= BURSTS_TO_ON


def _is_restored(state: Drift) -> bool:
    return state.inside >= BURSTS_TO_RESTORE


def _is_adrift(state: Drift) -> bool:
    """Fast, or far away; but what has come to rest out there lies there until it moves again."""
    is_fast = state.speed_mps is not None and state.speed_mps > ADRIFT_MPS
    is_far = (state.offset_m or 0.0) > ADRIFT_RADII * state.radius_m
    return is_fast or (is_far and not _has_stopped(state))


def _has_stopped(state: Drift) -> bool:
    return state.fixed_at_s - state.moved_at_s >= STOPPED_S


TRANSITIONS = (
    (ON_POSITION, "a burst beyond the alarm radius", _is_outside, CHECKING, None),
    (CHECKING, "3 bursts in a row beyond", _stays_outside, OFF_POSITION, WENT_OFF),
    (CHECKING, "2 bursts in a row within", _is_back, ON_POSITION, None),
    (OFF_POSITION, "5 bursts in a row within 0.8 radii", _is_restored, ON_POSITION, RESTORED),
    (OFF_POSITION, "faster than 0.3 m/s, or beyond 3 radii and not at rest", _is_adrift, ADRIFT, WENT_ADRIFT),
    (ADRIFT, "slower than 0.1 m/s for 30 min", _has_stopped, OFF_POSITION, STOPPED),
)
"""(phase, in words, when, next phase, what happened): the first that holds is taken, one a burst."""


def shifted_days(days: int, day_mean: Burst, mooring: Mooring) -> int:
    """Days in a row, with this one, on which the mean position was far off: at `SHIFT_DAYS` the sinker has moved."""
    offset, _ = offset_of(mooring.lat_e7_deg, mooring.lon_e7_deg, day_mean.lat_e7_deg, day_mean.lon_e7_deg)
    return days + 1 if offset > SHIFT_SHARE * mooring.swing_m else 0
