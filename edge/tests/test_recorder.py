"""What drivers make becomes records: packed, numbered, durable in time; nothing is filtered that must not be."""

import asyncio
import json

import pytest

from drivers.errors import DeviceTimeoutError
from drivers.readings import DeviceEvent, Point, Sample, TimeOffer, Transaction
from edge.gateway import recorder as module
from edge.gateway.recorder import Recorder
from edge.gateway.stream import MAX_ROW_BYTES, Stream, block_names, spans_of
from edge.store.errors import Cause, StorageError, StoreFullError
from edge.store.opening import open_store
from edge.store.store import Quotas
from protocols.wayside.events import decode_event
from protocols.wayside.pack_codec import decode_pack

POINTS = (Point(name="level_m", type="float32", unit="m", deadband=0.1), Point(name="ok", type="bool"))


class Clock:
    def __init__(self) -> None:
        self.offers: list[TimeOffer] = []

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_ms(self, at=None) -> int:
        return 1_795_415_333_000

    def quality(self) -> str:
        return "ntp"

    def uptime_ms(self, at=None) -> int:
        return 5_000

    def offer(self, offer: TimeOffer) -> None:
        self.offers.append(offer)


class Bench:
    def __init__(self, folder) -> None:
        self.clock = Clock()
        self.store = open_store(
            folder,
            quotas=Quotas(64),
            encode_loss=lambda **fields: json.dumps(fields).encode(),
            monotonic=self.clock.monotonic,
        )
        self.commits: list[float] = []
        """When each commit began."""
        self.seen: list[dict] = []
        self.recorder = Recorder(
            node="rsu-1",
            store=self.store,
            clock=self.clock,
            on_committed=lambda: None,
            on_seen=self.seen.append,
        )
        self._commit, self.store.commit = self.store.commit, self._count_commit

    async def _count_commit(self, *lane: str) -> None:
        self.commits.append(self.clock.monotonic())
        await self._commit(*lane)

    def streams(self, *streams: Stream) -> None:
        self.recorder.set_streams({stream.device: stream for stream in streams})

    def sample(self, values, bad=(), device="flow-1", at=None) -> None:
        at = self.clock.monotonic() if at is None else at
        self.recorder.sample(Sample(device, at, list(values), list(bad)))

    async def until(self, condition) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    def packs(self) -> list:
        return [decode_pack(record.payload) for record in self.records("telemetry")]

    def events(self) -> list:
        return [decode_event(record.payload) for record in self.records("event")]

    def records(self, lane) -> list:
        found, seq = [], 1
        while records := self.store.lanes[lane].read(seq):
            found += records
            seq = records[-1].seq + 1
        return found


@pytest.fixture
async def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMMIT_PERIOD_S", 0.1)
    standing = Bench(tmp_path)
    yield standing
    await standing.recorder.aclose()
    standing.store.close()


async def test_the_first_record_after_idle_commits_at_once_then_one_commit_a_period(bench, monkeypatch):
    monkeypatch.setattr(module, "COMMIT_PERIOD_S", 0.6)  # so long that a busy machine's delays are short beside it
    bench.streams(Stream("flow-1", POINTS, pack_s=0.6))
    began = bench.clock.monotonic()
    bench.sample([1.0, True])
    await bench.until(lambda: bench.store.lanes["telemetry"].made == 1)
    assert bench.clock.monotonic() - began < 0.54
    for n in range(20):
        bench.sample([float(n), True])
        await asyncio.sleep(0.03)
    await bench.until(lambda: sum(len(pack.values) for pack in bench.packs()) == 21)
    gaps = [after - before for before, after in zip(bench.commits, bench.commits[1:], strict=False)]
    assert all(gap > 0.57 for gap in gaps)
    assert bench.store.lanes["telemetry"].made <= 4


async def test_an_event_commits_at_once_however_young_the_last_commit_is(bench, monkeypatch):
    monkeypatch.setattr(module, "COMMIT_PERIOD_S", 4.0)
    bench.streams(Stream("flow-1", POINTS, pack_s=60))
    await bench.until(lambda: bench.commits)
    before = len(bench.commits)
    began = bench.clock.monotonic()
    bench.recorder.event(DeviceEvent(device="reader-1", kind="tap", at=began, data={}))
    await bench.until(lambda: len(bench.commits) > before)
    assert bench.commits[before] - began < 2.0


