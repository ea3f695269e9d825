"""The GNSS driver against the emulated receiver: in memory, and over a real pseudo-terminal."""

import asyncio
import os
import pty
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from drivers.driver import Driver
from drivers.errors import DeviceRefusedError, DriverError, PortError
from drivers.gnss import POINTS, GnssConfig, GnssDriver
from drivers.ports.memory_port import MemoryPort
from drivers.ports.open_port import open_port
from drivers.ports.port import LineSettings, Port
from drivers.ports.serial_port import SerialPort
from drivers.readings import DeviceEvent, Quality, Sample, TimeOffer, Transaction
from emulators.gnss import Circle, GnssReceiver, GnssSettings, StraightLine
from emulators.kit.faults import Fault, FaultPlan, FaultyDevice
from emulators.kit.hosts import PtyHost, TcpHost
from protocols.core.instant import BUILD_DAY, MS_PER_DAY, days_of, instant_of

NOW_MS = instant_of(days_of(2026, 11, 24), 43_200_000)
UNCERTAIN, FAILED = int(Quality.UNCERTAIN), int(Quality.COMMUNICATION_FAILED)


class LoopClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


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


def test_it_has_the_face_of_a_driver() -> None:
    driver: Driver = GnssDriver(GnssConfig(name="gnss"), MemoryPort(), Book(), LoopClock())
    assert driver.name == "gnss"
    assert [point.name for point in driver.points] == [
        "lat_deg", "lon_deg", "altitude_m", "speed_mps", "course_deg", "hdop", "num_sats", "fix_quality"
    ]  # fmt: skip
    assert all(point.unit for point in driver.points)


@pytest.mark.parametrize(
    "table",
    [{"max_hdop": 0}, {"max_hdop": 50}, {"silence_s": 0.1}, {"period_s": 0}, {"report": "some"}, {"baud": 9600}],
)
def test_configurations_that_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"driver": "gnss", "name": "gnss"} | table, GnssConfig)


async def test_each_epoch_is_a_sample_and_says_where_it_is() -> None:
    port, world = MemoryPort(), World(track=StraightLine(speed_mps=15.0, course_deg=45.0), noise_m=0.0)
    async with running(port) as (driver, book):
        for _ in range(4):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 3)
        lat, lon, altitude, speed, course, hdop, num_sats, quality = book.samples[0].values
        truth = StraightLine(speed_mps=15.0, course_deg=45.0).place(0.0)
        assert lat == pytest.approx(truth.lat_deg, abs=1e-6)
        assert lon == pytest.approx(truth.lon_deg, abs=1e-6)
        assert (altitude, course, hdop, num_sats, quality) == (9.7, 45.0, 0.8, 12, 1)
        assert speed == pytest.approx(15.0, abs=0.001)
        assert all(sample.bad == [] for sample in book.samples)
        assert book.returns == 1
        assert driver.status()["state"] == "fix"


async def test_a_receiver_at_rest_knows_no_course_and_says_so() -> None:
    port, world = MemoryPort(), World()
    async with running(port) as (_, book):
        for _ in range(2):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 1)
        assert book.samples[0].values[4] is None
        assert book.samples[0].bad == [(4, UNCERTAIN)]


async def test_without_a_fix_values_are_null_and_never_the_last_ones() -> None:
    """Row 9: what is not known is not reported again under a new time."""
    port, world = MemoryPort(), World(track=Circle())
    async with running(port) as (driver, book):
        for sky in (True, True, False, False, True, True):
            world.receiver.has_sky = sky
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 5)
        places = [(sample.values[0], sample.values[1]) for sample in book.samples]
        assert [place == (None, None) for place in places] == [False, False, True, True, False]
        blind = book.samples[2]
        assert blind.values == [None, None, None, None, None, None, 0, 0]
        assert blind.bad == [(at, UNCERTAIN) for at in range(6)]
        assert not book.losses
        assert driver.status()["fix"] == "usable"


@pytest.mark.parametrize(
    ("keys", "settings", "why"),
    [
        ({"max_hdop": 0.7}, {}, "poor geometry"),
        ({"min_satellites": 13}, {}, "too few satellites"),
        ({}, {"mode": "E"}, "no fix"),
        ({}, {"mode": "S"}, "no fix"),
    ],
)
async def test_a_fix_beyond_the_limits_is_no_position(keys: dict[str, Any], settings: dict[str, Any], why: str) -> None:
    port, world = MemoryPort(), World(**settings)
    async with running(port, **keys) as (driver, book):
        for _ in range(2):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 1)
        assert book.samples[0].values[:5] == [None] * 5
        assert book.samples[0].values[6] == 12
        assert driver.status()["state"] == why


