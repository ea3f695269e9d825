"""Which broker an uplink turns to, when it tries again, and what it tells of that."""

import asyncio
import json

import pytest

from edge.tests.outbox_double import OutboxDouble, Running, Told, make_uplink, mqtt_config, stays, until
from edge.tests.scripted_broker import ScriptedBroker
from edge.uplinks import mqtt_uplink


async def test_a_takeover_is_an_alarm_and_is_not_fought_over() -> None:
    outbox, told = OutboxDouble(), Told()
    async with (
        ScriptedBroker() as broker,
        Running(make_uplink(mqtt_config(broker.url), outbox, told, hasty=False)) as uplink,
    ):
        await until(lambda: uplink.is_connected)
        broker.disconnect_all(0x8E)
        await until(lambda: not uplink.is_connected)
        status = uplink.status()
    assert told.alarms == [("taken-over", f"{broker.url}: another client has connected under this node's id")]
    assert status["failure"] == "taken-over"
    assert status["next_attempt_in_s"] > 40


@pytest.mark.parametrize(("code", "failure"), [(0x87, "credential"), (0x86, "credential"), (0x88, "busy")])
async def test_a_connack_that_refuses_is_told_once_and_tried_again(
    code: int, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    async with (
        ScriptedBroker(connack=code) as broker,
        Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), told)) as uplink,
    ):
        caplog.set_level("INFO", "edge")
        await until(lambda: len(broker.connects) >= (2 if failure == "credential" else 4), within_s=20)
        assert uplink.status()["failure"] == failure
        broker.connack = 0
        await until(lambda: uplink.is_connected, within_s=20)
    lines = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert len(lines) == 1
    assert len(told.alarms) == (1 if failure == "credential" else 0)
    assert caplog.records[-1].getMessage().startswith(f"uplink: connected to {broker.url} again after")


async def test_3_1_1_return_codes_are_understood_as_well() -> None:
    told = Told()
    async with (
        ScriptedBroker(versions=(4,), connack=5) as broker,
        Running(make_uplink(mqtt_config(broker.url), OutboxDouble(), told)),
    ):
        await until(lambda: told.alarms)
    assert told.alarms == [("credential", f"{broker.url}: the broker says that this node is not authorised")]


async def test_brokers_are_walked_until_one_serves() -> None:
    outbox, told = OutboxDouble(), Told()
    outbox.make(5)
    async with ScriptedBroker(hang_up=True) as first, ScriptedBroker() as second, ScriptedBroker() as third:
        await third.stop()
        urls = (first.url, third.url, second.url)
        async with Running(make_uplink(mqtt_config(*urls), outbox, told)) as uplink:
            await until(lambda: not outbox.queued)
            assert uplink.status()["broker"] == second.url
        await third.start()


async def test_brokers_are_left_while_their_ingest_is_away_but_not_once_it_is_heard() -> None:
    outbox, told = OutboxDouble(acknowledged_by="ingest"), Told()
    online = {"online": True, "time": 0, "id": "ingest-2"}
    async with ScriptedBroker() as first, ScriptedBroker() as second:
        config = mqtt_config(first.url, second.url, acknowledged_by="ingest")
        uplink = make_uplink(config, outbox, told)
        uplink._reconnect._dwell_s = 0.2
        async with Running(uplink):
            await until(lambda: second.connects)
            assert first.states()[-1]["why"] == "no-ingest"
            await until(lambda: second.clients)
            second.send("wayside/1/ingest", json.dumps(online).encode())
            await until(lambda: uplink.status()["ingest"])
            await stays(lambda: uplink.status()["broker"] == second.url, 0.5)  # longer than it stayed with the first
            assert len(first.connects) == 1


async def test_the_preferred_broker_is_returned_to_when_it_answers_again() -> None:
    outbox, told = OutboxDouble(), Told()
    async with ScriptedBroker() as first, ScriptedBroker() as second:
        await first.stop()
        uplink = make_uplink(mqtt_config(first.url, second.url), outbox, told)
        uplink._reconnect._probe_wait_s = 3.0  # hasty: 60 ms
        async with Running(uplink):
            await until(lambda: second.published)
            await first.start()
            await until(lambda: first.published)
            assert second.states()[-1]["why"] == "preferred-is-back"
            outbox.make(3)
            uplink.wake()
            await until(lambda: not outbox.queued)


async def test_link_up_cuts_the_wait_short() -> None:
    outbox, told = OutboxDouble(), Told()
    async with ScriptedBroker() as broker:
        await broker.stop()
        uplink = make_uplink(mqtt_config(broker.url, bearer="satellite"), outbox, told, hasty=False)
        async with Running(uplink):
            await until(lambda: uplink.status()["failure"] == "link")
            assert uplink.status()["next_attempt_in_s"] > 25
            await broker.start()
            uplink.link_up()
            await until(lambda: uplink.is_connected)


async def test_link_up_ends_an_attempt_that_was_made_without_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_uplink, "STUCK_S", 0.1)
    async with ScriptedBroker(mute=True) as broker:
        uplink = make_uplink(mqtt_config(broker.url, bearer="satellite"), OutboxDouble(), Told(), hasty=False)
        async with Running(uplink):
            await until(lambda: broker.connects)
            began = asyncio.get_running_loop().time()
            await until(lambda: asyncio.get_running_loop().time() > began + 0.15)
            broker.mute = False
            uplink.link_up()
            await until(lambda: uplink.is_connected)
            assert asyncio.get_running_loop().time() - began < 5, "it waited neither for CONNACK nor for its next turn"
        assert len(broker.connects) == 2
