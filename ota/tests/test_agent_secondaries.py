"""A plan for a gateway and its lamp: both or none, by deltas, the lamp under a key of its own, over a real socket."""

import hashlib
import random
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ota.agent.agent import End
from ota.agent.audit import read_seen
from ota.agent.line import TRIES, SocketLine, framed, read_frame
from ota.agent.secondaries import McuSecondaries
from ota.installers.mcu import McuInstaller, SecondaryLineError
from ota.mcu.selector import ATTEMPTS
from ota.payload.file_set import make_image, make_package
from ota.reports import Report
from ota.targets import Delta
from ota.testing.drip import dripping
from ota.testing.mcu_double import KEY, Box
from ota.testing.repository_double import RepositoryDouble
from ota.tests.agent_device import DEVICE, Device, release

pytest.importorskip("detools", reason="detools is not installed: deltas cannot be made")

LAMP, FAMILY = "lamp-1", "buoy/lamp"
RNG = random.Random(3)
OLD_FILES = {"main.mpy": RNG.randbytes(800), "lamp.mpy": RNG.randbytes(4_000)}
NEW_FILES = OLD_FILES | {"lamp.mpy": OLD_FILES["lamp.mpy"][:2_000] + b"!" + OLD_FILES["lamp.mpy"][2_000:]}
OLD = make_image(OLD_FILES, counter=1, floor=0, version="1")
NEW = make_image(NEW_FILES, counter=2, floor=0, version="2")


class Pair:
    """A device with a secondary."""

    def __init__(self, folder: Path, repository: RepositoryDouble, device: Device) -> None:
        self.repository = repository
        self.device = device
        (folder / "lamp").mkdir()
        self.lamp = Box(folder / "lamp", ecu=LAMP)
        self.socket = folder / "line.sock"
        (device.folder / "lamp.key").write_text(KEY.hex())
        file = device.folder / "update.toml"
        table = f'[ecu.{LAMP}]\nhardware = "lamp-c3"\nfamily = "{FAMILY}"\nline = "unix:{self.socket}"\n'
        file.write_text(file.read_text() + table + 'key_file = "lamp.key"\n')
        device.reload()
        installer = McuInstaller(LAMP, KEY, self.lamp.ask)
        installer.arm(installer.stage(make_package(OLD), "old"))
        self.lamp.boot()
        installer.confirm()
        self.lamp.requests.clear()

    def publish(self, *, with_delta: bool = False) -> None:
        facts = {"kind": "mcu", "hardware": ["lamp-c3"], "family": FAMILY}
        self.repository.add_image(f"{FAMILY}/1.set", OLD, counter=1, version="1", **facts)
        deltas = []
        if with_delta:
            blob = self.repository._blob("delta", make_package(NEW, OLD))
            base = self.repository.images[f"{FAMILY}/1.set"]
            sha = hashlib.sha256(base).hexdigest()
            deltas = [Delta(codec="delta", length=blob.length, sha256=blob.sha256, blocks=blob.blocks, from_sha256=sha)]
        self.repository.add_image(f"{FAMILY}/2.set", NEW, counter=2, version="2", deltas=deltas, **facts)

    def plan(self, main: str, lamp: str, **more: Any) -> None:
        ecus = {"main": f"rsu/gateway/{main}.tar", LAMP: f"{FAMILY}/{lamp}.set"}
        self.repository.set_plan(DEVICE, ecus, **more)

    def run(self) -> list[End]:
        """Until it rests, as a gateway and its launcher would have it."""
        ends = [self.device.run()]
        while ends[-1] is not End.RESTING and len(ends) < 12:
            ends.append(self.device.run())
        return ends

    def report(self) -> Report:
        (report,) = self.device.reports()
        assert isinstance(report, Report)
        return report


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    repository = RepositoryDouble(now=datetime(2026, 6, 1, tzinfo=UTC))
    (tmp_path / "sources").mkdir()
    with repository.serving() as web:
        device = Device(tmp_path / "box", repository, web, release("1", 1, tmp_path / "sources"))
        repository.add_image("rsu/gateway/2.tar", release("2", 2, tmp_path / "sources"), counter=2)
        yield Pair(tmp_path, repository, device)


