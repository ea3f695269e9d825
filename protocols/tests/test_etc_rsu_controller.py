"""The computer's end of an ETC link, told frame by frame: answers, repeats, every timer, and debits that stay open."""

import msgspec
import pytest

from protocols.core.errors import LocalProtocolError
from protocols.etc_rsu.catalogue import Interface
from protocols.etc_rsu.classic_commands import DROP, RESEND, WriteEntry
from protocols.etc_rsu.classic_reports import LoopState
from protocols.etc_rsu.controller import MAX_ASKS, Controller
from protocols.etc_rsu.controller_events import (
    Abandoned,
    ControllerSettings,
    Decide,
    Fault,
    Instruct,
    LinkState,
    PassageState,
    Ready,
    Reported,
    Restarted,
    Silent,
    Start,
    Told,
    Undecided,
)
from protocols.etc_rsu.frame import (
    ClassicFrame,
    encode_classic,
)
from protocols.etc_rsu.link import Numbers, swapped
from protocols.etc_rsu.payload import RawPayload
from protocols.tests.etc_rsu_ends import (
    B0,
    C0,
    HEARTBEAT,
    ISSUER,
    NOW,
    OBU,
    OPEN,
    OTHER,
    STATION,
    WRITTEN,
    b2,
    b3,
    b4,
    b5,
    c1,
    c2,
    c6,
    c7,
    events_of,
    ready,
    say,
    sent_by,
)


def decided(controller, number, report, payload, now=1.0):
    """The unit reports and the application decides; the answer carries the swapped number."""
    sent, (event,) = say(controller, number, report, now)
    assert sent == []
    assert event.report == report
    controller.send(Decide(report.obu_id, payload), now)
    assert sent_by(controller) == [(swapped(number), payload.to_bytes())]
    return event


def card_read(controller, first=0x08, now=1.0, **of_card):
    decided(controller, first, b2(), c1(), now)
    decided(controller, first + 0x10, b3(), c1(), now)
    sent, (event,) = say(controller, first + 0x20, b4(**of_card), now)
    assert sent == []
    return event


def test_a_vehicle_goes_through_a_lane():
    controller = ready()
    controller.send(Instruct(OPEN), 1.0)
    assert sent_by(controller) == [(0x81, OPEN.to_bytes())]
    decided(controller, 0x08, b2(), c1())
    assert controller.state_of(OBU) is PassageState.READING
    decided(controller, 0x18, b3(), c1())
    decided(controller, 0x28, b4(), c6())
    decided(controller, 0x38, b5(), c1())
    assert controller.state_of(OBU) is PassageState.ABSENT
    assert controller.next_deadline() == 1.0 + ControllerSettings().silence_s


def test_an_entry_is_written_and_a_vehicle_turned_away():
    controller = ready()
    assert card_read(controller) == Reported(OBU, b4())
    entry = WriteEntry(OBU, ISSUER, bytes(4), NOW, STATION)
    controller.send(Decide(OBU, entry), 1.0)
    assert sent_by(controller) == [(0x82, entry.to_bytes())]
    decided(controller, 0x38, b5(error_code=8), c2())
    assert controller.state_of(OBU) is PassageState.ABSENT
    decided(controller, 0x48, b2(), c2())
    assert controller.state_of(OBU) is PassageState.ABSENT


def test_a_repeated_report_gets_the_same_answer_or_none_yet():
    controller = ready()
    assert say(controller, 0x08, b2())[1] == [Reported(OBU, b2())]
    assert say(controller, 0x08, b2()) == ([], [])
    controller.send(Decide(OBU, c1()), 1.2)
    answer = sent_by(controller)
    assert say(controller, 0x08, b2()) == (answer, [])
    assert controller.repeats == 2
    assert say(controller, 0x18, b2())[1] == [Reported(OBU, b2())]  # another number: found again


def test_an_old_frame_with_a_number_that_came_around_is_new():
    controller = ready()
    for turn in range(3):
        for digit in range(8):
            assert say(controller, digit << 4 | 8, b2())[1] == [Reported(OBU, b2())], (turn, digit)


