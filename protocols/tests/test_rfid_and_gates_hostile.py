"""Ends that talk to readers, to hostapd and to gates, under anything that may come, in any order and at any time."""

import random
from typing import Any

import msgspec
import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.length_framer import LengthFramer
from protocols.rfid_and_gates import llrp_reports as reports
from protocols.rfid_and_gates.gate import Gate, GateInput, GateSettings, GateState
from protocols.rfid_and_gates.hostapd_client import Ask, HostapdClient, HostapdState, ListStations
from protocols.rfid_and_gates.idcard_reader import CardReader, Poll, ReaderSettings, ReaderState, Stop
from protocols.rfid_and_gates.idcard_sam import Frame, Sw3, encode_frame
from protocols.rfid_and_gates.llrp_client import GAP_S, Close, LlrpClient, LlrpSettings, LlrpState
from protocols.rfid_and_gates.llrp_message import (
    FORM,
    MAX_MESSAGE_BYTES,
    LlrpMessage,
    decode_message_frame,
    encode_message_frame,
    llrp_framer,
)
from protocols.tests.kit import events_of, frames_of

STEPS = 400
ANSWERS = {3: 13, 14: 4, 20: 30, 21: 31, 22: 32, 24: 34}
"""LLRP: request -> its response."""


def passed(rng: random.Random, end: Any, now: float) -> float:
    """Some time passes, at times just what the end waits for, at times none."""
    due = end.next_deadline()
    now = now + rng.choice((0.0, 0.0, 0.0, 0.05, 0.5, 20.0)) if due is None or rng.random() < 0.8 else max(now, due)
    end.tick(now)
    return now


def llrp_bytes(rng: random.Random) -> bytes:
    """What a reader may say unasked, or wrongly."""
    number = rng.randrange(8)
    match rng.randrange(6):
        case 0:
            return rng.randbytes(rng.randrange(30))
        case 1:
            return encode_message_frame(reports.connection_event(rng.choice((0, 0, 2)), 1))
        case 2:
            status = reports.Status(rng.choice((0, 0, 101)))
            return encode_message_frame(reports.response(rng.choice((*ANSWERS.values(), 100)), number, status))
        case 3:
            parameters = (reports.encode_tag(reports.TagReport(epc=rng.randbytes(12))),)
            return encode_message_frame(LlrpMessage(61, number, b"", parameters))
        case 4:
            return encode_message_frame(LlrpMessage(62, number))
        case _:
            return encode_message_frame(LlrpMessage(rng.choice((0, 1023)), number, rng.randbytes(5)))


