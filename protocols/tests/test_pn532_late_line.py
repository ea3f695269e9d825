"""Host and chip on a line that is late, loses and spoils bytes, with a host that changes its mind."""

import heapq
import random
from hashlib import sha256

import pytest

from protocols.core.errors import NEED_DATA
from protocols.pn532.chip import ChipDialogue, ChipState, CommandReceived, Respond
from protocols.pn532.chip_commands import Diagnose, DiagnoseResponse, SamConfiguration
from protocols.pn532.command import Done, StatusAndData
from protocols.pn532.errors import Status
from protocols.pn532.host import Abort, HostDialogue, Request, Responded
from protocols.pn532.initiator_commands import InDataExchange

LATE_S = 0.04
"""Each way: with the chip's own 15 ms an acknowledgement is there in time."""


def response_to(command):
    if isinstance(command, Diagnose):
        return DiagnoseResponse(bytes((command.test,)) + command.data)
    return StatusAndData(Status(), command.data[::-1]) if isinstance(command, InDataExchange) else Done()


class LateLine:
    """Both ends. Bytes arrive in order, up to `LATE_S` later; a command takes the chip up to `work_s`."""

    def __init__(self, seed, rate, work_s):
        self.rng = random.Random(seed)
        self.rate, self.work_s = rate, work_s
        self.host, self.chip = HostDialogue(), ChipDialogue()
        self.now = 0.0
        self.due = []
        self.order = 0
        self.arrived = {self.host.receive: 0.0, self.chip.receive: 0.0}
        self.executed = []

    def at(self, moment, act, value):
        self.order += 1
        heapq.heappush(self.due, (moment, self.order, act, value))

    def carry(self):
        for start, receive in ((self.host, self.chip.receive), (self.chip, self.host.receive)):
            while data := start.bytes_to_send():
                moment = max(self.arrived[receive], self.now + LATE_S * self.rng.random())
                self.arrived[receive] = moment
                self.at(moment, receive, self.spoilt(data))

    def spoilt(self, data):
        lucks = [(byte, self.rng.random()) for byte in data]
        kept = [(byte, luck) for byte, luck in lucks if luck >= self.rate / 2]
        return bytes(byte ^ 1 << self.rng.randrange(8) if luck < self.rate else byte for byte, luck in kept)

    def serve(self):
        while (event := self.chip.next_event()) is not NEED_DATA:
            if isinstance(event, CommandReceived):
                self.executed.append(event.command)
                self.at(self.now + self.work_s * self.rng.random(), self.respond, event.command)

    def respond(self, command, now):
        if self.chip.state is ChipState.BUSY and self.executed[-1] is command:
            self.chip.send(Respond(response_to(command)), now)

    def run(self, command, stopped_after_s):
        """Until the host says what became of a command."""
        self.host.send(Request(command), self.now)
        if stopped_after_s is not None:
            self.at(self.now + stopped_after_s, self.stop, command)
        for _ in range(1000):
            self.carry()
            if (event := self.host.next_event()) is not NEED_DATA:
                return event
            deadline = self.host.next_deadline()
            if self.due and self.due[0][0] <= deadline:
                self.now, _order, act, value = heapq.heappop(self.due)
                act(value, self.now)
                self.serve()
            else:
                self.now = deadline
                self.host.tick(self.now)
        raise AssertionError("no end")

    def stop(self, command, now):
        if self.host._command is command:
            self.host.send(Abort(), now)


@pytest.mark.parametrize(("rate", "work_s"), [(0.0, 0.01), (0.0, 0.3), (0.01, 0.05), (0.03, 0.05)])
def test_a_late_answer_is_never_taken_for_another_commands(rate, work_s):
    answered = 0
    for seed in range(100):
        line = LateLine(seed, rate, work_s)
        line.run(SamConfiguration(), None)
        older = []
        for number in range(12):
            text = sha256(b"%d %d" % (seed, number)).digest()[:8]
            command = Diagnose(0, text) if line.rng.random() < 0.4 else InDataExchange(1, text)
            event = line.run(command, line.rng.random() / 3 if line.rng.random() < 0.2 else None)
            if isinstance(event, Responded):
                answered += 1
                assert event.response not in older, (seed, number)
                assert rate or event.response == response_to(command)
            older.append(response_to(command))
            if isinstance(command, InDataExchange):
                assert line.executed.count(command) <= 1, "a card hears it once"
    assert answered > 400
