"""Records of a scale in the road and sets of evidence: what is amiss with one, its one form, and its chain."""

import json
from datetime import date
from typing import Any

import msgspec
import pytest

from protocols.core.errors import FieldError, FrameError, LocalProtocolError
from protocols.traffic_survey import evidence as proof
from protocols.traffic_survey.canonical import encode_canonical, sha256_of
from protocols.traffic_survey.evidence import EvidenceFile, FileKind, Gap, Manifest
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
        data.replace(b'"time_ms":1764000000123', b'"time_ms":9007199254740992'),
        data.replace(GENESIS.encode(), b"x"),
        b"[" * 9000,
        b"\xff",
        b" " * (MAX_RECORD_BYTES + 1),
    ):
        assert other != data
        with pytest.raises((FrameError, FieldError)):
            decode_record(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"site": "\ud800"},
        {"lane": 1.0},
        {"lane": True},
        {"axle_weights_left_kg": (3_200.5, 4_900, 5_100)},
        {"time_ms": 2**53},
        {"previous_sha256": "x"},
        {"previous_sha256": GENESIS.replace("0", "A")},
        {"previous_sha256": GENESIS + "\n"},
    ],
    ids=str,
)
def test_a_record_that_has_no_canonical_form(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_record(changed(RECORD, **changes))


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
    with pytest.raises(FieldError):
        proof.decode_manifest(data.replace(FILES[0].sha256.encode(), b""))
    with pytest.raises(LocalProtocolError):
        proof.encode_manifest(changed(MANIFEST, files=(changed(FILES[0], sha256=FILES[0].sha256.upper()), *FILES[1:])))


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
