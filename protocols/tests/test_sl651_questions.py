"""SL 651 dialogues: questions and commands of a centre, and what a station makes of them."""

from protocols.sl651.bodies import IdentifierList, Opening, Payload, Report
from protocols.sl651.catalogue import (
    FACTORY_RESET,
    QUERY_CURRENT,
    QUERY_ELEMENTS,
    QUERY_STATUS,
    QUERY_VERSION,
    SET_CLOCK,
    TIMED,
)
from protocols.sl651.centre import MAX_ANSWER_FRAMES, CentreState
from protocols.sl651.centre_events import Answered, Unanswered
from protocols.sl651.frame import ACK, ENQ, EOT, ETB, ETX, Frame, decode_frame, encode_frame
from protocols.sl651.groups import ident_of, station_group, status_group
from protocols.sl651.link import MAX_RESENDS, REPLY_TIMEOUT_S
from protocols.sl651.payloads import write_version
from protocols.sl651.station_events import (
    Answer,
    Apply,
    Asked,
    Broadcast,
    Confirmed,
    Failed,
    Released,
    Send,
    StationState,
)
from protocols.tests.sl651_pair import (
    ADDRESS,
    PASSWORD,
    ask,
    centre,
    clock,
    events_of,
    frames_in,
    level,
    picture,
    settle,
    station,
)


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


def test_a_centre_that_writes_its_address_as_0_is_ours_and_another_is_not() -> None:
    for center_addr, count in ((0, 1), (1, 1), (2, 0)):
        one = station()
        body = bytes.fromhex("0007261124000000")
        one.receive(encode_frame(Frame(center_addr, ADDRESS, PASSWORD, QUERY_CURRENT, body, ENQ, is_down=True)), 0.0)
        assert len(events_of(one)) == count


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
    first = decode_frame(other.bytes_to_send())
    for tries in range(1, MAX_RESENDS + 1):
        now = tries * REPLY_TIMEOUT_S
        assert other.next_deadline() == now
        other.tick(now)
        first.body = b"\x00\x00" + bytes.fromhex(clock(now))  # the time of sending
        assert other.bytes_to_send() == encode_frame(first)
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


def test_ack_before_the_end_of_an_answer_gives_more_time() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.send(Answer([level(1)]), 0.0)
    other.receive(one.bytes_to_send(), 0.0)
    confirm = decode_frame(other.bytes_to_send())
    confirm.end_char = ACK
    one.receive(encode_frame(confirm), 5.0)
    assert one.state is StationState.FINAL_DUE
    assert one.next_deadline() == 5.0 + REPLY_TIMEOUT_S


def test_every_frame_of_an_answer_has_its_own_number_so_that_no_late_confirm_skips_one() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.send(Answer([level(1), level(2), level(3)]), 0.0)
    first = one.bytes_to_send()
    other.receive(first, 0.0)
    other.receive(first, 0.0)  # the station had to send it twice
    acks = frames_in(other.bytes_to_send())
    assert [ack.end_char for ack in acks] == [ACK, ACK]
    one.receive(encode_frame(acks[0]), 0.0)
    one.bytes_to_send()  # the second frame is lost
    one.receive(encode_frame(acks[1]), 0.0)
    assert one.bytes_to_send() == b""
    one.tick(REPLY_TIMEOUT_S)
    settle(one, other, REPLY_TIMEOUT_S)
    (answered,) = events_of(other)
    assert [part.body.groups_of_body[-1].value for part in answered.answers] == [(1, 3), (2, 3), (3, 3)]
    assert [part.body.opening.serial for part in answered.answers] == [1, 2, 3]
    assert one.last_serial == 3


def test_an_answer_whose_parts_are_long_is_not_over_before_its_last_part() -> None:
    one, other = station(), centre()
    other.send(ask(QUERY_CURRENT), 0.0)
    one.receive(other.bytes_to_send(), 0.0)
    one.send(Answer([picture(1), picture(2), level(3)]), 0.0)
    settle(one, other, 0.0)
    (answered,) = events_of(other)
    sizes = [len(part.body.groups_of_body[-1].data) for part in answered.answers]
    assert sizes == [256, 512, 4]
    assert [type(event) for event in events_of(one)] == [Asked, Released]


def test_the_same_answer_to_two_questions_is_told_twice() -> None:
    other = centre()
    status = Report(Opening(0, "0" * 12), [station_group(ADDRESS, None), status_group(0x80)], has_station_type=False)
    for now, send_time in ((0.0, "261124000000"), (40.0, "261124000040")):
        other.send(ask(QUERY_STATUS), now)
        status.opening = Opening(0, send_time)  # some stations number no answer
        answer = encode_frame(Frame(1, ADDRESS, PASSWORD, QUERY_STATUS, status.encode(False), ETX))
        other.receive(answer, now)
        other.receive(answer, now)
        assert [type(event) for event in events_of(other)] == [Answered]
        assert [frame.end_char for frame in frames_in(other.bytes_to_send())] == [ENQ, EOT, EOT]


def test_an_answer_that_never_ends_is_given_up() -> None:
    other = centre()
    question = ask(QUERY_CURRENT)
    other.send(question, 0.0)
    for number in range(MAX_ANSWER_FRAMES + 1):
        body = level(number)
        body.opening = Opening(number + 1, "261124000000")
        other.receive(encode_frame(Frame(1, ADDRESS, PASSWORD, QUERY_CURRENT, body.encode(False), ETB)), 0.0)
    assert events_of(other) == [Unanswered(question)]
    assert other.state is CentreState.IDLE
    assert other.next_deadline() is None


def test_a_clock_is_set_to_the_time_of_the_last_try() -> None:
    one, other = station(), centre()
    other.send(ask(SET_CLOCK), 0.0)
    first = decode_frame(other.bytes_to_send())
    one.receive(encode_frame(first), 1.0)
    one.send(Answer([Payload(Opening(0, "0" * 12), station_group(ADDRESS, None))]), 1.0)
    one.bytes_to_send()  # lost
    other.tick(REPLY_TIMEOUT_S)
    again = decode_frame(wire := other.bytes_to_send())
    assert (first.body[2:].hex(), again.body[2:].hex()) == ("261124000000", "261124000030")
    one.receive(wire, REPLY_TIMEOUT_S)
    settle(one, other, REPLY_TIMEOUT_S)
    asked, applied, released = events_of(one)
    assert (type(asked), type(applied), type(released)) == (Asked, Apply, Released)
    assert applied.body.opening.send_time == "261124000030"
