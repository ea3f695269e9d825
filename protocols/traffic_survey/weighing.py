"""Limits of weight and size, as pure functions of what was weighed.

Gross limits and sizes: Order 62 of 2016 of the Ministry of Transport (超限运输车辆行驶公路管理规定), article 3, in line
with GB 1589-2016. Axle limits: GB 1589-2016, 4.2. Tolerances are the province's own and are always handed in. Nothing
here is in floating point: what is over is over by a whole kilogram.

>>> judge(Weighed(axle_count=4, vehicle_kind="train", gross_weight_kg=36500))
Verdict(limit_kg=36000, compared_kg=36500, over_kg=500)
>>> Verdict(36000, 36500, 500).over_percent
1.39
"""

from collections.abc import Mapping
from enum import Enum
from fractions import Fraction

import msgspec

from protocols.core.errors import FieldError

MAX_LENGTH_MM = 18_100
MAX_WIDTH_MM = 2_550
MAX_HEIGHT_MM = 4_000
"""Order 62, article 3."""

TRUCK_LIMITS_KG: Mapping[int, int] = {2: 18_000, 3: 25_000, 4: 31_000}
TRAIN_LIMITS_KG: Mapping[int, int] = {3: 27_000, 4: 36_000, 5: 43_000, 6: 49_000}
"""Of 6 axles and more."""
ONE_DRIVE_AXLE_LIMIT_KG = 46_000
"""Of 6 axles and more behind a tractor with one drive axle."""
MAX_AXLES = 255
MAX_WEIGHT_KG = 10_000_000

VEHICLE_KINDS = ("truck", "train")


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """What a scale says of one vehicle. drive_axles: of the tractor; None where nobody knows."""

    axle_count: int
    vehicle_kind: str
    gross_weight_kg: int
    drive_axles: int | None = None


class Verdict(msgspec.Struct, frozen=True):
    """A weight held against its limit. compared_kg: what is left of the weight after the tolerance."""

    limit_kg: int
    compared_kg: int
    over_kg: int

    @property
    def is_over(self) -> bool:
        """Whether it is overloaded."""
        return self.over_kg > 0

    @property
    def over_percent(self) -> float:
        """By how much of the limit, to two decimals; halves go to the even digit (GB/T 8170)."""
        return float(round(Fraction(100 * self.over_kg, self.limit_kg), 2))


def gross_limit_kg(axle_count: int, vehicle_kind: str, drive_axles: int | None = None) -> int:
    """The limit of a vehicle's gross weight. Raises `FieldError` where the table has none."""
    if vehicle_kind not in VEHICLE_KINDS:
        raise FieldError("truck or train", field="vehicle_kind")
    if vehicle_kind == "train" and axle_count >= 6 and drive_axles == 1:
        return ONE_DRIVE_AXLE_LIMIT_KG
    limit = TRUCK_LIMITS_KG.get(axle_count) if vehicle_kind == "truck" else TRAIN_LIMITS_KG.get(min(axle_count, 6))
    if limit is None:
        raise FieldError(f"there is no limit for a {vehicle_kind} of so many axles", field="axle_count")
    return limit


def judge(weighed: Weighed, tolerance_percent: Fraction = Fraction(0)) -> Verdict:
    """Hold a gross weight against its limit. Raises `FieldError`."""
    if not 0 <= weighed.gross_weight_kg <= MAX_WEIGHT_KG:
        raise FieldError(f"a weight from 0 to {MAX_WEIGHT_KG} kg", field="gross_weight_kg")
    if not 0 <= tolerance_percent <= 100:
        raise FieldError("from 0 to 100", field="tolerance_percent")
    limit = gross_limit_kg(weighed.axle_count, weighed.vehicle_kind, weighed.drive_axles)
    compared = round(weighed.gross_weight_kg * (1 - tolerance_percent / 100))
    return Verdict(limit, compared, max(0, compared - limit))


def is_oversize(length_mm: int, width_mm: int, height_mm: int) -> bool:
    """Whether a vehicle is larger than Order 62 lets it be."""
    return length_mm > MAX_LENGTH_MM or width_mm > MAX_WIDTH_MM or height_mm > MAX_HEIGHT_MM


class Tyres(Enum):
    """How many tyres stand at each end of an axle."""

    SINGLE = "single"
    DUAL = "dual"


class AxleGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Axles that stand together. spacing_mm: from axle to axle, the smallest; None of a single axle."""

    axle_count: int
    spacing_mm: int | None = None
    tyres: Tyres = Tyres.DUAL
    is_driven: bool = False
    has_air_suspension: bool = False


GROUP_SPACING_MM = 1_800
"""Axles closer than this are one group."""


def groups_of(distances_mm: tuple[int, ...]) -> tuple[int, ...]:
    """How many axles each group has, by the distances from axle to axle from the front.

    >>> groups_of((3300, 1350, 6900, 1310, 1310))
    (1, 2, 3)
    """
    sizes = [1]
    for distance in distances_mm:
        if distance < GROUP_SPACING_MM:
            sizes[-1] += 1
        else:
            sizes.append(1)
    return tuple(sizes)


def group_limit_kg(group: AxleGroup) -> int:
    """The limit of an axle group. Raises `FieldError` for one that the table does not have."""
    if group.axle_count == 1:
        return _single_limit_kg(group)
    if group.spacing_mm is None or group.spacing_mm <= 0 or group.axle_count not in (2, 3):
        raise FieldError("one axle, or two or three with their spacing", field="axle_groups")
    if group.axle_count == 3:
        return 21_000 if group.spacing_mm <= 1_300 else 24_000
    if group.spacing_mm < 1_000:
        return 11_500
    if group.spacing_mm < 1_300:
        return 16_000
    return 19_000 if _is_gentle_drive(group) else 18_000


def _single_limit_kg(group: AxleGroup) -> int:
    if group.tyres is Tyres.SINGLE:
        return 7_000
    return 11_500 if _is_gentle_drive(group) else 10_000


def _is_gentle_drive(group: AxleGroup) -> bool:
    return group.is_driven and group.has_air_suspension and group.tyres is Tyres.DUAL
