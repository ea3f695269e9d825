"""The engine dies before or after the commit of any transaction, is started again, and nobody can tell afterwards.

What it had heard and not yet written is lost with it; what the broker keeps of each device is heard again.
"""

import shutil
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from sqlalchemy import Connection, event

from ota.campaign.engine import steps
from ota.campaign.store import courses, trail
from ota.campaign.store.database import Database, open_database
from ota.testing.postgres_bench import PostgresBench
from ota.tests.rollout_office import BEGIN, CAMPAIGN, NAME, ROUND_S, Field, Office, campaign_of, is_over, repeated

MODELS = {"bus": 7, "lane": 9}
ROUNDS = 60
EACH = 17
"""So many transactions lie between one death and the next: a prime, so that they fall on each kind."""
THREE = CAMPAIGN.replace("percent = 30", "percent = 25\nsoak_s = 60\n[[stage]]\npercent = 60")
THREE = THREE.replace("soak_s = 60", "soak_s = 0")
When = Literal["before", "after"]


class KilledError(Exception):
    """The process is gone."""


class MortalDatabase(Database):
    """Kills its engine at some of its transactions, `when` their commit."""

    def __init__(self, database: Database, kills: Container[int] = (), when: When = "before") -> None:
        super().__init__(database.engine, database.name)
        self.kills = kills
        self.when = when
        self.count = 0
        self.killed = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self.count += 1
        is_last = self.count in self.kills
        self.killed += is_last
        with super().transaction() as connection:
            yield connection
            if is_last and self.when == "before":
                raise KilledError
        if is_last:
            raise KilledError


class Ended(NamedTuple):
    """What must be the same, killed or not."""

    state: str
    stage: int
    guilty: list[str]
    devices: dict[str, tuple[str, int]]
    """Where each is at the end, and its plan."""
    deeds: list[tuple[str, tuple[str, ...]]]
    """What stands in the trail, and for which devices."""
    commands: list[tuple[str, str, int]]


def roll_out(database: MortalDatabase, bad: set[str]) -> Ended:
    """To its end, with a new engine each time that one is killed."""
    office = Office(database)
    field = Field(bad)
    engine = office.engine("0")
    for number in range(ROUNDS):
        now = BEGIN + number * ROUND_S
        try:
            field.round(engine, now)
        except KilledError:
            engine = office.engine(f"{number}", since=now)
            engine.take(field.kept(now))
        if is_over(office):
            break
    return ended(office, field)


def ended(office: Office, field: Field) -> Ended:
    assert office.first_break() is None
    assert not repeated(office.told()), "a plan was told twice"
    kept = office.kept()
    states = {name: "good" if state == "confirmed" else state for name, state in office.states().items()}
    with office.database.reading() as connection:
        deeds = [(one.what, tuple(sorted(one.facts.get("plans", ())))) for one in trail.read(connection)]
        numbers = {one.device: one.plan for one in courses.of_campaign(connection, NAME)}
    devices = {name: (state, numbers[name]) for name, state in states.items()}
    return Ended(kept.state, kept.stage, kept.guilty, devices, deeds, sorted(set(field.commands)))


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Database]]:
    """Databases in which a campaign has just begun: each the same, however often one is asked for."""
    monkeypatch.setattr(steps, "BATCH", 4)  # several transactions for what is one in a small fleet
    opened: list[Database] = []

    def again(url: str) -> Database:
        opened.append(open_database(url))
        return opened[-1]

    def prepare(url: str) -> None:
        office = Office(again(url))
        office.fill(MODELS)
        office.begin(campaign_of(THREE))
        opened.pop().close()

    if request.param == "sqlite":
        prepare(f"sqlite:///{tmp_path / 'begun.db'}")

        def copy() -> Database:
            shutil.copy(tmp_path / "begun.db", tmp_path / f"{len(opened)}.db")
            database = again(f"sqlite:///{tmp_path / f'{len(opened)}.db'}")
            event.listen(database.engine, "connect", _unsynced)
            return database

        yield copy
    else:
        postgres: PostgresBench = request.getfixturevalue("postgres")
        with postgres.database() as begun:
            prepare(begun)

            def clone() -> Database:
                if opened:
                    opened.pop().close()
                template = begun.partition("@/")[2].partition("?")[0]
                postgres.execute("DROP DATABASE IF EXISTS again WITH (FORCE)")
                postgres.execute(f"CREATE DATABASE again TEMPLATE {template}")
                return again(begun.replace(template, "again"))

            yield clone
            for each in opened:
                each.close()
            postgres.execute("DROP DATABASE IF EXISTS again WITH (FORCE)")
    for each in opened:
        each.close()


def _unsynced(connection: object, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]  # the processes die here, not the box


def undisturbed(fresh: Callable[[], Database], bad: set[str]) -> tuple[Ended, int]:
    """How it ends, and with how many transactions."""
    database = MortalDatabase(fresh())
    wanted = roll_out(database, bad)
    assert wanted.state == ("halted" if bad else "finished")
    told = [sum(each == name for each, _id, _plan in wanted.commands) for name in wanted.devices]
    assert set(told) == ({0, 1, 2} if bad else {1}), "there, and back where it was bad"
    return wanted, database.count


@pytest.mark.timeout(600)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("bad", [set(), {"bus"}], ids=["finishes", "is sent back"])
def test_killed_at_every_transaction_it_ends_as_one_that_lives(
    fresh: Callable[[], Database], bad: set[str], when: When
) -> None:
    wanted, _count = undisturbed(fresh, bad)
    for first in range(1, EACH + 1):
        database = MortalDatabase(fresh(), range(first, 100_000, EACH), when)
        assert roll_out(database, bad) == wanted, f"killed {when} the commit of each {EACH}th from {first} on"
        assert database.killed >= 2


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("bad", [set(), {"bus"}], ids=["finishes", "is sent back"])
def test_killed_once_at_any_transaction_it_ends_as_one_that_lives(
    fresh: Callable[[], Database], bad: set[str], when: When
) -> None:
    wanted, count = undisturbed(fresh, bad)
    for kill_at in range(1, count + 1):
        database = MortalDatabase(fresh(), {kill_at}, when)
        assert roll_out(database, bad) == wanted, f"killed {when} the commit of transaction {kill_at}"
        assert database.killed == 1
