"""Clocks that lie or know nothing: polling goes on, order stays, and every record says how good its time is."""

import time
from itertools import groupby

import pytest

from edge.gateway.system_time import SystemClock
from emulators.gnss import GnssReceiver
from emulators.kit.hosts import PtyHost
from hil_tests.bench import Bench
from hil_tests.devices import counter, counter_table, receiver, receiver_table
from tools.sink.ledger import StoredRecord

pytestmark = pytest.mark.hil

YEAR_MS = 365 * 86_400_000
QUALITIES = ["ntp"] if SystemClock().read().is_kept else ["rtc", "gnss"]
"""What records say of their time, in their order: a machine whose clock NTP keeps needs no receiver."""
CLOSE_MS = 2_000
"""How exact a receiver's time is without its pulse."""


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def polled(bench: Bench) -> list[StoredRecord]:
    """What the counter said, in the order in which it was made."""
    records = [record for record in bench.records("telemetry") if record.route == "telemetry/plc-1"]
    return sorted(records, key=lambda record: record.seq)


def qualities(records: list[StoredRecord]) -> list[str | None]:
    """How good their time was, each change once."""
    return [quality for quality, _same in groupby(record.time_quality for record in records)]


async def test_a_clock_that_steps_by_years_neither_stops_polling_nor_mixes_the_order(bench: Bench):
    """Row 25 of docs/field_failures.md: three years back, one ahead, then right."""
    step_ms = 0
    bench.configure(
        counter_table("plc-1", await bench.add(counter()), period_s=0.2)
        + receiver_table(await bench.add(receiver(lambda: wall_ms() + step_ms)))
    )
    began_ms = wall_ms()
    await bench.start()
    await bench.until(lambda: bench.status()["clock"]["quality"] == QUALITIES[-1], "the time is known")
    for step_ms in (-3 * YEAR_MS, YEAR_MS, 0):  # the receiver reads it
        before = bench.status()
        await bench.until(
            lambda seen=before: bench.status()["devices"]["plc-1"]["rounds"] >= seen["devices"]["plc-1"]["rounds"] + 15,
            "polling goes on",
            within_s=6,
        )
        doubted = bench.status()["clock"]["doubted"].get("gnss", 0) - before["clock"]["doubted"].get("gnss", 0)
        assert (doubted > 1) == (step_ms != 0), "a lie is heard, and only a lie is doubted"
    await bench.everything_arrived()
    records = polled(bench)
    assert qualities(records) == QUALITIES
    uptimes = [record.uptime_ms for record in records]
    assert uptimes == sorted(uptimes), "order is by sequence, whatever the dates say"
    times = [record.time_ms for record in records]
    assert times == sorted(times), "no date goes back"
    assert began_ms - CLOSE_MS < times[0], "no lie of one receiver was believed"
    assert times[-1] < wall_ms() + CLOSE_MS


async def test_a_box_that_wakes_in_1970_records_and_dates_it_when_it_learns_the_time(bench: Bench):
    """Rows 24 and 25 of docs/field_failures.md: no network, no receiver; what was made is dated by a later setting."""
    line = bench.folder / "gnss-line"
    bench.wake_in_1970()
    bench.configure(
        counter_table("plc-1", await bench.add(counter()), period_s=0.2)
        + f'\n[[device]]\nname = "gnss"\ndriver = "gnss"\nport = "serial:{line}?baud=9600"\n'
    )
    await bench.broker.stop()
    began_ms = wall_ms()
    await bench.start_gateway()
    await bench.until(lambda: bench.lane("telemetry")["made"] > 3, "it polls and journals")
    assert bench.status()["clock"]["quality"] == "none"
    assert bench.status()["clock"]["time_ms"] < YEAR_MS
    await bench.add(PtyHost([GnssReceiver(seed=1, wall_ms=wall_ms)], baud=9600, link=line))
    await bench.until(lambda: bench.status()["clock"]["quality"] == "gnss", "a receiver tells the time")
    made = bench.lane("telemetry")["made"]
    await bench.until(lambda: bench.lane("telemetry")["made"] > made + 2, "records with a time")
    await bench.broker.start()
    await bench.start_sink()
    await bench.everything_arrived()
    records = polled(bench)
    assert qualities(records) == ["none", "gnss"]
    assert all(record.claimed_ms < YEAR_MS for record in records if record.time_quality == "none")
    times = [record.time_ms for record in records]
    assert times == sorted(times)
    assert began_ms - CLOSE_MS < times[0], "what was made in 1970 is dated anew"
    assert times[-1] < wall_ms() + CLOSE_MS
    settings = [record for record in bench.records("event") if record.route == "event/clock-set"]
    assert {record.event.data["source"] for record in settings} == {"gnss"}
