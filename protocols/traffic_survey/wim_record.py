"""One vehicle over a scale in the road (weigh in motion), and whether its record may count against anybody.

A record is kept whatever it says. It counts as evidence only when nothing is amiss: `defects_of` tells what is. Its
canonical form is that of `canonical.py`. The hash of a record is the SHA-256 of that form, and each record holds the
hash of the one before it, so that none can be taken out.
"""

from datetime import date
from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import FieldError
from protocols.traffic_survey.canonical import Sha256, Whole, decode_canonical, encode_canonical, sha256_of

MAX_RECORD_BYTES = 16_384
GENESIS = "0" * 64
"""What the first record of a scale has for the hash before it."""


class WimStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the scale noticed."""

    has_changed_lane: bool = False
    has_changed_speed: bool = False
    is_straddling: bool = False
    has_short_gap: bool = False
    has_sensor_fault: bool = False
    is_braking: bool = False


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the scale's verification (JJG 907): both days counted in; speeds for which it was verified."""

    number: str
    valid_from: date
    valid_until: date
    min_speed_tenth_kmh: Whole
    max_speed_tenth_kmh: Whole


class WimRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vehicle. time_ms: Unix time. day: the day there. None is not known. Axles are told from the front."""

    VERSION: ClassVar[int] = 1

    v: Whole = VERSION
    site: str
    direction: str
    lane: Whole
    time_ms: Whole
    day: date
    speed_tenth_kmh: Whole
    length_mm: Whole | None
    axle_weights_left_kg: tuple[Whole, ...]
    axle_weights_right_kg: tuple[Whole, ...]
    axle_distances_mm: tuple[Whole, ...]
    axle_groups: tuple[Whole, ...]
    gross_weight_kg: Whole
    vehicle_class: str | None
    temperature_tenth_c: Whole | None
    status: WimStatus
    picture_links: tuple[str, ...]
    plate: str | None
    plate_colour: str | None
    plate_confidence_percent: Whole | None
    device_id: str
    firmware: str
    scale_serial: str
    certificate: Certificate
    sequence: Whole
    previous_sha256: Sha256

    @property
    def axle_count(self) -> int:
        """How many axles were weighed."""
        return len(self.axle_weights_left_kg)


class Defect(Enum):
    """Why a record does not count as evidence."""

    SPEED = "speed outside the certified range"
    BRAKING = "braking or accelerating"
    STRADDLING = "not within one lane"
    CERTIFICATE = "no valid certificate on the day"
    SENSOR = "sensor fault"
    INCONSISTENT = "weights, distances and groups do not fit each other"


def defects_of(record: WimRecord) -> frozenset[Defect]:
    """All that is amiss; empty for a record that may count."""
    certificate, status = record.certificate, record.status
    is_certain_speed = certificate.min_speed_tenth_kmh <= record.speed_tenth_kmh <= certificate.max_speed_tenth_kmh
    found = {
        Defect.SPEED: not is_certain_speed,
        Defect.BRAKING: status.is_braking or status.has_changed_speed,
        Defect.STRADDLING: status.is_straddling or status.has_changed_lane,
        Defect.CERTIFICATE: not certificate.valid_from <= record.day <= certificate.valid_until,
        Defect.SENSOR: status.has_sensor_fault,
        Defect.INCONSISTENT: not _is_consistent(record),
    }
    return frozenset(defect for defect, is_found in found.items() if is_found)


def _is_consistent(record: WimRecord) -> bool:
    axles = record.axle_count
    return (
        axles >= 1
        and len(record.axle_weights_right_kg) == axles
        and len(record.axle_distances_mm) == axles - 1
        and sum(record.axle_groups) == axles
        and sum(record.axle_weights_left_kg) + sum(record.axle_weights_right_kg) == record.gross_weight_kg
    )


def encode_record(record: WimRecord) -> bytes:
    """The canonical form. Raises `LocalProtocolError`."""
    return encode_canonical(record)


def decode_record(data: bytes) -> WimRecord:
    """Read the canonical form; nothing else is one. Raises `FrameError`, `FieldError`."""
    record = decode_canonical(data, WimRecord, MAX_RECORD_BYTES)
    if record.v != WimRecord.VERSION:
        raise FieldError("a version that is not known", field="v")
    return record


def hash_of(record: WimRecord) -> str:
    """SHA-256 of the canonical form."""
    return sha256_of(encode_record(record))


def breaks_of(records: tuple[WimRecord, ...]) -> tuple[int, ...]:
    """The places in a run of records where one does not follow the one before: one is missing, or was changed."""
    return tuple(
        at
        for at in range(1, len(records))
        if records[at].previous_sha256 != hash_of(records[at - 1])
        or records[at].sequence != records[at - 1].sequence + 1
    )
