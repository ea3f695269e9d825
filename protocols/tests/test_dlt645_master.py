"""The station's end of a line of meters: what it takes, what it passes over, every timer."""

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.dlt645 import frame, master
from protocols.dlt645.answers import AddressAnswer, AgainAnswer, DataAnswer, DoneAnswer, ErrorAnswer, FollowingAnswer
from protocols.dlt645.edition import ErrorWord, Function
from protocols.dlt645.frame import ANY_ADDRESS, BROADCAST, Frame, encode_frame
from protocols.dlt645.guarded import Authorisation, ClearMeter, Password
from protocols.dlt645.master import Answered, Call, Failed, Failure, MasterDialogue, MasterState, Read, Refused
from protocols.dlt645.requests import (
    Freeze,
    ReadAddress,
    ReadAgain,
    ReadData,
    ReadFollowing,
    SetBaud,
    WriteAddress,
)
from protocols.tests.dlt645_calls import (
    ANSWER_S,
    CLOCK,
    E97,
    ENERGY,
    GAP_S,
    METER,
    VALUE,
    a_master,
    answer,
    asked,
    request,
)


def test_a_read_is_answered():
    one = a_master()
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    assert one.bytes_to_send().hex() == "fefefefe68129078563412681104333334336816"
    assert one.next_deadline() == ANSWER_S
    one.receive(bytes.fromhex("fefe6812907856341268910833333433896745335416"), 0.1)
    assert one.next_event() == Read(call, METER, VALUE)
    assert one.next_event() is NEED_DATA
    assert (one.state, one.next_deadline()) == (MasterState.IDLE, None)


def test_the_line_s_own_time_is_reckoned():
    one = MasterDialogue(baud=2400)
    one.send(Call(METER, ENERGY), 0.0)
    assert one.next_deadline() == pytest.approx(20 * 11 / 2400 + ANSWER_S)


def test_one_call_is_in_flight():
    one = a_master()
    one.send(Call(METER, ENERGY), 0.0)
    assert not one.has_room
    with pytest.raises(LocalProtocolError):
        one.send(Call(METER, ENERGY), 0.0)


def test_a_silent_meter_is_asked_three_times():
    one = a_master()
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    sent = [one.bytes_to_send()]
    now = 0.0
    while (deadline := one.next_deadline()) is not None:
        one.tick(deadline - 0.001)
        assert one.bytes_to_send() == b""
        now = deadline
        one.tick(now)
        sent.append(one.bytes_to_send())
    assert sent == [sent[0]] * 3 + [b""]
    assert one.next_event() == Failed(call, Failure.TIMEOUT)
    assert now == pytest.approx(3 * ANSWER_S)


def test_bytes_that_come_give_it_time():
    one = a_master()
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    wire = answer(DataAnswer(ENERGY.di, VALUE))
    one.receive(wire[:5], 0.5)
    assert one.next_deadline() == 0.5 + GAP_S
    one.receive(wire[5:], 1.0)
    assert one.next_event() == Read(call, METER, VALUE)


def test_an_early_byte_leaves_the_meter_its_time() -> None:
    one = MasterDialogue(baud=600)  # the request takes 367 ms
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    due = one.next_deadline()
    one.receive(request(ENERGY), 0.0)  # the echo of an adapter with a memory
    assert one.next_deadline() == due
    begun = 20 * 11 / 600 + frame.GAP_S
    one.tick(begun - 0.001)
    one.receive(answer(DataAnswer(ENERGY.di, VALUE)), begun)
    assert one.next_event() == Read(call, METER, VALUE)


def test_an_endless_noise_does_not_hold_the_line():
    one = a_master(max_repeats=0)
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    now = 0.0
    while one.next_event() is NEED_DATA and now < 100:
        now += 0.1
        one.receive(b"\x68\x00", now)
        one.tick(now)
    assert now == pytest.approx(ANSWER_S + GAP_S, abs=0.2)
    one.send(call, 0.0)
    one.receive(b"noise", 0.1)
    one.tick(one.next_deadline())
    assert one.next_event() == Failed(call, Failure.NOISE)


