"""The meter's end of the line: what it answers itself, what it asks for, every timer."""

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.dlt645 import frame, meter
from protocols.dlt645.answers import AddressAnswer, AgainAnswer, DataAnswer, ErrorAnswer, FollowingAnswer
from protocols.dlt645.catalogue import frame_of_answer
from protocols.dlt645.edition import Edition, Function
from protocols.dlt645.frame import ANY_ADDRESS, BROADCAST, Frame, decode_frame, encode_frame
from protocols.dlt645.master import Answered, Call, Refused
from protocols.dlt645.meter import Asked, Late, MeterDialogue, MeterState, Reply, Told
from protocols.dlt645.requests import (
    Freeze,
    ReadAddress,
    ReadAgain,
    ReadData,
    ReadFollowing,
    WriteAddress,
)
from protocols.tests.dlt645_calls import (
    CLOCK,
    E07,
    E97,
    ENERGY,
    METER,
    VALUE,
    a_master,
    answer,
    answered,
    request,
)


def test_a_meter_is_asked_and_answers_after_20_ms():
    one = MeterDialogue(METER)
    one.receive(request(ENERGY), 1.0)
    assert one.next_event() == Asked(ENERGY)
    assert (one.state, one.next_deadline()) == (MeterState.ASKED, 1.0 + meter.THINK_S)
    one.send(Reply(VALUE), 1.005)
    assert one.next_deadline() == 1.0 + meter.DELAY_S
    one.tick(1.01)
    assert answered(one, 1.0) == DataAnswer(ENERGY.di, VALUE)
    assert (one.state, one.next_deadline()) == (MeterState.LISTENING, None)


def test_a_reply_that_is_late_is_dropped():
    one = MeterDialogue(METER)
    one.receive(request(ENERGY), 0.0)
    one.tick(meter.THINK_S)
    assert [one.next_event(), one.next_event()] == [Asked(ENERGY), Late(ENERGY)]
    with pytest.raises(LocalProtocolError):
        one.send(Reply(VALUE), 1.0)
    assert one.bytes_to_send() == b""


def test_a_station_that_repeats_itself_is_answered_once():
    one = MeterDialogue(METER)
    one.receive(request(ENERGY), 0.0)
    one.receive(request(ReadData(0x00020000)), 0.1)
    one.send(Reply(VALUE), 0.2)
    one.receive(request(ENERGY), 0.21)  # before the answer was out
    one.send(Reply(VALUE), 0.22)
    assert answered(one, 0.21) == DataAnswer(ENERGY.di, VALUE)
    assert one.bytes_to_send() == b""


def test_a_request_that_another_followed_is_not_told_any_more():
    one = MeterDialogue(METER)
    other = ReadData(0x00020000)
    one.receive(request(ENERGY) + request(other), 0.0)
    assert one.next_event() == Asked(other)
    assert one.next_event() is NEED_DATA
    one.send(Reply(VALUE), 0.0)
    assert answered(one, 0.0) == DataAnswer(other.di, VALUE)
    one.receive(request(ENERGY) + request(ReadAddress()), 1.0)
    assert one.next_event() is NEED_DATA
    assert answered(one, 1.0) == AddressAnswer(METER)


def test_a_reply_to_an_earlier_request_is_refused():
    one = MeterDialogue(METER)
    one.receive(request(ENERGY), 0.0)
    earlier = one.next_event().request
    one.receive(request(ReadData(0x00020000)), 0.1)
    with pytest.raises(LocalProtocolError):
        one.send(Reply(VALUE, to=earlier), 0.1)
    assert one.state is MeterState.ASKED
    one.send(Reply(VALUE, to=one.next_event().request), 0.1)
    assert answered(one, 0.1) == DataAnswer(0x00020000, VALUE)


@pytest.mark.parametrize(
    "foreign", [request(ENERGY, "999900000001"), answer(DataAnswer(ENERGY.di, VALUE)), b"noise", request(ENERGY)[:-1]]
)
def test_a_meter_does_not_hear_what_is_for_others(foreign):
    one = MeterDialogue(METER)
    one.receive(foreign, 0.0)
    assert one.next_event() is NEED_DATA
    assert one.next_deadline() is None


def test_half_a_request_is_forgotten_in_the_silence():
    one = MeterDialogue(METER)
    torn = b"\x68" + bytes(6) + b"\x68\x11\xc8"  # 200 bytes are announced
    one.receive(torn, 1.0)
    one.receive(b"", 1.0 + frame.GAP_S)
    one.receive(request(ENERGY), 1.01 + frame.GAP_S)
    assert one.next_event() == Asked(ENERGY)
    one.receive(torn, 3.0)
    one.receive(request(ENERGY), 3.0 + frame.GAP_S)
    assert one.next_event() is NEED_DATA


