"""Site and platform: each end alone, every timer, and both against each other over a link that loses and breaks."""

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.hj212 import link, platform, site
from protocols.hj212.answers import ExeRtn, QnRtn
from protocols.hj212.command import OtherCommand
from protocols.hj212.cp import chained, factor_items, plain_item
from protocols.hj212.data import HourData, MinuteData, ReadHourData, RealtimeData, StartRealtime, StopRealtime
from protocols.hj212.exchange import OVER_TIME_S, RE_COUNT, Exchange, ExchangeState, Terms
from protocols.hj212.link import Configure, Identity
from protocols.hj212.message import decode_message
from protocols.hj212.packet import Framer, Packet, encode_packet
from protocols.hj212.parameters import ClockNotice, SetPassword, SetRealtimeInterval, SetTimeouts
from protocols.hj212.parts import split_segment
from protocols.hj212.platform import Accept, PlatformDialogue, Uploaded
from protocols.hj212.segment import Segment, encode_segment, header_of
from protocols.hj212.site import SiteDialogue, Upload
from protocols.hj212.times import RequestNumbers, qn_of
from protocols.tests.kit import frames_of

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)
IDENTITY = Identity(mn="SHIP44010000000000000001", st="31", pw="123456")
CODES = frozenset({"1000", "1062", "1072", "2011", "2012", "2061"})
QN = "20250301120000001"
DATA = MinuteData(data_time="20250301115000", others=factor_items("a21026", {"Avg": "1.5", "Flag": "N"}))
REALTIME = RealtimeData(data_time="20250301120000")
INTERVAL = SetRealtimeInterval(interval_s=30)


def a_site(identity=IDENTITY, **options):
    return SiteDialogue(identity, CODES, **options)


def a_platform(identity=IDENTITY, **options):
    return PlatformDialogue(identity, **options)


def said(dialogue):
    """What it has to say, readable."""
    framer = Framer(accepts_modbus_crc=True)
    framer.feed(dialogue.bytes_to_send())
    wires = [encode_packet(packet).hex() for packet in frames_of(framer)]
    assert framer.discarded_bytes == 0
    return [decode_message({"hex": wire, "crc_mode": "modbus"}) for wire in wires]