@pytest.mark.parametrize(
    "foreign",
    [
        request(ENERGY),  # an echo
        answer(DataAnswer(ENERGY.di, VALUE), address="999900000001"),
        answer(DataAnswer(0x00020000, VALUE)),
        answer(AddressAnswer(METER)),
        answer(FollowingAnswer(ENERGY.di, VALUE, 1)),
        encode_frame(Frame(METER, 0x91, b"\x01")),
    ],
)
def test_what_answers_nothing_is_passed_over(foreign):
    one = a_master()
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    one.receive(foreign, 0.1)
    assert one.next_event() is NEED_DATA
    one.receive(answer(DataAnswer(ENERGY.di, VALUE)), 0.2)
    assert one.next_event() == Read(call, METER, VALUE)
    one.receive(answer(DataAnswer(ENERGY.di, VALUE)), 0.3)
    assert one.next_event() is NEED_DATA
    assert one.stray_frames >= 1


def test_a_refusal_is_final():
    one = a_master()
    call = Call(METER, ENERGY)
    one.send(call, 0.0)
    one.receive(answer(ErrorAnswer(Function.READ_DATA, ErrorWord.NO_DATA)), 0.1)
    assert one.next_event() == Refused(call, METER, ErrorWord.NO_DATA)
    assert one.next_deadline() is None


def test_any_meter_may_answer_to_wild_cards():
    one = a_master()
    call = Call(ANY_ADDRESS, ReadAddress())
    one.send(call, 0.0)
    assert asked(one) == [(ANY_ADDRESS, ReadAddress())]
    one.receive(answer(AddressAnswer(METER)), 0.1)
    assert one.next_event() == Answered(call, METER, AddressAnswer(METER))


def test_pieces_are_asked_for_and_put_together():
    one = a_master()
    call = Call("aaaaaa789012", ReadData(0x03300D01))
    one.send(call, 0.0)
    one.bytes_to_send()
    one.receive(answer(DataAnswer(0x03300D01, b"ab", has_more=True)), 0.1)
    assert asked(one) == [(METER, ReadFollowing(0x03300D01, 1))]
    one.receive(answer(FollowingAnswer(0x03300D01, b"cd", 2, has_more=True)), 0.2)  # not that one
    assert one.stray_frames == 1
    one.receive(answer(FollowingAnswer(0x03300D01, b"cd", 1, has_more=True)), 0.2)
    assert asked(one) == [(METER, ReadFollowing(0x03300D01, 2))]
    one.tick(one.next_deadline())
    assert asked(one) == [(METER, ReadFollowing(0x03300D01, 2))]
    one.receive(answer(FollowingAnswer(0x03300D01, b"ef", 2)), 1.0)
    assert one.next_event() == Read(call, METER, b"abcdef")


def test_each_piece_may_be_repeated_and_none_for_ever():
    one = a_master()
    call = Call(METER, ReadData(0x03300D01))
    one.send(call, 0.0)
    one.receive(answer(DataAnswer(0x03300D01, b"ab", has_more=True)), 0.1)
    for _ in range(3):
        one.tick(one.next_deadline())
    assert one.next_event() == Failed(call, Failure.TIMEOUT)
    one.send(call, 10.0)
    one.receive(answer(DataAnswer(0x03300D01, b"ab", has_more=True)), 10.1)
    one.receive(answer(ErrorAnswer(Function.READ_FOLLOWING, 2)), 10.2)
    assert one.next_event() == Refused(call, METER, 2)


def test_more_pieces_than_can_be_counted():
    one = a_master()
    call = Call(METER, ReadData(1))
    one.send(call, 0.0)
    one.receive(answer(DataAnswer(1, b"a", has_more=True)), 0.0)
    for number in range(1, 256):
        one.receive(answer(FollowingAnswer(1, b"a", number, has_more=True)), 0.0)
    assert one.next_event() == Failed(call, Failure.TOO_LONG)
    one.send(call, 0.0)
    one.receive(answer(DataAnswer(1, b"a", has_more=True)), 0.0)
    for number in range(1, 256):
        one.receive(answer(FollowingAnswer(1, b"a", number, has_more=number < 255)), 0.0)
    assert one.next_event() == Read(call, METER, b"a" * 256)


