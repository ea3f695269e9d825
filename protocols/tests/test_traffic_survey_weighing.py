"""Weighing: limits, tolerances, and passenger-car equivalents."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, LocalProtocolError, RemoteProtocolError
from protocols.traffic_survey.equivalents import DESIGN_FACTORS, natural_total, pcu_total, standard_axles
from protocols.traffic_survey.message import decode_message, encode_message
from protocols.traffic_survey.weighing import (
    AxleGroup,
    Tyres,
    Verdict,
    Weighed,
    gross_limit_kg,
    group_limit_kg,
    groups_of,
    is_oversize,
    judge,
)

modest = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("axles", "kind", "drive", "limit"),
    [
        (2, "truck", None, 18_000),
        (3, "truck", 1, 25_000),
        (4, "truck", 1, 31_000),
        (3, "train", None, 27_000),
        (4, "train", None, 36_000),
        (5, "train", 1, 43_000),
        (6, "train", None, 49_000),
        (6, "train", 2, 49_000),
        (6, "train", 1, 46_000),
        (9, "train", 1, 46_000),
        (9, "train", 3, 49_000),
    ],
)
def test_gross_limits(axles: int, kind: str, drive: int | None, limit: int) -> None:
    assert gross_limit_kg(axles, kind, drive) == limit


@pytest.mark.parametrize(
    ("axles", "kind"), [(0, "truck"), (1, "truck"), (5, "truck"), (6, "truck"), (1, "train"), (2, "train"), (3, "bus")]
)
def test_what_has_no_limit(axles: int, kind: str) -> None:
    with pytest.raises(FieldError):
        gross_limit_kg(axles, kind)


@modest
@given(st.integers(2, 4), st.integers(0, 100_000), st.integers(0, 1000))
def test_a_verdict_is_exact(axles: int, gross: int, tolerance_tenths: int) -> None:
    tolerance = Fraction(tolerance_tenths, 10)
    verdict = judge(Weighed(axle_count=axles, vehicle_kind="truck", gross_weight_kg=gross), tolerance)
    assert abs(verdict.compared_kg * 1000 - gross * (1000 - tolerance_tenths)) <= 500
    assert verdict.is_over == (verdict.compared_kg > verdict.limit_kg)
    assert abs(Fraction(verdict.over_percent) - Fraction(100 * verdict.over_kg, verdict.limit_kg)) <= Fraction(
        51, 10**4
    )
    assert judge(Weighed(axle_count=axles, vehicle_kind="truck", gross_weight_kg=gross + 1), tolerance).compared_kg in (
        verdict.compared_kg,
        verdict.compared_kg + 1,
    )


def test_halves_go_to_the_even_digit() -> None:
    assert Verdict(36_000, 36_009, 9).over_percent == 0.02
    assert Verdict(36_000, 36_027, 27).over_percent == 0.08


def test_a_tolerance_is_the_number_that_was_written() -> None:
    text = '{"axle_count": 2, "vehicle_kind": "truck", "gross_weight_kg": 20000, "tolerance_percent": 10.0025}'
    assert decode_message({"protocol": "overload", "text": text})["over_kg"] == 0  # 17999.5 goes to 18000
    text = text.replace("20000", "20002")
    assert decode_message({"protocol": "overload", "text": text})["over_kg"] == 1


BASE = {"axle_count": 3, "vehicle_kind": "truck", "gross_weight_kg": 30_000}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        "[" * 5000,
        '"\\ud800"',
        "{}",
        *(json.dumps({name: value for name, value in BASE.items() if name != lacking}) for lacking in BASE),
        *(
            json.dumps({**BASE, **change})
            for change in (
                {"axle_count": 3.0},
                {"axle_count": True},
                {"axle_count": 10**30},
                {"gross_weight_kg": -1},
                {"gross_weight_kg": "30000"},
                {"vehicle_kind": "bus"},
                {"vehicle_kind": 1},
                {"tolerance_percent": -1},
                {"tolerance_percent": 101},
                {"tolerance_percent": 10**400},
                {"tolerance_percent": True},
                {"tolerance_percent": "5"},
                {"drive_axles": -1},
                {"tolerance": 5},
            )
        ),
        " " * 70_000,
    ],
)
def test_a_bad_vehicle_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message({"protocol": "overload", "text": text})


@pytest.mark.parametrize(
    "counts", [None, [], {"minibus": -1}, {"minibus": True}, {"minibus": 1.5}, {"bus": 1}, {"minibus": 10**10}]
)
def test_bad_counts_are_refused(counts: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message({"protocol": "pcu", "text": json.dumps({"counts": counts})})


def test_equivalents() -> None:
    assert pcu_total({}) == natural_total({}) == 0
    assert pcu_total({"vehicle_train": 2, "large_vehicle": 1}, DESIGN_FACTORS) == Fraction(21, 2)
    with pytest.raises(FieldError):
        pcu_total({"minibus": -1})
    assert standard_axles(200.0) == pytest.approx(2**4.35)
    assert standard_axles(0.0) == 0.0
    for load in (-1.0, float("nan"), 1e9):
        with pytest.raises(FieldError):
            standard_axles(load)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"axle_count": 1, "tyres": Tyres.SINGLE}, 7_000),
        ({"axle_count": 1}, 10_000),
        ({"axle_count": 1, "is_driven": True}, 10_000),
        ({"axle_count": 1, "is_driven": True, "has_air_suspension": True}, 11_500),
        ({"axle_count": 2, "spacing_mm": 999}, 11_500),
        ({"axle_count": 2, "spacing_mm": 1_000}, 16_000),
        ({"axle_count": 2, "spacing_mm": 1_300}, 18_000),
        ({"axle_count": 2, "spacing_mm": 1_350, "is_driven": True, "has_air_suspension": True}, 19_000),
        ({"axle_count": 3, "spacing_mm": 1_300}, 21_000),
        ({"axle_count": 3, "spacing_mm": 1_301}, 24_000),
    ],
)
def test_axle_limits(changes: dict[str, Any], limit: int) -> None:
    assert group_limit_kg(AxleGroup(**changes)) == limit


@pytest.mark.parametrize("changes", [{"axle_count": 0}, {"axle_count": 2}, {"axle_count": 4, "spacing_mm": 1_300}])
def test_a_group_without_a_limit(changes: dict[str, Any]) -> None:
    with pytest.raises(FieldError):
        group_limit_kg(AxleGroup(**changes))


def test_groups_and_sizes() -> None:
    assert groups_of(()) == (1,)
    assert groups_of((1_799, 1_800, 1_310)) == (2, 2)
    assert not is_oversize(18_100, 2_550, 4_000)
    assert is_oversize(18_101, 0, 0)
    assert is_oversize(0, 2_551, 0)
    assert is_oversize(0, 0, 4_001)


def test_what_was_judged_is_written_back() -> None:
    text = '{"axle_count": 6, "vehicle_kind": "train", "gross_weight_kg": 50000, "drive_axles": 1}'
    message = decode_message({"protocol": "overload", "text": text})
    assert message["over_kg"] == 4_000
    assert json.loads(str(encode_message(message)["text"])) == json.loads(text)
    for change in ({"over_kg": 0}, {"more": 1}, {"gross_weight_kg": -1}, {"drive_axles": {1, 2}}):
        with pytest.raises(LocalProtocolError):
            encode_message({**message, **change})