def test_both_are_taken_and_confirmed_together(pair: Pair):
    pair.publish()
    pair.plan("2", "2")
    with pair.lamp.serving(pair.socket):
        ends = pair.run()
    assert ends[-1] is End.RESTING
    assert pair.device.runs() == "2"
    assert pair.lamp.runs() == NEW_FILES
    assert pair.report().outcome == "confirmed"
    assert McuInstaller(LAMP, KEY, pair.lamp.ask).state().is_trial is False


def test_a_release_that_is_rolled_back_takes_the_lamp_back_too(pair: Pair):
    pair.publish()
    pair.plan("2", "2")
    with pair.lamp.serving(pair.socket):
        assert pair.device.run() is End.RESTART
        pair.device.world.vitals = None
        ends = pair.run()
    assert ends[-1] is End.RESTING
    assert pair.device.runs() == "1"
    pair.lamp.boot()
    assert pair.lamp.runs() == OLD_FILES
    assert pair.report().outcome == "rolled-back"


def test_a_lamp_that_runs_a_known_set_is_sent_a_delta(pair: Pair):
    pair.publish(with_delta=True)
    with pair.lamp.serving(pair.socket):
        pair.plan("1", "1")
        pair.run()
        pair.lamp.requests.clear()
        pair.plan("1", "2")
        ends = pair.run()
    assert ends[-1] is End.RESTING
    assert pair.lamp.runs() == NEW_FILES
    assert any(request[:1] == b"f" and request[3:] == b"d" for request in pair.lamp.requests)


@pytest.mark.parametrize("rotten", [bytes(len(OLD_FILES["lamp.mpy"])), OLD_FILES["lamp.mpy"][:900], b""])
def test_a_lamp_whose_running_set_has_rotted_is_sent_the_whole_one(pair: Pair, rotten: bytes):
    pair.publish(with_delta=True)
    with pair.lamp.serving(pair.socket):
        pair.plan("1", "1")
        pair.run()
        (pair.lamp.folder / "lib_a" / "lamp.mpy").write_bytes(rotten)
        assert pair.lamp.runs()["lamp.mpy"] == rotten
        pair.lamp.requests.clear()
        pair.plan("1", "2")
        ends = pair.run()
    assert ends[-1] is End.RESTING
    assert pair.lamp.runs() == NEW_FILES
    made = [request[3:] for request in pair.lamp.requests if request[:3] == b"f\0\0" and request[3:] != b"q"]
    assert made == [b"d", b"f"]


def test_a_lamp_that_is_not_there_holds_up_the_switch_and_says_so(pair: Pair):
    """What it runs is not known then, so not even the plan is taken; the next run asks again."""
    pair.publish()
    pair.plan("2", "2")
    assert pair.device.run() is End.WAITING
    assert pair.device.runs() == "1"
    assert "line.sock" in read_seen(pair.device.storage).refusal
    with pair.lamp.serving(pair.socket):
        pair.run()
    assert pair.lamp.runs() == NEW_FILES


@pytest.mark.parametrize("is_known", [True, False], ids=["old set known here", "old set unknown"])
def test_a_lamp_that_falls_back_in_a_trial_ends_the_trial(pair: Pair, *, is_known: bool):
    """By what it says of itself: which release it ran before need not be known."""
    pair.publish()
    with pair.lamp.serving(pair.socket):
        if is_known:
            pair.plan("1", "1")
            pair.run()
        pair.plan("2", "2")
        assert pair.device.run() is End.RESTART
        sleep = pair.device.world.sleep

        def fall_back(seconds: float) -> None:
            for _start in range(ATTEMPTS):
                pair.lamp.boot()
            pair.device.world.sleep = sleep
            sleep(seconds)

        pair.device.world.sleep = fall_back
        ends = pair.run()
    assert ends[-1] is End.RESTING
    assert pair.lamp.runs() == OLD_FILES
    assert pair.device.runs() == "1"
    assert "it has fallen back to the set before" in pair.device.reports()[-1].reason


