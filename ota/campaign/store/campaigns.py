"""Campaigns as they stand, who has approved them, and how many devices are where in them."""

import hashlib
from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from ota.campaign.course import Course, State
from ota.campaign.judge import Tally, is_counted_bad
from ota.campaign.rules import Campaign
from ota.campaign.store.tables import approval, campaign, course

Standing = Literal["waiting", "running", "paused", "reverting", "halted", "finished"]
OPEN: tuple[Standing, ...] = ("waiting", "running", "paused", "reverting")
EVERY: tuple[Standing, ...] = ("waiting", "running", "paused", "reverting", "halted", "finished")
ACTIVE: tuple[Standing, ...] = ("running", "paused", "reverting", "halted")
"""In these what is heard of devices still counts; a finished one is history."""


class Kept(NamedTuple):
    """A campaign as it stands."""

    campaign: Campaign
    digest: str
    author: str
    created_at: int
    state: Standing
    stage: int
    begun_at: int
    reason: str
    guilty: list[str]
    enrolled_at: int


class Counts(NamedTuple):
    """By model: of one stage, and of all stages so far."""

    of_stage: dict[str, Tally]
    so_far: dict[str, Tally]


def digest_of(wanted: Campaign) -> str:
    """What an approval is bound to."""
    return hashlib.sha256(msgspec.json.encode(wanted)).hexdigest()


def add(connection: Connection, wanted: Campaign, *, author: str, at: int) -> None:
    """It waits to be approved."""
    row = {"name": wanted.name, "body": msgspec.json.encode(wanted).decode(), "digest": digest_of(wanted)}
    rest = {"author": author, "created_at": at, "state": "waiting", "stage": 0, "begun_at": 0, "reason": ""}
    connection.execute(insert(campaign).values(**row, **rest, guilty="[]", enrolled_at=0))


def get(connection: Connection, name: str, *, is_locked: bool = False) -> Kept | None:
    """A campaign; where it is locked nobody else moves it until the transaction ends."""
    query = select(campaign).where(campaign.c.name == name)
    row = connection.execute(query.with_for_update() if is_locked else query).one_or_none()
    return None if row is None else _kept(row)


def every(connection: Connection, states: Collection[Standing] | None = None) -> list[Kept]:
    """By the time of their making."""
    query = select(campaign).order_by(campaign.c.created_at, campaign.c.name)
    if states is not None:
        query = query.where(campaign.c.state.in_(states))
    return [_kept(row) for row in connection.execute(query)]


def move(connection: Connection, name: str, **values: Any) -> None:
    """Another state, stage or reason; `guilty` as a list."""
    if "guilty" in values:
        values["guilty"] = msgspec.json.encode(values["guilty"]).decode()
    connection.execute(update(campaign).where(campaign.c.name == name).values(**values))


def approve(connection: Connection, name: str, who: str, at: int) -> None:
    """By one person, once."""
    connection.execute(insert(approval).values(campaign=name, who=who, at=at))


def approvals(connection: Connection, name: str) -> dict[str, int]:
    """When, by who has."""
    query = select(approval.c.who, approval.c.at).where(approval.c.campaign == name).order_by(approval.c.at)
    return {row.who: row.at for row in connection.execute(query)}


def counts(connection: Connection, name: str, stage: int) -> Counts:
    """What a judgement rests on."""
    groups = (course.c.model, course.c.stage, course.c.state, course.c.rule)
    query = select(*groups, func.count().label("number")).where(course.c.campaign == name, course.c.stage <= stage)
    result = Counts({}, {})
    for row in connection.execute(query.group_by(*groups)):
        _count(result.so_far, row)
        if row.stage == stage:
            _count(result.of_stage, row)
    return result


def by_stage(connection: Connection, name: str) -> dict[int, dict[str, Tally]]:
    """By stage, by model: for people."""
    groups = (course.c.model, course.c.stage, course.c.state, course.c.rule)
    query = select(*groups, func.count().label("number")).where(course.c.campaign == name).group_by(*groups)
    result: dict[int, dict[str, Tally]] = {}
    for row in connection.execute(query.order_by(course.c.stage, course.c.model)):
        _count(result.setdefault(row.stage, {}), row)
    return result


def _count(tallies: dict[str, Tally], row: Row[Any]) -> None:
    one = tallies.setdefault(row.model, Tally(states={}, rules={}))
    state: State = row.state
    one.count(state, row.number)
    if is_counted_bad(Course(device="", model=row.model, stage=row.stage, state=state, rule=row.rule)):
        one.rules[row.rule] = one.rules.get(row.rule, 0) + row.number


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        msgspec.json.decode(row.body, type=Campaign),
        row.digest,
        row.author,
        row.created_at,
        row.state,
        row.stage,
        row.begun_at,
        row.reason,
        msgspec.json.decode(row.guilty, type=list[str]),
        row.enrolled_at,
    )
