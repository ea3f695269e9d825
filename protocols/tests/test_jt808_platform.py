"""A JT/T 808 platform's end, and what both ends do alike: queries, repeats, packages, silence."""

import random

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.jt808.answers import ONLY_ANSWERS, answer_of, is_from_platform
from protocols.jt808.catalogue import BODIES, read_packet
from protocols.jt808.control import Attributes, TerminalControl, UpgradePackage
from protocols.jt808.dialect import JT2011, JT2013, JT2019
from protocols.jt808.driver import DriverCard, DriverIdentity, QueryDriver, Waybill
from protocols.jt808.frame import Frame, decode_frame, encode_frame
from protocols.jt808.general import Heartbeat, PlatformReply, TerminalReply
from protocols.jt808.link import MAX_KEPT_MESSAGES, MAX_REMEMBERED, Arrived, Expired, Link, Settled, Timers
from protocols.jt808.location import Location, LocationQuery, LocationReply
from protocols.jt808.media import MediaData, MediaData2011, MediaReply, PictureReply, TakePicture
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
from protocols.jt808.subpackage import Abandoned
from protocols.tests.jt808_pair import CODE, REGISTRATION, Pair, place

PHONE = "013912345678"


def online(dialect=JT2013, **changes):
    pair = Pair(dialect, auth_code=CODE, **changes)
    pair.run()
    return pair


def wire_of(body, serial, dialect=JT2013):
    return encode_frame(Frame(body.ID, PHONE, serial, body.to_bytes(dialect)))


def bodies(wire):
    return [read_packet(decode_frame(b"\x7e" + piece + b"\x7e")).body for piece in wire.split(b"\x7e") if piece]


def admitted():
    """A platform whose terminal is authenticated."""
    platform = PlatformDialogue(PlatformConfig(), now=0.0)
    platform.receive(wire_of(Authentication(CODE), 0), 0.0)
    asked = platform.next_event()
    assert isinstance(asked, AuthenticationAsked)
    platform.send(Answer(asked.packet), 0.0)
    assert bodies(platform.bytes_to_send()) == [PlatformReply(0, 0x0102)]
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
    assert bodies(platform.bytes_to_send()) == [RegistrationReply(3, 0, CODE)]
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
    assert bodies(platform.bytes_to_send()) == [PlatformReply(1, 0x0002)]
    platform.receive(encode_frame(Frame(0x0003, PHONE, 2)), 1.0)
    assert bodies(platform.bytes_to_send()) == [PlatformReply(2, 0x0003)]
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
    assert bodies(platform.bytes_to_send()) == [PlatformReply(8, 0x0200, 2)]


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


def picture(size=5000):
    return MediaData(7, 0, 0, 1, 1, location=Location(*[0] * 7, bytes(6)), data=random.Random(1).randbytes(size))


def losing(numbers):
    """Lose the frames of a message in packages with these numbers, once."""
    left = set(numbers)
    seen = iter(range(10**6))

    def lose(frame):
        if frame[2] & 0x20 and (number := next(seen)) in left:
            left.discard(number)
            return True
        return False

    return lose


def test_a_picture_with_lost_packages_is_completed_by_a_media_answer():
    pair = online()
    pair.lose = losing([1, 3])
    pair.answers_messages = False
    pair.terminal.send(Send(picture(), "picture"), pair.now)
    pair.run(5)
    assert pair.heard(MediaData) == [picture()]
    (received,) = [event for event in pair.platform_events if isinstance(event, Received)]
    pair.platform.send(Answer(received.packet, body=MediaReply(7)), pair.now)
    pair.run()
    assert Answered("picture", MediaReply(7)) in pair.terminal_events


def test_a_picture_without_its_first_package_is_asked_for_by_serial():
    pair = online()
    pair.lose = losing([0])
    pair.terminal.send(Send(picture(), "picture"), pair.now)
    pair.run(5)
    assert pair.heard(MediaData) == [picture()]


def test_a_general_response_is_enough_for_a_picture():
    pair = online()
    pair.terminal.send(Send(picture(), "picture"), pair.now)
    pair.run()
    (answered,) = pair.told(Answered)
    assert (answered.token, answered.result) == ("picture", 0)