def events_of(dialogue):
    events = []
    while (event := dialogue.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def wire(cn, *items, qn=QN, st="31", pw="123456", mn=IDENTITY.mn, flag=5, **parts):
    header = header_of(qn=qn, st=st, cn=cn, pw=pw, mn=mn, flag=flag, **parts)
    return encode_packet(Packet(encode_segment(Segment(header, chained(items)))))


def codes_of(messages):
    return [message["cn"] for message in messages]


# -- the site sends data -----


def test_data_are_answered():
    one = a_site()
    upload = Upload(command=DATA, qn=QN)
    one.send(upload, 0.0)
    (message,) = said(one)
    assert (message["cn"], message["qn"], message["flag"], message["st"]) == ("2051", QN, 5, "31")
    assert message["factors"] == {"a21026": {"Avg": "1.5", "Flag": "N"}}
    assert one.next_deadline() == OVER_TIME_S
    one.receive(wire("9014", st="91", flag=4), 0.1)
    assert events_of(one) == [site.Delivered(upload)]
    assert one.next_deadline() is None


def test_unanswered_data_are_repeated_with_the_same_number_and_handed_back():
    one = a_site()
    upload = Upload(command=DATA, qn=QN)
    one.send(upload, 0.0)
    first = one.bytes_to_send()
    for repeat in range(1, RE_COUNT + 1):
        one.tick(repeat * OVER_TIME_S - 0.01)
        assert one.bytes_to_send() == b""
        one.tick(repeat * OVER_TIME_S)
        assert one.bytes_to_send() == first
    assert events_of(one) == []
    one.tick((RE_COUNT + 1) * OVER_TIME_S)
    assert one.bytes_to_send() == b""
    assert events_of(one) == [site.Undelivered(upload)]
    assert one.next_deadline() is None
    one.send(upload, 100.0)  # the same record, on the next connection or this one
    assert one.bytes_to_send() == first


def test_realtime_data_ask_for_nothing():
    one = a_site()
    one.send(Upload(command=REALTIME, qn=QN, is_confirmed=False), 0.0)
    assert said(one)[0]["flag"] == 4
    assert one.next_deadline() is None


def test_an_answer_to_something_else_is_a_stray():
    one = a_site()
    one.send(Upload(command=DATA, qn=QN), 0.0)
    one.receive(wire("9014", st="91", flag=4, qn="20250301120000002"), 0.1)
    one.receive(wire("9013", st="91", flag=4), 0.1)
    one.receive(wire("9011", plain_item("QnRtn", "1"), st="91", flag=4), 0.1)
    assert one.counters.strays == 3
    one.receive(wire("9014", st="91", flag=4, mn="OTHER"), 0.1)
    one.receive(wire("9014", st="91", flag=4, pw="654321"), 0.1)
    assert one.counters.strangers == 2
    assert events_of(one) == []


def test_a_notice_is_answered_by_9013():
    one = a_site()
    notice = site.Notify(command=ClockNotice(), qn=QN)
    one.send(notice, 0.0)
    assert codes_of(said(one)) == ["1013"]
    one.receive(wire("9014", st="91", flag=4), 0.1)
    assert events_of(one) == []
    one.receive(wire("9013", st="91", flag=4), 0.1)
    assert events_of(one) == [site.Delivered(notice)]


def test_only_so_many_exchanges_are_open():
    one = a_site()
    numbers = RequestNumbers()
    for _ in range(link.MAX_OPEN):
        assert one.has_room
        one.send(Upload(command=DATA, qn=numbers.next(0)), 0.0)
    assert not one.has_room
    one.bytes_to_send()
    for qn in (numbers.next(0), qn_of(0)):
        with pytest.raises(LocalProtocolError):
            one.send(Upload(command=DATA, qn=qn), 0.0)
    assert one.bytes_to_send() == b""


def long_data(count=40):
    items = [item for number in range(count) for item in factor_items(f"a{number:05d}", {"Avg": "1.5", "Flag": "N"})]
    return HourData(data_time="20250301110000", others=chained(items))


def test_parts_go_out_one_after_the_other():
    one = a_site()
    upload = Upload(command=long_data(90), qn=QN)
    one.send(upload, 0.0)
    (first,) = said(one)
    assert (first["pnum"], first["pno"], first["flag"]) == (3, 1, 7)
    one.receive(wire("9014", st="91", flag=6, pnum=3, pno=1), 1.0)
    assert said(one)[0]["pno"] == 2
    one.receive(wire("9014", st="91", flag=6, pnum=3, pno=1), 1.0)  # part 1 was answered twice
    assert one.counters.strays == 1
    assert one.next_deadline() == 1.0 + OVER_TIME_S
    one.tick(1.0 + OVER_TIME_S)
    assert said(one)[0]["pno"] == 2
    one.receive(wire("9014", st="91", flag=4), 7.0)  # a centre that does not say which
    assert said(one)[0]["pno"] == 3
    one.receive(wire("9014", st="91", flag=6, pnum=3, pno=3), 8.0)
    assert events_of(one) == [site.Delivered(upload)]


# -- the site is asked -----


def test_a_request_runs_and_is_reported():
    one = a_site()
    one.receive(wire("1062", plain_item("RtdInterval", "30")), 0.0)
    (answer,) = said(one)
    assert (answer["cn"], answer["qn"], answer["st"], answer["flag"], answer["cp"]) == (
        "9011", QN, "91", 4, {"QnRtn": "1"},
    )  # fmt: skip
    (asked,) = events_of(one)
    assert (asked.qn, asked.command.interval_s) == (QN, 30)
    one.send(site.Finish(qn=QN, exe_rtn=ExeRtn.OK), 1.0)
    (result,) = said(one)
    assert (result["cn"], result["cp"]) == ("9012", {"ExeRtn": "1"})
    assert one.next_deadline() is None
    with pytest.raises(LocalProtocolError):
        one.send(site.Finish(qn=QN, exe_rtn=ExeRtn.OK), 1.0)


def test_the_same_request_is_answered_again_and_not_carried_out_again():
    one = a_site()
    request = wire("1062", plain_item("RtdInterval", "30"))
    one.receive(request + request, 0.0)
    assert codes_of(said(one)) == ["9011", "9011"]
    assert len(events_of(one)) == 1
    one.send(site.Finish(qn=QN, exe_rtn=ExeRtn.OK), 1.0)
    said(one)
    one.receive(request, 2.0)
    assert codes_of(said(one)) == ["9011", "9012"]
    assert events_of(one) == []
    assert one.counters.repeats == 2


def test_a_notice_from_the_centre_is_answered_once_told():
    one = a_site()
    one.receive(wire("2012") * 2, 0.0)
    assert codes_of(said(one)) == ["9013", "9013"]
    assert events_of(one) == [site.Noticed(command=StopRealtime(), qn=QN)]
    assert one.next_deadline() is None


def test_a_request_without_the_bit_is_carried_out_in_silence():
    one = a_site()
    one.receive(wire("2011", flag=4), 0.0)
    assert events_of(one) == [site.Requested(command=StartRealtime(), qn=QN)]
    one.send(site.Finish(qn=QN, exe_rtn=1), 0.0)
    one.receive(wire("9999", flag=4), 0.0)
    assert one.bytes_to_send() == b""


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"mn": "OTHER"}, QnRtn.MN),
        ({"pw": "654321"}, QnRtn.PW),
        ({"st": "32"}, QnRtn.ST),
        ({"qn": "2025"}, QnRtn.QN),
        ({"qn": "20250230120000000"}, QnRtn.QN),
        ({"qn": "20250301120000"}, QnRtn.QN),
    ],
)
def test_a_wrong_request_is_refused(wrong, code):
    one = a_site()
    one.receive(wire("1062", plain_item("RtdInterval", "30"), **wrong), 0.0)
    (answer,) = said(one)
    assert (answer["cn"], answer["cp"], answer["mn"]) == ("9011", {"QnRtn": str(int(code))}, IDENTITY.mn)
    assert events_of(one) == []


