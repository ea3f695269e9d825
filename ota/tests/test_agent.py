"""The whole way on one device: a living repository over HTTP, real slots on a real disk, a gateway that is told of."""

import hashlib
import json
import random
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ota.agent.agent import End, UpdateAgent
from ota.agent.audit import AUDIT, read_seen
from ota.agent.config import ConfigError, UpdateConfig, read_config
from ota.agent.world import World
from ota.installers.release_dir import ReleaseDir
from ota.installers.tree import tree_of
from ota.payload.patch import HEADER_BYTES, make_patch
from ota.reports import read_report
from ota.repository.image_tar import image_of
from ota.slots.lock import record_lock
from ota.slots.machine import State
from ota.slots.setup import set_up
from ota.slots.trailer import Trailer
from ota.storage import PosixStorage
from ota.targets import Conditions, Delta, Schema
from ota.testing.repository_double import RepositoryDouble
from ota.testing.web_double import Faults, WebDouble
from ota.vitals import GatewayAwayError, Vitals

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")

DEVICE = "rsu-7f3a"
WELL = Vitals(boot=1, uptime_s=1e6, has_uplink=True, has_disk=True, time="set", devices=frozenset({"plc"}))


def release(version: str, counter: int, folder: Path) -> bytes:
    """The image of a release: some code, of which a little is another in each."""
    rng = random.Random(1)
    source = folder / version
    (source / "app").mkdir(parents=True)
    (source / "app" / "__init__.py").write_text("")
    (source / "app" / "data.bin").write_bytes(rng.randbytes(300_000))
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


@pytest.fixture
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sources")
    return {str(number): release(str(number), number, folder) for number in (1, 2, 3)}


@pytest.fixture
def device(tmp_path: Path, images: dict[str, bytes]) -> Iterator[Device]:
    repository = RepositoryDouble(now=datetime(2026, 6, 1, tzinfo=UTC))
    with repository.serving() as web:
        yield Device(tmp_path / "box", repository, web, images["1"])


def publish(device: Device, images: dict[str, bytes], version: str, **more: Any) -> None:
    base = [f"rsu/gateway/{int(version) - 1}.tar"] if version > "1" else []
    path = f"rsu/gateway/{version}.tar"
    if path not in device.repository.images:
        device.repository.add_image(path, images[version], counter=int(version), deltas_from=base)
    device.repository.set_plan(DEVICE, {"main": path}, **more)


def test_nothing_to_do_is_said_and_costs_no_blob(device: Device, images: dict[str, bytes]):
    publish(device, images, "1")
    assert device.run() is End.RESTING
    assert device.blobs_asked() == []
    assert read_seen(device.storage).answered_at


def test_the_main_story(device: Device, images: dict[str, bytes]):
    """By delta, over a bad line, into the other slot, on trial, confirmed, told once."""
    publish(device, images, "2")
    device.web.faults_at = {len(device.web.asked) + n: Faults(drop_after=300) for n in (9, 10)}
    ends = [device.run()]
    while ends[-1] is not End.RESTING:
        assert len(ends) < 10
        ends.append(device.run())
    assert End.RESTART in ends
    assert device.runs() == "2"
    assert device.state() is State.REPORTED
    assert read_seen(device.storage).way == "delta"
    assert device.world.now >= 60, "it was judged for as long as is stated"
    (report,) = device.reports()
    assert (report.outcome, report.plan) == ("confirmed", 1)
    assert device.run() is End.RESTING
    assert len(device.reports()) == 1


def test_a_release_that_loses_its_uplink_is_rolled_back_quarantined_and_told_with_its_reason(
    device: Device, images: dict[str, bytes]
):
    publish(device, images, "2")
    assert device.run() is End.RESTART
    assert device.runs() == "2"
    device.world.vitals = msgspec.structs.replace(WELL, boot=2, has_uplink=False)
    (device.folder / "log").write_bytes(b"cannot reach the broker\n")
    assert device.run() is End.RESTART
    assert device.runs() == "1"
    device.world.vitals = msgspec.structs.replace(WELL, boot=3)
    device.run()
    (report,) = device.reports()
    assert report.outcome == "rolled-back"
    assert "the uplink is away" in report.reason
    assert report.log_sha256
    asked = len(device.blobs_asked())
    publish_again = device.repository.sign_plan
    publish_again(DEVICE)
    assert device.run() is End.RESTING
    assert (device.runs(), len(device.blobs_asked())) == ("1", asked)


