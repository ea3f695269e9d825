"""A JT/T 808 platform's end, and what both ends do alike: queries, repeats, serial numbers, silence."""

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.jt808.answers import answer_of, is_from_platform
from protocols.jt808.catalogue import BODIES
from protocols.jt808.control import Attributes, TerminalControl
from protocols.jt808.dialect import JT2011, JT2013, JT2019
from protocols.jt808.driver import DriverCard, DriverIdentity, QueryDriver, Waybill
from protocols.jt808.frame import Frame, encode_frame
from protocols.jt808.general import Heartbeat, PlatformReply, TerminalReply
from protocols.jt808.link import MAX_REMEMBERED, Arrived, Expired, Link, Timers
from protocols.jt808.location import Location, LocationQuery, LocationReply
from protocols.jt808.media import MediaData2011, PictureReply, TakePicture
from protocols.jt808.parameters import Parameter, ParametersReply, QueryAllParameters
from protocols.jt808.platform import (
    AuthenticationAsked,
    LoggedOff,
    PlatformConfig,
    PlatformDialogue,
    PlatformState,
    RegistrationAsked,
)
from protocols.jt808.registration import Authentication, RegistrationReply
from protocols.jt808.session import Answer, Answered, Close, Disconnected, Received, Send, Unanswered
from protocols.tests.jt808_pair import CODE, PHONE, REGISTRATION, bodies_in, frames_in, online, place, wire_of


def admitted():
    """A platform whose terminal is authenticated."""
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    platform.receive(wire_of(Authentication(CODE), 0), 0.0)
    asked = platform.next_event()
    assert isinstance(asked, AuthenticationAsked)
    platform.send(Answer(asked.packet), 0.0)
    assert bodies_in(platform.bytes_to_send()) == [PlatformReply(0, 0x0102)]
    assert platform.state is PlatformState.ONLINE
    return platform


def test_a_registration_is_answered_by_whoever_decides():
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    platform.receive(wire_of(REGISTRATION, 3, JT2011), 0.0)
    asked = platform.next_event()
    assert isinstance(asked, RegistrationAsked)
    assert platform.dialect is JT2011
    with pytest.raises(LocalProtocolError):
        platform.send(Answer(asked.packet), 0.0)
    platform.send(Answer(asked.packet, body=RegistrationReply(3, 0, CODE)), 0.0)
    assert bodies_in(platform.bytes_to_send()) == [RegistrationReply(3, 0, CODE)]
    assert platform.state is PlatformState.UNKNOWN


def test_only_a_registration_tells_the_edition_of_a_terminal():
    platform = admitted()
    narrow = Attributes(
        1, b"MAKER", bytes(8), bytes(7), bytes(10), b"", b"", 1, 1
    )  # widths of 2011, which has no 0x0107
    platform.receive(wire_of(narrow, 1, JT2011), 0.0)
    platform.receive(wire_of(DriverIdentity(b"name", bytes(20), bytes(40), b""), 2, JT2011), 0.0)
    assert platform.dialect is JT2013
    platform.link.dialect = JT2011
    picture_2011 = MediaData2011(1, 0, 0, 0, 1, b"jpeg")
    platform.receive(wire_of(picture_2011, 3, JT2011), 0.0)
    events = [platform.next_event() for _ in range(2)]
    assert [event.packet.body for event in events][-1] == picture_2011


def test_before_authentication_nothing_else_is_taken_but_a_repeat_later_is():
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    early = wire_of(place(1), 5)
    platform.receive(early + wire_of(Heartbeat(), 6), 0.0)
    assert (platform.ignored_messages, platform.next_event(), platform.bytes_to_send()) == (2, NEED_DATA, b"")
    with pytest.raises(LocalProtocolError):
        platform.send(Send(LocationQuery()), 0.0)
    platform.receive(wire_of(Authentication(CODE), 7), 0.0)
    platform.send(Answer(platform.next_event().packet), 0.0)
    platform.receive(early, 1.0)
    assert platform.next_event().packet.body == place(1)


def test_a_wrong_code_leaves_the_terminal_unknown():
    platform = admitted()
    platform.receive(wire_of(Authentication(b"x"), 9), 1.0)
    platform.send(Answer(platform.next_event().packet, 1), 1.0)
    assert platform.state is PlatformState.UNKNOWN


def test_heartbeats_and_log_offs_are_answered():
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    platform.receive(encode_frame(Frame(0x0003, PHONE, 2)), 1.0)
    assert (platform.bytes_to_send(), platform.ignored_messages) == (b"", 1)
    platform = admitted()
    platform.receive(wire_of(Heartbeat(), 1), 1.0)
    assert bodies_in(platform.bytes_to_send()) == [PlatformReply(1, 0x0002)]
    platform.receive(encode_frame(Frame(0x0003, PHONE, 2)), 1.0)
    assert bodies_in(platform.bytes_to_send()) == [PlatformReply(2, 0x0003)]
    assert platform.next_event() == LoggedOff()
    assert platform.state is PlatformState.UNKNOWN


