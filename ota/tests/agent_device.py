"""A device for tests of the whole way: a living repository over HTTP, real slots on a real disk, a gateway told of."""

import json
import random
import secrets
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ota.agent.agent import End, UpdateAgent
from ota.agent.audit import AUDIT
from ota.agent.config import UpdateConfig, read_config
from ota.agent.world import World
from ota.installers.release_dir import ReleaseDir
from ota.installers.tree import tree_of
from ota.reports import read_report
from ota.repository.image_tar import image_of
from ota.slots.lock import record_lock
from ota.slots.machine import State
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage
from ota.targets import Schema
from ota.testing.repository_double import RepositoryDouble
from ota.testing.web_double import WebDouble
from ota.vitals import GatewayAwayError, Vitals

DEVICE = "rsu-7f3a"
WELL = Vitals(boot=1, uptime_s=1e6, has_uplink=True, has_disk=True, time="set", devices=frozenset({"plc"}))


def release(version: str, counter: int, folder: Path, size: int = 300_000) -> bytes:
    """The image of a release: some code, of which a little is another in each."""
    rng = random.Random(1)
    source = folder / version
    (source / "app").mkdir(parents=True)
    (source / "app" / "__init__.py").write_text("")
    (source / "app" / "data.bin").write_bytes(rng.randbytes(size))
    (source / "app" / "version.py").write_text(f"VERSION = {version!r}\n")
    entry = ["python", "-m", "app"]
    return image_of(source, name="gateway", version=version, counter=counter, entry=entry, schema=Schema())


class Clock(World):
    """A world whose time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.start = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
        self.vitals: Vitals | None = WELL
        self.unmet_names = ""
        self.slept = 0
        self.monotonic = lambda: self.now  # type: ignore[method-assign]
        self.wall_s = lambda: self.start + self.now  # type: ignore[method-assign]
        self.uniform = lambda low, high: (low + high) / 2  # type: ignore[method-assign]
        self.unmet = lambda _names: self.unmet_names  # type: ignore[method-assign]

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self.now += seconds
        self.slept += 1

    def look(self, _path: Path) -> Vitals:  # type: ignore[override]
        if self.vitals is None:
            raise GatewayAwayError("health: no gateway answers")
        return self.vitals


class Device:
    """The disk, and runs of the agent as processes would make them."""

    def __init__(self, folder: Path, repository: RepositoryDouble, web: WebDouble, first: bytes) -> None:
        self.folder = folder
        self.repository = repository
        self.web = web
        self.world = Clock()
        self.key = Ed25519PrivateKey.generate()
        folder.mkdir()
        (folder / "director.root.json").write_bytes(repository.first_director_root)
        (folder / "image.root.json").write_bytes(repository.first_root)
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "report.pem").write_bytes(pem)
        (folder / "update.toml").write_text(f"""
device = "{DEVICE}"
data = "update"
status_socket = "status.sock"
log_file = "log"
report_key = "report.pem"
[ecu.main]
hardware = "rsu-arm64"
family = "rsu/gateway"
[director]
url = "{web.url}/director/{DEVICE}"
root = "director.root.json"
[images]
url = "{web.url}"
root = "image.root.json"
[health]
steady_s = 60
within_s = 600
""")
        self.config: UpdateConfig = read_config(folder / "update.toml")
        self.storage = PosixStorage(folder / "update")
        self.storage.open()
        target = repository.add_image("rsu/gateway/1.tar", first, counter=1)
        trailer = Trailer(target=target.path, sha256=target.sha256, length=target.length, version="1", counter=1)
        set_up(
            self.storage, lambda: secrets.token_bytes(32), lock=partial(record_lock, folder / "update"),
            installer_of=lambda key: ReleaseDir(self.storage, key), trailer=trailer, pieces=[first],
        )  # fmt: skip
        self.slot = "a"
        self.said: list[str] = []

    def reload(self) -> None:
        """The file has changed."""
        self.config = read_config(self.folder / "update.toml")

    def agent(self, **more: Any) -> UpdateAgent:
        return UpdateAgent(self.config, running=self.slot, world=self.world, say=self.said.append, **more)

    def run(self, **more: Any) -> End:
        """One run, and the launcher's part where another slot is to be started."""
        agent = self.agent(**more)
        end = agent.run(is_forced=True)
        if end is End.RESTART:
            self.slot = agent.driver.record().to_start
        return end

    def state(self) -> State:
        agent = self.agent()
        return agent.driver.state(agent.driver.record())

    def runs(self) -> str:
        return (self.folder / "update" / tree_of(self.slot) / "app" / "version.py").read_text().split("'")[1]

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.storage.read(AUDIT).splitlines()]

    def reports(self) -> list[Any]:
        queue = self.agent().reports
        assert queue is not None
        return [read_report(queue.read(attempt)[0], lambda _s, _d: True) for attempt in queue.waiting()]

    def blobs_asked(self) -> list[str]:
        return [path for path, _range in self.web.asked if path.startswith("blobs/") and not path.endswith(".blocks")]


def publish(device: Device, images: dict[str, bytes], version: str, **more: Any) -> None:
    base = [f"rsu/gateway/{int(version) - 1}.tar"] if version > "1" else []
    path = f"rsu/gateway/{version}.tar"
    if path not in device.repository.images:
        device.repository.add_image(path, images[version], counter=int(version), deltas_from=base)
    device.repository.set_plan(DEVICE, {"main": path}, **more)


def stick_of(device: Device, folder: Path) -> Path:
    """All that the repository has, as a technician carries it."""
    for name, data in device.repository.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
