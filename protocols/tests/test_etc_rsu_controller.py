"""The computer's end of an ETC link, told frame by frame: answers, repeats, every timer, and debits that stay open."""

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.etc_rsu import gantry_commands, gantry_reports
from protocols.etc_rsu.catalogue import VARIANTS, Interface
from protocols.etc_rsu.classic_commands import DROP, RESEND, WriteEntry
from protocols.etc_rsu.classic_reports import LoopState
from protocols.etc_rsu.controller import MAX_ASKS, Controller
from protocols.etc_rsu.controller_events import (
    GANTRY_SETTINGS,
    Abandoned,
    ControllerSettings,
    Decide,
    Fault,
    Instruct,
    LinkState,
    PassageState,
    PassageStimulus,
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
    SequencedFrame,
    decode_classic,
    decode_sequenced,
    encode_classic,
    encode_sequenced,
)
from protocols.etc_rsu.lane_crc import CardFilesRead, LaneDebit, LaneResult
from protocols.etc_rsu.link import GAP_S, Numbers, swapped
from protocols.etc_rsu.passage import is_on_card
from protocols.etc_rsu.payload import RawPayload
from protocols.etc_rsu.vehicles import MAX_PASSAGES, MAX_UNSETTLED, Vehicles
from protocols.tests.etc_rsu_ends import (
    B0,
    C0,
    GANTRY_B0,
    GANTRY_B1,
    GANTRY_C0,
    GANTRY_STATION,
    HEARTBEAT,
    ISSUER,
    NOW,
    OBU,
    OPEN,
    OTHER,
    STATION,
    b2,
    b3,
    b4,
    b5,
    c1,
    c2,
    c6,
    c7,
    events_of,
    gantry_b2,
    gantry_b4,
    gantry_b5,
    gantry_c6,
)

WRITTEN = b"\xaa\x29\x00" + STATION


def say(controller, number, report, now=1.0):
    """The unit reports; what the computer sends, and what happened."""
    controller.receive(encode_classic(ClassicFrame(number, report.to_bytes())), now)
    return sent_by(controller), events_of(controller)


def sent_by(controller):
    frames = []
    while wire := controller.bytes_to_send():
        frame = decode_classic(wire)
        frames.append((frame.rsctl, frame.data))
    return frames


def ready():
    controller = Controller()
    controller.send(Start(C0), 0.0)
    assert sent_by(controller) == [(0x80, C0.to_bytes())]
    assert say(controller, 0x98, B0) == ([(0x89, b"")], [Ready(B0)])
    return controller


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


def test_vehicles_and_open_debits_are_bounded():
    controller = ready()
    for number in range(MAX_PASSAGES + 3):
        say(controller, number % 8 << 4 | 8, b2(number.to_bytes(4, "big")))
    assert controller.state_of(bytes(4)) is PassageState.ABSENT
    assert controller.state_of(b"\x00\x00\x00\x03") is PassageState.FOUND
    vehicles = Vehicles(ControllerSettings(), lambda _key, _data: None, lambda _event: None)
    for number in range(MAX_UNSETTLED + 5):
        obu_id = number.to_bytes(4, "big")
        vehicles.report(obu_id, (8, b""), b2(obu_id), PassageStimulus.FOUND, 0.0)
        vehicles.decide(Decide(obu_id, c1(obu_id)), 0.0)
        vehicles.report(obu_id, (8, b""), b4(obu_id), PassageStimulus.CARD, 0.0)
        vehicles.decide(Decide(obu_id, c6(obu_id)), 0.0)
        vehicles.tick(10.0)
    assert len(vehicles._unsettled) == MAX_UNSETTLED
    assert len(vehicles._passages) == 0


# Frames with a CRC


def sequenced(controller, seq, report, now=1.0):
    controller.receive(encode_sequenced(SequencedFrame(seq, report.to_bytes())), now)
    return sequenced_of(controller), events_of(controller)


def sequenced_of(controller):
    frames = []
    while wire := controller.bytes_to_send():
        frame = decode_sequenced(wire)
        frames.append((frame.seq, frame.data))
    return frames


def gantry():
    controller = Controller(GANTRY_SETTINGS)
    controller.send(Start(GANTRY_C0), 0.0)
    assert sequenced_of(controller) == [(0x10, GANTRY_C0.to_bytes())]
    assert sequenced(controller, 0x01, GANTRY_B0) == ([], [Ready(GANTRY_B0)])
    return controller


def test_a_gantry_answers_heartbeats_and_deals_with_many_vehicles_at_once():
    controller = gantry()
    assert sequenced(controller, 0x02, GANTRY_B1) == ([(0x20, b"\xcf\x00")], [Told(GANTRY_B1)])
    controller.send(Instruct(gantry_commands.GantryAntenna(1)), 1.0)
    assert sequenced_of(controller) == [(0x20, b"\xc4\x01")]
    for seq, obu_id in ((3, OBU), (4, OTHER)):
        assert sequenced(controller, seq, gantry_b2(obu_id))[1] == [Reported(obu_id, gantry_b2(obu_id))]
    for seq, obu_id in ((4, OTHER), (3, OBU)):
        controller.send(Decide(obu_id, c1(obu_id)), 1.1)
        assert sequenced_of(controller) == [(seq << 4, c1(obu_id).to_bytes())]
    for seq, obu_id in ((5, OTHER), (6, OBU)):
        sequenced(controller, seq, gantry_b4(obu_id))
        controller.send(Decide(obu_id, gantry_c6(obu_id)), 1.2)
        assert sequenced_of(controller) == [(seq << 4, gantry_c6(obu_id).to_bytes())]
    assert sequenced(controller, 7, gantry_b5(OBU))[1] == [Reported(OBU, gantry_b5(OBU))]
    controller.send(Decide(OBU, c1(OBU)), 1.3)
    controller.tick(2.2)
    assert events_of(controller) == [Abandoned(OTHER, gantry_c6(OTHER))]


