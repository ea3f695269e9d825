"""What a few failures say of the many: the Wilson score interval of a share, and what a count may be by chance.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212. Unlike
the interval by the normal distribution it stays within 0 and 1 and is of use where a share is near to 0, as here.
"""

from functools import lru_cache
from math import exp, lgamma, log, sqrt
from statistics import NormalDist

_NEGLIGIBLE = 1e-12
"""Of a tail, summed from its great terms to its small ones; the other way round it would begin with zeros."""


def wilson_lower(bad: int, all_: int, confidence: float) -> float:
    """The share that is exceeded with this one-sided confidence, when `bad` of `all_` were bad; 0 of none.

    >>> round(wilson_lower(10, 100, 0.975), 4), wilson_lower(0, 100, 0.975), wilson_lower(0, 0, 0.975)
    (0.0552, 0.0, 0.0)
    """
    if not bad:  # the formula's own value, without its rounding
        return 0.0
    z = _z(confidence)
    share = bad / all_
    centre = share + z * z / (2 * all_)
    spread = z * sqrt(share * (1 - share) / all_ + z * z / (4 * all_ * all_))
    return max(0.0, (centre - spread) / (1 + z * z / all_))


def wilson_upper(bad: int, all_: int, confidence: float) -> float:
    """The share that is not exceeded with this one-sided confidence; 1 of none.

    >>> round(wilson_upper(10, 100, 0.975), 4), wilson_upper(0, 0, 0.975)
    (0.1744, 1.0)
    """
    return 1.0 - wilson_lower(all_ - bad, all_, confidence) if all_ else 1.0


def chance_of_so_many(count: int, mean: float) -> float:
    """That this many or more are counted where `mean` are expected: the upper tail of the Poisson distribution.

    >>> round(chance_of_so_many(2, 0.5), 4), chance_of_so_many(0, 0.5), chance_of_so_many(200, 0.02)
    (0.0902, 1.0, 0.0)
    """
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if count <= mean:
        return 1.0 - chance_of_so_few(count - 1, mean)
    term = total = _chance_of(count, mean)
    while term > total * _NEGLIGIBLE:
        count += 1
        term *= mean / count
        total += term
    return min(1.0, total)


def chance_of_so_few(count: int, mean: float) -> float:
    """That no more than this are counted where `mean` are expected.

    >>> round(chance_of_so_few(0, 2.0), 4), chance_of_so_few(3, 0.0), chance_of_so_few(500, 1.0)
    (0.1353, 1.0, 1.0)
    """
    if count < 0:
        return 0.0
    if count >= mean:
        return 1.0 - chance_of_so_many(count + 1, mean)
    term = total = _chance_of(count, mean)
    while count and term > total * _NEGLIGIBLE:
        term *= count / mean
        count -= 1
        total += term
    return total


def _chance_of(count: int, mean: float) -> float:
    return exp(count * log(mean) - mean - lgamma(count + 1))


@lru_cache(maxsize=64)
def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)