def test_other_refusals():
    one = a_site()
    one.receive(wire("3011"), 0.0)
    assert said(one)[0]["cp"] == {"QnRtn": "8"}
    one.receive(wire("1062"), 0.0)
    assert said(one)[0]["cp"] == {"QnRtn": "2"}  # without what it needs
    one.receive(wire("1062", plain_item("RtdInterval", "30")), 0.0)
    said(one)
    one.receive(wire("2011"), 0.0)
    assert said(one)[0]["cp"] == {"QnRtn": "7"}  # another request under the same number
    one.receive(wire("2011", qn=None), 0.0)
    assert said(one) == []
    assert one.counters.bad_segments == 2


def test_a_request_with_a_wrong_crc_is_told_so():
    one = a_site()
    request = wire("1062", plain_item("RtdInterval", "30"))
    one.receive(request.replace(b"=30&&", b"=31&&"), 0.0)
    (answer,) = said(one)
    assert (answer["qn"], answer["cp"]) == (QN, {"QnRtn": "9"})
    one.receive(request.replace(b"PW=123456", b"PW=123457"), 0.0)
    one.receive(request.replace(QN.encode(), b"x" * 17), 0.0)
    one.receive(b"##0003abcFFFF\r\n", 0.0)
    one.receive(wire("9014", st="91").replace(b"Flag=5", b"Flag=7"), 0.0)
    assert one.bytes_to_send() == b""
    assert events_of(one) == []


def test_a_request_that_takes_too_long_is_reported():
    one = a_site(execution_s=20.0)
    one.receive(wire("2011"), 1.0)
    said(one)
    (asked,) = events_of(one)
    assert one.next_deadline() == 21.0
    one.tick(20.9)
    assert said(one) == []
    one.tick(21.0)
    assert said(one)[0]["cp"] == {"ExeRtn": "4"}
    assert events_of(one) == [site.TimedOut(command=asked.command, qn=QN)]
    with pytest.raises(LocalProtocolError):
        one.send(site.Data(command=REALTIME, qn=QN), 22.0)


def test_requests_stay_bounded():
    one = a_site()
    numbers = RequestNumbers()
    for _ in range(site.MAX_RUNNING):
        one.receive(wire("2011", qn=numbers.next(0)), 0.0)
    said(one)
    one.receive(wire("2011", qn=numbers.next(0)), 0.0)
    assert said(one)[0]["cp"] == {"QnRtn": "2"}
    one.receive(wire("2012", qn=numbers.next(0)), 0.0)
    assert codes_of(said(one)) == ["9013"]
    for _ in range(2 * site.MAX_REMEMBERED):
        one.receive(wire("2012", qn=numbers.next(0)), 0.0)
    assert len(events_of(one)) == site.MAX_RUNNING + 1 + 2 * site.MAX_REMEMBERED
    one.send(site.Finish(qn=qn_of(0), exe_rtn=1), 0.0)  # the running ones are not forgotten


