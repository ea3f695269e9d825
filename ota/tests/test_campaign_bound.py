"""The Wilson bound against its definition and exact sums; the tails of Poisson's distribution against exact sums."""

from fractions import Fraction
from math import comb, exp, factorial, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.campaign.bound import chance_of_so_few, chance_of_so_many, wilson_lower, wilson_upper
from ota.campaign.judge import is_condemned
from ota.campaign.rules import Gate

COUNTS = st.integers(1, 100_000).flatmap(lambda all_: st.tuples(st.integers(0, all_), st.just(all_)))
Z_OF = {0.975: 1.959963984540054, 0.95: 1.6448536269514722, 0.99999: 4.264890793922825}
"""Quantiles of the normal distribution, from tables."""


@pytest.mark.parametrize(
    ("bad", "all_", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals_of_95_percent(bad: int, all_: int, lower: float, upper: float) -> None:
    """R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I."""
    assert round(wilson_lower(bad, all_, 0.975), 4) == lower
    assert round(wilson_upper(bad, all_, 0.975), 4) == upper


@given(COUNTS, st.sampled_from(sorted(Z_OF)))
def test_the_bounds_solve_the_equation_that_defines_them(counts: tuple[int, int], confidence: float) -> None:
    """(share - p)^2 = z^2 p (1 - p) / n: Wilson's own, whose two roots they are."""
    bad, all_ = counts
    z = Z_OF[confidence]
    for bound in (wilson_lower(bad, all_, confidence), wilson_upper(bad, all_, confidence)):
        assert abs(bad / all_ - bound) == pytest.approx(z * (bound * (1 - bound) / all_) ** 0.5, rel=1e-6, abs=1e-9)
    assert wilson_lower(bad, all_, confidence) <= bad / all_ <= wilson_upper(bad, all_, confidence)


@given(COUNTS, st.floats(0.51, 0.999999))
def test_the_bounds_are_shares_in_order(counts: tuple[int, int], confidence: float) -> None:
    bad, all_ = counts
    assert 0 <= wilson_lower(bad, all_, confidence) <= wilson_upper(bad, all_, confidence) <= 1


@given(COUNTS, st.sampled_from(sorted(Z_OF)))
def test_one_more_failure_never_lowers_the_bound(counts: tuple[int, int], confidence: float) -> None:
    bad, all_ = counts
    before = wilson_lower(bad, all_, confidence)
    assert wilson_lower(bad + 1, all_ + 1, confidence) >= before
    if bad < all_:
        assert wilson_lower(bad + 1, all_, confidence) >= before


@given(COUNTS, st.sampled_from(sorted(Z_OF)))
def test_one_more_success_never_raises_the_bound(counts: tuple[int, int], confidence: float) -> None:
    bad, all_ = counts
    assert wilson_lower(bad, all_ + 1, confidence) <= wilson_lower(bad, all_, confidence)


# What the gate makes of it, by exact sums --------------------------------------------------------------------------


def least_condemned(gate: Gate, ended: int) -> int:
    return next((bad for bad in range(ended + 1) if is_condemned(gate, bad, ended)), ended + 1)


def chance_of_a_false_halt(gate: Gate, rate: float, devices: int) -> float:
    """That a release which fails at this rate is condemned at any of the looks, one after each device: exactly."""
    alive, halted = [1.0], 0.0
    for ended in range(1, devices + 1):
        failed = [0.0, *(chance * rate for chance in alive)]
        well = [*(chance * (1 - rate) for chance in alive), 0.0]
        alive = [each + more for each, more in zip(well, failed, strict=True)]
        least = least_condemned(gate, ended)
        halted += sum(alive[least:])
        alive = alive[:least]
    assert isclose(halted + sum(alive), 1, rel_tol=1e-9)
    return halted


@pytest.mark.parametrize(("rate", "at_most"), [(0.003, 2e-5), (0.005, 2e-4), (0.01, 1e-2)])
def test_a_release_within_what_is_tolerated_is_hardly_ever_condemned_at_any_look(rate: float, at_most: float) -> None:
    halted = chance_of_a_false_halt(Gate(), rate, 800)
    assert 0 < halted < at_most


def test_without_a_least_number_of_failures_the_bound_alone_is_too_bold() -> None:
    bold = Gate(min_failures=1)
    assert chance_of_a_false_halt(bold, 0.005, 200) > 5 * chance_of_a_false_halt(Gate(), 0.005, 200)


@pytest.mark.parametrize(("rate", "ended"), [(1.0, 20), (0.5, 30), (0.2, 70), (0.1, 250), (0.05, 800)])
def test_a_bad_release_is_condemned_by_few_devices_almost_surely(rate: float, ended: int) -> None:
    p = Fraction(rate).limit_denominator(100)
    least = least_condemned(Gate(), ended)
    missed = sum(comb(ended, bad) * p**bad * (1 - p) ** (ended - bad) for bad in range(least))
    assert missed < Fraction(1, 100)


# The tails of Poisson's distribution -------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(1, 4000))
def test_the_tails_are_their_exact_sums(count: int, mean_hundredths: int) -> None:
    mean = Fraction(mean_hundredths, 100)
    few = float(sum(mean**number / factorial(number) for number in range(count + 1))) * exp(-mean)
    assert chance_of_so_few(count, float(mean)) == pytest.approx(few, rel=1e-9)
    many = float(sum(mean**number / factorial(number) for number in range(count, count + 200))) * exp(-mean)
    assert chance_of_so_many(count, float(mean)) == pytest.approx(many, rel=1e-9)


@given(st.integers(-1, 3_000_000), st.floats(0, 3_000_000))
def test_the_tails_are_chances_and_meet_wherever_they_are_cut(count: int, mean: float) -> None:
    few, many = chance_of_so_few(count, mean), chance_of_so_many(count + 1, mean)
    assert 0 <= few <= 1 + 1e-6
    assert few + many == pytest.approx(1, abs=1e-6)


@given(st.integers(0, 2000), st.floats(0, 2000))
def test_more_is_never_likelier(count: int, mean: float) -> None:
    assert chance_of_so_many(count + 1, mean) <= chance_of_so_many(count, mean) + 1e-9
    assert chance_of_so_few(count, mean) <= chance_of_so_few(count + 1, mean) + 1e-9


def test_what_is_far_beyond_all_chance_has_none() -> None:
    assert chance_of_so_many(200, 0.02) == 0  # restarts in an hour of a device that starts each second day
    assert chance_of_so_many(100_000, 10.0) == 0
    assert chance_of_so_few(1_000_000, 2_600_000.0) == 0
    assert chance_of_so_few(500, 1.0) == 1
