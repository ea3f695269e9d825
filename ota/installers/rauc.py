"""The installer of a box whose slots are RAUC's: whole root file systems, started by its bootloader.

    slots/{a|b}/bundle.raucb   only while it is installed: every byte was verified before RAUC sees one
    slots/{a|b}/trailer        which bundle that is, and the metadata that says so (`ota.slots.trailer`)
    slots/{a|b}/installed      what RAUC has written there: the hash and length of each image; sealed
    slots/{a|b}/confirmed      as of any slot

All of it lies on a data partition that both slots share. The image of our metadata is the bundle. RAUC verifies the
bundle's own signature besides, chooses the group that does not run and writes it; `activate-installed=false` in its
`system.conf` keeps it from switching, for that is `ota.installers.rauc_boot`'s, when all is ready. A slot that was not
sealed here is marked bad, so that the bootloader does not start it. No deltas: a bundle does not stay.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ota.errors import RefusedError, Rule, StorageError
from ota.installers.rauc_command import Progress, Rauc, RaucError, Slot, Status
from ota.payload.choice import Held
from ota.payload.space import Room
from ota.slots.sealed import UnsealedError, checked, seal, unseal
from ota.slots.trailer import Mark, Trailer, erase_trailer, read_trailer, write_mark, write_trailer
from ota.storage import PosixStorage, replace

NAMES = {"a": "rootfs.0", "b": "rootfs.1"}
"""Our slots and RAUC's, as its examples name them."""
_KIND = b"WSI1"
_MAX_BYTES = 65_536
_PIECE_BYTES = 1 << 20
_VERBATIM = ("raw",)
"""Slot types whose device holds just the image's bytes; others are resized or mounted."""


class RaucSlots:
    """See `ota.installers.installer.Installer`."""

    def __init__(
        self,
        storage: PosixStorage,
        key: bytes,
        rauc: Rauc,
        names: Mapping[str, str] = NAMES,
        progress: Progress = lambda _percent, _what: None,
    ) -> None:
        self._storage = storage
        self._key = key
        self._rauc = rauc
        self._names = names
        self._progress = progress

    def trailer(self, slot: str) -> Trailer | None:
        """See `Installer`."""
        try:
            return read_trailer(self._storage, slot, self._key)
        except (UnsealedError, StorageError):
            return None

    def held(self, slot: str) -> Held | None:  # noqa: ARG002  # the same for both
        """See `Installer`: nothing, for RAUC unpacks a bundle and does not keep it."""
        return None

    def room(self, slot: str, length: int) -> Room:
        """See `Installer`: the bundle, until RAUC has it; the slot itself lies elsewhere."""
        return Room(length, max(0, self._storage.size(_bundle(slot))))

    def erase(self, slot: str) -> None:
        """See `Installer`: no trailer, and nothing for the bootloader to start."""
        name = self._names[slot]
        found = self._rauc.status().slot(name)
        if found.is_booted:
            raise RefusedError(Rule.STORAGE, name, "it runs, and what runs is not erased")
        self._make_slot(slot)
        erase_trailer(self._storage, slot)
        self._storage.remove(_installed(slot))
        self._storage.sync_folder(f"slots/{slot}")
        if found.boot_status != "bad":
            self._rauc.mark("bad", name)

    def write(self, slot: str, trailer: Trailer, pieces: Iterable[bytes]) -> None:
        """See `Installer`. RAUC is given the bundle only once all of it has come and is the right one."""
        assert self.trailer(slot) is None, "a slot that may be started is not written to"
        before = self._rauc.status()
        if before.slot(self._names[slot]).is_booted:
            raise RefusedError(Rule.STORAGE, self._names[slot], "it runs, and RAUC writes to the one that does not")
        self._make_slot(slot)
        try:
            self._take(slot, trailer, pieces)
            self._rauc.install(self._storage.folder / _bundle(slot), self._progress)
        finally:
            self._storage.remove(_bundle(slot))
        self._keep(slot, trailer, before, self._rauc.status())

    def seal(self, slot: str, trailer: Trailer) -> None:
        """See `Installer`."""
        write_trailer(self._storage, slot, trailer, self._key)

    def fault(self, slot: str) -> str:
        """See `Installer`: what RAUC says of the slot, and, where that can be, its bytes.

        Raises `RaucError`: that RAUC does not answer is no fault of a slot.
        """
        name = self._names[slot]
        try:
            trailer = read_trailer(self._storage, slot, self._key)
            kept = checked(unseal(_KIND, self._key, self._storage.read(_installed(slot), 0, _MAX_BYTES)), _FIELDS)
        except (UnsealedError, StorageError) as error:
            return f"{name}: {error}"
        if kept["bundle"] != trailer.sha256:
            return f"{_installed(slot)}: it is of another bundle"
        group = self._rauc.status().group(name)
        if _contents(group) != kept["images"]:
            return f"{name}: RAUC has written something else since"
        return next(filter(None, (_device_fault(each, group[each]) for each in group)), "")

    def start_fault(self, slot: str) -> str:
        """See `Installer`: the bootloader looks at nothing of ours."""
        return self.fault(slot)

    def mark(self, slot: str, mark: Mark) -> None:
        """See `Installer`: here, and to the bootloader, which counts no further."""
        write_mark(self._storage, slot, mark, self._key)
        self._rauc.mark("good", self._names[slot])

    def _take(self, slot: str, trailer: Trailer, pieces: Iterable[bytes]) -> None:
        bundle = _bundle(slot)
        self._storage.remove(bundle)  # RAUC may still have an older one open
        hasher, length = hashlib.sha256(), 0
        for piece in pieces:
            self._storage.write(bundle, length, piece)
            hasher.update(piece)
            length += len(piece)
        if (length, hasher.hexdigest()) != (trailer.length, trailer.sha256):
            raise RefusedError(Rule.HASH, trailer.target, f"{length:,} bytes came that are not this bundle")
        self._storage.sync(bundle)

    def _keep(self, slot: str, trailer: Trailer, before: Status, after: Status) -> None:
        """Note what RAUC has written, if it has done what it should and nothing else."""
        name = self._names[slot]
        if after.primary == name:
            running = next((each for each, found in after.slots.items() if found.is_booted and found.bootname), "")
            self._rauc.mark("active", running)
            self._rauc.mark("bad", name)
            reason = "RAUC has switched to what it has just written: it needs activate-installed=false"
            raise RefusedError(Rule.STORAGE, "system.conf", reason)
        found = after.slot(name).slot_status
        if found.status != "ok" or found.installed.count == before.slot(name).slot_status.installed.count:
            raise RefusedError(Rule.STORAGE, name, "RAUC has not written to it, but says that it has installed")
        if found.bundle.version != trailer.version:
            reason = f"it says that it is {found.bundle.version}, the metadata {trailer.version}"
            raise RefusedError(Rule.FORMAT, trailer.target, reason)
        for each in after.group(name).values():
            if each.type in _VERBATIM:
                _sync_device(each.device)
        self._note(slot, trailer, after)

    def _note(self, slot: str, trailer: Trailer, status: Status) -> None:
        body = {"bundle": trailer.sha256, "images": _contents(status.group(self._names[slot]))}
        replace(self._storage, _installed(slot), seal(_KIND, self._key, body))

    def _make_slot(self, slot: str) -> None:
        for folder in ("slots", f"slots/{slot}"):
            self._storage.make_folder(folder)
        self._storage.sync_folder("slots")
        self._storage.sync_folder("")


