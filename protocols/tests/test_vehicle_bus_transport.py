"""The J1939 transport protocol: frames, the listener, and both ends against each other."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FieldError, LocalProtocolError, RemoteProtocolError
from protocols.tests.kit import events_of
from protocols.tests.lossy_link import LossyLink
from protocols.vehicle_bus.can_frame import CanFrame, decode_can_frame, encode_can_frame
from protocols.vehicle_bus.identifier import J1939Id, encode_identifier, split_id
from protocols.vehicle_bus.transport import (
    decode_control,
    decode_packet,
    encode_control,
    encode_packet,
)
from protocols.vehicle_bus.transport_listener import Aborted, TransportListener
from protocols.vehicle_bus.transport_receiver import MAX_SESSIONS, Received, ReceiveFailed, TransportReceiver
from protocols.vehicle_bus.transport_sender import MAX_HOLDS, Message, SenderState, SendFailed, Sent, TransportSender

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
PGN = 65259


def text_of(frame):
    """A frame as ID#DATA."""
    frame = decode_can_frame(frame)
    return f"{frame.identifier:08X}#{frame.data.hex().upper()}"


def frame_of(text):
    digits, _mark, data = text.partition("#")
    return encode_can_frame(CanFrame(int(digits, 16), bytes.fromhex(data)))


def sent_of(dialogue):
    out = []
    while frame := dialogue.bytes_to_send():
        out.append(text_of(frame))
    return out


@EXAMPLES
@given(record=st.binary(min_size=14, max_size=18))
def test_any_record_is_a_frame_or_refused(record):
    try:
        frame = decode_can_frame(record)
    except RemoteProtocolError:
        return
    assert decode_can_frame(encode_can_frame(frame)) == frame


@pytest.mark.parametrize(
    "record",
    ["00f1fe9809" + "00" * 11, "00080000" + "00" * 12, "00f1feb8" + "00" * 12, "00f1fed8" + "00" * 12, "00"],
)
def test_a_record_is_refused(record):
    with pytest.raises(RemoteProtocolError):
        decode_can_frame(bytes.fromhex(record))


def test_a_frame_out_of_bounds_is_not_written():
    for wrong in (CanFrame(0x20000000, b""), CanFrame(0x800, b"", is_extended=False), CanFrame(1, bytes(9))):
        with pytest.raises(LocalProtocolError):
            encode_can_frame(wrong)


@EXAMPLES
@given(data=st.binary(min_size=8, max_size=8))
def test_transport_frames_are_written_back(data):
    assert encode_control(decode_control(data)) == data
    assert encode_packet(decode_packet(data)) == data


def heard(frames, now=0.0, listener=None):
    listener = listener or TransportListener()
    for text in frames:
        frame = decode_can_frame(frame_of(text))
        listener.receive(split_id(frame.identifier), frame.data, now)
    return listener


BAM = "18ECFF00#20120003FFCAFE00"
FIRST, SECOND, THIRD = "18EBFF00#0100FF5B0003015C", "18EBFF00#020004025D000503", "18EBFF00#035E000604FFFFFF"
RTS = "1CEC0201#1014000301B0FE00"


@pytest.mark.parametrize(
    ("frames", "dropped", "open_sessions", "events"),
    [
        ([BAM, BAM, FIRST], 1, 1, 0),
        ([BAM, FIRST, THIRD, SECOND], 1, 0, 0),
        ([BAM, FIRST, FIRST], 1, 0, 0),
        ([FIRST, SECOND], 0, 0, 0),
        (["18ECFF00#20080002FFCAFE00"], 1, 0, 0),
        (["18ECFF00#20120004FFCAFE00"], 1, 0, 0),
        (["18ECFF00#10120003FFCAFE00"], 1, 0, 0),
        (["18EC0200#20120003FFCAFE00"], 1, 0, 0),
        ([RTS, "1CEC0102#FF01FFFFFFB0FE00"], 0, 0, 1),
        ([RTS, "1CEC0201#FF01FFFFFFB0FE00"], 0, 0, 1),
        ([RTS, "1CEC0201#FF01FFFFFFB1FE00"], 0, 1, 0),
        ([RTS, "1CEB0201#0201020304050607"], 0, 1, 0),
        ([RTS, RTS], 1, 1, 0),
        ([BAM, "18FEF100#0102", FIRST, SECOND, THIRD, THIRD], 0, 0, 1),
    ],
)
def test_what_the_listener_makes_of_it(frames, dropped, open_sessions, events):
    listener = heard(frames)
    assert (listener.dropped, listener.open_sessions, len(events_of(listener))) == (dropped, open_sessions, events)


