"""What a plan says of when: spread over the jitter, within the window, never later for being told again."""

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from ota.campaign.conditions import conditions_of, longest_wait_s, window_minutes
from ota.campaign.rules import Campaign, Stage, When, Window
from ota.targets import Conditions

AT = 1_800_000_000
MINUTES = st.integers(0, 1439)


def campaign(when: When, name: str = "x") -> Campaign:
    return Campaign(name=name, target="rsu/x.tar", stage=[Stage(percent=100)], when=when)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def is_open(conditions: Conditions, minute: int) -> bool:
    """As the device reads it."""
    start, end = conditions.window_from_minute, conditions.window_to_minute
    assert start is not None
    assert end is not None
    return start <= minute < end if start <= end else minute >= start or minute < end


def test_a_campaign_without_a_window_says_nothing_of_one() -> None:
    conditions = conditions_of(campaign(When(jitter_s=0)), "bus-1", AT)
    assert conditions == Conditions(not_before=AT)
    assert window_minutes(When()) == (None, None)


def test_everything_that_was_asked_for_reaches_the_plan() -> None:
    when = When(
        window=Window(from_="22:30", to="04:05"),
        jitter_s=0,
        deadline_s=3_600,
        is_metered_allowed=True,
        max_bytes_per_s=4_096,
        local=["lane-closed"],
    )
    assert conditions_of(campaign(when), "bus-1", AT) == Conditions(
        not_before=AT,
        deadline=AT + 3_600,
        window_from_minute=22 * 60 + 30,
        window_to_minute=4 * 60 + 5,
        is_metered_allowed=True,
        max_bytes_per_s=4_096,
        local=["lane-closed"],
    )


@given(st.integers(0, 86_400), st.text("abc-1", min_size=1, max_size=8), st.integers(0, 1 << 30))
def test_the_jitter_is_the_devices_own_and_within_what_was_asked_for(jitter_s: int, device: str, later: int) -> None:
    wanted = campaign(When(jitter_s=jitter_s))
    own = conditions_of(wanted, device, AT).not_before - AT
    assert 0 <= own <= max(0, jitter_s - 1)
    assert conditions_of(wanted, device, AT + later).not_before - AT - later == own


def test_a_fleet_is_spread_evenly_over_the_jitter() -> None:
    wanted = campaign(When(jitter_s=1_000))
    tenths = Counter((conditions_of(wanted, f"bus-{n}", AT).not_before - AT) // 100 for n in range(10_000))
    assert sorted(tenths) == list(range(10))
    assert sum((count - 1_000) ** 2 / 1_000 for count in tenths.values()) < 27.88  # chi-square, 9 degrees, 0.1 %


def test_a_fleet_does_not_switch_in_the_minute_in_which_the_window_opens() -> None:
    wanted = campaign(When(window=Window(from_="23:50", to="03:50"), jitter_s=3_600))
    opens = Counter(conditions_of(wanted, f"bus-{n}", AT).window_from_minute for n in range(6_000))
    assert set(opens) == {*range(23 * 60 + 50, 24 * 60), *range(50)}
    assert max(opens.values()) < 160, "100 a minute on the average"


@given(MINUTES, MINUTES, st.integers(0, 86_400), st.text("abc-1", min_size=1, max_size=8))
def test_no_device_switches_outside_the_window_and_each_has_half_of_it(
    start: int, end: int, jitter_s: int, device: str
) -> None:
    assume(start != end)
    whole = campaign(When(window=Window(from_=clock(start), to=clock(end)), jitter_s=0))
    jittered = campaign(When(window=whole.when.window, jitter_s=jitter_s))
    open_ = {minute for minute in range(1440) if is_open(conditions_of(whole, device, AT), minute)}
    own = {minute for minute in range(1440) if is_open(conditions_of(jittered, device, AT), minute)}
    assert own <= open_
    assert 2 * len(own) >= len(open_) == (end - start) % 1440


def test_a_well_device_may_do_nothing_for_its_jitter_and_a_day_where_there_is_a_window() -> None:
    assert longest_wait_s(When(jitter_s=60)) == 60
    assert longest_wait_s(When(jitter_s=60, window=Window(from_="01:00", to="02:00"))) == 60 + 86_400
