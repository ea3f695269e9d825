"""The platform's end: what it asks, what it is sent, every timer."""

import pytest

from protocols.hj212 import platform
from protocols.hj212.answers import QnRtn
from protocols.hj212.cp import plain_item
from protocols.hj212.data import StartRealtime, StopRealtime
from protocols.hj212.exchange import OVER_TIME_S, RE_COUNT
from protocols.hj212.link import Configure, Identity
from protocols.hj212.packet import Packet, encode_packet
from protocols.hj212.parameters import ClockNotice, SetPassword
from protocols.hj212.platform import Accept
from protocols.hj212.segment import Segment, encode_segment, header_of
from protocols.hj212.times import RequestNumbers
from protocols.tests.hj212_kit import IDENTITY, INTERVAL, QN, a_platform, codes_of, events_of, said, wire

# -- the platform -----


def test_a_request_is_answered_and_has_a_result():
    one = a_platform()
    request = platform.Request(command=INTERVAL, qn=QN, result_s=30.0)
    one.send(request, 0.0)
    (message,) = said(one)
    assert (message["cn"], message["flag"], message["cp"]) == ("1062", 5, {"RtdInterval": "30"})
    one.receive(wire("9011", plain_item("QnRtn", "1"), st="91", flag=4), 1.0)
    assert one.next_deadline() == 31.0
    one.receive(wire("9012", plain_item("ExeRtn", "1"), st="91", flag=4), 2.0)
    assert events_of(one) == [platform.Finished(request=request, exe_rtn=1)]
    assert one.next_deadline() is None


@pytest.mark.parametrize("is_2005", [True, False])
def test_a_result_stands_for_a_lost_answer(is_2005):
    one = a_platform()
    request = platform.Request(command=INTERVAL, qn=QN)
    one.send(request, 0.0)
    items = (plain_item("QN", QN),) if is_2005 else ()
    qn = None if is_2005 else QN
    one.receive(wire("9012", *items, plain_item("ExeRtn", "42"), st="91", flag=4, qn=qn), 2.0)
    assert events_of(one) == [platform.Finished(request=request, exe_rtn=42)]


def test_a_refusal_ends_a_request():
    one = a_platform()
    request = platform.Request(command=INTERVAL, qn=QN)
    one.send(request, 0.0)
    one.receive(wire("9011", plain_item("QnRtn", "3"), st="91", flag=4), 1.0)
    assert events_of(one) == [platform.Refused(request=request, qn_rtn=QnRtn.PW)]


def test_a_request_heard_with_a_wrong_crc_is_repeated_at_once():
    one = a_platform(re_count=1)
    request = platform.Request(command=INTERVAL, qn=QN)
    one.send(request, 0.0)
    first = one.bytes_to_send()
    crc = wire("9011", plain_item("QnRtn", "9"), st="91", flag=4)
    one.receive(crc, 1.0)
    assert one.bytes_to_send() == first
    assert one.next_deadline() == 1.0 + OVER_TIME_S
    one.receive(crc, 2.0)
    assert events_of(one) == [platform.Unanswered(request)]


def test_a_silent_site_is_asked_four_times():
    one = a_platform()
    request = platform.Request(command=INTERVAL, qn=QN)
    one.send(request, 0.0)
    sent = [one.bytes_to_send()]
    while (deadline := one.next_deadline()) is not None:
        one.tick(deadline)
        sent.append(one.bytes_to_send())
    assert sent == [sent[0]] * (1 + RE_COUNT) + [b""]
    assert events_of(one) == [platform.Unanswered(request)]


def test_a_request_without_a_result_ends_too():
    one = a_platform()
    request = platform.Request(command=StartRealtime(), qn=QN, result_s=10.0)
    one.send(request, 0.0)
    one.receive(wire("9011", plain_item("QnRtn", "1"), st="91", flag=4), 1.0)
    one.receive(wire("2011", plain_item("DataTime", "20250301120000"), flag=4), 9.0)
    (uploaded,) = events_of(one)
    assert uploaded.request is request
    one.tick(18.9)
    assert events_of(one) == []
    one.tick(19.0)  # from the last data on
    assert events_of(one) == [platform.NoResult(request)]
    one.receive(wire("9012", plain_item("ExeRtn", "1"), st="91", flag=4), 20.0)
    assert one.counters.strays == 1


def test_data_before_the_answer_stand_for_it():
    one = a_platform()
    one.send(platform.Request(command=StartRealtime(), qn=QN, result_s=10.0), 0.0)
    one.receive(wire("2011", plain_item("DataTime", "20250301120000"), flag=4), 2.0)
    assert one.next_deadline() == 12.0


