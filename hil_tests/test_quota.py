"""A full quota: the oldest goes, by name; the disk never fills; and when the link is back everything flows again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hil_tests.bench import Bench
from hil_tests.devices import counter, counter_table
from tools.sink.ledger import verify_ledger

pytestmark = pytest.mark.hil

QUOTA_MB = 8


def bytes_below(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue  # evicted while we looked
    return total


async def test_an_outage_longer_than_the_quota_loses_the_oldest_by_name_and_ends_by_itself(bench: Bench):
    """Rows 5 and 6 of docs/field_failures.md."""
    devices = "".join(
        [
            counter_table(f"plc-{n}", await bench.add(counter(registers=4_000)), registers=4_000, period_s=0.05)
            for n in (1, 2)
        ]
    )
    devices = devices.replace("period_s = 0.05", "period_s = 0.05\nmax_in_flight = 8")
    bench.configure(devices, extra=f"[journal]\nquota_mb = {QUOTA_MB}\n")
    await bench.start_sink()
    await bench.start_gateway()
    await bench.until(lambda: bench.lane("telemetry")["acked"] > 3, "records arrive")
    await bench.broker.stop()
    most = 0

    def is_small_and(has_come: Callable[[], bool]) -> Callable[[], bool]:
        """Look at the folder each time when the condition is looked at."""

        def looks() -> bool:
            nonlocal most
            most = max(most, bytes_below(bench.data))
            return has_come()

        return looks

    await bench.until(
        is_small_and(lambda: bench.lane("telemetry")["lost"] > 500), "the quota is reached and passed", within_s=60
    )
    await bench.broker.start()
    await bench.connected()
    made = bench.lane("telemetry")["made"]
    await bench.until(is_small_and(lambda: bench.lane("telemetry")["acked"] > made / 3), "it drains", within_s=30)
    await bench.until(is_small_and(lambda: bench.lane("telemetry")["queued"] < 100), "it is drained", within_s=60)
    acked = bench.lane("telemetry")["acked"]
    await bench.until(lambda: bench.lane("telemetry")["acked"] > acked + 100, "new data flows")
    assert 0.5 < most / (QUOTA_MB * 1_000_000) <= 1.05
    assert bench.status()["storage"]["state"] == "ok"
    assert bench.status()["devices"]["plc-1"]["starts"] == 1
    await bench.everything_arrived(within_s=60, few=60)
    ledger = verify_ledger(bench.ledger_file)
    (telemetry,) = [lane for lane in ledger.lanes if lane.lane == "telemetry"]
    assert 500 < telemetry.lost <= bench.journal()["telemetry"].lost, "some came that the box had to give up"
    assert {why for _first, _last, why in telemetry.losses} == {"quota"}
    assert telemetry.missing == 0