@pytest.mark.parametrize(("dialect", "after_s"), [(JT2019, 5), (JT2013, 10)], ids=["2019 asks", "2013 waits"])
def test_an_upgrade_with_a_lost_package_arrives(dialect, after_s):
    pair = online(dialect)
    pair.lose = losing([2])
    upgrade = UpgradePackage(0, b"MAKER", b"2.0", bytes(9000))
    pair.platform.send(Send(upgrade, "upgrade"), pair.now)
    pair.run(after_s - 0.1)
    assert pair.told(Received) == []
    pair.run(0.1)
    (received,) = pair.told(Received)
    assert received.packet.body == upgrade
    pair.terminal.send(Answer(received.packet), pair.now)
    pair.run()
    assert [event.token for event in pair.platform_events if isinstance(event, Answered)] == ["upgrade"]
    pair.run(100)
    assert len(pair.told(Received)) == 1


def test_a_message_whose_package_never_comes_is_given_up_and_told():
    pair = online()
    pair.lose = lambda frame: bool(frame[2] & 0x20) and frame[14:16] == b"\x00\x02"
    pair.terminal.send(Send(picture(), "picture"), pair.now)
    pair.run(400)
    assert Abandoned(0x0801, pair.platform.phone, 5, 4) in pair.platform_events
    assert Unanswered("picture") in pair.terminal_events
    assert pair.terminal.state.value == "online"  # heartbeats went on


def test_an_answer_with_the_serial_of_any_package_counts():
    for number in (0, 3):
        link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers())
        link.connected(0.0)
        link.transmit(Waybill(bytes(4000)), 0.0, "bill")
        serials = [frame.serial for frame in map(decode_frame, split_frames(link.bytes_to_send()))]
        link.receive(wire_of(PlatformReply(serials[number], 0x0701), 1), 0.0)
        assert isinstance(link.next_event(), Settled)


def split_frames(wire):
    return [b"\x7e" + piece + b"\x7e" for piece in wire.split(b"\x7e") if piece]


def test_packages_are_resent_unchanged_and_kept_for_a_few_messages():
    link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers())
    link.connected(0.0)
    link.transmit(Waybill(bytes(4000)), 0.0)
    wires = split_frames(link.bytes_to_send())
    ask = encode_frame(Frame(0x8003, PHONE, 1, bytes.fromhex("00000500030002000300000009")))
    link.receive(ask, 1.0)
    assert split_frames(link.bytes_to_send()) == [wires[1], wires[2]]
    assert link.next_deadline() == 11.0
    link.receive(wire_of(PlatformReply(0, 0x0701), 2), 1.0)
    link.receive(ask, 1.0)
    assert split_frames(link.bytes_to_send()) == [wires[1], wires[2]]  # answered, and still asked for
    for serial in range(4, 4 + 4 * (MAX_KEPT_MESSAGES + 1), 4):
        link.transmit(Waybill(bytes(4000)), 2.0)
        link.receive(wire_of(PlatformReply(serial, 0x0701), serial), 2.0)
    link.bytes_to_send()
    link.receive(ask, 3.0)
    assert link.bytes_to_send() == b""


def test_a_flood_of_requests_to_resend_does_not_fill_memory():
    link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers())
    link.connected(0.0)
    link.transmit(Waybill(bytes(100_000)), 0.0)
    for serial in range(500):
        link.receive(encode_frame(Frame(0x8003, PHONE, serial, bytes.fromhex("00003c") + bytes(range(120)))), 0.0)
        link.receive(encode_frame(Frame(0x8003, PHONE, serial, bytes.fromhex("0000020001") + b"\x00\x02")), 0.0)
    assert len(link.bytes_to_send()) < 1_300_000


def test_serial_numbers_go_round_and_pass_by_those_in_use():
    link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers(retransmissions=0))
    link.connected(0.0)
    link.transmit(Heartbeat(), 0.0, "first")
    link._next_serial = 0xFFFF
    link.transmit(TerminalReply(1, 2), 0.0)
    link.transmit(TerminalReply(1, 2), 0.0)
    serials = [decode_frame(wire).serial for wire in split_frames(link.bytes_to_send())]
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
    for msg_id in BODIES:
        answer = answer_of(msg_id, JT2019)
        if msg_id in ONLY_ANSWERS | {0x0005, 0x8003}:
            assert answer is None
        else:
            assert is_from_platform(answer) != is_from_platform(msg_id)
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
