"""Readers that fall silent, restart or are unplugged, bad lines, and chips that are refused."""

import asyncio
from contextlib import suppress

import pytest

from drivers.card_reader import CardReaderConfig, CardReaderDriver
from drivers.errors import DeviceRefusedError, DeviceTimeoutError, DriverError, PortError
from drivers.ports.memory_port import MemoryPort
from drivers.ports.open_port import open_port
from drivers.tests.bench_of_one import LoopClock, until
from drivers.tests.card_reader_rig import APPLICATIONS, PERMIT_FIELDS, Book, card_a, pseudonym, rig
from emulators.kit.faults import Fault, FaultPlan, FaultyDevice
from emulators.kit.hosts import PtyHost
from emulators.pn532 import ChipFault, Pn532Emulator
from protocols.pn532.chip_commands import FirmwareVersion


async def test_a_silent_reader_is_told_and_run_again():
    async with rig(card_a()) as r:
        await r.book.until(lambda: r.book.taps)
        r.port.on_write = None  # not a word reaches it
        began = LoopClock().monotonic()
        with pytest.raises(DeviceTimeoutError, match="reader-1"):
            await asyncio.wait_for(r.task, 3)
        assert LoopClock().monotonic() - began < 1.5
        assert r.driver.status()["state"] == "closed"
        assert "does not answer" in r.driver.status()["error"]
        r.port.on_write = r.host.feed
        again = asyncio.create_task(r.driver.run())
        await r.book.until(lambda: r.book.returns == 2)
        await r.presence_checks(1)
        assert len(r.book.taps) == 1 or r.book.taps[-1]["result"] == "ok"
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again


async def test_a_reader_that_restarts_is_woken_up_again():
    async with rig() as r:
        await r.book.until(lambda: r.book.returns)
        fresh = Pn532Emulator()  # it lost its power: asleep, nothing is set up
        fresh.place(card_a())
        r.host._ticker._device = fresh
        with pytest.raises(DeviceTimeoutError):
            await asyncio.wait_for(r.task, 3)
        again = asyncio.create_task(r.driver.run())
        await r.book.until(lambda: r.book.taps)
        again.cancel()
        with suppress(asyncio.CancelledError):
            await again


async def test_a_port_that_breaks_is_a_port_error():
    async with rig(card_a()) as r:
        await r.book.until(lambda: r.book.taps)
        r.port.lose()
        with pytest.raises(PortError):
            await asyncio.wait_for(r.task, 1)


async def test_a_port_that_cannot_be_opened_is_a_port_error():
    port = MemoryPort()
    port.refusal = PortError("no such port")
    driver = CardReaderDriver(CardReaderConfig(name="r"), port, Book(), LoopClock(), pseudonym)
    with pytest.raises(PortError, match="no such port"):
        await driver.run()


async def test_another_chip_is_refused(monkeypatch):
    monkeypatch.setattr("protocols.pn532.chip_commands.FirmwareVersion", lambda: FirmwareVersion(0x33))
    async with rig() as r:
        with pytest.raises(DeviceRefusedError, match="33"):
            await asyncio.wait_for(r.task, 3)


async def test_commands_that_go_wrong_once_do_not_lose_the_reader():
    async with rig(card_a(), application=APPLICATIONS) as r:
        await r.book.until(lambda: r.book.taps)
        r.chip.forced.extend([ChipFault.DROP_ACK, ChipFault.BAD_DCS])
        await r.presence_checks(4)
        assert not r.chip.forced
        assert not r.task.done()


async def test_a_card_command_that_the_line_loses_does_not_lose_the_reader():
    """Neither acknowledged nor answered, and never sent twice: the card is read anew, by the same run."""
    async with rig(application=APPLICATIONS, debounce_s=0.0, answer_s=0.2) as r:
        await r.book.until(lambda: r.book.returns)
        lost = []

        def lose_one(data):
            if b"\xd4\x40" in data and not lost:
                lost.append(data)
            else:
                r.host.feed(data)

        r.port.on_write = lose_one
        r.chip.place(card_a())
        await r.book.until(lambda: any(tap["result"] == "ok" for tap in r.book.taps))
        assert lost
        assert r.book.returns == 1
        assert not r.task.done()


async def test_a_refused_command_ends_the_run():
    async with rig() as r:
        await r.book.until(lambda: r.book.returns)
        r.chip.forced.append(ChipFault.ERROR_FRAME)
        with pytest.raises(DeviceRefusedError, match="does not know"):
            await asyncio.wait_for(r.task, 3)


async def test_a_bad_line_still_brings_true_taps():
    """Noise on the line: the supervisor would run the driver again; what it tells is true."""
    plan = FaultPlan(seed=5, flip=Fault(p=0.03), drop=Fault(p=0.02), foreign=Fault(p=0.05))
    card = card_a()
    async with rig(card, application=APPLICATIONS, debounce_s=0.0, device=lambda chip: FaultyDevice(chip, plan)) as r:
        task = r.task
        for _ in range(10):
            taps = len(r.book.taps)
            r.chip.place(card)
            while len(r.book.taps) == taps:
                if task.done():
                    assert isinstance(task.exception(), DriverError)
                    task = asyncio.create_task(r.driver.run())
                await asyncio.sleep(0.005)
            r.chip.lift(card)
        task.cancel()
        with suppress(asyncio.CancelledError, DriverError):
            await task
        good = [tap for tap in r.book.taps if tap["result"] == "ok"]
        assert len(good) >= 5
        assert all(tap["fields"] == PERMIT_FIELDS for tap in good)


async def test_cancelling_switches_the_field_off():
    async with rig(card_a()) as r:
        await r.book.until(lambda: r.book.taps)
        await r.presence_checks(1)
        assert r.chip.field.is_on
        await until(lambda: r.driver.status()["state"] == "card stays")
        r.task.cancel()
        with suppress(asyncio.CancelledError):
            await r.task
        await until(lambda: not r.chip.field.is_on)


async def test_over_a_pseudo_terminal_at_115200_baud_and_unplugged():
    chip, book = Pn532Emulator(), Book()
    host = PtyHost([chip], baud=115_200)
    await host.start()
    card = card_a()
    driver = CardReaderDriver(
        CardReaderConfig(name="reader-1", poll_s=0.02, application=APPLICATIONS),
        open_port(host.endpoint),
        book,
        LoopClock(),
        pseudonym,
    )
    task = asyncio.create_task(driver.run())
    try:
        await book.until(lambda: book.returns)
        chip.place(card)
        await book.until(lambda: book.taps)
        assert book.taps[0]["fields"] == PERMIT_FIELDS
        assert book.taps[0]["duration_ms"] < 300
    finally:
        await host.aclose()
    with pytest.raises((PortError, DeviceTimeoutError)):
        await asyncio.wait_for(task, 3)
