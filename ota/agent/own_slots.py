"""The agent's own slots: folders that the launcher starts, or whole systems of RAUC's that a bootloader starts."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ota.agent.config import UpdateConfig
from ota.errors import OtaError
from ota.installers.installer import Installer
from ota.installers.release_dir import ReleaseDir
from ota.installers.tree import entries, manifest_of
from ota.slots.lock import record_lock
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage

_RESTART_WITHIN_S = 60.0
_PIECE_BYTES = 1 << 20


class RestartError(OtaError):
    """The machine is not restarted. The bootloader has been told; whoever restarts it finishes the work."""


class OwnSlots(NamedTuple):
    """What kind of slots they are is known here and nowhere else."""

    installer: Installer
    running: str
    """The slot that runs."""
    restart: Callable[[], None]
    """What it takes, beside the end of the agent, that another slot is started. Raises `OtaError`."""


def own_slots(
    config: UpdateConfig, storage: PosixStorage, key: bytes, running: str, say: Callable[[str], None]
) -> OwnSlots:
    """`running`: what the launcher says, where there is one; RAUC knows by itself. Raises `StorageError`."""
    if config.rauc is None:
        return OwnSlots(ReleaseDir(storage, key), running, lambda: None)
    from ota.installers.rauc import RaucSlots
    from ota.installers.rauc_boot import RaucBoot
    from ota.installers.rauc_command import Rauc

    rauc = Rauc(install_s=config.rauc.install_within_s)
    boot = RaucBoot(storage, key, rauc, lock=partial(record_lock, storage.folder), names=config.rauc.names)
    told: list[int] = []

    def progress(percent: int, what: str) -> None:
        if percent not in told:
            told.append(percent)
            say(f"rauc: {percent} % {what}")

    installer = RaucSlots(storage, key, rauc, config.rauc.names, progress)
    return OwnSlots(installer, boot.settle(), partial(_restart, boot.switch, config.rauc.restart))


class FirstSlots(NamedTuple):
    """What a device is set up with."""

    installer_of: Callable[[bytes], Installer]
    trailer: Trailer


def first_slots(
    config: UpdateConfig, storage: PosixStorage, image: Path, target: str, counter: int | None
) -> FirstSlots:
    """`counter`: of a bundle, which does not say it; a `release-dir` says it itself. Raises as an `Installer` does."""
    digest, length = _hashed(image)
    if config.rauc is None:
        source = PosixStorage(image.parent)
        manifest = manifest_of(source, image.name, entries(source, image.name))
        version, number = manifest.version, manifest.counter
        return FirstSlots(partial(ReleaseDir, storage), _trailer(target, digest, length, version, number))
    from ota.installers.rauc import FlashedSlots
    from ota.installers.rauc_command import Rauc

    version, names = PurePosixPath(target).name.removesuffix(".raucb"), config.rauc.names
    trailer = _trailer(target, digest, length, version, counter or 0)
    return FirstSlots(lambda key: FlashedSlots(storage, key, Rauc(), names), trailer)


def _hashed(image: Path) -> tuple[str, int]:
    hasher, storage, length = hashlib.sha256(), PosixStorage(image.parent), 0
    while piece := storage.read(image.name, length, _PIECE_BYTES):
        hasher.update(piece)
        length += len(piece)
    return hasher.hexdigest(), length


def _trailer(target: str, sha256: str, length: int, version: str, counter: int) -> Trailer:
    return Trailer(target=target, sha256=sha256, length=length, version=version, counter=counter)


def _restart(switch: Callable[[], bool], words: Sequence[str]) -> None:
    if not switch():
        return
    import subprocess

    what = " ".join(words)
    try:
        done = subprocess.run(  # noqa: S603  # no shell; the words of the device's own file
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_RESTART_WITHIN_S, check=False
        )
    except OSError as error:
        raise RestartError(f"storage: {what}: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise RestartError(f"storage: {what}: it does not come to an end, and is ended") from error
    if done.returncode != 0:
        raise RestartError(f"storage: {what}: it ends with {done.returncode}")
