"""A session with a broker: what goes first, what is refused, what is kept, what is sent again."""

import asyncio
import json
import zlib

import pytest

from edge.tests.outbox_double import EPOCH, NODE, OutboxDouble, Running, Told, make_uplink, mqtt_config, stays, until
from edge.tests.scripted_broker import Publish, ScriptedBroker
from edge.uplinks.mqtt import MqttConnection

UP = f"wayside/1/up/{NODE}/"
DOWN = f"wayside/1/down/{NODE}/"


async def test_birth_stands_before_all_records_and_farewell_after_them() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(20)
    async with ScriptedBroker() as broker:
        uplink = make_uplink(mqtt_config(broker.url), outbox, told)
        uplink.publish("health", b"{}", qos=0)  # nobody is connected, so nobody misses it
        uplink.publish("result/01jd", b"{}")
        async with Running(uplink):
            await until(lambda: not outbox.queued)
            uplink.leaving("maintenance")
        await until(lambda: broker.disconnects)
    assert broker.packets[:4] == ["CONNECT", "SUBSCRIBE", f"PUBLISH {UP}state", f"PUBLISH {UP}result/01jd"]
    assert broker.packets[-2:] == [f"PUBLISH {UP}state", "DISCONNECT"]
    assert len(broker.packets) == 4 + 20 + 2
    birth, farewell = broker.states()
    assert (birth["online"], birth["session"]) == (True, 1)
    assert (farewell["online"], farewell["session"], farewell["why"]) == (False, 1, "maintenance")
    assert all(publish.retain and publish.qos == 1 for publish in broker.published if publish.topic == UP + "state")
    assert broker.violations == []


async def test_the_will_and_the_session_are_as_the_wire_wants_them() -> None:
    async with ScriptedBroker() as broker, Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())):
        await until(lambda: broker.published)
    connect = broker.connects[0]
    assert (connect.version, connect.client_id, connect.clean, connect.keepalive_s) == (5, NODE, False, 30)
    assert (connect.will_topic, connect.will_qos, connect.will_retain) == (UP + "state", 1, True)
    assert connect.will_properties == b"\x18\x00\x00\x00\x1e"  # will delay 30 s
    assert b"\x11\x00\x01\x51\x80" in connect.properties  # session expiry 24 h
    will = json.loads(connect.will_payload)
    assert (will["online"], will["session"]) == (False, 1)
    assert broker.subscriptions == [DOWN + "#", "wayside/1/ingest"]


async def test_each_connection_has_a_session_number_of_its_own_in_will_and_birth() -> None:
    async with ScriptedBroker() as broker, Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())):
        for count in range(1, 4):
            await until(lambda: len(broker.published) == count)  # noqa: B023 # it waits before the next turn
            broker.reset_all()
        await until(lambda: len(broker.published) == 4)
    assert [json.loads(connect.will_payload)["session"] for connect in broker.connects] == [1, 2, 3, 4]
    assert [state["session"] for state in broker.states()][:4] == [1, 2, 3, 4]


async def test_what_goes_first_at_each_connect_goes_before_records() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(3)
    async with ScriptedBroker() as broker:
        uplink = make_uplink(
            mqtt_config(broker.url), outbox, told, on_connected=lambda: uplink.publish("reported", b"{}", retain=True)
        )
        async with Running(uplink):
            await until(lambda: not outbox.queued)
    assert [packet.rpartition("/")[2] for packet in broker.packets[2:5]] == ["state", "reported", "flow-1"]


async def test_messages_from_above_reach_the_gateway_and_nonsense_is_counted() -> None:
    outbox, told = OutboxDouble(acknowledged_by="ingest"), Told()
    outbox.make(5)
    async with ScriptedBroker() as broker:
        uplink = make_uplink(mqtt_config(broker.url, acknowledged_by="ingest", groups=["north"]), outbox, told)
        async with Running(uplink):
            await until(lambda: len(broker.published) == 6)
            broker.send(DOWN + "command", b"c1", qos=1)
            broker.send(DOWN + "command", b"c2", qos=1)
            broker.send(DOWN + "desired", b"d")
            broker.send(DOWN + "desired", b"")  # a retained message was removed
            broker.send("wayside/1/group/north/notice", b"n")
            broker.send("wayside/1/group/south/notice", b"not ours")
            broker.send("wayside/1/ingest", b'{"online": true, "time": 0, "id": "ingest-1"}')
            for hostile in (b"", b"{", b"[]", b'{"lane": "telemetry"}', b"\xff" * 100, b"[" * 10_000):
                broker.send(DOWN + "ack", hostile)
            broker.send("", b"invalid topic", raw_topic=b"\xff\xfe")
            ack = {"lane": "telemetry", "epoch": EPOCH, "upto": 2, "also": [[4, 5]]}
            broker.send(DOWN + "ack", json.dumps(ack).encode())
            await until(lambda: len(outbox.acked) == 4)
            assert outbox.answered == []
            broker.send(DOWN + "ack", json.dumps(ack | {"session": outbox.session}).encode())
            await until(lambda: outbox.answered == [outbox.session])
            await until(lambda: broker.packets.count("PUBACK") == 2)
            assert uplink.status()["bad_messages"] == 6
            assert uplink.status()["ingest"] is True
    assert (told.commands, told.desired, told.notices, outbox.ingest) == ([b"c1", b"c2"], [b"d"], [b"n"], [True])
    assert broker.subscriptions[-1] == "wayside/1/group/north/notice"


