"""The audit: a line that is changed, taken out, put elsewhere or added is found, and found where it is."""

import hashlib
from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest
from sqlalchemy import Connection, delete, insert, select, update

from ota.campaign.store import trail
from ota.campaign.store.tables import note
from ota.campaign.store.tables import trail as lines
from ota.tests.rollout_office import BEGIN, Office

LINES = 6


def written(office: Office) -> None:
    for number in range(LINES):
        with office.database.transaction() as connection:
            what = {"campaign": f"c{number % 2}", "plans": {"bus-000": number}, "reason": "不 \0 \x1b"}
            trail.append(connection, at=BEGIN + number, who="engine", what="told", **what)


def changed(number: int, old: str, new: str) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        line = connection.execute(select(lines.c.line).where(lines.c.seq == number)).scalar_one()
        assert old in line
        connection.execute(update(lines).where(lines.c.seq == number).values(line=line.replace(old, new)))

    return change


def removed(*numbers: int) -> Callable[[Connection], None]:
    return lambda connection: connection.execute(delete(lines).where(lines.c.seq.in_(numbers)))


def swapped(connection: Connection) -> None:
    two, three = connection.execute(select(lines).where(lines.c.seq.in_((2, 3))).order_by(lines.c.seq)).all()
    for number, row in ((2, three), (3, two)):
        values = {"line": row.line, "hash": row.hash, "campaign": row.campaign}
        connection.execute(update(lines).where(lines.c.seq == number).values(**values))


def renumbered(connection: Connection) -> None:
    """A line taken out, and the ones behind it moved up."""
    connection.execute(delete(lines).where(lines.c.seq == 3))
    for number in range(4, LINES + 1):
        connection.execute(update(lines).where(lines.c.seq == number).values(seq=number - 1))


def hashed_anew(connection: Connection) -> None:
    """A line changed by one who knows how a hash is made, and leaves the next line alone."""
    changed(4, '"engine"', '"wang"')(connection)
    line = connection.execute(select(lines.c.line).where(lines.c.seq == 4)).scalar_one()
    digest = hashlib.sha256(line.encode()).hexdigest()
    connection.execute(update(lines).where(lines.c.seq == 4).values(hash=digest))


def added(connection: Connection) -> None:
    connection.execute(insert(lines).values(seq=LINES + 1, campaign="c0", line="{}", hash="0" * 64))


def cut_with_its_head(connection: Connection) -> None:
    """The last line taken out, and the head set to the one before: only a kept copy of the hash tells."""
    removed(LINES)(connection)
    last = connection.execute(select(lines.c.hash).where(lines.c.seq == LINES - 1)).scalar_one()
    connection.execute(update(note).where(note.c.name == "trail").values(value=f"{LINES - 1} {last}"))


TAMPERED = {
    "a word changed": (changed(3, "told", "held"), 3),
    "a time changed": (changed(1, str(BEGIN), str(BEGIN + 1)), 1),
    "no JSON any more": (changed(5, "{", ""), 5),
    "the first removed": (removed(1), 1),
    "one removed": (removed(4), 4),
    "the last removed": (removed(LINES), LINES),
    "all removed": (removed(*range(1, LINES + 1)), 1),
    "two swapped": (swapped, 2),
    "one removed, the rest moved up": (renumbered, 3),
    "hashed anew": (hashed_anew, 5),
    "one added": (added, LINES + 1),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_is_tampered_with_is_found(office: Office, how: str) -> None:
    written(office)
    assert office.first_break() is None
    tamper, found = TAMPERED[how]
    with office.database.transaction() as connection:
        tamper(connection)
    assert office.first_break() == found


def test_the_end_cut_off_with_its_head_is_betrayed_by_any_later_hash(office: Office) -> None:
    written(office)
    with office.database.reading() as connection:
        kept = [one.hash for one in trail.read(connection)]
    with office.database.transaction() as connection:
        cut_with_its_head(connection)
    assert office.first_break() is None, "nothing in the database can tell"
    with office.database.reading() as connection:
        assert kept[-1] not in [one.hash for one in trail.read(connection)]


def test_it_is_read_as_it_was_written_and_by_campaign(office: Office) -> None:
    written(office)
    with office.database.reading() as connection:
        entries = list(trail.read(connection))
        some = list(trail.read(connection, "c1"))
    assert [one.seq for one in entries] == list(range(1, LINES + 1))
    assert [one.seq for one in some] == [2, 4, 6]
    assert entries[2].facts == {"plans": {"bus-000": 2}, "reason": "不 \0 \x1b"}
    assert (entries[2].at, entries[2].who, entries[2].what) == (BEGIN + 2, "engine", "told")


def test_a_transaction_that_fails_leaves_no_gap(office: Office) -> None:
    written(office)
    with suppress(ZeroDivisionError), office.database.transaction() as connection:
        trail.append(connection, at=1, who="li", what="halt", campaign="c0")
        raise ZeroDivisionError
    with office.database.transaction() as connection:
        trail.append(connection, at=1, who="li", what="halt", campaign="c0")
    assert office.first_break() is None
    with office.database.reading() as connection:
        assert [one.seq for one in trail.read(connection)] == list(range(1, LINES + 2))


def test_an_empty_one_holds(office: Office) -> None:
    assert office.first_break() is None
    assert msgspec.json.encode(office.everything()["trail"]) == b"[]"
