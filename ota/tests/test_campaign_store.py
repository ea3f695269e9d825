"""The database itself: what goes wrong with it is one line, and when it is there again the work goes on."""

import resource
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, text, update

from ota.campaign.course import Vitals
from ota.campaign.store import database as database_module
from ota.campaign.store import devices, tables
from ota.campaign.store.database import Database, DatabaseError, open_database
from ota.campaign.store.devices import Looks
from ota.campaign.store.tables import note
from ota.testing.postgres_bench import PostgresBench
from ota.tests.rollout_office import BEGIN, HARDWARE, NEW, OLD, Field, Office, device

DAY_S = 86_400


def refusal(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        open_database(url)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_it_is_made_once_and_found_again(database_url: str) -> None:
    first = open_database(database_url)
    with first.transaction() as connection:
        devices.put(connection, [device("bus-1")], {}, 1)
    first.close()
    second = open_database(database_url)
    with second.reading() as connection:
        assert set(inspect(connection).get_table_names()) == set(tables.metadata.tables)
        assert [one.device.id for one in devices.every(connection)] == ["bus-1"]
    second.close()


def test_many_may_make_it_at_the_same_time(database_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        for each in threads.map(open_database, [database_url] * 8):
            each.close()


def test_tables_of_another_edition_are_left_alone(database_url: str) -> None:
    database = open_database(database_url)
    with database.transaction() as connection:
        connection.execute(update(note).where(note.c.name == "schema").values(value="2"))
    database.close()
    assert refusal(database_url).endswith(": its tables are of edition 2; this is 1")


def test_what_is_no_address_is_said_without_its_password(tmp_path: Path) -> None:
    assert refusal("rollouts.db") == "database: this is no URL, such as sqlite:///rollouts.db"
    assert refusal("mysql://x/y") == "database: mysql is not supported; there are sqlite and postgresql"
    assert "unable to open database file" in refusal(f"sqlite:///{tmp_path}/none/x.db")
    (tmp_path / "text.db").write_text("this is no database" * 100)
    assert "file is not a database" in refusal(f"sqlite:///{tmp_path}/text.db")


def test_a_server_that_is_not_there_is_said_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    said = refusal(f"postgresql://li:secret@/rollouts?host={tmp_path}")
    assert "secret" not in said
    assert "No such file or directory" in said


def test_a_look_changes_nothing(office: Office) -> None:
    with office.database.reading() as connection:
        connection.execute(update(note).values(value="x"))
        assert connection.execute(note.select()).first() is not None
    with office.database.reading() as connection:
        assert connection.execute(note.select().where(note.c.name == "schema")).one().value == "1"


def cut_off(postgres: PostgresBench, office: Office) -> None:
    with office.database.transaction() as connection:
        connection.execute(update(note).where(note.c.name == "schema").values(value="lost"))
        postgres.stop()


def overtaken(stopped: Database, other: Database) -> None:
    with stopped.transaction() as connection:
        devices.lock_fleet(connection)
        with other.transaction() as second:
            assert devices.lock_fleet(second) == 0, "the server has ended the first one's"
        devices.lock_fleet(connection)


def test_a_server_that_is_cut_off_and_comes_back_is_worked_on_again(postgres: PostgresBench) -> None:
    with postgres.database() as url:
        office = Office(open_database(url))
        office.fill({"bus": 4})
        office.begin()
        field, engine = Field(), office.engine()
        field.round(engine, BEGIN)
        with pytest.raises(DatabaseError):
            cut_off(postgres, office)
        with pytest.raises(DatabaseError) as caught:
            engine.claim(BEGIN, 1)
        assert str(caught.value).isprintable()
        postgres.start()
        assert field.run(office, engine, at=BEGIN + 60).state == "finished"
        office.database.close()


def test_one_that_stops_in_the_middle_of_a_transaction_holds_up_nobody_for_ever(
    postgres: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "IDLE_S", 1)
    with postgres.database() as url:
        stopped, other = open_database(url), open_database(url)
        with pytest.raises(DatabaseError):
            overtaken(stopped, other)
        stopped.close()
        other.close()


def test_a_database_that_another_process_writes_is_waited_for_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_S", 0.1)
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="database is locked"), database.transaction():
        raise AssertionError("it has no right to write")
    with database.reading() as connection:
        assert connection.execute(note.select()).all(), "reading waits for nobody"
    other.execute("ROLLBACK")
    other.close()
    with database.transaction() as connection:
        connection.execute(text("UPDATE note SET value = value"))
    database.close()


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from ota.campaign.store import devices\n"
        "from ota.campaign.store.database import DatabaseError, open_database\n"
        "from ota.tests.rollout_office import device\n"
        "database = open_database(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "for number in range(100):\n"
        "    try:\n"
        "        with database.transaction() as connection:\n"
        "            rows = [device(f'bus-{number}-{each}') for each in range(200)]\n"
        "            devices.put(connection, rows, {}, number + 1)\n"
        "    except DatabaseError as error:\n"
        "        print(number, str(error).count(chr(10)), error)\n"
        "        break\n"
    )
    url = f"sqlite:///{tmp_path}/x.db"
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    number, newlines, said = done.stdout.split(" ", 2)
    assert newlines == "0"
    assert said.startswith("database: ")
    database = open_database(url)
    with database.transaction() as connection:
        assert len(devices.every(connection)) == 200 * int(number) > 0
        assert devices.put(connection, [device("bus-new")], {}, 1000) == (1, 0)
    database.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 400_000, "only the child's"


