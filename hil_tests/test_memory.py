"""A stalled broker costs disk, not memory."""

import psutil
import pytest

from hil_tests.bench import Bench
from hil_tests.devices import counter, counter_table

pytestmark = pytest.mark.hil

FEW = 80
"""Packs by which every buffer in memory is as full as it gets."""


async def test_ten_times_the_packs_behind_a_stalled_broker_take_no_more_memory(bench: Bench):
    """Row 7 of docs/field_failures.md, as memory: within 2 MB; and every internal queue states its bound."""
    table = counter_table("plc-1", await bench.add(counter(registers=1_000)), registers=1_000, period_s=0.05)
    bench.configure(table.replace("period_s", "max_in_flight = 8\nperiod_s"))
    await bench.start()
    await bench.until(lambda: bench.lane("telemetry")["acked"] > 20, "records arrive")
    bench.broker.freeze()
    process = psutil.Process(bench.gateway.process.pid)
    start = bench.lane("telemetry")["made"]
    await bench.until(lambda: bench.lane("telemetry")["made"] > start + FEW, "some packs", within_s=30)
    before = process.memory_info().rss
    await bench.until(lambda: bench.lane("telemetry")["made"] > start + 10 * FEW, "ten times as many", within_s=90)
    assert process.memory_info().rss - before < 2_000_000
    status = bench.status()
    assert status["uplink"]["in_flight"] <= status["uplink"]["in_flight_limit"] == 16
    assert status["uplink"]["queued"] <= status["uplink"]["queued_limit"]
    assert status["storage"]["used_mb"] <= status["storage"]["quota_mb"]
    bench.broker.resume()
    await bench.everything_arrived(within_s=60, few=60)
