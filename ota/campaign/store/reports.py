"""Signed reports of devices, each once."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from ota.campaign.store.tables import course, report


class Kept(NamedTuple):
    """A report as it came."""

    device: str
    attempt: str
    plan: int
    outcome: str
    at: int
    line: str
    log: str


def put(connection: Connection, one: Kept) -> bool:
    """False where it is known: devices repeat what they do not know to have arrived."""
    key = (report.c.device == one.device, report.c.attempt == one.attempt)
    if connection.execute(select(report.c.attempt).where(*key)).one_or_none() is not None:
        return False
    connection.execute(insert(report).values(**one._asdict()))
    return True


def of_device(connection: Connection, device: str) -> Iterator[Kept]:
    """The newest first."""
    query = select(report).where(report.c.device == device).order_by(report.c.at.desc(), report.c.attempt.desc())
    return (Kept(*row) for row in connection.execute(query))


class Brief(NamedTuple):
    """A report without what was signed."""

    device: str
    plan: int
    outcome: str
    at: int


def of_campaign(connection: Connection, campaign: str) -> Iterator[Brief]:
    """Of all devices of a campaign, in the order of time; also of plans that were not its own."""
    query = select(report.c.device, report.c.plan, report.c.outcome, report.c.at)
    query = query.join(course, course.c.device == report.c.device).where(course.c.campaign == campaign)
    return (Brief(*row) for row in connection.execute(query.order_by(report.c.at, report.c.device)))
