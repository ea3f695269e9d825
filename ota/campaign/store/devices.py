"""The fleet: which devices there are, when they were heard, what their counters usually do, what they last said."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from ota.campaign.course import DAY_S, Vitals
from ota.campaign.rules import CampaignError
from ota.campaign.selection import FleetDevice
from ota.campaign.store.tables import command, course, device, note, plan, report

_BUSY = ("told", "reached", "retrying", "confirmed", "reverting")
_AT_ONCE = 500
"""Ids in one query: fewer than any database takes."""


class Looks(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a device at up to three times, a day and more apart: what is usual for it."""

    older: Vitals | None = None
    old: Vitals | None = None
    last: Vitals | None = None

    def with_(self, look: Vitals) -> "Looks":
        """Counters that have fallen belong to journals that began anew: what was before says nothing of them."""
        last = self.last
        if last is None or look.starts < last.starts or look.records < last.records:
            return Looks(old=look, last=look)
        if look.at <= last.at:
            return self
        if self.old is not None and look.at - self.old.at >= DAY_S:
            return Looks(older=self.old, old=look, last=look)
        return msgspec.structs.replace(self, last=look)

    @property
    def usual(self) -> tuple[float, float]:
        """Starts and records a day; zeros where too little is known."""
        first, last = self.older or self.old, self.last
        if first is None or last is None or last.at - first.at < DAY_S / 24:
            return 0.0, 0.0
        days = (last.at - first.at) / DAY_S
        return (last.starts - first.starts) / days, (last.records - first.records) / days


class _Labels(msgspec.Struct):
    """Of a device, and nothing else of it."""

    labels: dict[str, str] = {}


class Known(NamedTuple):
    """A device and what is known of it."""

    device: FleetDevice
    report_key: str
    added_at: int
    heard_at: int
    plan: int
    account: dict[str, Any]
    looks: Looks


def put(connection: Connection, devices: Iterable[FleetDevice], keys: Mapping[str, str], at: int) -> tuple[int, int]:
    """Add devices or say anew what they are; how many were added and changed. keys: report keys by id.

    Each import is dated later than the one before, also within one second: whoever has seen the fleet up to a time has
    seen all of it.
    """
    wanted = {one.id: one for one in devices}
    at = max(at, lock_fleet(connection) + 1)
    connection.execute(update(note).where(note.c.name == "fleet").values(value=str(at)))
    there = {row.id: row for row in _rows(connection, wanted, is_locked=True)}
    added, changed = [], []
    for one in wanted.values():
        known = there.get(one.id)
        body = msgspec.json.encode(one if known is None else _as_heard(one, known)).decode()
        if known is None:
            rest = {"added_at": at, "heard_at": 0, "plan": 0, "account": "{}", "looks": "{}"}
            added.append({"id": one.id, "model": one.model, "body": body, "report_key": keys.get(one.id, ""), **rest})
            continue
        key = keys.get(one.id, known.report_key)
        if (known.body, known.report_key) != (body, key):
            changed.append({"of": one.id, "model": one.model, "body": body, "report_key": key})
    if added:
        connection.execute(insert(device), added)
    if changed:
        connection.execute(update(device).where(device.c.id == bindparam("of")), changed)
    return len(added), len(changed)


def _as_heard(one: FleetDevice, row: Row[Any]) -> FleetDevice:
    """What a device has said itself of what it runs is newer than any table that it stands in."""
    if not row.heard_at:
        return one
    known = msgspec.json.decode(row.body, type=FleetDevice)
    targets = {**one.targets, **{ecu: path for ecu, path in known.targets.items() if ecu in one.ecus}}
    return msgspec.structs.replace(one, targets=targets, version=known.version or one.version, sha256=known.sha256)


def get(connection: Connection, ids: Collection[str], *, is_locked: bool = False) -> dict[str, Known]:
    """Those that there are, by id."""
    return {row.id: _known(row) for row in _rows(connection, ids, is_locked=is_locked)}


