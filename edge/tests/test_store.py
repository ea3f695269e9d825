"""The store: group commit, quotas, declared loss, restarts; made = acknowledged + queued + lost at every moment."""

import asyncio
import json
import random
import threading
from contextlib import suppress

import fastcrc
import pytest

from edge.store import store as store_module
from edge.store.errors import Cause, StorageError, StoreError, StoreFullError, StoreLockedError
from edge.store.intents import Intents
from edge.store.lane import Lane
from edge.store.opening import open_store
from edge.store.segment import MAX_BODY_BYTES
from edge.store.store import LANES, Quotas, Store
from edge.tests.disk_double import Disk, Power, PowerCut, copies, survivors


def encode_loss(**fields) -> bytes:
    return json.dumps(fields).encode()


def store_on(
    disks: dict[str, Disk],
    *,
    quota_bytes: int = 1 << 20,
    segment_bytes: int = 600,
    quotas_mb: dict[str, float] | None = None,
    monotonic=lambda: 0.0,
    uplinks: tuple[str, ...] = ("mqtt",),
) -> Store:
    lanes = {}
    counter = iter(range(1, 1_000))
    taken = {name[:16] for disk in disks.values() for name in disk.list()}

    def new_epoch() -> str:
        return next(epoch for n in counter if (epoch := f"{n:016x}") not in taken)

    for name in LANES:
        lane = Lane(
            name,
            disks[name],
            checksum=fastcrc.crc32.iscsi,
            new_epoch=new_epoch,
            segment_bytes=segment_bytes,
            uplinks=uplinks,
        )
        lane.open()
        lanes[name] = lane, disks[name]
    intents = Intents(
        disks["intent"], checksum=fastcrc.crc32.iscsi, new_epoch=new_epoch, segment_bytes=min(segment_bytes, 200)
    )
    intents.open()
    quotas = Quotas(quota_bytes / 1e6, quotas_mb)
    quotas.segment_bytes = lambda: segment_bytes
    return Store(lanes, intents=intents, quotas=quotas, boot=1, encode_loss=encode_loss, monotonic=monotonic)


def disks() -> dict[str, Disk]:
    power = Power()
    return {name: Disk(power) for name in (*LANES, "intent")}


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
        medium = store.lanes["transaction"]._medium
        sync = medium.sync

        def counted(name):
            nonlocal syncs
            syncs += 1
            sync(name)

        medium.sync = counted

        async def pay(n):
            seq = lane.append("transaction/fare", b"%d" % n)
            await store.commit()
            assert lane.made >= seq

        await asyncio.gather(*(pay(n) for n in range(200)))
        assert lane.made == 200
        assert syncs <= 3
        store.close()

    asyncio.run(main())


class SlowDisk(Disk):
    """A disk whose sync waits until somebody lets it go on."""

    def __init__(self, power: Power) -> None:
        super().__init__(power)
        self.may_sync = threading.Event()
        self.is_syncing = threading.Event()

    def sync(self, name: str) -> None:
        self.is_syncing.set()
        assert self.may_sync.wait(10)
        super().sync(name)


def slow_store() -> tuple[Store, SlowDisk, dict[str, Disk]]:
    media = disks()
    disk = SlowDisk(media["event"].power)
    media["telemetry"] = disk
    disk.may_sync.set()
    store = store_on(media)
    store.lanes["telemetry"].append("telemetry/a", b"1")
    store.commit_now()
    disk.may_sync.clear()
    disk.is_syncing.clear()
    return store, disk, media


async def begins(disk: SlowDisk) -> None:
    async with asyncio.timeout(5):
        while not disk.is_syncing.is_set():
            await asyncio.sleep(0.001)


def seqs(lane: Lane, first: int) -> list[int]:
    return [seq for seq, _body in lane.journal.read(first)]


def check_numbers(store: Store, media: dict[str, Disk], count: int) -> None:
    lane = store.lanes["telemetry"]
    assert all_of(lane) == {seq: b"%d" % seq for seq in range(1, count + 1)}
    written = [seq for first in (1, *(each.first for each in lane.journal.segments[1:])) for seq in seqs(lane, first)]
    assert written == list(range(1, count + 1)), "each is written once"
    assert lane.journal.pending_bytes == 0
    assert all_of(store_on(media).lanes["telemetry"]) == all_of(lane)
    balance(store)


@pytest.mark.parametrize("how", ["loop still runs", "loop has ended"])
def test_a_last_commit_takes_over_from_one_that_the_thread_still_writes(how):
    store, disk, media = slow_store()
    lane = store.lanes["telemetry"]

    async def main():
        lane.append("telemetry/a", b"2")
        waiting = asyncio.ensure_future(store.commit())
        await begins(disk)
        lane.append("telemetry/a", b"3")
        if how == "loop has ended":
            waiting.cancel()
            return
        threading.Timer(0.05, disk.may_sync.set).start()
        store.commit_now()
        assert lane.made == 3
        await waiting

    asyncio.run(main())
    disk.may_sync.set()
    store.commit_now()
    store.close()
    check_numbers(store, media, 3)


