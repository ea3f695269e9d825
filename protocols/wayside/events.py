"""Events and transactions: CloudEvents 1.0.2 in structured JSON (CloudEvents spec, section 3; JSON format, section 3).

A CloudEvents integer has 32 bits, so sequence and uptime travel as strings. The node and the device stand in `source`,
the lane in `type` and in `id`. Our extensions bear the prefix `wayside`. See `docs/wire.md`, "Events and transactions".

Three events speak of the node itself: `loss` declares what will never arrive, `clock-set` re-dates what its boot made
before, `update` brings the report of an update.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.wayside.fields import (
    LEVEL,
    Boot,
    Epoch,
    Lane,
    Seq,
    StructT,
    TimeMs,
    TimeQuality,
    UptimeMs,
    decode_json,
    whole,
)
from protocols.wayside.pack import MAX_PACK_BYTES, MAX_SEQ, MAX_TIME_MS, MAX_UPTIME_MS, TIME_QUALITIES
from protocols.wayside.topics import check_level

Why = Literal["quota", "damaged", "thinned"]

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 16


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event or transaction as it stands on the wire."""

    specversion: Literal["1.0"]
    type: Annotated[str, msgspec.Meta(pattern=whole(r"wayside\.(event|transaction)\." + LEVEL))]
    source: Annotated[str, msgspec.Meta(pattern=whole(f"wayside:{LEVEL}(/{LEVEL})?"))]
    id: Annotated[str, msgspec.Meta(pattern=whole("[0-9a-f]{16}-(event|transaction)-[0-9]{16,19}"))]
    time: Annotated[str, msgspec.Meta(max_length=40)]
    datacontenttype: Literal["application/json"]
    dataschema: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    waysideepoch: Epoch
    waysideseq: Annotated[str, msgspec.Meta(pattern=whole("[1-9][0-9]{0,18}"))]
    waysideboot: Boot
    waysideuptime: Annotated[str, msgspec.Meta(pattern=whole("[0-9]{1,16}"))]
    waysidetimequality: TimeQuality
    data: dict[str, Any]

    @property
    def lane(self) -> Lane:
        """`event` or `transaction`."""
        return "transaction" if self.type.startswith("wayside.transaction.") else "event"

    @property
    def kind(self) -> str:
        """The last level of its topic."""
        return self.type.rpartition(".")[2]

    @property
    def node(self) -> str:
        """The node that made it."""
        return self.source[8:].partition("/")[0]

    @property
    def device(self) -> str | None:
        """The device that it came from; None for the node itself."""
        return self.source.partition("/")[2] or None

    @property
    def seq(self) -> int:
        """Sequence within (node, lane, epoch)."""
        return int(self.waysideseq)

    @property
    def uptime_ms(self) -> int:
        """Monotonic ms since that boot."""
        return int(self.waysideuptime)

    @property
    def time_ms(self) -> int:
        """The time as the node believed, ms UTC. Raises `FieldError`."""
        return ms_of(self.time)


class Loss(msgspec.Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """Data of the event `loss`: records `first` to `last` of a lane will never arrive.

    Of a thinned range `count` records went, of the others all of them.
    """

    lane: Lane
    epoch: Epoch
    first: Seq
    last: Seq
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
    why: Why

    def __post_init__(self) -> None:
        """Refuse a range that runs backwards, and a count that its range cannot have."""
        if not self.first <= self.last or self.count > self.last - self.first + 1:
            raise ValueError("the range runs backwards or holds fewer than it counts")


class ClockSet(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the event `clock-set`: at `uptime` of this boot it was `time`, whatever the records before it say."""

    boot: Boot
    uptime: UptimeMs
    time: TimeMs
    offset_ms: Annotated[int, msgspec.Meta(ge=-MAX_TIME_MS, le=MAX_TIME_MS)]
    """By how much the clock was moved."""
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class UpdateReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of the event `update`: what the update agent signed. An attempt has one report, which may come twice."""

    report: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PACK_BYTES)]
    """The signed line as the agent wrote it."""
    log: Annotated[str, msgspec.Meta(max_length=MAX_PACK_BYTES)] = ""
    """The end of the log of a release that was sent back."""


_encode = msgspec.json.Encoder().encode


def encode_event(
    *,
    node: str,
    device: str | None,
    kind: str,
    data: dict[str, Any],
    epoch: str,
    seq: int,
    boot: int,
    time_ms: int,
    time_quality: str,
    uptime_ms: int,
) -> bytes:
    """Encode an event. Raises `LocalProtocolError` for what the wire cannot carry."""
    return _encode_record("event", node, device, kind, data, epoch, seq, boot, time_ms, time_quality, uptime_ms)


