"""Ports: bytes go both ways, a loss is told once, nothing leaks, and mistakes are named with what would be right."""

import asyncio
import os
import pty
import tty
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.errors import DeviceConfigError, PortError, PortRefusedError
from drivers.ports.memory_port import memory_pair
from drivers.ports.open_port import check_port_url, open_port
from drivers.ports.port import LineSettings
from drivers.ports.serial_port import SerialPort, usb_serial_device
from drivers.ports.tcp_port import TcpPort


class Ear:
    def __init__(self) -> None:
        self.heard = b""
        self.losses: list[PortError] = []
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.news.set()

    def port_lost(self, error: PortError) -> None:
        self.losses.append(error)
        self.news.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def line():
    """A pty as a serial line: (master's descriptor, path of the slave)."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    yield master, os.ttyname(slave)
    for descriptor in (master, slave):
        with suppress(OSError):
            os.close(descriptor)


async def test_a_serial_line_carries_all_256_bytes_both_ways(line):
    master, path = line
    port, ear = SerialPort("serial:line", path, LineSettings()), Ear()
    await port.open(ear)
    os.write(master, bytes(range(256)))
    await ear.until(lambda: len(ear.heard) == 256)
    assert ear.heard == bytes(range(256))
    port.write(bytes(range(256)))
    got = b""
    async with asyncio.timeout(5):
        while len(got) < 256:
            with suppress(BlockingIOError):
                got += os.read(master, 4096)
            await asyncio.sleep(0.001)
    assert got == bytes(range(256))
    await port.aclose()


async def test_a_line_that_hangs_up_is_lost_once_and_opens_again_when_it_is_back(tmp_path):
    """Row 13 of docs/field_failures.md: found again under its stable name, whatever its node is called now."""
    by_id = tmp_path / "usb-adapter"
    master, slave = pty.openpty()
    by_id.symlink_to(os.ttyname(slave))
    port, ear = SerialPort("serial:line", str(by_id), LineSettings()), Ear()
    await port.open(ear)
    os.close(master)
    os.close(slave)
    by_id.unlink()
    await ear.until(lambda: ear.losses)
    with pytest.raises(PortError):
        await port.open(ear)
    with pytest.raises(PortError):
        port.write(b"x")
    master, slave = pty.openpty()
    by_id.symlink_to(os.ttyname(slave))
    await port.open(ear)
    os.write(master, b"back")
    await ear.until(lambda: b"back" in ear.heard)
    await port.aclose()
    assert len(ear.losses) == 1
    os.close(master)
    os.close(slave)


async def test_a_name_that_means_another_device_now_is_a_loss(line, tmp_path, monkeypatch):
    """Row 13 of docs/field_failures.md: some adapters tell of their removal by nothing at all."""
    monkeypatch.setattr("drivers.ports.serial_port.IDENTITY_CHECK_S", 0.01)
    _master, path = line
    by_id = tmp_path / "usb-adapter"
    by_id.symlink_to(path)
    port, ear = SerialPort("serial:line", str(by_id), LineSettings()), Ear()
    await port.open(ear)
    by_id.unlink()
    await ear.until(lambda: ear.losses)
    assert "its name is gone" in str(ear.losses[0])


async def test_a_second_program_is_refused_with_a_reason_that_a_person_can_act_on(line):
    _master, path = line
    first, second = SerialPort("serial:line", path, LineSettings()), SerialPort("serial:line", path, LineSettings())
    await first.open(Ear())
    with pytest.raises(PortRefusedError, match="in use by another program"):
        await second.open(Ear())
    await first.aclose()
    await second.open(Ear())
    await second.aclose()


async def test_a_hundred_openings_leave_no_handle_behind(line):
    _master, path = line
    port = SerialPort("serial:line", path, LineSettings())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        await port.open(Ear())
        await port.aclose()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_line_that_takes_nothing_is_an_error_and_not_a_heap_of_bytes(line):
    _master, path = line
    port = SerialPort("serial:line", path, LineSettings())
    await port.open(Ear())
    with pytest.raises(PortError, match="takes no bytes"):  # noqa: PT012  # which write is refused is the line's affair
        for _ in range(1_000):
            port.write(b"x" * 1_000)
    await port.aclose()


async def test_a_tcp_device_is_talked_to_and_its_hanging_up_is_told_once():
    async def serve(reader, writer):
        writer.write(await reader.read(4))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port, ear = TcpPort("tcp:here", "127.0.0.1", server.sockets[0].getsockname()[1]), Ear()
    async with server:
        await port.open(ear)
        port.write(b"ping")
        await ear.until(lambda: ear.losses)
    assert ear.heard == b"ping"
    assert len(ear.losses) == 1
    await port.aclose()


async def test_a_closed_connection_is_gone_before_the_next_is_made():
    """Row 16 of docs/field_failures.md: a device that takes one connection never sees a second."""
    open_now = most = 0

    async def serve(reader, writer):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        with suppress(ConnectionError):
            await reader.read()
        open_now -= 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = TcpPort("tcp:here", "127.0.0.1", server.sockets[0].getsockname()[1])
    async with server:
        for _ in range(20):
            await port.open(Ear())
            await asyncio.sleep(0.002)
            await port.aclose()
            await asyncio.sleep(0.002)
    assert most == 1


async def test_nobody_there_is_said_with_the_name_of_the_port():
    with pytest.raises(PortError, match=r"tcp:nobody"):
        await TcpPort("tcp:nobody", "127.0.0.1", 1).open(Ear())


async def test_a_memory_pair_can_be_broken_and_opened_again():
    near, far = memory_pair()
    ears = Ear(), Ear()
    await near.open(ears[0])
    await far.open(ears[1])
    near.write(b"hello")
    await ears[1].until(lambda: ears[1].heard == b"hello")
    far.lose()
    assert len(ears[1].losses) == 1
    far.refusal = PortError("not there")
    with pytest.raises(PortError, match="not there"):
        await far.open(ears[1])
    far.refusal = None
    await far.open(ears[1])
    assert far.opened == 2


@pytest.mark.parametrize(
    "url",
    [
        "serial:/dev/serial/by-id/usb-A10K3F?baud=9600&parity=N",
        "serial:usb=A10K3F?baud=115200&parity=E&stop=1",
        "pty:/dev/pts/3",
        "tcp:10.0.0.7:502",
        "tcp:[fe80::1]:502",
        "tcp:meter-1.example:502",
    ],
)
def test_good_urls_open_nothing_and_make_a_port(url):
    assert check_port_url(url) is None
    assert open_port(url).name


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "starts with serial:"),
        ("/dev/ttyS0", "starts with serial:"),
        ("com:1", "starts with serial:"),
        ("tcp:10.0.0.7", "tcp:HOST:PORT"),
        ("tcp:10.0.0.7:0", "1 to 65535"),
        ("tcp:10.0.0.7:99999", "1 to 65535"),
        ("serial:ttyS0", "a whole path"),
        ("serial:usb=", "serial number of a USB adapter"),
        ("serial:/dev/ttyS0?baud=fast", "baud is a number"),
        ("serial:/dev/ttyS0?parity=M", "not M"),
        ("serial:/dev/ttyS0?speed=9600", "not speed"),
        ("serial:/dev/ttyS0?baud=9600&baud=4800", "twice"),
    ],
)
def test_wrong_urls_say_what_would_be_right(url, why):
    assert why in (check_port_url(url) or "")
    with pytest.raises(DeviceConfigError, match=r"."):
        open_port(url)


def test_a_usb_adapter_is_found_by_its_serial_number(tmp_path):
    usb = tmp_path / "devices" / "usb1" / "1-1"
    (usb / "1-1:1.0" / "ttyUSB3").mkdir(parents=True)
    (usb / "serial").write_text("A10K3F\n")
    (tmp_path / "tty" / "ttyUSB3").mkdir(parents=True)
    (tmp_path / "tty" / "ttyUSB3" / "device").symlink_to(usb / "1-1:1.0" / "ttyUSB3")
    (tmp_path / "tty" / "ttyS0").mkdir()
    assert usb_serial_device("A10K3F", tmp_path / "tty") == "/dev/ttyUSB3"
    assert usb_serial_device("OTHER", tmp_path / "tty") is None
