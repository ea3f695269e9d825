"""The Modbus TCP master: a window of calls, deadlines, transaction numbers, streams out of step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import FrameError, LocalProtocolError, NeedData
from protocols.modbus_devices.master import Failed, Failure
from protocols.modbus_devices.pdu import RegistersResponse
from protocols.modbus_devices.tcp import TcpFramer, encode_tcp
from protocols.modbus_devices.tcp_master import TcpMaster
from protocols.tests.modbus_calls import call, events


def tcp_requests(master):
    framer = TcpFramer()
    framer.feed(master.bytes_to_send())
    found = []
    while not isinstance(frame := framer.next_frame(), NeedData):
        found.append(frame)
    return found


def tcp_answer(frame, *registers, unit_id=None):
    pdu = RegistersResponse(3, b"".join(r.to_bytes(2, "big") for r in registers)).encode()
    return encode_tcp(frame.transaction_id, frame.unit_id if unit_id is None else unit_id, pdu)


def test_a_window_of_calls_is_answered_in_any_order():
    master = TcpMaster(max_in_flight=3)
    calls = [call(address=10 * i) for i in range(3)]
    for asked in calls:
        master.send(asked, 0.0)
    assert not master.has_room
    with pytest.raises(LocalProtocolError):
        master.send(call(), 0.0)
    frames = tcp_requests(master)
    assert len({frame.transaction_id for frame in frames}) == 3
    for i in (2, 0, 1):
        master.receive(tcp_answer(frames[i], i, i), 0.01)
    assert [(event.call, event.response.registers) for event in events(master)] == [
        (calls[2], (2, 2)),
        (calls[0], (0, 0)),
        (calls[1], (1, 1)),
    ]


def test_each_call_has_the_time_of_those_before_it():
    master = TcpMaster(max_in_flight=3)
    for _ in range(3):
        master.send(call(timeout_s=0.1), 0.0)
    for deadline, left in ((0.1, 2), (0.2, 1), (0.3, 0)):
        assert master.next_deadline() == pytest.approx(deadline)
        master.tick(deadline + 1e-9)
        assert [event.reason for event in events(master)] == [Failure.TIMEOUT]
        assert len(master.abandon(0.0) if left == 0 else []) == 0
    assert master.next_deadline() is None


def test_a_late_tcp_answer_belongs_to_nobody():
    """Field failure 15 over TCP."""
    master = TcpMaster()
    master.send(call(address=0), 0.0)
    (late,) = tcp_requests(master)
    master.tick(0.2)
    events(master)
    b = call(address=100)
    master.send(b, 0.2)
    (frame,) = tcp_requests(master)
    master.receive(tcp_answer(late, 0xA, 0xA) + tcp_answer(frame, 0xB, 0xB), 0.3)
    assert [(event.call, event.response.registers) for event in events(master)] == [(b, (0xB, 0xB))]
    assert master.counters.late == 1


def test_an_overdue_transaction_number_rests():
    master = TcpMaster()
    master.send(call(), 0.0)
    (overdue,) = tcp_requests(master)
    master.tick(1.0)
    events(master)
    seen = set()
    for _ in range(0x1_0000):
        master.send(call(), 2.0)
        (frame,) = tcp_requests(master)
        seen.add(frame.transaction_id)
        master.receive(tcp_answer(frame, 1, 1), 2.0)
        assert len(events(master)) == 1
    assert overdue.transaction_id not in seen
    for _ in range(0x1_0000):
        master.send(call(), 100.0)
        (frame,) = tcp_requests(master)
        seen.add(frame.transaction_id)
        master.receive(tcp_answer(frame, 1, 1), 100.0)
        events(master)
    assert overdue.transaction_id in seen


@pytest.mark.parametrize(
    "wrong",
    [
        lambda f: tcp_answer(f, 1),
        lambda f: tcp_answer(f, 1, 1, unit_id=9),
        lambda f: encode_tcp(f.transaction_id, 1, b"\x04\x02\x00\x01"),
    ],
)
def test_a_tcp_answer_that_does_not_fit_is_refused(wrong):
    master = TcpMaster()
    asked = call()
    master.send(asked, 0.0)
    (frame,) = tcp_requests(master)
    master.receive(wrong(frame), 0.1)
    assert events(master) == [Failed(asked, Failure.MISMATCHED, 0.1)]
    assert master.has_room


def test_a_tcp_exception_carries_its_code():
    master = TcpMaster()
    asked = call()
    master.send(asked, 0.0)
    (frame,) = tcp_requests(master)
    master.receive(encode_tcp(frame.transaction_id, 1, b"\x83\x06"), 0.1)
    assert events(master) == [Failed(asked, Failure.EXCEPTION, 0.1, 6)]


def test_a_stream_out_of_step_is_told_and_a_new_connection_starts_clean():
    master = TcpMaster(max_in_flight=2)
    asked = call()
    master.send(asked, 0.0)
    with pytest.raises(FrameError):
        master.receive(b"HTTP/1.1 400 Bad Request\r\n", 0.1)
    assert master.abandon(0.1) == [asked]
    master.send(asked, 0.2)
    (frame,) = tcp_requests(master)
    master.receive(tcp_answer(frame, 1, 2), 0.3)
    assert [event.call for event in events(master)] == [asked]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10))
def test_any_bytes_do_no_harm_over_tcp(chunks):
    master = TcpMaster()
    master.send(call(), 0.0)
    for chunk in chunks:
        try:
            master.receive(chunk, 0.0)
        except FrameError:
            master.abandon(0.0)
    master.tick(10.0)
    assert len(events(master)) <= 1
    master.abandon(10.0)
    asked = call()
    master.send(asked, 20.0)
    frame = tcp_requests(master)[-1]
    master.receive(tcp_answer(frame, 1, 2), 20.1)
    (event,) = events(master)
    assert event.call is asked
    assert event.response.registers == (1, 2)


def test_a_window_has_bounds():
    for size in (0, 17):
        with pytest.raises(LocalProtocolError):
            TcpMaster(max_in_flight=size)
