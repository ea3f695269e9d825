"""SL 651 dialogues: reports from station to centre, the link between them, and every timer."""

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.sl651.catalogue import (
    QUERY_CURRENT,
    TEST,
    TIMED,
)
from protocols.sl651.centre_events import KeptAlive, Received
from protocols.sl651.frame import EOT, ESC, ETB, ETX, Frame, decode_frame, encode_frame
from protocols.sl651.link import GAP_S, MAX_RESENDS, REPLY_TIMEOUT_S
from protocols.sl651.station import ON_LINE_S
from protocols.sl651.station_events import (
    KEEP_ALIVE_S,
    Answer,
    Asked,
    Confirmed,
    Failed,
    Released,
    Returned,
    Send,
    StationState,
)
from protocols.tests.sl651_pair import ADDRESS, PASSWORD, ask, centre, events_of, frames_in, level, settle, station


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
        ("center_addr", 2),
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
    assert one.stray_frames == 6
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


def test_a_report_before_more_reports_is_told_to_stay() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(1), more_follows=True), 0.0)
    up = one.bytes_to_send()
    other.receive(up, 0.0)
    down = other.bytes_to_send()
    assert (decode_frame(up).end_char, decode_frame(down).end_char) == (ETB, ESC)
    one.receive(down, 0.0)
    assert [type(event) for event in events_of(one)] == [Confirmed]


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


def test_frames_that_are_no_concern_of_an_end_are_counted() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    question = other.bytes_to_send()
    centre().receive(question, 0.0)
    other.receive(question, 0.0)  # our own echo, or another centre
    assert other.stray_frames == 1
    broken = decode_frame(question)
    broken.body += b"\x00"
    one.receive(b"\xff" + encode_frame(broken), 0.0)
    assert (one.stray_frames, one.discarded_bytes) == (1, 1)
    other.receive(b"\xff\xff", 0.0)
    assert other.discarded_bytes == 2


def test_a_station_hears_what_stood_behind_half_a_frame() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    long = encode_frame(Frame(1, ADDRESS, PASSWORD, TIMED, bytes(900), ETX))
    one.receive(long[:40] + other.bytes_to_send(), 0.0)
    assert events_of(one) == []
    assert one.next_deadline() == GAP_S
    one.tick(GAP_S)
    assert [type(event) for event in events_of(one)] == [Asked]
    hearing = centre()
    one.send(Answer([level(1)]), GAP_S)
    hearing.receive(long[:40] + one.bytes_to_send(), GAP_S)
    hearing.tick(2 * GAP_S)
    assert [type(event) for event in events_of(hearing)] == [Received]


def test_a_report_that_was_given_up_and_comes_again_later_is_told_once() -> None:
    one, other = station(), centre()
    one.send(Send(TIMED, level(12345)), 0.0)
    other.receive(one.bytes_to_send(), 0.0)
    other.bytes_to_send()  # no confirm ever arrives
    for tries in range(1, MAX_RESENDS + 2):
        one.tick(tries * REPLY_TIMEOUT_S)
        one.bytes_to_send()
    assert [type(event) for event in events_of(one)] == [Failed]
    one.send(Send(TIMED, level(12345), serial=1), 105.0)  # with its own number, and the time of now
    settle(one, other, 105.0)
    assert [type(event) for event in events_of(one)] == [Confirmed, Released]
    assert [type(event) for event in events_of(other)] == [Received]
    one.send(Send(TIMED, level(12345)), 106.0)
    settle(one, other, 106.0)
    assert [type(event) for event in events_of(other)] == [Received]


@pytest.mark.parametrize("serial", [0, 0x10000])
def test_a_serial_that_no_message_has_is_refused(serial: int) -> None:
    one = station()
    with pytest.raises(LocalProtocolError):
        one.send(Send(TIMED, level(1), serial=serial), 0.0)
    assert one.state is StationState.IDLE
    assert one.bytes_to_send() == b""


def test_all_that_comes_in_one_long_piece_is_heard() -> None:
    one, other = station(), centre()
    wire = b""
    for number in range(500):
        one.send(Send(TIMED, level(number), is_confirmed=False), 0.0)
        wire += one.bytes_to_send()
    other.receive(wire, 0.0)
    assert other.discarded_bytes == 0
    assert [event.body.groups_of_body[-1].value[0] for event in events_of(other)] == list(range(500))
