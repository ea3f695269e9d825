"""What brokers and networks do to an uplink: the rows of docs/field_failures.md that are its own, and hostile bytes."""

import asyncio
import gc
import random
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tests.outbox_double import EPOCH, NODE, OutboxDouble, Running, Told, make_uplink, mqtt_config, until
from edge.tests.scripted_broker import Publish, ScriptedBroker
from edge.uplinks import link_watch
from edge.uplinks.mqtt import MAX_PACKET_BYTES, Accepted, Ended, MqttConnection
from emulators.broker import Mosquitto
from emulators.tcp_proxy import NO_FAULTS, TcpFaults, TcpProxy

ACK_TOPIC = f"wayside/1/down/{NODE}/ack"


async def test_a_receive_maximum_of_eight_holds_over_a_hundred_reconnects() -> None:
    """Row 22: never more than 8 unacknowledged, no packet id twice at once, no stall in 100 reconnects."""
    outbox, told = OutboxDouble(), Told()
    async with ScriptedBroker(receive_maximum=8, acks_apart=True) as broker:
        async with Running(make_uplink(mqtt_config(broker.url), outbox, told)) as uplink:
            for round_number in range(1, 101):
                outbox.make(30)
                uplink.wake()
                await until(lambda: len(outbox.acked) > len(outbox.made) - 15)
                broker.reset_all()  # in the middle of a window
                await until(lambda: len(broker.connects) > round_number)  # noqa: B023 # it waits before the next round
            await until(lambda: not outbox.queued)
        assert broker.violations == []
        assert broker.most_unacked == 8
        assert len(broker.payloads("/flow-1")) < 3000 + 100 * 8  # repeats: at most a window each time


async def test_odd_answers_end_and_the_backlog_drains(request: pytest.FixtureRequest) -> None:
    """Row 19: acknowledged, refused, swallowed, reset at random from a seed; then all is delivered, by itself."""
    chance = random.Random(19)
    outbox, told = OutboxDouble(resend_s=0.05), Told()
    weights = {0: 80, 0x87: 8, 0x97: 4, "swallow": 1, "reset": 3}
    is_odd = True

    def answer(_publish: Publish) -> int | str:
        return chance.choices(list(weights), list(weights.values()))[0] if is_odd else 0

    lasts_s = 60.0 if request.config.getoption("--long") else 3.0
    async with ScriptedBroker(answer=answer, receive_maximum=10) as broker:
        uplink = make_uplink(mqtt_config(broker.url), outbox, told)
        async with Running(uplink):
            loop = asyncio.get_running_loop()
            ends_at = loop.time() + lasts_s
            while loop.time() < ends_at:
                outbox.make(5)
                uplink.wake()
                await asyncio.sleep(0.01)
                if uplink.status()["in_flight"] == 10:
                    broker.reset_all()  # a window full of swallowed messages: what 20 s would do
            is_odd = False
            broker.reset_all()
            await until(lambda: not outbox.queued, within_s=30)
        assert broker.violations == []
        assert outbox.refused_seqs
        assert len(broker.connects) > 5


async def test_what_the_ingest_does_not_acknowledge_is_sent_again() -> None:
    """Row 8: a broker that acknowledges and a database that loses."""
    outbox, told = OutboxDouble(acknowledged_by="ingest", resend_s=0.1), Told()
    outbox.make(20, route="transaction/fare")
    async with (
        ScriptedBroker() as broker,
        Running(make_uplink(mqtt_config(broker.url, acknowledged_by="ingest"), outbox, told)),
    ):
        await until(lambda: len(broker.payloads("/fare")) >= 60)
        assert outbox.queued == 20
        assert set(broker.payloads("/fare")) == {entry.payload for entry in outbox.made.values()}
        broker.send(ACK_TOPIC, b'{"lane": "telemetry", "epoch": "%s", "upto": 20}' % EPOCH.encode())
        await until(lambda: not outbox.queued)


async def test_a_frozen_broker_is_left_within_one_and_a_half_keepalives(tmp_path: Path) -> None:
    """Row 23: the process is stopped, its sockets stay open; the second broker gets all that is made meanwhile."""
    outbox, told = OutboxDouble(), Told()
    async with Mosquitto(tmp_path / "a") as first, Mosquitto(tmp_path / "b") as second:
        config = mqtt_config(first.url, second.url)
        config = msgspec.structs.replace(config, keepalive_s=2)  # below what a file may say, so that the test is short
        async with Running(make_uplink(config, outbox, told)) as uplink:
            await until(lambda: uplink.is_connected)
            first.freeze()
            frozen_at = asyncio.get_running_loop().time()
            await until(lambda: not uplink.is_connected, within_s=4)
            assert asyncio.get_running_loop().time() - frozen_at <= 1.5 * 2 + 0.2
            outbox.make(50)
            uplink.wake()
            await until(lambda: not outbox.queued)
            assert uplink.status()["broker"] == second.url
        first.resume()


