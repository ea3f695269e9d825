"""Line times and reading plans: the standard's figures, and the optimum against every plan there is."""

import doctest
import itertools
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError
from protocols.modbus_devices import planner, timing
from protocols.modbus_devices.planner import Block, ReadCost, plan_reads, utilisation, wire_bytes
from protocols.modbus_devices.timing import LineTiming, response_bytes

LINE = LineTiming(baud=9600, bits_per_char=10)
COST = ReadCost.on_line(LINE)


def test_silences_are_characters_up_to_19200_and_fixed_above():
    for baud, t1_5, t3_5 in ((9600, 1.5625, 3.645833), (19_200, 0.78125, 1.822917), (38_400, 0.75, 1.75)):
        line = LineTiming(baud=baud, bits_per_char=10)
        assert line.t1_5_ms == pytest.approx(t1_5, rel=1e-6)
        assert line.t3_5_ms == pytest.approx(t3_5, rel=1e-6)


def test_an_exchange_is_its_characters_the_delay_and_the_silence():
    assert response_bytes(2) == 9
    assert LINE.transaction_ms(2) == pytest.approx(25.0)
    assert LINE.transaction_ms(2, 1) == LINE.transaction_ms(2)  # a delay shorter than the silence costs nothing
    assert LINE.transaction_ms(2, 100) == pytest.approx(17 * LINE.char_ms + 100 + LINE.t3_5_ms)
    assert LINE.exchange_ms(8, 8) == pytest.approx(16 * LINE.char_ms + 2 * LINE.t3_5_ms)


def test_the_planner_counts_as_the_line_does():
    for delay_ms in (0, 3, 20.5):
        cost = ReadCost.on_line(LINE, delay_ms)
        for count in (1, 36, 125):
            assert cost.of([Block(0, count)]) == pytest.approx(LINE.transaction_ms(count, delay_ms), rel=1e-12)


@pytest.mark.parametrize(("hole", "blocks"), [(9, 1), (10, 1), (11, 2)])
def test_at_9600_8n1_a_hole_of_ten_registers_costs_as_much_as_an_exchange(hole, blocks):
    """Nine save time. Ten are a tie, which the longer first block wins: counted in floats it would be chance."""
    assert len(plan_reads([(0, 1), (1 + hole, 1)], COST)) == blocks


def test_a_hole_above_max_hole_is_never_read_over():
    slow = ReadCost.on_line(LINE, 500)
    items = [(0, 1), (3, 1), (6, 1)]
    assert plan_reads(items, slow) == [Block(0, 7)]
    assert plan_reads(items, slow, max_hole=2) == [Block(0, 7)]
    assert plan_reads(items, slow, max_hole=1) == [Block(0, 1), Block(3, 1), Block(6, 1)]
    assert plan_reads([(0, 1), (1, 1)], slow, max_hole=0) == [Block(0, 2)]


def test_equal_plans_are_settled_by_the_longest_first_block():
    assert plan_reads([(n, 1) for n in range(130)], COST) == [Block(0, 125), Block(125, 5)]
    assert plan_reads([(n, 1) for n in range(7)], COST, max_registers=3) == [Block(0, 3), Block(3, 3), Block(6, 1)]
    free = ReadCost(Fraction(0), Fraction(1))  # as good in pieces
    assert plan_reads([(0, 1), (1, 1), (2, 1)], free) == [Block(0, 3)]


def test_items_may_come_in_any_order_twice_and_overlapping():
    assert plan_reads([(5, 2), (0, 4), (5, 2), (2, 4), (1, 1)], COST) == [Block(0, 7)]
    assert plan_reads([], COST) == []


@pytest.mark.parametrize(
    ("items", "limit"), [([(0, 0)], 125), ([(-1, 1)], 125), ([(65_535, 2)], 125), ([(0, 126)], 125), ([(0, 1)], 0)]
)
def test_an_item_that_no_block_holds_is_refused(items, limit):
    with pytest.raises(LocalProtocolError):
        plan_reads(items, COST, max_registers=limit)


def every_plan(spans):
    """All ways to part a sorted list into runs."""
    if not spans:
        yield []
        return
    for cut in range(1, len(spans) + 1):
        for rest in every_plan(spans[cut:]):
            yield [spans[:cut], *rest]


def allowed(run, max_registers, max_hole):
    end = run[0][1]
    for start, stop in run[1:]:
        if max_hole is not None and start - end > max_hole:
            return False
        end = max(end, stop)
    return end - run[0][0] <= max_registers


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6)), min_size=1, max_size=8),
    st.sampled_from([0, 5, 40]),
    st.integers(6, 40),
    st.one_of(st.none(), st.integers(0, 12)),
)
def test_no_other_plan_is_better(items, delay_ms, max_registers, max_hole):
    cost = ReadCost.on_line(LINE, delay_ms)
    spans = sorted({(start, start + count) for start, count in items})
    plans = [
        [Block(run[0][0], max(stop for _, stop in run) - run[0][0]) for run in plan]
        for plan in every_plan(spans)
        if all(allowed(run, max_registers, max_hole) for run in plan)
    ]

    def rank(plan):
        total = sum((cost.block + cost.register * block.count for block in plan), Fraction(0))
        return total, [-block.count for block in plan]

    assert plan_reads(items, cost, max_registers=max_registers, max_hole=max_hole) == min(plans, key=rank)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 8)), max_size=60))
def test_every_wanted_register_is_read_once_and_in_order(items):
    blocks = plan_reads(items, COST)
    for start, count in items:
        assert any(block.start <= start and start + count <= block.end for block in blocks)
    assert all(block.count <= 125 for block in blocks)
    assert all(first.start < second.start for first, second in itertools.pairwise(blocks))
    assert 0 <= utilisation(items, blocks, COST) <= 1
    assert wire_bytes(blocks) == sum(13 + 2 * block.count for block in blocks)


def test_a_thousand_points_are_planned_in_a_moment():
    started = time.process_time()
    assert len(plan_reads([(number, 1) for number in range(1000)], COST)) == 8
    assert time.process_time() - started < 1


def test_utilisation_is_the_share_of_wanted_registers():
    assert utilisation([(0, 2)], [Block(0, 2)], COST) == pytest.approx(4 * LINE.char_ms / 25.0)
    assert utilisation([], [], COST) == 0


def test_examples_in_the_docstrings():
    assert doctest.testmod(planner).failed == 0
    assert doctest.testmod(timing).failed == 0
