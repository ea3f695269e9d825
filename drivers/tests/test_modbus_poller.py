"""One device's rounds on a clock of the test's own: what is asked, and what every kind of answer comes to."""

import random

import pytest

from drivers.errors import PortError
from drivers.modbus.poller import BUSY_S, PROBE_ROUNDS, PollState
from drivers.tests.poller_world import World
from protocols.modbus_devices.master import Failure
from protocols.modbus_devices.pdu import BitsResponse, RegistersResponse

FAILED = 2


@pytest.fixture
def world():
    made = World()
    made.registers = dict(enumerate((10, 20, 30, 40)))
    made.start()
    return made


def test_a_round_is_one_sample_each_period(world):
    assert world.round().values == [10, 20, 30, 40]
    world.registers[0] = 11
    sample = world.round()
    assert (sample.values, sample.bad, sample.device) == ([11, 20, 30, 40], [], "m")
    assert world.samples[1].at == pytest.approx(1.01)
    assert world.poller.next_due == pytest.approx(2.0)
    assert world.asked == [(3, 0, 4)]
    assert world.history == ["back"]
    world.samples[0].values.clear()
    assert world.round().values  # no row is shared with another


def test_a_failed_read_is_none_with_its_code_and_never_the_old_value(world):
    """Row 9."""
    world.round()
    sample = world.round(world.fail())
    assert (sample.values, sample.bad) == ([None] * 4, [(i, FAILED) for i in range(4)])


def test_a_read_is_repeated_and_then_good(world):
    answers = iter([world.fail(Failure.NOISE), world.fail(Failure.TIMEOUT), None])
    sample = world.round(lambda call: (react := next(answers)) and react(call))
    assert sample.bad == []
    assert world.poller.counters.retries == 2
    assert world.history == ["back"]


@pytest.mark.parametrize("code", [5, 6])
def test_a_busy_device_is_left_alone_for_a_moment(world, code):
    answers = iter([world.fail(code=code, reason=Failure.EXCEPTION, took=0.01), None])
    sample = world.round(lambda call: (react := next(answers)) and react(call))
    assert sample.bad == []
    assert sample.at == pytest.approx(0.01 + BUSY_S + 0.01)


@pytest.mark.parametrize(("code", "quality"), [(1, 2), (4, 4), (8, 4), (10, 2), (11, 2), (99, 2)])
def test_an_exception_becomes_a_quality(code, quality):
    world = World(retries=0)
    world.start()
    sample = world.round(world.fail(Failure.EXCEPTION, code))
    assert (sample.values, sample.bad) == ([None] * 4, [(i, quality) for i in range(4)])


def test_a_refused_block_is_split_once_and_what_is_refused_alone_is_absent(world):
    del world.registers[2]
    sample = world.round()
    assert (sample.values, sample.bad) == ([10, 20, None, 40], [(2, FAILED)])
    assert world.asked == [(3, 0, 4), (3, 0, 1), (3, 1, 1), (3, 2, 1), (3, 3, 1)]
    sample = world.round()
    assert (sample.values, sample.bad) == ([10, 20, None, 40], [(2, FAILED)])
    assert world.asked == [(3, 0, 2), (3, 3, 1)]  # joined again, without the hole
    assert world.poller.plan.absent == {2}


def test_a_block_that_is_refused_after_joining_stays_split(world):
    def picky(call):
        return call.request.quantity > 1 and world.fail(Failure.EXCEPTION, 2, took=0.01)(call)

    world.round(picky)
    world.round(picky)
    for _ in range(2):
        sample = world.round(picky)
        assert (sample.values, sample.bad) == ([10, 20, 30, 40], [])
        assert len(world.asked) == 4


def test_absent_registers_are_looked_for_again_after_an_hour(world):
    del world.registers[2]
    world.round()
    world.registers[2] = 30
    assert world.round().values[2] is None
    world.now += 3600
    assert world.round().values == [10, 20, 30, 40]
    assert world.poller.plan.absent == set()


def test_a_silent_unit_is_dead_after_three_misses_and_probed_every_tenth_round(world):
    """Row 11: what a dead unit costs."""
    world.round()
    world.round(world.fail())
    assert len(world.asked) == 3
    assert world.poller.state is PollState.DEAD
    assert world.history == ["back", "unit 1 does not answer"]
    asked = []
    for _ in range(2 * PROBE_ROUNDS + 1):
        sample = world.round(world.fail())
        assert sample.bad == [(i, FAILED) for i in range(4)]
        asked.append(len(world.asked))
    assert sum(asked) == 2
    assert max(asked) == 1
    for _ in range(PROBE_ROUNDS):
        sample = world.round()
        if not sample.bad:
            break
    assert sample.values == [10, 20, 30, 40]
    assert world.history == ["back", "unit 1 does not answer", "back"]


