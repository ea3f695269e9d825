"""Keeps the launcher and the update agent apart while one of them writes a record; it ends with its process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ota.errors import StorageError

LOCK, AGENT_LOCK = "lock", "agent.lock"


@contextmanager
def record_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an update folder. Raises `StorageError`."""
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(str(path), error.strerror or str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def only_one(folder: Path) -> Iterator[bool]:
    """Whether no other update agent works on a folder; held until the block ends. Raises `StorageError`."""
    path = folder / AGENT_LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(str(path), error.strerror or str(error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
