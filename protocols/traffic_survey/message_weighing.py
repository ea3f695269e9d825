"""Readable form of passenger-car equivalents and of overload (`equivalents.py`, `weighing.py`): JSON text in and out.

What was given stands in the message too, so that the text can be written back.
"""

from collections.abc import Mapping
from fractions import Fraction

from protocols.core.errors import FieldError
from protocols.json_text import read_object, whole_number, word
from protocols.traffic_survey.equivalents import natural_total, pcu_total
from protocols.traffic_survey.weighing import MAX_AXLES, MAX_WEIGHT_KG, Weighed, judge

Message = dict[str, object]

MAX_COUNT = 10**9
PCU_KEYS = frozenset({"counts"})
_REQUIRED = frozenset({"axle_count", "vehicle_kind", "gross_weight_kg"})
_OPTIONAL = frozenset({"drive_axles", "tolerance_percent"})
OVERLOAD_KEYS = _REQUIRED | _OPTIONAL


def decode_pcu(text: str) -> Message:
    """Vehicles as passenger cars. Raises `RemoteProtocolError`."""
    counts = read_object(text, PCU_KEYS)["counts"]
    if not isinstance(counts, Mapping):
        raise FieldError("an object", field="counts")
    given = dict(counts)
    numbers = {str(name): whole_number(given, name, MAX_COUNT) for name in given}
    return {"counts": numbers, "pcu_total": float(pcu_total(numbers)), "natural_total": natural_total(numbers)}


def decode_overload(text: str) -> Message:
    """A gross weight against its limit. Raises `RemoteProtocolError`."""
    values = read_object(text, _REQUIRED, _OPTIONAL)
    given = {name: value for name, value in values.items() if value is not None}
    weighed = Weighed(
        axle_count=whole_number(values, "axle_count", MAX_AXLES),
        vehicle_kind=word(values, "vehicle_kind"),
        gross_weight_kg=whole_number(values, "gross_weight_kg", MAX_WEIGHT_KG),
        drive_axles=whole_number(given, "drive_axles", MAX_AXLES) if "drive_axles" in given else None,
    )
    verdict = judge(weighed, _tolerance(given))
    return {
        **given,
        "limit_kg": verdict.limit_kg,
        "over_kg": verdict.over_kg,
        "over_percent": verdict.over_percent,
        "is_over": verdict.is_over,
    }


def _tolerance(values: Mapping[str, object]) -> Fraction:
    percent = values.get("tolerance_percent", 0)
    if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not 0 <= percent <= 100:
        raise FieldError("a number from 0 to 100", field="tolerance_percent")
    return Fraction(repr(percent))  # as it was written: 0.1 is a tenth