def answers_to(wire: bytes) -> list[bytes]:
    framer = llrp_framer()
    framer.feed(wire)
    return [
        encode_message_frame(reports.response(ANSWERS[message.message_type], message.message_id, reports.Status(0)))
        for message in frames_of(framer)
        if message.message_type in ANSWERS
    ]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_breaks_an_llrp_client(seed: int) -> None:
    """Right answers, some of them more than once or late, among all else that a reader may say."""
    rng = random.Random(seed)
    now = 0.0
    states: set[LlrpState] = set()
    client = LlrpClient(LlrpSettings(), now)
    answers: list[bytes] = []
    for _ in range(STEPS):
        if client.state is LlrpState.CLOSED:
            client.tick(now + GAP_S)  # half a message may still wait
            assert client.next_deadline() is None
            client, answers = LlrpClient(LlrpSettings(), now), []
            client.receive(encode_message_frame(reports.connection_event(0, 1)), now)
        if client.state is LlrpState.RUNNING and rng.random() < 0.1:
            client.send(Close(), now)
        sent = client.bytes_to_send()
        assert len(sent) < 1000
        answers += answers_to(sent)
        is_answer = answers and rng.random() < 0.8
        client.receive(rng.choice(answers[-2:]) if is_answer else llrp_bytes(rng), now)
        if rng.random() < 0.2:
            now = passed(rng, client, now)
        states.add(client.state)
        events_of(client)
    assert states >= {LlrpState.DELETING, LlrpState.RUNNING, LlrpState.CLOSED}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_breaks_a_host_of_a_card_reader(seed: int) -> None:
    rng = random.Random(seed)
    now = 0.0
    host = CardReader(ReaderSettings())
    states: set[ReaderState] = set()
    for _ in range(STEPS):
        word = rng.choice((*(Sw3.FOUND, Sw3.OK) * 5, *Sw3, 0x00, 0xFF))
        payload = bytes((0, 0, word)) + rng.randbytes(rng.choice((0, 8, 300)))
        host.receive(encode_frame(Frame(payload)) if rng.random() < 0.8 else rng.randbytes(rng.randrange(20)), now)
        command = Poll() if host.state is ReaderState.IDLE else Stop()
        if rng.random() < (0.5 if host.state is ReaderState.IDLE else 0.02):
            host.send(command, now)
        now = passed(rng, host, now)
        states.add(host.state)
        events_of(host)
        assert len(host.bytes_to_send()) < 100
        assert host.state is ReaderState.IDLE or host.next_deadline() is not None
    assert states == set(ReaderState)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_breaks_a_client_of_hostapd(seed: int) -> None:
    rng = random.Random(seed)
    now = 0.0
    client = HostapdClient(now)
    states: set[HostapdState] = set()
    for _ in range(STEPS):
        if client.state is HostapdState.GONE:
            assert client.next_deadline() is None
            client = HostapdClient(now)
        station = f"02:00:00:00:00:{rng.randrange(256):02x}\nflags=[AUTH]\n"
        text = rng.choice(("OK\n", "OK\n", "FAIL\n", "", "PONG\n", station, station, "<3>AP-ENABLED ", "\x00", "<3>"))
        client.receive(text.encode() if rng.random() < 0.9 else rng.randbytes(rng.randrange(20)), now)
        if client.state is HostapdState.IDLE:
            client.send(rng.choice((Ask("PING"), ListStations())), now)
        now = passed(rng, client, now)
        states.add(client.state)
        events_of(client)
        while len(client.bytes_to_send()) > 0:
            pass
    assert {HostapdState.ASKING, HostapdState.LISTING} <= states


@pytest.mark.parametrize("seed", range(20))
def test_nothing_opens_a_gate_but_a_ticket_while_it_is_ready(seed: int) -> None:
    """What is held against the machine: nobody passes by ticket during an emergency or a fault, as a person counts."""
    rng = random.Random(seed)
    now = 0.0
    gate = Gate(GateSettings(gate_id="G"))
    is_emergency = is_faulty = False
    for number in range(STEPS):
        signal = rng.choice(list(GateInput))
        gate.take(signal, now)
        is_emergency = signal is GateInput.EMERGENCY or (is_emergency and signal is not GateInput.EMERGENCY_OVER)
        is_faulty = signal is GateInput.FAULT or (is_faulty and signal is not GateInput.FAULT_OVER)
        assert (gate.state is GateState.EMERGENCY) is is_emergency
        assert (gate.state is GateState.FAULT) is (is_faulty and not is_emergency)
        if is_emergency or is_faulty:
            with pytest.raises(LocalProtocolError):
                gate.accept(f"T{number}", now)
        elif gate.state is GateState.READY:
            gate.accept(f"T{number}", now)
        now = passed(rng, gate, now)
        assert (gate.next_deadline() is None) is (gate.state is not GateState.OPEN)


def test_heads_of_messages_within_messages_take_time_in_proportion() -> None:
    """Every 13 bytes a message of 192 KB seems to begin, whose parameters close but for the last."""
    decoded = fed = 0

    def decode(wire: bytes) -> LlrpMessage:
        nonlocal decoded
        decoded += len(wire)
        return decode_message_frame(wire)

    framer = LengthFramer(msgspec.structs.replace(FORM, decode=decode))
    piece = bytes.fromhex("8d0000043f0003000000000000") * 300
    for _ in range(300):
        framer.feed(piece)
        fed += len(piece)
        assert framer.next_frame() is NEED_DATA
    assert framer.discarded_bytes > fed - MAX_MESSAGE_BYTES
    assert decoded < 32 * fed
    keepalive = encode_message_frame(LlrpMessage(62, 7))
    framer.silence()
    frames_of(framer)
    framer.feed(keepalive)
    assert framer.next_frame() == LlrpMessage(62, 7)