def test_a_request_in_parts_runs_when_it_is_whole():
    one = a_site()
    items = chained(factor_items(f"i{number}", {"Info": "x" * 200})[0] for number in range(10))
    header = header_of(qn=QN, st="31", cn="2011", pw="123456", mn=IDENTITY.mn, flag=5)
    packets = [encode_packet(Packet(encode_segment(part))) for part in split_segment(Segment(header, items))]
    one.receive(b"".join(packets[:-1]), 0.0)
    assert said(one) == []
    assert one.next_deadline() is not None
    one.receive(packets[-1], 0.0)
    assert codes_of(said(one)) == ["9011"]
    assert events_of(one) == [site.Requested(command=StartRealtime(others=items), qn=QN)]
    one.receive(b"".join(packets), 1.0)
    assert codes_of(said(one)) == ["9011"]


def test_history_is_sent_under_the_number_of_its_request():
    one = a_site()
    one.receive(wire("2061", plain_item("BeginTime", "20250301000000"), plain_item("EndTime", "20250301020000")), 0.0)
    said(one)
    assert events_of(one) == [
        site.Requested(command=ReadHourData(begin_time="20250301000000", end_time="20250301020000"), qn=QN)
    ]
    for hour in range(2):
        one.send(site.Data(command=HourData(data_time=f"20250301{hour:02d}0000"), qn=QN), 0.0)
    one.send(site.Finish(qn=QN, exe_rtn=1), 0.0)
    messages = said(one)
    assert codes_of(messages) == ["2061", "2061", "9012"]
    assert {(message["qn"], message["flag"]) for message in messages} == {(QN, 4)}


def test_timers_and_password_can_be_set():
    one = a_site()
    one.send(Configure(over_time_s=9.0, re_count=0, pw="abcdef"), 0.0)
    one.send(Upload(command=DATA, qn=QN), 0.0)
    assert said(one)[0]["pw"] == "abcdef"
    assert one.next_deadline() == 9.0
    one.tick(9.0)
    assert len(events_of(one)) == 1


def test_answers_of_2005_have_the_number_in_cp():
    one = a_site(Identity(mn="A", st="22", pw="1", version=0, is_modbus_crc=True))
    header = header_of(qn=QN, st="22", cn="2012", pw="1", mn="A", flag=1)
    one.receive(encode_packet(Packet(encode_segment(Segment(header)), is_modbus_crc=True)), 0.0)
    (answer,) = said(one)
    assert "qn" not in answer
    assert (answer["cp"], answer["flag"], answer["crc_variant"]) == ({"QN": QN}, 0, "modbus")


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


def test_data_without_the_bit_or_a_number_are_not_answered():
    one = a_platform()
    for upload in (wire("2011", flag=4), wire("2011", qn=None, flag=None), wire("2011", qn=None)):
        one.receive(upload * 2, 0.0)
        events = events_of(one)
        assert len(events) == 2  # nothing tells that they are the same
        one.send(Accept(events[0]), 0.0)
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


# -- the table -----


def test_what_has_no_place_in_the_table_changes_nothing():
    exchange = Exchange(None, (b"a",), Terms(result_s=1.0), 0.0)
    exchange.accepted(0.0)
    exchange.accepted(0.0)
    exchange.refused(3, 0.0)
    exchange.garbled(0.0)
    exchange.answered(0.0)
    assert (exchange.state, exchange.code) == (ExchangeState.RESULT_DUE, 0)
    exchange.result(1, 0.0)
    exchange.tick(1e9)
    assert exchange.state is ExchangeState.DONE
    assert exchange.part_count == 1


# -- both ends -----


