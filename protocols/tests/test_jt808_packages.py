"""Long JT/T 808 messages between both ends: packages that are lost, asked for, resent, answered."""

import random

import pytest

from protocols.jt808.control import UpgradePackage
from protocols.jt808.dialect import JT2013, JT2019
from protocols.jt808.driver import Waybill
from protocols.jt808.frame import Frame, encode_frame
from protocols.jt808.general import PlatformReply
from protocols.jt808.link import MAX_KEPT_MESSAGES, Link, Settled, Timers
from protocols.jt808.location import Location
from protocols.jt808.media import MediaData, MediaReply
from protocols.jt808.session import Answer, Answered, Received, Send, Unanswered
from protocols.jt808.subpackage import Abandoned
from protocols.tests.jt808_pair import PHONE, frames_in, online, wire_of


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
        serials = [frame.serial for frame in frames_in(link.bytes_to_send())]
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


def test_packages_of_the_last_connection_are_not_resent_on_this_one():
    link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers())
    link.connected(0.0)
    link.transmit(Waybill(bytes(4000)), 0.0)
    link.connected(1.0)
    link.receive(encode_frame(Frame(0x8003, PHONE, 1, bytes.fromhex("0000 01 0002"))), 1.0)
    assert link.bytes_to_send() == b""


def test_a_flood_of_requests_to_resend_does_not_fill_memory():
    link = Link(is_platform=False, phone=PHONE, dialect=JT2013, timers=Timers())
    link.connected(0.0)
    link.transmit(Waybill(bytes(100_000)), 0.0)
    for serial in range(500):
        link.receive(encode_frame(Frame(0x8003, PHONE, serial, bytes.fromhex("00003c") + bytes(range(120)))), 0.0)
        link.receive(encode_frame(Frame(0x8003, PHONE, serial, bytes.fromhex("0000020001") + b"\x00\x02")), 0.0)
    assert len(link.bytes_to_send()) < 1_300_000