def test_a_heartbeat_is_not_answered_and_keeps_the_link():
    controller = ready()
    assert say(controller, 0x08, HEARTBEAT, 50.0) == ([], [])
    controller.tick(61.5)
    assert controller.state is LinkState.UP
    assert controller.next_deadline() == 50.0 + 61.0


def test_loops_and_unknown_frames_are_acknowledged():
    controller = ready()
    assert say(controller, 0x08, LoopState(1, 2)) == ([(0x80, b"")], [Told(LoopState(1, 2))])
    unknown = RawPayload(b"\xbe\x01")
    assert say(controller, 0x18, unknown) == ([(0x81, b"")], [Told(unknown)])
    assert say(controller, 0x18, unknown) == ([(0x81, b"")], [])
    assert say(controller, 0x28, RawPayload(b"")) == ([], [])
    assert say(controller, 0x28, RawPayload(b"\xb3\x01")) == ([], [])
    assert controller.bad_payloads == 1
    assert say(controller, 0x38, B0) == ([(0x83, b"")], [Told(B0)])


def test_a_unit_that_never_answers_is_a_fault_after_three_tries():
    controller = Controller()
    controller.receive(encode_classic(ClassicFrame(0x98, B0.to_bytes())), 0.0)
    assert (sent_by(controller), events_of(controller)) == ([], [])  # nobody has started it
    controller.send(Start(C0), 0.0)
    for digit in range(3):
        assert sent_by(controller) == [(0x80 + digit, C0.to_bytes())]
        assert controller.next_deadline() == 3.0 * (digit + 1)
        controller.tick(3.0 * (digit + 1) - 0.01)
        assert sent_by(controller) == []
        controller.tick(3.0 * (digit + 1))
    assert events_of(controller) == [Fault()]
    assert controller.state is LinkState.DOWN
    assert controller.next_deadline() is None
    with pytest.raises(LocalProtocolError):
        controller.send(Instruct(OPEN), 9.0)
    controller.send(Start(C0), 9.0)
    controller.send(Start(C0), 9.5)
    assert len(sent_by(controller)) == 2
    assert say(controller, 0x08, b2(), 9.6) == ([], [])  # before it is ready no vehicle counts
    assert say(controller, 0x98, B0, 9.7)[1] == [Ready(B0)]


def test_silence_and_power_up_begin_anew_and_keep_what_is_unsettled():
    controller = ready()
    card_read(controller)
    controller.send(Decide(OBU, c6()), 1.0)
    sent_by(controller)
    say(controller, 0x38, b2(OTHER), 2.0)
    sent, events = say(controller, 0x98, B0, 6.0)
    assert sent == [(0x81, C0.to_bytes()), (0x89, b"")]
    assert events == [Restarted(), Abandoned(OBU, c6()), Abandoned(OTHER)]
    assert say(controller, 0x98, B0, 6.1) == ([(0x89, b"")], [])  # the same once more
    assert say(controller, 0x08, B0, 6.2)[1] == [Ready(B0)]
    controller.tick(6.2 + 61.0)
    assert events_of(controller) == [Silent()]
    assert sent_by(controller) == [(0x82, C0.to_bytes())]
    assert say(controller, 0x18, B0, 68.0)[1] == [Ready(B0)]
    assert card_read(controller, 0x28, 64.0, last_station=WRITTEN) == Reported(
        OBU, b4(last_station=WRITTEN), c6(), True
    )