def test_an_older_release_is_refused_after_a_newer_one_has_raised_the_floor(device: Device, images: dict[str, bytes]):
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2, min_counter=2)
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    publish(device, images, "1")
    before = {name: device.storage.read(name) for name in ("state-a", "state-b")}
    assert device.run() is End.RESTING
    assert device.runs() == "2"
    assert read_seen(device.storage).rule == "floor"
    assert any(line.get("rule") == "floor" for line in device.audit())
    assert {name: device.storage.read(name) for name in before} == before


def test_a_trial_whose_gateway_never_answers_is_rolled_back(device: Device, images: dict[str, bytes]):
    publish(device, images, "2")
    device.run()
    device.world.vitals = None
    assert device.run() is End.RESTART
    assert device.runs() == "1"


def test_a_delta_that_makes_another_image_is_replaced_by_the_whole_once(device: Device, images: dict[str, bytes]):
    """Signed by mistake: base and result are named right, the body makes something else."""
    right, other = make_patch(images["1"], images["2"]), make_patch(images["1"], images["3"])
    blob = device.repository._blob("delta", right[:HEADER_BYTES] + other[HEADER_BYTES:])
    base = hashlib.sha256(images["1"]).hexdigest()
    wrong = Delta(codec="delta", length=blob.length, sha256=blob.sha256, blocks=blob.blocks, from_sha256=base)
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2, deltas=[wrong])
    publish(device, images, "2")
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
    assert read_seen(device.storage).way == "full"
    assert device.blobs_asked()[0] == f"blobs/{wrong.sha256}"
    assert device.blobs_asked().count(f"blobs/{wrong.sha256}") == 1


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        (
            Conditions(not_before=int(datetime(2026, 6, 1, 9, tzinfo=UTC).timestamp())),
            "not before 2026-06-01 09:00 UTC",
        ),
        (Conditions(local=["lane-closed"]), "conditions that do not hold: lane-closed"),
    ],
)
def test_a_condition_holds_up_the_switch_and_nothing_before_it(
    device: Device, images: dict[str, bytes], conditions: Conditions, reason: str
):
    device.world.unmet_names = "lane-closed"
    publish(device, images, "2", conditions=conditions)
    assert device.run() is End.WAITING
    assert device.state() is State.SECONDARIES_STAGED
    assert read_seen(device.storage).waits_for == reason
    device.world.unmet_names = ""
    device.world.now += 9 * 3_600
    assert device.run() is End.RESTART
    assert device.runs() == "2"


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_metered_link_is_used_where_the_plan_allows_it(device: Device, images: dict[str, bytes], is_allowed: bool):
    limits = msgspec.structs.replace(device.config.limits, is_metered=True)
    device.config = msgspec.structs.replace(device.config, limits=limits)
    publish(device, images, "2", conditions=Conditions(is_metered_allowed=is_allowed))
    assert device.run() is (End.RESTART if is_allowed else End.WAITING)
    assert bool(device.blobs_asked()) is is_allowed
    assert ("metered" in read_seen(device.storage).waits_for) is not is_allowed


def test_a_newer_plan_that_wants_the_same_vouches_for_it_under_its_own_conditions(
    device: Device, images: dict[str, bytes]
):
    limits = msgspec.structs.replace(device.config.limits, is_metered=True)
    device.config = msgspec.structs.replace(device.config, limits=limits)
    publish(device, images, "2")
    assert device.run() is End.WAITING
    publish(device, images, "2", conditions=Conditions(is_metered_allowed=True))
    assert device.run() is End.RESTART
    assert device.runs() == "2"
    while device.run() is not End.RESTING:
        pass
    assert [report.outcome for report in device.reports()] == ["confirmed"]