async def test_a_pack_is_full_at_16_kb(bench):
    bench.streams(Stream("flow-1", [Point(name=f"p{n}", type="uint16") for n in range(500)], pack_s=60))
    bench.sample([60_000] * 500)
    for _ in range(40):
        bench.sample([60_000] * 500)
    await bench.recorder.aclose()
    sizes = [len(record.payload) for record in bench.records("telemetry")]
    assert len(sizes) > 5
    assert max(sizes) < 2 * 16_384


async def test_events_and_transactions_commit_at_once_and_a_transaction_is_durable_when_it_is_answered(bench):
    at = bench.clock.monotonic()
    bench.recorder.event(DeviceEvent(device="reader-1", kind="tap", at=at, data={"n": 1}))
    assert await bench.recorder.transaction(
        Transaction(device="reader-1", kind="fare", at=at, data={"amount_fen": 150})
    )
    assert bench.store.lanes["transaction"].made == 1
    await bench.until(lambda: bench.store.lanes["event"].made == 1)
    (event,) = bench.events()
    assert (event.kind, event.device, event.data) == ("tap", "reader-1", {"n": 1, "severity": "info"})


async def test_change_reports_leave_out_what_stays_within_its_deadband_and_nothing_else(bench):
    bench.streams(Stream("flow-1", POINTS, pack_s=0, has_change_report=True))
    for values, bad in (
        ([1.0, True], []),
        ([1.05, True], []),  # within
        ([1.2, True], []),  # outside
        ([1.2, False], []),  # a bool has no deadband
        ([None, False], [(0, 2)]),  # quality
        ([None, False], [(0, 2)]),  # the same again
        ([1.2, False], []),  # good again
    ):
        bench.sample(values, bad)
    await bench.recorder.aclose()
    rows = [row for pack in bench.packs() for row in pack.values]
    assert rows == [[1.0, True], [1.2, True], [1.2, False], [None, False], [1.2, False]]


async def test_a_hundred_alarms_at_one_place_are_a_hundred_events(bench):
    """Row 30 of docs/field_failures.md."""
    at = bench.clock.monotonic()
    for _ in range(100):
        bench.recorder.event(DeviceEvent(device="bus-1", kind="sos", at=at, data={"lat": 1}, severity="alarm"))
    await bench.until(lambda: bench.store.lanes["event"].made == 100)
    assert len(bench.events()) == 100


async def test_two_samples_in_one_millisecond_are_two_samples(bench):
    bench.streams(Stream("flow-1", POINTS, pack_s=60))
    at = bench.clock.monotonic()
    for offset in (0.0, 0.5, 0.5002, 0.5004):
        bench.sample([offset, True], at=at + offset)
    await bench.recorder.aclose()
    (pack,) = bench.packs()
    assert list(pack.offsets) == [0, 500, 500.2, 500.4]


async def test_a_failed_read_is_null_and_its_code(bench):
    """Row 9 of docs/field_failures.md."""
    bench.streams(Stream("flow-1", POINTS, pack_s=0))
    bench.sample([None, None], [(0, 2), (1, 2)])
    await bench.until(lambda: bench.packs())
    (pack,) = bench.packs()
    assert pack.values == [[None, None]]
    assert [tuple(entry) for entry in pack.bad] == [(0, 0, 2), (0, 1, 2)]


async def test_a_row_too_wide_for_one_pack_travels_in_parts_with_one_time(bench):
    points = [Point(name=f"register_number_{n}", type="uint16") for n in range(6_000)]
    stream = Stream("plc-1", points, pack_s=0)
    assert len(stream.parts) > 1
    bench.streams(stream)
    bench.sample(range(6_000), [(0, 3), (5_999, 2)], device="plc-1")
    await bench.until(lambda: bench.store.lanes["telemetry"].made == len(stream.parts))
    packs = bench.packs()
    assert [value for pack in packs for value in pack.values[0]] == list(range(6_000))
    assert [name for pack in packs for name in pack.points] == [point.name for point in points]
    assert len({(pack.time, pack.uptime) for pack in packs}) == 1
    assert [tuple(packs[0].bad[0]), tuple(packs[-1].bad[0])] == [(0, 0, 3), (0, len(packs[-1].points) - 1, 2)]