def test_a_meter_says_its_address():
    one = MeterDialogue(METER, preamble_count=4)
    one.receive(request(ReadAddress(), ANY_ADDRESS), 0.0)
    one.tick(meter.DELAY_S)
    wire = one.bytes_to_send()
    assert wire == encode_frame(frame_of_answer(METER, AddressAnswer(METER), E07, preamble_count=4))
    with pytest.raises(LocalProtocolError):
        MeterDialogue("1")


def test_a_meter_takes_a_new_address():
    new = "000000000001"
    one = MeterDialogue(METER)
    for reply, after in ((Reply(word=4), METER), (Reply(), new)):
        station = a_master()
        call = Call(METER, WriteAddress(new), is_authorised=True)
        station.send(call, 0.0)
        one.receive(station.bytes_to_send(), 0.0)
        one.send(reply, 0.0)
        one.tick(meter.DELAY_S)
        station.receive(one.bytes_to_send(), 0.1)
        event = station.next_event()
        assert (one.address, event.address) == (after, after)
        assert isinstance(event, Refused if reply.word else Answered)


def test_a_broadcast_is_told_and_not_answered():
    one = MeterDialogue(METER)
    for what in (CLOCK, Freeze()):
        one.receive(request(what, BROADCAST), 0.0)
        assert one.next_event() == Told(what)
    one.receive(request(CLOCK, METER), 0.0)
    assert one.next_event() == Told(CLOCK)
    one.receive(encode_frame(Frame(BROADCAST, 0x1F)), 0.0)
    assert one.next_deadline() is None


@pytest.mark.parametrize("sent", [Frame(METER, 0x11, b"\0"), Frame(METER, 0x1F), Frame(ANY_ADDRESS, 0x13, b"\0")])
def test_what_makes_no_sense_is_refused(sent):
    one = MeterDialogue(METER)
    one.receive(encode_frame(sent), 0.0)
    assert one.next_event() is NEED_DATA
    one.tick(meter.DELAY_S)
    assert decode_frame(one.bytes_to_send()) == Frame(METER, 0xC0 | sent.control, b"\x01")


@pytest.mark.parametrize("edition", list(Edition))
def test_long_data_go_out_in_pieces(edition):
    one = MeterDialogue(METER, edition)
    data = bytes(range(256)) * 2
    what = ReadData(0x901F)
    following = [ReadFollowing(0x901F, number if edition is E07 else None) for number in (1, 2, 3)]
    one.receive(request(following[0], edition=edition), 0.0)
    assert answered(one, 0.0, edition) == ErrorAnswer(Function.READ_FOLLOWING, 2)
    one.receive(request(what, edition=edition), 0.0)
    one.send(Reply(data), 0.0)
    first = answered(one, 0.0, edition)
    assert first.has_more
    got = first.data
    for number, ask in enumerate(following):
        one.receive(request(ask, edition=edition), 0.0)
        piece = answered(one, 0.0, edition)
        if number == 2:
            assert piece == ErrorAnswer(Function.READ_FOLLOWING, 2)
        else:
            got += piece.data
            assert piece.has_more is (number == 0)
    assert got == data
    if edition is E07:
        one.receive(request(following[0]), 0.0)  # asked for again, it is the same
        assert answered(one, 0.0) == FollowingAnswer(0x901F, data[195:390], 1, has_more=True)
    one.receive(request(what, edition=edition), 0.0)
    with pytest.raises(LocalProtocolError):
        one.send(Reply(bytes(60_000)), 0.0)


def test_a_meter_of_1997_says_it_again():
    one = MeterDialogue(METER, E97)
    one.receive(request(ReadAgain(), edition=E97), 0.0)
    assert answered(one, 0.0, E97) == ErrorAnswer(Function.READ_AGAIN, 2)
    one.receive(request(ReadData(0x9010), edition=E97), 0.0)
    one.send(Reply(bytes(300)), 0.0)
    assert answered(one, 0.0, E97).has_more
    one.receive(request(ReadAgain(), edition=E97), 0.0)
    assert answered(one, 0.0, E97) == AgainAnswer(0x9010, bytes(197), has_more=True)
    one.receive(request(ReadFollowing(0x9010), edition=E97), 0.0)
    assert answered(one, 0.0, E97) == FollowingAnswer(0x9010, bytes(103))
    one.receive(request(ReadAgain(), edition=E97), 0.0)
    assert answered(one, 0.0, E97) == AgainAnswer(0x9010, bytes(103))