def test_a_debit_is_never_repeated_on_a_card_that_carries_it():
    controller = ready()
    card_read(controller)
    controller.send(Decide(OBU, c6()), 1.0)
    sent_by(controller)
    controller.tick(4.0)
    assert events_of(controller) == [Abandoned(OBU, c6())]
    event = card_read(controller, 0x38, 5.0, last_station=WRITTEN)
    assert event == Reported(OBU, b4(last_station=WRITTEN), unsettled=c6(), is_written=True)
    with pytest.raises(LocalProtocolError):
        controller.send(Decide(OBU, c6()), 5.0)
    assert sent_by(controller) == []
    controller.send(Decide(OBU, c7()), 5.0)
    assert sent_by(controller) == [(0x85, c7().to_bytes())]
    controller.tick(8.0)  # that result is lost, too
    assert events_of(controller) == [Abandoned(OBU, c6())]
    card_read(controller, 0x08, 9.0, last_station=WRITTEN)
    controller.send(Decide(OBU, c7()), 9.0)
    sent_by(controller)
    decided(controller, 0x38, b5(), c1(), 9.5)
    assert card_read(controller, 0x48, 10.0, last_station=WRITTEN).unsettled is None
    with pytest.raises(LocalProtocolError):  # its C1 was lost, and it is back with what is known to be taken
        controller.send(Decide(OBU, c6()), 10.0)


def test_a_debit_that_the_card_does_not_carry_may_be_tried_again():
    controller = ready()
    card_read(controller)
    controller.send(Decide(OBU, c6()), 1.0)
    sent_by(controller)
    assert say(controller, 0x38, b2(), 2.0)[1] == [Reported(OBU, b2(), c6())]  # found again before its result
    controller.send(Decide(OBU, c1()), 2.0)
    sent_by(controller)
    decided(controller, 0x48, b3(), c1(), 2.0)
    event = decided(controller, 0x58, b4(), c6(), 2.0)
    assert (event.unsettled, event.is_written) == (c6(), False)


def test_a_result_with_an_error_leaves_open_what_the_card_will_tell():
    """08, no DSRC answer for 3 s: the card may have been debited all the same."""
    controller = ready()
    card_read(controller)
    controller.send(Decide(OBU, c6()), 1.0)
    sent_by(controller)
    assert decided(controller, 0x38, b5(error_code=8), c2(), 1.5).unsettled == c6()
    event = card_read(controller, 0x48, 2.0, last_station=WRITTEN)
    assert event == Reported(OBU, b4(last_station=WRITTEN), unsettled=c6(), is_written=True)
    later = msgspec.structs.replace(c6(), station=bytes(8) + STATION[8:])
    with pytest.raises(LocalProtocolError):
        controller.send(Decide(OBU, later), 2.0)
    controller.send(Decide(OBU, c7()), 2.0)
    sent_by(controller)
    assert decided(controller, 0x78, b5(), c1(), 2.5).unsettled is None


def test_a_result_that_comes_late_or_unasked_is_told():
    controller = ready()
    card_read(controller)
    controller.send(Decide(OBU, c6()), 1.0)
    sent_by(controller)
    controller.tick(4.0)
    events_of(controller)
    decided(controller, 0x38, b5(), c1(), 5.0)
    assert card_read(controller, 0x48, 6.0, last_station=WRITTEN).unsettled is None
    controller.send(Start(C0), 7.0)
    sent_by(controller)
    events_of(controller)
    assert say(controller, 0x08, b5(), 7.0)[1] == [Reported(OBU, b5())]


def test_a_result_waits_for_as_long_as_it_takes_to_store_it():
    controller = ready()
    card_read(controller)
    controller.send(Decide(OBU, c6()), 1.0)
    sent_by(controller)
    say(controller, 0x38, b5(), 2.0)
    for digit in range(4, 10):
        assert say(controller, digit % 8 << 4 | 8, LoopState(1, digit), 30.0)[0] == [(0x80 | digit % 8, b"")]
    controller.tick(40.0)
    assert controller.state_of(OBU) is PassageState.RESULT
    assert sent_by(controller) == []
    controller.send(Decide(OBU, c1()), 50.0)
    assert sent_by(controller) == [(0x83, c1().to_bytes())]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_who_does_not_decide_lets_the_vehicle_go(steps):
    controller = ready()
    for at, report in enumerate((b2(), b3())[:steps]):
        decided(controller, at << 4 | 8, report, c1())
    report = (b2(), b3(), b4())[steps]
    number = steps << 4 | 8
    say(controller, number, report, 2.0)
    controller.tick(3.9)
    assert sent_by(controller) == []
    controller.tick(4.0)
    assert sent_by(controller) == [(swapped(number), c2(stop_type=DROP).to_bytes())]
    assert events_of(controller) == [Undecided(OBU, report)]
    with pytest.raises(LocalProtocolError):
        controller.send(Decide(OBU, c1()), 4.0)
    assert say(controller, number, report, 4.1) == ([(swapped(number), c2().to_bytes())], [])


