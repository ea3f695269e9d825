"""The store: group commit, quotas, declared loss, restarts; made = acknowledged + queued + lost at every moment."""

import asyncio
import json
import random
from contextlib import suppress

import fastcrc
import pytest

from edge.store.errors import Cause, StorageError, StoreError, StoreFullError, StoreLockedError
from edge.store.lane import Lane
from edge.store.store import LANES, Quotas, Store, open_store
from edge.tests.disk_double import Disk, PowerCut


def encode_loss(**fields) -> bytes:
    return json.dumps(fields).encode()


def store_on(disks: dict[str, Disk], *, quota_bytes: int = 1 << 20, segment_bytes: int = 600, boot: int = 1) -> Store:
    lanes = {}
    counter = iter(range(1, 1_000))
    for name in LANES:
        lane = Lane(
            name,
            disks[name],
            checksum=fastcrc.crc32.iscsi,
            new_epoch=lambda: f"{next(counter):016x}",
            segment_bytes=segment_bytes,
        )
        lane.open()
        lanes[name] = lane, disks[name]
    quotas = Quotas(quota_bytes / 1e6)
    quotas.segment_bytes = lambda: segment_bytes
    return Store(lanes, quotas=quotas, boot=boot, encode_loss=encode_loss, monotonic=lambda: 0.0)


def disks() -> dict[str, Disk]:
    return {name: Disk() for name in LANES}


def balance(store: Store) -> None:
    for lane in store.lanes.values():
        assert lane.made == lane.acked + lane.queued + lane.lost, lane.name
        assert lane.queued >= 0


def all_of(lane: Lane) -> dict[int, bytes]:
    found, seq = {}, 1
    while records := lane.read(seq):
        found |= {record.seq: record.payload for record in records}
        seq = records[-1].seq + 1
    return found


def test_a_record_is_made_when_its_commit_returns_and_not_before(tmp_path):
    async def main():
        store = open_store(tmp_path, quotas=Quotas(10), encode_loss=encode_loss, monotonic=lambda: 0.0)
        lane = store.lanes["event"]
        assert lane.append("event/tap", b"{}") == 1
        assert (lane.made, lane.read(1)) == (0, [])
        await store.commit()
        assert lane.made == 1
        assert (lane.read(1)[0].route, lane.read(1)[0].payload) == ("event/tap", b"{}")
        store.close()

    asyncio.run(main())


def test_callers_that_come_while_a_commit_runs_share_the_next(tmp_path):
    async def main():
        store = open_store(tmp_path, quotas=Quotas(10), encode_loss=encode_loss, monotonic=lambda: 0.0)
        lane = store.lanes["transaction"]
        syncs = 0
        sync = store._media["transaction"].sync

        def counted(name):
            nonlocal syncs
            syncs += 1
            sync(name)

        store._media["transaction"].sync = counted

        async def pay(n):
            seq = lane.append("transaction/fare", b"%d" % n)
            await store.commit()
            assert lane.made >= seq

        await asyncio.gather(*(pay(n) for n in range(200)))
        assert lane.made == 200
        assert syncs <= 3
        store.close()

    asyncio.run(main())


def test_counters_come_back_from_the_journal_after_a_restart(tmp_path):
    for boot in range(1, 6):
        store = open_store(tmp_path, quotas=Quotas(10), encode_loss=encode_loss, monotonic=lambda: 0.0)
        assert store.boot == boot
        lane = store.lanes["telemetry"]
        assert lane.made == (boot - 1) * 10
        for n in range(10):
            lane.append("telemetry/a", b"%d" % n)
        store.commit_now()
        lane.acknowledge("mqtt", 1, lane.made - 3)
        balance(store)
        store.commit_now()
        store.close()


def test_a_second_gateway_on_one_folder_is_refused(tmp_path):
    store = open_store(tmp_path, quotas=Quotas(10), encode_loss=encode_loss, monotonic=lambda: 0.0)
    with pytest.raises(StoreLockedError, match="another gateway"):
        open_store(tmp_path, quotas=Quotas(10), encode_loss=encode_loss, monotonic=lambda: 0.0)
    store.close()


def test_what_a_quota_evicts_is_declared_by_ranges_and_the_total_stays_below_it():
    """Row 5 of docs/field_failures.md."""
    media = disks()
    store = store_on(media, quota_bytes=20_000)
    for n in range(2_000):
        store.lanes["telemetry"].append("telemetry/a", b"x" * 50 + b"%d" % n)
        store.commit_now()
        balance(store)
        assert store.total_bytes <= 20_000 + 1_200
    store.commit_now()
    telemetry = store.lanes["telemetry"]
    declared = [json.loads(payload) for payload in all_of(store.lanes["event"]).values()]
    lost = {seq for loss in declared for seq in range(loss["first"], loss["last"] + 1)}
    assert len(lost) == telemetry.lost > 1_000
    assert lost | all_of(telemetry).keys() == set(range(1, 2_001))
    assert {loss["why"] for loss in declared} == {"quota"}


