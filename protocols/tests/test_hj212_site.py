"""The site's end: what it sends, what it is asked, every timer."""

import pytest

from protocols.core.errors import LocalProtocolError
from protocols.hj212 import link, site
from protocols.hj212.answers import ExeRtn, QnRtn
from protocols.hj212.cp import chained, factor_items, plain_item
from protocols.hj212.data import HourData, ReadHourData, StartRealtime, StopRealtime
from protocols.hj212.exchange import OVER_TIME_S, RE_COUNT, Exchange, ExchangeState, Terms
from protocols.hj212.link import Configure, Identity
from protocols.hj212.packet import Packet, encode_packet
from protocols.hj212.parameters import ClockNotice
from protocols.hj212.parts import split_segment
from protocols.hj212.segment import Segment, encode_segment, header_of
from protocols.hj212.site import Upload
from protocols.hj212.times import RequestNumbers, qn_of
from protocols.tests.hj212_kit import DATA, IDENTITY, QN, REALTIME, a_site, codes_of, events_of, long_data, said, wire

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
    assert [(message["cn"], message["flag"]) for message in said(one)] == [("1013", 5)]
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


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("qn", ["a,b", "1 ", "&", "1" * 9910])
def test_a_number_that_no_answer_can_bear_is_not_answered(version, qn):
    one = a_site(Identity(mn="A", st="31", pw="1", version=version))
    one.receive(wire("2011", qn=qn, mn="A", pw="1", flag=version << 2 | 1), 0.0)
    assert one.bytes_to_send() == b""
    assert events_of(one) == []
    assert one.counters.bad_segments == 1


def test_a_result_that_cannot_be_said_changes_nothing():
    one = a_site()
    request = wire("2011")
    one.receive(request, 0.0)
    said(one)
    with pytest.raises(LocalProtocolError):
        one.send(site.Finish(qn=QN, exe_rtn=-1), 0.0)
    one.receive(request, 1.0)
    assert codes_of(said(one)) == ["9011"]
    one.send(site.Finish(qn=QN, exe_rtn=1), 1.0)
    assert codes_of(said(one)) == ["9012"]


@pytest.mark.parametrize("wrong", [{"mn": "A;B"}, {"pw": "\N{GRINNING FACE}"}, {"version": 64}, {"mn": "A" * 9999}])
def test_an_identity_that_no_packet_can_bear_is_refused(wrong):
    good = {"mn": "A", "st": "31", "pw": "1"}
    with pytest.raises(LocalProtocolError):
        a_site(Identity(**{**good, **wrong}))
    one = a_site(Identity(**good))
    with pytest.raises(LocalProtocolError):
        one.send(Configure(pw="a;b", re_count=0), 0.0)
    one.send(Upload(command=DATA, qn=QN), 0.0)
    assert said(one)[0]["pw"] == "1"


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
