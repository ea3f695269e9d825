"""What the gateway knows of the update agent's folder. The two share files and an exit code, and no code.

    reports/{attempt}.json    a signed report in one line, and beside it `.log`: the end of a log
    account.json              how the device stands with its updates
    agent.lock                held by an agent that works

The folder is `data` of the agent's own file, `update.toml`: said in one place, so that nobody can say it twice.
"""

import errno
import fcntl
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

REPORTS, ACCOUNT, AGENT_LOCK = "reports", "account.json", "agent.lock"
MAX_ACCOUNT_BYTES = 16 * 1024
MAX_REPORT_BYTES = 32 * 1024
MAX_LOG_BYTES = 12 * 1024
MAX_REPORTS = 64
"""Of one look; the agent keeps no more."""
_MAX_FILE_BYTES = 64 * 1024
_ATTEMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


class UpdateFolderError(Exception):
    """It is not what it should be; the text says what, in a line."""


class _Signed(msgspec.Struct, frozen=True):
    """The shape of a report's line: what is in it, and who signed it, is for whoever judges it."""

    report: dict[str, Any]
    keyid: str
    sig: str


def update_folder(file: Path) -> Path:
    """Where the agent of `file` keeps its things. Raises `UpdateFolderError`."""
    try:
        data = tomllib.loads(_read(file, _MAX_FILE_BYTES).decode())["data"]
    except OSError as error:
        raise UpdateFolderError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # TOML that is none, bytes that are no text
        raise UpdateFolderError(f"{file}: {error}") from error
    except KeyError:
        data = None
    if not isinstance(data, str) or not data or "\0" in data:
        raise UpdateFolderError(f"{file}: data names no folder")
    return file.parent / data


def account_mark(folder: Path) -> tuple[int, int, int] | None:
    """Another one whenever the account was replaced; None while there is none."""
    try:
        found = (folder / ACCOUNT).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_account(folder: Path) -> dict[str, Any]:
    """The account as it stands there; empty where there is none yet. Raises `UpdateFolderError`."""
    path = folder / ACCOUNT
    try:
        account = msgspec.json.decode(_read(path, MAX_ACCOUNT_BYTES), type=dict[str, Any])
        size = len(msgspec.json.encode(account))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UpdateFolderError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpdateFolderError(f"{path}: {error}") from error
    if size > MAX_ACCOUNT_BYTES:  # numbers that are short in one spelling are long in another
        raise UpdateFolderError(f"{path}: longer than {MAX_ACCOUNT_BYTES} bytes")
    return account


def waiting(folder: Path) -> list[str]:
    """Attempts whose report waits, the oldest first: they are numbered, 9 before 10. Raises `UpdateFolderError`."""
    try:
        names = [path.stem for path in (folder / REPORTS).iterdir() if path.suffix == ".json"]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UpdateFolderError(f"{folder / REPORTS}: {error.strerror}") from error
    return sorted(filter(_ATTEMPT.fullmatch, names), key=lambda name: (len(name), name))[:MAX_REPORTS]


def read_report(folder: Path, attempt: str) -> str:
    """The line as it stands there. Raises `OSError`, and `UpdateFolderError` for what can be no report."""
    path = folder / REPORTS / f"{attempt}.json"
    try:
        line = _read(path, MAX_REPORT_BYTES)
        msgspec.json.decode(line, type=_Signed)
        return line.decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpdateFolderError(str(error)) from error


def read_log(folder: Path, attempt: str) -> str:
    """The end of the log beside a report; empty where there is none that can be read."""
    with suppress(OSError), _opened(folder / REPORTS / f"{attempt}.log") as descriptor:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, MAX_LOG_BYTES, max(0, size - MAX_LOG_BYTES)).decode("utf-8", "replace")
    return ""


def remove_report(folder: Path, attempt: str) -> bool:
    """The report, then its log; not while an agent works, which may have a use for it. Raises `OSError`."""
    with _agent_at_rest(folder) as is_at_rest:
        if not is_at_rest:
            return False
        reports = folder / REPORTS
        for ending in (".json", ".log"):
            (reports / f"{attempt}{ending}").unlink(missing_ok=True)
        descriptor = os.open(reports, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True


@contextmanager
def _agent_at_rest(folder: Path) -> Iterator[bool]:
    """Whether no agent works on the folder, as one that a person has started; none begins until the block ends."""
    try:
        descriptor = os.open(folder / AGENT_LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _read(path: Path, most: int) -> bytes:
    """All of a file. Raises `OSError`, and `ValueError` where it is longer than `most`."""
    with _opened(path) as descriptor:
        data = b""
        while len(data) <= most and (more := os.read(descriptor, most + 1 - len(data))):
            data += more
    if len(data) > most:
        raise ValueError(f"longer than {most} bytes")
    return data


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A plain file and nothing else: what lies there could be a pipe that never ends. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        yield descriptor
    finally:
        os.close(descriptor)
