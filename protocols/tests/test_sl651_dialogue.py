"""SL 651 dialogues: station and centre against each other, also through a link that loses, and every timer."""

import random
from typing import Any

import pytest

from protocols.core.errors import LocalProtocolError, NeedData
from protocols.sl651.bodies import Bare, IdentifierList, Opening, Payload, Report
from protocols.sl651.catalogue import (
    FACTORY_RESET,
    PICTURE,
    QUERY_CURRENT,
    QUERY_ELEMENTS,
    QUERY_VERSION,
    SET_CLOCK,
    TEST,
    TIMED,
)
from protocols.sl651.centre import (
    MAX_ASSEMBLIES,
    MAX_NAK_ROUNDS,
    PACKET_TIMEOUT_S,
    Answered,
    Ask,
    Centre,
    CentreSettings,
    CentreState,
    Incomplete,
    KeptAlive,
    Received,
    Unanswered,
)
from protocols.sl651.elements import element_of
from protocols.sl651.frame import ACK, ENQ, EOT, ESC, ETB, ETX, NAK, Frame, decode_frame, encode_frame
from protocols.sl651.framer import Framer
from protocols.sl651.groups import PICTURE as PICTURE_IDENT
from protocols.sl651.groups import Group, ident_of, number_group, observed_group, station_group
from protocols.sl651.link import GAP_S, MAX_RESENDS, REPLY_TIMEOUT_S
from protocols.sl651.packets import split
from protocols.sl651.payloads import write_version
from protocols.sl651.station import ON_LINE_S, Station, StationState
from protocols.sl651.station_events import (
    KEEP_ALIVE_S,
    Answer,
    Apply,
    Asked,
    Broadcast,
    Confirmed,
    Failed,
    Released,
    Returned,
    Send,
    StationSettings,
)
from protocols.tests.kit import frames_of

ADDRESS = bytes.fromhex("0012345678")
PASSWORD = bytes.fromhex("1234")


def clock(now: float) -> str:
    return f"2611240000{int(now) % 60:02d}"


def station(**changes: Any) -> Station:
    settings = {"center_addr": 1, "station_addr": ADDRESS, "password": PASSWORD, **changes}
    return Station(StationSettings(**settings), clock)


def centre(**changes: Any) -> Centre:
    return Centre(CentreSettings(**changes), clock)


def level(mantissa: int | None, is_ascii: bool = False) -> Report:
    groups = [
        station_group(ADDRESS, "H", is_ascii),
        observed_group("2611240000", is_ascii),
        number_group(element_of(0x39), mantissa, is_ascii),
    ]
    return Report(Opening(0, "0" * 12), groups)


def picture(size: int) -> Report:
    groups = [station_group(ADDRESS, "H"), observed_group("2611240000"), Group(PICTURE_IDENT, bytes(range(256)) * size)]
    return Report(Opening(0, "0" * 12), groups)


def bare() -> Bare:
    return Bare(Opening(0, "0" * 12))


def ask(function_code: int, body: Any = None) -> Ask:
    return Ask(1, ADDRESS, PASSWORD, function_code, body or bare())


def events_of(dialogue: Any) -> list[Any]:
    events = []
    while not isinstance(event := dialogue.next_event(), NeedData):
        events.append(event)
    return events


def frames_in(wire: bytes) -> list[Frame]:
    framer = Framer()
    framer.feed(wire)
    return frames_of(framer)


def settle(one: Any, other: Any, now: float) -> None:
    """Carry bytes both ways until both are quiet."""
    for _ in range(20):
        up, down = one.bytes_to_send(), other.bytes_to_send()
        if not up and not down:
            return
        other.receive(up, now)
        one.receive(down, now)
    raise AssertionError("they never end")


@pytest.mark.parametrize("is_ascii", [False, True])
def test_a_report_is_confirmed(is_ascii: bool) -> None:
    one, other = station(is_ascii=is_ascii), centre()
    command = Send(TIMED, level(12345, is_ascii))
    one.send(command, 0.0)
    settle(one, other, 0.0)
    (received,) = events_of(other)
    assert received.body.groups_of_body[-1].value == (12345, 3)
    assert events_of(one) == [Confirmed(command, 1), Released()]
    assert one.next_deadline() is None
    assert other.next_deadline() is None


