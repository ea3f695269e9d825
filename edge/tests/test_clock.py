"""The clock of a box: who vouches for it, jumps, ageing; on a system and a time of the test's own."""

import asyncio
import logging
from typing import Any

import pytest

from drivers.readings import TimeOffer
from edge.gateway import clock as module
from edge.gateway.clock import GatewayClock
from edge.gateway.system_time import SystemTime
from edge.gateway.timekeeper import FIRST_CLAIMS, JUMP_CLAIMS, JUMP_SPAN_S, SUPPORT_S
from protocols.core.instant import MS_PER_DAY, days_of, instant_of
from protocols.wayside.events import ClockSet

BUILD = days_of(2026, 1, 1)
NOW_MS = instant_of(days_of(2026, 11, 24), 43_200_000)
YEAR_MS = 365 * MS_PER_DAY
STARTED = 1000.0


class World:
    """True time, what the system makes of it, and the clock under test."""

    def __init__(self, *, system_error_ms: int = 0, is_kept: bool = False) -> None:
        self.now = STARTED
        self.system_error_ms = system_error_ms
        self.is_kept = is_kept
        self.settings: list[dict[str, Any]] = []
        self.clock = GatewayClock(
            boot=41,
            monotonic=lambda: self.now,
            on_set=self.settings.append,
            read_system=self._read,
            build_day=BUILD,
        )

    @property
    def true_ms(self) -> int:
        return NOW_MS + round((self.now - STARTED) * 1000)

    @property
    def error_ms(self) -> int:
        return self.clock.wall_ms() - self.true_ms

    def _read(self) -> SystemTime:
        return SystemTime(wall_ms=self.true_ms + self.system_error_ms, is_kept=self.is_kept)

    def pass_time(self, seconds: float, *, gnss_error_ms: int | None = None) -> None:
        """Let time pass; the system is looked at every two seconds, a receiver offers its time every second."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            if gnss_error_ms is not None:
                self.offer(gnss_error_ms)
            if round(self.now) % 2 == 0:
                self.clock.poll()

    def offer(self, error_ms: int = 0, accuracy_ms: float = 500.0) -> None:
        self.clock.offer(
            TimeOffer(
                device="gnss", source="gnss", at=self.now, utc_ms=self.true_ms + error_ms, accuracy_ms=accuracy_ms
            )
        )


# The face


def test_monotonic_and_uptime_are_one_scale_from_the_start() -> None:
    world = World()
    world.pass_time(5)
    assert world.clock.monotonic() == STARTED + 5
    assert world.clock.uptime_ms() == 5000
    assert world.clock.uptime_ms(STARTED + 1.5) == 1500
    assert world.clock.uptime_ms(STARTED - 7) == 0


def test_wall_time_of_a_moment_is_told_as_believed_now() -> None:
    world = World(is_kept=True)
    world.pass_time(5)
    assert world.clock.wall_ms(STARTED + 2) == NOW_MS + 2000
    assert world.clock.wall_ms() == NOW_MS + 5000


def test_a_setting_is_an_event_that_the_contract_takes() -> None:
    world = World(system_error_ms=-NOW_MS)
    world.pass_time(10)
    world.pass_time(5, gnss_error_ms=0)
    (setting,) = world.settings
    assert setting == {
        "boot": 41,
        "uptime": 12_000 + 1000 * (FIRST_CLAIMS - 2),
        "time": NOW_MS + setting["uptime"],
        "offset_ms": NOW_MS,
        "source": "gnss",
    }
    assert set(setting) == set(ClockSet.__struct_fields__)


def test_status_is_plain_data() -> None:
    world = World(is_kept=True)
    world.offer(YEAR_MS)
    assert world.clock.status() == {
        "time": "2026-11-24T12:00:00.000Z",
        "time_ms": NOW_MS,
        "quality": "ntp",
        "uptime_ms": 0,
        "doubted": {"gnss": 1},
    }


# What the system says


def test_a_box_that_ntp_keeps() -> None:
    world = World(is_kept=True)
    world.pass_time(3600)
    assert (world.clock.quality(), world.error_ms, world.settings) == ("ntp", 0, [])


def test_a_box_with_a_possible_date_and_nobody_who_vouches_for_it() -> None:
    world = World(system_error_ms=-7 * MS_PER_DAY)
    assert (world.clock.quality(), world.error_ms) == ("rtc", -7 * MS_PER_DAY)


@pytest.mark.parametrize("error_ms", [-NOW_MS, -2 * YEAR_MS, 30 * YEAR_MS])
def test_a_box_with_an_impossible_date_works_at_once_with_quality_none(error_ms: int) -> None:
    """Row 24: 1970, before the build or decades ahead: wall time goes on, and says what it is worth."""
    world = World(system_error_ms=error_ms)
    first = world.clock.wall_ms()
    world.pass_time(60 * 86_400 / 1000)
    assert world.clock.quality() == "none"
    assert world.clock.wall_ms() > first
    assert world.settings == []


def test_a_kept_clock_with_an_impossible_date_is_not_believed() -> None:
    world = World(system_error_ms=-3 * YEAR_MS, is_kept=True)
    world.pass_time(300)
    assert (world.clock.quality(), world.settings) == ("none", [])
    assert world.clock.status()["doubted"]["ntp"] > 100


def test_ntp_comes_after_the_start() -> None:
    world = World(system_error_ms=-NOW_MS)
    world.pass_time(60)
    world.system_error_ms, world.is_kept = 0, True
    world.pass_time(10)
    assert (world.clock.quality(), world.error_ms) == ("ntp", 0)
    (setting,) = world.settings
    assert (setting["source"], setting["offset_ms"]) == ("ntp", NOW_MS)
    assert 0 < setting["uptime"] - 60_000 <= 2000 * FIRST_CLAIMS


def test_ntp_confirms_a_good_rtc_and_says_so() -> None:
    world = World()
    world.is_kept = True
    world.pass_time(10)
    assert world.clock.quality() == "ntp"
    assert [(setting["source"], setting["offset_ms"]) for setting in world.settings] == [("ntp", 0)]


def test_somebody_sets_the_clock_of_a_box_without_any_source() -> None:
    world = World(system_error_ms=-NOW_MS)
    world.pass_time(10)
    world.system_error_ms = 0
    world.pass_time(10)
    assert (world.clock.quality(), world.error_ms) == ("rtc", 0)
    assert [setting["source"] for setting in world.settings] == ["rtc"]


def test_small_steps_of_ntp_are_followed_and_tiny_ones_are_not_worth_an_event() -> None:
    world = World(is_kept=True)
    world.system_error_ms = 10
    world.pass_time(10)
    assert world.settings == []
    world.system_error_ms = 300
    world.pass_time(10)
    assert (world.error_ms, world.clock.quality()) == (300, "ntp")
    assert [setting["offset_ms"] for setting in world.settings] == [300]


# Steps


@pytest.mark.parametrize("is_kept", [True, False])
def test_three_years_back_one_year_ahead_and_right_again(is_kept: bool) -> None:
    """Row 25: records keep a time that goes forward, each with its quality; nothing that was right gets lost."""
    world = World(is_kept=is_kept)
    last, qualities = world.clock.wall_ms(), []
    for error_ms in (-3 * YEAR_MS, YEAR_MS, 0):
        world.system_error_ms = error_ms
        for _ in range(20):
            world.pass_time(2)
            qualities.append(world.clock.quality())
            if is_kept:
                assert last < world.clock.wall_ms()
                last = world.clock.wall_ms()
    assert world.error_ms == 0
    assert set(qualities) <= {"ntp", "hold", "rtc"}
    moves = [setting["offset_ms"] for setting in world.settings]
    assert moves == ([] if is_kept else [YEAR_MS, -YEAR_MS])  # the RTC has nothing better to hold against it
    assert qualities[-1] == ("ntp" if is_kept else "rtc")


def test_a_jump_that_stays_is_believed_in_the_end_and_the_way_back_too() -> None:
    """Row 25: with one source only, whoever says the same for a minute is followed, and the event tells by how much."""
    world = World(is_kept=True)
    world.pass_time(100)
    world.system_error_ms = YEAR_MS
    world.pass_time(JUMP_SPAN_S - 5)
    assert (world.error_ms, world.clock.quality()) == (0, "hold")
    world.pass_time(15)
    assert (world.error_ms, world.clock.quality()) == (YEAR_MS, "ntp")
    world.system_error_ms = 0
    world.pass_time(JUMP_SPAN_S + 10)
    assert (world.error_ms, world.clock.quality()) == (0, "ntp")
    assert [setting["offset_ms"] for setting in world.settings] == [YEAR_MS, -YEAR_MS]


def test_claims_that_disagree_with_each_other_never_make_a_jump() -> None:
    world = World(is_kept=True)
    for number in range(300):
        world.system_error_ms = YEAR_MS + number * 5000
        world.pass_time(2)
    assert (world.error_ms, world.settings, world.clock.quality()) == (0, [], "hold")


def test_few_claims_over_a_long_time_are_no_proof() -> None:
    world = World(is_kept=True)
    world.is_kept = False
    world.pass_time(SUPPORT_S + 10)
    for _ in range(JUMP_CLAIMS - 1):
        world.now += 100
        world.offer(YEAR_MS)
    assert world.error_ms == 0
    world.now += 100
    world.offer(YEAR_MS)
    assert world.error_ms == YEAR_MS


# GNSS


def test_gnss_sets_a_box_from_1970_and_then_keeps_it() -> None:
    world = World(system_error_ms=-NOW_MS)
    world.pass_time(3600)
    world.pass_time(3, gnss_error_ms=0)
    assert (world.clock.quality(), world.error_ms) == ("gnss", 0)
    world.pass_time(3600, gnss_error_ms=0)
    assert len(world.settings) == 1
    assert world.clock.uptime_ms() == 7_203_000


def test_one_bogus_offer_is_no_time() -> None:
    world = World(system_error_ms=-NOW_MS)
    world.offer(YEAR_MS)
    world.pass_time(10, gnss_error_ms=0)
    assert [setting["offset_ms"] for setting in world.settings] == [NOW_MS]


@pytest.mark.parametrize("error_ms", [-20 * YEAR_MS, 20 * YEAR_MS, -NOW_MS])
def test_dates_before_the_build_and_from_far_ahead_are_refused_for_ever(error_ms: int) -> None:
    """Row 25: a fix from the future must not freeze what is latest."""
    for world in (World(is_kept=True), World(system_error_ms=-NOW_MS)):
        quality = world.clock.quality()
        world.pass_time(1000, gnss_error_ms=error_ms)
        assert (world.settings, world.clock.quality()) == ([], quality)


def test_while_ntp_stands_gnss_does_not_move_it_and_the_other_way_round(caplog: pytest.LogCaptureFixture) -> None:
    world = World(is_kept=True)
    with caplog.at_level(logging.WARNING):
        world.pass_time(1000, gnss_error_ms=YEAR_MS)
    assert (world.error_ms, world.settings, world.clock.quality()) == (0, [], "ntp")
    assert len([record for record in caplog.records if "gnss" in record.getMessage()]) == 1

    world = World(system_error_ms=-NOW_MS)
    world.pass_time(10, gnss_error_ms=0)
    world.system_error_ms, world.is_kept = YEAR_MS, True
    world.pass_time(1000, gnss_error_ms=0)
    assert (world.error_ms, len(world.settings), world.clock.quality()) == (0, 1, "gnss")


def test_jitter_of_a_receiver_moves_nothing_and_ntp_beside_it_is_the_finer_one() -> None:
    world = World(system_error_ms=-NOW_MS)
    for number in range(300):
        world.pass_time(1, gnss_error_ms=-(number * 37 % 450))
    assert len(world.settings) == 1
    world.system_error_ms, world.is_kept = 0, True
    world.pass_time(10, gnss_error_ms=-300)
    assert (world.error_ms, world.clock.quality()) == (0, "ntp")
    world.pass_time(300, gnss_error_ms=-450)
    assert world.error_ms == 0
    assert [setting["source"] for setting in world.settings] == ["gnss", "ntp"]


def test_a_receiver_that_learns_the_leap_seconds_late_is_followed() -> None:
    """Until the almanac is read, up to 12.5 minutes, a receiver's time may be some seconds off."""
    world = World(system_error_ms=-NOW_MS)
    world.pass_time(300, gnss_error_ms=3000)
    assert world.error_ms == 3000
    world.pass_time(JUMP_SPAN_S + 10, gnss_error_ms=0)
    assert (world.error_ms, world.clock.quality()) == (0, "gnss")


