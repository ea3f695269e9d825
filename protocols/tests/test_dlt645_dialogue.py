"""Station and meter against each other, over a line that loses and breaks, and each against any bytes."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA
from protocols.dlt645 import meter
from protocols.dlt645.answers import DataAnswer
from protocols.dlt645.edition import Edition
from protocols.dlt645.frame import Frame, decode_frame, encode_frame
from protocols.dlt645.master import Call, Failed, MasterDialogue, MasterState, Read, Refused
from protocols.dlt645.meter import Asked, MeterDialogue, MeterState, Reply, Told
from protocols.dlt645.requests import (
    ReadData,
)
from protocols.tests.dlt645_calls import E07, E97, METER, VALUE, a_master, answer, request

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)


def spoilt(rng, wire, loss):
    """Bytes after something may have happened to them."""
    if not wire or rng.random() >= loss:
        return wire
    at = rng.randrange(len(wire))
    return rng.choice((b"", wire[:at], wire[:at] + rng.randbytes(rng.randrange(4)) + wire[at + 1 :]))


def talk(seed, loss, edition, request_, data):
    """A call over a line that loses, breaks and adds bytes; the meter's data differ from call to call."""
    rng = random.Random(seed)
    station, one = MasterDialogue(edition), MeterDialogue(METER, edition)
    call = Call(METER, request_)
    station.send(call, 0.0)
    now = 0.0
    for _ in range(4000):
        is_quiet = True
        for source, target in ((station, one), (one, station)):
            wire = spoilt(rng, source.bytes_to_send(), loss)
            is_quiet = is_quiet and not wire
            target.receive(wire, now)
        while (event := one.next_event()) is not NEED_DATA:
            if isinstance(event, Asked) and one.state is MeterState.ASKED:
                one.send(Reply(data), now)
        if (event := station.next_event()) is not NEED_DATA:
            return call, event
        if is_quiet:
            deadlines = [
                deadline for deadline in (station.next_deadline(), one.next_deadline()) if deadline is not None
            ]
            now = max(now, min(deadlines))
            station.tick(now)
            one.tick(now)
    raise AssertionError("it never ends")


@pytest.mark.parametrize("edition", list(Edition))
@pytest.mark.parametrize("size", [0, 4, 196, 197, 1000])
def test_over_a_good_line_every_byte_arrives(edition, size):
    data = random.Random(size).randbytes(size)
    call, event = talk(0, 0.0, edition, ReadData(0x901F), data)
    assert event == Read(call, METER, data)


@EXAMPLES
@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.4]), st.sampled_from(list(Edition)), st.integers(0, 900))
@example(1, 1.0, E07, 10)
def test_over_a_bad_line_an_answer_is_right_or_there_is_none(seed, loss, edition, size):
    data = random.Random(size).randbytes(size)
    call, event = talk(seed, loss, edition, ReadData(0x901F), data)
    assert isinstance(event, (Failed, Refused)) or event == Read(call, METER, data)


@pytest.mark.parametrize(("edition", "least"), [(E07, 38), (E97, 30)])
def test_a_line_that_loses_every_tenth_frame_is_good_for_reading(edition, least):
    events = [talk(seed, 0.1, edition, ReadData(0x901F), bytes(600))[1] for seed in range(40)]
    assert sum(isinstance(event, Read) for event in events) >= least


@st.composite
def streams(draw):
    """Any bytes, and frames with any data from and to the meter."""
    frames = st.builds(
        lambda control, data: encode_frame(Frame(METER, control, data)), st.integers(0, 255), st.binary(max_size=60)
    )
    parts = st.one_of(st.binary(max_size=60), frames, st.binary(max_size=255).map(lambda data: b"\x68" + data))
    return b"".join(draw(st.lists(parts, max_size=5)))


@EXAMPLES
@given(streams(), st.sampled_from(list(Edition)))
def test_after_any_bytes_a_station_has_one_outcome_and_hears_the_next_answer(noise, edition):
    one = a_master(edition)
    call = Call(METER, ReadData(0x9010))
    one.send(call, 0.0)
    one.receive(noise, 0.1)
    for _ in range(20):
        if (deadline := one.next_deadline()) is not None:
            one.tick(deadline)
    assert one.state is MasterState.IDLE
    outcome = one.next_event()
    assert isinstance(outcome, (Read, Refused, Failed))
    assert outcome.call is call
    assert one.next_event() is NEED_DATA
    again = Call(METER, ReadData(0x9010))
    one.send(again, 100.0)
    one.receive(answer(DataAnswer(0x9010, VALUE), edition=edition), 100.1)
    assert one.next_event() == Read(again, METER, VALUE)


@EXAMPLES
@given(streams(), st.sampled_from(list(Edition)))
def test_after_any_bytes_and_a_silence_a_meter_hears_the_next_request(noise, edition):
    one = MeterDialogue(METER, edition)
    one.receive(noise, 0.0)
    told = []
    while (event := one.next_event()) is not NEED_DATA:
        told.append(event)
    assert all(isinstance(event, (Asked, Told)) for event in told)
    assert sum(isinstance(event, Asked) for event in told) <= 1
    one.tick(meter.THINK_S)
    assert one.state is MeterState.LISTENING
    said = one.bytes_to_send()
    if said:
        assert decode_frame(said).is_response
    while one.next_event() is not NEED_DATA:
        pass
    one.receive(request(ReadData(0x9010), edition=edition), 10.0)
    assert one.next_event() == Asked(ReadData(0x9010))