def test_serials_count_and_skip_zero() -> None:
    one, other = station(), centre()
    one.last_serial = 0xFFFE
    for serial in (0xFFFF, 1, 2):
        one.send(Send(TIMED, level(1)), 0.0)
        settle(one, other, 0.0)
        assert events_of(one)[0].serial == serial
    one.send(Send(TIMED, level(1), serial=0xFFFF), 0.0)  # a report that was given up earlier keeps its number
    assert decode_frame(one.bytes_to_send()).body[:2] == b"\xff\xff"
    assert one.last_serial == 2


def test_m1_waits_for_nothing() -> None:
    one = station()
    one.send(Send(TIMED, level(1), is_confirmed=False), 0.0)
    assert one.state is StationState.IDLE
    assert decode_frame(one.bytes_to_send()).end_char == ETX
    assert one.next_deadline() is None
    other = centre(is_confirming=False)
    one.send(Send(TIMED, level(2), is_confirmed=False), 0.0)
    other.receive(one.bytes_to_send(), 0.0)
    assert len(events_of(other)) == 1
    assert other.bytes_to_send() == b""


def test_one_thing_at_a_time() -> None:
    one = station()
    with pytest.raises(LocalProtocolError):
        one.send(Answer([level(1)]), 0.0)
    one.send(Send(TIMED, level(1)), 0.0)
    with pytest.raises(LocalProtocolError):
        one.send(Send(TIMED, level(2)), 0.0)
    other = centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    with pytest.raises(LocalProtocolError):
        other.send(ask(QUERY_CURRENT), 0.0)


def test_silence_repeats_twice_and_then_gives_up() -> None:
    one = station()
    command = Send(TIMED, level(1))
    one.send(command, 0.0)
    first = one.bytes_to_send()
    now = 0.0
    for _ in range(MAX_RESENDS):
        now += REPLY_TIMEOUT_S
        one.tick(now - 0.01)
        assert one.bytes_to_send() == b""
        assert one.next_deadline() == now
        one.tick(now)
        assert one.bytes_to_send() == first
    one.tick(now + REPLY_TIMEOUT_S)
    assert one.bytes_to_send() == b""
    assert events_of(one) == [Failed(command, "no confirm", 1)]
    assert one.next_deadline() is None


def test_a_confirm_of_something_else_is_not_taken() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(1)), 0.0)
    other.receive(one.bytes_to_send(), 0.0)
    confirm = decode_frame(other.bytes_to_send())
    assert confirm.end_char == EOT
    for name, value in (
        ("function_code", TEST),
        ("station_addr", bytes(5)),
        ("body", bytes.fromhex("0002261124000000")),
        ("body", b"\x00"),
        ("is_down", False),
    ):
        wrong = decode_frame(encode_frame(confirm))
        setattr(wrong, name, value)
        if name == "is_down":
            wrong.end_char = ETX
        one.receive(encode_frame(wrong), 1.0)
        assert one.state is StationState.CONFIRM_DUE
    assert one.stray_frames == 5
    one.receive(encode_frame(confirm), 1.0)
    assert one.state is StationState.IDLE


def test_a_frame_that_comes_twice_is_confirmed_twice_and_told_once() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(1)), 0.0)
    wire = one.bytes_to_send()
    other.receive(wire, 0.0)
    first = other.bytes_to_send()
    other.receive(wire, 1.0)
    assert len(frames_in(other.bytes_to_send())) == len(frames_in(first)) == 1
    assert len(events_of(other)) == 1


def test_after_esc_a_station_stays_and_keeps_the_link_alive() -> None:
    one, other = station(), centre(keeps_on_line=True)
    one.send(Send(TIMED, level(1)), 0.0)
    settle(one, other, 0.0)
    assert [type(event) for event in events_of(one)] == [Confirmed]
    assert one.is_on_line
    beats = 0
    now = 0.0
    while (deadline := one.next_deadline()) is not None:
        now = max(now, deadline)
        one.tick(now)
        wire = one.bytes_to_send()
        if wire:
            beats += 1
            assert decode_frame(wire).body[:2] == b"\x00\x01"  # the serial does not count on
            other.receive(wire, now)
    assert now == ON_LINE_S
    assert beats == (ON_LINE_S - 0.01) // KEEP_ALIVE_S
    assert events_of(one) == [Returned()]
    assert events_of(other)[1:] == [KeptAlive(ADDRESS)] * int(beats)
    assert other.bytes_to_send() == b""  # nobody answers a keep-alive


