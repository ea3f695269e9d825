"""A failure is heard of sooner than a confirmation: the first minutes of a stage must not condemn a good release."""

from ota.campaign.course import State
from ota.campaign.judge import Tally, condemned
from ota.campaign.rules import Gate

EARLY = (35, 995)
"""Bad and well: a thousand devices of the stage before, of which 5 failed, and the quick failures of the next one."""


def counts(bad: int, well: int, on_their_way: int) -> dict[str, Tally]:
    states: dict[State, int] = {"failed": bad, "good": well, "reached": on_their_way}
    return {"m": Tally(states=states, rules={"health": bad})}


def test_quick_failures_of_a_large_stage_do_not_condemn_a_good_release() -> None:
    assert condemned(Gate(), counts(*EARLY, on_their_way=0)) is not None
    assert condemned(Gate(), counts(*EARLY, on_their_way=18_970)) is None


def test_a_release_that_fails_everywhere_is_condemned_while_most_are_on_their_way() -> None:
    verdict = condemned(Gate(), counts(20, 0, on_their_way=80))
    assert verdict is not None
    assert verdict.models == ("m",)
    assert verdict.reason.startswith("m: 20 of 20 failed (20 health): at least 8.3 % of all would")


def test_those_on_their_way_are_no_sample() -> None:
    assert condemned(Gate(), counts(19, 0, on_their_way=30)) is None
