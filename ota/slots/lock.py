"""Keeps the launcher and the update agent apart while one of them writes a record; it ends with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ota.errors import Cause, StorageError
from ota.storage import CAUSES

LOCK, AGENT_LOCK = "lock", "agent.lock"


@contextmanager
def record_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an update folder. Raises `StorageError`."""
    with _held(folder / LOCK, fcntl.LOCK_EX):
        yield


@contextmanager
def only_one(folder: Path) -> Iterator[bool]:
    """Whether no other update agent works on a folder; held until the block ends. Raises `StorageError`."""
    with _held(folder / AGENT_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_alone:
        yield is_alone


@contextmanager
def _held(path: Path, how: int) -> Iterator[bool]:
    """Whether it could be had at once, where `how` does not wait for it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        yield _is_taken(path, descriptor, how)
    finally:
        os.close(descriptor)


def _is_taken(path: Path, descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        raise _refused(path, error) from error
    return True


def _refused(path: Path, error: OSError) -> StorageError:
    return StorageError(str(path), error.strerror or str(error), CAUSES.get(error.errno or 0, Cause.OTHER))
