"""Hosts: bytes reach the device and come back, lines have their speed, connections their limit, SIGTERM ends all."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
import tty
from contextlib import suppress

import pytest

from emulators.kit.hosts import MemoryHost, PtyHost, TcpHost
from emulators.kit.tap import JsonLines, Tap


class Shouter:
    """Says what it hears in capitals, and `tick` once at `ticks_at`."""

    def __init__(self, ticks_at=None):
        self.ticks_at = ticks_at

    def receive(self, data, now):
        return [data.upper()]

    def tick(self, now):
        if self.ticks_at is None or now < self.ticks_at:
            return []
        self.ticks_at = None
        return [b"tick"]

    def next_deadline(self):
        return self.ticks_at


class Terminal:
    """The other side of a pseudo-terminal."""

    def __init__(self, host):
        self.fd = os.open(host.endpoint.removeprefix("pty:").partition("?")[0], os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.got = b""
        self.times = []

    def read(self):
        with suppress(BlockingIOError):
            data = os.read(self.fd, 4096)
            self.got += data
            self.times.append(asyncio.get_running_loop().time())
        return self.got

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        os.close(self.fd)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_memory():
    heard = []
    host = MemoryHost(Shouter(asyncio.get_running_loop().time() + 0.01))
    host.on_bytes = heard.append
    host.feed(b"hello")
    assert heard == []
    await until(lambda: heard == [b"HELLO", b"tick"])
    assert [(each.who, each.wire) for each in host.tap.heard] == [
        ("master", b"hello"),
        ("device", b"HELLO"),
        ("device", b"tick"),
    ]
    host.close()


async def test_tcp_with_a_limit_of_connections():
    async with TcpHost(Shouter, max_connections=1) as host:
        port = int(host.endpoint.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        second, second_writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await second.readexactly(1)
        second_writer.close()
        assert (host.accepted, host.refused) == (1, 1)
        await host.aclose()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await host.start()  # on the same port
        assert host.endpoint == f"tcp:127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port)):
            pass


async def test_a_pty_without_speed_is_a_pipe_that_survives_its_peer(tmp_path):
    link = tmp_path / "usb-1"
    async with PtyHost([Shouter()], link=link) as host:
        assert host.endpoint == f"pty:{link}"
        for _ in range(2):
            with Terminal(host) as terminal:
                os.write(terminal.fd, b"hello")
                await until(lambda terminal=terminal: terminal.read() == b"HELLO")
    assert not link.is_symlink()


async def test_a_line_has_its_speed():
    """100 bytes at 9600 baud take 104 ms each way: the answer is neither early nor in one piece."""
    async with PtyHost([Shouter()], baud=9600) as host:
        with Terminal(host) as terminal:
            began = asyncio.get_running_loop().time()
            os.write(terminal.fd, b"x" * 100)
            await until(lambda: len(terminal.read()) == 100)
    char_s = 10 / 9600
    assert terminal.times[0] - began > 101 * char_s - 0.001
    assert terminal.times[-1] - began > 200 * char_s - 0.001
    assert len(terminal.times) > 10
    (asked, answered) = host.tap.heard
    assert asked.ended - asked.started == pytest.approx(100 * char_s)
    assert answered.ended - answered.started >= 100 * char_s - 0.001


async def test_a_request_without_silence_before_it_is_heard_by_nobody():
    silence_s = 0.02
    async with PtyHost([Shouter()], baud=38_400, silence_s=silence_s) as host:
        with Terminal(host) as terminal:
            os.write(terminal.fd, b"hello")
            await until(lambda: terminal.read() == b"HELLO")
            os.write(terminal.fd, b"too early")
            await until(lambda: host.tap.violations == 1)
            await until(lambda: asyncio.get_running_loop().time() > host.tap.heard[-1].ended + 2 * silence_s)
            os.write(terminal.fd, b"good")
            await until(lambda: terminal.read() == b"HELLOGOOD")
            assert host.tap.violations == 1


async def test_units_share_a_line():
    class Picky(Shouter):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def receive(self, data, now):
            return [data + b"!"] if data == self.name else []

    async with PtyHost([Picky(b"a"), Picky(b"b")]) as host:
        with Terminal(host) as terminal:
            for name in (b"a", b"b"):
                os.write(terminal.fd, name)
                await until(lambda name=name: terminal.read().endswith(name + b"!"))
        assert terminal.got == b"a!b!"


async def test_a_reader_that_does_not_read_costs_bounded_memory():
    class Loud(Shouter):
        def receive(self, data, now):
            return [bytes(4096)] * 100

    async with PtyHost([Loud()]) as host:
        with Terminal(host) as terminal:
            os.write(terminal.fd, b"x")
            await until(lambda: len(host.tap.of("device")) > 0)
            assert len(host._outgoing) == 0


def test_json_lines_are_whole_at_once(tmp_path):
    file = tmp_path / "truth.jsonl"
    with JsonLines(file) as lines:
        lines.write({"what": "湿度"})
        tap = Tap(lines.heard)
        tap.hear(1.0, 2.0, "master", b"\1\2")
        records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert records[0]["what"] == "湿度"
    assert records[1].items() >= {"started": 1.0, "ended": 2.0, "who": "master", "hex": "0102"}.items()
    assert abs(records[0]["time"] / 1000 - time.time()) < 60


async def test_a_process_of_hosts_says_where_it_is_and_ends_on_sigterm():
    code = (
        "from emulators.kit.hosts import *; from emulators.modbus_server import *\n"
        "unit = ModbusUnit(1)\n"
        "run_hosts(lambda: [TcpHost(lambda: TcpUnits([unit])), PtyHost([RtuUnits([unit])], baud=9600)])\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        endpoints = [json.loads(await process.stdout.readline())["endpoint"] for _ in range(2)]
        assert endpoints[0].startswith("tcp:127.0.0.1:")
        assert endpoints[1].startswith("pty:/dev/pts/")
        assert endpoints[1].endswith("?baud=9600")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
