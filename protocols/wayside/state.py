"""What a node says about itself, what it is told, and what the ingest says.

Here is every payload that is neither pack, event nor envelope; the catalogue among them is a record of the telemetry
lane. The tag of a struct is the key `v` of its payload. Unknown keys are passed over when read; a struct checks its
bounds when it is decoded. See `docs/wire.md`, "The other payloads".
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.wayside.envelope import CommandId
from protocols.wayside.fields import (
    Boot,
    Count,
    Epoch,
    Lane,
    Level,
    Seq,
    StructT,
    Text,
    TimeMs,
    TimeQuality,
    UptimeMs,
    decode_json,
)
from protocols.wayside.pack import MAX_NAME_CHARS, MAX_PACK_BYTES
from protocols.wayside.pack_codec import MAX_UNPACKED_BYTES, inflate

DIGEST_CHARS = 12
"""Hexadecimal digits of a catalogue's name: 48 bits, so that a node never meets two catalogues of one name."""
_ZLIB_ABOVE_BYTES = 8192

Severity = Literal["info", "warning", "emergency"]
Online = Annotated[bool, msgspec.Meta(description="false in the will and at an orderly close")]
PointName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
Digest = Annotated[str, msgspec.Meta(max_length=80)]


class ConfigReference(msgspec.Struct, frozen=True, kw_only=True):
    """Which configuration runs."""

    version: Count
    digest: Digest


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="v", tag=1):
    """Birth, orderly close and will. The will needs no more than node, boot and session."""

    node: Level
    online: Online
    boot: Boot
    session: Count
    """Counts connections over all boots: a late will cannot mark a newer session offline."""
    epochs: dict[Lane, Epoch] = {}
    firmware: Text = ""
    config: ConfigReference | None = None
    catalogue: Level | None = None
    uplink: Text | None = None
    time_quality: TimeQuality | None = None
    acknowledged_by: Literal["ingest", "broker"] | None = None
    lanes: dict[Lane, tuple[Count, Count]] = {}
    """[made, acknowledged up to]"""
    why: Text | None = None


class CataloguePoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one point is."""

    type: Text
    unit: Text = "1"
    min: float | None = None
    max: float | None = None
    period_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    title: dict[str, Text] | None = None


class CatalogueDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one device is, and all of its points."""

    driver: Text
    map: Text | None = None
    asset: Text | None = None
    points: dict[PointName, CataloguePoint] = {}


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """What the points are. A record of the telemetry lane: deduplicated and acknowledged as packs are."""

    node: Level
    lane: Literal["telemetry"] = "telemetry"
    epoch: Epoch
    seq: Seq
    digest: Level
    devices: dict[Level, CatalogueDevice]
    blocks: dict[Level, list[PointName]] = {}
    """Name of a block -> names of points, in the order of the rows. A pack names it `<digest>/<block>`."""


class ReportedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a configuration."""

    version: Count
    digest: Digest
    state: Literal["running", "refused", "rolled-back"]
    reason: Text | None = None


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """Configuration, firmware and slots as they are."""

    config: ReportedConfig
    firmware: dict[str, Any] = {}
    slots: dict[str, Any] = {}
    """An `UpdateAccount` as the node's update agent wrote it; empty where the node takes no updates."""


class UpdateSlot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of a node's two slots. One that holds nothing has a name only."""

    slot: Text
    target: Text = ""
    version: Text = ""
    counter: Count = 0
    sha256: Text = ""
    is_confirmed: bool = False
    is_on_trial: bool = False


