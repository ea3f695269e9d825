"""ISO-TP: frames, assembly without a clock, and both ends against each other."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError, RemoteProtocolError
from protocols.tests.lossy_link import LossyLink
from protocols.vehicle_bus.iso_tp import (
    ConsecutiveFrame,
    FirstFrame,
    FlowControl,
    SingleFrame,
    decode_frame,
    encode_frame,
    segment,
)
from protocols.vehicle_bus.iso_tp_assembly import MAX_ERRORS, Assembly
from protocols.vehicle_bus.iso_tp_receiver import IsoTpReceiver, Received, ReceiveFailed, ReceiverState
from protocols.vehicle_bus.iso_tp_sender import MAX_WAITS, IsoTpSender, SenderState, SendFailed, Sent

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
GO_ON = bytes.fromhex("300000")


@EXAMPLES
@given(field=st.binary(max_size=70), is_extended=st.booleans(), is_fd=st.booleans())
def test_a_frame_is_written_back_byte_for_byte(field, is_extended, is_fd):
    try:
        frame = decode_frame(field, is_extended=is_extended, is_fd=is_fd)
    except RemoteProtocolError:
        return
    assert encode_frame(frame) == field


FRAMES = st.one_of(
    st.builds(SingleFrame, st.binary(min_size=1, max_size=6), st.just(b"")),
    st.builds(FirstFrame, st.integers(8, 4095), st.binary(min_size=6, max_size=6)),
    st.builds(ConsecutiveFrame, st.integers(0, 15), st.binary(min_size=1, max_size=7)),
    st.builds(FlowControl, st.integers(0, 2), st.integers(0, 255), st.integers(0, 255)),
)


@EXAMPLES
@given(frame=FRAMES)
def test_a_frame_is_read_as_it_was_written(frame):
    assert decode_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize(
    ("byte", "microseconds"), [(0, 0), (0x7F, 127_000), (0x80, 127_000), (0xF1, 100), (0xF9, 900), (0xFA, 127_000)]
)
def test_the_separation_time(byte, microseconds):
    assert FlowControl(0, 0, byte).separation_us == microseconds


@EXAMPLES
@given(
    message=st.binary(min_size=1, max_size=5000),
    address=st.none() | st.integers(0, 255),
    fd_bytes=st.sampled_from([8, 64]),
)
def test_segments_become_the_message_again(message, address, fd_bytes):
    assembly = Assembly(is_extended=address is not None, is_fd=fd_bytes == 64)
    fields = [encode_frame(frame) for frame in segment(message, address=address, fd_bytes=fd_bytes)]
    assert all(len(field) <= fd_bytes for field in fields)
    results = [assembly.add(field) for field in fields]
    assert results[-1] == message
    assert results[:-1] == [None] * (len(fields) - 1)
    assert assembly.errors == []
    assert not assembly.is_open


def test_nothing_that_cannot_be_sent_is_written():
    for wrong in (
        SingleFrame(b""),
        SingleFrame(bytes(8)),
        FirstFrame(4096, b""),
        FirstFrame(1 << 32, b"", is_long=True),
        ConsecutiveFrame(16, b"a"),
        FlowControl(0, 256),
        FlowControl(16),
        SingleFrame(b"a", address=256),
    ):
        with pytest.raises(LocalProtocolError):
            encode_frame(wrong)
    with pytest.raises(LocalProtocolError):
        segment(b"")


@EXAMPLES
@given(fields=st.lists(st.binary(max_size=9), max_size=40))
def test_any_fields_leave_an_assembly_bounded(fields):
    assembly = Assembly(max_bytes=100)
    for field in fields * 3:
        assembly.add(field)
        assert len(assembly._data) <= 100 + 7
        assert assembly.begun >= assembly.finished


def test_a_claim_of_four_gigabytes_costs_nothing_and_errors_do_not_pile_up():
    assembly = Assembly()
    for _ in range(2 * MAX_ERRORS):
        assembly.add(bytes.fromhex("1000ffffffff0102"))
        assembly.add(bytes.fromhex("2101020304050607"))
    assert len(assembly.errors) == MAX_ERRORS
    assert not assembly.is_open


def sent_of(dialogue):
    out = []
    while field := dialogue.bytes_to_send():
        out.append(field.hex())
    return out


def test_blocks_and_separation_time_are_kept():
    sender = IsoTpSender(padding=0xAA)
    sender.send(bytes(range(34)), 0.0)
    assert sent_of(sender) == ["1022000102030405"]
    assert sender.next_deadline() == 1.0
    sender.receive(bytes.fromhex("30020A"), 0.5)
    assert sent_of(sender) == ["21060708090a0b0c"]
    sender.tick(0.509)
    assert sent_of(sender) == []
    assert sender.next_deadline() == pytest.approx(0.51)
    sender.tick(0.51)
    assert sent_of(sender) == ["220d0e0f10111213"]
    assert sender.state is SenderState.FLOW_CONTROL_DUE
    sender.receive(GO_ON, 0.6)
    assert sent_of(sender) == ["231415161718191a", "241b1c1d1e1f2021"]
    assert sender.next_event() == Sent(34)
    assert sender.next_deadline() is None


def test_the_last_frame_is_filled_up():
    sender = IsoTpSender(padding=0xAA)
    sender.send(b"\x3e", 0.0)
    assert sent_of(sender) == ["013eaaaaaaaaaaaa"]


@pytest.mark.parametrize(
    ("size", "lengths"), [(7, [8]), (8, [12]), (40, [48]), (62, [64]), (75, [64, 16]), (125, [64, 64])]
)
def test_on_can_fd_every_field_has_a_size_that_there_is(size, lengths):
    """ISO 15765-2:2016, 10.4.2: beyond 8 bytes fields are filled up to 12, 16, 20, 24, 32, 48 or 64."""
    message = bytes(range(size))
    sender = IsoTpSender(fd_bytes=64, padding=0xAA)
    assembly = Assembly(is_fd=True)
    sender.send(message, 0.0)
    sender.receive(GO_ON, 0.0)
    fields = [bytes.fromhex(field) for field in sent_of(sender)]
    assert [len(field) for field in fields] == lengths
    assert [assembly.add(field) for field in fields][-1] == message
    short = IsoTpSender(fd_bytes=64)
    short.send(bytes(5), 0.0)
    short.send(bytes(20), 0.0)
    assert [len(field) // 2 for field in sent_of(short)] == [6, 24]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("320000", "too long for the receiver"),
        ("330000", "flow control with an unknown status"),
        (None, "no flow control"),
    ],
)
def test_a_message_is_given_up(answer, reason):
    sender = IsoTpSender()
    sender.send(bytes(20), 0.0)
    sent_of(sender)
    sender.tick(0.999)
    assert sender.next_event() is NEED_DATA
    if answer:
        sender.receive(bytes.fromhex(answer), 0.1)
    else:
        sender.tick(1.0)
    assert sender.next_event() == SendFailed(reason)
    assert sender.state is SenderState.IDLE
    sender.send(b"a", 2.0)
    assert sender.next_event() == Sent(1)


def test_wait_prolongs_and_has_a_limit():
    sender = IsoTpSender()
    sender.send(bytes(20), 0.0)
    for number in range(MAX_WAITS):
        sender.receive(bytes.fromhex("310000"), number * 0.9)
        assert sender.next_deadline() == pytest.approx(number * 0.9 + 1.0)
    sender.receive(bytes.fromhex("310000"), 9.0)
    assert sender.next_event() == SendFailed("told to wait too often")


def test_one_message_at_a_time_and_only_flow_control_is_heard():
    sender = IsoTpSender()
    sender.receive(GO_ON, 0.0)
    sender.send(bytes(20), 0.0)
    with pytest.raises(LocalProtocolError):
        sender.send(bytes(20), 0.0)
    for stray in ("0141", "30", "", "2101"):
        sender.receive(bytes.fromhex(stray), 0.0)
    assert sender.stray_frames == 5
    assert sender.state is SenderState.FLOW_CONTROL_DUE


@pytest.mark.parametrize("wrong", [{"block_size": 256}, {"separation": -1}, {"address": 256}])
def test_there_is_no_such_flow_control_and_no_such_address(wrong):
    with pytest.raises(LocalProtocolError):
        IsoTpReceiver(**wrong)
    if "address" in wrong:
        with pytest.raises(LocalProtocolError):
            IsoTpSender(**wrong)


def test_a_receiver_grants_blocks_and_gives_up_after_a_second():
    receiver = IsoTpReceiver(block_size=2, separation=0xF5, padding=0x55)
    receiver.receive(bytes.fromhex("1022000102030405"), 0.0)
    assert sent_of(receiver) == ["3002f55555555555"]
    receiver.receive(bytes.fromhex("21060708090a0b0c"), 0.5)
    assert sent_of(receiver) == []
    receiver.receive(bytes.fromhex("220d0e0f10111213"), 0.6)
    assert sent_of(receiver) == ["3002f55555555555"]
    assert receiver.next_deadline() == 1.6
    receiver.tick(1.59)
    assert receiver.next_event() is NEED_DATA
    receiver.tick(1.6)
    assert receiver.next_event() == ReceiveFailed("no frame for a second")
    receiver.receive(bytes.fromhex("231415161718191a"), 1.7)
    assert receiver.stray_frames == 1


def test_a_frame_that_comes_too_late_is_no_part_of_the_message():
    receiver = IsoTpReceiver()
    receiver.receive(bytes.fromhex("100a000102030405"), 0.0)
    receiver.receive(bytes.fromhex("2106070809"), 1.0)
    assert receiver.next_event() == ReceiveFailed("no frame for a second")
    assert receiver.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("field", "events", "answers"),
    [
        ("0141", [ReceiveFailed("interrupted by another message"), Received(b"A")], []),
        ("100a000102030405", [ReceiveFailed("interrupted by another message")], ["300000"]),
        ("1fff000102030405", [ReceiveFailed("interrupted by another message")], ["320000"]),
        ("2206070809", [ReceiveFailed("wrong sequence number")], []),
        ("300000", [], []),
        ("", [], []),
    ],
)
def test_what_disturbs_a_message(field, events, answers):
    receiver = IsoTpReceiver(max_bytes=100)
    receiver.receive(bytes.fromhex("100a000102030405"), 0.0)
    sent_of(receiver)
    receiver.receive(bytes.fromhex(field), 0.1)
    assert [receiver.next_event() for _ in events] == events
    assert receiver.next_event() is NEED_DATA
    assert sent_of(receiver) == answers


def test_too_long_is_refused_and_a_single_frame_needs_no_answer():
    receiver = IsoTpReceiver(max_bytes=100)
    receiver.receive(bytes.fromhex("1065000102030405"), 0.0)
    assert sent_of(receiver) == ["320000"]
    assert receiver.state is ReceiverState.IDLE
    receiver.receive(bytes.fromhex("0141"), 0.0)
    assert receiver.next_event() == Received(b"A")
    assert sent_of(receiver) == []


@EXAMPLES
@given(
    messages=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5),
    block_size=st.integers(0, 5),
    separation=st.sampled_from([0, 1, 0xF3]),
    address=st.none() | st.just(0xF1),
)
def test_on_a_good_line_every_message_arrives(messages, block_size, separation, address):
    sender = IsoTpSender(address=address)
    receiver = IsoTpReceiver(block_size=block_size, separation=separation, address=address)
    link = LossyLink(sender, receiver)
    for message in messages:
        sender.send(message, link.now)
        link.run()
    assert link.left_events == [Sent(len(message)) for message in messages]
    assert link.right_events == [Received(message) for message in messages]


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.01, 0.4), block_size=st.integers(0, 4))
def test_on_a_bad_line_both_ends_end_and_what_arrives_was_sent(seed, rate, block_size):
    """Bits are not flipped here: CAN's own check sees that. Frames are lost and doubled."""
    rng = random.Random(seed)
    sender, receiver = IsoTpSender(), IsoTpReceiver(block_size=block_size)
    link = LossyLink(sender, receiver, seed=seed, rate=rate)
    link.spoilt = lambda frame: [frame] * rng.choices((0, 1, 2), (rate, 1, rate / 2))[0]
    messages = [rng.randbytes(rng.randint(1, 200)) for _ in range(10)]
    for message in messages:
        sender.send(message, link.now)
        link.run()
        assert sender.state is SenderState.IDLE
        assert receiver.state is ReceiverState.IDLE
    assert len(link.left_events) == len(messages)
    arrived = [event.data for event in link.right_events if isinstance(event, Received)]
    assert set(arrived) <= set(messages)


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_no_bytes_break_either_end(seed):
    link = LossyLink(IsoTpSender(), IsoTpReceiver(max_bytes=500), seed=seed, rate=0.5)
    rng = random.Random(seed)
    for _ in range(10):
        if link.left.state is SenderState.IDLE:
            link.left.send(rng.randbytes(rng.randint(1, 600)), link.now)
        link.right.receive(rng.randbytes(rng.randint(0, 9)), link.now)
        link.left.receive(rng.randbytes(rng.randint(0, 9)), link.now)
        link.run()
        assert len(link.right._data) <= 507
