"""The store under cuts and failures: epochs that end, positions that tear, intents, every operation that may fail."""

import asyncio
import json
import random
from contextlib import suppress

import pytest

from edge.store.errors import Cause, StorageError, StoreError
from edge.store.intents import MAX_INTENT_BYTES
from edge.store.position import POSITION, POSITION_COPY
from edge.store.store import LANES, Store
from edge.tests.disk_double import Disk, Power, PowerCut, copies, survivors
from edge.tests.test_store import QUOTA_BYTES, all_of, balance, check_ledger, disks, live, store_on, told_lost


def operations_of(media: dict[str, Disk]) -> int:
    return media["event"].power.operations


# Epochs -------------------------------------------------------------------------------------------------------------


def told_with_epochs(store: Store) -> dict[tuple[str, str], set[int]]:
    told: dict[tuple[str, str], set[int]] = {}
    for payload in all_of(store.lanes["event"]).values():
        if payload.startswith(b"{"):
            loss = json.loads(payload)
            numbers = told.setdefault((loss["lane"], loss["epoch"]), set())
            numbers |= set(range(loss["first"], loss["last"] + 1))
    return told


async def live_with_a_new_epoch(media: dict[str, Disk], lane_name: str, seen: dict) -> None:
    """`seen`: what was committed, by (lane, epoch), and what of it was acknowledged."""
    store = store_on(media, segment_bytes=200)
    lane = store.lanes[lane_name]

    async def make(count: int) -> None:
        for _ in range(count):
            for each in store.lanes.values():
                seq = each.append(f"{each.name}/a", b"%d" % each.next_seq + b"x" * 60)
                assert seq == each.next_seq - 1
            with suppress(StorageError):
                await store.commit()
            for each in store.lanes.values():
                seen.setdefault((each.name, each.epoch), {"acked": set()})["made"] = each.made

    try:
        await make(4)
        lane.acknowledge("mqtt", 1, 3)
        seen[lane_name, lane.epoch]["acked"] |= {1, 2, 3}
        await make(4)
        with suppress(StorageError):
            assert await store.renew_epoch(lane_name) >= 5
        await make(4)
    finally:
        store.close()


@pytest.mark.parametrize("lane_name", LANES)
def test_a_new_epoch_is_cut_at_every_operation_and_its_records_are_kept_or_told(lane_name):
    rng = random.Random(f"epoch {lane_name}")
    whole = disks()
    asyncio.run(live_with_a_new_epoch(whole, lane_name, {}))
    states = 0
    for cut in range(1, operations_of(whole) + 1):
        media, seen = disks(), {}
        media["event"].power.cut_at = cut
        with suppress(PowerCut):
            asyncio.run(live_with_a_new_epoch(media, lane_name, seen))
        for after in survivors(media, rng):
            states += 1
            check_epochs(after, seen)
    print(f"states explored: {states}, seed 'epoch {lane_name}'")  # noqa: T201  # how much was explored is a result
    assert states > 500


@pytest.mark.parametrize("length", [1, 4, 12])
@pytest.mark.parametrize("lane_name", LANES)
def test_a_new_epoch_whose_writes_fail_has_made_nothing_that_a_cut_could_take_back(lane_name, length):
    rng = random.Random(f"epoch fails {lane_name}")
    whole = disks()
    asyncio.run(live_with_a_new_epoch(whole, lane_name, {}))
    for fail in range(operations_of(disks_of_a_start()) + 1, operations_of(whole) + 1):
        media, seen = disks(), {}
        power = media["event"].power
        power.fail_at, power.cause = range(fail, fail + length), Cause.BROKEN
        asyncio.run(live_with_a_new_epoch(media, lane_name, seen))
        for after in survivors(media, rng):
            check_epochs(after, seen)


def check_epochs(media: dict[str, Disk], seen: dict) -> None:
    """After a restart every record of every epoch is kept, acknowledged, or told lost."""
    store = store_on(media)
    for _ in range(2):
        for lane in store.lanes.values():
            all_of(lane)
        store.commit_now()
        balance(store)
    told = told_with_epochs(store)
    for (name, epoch), was in seen.items():
        lane = store.lanes[name]
        kept = all_of(lane).keys() if lane.epoch == epoch else set()
        gone = set(range(1, was["made"] + 1)) - kept - was["acked"] - told.get((name, epoch), set())
        assert not gone, (name, epoch)
    store.close()