def test_a_station_on_a_dynamic_address_always_keeps_the_link_alive() -> None:
    one = station(is_always_on=True)
    assert one.next_deadline() == 0.0
    one.tick(0.0)
    assert one.bytes_to_send() == b""
    assert one.next_deadline() == KEEP_ALIVE_S
    one.tick(KEEP_ALIVE_S)
    assert decode_frame(one.bytes_to_send()).function_code == 0x2F
    assert one.next_deadline() == 2 * KEEP_ALIVE_S


def test_a_query_is_answered_and_the_answer_confirmed() -> None:
    one, other = station(), centre()
    question = ask(QUERY_ELEMENTS, IdentifierList(Opening(0, "0" * 12), [ident_of(0x39)]))
    other.send(question, 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    (asked,) = events_of(one)
    assert asked.body.idents == [b"\x39\x23"]
    one.send(Answer([level(777)]), 1.0)
    settle(one, other, 1.0)
    (answered,) = events_of(other)
    assert answered.ask is question
    assert answered.answers[0].body.groups_of_body[-1].value == (777, 3)
    assert events_of(one) == [Released()]
    assert one.state is StationState.IDLE
    assert other.next_deadline() is None


def test_an_answer_has_the_number_of_a_question_that_has_one() -> None:
    one = station()
    frame = Frame(1, ADDRESS, PASSWORD, QUERY_CURRENT, bytes.fromhex("0007261124000000"), ENQ, is_down=True)
    one.receive(encode_frame(frame), 0.0)
    one.send(Answer([level(1)]), 0.0)
    assert decode_frame(one.bytes_to_send()).body[:2] == b"\x00\x07"
    assert one.last_serial == 0


def test_an_answer_of_several_frames_goes_on_with_ack() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.send(Answer([level(1), level(2), level(3)]), 0.0)
    ends = []
    for _ in range(3):
        up = one.bytes_to_send()
        other.receive(up, 0.0)
        down = other.bytes_to_send()
        ends.append((decode_frame(up).end_char, decode_frame(down).end_char))
        one.receive(down, 0.0)
    assert ends == [(ETB, ACK), (ETB, ACK), (ETX, EOT)]
    (answered,) = events_of(other)
    assert len(answered.answers) == 3


def test_a_report_before_more_reports_is_told_to_stay() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(1), more_follows=True), 0.0)
    up = one.bytes_to_send()
    other.receive(up, 0.0)
    down = other.bytes_to_send()
    assert (decode_frame(up).end_char, decode_frame(down).end_char) == (ETB, ESC)
    one.receive(down, 0.0)
    assert [type(event) for event in events_of(one)] == [Confirmed]


def test_a_change_is_applied_after_the_last_confirm_and_not_without() -> None:
    for is_confirmed in (True, False):
        one, other = station(), centre()
        other.send(ask(SET_CLOCK), 0.0)
        one.receive(other.bytes_to_send(), 0.0)
        assert [type(event) for event in events_of(one)] == [Asked]
        one.send(Answer([Payload(Opening(0, "0" * 12), station_group(ADDRESS, None))]), 0.0)
        assert events_of(one) == []
        if is_confirmed:
            settle(one, other, 0.0)
            assert [type(event) for event in events_of(one)] == [Apply, Released]
        else:
            for tries in range(1, MAX_RESENDS + 2):
                one.tick(tries * REPLY_TIMEOUT_S)
            assert events_of(one) == [Failed(None, "no confirm", 1)]