class Line:
    """Two dialogues and the line between them. Packets are lost, broken, doubled and cut by a seed."""

    def __init__(self, seed: int, loss: float) -> None:
        self.rng = random.Random(seed)
        self.loss = loss
        self.site = a_site()
        self.platform = a_platform()
        self.now = 0.0
        self.kept: dict[Any, int] = {}
        self.done: dict[str, int] = {}
        self.site_events: list[Any] = []
        self.platform_events: list[Any] = []

    def spoilt(self, data: bytes) -> bytes:
        chance = self.rng.random()
        if not data or chance > self.loss:
            return data
        if chance < self.loss / 3:
            return b""
        if chance < self.loss / 2:
            return data * 2
        at = self.rng.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self.rng.randrange(8),)) + data[at + 1 :]

    def pump(self) -> None:
        for _ in range(20):
            self.platform.receive(self.spoilt(self.site.bytes_to_send()), self.now)
            self.site.receive(self.spoilt(self.platform.bytes_to_send()), self.now)
            for event in events_of(self.site):
                self.site_events.append(event)
                if isinstance(event, site.Requested):
                    self.done[event.qn] = self.done.get(event.qn, 0) + 1
                    self.site.send(site.Data(command=REALTIME, qn=event.qn), self.now)
                    self.site.send(site.Finish(qn=event.qn, exe_rtn=1), self.now)
            for event in events_of(self.platform):
                self.platform_events.append(event)
                if isinstance(event, Uploaded):
                    self.kept[event.key] = self.kept.get(event.key, 0) + 1
                    self.platform.send(Accept(event), self.now)

    def run(self) -> None:
        self.pump()
        for _ in range(500):
            deadlines = [one.next_deadline() for one in (self.site, self.platform)]
            due = [deadline for deadline in deadlines if deadline is not None]
            if not due:
                return
            self.now = min(due)
            self.site.tick(self.now)
            self.platform.tick(self.now)
            self.pump()
        raise AssertionError("it never ends")


def test_over_a_good_line_everything_arrives_once():
    line = Line(0, 0.0)
    numbers = RequestNumbers()
    uploads = [Upload(command=command, qn=numbers.next(0)) for command in (DATA, long_data(), DATA)]
    requests = [platform.Request(command=command, qn=numbers.next(0)) for command in (INTERVAL, StartRealtime())]
    for upload in uploads:
        line.site.send(upload, 0.0)
    for request in requests:
        line.platform.send(request, 0.0)
    line.run()
    assert [event.what for event in line.site_events if isinstance(event, site.Delivered)] == [
        uploads[0], uploads[2], uploads[1],
    ]  # fmt: skip
    finished = [event for event in line.platform_events if isinstance(event, platform.Finished)]
    assert finished == [platform.Finished(request=request, exe_rtn=1) for request in requests]
    assert set(line.kept.values()) == {1}
    assert line.site.framer.discarded_bytes == line.platform.framer.discarded_bytes == 0


@EXAMPLES
@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.3, 0.6]))
@example(1, 1.0)
def test_over_a_bad_line_nothing_is_done_twice_and_nothing_confirmed_is_lost(seed, loss):
    line = Line(seed, loss)
    numbers = RequestNumbers()
    uploads = [Upload(command=command, qn=numbers.next(0)) for command in (DATA, long_data(), DATA)]
    requests = [platform.Request(command=command, qn=numbers.next(0)) for command in (INTERVAL, StartRealtime())]
    for upload in uploads:
        line.site.send(upload, 0.0)
    for request in requests:
        line.platform.send(request, 0.0)
    line.run()
    kept = {(qn, pno) for _mn, _cn, qn, _time, pno in line.kept}
    for event in line.site_events:
        if isinstance(event, site.Delivered):
            parts = (1, 2) if isinstance(event.what.command, HourData) else (None,)
            assert all((event.what.qn, part) in kept for part in parts)
    answered = sum(isinstance(event, (site.Delivered, site.Undelivered)) for event in line.site_events)
    assert answered == len(uploads)
    over = (platform.Finished, platform.Refused, platform.Unanswered, platform.NoResult)
    assert sum(isinstance(event, over) for event in line.platform_events) == len(requests)
    assert all(count == 1 for count in line.done.values())
    for event in line.platform_events:
        if isinstance(event, platform.Finished):
            assert line.done[event.request.qn] == 1


@EXAMPLES
@given(st.binary(max_size=400), st.integers(0, 9))
def test_any_bytes_do_no_harm(noise, cut):
    for one in (a_site(), a_platform()):
        one.receive(noise, 0.0)
        one.receive(wire("2051")[:cut] + noise, 0.0)
        one.receive(encode_packet(Packet(b"CP=&&" + noise.replace(b"\r\n", b"") + b"&&")), 0.0)
        one.tick(100.0)


def test_a_long_piece_is_taken_whole():
    one = a_platform()
    one.receive(wire("2011", flag=4) * 500, 0.0)
    assert len(events_of(one)) == 500


def test_an_unknown_command_can_be_sent():
    one = a_platform()
    one.send(platform.Request(command=OtherCommand(code="4711"), qn=QN), 0.0)
    one.send(platform.Request(command=SetTimeouts(over_time_s=5, re_count=3), qn=qn_of(0)), 0.0)
    assert codes_of(said(one)) == ["4711", "1000"]
