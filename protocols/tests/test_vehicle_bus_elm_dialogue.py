"""ELM327: the dialogue against an adapter, also one that is slow, stuck, reset or unplugged, and on a bad line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.tests.kit import cases_of
from protocols.tests.lossy_link import LossyLink
from protocols.vehicle_bus.elm import encode_reply
from protocols.vehicle_bus.elm_answers import EcuAnswer
from protocols.vehicle_bus.elm_dialogue import (
    MAX_STOPS,
    PROTOCOLS_TO_TRY,
    Ask,
    Connect,
    Connected,
    ElmDialogue,
    ElmState,
    Failed,
    Lost,
    NoVehicle,
    Replied,
    Stop,
)

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
REPLIES = [case["text"].encode() for case in cases_of("vehicle_bus") if case["kind"] == "elm" and ">" in case["text"]]


class Adapter:
    """A small ELM327 on a CAN bus with one ECU. It counts how often it was interrupted."""

    def __init__(self, protocol="6", answer="7E8 04 41 0C 1A F8"):
        self.protocol = protocol
        self.answer = answer
        self.is_silent = self.is_stuck = False
        self.selected = "0"
        self.echo = True
        self.line = b""
        self.busy = False
        self.interrupted = 0
        self.seen = []
        self.out = b""

    def receive(self, data, now):
        for byte in data:
            if self.busy:
                self.interrupted += 1
                self.busy = False
                self.say(["STOPPED"])
            elif byte == 0x0D:
                self.run(self.line.decode("latin-1").replace(" ", "").upper())
                self.line = b""
            else:
                self.line += bytes((byte,))

    def run(self, command):
        self.seen.append(command)
        if self.is_silent:
            return
        if self.echo:
            self.out += command.encode("latin-1", "replace") + b"\r"
        if command == "ATZ":
            self.echo, self.selected = True, "0"
            self.say(["", "ELM327 v1.5"])
        elif command.startswith(("ATSP", "ATTP")):
            self.selected = command[4:5]
            self.say(["OK"])
        elif command == "ATDPN":
            self.say([f"A{self.protocol}" if self.selected == "0" else self.protocol])
        elif command.startswith("AT"):
            self.echo = self.echo and command != "ATE0"
            self.say(["OK"])
        elif not all(one in "0123456789ABCDEF" for one in command):
            self.say(["?"])
        elif self.is_stuck:
            self.busy = True
        elif self.selected not in {"0", self.protocol} or self.protocol == "-":
            self.say(["SEARCHING...", "UNABLE TO CONNECT"])
        else:
            self.say(["7E8 06 41 00 BE 3F A8 13" if command == "0100" else self.answer])

    def say(self, lines):
        self.out += encode_reply(lines).encode()

    def next_event(self):
        return NEED_DATA

    def bytes_to_send(self):
        data, self.out = self.out, b""
        return data

    def next_deadline(self):
        return None

    def tick(self, now):
        pass


def connected(adapter=None):
    link = LossyLink(ElmDialogue(), adapter or Adapter())
    link.left.send(Connect(), 0.0)
    link.run()
    return link


def test_connect_and_ask():
    link = connected()
    assert link.left_events == [Connected("ELM327 v1.5", "6", "can11")]
    assert link.right.seen == ["AT@1", "ATZ", "ATE0", "ATL0", "ATH1", "ATSP0", "0100", "ATDPN"]
    link.left.send(Ask("010C"), link.now)
    assert link.left.state is ElmState.BUSY
    with pytest.raises(LocalProtocolError):
        link.left.send(Ask("010D"), link.now)
    link.run()
    replied = link.left_events[-1]
    assert isinstance(replied, Replied)
    assert replied.answers.answers == [EcuAnswer("7E8", (bytes.fromhex("410C1AF8"),))]
    link.left.send(Ask("ATRV"), link.now)
    link.run()
    assert link.left_events[-1].answers is None
    assert link.right.interrupted == 0


def test_during_set_up_a_late_reply_is_not_taken_for_that_of_the_next_command():
    elm = ElmDialogue()
    elm.send(Connect(), 0.0)
    elm.tick(0.5)
    elm.bytes_to_send()
    script = [
        (b"STOPPED\r\r>", b""),
        (b"?\r\r>", b""),
        (b"OBDII to RS232 Interpreter\r\r>", b""),
        (b"\r\rELM327 v1.5\r\r>", b"ATE0\r"),
        (b"\r\rELM327 v1.5\r\r>", b""),
        (b"\r>", b""),
        (b"ATE0\rOK\r\r>", b"ATL0\r"),
        (b"?\r\r>", b"ATH1\r"),  # this one does not know linefeeds
        (b"OK\r\r>", b"ATSP0\r"),
        (b"OK\r\r>", b"0100\r"),
        (b"OK\r\r>", b""),
        (b"SEARCHING...\r7E8 06 41 00 BE 3F A8 13\r\r>", b"ATDPN\r"),
        (b"OK\r\r>", b""),
        (b"7E8 06 41 00 BE 3F A8 13\r\r>", b""),
    ]
    for received, sent in script:
        elm.receive(received, 1.0)
        assert (received, elm.bytes_to_send()) == (received, sent)
    elm.receive(b"A6\r\r>", 1.0)
    assert elm.next_event() == Connected("ELM327 v1.5", "6", "can11")
    assert elm.late_replies == 8


def test_every_protocol_is_tried_where_the_search_finds_none():
    adapter = Adapter(protocol="9")
    original = adapter.run

    def run(command):
        if command == "0100" and adapter.selected == "0":
            adapter.seen.append(command)
            adapter.say(["UNABLE TO CONNECT"])
        else:
            original(command)

    adapter.run = run
    link = connected(adapter)
    assert link.left_events == [Connected("ELM327 v1.5", "9", "can29")]
    tried = [command[4] for command in adapter.seen if command.startswith("ATTP")]
    assert "".join(tried) == PROTOCOLS_TO_TRY[: PROTOCOLS_TO_TRY.index("9") + 1]


def test_no_vehicle_is_said_once_all_protocols_were_tried():
    link = connected(Adapter(protocol="-"))
    assert link.left_events == [NoVehicle("unable_to_connect")]
    assert link.left.state is ElmState.CLOSED
    assert sum(command.startswith("ATTP") for command in link.right.seen) == len(PROTOCOLS_TO_TRY)


def test_a_silent_adapter_is_lost_and_can_be_connected_again():
    adapter = Adapter()
    adapter.is_silent = True
    link = connected(adapter)
    assert link.left_events == [Lost("the adapter is silent")]
    assert link.now == 3.5
    with pytest.raises(LocalProtocolError):
        link.left.send(Ask("010C"), link.now)
    adapter.is_silent = False
    link.left.send(Connect(), link.now)
    link.run()
    assert isinstance(link.left_events[-1], Connected)


def test_what_runs_for_too_long_is_stopped():
    link = connected()
    link.right.is_stuck = True
    begin = link.now
    link.left.send(Ask("010C", timeout_s=2.0), link.now)
    link.run()
    assert link.left_events[-1] == Failed("010C")
    assert link.now == begin + 2.0 + 1.0
    assert link.left.state is ElmState.READY
    assert link.right.interrupted == 1
    assert link.right.seen[-2:] == ["010C", "T@1"]
    link.right.is_stuck = False
    link.left.send(Ask("010C"), link.now)
    link.run()
    assert link.left_events[-1].reply.status == "ok"


def test_an_adapter_that_was_unplugged_is_lost():
    link = connected()
    link.right.is_silent = True
    begin = link.now
    link.left.send(Ask("010C", timeout_s=2.0), link.now)
    link.run()
    assert link.left_events[-1] == Lost("the adapter is silent")
    assert link.now == begin + 2.0 + MAX_STOPS * 1.0


def test_a_monitor_is_stopped_and_its_reply_comes():
    link = connected()
    link.right.is_stuck = True
    link.left.send(Ask("ATMA", timeout_s=60.0), link.now)
    link.right.run = lambda command: setattr(link.right, "busy", True)
    link.pump()
    with pytest.raises(LocalProtocolError):
        link.left.send(Connect(), link.now)
    link.left.send(Stop(), link.now)
    link.run()
    assert link.left_events[-1].reply.status == "stopped"


@pytest.mark.parametrize("state", [ElmState.READY, ElmState.BUSY])
def test_an_adapter_that_was_reset_is_lost(state):
    link = connected()
    if state is ElmState.BUSY:
        link.left.send(Ask("010C"), link.now)
    link.left.receive(b"\r\rELM327 v1.5\r\r>", link.now)
    assert link.left.next_event() == Lost("the adapter was reset")
    assert link.left.state is ElmState.CLOSED
    assert link.left.next_deadline() is None


def test_a_request_that_cannot_be_sent_changes_nothing():
    link = connected()
    with pytest.raises(LocalProtocolError):
        link.left.send(Ask("hello"), link.now)
    assert link.left.state is ElmState.READY


@EXAMPLES
@given(pieces=st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(REPLIES)), max_size=40))
def test_no_bytes_break_it(pieces):
    dialogue = ElmDialogue()
    now = 0.0
    for piece in pieces:
        if dialogue.state is ElmState.CLOSED:
            dialogue.send(Connect(), now)
        elif dialogue.state is ElmState.READY:
            dialogue.send(Ask("0902"), now)
        dialogue.receive(piece, now)
        due = dialogue.next_deadline()
        now = now + 0.3 if due is None else min(due, now + 0.3)
        dialogue.tick(now)
        while dialogue.next_event() is not NEED_DATA:
            pass
        assert len(dialogue.bytes_to_send()) < 200


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.01, 0.3))
def test_on_a_bad_line_every_request_has_one_end(seed, rate):
    link = LossyLink(ElmDialogue(), Adapter(), seed=seed, rate=rate)
    for _ in range(10):
        before = len(link.left_events)
        command = Ask("010C") if link.left.state is ElmState.READY else Connect()
        link.left.send(command, link.now)
        link.run()
        assert link.left.state in {ElmState.READY, ElmState.CLOSED}
        assert len(link.left_events) > before
        assert link.left.next_deadline() is None
