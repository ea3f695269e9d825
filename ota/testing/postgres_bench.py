"""A PostgreSQL server of its own for tests: a cluster in a short temporary folder, reached by its socket only.

    with PostgresBench.running() as bench:
        with bench.database() as url:       # an empty database, gone afterwards
            open_database(url)

The server refuses to run as root; where we are root it runs as the user `postgres`, which Debian's package brings, or
as `nobody`. Nothing in it outlives the test, so it syncs nothing.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

USER = "wayside"
_USERS = ("postgres", "nobody")
_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "log_lock_waits": "on",
}
_WITHIN_S = 60


def binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: the newest that Debian has installed, or what the path finds."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if found := sorted(versions, key=lambda each: int(each.parts[-3]) if each.parts[-3].isdecimal() else 0):
        return found[-1].parent
    there = shutil.which("initdb")
    return None if there is None else Path(there).resolve().parent


def why_not() -> str:
    """Why there is no server for tests here; nothing where there can be one."""
    if binaries() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0 and _other_user() is None:
        return f"PostgreSQL does not run as root, and there is no user {' or '.join(_USERS)}"
    try:
        import psycopg  # noqa: F401  # asked for, not used
    except ImportError:
        return "psycopg is not installed"
    return ""


class PostgresBench:
    """Made by `running`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["PostgresBench"]:
        """A server from here to the end. Raises `RuntimeError` with the server's words where it does not start."""
        folder = Path(tempfile.mkdtemp(prefix="wpg-", dir="/tmp"))  # a socket's path is short
        bench = cls(folder)
        try:
            if (other := _other_user()) is not None:
                os.chown(folder, other.pw_uid, other.pw_gid)
            bench._run("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
            bench.start()
            yield bench
        finally:
            bench.stop()
            shutil.rmtree(folder)

    def start(self) -> None:
        """Start it, also after `stop`."""
        settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options = f"{settings} -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", f"{self.folder}/log", "-o", options)

    def stop(self) -> None:
        """As if its power were cut: whoever is connected is not any more."""
        with suppress(RuntimeError):  # it does not run
            self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "data"))

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database."""
        name = f"rollouts_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield f"postgresql://{USER}@/{name}?host={self.folder}"
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the server's owner, outside of any transaction."""
        import psycopg  # not everybody who runs tests has it

        with psycopg.connect(f"host={self.folder} user={USER} dbname=postgres", autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return list(cursor.fetchall()) if cursor.description is not None else []

    def _run(self, program: str, *words: str) -> None:
        folder = binaries()
        assert folder is not None, "why_not() was asked"
        other = _other_user()
        as_other: dict[str, Any] = {}
        if other is not None:
            as_other = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}
        done = subprocess.run(  # noqa: S603  # what runs is named here
            [str(folder / program), *words],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server runs
            stderr=subprocess.STDOUT,
            timeout=_WITHIN_S,
            check=False,
            **as_other,
        )
        if done.returncode != 0:
            log = self.folder / "log"
            said = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else []
            raise RuntimeError(f"{program} ended with {done.returncode}: {' | '.join(said)}")


def _other_user() -> pwd.struct_passwd | None:
    """Who the server runs as where we are root; None where it is ourselves, or there is nobody."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None
