"""Host and chip: the two ends of the link against each other, with bytes lost and broken."""

import random
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA
from protocols.pn532.chip import ChipDialogue, ChipState, CommandReceived, RateConfirmed, Respond
from protocols.pn532.chip_commands import (
    Diagnose,
    DiagnoseResponse,
    GetFirmwareVersion,
    SamConfiguration,
    SetSerialBaudRate,
)
from protocols.pn532.command import Done, StatusAndData
from protocols.pn532.errors import Status
from protocols.pn532.frame import ACK
from protocols.pn532.host import HostDialogue, HostState, Request, Responded
from protocols.pn532.initiator_commands import InDataExchange, InListPassiveTarget, ListedTargets
from protocols.tests.pn532_ends import awake, frames_of_chip, running

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)


class Line:
    """Both ends with a wire between them that loses and flips bytes."""

    def __init__(self, seed, rate):
        self.rng = random.Random(seed)
        self.rate = rate
        self.host, self.chip = HostDialogue(), ChipDialogue()
        self.now = 0.0
        self.executed = []

    def spoil(self, data):
        out = bytearray()
        for byte in data:
            luck = self.rng.random()
            if luck < self.rate / 2:
                continue
            out.append(byte ^ 1 << self.rng.randrange(8) if luck < self.rate else byte)
        return bytes(out)

    def run(self, command):
        self.host.send(Request(command), self.now)
        for _ in range(500):
            if data := self.host.bytes_to_send():
                self.chip.receive(self.spoil(data), self.now)
            while (event := self.chip.next_event()) is not NEED_DATA:
                if isinstance(event, CommandReceived):
                    self.serve(event.command)
            if data := b"".join(frames_of_chip(self.chip)):
                self.host.receive(self.spoil(data), self.now)
            if (event := self.host.next_event()) is not NEED_DATA:
                return event
            if not self.host._outgoing:
                self.now = self.host.next_deadline()
                self.host.tick(self.now)
        raise AssertionError("no end")

    def serve(self, command):
        self.executed.append(command)
        if self.chip.state is not ChipState.BUSY:
            return
        match command:
            case Diagnose():
                self.chip.send(Respond(DiagnoseResponse(bytes((command.test,)) + command.data)), self.now)
            case InDataExchange():
                self.chip.send(Respond(StatusAndData(Status(), command.data[::-1])), self.now)
            case InListPassiveTarget():
                self.chip.send(Respond(ListedTargets()), self.now)
            case _:
                self.chip.send(Respond(Done()), self.now)


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0, 0.05))
def test_on_a_bad_line_no_answer_belongs_to_another_command(seed, rate):
    """A sum of eight bits lets one of 256 garbled frames pass; never a true answer to something else."""
    line = Line(seed, rate)
    line.run(SamConfiguration())
    older = []
    for number in range(20):
        text = sha256(b"%d" % number).digest()[:8]  # far apart: no garbled answer happens to be another one
        command = Diagnose(0, text) if number % 2 else InDataExchange(1, text)
        before = len(line.executed)
        event = line.run(command)
        if isinstance(event, Responded):
            assert event.response not in older
        older.append(DiagnoseResponse(b"\x00" + text) if number % 2 else StatusAndData(Status(), text[::-1]))
        if not number % 2:
            assert line.executed[before:].count(command) <= 1  # a card hears it once


def test_a_new_baud_rate_is_confirmed():
    host, chip = awake(), running()
    host.send(Request(SetSerialBaudRate(7)), 1.0)
    chip.receive(host.bytes_to_send(), 1.0)
    assert chip.next_event() == CommandReceived(SetSerialBaudRate(7))
    chip.send(Respond(Done()), 1.0)
    host.receive(b"".join(frames_of_chip(chip)), 1.0)
    assert host.next_event() == Responded(SetSerialBaudRate(7), Done())
    assert chip.next_event() is NEED_DATA
    chip.receive(host.bytes_to_send(), 1.0)
    assert chip.next_event() == RateConfirmed(7)


def test_on_a_good_line_everything_is_answered_at_once():
    line = Line(0, 0.0)
    for number in range(10):
        assert isinstance(line.run(SamConfiguration()), Responded), number
    assert line.now == 0.0


@EXAMPLES
@given(pieces=st.lists(st.binary(max_size=40), max_size=30))
def test_no_bytes_break_either_end(pieces):
    host, chip = awake(), running(InListPassiveTarget(1, 0))
    host.send(Request(GetFirmwareVersion()), 1.0)
    for at, piece in enumerate(pieces):
        for data in (piece, ACK, b"\x00\x00\xff" + piece):
            host.receive(data, 1.0 + at)
            chip.receive(data, 1.0 + at)
            host.tick(1.0 + at)
            host.next_event()
            chip.next_event()
            if host.state is HostState.IDLE:
                host.send(Request(GetFirmwareVersion()), 1.0 + at)
            assert len(host.bytes_to_send()) < 200
