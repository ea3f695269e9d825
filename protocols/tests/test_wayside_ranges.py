"""Ranges of sequence numbers against a plain set."""

import itertools
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.wayside.ranges import RangeSet

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")

PROGRAM = """
import sys
sys.path.insert(0, %r)
from protocols.wayside.ranges import RangeSet
r = RangeSet([[1, 5], [7, 9]])
print(r.upto, r.also, r.gaps(0, 20), 6 in r, 7 in r, len(r), r.add(6), r.upto, r.discard(3, 4), r.pairs(),
      r.discard_below(6), r.pairs(), r == RangeSet([[6, 9]]), r.first, r.last)
"""

operations = st.lists(
    st.tuples(st.sampled_from(["add", "discard", "below"]), st.integers(0, 60), st.integers(-2, 12)), max_size=40
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(operations)
def test_ranges_are_a_set(steps: list[tuple[str, int, int]]) -> None:
    ranges = RangeSet()
    model: set[int] = set()
    for verb, first, length in steps:
        numbers = set(range(first, first + length + 1))
        if verb == "add":
            assert ranges.add(first, first + length) == len(numbers - model)
            model |= numbers
        elif verb == "discard":
            assert ranges.discard(first, first + length) == len(numbers & model)
            model -= numbers
        else:
            below = {number for number in model if number < first}
            assert ranges.discard_below(first) == len(below)
            model -= below
        assert len(ranges) == ranges.count == len(model)
        assert bool(ranges) == bool(model)
        pairs = ranges.pairs()
        assert [n for a, b in pairs for n in range(a, b + 1)] == sorted(model)
        assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(pairs)), "ranges touch"
        assert ranges.range_count == len(pairs)
        assert {n for n in range(-3, 80) if n in ranges} == model
        assert ranges.first == min(model, default=None)
        assert ranges.last == max(model, default=None)
    missing = {n for a, b in ranges.gaps(0, 80) for n in range(a, b + 1)}
    assert missing == set(range(81)) - model
    for first, last in ((0, 80), (7, 31), (12, 12), (9, 3)):
        there = [n for a, b in ranges.within(first, last) for n in range(a, b + 1)]
        assert there == sorted(n for n in model if first <= n <= last)
    upto = 0
    while upto + 1 in model:
        upto += 1
    assert ranges.upto == upto
    assert {n for a, b in ranges.also for n in range(a, b + 1)} == {n for n in model if n > upto}


def test_live_data_ahead_of_a_backlog_is_two_ranges() -> None:
    ranges = RangeSet()
    ranges.add(1, 1000)
    for seq in range(101_001, 102_001):
        ranges.add(seq)
    assert ranges.pairs() == [[1, 1000], [101_001, 102_000]]
    assert ranges.gaps(1, 102_000) == [(1001, 101_000)]
    assert (ranges.upto, ranges.also) == (1000, [[101_001, 102_000]])
    ranges.add(1001, 101_000)
    assert ranges.pairs() == [[1, 102_000]]


def test_pairs_can_be_limited_and_cut() -> None:
    ranges = RangeSet([[1, 4], [6, 8], [10, 10]])
    assert ranges.pairs(limit=2) == [[1, 4], [6, 8]]
    assert ranges.pairs(3) == [[3, 4], [6, 8], [10, 10]]
    assert ranges.pairs(5, 1) == [[6, 8]]
    assert ranges.end_of_run(7) == 8
    assert ranges.end_of_run(9) == 8
    assert ranges.range_of(7) == [6, 8]
    assert ranges.range_of(9) is None
    assert ranges.range_of(11) is None
    assert ranges == RangeSet([(1, 4), (10, 10), (6, 8)])
    assert ranges != RangeSet([(1, 4)])
    assert "[6, 8]" in repr(ranges)


def test_ranges_run_on_micropython() -> None:
    command = [MICROPYTHON, "-c", PROGRAM % str(ROOT)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert run.stderr == ""
    assert run.stdout.split("\n")[0] == (
        "5 [[7, 9]] [(0, 0), (6, 6), (10, 20)] False True 8 1 9 2 [[1, 2], [5, 9]] 3 [[6, 9]] True 6 9"
    )
