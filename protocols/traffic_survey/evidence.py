"""The evidence of an overload that nobody stopped: what belongs to it, its canonical form, and who has had it.

A manifest names every file by its SHA-256, holds the record of the scale, the state of the clock and an operator's
review. Its canonical form (`canonical.py`) is what is signed, by the caller. Custody is a chain: each entry holds the
hash of the entry before it, the first one that of the manifest.
"""

from enum import Enum
from typing import ClassVar

import msgspec

from protocols.core.errors import FieldError
from protocols.traffic_survey.canonical import Sha256, Whole, decode_canonical, encode_canonical, sha256_of
from protocols.traffic_survey.wim_record import Defect, WimRecord, defects_of

MAX_MANIFEST_BYTES = 65_536
MIN_VIDEO_MS = 5_000


class FileKind(Enum):
    """What a file of the set shows. Site, time, lane, gross weight and limit are burnt into each."""

    FRONT = "front"
    SIDE = "side"
    REAR = "rear"
    PLATE = "plate"
    VIDEO = "video"
    CERTIFICATE = "certificate"


class EvidenceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file. sha256: hex digits, lower case. duration_ms: of a video, else None."""

    kind: FileKind
    name: str
    size_bytes: Whole
    sha256: Sha256
    duration_ms: Whole | None = None


class ClockState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the time came from when the vehicle passed. offset_ms: measured last, None where nobody has."""

    source: str
    is_synchronised: bool
    offset_ms: Whole | None


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator found."""

    operator_id: str
    time_ms: Whole
    is_confirmed: bool


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole set."""

    VERSION: ClassVar[int] = 1

    v: Whole = VERSION
    evidence_id: str
    record: WimRecord
    files: tuple[EvidenceFile, ...]
    clock: ClockState
    limit_kg: Whole
    review: Review | None = None


class Gap(Enum):
    """What a set lacks."""

    FRONT = "front picture"
    SIDE = "side picture"
    REAR = "rear picture"
    PLATE = "picture of the plate"
    VIDEO = "video of five seconds"
    CERTIFICATE = "certificate of the scale"
    CLOCK = "synchronised clock"
    REVIEW = "operator's confirmation"


def gaps_of(manifest: Manifest) -> frozenset[Gap]:
    """What a set lacks; empty for a complete one."""
    kinds = {file.kind for file in manifest.files}
    gaps = {Gap[kind.name] for kind in FileKind if kind not in kinds}
    if not any(file.kind is FileKind.VIDEO and (file.duration_ms or 0) >= MIN_VIDEO_MS for file in manifest.files):
        gaps.add(Gap.VIDEO)
    if not manifest.clock.is_synchronised:
        gaps.add(Gap.CLOCK)
    if manifest.review is None or not manifest.review.is_confirmed:
        gaps.add(Gap.REVIEW)
    return frozenset(gaps)


def is_usable(manifest: Manifest) -> bool:
    """Whether nothing is amiss with the record and nothing lacks."""
    return not defects_of(manifest.record) and not gaps_of(manifest)


def reasons(manifest: Manifest) -> tuple[str, ...]:
    """Why it is not usable, in words, in a fixed order."""
    found: frozenset[Defect | Gap] = defects_of(manifest.record) | gaps_of(manifest)
    return tuple(each.value for each in (*Defect, *Gap) if each in found)


def encode_manifest(manifest: Manifest) -> bytes:
    """The canonical form, which is signed. Raises `LocalProtocolError`."""
    return encode_canonical(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """Read the canonical form; nothing else is one. Raises `FrameError`, `FieldError`."""
    manifest = decode_canonical(data, Manifest, MAX_MANIFEST_BYTES)
    if manifest.v != Manifest.VERSION or manifest.record.v != WimRecord.VERSION:
        raise FieldError("a version that is not known", field="v")
    return manifest


class CustodyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody has done something with the set. previous_sha256: of the entry before, or of the manifest."""

    time_ms: Whole
    actor: str
    action: str
    previous_sha256: Sha256


def with_custody(
    manifest: Manifest, log: tuple[CustodyEntry, ...], *, time_ms: int, actor: str, action: str
) -> tuple[CustodyEntry, ...]:
    """The log with one more entry."""
    entry = CustodyEntry(time_ms=time_ms, actor=actor, action=action, previous_sha256=_last_link(manifest, log))
    return (*log, entry)


def is_unbroken(manifest: Manifest, log: tuple[CustodyEntry, ...]) -> bool:
    """Whether every entry follows the one before it, and time does not run backwards."""
    links_hold = all(entry.previous_sha256 == _last_link(manifest, log[:at]) for at, entry in enumerate(log))
    return links_hold and all(log[at].time_ms >= log[at - 1].time_ms for at in range(1, len(log)))


def _last_link(manifest: Manifest, log: tuple[CustodyEntry, ...]) -> str:
    return sha256_of(encode_canonical(log[-1] if log else manifest))
