"""Where the disk has damaged the end of a lane, no number leaves twice before the ingest could say what it has."""

import asyncio
import itertools
import random

import pytest

from edge.store.errors import Cause, StorageError
from edge.store.outbox import ANSWER_WITHIN_S, PRESENT_ANSWER_WITHIN_S, Entry
from edge.store.segment import HEADER_BYTES
from edge.tests.disk_double import Disk, Power, PowerCut, copies, survivors
from edge.tests.test_outbox import Bench, seqs
from edge.tests.test_store import all_of, store_on, told_lost


def damaged(media: dict[str, Disk], lane: str, *, keep_bytes: int | None = None, without: tuple[str, ...] = ()) -> dict:
    """The same disks after a power cut, the newest segment of a lane cut short, some of its files gone."""
    power = Power()
    after = {name: Disk.holding(disk.contents(), power) for name, disk in media.items()}
    contents = after[lane].contents()
    newest = max(name for name in contents if name.endswith(".seg"))
    if keep_bytes is not None:
        contents[newest] = contents[newest][:keep_bytes]
    after[lane] = Disk.holding({name: data for name, data in contents.items() if name not in without}, power)
    return after


def newest_bytes(disk: Disk) -> int:
    name = max(name for name in disk.contents() if name.endswith(".seg"))
    return len(disk.contents()[name])


def restarted(bench: Bench, media: dict[str, Disk]) -> Bench:
    bench.store.close()
    bench.media = media
    bench.store = store_on(media, segment_bytes=1 << 16)
    bench.begin()
    return bench


def is_doubtful(media: dict[str, Disk], lane: str = "telemetry", *, segment_bytes: int = 1 << 16) -> bool:
    store = store_on(media, segment_bytes=segment_bytes)
    try:
        return store.lanes[lane].doubt_from > 0
    finally:
        store.close()


def test_a_first_start_and_an_end_as_a_commit_leaves_it_are_no_doubt():
    bench = Bench()
    assert not bench.store.lanes["telemetry"].doubt_from
    bench.make(count=3)
    assert not is_doubtful(damaged(bench.media, "telemetry")), "killed"
    bench.store.close()
    assert not is_doubtful(damaged(bench.media, "telemetry")), "stopped"


def test_wherever_the_newest_segment_is_cut_it_is_seen_but_where_a_commit_has_ended():
    bench = Bench()
    ends = []
    for _ in range(4):
        bench.make(count=2, size=20)
        ends.append(newest_bytes(bench.media["telemetry"]))
    position = ("position.json", "position.copy.json")
    unseen = [
        keep
        for keep in range(ends[0], ends[-1] + 1)
        if not is_doubtful(damaged(bench.media, "telemetry", keep_bytes=keep, without=position))
    ]
    assert unseen == ends


def test_a_newest_segment_of_which_hardly_anything_is_left_is_seen():
    bench = Bench(segment_bytes=150)
    bench.make(count=3)
    assert sum(name.endswith(".seg") for name in bench.media["telemetry"].contents()) == 3
    position = ("position.json", "position.copy.json")
    for keep in range(HEADER_BYTES + 2):
        media = damaged(bench.media, "telemetry", keep_bytes=keep, without=position)
        assert is_doubtful(media, segment_bytes=150), keep


def test_a_position_that_cannot_be_read_or_knows_of_more_is_a_doubt():
    bench = Bench()
    bench.make(count=3)
    bench.store.lanes["telemetry"].is_position_dirty = True
    bench.store.commit_now()
    media = damaged(bench.media, "telemetry")
    contents = media["telemetry"].contents()
    position = contents["position.json"]
    shorter = {name: data for name, data in contents.items() if not name.endswith(".seg")}
    assert is_doubtful(media | {"telemetry": Disk.holding(shorter, media["telemetry"].power)}), "it has made three"
    broken = contents | {"position.json": position[:-3] + b"?" + position[-2:]}
    assert is_doubtful(media | {"telemetry": Disk.holding(broken, media["telemetry"].power)})


