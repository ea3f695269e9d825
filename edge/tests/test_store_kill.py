"""The real store under SIGKILL: whatever a child was told to be durable is there afterwards, and nothing twice."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.store.lane import Lane
from edge.store.store import Quotas, Store, open_store

CHILD = """
import asyncio, sys
from pathlib import Path
from edge.tests.test_store_kill import live
asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2])))
"""


def encode_loss(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def payload_of(lane: str, seq: int) -> bytes:
    return random.Random(f"{lane} {seq}").randbytes(40 + seq % 3_000)


def opened(folder: Path) -> Store:
    return open_store(folder, quotas=Quotas(3), encode_loss=encode_loss, monotonic=time.monotonic)


def append(lane: Lane) -> None:
    lane.append(f"{lane.name}/a", payload_of(lane.name, lane.next_seq))


async def live(folder: Path, seed: int) -> None:
    """The child: commits now and then, says what is durable, acknowledges a part; until somebody kills it."""
    chance = random.Random(seed)
    store = opened(folder)

    async def pay() -> None:
        while True:
            append(store.lanes["transaction"])
            await store.commit()
            tell(store)
            if chance.random() < 0.1:
                lane = store.lanes[chance.choice(["transaction", "telemetry"])]
                lane.acknowledge("mqtt", 1, chance.randint(0, lane.made))
                store.lanes["transaction"].acknowledge("mqtt", 1, max(0, store.lanes["transaction"].made - 50))

    async def poll() -> None:
        while True:
            for _ in range(chance.randint(1, 20)):
                append(store.lanes["telemetry"])
            await store.commit()
            tell(store)

    await asyncio.gather(pay(), poll())


def tell(store: Store) -> None:
    facts = {
        name: [lane.epoch, lane.made, lane.settled.pairs()] for name, lane in store.lanes.items() if name != "event"
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def killed(folder: Path, seed: int, after_s: float) -> dict[str, list]:
    """Run a child, kill it, and return what it said last."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(seed)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = child.stdout.readline()  # it has come up and committed once
    timer = time.monotonic() + after_s
    try:
        while time.monotonic() < timer:
            line = child.stdout.readline()
            if line.endswith(b"\n"):
                said = line
    finally:
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.stdout.close()
        child.wait(10)
    whole = rest[: rest.rfind(b"\n") + 1].splitlines()
    return json.loads(whole[-1] if whole else said)


def check(folder: Path, said: dict[str, list]) -> None:
    store = opened(folder)
    for name, (epoch, made, _settled) in said.items():
        lane = store.lanes[name]
        assert lane.epoch == epoch
        assert lane.made >= made, f"{name}: told that {made} were durable, {lane.made} are"
        assert lane.made == lane.acked + lane.queued + lane.lost
        kept = set()
        seq = 1
        while records := lane.read(seq):
            for record in records:
                assert record.seq >= seq
                assert record.payload == payload_of(name, record.seq), f"{name} {record.seq} is not what was made"
                kept.add(record.seq)
            seq = records[-1].seq + 1
        owed = {seq for first, last in lane.settled.gaps(1, lane.made) for seq in range(first, last + 1)}
        assert owed <= kept, f"{name}: {sorted(owed - kept)[:5]} are owed and not there"
        assert all(loss.why == "quota" for loss in lane.losses), lane.losses
    store.commit_now()
    told = told_lost(store)
    for name, lane in store.lanes.items():
        lost = {seq for loss in lane.losses for seq in range(loss.first, loss.last + 1)}
        assert len(lost) == lane.lost
        assert lost <= told[name], f"{name}: {sorted(lost - told[name])[:5]} are lost without a word"
    store.close()


def told_lost(store: Store) -> dict[str, set[int]]:
    """What the loss events say."""
    told: dict[str, set[int]] = {name: set() for name in store.lanes}
    seq = 1
    while records := store.lanes["event"].read(seq):
        for record in records:
            loss = json.loads(record.payload)
            told[loss["lane"]] |= set(range(loss["first"], loss["last"] + 1))
        seq = records[-1].seq + 1
    return told


def rounds(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    last = {}
    for number in range(count):
        said = killed(folder, seed + number, chance.random() * 0.25)
        check(folder, said)
        for name, (_epoch, made, _settled) in said.items():
            assert made > last.get(name, 0)
            last[name] = made
    store = opened(folder)
    assert store.lanes["telemetry"].lost > 0, "the quota was never met"
    store.close()
    print(f"{count} rounds, seed {seed}, made {last}")  # noqa: T201  # how far it got belongs to the result


def test_twenty_kills_lose_nothing_that_was_durable(tmp_path):
    rounds(tmp_path, 20, seed=20)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_three_hundred_kills_lose_nothing_that_was_durable(tmp_path):
    rounds(tmp_path, 300, seed=300)
