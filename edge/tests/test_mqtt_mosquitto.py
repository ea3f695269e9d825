"""The uplink against a real Mosquitto: restarts, sessions, wills, rights and certificates."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from edge.identity.development_ca import DevelopmentCa
from edge.tests.outbox_double import NODE, OutboxDouble, Running, Told, make_uplink, mqtt_config, until
from edge.uplinks import mqtt
from edge.uplinks.config import MqttConfig
from emulators.broker import BrokerTls, Mosquitto

NOW = datetime.now(UTC)


@asynccontextmanager
async def watched(broker: Mosquitto, topic: str) -> AsyncIterator[list[bytes]]:
    """Payloads on a topic, as another client sees them."""
    seen: list[bytes] = []

    async def watch(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            seen.append(message.payload)

    async with aiomqtt.Client(broker.host, broker.port, identifier="watcher") as client:
        await client.subscribe(topic, qos=1)
        task = asyncio.get_running_loop().create_task(watch(client))
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_restarts_and_kills_of_the_broker_lose_nothing_that_is_owed(tmp_path: Path) -> None:
    """Rows 12, 18: recovery by itself, and nothing new is sent after a restart that had nothing to send."""
    outbox, told = OutboxDouble(), Told()
    async with Mosquitto(tmp_path) as broker, Running(make_uplink(mqtt_config(broker.url), outbox, told)) as uplink:
        for is_killed in (False, True, False, True):
            outbox.make(500, bytes_each=2000)
            uplink.wake()
            await until(lambda: uplink.status()["records"])
            await (broker.kill() if is_killed else broker.stop())
            await until(lambda: not uplink.is_connected)
            outbox.make(500)
            uplink.wake()
            await broker.start()
            await until(lambda: not outbox.queued)
        records = uplink.status()["records"]
        assert len(outbox.made) <= records <= len(outbox.made) + 4 * 16
        for _ in range(20):
            sessions = uplink.status()["sessions"]
            await broker.restart()
            await until(lambda: uplink.status()["sessions"] > sessions)  # noqa: B023 # it waits before the next turn
        assert uplink.status()["records"] == records


async def test_an_orderly_close_leaves_its_reason_and_no_will(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "WILL_DELAY_S", 0)
    async with Mosquitto(tmp_path) as broker:
        async with watched(broker, "wayside/1/up/+/state") as seen:
            uplink = make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())
            async with Running(uplink):
                await until(lambda: seen)
                uplink.publish_state()
                await until(lambda: len(seen) == 2)
                uplink.leaving("configuration")
            async with Running(uplink):
                await until(lambda: len(seen) == 4)
                session = uplink._session
                assert session is not None
                assert session.connection is not None
                session.connection.abort()  # as a power cut would
                await until(lambda: len(seen) == 6)
                uplink.leaving("stopped")
            await until(lambda: len(seen) == 7)
        states = [json.loads(payload) for payload in seen]
        assert [(state["online"], state["session"], state["why"]) for state in states] == [
            (True, 1, None),
            (True, 1, None),
            (False, 1, "configuration"),
            (True, 2, None),
            (False, 2, "lost"),
            (True, 3, None),
            (False, 3, "stopped"),
        ]
        async with watched(broker, "wayside/1/up/+/state") as retained:
            await until(lambda: retained)
            assert json.loads(retained[0])["why"] == "stopped"


async def test_a_command_that_was_sent_while_the_node_was_away_waits_for_it(tmp_path: Path) -> None:
    told = Told()
    async with Mosquitto(tmp_path) as broker:
        uplink = make_uplink(mqtt_config(broker.url), OutboxDouble(), told)
        async with Running(uplink):
            await until(lambda: uplink.status()["acknowledged"])
        async with aiomqtt.Client(broker.host, broker.port) as control:
            await control.publish(f"wayside/1/down/{NODE}/command", b"open", qos=1)
            await control.publish(f"wayside/1/down/{NODE}/desired", b"config", qos=1, retain=True)
        async with Running(uplink):
            await until(lambda: told.commands and told.desired)
    assert (told.commands, set(told.desired)) == ([b"open"], {b"config"})


async def test_what_an_access_list_denies_is_refused_kept_and_alarmed(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text(
        f"topic write wayside/1/up/{NODE}/state\ntopic write wayside/1/up/{NODE}/event/#\ntopic read #\n"
    )
    outbox, told = OutboxDouble(), Told()
    outbox.make(20)
    outbox.make(20, route="event/tap")
    async with (
        Mosquitto(tmp_path, acl=tmp_path / "acl") as broker,
        Running(make_uplink(mqtt_config(broker.url), outbox, told)),
    ):
        await until(lambda: len(outbox.acked) == 20 and len(outbox.refused_seqs) == 20)
    assert told.alarms == [("publish-refused", "telemetry/flow-1: the broker refuses it with reason code 0x87")]


class Pki:
    """Two authorities, a broker, and nodes that are all right, expired, or of the other authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = DevelopmentCa.create(folder / "ours", now=NOW)
        theirs = DevelopmentCa.create(folder / "theirs", now=NOW)
        server = ours.issue_server("broker", now=NOW)
        self.broker = BrokerTls(ca=ours.ca, cert=server.cert, key=server.key)
        early = ours.issue_server("early-broker", now=NOW + timedelta(days=30))
        self.early_broker = BrokerTls(ca=ours.ca, cert=early.cert, key=early.key)
        self.good = self.table(ours, ours, NODE, NOW)
        self.expired = self.table(ours, ours, "late-node", NOW - timedelta(days=500))
        self.foreign = self.table(ours, theirs, NODE, NOW)
        self.wrong_ca = {**self.good, "ca": str(theirs.ca)}
        self.wrong_key = {**self.good, "key": self.expired["key"]}
        self.no_file = {**self.good, "cert": "nowhere.pem"}
        self.no_pem = {**self.good, "ca": "nonsense.pem"}
        (folder / "nonsense.pem").write_text("hello")

    def table(self, trusted: DevelopmentCa, issuer: DevelopmentCa, node: str, now: datetime) -> dict[str, str]:
        made = issuer.issue_client(node, now=now)
        return {"ca": str(trusted.ca), "cert": str(made.cert), "key": str(made.key)}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


