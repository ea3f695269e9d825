"""Power cuts: what was made is still there, what was delivered stays delivered, and devices poll by themselves."""

import asyncio
import random
import signal
from pathlib import Path

import aiomqtt
import pytest

from hil_tests.bench import NODE, Bench
from hil_tests.devices import counter, counter_table, reader, reader_table, receiver, receiver_table
from protocols.wayside.state import State, decode
from protocols.wayside.topics import parse_topic, up_topic
from tools.sink.ledger import verify_ledger

pytestmark = pytest.mark.hil

RECORDS = ("telemetry", "backfill", "event", "transaction", "catalogue")
"""The kinds of topics that carry records."""


async def with_three_devices(bench: Bench) -> None:
    tables = counter_table("plc-1", await bench.add(counter()))
    tables += receiver_table(await bench.add(receiver()))
    tables += reader_table(await bench.add(reader()))
    bench.configure(tables)


def polled(bench: Bench) -> bool:
    status = bench.status()
    if status is None:
        return False
    devices = status["devices"]
    return bool(devices["plc-1"]["rounds"] and devices["gnss"]["sentences"] and devices["reader-1"].get("firmware"))


async def test_after_twenty_power_cuts_every_device_is_polled_by_itself(bench: Bench):
    """Row 4 of docs/field_failures.md."""
    await with_three_devices(bench)
    await bench.start_sink()
    for _cycle in range(20):
        await bench.start_gateway()
        await bench.until(lambda: polled(bench), "every device is polled", within_s=60)
        await bench.stop_gateway(signal.SIGKILL)
    await bench.start_gateway()
    assert bench.status()["boot"] == 21
    await bench.everything_arrived()


class Repeats:
    """What the broker passes on: how many records each session of the node sends that had been sent before."""

    def __init__(self) -> None:
        self.by_session: dict[tuple[int, int], int] = {}
        """By (boot, session)."""
        self._now = (0, 0)
        self._sent: set[bytes] = set()

    async def listen(self, client: aiomqtt.Client) -> None:
        """Until cancelled."""
        async for message in client.messages:
            topic = parse_topic(message.topic.value)
            if topic.kind == "state":
                state = decode(message.payload, State)
                if state.online:
                    self._now = (state.boot, state.session)
                    self.by_session.setdefault(self._now, 0)
            elif topic.kind in RECORDS:
                is_new_each_time = topic.kind != "catalogue"  # each session says anew which one holds
                self.by_session[self._now] += is_new_each_time and message.payload in self._sent
                self._sent.add(message.payload)

    @property
    def records(self) -> int:
        """How many there are, each counted once."""
        return len(self._sent)


@pytest.mark.parametrize("rounds", [pytest.param(20, id="20"), pytest.param(300, id="300", marks=pytest.mark.long)])
@pytest.mark.timeout(3_600)
async def test_killed_again_and_again_while_a_backlog_drains(bench: Bench, rounds: int):
    """Row 18 of docs/field_failures.md: re-sent at most the window after each cut, stored once, nothing missing."""
    seed = 20_261_124
    print(f"seed {seed}")  # noqa: T201  # a failure must be repeatable
    rng = random.Random(seed)
    await with_three_devices(bench)
    bench.prefill(10_000, points=2)
    await bench.start_sink()
    repeats = Repeats()
    is_busy = False
    async with bench.client("ingest") as client:
        await client.subscribe(up_topic(NODE, "#"), qos=1)
        listening = asyncio.create_task(repeats.listen(client))
        for _round in range(rounds):
            await bench.start_gateway()
            if is_busy:
                await bench.connected()  # the answers that it owes the session before are not this session's
                bench.sink.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(rng.uniform(0.05, 0.6))  # the power may go at any moment
            is_busy = rng.random() < 0.5
            if is_busy:  # what is sent from here on has reached the broker only
                bench.sink.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(rng.uniform(0.05, 0.3))
            status = bench.status()
            await bench.stop_gateway(signal.SIGKILL)
            queued = status["lanes"]["telemetry"]["queued"]
            assert queued > 100, "there was a backlog when it went"
            if queued < 8_000:
                bench.prefill(10_000, points=2)
        await bench.start_gateway()
        bench.sink.process.send_signal(signal.SIGCONT)
        await bench.everything_arrived(within_s=120)
        ledger = verify_ledger(bench.ledger_file)
        stored = sum(lane.received for lane in ledger.lanes)
        await bench.until(lambda: repeats.records >= stored, "all that was stored was heard")
        listening.cancel()
    assert max(repeats.by_session.values()) <= status["uplink"]["in_flight_limit"] == 16
    assert sum(repeats.by_session.values()) == sum(lane.duplicates for lane in ledger.lanes)
    assert all(lane.lost == 0 for lane in ledger.lanes)


