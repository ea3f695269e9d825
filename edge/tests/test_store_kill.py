"""A real process under SIGKILL, again and again on one folder: what it has said is committed is there, and right."""

import json
import random
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from edge.store.opening import open_store
from edge.store.store import Quotas
from edge.tests.test_store import balance, encode_loss

ROOT = Path(__file__).parents[2]

CHILD = """
import asyncio, json, random, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from edge.store.opening import open_store
from edge.store.store import Quotas


async def main():
    rng = random.Random(sys.argv[3])
    store = open_store(
        Path(sys.argv[2]),
        quotas=Quotas(3),
        encode_loss=lambda **fields: json.dumps(fields).encode(),
        monotonic=lambda: time.monotonic() * 50,
    )
    print("open", flush=True)
    while True:
        for _ in range(rng.randint(1, 5)):
            for name, lane in store.lanes.items():
                if rng.random() < 0.7 and not lane.is_full:
                    seq = lane.next_seq
                    lane.append(name + "/a", b"%s %d " % (name.encode(), seq) + b"x" * (seq * 7919 % 3000))
        await store.commit()
        print(json.dumps({name: lane.made for name, lane in store.lanes.items()}), flush=True)
        if rng.random() < 0.2:
            lane = store.lanes[rng.choice(["transaction", "telemetry"])]
            upto = max(lane.acked_upto, lane.made - rng.randint(0, 300))
            print(json.dumps({"acked": [lane.name, upto]}), flush=True)
            lane.acknowledge("mqtt", 1, upto)


asyncio.run(main())
"""


def right_payload(name: str, seq: int) -> bytes:
    return b"%s %d " % (name.encode(), seq) + b"x" * (seq * 7919 % 3000)


def run_and_kill(folder: Path, seed: str, after_s: float) -> list[dict]:
    """Let a child work until it is killed; return what it said."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(ROOT), str(folder), seed], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "open\n"
        time.sleep(after_s)  # the moment of the kill is what is tried
    finally:
        child.kill()
        said, _nothing = child.communicate(timeout=30)
    lines = []
    for line in said.splitlines():
        with suppress(json.JSONDecodeError):  # the last line may be cut
            lines.append(json.loads(line))
    return lines


def survive(folder: Path, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    print(f"{rounds} rounds, seed {seed}")  # noqa: T201  # to repeat what failed
    made = dict.fromkeys(("transaction", "event", "telemetry"), 0)
    acked = dict.fromkeys(made, 0)
    for number in range(rounds):
        for line in run_and_kill(folder, f"{seed} {number}", rng.random() * 0.4):
            if "acked" in line:
                name, upto = line["acked"]
                acked[name] = max(acked[name], upto)
            else:
                made = line
        check(folder, made, acked)


def check(folder: Path, made: dict[str, int], acked: dict[str, int]) -> None:
    """Open it as the next process does, and look at every record."""
    options = {"quotas": Quotas(1_000), "encode_loss": encode_loss, "monotonic": lambda: 0.0}
    with closing(open_store(folder, **options)) as store:
        assert store.notes() == [] or all("torn" in note for note in store.notes())
        store.commit_now()
        balance(store)
        for name, lane in store.lanes.items():
            assert lane.made >= made[name]
            made[name] = lane.made
            assert lane.acked <= acked[name]
            kept = set()
            seq = 1
            while records := lane.read(seq):
                for record in records:
                    is_loss = record.route == "event/loss"
                    assert is_loss or record.payload == right_payload(name, record.seq)
                    kept.add(record.seq)
                seq = records[-1].seq + 1
            settled = {seq for first, last in lane.settled.pairs() for seq in range(first, last + 1)}
            assert kept | settled == set(range(1, lane.made + 1))
            assert all(loss.why == "quota" for loss in lane.losses), "nothing was damaged"
        assert store.lanes["transaction"].lost == 0


def test_twenty_kills_lose_nothing_that_was_committed(tmp_path):
    survive(tmp_path / "journal", 20, seed=20)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_three_hundred_kills_lose_nothing_that_was_committed(tmp_path):
    survive(tmp_path / "journal", 300, seed=random.SystemRandom().randrange(1 << 32))
