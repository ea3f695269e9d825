"""The receipt of an update from a stick: each report that waits, on the stick too, for whoever carries it home.

A stick is anybody's: no link on it is followed, and what lies in a receipt's place is replaced, never written into.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from ota.errors import StorageError
from ota.reports import ReportQueue
from ota.storage import FRESH

RECEIPTS = "receipts"
"""Its folder."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def leave_receipts(stick: Path, device: str, reports: ReportQueue, say: Callable[[str], None]) -> None:
    """Copy what can be copied; what cannot is only said, for the reports wait here all the same."""
    try:
        with ExitStack() as opened:
            folder = _folder_on(stick, opened)
            for attempt in reports.waiting():
                try:
                    line, log = reports.read(attempt)
                except StorageError as error:
                    say(str(error))
                    continue
                _put(folder, f"{device}-{attempt}.json", line)
                if log:
                    _put(folder, f"{device}-{attempt}.log", log)
            os.fsync(folder)
    except StorageError as error:
        say(str(error))
    except OSError as error:
        say(f"{stick / RECEIPTS}: the receipt cannot be written: {error.strerror}")


def _folder_on(stick: Path, opened: ExitStack) -> int:
    root = os.open(stick, _FOLDER)
    opened.callback(os.close, root)
    with suppress(FileExistsError):
        os.mkdir(RECEIPTS, dir_fd=root)
        os.fsync(root)
    folder = os.open(RECEIPTS, _FOLDER | os.O_NOFOLLOW, dir_fd=root)
    opened.callback(os.close, folder)
    return folder


def _put(folder: int, name: str, data: bytes) -> None:
    """Whole or not at all, as far as a stick's file system can."""
    fresh = name + FRESH
    with suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=folder)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
