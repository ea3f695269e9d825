"""The types of our wire by name, for generated schemas; and the telemetry pack as a type.

The pack itself is read by `pack.py`, which also runs on MicroPython and checks more than a schema can say; the type
here is what a schema is drawn from.
"""

from typing import Annotated, Any, Literal

import msgspec

from protocols.wayside.envelope import Command, Desired, WireEnvelope
from protocols.wayside.events import ClockSet, CloudEvent, Loss, UpdateReport
from protocols.wayside.fields import Boot, Epoch, Level, Seq, TimeMs, TimeQuality, UptimeMs
from protocols.wayside.pack import KEYS, MAX_NAME_CHARS, MAX_OFFSET_MS
from protocols.wayside.state import (
    Ack,
    Catalogue,
    Health,
    Ingest,
    Notice,
    Reported,
    Request,
    Result,
    State,
    UpdateAccount,
)


def _cbor(key: str) -> msgspec.Meta:
    return msgspec.Meta(extra_json_schema={"x-cbor-key": KEYS.index(key)})


_Index = Annotated[int, msgspec.Meta(ge=0)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
_Offset = Annotated[float, msgspec.Meta(ge=-MAX_OFFSET_MS, le=MAX_OFFSET_MS)]


class TelemetryPack(msgspec.Struct, frozen=True, kw_only=True):
    """Poll rounds of one device, as columns. Exactly one of `points` and `block` is there."""

    v: Annotated[Literal[1], _cbor("v")]
    node: Annotated[Level, _cbor("node")]
    epoch: Annotated[Epoch, _cbor("epoch")]
    boot: Annotated[Boot, _cbor("boot")]
    lane: Annotated[Literal["telemetry"], _cbor("lane")]
    seq: Annotated[Seq, _cbor("seq")]
    device: Annotated[Level, _cbor("device")]
    time: Annotated[TimeMs, _cbor("time")]
    time_quality: Annotated[TimeQuality, _cbor("time_quality")]
    uptime: Annotated[UptimeMs, _cbor("uptime")]
    points: Annotated[list[_Name], msgspec.Meta(min_length=1), _cbor("points")] = []
    block: Annotated[str, _cbor("block")] = ""
    offsets: Annotated[list[_Offset], _cbor("offsets")]
    values: Annotated[list[list[int | float | bool | str | None]], _cbor("values")]
    bad: Annotated[list[tuple[_Index, _Index, _Index]], _cbor("bad")] = []


TYPES: dict[str, type[msgspec.Struct]] = {
    "telemetry": TelemetryPack,
    "event": CloudEvent,
    "transaction": CloudEvent,
    "loss": Loss,
    "clock-set": ClockSet,
    "update": UpdateReport,
    "state": State,
    "catalogue": Catalogue,
    "reported": Reported,
    "update-account": UpdateAccount,
    "health": Health,
    "result": Result,
    "request": Request,
    "envelope": WireEnvelope,
    "command": Command,
    "desired": Desired,
    "ack": Ack,
    "notice": Notice,
    "ingest": Ingest,
}
"""Every payload that the contract knows, by the name that its page gives it."""
PARTS = frozenset({"loss", "clock-set", "update", "update-account"})
"""Those that stand within another: no messages of their own."""


def json_schemas(reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of each payload by name, and the types that they refer to by `reference` (with `{name}` in it)."""
    kinds = list(TYPES.values())
    schemas, components = msgspec.json.schema_components(kinds, ref_template=reference)
    components["TelemetryPack"]["oneOf"] = [{"required": ["points"]}, {"required": ["block"]}]
    for optional in ("points", "block"):
        components["TelemetryPack"]["properties"][optional].pop("default", None)
    return dict(zip(TYPES, schemas, strict=True)), components