def lock(connection: Connection, ids: Collection[str]) -> None:
    """Nobody else changes these, their courses and plans, until the transaction ends."""
    for _row in _rows(connection, ids, is_locked=True):
        pass


def lock_fleet(connection: Connection) -> int:
    """Nobody else adds devices, or gives devices to a campaign, until the transaction ends; when any was added last."""
    return imported_at(connection, is_locked=True)


def imported_at(connection: Connection, *, is_locked: bool = False) -> int:
    """When any device was added last."""
    query = select(note.c.value).where(note.c.name == "fleet")
    return int(connection.execute(query.with_for_update() if is_locked else query).scalar_one())


def every(connection: Connection) -> list[Known]:
    """The whole fleet, by id."""
    return list(each(connection))


def each(connection: Connection, *, added_after: int = -1) -> Iterator[Known]:
    """The fleet, or what came later, by id, a query's worth at a time: of a great one there is no list."""
    last: str | None = ""
    while last is not None:
        query = select(device).where(device.c.added_at > added_after, device.c.id > last)
        last = None
        for row in connection.execute(query.order_by(device.c.id).limit(_AT_ONCE)):
            yield _known(row)
            last = row.id


def labels(connection: Connection) -> set[str]:
    """The names of all labels that the fleet has."""
    found: set[str] = set()
    last: str | None = ""
    while last is not None:
        query = select(device.c.id, device.c.body).where(device.c.id > last).order_by(device.c.id).limit(_AT_ONCE)
        last = None
        for row in connection.execute(query):
            found.update(msgspec.json.decode(row.body, type=_Labels).labels)
            last = row.id
    return found


def save(connection: Connection, known: Iterable[Known]) -> None:
    """What was heard of devices, and what they run."""
    rows = [
        {
            "of": one.device.id,
            "body": msgspec.json.encode(one.device).decode(),
            "heard_at": one.heard_at,
            "plan": one.plan,
            "account": msgspec.json.encode(one.account).decode(),
            "looks": msgspec.json.encode(one.looks).decode(),
        }
        for one in known
    ]
    if rows:
        connection.execute(update(device).where(device.c.id == bindparam("of")), rows)


def remove(connection: Connection, ids: Collection[str]) -> list[str]:
    """Forget devices and all that is known of them but the trail; the ids of those that there were.

    Raises `CampaignError` where one is on its way in a campaign: what it does next would be nobody's.
    """
    lock_fleet(connection)
    there = sorted(get(connection, ids, is_locked=True))
    for start in range(0, len(there), _AT_ONCE):
        some = there[start : start + _AT_ONCE]
        query = select(course.c.device, course.c.campaign).where(course.c.device.in_(some))
        busy = connection.execute(query.where(course.c.state.in_(_BUSY)).limit(1)).one_or_none()
        if busy is not None:
            raise CampaignError(f"device: {busy.device}: it is on its way in {busy.campaign}; halt that, or let it end")
        for table in (command, plan, report, course):
            connection.execute(delete(table).where(table.c.device.in_(some)))
        connection.execute(delete(device).where(device.c.id.in_(some)))
    return there


def _rows(connection: Connection, ids: Collection[str], *, is_locked: bool = False) -> Iterable[Row[Any]]:
    """In the order of their ids, so that two who lock the same ones wait for each other and not in a circle."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        query = select(device).where(device.c.id.in_(ordered[start : start + _AT_ONCE])).order_by(device.c.id)
        # not against those who only refer to it with a new row
        yield from connection.execute(query.with_for_update(key_share=True) if is_locked else query)


def _known(row: Row[Any]) -> Known:
    return Known(
        msgspec.json.decode(row.body, type=FleetDevice),
        row.report_key,
        row.added_at,
        row.heard_at,
        row.plan,
        msgspec.json.decode(row.account, type=dict[str, Any]),
        msgspec.json.decode(row.looks, type=Looks),
    )