# Sources that go


def test_ntp_goes_away_and_the_time_is_held() -> None:
    world = World(is_kept=True)
    world.pass_time(100)
    world.is_kept = False
    world.pass_time(SUPPORT_S - 4)
    assert world.clock.quality() == "ntp"
    world.pass_time(10)
    assert (world.clock.quality(), world.error_ms) == ("hold", 0)
    world.system_error_ms = YEAR_MS  # somebody turns the system's clock meanwhile
    world.pass_time(1000)
    assert (world.clock.quality(), world.error_ms, world.settings) == ("hold", 0, [])
    world.system_error_ms, world.is_kept = 0, True
    world.pass_time(4)
    assert (world.clock.quality(), world.settings) == ("ntp", [])


def test_gnss_takes_over_from_ntp_and_ntp_from_gnss() -> None:
    world = World(is_kept=True)
    world.pass_time(100, gnss_error_ms=-200)
    world.is_kept = False
    world.pass_time(SUPPORT_S + 4, gnss_error_ms=-200)
    assert (world.clock.quality(), world.error_ms) == ("gnss", 0)
    world.is_kept = True
    world.pass_time(SUPPORT_S + 4)
    assert (world.clock.quality(), world.settings) == ("ntp", [])


def test_sixty_days_without_a_source() -> None:
    """Row 24: nothing stops and nothing expires; the quality says what it is."""
    world = World(is_kept=True)
    world.is_kept = False
    world.now += 60 * 86_400
    world.clock.poll()
    assert (world.clock.quality(), world.error_ms, world.clock.uptime_ms()) == ("hold", 0, 60 * 86_400_000)


async def test_watching_looks_again_and_again_until_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    world = World()
    world.is_kept = True
    task = asyncio.create_task(world.clock.watch())
    async with asyncio.timeout(5):
        while world.clock.quality() != "ntp":
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_getters_never_call_back() -> None:
    """An event is numbered while its time is asked for: a setting in between would take its number."""
    world = World(system_error_ms=-NOW_MS)
    world.system_error_ms, world.is_kept = 0, True
    for _ in range(100):
        world.now += 2
        world.clock.wall_ms()
        world.clock.quality()
        world.clock.uptime_ms()
        world.clock.status()
    assert world.settings == []