def test_a_vehicle_of_which_nothing_more_comes_is_abandoned():
    controller = ready()
    decided(controller, 0x08, b2(), c1())
    assert controller.next_deadline() == 4.0
    controller.tick(4.0)
    assert events_of(controller) == [Abandoned(OBU)]
    assert controller.state_of(OBU) is PassageState.ABSENT


@pytest.mark.parametrize("report", [b3(), b4()])
def test_a_report_out_of_turn_makes_the_unit_search_again(report):
    controller = ready()
    assert say(controller, 0x08, report) == ([(0x80, c2().to_bytes())], [])
    say(controller, 0x18, b2())
    assert say(controller, 0x28, report) == ([(0x82, c2().to_bytes())], [])
    assert controller.state_of(OBU) is PassageState.ABSENT


def test_what_cannot_be_decided_now_is_refused():
    controller = ready()
    for payload in (c1(), c6()):
        with pytest.raises(LocalProtocolError):
            controller.send(Decide(OBU, payload), 1.0)
    say(controller, 0x08, b2())
    for payload in (c6(), OPEN, RawPayload(b""), c1(OTHER), RawPayload(b"\xc1" + bytes(600))):
        with pytest.raises(LocalProtocolError):
            controller.send(Decide(OBU, payload), 1.0)
    for payload in (c6(), RawPayload(c6().to_bytes())):  # past what is known of a vehicle's debits
        with pytest.raises(LocalProtocolError):
            controller.send(Instruct(payload), 1.0)
    assert sent_by(controller) == []
    controller.send(Decide(OBU, RawPayload(c1().to_bytes())), 1.0)
    assert sent_by(controller) == [(0x80, c1().to_bytes())]
    with pytest.raises(LocalProtocolError):
        Controller(ControllerSettings(interface=Interface.URBAN))
    with pytest.raises(LocalProtocolError):
        controller.send(Start(RawPayload(bytes(600))), 1.0)


def test_a_broken_frame_is_asked_for_again_twice():
    controller = ready()
    decided(controller, 0x08, b2(), c1())
    wire = bytearray(encode_classic(ClassicFrame(0x18, b3().to_bytes())))
    wire[10] ^= 1
    asked = []
    for _ in range(MAX_ASKS + 1):
        controller.receive(bytes(wire), 1.1)
        asked += sent_by(controller)
    assert [data for _number, data in asked] == [c2(stop_type=RESEND).to_bytes()] * MAX_ASKS
    assert controller.framer_counts[1] == MAX_ASKS + 1
    decided(controller, 0x18, b3(), c1())
    say(controller, 0x28, b4())
    controller.receive(bytes(wire), 1.1)
    assert sent_by(controller) == []  # nothing is due now


def test_numbers_of_both_ends():
    for interface, is_roadside, expected in (
        (Interface.CLASSIC, True, "98 08 18 28 38 48 58 68 78 08"),
        (Interface.CLASSIC, False, "80 81 82 83 84 85 86 87 80"),
        (Interface.GANTRY, True, "01 02 03 04 05 06 07 08 09 01"),
        (Interface.LANE_CRC, False, "10 20 30 40 50 60 70 80 90 10"),
    ):
        numbers = Numbers(interface, is_roadside=is_roadside)
        assert bytes(numbers.next() for _ in expected.split()) == bytes.fromhex(expected)