def test_parts_cover_all_points_and_their_names_in_the_catalogue_fit():
    for count in (0, 1, 500, 20_000):
        points = [Point(name=f"p{n}", type="string" if n % 7 == 0 else "uint16") for n in range(count)]
        for is_compact in (False, True):
            spans = spans_of(points, is_compact)
            assert [index for first, last in spans for index in range(first, last)] == list(range(count))
        names = block_names("d" * 63, points)
        assert len(set(names)) == len(spans_of(points, is_compact=True))
        assert all(len(name) <= 64 for name in names)
    assert MAX_ROW_BYTES < 65_536


async def test_what_the_store_refuses_is_declared_when_it_takes_something_again(bench, monkeypatch):
    lane = bench.store.lanes["telemetry"]
    append = lane.append

    def refuse(route, payload):
        raise StoreFullError("the lane telemetry is at its quota")

    bench.streams(Stream("flow-1", POINTS, pack_s=0))
    await bench.until(lambda: not bench.recorder._task)
    monkeypatch.setattr(lane, "append", refuse)
    bench.sample([1.0, True])
    await bench.until(lambda: bench.recorder.not_recorded or bench.store.lanes["event"].made)
    monkeypatch.setattr(lane, "append", append)
    await bench.until(lambda: bench.store.lanes["event"].made == 1)
    (event,) = bench.events()
    assert event.kind == "not-recorded"
    assert event.data["count"] == 1


async def test_a_disk_that_fails_is_said_once_and_what_waits_is_kept(bench, monkeypatch, caplog):
    commit = bench.store.commit

    async def fail():
        raise StorageError("journal: Input/output error", Cause.BROKEN)

    monkeypatch.setattr(bench.store, "commit", fail)
    bench.streams(Stream("flow-1", POINTS, pack_s=0))
    for _ in range(3):
        bench.sample([1.0, True])
        await asyncio.sleep(0.12)
    assert bench.recorder.storage_error == "journal: Input/output error"
    assert caplog.text.count("Input/output error") == 1
    monkeypatch.setattr(bench.store, "commit", commit)
    await bench.until(lambda: sum(len(pack.values) for pack in bench.packs()) == 3)
    assert bench.recorder.storage_error is None


async def test_one_row_that_the_wire_cannot_carry_costs_no_other(bench):
    bench.streams(Stream("flow-1", POINTS, pack_s=60))
    for n in range(9):
        bench.sample([float(n) if n != 4 else object(), True], bad=[(0, 1)] if n == 8 else [])
    await bench.recorder.aclose()
    packs = bench.packs()
    assert [row[0] for pack in packs for row in pack.values] == [0, 1, 2, 3, 5, 6, 7, 8]
    offsets = [offset for pack in packs for offset in pack.offsets]
    assert offsets == sorted(offsets)
    (row, point, code) = packs[-1].bad[0]
    assert (packs[-1].values[row][0], point, code) == (8, 0, 1)
    (event,) = bench.events()
    assert (event.kind, event.device, event.data["count"]) == ("not-recorded", "flow-1", 1)


async def test_a_row_above_64_kb_is_declared_and_stops_nothing(bench):
    bench.streams(Stream("flow-1", [Point(name="text", type="string")], pack_s=0), Stream("ok", POINTS, pack_s=0))
    bench.sample(["x" * 70_000])
    bench.sample([1.0, True], device="ok")
    await bench.until(lambda: bench.packs() and bench.events())
    (event,) = bench.events()
    assert (event.kind, event.device, event.data["count"]) == ("not-recorded", "flow-1", 1)
    bench.sample(["short"])
    await bench.until(lambda: ["short"] in [row for pack in bench.packs() for row in pack.values])