def test_a_caller_that_is_cancelled_takes_nothing_from_the_others():
    store, disk, media = slow_store()
    lane = store.lanes["telemetry"]

    async def main():
        callers = []
        for n in range(2, 8):
            lane.append("telemetry/a", b"%d" % n)
            callers.append(asyncio.ensure_future(store.commit()))
            if n == 2:
                await begins(disk)
        await asyncio.sleep(0)
        callers[0].cancel()
        callers[3].cancel()
        await asyncio.sleep(0)
        disk.may_sync.set()
        done = await asyncio.gather(*callers, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done] == [True, False, False, True, False, False]
        assert lane.made == 7

    asyncio.run(main())
    store.close()
    check_numbers(store, media, 7)


def test_an_error_reaches_every_caller_of_that_commit_and_the_next_one_goes_on():
    store, disk, media = slow_store()
    lane = store.lanes["telemetry"]

    async def main():
        lane.append("telemetry/a", b"2")
        callers = [asyncio.ensure_future(store.commit())]
        await begins(disk)
        disk.power.fail_at, disk.power.cause = range(1, 1 << 30), Cause.BROKEN
        for n in (3, 4):
            lane.append("telemetry/a", b"%d" % n)
            callers.append(asyncio.ensure_future(store.commit()))
        await asyncio.sleep(0)
        disk.may_sync.set()
        done = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(one, StorageError) for one in done)
        disk.power.fail_at = None
        await store.commit()

    asyncio.run(main())
    store.close()
    check_numbers(store, media, 4)


def test_whoever_waits_for_one_lane_does_not_hear_of_anothers_trouble():
    media = disks()
    media["telemetry"] = Disk(Power())
    store = store_on(media)
    store.commit_now()

    async def main():
        power = media["telemetry"].power
        power.fail_at, power.cause = range(1, 1 << 30), Cause.BROKEN
        store.lanes["telemetry"].append("telemetry/a", b"1")
        store.lanes["transaction"].append("transaction/fare", b"1")
        await store.commit("transaction")
        assert store.lanes["transaction"].made == 1
        for lane in ("telemetry", None):
            with pytest.raises(StorageError):
                await store.commit(lane)

    asyncio.run(main())
    store.close()


def test_what_was_acknowledged_is_written_down_although_nothing_new_is_made(monkeypatch):
    monkeypatch.setattr(store_module, "POSITION_PERIOD_S", 0.01)
    media = disks()

    async def main():
        store = store_on(media, segment_bytes=300, monotonic=asyncio.get_running_loop().time)
        for _ in range(20):
            store.lanes["telemetry"].append("telemetry/a", b"x" * 60)
        await store.commit()
        store.lanes["telemetry"].acknowledge("mqtt", 1, 20)
        async with asyncio.timeout(5):
            while store.lanes["telemetry"].is_position_dirty or len(media["telemetry"].list()) > 3:
                await asyncio.sleep(0.001)
        store.close()

    asyncio.run(main())
    again = store_on(copies(media)).lanes["telemetry"]
    assert (again.acked, again.queued) == (20, 0)


def test_an_acknowledgement_of_more_than_there_is_counts_for_what_there_is():
    store = store_on(disks())
    lane = store.lanes["telemetry"]
    lane.append("telemetry/a", b"1")
    store.commit_now()
    lane.append("telemetry/a", b"2")
    assert lane.acknowledge("mqtt", -5, 1 << 60) == 1
    balance(store)
    store.commit_now()
    assert (lane.made, lane.acked, lane.queued) == (2, 1, 1)


def test_a_record_that_no_segment_could_hold_is_refused():
    lane = store_on(disks()).lanes["telemetry"]
    for route, payload in (("telemetry/a", bytes(MAX_BODY_BYTES)), ("x" * 300, b"")):
        with pytest.raises(StoreError, match="too large"):
            lane.append(route, payload)
    assert lane.next_seq == 1


def test_one_lanes_dead_disk_is_not_anothers():
    media = disks()
    media["telemetry"] = Disk(Power())
    store = store_on(media)
    store.commit_now()
    media["telemetry"].power.fail_at, media["telemetry"].power.cause = range(1, 1 << 30), Cause.BROKEN
    store.lanes["telemetry"].append("telemetry/a", b"1")
    store.lanes["transaction"].append("transaction/fare", b"1")
    with pytest.raises(StorageError):
        store.commit_now()
    assert (store.lanes["telemetry"].made, store.lanes["transaction"].made) == (0, 1)