def test_a_lamp_whose_new_set_is_not_known_here_any_more_is_judged_by_its_trial(pair: Pair):
    pair.publish()
    pair.plan("2", "2")
    with pair.lamp.serving(pair.socket):
        assert pair.device.run() is End.RESTART
    installers = {LAMP: McuInstaller(LAMP, KEY, pair.lamp.ask)}
    secondaries = McuSecondaries(pair.device.storage, installers, pair.device.agent()._payload)
    sha256 = hashlib.sha256(NEW).hexdigest()
    assert not secondaries.runs(LAMP, sha256), "staged only"
    secondaries.arm(LAMP, sha256)
    pair.device.storage.remove(f"secondaries/{LAMP}.json")
    assert secondaries.runs(LAMP, sha256)
    for _start in range(ATTEMPTS):
        pair.lamp.boot()
    assert not secondaries.runs(LAMP, sha256)


def test_a_lamp_that_goes_away_in_a_trial_ends_the_trial(pair: Pair):
    pair.publish()
    pair.plan("2", "2")
    with pair.lamp.serving(pair.socket):
        assert pair.device.run() is End.RESTART
    assert pair.device.run() is End.RESTART
    assert pair.device.runs() == "1"
    with pair.lamp.serving(pair.socket):
        pair.run()
    pair.lamp.boot()
    assert pair.lamp.runs() == OLD_FILES
    assert "line.sock" in pair.report().reason


def test_no_floor_rises_for_a_lamp_that_did_not_take_its_set(pair: Pair):
    """Else a plan that leaves the lamp as it is would be refused, and with it all that is for the gateway."""
    facts = {"kind": "mcu", "hardware": ["lamp-c3"], "family": FAMILY}
    pair.repository.add_image(f"{FAMILY}/1.set", OLD, counter=1, version="1", **facts)
    pair.repository.add_image(f"{FAMILY}/2.set", NEW, counter=2, min_counter=2, version="2", **facts)
    ask = pair.lamp.ask
    pair.lamp.ask = lambda request: b"\1hash: it is not right" if request[:1] == b"o" else ask(request)
    with pair.lamp.serving(pair.socket):
        for lamp in ("2", "1"):
            pair.plan("2", lamp, policy="best-effort")
            assert pair.run()[-1] is End.RESTING
            assert read_seen(pair.device.storage).refusal == ""
    assert pair.device.runs() == "2"
    assert pair.lamp.runs() == OLD_FILES


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\4abc", framed(b"hello")[:-1] + b"?", b"\xff\xff" + bytes(10)], ids=range(5)
)
def test_a_line_that_is_cut_or_damaged_is_said(data: bytes):
    waiting = bytearray(data)

    def receive(size: int) -> bytes:
        taken = bytes(waiting[:size])
        del waiting[:size]
        return taken

    with pytest.raises(SecondaryLineError, match=r"^(network|format): "):
        read_frame(receive)


def test_a_line_carries_what_was_sent_and_nobody_there_is_said(tmp_path: Path):
    box = Box(tmp_path, ecu=LAMP)
    with box.serving(tmp_path / "s"):
        line = SocketLine(f"unix:{tmp_path / 's'}")
        assert McuInstaller(LAMP, KEY, line).state().set_hash == ""
        line.close()
    with pytest.raises(SecondaryLineError, match=r"^network: unix:.*(No such file|refused)"):
        SocketLine(f"unix:{tmp_path / 's'}")(b"h")


def test_a_line_that_drips_its_answer_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each byte comes in time; a secondary must not hold up the judgement of its gateway's release."""
    monkeypatch.setattr("ota.agent.line.ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        began = time.monotonic()
        with dripping(server, b"\1", times=TRIES), pytest.raises(SecondaryLineError, match=r"^network: unix:"):
            SocketLine(f"unix:{tmp_path / 's'}")(b"h")
        assert time.monotonic() - began < 3