def test_data_are_told_once_and_answered_when_they_are_kept():
    one = a_platform()
    upload = wire("2051", plain_item("DataTime", "20250301115000"))
    one.receive(upload + upload, 0.0)
    (uploaded,) = events_of(one)
    assert one.bytes_to_send() == b""
    one.send(Accept(uploaded), 0.0)
    (answer,) = said(one)
    assert (answer["cn"], answer["qn"], answer["st"], answer["flag"]) == ("9014", QN, "91", 4)
    assert answer["cp"] == {}
    one.receive(upload, 1.0)  # the answer was lost
    assert codes_of(said(one)) == ["9014"]
    assert events_of(one) == []
    assert one.counters.repeats == 2


def test_a_part_is_answered_as_one():
    one = a_platform()
    one.receive(wire("2061", plain_item("DataTime", "20250301110000"), flag=7, pnum=3, pno=2), 0.0)
    (uploaded,) = events_of(one)
    one.send(Accept(uploaded), 0.0)
    (answer,) = said(one)
    assert (answer["flag"], answer["pnum"], answer["pno"]) == (6, 3, 2)
    one.receive(wire("2061", plain_item("DataTime", "20250301120000"), flag=7, pnum=1, pno=1), 0.0)
    (uploaded,) = events_of(one)
    one.send(Accept(uploaded), 0.0)
    (answer,) = said(one)
    assert (answer["flag"], "pnum" in answer) == (4, False)  # one of one is a whole


def test_data_without_the_bit_or_a_number_are_not_answered():
    one = a_platform()
    for upload in (wire("2011", flag=4), wire("2011", qn=None, flag=None), wire("2011", qn=None)):
        one.receive(upload * 2, 0.0)
        events = events_of(one)
        assert len(events) == 2  # nothing tells that they are the same
        one.send(Accept(events[0]), 0.0)
        assert one.bytes_to_send() == b""


@pytest.mark.parametrize("qn", ["a,b", "1 ", "1" * 9910])
def test_a_number_that_no_answer_can_bear_is_not_answered(qn):
    one = a_platform(Identity(mn="A", st="31", pw="1", version=0))
    for code in ("1013", "2051"):
        one.receive(wire(code, qn=qn, mn="A", pw="1", flag=1), 0.0)
    noticed, uploaded = events_of(one)
    assert isinstance(noticed, platform.Noticed)
    one.send(Accept(uploaded), 0.0)
    assert one.bytes_to_send() == b""


def test_a_notice_from_the_site_is_answered():
    one = a_platform()
    one.receive(wire("1013") * 2, 0.0)
    assert codes_of(said(one)) == ["9013", "9013"]
    assert events_of(one) == [platform.Noticed(command=ClockNotice(), qn=QN)]
    one.receive(wire("1013", qn=None), 0.0)
    assert said(one) == []
    assert len(events_of(one)) == 1


def test_a_notice_to_the_site():
    one = a_platform()
    for answer, event in ((True, platform.Answered), (False, platform.Unanswered)):
        notice = platform.Notify(command=StopRealtime(), qn=QN)
        one.send(notice, 0.0)
        if answer:
            one.receive(wire("9013", st="91", flag=4), 0.0)
        while (deadline := one.next_deadline()) is not None:
            one.tick(deadline)
        assert events_of(one) == [event(notice)]


def test_strangers_and_nonsense_are_counted():
    one = a_platform()
    one.receive(wire("2051", mn="OTHER") + wire("2051", pw="654321"), 0.0)
    assert one.counters.strangers == 2
    good = header_of(qn=QN, st="31", cn="9011", pw="123456", mn=IDENTITY.mn, flag=4)
    without_code = tuple(field for field in good if field[0] != "CN")
    one.receive(encode_packet(Packet(b"nothing")), 0.0)
    one.receive(encode_packet(Packet(encode_segment(Segment(without_code)))), 0.0)
    one.receive(encode_packet(Packet(encode_segment(Segment(good)))), 0.0)  # 9011 without QnRtn
    assert one.counters.bad_segments == 3
    one.receive(wire("9011", plain_item("QnRtn", "1")) + wire("9012", plain_item("ExeRtn", "1")) + wire("9014"), 0.0)
    assert one.counters.strays == 3
    assert events_of(one) == []


def test_the_password_can_be_set():
    one = a_platform()
    one.send(platform.Request(command=SetPassword(new_pw="abcdef"), qn=QN), 0.0)
    one.send(Configure(pw="abcdef"), 0.0)
    one.receive(wire("9012", plain_item("ExeRtn", "1"), pw="abcdef"), 0.0)
    assert len(events_of(one)) == 1


def test_what_is_remembered_stays_bounded():
    one = a_platform()
    numbers = RequestNumbers()
    first = wire("2051", qn=numbers.next(0))
    one.receive(first, 0.0)
    (uploaded,) = events_of(one)
    for _ in range(platform.MAX_REMEMBERED):
        one.receive(wire("2051", qn=numbers.next(0)), 0.0)
    events_of(one)
    one.receive(first, 0.0)
    assert events_of(one) == [uploaded]  # told again: at least once, never not at all