async def test_twenty_restarts_without_news_bring_no_record(bench: Bench):
    """Row 18 of docs/field_failures.md."""
    bench.configure("")
    bench.prefill(50)
    await bench.start()
    await bench.until(bench.is_drained, "the backlog is gone")
    await bench.until(lambda: len(bench.records()) >= 50, "everything is stored")
    await bench.stop_gateway()
    before = len(bench.records())
    for _restart in range(20):
        await bench.start_gateway()
        await bench.connected()
        await bench.stop_gateway()
    assert len(bench.records()) == before
    assert sum(lane.duplicates for lane in bench.ledger().lanes) == 0


async def test_a_journal_with_flipped_bits_starts_and_says_what_it_lost(bench: Bench):
    """Row 17 of docs/field_failures.md, through the whole gateway."""
    bench.configure("")
    bench.prefill(8_000)
    rng = random.Random(17)
    segments = sorted((bench.data / "journal" / "telemetry").glob("*.seg"))
    assert len(segments) > 1
    for segment in segments[:-1]:
        data = bytearray(segment.read_bytes())
        for _flip in range(5):
            data[rng.randrange(24, len(data))] ^= 1 << rng.randrange(8)
        segment.write_bytes(data)
    await bench.start()
    await bench.everything_arrived(within_s=60)
    ledger = verify_ledger(bench.ledger_file)
    (telemetry,) = [lane for lane in ledger.lanes if lane.lane == "telemetry"]
    assert 0 < telemetry.lost <= 5 * (len(segments) - 1)
    assert telemetry.received + telemetry.lost == telemetry.upto
    assert "are lost (damaged)" in bench.log()
    assert sorted((bench.data / "journal" / "telemetry").glob("aside-*")), (
        "what was damaged is kept for who wants to look"
    )


KEPT_APART = ("lock", "status.sock", "log")
"""What holds nothing that a gateway must remember."""


def harm(file: Path, rng: random.Random) -> str:
    """Flip a few bits, cut the file short, or leave zeros as a file system does after a power cut."""
    data = bytearray(file.read_bytes())
    how = rng.choice(["flip", "cut", "zeros"])
    at = rng.randrange(len(data))
    if how == "flip":
        for _bit in range(rng.randrange(1, 9)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[at:]
    else:
        data[at:] = bytes(len(data) - at)
    file.write_bytes(data)
    return f"{file.name}: {how}"


@pytest.mark.parametrize("rounds", [pytest.param(12, id="12"), pytest.param(200, id="200", marks=pytest.mark.long)])
@pytest.mark.timeout(3_600)
async def test_whatever_the_disk_damages_the_gateway_starts_and_goes_on(bench: Bench, rounds: int):
    """Row 17 of docs/field_failures.md: any file of the data folder, in any state, between two starts."""
    seed = 17_2026
    print(f"seed {seed}")  # noqa: T201  # a failure must be repeatable
    rng = random.Random(seed)
    await with_three_devices(bench)
    bench.prefill(500)
    await bench.sink.start()
    await bench.sink.first_lines(1)
    for _round in range(rounds):
        await bench.start_gateway()
        made = bench.lane("telemetry")["made"]
        await bench.until(lambda: bench.status()["devices"]["plc-1"]["rounds"], "it polls")
        await bench.until(lambda seen=made: bench.lane("telemetry")["made"] != seen, "it records")
        await bench.until(lambda: bench.status()["uplink"]["state"] == "connected", "the uplink is reached")
        await bench.stop_gateway(rng.choice([signal.SIGKILL, signal.SIGTERM]))
        files = [file for file in sorted(bench.data.rglob("*")) if file.is_file() and file.stat().st_size]
        files = [file for file in files if not set(KEPT_APART) & set(file.relative_to(bench.data).parts)]
        print([harm(file, rng) for file in rng.sample(files, k=min(3, len(files)))])  # noqa: T201
    await bench.start_gateway()
    await bench.until(bench.is_drained, "what is left is delivered")
    await bench.stop_gateway()
    assert "Traceback" not in bench.log()
    assert verify_ledger(bench.ledger_file).problems == []
    for lane in bench.journal().values():
        assert lane.made == lane.acked + lane.queued + lane.lost
