"""What the tests of ports and drivers share: a clock, readings that keep everything, and waiting for a condition."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.errors import DriverError, PortError
from drivers.readings import DeviceEvent, Sample, TimeOffer, Transaction

DEADLINE_S = 5.0


class LoopClock:
    """The event loop's own time."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Kept:
    """`Readings` that keeps everything, by device."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.lost: dict[str, str] = {}
        self.history: list[tuple[str, str]] = []

    def of(self, device: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.device == device]

    def good(self, device: str) -> list[Sample]:
        return [sample for sample in self.of(device) if not sample.bad]

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    def event(self, event: DeviceEvent) -> None:
        raise AssertionError(event)

    async def transaction(self, transaction: Transaction) -> bool:
        raise AssertionError(transaction)

    def time_offer(self, offer: TimeOffer) -> None:
        raise AssertionError(offer)

    def device_lost(self, device: str, error: DriverError) -> None:
        if device not in self.lost:
            self.history.append(("lost", device))
        self.lost[device] = str(error)

    def device_back(self, device: str) -> None:
        if self.lost.pop(device, None) is not None:
            self.history.append(("back", device))


class Ear:
    """A listener that keeps what a port says."""

    def __init__(self) -> None:
        self.heard = b""
        self.losses: list[PortError] = []

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def port_lost(self, error: PortError) -> None:
        self.losses.append(error)


async def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(*wards: Any) -> AsyncIterator[None]:
    """Wards that run meanwhile; a defect in one of them fails the test."""
    tasks = [asyncio.create_task(ward.run(), name=ward.name) for ward in wards]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