def test_records_that_come_while_an_epoch_ends_are_kept():
    """Nothing that was appended in the meantime is forgotten, under whichever epoch."""
    store = store_on(disks())
    lane = store.lanes["telemetry"]

    async def main():
        for n in range(5):
            lane.append("telemetry/a", b"%d" % n)
        renewal = asyncio.ensure_future(store.renew_epoch("telemetry"))
        appended = []
        for _ in range(50):
            await asyncio.sleep(0)
            appended.append((lane.epoch, lane.append("telemetry/a", b"new")))
        assert await renewal >= 5
        await store.commit()
        return appended

    appended = asyncio.run(main())
    told = told_with_epochs(store)
    kept = {(lane.epoch, seq) for seq in all_of(lane)}
    for epoch, seq in appended:
        assert (epoch, seq) in kept or seq in told["telemetry", epoch]
    balance(store)


def test_an_event_epoch_that_ends_has_its_losses_told_again():
    media = disks()
    store = store_on(media, quota_bytes=QUOTA_BYTES)
    for _ in range(100):
        store.lanes["telemetry"].append("telemetry/a", b"x" * 60)
        store.commit_now()
    lost = told_lost(store)["telemetry"]
    assert len(lost) == store.lanes["telemetry"].lost > 10
    asyncio.run(store.renew_epoch("event"))
    assert told_lost(store)["telemetry"] == lost
    store.commit_now()
    assert told_lost(store_on(copies(media)))["telemetry"] == lost


# The position file --------------------------------------------------------------------------------------------------


def test_a_damaged_position_file_costs_nothing_while_there_is_its_copy():
    """Row 17 of docs/field_failures.md: nothing that has gone is mistaken, neither for lost nor for acknowledged."""
    whole = disks()
    asyncio.run(live(whole, {}))
    honest = store_on(copies(whole), quota_bytes=QUOTA_BYTES).lanes["telemetry"]
    assert honest.acked > 0
    for at in range(len(whole["telemetry"].contents()[POSITION])):
        media = copies(whole)
        media["telemetry"].files[POSITION].data[at] ^= 1 << (at % 7)
        store = store_on(media, quota_bytes=QUOTA_BYTES)
        balance(store)
        lane = store.lanes["telemetry"]
        assert lane.lost_ranges == honest.lost_ranges
        assert 0 < lane.acked <= honest.acked
        assert all_of(lane).keys() >= all_of(honest).keys()
        assert any(POSITION in note for note in store.notes())


def test_a_damaged_position_file_never_lets_go_of_a_record():
    """Row 17 of docs/field_failures.md: flipped and cut at every place; what is there is owed again, nothing else."""
    whole = disks()
    asyncio.run(live(whole, {}))
    whole["telemetry"].remove(POSITION_COPY)
    content = whole["telemetry"].contents()[POSITION]
    honest = store_on(copies(whole), quota_bytes=QUOTA_BYTES).lanes["telemetry"]
    for at in range(len(content)):
        for damage in ("flip", "cut"):
            media = copies(whole)
            data = media["telemetry"].files[POSITION].data
            if damage == "flip":
                data[at] ^= 1 << (at % 7)
            else:
                del data[at:]
            store = store_on(media, quota_bytes=QUOTA_BYTES)
            balance(store)
            lane = store.lanes["telemetry"]
            assert lane.acked == 0
            assert lane.queued >= honest.queued
            kept = all_of(lane).keys()
            assert kept >= all_of(honest).keys()
            assert kept | {seq for loss in lane.losses for seq in range(loss.first, loss.last + 1)} == set(
                range(1, lane.made + 1)
            )
            assert at == 0 or any(POSITION in note for note in store.notes())


def test_a_position_that_the_disk_cannot_give_is_no_reason_not_to_start():
    media = disks()
    asyncio.run(live(media, {}))
    media["telemetry"].unreadable.add(POSITION)
    store = store_on(media, quota_bytes=QUOTA_BYTES)
    balance(store)
    assert any("Input/output" in note for note in store.notes())


def test_a_position_that_is_damaged_right_after_a_new_epoch_does_not_bring_the_old_one_back():
    """Cut at every operation of the renewal, and the position file damaged on top of it."""
    whole = disks()
    asyncio.run(live_with_a_new_epoch(whole, "telemetry", {}))
    rng = random.Random("epoch and damage")
    for cut in range(1, operations_of(whole) + 1):
        media, seen = disks(), {}
        media["event"].power.cut_at = cut
        with suppress(PowerCut):
            asyncio.run(live_with_a_new_epoch(media, "telemetry", seen))
        for after in survivors(media, rng):
            if POSITION not in after["telemetry"].files or POSITION_COPY not in after["telemetry"].files:
                continue
            after["telemetry"].files[POSITION].data[3] ^= 1
            store = store_on(after)
            store.commit_now()
            lane = store.lanes["telemetry"]
            told = told_with_epochs(store)
            for (name, epoch), was in seen.items():
                if name == "telemetry":
                    kept = all_of(lane).keys() if lane.epoch == epoch else set()
                    assert set(range(1, was["made"] + 1)) <= kept | was["acked"] | told.get((name, epoch), set()), cut
            store.close()


