"""The master on a serial line: pairing, silences, stragglers, echoes, losses."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError
from protocols.modbus_devices.master import BUSY_S, LATE_S, Call, Failed, Failure, Reply, RtuMaster
from protocols.modbus_devices.pdu import RegistersResponse, WriteRegister
from protocols.modbus_devices.rtu import encode_rtu
from protocols.modbus_devices.timing import LineTiming
from protocols.tests.kit import diagram_of
from protocols.tests.modbus_calls import call, events

LINE = LineTiming(baud=9600, bits_per_char=10)
CHAR_S = LINE.char_ms / 1000
SILENCE_S = LINE.t3_5_ms / 1000


def answer(*registers, unit_id=1):
    return encode_rtu(unit_id, RegistersResponse(3, b"".join(r.to_bytes(2, "big") for r in registers)).encode())


def ask(master, asked, now):
    """Send a call, let it become due, and return when its request was on the wire."""
    master.send(asked, now)
    while not (wire := master.bytes_to_send()):
        now = master.next_deadline()
        master.tick(now)
    assert wire == encode_rtu(asked.unit_id, asked.request.encode())
    return now + len(wire) * CHAR_S


def expire(master):
    now = master.next_deadline()
    master.tick(now)
    return now


def test_an_answer_is_paired_with_its_call():
    master = RtuMaster(LINE)
    asked = call()
    sent = ask(master, asked, 10.0)
    master.receive(answer(7, 8), sent + 0.02)
    (event,) = events(master)
    assert isinstance(event, Reply)
    assert event.call is asked
    assert event.response.registers == (7, 8)
    assert event.at == sent + 0.02
    assert master.has_room


def test_noise_before_an_answer_and_leftovers_behind_it_are_counted():
    master = RtuMaster(LINE)
    sent = ask(master, call(), 10.0)
    master.receive(b"\xff\x00\xff" + answer(7, 8), sent + 0.02)
    assert [event.response.registers for event in events(master)] == [(7, 8)]
    assert master.counters.discarded_bytes == 3
    master.receive(b"\x01\x03", sent + 0.03)
    ask(master, call(), sent + 1.0)
    assert master.counters.discarded_bytes == 5


def test_an_answer_comes_byte_by_byte():
    master = RtuMaster(LINE)
    sent = ask(master, call(), 10.0)
    for i, byte in enumerate(answer(7, 8)):
        assert events(master) == []
        master.receive(bytes((byte,)), sent + 0.02 + i * CHAR_S)
    assert [event.response.registers for event in events(master)] == [(7, 8)]


def test_the_line_is_silent_before_each_request():
    master = RtuMaster(LINE)
    sent = ask(master, call(), 10.0)
    master.receive(answer(7, 8), sent + 0.02)
    events(master)
    master.send(call(), sent + 0.0201)
    assert master.bytes_to_send() == b""
    assert master.next_deadline() == pytest.approx(sent + 0.02 + SILENCE_S)
    master.receive(b"\x55", sent + 0.022)  # noise: the silence starts anew
    assert master.next_deadline() == pytest.approx(sent + 0.022 + SILENCE_S)
    master.tick(master.next_deadline())
    assert master.bytes_to_send() != b""


def test_one_call_is_open_at_most():
    master = RtuMaster(LINE)
    master.send(call(), 0.0)
    with pytest.raises(LocalProtocolError):
        master.send(call(), 0.0)
    with pytest.raises(LocalProtocolError):
        RtuMaster(LINE).send(call(unit_id=0), 0.0)


def test_silence_is_a_time_out_and_bytes_are_noise():
    master = RtuMaster(LINE)
    ask(master, call(), 0.0)
    expire(master)
    assert [event.reason for event in events(master)] == [Failure.TIMEOUT]
    ask(master, call(unit_id=2), 1.0)
    master.receive(b"\x00\xff\x03", 1.05)
    expire(master)
    assert [event.reason for event in events(master)] == [Failure.NOISE]
    assert (master.counters.timeouts, master.counters.noise) == (1, 1)


def test_noise_around_an_answer_is_passed_over():
    master = RtuMaster(LINE)
    sent = ask(master, call(), 0.0)
    foreign = answer(1, 2, unit_id=9) + encode_rtu(1, bytes.fromhex("0300000001"))
    master.receive(b"\x01\x03" + foreign + answer(7, 8) + b"\xff", sent + 0.03)
    assert [event.response.registers for event in events(master)] == [(7, 8)]


@pytest.mark.parametrize("wrong", [answer(7, 8, unit_id=2), answer(7), answer(7, 8, 9), answer(7, 8)[:-1] + b"\x00"])
def test_what_does_not_fit_is_not_taken(wrong):
    master = RtuMaster(LINE)
    sent = ask(master, call(), 0.0)
    master.receive(wrong, sent + 0.02)
    assert events(master) == []
    expire(master)
    assert [event.reason for event in events(master)] == [Failure.NOISE]


def test_an_exception_carries_its_code():
    master = RtuMaster(LINE)
    asked = call()
    sent = ask(master, asked, 0.0)
    master.receive(encode_rtu(1, bytes.fromhex("8302")), sent + 0.02)
    assert events(master) == [Failed(asked, Failure.EXCEPTION, sent + 0.02, 2)]


def test_a_late_answer_is_never_taken_for_anothers():
    """Field failure 15: A answers after its time-out, while B of the same shape is wanted."""
    master = RtuMaster(LINE)
    a, b = call(address=0), call(address=100)
    ask(master, a, 0.0)
    expire(master)
    assert [event.reason for event in events(master)] == [Failure.TIMEOUT]
    master.send(b, 0.11)
    assert master.held_until(b, 0.11) == pytest.approx(0.1 + LATE_S, abs=0.01)
    master.receive(answer(0xA, 0xA), 0.3)  # A's, at last
    assert events(master) == []
    assert master.counters.late == 1
    due = master.next_deadline()
    assert due == pytest.approx(0.3 + SILENCE_S)  # nothing is due any more, so B need not wait
    master.tick(due)
    assert master.bytes_to_send() != b""
    master.receive(answer(0xB, 0xB), due + 0.05)
    assert [(event.call, event.response.registers) for event in events(master)] == [(b, (0xB, 0xB))]


def test_what_a_straggler_cannot_be_mistaken_for_is_not_held():
    master = RtuMaster(LINE)
    ask(master, call(address=0), 0.0)
    expire(master)
    events(master)
    for other in (call(address=0), call(address=100, quantity=3), call(address=100, unit_id=2)):
        assert master.held_until(other, 0.11) == 0.11
    assert master.held_until(call(address=100), 0.11 + LATE_S) == 0.11 + LATE_S


def test_the_same_question_may_be_asked_again_and_both_answers_are_accounted_for():
    master = RtuMaster(LINE)
    ask(master, call(), 0.0)
    expire(master)
    events(master)
    sent = ask(master, call(), 0.11)
    master.receive(answer(1, 1), sent + 0.01)  # of the first question, late: the right registers all the same
    assert len(events(master)) == 1
    assert master.held_until(call(address=100), 0.2) > 2.0  # the second answer is still due
    master.receive(answer(2, 2), 0.3)
    assert master.held_until(call(address=100), 0.31) == 0.31


def test_a_damaged_answer_has_come_and_is_no_straggler():
    master = RtuMaster(LINE)
    sent = ask(master, call(), 0.0)
    master.receive(answer(7, 8)[:-1] + b"\x00", sent + 0.02)
    expire(master)
    events(master)
    assert master.held_until(call(address=100), 0.11) == 0.11


def test_a_late_exception_is_not_taken_for_anothers():
    master = RtuMaster(LINE)
    ask(master, call(address=0), 0.0)
    expire(master)
    events(master)
    b = call(address=100, quantity=5)  # its answers look different, its exceptions do not
    sent = ask(master, b, 0.11)
    master.receive(encode_rtu(1, bytes.fromhex("8302")), sent + 0.01)
    assert events(master) == []
    master.receive(answer(1, 2, 3, 4, 5), sent + 0.05)
    assert [event.call for event in events(master)] == [b]


def test_a_line_that_never_falls_silent_is_given_up():
    master = RtuMaster(LINE)
    now = 0.0
    master.receive(b"\x55", now)
    master.send(call(), now)
    while not (found := events(master)):
        now += SILENCE_S / 2
        master.receive(b"\x55", now)
        if master.next_deadline() is not None and master.next_deadline() <= now:
            master.tick(now)
        assert now < 10
    assert [event.reason for event in found] == [Failure.LINE_BUSY]
    assert master.bytes_to_send() == b""
    assert now == pytest.approx(0.1 + BUSY_S + LATE_S, abs=0.01)


def test_an_echo_is_found_out_and_does_not_confirm_a_write():
    master = RtuMaster(LINE)
    asked = call()
    sent = ask(master, asked, 0.0)
    master.receive(encode_rtu(1, asked.request.encode()) + answer(7, 8), sent + 0.02)
    assert [event.response.registers for event in events(master)] == [(7, 8)]
    assert master.is_echoing
    write = Call(unit_id=1, request=WriteRegister(register_value=5, start_address=3), timeout_s=0.1)
    wire = encode_rtu(1, write.request.encode())
    sent = ask(master, write, 1.0)
    master.receive(wire[:5], sent)
    master.receive(wire[5:], sent)
    assert events(master) == []
    master.receive(wire, sent + 0.02)  # the device's own answer
    assert [event.call for event in events(master)] == [write]
    ask(master, write, 2.0)
    master.receive(wire, 2.01)  # only the echo
    expire(master)
    assert [event.reason for event in events(master)] == [Failure.TIMEOUT]


def test_an_adapter_that_stops_echoing_is_still_heard():
    master = RtuMaster(LINE)
    asked = call()
    for now, echo in ((0.0, True), (1.0, False), (2.0, True)):
        sent = ask(master, asked, now)
        master.receive((encode_rtu(1, asked.request.encode()) if echo else b"") + answer(7, 8), sent + 0.02)
        assert [event.response.registers for event in events(master)] == [(7, 8)]


def test_a_broken_port_gives_the_calls_back():
    master = RtuMaster(LINE)
    asked = call()
    ask(master, asked, 0.0)
    assert master.abandon(0.05) == [asked]
    assert master.has_room
    assert master.held_until(call(address=100), 0.06) > 2.0  # its answer may still lie in the adapter
    master.send(call(), 0.06)
    assert len(master.abandon(0.06)) == 1


def test_without_a_line_nothing_waits():
    master = RtuMaster(None)
    master.send(call(), 0.0)
    assert master.bytes_to_send() != b""
    master.receive(answer(1, 2), 0.0)
    master.send(call(), 0.0)
    assert master.bytes_to_send() != b""


def test_the_diagram_of_the_page_is_that_of_the_table():
    page = Path(__file__).parents[2] / "docs" / "protocols" / "modbus_devices.md"
    assert diagram_of(RtuMaster.TRANSITIONS) in page.read_text("utf-8")


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10))
def test_any_bytes_do_no_harm_on_a_line(chunks):
    master = RtuMaster(LINE)
    now = ask(master, call(), 0.0)
    for chunk in chunks:
        master.receive(chunk, now)
    master.tick(1.0)
    assert len(events(master)) == 1
    asked = call(quantity=3)
    sent = ask(master, asked, 100.0)
    master.receive(answer(1, 2, 3), sent + 0.01)
    assert [event.call for event in events(master)] == [asked]


def test_random_loss_never_pairs_an_answer_with_another_call():
    """Field failure 15 at length: a device that drops, delays and doubles answers, seeded."""
    rng = random.Random(15)
    master = RtuMaster(LINE)
    now, late = 0.0, []
    good = 0
    for _ in range(2000):
        address = rng.randrange(4)
        asked = call(address=address, timeout_s=0.1)
        master.send(asked, now)
        while True:
            for when, wire in [entry for entry in late if entry[0] <= now]:
                late.remove((when, wire))
                master.receive(wire, now)
            if master.bytes_to_send():
                delay = rng.choice((0.01, 0.03, 0.09, 0.15, 0.5, 1.2, None))
                if delay is not None:
                    late.append((now + delay, answer(address, address)))
            found = events(master)
            if found:
                break
            now = min([when for when, _ in late] + [master.next_deadline()])
            if now >= master.next_deadline():
                master.tick(now)
        (event,) = found
        if isinstance(event, Reply):
            good += 1
            assert event.response.registers == (address, address)
    assert good > 500