def test_a_dead_unit_whose_port_was_away_is_dead_for_its_own_reason_again(world):
    world.round()
    world.round(world.fail())
    world.poller.port_down(PortError("unplugged"), world.now)
    world.poller.port_opened(world.now)
    for _ in range(PROBE_ROUNDS + 1):
        world.round(world.fail())
    assert world.history == ["back", "unit 1 does not answer", "unplugged", "unit 1 does not answer"]


def test_without_retries_three_rounds_are_three_misses():
    world = World(retries=0)
    world.start()
    for state in (PollState.POLLING, PollState.POLLING, PollState.DEAD):
        world.round(world.fail())
        assert world.poller.state is state


def test_noise_needs_nine_misses():
    world = World(retries=0)
    world.start()
    for _ in range(8):
        world.round(world.fail(Failure.NOISE))
    assert world.poller.state is PollState.POLLING
    world.round(world.fail(Failure.NOISE))
    assert world.poller.state is PollState.DEAD


def test_a_gateway_whose_target_is_silent_is_a_silent_unit():
    world = World(retries=2)
    world.start()
    world.round(world.fail(Failure.EXCEPTION, 11))
    assert len(world.asked) == 3
    assert world.poller.state is PollState.DEAD


def test_a_unit_that_is_silent_to_one_block_is_not_asked_for_the_others():
    world = World(retries=0, range=[{"name": "raw", "table": "holding", "address": 0, "count": 400}])
    world.registers = dict.fromkeys(range(400), 7)
    world.start()
    sample = world.round(world.fail())
    assert len(world.asked) == 1
    assert len(sample.bad) == 400


def test_a_round_that_takes_too_long_is_followed_by_the_next_at_once(world):
    world.round(lambda _call: setattr(world, "now", world.now + 2.5))
    assert world.poller.next_due == pytest.approx(2.51)
    assert world.poller.counters.late_rounds == 1
    assert len(world.samples) == 1


def test_a_lost_port_ends_the_round_and_each_period_says_so(world):
    world.round()
    world.now = 1.0
    call = world.poll()
    world.poller.port_down(PortError("unplugged"), 1.1)
    assert world.samples[-1].bad == [(i, FAILED) for i in range(4)]
    for due in (2.0, 3.0):
        assert world.poller.next_due == pytest.approx(due)
        world.poller.miss(due)
    assert len(world.samples) == 4
    world.poller.replied(call, RegistersResponse(3, bytes(8)), 3.1)  # of before: nobody's
    assert len(world.samples) == 4
    world.start(3.5)
    assert world.round().values == [10, 20, 30, 40]
    assert world.history == ["back", "unplugged", "back"]


def test_part_of_a_round_is_kept_when_the_port_goes():
    world = World(range=[{"name": "raw", "table": "holding", "address": 0, "count": 250}])
    world.registers = dict.fromkeys(range(250), 7)
    world.start()
    world.serve(world.poll())
    world.poller.port_down(PortError("unplugged"), 0.5)
    (sample,) = world.samples
    assert sample.values == [7] * 125 + [None] * 125
    assert sample.bad == [(i, FAILED) for i in range(125, 250)]
    assert sample.at == pytest.approx(0.01)


def test_what_a_straggler_holds_up_lets_others_pass_and_says_when():
    world = World(range=[{"name": "raw", "table": "holding", "address": 0, "count": 250}])
    world.registers = dict.fromkeys(range(250), 7)
    world.start()
    first = world.poll()
    assert world.poll(lambda _call, _now: 2.0) is None
    assert world.poller.next_due == 2.0
    world.serve(first)
    assert world.poller.next_due <= world.now


def test_slow_points_are_read_every_nth_round():
    world = World(
        point=[
            {"name": "fast", "table": "input", "address": 0},
            {"name": "slow", "table": "input", "address": 1, "every": 3},
        ]
    )
    world.registers = {0: 1, 1: 2}
    world.start()
    rows = [world.round() for _ in range(4)]
    assert [row.values for row in rows] == [[1, 2], [1, None], [1, None], [1, 2]]
    assert rows[1].bad == [(1, 1)]  # not read: null and "stale", never the old value under a new time


def test_out_of_range_and_not_available_are_told():
    world = World(
        point=[
            {"name": "a", "table": "holding", "address": 0, "max": 5.0},
            {"name": "b", "table": "holding", "address": 1, "invalid": [0x7FFF]},
            {"name": "far", "table": "holding", "address": 90, "min": 3.0},
        ]
    )
    world.registers = dict.fromkeys(range(91), 1) | {0: 9, 1: 0x7FFF}
    world.start()
    sample = world.round()
    assert (sample.values, sample.bad) == ([9, None, 1], [(0, 3), (1, 4), (2, 3)])


