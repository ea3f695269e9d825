"""What is tried again, when, and that it always comes to an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.course import Course, ended, told
from ota.campaign.retry import DEFAULTS, next_try_s
from ota.campaign.rules import Campaign, Retry, Stage
from ota.errors import Rule

RULES = st.sampled_from([rule.value for rule in Rule])
RETRIES = st.builds(
    lambda attempts, first_s, more_s: Retry(attempts=attempts, first_s=first_s, longest_s=first_s + more_s),
    st.integers(0, 100),
    st.integers(1, 1 << 40),
    st.integers(0, 1 << 40),
)
OWN = st.dictionaries(RULES, RETRIES, max_size=4)


def test_pauses_double_up_to_the_longest() -> None:
    assert [next_try_s("network", tries, {}) for tries in range(1, 10)] == [
        *(900, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400),
        None,
    ]


@pytest.mark.parametrize("rule", [Rule.HEALTH, Rule.HASH, Rule.SIGNATURE, Rule.HARDWARE, Rule.QUARANTINE, Rule.FLOOR])
def test_what_the_release_did_is_not_tried_again(rule: Rule) -> None:
    assert next_try_s(rule.value, 1, {}) is None


def test_what_a_device_calls_by_no_rule_counts_at_once() -> None:
    assert next_try_s("", 1, {}) is None
    assert next_try_s("gremlins", 1, {}) is None


def test_an_operator_may_want_none_or_others() -> None:
    own = {"network": Retry(attempts=0), "hash": Retry(attempts=1, first_s=60)}
    assert next_try_s("network", 1, own) is None
    assert (next_try_s("hash", 1, own), next_try_s("hash", 2, own)) == (60, None)
    assert next_try_s("space", 1, own) == 3_600, "what is not named keeps its default"


def test_every_default_is_for_something_that_can_fail() -> None:
    assert set(DEFAULTS) <= {rule.value for rule in Rule}


@given(RULES, st.integers(1, 200), OWN)
def test_a_pause_is_within_its_bounds_and_never_shrinks(rule: str, tries: int, own: dict[str, Retry]) -> None:
    wait_s, later_s = next_try_s(rule, tries, own), next_try_s(rule, tries + 1, own)
    if wait_s is None:
        assert later_s is None
    else:
        retry = own.get(rule) or DEFAULTS[rule]
        assert retry.first_s <= wait_s <= retry.longest_s
        assert later_s is None or later_s >= wait_s


@given(st.lists(RULES, min_size=110, max_size=110), OWN)
def test_a_device_that_fails_each_time_comes_to_an_end_whatever_it_fails_for(
    rules: list[str], own: dict[str, Retry]
) -> None:
    campaign = Campaign(name="x", target="rsu/x.tar", stage=[Stage(percent=100)], retry=own)
    course, now = Course(device="a", model="m", stage=0), 1_000
    most = max([retry.attempts for retry in [*DEFAULTS.values(), *own.values()]])
    for rule in rules:
        course = told(course, course.plan + 1, now)
        course = ended(campaign, course, course.plan, "failed", now + 60, rule)
        if course.state != "retrying":
            break
        assert course.next_at > now
        now = course.next_at
    assert course.state == "failed"
    assert course.tries <= most + 1
