"""Cards, a PN532 in whose field they lie, and the driver that reads them."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager, suppress

from drivers.card_reader import CardReaderConfig, CardReaderDriver
from drivers.contactless_card import CardApplicationConfig, CardFileConfig
from drivers.errors import DriverError
from drivers.ports.memory_port import MemoryPort
from drivers.readings import DeviceEvent
from drivers.tests.bench_of_one import LoopClock, until
from emulators.card_files import Application, BinaryFile, CardFiles, RecordFile
from emulators.contactless_cards import TypeACard, TypeBCard
from emulators.kit.hosts import MemoryHost
from emulators.pn532 import Pn532Emulator
from protocols.iso14443.activation import ats
from protocols.iso14443.type_b import Atqb
from protocols.pn532.chip_commands import Diagnose
from protocols.pn532.initiator_commands import InListPassiveTarget

PERMIT = bytes.fromhex("a000000632010105")
NUMBER = b"3104890012345678"
OWNER = b"ZHANG SAN"
APPLICATIONS = (
    CardApplicationConfig(name="elsewhere", aid="a0000006320101ff"),
    CardApplicationConfig(
        name="permit",
        aid="A000000632010105",
        file=(
            CardFileConfig(name="number", short_id=0x15, length=16, identity=True),
            CardFileConfig(name="valid_to", short_id=0x15, offset=16, length=10, encoding="ascii"),
            CardFileConfig(name="owner", id="0016", personal=True),
            CardFileConfig(name="last_trip", short_id=0x18, record=1, offset=1, length=2),
        ),
    ),
)


def pseudonym(identity):
    return "k1:" + hashlib.sha256(b"test" + identity).hexdigest()[:32]


class Book:
    """Writes down what the driver makes, and lets a test wait for it."""

    def __init__(self):
        self.events: list[DeviceEvent] = []
        self.returns = 0
        self._news = asyncio.Event()

    def sample(self, sample):
        raise AssertionError("a card reader measures nothing")

    def time_offer(self, offer):
        raise AssertionError("a card reader has no clock")

    async def transaction(self, transaction):
        raise AssertionError("this driver moves no money")

    def event(self, event):
        json.dumps(event.data)
        self.events.append(event)
        self._news.set()

    def device_lost(self, device, error):
        raise AssertionError("the supervisor says so")

    def device_back(self, device):
        self.returns += 1
        self._news.set()

    @property
    def taps(self):
        return [event.data for event in self.events if event.kind == "tap"]

    async def until(self, condition, within_s=5.0):
        async with asyncio.timeout(within_s):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Rig:
    """The driver on an emulated chip, in memory."""

    def __init__(self, driver, chip, book, port, host, task):
        self.driver, self.chip, self.book, self.port, self.host, self.task = driver, chip, book, port, host, task

    def looks(self):
        """How often the driver looked for cards of type A."""
        return sum(isinstance(one, InListPassiveTarget) and one.modulation == 0 for one in self.chip.commands)

    async def look_again(self, times=2):
        wanted = self.looks() + times
        await until(lambda: self.looks() >= wanted)

    async def presence_checks(self, times=3):
        def count():
            return sum(isinstance(one, Diagnose) for one in self.chip.commands)

        wanted = count() + times
        await until(lambda: count() >= wanted)


@asynccontextmanager
async def rig(*cards, device=None, **keys):
    chip = Pn532Emulator()
    for card in cards:
        chip.place(card)
    port, book = MemoryPort(), Book()
    host = MemoryHost(chip if device is None else device(chip))
    host.on_bytes, port.on_write = port.deliver, host.feed
    config = CardReaderConfig(**{"name": "reader-1", "poll_s": 0.02, "debounce_s": 0.3, **keys})
    driver = CardReaderDriver(config, port, book, LoopClock(), pseudonym)
    task = asyncio.create_task(driver.run())
    try:
        yield Rig(driver, chip, book, port, host, task)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, DriverError):
            await task
        host.close()
        assert not port.is_open


def files(number=NUMBER, **options):
    return CardFiles(
        [
            Application(
                PERMIT,
                [
                    BinaryFile(0x0015, number + b"2027-01-31" + bytes(4), short_id=0x15),
                    BinaryFile(0x0016, OWNER),
                    RecordFile(0x0018, (b"\x01\x02\x03\x04", b"\x05"), short_id=0x18),
                ],
            )
        ],
        **options,
    )


def card_a(uid="04a1b2c3d4e5f6", *, held=None, **options):
    return TypeACard(
        None if uid is None else bytes.fromhex(uid),
        name=str(uid),
        ats=options.pop("answer", None) or ats(fwi=4),
        files=held or files(),
        **options,
    )


def card_b(pupi="01020304", **options):
    atqb = Atqb(b"", size_and_type=0x81, timing=0x41)
    return TypeBCard(None if pupi is None else bytes.fromhex(pupi), name=str(pupi), atqb=atqb, files=files(), **options)


def uid_card(uid="11223344"):
    return TypeACard(bytes.fromhex(uid), name=uid, sak=0x08)


PERMIT_FIELDS = {
    "number": pseudonym(NUMBER),
    "valid_to": "2027-01-31",
    "owner": pseudonym(OWNER),
    "last_trip": "0203",
}
