"""Civil dates and instants in integers, held against the standard library."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.instant import (
    BUILD_DAY,
    civil_of,
    date_text,
    day_and_ms_of,
    days_of,
    instant_of,
    instant_of_port,
    instant_text,
    is_civil,
    port_seconds_of,
)

EPOCH = dt.date(1970, 1, 1)
modest = settings(derandomize=True, deadline=None, max_examples=200)


@given(st.dates())
@modest
def test_days_and_dates_go_both_ways(date: dt.date) -> None:
    days = (date - EPOCH).days
    assert days_of(date.year, date.month, date.day) == days
    assert civil_of(days) == (date.year, date.month, date.day)
    assert date_text(days) == date.isoformat()


def test_every_day_of_a_leap_cycle() -> None:
    for days in range(10_957, 10_957 + 146_098):
        assert days_of(*civil_of(days)) == days


@given(st.integers(-100, 12_000), st.integers(-3, 15), st.integers(-3, 40))
@modest
def test_dates_that_the_calendar_has(year: int, month: int, day: int) -> None:
    try:
        dt.date(year, month, day)
        exists = True
    except ValueError:
        exists = False
    assert is_civil(year, month, day) == exists


@given(st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30)))  # noqa: DTZ001  # made UTC below
@modest
def test_instants_as_text(moment: dt.datetime) -> None:
    moment = moment.replace(tzinfo=dt.UTC)
    ms = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    assert instant_text(ms) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert instant_of(*day_and_ms_of(ms)) == ms


@pytest.mark.parametrize(("epoch", "seconds"), [(1970, 1_793_421_234), (2000, 846_736_434)])
def test_ports_count_from_1970_or_2000(epoch: int, seconds: int) -> None:
    assert instant_of_port(seconds, epoch) == 1_793_421_234_000
    assert port_seconds_of(1_793_421_234_567, epoch) == seconds


def test_a_leap_second_runs_into_the_next_day() -> None:
    assert instant_text(instant_of(days_of(2016, 12, 31), 86_400_500)) == "2017-01-01T00:00:00.500Z"


def test_no_clock_of_today_lies_before_the_build() -> None:
    assert civil_of(BUILD_DAY) >= (2026, 1, 1)
    assert civil_of(BUILD_DAY) <= (2027, 1, 1)
