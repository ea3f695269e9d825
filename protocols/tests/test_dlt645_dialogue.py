"""Station and meter: each end alone, every timer, and both against each other over a line that loses and breaks."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.dlt645 import frame, master, meter
from protocols.dlt645.answers import AddressAnswer, AgainAnswer, DataAnswer, DoneAnswer, ErrorAnswer, FollowingAnswer
from protocols.dlt645.catalogue import decode_answer, decode_request, frame_of_answer, frame_of_request
from protocols.dlt645.edition import Edition, ErrorWord, Function
from protocols.dlt645.frame import ANY_ADDRESS, BROADCAST, Frame, Framer, decode_frame, encode_frame
from protocols.dlt645.guarded import Authorisation, ClearMeter, Password
from protocols.dlt645.master import Answered, Call, Failed, Failure, MasterDialogue, MasterState, Read, Refused
from protocols.dlt645.meter import Asked, Late, MeterDialogue, MeterState, Reply, Told
from protocols.dlt645.requests import (
    Clock,
    Freeze,
    ReadAddress,
    ReadAgain,
    ReadData,
    ReadFollowing,
    SetBaud,
    SetClock,
    WriteAddress,
)
from protocols.tests.kit import frames_of

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
E07, E97 = Edition.E2007, Edition.E1997
METER = "123456789012"
ENERGY = ReadData(0x00010000)
VALUE = bytes.fromhex("56341200")
CLOCK = SetClock(Clock(2025, 3, 1, 12, 30, 59))
ANSWER_S = master.ANSWER_S + master.LATENESS_S
GAP_S = frame.GAP_S + master.LATENESS_S


def a_master(edition=E07, **options):
    return MasterDialogue(edition, baud=None, **options)


def asked(dialogue, edition=E07):
    """What it asks for, as (address, request)."""
    framer = Framer()
    framer.feed(dialogue.bytes_to_send())
    frames = frames_of(framer)
    assert all(frame.preamble_count == 4 for frame in frames)
    return [(frame.address, decode_request(frame, edition)) for frame in frames]


def answer(what, address=METER, edition=E07):
    return encode_frame(frame_of_answer(address, what, edition))


def request(what, address=METER, edition=E07):
    return encode_frame(frame_of_request(address, what, edition, preamble_count=4))


def answered(dialogue, now, edition=E07):
    """What a meter answers once it may."""
    assert dialogue.bytes_to_send() == b""
    dialogue.tick(now + meter.DELAY_S)
    wire = dialogue.bytes_to_send()
    return decode_answer(decode_frame(wire), edition) if wire else None


# -- the station -----


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


# -- the meter -----


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


# -- both ends -----


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


@EXAMPLES
@given(st.binary(max_size=300))
def test_any_bytes_do_no_harm(noise):
    for edition in Edition:
        one = MasterDialogue(edition)
        one.send(Call(METER, ReadData(0x9010)), 0.0)
        for target in (one, MeterDialogue(METER, edition)):
            target.receive(noise, 0.0)
            target.receive(encode_frame(Frame(METER, 0x80 | len(noise) % 128, noise[:200])), 0.1)
            target.receive(encode_frame(Frame(METER, len(noise) % 128, noise[:200])), 0.2)
            target.tick(100.0)