def test_an_abort_is_told_once():
    listener = heard([RTS, "1CEC0102#FF02FFFFFFB0FE00", "1CEC0102#FF02FFFFFFB0FE00"])
    assert events_of(listener) == [Aborted(65200, 1, 2, 2)]


def test_a_listener_forgets_at_its_deadlines():
    listener = heard([BAM])
    heard([RTS], 0.1, listener)
    assert listener.next_deadline() == 0.75
    heard(["1CEC0102#110101FFFFB0FE00"], 0.5, listener)
    listener.tick(0.75)
    assert (listener.dropped, listener.open_sessions, listener.next_deadline()) == (1, 1, 1.75)
    listener.tick(1.75)
    assert (listener.dropped, listener.open_sessions, listener.next_deadline()) == (2, 0, None)


def test_a_listener_keeps_a_bounded_number_of_sessions():
    listener = TransportListener(max_sessions=4)
    heard([f"18ECFF{number:02X}#20120003FFCAFE00" for number in range(10)], listener=listener)
    assert (listener.open_sessions, listener.dropped) == (4, 6)


def test_a_frame_of_another_size_is_refused():
    with pytest.raises(FieldError):
        heard(["18ECFF00#20"])


def test_a_broadcast_on_the_wire():
    sender = TransportSender(0x21)
    sender.send(Message(PGN, bytes(range(17))), 0.0)
    assert sent_of(sender) == ["1CECFF21#20110003FFEBFE00"]
    frames = []
    while (due := sender.next_deadline()) is not None:
        sender.tick(due - 0.001)
        assert sent_of(sender) == []
        sender.tick(due)
        frames += sent_of(sender)
    assert frames == ["1CEBFF21#0100010203040506", "1CEBFF21#020708090A0B0C0D", "1CEBFF21#030E0F10FFFFFFFF"]
    assert events_of(sender) == [Sent(Message(PGN, bytes(range(17))))]
    assert due is None


def to_one(size=20):
    sender = TransportSender(1)
    sender.send(Message(65200, bytes(range(size)), 2), 0.0)
    return sender


def test_grants_are_served_as_they_come():
    sender = to_one()
    assert sent_of(sender) == ["1CEC0201#10140003FFB0FE00"]
    sender.receive(frame_of("1CEC0102#110101FFFFB0FE00"), 0.1)
    assert sent_of(sender) == ["1CEB0201#0100010203040506"]
    sender.receive(frame_of("1CEC0102#110002FFFFB0FE00"), 0.2)
    assert sender.next_deadline() == pytest.approx(0.2 + 1.05)
    sender.receive(frame_of("1CEC0102#110902FFFFB0FE00"), 1.2)
    assert sent_of(sender) == ["1CEB0201#020708090A0B0C0D", "1CEB0201#030E0F10111213FF"]
    assert sender.state is SenderState.END_DUE
    sender.receive(frame_of("1CEC0102#13140003FFB0FE00"), 1.3)
    assert events_of(sender) == [Sent(Message(65200, bytes(range(20)), 2))]


@pytest.mark.parametrize(
    "frame",
    [
        "1CEC0103#110101FFFFB0FE00",  # another node
        "1CEC0402#110101FFFFB0FE00",  # to another node
        "1CEC0102#110101FFFFB1FE00",  # another group
        "1CEC0102#110100FFFFB0FE00",  # packet 0
        "1CEC0102#110104FFFFB0FE00",  # a packet that is not
        "1CEC0102#130101FFFFB0FE00",  # the end, before the end
        "1CEC0102#77",
        "1CFEF102#00",
    ],
)
def test_what_is_not_for_this_message_is_passed_over(frame):
    sender = to_one()
    sent_of(sender)
    sender.receive(frame_of(frame), 0.1)
    sender.receive(b"", 0.1)
    assert sent_of(sender) == []
    assert sender.state is SenderState.CTS_DUE
    assert sender.next_deadline() == 1.25