async def test_a_refused_publish_is_kept_and_alarmed_once(caplog: pytest.LogCaptureFixture) -> None:
    """A PUBACK with 0x87 is no acknowledgement. The log tells of it too, for the alarm may not get out."""
    outbox, told = OutboxDouble(resend_s=0.02), Told()
    outbox.make(3)
    outbox.make(1, route="event/tap")
    denied = True

    def answer(publish: Publish) -> int:
        return 0x87 if denied and "telemetry" in publish.topic else 0

    async with (
        ScriptedBroker(answer=answer) as broker,
        Running(make_uplink(mqtt_config(broker.url), outbox, told)) as uplink,
    ):
        await until(lambda: len(outbox.refused_seqs) >= 9)
        assert outbox.acked == {4}
        assert uplink.status()["refused_names"] == ["telemetry/flow-1"]
        denied = False
        await until(lambda: not outbox.queued)
        assert uplink.status()["refused_names"] == []
    assert told.alarms == [("publish-refused", "telemetry/flow-1: the broker refuses it with reason code 0x87")]
    assert [record.levelname for record in caplog.records if "0x87" in record.getMessage()] == ["ERROR"]
    assert len(broker.connects) == 1


async def test_what_is_no_record_waits_within_a_bound_that_the_status_states() -> None:
    """Row 7 of docs/field_failures.md: nobody is reached, and everything goes on being said."""
    uplink = make_uplink(mqtt_config("mqtt://127.0.0.1:1"), OutboxDouble(), Told())
    assert sum(uplink.publish(f"result/{number}", b"x") for number in range(1_000)) == uplink.status()["queued_limit"]
    assert uplink.status()["queued"] == uplink.status()["queued_limit"] == 256
    assert uplink.status()["dropped"] == 1_000 - 256


