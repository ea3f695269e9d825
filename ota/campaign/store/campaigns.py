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


class Excused(msgspec.Struct, frozen=True, kw_only=True):
    """Failures that a person has looked at after the gate had paused for them: they are not held against it again."""

    is_asked: bool = False
    """The gate has paused it, and nobody has looked yet."""
    so_far: dict[str, int] = {}
    """By model."""
    of_stage: dict[str, int] = {}
    stage: int = -1
    """The stage of `of_stage`."""

    def take_from(self, counts: "Counts", stage: int) -> None:
        """Leave them out of counts."""
        _leave_out(counts.so_far, self.so_far)
        if stage == self.stage:
            _leave_out(counts.of_stage, self.of_stage)


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
    excused: Excused


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
    connection.execute(insert(campaign).values(**row, **rest, guilty="[]", excused="{}", enrolled_at=0))


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
    """Another state, stage or reason; `guilty` as a list, `excused` as it is."""
    for name_of_json in values.keys() & {"guilty", "excused"}:
        values[name_of_json] = msgspec.json.encode(values[name_of_json]).decode()
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


def excuse(connection: Connection, kept: Kept) -> Excused:
    """A person goes on with what the gate has paused: what has failed until now is excused."""
    if not kept.excused.is_asked:
        return kept.excused
    found = counts(connection, kept.campaign.name, kept.stage)
    so_far = {model: one.bad for model, one in found.so_far.items() if one.bad}
    of_stage = {model: one.bad for model, one in found.of_stage.items() if one.bad}
    return Excused(so_far=so_far, of_stage=of_stage, stage=kept.stage)


def _leave_out(tallies: dict[str, Tally], excused: dict[str, int]) -> None:
    for model, number in excused.items():
        left = number
        for rule, count in sorted(tallies[model].rules.items()) if model in tallies else ():
            tallies[model].rules[rule] = count - min(count, left)
            left -= min(count, left)


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
        msgspec.json.decode(row.excused, type=Excused),
    )
