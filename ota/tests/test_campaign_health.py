"""A device that has confirmed is held against what it was before; what may be chance is not held against it."""

import random

import pytest

from ota.campaign.bound import chance_of_so_few, chance_of_so_many
from ota.campaign.course import DAY_S, Course, Vitals, watched
from ota.campaign.rules import Campaign, Stage

CAMPAIGN = Campaign(name="x", target="rsu/x.tar", stage=[Stage(percent=100, soak_s=86_400)])
HOUR_S = 3600


def looks(course: Course, *at_starts_records: tuple[float, int, int]) -> Course:
    """Hours after it has confirmed, with the counters as they are then."""
    for hours, starts, records in at_starts_records:
        course = watched(CAMPAIGN, course, Vitals(at=round(hours * HOUR_S), starts=starts, records=records))
    return course


def confirmed(*, starts: float = 0.0, records: float = 0.0) -> Course:
    return Course(device="a", model="m", stage=0, state="confirmed", usual_starts=starts, usual_records=records)


def test_two_restarts_in_half_a_day_are_chance() -> None:
    assert looks(confirmed(starts=0.5), (0, 7, 0), (12, 9, 0)).state == "confirmed"
    assert looks(confirmed(), (0, 7, 0), (12, 9, 0)).state == "confirmed"


def test_a_restart_every_hour_is_seen_in_the_third() -> None:
    course = looks(confirmed(starts=0.5), (0, 7, 0), (1, 8, 0), (2, 9, 0), (3, 10, 0))
    assert course.state == "regressed"
    assert course.reason == "24.0 restarts a day; 0.5 before"


def test_many_restarts_that_are_usual_are_not_held_against_it() -> None:
    assert looks(confirmed(starts=24), (0, 7, 0), (3, 11, 0)).state == "confirmed"


def test_an_hourly_device_may_have_no_record_in_half_an_hour() -> None:
    assert looks(confirmed(records=24), (0, 0, 7), (0.5, 0, 7)).state == "confirmed"


def test_an_hourly_device_must_have_one_in_half_a_day() -> None:
    assert looks(confirmed(records=24), (0, 0, 7), (12, 0, 7)).reason == "0 records a day; 24 before"


def test_a_busy_device_that_makes_half_as_much_is_seen_in_half_an_hour() -> None:
    assert looks(confirmed(records=20_000), (0, 0, 7), (0.5, 0, 7 + 208)).state == "regressed"
    assert looks(confirmed(records=20_000), (0, 0, 7), (0.5, 0, 7 + 350)).state == "confirmed"


@pytest.mark.parametrize(("starts", "records"), [(0.1, 24.0), (0.5, 288.0), (2.0, 1_000.0)])
def test_hardly_any_well_device_is_called_worse_in_a_day_of_looks(starts: float, records: float) -> None:
    seed, devices = 1, 1_000
    rng = random.Random(seed)
    worse = 0
    for _device in range(devices):
        course, vitals = confirmed(starts=starts, records=records), Vitals(at=0)
        for hour in range(24):
            vitals = Vitals(
                at=hour * HOUR_S,
                starts=vitals.starts + happened(rng, starts * HOUR_S / DAY_S),
                records=vitals.records + happened(rng, records * HOUR_S / DAY_S),
            )
            course = watched(CAMPAIGN, course, vitals)
        worse += course.state == "regressed"
    assert worse <= devices // 500, f"seed {seed}"


def happened(rng: random.Random, mean: float) -> int:
    """How often something came that comes by itself, `mean` times on average."""
    total, number = rng.expovariate(1), 0
    while total < mean:
        total += rng.expovariate(1)
        number += 1
    return number


def test_the_tails_meet() -> None:
    for mean in (0.02, 0.5, 9.3, 416.0):
        for number in (0, 1, 5, 400):
            assert chance_of_so_few(number, mean) + chance_of_so_many(number + 1, mean) == pytest.approx(1)


def test_a_device_that_does_nothing_but_restart_is_seen_at_the_next_look() -> None:
    for starts in (20, 150, 1_000, 100_000):
        assert looks(confirmed(starts=0.5), (0, 7, 0), (0.5, 7 + starts, 0)).state == "regressed"
