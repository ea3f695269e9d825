"""What an ended epoch has left is told until somebody has heard it, whatever becomes of the events that tell it."""

import asyncio

from edge.tests.disk_double import Disk, copies
from edge.tests.test_store import all_of, balance, disks, store_on
from edge.tests.test_store_power import told_with_epochs


def renewed(media: dict[str, Disk], lane_name: str = "telemetry") -> str:
    """Five records are owed, one more is acknowledged, and the epoch ends; return it."""
    store = store_on(media)
    lane = store.lanes[lane_name]
    for _ in range(6):
        lane.append(f"{lane_name}/a", b"x" * 40)
    store.commit_now()
    lane.acknowledge("mqtt", 6, 6)
    epoch = lane.epoch
    assert asyncio.run(store.renew_epoch(lane_name)) == 5
    store.commit_now()
    store.close()
    return epoch


def without_its_event(media: dict[str, Disk]) -> dict[str, Disk]:
    after = copies(media)
    for name, data in after["event"].contents().items():
        if name.endswith(".seg") and b'"first"' in data:
            after["event"].files[name].data[data.index(b'"first"')] ^= 1
    return after


def test_the_event_of_an_ended_epoch_that_the_disk_loses_is_told_again():
    media = disks()
    epoch = renewed(media)
    store = store_on(without_its_event(media))
    assert ("telemetry", epoch) not in told_with_epochs(store), "it is damaged, and found so by reading"
    store.commit_now()
    assert told_with_epochs(store)["telemetry", epoch] == {1, 2, 3, 4, 5}
    assert store.lanes["telemetry"].lost == 0, "it is no loss of the new epoch"
    balance(store)
    store.close()


def test_what_somebody_has_heard_is_kept_no_longer():
    media = disks()
    renewed(media)
    store = store_on(media)
    lane, events = store.lanes["telemetry"], store.lanes["event"]
    assert [(loss.first, loss.last, loss.is_declared) for loss in lane.losses] == [(1, 5, True)]
    events.acknowledge("mqtt", 1, events.made)
    events.append("event/a", b"x")
    store.commit_now()
    assert lane.losses == []
    store.commit_now()
    store.close()
    assert store_on(copies(media)).lanes["telemetry"].losses == []


def test_an_event_lane_that_begins_again_tells_anew_what_nobody_has_heard_of_other_lanes():
    media = disks()
    epoch = renewed(media)
    store = store_on(media)
    assert asyncio.run(store.renew_epoch("event")) == 1
    store.commit_now()
    assert told_with_epochs(store)["telemetry", epoch] == {1, 2, 3, 4, 5}
    events = store.lanes["event"]
    events.acknowledge("mqtt", 1, events.made)
    events.append("event/a", b"x")
    store.commit_now()
    assert [lane.losses for lane in store.lanes.values()] == [[], [], []]
    store.close()


def test_the_event_lanes_own_records_are_told_in_its_next_epoch():
    media = disks()
    epoch = renewed(media, "event")
    store = store_on(media)
    assert told_with_epochs(store)["event", epoch] == {1, 2, 3, 4, 5}
    assert len(all_of(store.lanes["event"])) == 1
    store.close()