def test_bits_are_read_from_their_tables():
    world = World(
        range=[{"name": "di", "table": "discrete", "address": 3, "count": 10}],
        point=[{"name": "x", "table": "coil", "address": 0, "type": "bool"}],
    )
    world.start()
    answers = {1: b"\x01", 2: b"\x05\x02"}

    def react(call):
        world.poller.replied(call, BitsResponse(call.request.function, answers[call.request.function]), 0.1)
        return True

    assert world.round(react).values == [True, True, False, True, False, False, False, False, False, False, True]


def test_scale_factors_are_read_once_before_the_first_round():
    world = World(map="sunspec_802")
    body = dict.fromkeys(range(64), 0) | {0: 802, 1: 62, 11: 873, 34: 4801, 52: 0xFFFF, 53: 0x8000}
    factors = {"V_SF": 0xFFFF, "SoC_SF": 0xFFFF}
    layout = world.poller._registers.scale_factors
    for name, value in factors.items():
        body[layout[name].address] = value
    world.registers = {40_000: 0x5375, 40_001: 0x6E53, 40_002: 1, 40_003: 3, 40_004: 0, 40_005: 0, 40_006: 0}
    world.registers |= {40_007 + at: value for at, value in body.items()}
    world.start()
    sample = world.round()
    names = [point.name for point in world.poller.plan.layout.points]
    assert sample.values[names.index("soc_pct")] == pytest.approx(87.3)
    assert sample.values[names.index("dc_voltage_v")] == pytest.approx(480.1)
    assert world.asked[:3] == [(3, 40_000, 2), (3, 40_002, 2), (3, 40_007, 2)]
    world.round()
    assert all(start >= 40_007 and count > 2 for _function, start, count in world.asked)


def test_a_device_without_the_model_says_which_it_has():
    world = World(map="sunspec_802")
    world.registers = {40_000: 0x5375, 40_001: 0x6E53, 40_002: 1, 40_003: 2, 40_006: 0xFFFF, 40_007: 0}
    world.start()
    sample = world.round()
    assert {quality for _i, quality in sample.bad} == {FAILED}
    assert world.history == ["the device has no SunSpec model 802; it has: 1"]
    assert "no SunSpec model 802" in world.poller.last_error


def test_a_device_taken_off_its_bus_says_nothing_more(world):
    call = world.poll()
    world.poller.stop()
    world.poller.replied(call, RegistersResponse(3, bytes(8)), 0.1)
    world.poller.failed(call, Failure.TIMEOUT, 0.1, None)
    assert world.samples == []
    assert world.poller.next_due is None


@pytest.mark.parametrize("seed", range(12))
def test_whatever_a_device_does_each_round_is_one_whole_sample(seed):
    """Random answers, refusals and silence: every point has a value or a quality, each at most once, in order."""
    rng = random.Random(seed)
    world = World(
        retries=rng.randrange(3),
        range=[{"name": "raw", "table": "holding", "address": 0, "count": 300}],
        point=[{"name": "flag", "table": "holding", "address": 400, "type": "bool", "bit": 2, "every": 2}],
    )
    world.registers = dict.fromkeys(range(401), 7)
    for missing in rng.sample(range(300), rng.randrange(4)):
        del world.registers[missing]
    world.start()
    failures = [
        world.fail(),
        world.fail(Failure.NOISE),
        world.fail(Failure.MISMATCHED),
        *(world.fail(Failure.EXCEPTION, code, took=0.01) for code in (1, 2, 3, 4, 5, 6, 8, 10, 11, 77)),
    ]
    for number in range(60):
        if rng.random() < 0.05:
            world.poller.port_down(PortError("gone"), world.now)
            world.poller.miss(max(world.now, world.poller.next_due))
            world.start(world.now + 1)
        before = len(world.samples)
        sample = world.round(lambda call: rng.random() < 0.3 and rng.choice(failures)(call))
        assert len(world.samples) == before + 1, number
        places = [i for i, _quality in sample.bad]
        assert places == sorted(set(places))
        assert {i for i, value in enumerate(sample.values) if value is None} <= set(places)
        assert all(value in (None, 7, True) for value in sample.values)
        assert world.poller.next_due is not None
    world.now += 7200
    for _ in range(3 * PROBE_ROUNDS):
        sample = world.round()
    good = [value for value in sample.values if value is not None]
    assert len(good) >= len(world.registers) - 101 - 1
