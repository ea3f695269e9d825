"""What a few failures say of the many: the Wilson score interval of a share.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212. Unlike
the interval by the normal distribution it stays within 0 and 1 and is of use where a share is near to 0, as here.
"""

from functools import lru_cache
from math import sqrt
from statistics import NormalDist


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


@lru_cache(maxsize=64)
def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)
