"""What nodes publish (docs/wire.md), as the rollout engine takes it. Whatever cannot be read is refused, in a line."""

from collections.abc import Callable

from ota.campaign.engine.heard import Account, Answer, Heard, Look, Reported, Sign
from protocols.wayside.events import decode_event, update_report_of
from protocols.wayside.state import Health, Result, State, decode
from protocols.wayside.state import Reported as ReportedState
from protocols.wayside.topics import Topic, parse_topic

FILTERS = (
    "wayside/1/up/+/state",
    "wayside/1/up/+/reported",
    "wayside/1/up/+/health",
    "wayside/1/up/+/event/update",
    "wayside/1/up/+/result/+",
)


def heard_of(topic: str, payload: bytes, now: int, *, is_retained: bool) -> Heard | None:
    """None where it says nothing to a rollout. Raises `RemoteProtocolError`."""
    where = parse_topic(topic)
    read = _READERS.get(where.kind)
    return None if read is None else read(where, payload, now, not is_retained)


def _state(where: Topic, payload: bytes, now: int, is_fresh: bool) -> Heard | None:
    state = decode(payload, State)
    if not state.online or not is_fresh:  # a will is the broker's word, and a birth that was kept is an old one
        return None
    return Look(device=where.node, at=now, starts=state.boot)


def _health(where: Topic, payload: bytes, now: int, is_fresh: bool) -> Heard | None:
    health = decode(payload, Health)
    made = sum(lane.made for lane in health.lanes.values())
    return Look(device=where.node, at=now, records=made) if is_fresh else None


def _reported(where: Topic, payload: bytes, now: int, is_fresh: bool) -> Heard | None:
    account = decode(payload, ReportedState).slots
    if not account:
        return Sign(device=where.node, at=now, is_fresh=is_fresh)
    return Account(device=where.node, at=now, is_fresh=is_fresh, account=account)


def _event(where: Topic, payload: bytes, now: int, is_fresh: bool) -> Heard | None:
    report = update_report_of(decode_event(payload))
    return Reported(device=where.node, at=now, is_fresh=is_fresh, line=report.report, log=report.log)


def _result(where: Topic, payload: bytes, now: int, is_fresh: bool) -> Heard | None:
    result = decode(payload, Result)
    if result.state in ("expired", "rejected"):
        return Sign(device=where.node, at=now, is_fresh=is_fresh)
    return Answer(device=where.node, at=now, is_fresh=is_fresh, command=result.id)


_READERS: dict[str, Callable[[Topic, bytes, int, bool], Heard | None]] = {
    "state": _state,
    "health": _health,
    "reported": _reported,
    "event": _event,
    "result": _result,
}