def test_transactions_are_never_evicted_the_reader_goes_out_of_service_and_comes_back():
    """Rows 5 and 6 of docs/field_failures.md."""
    store = store_on(disks(), quota_bytes=20_000)
    lane = store.lanes["transaction"]

    def sell() -> None:
        for _ in range(1_000):
            lane.append("transaction/fare", b"x" * 60)
            store.commit_now()

    with pytest.raises(StoreFullError):
        sell()
    assert lane.lost == 0
    assert store.total_bytes <= 21_200
    lane.acknowledge("mqtt", 1, lane.made)
    store.commit_now()
    lane.append("transaction/fare", b"x")
    store.commit_now()
    balance(store)


def test_a_full_disk_evicts_the_oldest_telemetry_for_a_transaction_and_declares_it():
    media = disks()
    store = store_on(media)
    for n in range(50):
        store.lanes["telemetry"].append("telemetry/a", b"x" * 60 + b"%d" % n)
        store.commit_now()

    async def main():
        media["transaction"].fail_at = media["transaction"].operations + 1
        store.lanes["transaction"].append("transaction/fare", b"150 fen")
        await store.commit()

    asyncio.run(main())
    assert store.lanes["transaction"].made == 1
    store.commit_now()
    assert store.lanes["telemetry"].lost > 0
    assert all_of(store.lanes["event"])
    balance(store)


@pytest.mark.parametrize("name", ["event", "telemetry"])
def test_a_power_cut_at_every_operation_keeps_the_ledger(name):
    """Cut while records are made, acknowledged, evicted and declared: nothing vanishes without a word."""
    rng = random.Random(f"ledger {name}")
    whole = disks()
    live(store_on(whole, quota_bytes=6_000), {})
    states = 0
    for cut in range(1, whole[name].operations + 1):
        media = disks()
        media[name].cut_at = cut
        seen: dict = {}
        with suppress(PowerCut):
            live(store_on(media, quota_bytes=6_000), seen)
        for other in media:
            if other != name:
                media[other].torn = ("", b"")
        for after in media[name].survivors(rng):
            states += 1
            others = {other: next(iter(media[other].survivors(rng))) for other in media if other != name}
            check_ledger(store_on({**others, name: after}, quota_bytes=6_000), seen)
    print(f"states explored: {states}, seed 'ledger {name}'")  # noqa: T201
    assert states > 50


def live(store: Store, seen: dict) -> None:
    """A life: `seen` learns what was committed and what was acknowledged, as the world outside saw it."""
    for n in range(60):
        for name in ("telemetry", "event"):
            store.lanes[name].append(f"{name}/a", b"%d" % n + b"x" * 40)
        store.commit_now()
        for name, lane in store.lanes.items():
            seen[name] = {"made": lane.made, "acked": set(seen.get(name, {}).get("acked", ()))}
        if n % 7 == 0:
            for name in ("telemetry", "event"):
                lane = store.lanes[name]
                lane.acknowledge("mqtt", 1, lane.made - 5)
                seen[name]["acked"] |= set(range(1, lane.made - 4))


def check_ledger(store: Store, seen: dict) -> None:
    balance(store)
    store.commit_now()
    store.commit_now()
    balance(store)
    losses: dict[str, set[int]] = {name: set() for name in LANES}
    for payload in all_of(store.lanes["event"]).values():
        if payload.startswith(b"{"):
            loss = json.loads(payload)
            losses[loss["lane"]] |= set(range(loss["first"], loss["last"] + 1))
    for name, lane in store.lanes.items():
        known = seen.get(name, {"made": 0, "acked": set()})
        assert lane.made >= known["made"]
        kept = all_of(lane).keys()
        settled = {seq for first, last in lane.settled.pairs() for seq in range(first, last + 1)}
        assert kept | settled >= set(range(1, lane.made + 1)), name
        declared = {seq for loss in lane.losses if loss.is_declared for seq in range(loss.first, loss.last + 1)}
        assert len(declared) == lane.lost
        if name != "event":  # an event that told of a loss may itself have been evicted: that loss is told in turn
            told_in_evicted = store.lanes["event"].lost > 0 or store.lanes["event"].acked > 0
            assert told_in_evicted or declared <= losses[name]


def test_a_store_that_cannot_write_says_so_and_keeps_what_waits():
    media = disks()
    store = store_on(media)
    store.lanes["event"].append("event/a", b"one")

    async def main():
        media["event"].fail_at = media["event"].operations + 1
        media["event"].cause = Cause.BROKEN
        with pytest.raises(StorageError, match="failed"):
            await store.commit()
        assert store.lanes["event"].made == 0
        await store.commit()

    asyncio.run(main())
    assert all_of(store.lanes["event"]) == {1: b"one"}


def test_what_waits_for_a_dead_disk_is_bounded():
    store = store_on(disks())
    with pytest.raises(StoreError, match="wait for the disk"):  # noqa: PT012  # any of them may be the one too many
        for _ in range(10_000):
            store.lanes["telemetry"].append("telemetry/a", b"x" * 10_000)