def test_a_silent_receiver_is_told_that_it_is_over():
    sender = to_one()
    sent_of(sender)
    sender.tick(1.25)
    assert sent_of(sender) == ["1CEC0201#FF03FFFFFFB0FE00"]
    assert [event.reason for event in events_of(sender)] == ["the receiver is silent"]


def test_a_receiver_that_aborts():
    sender = to_one()
    sender.receive(frame_of("1CEC0102#FF02FFFFFFB0FE00"), 0.1)
    assert events_of(sender) == [SendFailed(Message(65200, bytes(range(20)), 2), "the receiver aborted", 2)]
    assert sender.next_deadline() is None


def test_nobody_makes_it_send_for_ever():
    sender = to_one()
    for number in range(20):
        sender.receive(frame_of("1CEC0102#110201FFFFB0FE00"), number * 0.1)
    assert [event.reason for event in events_of(sender)] == ["the receiver asks for the same again and again"]
    assert sender.state is SenderState.IDLE
    assert len(sent_of(sender)) <= 10


@pytest.mark.parametrize("frame", ["1CEC0102#110000FFFFB0FE00", "1CEC0102#110001FFFFB0FE00"])
def test_nobody_holds_it_for_ever(frame):
    sender = to_one()
    held = 0
    while sender.state is SenderState.CTS_DUE:
        held += 1
        sender.receive(frame_of(frame), held * 0.5)
    assert held == MAX_HOLDS + 1
    assert [event.reason for event in events_of(sender)] == ["the receiver holds for too long"]
    assert sent_of(sender) == ["1CEC0201#FF03FFFFFFB0FE00"]
    assert sender.next_deadline() is None


def test_what_cannot_be_sent():
    sender = TransportSender(1)
    for wrong in (
        Message(PGN, bytes(8)),
        Message(PGN, bytes(1786)),
        Message(1 << 24, bytes(9)),
        Message(PGN, bytes(9), 256),
    ):
        with pytest.raises(LocalProtocolError):
            sender.send(wrong, 0.0)
    sender.send(Message(PGN, bytes(9)), 0.0)
    with pytest.raises(LocalProtocolError):
        sender.send(Message(PGN, bytes(9)), 0.0)


def test_a_lost_packet_is_asked_for_again():
    receiver = TransportReceiver(2)
    receiver.receive(frame_of("1CEC0201#10140003FFB0FE00"), 0.0)
    assert sent_of(receiver) == ["1CEC0102#110301FFFFB0FE00"]
    receiver.receive(frame_of("1CEB0201#0100010203040506"), 0.1)
    receiver.receive(frame_of("1CEB0201#030E0F10111213FF"), 0.2)
    assert sent_of(receiver) == ["1CEC0102#110202FFFFB0FE00"]
    receiver.receive(frame_of("1CEB0201#020708090A0B0C0D"), 0.3)
    receiver.receive(frame_of("1CEB0201#030E0F10111213FF"), 0.4)
    assert sent_of(receiver) == ["1CEC0102#13140003FFB0FE00"]
    assert events_of(receiver) == [Received(65200, 1, bytes(range(20)))]
    assert receiver.open_sessions == 0


def test_a_silent_sender_is_asked_twice():
    receiver = TransportReceiver(2)
    receiver.receive(frame_of("1CEC0201#10140003FFB0FE00"), 0.0)
    sent_of(receiver)
    times = []
    while (due := receiver.next_deadline()) is not None:
        times.append(due)
        receiver.tick(due)
    assert times == [1.25, 2.5, 3.75]
    assert sent_of(receiver) == ["1CEC0102#110301FFFFB0FE00"] * 2 + ["1CEC0102#FF03FFFFFFB0FE00"]
    assert events_of(receiver) == [ReceiveFailed(65200, 1, "packets did not come")]


@pytest.mark.parametrize("sequence", ["01", "63", "FF", "00"])
def test_packets_that_bring_nothing_keep_no_session_alive(sequence):
    receiver = TransportReceiver(2)
    receiver.receive(frame_of("1CEC0201#10140003FFB0FE00"), 0.0)
    receiver.receive(frame_of("1CEB0201#0100010203040506"), 0.0)
    now = 0.0
    while receiver.open_sessions:
        now += 0.25
        assert now < 10.0, "no end"
        receiver.receive(frame_of(f"1CEB0201#{sequence}00010203040506"), now)
        receiver.tick(now)
    assert events_of(receiver) == [ReceiveFailed(65200, 1, "packets did not come")]


