"""Intents and their results: an intent has ended when, and only when, its result is durable."""

import asyncio
import random
from contextlib import suppress

import pytest

from edge.store.errors import Cause, StorageError
from edge.store.store import Store
from edge.tests.disk_double import Disk, Power, PowerCut, copies, survivors
from edge.tests.test_store import all_of, disks, store_on


def customers(first: int, count: int) -> list[bytes]:
    return [b"customer %d" % n for n in range(first, first + count)]


async def serve(store: Store, names: list[bytes], seen: dict) -> None:
    """For each an intent, the step, and a record of it; other records come in between."""
    for number, name in enumerate(names):
        lane = ("transaction", "event")[number % 2]
        intent = store.begin_intent(name)
        store.lanes["telemetry"].append("telemetry/a", b"x" * 30)
        await store.commit(lane)
        seen["durable"].add(name)
        store.lanes[lane].append(f"{lane}/result", name)
        store.end_intent(intent, lane)
        await store.commit(lane)
        seen["ended"].add(name)


def settle_found(store: Store, seen: dict) -> None:
    """What a role does before the first customer; `seen` is what the world knows."""
    results = [payload for lane in ("transaction", "event") for payload in all_of(store.lanes[lane]).values()]
    unfinished = [intent.data for intent in store.unfinished_intents]  # None: a torn write that nobody was told of
    assert not set(results) & set(unfinished), "an intent whose result is durable has ended"
    assert len(set(results)) == len(results), "no step has two results"
    assert seen["durable"] <= set(results) | set(unfinished)
    assert seen["ended"] <= set(results)


async def life(media: dict[str, Disk], names: list[bytes], seen: dict) -> None:
    store = store_on(media)
    try:
        settle_found(store, seen)
        for intent in store.unfinished_intents[:1]:
            # Another record comes first, and is made under the very number that a lost result was to have.
            store.lanes["transaction"].append("transaction/other", b"other %d" % intent.seq)
            await store.commit()
        for intent in store.unfinished_intents:
            store.lanes["transaction"].append("transaction/uncertain", intent.data or b"torn %d" % intent.seq)
            store.end_intent(intent.seq)
        await store.commit()
        await serve(store, names, seen)
    finally:
        store.close()


def test_over_two_cuts_every_step_has_one_result_and_no_intent_outlives_it():
    rng = random.Random("results")
    whole = disks()
    asyncio.run(life(whole, customers(0, 5), {"durable": set(), "ended": set()}))
    operations = whole["event"].power.operations
    states = 0
    for cut in range(1, operations + 1):
        media, seen = disks(), {"durable": set(), "ended": set()}
        media["event"].power.cut_at = cut
        with suppress(PowerCut):
            asyncio.run(life(media, customers(0, 5), seen))
        for after in survivors(media, rng):
            second = copies(after)
            again = {key: set(names) for key, names in seen.items()}
            second["event"].power.cut_at = rng.randint(1, 40)
            with suppress(PowerCut):
                asyncio.run(life(second, customers(5, 3), again))
            for last in survivors(second, rng):
                states += 1
                store = store_on(last)
                settle_found(store, again)
                store.close()
    print(f"states explored: {states} over {operations} cuts, seed 'results'")  # noqa: T201
    assert states > 2_000


def test_an_end_that_cannot_be_written_holds_back_its_result_and_nothing_else():
    media = disks()
    media["intent"] = Disk(Power())
    store = store_on(media)

    async def main():
        intent = store.begin_intent(b"debit")
        await store.commit()
        power = media["intent"].power
        power.fail_at, power.cause = range(1, 1 << 30), Cause.BROKEN
        store.lanes["transaction"].append("transaction/fare", b"150 fen")
        store.lanes["telemetry"].append("telemetry/a", b"1")
        store.end_intent(intent)
        with pytest.raises(StorageError):
            await store.commit("transaction")
        assert (store.lanes["transaction"].made, store.lanes["telemetry"].made) == (0, 1)
        power.fail_at = None
        await store.commit("transaction")
        assert store.lanes["transaction"].made == 1

    asyncio.run(main())
    store.close()
    assert store_on(copies(media)).unfinished_intents == []


def test_a_result_that_cannot_be_written_keeps_its_intent_open():
    media = disks()
    media["transaction"] = Disk(Power())
    store = store_on(media)

    async def main():
        intent = store.begin_intent(b"debit")
        await store.commit()
        power = media["transaction"].power
        power.fail_at, power.cause = range(1, 1 << 30), Cause.BROKEN
        store.lanes["transaction"].append("transaction/fare", b"150 fen")
        store.end_intent(intent)
        with pytest.raises(StorageError):
            await store.commit()

    asyncio.run(main())
    store.close()
    again = store_on(copies(media))
    assert [intent.data for intent in again.unfinished_intents] == [b"debit"]


@pytest.mark.parametrize("is_result_first", [True, False])
def test_a_new_epoch_of_the_lane_brings_no_intent_back(is_result_first):
    media = disks()
    store = store_on(media)

    async def main():
        intents = [store.begin_intent(b"%d" % n) for n in range(3)]
        await store.commit()
        if is_result_first:
            store.lanes["transaction"].append("transaction/fare", b"0")
            store.end_intent(intents[0])
        await store.renew_epoch("transaction")
        store.lanes["transaction"].append("transaction/fare", b"1")
        store.end_intent(intents[1])
        await store.commit()

    asyncio.run(main())
    store.close()
    unfinished = [intent.data for intent in store_on(copies(media)).unfinished_intents]
    assert unfinished == ([b"2"] if is_result_first else [b"0", b"2"])


def test_many_intents_at_once_end_with_their_results():
    """More than one commit of the intents' journal holds: results wait for theirs."""
    media = disks()
    store = store_on(media)

    async def main():
        intents = [store.begin_intent(b"%d " % n + b"x" * 50) for n in range(40)]
        await store.commit()
        for intent in intents:
            store.lanes["transaction"].append("transaction/fare", b"%d" % intent)
            store.end_intent(intent)
        await store.commit("transaction")

    asyncio.run(main())
    assert store.lanes["transaction"].made == 40
    store.close()
    assert store_on(copies(media)).unfinished_intents == []
