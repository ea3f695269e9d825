"""A device for tests of slots: images of 20 KiB, a download, a secondary, health, reports; all but the disk in memory.

What is outside the disk survives a power cut by itself, so a copy of a `World` is what the outside is at one moment.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

from ota.errors import OtaError
from ota.installers.release_dir import ReleaseDir
from ota.launcher import Launcher, Start
from ota.payload.choice import Held
from ota.slots.driver import Driver
from ota.slots.neighbours import Offer, Progress, Report, Verdict, Wellbeing
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import Storage
from ota.targets import Blob, EcuPlan, ImageInfo, Plan, Target

KEY = bytes(range(100, 132))
OWN, MCU = "gateway", "mast"
HARDWARE = {OWN: "rsu-1", MCU: "mast-1"}
BLOCK_BYTES = 4096
"""Smaller than the real one, so that a small image has some."""
_FILES = 2


class Release:
    """An image and what metadata says of it."""

    def __init__(
        self,
        counter: int,
        *,
        min_counter: int = 0,
        size: int = 13_000,
        source: bytes = b"",
        entry: list[str] | None = None,
    ) -> None:
        """`source`: the program that it is; `entry`: what is started."""
        self.counter = counter
        self.version = f"1.{counter}.0"
        manifest = {
            "name": "gateway",
            "version": self.version,
            "counter": counter,
            "entry": entry or ["python", "-m", "agent"],
        }
        self.files = {"manifest.json": json.dumps(manifest).encode()}
        if source:
            self.files["agent/__main__.py"] = source
        for number in range(_FILES):
            seed = f"{counter} {number}".encode()
            self.files[f"agent/f{number}.py"] = hashlib.shake_256(seed).digest(size // _FILES)
        self.image = tar_of(self.files)
        self.sha256 = hashlib.sha256(self.image).hexdigest()
        self.target = _target(f"rsu/gateway/{self.version}.tar", self.image, counter, min_counter, "rsu-1")

    @property
    def trailer(self) -> Trailer:
        """As a slot has it."""
        return Trailer(
            target=self.target.path,
            sha256=self.sha256,
            length=len(self.image),
            version=self.version,
            counter=self.counter,
        )


def tar_of(files: dict[str, bytes]) -> bytes:
    """An image as the release builder makes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT, bufsize=512) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def _target(path: str, data: bytes, counter: int, min_counter: int, hardware: str) -> Target:
    sha256 = hashlib.sha256(data).hexdigest()
    info = ImageInfo(
        kind="release-dir" if hardware == "rsu-1" else "mcu",
        hardware=[hardware],
        family="/".join(path.split("/")[:2]),
        version=f"1.{counter}.0",
        counter=counter,
        min_counter=min_counter,
        full=[Blob(codec="none", length=len(data), sha256=sha256, blocks="00" * 32)],
    )
    return Target(path=path, length=len(data), sha256=sha256, info=info)


MCU_SETS = {counter: f"set {counter}".encode() * 20 for counter in (1, 2)}
MCU_TARGETS = {n: _target(f"rsu/mast/1.{n}.0.set", data, n, 0, "mast-1") for n, data in MCU_SETS.items()}


def offer_of(number: int, release: Release, *, mcu: int | None = None, is_cancelled: bool = False) -> Offer:
    """A plan for the device, with its secondary where one is named."""
    targets = {release.target.path: release.target}
    ecus = {OWN: EcuPlan(target=release.target.path)}
    if mcu is not None:
        targets[MCU_TARGETS[mcu].path] = MCU_TARGETS[mcu]
        ecus[MCU] = EcuPlan(target=MCU_TARGETS[mcu].path)
    plan = Plan(device="d1", number=number, ecus=ecus, is_cancelled=is_cancelled)
    digest = hashlib.sha256(repr(plan).encode()).hexdigest()
    return Offer(plan, digest, targets, HARDWARE, {"targets": {"version": number}})


