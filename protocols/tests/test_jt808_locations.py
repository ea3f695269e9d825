"""Locations of a JT/T 808 terminal: delivered, refused, kept in a blind area, replayed, through a lossy link."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError
from protocols.jt808.dialect import JT2011, JT2013, JT2019
from protocols.jt808.flags import Alarm
from protocols.jt808.frame import Frame, encode_frame
from protocols.jt808.link import Timers
from protocols.jt808.location import Location, LocationBatch
from protocols.jt808.session import Answer, Received
from protocols.jt808.terminal import ROOM_FOR_LIVE
from protocols.jt808.terminal_events import (
    Delivered,
    Report,
    TerminalState,
    Undelivered,
)
from protocols.tests.jt808_pair import CODE, Pair, bodies_in, online, place

DIALECTS = [JT2011, JT2013, JT2019]


def test_a_location_is_delivered_when_the_platform_answers():
    pair = online()
    pair.answers_messages = False
    pair.terminal.send(Report(place(1), "one"), pair.now)
    pair.run()
    assert pair.told(Delivered) == []
    (event,) = [event for event in pair.platform_events if isinstance(event, Received)]
    pair.platform.send(Answer(event.packet), pair.now)
    pair.run()
    assert pair.told(Delivered) == [Delivered("one")]


def test_a_location_that_is_refused_is_told():
    pair = online()
    pair.result = 2
    pair.terminal.send(Report(place(1), "one"), pair.now)
    pair.run()
    assert pair.told(Undelivered) == [Undelivered("one", 2)]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: str(dialect.edition))
def test_what_was_reported_in_a_blind_area_is_replayed(dialect):
    pair = Pair(dialect, auth_code=CODE)
    for number in range(80):
        pair.terminal.send(Report(place(number), number), 0.0)
    assert pair.terminal.stored == 80
    pair.run()
    assert pair.told(Delivered) == [Delivered(number) for number in range(80)]
    assert pair.terminal.stored == 0
    if dialect is JT2011:
        assert pair.heard(Location) == [place(number) for number in range(80)]
    else:
        batches = pair.heard(LocationBatch)
        assert [batch.batch_type for batch in batches] == [1] * 3
        assert [item for batch in batches for item in batch.items] == [place(number) for number in range(80)]


def test_live_locations_go_before_the_replay():
    pair = Pair(auth_code=CODE)
    for number in range(100):
        pair.terminal.send(Report(place(number), number), 0.0)
    pair.answers_messages = False
    pair.run()
    pair.terminal.send(Report(place(100), 100), 0.0)
    assert bodies_in(pair.terminal.bytes_to_send()) == [place(100)]
    assert pair.terminal.stored == 100


def test_a_replay_is_forgotten_only_when_it_was_answered():
    pair = Pair(auth_code=CODE)
    for number in range(3):
        pair.terminal.send(Report(place(number), number), 0.0)
    pair.answers_messages = False
    pair.run()
    assert len(pair.heard(LocationBatch)) == 1
    pair.disconnect()
    assert pair.terminal.stored == 3
    pair.answers_messages = True
    pair.run(60)
    assert pair.told(Delivered) == [Delivered(number) for number in range(3)]


def test_a_platform_without_batches_gets_one_by_one():
    pair = Pair(auth_code=CODE)
    for number in range(3):
        pair.terminal.send(Report(place(number), number), 0.0)
    pair.answers_messages = False
    pair.run()
    (event,) = [event for event in pair.platform_events if isinstance(event, Received)]
    pair.answers_messages = True
    pair.platform.send(Answer(event.packet, 3), pair.now)
    pair.run()
    assert pair.heard(Location) == [place(number) for number in range(3)]
    assert pair.told(Delivered) == [Delivered(number) for number in range(3)]


def test_what_was_in_flight_is_kept_in_its_order():
    pair = online()
    pair.answers_messages = False
    for number in range(12):
        pair.terminal.send(Report(place(number), number), pair.now)
    pair.run()
    assert pair.terminal.stored == 12 - ROOM_FOR_LIVE
    pair.disconnect()
    assert pair.terminal.stored == 12
    pair.answers_messages = True
    pair.run(60)
    assert pair.told(Delivered) == [Delivered(number) for number in range(12)]


def test_a_full_store_gives_up_the_oldest_and_says_so():
    pair = Pair(max_stored=5)
    for number in range(8):
        pair.terminal.send(Report(place(number), number), 0.0)
    pair.run()
    assert pair.told(Undelivered) == [Undelivered(number, None) for number in range(3)]
    assert pair.told(Delivered) == [Delivered(number) for number in range(3, 8)]


def test_a_location_that_cannot_be_written_is_refused_at_once():
    pair = online()
    with pytest.raises(LocalProtocolError):
        pair.terminal.send(Report(msgspec.structs.replace(place(1), altitude_m=-1)), pair.now)


def test_a_location_that_is_refused_in_a_replay_of_one_is_told():
    pair = Pair(JT2011, auth_code=CODE)
    pair.terminal.send(Report(place(1), "one"), 0.0)
    pair.result = 1
    pair.run()
    assert pair.told(Undelivered) == [Undelivered("one", 1)]
    assert pair.terminal.stored == 0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: str(dialect.edition))
def test_through_a_lossy_link_nothing_is_lost_in_silence(dialect, seed):
    """made = delivered + given up (and told) + stored; everything delivered was handed over to the platform."""
    rng = random.Random(seed)
    pair = Pair(dialect, max_stored=60, timers=Timers(reply_timeout_s=2, retransmissions=2))
    pair.lose = lambda _frame: rng.random() < 0.25
    made = 0
    for _ in range(250):
        for _ in range(rng.randrange(4)):
            alarm = Alarm.EMERGENCY.value if rng.random() < 0.1 else 0
            location = msgspec.structs.replace(place(made), alarm_flags=alarm)
            pair.terminal.send(Report(location, made), pair.now)
            made += 1
        pair.run(rng.choice([0, 1, 5, 40]))
        if rng.random() < 0.03:
            pair.disconnect()
        pair.is_reachable = rng.random() < 0.8
    pair.lose = lambda _frame: False
    pair.is_reachable = True
    pair.run(3000)
    assert pair.terminal.state is TerminalState.ONLINE
    assert pair.terminal.stored == 0
    delivered = [event.token for event in pair.told(Delivered)]
    given_up = [event.token for event in pair.told(Undelivered)]
    assert sorted(delivered + given_up) == list(range(made))
    heard = pair.heard(Location) + [item for batch in pair.heard(LocationBatch) for item in batch.items]
    assert {location.latitude_e6_deg for location in heard} >= set(delivered)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.lists(st.binary(max_size=60), max_size=8), seed=st.integers(0, 1000))
def test_whatever_comes_at_either_end_a_location_is_delivered_in_the_end(data, seed):
    rng = random.Random(seed)
    pair = online(rng.choice(DIALECTS))
    phone = pair.terminal.link.phone
    version = 1 if pair.platform.dialect.has_version else None
    for piece in data:
        msg_id = rng.choice([0x8001, 0x8003, 0x8100, 0x8103, 0x8800, 0x0001, 0x0200, 0x0801, 0x0100, 0x0102, 0x0005])
        wire = encode_frame(Frame(msg_id, phone, rng.randrange(4), piece, version)) + piece
        for end in (pair.terminal, pair.platform):
            if end is not None:
                end.receive(wire, pair.now)
    pair.terminal.send(Report(place(1), "after"), pair.now)
    pair.run(3000)
    assert Delivered("after") in pair.terminal_events
    assert pair.terminal.state is TerminalState.ONLINE
    assert pair.terminal.stored == 0
