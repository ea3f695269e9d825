"""What the update demonstration adds to the scene: releases, a repository, slots, and a service manager.

The repository is the living one of the tests, with real keys, served over HTTP; the device's side is what a device
runs: the launcher, the gateway out of a slot, the update agent beside it.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import drivers
import edge
import ota
import protocols
from ota.agent.account import Account, read_account
from ota.agent.config import UpdateConfig, read_config
from ota.installers.release_dir import ReleaseDir
from ota.repository.image_tar import image_of
from ota.slots.lock import record_lock
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage
from ota.targets import Schema
from ota.testing.repository_double import RepositoryDouble
from tools.demo.scene import NODE

FAMILY = "rsu/gateway"
HARDWARE = "demo-box"
STEADY_S, WITHIN_S = 6, 30
"""A device takes minutes; a demonstration has none."""
BAD_DIALLER = """

async def _nowhere(self, broker, protocol):
    raise OSError(101, "Network is unreachable")

Dialler.dial = _nowhere
"""
"""The mistake of version 3: it starts, it polls, and it reaches no broker."""


class Releases:
    """Three versions of the gateway's own code, as folders and images."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.images: dict[int, bytes] = {}

    def build(self, version: int) -> bytes:
        """Version 1 is what runs here; 2 differs by a word, 3 by a mistake."""
        source = self._folder / f"source-{version}"
        for package in (protocols, drivers, edge, ota):
            origin = Path(next(iter(package.__path__)))
            shutil.copytree(
                origin, source / origin.name, ignore=shutil.ignore_patterns("tests", "__pycache__", "*.pyc")
            )
        with (source / "edge" / "__main__.py").open("a") as file:
            file.write(f"# release {version}\n")
        if version == 3:
            with (source / "edge" / "uplinks" / "dialler.py").open("a") as file:
                file.write(BAD_DIALLER)
        entry = ["python", "-m", "edge"]
        image = image_of(source, name=FAMILY, version=f"{version}.0.0", counter=version, entry=entry, schema=Schema())
        shutil.rmtree(source)
        self.images[version] = image
        return image

    @staticmethod
    def path(version: int) -> str:
        """The target's name."""
        return f"{FAMILY}/{version}.0.0.tar"


class Box:
    """The device: its update folder, and what it says of itself."""

    def __init__(
        self,
        folder: Path,
        repository: RepositoryDouble,
        url: str,
        *,
        device: str = NODE,
        kilobytes_per_s: int | None = None,
    ) -> None:
        self.folder = folder / "update"
        file = folder / "update.toml"
        (folder / "director.root.json").write_bytes(repository.first_director_root)
        (folder / "image.root.json").write_bytes(repository.first_root)
        _new_report_key(folder / "report.pem")
        file.write_text(
            f'device = "{device}"\ndata = "update"\nstatus_socket = "data/status.sock"\nlog_file = "gateway.log"\n'
            f'report_key = "report.pem"\npoll_s = 10\n\n[ecu.main]\nhardware = "{HARDWARE}"\nfamily = "{FAMILY}"\n\n'
            f'[director]\nurl = "{url}/director/{device}"\nroot = "director.root.json"\n\n'
            f'[images]\nurl = "{url}"\nroot = "image.root.json"\n\n'
            f"[health]\nsteady_s = {STEADY_S}\nwithin_s = {WITHIN_S}\n"
            + (f"\n[limits]\nkilobytes_per_s = {kilobytes_per_s}\n" if kilobytes_per_s else "")
        )
        self.config: UpdateConfig = read_config(file)
        self.storage = PosixStorage(self.folder)

    def set_up(self, target: Any, image: bytes) -> None:
        """What happens once, at the bench."""
        self.storage.open()
        trailer = Trailer(
            target=target.path, sha256=target.sha256, length=target.length, version=target.info.version, counter=1
        )
        set_up(
            self.storage,
            partial(secrets.token_bytes, 32),
            lock=partial(record_lock, self.folder),
            installer_of=partial(ReleaseDir, self.storage),
            trailer=trailer,
            pieces=[image],
        )

    def account(self) -> Account:
        """What `wayside ota status` shows."""
        return read_account(self.config)

    def version(self) -> str:
        """Of the confirmed slot."""
        return next((slot.version for slot in self.account().slots if slot.is_confirmed), "")


class Service:
    """A service manager for one service: started again whenever it ends; can cut its power."""

    def __init__(self, folder: Path, config: Path, log: Path, say: Callable[[str], None]) -> None:
        self._command = [sys.executable, "-m", "ota.launcher", str(folder), str(config)]
        self._log = log
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.starts = 0

    def start(self) -> None:
        """From now on it runs."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def cut(self) -> None:
        """All of it at once, in the middle of whatever it does."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """In good order."""
        process, self._process = self._process, None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    async def _keep(self) -> None:
        while True:
            self.starts += 1
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            await self._process.wait()
            await asyncio.sleep(0.5)


def _new_report_key(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path.touch(mode=0o600)
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
