"""What the launcher is elsewhere: between the record and a bootloader that RAUC speaks to.

    settle   at each start of the agent: which slot runs, and what the bootloader has decided since
    switch   when the driver wants another slot: tell the bootloader; the machine is to be restarted then

The bootloader counts the starts of a slot on trial. `boots_left` of the record tells who has them: it is not 0 while
they are still to be given to the bootloader, and 0 from then on. A cut in between gives them once more, never less.
A slot that is confirmed is marked good at each start of the system, for many bootloaders count those too.

    good     which start of which slot was marked good last: a bootloader's flash is not written at each run
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from ota.errors import StorageError
from ota.installers.rauc import NAMES
from ota.installers.rauc_command import Rauc, RaucError, Status
from ota.slots.machine import State
from ota.slots.record import Record, RecordStore
from ota.storage import Storage
from ota.storage import replace as replace_file

GOOD = "good"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MAX_BYTES = 256


def boot_id() -> str:
    """Another one at each start of the machine. Raises `StorageError`."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError as error:
        raise StorageError(str(_BOOT_ID), error.strerror or str(error)) from error


class RaucBoot:
    """One process's hold on the bootloader."""

    def __init__(
        self,
        storage: Storage,
        key: bytes,
        rauc: Rauc,
        *,
        lock: Callable[[], AbstractContextManager[object]],
        names: Mapping[str, str] = NAMES,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        self._storage = storage
        self._boot = boot
        self._store = RecordStore(storage, key, lock)
        self._rauc = rauc
        self._names = names

    def settle(self) -> str:
        """The slot that runs; the record says afterwards what the bootloader did. Raises `StorageError`."""
        status = self._rauc.status()
        running = self._running(status)
        record = self._store.read()
        if record is None:  # the driver makes one out of the slots
            return running
        if record.to_start != record.trial:
            self._settle_confirmed(record, status, running)
        elif running == record.trial:
            self._give(record)
        elif record.boots_left == 0 and not status.will_start(self._names[record.trial]):
            reason = f"the bootloader gave {self._names[record.trial]} up"
            self._store.write(replace(record, fell_back=reason))
        return running

    def switch(self) -> bool:
        """Point the bootloader to what the record wants started; whether the machine is to be restarted for it.

        Raises `StorageError`, also where the bootloader does not do as it was told.
        """
        status = self._rauc.status()
        running = self._running(status)
        record = self._store.read()
        if record is None or record.to_start == running:
            return False
        name = self._names[record.to_start]
        if not status.will_start(name):
            self._rauc.mark("active", name)
            if not self._rauc.status().will_start(name):
                raise RaucError(name, "it was made active, and the bootloader does not say that it will start it")
        if record.to_start == record.trial:
            self._give(record)
        elif record.state == State.ROLLING_BACK.name:
            self._rauc.mark("bad", self._names[running])
        return True

    def _settle_confirmed(self, record: Record, status: Status, running: str) -> None:
        name = self._names[running]
        if running == record.confirmed:
            self._mark_good(name)
            if status.primary != name:  # a plan was cancelled after the switch
                self._rauc.mark("active", name)
        elif status.slot(self._names[record.confirmed]).boot_status == "bad":
            reason = f"the bootloader gave {self._names[record.confirmed]} up, which was confirmed"
            self._store.write(replace(record, confirmed=running, trial="", boots_left=0, fell_back="", reason=reason))

    def _mark_good(self, name: str) -> None:
        known = f"{self._boot()} {name}\n".encode()
        if self._storage.size(GOOD) >= 0 and self._storage.read(GOOD, 0, _MAX_BYTES) == known:
            return
        self._rauc.mark("good", name)
        replace_file(self._storage, GOOD, known)

    def _give(self, record: Record) -> None:
        if record.boots_left:
            self._store.write(replace(record, boots_left=0))

    def _running(self, status: Status) -> str:
        for slot, name in self._names.items():
            if status.slot(name).is_booted:
                return slot
        raise RaucError("rauc status", f"neither {' nor '.join(self._names.values())} runs")