async def test_mutual_tls_carries_records(tmp_path: Path, pki: Pki) -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(300, bytes_each=5000)
    async with (
        Mosquitto(tmp_path, tls=pki.broker) as broker,
        Running(make_uplink(mqtt_config(broker.url, tls=pki.good), outbox, told, folder=pki.folder)) as uplink,
    ):
        await until(lambda: not outbox.queued)
        assert uplink.status()["broker"].startswith("mqtts://")
        await broker.restart()
        outbox.make(300, bytes_each=5000)
        uplink.wake()
        await until(lambda: not outbox.queued)
    assert told.alarms == []


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("expired", "the broker says that this node's certificate has expired"),
        ("foreign", "the broker does not know the authority of this node's certificate"),
        ("wrong_ca", "the broker's certificate does not come from the authority in `ca`"),
        ("wrong_key", "is not the key of"),
        ("no_file", "nowhere.pem: No such file or directory"),
        ("no_pem", "nonsense.pem holds no certificate in PEM"),
    ],
)
async def test_each_thing_that_is_wrong_with_a_certificate_is_named_once(
    tmp_path: Path, pki: Pki, who: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edge")
    outbox, told = OutboxDouble(), Told()
    outbox.make(1)
    async with Mosquitto(tmp_path, tls=pki.broker) as broker:
        config = mqtt_config(broker.url, tls=getattr(pki, who))
        async with Running(make_uplink(config, outbox, told, folder=pki.folder, hasty=False)) as uplink:
            await until(lambda: told.alarms)
            assert words in uplink.status()["error"]
            assert uplink.status()["failure"] == "credential"
            assert uplink.status()["next_attempt_in_s"] > 40
            uplink.link_up()  # and once more, at once
            await until(lambda: uplink.status()["next_attempt_in_s"] > 40)
    assert [kind for kind, _text in told.alarms] == ["credential"]
    assert len(caplog.records) == 1
    assert words in caplog.text
    assert outbox.queued == 1


async def test_a_certificate_that_was_mended_is_used_without_a_restart(tmp_path: Path, pki: Pki) -> None:
    for kind, source in pki.foreign.items():
        (tmp_path / kind).write_bytes(Path(source).read_bytes())
    async with Mosquitto(tmp_path / "broker", tls=pki.broker) as broker:
        config = mqtt_config(broker.url, tls={"ca": "ca", "cert": "cert", "key": "key"})
        async with Running(make_uplink(config, OutboxDouble(), Told(), folder=tmp_path)) as uplink:
            await until(lambda: uplink.status()["failure"] == "credential")
            for kind, source in pki.good.items():
                (tmp_path / kind).write_bytes(Path(source).read_bytes())
            await until(lambda: uplink.is_connected)
            assert (uplink.status()["failure"], uplink.status()["broker"]) == (None, broker.url)


async def test_a_clock_that_may_be_wrong_is_mentioned(tmp_path: Path, pki: Pki) -> None:
    """Row 24: a box that boots in 1970 finds every certificate not yet valid."""
    async with Mosquitto(tmp_path, tls=pki.early_broker) as broker:
        config = mqtt_config(broker.url, tls=pki.good)
        async with Running(make_uplink(config, OutboxDouble(), Told(), folder=pki.folder)) as uplink:
            await until(lambda: uplink.status()["error"])
            assert uplink.status()["error"].endswith("is the clock of this box right?")


async def test_a_broker_under_another_name_is_not_taken_for_ours(tmp_path: Path, pki: Pki) -> None:
    async with Mosquitto(tmp_path, tls=pki.broker) as broker:
        config = mqtt_config(broker.url.replace("localhost", "127.0.0.2"), tls=pki.good)
        async with Running(make_uplink(config, OutboxDouble(), Told(), folder=pki.folder)) as uplink:
            await until(lambda: uplink.status()["error"])
            assert uplink.status()["failure"] in ("credential", "link")  # it listens on 127.0.0.1 alone


@pytest.mark.parametrize("is_tls_broker", [True, False])
async def test_tls_on_one_side_only_is_told_and_tried_again(tmp_path: Path, pki: Pki, is_tls_broker: bool) -> None:
    async with Mosquitto(tmp_path, tls=pki.broker if is_tls_broker else None) as broker:
        url = f"{'mqtt' if is_tls_broker else 'mqtts'}://localhost:{broker.port}"
        config = mqtt_config(url, tls=pki.good)
        async with Running(make_uplink(config, OutboxDouble(), Told(), folder=pki.folder)) as uplink:
            await until(lambda: uplink.status()["error"])
            assert uplink.status()["failure"] in ("link", "silent-close")


async def test_an_unknown_host_is_told_and_tried_again() -> None:
    config: MqttConfig = msgspec.structs.replace(
        mqtt_config("mqtt://localhost"), brokers=("mqtt://no-such-host.invalid",), insecure_plain_mqtt=True
    )
    async with Running(make_uplink(config, OutboxDouble(), Told())) as uplink:
        await until(lambda: uplink.status()["error"], within_s=30)
        assert uplink.status()["error"].startswith("the host name cannot be resolved")