class UpdateAccount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a node stands with its updates: `slots` of `reported`.

    Not signed: the access list of the broker alone says that it comes from the node. What came of an attempt stands in
    its signed report, too.
    """

    device: Text
    state: Text
    """Where the update is: `idle`, `fetching`, `trial`, `reported` and the other steps of docs/ota_slots.md."""
    slots: list[UpdateSlot] = []
    attempt: Text = ""
    """The attempt that is under way, or the one that was last; empty before the first."""
    plan: Count = 0
    """The plan of that attempt."""
    outcome: Text = ""
    """How it ended, in the words of reports: `confirmed`, `rolled-back`, `failed`, `cancelled`; empty while it runs."""
    rule: Text = ""
    reason: Text = ""
    waits_for: Text = ""
    """What an update that is under way waits for."""
    refusal: Text = ""
    """Why the newest look at the repositories gave no plan that could be taken; empty where it gave one."""
    refusal_rule: Text = ""
    has_taken: Count = 0
    """The highest plan taken. Above `plan`: it asked for what ran already, so there was no attempt and no report."""
    floors: dict[Text, Count] = {}
    """Hardware and family -> release counter below which nothing is taken."""
    quarantine: dict[Text, Count] = {}
    """SHA-256 of an image -> the plan that it failed with."""


class LaneHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The counters of a lane since its epoch began: made = acked + queued + lost, always."""

    made: Count
    acked: Count
    queued: Count
    lost: Count
    oldest_s: Annotated[float, msgspec.Meta(ge=0)] = 0


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="v", tag=1):
    """Counters, now and then."""

    time: TimeMs
    uptime: UptimeMs
    lanes: dict[Lane, LaneHealth]
    devices: dict[Level, dict[str, Any]] = {}
    disk_free_mb: Annotated[float, msgspec.Meta(ge=0)] | None = None
    rss_mb: Annotated[float, msgspec.Meta(ge=0)] | None = None


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The ingest has these records for good: all up to `upto`, and the ranges of `also`."""

    lane: Lane
    epoch: Epoch
    upto: Count
    also: list[tuple[Seq, Seq]] = []
    session: Count | msgspec.UnsetType = msgspec.UNSET
    """On the last message that answers a birth: the birth's session. All else that is acknowledged has none."""

    def __post_init__(self) -> None:
        """Refuse a range that runs backwards."""
        if any(first > last for first, last in self.also):
            raise ValueError("a range runs backwards")


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """State of the ingest."""

    online: bool
    time: TimeMs
    id: Text


class Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """A notice to a group; it never actuates anything."""

    id: CommandId
    issued: TimeMs
    life_s: Annotated[int, msgspec.Meta(ge=1, le=7 * 86_400)]
    severity: Severity
    text: dict[str, Text]
    """By language: `zh`, `en`."""


class Result(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """Progress or result of a command."""

    id: CommandId
    state: Literal["accepted", "running", "done", "failed", "expired", "rejected", "duplicate"]
    code: int = 0
    time: TimeMs
    out: dict[str, Any] = {}
    reason: Text | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="v", tag=1):
    """The node asks for something."""

    what: Level
    """`desired`, `time`, `catalogue-known`"""
    have: dict[str, Any] | None = None


def update_account_of(reported: Reported) -> UpdateAccount | None:
    """How the node stands with its updates; None where it takes none. Raises `FieldError`."""
    if not reported.slots:
        return None
    try:
        return msgspec.convert(reported.slots, UpdateAccount)
    except msgspec.ValidationError as error:
        raise FieldError(str(error), field="slots") from error


def encode(message: msgspec.Struct) -> bytes:
    """Encode any payload of this file but a long catalogue. Raises `LocalProtocolError` for what does not fit 64 KB."""
    try:
        payload = msgspec.json.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LocalProtocolError(f"holds what the wire cannot carry: {error}") from error
    if len(payload) > MAX_PACK_BYTES:
        raise LocalProtocolError(f"is {len(payload)} bytes long, {MAX_PACK_BYTES} are the most")
    return payload


def decode(payload: bytes, kind: type[StructT]) -> StructT:
    """Read a payload as `kind`. Raises `RemoteProtocolError` and nothing else."""
    return decode_json(payload, kind, MAX_PACK_BYTES)


def encode_catalogue(catalogue: Catalogue) -> bytes:
    """Encode a catalogue, compressed where it is long. Raises `LocalProtocolError` for what does not fit 64 KB."""
    payload = msgspec.json.encode(catalogue)
    if len(payload) > _ZLIB_ABOVE_BYTES:
        payload = zlib.compress(payload, 9)
    if len(payload) > MAX_PACK_BYTES:
        raise LocalProtocolError(f"is {len(payload)} bytes long, {MAX_PACK_BYTES} are the most")
    return payload


def decode_catalogue(payload: bytes) -> Catalogue:
    """Read a catalogue. Raises `RemoteProtocolError` and nothing else."""
    return decode_json(inflate(payload), Catalogue, MAX_UNPACKED_BYTES)


def catalogue_digest(devices: Mapping[str, CatalogueDevice], blocks: Mapping[str, list[str]]) -> str:
    """The name of a catalogue: the first digits of SHA-256 over its canonical JSON.

    Canonical is `{"blocks": ..., "devices": ...}` with sorted keys, no blanks, defaults left out, and UTF-8 for what is
    not ASCII. A reader takes the digest as a name and does not compute it anew: it may not know every key.
    """
    canonical = msgspec.json.encode({"blocks": blocks, "devices": devices}, order="sorted")
    return hashlib.sha256(canonical).hexdigest()[:DIGEST_CHARS]
