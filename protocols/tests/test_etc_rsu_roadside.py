"""The roadside unit's end of an ETC link: repeats, its window, heartbeats, and both ends against each other."""

import msgspec
import pytest

from protocols.core.errors import LocalProtocolError
from protocols.etc_rsu import gantry_commands
from protocols.etc_rsu.catalogue import Interface
from protocols.etc_rsu.classic_commands import RESEND
from protocols.etc_rsu.controller import Controller
from protocols.etc_rsu.controller_events import (
    GANTRY_SETTINGS,
    Abandoned,
    ControllerSettings,
    LinkState,
    Reported,
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
from protocols.etc_rsu.payload import RawPayload
from protocols.etc_rsu.roadside import MAX_QUEUED, MAX_WINDOW, Roadside
from protocols.etc_rsu.roadside_events import Acknowledged, Commanded, RoadsideSettings, Unanswered
from protocols.tests.etc_rsu_ends import (
    B0,
    C0,
    GANTRY_B0,
    GANTRY_B1,
    GANTRY_C0,
    HEARTBEAT,
    OPEN,
    OTHER,
    LaneApplication,
    Radio,
    b2,
    b3,
    c1,
    c2,
    events_of,
    gantry_b2,
)
from protocols.tests.lossy_link import LossyLink

GANTRY = RoadsideSettings(interface=Interface.GANTRY, window=3, heartbeat=GANTRY_B1)


def tell(unit, number, payload, now=1.0):
    unit.receive(encode_classic(ClassicFrame(number, payload.to_bytes())), now)
    return events_of(unit)


def sent_by(unit):
    frames = []
    while wire := unit.bytes_to_send():
        frame = decode_classic(wire)
        frames.append((frame.rsctl, frame.data))
    return frames


def test_a_report_is_answered_and_the_next_one_goes():
    unit = Roadside()
    unit.send(b2(), 0.0)
    unit.send(b3(), 0.0)
    assert sent_by(unit) == [(0x98, b2().to_bytes())]
    assert tell(unit, 0x89, c1()) == [Commanded(c1(), b2())]
    assert sent_by(unit) == [(0x08, b3().to_bytes())]
    assert tell(unit, 0x89, c1()) == []  # the same answer once more
    assert unit.repeated_answers == 1
    assert tell(unit, 0x80, RawPayload(b"")) == [Acknowledged(b3())]
    assert tell(unit, 0x80, RawPayload(b"")) == []
    assert unit.next_deadline() is None


def test_a_report_that_nobody_answers_goes_out_four_times():
    unit = Roadside()
    unit.send(b2(), 0.0)
    for second in range(4):
        assert sent_by(unit) == [(0x98, b2().to_bytes())]
        assert unit.next_deadline() == second + 1.0
        unit.tick(second + 0.9)
        assert sent_by(unit) == []
        unit.tick(second + 1.0)
    assert events_of(unit) == [Unanswered(b2())]
    assert unit.reports_due == []
    assert tell(unit, 0x89, c1(), 5.0) == [Commanded(c1())]  # too late to be an answer


def test_c2_asks_for_the_current_report_again():
    unit = Roadside()
    unit.send(b3(), 0.0)
    sent_by(unit)
    assert tell(unit, 0x89, c2(OTHER, RESEND)) == []
    assert sent_by(unit) == []
    assert tell(unit, 0x89, c2(stop_type=RESEND), 0.5) == []
    assert sent_by(unit) == [(0x98, b3().to_bytes())]
    assert unit.reports_due == [b3()]
    assert unit.next_deadline() == 1.5
    assert tell(unit, 0x89, c2()) == [Commanded(c2(), b3())]


def test_commands_that_answer_nothing_do_so_whatever_their_number():
    unit = Roadside()
    unit.send(b2(), 0.0)
    sent_by(unit)
    assert tell(unit, 0x89, OPEN) == [Commanded(OPEN)]
    assert unit.reports_due == [b2()]
    unit.send(b3(), 0.0)
    assert tell(unit, 0x89, C0) == [Commanded(C0)]
    assert unit.reports_due == []
    unit.send(B0, 1.0)
    assert sent_by(unit) == [(0x08, B0.to_bytes())]


def test_what_is_broken_or_too_much_is_not_taken():
    unit = Roadside()
    for _ in range(MAX_QUEUED + 1):
        unit.send(b2(), 0.0)
    with pytest.raises(LocalProtocolError):
        unit.send(b2(), 0.0)
    with pytest.raises(LocalProtocolError):
        Roadside().send(RawPayload(bytes(600)), 0.0)
    for wrong in (
        RoadsideSettings(interface=Interface.VENDOR),
        RoadsideSettings(window=0),
        RoadsideSettings(window=MAX_WINDOW + 1),
        RoadsideSettings(heartbeat=RawPayload(bytes(600))),
    ):
        with pytest.raises(LocalProtocolError):
            Roadside(wrong)
    assert tell(unit, 0x89, RawPayload(b"\xc1")) == []
    assert unit.bad_payloads == 1


def test_heartbeats_come_when_nothing_else_does():
    unit = Roadside(RoadsideSettings(heartbeat=HEARTBEAT))
    assert unit.next_deadline() is None
    tell(unit, 0x80, C0, 1.0)
    assert unit.next_deadline() == 11.0
    unit.tick(11.0)
    assert sent_by(unit) == [(0x98, HEARTBEAT.to_bytes())]
    assert unit.reports_due == []
    unit.send(b2(), 12.0)
    assert sent_by(unit) == [(0x08, b2().to_bytes())]
    assert tell(unit, 0x80, RawPayload(b""), 12.5) == [Acknowledged(b2())]
    assert unit.next_deadline() == 22.0


def test_half_a_command_is_forgotten_at_its_deadline():
    unit = Roadside(GANTRY)
    wire = encode_sequenced(SequencedFrame(0x10, GANTRY_C0.to_bytes()))
    unit.receive(b"\xff\xff\x00\x10\x00\x00\x0f\x00" + wire, 1.0)
    assert events_of(unit) == []
    unit.tick(unit.next_deadline())
    assert events_of(unit) == [Commanded(GANTRY_C0)]


def test_a_gantry_has_a_window_and_answers_c0_with_its_number():
    unit = Roadside(GANTRY)
    unit.receive(encode_sequenced(SequencedFrame(0x50, GANTRY_C0.to_bytes())), 0.0)
    assert events_of(unit) == [Commanded(GANTRY_C0)]
    unit.send(GANTRY_B0, 0.0)
    assert decode_sequenced(unit.bytes_to_send()).seq == 0x05
    assert unit.reports_due == []
    reports = [gantry_b2(bytes((0, 0, 0, number))) for number in range(12)]
    for report in reports:
        unit.send(report, 0.0)
    assert unit.reports_due == reports[:3]
    first, second, third = (decode_sequenced(unit.bytes_to_send()).seq for _ in range(3))
    for _ in range(9):  # the first is never answered; the numbers come around and pass it by
        unit.receive(encode_sequenced(SequencedFrame(second << 4, c1(unit.reports_due[1].obu_id).to_bytes())), 0.5)
        wire = unit.bytes_to_send()
        second, third = third, decode_sequenced(wire).seq if wire else third
        assert first not in (second, third)
    assert unit.reports_due[0] == reports[0]
    unit = Roadside(GANTRY)
    unit.send(GANTRY_B1, 0.0)
    seq = decode_sequenced(unit.bytes_to_send()).seq
    unit.receive(encode_sequenced(SequencedFrame(seq << 4, b"\xcf\x00")), 0.1)
    assert events_of(unit) == [Commanded(gantry_commands.HeartbeatAnswer(0), GANTRY_B1)]


class Pair:
    """Both ends with their applications, and a link that may lose, double and spoil."""

    def __init__(self, interface, obu_ids, *, seed=0, rate=0.0):
        is_gantry = interface is Interface.GANTRY
        self.controller = Controller(GANTRY_SETTINGS if is_gantry else ControllerSettings())
        classic = RoadsideSettings(heartbeat=HEARTBEAT, retry_s=0.24)
        self.unit = Roadside(msgspec.structs.replace(GANTRY, retry_s=0.12) if is_gantry else classic)
        self.lane = LaneApplication(self.controller, interface)
        self.radio = Radio(self.unit, interface, obu_ids)
        self.link = LossyLink(self.controller, self.unit, seed=seed, rate=rate)
        self.events = []

    def carry(self):
        """Carry frames and decide until both are quiet."""
        is_busy = True
        while is_busy:
            is_busy = False
            for start, end in ((self.controller, self.unit), (self.unit, self.controller)):
                while wire := start.bytes_to_send():
                    is_busy = True
                    for one in self.link.spoilt(wire):
                        end.receive(one, self.link.now)
            self.events += self.lane.handle(self.link.now)
            self.events += self.radio.handle(self.link.now)

    def run(self, until_s):
        self.lane.start(0.0)
        self.carry()
        while self.link.now < until_s and self.radio.waiting:
            due = [each.next_deadline() for each in (self.controller, self.unit)]
            self.link.now = max(self.link.now + 0.01, min(moment for moment in (*due, self.link.now + 0.5) if moment))
            self.controller.tick(self.link.now)
            self.unit.tick(self.link.now)
            if self.controller.state is LinkState.DOWN:
                self.lane.start(self.link.now)
            if self.controller.state is LinkState.UP:
                self.radio.find(self.link.now)
            self.carry()


OBUS = [bytes((2, 0xFE, 0xFF, number)) for number in range(10)]


@pytest.mark.parametrize("interface", [Interface.CLASSIC, Interface.GANTRY])
def test_both_ends_let_ten_vehicles_through(interface):
    pair = Pair(interface, OBUS)
    pair.run(60.0)
    assert pair.radio.done == OBUS
    assert [obu_id for obu_id, _fen in pair.radio.debits] == OBUS
    assert [result.obu_id for result in pair.lane.results] == OBUS
    assert not [event for event in pair.events if isinstance(event, (Abandoned, Undecided, Unanswered))]


@pytest.mark.parametrize("interface", [Interface.CLASSIC, Interface.GANTRY])
@pytest.mark.parametrize("seed", range(12))
def test_through_a_bad_link_every_card_is_debited_once_and_every_debit_is_told(interface, seed):
    pair = Pair(interface, OBUS, seed=seed, rate=0.4)
    pair.run(3_000.0)
    assert pair.radio.waiting == []
    assert sorted(obu_id for obu_id, _fen in pair.radio.debits) == OBUS
    assert {result.obu_id for result in pair.lane.results} == set(OBUS)
    assert {event.obu_id for event in pair.events if isinstance(event, Reported)} == set(OBUS)
    assert pair.controller.repeats > 5


def test_any_bytes_disturb_neither_end():
    for interface in (Interface.CLASSIC, Interface.GANTRY):
        pair = Pair(interface, OBUS[:2])
        pair.lane.start(0.0)
        pair.carry()
        for number in range(300):
            noise = pair.link.rng.randbytes(pair.link.rng.randrange(80)) + b"\xff\xff" * (number % 2)
            pair.controller.receive(noise, 0.5)
            pair.unit.receive(noise, 0.5)
            pair.carry()
        pair.link.now = 5.0
        for each in (pair.controller, pair.unit):
            each.tick(2.0)
        pair.carry()
        pair.radio.find(5.0)
        pair.carry()
        assert pair.radio.done == OBUS[:1]
        assert [result.obu_id for result in pair.lane.results] == OBUS[:1]