def test_another_question_before_the_last_confirm_takes_the_place_of_the_change() -> None:
    one, other = station(), centre()
    other.send(ask(FACTORY_RESET, IdentifierList(Opening(0, "0" * 12), [b"\x98\x00"])), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.send(Answer([Payload(Opening(0, "0" * 12), station_group(ADDRESS, None))]), 0.0)
    later = centre()
    later.send(ask(QUERY_VERSION), 5.0)
    one.receive(later.bytes_to_send(), 5.0)
    assert [type(event) for event in events_of(one)] == [Asked, Failed, Asked]
    version = Payload(Opening(0, "0" * 12), station_group(ADDRESS, None), write_version(b"V1.0"))
    one.bytes_to_send()
    one.send(Answer([version]), 5.0)
    settle(one, later, 5.0)
    assert [type(event) for event in events_of(one)] == [Released]


def test_the_same_question_again_is_answered_again_with_the_same_bytes() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    question = other.bytes_to_send()
    one.receive(question, 0.0)
    one.receive(question, 0.5)
    assert len(events_of(one)) == 1
    one.send(Answer([level(1)]), 1.0)
    answer = one.bytes_to_send()
    one.receive(question, 2.0)
    assert one.bytes_to_send() == answer
    assert events_of(one) == []


def test_a_question_during_a_report_waits_for_its_end() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(1)), 0.0)
    asking = centre()
    asking.send(ask(QUERY_CURRENT), 0.0)
    one.receive(asking.bytes_to_send(), 0.0)
    assert events_of(one) == []
    settle(one, other, 0.0)
    assert [type(event) for event in events_of(one)] == [Confirmed, Asked]
    assert one.state is StationState.ANSWER_DUE


def test_a_caller_that_never_answers_does_not_block_the_station() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.tick(REPLY_TIMEOUT_S)
    assert [type(event) for event in events_of(one)] == [Asked, Failed]
    assert one.state is StationState.IDLE


def test_a_question_goes_three_times_and_then_fails() -> None:
    other = centre()
    question = ask(QUERY_CURRENT)
    other.send(question, 0.0)
    first = other.bytes_to_send()
    for tries in range(1, MAX_RESENDS + 1):
        assert other.next_deadline() == tries * REPLY_TIMEOUT_S
        other.tick(tries * REPLY_TIMEOUT_S)
        assert other.bytes_to_send() == first
    other.tick((MAX_RESENDS + 1) * REPLY_TIMEOUT_S)
    assert events_of(other) == [Unanswered(question)]
    assert other.next_deadline() is None


