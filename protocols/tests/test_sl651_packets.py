"""SL 651 dialogues: messages in packets, what both ends keep, and all of it through a link that loses."""

import random

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.sl651.bodies import Opening, Payload
from protocols.sl651.catalogue import (
    PICTURE,
    SET_CLOCK,
    TIMED,
)
from protocols.sl651.centre import (
    MAX_ASSEMBLIES,
    MAX_MESSAGE_BYTES,
    MAX_NAK_ROUNDS,
    MAX_OPEN_NAKS,
    REMEMBERED,
    CentreState,
)
from protocols.sl651.centre_events import PACKET_TIMEOUT_S, Answered, Incomplete, Received
from protocols.sl651.frame import EOT, ETB, ETX, NAK, Frame, decode_frame, encode_frame
from protocols.sl651.groups import PICTURE as PICTURE_IDENT
from protocols.sl651.groups import Group, station_group
from protocols.sl651.link import MAX_RESENDS, REPLY_TIMEOUT_S
from protocols.sl651.packets import again, split
from protocols.sl651.station_events import Answer, Apply, Asked, Confirmed, Released, Send, StationState
from protocols.tests.sl651_pair import (
    ADDRESS,
    PASSWORD,
    ask,
    centre,
    events_of,
    frames_in,
    level,
    picture,
    settle,
    station,
)


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


def test_pictures_of_the_same_size_one_after_the_other_all_arrive() -> None:
    one, other = station(), centre()
    for number in range(1, 4):
        body = picture(2)
        body.groups[-1] = Group(PICTURE_IDENT, bytes((number,)) * 512)
        one.send(Send(PICTURE, body), float(number))
        settle(one, other, float(number))
        (received,) = events_of(other)
        assert received.body.groups[-1].data == bytes((number,)) * 512
        assert [type(event) for event in events_of(one)] == [Confirmed, Released]