def test_an_uplink_that_is_new_owes_nothing_of_what_has_gone_before_it_came():
    media = disks()
    asyncio.run(live(media, {}))
    before = store_on(copies(media), quota_bytes=QUOTA_BYTES).lanes["telemetry"]
    store = store_on(media, quota_bytes=QUOTA_BYTES, uplinks=("mqtt", "centre"))
    lane = store.lanes["telemetry"]
    balance(store)
    assert lane.lost == before.lost
    assert lane.acked + lane.queued == before.acked + before.queued
    assert lane.skip_acked("centre", 1) == lane.journal.segments[0].first


# Failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("length", [1, 2, 7, 30])
def test_whatever_fails_and_for_how_long_the_store_goes_on_and_the_ledger_holds(cause, length):
    """Every operation of a life, positions, removals and renames among them, fails once, or for some time."""
    whole = disks()
    life(whole, lambda store: store.commit_now())
    rng = random.Random(f"{cause} {length}")
    total = operations_of(whole)
    for fail in range(1, total + 1, 1 if length == 1 else 3):
        media = disks()
        media["event"].power.fail_at, media["event"].power.cause = range(fail, fail + length), cause
        seen: dict = {}
        life(media, commit_or_fail, seen)
        media["event"].power.fail_at = None
        check_ledger(next(iter(survivors(media, rng))), seen)


@pytest.mark.parametrize("only", ["event", "telemetry", None])
def test_a_power_cut_after_failures_finds_every_loss_told_or_known(only):
    """One lane's disk fails for some time, or all do; the power goes at any moment after that."""
    rng = random.Random(f"failures and cuts {only}")
    states = 0
    for fail in range(40, 160, 4):
        for until_cut in (15, 30):
            media, seen = disks(), {}
            if only is not None:
                media[only].power = FailingPower(media["event"].power)
            media[only or "event"].power.fail_at = range(fail, fail + until_cut - 5)
            media[only or "event"].power.cause = Cause.BROKEN
            for disk in media.values():
                disk.power.cut_at = fail + until_cut
            with suppress(PowerCut):
                life(media, commit_or_fail, seen)
            for after in survivors(media, rng):
                states += 1
                check_ledger(after, seen)
    print(f"states explored: {states}, seed 'failures and cuts {only}'")  # noqa: T201  # belongs to the result
    assert states > 500


class FailingPower(Power):
    """Counts with all disks, and fails for its own alone."""

    def __init__(self, shared: Power) -> None:
        self.shared = shared
        super().__init__()

    def begin(self, name: str) -> None:
        self.shared.operations += 1
        if self.fail_at is not None and self.shared.operations in self.fail_at:
            raise StorageError(f"{name}: failed", self.cause)

    def end(self) -> None:
        self.shared.end()


def commit_or_fail(store: Store) -> None:
    with suppress(StorageError):
        store.commit_now()


def life(media: dict[str, Disk], commit, seen: dict | None = None) -> None:
    """Records, acknowledgements and evictions; `commit` may fail, and in the end it all works again."""
    seen = {} if seen is None else seen
    for attempt in range(50):
        try:
            store = store_on(media, quota_bytes=QUOTA_BYTES)
            break
        except StorageError:
            assert attempt < 40
    try:
        made = dict.fromkeys(LANES, 0)
        for n in range(30):
            for name in ("telemetry", "event", "transaction") if n % 5 == 0 else ("telemetry", "event"):
                made[name] += store.lanes[name].append(f"{name}/a", b"%d" % n + b"x" * 60) > 0
            commit(store)
            balance(store)
            for name, lane in store.lanes.items():
                seen[name] = {"made": lane.made, "acked": seen.get(name, {}).get("acked", set())}
            if n % 7 == 0:
                store.lanes["telemetry"].acknowledge("mqtt", 1, store.lanes["telemetry"].made - 9)
                seen["telemetry"]["acked"] |= set(range(1, store.lanes["telemetry"].made - 8))
        for _ in range(60):
            commit(store)
        store.commit_now()
        assert not store.is_full
        assert store.trouble is None
        for name, lane in store.lanes.items():
            assert lane.made >= made[name]
            assert lane.journal.pending_bytes == 0
            seen[name]["made"] = lane.made
        balance(store)
    finally:
        store.close()


def test_a_disk_that_somebody_else_fills_costs_three_segments_a_commit_at_most():
    media = disks()
    store = store_on(media, segment_bytes=300)
    for _ in range(60):
        store.lanes["telemetry"].append("telemetry/a", b"x" * 60)
        store.commit_now()
    power = media["event"].power
    power.fail_at = range(power.operations, 1 << 30)
    store.lanes["transaction"].append("transaction/fare", b"1")
    with pytest.raises(StorageError):
        store.commit_now()
    assert 0 < store.lanes["telemetry"].lost <= 12
    assert store.is_full
    power.fail_at = None
    store.commit_now()
    assert not store.is_full
    assert store.lanes["transaction"].made == 1
    assert told_lost(store)["telemetry"] == set(range(1, store.lanes["telemetry"].lost + 1))


