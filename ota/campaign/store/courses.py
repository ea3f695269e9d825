"""Courses of devices through campaigns."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, bindparam, func, insert, select, update

from ota.campaign.course import Course, State, next_look_at
from ota.campaign.rules import Campaign
from ota.campaign.store import devices
from ota.campaign.store.campaigns import Standing
from ota.campaign.store.tables import campaign, course, device

_AT_ONCE = 500


def add(connection: Connection, name: str, courses: Iterable[Course]) -> None:
    """New ones, which wait for their turn."""
    rows = [{"campaign": name, "device": one.device, **_columns(one, 0)} for one in courses]
    if rows:
        connection.execute(insert(course), rows)


def save(
    connection: Connection, wanted: Campaign, courses: Iterable[Course], *, looked_at: int = 0, again_at: int = 0
) -> None:
    """As they are now. What time has not changed at `looked_at`, and should have, it may have at `again_at`."""
    rows = []
    for one in courses:
        look_at = next_look_at(wanted, one)
        columns = _columns(one, again_at if 0 < look_at <= looked_at else look_at)
        rows.append({"of_campaign": wanted.name, "of_device": one.device, **columns})
    if rows:
        key = and_(course.c.campaign == bindparam("of_campaign"), course.c.device == bindparam("of_device"))
        connection.execute(update(course).where(key), rows)


def in_states(connection: Connection, name: str, states: Collection[State], limit: int) -> list[Course]:
    """Some of a campaign, by stage and device."""
    query = _with_heard().where(course.c.campaign == name, course.c.state.in_(states))
    return _read(connection, query.order_by(course.c.stage, course.c.device).limit(limit))


def next_in(
    connection: Connection,
    name: str,
    states: Collection[State],
    limit: int,
    *,
    stages_below: int | None = None,
    models: Collection[str] | None = None,
) -> list[Course]:
    """Some that are in the first of these states in which any is, by stage and device, locked.

    A query for each state: its index gives them in this order, and nothing beyond them is read.
    """
    for state in states:
        query = _with_heard().where(course.c.campaign == name, course.c.state == state)
        if stages_below is not None:
            query = query.where(course.c.stage < stages_below)
        if models is not None:
            query = query.where(course.c.model.in_(models), course.c.plan > 0)
        found = _locked(connection, query.order_by(course.c.stage, course.c.device), limit)
        if found:
            return found
    return []


def due(connection: Connection, name: str, now: int, limit: int, *, is_retry: bool) -> list[Course]:
    """Those that time alone may change, locked; is_retry: those whose next try is due, else all others."""
    query = _with_heard().where(course.c.campaign == name, course.c.look_at > 0, course.c.look_at <= now)
    query = query.where((course.c.state == "retrying") if is_retry else (course.c.state != "retrying"))
    return _locked(connection, query.order_by(course.c.look_at, course.c.device), limit)


def _locked(connection: Connection, query: Select[Any], limit: int) -> list[Course]:
    """Those of a query that still are when nobody else can change them any more: their devices are locked."""
    found = _read(connection, query.limit(limit))
    if connection.dialect.name == "sqlite" or not found:  # nobody else writes
        return found
    ids = [one.device for one in found]
    devices.lock(connection, ids)
    return _read(connection, query.where(course.c.device.in_(ids)))


def _read(connection: Connection, query: Select[Any]) -> list[Course]:
    return [_course(row) for row in connection.execute(query)]


def of_devices(
    connection: Connection, ids: Collection[str], standings: Collection[Standing]
) -> list[tuple[str, Course]]:
    """Of these devices in campaigns that stand so: (campaign, course)."""
    found: list[tuple[str, Course]] = []
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        query = _with_heard(course.c.campaign).join(campaign, campaign.c.name == course.c.campaign)
        query = query.where(course.c.device.in_(ordered[start : start + _AT_ONCE]), campaign.c.state.in_(standings))
        found += [(row.campaign, _course(row)) for row in connection.execute(query)]
    return found


def of_campaign(connection: Connection, name: str) -> Iterable[Course]:
    """Every one, for people."""
    query = _with_heard().where(course.c.campaign == name).order_by(course.c.stage, course.c.device)
    return (_course(row) for row in connection.execute(query))


def devices_of(connection: Connection, name: str) -> Iterable[str]:
    """The ids of all of a campaign."""
    return connection.execute(select(course.c.device).where(course.c.campaign == name)).scalars()


def number_in(connection: Connection, name: str, states: Collection[State], stages_below: int) -> int:
    """How many there are in the stages before this one."""
    query = select(func.count()).where(course.c.campaign == name, course.c.state.in_(states))
    return connection.execute(query.where(course.c.stage < stages_below)).scalar_one()


def _with_heard(*more: Any) -> Select[Any]:
    """When a device was heard is kept with the device: it is written far more often than a course changes."""
    return select(course.c.body, device.c.heard_at, *more).join(device, device.c.id == course.c.device)


def _course(row: Row[Any]) -> Course:
    found = msgspec.json.decode(row.body, type=Course)
    return msgspec.structs.replace(found, heard_at=row.heard_at) if row.heard_at > found.heard_at else found


def _columns(one: Course, look_at: int) -> dict[str, Any]:
    return {
        "model": one.model,
        "stage": one.stage,
        "state": one.state,
        "rule": one.rule,
        "plan": one.plan,
        "look_at": look_at,
        "body": msgspec.json.encode(one).decode(),
    }