def test_an_answer_after_the_question_was_given_up_changes_nothing() -> None:
    one, other = station(), centre(reply_timeout_s=1.0)
    other.send(ask(SET_CLOCK), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    for now in (1.0, 2.0, 3.0):
        other.tick(now)
    other.bytes_to_send()
    one.send(Answer([Payload(Opening(0, "0" * 12), station_group(ADDRESS, None))]), 3.0)
    other.receive(one.bytes_to_send(), 3.0)
    assert other.bytes_to_send() == b""
    assert [type(event) for event in events_of(other)] == [Unanswered]
    assert other.stray_frames == 1


def test_a_broadcast_is_told_and_never_answered() -> None:
    one = station()
    frame = Frame(1, ADDRESS[:3] + b"\xff\xff", PASSWORD, SET_CLOCK, bytes.fromhex("0000261124000000"), ENQ, True)
    one.receive(encode_frame(frame), 0.0)
    assert [type(event) for event in events_of(one)] == [Broadcast]
    assert one.state is StationState.IDLE
    assert one.bytes_to_send() == b""


def test_a_picture_goes_in_packets_and_is_confirmed_once() -> None:
    one, other = station(), centre()
    command = Send(PICTURE, picture(13))
    one.send(command, 0.0)
    wire = one.bytes_to_send()
    packets = frames_in(wire)
    assert len(packets) == packets[0].packet_total == 16
    assert [packet.end_char for packet in packets] == [ETB] * 15 + [ETX]
    other.receive(wire, 0.0)
    (received,) = events_of(other)
    assert received.body.groups[-1].data == bytes(range(256)) * 13
    confirm = decode_frame(other.bytes_to_send())
    assert (confirm.packet_total, confirm.packet_seq, confirm.end_char) == (16, 16, EOT)
    one.receive(encode_frame(confirm), 0.0)
    assert events_of(one) == [Confirmed(command, 1), Released()]


@pytest.mark.parametrize("lost", [{1}, {3, 7}, {16}, {1, 16}, set(range(1, 16))])
def test_packets_that_were_lost_are_asked_for_and_come_again(lost: set[int]) -> None:
    one, other = station(reply_timeout_s=60.0), centre()
    one.send(Send(PICTURE, picture(13)), 0.0)
    for packet in frames_in(one.bytes_to_send()):
        if packet.packet_seq not in lost:
            other.receive(encode_frame(packet), 0.0)
    if 16 in lost:
        assert other.bytes_to_send() == b""
        assert other.next_deadline() == PACKET_TIMEOUT_S
        other.tick(PACKET_TIMEOUT_S)
    naks = frames_in(wire := other.bytes_to_send())
    assert [(nak.end_char, nak.packet_seq) for nak in naks] == [(NAK, seq) for seq in sorted(lost)]
    one.receive(wire, PACKET_TIMEOUT_S)
    again = frames_in(wire := one.bytes_to_send())
    assert [(packet.end_char, packet.packet_seq) for packet in again] == [(ETX, seq) for seq in sorted(lost)]
    other.receive(wire, PACKET_TIMEOUT_S)
    settle(one, other, PACKET_TIMEOUT_S)
    assert len(events_of(other)) == 1
    assert [type(event) for event in events_of(one)] == [Confirmed, Released]


def test_packets_that_never_come_are_given_up() -> None:
    one, other = station(), centre()
    one.send(Send(PICTURE, picture(2)), 0.0)
    packets = frames_in(one.bytes_to_send())
    other.receive(encode_frame(packets[0]), 0.0)
    for silence in range(1, MAX_NAK_ROUNDS + 2):
        assert other.next_deadline() == silence * PACKET_TIMEOUT_S
        other.tick(silence * PACKET_TIMEOUT_S)
    assert events_of(other) == [Incomplete(packets[0], [2, 3])]
    assert other.next_deadline() is None


def test_a_confirm_of_packets_that_was_lost_is_sent_again() -> None:
    one, other = station(), centre()
    one.send(Send(PICTURE, picture(2)), 0.0)
    other.receive(one.bytes_to_send(), 0.0)
    other.bytes_to_send()  # lost
    one.tick(REPLY_TIMEOUT_S)
    settle(one, other, REPLY_TIMEOUT_S)
    assert len(events_of(other)) == 1
    assert [type(event) for event in events_of(one)] == [Confirmed, Released]


def test_a_serial_line_parts_packets_by_silence() -> None:
    one = station(packet_gap_s=0.1)
    one.send(Send(PICTURE, picture(2)), 0.0)
    seen = [frames_in(one.bytes_to_send())]
    now = 0.0
    while one._unsent:
        with pytest.raises(LocalProtocolError):
            one.send(Send(TIMED, level(1)), now)
        now = one.next_deadline() or 0.0
        one.tick(now)
        seen.append(frames_in(one.bytes_to_send()))
    assert [[packet.packet_seq for packet in packets] for packets in seen] == [[1], [2], [3]]
    assert now == pytest.approx(0.2)
    assert one.next_deadline() == pytest.approx(0.2 + REPLY_TIMEOUT_S)
    unconfirmed = station(packet_gap_s=0.1)
    unconfirmed.send(Send(PICTURE, picture(2), is_confirmed=False), 0.0)
    while (deadline := unconfirmed.next_deadline()) is not None:
        unconfirmed.tick(deadline)
    assert len(frames_in(unconfirmed.bytes_to_send())) == 3


def test_nobody_makes_a_station_send_a_packet_for_ever() -> None:
    one, other = station(), centre()
    one.send(Send(PICTURE, picture(1)), 0.0)
    packets = frames_in(one.bytes_to_send())
    other.receive(encode_frame(packets[1]), 0.0)
    nak = other.bytes_to_send()
    sent = 0
    for _ in range(50):
        one.receive(nak, 0.0)
        sent += len(frames_in(one.bytes_to_send()))
    assert sent == MAX_RESENDS * len(packets)


def test_half_a_frame_holds_up_what_follows_for_a_while_only() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(1)), 0.0)
    wire = one.bytes_to_send()
    other.receive(wire[:20] + wire, 0.0)
    found = events_of(other)
    if not found:
        assert other.next_deadline() == GAP_S
        other.tick(GAP_S)
        found = events_of(other)
    assert [type(event) for event in found] == [Received]


