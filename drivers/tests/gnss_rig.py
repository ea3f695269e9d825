"""A receiver's emulated world, and a driver that listens to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from drivers.errors import DriverError
from drivers.gnss import GnssConfig, GnssDriver
from drivers.ports.port import Port
from drivers.readings import DeviceEvent, Quality, Sample, TimeOffer, Transaction
from drivers.tests.bench_of_one import LoopClock
from emulators.gnss import GnssReceiver, GnssSettings
from protocols.core.instant import days_of, instant_of

NOW_MS = instant_of(days_of(2026, 11, 24), 43_200_000)
UNCERTAIN, FAILED = int(Quality.UNCERTAIN), int(Quality.COMMUNICATION_FAILED)


class Book:
    """Writes down what a driver makes, and lets a test wait for it."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.events: list[DeviceEvent] = []
        self.offers: list[TimeOffer] = []
        self.losses: list[DriverError] = []
        self.returns = 0
        self._news = asyncio.Event()

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)
        self._news.set()

    def event(self, event: DeviceEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def transaction(self, transaction: Transaction) -> bool:
        raise AssertionError("a GNSS receiver moves no money")

    def time_offer(self, offer: TimeOffer) -> None:
        self.offers.append(offer)
        self._news.set()

    def device_lost(self, device: str, error: DriverError) -> None:
        self.losses.append(error)
        self._news.set()

    def device_back(self, device: str) -> None:
        self.returns += 1
        self._news.set()

    async def until(self, condition: Callable[[], bool], within_s: float = 5.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                self._news.clear()
                await self._news.wait()


class World:
    """A receiver whose clock goes as fast as the test likes."""

    def __init__(self, **settings: Any) -> None:
        self.seconds = 0.0
        self.receiver = GnssReceiver(
            seed=7, wall_ms=lambda: NOW_MS + round(self.seconds * 1000), settings=GnssSettings(**settings)
        )

    def epoch(self) -> bytes:
        """Go on to the next epoch."""
        while True:
            wire = self.receiver.sentences(self.seconds)
            self.seconds = round(self.receiver.next_deadline(), 6)
            if wire:
                return wire


@asynccontextmanager
async def running(port: Port, **keys: Any) -> AsyncIterator[tuple[GnssDriver, Book]]:
    book = Book()
    driver = GnssDriver(GnssConfig(name="gnss", **keys), port, book, LoopClock())
    task = asyncio.create_task(driver.run())
    try:
        async with asyncio.timeout(5):
            while driver.status()["state"] == "closed" and not task.done():
                await asyncio.sleep(0)
        yield driver, book
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, DriverError):
            await task