@pytest.mark.parametrize(("versions", "code"), [((4, 5), "0x87"), ((4,), "0x80")])
async def test_a_refused_subscription_is_alarmed_once_until_it_is_granted(
    versions: tuple[int, ...], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also over connections: what a broker has granted since must not stand in the status for ever."""
    outbox, told = OutboxDouble(), Told()
    async with (
        ScriptedBroker(versions=versions) as broker,
        Running(make_uplink(mqtt_config(broker.url), outbox, told)) as uplink,
    ):
        await until(lambda: uplink.is_connected)
        broker.denied_filters.add(DOWN + "#")
        for connects in (1, 2):
            broker.clients[0].reset()
            await until(lambda most=connects: uplink.status()["sessions"] > most)  # type: ignore[misc]
            await until(lambda: uplink.status()["refused_names"] == [DOWN + "#"])
        broker.denied_filters.clear()
        broker.clients[0].reset()
        await until(lambda: uplink.status()["refused_names"] == [])
    assert told.alarms == [("subscription-refused", f"{DOWN}#: the broker refuses it with reason code {code}")]
    assert [record.levelname for record in caplog.records if code in record.getMessage()] == ["ERROR"]


async def test_a_record_above_the_brokers_maximum_is_kept_and_alarmed_and_stops_nothing() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(1, bytes_each=2000)
    outbox.make(1, bytes_each=200)
    async with (
        ScriptedBroker(max_packet_bytes=1000) as broker,
        Running(make_uplink(mqtt_config(broker.url), outbox, told)) as uplink,
    ):
        await until(lambda: outbox.acked == {2})
        assert outbox.refused_seqs == [1]
        assert uplink.publish("result/a", b"x" * 2000)
        await until(lambda: len(told.alarms) == 2)
    assert [text.partition(":")[0] for _kind, text in told.alarms] == ["telemetry/flow-1", "result/a"]


async def test_a_broker_of_3_1_1_gets_3_1_1_and_is_remembered() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(10)
    async with ScriptedBroker(versions=(4,)) as broker:
        uplink = make_uplink(mqtt_config(broker.url), outbox, told)
        async with Running(uplink):
            await until(lambda: not outbox.queued)
            assert uplink.status()["mqtt"] == "3.1.1"
            broker.reset_all()
            await until(lambda: len(broker.connects) == 3 and uplink.is_connected)
    assert [connect.version for connect in broker.connects] == [5, 4, 4]
    assert not broker.connects[1].clean
    assert broker.connects[1].will_topic == UP + "state"
    assert broker.violations == []


async def test_two_clocks_of_one_broker_hold_the_smaller_keepalive() -> None:
    async with (
        ScriptedBroker(keepalive_s=1) as broker,
        Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())) as uplink,
    ):
        await until(lambda: broker.pings >= 2)
        assert uplink.is_connected
        assert len(broker.connects) == 1


async def test_metered_lines_compress_what_is_long_and_spend_a_budget() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(1, bytes_each=500)
    outbox.make(1, bytes_each=5000)
    async with (
        ScriptedBroker() as broker,
        Running(make_uplink(mqtt_config(broker.url, megabytes_per_day=0.02), outbox, told)) as uplink,
    ):
        await until(lambda: not outbox.queued)
        short, long = broker.payloads("/flow-1")
        assert short[:1] != b"\x78"
        assert zlib.decompress(long) == outbox.made[2].payload
        assert len(long) < 100
        outbox.make(3, bytes_each=900)
        uplink.wake()
        await until(lambda: not uplink._budget.has_some(asyncio.get_running_loop().time()))
        assert uplink.publish("result/a", b"{}")  # what is no record goes all the same
        await until(lambda: broker.payloads("/result/a"))
        assert outbox.queued > 0


async def test_the_window_of_bytes_holds_too() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(16, bytes_each=30_000)
    held: list[Publish] = []

    def answer(publish: Publish) -> int | str:
        held.append(publish)
        return 0 if publish.topic.endswith("state") else "swallow"

    async with (
        ScriptedBroker(answer=answer) as broker,
        Running(make_uplink(mqtt_config(broker.url, in_flight_kb=64), outbox, told)) as uplink,
    ):
        await until(lambda: uplink.status()["in_flight"] == 2)
        await stays(lambda: sum(len(each.payload) for each in held if "flow" in each.topic) < 64 * 1024, 0.05)
        broker.reset_all()
        broker.answer = lambda _publish: 0
        await until(lambda: not outbox.queued)
    assert outbox.acked == set(range(1, 17))


async def test_results_that_were_not_acknowledged_are_sent_again() -> None:
    told = Told()
    async with ScriptedBroker(answer=lambda _publish: "swallow") as broker:
        uplink = make_uplink(mqtt_config(broker.url), OutboxDouble(), told)
        async with Running(uplink):
            await until(lambda: uplink.is_connected)
            for name in ("a", "b", "c"):
                uplink.publish(f"result/{name}", name.encode())
            await until(lambda: broker.payloads("/c"))
            broker.answer = lambda _publish: 0
            broker.published.clear()
            broker.reset_all()
            await until(lambda: broker.payloads("/c"))
    assert [publish.topic[-1] for publish in broker.published if "result" in publish.topic] == ["a", "b", "c"]


async def test_a_defect_of_the_gateway_leaves_no_connection_behind() -> None:
    """The supervisor runs the same uplink again, and it works."""
    outbox, told = OutboxDouble(), Told()

    def fail_once() -> None:
        told.connections += 1
        if told.connections == 1:
            raise ZeroDivisionError

    async with ScriptedBroker() as broker:
        uplink = make_uplink(mqtt_config(broker.url), outbox, told, on_connected=fail_once)
        with pytest.raises(ZeroDivisionError):
            await uplink.run()
        await until(lambda: not broker.clients)
        outbox.make(3)
        async with Running(uplink):
            await until(lambda: not outbox.queued)


async def test_a_mute_broker_does_not_hold_a_cancelled_uplink() -> None:
    async with ScriptedBroker(mute=True) as broker:
        async with asyncio.timeout(5), Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())):
            await until(lambda: broker.connects)
        broker.mute = False
        broker.answer = lambda _publish: "swallow"
        async with asyncio.timeout(8), Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), Told())) as uplink:
            await until(lambda: uplink.is_connected)
        await until(lambda: not broker.clients)
        assert len(broker.connects) == 2


def test_paho_still_makes_its_socket_where_we_hand_it_a_pipe() -> None:
    """The one thing beside paho's public interface that we use; a new release that moves it must be noticed here."""
    connection = MqttConnection(client_id="a", mqtt5=True, keepalive_s=30, listener=None)  # type: ignore[arg-type]
    connection.start(will_topic="t", will_payload=b"p")
    assert connection._client.socket() is connection._pipe
