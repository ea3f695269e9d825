"""The access list that we ship, on a real Mosquitto over real mutual TLS, judged by what is delivered.

Mosquitto grants a subscription that its list denies and acknowledges a publish that nobody will see, so neither SUBACK
nor PUBACK proves anything here: an observer who may do everything sees what got through, and what he says shows who
hears it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest

from edge.identity.development_ca import Credential, DevelopmentCa
from emulators.broker import BrokerTls, Mosquitto

pytestmark = pytest.mark.hil

ACL = Path(__file__).parents[1] / "edge/deploy/mosquitto.acl"
CONF = ACL.with_name("mosquitto.conf")
NODES = ("rsu-1", "rsu-2")
CLIENTS = (*NODES, "ingest", "control", "rollout")
GROUP_OF = {"rsu-1": "north", "rsu-2": "south"}
UP = (
    "telemetry/flow-1", "backfill/flow-1", "event/alarm", "event/update", "transaction/fare", "transaction/update",
    "state", "catalogue/a91f03", "reported", "health", "result/01jd", "request/desired",
)  # fmt: skip
DOWN = ("command", "desired", "ack")
HEARD_BY = {
    "control": ("reported", "result/01jd"),
    "rollout": ("state", "reported", "health", "event/update", "result/01jd"),
}
"""Of what nodes say, by role."""
NOTICES = ("wayside/1/group/north/notice", "wayside/1/group/south/notice")
OUTSIDE = (
    "wayside", "wayside/1", "wayside/1/up", "wayside/1/up/rsu-1", "wayside/2/up/rsu-1/state", "wayside/1/ingest/x",
    "wayside/1/down/rsu-1", "wayside/1/up/ingest/state", "wayside/1/up/control/state", "wayside/1/down/ingest/command",
    "wayside/1/down/control/command", "wayside/1/up/rollout/state", "wayside/1/down/rollout/command",
    "wayside/1/up/rollout/event/update", "wayside/1/up/rsu-1/event/update/x",
    "wayside/1/group/north", "wayside/1/group/north/notice/x", "rsu-1", "other/topic",
)  # fmt: skip
TOPICS = (
    *(f"wayside/1/up/{node}/{tail}" for node in NODES for tail in UP),
    *(f"wayside/1/down/{node}/{tail}" for node in NODES for tail in DOWN),
    *NOTICES,
    "wayside/1/ingest",
    *OUTSIDE,
)


def may_write(client: str, topic: str) -> bool:
    """The contract, in words of its own and not in Mosquitto's."""
    if client in NODES:
        return topic.startswith(f"wayside/1/up/{client}/") or topic == f"wayside/1/up/{client}"  # `/#` is the level too
    *branch, owner, kind = ["", *topic.split("/")]
    is_down = branch == ["", "wayside", "1", "down"] and owner != client
    if client == "ingest":
        return topic == "wayside/1/ingest" or (is_down and kind == "ack")
    if client == "rollout":
        return is_down and kind == "command"
    return topic in NOTICES or (is_down and kind in ("command", "desired"))


def may_read(client: str, topic: str) -> bool:
    if topic == "wayside/1/ingest":
        return client != "rollout"
    if client in NODES:
        down = f"wayside/1/down/{client}"
        return topic.startswith(f"{down}/") or topic in (down, f"wayside/1/group/{GROUP_OF[client]}/notice")
    if client == "ingest":
        return topic.startswith("wayside/1/up") and topic != "wayside/1/up/ingest/state"
    up, _, said = topic.removeprefix("wayside/1/up/").partition("/")
    return topic.startswith("wayside/1/up/") and up != client and said in HEARD_BY[client]


