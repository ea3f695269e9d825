"""The sink's store without a broker: once each, watermarks with their records, a full disk."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from protocols.core.errors import RemoteProtocolError
from protocols.wayside.events import encode_event, encode_transaction
from protocols.wayside.state import Catalogue, CatalogueDevice, Health, LaneHealth, State, encode, encode_catalogue
from tools.sink import store as store_module
from tools.sink.intake import Heard, Record, Refusal, read_message
from tools.sink.ledger import LedgerError, read_catalogues, read_ledger, read_readings, read_records, verify_ledger
from tools.sink.store import ACK_AFTER_RECORDS, MAX_RANGES_AN_ACK, Store, StoreError
from tools.tests.sink_records import EVENTS, MONEY, NODE, NOW, TELEMETRY, FullDisk, birth, event, loss, pack, packed, up


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_a_record_counts_once_however_often_and_in_whatever_order_it_comes(path: Path) -> None:
    store = Store(path)
    for seqs in ([3, 1, 3], [2, 5, 1, 1], [9], [5, 3]):
        store.write([packed(seq) for seq in seqs], now_ms=NOW)
    store.close()
    (lane,) = verify_ledger(path).lanes
    assert (lane.received, lane.duplicates, lane.upto) == (5, 5, 9)
    assert lane.gaps == [(4, 4), (6, 8)]
    assert lane.missing == 4
    assert [record.seq for record in read_records(path)] == [1, 2, 3, 5, 9]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(1, 30), max_size=12), max_size=6), st.integers(0, 5))
def test_the_watermark_is_what_the_records_say(batches: list[list[int]], reopen_at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _check_watermark(Path(folder) / "ledger.db", batches, reopen_at)


def _check_watermark(path: Path, batches: list[list[int]], reopen_at: int) -> None:
    store = Store(path)
    seen: set[int] = set()
    repeats = 0
    for number, batch in enumerate(batches):
        if number == reopen_at:
            store.close()
            store = Store(path)
        store.write([packed(seq) for seq in batch], now_ms=NOW)
        repeats += len(batch) - len(set(batch) - seen)
        seen |= set(batch)
        told = {seq for _, ack in store.take_acks() for a, b in [(1, ack.upto), *ack.also] for seq in range(a, b + 1)}
        assert told <= seen, "acknowledged what is not there"
        assert told >= set(batch), "kept silent about what just came"
    store.close()
    ledger = verify_ledger(path)
    assert [text for text in ledger.problems if "neither there" not in text] == []
    if seen:
        assert (ledger.lanes[0].received, ledger.lanes[0].duplicates) == (len(seen), repeats)
        assert ledger.lanes[0].acked == len(seen)


def test_the_same_key_with_other_bytes_is_a_conflict_and_the_first_stays(path: Path) -> None:
    store = Store(path)
    store.write([packed(1, value=1)], now_ms=NOW)
    store.write([packed(1, value=2)], now_ms=NOW)
    store.close()
    ledger = verify_ledger(path)
    assert (ledger.lanes[0].conflicts, ledger.lanes[0].duplicates) == (1, 0)
    assert ledger.problems == [f"{NODE}/telemetry/{TELEMETRY}: 1 records came again with other bytes"]
    assert next(read_readings(path)).value == 1


def test_live_data_ahead_of_a_long_backlog_is_two_ranges(path: Path) -> None:
    store = Store(path)
    store.write([packed(seq) for seq in (1, 2, 3)], now_ms=NOW)
    store.write([packed(seq) for seq in range(100_001, 100_101)], now_ms=NOW)
    ((node, ack),) = store.take_acks()
    assert (node, ack.lane, ack.epoch, ack.upto, ack.also) == (
        NODE, "telemetry", TELEMETRY, 3, [(100_001, 100_100)],
    )  # fmt: skip
    store.close()


def test_an_acknowledgement_is_due_after_200_records_and_speaks_of_what_is_new(path: Path) -> None:
    store = Store(path)
    store.write([packed(seq) for seq in range(1, ACK_AFTER_RECORDS)], now_ms=NOW)
    assert not store.has_full_ack()
    store.write([packed(ACK_AFTER_RECORDS)], now_ms=NOW)
    assert store.has_full_ack()
    assert [ack.upto for _, ack in store.take_acks()] == [ACK_AFTER_RECORDS]
    assert store.take_acks() == []
    store.write([packed(seq) for seq in (300, 302, 304)], now_ms=NOW)
    assert [ack.also for _, ack in store.take_acks()] == [[(300, 300), (302, 302), (304, 304)]]
    store.write([packed(303)], now_ms=NOW)
    assert [ack.also for _, ack in store.take_acks()] == [[(302, 304)]]
    store.write([packed(5)], now_ms=NOW)  # a repeat: its acknowledgement got lost
    assert [(ack.upto, ack.also) for _, ack in store.take_acks()] == [(ACK_AFTER_RECORDS, [])]
    store.close()


def test_a_birth_is_answered_for_each_lane_with_all_that_is_there(path: Path) -> None:
    store = Store(path)
    store.write([packed(1), packed(3)], now_ms=NOW)
    store.take_acks()
    store.write([birth(session=302, lanes={"telemetry": (4, 0)})], now_ms=NOW)
    assert store.has_full_ack()
    acks = {ack.lane: ack for _, ack in store.take_acks()}
    assert {lane: (ack.epoch, ack.upto, ack.also) for lane, ack in acks.items()} == {
        "telemetry": (TELEMETRY, 1, [(3, 3)]),
        "event": (EVENTS, 0, []),
        "transaction": (MONEY, 0, []),
    }
    assert {ack.session for ack in acks.values()} == {302}
    store.write([packed(2)], now_ms=NOW)
    assert [ack.session for _, ack in store.take_acks()] == [UNSET]
    store.write([birth(session=302, online=False)], now_ms=NOW)
    assert store.take_acks() == []
    store.close()


def test_a_birth_with_very_many_ranges_is_answered_in_several_messages(path: Path) -> None:
    store = Store(path)
    store.write([packed(seq) for seq in range(2, 2 * MAX_RANGES_AN_ACK + 10, 2)], now_ms=NOW)
    store.take_acks()
    store.write([birth(session=302)], now_ms=NOW)
    acks = [ack for _, ack in store.take_acks() if ack.lane == "telemetry"]
    assert [len(ack.also) for ack in acks] == [MAX_RANGES_AN_ACK, 4]
    assert [ack.session for ack in acks] == [UNSET, 302]
    assert all(len(encode(ack)) < 40_000 for ack in acks)
    store.close()


def test_what_was_due_when_the_sink_died_is_told_after_its_restart(path: Path) -> None:
    """The commit was there, the acknowledgement was not: the birth or the repeat brings it out again."""
    store = Store(path)
    store.write([packed(seq) for seq in (1, 2, 3)], now_ms=NOW)
    store._db.close()  # as kill -9 leaves it: nothing is written any more
    store_module.os.close(store._lock)
    store = Store(path)
    assert store.take_acks() == []
    store.write([packed(3)], now_ms=NOW)
    assert [(ack.upto, ack.also) for _, ack in store.take_acks()] == [(3, [])]
    store.close()
    assert verify_ledger(path).lanes[0].duplicates == 1


def test_what_a_node_declares_lost_is_no_gap(path: Path) -> None:
    """Field failure 30: for every lane made = acknowledged + queued + declared lost, exactly."""
    store = Store(path)
    store.write([packed(seq) for seq in (1, 2, 8, 10)], now_ms=NOW)
    store.write([loss(1, 3, 7), loss(2, 3, 7), loss(3, 10, 10)], now_ms=NOW)  # declared twice; declared, yet it came
    health = Health(time=NOW, uptime=1, lanes={"telemetry": LaneHealth(made=10, acked=4, queued=0, lost=6)})
    store.write([birth(lanes={"telemetry": (9, 2)}), Heard(NODE, health)], now_ms=NOW)
    store.close()
    ledger = verify_ledger(path)
    lane = next(lane for lane in ledger.lanes if lane.lane == "telemetry")
    assert (lane.received, lane.lost, lane.gaps) == (4, 5, [(9, 9)])
    assert lane.losses == [(3, 7, "quota"), (10, 10, "quota")]
    assert lane.node_says == {"made": 10, "acked": 4, "queued": 0, "lost": 6}
    assert ledger.problems == [f"{NODE}/telemetry/{TELEMETRY}: records 9 to 9 are neither there nor declared lost"]
    assert ledger.totals()["telemetry"] == {
        "made": 10, "received": 4, "acked": 0, "lost": 5, "duplicates": 0, "missing": 1,
    }  # fmt: skip


def test_of_a_thinned_range_no_more_may_be_absent_than_was_declared(path: Path) -> None:
    store = Store(path)
    store.write([packed(seq) for seq in (1, 4, 7)] + [loss(1, 1, 7, count=4, why="thinned")], now_ms=NOW)
    assert verify_ledger(path).problems == []
    store.write([packed(10), loss(2, 8, 10, count=1, why="thinned")], now_ms=NOW)
    store.close()
    (problem,) = verify_ledger(path).problems
    assert "of records 8 to 10 1 were declared lost, 2 are not there" in problem


def test_a_late_will_of_an_older_session_changes_nothing(path: Path) -> None:
    store = Store(path)
    store.write([birth(session=302)], now_ms=NOW)
    store.write([birth(session=301, online=False, epochs={})], now_ms=NOW)
    assert store._db.execute("SELECT online, session FROM nodes").fetchall() == [(1, 302)]
    store.write([birth(session=302, online=False, epochs={})], now_ms=NOW)
    assert store._db.execute("SELECT online, session FROM nodes").fetchall() == [(0, 302)]
    health = Health(time=NOW, uptime=1, lanes={"event": LaneHealth(made=3, acked=1, queued=2, lost=0)})
    store.write([Heard(NODE, health), Heard("unknown", health)], now_ms=NOW)
    store.close()
    lanes = {lane.lane: lane.made for lane in read_ledger(path).lanes}
    assert lanes == {"telemetry": None, "event": 3, "transaction": None}


def test_what_a_boot_made_before_its_clock_was_set_is_dated_anew(path: Path) -> None:
    """Field failure 25: three years back, one ahead, then right; the backlog is dated by the later setting."""
    store = Store(path)
    year_ms = 365 * 86_400_000
    claims = {1: NOW - 3 * year_ms, 2: NOW + year_ms, 3: NOW + 30_000, 4: NOW + 40_000}
    records = [
        packed(seq, time=claim, uptime=seq * 10_000, time_quality="none" if seq < 3 else "ntp")
        for seq, claim in claims.items()
    ]
    other_boot = packed(5, boot=2, time=5, uptime=1)
    catalogue = Catalogue(node=NODE, epoch=TELEMETRY, seq=6, digest="aa", devices={}, blocks={})
    record = read_message(up("catalogue/aa"), encode_catalogue(catalogue))
    assert isinstance(record, Record)
    store.write([birth(), *records, other_boot, record], now_ms=NOW)
    wrong = {"boot": 1, "uptime": 15_000, "time": NOW + year_ms, "offset_ms": 4 * year_ms, "source": "ntp"}
    right = {"boot": 1, "uptime": 25_000, "time": NOW + 25_000, "offset_ms": -year_ms, "source": "gnss"}
    store.write([event("clock-set", 1, wrong), event("clock-set", 2, right, uptime_ms=25_000)], now_ms=NOW)
    store.close()
    dated = {record.seq: (record.claimed_ms, record.time_ms) for record in read_records(path, lane="telemetry")}
    assert dated == {
        1: (claims[1], NOW + 10_000),
        2: (claims[2], NOW + 20_000),
        3: (claims[3], claims[3]),  # made after the last setting: its own time stands
        4: (claims[4], claims[4]),
        5: (5, 5),
        6: (None, None),
    }
    assert [reading.time_ms for reading in read_readings(path)][:2] == [NOW + 10_000, NOW + 20_000]
    first_event = next(read_records(path, lane="event"))
    assert (first_event.claimed_ms, first_event.time_ms) == (NOW, NOW + 500), "events are dated anew as well"


def test_a_box_that_lost_its_disk_is_not_dated_by_its_former_life(path: Path) -> None:
    """Its boots begin at 1 again; the epochs that it names at its birth tell the two lives apart."""
    store = Store(path)
    setting = {"boot": 1, "uptime": 90_000, "time": NOW, "offset_ms": 1, "source": "ntp"}
    store.write([birth(), event("clock-set", 1, setting)], now_ms=NOW)
    second = {"telemetry": "aa" * 8, "event": "bb" * 8, "transaction": "cc" * 8}
    store.write([birth(epochs=second), packed(1, epoch="aa" * 8, time=77, uptime=10)], now_ms=NOW)
    store.write([packed(2, time=77, uptime=10)], now_ms=NOW)
    store.close()
    dated = {(record.epoch, record.time_ms) for record in read_records(path, lane="telemetry")}
    assert dated == {("aa" * 8, 77), (TELEMETRY, NOW - 90_000 + 10)}


def test_readings_take_their_names_from_the_pack_or_the_catalogue(path: Path) -> None:
    store = Store(path)
    devices = {"flow-1": CatalogueDevice(driver="modbus")}
    catalogue = Catalogue(
        node=NODE, epoch=TELEMETRY, seq=1, digest="a91f03", devices=devices, blocks={"flow-1": ["vehicles", "speed"]}
    )
    record = read_message(up("catalogue/a91f03"), encode_catalogue(catalogue))
    assert isinstance(record, Record)
    block = {"block": "a91f03/flow-1", "points": None, "values": [[1, 2.5], [None, 3]], "offsets": [0, 0.5]}
    store.write([record, packed(2, **block, compact=True, bad=[(1, 0, 2)]), packed(3)], now_ms=NOW)
    store.write([record], now_ms=NOW)  # published again at a connect
    store.close()
    readings = [(r.point, r.time_ms, r.value, r.quality) for r in read_readings(path, node=NODE, device="flow-1")]
    assert readings == [
        ("vehicles", NOW + 2, 1, 0),
        ("speed", NOW + 2, 2.5, 0),
        ("vehicles", NOW + 2.5, None, 2),
        ("speed", NOW + 2.5, 3, 0),
        ("vehicles", NOW + 3, 7, 0),
    ]
    assert list(read_readings(path, device="other")) == []
    assert [each.digest for each in read_catalogues(path)] == ["a91f03"]
    assert read_ledger(path).lanes[0].duplicates == 0, "a catalogue that is published again is no mistake"


def test_a_block_without_its_catalogue_is_named(path: Path) -> None:
    store = Store(path)
    store.write([packed(1, block="a91f03/flow-1", points=None)], now_ms=NOW)
    store.close()
    with pytest.raises(LedgerError, match="a91f03/flow-1"):
        list(read_readings(path))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (up("telemetry/flow-2"), pack(1)),
        (up("telemetry/flow-1", "rsu-2"), pack(1)),
        (up("telemetry/flow-1"), pack(1, lane="event")),
        (up("telemetry/flow-1"), b"rubbish"),
        (up("event/fare"), encode_transaction(node=NODE, device=None, kind="fare", data={}, epoch=MONEY, seq=1, boot=1,
                                              time_ms=0, time_quality="none", uptime_ms=0)),
        (up("event/loss"), encode_event(node=NODE, device=None, kind="loss", data={}, epoch=MONEY, seq=1, boot=1,
                                        time_ms=0, time_quality="none", uptime_ms=0)),
        (up("event/other"), encode_event(node=NODE, device=None, kind="alarm", data={}, epoch=MONEY, seq=1, boot=1,
                                         time_ms=0, time_quality="none", uptime_ms=0)),
        (up("catalogue/bb"), encode_catalogue(Catalogue(node=NODE, epoch=TELEMETRY, seq=1, digest="aa", devices={}))),
        (up("state", "rsu-2"), encode(State(node=NODE, online=True, boot=1, session=1))),
        (up("health"), b"{}"),
        ("wayside/1/up/x", b"{}"),
    ],
)  # fmt: skip
def test_a_message_that_does_not_fit_its_topic_is_refused(topic: str, payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_message(topic, payload)


def test_messages_that_are_no_records_leave_the_ledger_alone() -> None:
    for tail in ("reported", "result/01jd", "request/desired"):
        assert read_message(up(tail), b"anything") is None
    for tail in ("state", "catalogue/aa"):
        assert read_message(up(tail), b"") is None, "a retained message was cleared"
    assert read_message("wayside/1/ingest", b"{}") is None
    device_s_own = read_message(up("event/loss"), encode_event(
        node=NODE, device="meter-1", kind="loss", data={}, epoch=EVENTS, seq=1, boot=1, time_ms=0, time_quality="none",
        uptime_ms=0))  # fmt: skip
    assert isinstance(device_s_own, Record)
    assert device_s_own.loss is None


def test_refusals_are_counted_and_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_REFUSALS", 3)
    store = Store(path)
    store.write([Refusal("t", "why", b"x" * 500)] * 5 + [Refusal(f"t{n}", "why", b"") for n in range(5)], now_ms=NOW)
    store.close()
    assert read_ledger(path).refusals == [("t", "why", 5), ("t0", "why", 1), ("t1", "why", 1)]


def test_a_node_that_leaves_holes_or_changes_epochs_without_end_is_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_RANGES_A_STREAM", 5)
    monkeypatch.setattr(store_module, "MAX_EPOCHS_A_NODE", 3)
    store = Store(path)
    store.write([packed(seq) for seq in range(1, 41, 2)], now_ms=NOW)
    store.write([packed(10), packed(2)], now_ms=NOW)  # beside what is there: no new range
    ((_, ack),) = store.take_acks()
    assert (ack.upto, ack.also) == (3, [(5, 5), (7, 7), (9, 10)])
    store.write([packed(1, epoch=f"{number:016x}") for number in range(9)], now_ms=NOW)
    store.close()
    ledger = read_ledger(path)
    assert len(ledger.lanes) == 3
    assert sum(count for *_, count in ledger.refusals) == 15 + 7


def test_what_a_full_disk_did_not_take_is_neither_counted_nor_acknowledged(path: Path) -> None:
    store = Store(path)
    store.write([packed(1)], now_ms=NOW)
    disk: Any = FullDisk(store._db)
    store._db = disk
    disk.is_full = True
    with pytest.raises(StoreError, match="full"):
        store.write([packed(2), packed(3), birth(), loss(1, 7, 8)], now_ms=NOW)
    with pytest.raises(StoreError, match="full"):
        store.probe()
    assert [(ack.upto, ack.also) for _, ack in store.take_acks()] == [(1, [])], "what is stored may be told"
    disk.is_full = False
    store.probe()
    store.write([packed(3)], now_ms=NOW)
    assert [(ack.upto, ack.also) for _, ack in store.take_acks()] == [(1, [(3, 3)])]
    store.close()
    ledger = verify_ledger(path)
    assert [lane.received for lane in ledger.lanes] == [2]
    assert ledger.problems == [f"{NODE}/telemetry/{TELEMETRY}: records 2 to 2 are neither there nor declared lost"]
