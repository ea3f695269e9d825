"""A receiver's driver in memory: what its sentences become, and the time that it offers."""

import asyncio
from typing import Any

import msgspec
import pytest

from drivers.driver import Driver
from drivers.gnss import GnssConfig, GnssDriver
from drivers.ports.memory_port import MemoryPort
from drivers.ports.port import LineSettings
from drivers.tests.bench_of_one import LoopClock
from drivers.tests.gnss_rig import NOW_MS, UNCERTAIN, Book, World, running
from emulators.gnss import Circle, StraightLine
from protocols.core.instant import BUILD_DAY, MS_PER_DAY


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