@dataclass
class World:
    """All that is outside the disk."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    downloads: list[tuple[str, int]] = field(default_factory=list)
    """(image, block), each time that one came over the line."""
    mcu_running: str = MCU_TARGETS[1].sha256
    mcu_staged: str = ""
    mcu_on_trial: str = ""
    reports: list[Report] = field(default_factory=list)
    """What has been taken; one attempt twice is one report."""
    crashing: frozenset[str] = frozenset()
    """Images whose agent dies before it does anything."""
    ill: frozenset[str] = frozenset()
    """Images whose health gates fail."""
    is_report_queue_broken: bool = False
    was_full: list[str] = field(default_factory=list)
    """Images of which the disk took no more."""

    def copy(self) -> "World":
        """The same at this moment."""
        return World(
            self.blobs, list(self.downloads), self.mcu_running, self.mcu_staged, self.mcu_on_trial, list(self.reports),
            self.crashing, self.ill, self.is_report_queue_broken, list(self.was_full),
        )  # fmt: skip

    def key(self) -> tuple[object, ...]:
        """Equal where a device would find no difference."""
        told = tuple((report.attempt, report.outcome) for report in self.reports)
        return (self.mcu_running, self.mcu_staged, self.mcu_on_trial, told)


class PayloadDouble:
    """A download in blocks of 4 KiB: block, sync, its bit, sync. Trusts no bit without the block's hash."""

    def __init__(self, storage: Storage, world: World) -> None:
        self._storage = storage
        self._world = world

    def fetch_next(self, target: Target) -> Progress:
        """See `Payload`."""
        data, missing = self._world.blobs[target.sha256], self.missing(target)
        if missing:
            part, kept = f"fetch/{target.sha256}.part", f"fetch/{target.sha256}.map"
            self._storage.make_folder("fetch")
            number = missing[0]
            self._world.downloads.append((target.sha256, number))
            offset = number * BLOCK_BYTES
            self._storage.write(part, offset, data[offset : offset + BLOCK_BYTES])
            self._storage.sync(part)
            self._storage.write(kept, number, b"\1")
            self._storage.sync(kept)
            if number == 0:
                self._storage.sync_folder("fetch")
                self._storage.sync_folder("")
        return Progress((number_of_blocks(data) - len(missing)) * BLOCK_BYTES, len(data))

    def missing(self, target: Target) -> list[int]:
        """Blocks that the disk does not have."""
        data = self._world.blobs[target.sha256]
        part, kept = f"fetch/{target.sha256}.part", f"fetch/{target.sha256}.map"
        bits = self._storage.read(kept) if self._storage.size(kept) > 0 else b""
        have = self._storage.read(part) if bits and self._storage.size(part) > 0 else b""
        return [
            number
            for number in range(number_of_blocks(data))
            if bits[number : number + 1] != b"\1" or _block(have, number) != _block(data, number)
        ]

    def is_complete(self, target: Target) -> bool:
        """See `Payload`."""
        return not self.missing(target)

    def image(self, target: Target, base: Held | None) -> Iterator[bytes]:  # every blob is whole
        """See `Payload`."""
        part = f"fetch/{target.sha256}.part"
        for offset in range(0, target.length, BLOCK_BYTES):
            yield self._storage.read(part, offset, min(BLOCK_BYTES, target.length - offset))

    def was_full(self, target: Target) -> None:
        """See `Payload`."""
        self._world.was_full.append(target.sha256)

    def tidy(self) -> None:
        """See `Payload`."""
        for name in self._storage.list("fetch"):
            self._storage.remove(f"fetch/{name}")


def number_of_blocks(data: bytes) -> int:
    """Blocks of 4 KiB."""
    return -(-len(data) // BLOCK_BYTES)


def _block(data: bytes, number: int) -> bytes:
    return data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]


class SecondariesDouble:
    """One secondary that is always reachable and keeps what it was told."""

    # ruff: noqa: ARG002  # there is only one

    def __init__(self, world: World) -> None:
        self._world = world

    def running(self, ecu: str) -> str:
        """See `Secondaries`."""
        return "" if self._world.mcu_on_trial else self._world.mcu_running

    def stage(self, ecu: str, target: Target) -> bool:
        """See `Secondaries`."""
        self._world.mcu_staged = target.sha256
        return True

    def is_staged(self, ecu: str, sha256: str) -> bool:
        """See `Secondaries`."""
        return sha256 in (self._world.mcu_staged, self._world.mcu_on_trial, self._world.mcu_running)

    def arm(self, ecu: str, sha256: str) -> None:
        """See `Secondaries`."""
        assert self.is_staged(ecu, sha256), "armed what is not there"
        if self._world.mcu_running != sha256:
            self._world.mcu_on_trial = sha256

    def runs(self, ecu: str, sha256: str) -> bool:
        """See `Secondaries`."""
        return sha256 in (self._world.mcu_on_trial, self._world.mcu_running)

    def commit(self, ecu: str, sha256: str) -> None:
        """See `Secondaries`."""
        assert sha256 in (self._world.mcu_on_trial, self._world.mcu_running), "committed what was never on trial"
        self._world.mcu_running, self._world.mcu_on_trial, self._world.mcu_staged = sha256, "", ""

    def revert(self, ecu: str, sha256: str) -> None:
        """See `Secondaries`."""
        assert self._world.mcu_running != sha256, "reverted what was committed"
        self._world.mcu_on_trial = self._world.mcu_staged = ""


class HealthDouble:
    """Well or ill at once, by the image that runs."""

    def __init__(self, world: World, sha256: str) -> None:
        self._verdict = (
            Verdict(Wellbeing.ILL, "no broker in 600 s") if sha256 in world.ill else Verdict(Wellbeing.WELL, "")
        )

    def check(self) -> Verdict:
        """See `Health`."""
        return self._verdict

    def log_tail(self) -> bytes:
        """See `Health`."""
        return b"the last words\n"


class ReportsDouble:
    """A queue that knows an attempt that it has."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, report: Report) -> None:
        """See `Reports`."""
        if self._world.is_report_queue_broken:
            raise OtaError("storage: reports: no space left on device")
        if all(each.attempt != report.attempt for each in self._world.reports):
            self._world.reports.append(report)


def set_up_with(storage: Storage, release: Release) -> None:
    """A device as it leaves the bench."""
    set_up(
        storage,
        lambda: KEY,
        lock=nullcontext,
        installer_of=lambda key: ReleaseDir(storage, key),
        trailer=release.trailer,
        pieces=[release.image],
    )


def driver_on(storage: Storage, world: World, slot: str) -> Driver:
    """The update agent of the release that runs."""
    installer = ReleaseDir(storage, KEY)
    trailer = installer.trailer(slot)
    return Driver(
        storage,
        KEY,
        lock=nullcontext,
        installer=installer,
        payload=PayloadDouble(storage, world),
        secondaries=SecondariesDouble(world),
        health=HealthDouble(world, trailer.sha256 if trailer else ""),
        reports=ReportsDouble(world),
        own_ecu=OWN,
        running=slot,
        may_switch=lambda _plan: "",
    )


def launch(storage: Storage) -> tuple[Start | None, list[str]]:
    """What the launcher would start, and what it says."""
    said: list[str] = []
    return next(Launcher(storage, KEY, lock=nullcontext, say=said.append).starts(), None), said
