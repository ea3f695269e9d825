"""Weighing: limits, tolerances, and records that may count as evidence."""

import json
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, FrameError, LocalProtocolError, RemoteProtocolError
from protocols.traffic_survey import evidence as proof
from protocols.traffic_survey.canonical import encode_canonical, sha256_of
from protocols.traffic_survey.equivalents import DESIGN_FACTORS, natural_total, pcu_total, standard_axles
from protocols.traffic_survey.evidence import EvidenceFile, FileKind, Gap, Manifest
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
from protocols.traffic_survey.wim_record import (
    GENESIS,
    MAX_RECORD_BYTES,
    Certificate,
    Defect,
    WimRecord,
    WimStatus,
    breaks_of,
    decode_record,
    defects_of,
    encode_record,
    hash_of,
)

modest = settings(derandomize=True, deadline=None, max_examples=100)

RECORD = WimRecord(
    site="G104 K312",
    direction="upstream",
    lane=1,
    time_ms=1_764_000_000_123,
    day=date(2025, 11, 24),
    speed_tenth_kmh=523,
    length_mm=16_400,
    axle_weights_left_kg=(3_200, 4_900, 5_100),
    axle_weights_right_kg=(3_100, 5_000, 5_200),
    axle_distances_mm=(3_300, 1_350),
    axle_groups=(1, 2),
    gross_weight_kg=26_500,
    vehicle_class="extra_large_truck",
    temperature_tenth_c=-35,
    status=WimStatus(),
    picture_links=("front.jpg",),
    plate="\u7ca4A12345",
    plate_colour="yellow",
    plate_confidence_percent=98,
    device_id="wim-1",
    firmware="2.1.0",
    scale_serial="S-77",
    certificate=Certificate(
        number="JJG907-2025-01",
        valid_from=date(2025, 1, 10),
        valid_until=date(2026, 1, 9),
        min_speed_tenth_kmh=50,
        max_speed_tenth_kmh=800,
    ),
    sequence=41,
    previous_sha256=GENESIS,
)