def test_a_plan_that_is_cancelled_stops_a_download_between_two_blocks(device: Device, images: dict[str, bytes]):
    limits = msgspec.structs.replace(device.config.limits, kilobytes_per_s=10)
    device.config = msgspec.structs.replace(device.config, limits=limits, poll_s=10)
    device.repository.add_image("rsu/gateway/2.tar", images["2"], counter=2)
    publish(device, images, "2")
    slept = device.world.sleep

    def sleep(seconds: float) -> None:
        slept(seconds)
        if device.world.now > 8 and device.repository.plans[DEVICE].number == 1:
            publish(device, images, "2", is_cancelled=True)

    device.world.sleep = sleep  # type: ignore[method-assign]
    assert device.run() is End.WAITING
    (blob,) = set(device.blobs_asked())
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "1"
    assert device.blobs_asked() == [blob], "nothing more of it is asked for"
    (report,) = device.reports()
    assert (report.outcome, report.rule) == ("cancelled", "cancelled")


def test_a_stick_brings_it_without_any_network(device: Device, images: dict[str, bytes], tmp_path: Path):
    publish(device, images, "2")
    stick = tmp_path / "stick"
    for name, data in device.repository.files.items():
        (stick / name).parent.mkdir(parents=True, exist_ok=True)
        (stick / name).write_bytes(data)
    asked = len(device.web.asked)
    assert device.run(stick=stick) is End.RESTART
    assert device.run(stick=stick) is End.RESTING
    assert device.runs() == "2"
    assert len(device.web.asked) == asked
    (receipt,) = (stick / "receipts").iterdir()
    assert receipt.name == f"{DEVICE}-1.json"

    def verify(signature: bytes, data: bytes) -> bool:
        device.key.public_key().verify(signature, data)
        return True

    assert read_report(receipt.read_bytes(), verify).outcome == "confirmed"
    assert device.reports(), "and it still waits here, to be told over the network"


def test_a_stick_that_takes_no_receipt_is_said_and_changes_nothing(
    device: Device, images: dict[str, bytes], tmp_path: Path
):
    publish(device, images, "1")
    stick = tmp_path / "stick"
    for name, data in device.repository.files.items():
        (stick / name).parent.mkdir(parents=True, exist_ok=True)
        (stick / name).write_bytes(data)
    (stick / "receipts").write_bytes(b"a file in its place")
    assert device.run(stick=stick) is End.RESTING
    assert any("the receipt cannot be written" in line for line in device.said)


@pytest.mark.parametrize("time", ["kept", "none"])
def test_without_a_clock_it_is_taken_all_the_same_and_said(device: Device, images: dict[str, bytes], time: str):
    """It wakes in 1970: nothing has expired as far as it can tell, and it says that it cannot."""
    device.world.vitals = msgspec.structs.replace(WELL, time=time)
    device.world.start = 0.0
    publish(device, images, "2")
    assert device.run() is End.RESTART
    assert read_seen(device.storage).remark == "time: unsynchronised"
    while device.run() is not End.RESTING:
        pass
    assert device.runs() == "2"
    assert device.reports()[0].time_quality == "none"


def test_a_refusal_is_one_line_in_the_trail_and_changes_no_slot(device: Device, images: dict[str, bytes]):
    publish(device, images, "2")
    device.web.files = {}
    assert device.run() is End.RESTING
    (line,) = [line for line in device.audit() if line["what"] == "refused"]
    assert line["rule"] == "network"
    assert device.state() is State.IDLE
    assert read_seen(device.storage).refusal.startswith("network: ")


def test_it_asks_no_more_often_than_it_should(device: Device, images: dict[str, bytes]):
    publish(device, images, "1")
    device.run()
    asked = len(device.web.asked)
    assert device.agent().run() is End.RESTING
    assert len(device.web.asked) == asked
    device.world.now += 3_601
    assert device.agent().run() is End.RESTING
    assert len(device.web.asked) > asked


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("main]", "other]"), "ecu.other: a secondary has a line"),
        (("steady_s", "steady"), "health"),
        (('"rsu-arm64"', '"no space"'), "ecu"),
        (("[health]", "[helth]"), "helth"),
        (("steady_s = 60", "steady_s = true"), "health.steady_s"),
    ],
)
def test_a_wrong_file_is_said_in_one_line_with_its_place(device: Device, change: tuple[str, str], why: str):
    file = device.folder / "update.toml"
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_set_up_says_so(tmp_path: Path, device: Device):
    config = msgspec.structs.replace(device.config, data=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="not set up"):
        UpdateAgent(config, running="a")