def encode_transaction(
    *,
    node: str,
    device: str | None,
    kind: str,
    data: dict[str, Any],
    epoch: str,
    seq: int,
    boot: int,
    time_ms: int,
    time_quality: str,
    uptime_ms: int,
) -> bytes:
    """Encode a transaction, with the schema of its kind. Raises `LocalProtocolError` for what the wire cannot carry."""
    return _encode_record("transaction", node, device, kind, data, epoch, seq, boot, time_ms, time_quality, uptime_ms)


def _encode_record(
    lane: str,
    node: str,
    device: str | None,
    kind: str,
    data: dict[str, Any],
    epoch: str,
    seq: int,
    boot: int,
    time_ms: int,
    time_quality: str,
    uptime_ms: int,
) -> bytes:
    if time_quality not in TIME_QUALITIES:
        raise LocalProtocolError("is none of gnss, ntp, rtc, hold, none", field="time_quality")
    check_level(kind, "kind")
    source = "wayside:" + check_level(node, "node")
    if device is not None:
        source += "/" + check_level(device, "device")
    event: dict[str, Any] = {
        "specversion": "1.0",
        "type": f"wayside.{lane}.{kind}",
        "source": source,
        "id": f"{epoch}-{lane}-{seq:0{_DIGITS}d}",
        "time": iso_of(time_ms),
        "datacontenttype": "application/json",
    }
    if lane == "transaction":
        event["dataschema"] = f"wayside:schema/{kind}/1"
    event |= {
        "waysideepoch": epoch,
        "waysideseq": str(seq),
        "waysideboot": boot,
        "waysideuptime": str(uptime_ms),
        "waysidetimequality": time_quality,
        "data": data,
    }
    try:
        payload = _encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LocalProtocolError(f"holds what the wire cannot carry: {error}", field="data") from error
    if len(payload) > MAX_PACK_BYTES:
        raise LocalProtocolError(f"is {len(payload)} bytes long, {MAX_PACK_BYTES} are the most")
    return payload


def decode_event(payload: bytes) -> CloudEvent:
    """Read an event or a transaction and hold its parts against each other. Raises `RemoteProtocolError` only."""
    event = decode_json(payload, CloudEvent, MAX_PACK_BYTES)
    if event.seq > MAX_SEQ or event.id != f"{event.waysideepoch}-{event.lane}-{event.seq:0{_DIGITS}d}":
        raise FieldError("is not <epoch>-<lane>-<sequence>", field="id")
    if event.uptime_ms > MAX_UPTIME_MS:
        raise FieldError("is out of range", field="waysideuptime")
    ms_of(event.time)
    return event


def loss_of(event: CloudEvent) -> Loss:
    """The data of a `loss`. Raises `FieldError`."""
    return _data_of(event, Loss)


def clock_set_of(event: CloudEvent) -> ClockSet:
    """The data of a `clock-set`. Raises `FieldError`."""
    return _data_of(event, ClockSet)


def update_report_of(event: CloudEvent) -> UpdateReport:
    """The data of an `update`. Raises `FieldError`."""
    return _data_of(event, UpdateReport)


def iso_of(time_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds. Raises `LocalProtocolError` outside 1970 to 9999.

    >>> iso_of(1795415333120)
    '2026-11-23T06:28:53.120Z'
    """
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise LocalProtocolError("is outside the years 1970 to 9999", field="time")
    seconds, ms = divmod(time_ms, 1000)
    moment = _EPOCH_START + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def ms_of(time: str) -> int:
    """The ms UTC of a time as RFC 3339 writes it. Raises `FieldError`.

    >>> ms_of("2026-11-23T14:28:53.1204+08:00")
    1795415333120
    """
    try:
        moment = datetime.fromisoformat(time)
        time_ms = (moment - _EPOCH_START) // timedelta(milliseconds=1)
    except (ValueError, TypeError, OverflowError) as error:  # TypeError: a time without its offset
        raise FieldError("is not a time as RFC 3339 writes it", field="time") from error
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise FieldError("is outside the years 1970 to 9999", field="time")
    return time_ms


def _data_of(event: CloudEvent, kind: type[StructT]) -> StructT:
    try:
        return msgspec.convert(event.data, kind)
    except msgspec.ValidationError as error:
        raise FieldError(str(error), field="data") from error
