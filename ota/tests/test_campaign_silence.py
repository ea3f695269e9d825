"""Who is not heard of after it has confirmed is no good device, however short the watch over it was."""

from ota.campaign.course import HEARD_WITHIN_S, Course, heard, next_look_at, passed
from ota.campaign.rules import Campaign, Gate, Stage

HOUR_S = 3600
CAMPAIGN = Campaign(
    name="x", target="rsu/x.tar", stage=[Stage(percent=100, soak_s=HOUR_S)], gate=Gate(silent_after_s=6 * HOUR_S)
)
CONFIRMED = Course(device="a", model="m", stage=0, state="confirmed", told_at=1, heard_at=1_000, ended_at=1_000)
OVER_AT = 1_000 + HOUR_S


def looked_at(course: Course, until: int) -> tuple[Course, list[int]]:
    """Looked at whenever it asks for it; and when that was."""
    looks: list[int] = []
    while course.state == "confirmed" and (now := next_look_at(CAMPAIGN, course)) <= until:
        looks.append(now)
        course = passed(CAMPAIGN, course, now)
    return course, looks


def test_one_that_dies_after_it_has_confirmed_is_silent_and_never_good() -> None:
    course, looks = looked_at(heard(CONFIRMED, 1_000 + 300), until=1 << 40)
    assert course.state == "silent"
    assert looks == [OVER_AT + HEARD_WITHIN_S, 1_300 + 6 * HOUR_S]


def test_one_that_is_heard_after_its_watch_is_good_at_the_next_look() -> None:
    course, looks = looked_at(heard(CONFIRMED, OVER_AT + 60), until=1 << 40)
    assert (course.state, looks) == ("good", [OVER_AT])


def test_one_that_was_away_at_the_end_of_its_watch_is_good_once_it_is_heard() -> None:
    course, looks = looked_at(heard(CONFIRMED, 1_300), until=OVER_AT + HOUR_S)
    assert (course.state, looks) == ("confirmed", [OVER_AT + HEARD_WITHIN_S])
    back = heard(course, OVER_AT + 2 * HOUR_S)
    assert passed(CAMPAIGN, back, OVER_AT + 2 * HOUR_S).state == "good"


def test_one_that_was_silent_and_is_back_is_looked_at_at_once() -> None:
    course, _looks = looked_at(heard(CONFIRMED, 1_300), until=1 << 40)
    back = heard(course, 20 * HOUR_S)
    assert (back.state, next_look_at(CAMPAIGN, back)) == ("confirmed", OVER_AT)


def test_a_stage_without_a_watch_makes_good_at_once() -> None:
    at_once = Campaign(name="x", target="rsu/x.tar", stage=[Stage(percent=100, soak_s=0)])
    assert passed(at_once, CONFIRMED, 1_000).state == "good"
