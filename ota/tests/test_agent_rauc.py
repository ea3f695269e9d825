"""The whole way of a box whose slots are RAUC's: from a living repository over HTTP to a bundle in a slot that runs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ota.agent.agent import End, UpdateAgent
from ota.agent.audit import read_seen
from ota.agent.config import ConfigError, read_config
from ota.agent.own_slots import RestartError
from ota.installers.rauc import FlashedSlots
from ota.reports import read_report
from ota.slots.lock import record_lock
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage
from ota.targets import Target
from ota.testing.rauc_bench import RaucBench, missing
from ota.testing.repository_double import RepositoryDouble
from ota.testing.slot_world import KEY
from ota.testing.web_double import WebDouble
from ota.tests.agent_device import DEVICE, WELL, Clock

needs_rauc = pytest.mark.skipif(bool(missing()), reason=missing())
CONFIG = """
device = "{device}"
data = "update"
status_socket = "status.sock"
report_key = "report.pem"
[rauc]
restart = ["cp", "/dev/null", "{folder}/restarting"]
[ecu.main]
hardware = "rsu-arm64"
family = "rsu/os"
[director]
url = "{url}/director/{device}"
root = "director.root.json"
[images]
url = "{url}"
root = "image.root.json"
[health]
steady_s = 60
within_s = 600
"""


class RaucDevice:
    """The box, and runs of the agent as processes would make them."""

    def __init__(self, bench: RaucBench, folder: Path, repository: RepositoryDouble, web: WebDouble) -> None:
        self.bench = bench
        self.folder = folder
        self.repository = repository
        self.world = Clock()
        folder.mkdir()
        (folder / "director.root.json").write_bytes(repository.first_director_root)
        (folder / "image.root.json").write_bytes(repository.first_root)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "report.pem").write_bytes(pem)
        self.file = folder / "update.toml"
        self.file.write_text(CONFIG.format(device=DEVICE, url=web.url, folder=folder))
        self.storage = PosixStorage(folder / "update")
        self.storage.open()
        first = self.publish(1)
        set_up(
            self.storage,
            lambda: KEY,
            lock=partial(record_lock, folder / "update"),
            installer_of=lambda key: FlashedSlots(self.storage, key, bench.rauc()),
            trailer=Trailer(target=first.path, sha256=first.sha256, length=first.length, version="1", counter=1),
            pieces=[],
        )
        self.said: list[str] = []

    def publish(self, number: int) -> Target:
        """Release `number` as a bundle, and a plan that wants it."""
        path = f"rsu/os/{number}.raucb"
        target = self.repository.add_image(
            path, self.bench.bundle(str(number)), counter=number, kind="rauc", version=str(number)
        )
        self.repository.set_plan(DEVICE, {"main": path})
        return target

    def run(self) -> End:
        """One run; where the machine is to be restarted, it is."""
        agent = UpdateAgent(read_config(self.file), running="?", world=self.world, say=self.said.append)
        end = agent.run(is_forced=True)
        mark = self.folder / "restarting"
        assert mark.exists() == (end is End.RESTART)
        if mark.exists():
            mark.unlink()
            self.bench.boot()
        return end

    def outcomes(self) -> list[str]:
        agent = UpdateAgent(read_config(self.file), running="?", world=self.world)
        assert agent.reports is not None
        queue = agent.reports
        return [read_report(queue.read(attempt)[0], lambda _s, _d: True).outcome for attempt in queue.waiting()]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RaucDevice]:
    repository = RepositoryDouble(now=datetime(2026, 6, 1, tzinfo=UTC))
    with RaucBench(tmp_path / "bench").running() as bench, repository.serving() as web:
        for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_STARTER_BUS_TYPE"):
            monkeypatch.setenv(name, bench.environment[name])
        yield RaucDevice(bench, tmp_path / "box", repository, web)


@needs_rauc
def test_a_bundle_comes_by_blocks_is_started_on_trial_and_confirmed(box: RaucDevice) -> None:
    box.publish(2)
    assert [box.run(), box.run(), box.run()] == [End.RESTART, End.RESTING, End.RESTING]
    assert box.bench.booted == "B"
    assert box.bench.slot_bytes(1, 1000) == box.bench.image("2", 1000)
    assert (box.bench.starts_left("B"), box.outcomes()) == (3, ["confirmed"])
    assert box.world.now >= 60, "it was judged for as long as is stated"
    assert read_seen(box.storage).way == "full"
    assert "rauc: 100 % Installing done." in box.said


@needs_rauc
def test_a_system_without_its_uplink_gives_way_to_the_old_one(box: RaucDevice) -> None:
    box.publish(2)
    assert box.run() is End.RESTART
    box.world.vitals = msgspec.structs.replace(WELL, boot=2, has_uplink=False)
    assert box.run() is End.RESTART
    box.world.vitals = msgspec.structs.replace(WELL, boot=3)
    assert (box.run(), box.bench.booted, box.bench.starts_left("B")) == (End.RESTING, "A", 0)
    assert box.outcomes() == ["rolled-back"]


@needs_rauc
@pytest.mark.parametrize(
    ("restart", "said"),
    [
        ('["false"]', "storage: false: it ends with 1"),
        ('["/nowhere/reboot", "now"]', "storage: /nowhere/reboot now: No such file or directory"),
    ],
)
def test_a_machine_that_does_not_restart_is_said_and_tried_again(box: RaucDevice, restart: str, said: str) -> None:
    text = box.file.read_text()
    box.file.write_text(text.replace(f'["cp", "/dev/null", "{box.folder}/restarting"]', restart))
    box.publish(2)
    with pytest.raises(RestartError) as refused:
        box.run()
    assert str(refused.value) == said
    box.file.write_text(text)
    assert [box.run(), box.run()] == [End.RESTART, End.RESTING]
    assert box.outcomes() == ["confirmed"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("[rauc]\nb = 'rootfs.0'\n", "rauc: a and b are two slots"),
        ("[rauc]\nrestart = []\n", "rauc.restart"),
        ("[rauc]\ninstall_within_s = 1\n", "rauc.install_within_s"),
        ("[rauc]\nc = 'rootfs.2'\n", "rauc"),
    ],
)
def test_a_wrong_table_is_said_with_its_place(tmp_path: Path, change: str, why: str) -> None:
    file = tmp_path / "update.toml"
    text = CONFIG.format(device=DEVICE, url="http://h", folder=tmp_path)
    head, _mark, tail = text.partition("[rauc]")
    file.write_text(f"{head}{change}[ecu.main]{tail.partition('[ecu.main]')[2]}")
    with pytest.raises(ConfigError) as refused:
        read_config(file)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