# Intents ------------------------------------------------------------------------------------------------------------


async def pay(media: dict[str, Disk], seen: dict) -> None:
    """Customers: an intent, the step, its record and the intent's end. What the disk refuses is not done."""
    store = store_on(media)

    async def is_committed() -> bool:
        try:
            await store.commit()
        except StorageError:
            return False
        return True

    async def sell(name: bytes, intent: int) -> None:
        store.lanes["transaction"].append("transaction/fare", name)
        store.end_intent(intent)
        if await is_committed():
            seen["ended"].add(name)

    try:
        slow = None
        for n in range(8):
            name = b"customer %d" % n
            intent = store.begin_intent(name)
            if not await is_committed():
                continue
            seen["durable"].add(name)
            if n == 1:
                slow = name, intent  # whose step takes until all others are done
            else:
                await sell(name, intent)
        if slow is not None:
            await sell(*slow)
        for _ in range(3):
            await is_committed()
    finally:
        store.close()


def check_intents(media: dict[str, Disk], seen: dict) -> None:
    """Every step that may have been taken has its record or is uncertain; and once it has, it stays so."""
    store = store_on(media)
    results = set(all_of(store.lanes["transaction"]).values())
    unfinished = {intent.data for intent in store.unfinished_intents}
    assert seen["durable"] <= results | unfinished
    assert not seen["ended"] & unfinished
    for intent in store.unfinished_intents:
        store.lanes["transaction"].append("transaction/uncertain", intent.data or b"?")
        store.end_intent(intent.seq)
    store.commit_now()
    assert store_on(copies(media)).unfinished_intents == []
    store.close()


def test_an_intent_is_never_forgotten_and_never_ended_before_its_result_is_durable():
    rng = random.Random("intents")
    whole = disks()
    asyncio.run(pay(whole, {"durable": set(), "ended": set()}))
    states = 0
    for cut in range(1, operations_of(whole) + 1):
        media, seen = disks(), {"durable": set(), "ended": set()}
        media["event"].power.cut_at = cut
        with suppress(PowerCut):
            asyncio.run(pay(media, seen))
        for after in survivors(media, rng):
            states += 1
            check_intents(after, seen)
    print(f"states explored: {states}, seed 'intents'")  # noqa: T201
    assert states > 500


@pytest.mark.parametrize("length", [1, 2, 6])
def test_an_intent_does_not_end_when_its_result_cannot_be_written(length):
    rng = random.Random("failing intents")
    whole = disks()
    asyncio.run(pay(whole, {"durable": set(), "ended": set()}))
    first = operations_of(disks_of_a_start()) + 1
    for fail in range(first, operations_of(whole) + 1):
        for cut in (fail + length, 1 << 30):
            media, seen = disks(), {"durable": set(), "ended": set()}
            power = media["event"].power
            power.fail_at, power.cause, power.cut_at = range(fail, fail + length), Cause.BROKEN, cut
            with suppress(PowerCut):
                asyncio.run(pay(media, seen))
            for after in survivors(media, rng):
                check_intents(after, seen)


def disks_of_a_start() -> dict[str, Disk]:
    media = disks()
    store_on(media).close()
    return media


def test_the_intents_stay_small_and_are_never_published():
    media = disks()
    store = store_on(media)
    first = store.begin_intent(b"still open")
    for n in range(500):
        store.end_intent(store.begin_intent(b"%d" % n))
        store.commit_now()
    assert all(lane.made == 0 for lane in store.lanes.values())
    store.end_intent(first)
    for _ in range(12):
        store.end_intent(store.begin_intent(b"x"))
        store.commit_now()
    assert sum(map(len, media["intent"].contents().values())) < 1_000
    assert store_on(copies(media)).unfinished_intents == []


def test_a_damaged_intent_is_uncertain_and_what_is_wrong_is_refused():
    media = disks()
    store = store_on(media)
    store.begin_intent(b"open the gate")
    store.begin_intent(b"debit")
    store.commit_now()
    name = media["intent"].list()[0]
    at = bytes(media["intent"].files[name].data).index(b"gate")
    media["intent"].files[name].data[at] ^= 1
    again = store_on(media)
    assert [(intent.seq, intent.data) for intent in again.unfinished_intents] == [(1, None), (2, b"debit")]
    again.end_intent(2)
    for wrong in (2, 3):
        with pytest.raises(StoreError, match="no open intent"):
            again.end_intent(wrong)
    with pytest.raises(StoreError, match="ceiling"):
        again.begin_intent(bytes(MAX_INTENT_BYTES + 1))
