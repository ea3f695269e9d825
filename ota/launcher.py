"""Starts the agent out of the slot that is to run: `python -m ota.launcher <folder> [arguments of the agent]`.

It is what a service manager starts, it is small, and it does not change with releases: standard library only. It reads
the two records, counts a start of a slot on trial down before it starts it, verifies every byte of what it starts, and
then becomes the agent (exec), so that signals and the exit code are the agent's own.

    on trial, starts left     the new slot, once a start less is on the disk
    on trial, none left       the confirmed one; the record says why, the agent does the rest
    confirmed                 the confirmed slot, however often it is started: flaky power never falls back
    its tree is damaged       unpacked again from its image
    its image is damaged      the slot all the same, if it is confirmed and its tree is right to the byte
    both are damaged          the other slot, if that can be started
    no record holds           the slot that was confirmed last, by the slots' own marks

Nothing of this raises: what can be started is started, and what was wrong is said in one line.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from ota.errors import OtaError, StorageError
from ota.installers.tree import (
    entries,
    image_fault,
    image_of,
    is_tree,
    manifest_in,
    manifest_of,
    tree_fault,
    tree_of,
    unpack,
)
from ota.slots.lock import record_lock
from ota.slots.record import BOOTS, SLOTS, Record, RecordStore, StaleRecordError, read_key
from ota.slots.sealed import UnsealedError
from ota.slots.trailer import read_trailer, rebuild
from ota.storage import PosixStorage, Storage

NOTHING_TO_START = 69
"""Exit code: neither slot can be started."""
_LOOKS = 3
"""So often the record is read anew when somebody else was quicker to write."""

Lock = Callable[[], AbstractContextManager[object]]
Say = Callable[[str], None]


class Start(NamedTuple):
    """A slot that is whole, and what to start in it."""

    slot: str
    version: str
    entry: list[str]


class Launcher:
    """The choice of a slot."""

    def __init__(self, storage: Storage, key: bytes, *, lock: Lock, say: Say) -> None:
        self._storage = storage
        self._key = key
        self._store = RecordStore(storage, key, lock)
        self._say = say

    def starts(self) -> Iterator[Start]:
        """What to start; the next one only if that cannot be started. A boot is counted before a trial is given."""
        record = self._record()
        if record is None:
            return
        if record.trial and not record.fell_back:
            start = self._trial(record)
            if start is not None:
                yield start
            record = self._store.read() or record
        for slot in (record.confirmed, *(each for each in SLOTS if each != record.confirmed)):
            start, fault = self._start(slot)
            if start is not None:
                yield start
            if fault:
                self._say(f"slot {slot} is not started: {fault}")

    def _record(self) -> Record | None:
        record = self._store.read()
        if record is None:
            for fault in self._store.faults():
                self._say(fault)
            record = rebuild(self._storage, self._key, lambda slot: self._start(slot)[0] is not None)
            if record is None:
                return None
            self._say(record.reason)
            self._write(record)
        return record

    def _trial(self, record: Record) -> Start | None:
        for _look in range(_LOOKS):
            fault, start = f"it was not confirmed in {BOOTS} starts", None
            if record.boots_left > 0:
                start, fault = self._start(record.trial, needs_image=True)
            if start is None:
                self._say(f"slot {record.trial} is given up: {fault}")
                self._write(replace(record, fell_back=fault))
                return None
            try:
                self._store.write(replace(record, boots_left=record.boots_left - 1))
            except StaleRecordError:
                record = self._store.read() or record
                if not record.trial or record.fell_back:
                    return None
            except StorageError as error:
                self._say(f"slot {record.trial} is not started, since its starts cannot be counted: {error}")
                return None
            else:
                return start
        return None

    def _write(self, record: Record) -> None:
        try:
            self._store.write(record)
        except OtaError as error:
            self._say(str(error))

    def _start(self, slot: str, *, needs_image: bool = False) -> tuple[Start | None, str]:
        """A slot that is whole, or what is wrong with it. A tree that is damaged is made again.

        Without its image a slot is started if its tree is right; what is still to be confirmed must have both.
        """
        try:
            trailer = read_trailer(self._storage, slot, self._key)
            fault = image_fault(self._storage, slot, trailer.sha256, trailer.length)
            if fault and (needs_image or not is_tree(self._storage, slot, trailer.tree_sha256)):
                return None, fault
            if fault:
                self._say(f"{fault}: slot {slot} is started from its tree, which is whole")
                manifest = manifest_in(self._storage, slot)
                return Start(slot, manifest.version, manifest.entry), ""
            fault = tree_fault(self._storage, slot)
            if fault:
                self._say(f"{fault}: unpacked again")
                unpack(self._storage, slot)
            image = image_of(slot)
            manifest = manifest_of(self._storage, image, entries(self._storage, image))
        except (OtaError, UnsealedError) as error:
            return None, str(error)
        return Start(slot, manifest.version, manifest.entry), ""


def command(folder: Path, start: Start, arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """What to execute, and what its environment has beside ours."""
    tree = folder / tree_of(start.slot)
    program = sys.executable if start.entry[0] == "python" else str(tree / start.entry[0])
    return [program, *start.entry[1:], *arguments], {
        "WAYSIDE_SLOT": start.slot,
        "WAYSIDE_VERSION": start.version,
        "PYTHONPATH": str(tree),
        "PYTHONSAFEPATH": "1",  # nothing of the folder that it happens to be started in
        "PYTHONDONTWRITEBYTECODE": "1",  # nothing in the tree that is not of the image
    }


def launch(folder: Path, arguments: list[str], say: Say) -> int:
    """Become the agent; the exit code where that cannot be."""
    storage = PosixStorage(folder)
    key = read_key(storage)
    if key is None:
        say(f"{folder}: the device's key is lost: no slot can be verified")
        return NOTHING_TO_START
    for start in Launcher(storage, key, lock=partial(record_lock, folder), say=say).starts():
        line, environment = command(folder, start, arguments)
        try:
            os.execve(line[0], line, os.environ | environment)  # noqa: S606  # verified a moment ago
        except OSError as error:
            say(f"slot {start.slot}: {line[0]}: {error.strerror}")
    say(f"{folder}: no slot can be started")
    return NOTHING_TO_START


def main() -> NoReturn:
    """`python -m ota.launcher <folder> [arguments]`."""

    def say(line: str) -> None:
        with suppress(OSError):  # whoever read the log has gone: what can be started is started
            os.write(2, f"launcher: {line}\n".encode(errors="backslashreplace"))

    if len(sys.argv) < 2:
        say("usage: python -m ota.launcher <folder> [arguments of the agent]")
        sys.exit(2)
    try:
        sys.exit(launch(Path(sys.argv[1]).absolute(), sys.argv[2:], say))
    except Exception as error:  # noqa: BLE001  # whatever it is, a service manager gets one line and tries again
        say(f"a defect of the launcher: {error!r}")
        sys.exit(NOTHING_TO_START)


if __name__ == "__main__":
    main()