async def test_rows_far_larger_than_guessed_are_parted_not_lost(bench):
    """The first pack's size is a guess: texts are longer than numbers."""
    bench.streams(Stream("flow-1", [Point(name=f"t{n}", type="string") for n in range(100)], pack_s=60))
    for n in range(20):
        bench.sample([f"{n:250}"] * 100)
    await bench.recorder.aclose()
    assert [int(row[0]) for pack in bench.packs() for row in pack.values] == list(range(20))
    assert bench.events() == []


async def test_what_is_refused_all_the_time_is_logged_once_and_declared_rarely(bench, caplog, monkeypatch):
    bench.streams(Stream("flow-1", POINTS, pack_s=0))
    for _ in range(5):
        before = len(bench.commits)
        bench.sample([object(), True])
        await bench.until(lambda seen=before: len(bench.commits) > seen and not bench.recorder._task)
    assert caplog.text.count("records are refused") == 1
    assert [event.data["count"] for event in bench.events()] == [1]
    assert bench.recorder.not_recorded == {"flow-1": 4}
    monkeypatch.setattr(module, "DECLARE_PERIOD_S", 0.0)
    bench.sample([1.0, True])
    await bench.until(lambda: [event.data["count"] for event in bench.events()] == [1, 4])
    assert bench.recorder.not_recorded == {}


async def test_an_event_that_cannot_be_carried_is_declared(bench):
    at = bench.clock.monotonic()
    bench.recorder.event(DeviceEvent(device="reader-1", kind="tap", at=at, data={"what": object()}))
    await bench.until(lambda: bench.store.lanes["event"].made == 1)
    (event,) = bench.events()
    assert (event.kind, event.device) == ("not-recorded", "reader-1")


async def test_nan_is_null_and_stops_nothing(bench):
    bench.streams(Stream("flow-1", POINTS, pack_s=0, has_change_report=True))
    for value in (float("nan"), 1.0, float("inf"), float("nan"), 2.0):
        bench.sample([value, True])
    await bench.recorder.aclose()
    assert [row[0] for pack in bench.packs() for row in pack.values][-1] == 2.0
    assert all(row[0] is None or row[0] == row[0] for pack in bench.packs() for row in pack.values)


async def test_a_device_that_was_taken_out_is_no_longer_lost(bench):
    bench.streams(Stream("flow-1", POINTS, pack_s=0))
    bench.recorder.device_lost("flow-1", DeviceTimeoutError("no answer"))
    bench.streams(Stream("other", POINTS, pack_s=0))
    assert bench.recorder.lost_devices == {}
    bench.recorder.device_back("flow-1")
    await bench.until(lambda: bench.store.lanes["event"].made == 1)
    assert [event.kind for event in bench.events()] == ["stalled"]


async def test_a_lost_device_is_said_once_and_its_return_with_how_long(bench):
    for _ in range(3):
        bench.recorder.device_lost("meter-1", DeviceTimeoutError("no answer"))
    bench.recorder.device_back("meter-1")
    bench.recorder.device_back("meter-1")
    await bench.until(lambda: bench.store.lanes["event"].made == 2)
    assert [(event.kind, event.device) for event in bench.events()] == [("stalled", "meter-1"), ("resumed", "meter-1")]


async def test_a_sample_of_a_device_that_was_taken_out_is_passed_over(bench):
    bench.streams()
    bench.sample([1.0, True])
    assert bench.seen == []


async def test_what_waits_is_sealed_under_its_own_catalogue_before_the_streams_change(bench):
    bench.streams(Stream("flow-1", POINTS, pack_s=60, digest="aaaaaaaaaaaa"))
    bench.sample([1.0, True])
    bench.streams(Stream("flow-1", POINTS, pack_s=60, digest="bbbbbbbbbbbb"))
    bench.sample([2.0, True])
    await bench.recorder.aclose()
    assert [pack.block for pack in bench.packs()] == ["aaaaaaaaaaaa/flow-1", "bbbbbbbbbbbb/flow-1"]


async def test_offers_of_time_go_to_the_clock(bench):
    offer = TimeOffer(device="gnss", source="gnss", at=1.0, utc_ms=2, accuracy_ms=3.0)
    bench.recorder.time_offer(offer)
    assert bench.clock.offers == [offer]
