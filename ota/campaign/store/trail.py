"""The audit of rollouts: who did what and why, each line bound to the one before it by its hash.

A line is never changed or removed. Whoever changes one breaks the chain from there on; whoever rewrites all of it is
betrayed by any copy of a later hash, such as the last one of each `history`, which people keep.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from ota.campaign.store.tables import note, trail

ENGINE = "engine"
"""Who does what nobody has asked for."""
OPERATOR = "operator"
"""Who keeps the list of devices: whoever may write the database."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    seq: int
    at: int
    who: str
    what: str
    campaign: str
    facts: dict[str, Any]
    hash: str = ""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """What is hashed: with the hash of the line before it."""

    seq: int
    at: int
    who: str
    what: str
    campaign: str
    facts: dict[str, Any]
    previous: str


def append(connection: Connection, *, at: int, who: str, what: str, campaign: str = "", **facts: Any) -> None:
    """Add a line: the last thing that a transaction does, since it holds up every other that has one to add."""
    head = connection.execute(select(note.c.value).where(note.c.name == "trail").with_for_update()).scalar_one()
    seq, _, previous = head.partition(" ")
    number = int(seq or 0) + 1
    line = _Line(seq=number, at=at, who=who, what=what, campaign=campaign, facts=facts, previous=previous)
    text = msgspec.json.encode(line).decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    connection.execute(insert(trail).values(seq=number, campaign=campaign, line=text, hash=digest))
    connection.execute(update(note).where(note.c.name == "trail").values(value=f"{number} {digest}"))


def read(connection: Connection, campaign: str | None = None) -> Iterator[Entry]:
    """In order."""
    query = select(trail.c.line, trail.c.hash).order_by(trail.c.seq)
    if campaign is not None:
        query = query.where(trail.c.campaign == campaign)
    for row in connection.execute(query):
        line = msgspec.json.decode(row.line, type=_Line)
        fields = {name: getattr(line, name) for name in ("seq", "at", "who", "what", "campaign", "facts")}
        yield Entry(**fields, hash=row.hash)


def first_break(connection: Connection) -> int | None:
    """The number of the first line that is not as it was written, or is missing; None where all of them hold."""
    previous, expected = "", 1
    for row in connection.execute(select(trail.c.seq, trail.c.line, trail.c.hash).order_by(trail.c.seq)):
        if row.seq != expected or hashlib.sha256(row.line.encode()).hexdigest() != row.hash:
            return expected
        try:
            line = msgspec.json.decode(row.line, type=_Line)
        except msgspec.MsgspecError:
            return expected
        if (line.seq, line.previous) != (expected, previous):
            return expected
        previous, expected = row.hash, expected + 1
    head = connection.execute(select(note.c.value).where(note.c.name == "trail")).scalar_one()
    return None if head in ("", f"{expected - 1} {previous}") and (head or expected == 1) else expected