def test_a_later_packet_of_the_window_shows_that_the_sender_is_at_work():
    receiver = TransportReceiver(2)
    receiver.receive(frame_of("1CEC0201#10230005FFB0FE00"), 0.0)
    sent_of(receiver)
    for number, now in ((2, 1.0), (3, 1.6), (4, 2.2)):
        receiver.receive(frame_of(f"1CEB0201#0{number}00010203040506"), now)
        receiver.tick(now)
        assert receiver.next_deadline() == pytest.approx(now + 0.75)
        assert sent_of(receiver) == []
    receiver.receive(frame_of("1CEB0201#0500010203040506"), 2.8)
    assert sent_of(receiver) == ["1CEC0102#110501FFFFB0FE00"]


def test_a_receiver_has_few_sessions_and_keeps_the_window():
    receiver = TransportReceiver(2)
    for source in range(MAX_SESSIONS + 1):
        receiver.receive(frame_of(f"1CEC02{source:02X}#10F906FF05B0FE00"), 0.0)
    answers = sent_of(receiver)
    assert answers[:-1] == [f"1CEC{source:02X}02#110501FFFFB0FE00" for source in range(MAX_SESSIONS)]
    assert answers[-1] == f"1CEC{MAX_SESSIONS:02X}02#FF02FFFFFFB0FE00"
    receiver.receive(frame_of("1CEC0200#FF03FFFFFFB0FE00"), 0.1)
    receiver.receive(frame_of("1CEC0201#10F906FF05B0FE00"), 0.1)
    receiver.receive(frame_of("1CEC0203#1000000005B0FE00"), 0.1)
    assert [event.reason for event in events_of(receiver)] == [
        "the sender aborted",
        "the sender began anew",
        "the sender began anew",
    ]
    assert receiver.open_sessions == MAX_SESSIONS - 2
    receiver.receive(frame_of("1CEB0277#0100010203040506"), 0.1)
    receiver.receive(frame_of("1CEB0201#01"), 0.1)
    assert receiver.stray_frames == 2


@EXAMPLES
@given(size=st.integers(9, 1785))
def test_on_a_good_line_every_message_arrives(size):
    message = Message(PGN, random.Random(size).randbytes(size), 2)
    link = LossyLink(TransportSender(1), TransportReceiver(2))
    link.left.send(message, 0.0)
    link.run()
    assert link.now == 0.0
    assert link.left_events == [Sent(message)]
    assert link.right_events == [Received(PGN, 1, message.data)]


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.01, 0.3))
def test_on_a_bad_line_both_ends_end_and_what_arrives_was_sent(seed, rate):
    rng = random.Random(seed)
    link = LossyLink(TransportSender(1), TransportReceiver(2), seed=seed, rate=rate)
    link.spoilt = lambda frame: [frame] * rng.choices((0, 1), (rate, 1))[0]
    messages = [Message(PGN, rng.randbytes(rng.randint(9, 300)), 2) for _ in range(8)]
    for message in messages:
        link.left.send(message, link.now)
        link.run()
        assert link.left.state is SenderState.IDLE
        assert link.right.open_sessions == 0
    arrived = [event.data for event in link.right_events if isinstance(event, Received)]
    assert set(arrived) <= {message.data for message in messages}
    done = [event.message.data for event in link.left_events if isinstance(event, Sent)]
    assert set(done) <= set(arrived)


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_no_bytes_break_either_end(seed):
    rng = random.Random(seed)
    link = LossyLink(TransportSender(1), TransportReceiver(2), seed=seed, rate=0.5)
    for _ in range(10):
        if link.left.state is SenderState.IDLE:
            link.left.send(Message(PGN, rng.randbytes(rng.randint(9, 100)), rng.choice((2, 255))), link.now)
        kind = rng.choice((0xEC00, 0xEB00))
        identifier = encode_identifier(J1939Id(7, kind, rng.choice((1, 2)), rng.choice((1, 2, 3))))
        body = bytes((rng.choice((1, 2, 16, 17, 19, 32, 255)), *rng.randbytes(7)))
        for end in (link.left, link.right):
            end.receive(encode_can_frame(CanFrame(identifier, body)), link.now)
            end.receive(rng.randbytes(16), link.now)
        link.run()