def cut_short(bench: Bench, *, keep: int) -> Bench:
    """The disk has lost all records above `keep`, and everything that knew of them."""
    sizes = {}
    probe = Bench()
    for count in range(1, keep + 1):
        probe.make()
        sizes[count] = newest_bytes(probe.media["telemetry"])
    without = ("position.json", "position.copy.json")
    return restarted(bench, damaged(bench.media, "telemetry", keep_bytes=sizes[keep] + 3, without=without))


def drained(bench: Bench, now: float) -> list[Entry]:
    """What leaves once the disk has forgotten the doubt, and not before."""
    assert bench.drain(now) == []
    bench.store.commit_now()
    return bench.drain(now)


def begun() -> Bench:
    bench = Bench()
    for _ in range(10):
        bench.make()
    return bench


def test_live_data_waits_for_the_answer_and_no_number_leaves_with_other_bytes():
    bench = cut_short(begun(), keep=5)
    bench.connect(0)
    bench.make()
    assert bench.drain(0.1) == []
    assert bench.outbox.is_held("telemetry")
    assert not bench.outbox.is_held("event")
    assert bench.outbox.next_deadline() == ANSWER_WITHIN_S
    bench.outbox.ingest_seen(online=True, now=0.1, is_retained=True)
    bench.ack("telemetry", 6, 0.2, also=[(9, 10)])
    assert bench.ahead == ["telemetry"]
    assert bench.drain(PRESENT_ANSWER_WITHIN_S + 1) == [], "however long the disk takes for a new epoch"
    asyncio.run(bench.store.renew_epoch("telemetry"))
    bench.outbox.epoch_renewed("telemetry")
    bench.make()
    bench.store.commit_now()
    assert told_lost(bench.store)["telemetry"] == set(range(1, 9)), "what we owed, what the ingest lacks of the rest"
    assert seqs(bench.drain(0.3)) == [1]
    assert not bench.outbox.is_held("telemetry")


def test_an_ingest_that_has_no_more_than_we_lets_everything_flow_and_later_connections_wait_for_nothing():
    bench = cut_short(begun(), keep=5)
    bench.connect(0)
    bench.make()
    assert bench.drain(0) == []
    bench.ack("telemetry", 5, 0.1)
    assert bench.ahead == []
    assert seqs(drained(bench, 0.1)) == [6]
    bench.outbox.disconnected(1)
    bench.connect(2)
    bench.make()
    assert seqs(bench.drain(2)) == [7]


def test_a_doubt_outlives_every_restart_until_the_ingest_has_answered():
    bench = cut_short(begun(), keep=5)
    for _ in range(3):
        bench.make()
        bench.store.commit_now()
        bench = restarted(bench, copies(bench.media))
        bench.connect(0)
        bench.make()
        assert bench.drain(0.1) == [], "killed before the answer came"
    bench.ack("telemetry", 5, 0.2)
    assert seqs(drained(bench, 0.2)) == [11, 6, 7, 8, 9, 10]
    bench = restarted(bench, copies(bench.media))
    bench.connect(0)
    bench.make()
    assert len(bench.drain(0.1)) == 1


def test_an_old_record_is_not_taken_for_a_new_one_that_was_made_before_a_restart():
    """The numbers were given a second time while the ingest could not be asked: what it has of them is not ours."""
    bench = cut_short(begun(), keep=5)
    bench.make(count=8)
    bench = restarted(bench, copies(bench.media))
    bench.connect(0)
    bench.ack("telemetry", 10, 0.1)
    assert bench.ahead == ["telemetry"]
    assert bench.store.lanes["telemetry"].acked == 0
    assert bench.drain(0.1) == []


@pytest.mark.parametrize("mark", [b"", b"\x00" * 18, b"0000000000000001 x", b"ffffffffffffffff 3", b"\xff" * 100])
def test_a_mark_that_the_disk_has_damaged_as_well_is_a_doubt_all_the_same(mark):
    bench = cut_short(begun(), keep=5)
    bench.make(count=2)
    media = copies(bench.media)
    media["telemetry"].files["doubt"].data[:] = mark
    bench = restarted(bench, media)
    assert bench.store.lanes["telemetry"].doubt_from == 8
    bench.connect(0)
    bench.make()
    assert bench.drain(0.1) == []


