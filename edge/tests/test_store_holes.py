"""Live data is acknowledged behind a backlog that waits: its segments go first, and nothing is lost for them."""

import asyncio
import random
from contextlib import suppress

from edge.store.store import LANES
from edge.tests.disk_double import Disk, PowerCut, copies, survivors
from edge.tests.test_store import all_of, balance, check_ledger, disks, store_on

QUOTA_BYTES = 8_000


def fill(store, lane, count: int) -> None:
    for _ in range(count):
        lane.append(f"{lane.name}/a", b"x" * 60)
        store.commit_now()


def test_what_nobody_owes_goes_before_a_backlog_does():
    media = disks()
    store = store_on(media, quota_bytes=QUOTA_BYTES)
    lane = store.lanes["telemetry"]
    fill(store, lane, 60)
    for _ in range(200):
        fill(store, lane, 1)
        lane.acknowledge("mqtt", lane.made, lane.made)
        assert store.total_bytes <= QUOTA_BYTES + 600
        balance(store)
    assert lane.lost == 0
    lane._recent.clear()
    assert set(range(1, 61)) <= all_of(lane).keys()
    assert len(all_of(lane)) < 130
    assert not lane.losses
    assert not any(segment.is_damaged for segment in lane.journal.segments), "a hole that nobody misses is no damage"
    store.commit_now()
    again = store_on(copies(media), quota_bytes=QUOTA_BYTES)
    assert set(range(1, 61)) <= all_of(again.lanes["telemetry"]).keys()
    again.commit_now()
    assert (again.lanes["telemetry"].lost, all_of(again.lanes["event"])) == (0, {})
    balance(again)
    lane.acknowledge("mqtt", 1, 60)
    store.commit_now()
    assert len(lane.journal.segments) == 1


def test_a_lane_of_transactions_that_is_full_goes_on_when_newer_ones_were_acknowledged():
    store = store_on(disks(), quota_bytes=QUOTA_BYTES)
    lane = store.lanes["transaction"]
    fill(store, lane, 40)
    for _ in range(300):
        fill(store, lane, 1)
        lane.acknowledge("mqtt", lane.made, lane.made)
    assert (lane.lost, lane.queued) == (0, 40)


async def live(media: dict[str, Disk], seen: dict) -> None:
    """A backlog of ten, live data behind it that is acknowledged at once, and a quota that is met all the time."""
    seconds = iter(range(10_000))
    store = store_on(media, quota_bytes=3_000, segment_bytes=300, monotonic=lambda: next(seconds))
    try:
        for n in range(50):
            for name in ("telemetry", "event"):
                store.lanes[name].append(f"{name}/a", b"%d" % n + b"x" * 50)
            await store.commit()
            for name in LANES:
                lane = store.lanes[name]
                acked = seen.setdefault(name, {"acked": set()})["acked"]
                seen[name]["made"] = lane.made
                if name == "telemetry" and n >= 10:
                    lane.acknowledge("mqtt", lane.made, lane.made)
                    acked.add(lane.made)
                elif name == "event" and n % 3 == 0:
                    lane.acknowledge("mqtt", 1, lane.made - 2)
                    acked |= set(range(1, lane.made - 1))
    finally:
        store.close()


def test_a_power_cut_at_every_operation_keeps_the_ledger_with_holes_in_it():
    rng = random.Random("holes")
    whole = disks()
    asyncio.run(live(whole, {}))
    operations = whole["event"].power.operations
    states = 0
    for cut in range(1, operations + 1, 2):
        media, seen = disks(), {}
        media["event"].power.cut_at = cut
        with suppress(PowerCut):
            asyncio.run(live(media, seen))
        for after in survivors(media, rng):
            states += 1
            check_ledger(after, seen)
    print(f"states explored: {states} over {operations} cuts, seed 'holes'")  # noqa: T201
    assert states > 1_000
