"""The broker as a child process: it comes, goes, dies, freezes and comes back on its port."""

import asyncio
import shutil
import socket
import time
from pathlib import Path

import aiomqtt
import pytest

from emulators.broker import MAX_LOG_LINES, BrokerError, EmbeddedBroker, Mosquitto, _ChildBroker, find_mosquitto

V5 = aiomqtt.ProtocolVersion.V5


async def keep(broker: _ChildBroker, payload: bytes) -> None:
    async with aiomqtt.Client(broker.host, broker.port, protocol=V5) as client:
        await client.publish("a/b", payload, qos=1, retain=True)


async def kept(broker: _ChildBroker) -> bytes | None:
    """What the broker has retained; a message of our own behind it shows that nothing was."""
    async with aiomqtt.Client(broker.host, broker.port, protocol=V5) as client:
        await client.subscribe("a/#", qos=1)
        await client.publish("a/end", b"end", qos=1)
        async for message in client.messages:
            if message.topic.value == "a/end":
                return None
            return bytes(message.payload)
    raise AssertionError


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("kind", [Mosquitto, EmbeddedBroker])
async def test_a_broker_comes_and_goes(kind: type[_ChildBroker], tmp_path: Path) -> None:
    async with kind(tmp_path / "deep" / "folder") as broker:
        assert broker.is_running
        assert broker.pid
        await keep(broker, b"x" * 60_000)
        port = broker.port
        await broker.start()  # running already: nothing happens
        await broker.kill()
        assert not answers(port)
        assert broker.pid is None
        await broker.start()
        assert broker.port == port
        await keep(broker, b"again")
    assert not answers(port)
    await broker.stop()  # stopped already: nothing happens


async def test_mosquitto_keeps_over_a_restart_what_it_is_not_told_to_lose(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        await keep(broker, b"kept")
        await broker.restart()
        assert await kept(broker) == b"kept"
        with pytest.raises(BrokerError):
            broker.forget()
        await broker.restart(lose=True)
        assert await kept(broker) is None
        assert any("terminating" in line or "running" in line for line in broker.log)


async def test_a_frozen_broker_holds_its_connections_and_says_nothing(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with aiomqtt.Client(broker.host, broker.port, protocol=V5) as client:
            broker.freeze()
            publish = asyncio.create_task(client.publish("a/b", b"late", qos=1, timeout=20))
            done, _ = await asyncio.wait([publish], timeout=0.3)
            assert not done
            assert answers(broker.port), "the kernel still takes connections"
            broker.resume()
            await publish
        broker.freeze()
    assert not broker.is_running, "a frozen broker can be stopped"


async def test_a_broker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with pytest.raises(BrokerError, match="no_such_option"):
        await Mosquitto(tmp_path, extra=["no_such_option true"]).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BrokerError, match="in use"):
            await Mosquitto(tmp_path, port=taken.getsockname()[1]).start()
    monkeypatch.setattr("emulators.broker.find_mosquitto", lambda: None)
    with pytest.raises(BrokerError, match="not installed"):
        await Mosquitto(tmp_path).start()
    assert time.monotonic() - started < 9


async def test_its_log_is_bounded(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        for _ in range(MAX_LOG_LINES):
            _, writer = await asyncio.open_connection(broker.host, broker.port)
            writer.write(b"\xff" * 20)
            writer.close()
            await writer.wait_closed()
        assert await kept(broker) is None
    assert 100 < len(broker.log) <= MAX_LOG_LINES


def test_mosquitto_is_found_where_debian_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = find_mosquitto()
    assert found is not None
    assert shutil.which(found)