def test_registration_and_authentication_may_come_again_while_online():
    platform = admitted()
    platform.receive(wire_of(Authentication(CODE), 3), 1.0)
    platform.send(Answer(platform.next_event().packet), 1.0)
    assert platform.state is PlatformState.ONLINE
    platform.receive(wire_of(REGISTRATION, 4), 1.0)
    assert isinstance(platform.next_event(), RegistrationAsked)
    assert platform.state is PlatformState.ONLINE


def test_a_wrong_body_is_refused_only_when_online():
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    wrong = encode_frame(Frame(0x0200, PHONE, 8, b"\x00"))
    platform.receive(wrong, 0.0)
    assert platform.bytes_to_send() == b""
    platform = admitted()
    platform.receive(wrong, 0.0)
    assert bodies_in(platform.bytes_to_send()) == [PlatformReply(8, 0x0200, 2)]


def test_a_silent_link_is_closed():
    platform = admitted()
    platform.send(Send(LocationQuery(), "query"), 0.0)
    assert platform.next_deadline() == 10.0
    platform.tick(179.9)
    assert platform.state is PlatformState.ONLINE
    platform.tick(180.0)
    assert platform.next_event() == Close("nothing came")
    assert platform.next_event() == Unanswered("query")
    assert (platform.state, platform.next_deadline(), platform.bytes_to_send()) == (PlatformState.CLOSED, None, b"")
    platform.receive(wire_of(Heartbeat(), 1), 181.0)
    platform.tick(1000.0)
    platform.send(Disconnected(), 1000.0)
    with pytest.raises(LocalProtocolError):
        platform.send(Send(LocationQuery()), 1000.0)
    assert platform.next_event() is NEED_DATA


def test_a_disconnect_before_authentication_ends_it():
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    platform.tick(180.0)
    assert platform.next_event() == Close("nothing came")
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    platform.send(Disconnected(), 1.0)
    assert platform.state is PlatformState.CLOSED


def test_what_waited_for_an_answer_when_the_link_went_is_told():
    platform = admitted()
    platform.send(Send(LocationQuery(), "query"), 1.0)
    platform.send(Disconnected(), 2.0)
    assert platform.next_event() == Unanswered("query")
    assert platform.state is PlatformState.CLOSED


def test_a_repeat_gets_the_same_answer_and_is_not_handed_over_again():
    platform = admitted()
    report = wire_of(place(1), 5)
    platform.receive(report, 1.0)
    event = platform.next_event()
    platform.receive(report, 2.0)  # the answer is not there yet
    assert (platform.next_event(), platform.bytes_to_send()) == (NEED_DATA, b"")
    platform.send(Answer(event.packet), 3.0)
    answer = platform.bytes_to_send()
    platform.receive(report, 4.0)
    assert (platform.next_event(), platform.bytes_to_send()) == (NEED_DATA, answer)
    assert platform.link.repeats == 2
    platform.receive(wire_of(place(2), 5), 5.0)  # a device that does not count: another message
    assert platform.next_event().packet.body == place(2)


def test_what_is_remembered_of_repeats_is_bounded():
    platform = admitted()
    for number in range(500):
        platform.receive(wire_of(place(number), number), 1.0)
    assert len(platform.link._answered) <= MAX_REMEMBERED


@pytest.mark.parametrize("dialect", [JT2013, JT2019], ids=lambda dialect: str(dialect.edition))
def test_a_query_is_answered_with_its_own_message(dialect):
    pair = online(dialect)
    pair.platform.send(Send(QueryAllParameters(), "params"), pair.now)
    pair.run()
    (received,) = pair.told(Received)
    params = tuple(Parameter(1, bytes(4)) for _ in range(250))  # more than a frame holds
    reply = ParametersReply(received.packet.frame.serial, params)
    pair.terminal.send(Answer(received.packet, body=reply), pair.now)
    pair.run()
    assert [event for event in pair.platform_events if isinstance(event, Answered)] == [Answered("params", reply)]


def test_a_general_response_ahead_of_the_answer_only_ends_the_repeats():
    pair = online()
    pair.platform.send(Send(LocationQuery(), "query"), pair.now)
    pair.run()
    (received,) = pair.told(Received)
    pair.terminal.send(Answer(received.packet), pair.now)
    pair.run(5)
    assert not [event for event in pair.platform_events if isinstance(event, Answered)]
    reply = LocationReply(received.packet.frame.serial, place(1))
    pair.terminal.send(Answer(received.packet, body=reply), pair.now)
    pair.run()
    assert [event for event in pair.platform_events if isinstance(event, Answered)] == [Answered("query", reply)]


def test_a_query_that_is_only_acknowledged_expires_without_a_repeat():
    pair = online()
    pair.platform.send(Send(LocationQuery(), "query"), pair.now)
    pair.run()
    (received,) = pair.told(Received)
    pair.terminal.send(Answer(received.packet), pair.now)
    pair.run(10)
    assert Unanswered("query") in pair.platform_events
    assert pair.terminal.link.repeats == 0


