"""A receiver that falls silent, and ports that are lost: what is told, and what goes on."""

import asyncio

import pytest

from drivers.errors import DeviceRefusedError, PortError
from drivers.gnss import POINTS, GnssConfig, GnssDriver
from drivers.ports.memory_port import MemoryPort
from drivers.tests.bench_of_one import LoopClock
from drivers.tests.gnss_rig import FAILED, Book, World, running


async def test_silence_is_a_loss_told_once_and_samples_go_on_to_say_that_nothing_is_known() -> None:
    """Row 9: within a period and the deadline quality is bad, and no record bears the last value."""
    port, world = MemoryPort(), World()
    async with running(port, silence_s=0.5, period_s=0.1) as (driver, book):
        for _ in range(3):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 2)
        heard = asyncio.get_running_loop().time()
        await book.until(lambda: len(book.samples) >= 6)
        assert len(book.losses) == 1
        assert "not a byte" in str(book.losses[0])
        assert driver.status()["state"] == "silent"
        for sample in book.samples[-3:]:
            assert sample.values == [None] * len(POINTS)
            assert sample.bad == [(at, FAILED) for at in range(len(POINTS))]
        assert book.samples[3].at - heard < 0.5 + 0.1 + 0.5
        port.deliver(world.epoch() + world.epoch())
        await book.until(lambda: book.samples[-1].values[0] is not None)
        assert book.returns == 2
        assert driver.status()["state"] == "fix"


@pytest.mark.parametrize(
    ("bytes_sent", "told"),
    [
        (b"", "not a byte"),
        (b"\x80\xfe\x06\x98" * 20, "baud rate"),
        (b"$GPTXT,01,01,02,ANTENNA OK*36\r\n", "sent no RMC"),
    ],
)
async def test_what_a_technician_reads_about_a_silent_receiver(bytes_sent: bytes, told: str) -> None:
    port = MemoryPort()
    async with running(port, silence_s=0.5) as (_, book):
        port.deliver(bytes_sent + b"\n")
        await book.until(lambda: bool(book.losses))
        assert told in str(book.losses[0])


async def test_a_lost_port_ends_the_run_and_the_next_one_goes_on() -> None:
    port, world, book = MemoryPort(), World(), Book()
    driver = GnssDriver(GnssConfig(name="gnss"), port, book, LoopClock())
    for turn in (1, 2):
        task = asyncio.create_task(driver.run())
        while not port.is_open:
            await asyncio.sleep(0)
        port.deliver(world.epoch() + world.epoch())
        await book.until(lambda: bool(book.samples) and book.samples[-1].values[0] is not None)
        port.lose(PortError("unplugged"))
        with pytest.raises(PortError, match="unplugged"):
            await task
        assert book.samples[-1].bad[0] == (0, FAILED)
        assert book.returns == turn
        assert not port.is_open
        assert driver.status()["state"] == "closed"


async def test_a_port_that_does_not_open_is_the_supervisor_s_to_retry() -> None:
    port, book = MemoryPort(), Book()
    port.refusal = PortError("no such device")
    with pytest.raises(PortError, match="no such device"):
        await GnssDriver(GnssConfig(name="gnss"), port, book, LoopClock()).run()
    assert book.samples[-1].values == [None] * len(POINTS)


async def test_it_takes_no_commands() -> None:
    with pytest.raises(DeviceRefusedError, match="gnss"):
        await GnssDriver(GnssConfig(name="gnss"), MemoryPort(), Book(), LoopClock()).command("gnss.reset", {})


async def test_cancelling_releases_the_port() -> None:
    port = MemoryPort()
    async with running(port):
        assert port.is_open
    assert not port.is_open
