"""A receiver that lies about the date: polling goes on, order stays, and every record says how good its time is."""

import time

import pytest

from hil_tests.bench import Bench
from hil_tests.devices import counter, counter_table, receiver, receiver_table

pytestmark = pytest.mark.hil

YEAR_MS = 365 * 86_400_000


async def test_a_clock_that_steps_by_years_neither_stops_polling_nor_mixes_the_order(bench: Bench):
    """Row 25 of docs/field_failures.md: three years back, one ahead, then right."""
    step_ms = 0

    def wall_ms() -> int:
        return time.time_ns() // 1_000_000 + step_ms

    bench.configure(
        counter_table("plc-1", await bench.add(counter()), period_s=0.2)
        + receiver_table(await bench.add(receiver(wall_ms)))
    )
    await bench.start()
    for step_ms in (0, -3 * YEAR_MS, YEAR_MS, 0):  # noqa: B007  # the receiver reads it
        rounds = bench.status()["devices"]["plc-1"]["rounds"]
        await bench.until(
            lambda seen=rounds: bench.status()["devices"]["plc-1"]["rounds"] >= seen + 15, "polling goes on", within_s=6
        )
    await bench.everything_arrived()
    records = [record for record in bench.records("telemetry") if record.route == "telemetry/plc-1"]
    assert {record.time_quality for record in records} <= {"gnss", "ntp", "rtc", "hold", "none"}
    uptimes = [record.uptime_ms for record in sorted(records, key=lambda record: record.seq)]
    assert uptimes == sorted(uptimes), "order is by sequence, whatever the dates say"
    now_ms = time.time_ns() // 1_000_000
    assert all(abs(record.time_ms - now_ms) < 3_600_000 for record in records), "no lie of one receiver was believed"