def test_a_query_that_is_refused_is_answered_by_the_refusal():
    pair = online()
    pair.platform.send(Send(LocationQuery(), "query"), pair.now)
    pair.run()
    (received,) = pair.told(Received)
    pair.terminal.send(Answer(received.packet, 3), pair.now)
    pair.run()
    (answered,) = [event for event in pair.platform_events if isinstance(event, Answered)]
    assert (answered.token, answered.result) == ("query", 3)


def test_a_driver_s_card_answers_the_question_and_is_received():
    pair = online()
    pair.platform.send(Send(QueryDriver(), "driver"), pair.now)
    pair.run()
    (received,) = pair.told(Received)
    card = DriverCard(1, bytes(6))
    pair.terminal.send(Answer(received.packet, body=card), pair.now)
    pair.run()
    assert Answered("driver", card) in pair.platform_events
    assert pair.heard(DriverCard) == [card]
    assert pair.terminal.link.in_flight == 0


def test_a_waybill_and_a_control_go_both_ways():
    pair = online()
    bill = Waybill("承运人：粤通物流".encode("gbk"))
    pair.terminal.send(Send(bill, "bill"), pair.now)
    pair.platform.send(Send(TerminalControl(4), "reset"), pair.now)
    pair.run()
    assert pair.heard(Waybill) == [bill]
    assert [event.token for event in pair.told(Answered)] == ["bill"]
    (received,) = pair.told(Received)
    pair.terminal.send(Answer(received.packet), pair.now)
    pair.run()
    assert [event.token for event in pair.platform_events if isinstance(event, Answered)] == ["reset"]


def test_serial_numbers_go_round_and_pass_by_those_in_use():
    link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers(retransmissions=0))
    link.connected(0.0)
    link.transmit(Heartbeat(), 0.0, "first")
    link._next_serial = 0xFFFF
    link.transmit(TerminalReply(1, 2), 0.0)
    link.transmit(TerminalReply(1, 2), 0.0)
    serials = [frame.serial for frame in frames_in(link.bytes_to_send())]
    assert serials == [0, 0xFFFF, 1]
    link.tick(10.0)
    assert link.next_event() == Expired("first", 0x0002, was_silent=True)


def test_a_link_without_a_phone_cannot_write():
    link = Link(is_platform=True, phone=None, dialect=JT2013, timers=Timers())
    with pytest.raises(LocalProtocolError):
        link.transmit(LocationQuery(), 0.0)


def test_a_platform_learns_phone_and_edition_from_the_first_frame():
    link = Link(is_platform=True, phone=None, dialect=JT2013, timers=Timers())
    link.connected(0.0)
    link.receive(encode_frame(Frame(0x0002, "0" * 20, 1, b"", 3)), 0.0)
    link.receive(encode_frame(Frame(0x0002, "1" * 12, 1)), 0.0)
    assert isinstance(link.next_event(), Arrived)
    assert (link.phone, link.dialect, link.protocol_version, link.foreign_frames) == ("0" * 20, JT2019, 3, 1)


def test_every_message_has_the_answer_that_the_standard_says():
    special = {
        0x0004: 0x8004, 0x0100: 0x8100, 0x0801: 0x8800, 0x0A00: 0x8A00, 0x8104: 0x0104, 0x8106: 0x0104, 0x8107: 0x0107,
        0x8201: 0x0201, 0x8500: 0x0500, 0x8608: 0x0608, 0x8700: 0x0700, 0x8702: 0x0702, 0x8801: 0x0805, 0x8802: 0x0802,
        0x8A00: 0x0A00,
    }  # fmt: skip
    without = {0x0001, 0x8001, 0x0005, 0x8003, *special.values()} - {0x0702, 0x0A00, 0x8A00}
    for msg_id in BODIES:
        general = 0x0001 if msg_id >= 0x8000 else 0x8001
        assert answer_of(msg_id, JT2019) == (None if msg_id in without else special.get(msg_id, general)), hex(msg_id)
    assert answer_of(0x8801, JT2011) == 0x0001
    assert answer_of(0x8801, JT2013) == 0x0805
    assert [is_from_platform(msg_id) for msg_id in (0x0F00, 0x8F00, 0xE000, 0xF000)] == [False, True, False, True]


def test_a_picture_is_taken():
    pair = online()
    pair.platform.send(Send(TakePicture(1, 1, 0, 0, 1, 5, 125, 60, 60, 125), "shoot"), pair.now)
    pair.run()
    (received,) = pair.told(Received)
    reply = PictureReply(received.packet.frame.serial, 0, (7,))
    pair.terminal.send(Answer(received.packet, body=reply), pair.now)
    pair.run()
    assert Answered("shoot", reply) in pair.platform_events
    assert pair.heard(Location) == []