async def test_a_publish_that_is_never_acknowledged_is_a_dead_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 23: also where pings are answered."""
    monkeypatch.setattr(link_watch, "PUBACK_WITHIN_S", 0.3)
    outbox, told = OutboxDouble(), Told()

    def answer(publish: Publish) -> int | str:
        return 0 if publish.topic.endswith("state") else "swallow"

    async with ScriptedBroker(answer=answer) as first, ScriptedBroker() as second:
        async with Running(make_uplink(mqtt_config(first.url, second.url), outbox, told)) as uplink:
            await until(lambda: uplink.is_connected)
            outbox.make(40)
            uplink.wake()
            await until(lambda: not outbox.queued)
            assert uplink.status()["broker"] == second.url
        assert len(first.payloads("/flow-1")) == 16


async def test_a_black_hole_on_the_way_is_noticed_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows 12, 21: nothing is restarted by hand, and the backlog starts as soon as the line is back."""
    monkeypatch.setattr(link_watch, "PUBACK_WITHIN_S", 0.5)
    outbox, told = OutboxDouble(), Told()
    async with Mosquitto(tmp_path) as broker, TcpProxy(broker.host, broker.port) as proxy:
        url = f"mqtt://127.0.0.1:{proxy.port}"
        async with Running(make_uplink(mqtt_config(url), outbox, told)) as uplink:
            await until(lambda: uplink.is_connected)
            for faults in (TcpFaults(black_hole=True), TcpFaults(freeze=True), TcpFaults(cut_after_bytes=2000)):
                proxy.faults = faults
                outbox.make(30)
                uplink.wake()
                await until(lambda: not uplink.is_connected)
                proxy.faults = TcpFaults(refuse=True)
                proxy.reset_all()
                await until(lambda: uplink.status()["error"] == "nothing answers on this port")
                proxy.faults = NO_FAULTS
                await until(lambda: not outbox.queued)
            proxy.faults = TcpFaults(latency_s=0.02, jitter_s=0.02, slice_bytes=7)
            outbox.make(5)
            uplink.wake()
            await until(lambda: not outbox.queued)
            assert uplink.is_connected
    assert outbox.acked == set(range(1, 96))
    assert outbox.refused_seqs == []
    assert told.connections == 4


async def test_a_broker_that_comes_and_goes_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "edge")
    async with ScriptedBroker() as broker, Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())):
        for count in range(1, 30):
            await until(lambda: len(broker.published) >= count)  # noqa: B023 # it waits before the next turn
            broker.reset_all()
        await until(lambda: len(broker.published) >= 30)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x30\xff\xff\xff\x7f" + b"x" * 1000,  # a message of 256 MB
        b"\x34\x09\x00\x01t\x00\x01\x00abc" * 20,  # QoS 2 that nobody asked for
        b"\x36\x09\x00\x01t\x00\x01\x00abc",  # QoS 3
        b"\x20\x03\x00\x00\x00",  # a second CONNACK
        b"\x40\x03\x00\x01\x8e",  # a reason code that PUBACK does not have
        b"\xf0\x00",  # AUTH
        b"\x00\xff\xff\xff\xff\xff",  # a length of five digits
        b"\xe0\x02\x9d\x00",  # "server moved", with properties
        b"\x30\x08\x00\x01t\x05\x26\x00\x01a\x00",  # a user property cut off
    ],
)
async def test_a_hostile_broker_is_hung_up_on_and_tried_again(hostile: bytes) -> None:
    outbox, told = OutboxDouble(), Told()
    async with ScriptedBroker() as broker, Running(make_uplink(mqtt_config(broker.url), outbox, told)) as uplink:
        await until(lambda: uplink.is_connected)
        broker.send_raw(hostile)
        await until(lambda: len(broker.connects) == 2)
        outbox.make(5)
        uplink.wake()
        await until(lambda: not outbox.queued)
    assert broker.violations == []


class _Deaf:
    """Takes whatever a connection says."""

    def __init__(self) -> None:
        self.ended: list[Ended] = []
        self.accepted: list[Accepted] = []

    def on_accepted(self, accepted: Accepted) -> None:
        self.accepted.append(accepted)

    def on_puback(self, packet_id: int, code: int) -> None: ...
    def on_suback(self, codes: list[int]) -> None: ...
    def on_message(self, topic: str, payload: bytes, *, is_retained: bool) -> None: ...
    def on_bytes(self) -> None: ...
    def on_writable(self) -> None: ...

    def on_ended(self, ended: Ended) -> None:
        self.ended.append(ended)


class _Transport(asyncio.Transport):
    def __init__(self, protocol: MqttConnection) -> None:
        super().__init__()
        self._protocol = protocol
        self.aborted = False
        protocol.connection_made(self)

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            self._protocol.connection_lost(None)


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\x40\x02\x00\x01", b"\x90\x04\x00\x01\x00\x01", b"\xd0\x00", b"\x30\x04\x00\x01t\x00"]),
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(mqtt5=st.booleans(), is_accepted=st.booleans(), pieces=st.lists(PIECES, max_size=8))
def test_fuzz_whatever_a_broker_sends_a_connection_lives_or_ends_and_raises_nothing(
    mqtt5: bool, is_accepted: bool, pieces: list[bytes]
) -> None:
    listener = _Deaf()
    connection = MqttConnection(client_id=NODE, mqtt5=mqtt5, keepalive_s=30, listener=listener)
    transport = _Transport(connection)
    connection.start(will_topic="t", will_payload=b"{}")
    if is_accepted:
        connection.data_received(b"\x20\x03\x00\x00\x00" if mqtt5 else b"\x20\x02\x00\x00")
        connection.publish("a", b"b", qos=1)
        connection.flush()
    for piece in pieces:
        if not transport.aborted:
            connection.data_received(piece)
    assert len(listener.ended) == transport.aborted


def test_a_packet_that_never_ends_takes_no_more_memory_than_one_packet_may() -> None:
    connection = MqttConnection(client_id=NODE, mqtt5=True, keepalive_s=30, listener=_Deaf())
    transport = _Transport(connection)
    connection.start(will_topic="t", will_payload=b"{}")
    connection.data_received(b"\x20\x03\x00\x00\x00")
    gc.collect()
    tracemalloc.start()
    connection.data_received(b"\x30\xff\xff\x0f")  # 262 143 bytes
    for _ in range(262_143 // 1000):
        connection.data_received(b"x" * 1000)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MAX_PACKET_BYTES
    connection.data_received(b"x" * 143)
    assert transport.aborted  # it was no message either
