"""Passenger-car equivalents (当量小客车): how much of a road each kind of vehicle takes.

The factors of traffic surveys are ordered by the ministry, those of design by JTG B01-2014, 3.1.2; both change with the
years, so they are handed in. Axle loads on pavement are set against 100 kN (JTG D50-2006, 3.1.2).

>>> pcu_total({"minibus": 10, "large_bus": 2})
Fraction(13, 1)
"""

from collections.abc import Mapping
from fractions import Fraction

from protocols.core.errors import FieldError

SURVEY_FACTORS: Mapping[str, Fraction] = {
    "minibus": Fraction(1),
    "large_bus": Fraction(3, 2),
    "small_truck": Fraction(1),
    "medium_truck": Fraction(3, 2),
    "large_truck": Fraction(3),
    "extra_large_truck": Fraction(4),
    "container": Fraction(4),
    "motorcycle": Fraction(1),
    "tractor": Fraction(4),
}
"""As surveys have counted; which year's table is in force is for the configuration."""

DESIGN_FACTORS: Mapping[str, Fraction] = {
    "passenger_car": Fraction(1),
    "medium_vehicle": Fraction(3, 2),
    "large_vehicle": Fraction(5, 2),
    "vehicle_train": Fraction(4),
}
"""JTG B01-2014, 3.1.2: 小客车, 中型车, 大型车, 汽车列车."""

STANDARD_AXLE_KN = 100.0
AXLE_EXPONENT = 4.35


def pcu_total(counts: Mapping[str, int], factors: Mapping[str, Fraction] = SURVEY_FACTORS) -> Fraction:
    """Vehicles by their factors, exactly. Raises `FieldError`."""
    total = Fraction(0)
    for name, count in counts.items():
        factor = factors.get(name)
        if factor is None:
            raise FieldError("no such class of vehicle", field="counts")
        if count < 0:
            raise FieldError("a number of vehicles is not negative", field="counts")
        total += count * factor
    return total


def natural_total(counts: Mapping[str, int]) -> int:
    """Vehicles as they are counted."""
    return sum(counts.values())


def standard_axles(axle_kn: float) -> float:
    """How many standard axles a single axle wears the pavement like. Raises `FieldError`.

    >>> standard_axles(100.0)
    1.0
    """
    if not 0 <= axle_kn < 1e6:
        raise FieldError("a load is a number from 0 kN", field="axle_kn")
    return float((axle_kn / STANDARD_AXLE_KN) ** AXLE_EXPONENT)
