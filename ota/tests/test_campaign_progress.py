"""How far a stage is, in numbers that a person follows."""

from ota.campaign.judge import Tally
from ota.campaign.progress import Progress, progress_of


def test_each_count_has_those_in_it_that_have_come_further() -> None:
    one = Tally(states={"waiting": 7, "told": 5, "reached": 3, "retrying": 2, "confirmed": 4, "good": 1}, rules={})
    other = Tally(states={"failed": 2, "silent": 1}, rules={"health": 2, "silent": 1})
    assert progress_of([one, other]) == Progress(devices=25, told=18, reached=13, confirmed=5, failed=3, back=0)


def test_who_was_sent_back_has_failed_all_the_same_or_has_not() -> None:
    one = Tally(states={"reverting": 2, "reverted": 3, "stranded": 1, "cancelled": 4}, rules={"health": 2})
    assert progress_of([one]) == Progress(devices=10, told=6, reached=6, confirmed=0, failed=2, back=6)


def test_nobody_is_nothing() -> None:
    assert progress_of([]) == Progress(devices=0, told=0, reached=0, confirmed=0, failed=0, back=0)