class Bench:
    """A broker with the shipped list, and whoever has a certificate."""

    def __init__(self, broker: Mosquitto, ca: DevelopmentCa, credentials: dict[str, Credential]) -> None:
        self.broker = broker
        self.ca = ca
        self.credentials = credentials

    def client(self, name: str) -> aiomqtt.Client:
        credential = self.credentials[name]
        return self.client_with(
            aiomqtt.TLSParameters(ca_certs=str(self.ca.ca), certfile=str(credential.cert), keyfile=str(credential.key)),
            name,
        )

    def client_with(self, tls: aiomqtt.TLSParameters, name: str, timeout: float = 10) -> aiomqtt.Client:
        return aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            identifier=name,
            tls_params=tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=timeout,
        )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    now = datetime.now(UTC)
    ca = DevelopmentCa.create(tmp_path / "pki", now=now)
    server = ca.issue_server("broker", now=now)
    credentials = {name: ca.issue_client(name, now=now) for name in (*CLIENTS, "observer")}
    acl = tmp_path / "acl"
    groups = "".join(f"user {node}\ntopic read wayside/1/group/{group}/notice\n" for node, group in GROUP_OF.items())
    acl.write_text(ACL.read_text() + groups + "user observer\ntopic readwrite #\npattern read end/%u\n")
    broker = Mosquitto(
        tmp_path / "broker", tls=BrokerTls(ca=ca.ca, cert=server.cert, key=server.key), acl=acl.resolve()
    )
    async with broker:
        yield Bench(broker, ca, credentials)


@asynccontextmanager
async def all_clients(bench: Bench) -> AsyncIterator[dict[str, aiomqtt.Client]]:
    async with AsyncExitStack() as stack:
        names = (*CLIENTS, "observer")
        yield {name: await stack.enter_async_context(bench.client(name)) for name in names}


async def taken_over(client: aiomqtt.Client, successor: aiomqtt.Client) -> None:
    """A second connection under the same name ends the first without a farewell, so its will is due."""
    async with client:
        async with successor:
            pass
        async for _ in client.messages:
            pass


async def heard(client: aiomqtt.Client, end: bytes) -> set[tuple[str, bytes]]:
    """All that arrives before `end`."""
    messages: set[tuple[str, bytes]] = set()
    async with asyncio.timeout(30):
        async for message in client.messages:
            if message.payload == end:
                return messages
            messages.add((message.topic.value, bytes(message.payload)))
    raise AssertionError


async def test_only_what_the_contract_allows_is_published(bench: Bench) -> None:
    async with all_clients(bench) as clients:
        observer = clients["observer"]
        await observer.subscribe("#", qos=1)
        for name in CLIENTS:
            for topic in TOPICS:
                await clients[name].publish(topic, name.encode(), qos=1)
        await observer.publish("end", b"end", qos=1)
        got = await heard(observer, b"end")
    want = {(topic, name.encode()) for name in CLIENTS for topic in TOPICS if may_write(name, topic)}
    assert got - want == set(), "got through although it is denied"
    assert want - got == set(), "was stopped although it is allowed"


async def test_a_will_is_held_to_the_same_list(bench: Bench) -> None:
    async with bench.client("observer") as observer:
        await observer.subscribe("#", qos=1)
        credential = bench.credentials["rsu-1"]
        for topic in ("wayside/1/up/rsu-2/state", "wayside/1/up/rsu-1/state"):
            client = aiomqtt.Client(
                bench.broker.host,
                bench.broker.port,
                identifier="rsu-1",
                protocol=aiomqtt.ProtocolVersion.V5,
                tls_params=aiomqtt.TLSParameters(
                    ca_certs=str(bench.ca.ca), certfile=str(credential.cert), keyfile=str(credential.key)
                ),
                will=aiomqtt.Will(topic, b"will", qos=1),
            )
            with pytest.raises(aiomqtt.MqttError):
                await taken_over(client, bench.client("rsu-1"))
        await observer.publish("end", b"end", qos=1)
        assert await heard(observer, b"end") == {("wayside/1/up/rsu-1/state", b"will")}


FILTERS = (
    ["#", "$SYS/#"],
    ["wayside/#"],
    ["wayside/1/+/+/#", "wayside/1/ingest"],
    ["$share/ingest/wayside/1/up/#", "wayside/1/down/#", "wayside/1/group/#", "wayside/1/ingest", "other/#"],
    list(TOPICS),
)