def test_a_gantry_proves_a_debit_whose_outcome_is_unknown():
    controller = gantry()
    sequenced(controller, 2, gantry_b2())
    controller.send(Decide(OBU, c1()), 1.0)
    sequenced(controller, 3, gantry_b4())
    controller.send(Decide(OBU, gantry_c6()), 1.0)
    sequenced_of(controller)
    unknown = gantry_b5(error_code=1)
    assert sequenced(controller, 4, unknown)[1] == [Reported(OBU, unknown, gantry_c6())]
    stop = gantry_commands.GantryStop(OBU, DROP, None)
    controller.send(Decide(OBU, stop), 1.0)
    assert sequenced_of(controller) == [(0x40, stop.to_bytes())]
    sequenced(controller, 5, gantry_b2())
    controller.send(Decide(OBU, c1()), 1.5)
    sequenced_of(controller)
    carries = gantry_b4(last_station=GANTRY_STATION)
    assert sequenced(controller, 6, carries)[1] == [Reported(OBU, carries, gantry_c6(), True)]
    fetch = gantry_commands.FetchTac(OBU, 7, 0, None, None)
    controller.send(Decide(OBU, fetch), 1.5)
    assert sequenced_of(controller) == [(0x60, fetch.to_bytes())]
    proved = gantry_reports.TacFetched(OBU, 0, b"\xa0\xb0\xc0\xd0", bytes(4), 98_750)
    assert sequenced(controller, 7, proved)[1] == [Reported(OBU, proved)]


def test_who_does_not_decide_at_a_gantry_sends_its_c2():
    controller = gantry()
    sequenced(controller, 2, gantry_b2(), 1.0)
    controller.tick(2.0)
    assert sequenced_of(controller) == [(0x20, gantry_commands.GantryStop(OBU, DROP, None).to_bytes())]


def test_a_lane_with_crc_speaks_as_it_is_configured():
    settings = ControllerSettings(interface=Interface.LANE_CRC, variants=VARIANTS[Interface.LANE_CRC])
    controller = Controller(settings)
    controller.send(Start(C0), 0.0)
    state = RawPayload(b"\xb0\x00\x01")
    assert sequenced(controller, 1, state)[1] == [Ready(state)]
    assert sequenced(controller, 1, RawPayload(b"\xb1\x07"))[0] == [(0x10, b"\xcf\x00")]
    assert sequenced(controller, 2, HEARTBEAT) == ([], [])
    debit = LaneDebit(OBU, 0, 1250, b"\x44" * 40, NOW, 0, 0, b"")
    card = CardFilesRead(OBU, 0, 100_000, bytes(50), bytes(43))
    for seq, payload in ((3, c1()), (4, debit)):
        sequenced(controller, seq, RawPayload(b"\xb2" + OBU + bytes(30)) if seq == 3 else card)
        controller.send(Decide(OBU, payload), 1.0)
        assert sequenced_of(controller) == [(seq << 4, payload.to_bytes())]
    uncertain = LaneResult(OBU, 2, NOW, 1, 2, 9, 0xFFFFFFFF, b"\xff" * 4, 3, 0)
    assert sequenced(controller, 5, uncertain)[1] == [Reported(OBU, uncertain, debit)]
    assert uncertain.balance is None
    assert is_on_card(debit, CardFilesRead(OBU, 0, 100_000, bytes(50), b"\xaa\x28\x00" + debit.station))
    assert not is_on_card(LaneDebit(OBU, 0, 1250, bytes(40), NOW, 0, 0, b""), card)  # an empty record says nothing
    assert not is_on_card(debit, uncertain)


def test_half_a_frame_is_forgotten_at_its_deadline():
    controller = gantry()
    wire = encode_sequenced(SequencedFrame(2, gantry_b2().to_bytes()))
    controller.receive(b"\xff\xff\x00\x01\x00\x00\x0f\x00" + wire, 1.0)
    assert events_of(controller) == []
    assert controller.next_deadline() == 1.0 + GAP_S
    controller.tick(1.0 + GAP_S)
    assert events_of(controller) == [Reported(OBU, gantry_b2())]


def test_numbers_of_both_ends():
    for interface, is_roadside, expected in (
        (Interface.CLASSIC, True, "98 08 18 28 38 48 58 68 78 08"),
        (Interface.CLASSIC, False, "80 81 82 83 84 85 86 87 80"),
        (Interface.GANTRY, True, "01 02 03 04 05 06 07 08 09 01"),
        (Interface.LANE_CRC, False, "10 20 30 40 50 60 70 80 90 10"),
    ):
        numbers = Numbers(interface, is_roadside=is_roadside)
        assert bytes(numbers.next() for _ in expected.split()) == bytes.fromhex(expected)