def test_a_centre_keeps_a_bounded_number_of_unfinished_messages() -> None:
    other = centre()
    for number in range(MAX_ASSEMBLIES + 5):
        head = Frame(1, number.to_bytes(5, "big"), PASSWORD, PICTURE, bytes(100), ETX)
        other.receive(encode_frame(split(head, 50)[0]), 0.0)
    assert len(other._incoming) == MAX_ASSEMBLIES
    assert [type(event) for event in events_of(other)] == [Incomplete] * 5


def test_a_body_that_cannot_be_read_is_told_and_confirmed() -> None:
    other = centre()
    broken = Frame(1, ADDRESS, PASSWORD, TIMED, bytes.fromhex("0001261124000000") + b"\x39", ETX)
    other.receive(encode_frame(broken), 0.0)
    assert events_of(other) == [Received(broken, None)]
    assert other.bad_bodies == 1
    assert decode_frame(other.bytes_to_send()).end_char == EOT
    other.receive(encode_frame(Frame(1, ADDRESS, PASSWORD, TIMED, b"\x00", ETX)), 0.0)
    assert other.bytes_to_send() == b""
    assert other.bad_bodies == 2


class Lossy:
    """Carries bytes one way and damages some of them."""

    def __init__(self, rng: random.Random, share: float) -> None:
        self.rng = rng
        self.share = share

    def __call__(self, wire: bytes) -> bytes:
        out = b""
        for frame in frames_in(wire):
            data = encode_frame(frame)
            chance = self.rng.random()
            if chance < self.share / 2:
                continue
            if chance < self.share:
                at = self.rng.randrange(len(data))
                data = data[:at] + bytes((data[at] ^ 1 << self.rng.randrange(8),)) + data[at + 1 :]
            elif chance < self.share * 1.3:
                data += data
            out += data
        return out


class Bench:
    """Station and centre on a link that loses: 30 reports, and commands in between."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.link = Lossy(self.rng, 0.25)
        self.one, self.other = station(), centre(keeps_on_line=bool(seed % 2))
        self.waiting = list(range(1, 31))
        self.sent: set[int] = set()
        self.confirmed: set[int] = set()
        self.got: list[int] = []
        self.changes = self.applied = 0
        self.now = 0.0

    def is_over(self) -> bool:
        return not self.waiting and self.one.state is StationState.IDLE and self.other.next_deadline() is None

    def begin_something(self) -> None:
        if self.one.state is StationState.IDLE and self.waiting:
            number = self.waiting.pop(0)
            is_picture = number % 7 == 0
            self.one.send(Send(PICTURE, picture(1)) if is_picture else Send(TIMED, level(number)), self.now)
            self.sent.add(self.one.last_serial)
        if self.other.state is CentreState.IDLE and self.rng.random() < 0.1:
            self.other.send(ask(SET_CLOCK), self.now)

    def carry(self) -> None:
        self.other.receive(self.link(self.one.bytes_to_send()), self.now)
        self.one.receive(self.link(self.other.bytes_to_send()), self.now)
        for event in events_of(self.one):
            if isinstance(event, Asked):
                self.one.send(Answer([Payload(Opening(0, "0" * 12), station_group(ADDRESS, None))]), self.now)
            elif isinstance(event, Confirmed):
                self.confirmed.add(event.serial)
            self.applied += isinstance(event, Apply)
        for event in events_of(self.other):
            if isinstance(event, Received):
                self.got.append(event.body.opening.serial)
            self.changes += isinstance(event, Answered)

    def wait(self) -> None:
        deadlines = [self.one.next_deadline(), self.other.next_deadline(), self.now + 1.0]
        self.now = max(self.now, min(moment for moment in deadlines if moment is not None))
        self.one.tick(self.now)
        self.other.tick(self.now)


@pytest.mark.parametrize("seed", range(25))
def test_through_a_link_that_loses_nothing_is_told_twice_and_nothing_confirmed_is_lost(seed: int) -> None:
    bench = Bench(seed)
    for _ in range(4000):
        if bench.is_over():
            break
        bench.begin_something()
        bench.carry()
        bench.wait()
    assert bench.is_over()
    assert len(bench.sent) == 30
    reports = [serial for serial in bench.got if serial in bench.sent]
    assert len(reports) == len(set(reports))
    assert bench.confirmed <= set(reports)
    assert len(bench.confirmed) >= 20
    assert bench.applied <= bench.changes