def test_the_edition_of_1997_begins_anew_when_a_piece_is_lost():
    one = a_master(E97)
    call = Call(METER, ReadData(0x901F))
    one.send(call, 0.0)
    for _ in range(2):
        assert asked(one, E97) == [(METER, ReadData(0x901F))]
        one.receive(answer(DataAnswer(0x901F, b"ab", has_more=True), edition=E97), 0.1)
        assert asked(one, E97) == [(METER, ReadFollowing(0x901F))]
        one.receive(answer(FollowingAnswer(0x901F, b"cd", has_more=True), edition=E97), 0.2)
        assert asked(one, E97) == [(METER, ReadFollowing(0x901F))]
        one.tick(one.next_deadline())
    assert asked(one, E97) == [(METER, ReadData(0x901F))]
    one.receive(answer(DataAnswer(0x901F, b"ab", has_more=True), edition=E97), 2.0)
    one.receive(answer(FollowingAnswer(0x901F, b"ef"), edition=E97), 2.1)
    assert one.next_event() == Read(call, METER, b"abef")
    one.send(call, 5.0)
    for _ in range(3):
        one.receive(answer(DataAnswer(0x901F, b"ab", has_more=True), edition=E97), 5.1)
        one.tick(one.next_deadline())
    assert one.next_event() == Failed(call, Failure.TIMEOUT)


def test_a_single_piece_can_be_asked_for():
    one = a_master(E97)
    call = Call(METER, ReadFollowing(0x901F))
    one.send(call, 0.0)
    one.tick(one.next_deadline())
    assert one.next_event() == Failed(call, Failure.TIMEOUT)  # once more would be the piece after it
    again = Call(METER, ReadAgain())
    one.send(again, 2.0)
    one.receive(answer(AgainAnswer(0x901F, b"ab"), edition=E97), 2.1)
    assert one.next_event() == Answered(again, METER, AgainAnswer(0x901F, b"ab"))


GUARDED = ClearMeter(Authorisation(Password(2, b"\0\0\0")))


def test_what_changes_a_meter_needs_an_operator_and_is_never_repeated():
    one = a_master()
    for guarded in (GUARDED, SetBaud(8), Freeze(), WriteAddress(METER)):
        with pytest.raises(LocalProtocolError):
            one.send(Call(METER, guarded), 0.0)
    call = Call(METER, GUARDED, is_authorised=True)
    one.send(call, 0.0)
    assert one.bytes_to_send()
    one.tick(one.next_deadline())
    assert one.bytes_to_send() == b""
    assert one.next_event() == Failed(call, Failure.TIMEOUT)
    one.send(call, 1.0)
    one.receive(answer(DoneAnswer(Function.CLEAR_METER)), 1.1)
    assert one.next_event() == Answered(call, METER, DoneAnswer(Function.CLEAR_METER))


def test_a_broadcast_is_told_when_it_is_out():
    one = MasterDialogue(baud=1200)
    for what, address in ((CLOCK, BROADCAST), (CLOCK, METER), (Freeze(), BROADCAST)):
        call = Call(address, what, is_authorised=True)
        one.send(call, 0.0)
        size = len(one.bytes_to_send())
        assert one.next_deadline() == pytest.approx(size * 11 / 1200)
        one.receive(b"\x00", 0.01)
        assert one.next_deadline() == pytest.approx(size * 11 / 1200)
        one.tick(1.0)
        assert one.next_event() == master.Told(call)
    with pytest.raises(LocalProtocolError):
        one.send(Call(BROADCAST, ENERGY), 2.0)
    with pytest.raises(LocalProtocolError):
        one.send(Call("1", ENERGY), 2.0)
    assert one.has_room