def changed(value: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(value, **changes)


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


def test_a_sound_record_has_no_defect() -> None:
    assert defects_of(RECORD) == frozenset()
    assert RECORD.axle_count == 3


@pytest.mark.parametrize(
    ("changes", "defect"),
    [
        ({"speed_tenth_kmh": 49}, Defect.SPEED),
        ({"speed_tenth_kmh": 801}, Defect.SPEED),
        ({"status": WimStatus(is_braking=True)}, Defect.BRAKING),
        ({"status": WimStatus(has_changed_speed=True)}, Defect.BRAKING),
        ({"status": WimStatus(is_straddling=True)}, Defect.STRADDLING),
        ({"status": WimStatus(has_changed_lane=True)}, Defect.STRADDLING),
        ({"status": WimStatus(has_sensor_fault=True)}, Defect.SENSOR),
        ({"day": date(2025, 1, 9)}, Defect.CERTIFICATE),
        ({"day": date(2026, 1, 10)}, Defect.CERTIFICATE),
        ({"gross_weight_kg": 26_501}, Defect.INCONSISTENT),
        ({"axle_distances_mm": ()}, Defect.INCONSISTENT),
        ({"axle_groups": (1, 1)}, Defect.INCONSISTENT),
    ],
)
def test_each_defect_is_found(changes: dict[str, Any], defect: Defect) -> None:
    assert defects_of(changed(RECORD, **changes)) == {defect}


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    odd = changed(RECORD, site='a"\\/\b\f\n\r\t\x01\x7f\u20ac\U0001f600')
    data = encode_record(odd)
    plain = json.loads(data)
    assert data == json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert not any(isinstance(value, float) for value in plain.values())
    assert decode_record(data) == odd
    assert set(plain) == set(WimRecord.__struct_fields__)  # every key is there


def test_a_record_is_read_in_no_other_form() -> None:
    data = encode_record(RECORD)
    assert hash_of(RECORD) == sha256_of(data)
    plain = json.loads(data)
    for other in (
        data + b" ",
        data.replace(b'"lane":1', b'"lane": 1'),
        json.dumps(dict(reversed(plain.items())), separators=(",", ":"), ensure_ascii=False).encode(),
        json.dumps(plain, sort_keys=True, separators=(",", ":")).encode(),
        data.replace(b'"lane":1', b'"lane":1.0'),
        data.replace(b'"lane":1', b'"lane":1,"more":1'),
        data.replace(b'"2025-11-24"', b'"2025-11-31"'),
        data.replace(b'"v":1', b'"v":2'),
        data.replace(b"G104", b"G1\xff4"),
        b"[" * 9000,
        b"\xff",
        b" " * (MAX_RECORD_BYTES + 1),
    ):
        assert other != data
        with pytest.raises((FrameError, FieldError)):
            decode_record(other)
    with pytest.raises(LocalProtocolError):
        encode_record(changed(RECORD, site="\ud800"))


def test_a_record_that_is_missing_or_changed_shows() -> None:
    run = [RECORD]
    for number in range(4):
        run.append(changed(RECORD, sequence=42 + number, previous_sha256=hash_of(run[-1])))
    assert breaks_of(tuple(run)) == ()
    assert breaks_of((*run[:2], *run[3:])) == (2,)
    assert breaks_of((*run[:2], changed(run[2], gross_weight_kg=1), *run[3:])) == (3,)


FILES = tuple(
    EvidenceFile(
        kind=kind,
        name=f"{kind.value}.bin",
        size_bytes=10,
        sha256=sha256_of(kind.value.encode()),
        duration_ms=5_000 if kind is FileKind.VIDEO else None,
    )
    for kind in FileKind
)
MANIFEST = Manifest(
    evidence_id="E-1",
    record=RECORD,
    files=FILES,
    clock=proof.ClockState(source="gnss", is_synchronised=True, offset_ms=2),
    limit_kg=25_000,
    review=proof.Review(operator_id="op-3", time_ms=1_764_000_100_000, is_confirmed=True),
)


def test_a_complete_set_is_usable() -> None:
    assert proof.gaps_of(MANIFEST) == frozenset()
    assert proof.is_usable(MANIFEST)
    assert proof.reasons(MANIFEST) == ()


@pytest.mark.parametrize("kind", FileKind)
def test_each_missing_file_is_noticed(kind: FileKind) -> None:
    manifest = changed(MANIFEST, files=tuple(file for file in FILES if file.kind is not kind))
    assert proof.gaps_of(manifest) == {Gap[kind.name]}
    assert not proof.is_usable(manifest)


def test_other_gaps_are_noticed() -> None:
    short = tuple(changed(file, duration_ms=4_999) if file.kind is FileKind.VIDEO else file for file in FILES)
    assert proof.gaps_of(changed(MANIFEST, files=short)) == {Gap.VIDEO}
    clock = proof.ClockState(source="rtc", is_synchronised=False, offset_ms=None)
    assert proof.gaps_of(changed(MANIFEST, clock=clock)) == {Gap.CLOCK}
    assert proof.gaps_of(changed(MANIFEST, review=None)) == {Gap.REVIEW}
    rejected = changed(MANIFEST.review, is_confirmed=False)
    assert proof.gaps_of(changed(MANIFEST, review=rejected)) == {Gap.REVIEW}
    braking = changed(MANIFEST, record=changed(RECORD, status=WimStatus(is_braking=True)), review=None)
    assert proof.reasons(braking) == (Defect.BRAKING.value, Gap.REVIEW.value)


def test_a_manifest_comes_back_in_its_one_form() -> None:
    data = proof.encode_manifest(MANIFEST)
    assert proof.decode_manifest(data) == MANIFEST
    for other in (data + b"\n", data.replace(b'"limit_kg":25000', b'"limit_kg":25e3'), data[:-1], b"{}"):
        with pytest.raises((FrameError, FieldError)):
            proof.decode_manifest(other)
    with pytest.raises(FieldError):
        proof.decode_manifest(data.replace(b'"v":1}', b'"v":2}'))


def test_custody_is_a_chain() -> None:
    log: tuple[proof.CustodyEntry, ...] = ()
    for number, action in enumerate(("stored", "reviewed", "exported")):
        log = proof.with_custody(MANIFEST, log, time_ms=number, actor="op-3", action=action)
    assert proof.is_unbroken(MANIFEST, ())
    assert proof.is_unbroken(MANIFEST, log)
    assert log[0].previous_sha256 == sha256_of(proof.encode_manifest(MANIFEST))
    assert log[1].previous_sha256 == sha256_of(encode_canonical(log[0]))
    assert not proof.is_unbroken(MANIFEST, log[1:])
    assert not proof.is_unbroken(changed(MANIFEST, limit_kg=1), log)
    assert not proof.is_unbroken(MANIFEST, (log[0], changed(log[1], action="seen"), log[2]))
    back = proof.with_custody(MANIFEST, log, time_ms=1, actor="x", action="y")
    assert not proof.is_unbroken(MANIFEST, back)


def test_what_was_judged_is_written_back() -> None:
    text = '{"axle_count": 6, "vehicle_kind": "train", "gross_weight_kg": 50000, "drive_axles": 1}'
    message = decode_message({"protocol": "overload", "text": text})
    assert message["over_kg"] == 4_000
    assert json.loads(str(encode_message(message)["text"])) == json.loads(text)
    for change in ({"over_kg": 0}, {"more": 1}, {"gross_weight_kg": -1}, {"drive_axles": {1, 2}}):
        with pytest.raises(LocalProtocolError):
            encode_message({**message, **change})