def test_an_import_adds_changes_and_leaves_alone(office: Office) -> None:
    rows = [device("bus-1"), device("bus-2")]
    with office.database.transaction() as connection:
        assert devices.put(connection, rows, {"bus-1": "a" * 64}, 10) == (2, 0)
        assert devices.put(connection, rows, {}, 20) == (0, 0)
        assert devices.put(connection, [device("bus-2", version="2")], {"bus-1": "b" * 64}, 30) == (0, 1)
        known = devices.get(connection, ["bus-1", "bus-2", "bus-3"])
    assert set(known) == {"bus-1", "bus-2"}
    assert known["bus-1"].report_key == "a" * 64
    assert known["bus-2"].device.ecus == {"main": HARDWARE}
    assert {known["bus-1"].added_at, known["bus-2"].added_at} == {10}


def test_imports_are_dated_in_their_order_also_by_a_clock_that_stands(office: Office) -> None:
    for number in range(3):
        office.add([device(f"bus-{number}")], at=10)
    with office.database.reading() as connection:
        assert [one.added_at for one in devices.every(connection)] == [10, 11, 12]
        assert devices.imported_at(connection) == 12
        assert [one.device.id for one in devices.each(connection, added_after=10)] == ["bus-1", "bus-2"]


def test_a_fleet_of_several_queries_is_whole(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_AT_ONCE", 3)
    names = [row.id for row in office.fill({"bus": 10}, labels={"depot": "west"})]
    with office.database.reading() as connection:
        assert [one.device.id for one in devices.each(connection)] == names
        assert list(devices.get(connection, names)) == names
        assert devices.labels(connection) == {"depot"}


def test_what_is_usual_is_between_looks_a_day_apart() -> None:
    looks = Looks()
    for day in range(5):
        looks = looks.with_(Vitals(at=BEGIN + day * DAY_S, starts=day, records=100 * day))
    assert looks.usual == (1.0, 100.0)
    assert looks.older is not None
    assert looks.older.at == BEGIN + 2 * DAY_S or looks.older.at == BEGIN + 3 * DAY_S
    anew = looks.with_(Vitals(at=BEGIN + 6 * DAY_S, starts=1, records=0))
    assert anew.usual == (0.0, 0.0), "its journals began anew"
    assert anew.with_(Vitals(at=BEGIN, starts=1, records=0)) == anew


def test_plans_of_devices_that_are_confirmed_are_what_they_run(office: Office) -> None:
    office.fill({"bus": 1})
    office.begin()
    Field().run(office)
    with office.database.reading() as connection:
        (known,) = devices.every(connection)
    assert (known.device.targets["main"], known.plan) == (NEW, 1)
    assert OLD != NEW