@pytest.mark.parametrize(("size", "sizes"), [(1, [1]), (9, [9]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (0, [0])])
def test_packets_are_as_full_as_they_can_be(size: int, sizes: list[int]) -> None:
    whole = Frame(1, ADDRESS, PASSWORD, PICTURE, bytes(size), ETX)
    packets = split(whole, 10)
    assert [len(packet.body) for packet in packets] == sizes
    assert [packet.end_char for packet in packets] == [ETB] * (len(sizes) - 1) + [ETX]
    for chunk_bytes in (1, 4092):
        assert b"".join([packet.body for packet in split(whole, chunk_bytes)]) == bytes(size)


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


def test_a_centre_keeps_a_bounded_number_of_unfinished_messages() -> None:
    other = centre()
    for number in range(MAX_ASSEMBLIES + 5):
        head = Frame(1, number.to_bytes(5, "big"), PASSWORD, PICTURE, bytes(100), ETX)
        other.receive(encode_frame(split(head, 50)[0]), 0.0)
    assert len(other._incoming) == MAX_ASSEMBLIES
    assert [type(event) for event in events_of(other)] == [Incomplete] * 5


def test_a_message_that_grows_too_large_is_given_up() -> None:
    other = centre()
    whole = Frame(1, ADDRESS, PASSWORD, PICTURE, bytes(MAX_MESSAGE_BYTES + 1), ETX)
    packets = split(whole, 4092)
    for packet in packets[1:]:
        other.receive(encode_frame(packet), 0.0)
    other.bytes_to_send()
    assert events_of(other) == []
    other.receive(encode_frame(packets[0]), 0.0)
    [event] = events_of(other)
    assert isinstance(event, Incomplete)
    assert event.missing == []
    assert other.bytes_to_send() == b""


def test_a_question_does_not_cut_a_message_that_nobody_confirms() -> None:
    one, other = station(packet_gap_s=0.1), centre(is_confirming=False)
    one.send(Send(PICTURE, picture(2), is_confirmed=False), 0.0)
    other.send(ask(SET_CLOCK), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    assert [type(event) for event in events_of(one)] == [Asked]
    one.send(Answer([Payload(Opening(0, "0" * 12), station_group(ADDRESS, None))]), 0.0)
    now = 0.0
    while one._unsent:
        other.receive(one.bytes_to_send(), now)
        now = one.next_deadline() or 0.0
        one.tick(now)
    settle(one, other, now)
    received, answered = events_of(other)
    assert received.body.groups[-1].data == bytes(range(256)) * 2
    assert isinstance(answered, Answered)


def test_another_message_in_packets_takes_the_place_of_one_that_is_not_whole() -> None:
    other = centre()
    first = split(Frame(1, ADDRESS, PASSWORD, PICTURE, bytes.fromhex("0001261124000000") + bytes(90), ETX), 50)
    second = split(Frame(1, ADDRESS, PASSWORD, PICTURE, bytes.fromhex("0002261124000000") + bytes(190), ETX), 50)
    other.receive(encode_frame(first[0]), 0.0)
    other.receive(encode_frame(second[0]), 0.0)
    assert events_of(other) == [Incomplete(first[0], [2])]


def test_packets_of_two_messages_of_one_size_are_not_mixed() -> None:
    other = centre()

    def packets_of(serial: int, fill: int) -> list[bytes]:
        body = Opening(serial, "261124000000").encode(False) + bytes((fill,)) * 142
        return [encode_frame(packet) for packet in split(Frame(1, ADDRESS, PASSWORD, PICTURE, body, ETX), 50)]

    first, second = packets_of(1, 1), packets_of(2, 2)
    for wire in (first[0], first[1], second[1], second[2]):
        other.receive(wire, 0.0)
    assert events_of(other) == [Incomplete(decode_frame(first[0]), [3])]
    (nak,) = frames_in(other.bytes_to_send())
    assert (nak.end_char, nak.packet_seq) == (NAK, 1)
    other.receive(second[0], 0.0)
    (received,) = events_of(other)
    assert received.frame.body == Opening(2, "261124000000").encode(False) + bytes((2,)) * 142


@pytest.mark.parametrize("is_ascii", [False, True])
def test_a_message_that_goes_again_with_the_time_of_then_is_the_same(is_ascii: bool) -> None:
    other = centre()

    def packets_at(send_time: str) -> list[bytes]:
        body = Opening(1, send_time).encode(is_ascii) + bytes(142)
        return [
            encode_frame(each) for each in split(Frame(1, ADDRESS, PASSWORD, PICTURE, body, ETX, False, is_ascii), 60)
        ]

    first, again_later = packets_at("261124000000"), packets_at("261124000030")
    for wire in (*first[:2], *again_later):
        other.receive(wire, 0.0)
    assert [type(event) for event in events_of(other)] == [Received]
    for wire in packets_at("261124000059"):  # its confirm was lost
        other.receive(wire, 0.0)
    assert events_of(other) == []
    assert len(frames_in(other.bytes_to_send())) == 2


def test_a_station_that_claims_many_packets_is_not_asked_for_all_at_once() -> None:
    other = centre()
    wires = [encode_frame(packet) for packet in split(Frame(1, ADDRESS, PASSWORD, PICTURE, bytes(400), ETX), 1)]
    last = wires[-1]
    other.receive(last, 0.0)
    asked = [frame.packet_seq for frame in frames_in(other.bytes_to_send())]
    assert asked == list(range(1, MAX_OPEN_NAKS + 1))
    came = 0
    while asked:
        for seq in asked:
            assert seq is not None
            came += 1
            other.receive(encode_frame(again(decode_frame(wires[seq - 1]))), 0.0)
        asked = [frame.packet_seq for frame in frames_in(other.bytes_to_send()) if frame.end_char == NAK]
    assert came == 399
    assert [type(event) for event in events_of(other)] == [Received]


def test_packets_of_an_answer_keep_the_question_open() -> None:
    one, other = station(), centre(reply_timeout_s=5.0)
    other.send(ask(PICTURE), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.send(Answer([picture(2)]), 4.0)
    packets = frames_in(one.bytes_to_send())
    other.receive(encode_frame(packets[0]), 4.0)
    assert other.next_deadline() == 9.0
    for packet in packets[1:]:
        other.receive(encode_frame(packet), 8.0)
    (answered,) = events_of(other)
    assert isinstance(answered, Answered)
    assert answered.answers[0].body.groups[-1].data == bytes(range(256)) * 2


def test_a_centre_of_stations_in_mode_m1_asks_for_no_packets() -> None:
    one, other = station(), centre(is_confirming=False)
    one.send(Send(PICTURE, picture(2), is_confirmed=False), 0.0)
    packets = frames_in(one.bytes_to_send())
    other.receive(encode_frame(packets[0]) + encode_frame(packets[2]), 0.0)
    assert other.bytes_to_send() == b""
    now = 0.0
    while (deadline := other.next_deadline()) is not None:
        now = deadline
        other.tick(now)
    assert other.bytes_to_send() == b""
    assert events_of(other) == [Incomplete(packets[0], [2])]


def test_what_a_centre_remembers_is_bounded() -> None:
    one, other = station(), centre()
    for number in range(REMEMBERED + 10):
        one.send(Send(TIMED, level(number)), 0.0)
        settle(one, other, 0.0)
    assert len(other._seen) == REMEMBERED
    for number in range(MAX_ASSEMBLIES + 3):
        head = Frame(
            1, number.to_bytes(5, "big"), PASSWORD, PICTURE, bytes.fromhex("0001261124000000") + bytes(90), ETX
        )
        for packet in split(head, 50):
            other.receive(encode_frame(packet), 0.0)
    assert len(other._finished) == MAX_ASSEMBLIES


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
