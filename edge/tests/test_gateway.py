"""The whole gateway in this process, without a broker: what stops a part of it, and what must not."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge.gateway import app, epochs, health
from edge.gateway.app import EXIT_STOPPED, Gateway
from edge.gateway.config import parse_config
from edge.gateway.config_history import ConfigHistory
from edge.identity.operator_keys import OperatorKey
from edge.store.errors import Cause, StorageError
from edge.tests.scripted_broker import ScriptedBroker
from edge.tests.test_status_socket import ask
from protocols.wayside import state

HEAD = """\
[node]
id = "n-1"
data = "var"
[uplink.mqtt]
brokers = ["BROKER"]
acknowledged_by = "ingest"
"""


class Life:
    """A gateway from its start to its end."""

    def __init__(self, folder: Path, tail: str = "", *, broker: str = "mqtt://127.0.0.1:1") -> None:
        folder.mkdir(exist_ok=True)
        self.file = folder / "node.toml"
        self.file.write_text(HEAD.replace("BROKER", broker) + tail)
        (folder / "var").mkdir(exist_ok=True)
        history = ConfigHistory(folder / "var" / "config", self.file)
        document = history.open()
        self.gateway = Gateway(self.file, document, parse_config(document, self.file), history)
        self.task = asyncio.get_running_loop().create_task(self.gateway.run())

    async def until(self, condition: Callable[[], object], within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.01)

    async def end(self) -> int:
        self.gateway._stop.set()
        return await self.task


@pytest.fixture
async def lives(monkeypatch) -> AsyncIterator[list[Life]]:
    """What a test has started, which ends with it."""
    monkeypatch.setattr(app, "DRAIN_S", 0.0)  # nobody here acknowledges
    started: list[Life] = []
    yield started
    for life in started:
        if not life.task.done():
            await life.end()


async def test_health_goes_up_with_a_life_of_two_periods(tmp_path, lives, monkeypatch):
    """docs/wire.md, "Delivery": a broker must not heap up counters for whoever comes later."""
    monkeypatch.setattr(app, "HEALTH_PERIOD_S", 1.3)
    async with ScriptedBroker() as broker:
        lives.append(life := Life(tmp_path, broker=broker.url))
        await life.until(lambda: broker.payloads("/health"))
        said = next(publish for publish in broker.published if publish.topic == "wayside/1/up/n-1/health")
        assert said.properties == b"\x02\x00\x00\x00\x02"  # MQTT 5.0, 3.3.2.3.3: message expiry interval 2 s
        assert (said.qos, said.retain) == (0, False)
        assert state.decode(said.payload, state.Health).lanes["event"].lost == 0
        await life.end()


async def test_more_devices_than_a_message_holds_do_not_cost_the_other_counters(tmp_path, lives):
    lives.append(life := Life(tmp_path))
    gateway = life.gateway
    devices = {f"meter-{n}": {"state": "running", "starts": 1, "lost_s": None} for n in range(2_000)}
    for count, kept in ((500, 500), (2_000, 0)):
        some = dict(list(devices.items())[:count])
        payload = health.health_payload(gateway._store, gateway._clock, some)
        told = state.decode(payload, state.Health)
        assert (len(told.devices), sorted(told.lanes)) == (kept, ["event", "telemetry", "transaction"])


async def test_at_each_connect_the_node_asks_for_its_desired_configuration(tmp_path, lives):
    async with ScriptedBroker() as broker:
        lives.append(life := Life(tmp_path, broker=broker.url))
        await life.until(lambda: broker.payloads("/request/desired"))
        broker.reset_all()
        await life.until(lambda: len(broker.payloads("/request/desired")) == 2)
        await life.end()
    asked = [publish for publish in broker.published if publish.topic == "wayside/1/up/n-1/request/desired"]
    assert [json.loads(publish.payload) for publish in asked] == [
        {"v": 1, "what": "desired", "have": {"version": 0}}
    ] * 2
    assert {(publish.qos, publish.retain, publish.properties) for publish in asked} == {(1, False, b"")}


async def test_a_disk_that_refuses_a_new_epoch_does_not_end_the_gateway(tmp_path, lives, monkeypatch):
    monkeypatch.setattr(epochs, "AGAIN_S", 0.01)
    lives.append(life := Life(tmp_path))
    store, link = life.gateway._store, life.gateway._link
    await life.until(lambda: store.lanes["telemetry"].made)
    before, renew = store.lanes["telemetry"].epoch, store.renew_epoch
    refusals = iter([StorageError("full", Cause.FULL)] * 3)

    async def refusing(lane: str) -> int:
        for error in refusals:
            raise error
        return await renew(lane)

    monkeypatch.setattr(life.gateway._epochs, "_renew", refusing)
    link._on_ahead("telemetry")
    await life.until(lambda: store.lanes["telemetry"].epoch != before)
    assert await life.end() == EXIT_STOPPED


async def test_the_status_repeats_the_files_mistake_while_the_last_good_configuration_runs(tmp_path, lives):
    lives.append(life := Life(tmp_path))
    await life.until(lambda: life.gateway._store.lanes["telemetry"].made)
    assert life.gateway.status()["config"]["mistakes"] == []
    life.file.write_text(HEAD.replace("BROKER", "mqtt://127.0.0.1:1") + "[journal]\nquota_mb = 0\n")
    life.gateway._desired.reload()
    await life.until(lambda: life.gateway.status()["config"]["mistakes"])
    mistake = {"file": str(life.file), "line": 8, "path": "journal.quota_mb"}
    assert life.gateway.status()["config"]["mistakes"] == [
        mistake | {"text": "is 0, must be a number from 1 to 1000000"}
    ]


COMMANDS = """
[[commands.operator]]
name = "ops-1"
key = "ops-1.pub"
ops = ["*"]
"""


def obeys(life: Life, key: OperatorKey) -> bool:
    return life.gateway._inbox.verify("sig", "ops-1", b"signed", key.sign(b"signed"))


async def test_an_operator_is_obeyed_as_far_as_the_key_file_goes_and_sighup_reads_it_again(tmp_path, lives):
    lives.append(life := Life(tmp_path, COMMANDS))
    key, file = OperatorKey.new(), tmp_path / "ops-1.pub"
    not_obeyed = {"ops-1": f"{file}: No such file or directory"}
    await life.until(lambda: life.gateway.status()["commands"]["not_obeyed"] == not_obeyed)
    key.write(tmp_path / "ops-1.key", file)
    os.kill(os.getpid(), signal.SIGHUP)
    await life.until(lambda: life.gateway.status()["commands"]["not_obeyed"] == {})
    assert obeys(life, key)
    file.unlink()  # the key was stolen, and is taken away
    os.kill(os.getpid(), signal.SIGHUP)
    await life.until(lambda: life.gateway.status()["commands"]["not_obeyed"] == not_obeyed)
    assert not obeys(life, key)
    assert await life.end() == EXIT_STOPPED


async def test_readers_of_cards_open_nothing_without_the_key_and_start_when_it_comes(tmp_path, lives):
    reader = '[[device]]\nname = "reader-{0}"\ndriver = "card_reader"\nport = "pty:/none/{0}"\n'
    lives.append(life := Life(tmp_path, '[privacy]\nhash_key = "p.key"\n' + reader.format(1) + reader.format(2)))

    def readers() -> list[tuple[str, str]]:
        devices = life.gateway.status()["devices"].values()
        return [(device["state"], device["error"]) for device in devices]

    await life.until(lambda: readers() == [("given up", f"{tmp_path}/p.key: No such file or directory")] * 2)
    (tmp_path / "p.key").write_bytes(bytes(32))
    (tmp_path / "p.key").chmod(0o600)
    os.kill(os.getpid(), signal.SIGHUP)
    await life.until(lambda: all("/none/" in error for _state, error in readers()))
    assert {state for state, _error in readers()} <= {"waiting", "running"}


async def test_a_folder_whose_name_is_no_text_is_as_good_as_any_other(tmp_path, lives):
    lives.append(life := Life(Path(os.fsdecode(bytes(tmp_path) + b"/n\xff"))))
    await life.until(lambda: life.gateway._store.lanes["telemetry"].made)
    life.file.write_text("[node\n")
    life.gateway._desired.reload()
    await life.until(lambda: life.gateway._history.state.outcome == "refused")
    asked = await ask(life.file.parent / "var" / "status.sock", b'{"what": "status"}')
    assert asked["config"]["file"] == f"{tmp_path}/n\\udcff/node.toml"
    assert asked["config"]["mistakes"][0]["file"] == asked["config"]["file"]
    assert await life.end() == EXIT_STOPPED


async def test_a_status_socket_that_cannot_be_opened_is_said_and_stops_nothing(tmp_path, lives, caplog):
    (tmp_path / "var" / "status.sock").mkdir(parents=True)
    lives.append(life := Life(tmp_path))
    await life.until(lambda: life.gateway._store.lanes["telemetry"].made)
    assert await life.end() == EXIT_STOPPED
    assert caplog.records[0].getMessage() == f"status: {tmp_path}/var/status.sock: Is a directory"
