"""A receiver on real lines: a pseudo-terminal, a noisy paced one, TCP."""

import asyncio
import os
import pty
import tty
from contextlib import suppress

import pytest

from drivers.errors import PortError
from drivers.gnss import GnssConfig, GnssDriver
from drivers.ports.open_port import open_port
from drivers.ports.port import LineSettings
from drivers.ports.serial_port import SerialPort
from drivers.tests.bench_of_one import LoopClock
from drivers.tests.gnss_rig import NOW_MS, Book, World, running
from emulators.gnss import GnssReceiver, GnssSettings
from emulators.kit.faults import Fault, FaultPlan, FaultyDevice
from emulators.kit.hosts import PtyHost, TcpHost


@pytest.fixture
def line():
    """A pseudo-terminal as a serial line: (master's descriptor, path of the slave)."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for descriptor in (master, slave):
        with suppress(OSError):
            os.close(descriptor)


async def test_over_a_pseudo_terminal_in_real_time(line) -> None:
    master, path = line
    loop = asyncio.get_running_loop()
    began = loop.time()
    receiver = GnssReceiver(
        seed=3, wall_ms=lambda: NOW_MS + round((loop.time() - began) * 1000), settings=GnssSettings(rate_hz=10.0)
    )

    async def talk() -> None:
        while True:
            os.write(master, receiver.sentences(loop.time()))
            await asyncio.sleep(receiver.next_deadline() - loop.time())

    port = SerialPort(path, path, LineSettings(baud=115_200))
    async with running(port, period_s=0.1) as (driver, book):
        talker = asyncio.create_task(talk())
        await book.until(lambda: len(book.samples) >= 10)
        talker.cancel()
        with suppress(asyncio.CancelledError):
            await talker
        assert driver.status()["broken"] == 0
        steps = [b.at - a.at for a, b in zip(book.samples, book.samples[1:], strict=False)]
        assert sum(steps) / len(steps) == pytest.approx(0.1, abs=0.02)
        offer = book.offers[0]
        assert abs(NOW_MS + (offer.at - began) * 1000 - offer.utc_ms) < 60  # a loaded machine is allowed some ms


async def test_the_far_end_of_a_line_hangs_up(line) -> None:
    master, path = line
    book = Book()
    driver = GnssDriver(GnssConfig(name="gnss"), SerialPort(path, path, LineSettings()), book, LoopClock())
    task = asyncio.create_task(driver.run())
    async with asyncio.timeout(5):
        while driver.status()["state"] == "closed":
            await asyncio.sleep(0)
    os.write(master, World().epoch())
    await book.until(lambda: bool(book.samples))
    os.close(master)
    with pytest.raises(PortError):
        await asyncio.wait_for(task, 5)


async def test_over_a_noisy_paced_line_no_place_is_ever_wrong() -> None:
    """Row 14: 5 % of the sentences damaged, foreign bytes between them; what arrives is right, the port stays open."""
    loop = asyncio.get_running_loop()
    receiver = GnssReceiver(
        seed=11,
        wall_ms=lambda: NOW_MS + round(loop.time() * 1000),
        settings=GnssSettings(rate_hz=10.0, sentences=("RMC", "GGA", "GSA"), noise_m=0.0, wrong_checksums=0.05),
    )
    often, now_and_then = Fault(p=0.1), Fault(p=0.05, s=(0.0, 0.02))
    plan = FaultPlan(seed=3, flip=often, truncate=often, foreign=often, split=now_and_then, merge=now_and_then)
    faulty = FaultyDevice(receiver, plan)
    host = PtyHost([faulty], baud=38_400)
    await host.start()
    try:
        path = host.endpoint.removeprefix("pty:").partition("?")[0]
        port = SerialPort(path, path, LineSettings(baud=38_400))
        async with running(port, period_s=0.1, silence_s=1.0) as (driver, book):
            await book.until(lambda: len(book.samples) >= 30, within_s=20)
            status = driver.status()
            assert status["broken"] > 0
            assert sum(faulty.struck.values()) > 10
            assert not book.losses
            places = [sample.values[:2] for sample in book.samples if sample.values[0] is not None]
            assert len(places) >= 20
            for lat, lon in places:
                assert (lat, lon) == (pytest.approx(32.0687, abs=1e-6), pytest.approx(118.7757, abs=1e-6))
            assert [sample.at for sample in book.samples] == sorted(sample.at for sample in book.samples)
    finally:
        await host.aclose()


async def test_over_tcp_and_back_after_the_server_was_gone() -> None:
    """Row 12: the server goes and returns; the driver says so, and goes on when it is run again."""
    loop = asyncio.get_running_loop()
    settings = GnssSettings(rate_hz=10.0)
    host = TcpHost(lambda: GnssReceiver(seed=1, wall_ms=lambda: NOW_MS + round(loop.time() * 1000), settings=settings))
    await host.start()
    port = open_port(host.endpoint)
    book = Book()
    driver = GnssDriver(GnssConfig(name="gnss", period_s=0.1), port, book, LoopClock())
    for _ in range(2):
        task = asyncio.create_task(driver.run())
        before = len(book.samples)
        await book.until(lambda: len(book.samples) >= before + 3)  # noqa: B023  # awaited within the turn
        assert book.samples[-1].values[0] is not None
        await host.aclose()
        with pytest.raises(PortError):
            await asyncio.wait_for(task, 5)
        assert book.samples[-1].values[0] is None
        await host.start()
    await host.aclose()
