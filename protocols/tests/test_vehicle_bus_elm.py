"""ELM327: the stream cut at its prompts, replies, and the dialogue against an adapter."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, FrameError, LocalProtocolError
from protocols.tests.kit import cases_of, drip, frames_of, noisy
from protocols.tests.lossy_link import LossyLink
from protocols.vehicle_bus.elm import ERROR_TEXTS, Framer, decode_reply, encode_command, encode_reply
from protocols.vehicle_bus.elm_answers import EcuAnswer, read_lines
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
from protocols.vehicle_bus.message import decode_message

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None)
REPLIES = [case["text"].encode() for case in cases_of("vehicle_bus") if case["kind"] == "elm" and ">" in case["text"]]
CEILING = 1024


@pytest.mark.parametrize("wire", REPLIES)
def test_replies_byte_by_byte_and_in_noise(wire):
    assert drip(Framer(), wire) == [wire]
    assert drip(Framer(), b"\x00".join(bytes((byte,)) for byte in wire) * 2) == [wire] * 2
    assert noisy(Framer(CEILING), wire, seed=len(wire), ceiling=CEILING)[-1] == wire


@EXAMPLES
@given(replies=st.lists(st.sampled_from(REPLIES), max_size=6), seed=st.integers(0, 2**32 - 1))
def test_any_split_equals_the_whole(replies, seed):
    rng = random.Random(seed)
    wire = b"".join(replies)
    framer = Framer()
    found = []
    while wire:
        size = rng.randint(1, 30)
        framer.feed(wire[:size])
        wire = wire[size:]
        found += frames_of(framer)
    assert found == replies


def test_a_reply_without_end_stays_bounded():
    framer = Framer(CEILING)
    for _ in range(100):
        framer.feed(b"41 0C 1A F8 \r" * 20)
        assert framer.next_frame() is NEED_DATA
        assert len(framer._buffer) <= CEILING
    framer.feed(b">")
    assert len(framer.next_frame()) == CEILING
    assert framer.discarded_bytes == 100 * 260 + 1 - CEILING
    framer.feed(b"OK")
    framer.reset()
    framer.feed(b"\r>")
    assert framer.next_frame() == b"\r>"


@pytest.mark.parametrize(("status", "text"), ERROR_TEXTS.items())
def test_every_error_text_is_known(status, text):
    for line in (text, f"SEARCHING...{text}", text.lower()):
        reply = decode_reply(encode_reply([line]), "010C")
        assert (reply.status, reply.lines) == ("bus_init_error" if "INIT" in text else status, ())


def test_an_error_text_behind_data_spoils_its_line_only():
    reply = decode_reply("41 0C 1A F8 <DATA ERROR\r41 0C 1A F9\r\r>", "010C")
    assert (reply.status, reply.lines) == ("data_error", ("41 0C 1A F9",))


@pytest.mark.parametrize(
    ("text", "request_", "status", "lines"),
    [
        ("010c\r41 0C 1A F8\r\r>", "01 0C", "ok", ("41 0C 1A F8",)),
        ("\r>", "010C", "empty", ()),
        (">", "", "empty", ()),
        ("010C\r\n\r\n>", "010C", "empty", ()),
        ("BUS INIT: OK\r\n41 0C 1A F8\r\n\r\n>", "010C", "ok", ("41 0C 1A F8",)),
        ("SEARCHING...BUS INIT: ...OK\r41 0C\r\r>", "010C", "ok", ("41 0C",)),
        ("BUS INIT: ...ERROR\r\r>", "010C", "bus_init_error", ()),
        ("7E8 03 7F 01 12\rNO DATA\r\r>", "010C", "no_data", ("7E8 03 7F 01 12",)),
    ],
)
def test_a_reply(text, request_, status, lines):
    reply = decode_reply(text, request_)
    assert (reply.status, reply.lines) == (status, lines)


@pytest.mark.parametrize("text", ["", "41 0C", "41 0C>\r", ">>"])
def test_one_prompt_at_the_end(text):
    with pytest.raises(FrameError):
        decode_reply(text, "010C")


def test_commands():
    assert encode_command("01 0c 1") == b"01 0c 1\r"
    assert encode_command("at sp 0") == b"at sp 0\r"
    for wrong in (
        "hello",
        "ÄT",
        "ATZ\x07",
        "01;02",
        "ATE0\rATZ",
        "010C\n010D",
        "01\u30000C",
        "01\t0C",
        "AT\xa0Z",
        "\u017fT",
    ):
        with pytest.raises(LocalProtocolError):
            encode_command(wrong)


@pytest.mark.parametrize(
    ("lines", "options", "answers", "garbled", "incomplete"),
    [
        (["41 0C 1A F8", "410C1AF9"], {}, ["410c1af8", "410c1af9"], [], 0),
        (["00A", "0: 49 02 01 31 32 33", "1: 34 35 36 37 00 00 00"], {}, ["49020131323334353637"], [], 0),
        (["00A", "0: 49 02 01 31 32 33", "2: 34 35 36 37"], {}, [], [], 1),
        (["00A", "0: 49 02 01 31 32 33"], {}, [], [], 1),
        (["00A", "00A", "0: 49 02 01 31 32 33", "1: 34 35 36 37"], {}, ["49020131323334353637"], [], 1),
        (["0: 49 02", "000", "4", "XX"], {}, [], ["0: 49 02", "000", "4", "XX"], 0),
        (["7E8 03 41 0D 32", "7E9 03 41 0D 33", "7E8 03 41 0D 34"], {"h": True}, ["410d32", "410d34", "410d33"], [], 0),
        (["7E8", "7E8 0", "7E8 03 41"], {"h": True}, [], ["7E8", "7E8 0"], 0),
        (["48 6B 10 41 0D 32 11"], {"h": True, "bus": "kline"}, ["410d32"], [], 0),
        (["48 6B 10 41", "48"], {"h": True, "bus": "kline"}, [], ["48 6B 10 41", "48"], 0),
    ],
)
def test_lines(lines, options, answers, garbled, incomplete):
    found = read_lines(lines, bus=options.get("bus", "can11"), has_headers="h" in options)
    assert [message.hex() for answer in found.answers for message in answer.messages] == answers
    assert (found.garbled, found.incomplete) == (garbled, incomplete)


def elm(text, request, **options):
    return decode_message({"kind": "elm", "text": text, "request": request, **options})


def test_what_settings_say():
    assert elm("A6\r\r>", "AT DPN").items() >= {"automatic": True, "protocol": "6"}.items()
    assert elm("A\r\r>", "ATDPN").items() >= {"automatic": False, "protocol": "A"}.items()
    assert elm("?\r\r>", "ATDPN").items() >= {"automatic": None, "protocol": None, "status": "unknown_command"}.items()
    assert elm("12.34\r\r>", "ATRV")["voltage_v"] == 12.34
    assert elm("\r>", "ATRV")["voltage_v"] is None
    assert elm("\r>", "ATI")["adapter"] is None
    assert elm("OK\r\r>", "STFAC")["text_lines"] == ["OK"]


def test_what_belongs_to_another_service_is_foreign():
    message = elm("7E8 03 7F 01 12\r7E9 03 7F 09 12\r7EA 02 41 0D\r\r>", "010D", headers=True)
    assert message["foreign"] == ["7f0912"]
    assert [answer["ecu"] for answer in message["answers"]] == ["7E8", "7EA"]
    assert message["answers"][1]["message"] is None  # cut short


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
