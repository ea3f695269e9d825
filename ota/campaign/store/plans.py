"""Plans of devices, and the commands that tell them to look for theirs.

A command is written in the same transaction as the plan that it tells of, and sent later: an engine that dies between
the two loses neither. Its id stands before it is sent, so that one which was sent and not marked is the same command
once more, which a device knows and does not do again.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from ota.campaign.store.tables import command, plan
from ota.targets import Plan

CLAIM_S = 60
"""A command that an engine has taken to send is taken by another when it is not sent by then."""


class Command(NamedTuple):
    """What is to be sent."""

    id: str
    device: str
    plan: int
    made_at: int


class Made(NamedTuple):
    """A plan as it was made."""

    plan: Plan
    made_at: int
    campaign: str


def put(connection: Connection, plans: Iterable[Plan], *, campaign: str, stage: int, at: int) -> None:
    """The newest plan of each device from now on, and the command that tells of it when its time has come.

    Told all at once, a fleet would download all at once: a device is told when its jitter is over.
    """
    plans = list(plans)
    there = latest(connection, [one.device for one in plans])
    rows = {
        one.device: {"number": one.number, "made_at": at, "campaign": campaign, "body": _text(one)} for one in plans
    }
    added = [{"device": name, **row} for name, row in rows.items() if name not in there]
    if added:
        connection.execute(insert(plan), added)
    changed = [{"of": name, **row} for name, row in rows.items() if name in there]
    if changed:
        connection.execute(update(plan).where(plan.c.device == bindparam("of")), changed)
    if plans:
        rest = {"campaign": campaign, "stage": stage, "claimed_by": "", "sent_at": 0}
        commands = []
        for one in plans:
            due = max(at, one.conditions.not_before)
            facts = {"id": command_id(one), "device": one.device, "plan": one.number, "made_at": due}
            commands.append({**facts, "claimed_until": due, **rest})
        connection.execute(insert(command), commands)


def latest(connection: Connection, devices: Collection[str]) -> dict[str, Made]:
    """By device, where it has one."""
    found = {}
    ordered = sorted(devices)
    for start in range(0, len(ordered), 500):
        query = select(plan).where(plan.c.device.in_(ordered[start : start + 500]))
        for row in connection.execute(query):
            found[row.device] = Made(msgspec.json.decode(row.body, type=Plan), row.made_at, row.campaign)
    return found


def command_id(one: Plan) -> str:
    """Always the same for a plan."""
    return "rollout-" + hashlib.sha256(f"{one.device}\0{one.number}".encode()).hexdigest()[:24]


def claim(connection: Connection, who: str, now: int, limit: int) -> list[Command]:
    """Take some to send; nobody else is given them until `CLAIM_S` have gone by."""
    query = select(command.c.id, command.c.device, command.c.plan, command.c.made_at)
    query = (
        query.where(command.c.sent_at == 0, command.c.made_at <= now, command.c.claimed_until <= now)
        .order_by(command.c.made_at, command.c.id)
        .limit(limit)
    )
    found = [Command(*row) for row in connection.execute(query.with_for_update(skip_locked=True))]
    if found:
        taken = update(command).where(command.c.id.in_([one.id for one in found]))
        connection.execute(taken.values(claimed_by=who, claimed_until=now + CLAIM_S))
    return found


def sent(connection: Connection, ids: Collection[str], now: int) -> None:
    """The broker has them, whoever holds them by now."""
    if ids:
        _lock(connection, command.c.id.in_(ids))
        connection.execute(update(command).where(command.c.id.in_(ids)).values(sent_at=now))


def give_back(connection: Connection, who: str, ids: Collection[str]) -> None:
    """They were not sent; whoever comes first may take them. What another one has claimed since stays his."""
    if ids:
        theirs = command.c.id.in_(ids) & (command.c.claimed_by == who)
        _lock(connection, theirs)
        connection.execute(update(command).where(theirs).values(claimed_until=0))


def send_again(connection: Connection, before: Mapping[str, int]) -> None:
    """Commands by their ids, the same ones, where each was sent before its time: a device does it once."""
    if before:
        _lock(connection, command.c.id.in_(before))
    for one, time in before.items():
        query = update(command).where(command.c.id == one, command.c.sent_at > 0, command.c.sent_at < time)
        connection.execute(query.values(sent_at=0, claimed_until=0))


def withdraw(connection: Connection, campaign: str, now: int) -> int:
    """Commands of a campaign that were not sent, and that nobody is about to send, are not sent any more; how many."""
    is_free = (command.c.claimed_by == "") | (command.c.claimed_until <= now)
    theirs = (command.c.campaign == campaign) & (command.c.sent_at == 0) & is_free
    _lock(connection, theirs)
    return connection.execute(update(command).where(theirs).values(sent_at=now)).rowcount


def unsent(connection: Connection) -> int:
    """How many wait."""
    return connection.execute(select(func.count()).where(command.c.sent_at == 0)).scalar_one()


def _lock(connection: Connection, which: ColumnElement[bool]) -> None:
    """In the order of their ids: see `tables`."""
    connection.execute(select(command.c.id).where(which).order_by(command.c.id).with_for_update()).all()


def _text(one: Plan) -> str:
    return msgspec.json.encode(one).decode()