@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: wanted[0])
@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
async def test_only_what_the_contract_allows_is_heard(bench: Bench, wanted: list[str], retain: bool) -> None:
    async with all_clients(bench) as clients:
        observer = clients["observer"]

        async def say() -> None:
            for topic in TOPICS:
                await observer.publish(topic, b"said", qos=1, retain=retain)

        if retain:
            await say()
        for name in CLIENTS:
            for pattern in wanted:
                own = pattern.replace("$share/ingest/", f"$share/{name}/")  # one share each, so that all would hear
                if not (retain and own.startswith("$share")):  # shared subscriptions get nothing retained
                    await clients[name].subscribe(own, qos=1)
            await clients[name].subscribe(f"end/{name}", qos=1)
        if not retain:
            await say()
        for name in CLIENTS:
            await observer.publish(f"end/{name}", b"end", qos=1)
        for name in CLIENTS:
            got = {topic for topic, _ in await heard(clients[name], b"end")}
            want = {
                topic for topic in TOPICS if may_read(name, topic) and any(covers(p, topic, retain) for p in wanted)
            }
            assert got - want == set(), f"{name} hears what is denied"
            assert want - got == set(), f"{name} does not hear what is allowed"


def covers(pattern: str, topic: str, retain: bool) -> bool:
    if pattern.startswith("$share/"):
        return not retain and covers(pattern.split("/", 2)[2], topic, retain)
    return aiomqtt.Topic(topic).matches(pattern)


async def test_nobody_comes_in_without_our_certificate(bench: Bench, tmp_path: Path) -> None:
    stranger = DevelopmentCa.create(tmp_path / "other", now=datetime.now(UTC)).issue_client(
        "rsu-1", now=datetime.now(UTC)
    )
    for tls in (
        aiomqtt.TLSParameters(ca_certs=str(bench.ca.ca)),
        aiomqtt.TLSParameters(ca_certs=str(bench.ca.ca), certfile=str(stranger.cert), keyfile=str(stranger.key)),
    ):
        with pytest.raises(aiomqtt.MqttError):
            async with bench.client_with(tls, "rsu-1", timeout=2) as client:
                await client.publish("wayside/1/up/rsu-1/state", b"", qos=1)


async def test_the_shipped_configuration_is_one_that_mosquitto_takes(tmp_path: Path, bench: Bench) -> None:
    """The template with its paths set starts, keeps its promises and complains about nothing."""
    pki = tmp_path / "pki"
    lines = CONF.read_text().replace("/etc/mosquitto/pki/ca.pem", str(bench.ca.ca))
    lines = lines.replace("/etc/mosquitto/pki", str(pki)).replace("/etc/mosquitto/wayside.acl", str(ACL))
    lines = lines.replace("/var/lib/mosquitto/", f"{tmp_path}/kept/")
    (tmp_path / "kept").mkdir()
    ours = [line for line in lines.splitlines() if not line.startswith(("listener", "#", "persistence", "set_tcp"))]
    drop = ("allow_anonymous", "max_inflight", "max_queued")
    broker = Mosquitto(tmp_path / "shipped", extra=[line for line in ours if line and not line.startswith(drop)])
    async with broker:
        bench.broker = broker
        broker._tls = BrokerTls(ca=bench.ca.ca, cert=pki / "broker.pem", key=pki / "broker.key")  # for host and URL
        async with bench.client("ingest") as ingest, bench.client("rsu-1") as node:
            await ingest.subscribe("wayside/1/up/#", qos=1)
            await node.publish("wayside/1/up/rsu-1/state", b"x" * 65_536, qos=1)
            await node.publish("wayside/1/up/rsu-2/state", b"denied", qos=1)
            await node.publish("wayside/1/up/rsu-1/health", b"end", qos=1)
            assert {topic for topic, _ in await heard(ingest, b"end")} == {"wayside/1/up/rsu-1/state"}
    complaints = [line for line in broker.log if "Warning" in line]
    # The second is said in the list itself; the others are about files of this test.
    known = ("run as root", "'wayside/1/ingest' does not contain", "world readable", "owner is not", "group is not")
    assert [line for line in complaints if not any(word in line for word in known)] == []