@pytest.mark.parametrize("talker", ["GN", "BD", "GB", "GP"])
@pytest.mark.parametrize("sentences", [("RMC",), ("GGA", "RMC"), ("GSA", "GNS", "ZDA"), ("GLL", "GSV", "TXT")])
async def test_any_talker_and_any_set_of_sentences_tells_the_place(talker: str, sentences: tuple[str, ...]) -> None:
    port, world = MemoryPort(), World(talker=talker, sentences=sentences)
    async with running(port) as (_, book):
        for _ in range(3):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) >= 2)
        assert book.samples[0].values[0] == pytest.approx(32.0687, abs=1e-4)


async def test_ten_epochs_a_second_and_a_sample_each_second_or_each_epoch() -> None:
    for period_s, wanted in ((1.0, 5), (0.1, 49), (0.2, 25)):
        port, world = MemoryPort(), World(rate_hz=10.0)
        async with running(port, period_s=period_s) as (_, book):
            for _ in range(50):
                port.deliver(world.epoch())
            await book.until(lambda: len(book.samples) >= wanted)  # noqa: B023  # awaited within the turn
            assert len(book.samples) == wanted


async def test_bytes_one_at_a_time_and_noise_between_them() -> None:
    """Row 14: half frames and foreign bytes cost no more than what they hit; the port stays open."""
    port, world = MemoryPort(), World()
    async with running(port) as (driver, book):
        for number in range(6):
            wire = world.epoch()
            if number == 2:
                wire = b"\x00\xff$GPGGA,12" + wire
            for byte in wire:
                port.deliver(bytes((byte,)))
        await book.until(lambda: len(book.samples) == 5)
        assert port.opened == 1
        assert driver.status()["discarded_bytes"] == 11


async def test_wrong_checksums_are_counted_and_believed_never() -> None:
    port, world = MemoryPort(), World(sentences=("RMC",))
    async with running(port) as (driver, book):
        port.deliver(world.epoch())
        lie = bytearray(world.epoch())
        lie[20:24] = b"9999"
        port.deliver(bytes(lie))
        port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 1)
        assert driver.status()["broken"] == 1
        assert book.samples[0].values[0] == pytest.approx(32.0687, abs=1e-4)


# Time


async def test_time_is_offered_with_a_fix_once_a_second_at_most() -> None:
    port, world = MemoryPort(), World(rate_hz=10.0)
    async with running(port) as (_, book):
        started = asyncio.get_running_loop().time()
        for _ in range(30):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) >= 2)
        assert len(book.offers) == 1  # three seconds of the receiver came within some ms of ours
        offer = book.offers[0]
        assert (offer.device, offer.source, offer.utc_ms) == ("gnss", "gnss", NOW_MS)
        assert started <= offer.at <= asyncio.get_running_loop().time()
        assert offer.accuracy_ms > 0


async def test_no_time_is_offered_before_the_first_fix() -> None:
    """Row 25: default dates (1980-01-06) come with status V and are not believed."""
    port, world = MemoryPort(), World(cold_start_s=3.0)
    async with running(port) as (_, book):
        for _ in range(3):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 2)
        assert not book.offers
        for _ in range(3):
            port.deliver(world.epoch())
        await book.until(lambda: bool(book.offers))
        assert book.offers[0].utc_ms >= NOW_MS


@pytest.mark.parametrize("rollovers", [1, 2])
async def test_a_week_rollover_is_corrected_and_told_once(rollovers: int) -> None:
    port, world = MemoryPort(), World(rollovers=rollovers)
    async with running(port) as (driver, book):
        for _ in range(4):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 3)
        assert [offer.utc_ms for offer in book.offers] == [NOW_MS]
        (event,) = book.events
        assert (event.kind, event.severity) == ("clock-corrected", "warning")
        assert event.data == {
            "received": {1: "2007-04-10", 2: "1987-08-25"}[rollovers],
            "corrected": "2026-11-24",
            "weeks": 1024 * rollovers,
        }
        assert driver.status()["rollover_weeks"] == 1024 * rollovers


async def test_a_receiver_without_rollover_makes_no_event() -> None:
    port, world = MemoryPort(), World()
    async with running(port) as (_, book):
        for _ in range(3):
            port.deliver(world.epoch())
        await book.until(lambda: len(book.samples) == 2)
        assert not book.events
        assert book.offers[0].utc_ms >= BUILD_DAY * MS_PER_DAY


async def test_the_line_s_own_time_is_taken_off() -> None:
    port, world = MemoryPort(line=LineSettings(baud=4800)), World(sentences=("GGA", "RMC"))
    async with running(port) as (_, book):
        wire = world.epoch()
        arrived = asyncio.get_running_loop().time()
        port.deliver(wire)
        port.deliver(world.epoch())
        await book.until(lambda: bool(book.offers))
        assert book.offers[0].at == pytest.approx(arrived - len(wire) * 10 / 4800, abs=0.05)
        assert book.samples[0].at == book.offers[0].at


# Silence and loss


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


# A real line


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
