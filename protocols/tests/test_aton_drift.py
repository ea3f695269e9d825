"""Drift: geometry, bursts, every row of the table of transitions, and its pages."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.aton.drift import (
    ADRIFT,
    BURSTS_TO_RESTORE,
    CHECKING,
    GNSS_BACK,
    GNSS_FAULT,
    NO_FIX_S,
    OFF_POSITION,
    ON_POSITION,
    PHASES,
    RESTORED,
    SHIFT_DAYS,
    STOPPED,
    STOPPED_S,
    TRANSITIONS,
    WENT_ADRIFT,
    WENT_OFF,
    Burst,
    Drift,
    Fix,
    Mooring,
    advance,
    alarm_radius_m,
    burst_of,
    offset_of,
    shifted_days,
    swing_radius_m,
)

LAT, LON = 320_891_230, 1_187_812_350
MOORING = Mooring(LAT, LON, 21.0)
RADIUS = 37.0
"""21 m of swing, twice 3 m, and 10 m."""
E7_PER_M = 1e7 / 111_319.49


def away(metres: float, bearing_deg: float = 0.0) -> Burst:
    north = metres * math.cos(math.radians(bearing_deg))
    east = metres * math.sin(math.radians(bearing_deg)) / math.cos(math.radians(LAT / 1e7))
    return Burst(LAT + round(north * E7_PER_M), LON + round(east * E7_PER_M))


class Watch:
    """A buoy whose bursts come at the intervals that it asks for, or each half hour."""

    def __init__(self) -> None:
        self.state = Drift(0)
        self.now_s = 0
        self.notes: list[str] = []

    def burst(self, burst: Burst | None, after_s: int | None = None) -> int:
        self.now_s += (self.state.next_burst_s or 1800) if after_s is None else after_s
        self.state, notes = advance(MOORING, self.state, burst, self.now_s)
        self.notes += notes
        return self.state.phase


def went_off() -> Watch:
    watch = Watch()
    for _ in range(4):
        watch.burst(away(60.0))
    assert (watch.state.phase, watch.notes) == (OFF_POSITION, [WENT_OFF])
    watch.notes = []
    return watch


def test_radii_of_the_worked_example() -> None:
    assert swing_radius_m(25.0, 15.0, 1.0) == 21.0
    assert swing_radius_m(25.0, 18.0, 1.0) < 21.0  # high water
    assert swing_radius_m(15.0, 15.0, 1.0) == 1.0
    assert swing_radius_m(10.0, 15.0, 1.0) == 1.0
    assert alarm_radius_m(21.0, 1.0) == RADIUS
    assert alarm_radius_m(21.0, 2.5) == 46.0


@pytest.mark.parametrize("bearing", [0.0, 45.0, 90.0, 180.0, 225.0, 359.0])
def test_offset_and_bearing(bearing: float) -> None:
    there = away(88.0, bearing)
    metres, degrees = offset_of(LAT, LON, there.lat_e7_deg, there.lon_e7_deg)
    assert metres == pytest.approx(88.0, abs=0.02)
    assert (degrees - bearing + 180) % 360 - 180 == pytest.approx(0.0, abs=0.02)


def test_offset_across_the_antimeridian() -> None:
    metres, bearing = offset_of(0, 1_799_999_000, 0, -1_799_999_000)
    assert (metres, bearing) == (pytest.approx(22.26, abs=0.01), 90.0)
    assert offset_of(0, -1_799_999_000, 0, 1_799_999_000)[1] == 270.0


def test_a_buoy_that_swings_stays_on_position() -> None:
    watch = Watch()
    for number in range(100):
        assert watch.burst(away(RADIUS - 0.1, 37.0 * number)) == ON_POSITION
    assert watch.notes == []
    assert not watch.state.is_off_position


def test_one_stray_burst_is_checked_and_forgotten() -> None:
    watch = Watch()
    assert watch.burst(away(50.0)) == CHECKING
    assert watch.state.next_burst_s == 120
    assert watch.burst(away(50.0)) == CHECKING
    assert watch.burst(away(30.0)) == CHECKING
    assert watch.burst(away(50.0)) == CHECKING
    assert watch.burst(away(30.0)) == CHECKING
    assert watch.burst(away(30.0)) == ON_POSITION
    assert watch.notes == []


def test_three_bursts_in_a_row_are_off_position() -> None:
    watch = Watch()
    phases = [watch.burst(away(50.0)) for _ in range(4)]
    assert phases == [CHECKING, CHECKING, CHECKING, OFF_POSITION]
    assert watch.notes == [WENT_OFF]
    assert watch.state.is_off_position
    assert watch.state.offset_m == pytest.approx(50.0, abs=0.02)
    assert watch.state.next_burst_s == 600


def test_restored_after_five_bursts_well_within() -> None:
    watch = went_off()
    for _ in range(BURSTS_TO_RESTORE - 1):
        assert watch.burst(away(0.8 * RADIUS - 0.1)) == OFF_POSITION
    assert watch.burst(away(0.8 * RADIUS + 0.1)) == OFF_POSITION  # within the radius, and not enough
    for _ in range(BURSTS_TO_RESTORE - 1):
        watch.burst(away(0.8 * RADIUS - 0.1))
    assert watch.notes == []
    assert watch.burst(away(10.0)) == ON_POSITION
    assert watch.notes == [RESTORED]


@pytest.mark.parametrize(
    ("metres", "after_s", "phase"),
    [(3 * RADIUS + 1, 600, ADRIFT), (3 * RADIUS - 1, 600, OFF_POSITION), (95, 100, ADRIFT), (88, 100, OFF_POSITION)],
)
def test_adrift_by_distance_or_by_speed(metres: float, after_s: int, phase: int) -> None:
    watch = went_off()
    assert watch.burst(away(metres), after_s) == phase
    assert watch.notes == ([WENT_ADRIFT] if phase == ADRIFT else [])


def test_adrift_ends_after_half_an_hour_of_rest() -> None:
    watch = went_off()
    metres = 200.0
    assert watch.burst(away(metres)) == ADRIFT
    for _ in range(20):
        metres += 30.0
        assert watch.burst(away(metres)) == ADRIFT
    assert watch.state.speed_mps == pytest.approx(30 / 180, abs=0.001)
    rests = 0
    while watch.burst(away(metres)) == ADRIFT:
        rests += 1
    assert rests == STOPPED_S // 180 - 1
    assert watch.state.phase == OFF_POSITION
    assert watch.notes == [WENT_ADRIFT, STOPPED]


def test_a_buoy_at_rest_far_away_does_not_go_adrift_again_and_again() -> None:
    watch = went_off()
    metres = 4 * RADIUS
    while watch.burst(away(metres)) != OFF_POSITION:
        pass
    assert watch.notes == [WENT_ADRIFT, STOPPED]
    for _ in range(20):
        assert watch.burst(away(metres)) == OFF_POSITION
    assert watch.notes == [WENT_ADRIFT, STOPPED]
    assert watch.burst(away(metres + 70), 600) == ADRIFT  # on the move again
    assert watch.notes == [WENT_ADRIFT, STOPPED, WENT_ADRIFT]


def test_no_fix_for_two_hours_is_a_fault_and_changes_no_phase() -> None:
    watch = went_off()
    began = watch.now_s
    while watch.now_s - began < NO_FIX_S - 600:
        assert watch.burst(None) == OFF_POSITION
    assert watch.notes == []
    assert watch.burst(None) == OFF_POSITION
    assert watch.notes == [GNSS_FAULT]
    assert watch.burst(None) == OFF_POSITION
    assert watch.burst(away(60.0)) == OFF_POSITION
    assert watch.notes == [GNSS_FAULT, GNSS_BACK]
    assert not watch.state.has_fault


def test_a_missing_burst_breaks_no_row() -> None:
    watch = Watch()
    for burst in (away(50.0), away(50.0), None, away(50.0), None, away(50.0)):
        watch.burst(burst)
    assert watch.notes == [WENT_OFF]


def test_advance_is_pure() -> None:
    state = Drift(0)
    before = {name: getattr(state, name) for name in Drift.__slots__}
    one, _ = advance(MOORING, state, away(500.0), 60)
    other, _ = advance(MOORING, state, away(500.0), 60)
    assert {name: getattr(state, name) for name in Drift.__slots__} == before
    assert all(getattr(one, name) == getattr(other, name) for name in Drift.__slots__ if name != "last")


@given(st.lists(st.tuples(st.integers(1, 10_000), st.none() | st.floats(0, 500)), max_size=80))
def test_off_position_is_never_without_three_bursts_in_a_row(bursts: list[tuple[int, float | None]]) -> None:
    watch = Watch()
    seen: list[float] = []
    for after_s, metres in bursts:
        if metres is not None:
            seen.append(metres)
        before = watch.state.phase
        phase = watch.burst(None if metres is None else away(metres), after_s)
        if phase == OFF_POSITION and before == CHECKING:
            assert all(one > RADIUS - 0.1 for one in seen[-3:])
        if phase == ON_POSITION and before == OFF_POSITION:
            assert all(one <= 0.8 * RADIUS + 0.1 for one in seen[-BURSTS_TO_RESTORE:])
        assert not (before == ON_POSITION and phase in (OFF_POSITION, ADRIFT))


def fixes(*metres: float, **changes: Any) -> list[Fix]:
    return [Fix(away(one).lat_e7_deg, LON, changes.get("hdop", 0.8), changes.get("num_sats", 9)) for one in metres]


def test_a_burst_is_the_median_of_its_good_fixes() -> None:
    burst = burst_of(fixes(1.0, 2.0, 3.0, 2.5, 1.5))
    assert burst is not None
    assert (burst.lat_e7_deg, burst.lon_e7_deg, burst.hdop) == (away(2.0).lat_e7_deg, LON, 0.8)
    even = burst_of(fixes(1.0, 2.0, 3.0, 4.0))
    assert even is not None
    assert even.lat_e7_deg == pytest.approx(away(2.5).lat_e7_deg, abs=1)


def test_outliers_and_bad_fixes_are_dropped() -> None:
    burst = burst_of([*fixes(1.0, 2.0, 3.0, 2.0), *fixes(500.0), *fixes(300.0, hdop=2.6), *fixes(300.0, num_sats=4)])
    assert burst is not None
    assert burst.lat_e7_deg == away(2.0).lat_e7_deg
    same = burst_of([*fixes(2.0, 2.0, 2.0, 2.0), *fixes(2.05)])
    assert same is not None
    assert burst_of(fixes(1.0, 2.0)) is None
    assert burst_of(fixes(1.0, 2.0, 3.0, hdop=2.6)) is None
    assert burst_of(fixes(1.0, 2.0, 3.0, num_sats=4)) is None
    assert burst_of([]) is None


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0.5, 4.0), st.integers(0, 12)), max_size=60))
def test_a_burst_lies_among_its_fixes(given_fixes: list[tuple[float, float, int]]) -> None:
    made = [Fix(away(metres).lat_e7_deg, LON, hdop, sats) for metres, hdop, sats in given_fixes]
    burst = burst_of(made)
    if burst is not None:
        assert min(fix.lat_e7_deg for fix in made) <= burst.lat_e7_deg <= max(fix.lat_e7_deg for fix in made)
        assert burst.lon_e7_deg == LON


def test_a_sinker_has_moved_after_three_days() -> None:
    days = 0
    for _ in range(SHIFT_DAYS):
        days = shifted_days(days, away(10.6), MOORING)
    assert days == SHIFT_DAYS
    assert shifted_days(days, away(10.4), MOORING) == 0


def test_the_page_draws_the_table() -> None:
    rows = [f"    {PHASES[begin]} --> {PHASES[end]}: {words}" for begin, words, _when, end, _note in TRANSITIONS]
    drawn = "\n".join(rows)
    assert drawn in (Path(__file__).parents[2] / "docs/protocols/aton.md").read_text()