def test_a_doubt_begins_where_the_first_damage_was_or_a_later_one_before_it():
    bench = cut_short(begun(), keep=5)
    bench.make(count=3)
    bench = restarted(bench, copies(bench.media))
    assert bench.store.lanes["telemetry"].doubt_from == 6
    bench = restarted(bench, damaged(bench.media, "telemetry", keep_bytes=0))
    assert bench.store.lanes["telemetry"].doubt_from == 6
    bench = cut_short(bench, keep=4)
    assert bench.store.lanes["telemetry"].doubt_from == 5


def test_what_was_sent_for_want_of_an_answer_is_no_doubt_any_more():
    bench = cut_short(begun(), keep=5)
    bench.make()
    bench.connect(0)
    assert 6 in seqs(drained(bench, ANSWER_WITHIN_S))
    bench = restarted(bench, copies(bench.media))
    bench.connect(0)
    bench.ack("telemetry", 6, 0.1)
    assert bench.ahead == []
    assert bench.store.lanes["telemetry"].acked == 6


async def test_the_disk_forgets_a_doubt_at_once_and_not_only_when_something_is_made():
    bench = cut_short(begun(), keep=5)
    bench.connect(0)
    bench.ack("telemetry", 5, 0.1)
    async with asyncio.timeout(2):
        while bench.store.lanes["telemetry"].doubt_from:
            await asyncio.sleep(0.01)
    assert not is_doubtful(copies(bench.media))


def test_a_disk_that_does_not_forget_keeps_the_lane_waiting_and_says_so(monkeypatch):
    bench = cut_short(begun(), keep=5)
    bench.connect(0)
    bench.make()
    bench.ack("telemetry", 5, 0.1)

    def refuse(name: str) -> None:
        raise StorageError(f"{name}: read-only file system", Cause.BROKEN)

    with monkeypatch.context() as patch:
        patch.setattr(bench.media["telemetry"], "remove", refuse)
        assert drained(bench, 0.1) == []
        assert "doubt: read-only" in str(bench.store.trouble)
    bench.store._position_due = 0.0
    assert seqs(drained(bench, 0.1)) == [6]
    assert bench.store.trouble is None


def test_a_new_epoch_is_no_doubt():
    bench = cut_short(begun(), keep=5)
    asyncio.run(bench.store.renew_epoch("telemetry"))
    bench.store.commit_now()
    assert not is_doubtful(copies(bench.media))


def test_a_power_cut_anywhere_in_the_repair_leaves_the_doubt():
    rng = random.Random("doubt")
    bench = begun()
    keep = newest_bytes(bench.media["telemetry"]) - 30
    without = ("position.json", "position.copy.json")
    states = 0
    for cut in itertools.count(1):
        media = damaged(bench.media, "telemetry", keep_bytes=keep, without=without)
        media["telemetry"].power.cut_at = cut
        try:
            store_on(media, segment_bytes=1 << 16).commit_now()
        except PowerCut:
            for after in survivors(media, rng):
                states += 1
                assert is_doubtful(after), cut
        else:
            break
    assert states > 20


@pytest.mark.parametrize("is_there", [True, False])
def test_nobody_who_does_not_answer_is_waited_for_for_ever(is_there):
    bench = cut_short(begun(), keep=5)
    bench.connect(0)
    bench.make()
    until = ANSWER_WITHIN_S
    if is_there:
        bench.outbox.ingest_seen(online=True, now=0, is_retained=True)
        until = PRESENT_ANSWER_WITHIN_S
    assert bench.drain(until - 0.1) == []
    assert 6 in seqs(drained(bench, until))


def test_without_an_ingest_nobody_could_say_anything():
    bench = Bench(has_ingest=False)
    bench.make(count=10)
    bench = cut_short(bench, keep=5)
    bench.connect(0)
    bench.make()
    assert 6 in seqs(drained(bench, 0))


def test_other_lanes_are_not_held_up():
    bench = cut_short(begun(), keep=5)
    bench.connect(0)
    bench.make("event")
    bench.make("transaction")
    assert {entry.lane for entry in bench.drain(0)} == {"event", "transaction"}
    assert len(all_of(bench.store.lanes["telemetry"])) == 5
