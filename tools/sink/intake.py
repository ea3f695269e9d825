"""From a message to what the ledger keeps of it, without I/O.

A message is held against its own topic: a node may speak for itself alone, and a payload stands in its own lane.
"""

from collections.abc import Callable
from dataclasses import dataclass

from protocols.core.errors import FieldError
from protocols.wayside.events import ClockSet, CloudEvent, Loss, clock_set_of, decode_event, loss_of
from protocols.wayside.fields import Lane
from protocols.wayside.pack_codec import decode_pack
from protocols.wayside.state import Health, State, decode, decode_catalogue
from protocols.wayside.topics import Topic, parse_topic


@dataclass(slots=True)
class Record:
    """A record of a lane: its key, where it belongs in time, and its bytes as they came."""

    node: str
    lane: Lane
    epoch: str
    seq: int
    route: str
    payload: bytes
    boot: int | None = None
    """None, like all of its time, for a catalogue."""
    time_ms: int | None = None
    time_quality: str | None = None
    uptime_ms: int | None = None
    is_late: bool = False
    loss: Loss | None = None
    clock_set: ClockSet | None = None


@dataclass(slots=True)
class Heard:
    """What a node says of itself: a `State` (birth, close, will) or a `Health`."""

    node: str
    message: State | Health


@dataclass(slots=True)
class Refusal:
    """A message that does not keep to the contract: it is noted, never acknowledged."""

    topic: str
    reason: str
    sample: bytes


def read_message(topic_text: str, payload: bytes) -> Record | Heard | None:
    """Read one message from below `wayside/1/up/`; None for what the ledger keeps nothing of.

    Raises `RemoteProtocolError` for a message that does not keep to the contract.
    """
    topic = parse_topic(topic_text)
    if topic.direction != "up":
        return None
    reader = _READERS.get(topic.kind)
    if reader is None or not payload:  # an empty retained payload clears its topic
        return None
    return reader(topic, payload)


def _read_pack(topic: Topic, payload: bytes) -> Record:
    pack = decode_pack(payload)
    _match(pack.node, topic.node, "node")
    _match(pack.device, topic.name, "device")
    _match(pack.lane, "telemetry", "lane")
    return Record(
        node=pack.node,
        lane="telemetry",
        epoch=pack.epoch,
        seq=pack.seq,
        route=f"telemetry/{pack.device}",
        payload=payload,
        boot=pack.boot,
        time_ms=pack.time,
        time_quality=pack.time_quality,
        uptime_ms=pack.uptime,
        is_late=topic.kind == "backfill",
    )


def _read_event(topic: Topic, payload: bytes) -> Record:
    event = decode_event(payload)
    _match(event.node, topic.node, "source")
    _match(event.lane, topic.kind, "type")
    _match(event.kind, topic.name, "type")
    record = Record(
        node=event.node,
        lane=event.lane,
        epoch=event.waysideepoch,
        seq=event.seq,
        route=f"{event.lane}/{event.kind}",
        payload=payload,
        boot=event.waysideboot,
        time_ms=event.time_ms,
        time_quality=event.waysidetimequality,
        uptime_ms=event.uptime_ms,
    )
    if event.lane == "event":
        record.loss, record.clock_set = _about_the_node(event)
    return record


def _about_the_node(event: CloudEvent) -> tuple[Loss | None, ClockSet | None]:
    if event.device is not None:
        return None, None
    if event.kind == "loss":
        return loss_of(event), None
    if event.kind == "clock-set":
        return None, clock_set_of(event)
    return None, None


def _read_catalogue(topic: Topic, payload: bytes) -> Record:
    catalogue = decode_catalogue(payload)
    _match(catalogue.node, topic.node, "node")
    _match(catalogue.digest, topic.name, "digest")
    return Record(
        node=catalogue.node,
        lane=catalogue.lane,
        epoch=catalogue.epoch,
        seq=catalogue.seq,
        route=f"catalogue/{catalogue.digest}",
        payload=payload,
    )


def _read_state(topic: Topic, payload: bytes) -> Heard:
    state = decode(payload, State)
    _match(state.node, topic.node, "node")
    return Heard(topic.node, state)


def _read_health(topic: Topic, payload: bytes) -> Heard:
    return Heard(topic.node, decode(payload, Health))


_READERS: dict[str, Callable[[Topic, bytes], Record | Heard]] = {
    "telemetry": _read_pack,
    "backfill": _read_pack,
    "event": _read_event,
    "transaction": _read_event,
    "catalogue": _read_catalogue,
    "state": _read_state,
    "health": _read_health,
}


def _match(said: str, want: str, field: str) -> None:
    if said != want:
        raise FieldError("is not what the topic says", field=field)
