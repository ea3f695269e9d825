"""The database: where it is, its transactions, and what can go wrong with it, in a line.

SQLite is a file beside the engine, for one machine; PostgreSQL is for fleets that outgrow it and for several engines
side by side. A transaction begins with the right to write: in SQLite by `BEGIN IMMEDIATE`, in PostgreSQL by locking the
rows that it is about, which the modules of queries do.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ota.campaign.store import tables
from ota.errors import OtaError

BUSY_S = 30.0
"""How long a transaction waits for another one."""
CONNECT_S = 10
"""How long a server that does not answer is waited for."""
IDLE_S = 60
"""An engine that was stopped in the middle of a transaction loses it after this time, and holds up nobody longer."""
_ONLY_READS = "wayside_only_reads"
_KINDS = ("sqlite", "postgresql")


class DatabaseError(OtaError):
    """The database cannot be used now. Its text is one line and names no password."""


class Database:
    """Opened by `open_database`."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of it or nothing. Raises `DatabaseError`."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise DatabaseError(f"database: {self.name}: {_in_a_line(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A look that changes nothing and holds up nobody who does. Raises `DatabaseError`."""
        try:
            with self.engine.connect().execution_options(**{_ONLY_READS: True}) as connection:
                yield connection  # whatever is written is taken back at the end
        except SQLAlchemyError as error:
            raise DatabaseError(f"database: {self.name}: {_in_a_line(error)}") from error

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """`sqlite:///file` or `postgresql://user@host/name`; an empty one gets its tables. Raises `DatabaseError`."""
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise DatabaseError("database: this is no URL, such as sqlite:///rollouts.db") from error
    kind = address.get_backend_name()
    if kind not in _KINDS:
        raise DatabaseError(f"database: {kind} is not supported; there are {' and '.join(_KINDS)}")
    name = address.render_as_string(hide_password=True)
    database = Database(_engine(address, name), name)
    try:
        with database.transaction() as connection:
            _prepare(connection, name)
    except DatabaseError:
        database.close()
        raise
    return database


def _engine(address: URL, name: str) -> Engine:
    try:
        if address.get_backend_name() == "postgresql":
            return create_engine(
                address.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                connect_args={
                    "connect_timeout": CONNECT_S,
                    "options": f"-c idle_in_transaction_session_timeout={IDLE_S}s -c lock_timeout={BUSY_S:g}s",
                },
            )
        engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": BUSY_S})
    except (NoSuchModuleError, ModuleNotFoundError, ArgumentError) as error:
        raise DatabaseError(f"database: {name}: {_in_a_line(error)}") from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:  # a DB-API connection, which has no common type
    connection.isolation_level = None  # sqlite3 begins no transaction of its own: `_begin_sqlite` does
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    only_reads = connection.get_execution_options().get(_ONLY_READS, False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _prepare(connection: Connection, name: str) -> None:
    """Tables where there are none; another edition of them is left alone."""
    if connection.dialect.name == "postgresql":  # two engines may start at once
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7799)")
    tables.metadata.create_all(connection)
    query = select(tables.note.c.value).where(tables.note.c.name == "schema")
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        start = {"schema": str(tables.SCHEMA_VERSION), "trail": "", "fleet": "0"}
        connection.execute(insert(tables.note), [{"name": name, "value": value} for name, value in start.items()])
    elif found != str(tables.SCHEMA_VERSION):
        raise DatabaseError(f"database: {name}: its tables are of edition {found}; this is {tables.SCHEMA_VERSION}")


def _in_a_line(error: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    text = str(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else str(error)
    with suppress(IndexError):
        return text.strip().splitlines()[0]
    return type(error).__name__