class FlashedSlots(RaucSlots):
    """On a new box: the slot that runs was written where the box was made, and is taken as it is."""

    def erase(self, slot: str) -> None:
        """See `Installer`: what runs is not erased."""
        self._make_slot(slot)

    def write(self, slot: str, trailer: Trailer, pieces: Iterable[bytes]) -> None:  # noqa: ARG002  # they are there
        """See `Installer`: nothing is written."""
        status = self._rauc.status()
        if not status.slot(self._names[slot]).is_booted:
            raise RefusedError(
                Rule.STORAGE, self._names[slot], "it does not run; set the box up from the one that does"
            )
        self._note(slot, trailer, status)


_FIELDS: dict[str, type] = {"bundle": str, "images": dict}


def _bundle(slot: str) -> str:
    return f"slots/{slot}/bundle.raucb"


def _installed(slot: str) -> str:
    return f"slots/{slot}/installed"


def _contents(group: Mapping[str, Slot]) -> dict[str, list[str | int]]:
    """Slot -> hash and length of the image in it; only what RAUC says of itself is in it."""
    found = {name: slot.slot_status.checksum for name, slot in group.items()}
    return {name: [each.sha256, each.size] for name, each in found.items() if each is not None}


def _device_fault(name: str, slot: Slot) -> str:
    """Read a slot back: what is wrong with it, nothing where it is right or cannot be told."""
    said = slot.slot_status.checksum
    if said is None or slot.type not in _VERBATIM:
        return ""
    hasher, left = hashlib.sha256(), said.size
    try:
        with Path(slot.device).open("rb", buffering=0) as device:
            while left and (piece := device.read(min(left, _PIECE_BYTES))):
                hasher.update(piece)
                left -= len(piece)
    except OSError as error:
        return f"{name}: {slot.device}: {error.strerror or error}"
    return "" if not left and hasher.hexdigest() == said.sha256 else f"{name}: its bytes are not those of its image"


def _sync_device(device: str) -> None:
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RaucError(device, error.strerror or str(error)) from error