def test_a_position_that_cannot_be_saved_is_told_and_holds_up_nothing():
    media = disks()
    media["telemetry"] = Disk(Power())
    store = store_on(media)
    for _ in range(20):
        store.lanes["telemetry"].append("telemetry/a", b"x" * 60)
        store.commit_now()
    store.lanes["telemetry"].acknowledge("mqtt", 1, 19)
    power = media["telemetry"].power
    power.fail_at, power.cause = range(power.operations + 1, power.operations + 2), Cause.BROKEN
    before = media["telemetry"].list()
    store.lanes["telemetry"].append("telemetry/a", b"last")
    store.commit_now()
    assert store.lanes["telemetry"].made == 21
    assert "failed" in store.trouble
    assert set(before) <= set(media["telemetry"].list()), "no segment goes before the position knows"
    store.commit_now()
    assert store.trouble is None
    assert len(media["telemetry"].list()) < len(before)


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
        power = media["transaction"].power
        power.fail_at = range(power.operations + 2, power.operations + 3)  # 1 is a position
        store.lanes["transaction"].append("transaction/fare", b"150 fen")
        await store.commit()

    asyncio.run(main())
    assert store.lanes["transaction"].made == 1
    store.commit_now()
    assert store.lanes["telemetry"].lost > 0
    assert all_of(store.lanes["event"])
    balance(store)


def test_a_power_cut_at_every_operation_keeps_the_ledger():
    """Cut while records are made, acknowledged, evicted and declared: nothing vanishes without a word."""
    rng = random.Random("ledger")
    whole, seen = disks(), {}
    asyncio.run(live(whole, seen))
    assert seen["telemetry"]["lost"] > 5
    assert seen["event"]["lost"] > 5
    operations = whole["event"].power.operations
    states = 0
    for cut in range(1, operations + 1):
        media, seen = disks(), {}
        media["event"].power.cut_at = cut
        with suppress(PowerCut):
            asyncio.run(live(media, seen))
        for after in survivors(media, rng):
            states += 1
            check_ledger(after, seen)
    print(f"states explored: {states} over {operations} cuts, seed 'ledger'")  # noqa: T201
    assert states > 2_000


QUOTA_BYTES = 5_000


async def live(media: dict[str, Disk], seen: dict) -> None:
    """A life: `seen` learns what was committed and what was acknowledged, as the world outside saw it."""
    seconds = iter(range(10_000))
    store = store_on(media, quota_bytes=QUOTA_BYTES, monotonic=lambda: next(seconds))
    try:
        for n in range(40):
            for name in ("telemetry", "event"):
                store.lanes[name].append(f"{name}/a", b"%d" % n + b"x" * 60)
            if n % 5 == 0:
                store.lanes["transaction"].append("transaction/a", b"%d" % n)
            await store.commit()
            for name, lane in store.lanes.items():
                acked = seen.get(name, {}).get("acked", set())
                seen[name] = {"made": lane.made, "acked": acked, "lost": lane.lost}
            if n % 7 == 0:
                for name in ("telemetry", "transaction"):
                    lane = store.lanes[name]
                    lane.acknowledge("mqtt", 1, lane.made - 9)
                    seen[name]["acked"] |= set(range(1, lane.made - 8))
        store.commit_now()
    finally:
        store.close()


def check_ledger(media: dict[str, Disk], seen: dict) -> None:
    """After a restart every number is kept, acknowledged or declared lost in an event that is kept or lost in turn."""
    store = store_on(media, quota_bytes=QUOTA_BYTES)
    balance(store)
    for _ in range(3):
        for lane in store.lanes.values():
            all_of(lane)  # damage is found by reading
        store.commit_now()
        balance(store)
    for name, lane in store.lanes.items():
        known = seen.get(name, {"made": 0, "acked": set()})
        assert lane.made >= known["made"]
        kept = all_of(lane).keys()
        released = {seq for first, last in lane.released.pairs() for seq in range(first, last + 1)}
        assert released <= known["acked"], "let go of, and nobody has acknowledged it"
        damaged = [loss.first for loss in lane.losses if loss.why == "damaged"]
        assert min(damaged, default=1 << 62) > known["made"], "of what was committed only eviction takes anything"
        assert kept | released | told_lost(store)[name] >= set(range(1, lane.made + 1)), name
        assert lane.lost <= len(told_lost(store)[name])
    store.close()


def told_lost(store: Store) -> dict[str, set[int]]:
    """What the loss events say that are kept."""
    told: dict[str, set[int]] = {name: set() for name in LANES}
    for payload in all_of(store.lanes["event"]).values():
        if payload.startswith(b"{"):
            loss = json.loads(payload)
            told[loss["lane"]] |= set(range(loss["first"], loss["last"] + 1))
    return told


def test_a_store_that_cannot_write_says_so_and_keeps_what_waits():
    media = disks()
    store = store_on(media)
    store.lanes["event"].append("event/a", b"one")

    async def main():
        store.commit_now()
        store.lanes["event"].append("event/a", b"two")
        power = media["event"].power
        power.fail_at, power.cause = range(power.operations + 1, power.operations + 2), Cause.BROKEN
        with pytest.raises(StorageError, match="failed"):
            await store.commit()
        assert store.lanes["event"].made == 1
        await store.commit()

    asyncio.run(main())
    assert all_of(store.lanes["event"]) == {1: b"one", 2: b"two"}


def test_what_waits_for_a_dead_disk_is_bounded():
    store = store_on(disks())
    with pytest.raises(StoreError, match="wait for the disk"):  # noqa: PT012  # any of them may be the one too many
        for _ in range(10_000):
            store.lanes["telemetry"].append("telemetry/a", b"x" * 10_000)
