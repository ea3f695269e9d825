"""ISO-DEP: reader and card against each other, blocks lost and broken, type A and type B."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.iso14443.activation import ats, decode_ats
from protocols.iso14443.crc import Edc
from protocols.iso14443.parameters import DELTA_FWT_S, frame_waiting_time_s
from protocols.iso14443.pcd import EXCHANGE_LIMIT_S, MAX_ANSWER_BYTES, PcdDialogue
from protocols.iso14443.pcd_events import (
    Activate,
    Activated,
    Answer,
    CardLost,
    CheckPresence,
    Deselect,
    Deselected,
    PcdState,
    Present,
    RatesSet,
    SetRates,
    Transceive,
)
from protocols.iso14443.picc import CommandReceived, PiccDialogue, PiccState, RatesChanged, Respond
from protocols.iso14443.type_b import Atqb, AttribAnswer, attrib, decode_attrib, encode_attrib_answer

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)
SMALL = ats(fsc=16, fwi=4, cid_supported=True)


class Pair:
    """A reader and a card with an antenna between them that loses or breaks the frames it is told to.

    faults: number of a frame, counted from 0 after activation and over both directions, to "lose" or "break".
    """

    def __init__(self, answer=SMALL, *, fsd=16, cid=None, faults=None, think_s=0.0, edc=Edc.CRC_A, limit_s=10.0):
        self.pcd = PcdDialogue(edc, fsd=fsd, cid=cid, exchange_limit_s=limit_s)
        self.picc = PiccDialogue(edc, answer)
        self.now = 100.0
        self.faults = faults or {}
        self.frames = []
        self.commands = []
        self.think_s = think_s
        self.answer_at = None
        self.reply = lambda command: command[::-1] + b"\x90\x00"
        self.is_card_there = True
        self.counting = False

    def activate(self):
        self.pcd.send(Activate(), self.now)
        event = self.run()
        assert isinstance(event, Activated)
        self.counting = True
        self.frames.clear()
        return event

    def over_the_air(self, frame, receive):
        if self.counting:
            self.frames.append(frame)
            fault = self.faults.get(len(self.frames) - 1)
            if fault == "lose":
                return
            if fault == "break":
                frame = bytes((frame[0] ^ 0x40,)) + frame[1:]
        if self.is_card_there:
            receive(frame, self.now)

    def run(self):
        """Until the reader has something to say to whoever uses it."""
        for _ in range(5000):
            while (frame := self.pcd.bytes_to_send()) or (answer := self.picc.bytes_to_send()):
                if frame:
                    self.over_the_air(frame, self.picc.receive)
                    self.serve()
                else:
                    self.over_the_air(answer, self.pcd.receive)
            event = self.pcd.next_event()
            if event is not NEED_DATA:
                return event
            self.wait()
        raise AssertionError("no end")

    def serve(self):
        while (event := self.picc.next_event()) is not NEED_DATA:
            if isinstance(event, CommandReceived):
                self.commands.append(event.data)
                self.answer_at = self.now + self.think_s
        self.answer_now()

    def answer_now(self):
        if self.picc.state is PiccState.HALTED:
            self.answer_at = None
        if self.answer_at is not None and self.now >= self.answer_at:
            self.answer_at = None
            self.picc.send(Respond(self.reply(self.commands[-1])), self.now)

    def wait(self):
        due = [at for at in (self.pcd.next_deadline(), self.picc.next_deadline(), self.answer_at) if at is not None]
        assert due, "everybody waits for everybody"
        self.now = max(self.now, min(due))
        self.answer_now()
        self.picc.tick(self.now)
        if not self.picc._outgoing:
            self.pcd.tick(self.now)

    def transceive(self, data):
        self.pcd.send(Transceive(data), self.now)
        return self.run()


def test_a_card_is_activated_spoken_to_and_deselected():
    pair = Pair(ats(historical_bytes=b"\x80"), fsd=256)
    event = pair.activate()
    assert event.answer == decode_ats(event.wire) == ats(historical_bytes=b"\x80")
    assert pair.transceive(b"\x00\xa4") == Answer(b"\xa4\x00\x90\x00")
    assert pair.transceive(b"\x00\xb0") == Answer(b"\xb0\x00\x90\x00")
    assert [frame[0] for frame in pair.frames] == [0x02, 0x02, 0x03, 0x03]  # rules A and C to D
    pair.pcd.send(CheckPresence(), pair.now)
    assert pair.run() == Present()
    pair.pcd.send(Deselect(), pair.now)
    assert pair.run() == Deselected(is_confirmed=True)
    assert pair.picc.state is PiccState.HALTED
    with pytest.raises(LocalProtocolError):
        pair.pcd.send(Transceive(b""), pair.now)


@pytest.mark.parametrize("size", [0, 1, 12, 13, 14, 25, 26, 27, 60])
@pytest.mark.parametrize("cid", [None, 0, 3])
def test_both_ends_chain(size, cid):
    pair = Pair(cid=cid)
    pair.activate()
    command = bytes(range(size))
    assert pair.transceive(command) == Answer(command[::-1] + b"\x90\x00")
    assert pair.commands == [command]
    assert all(len(frame) <= 16 for frame in pair.frames)
    assert pair.transceive(b"again") == Answer(b"niaga\x90\x00")


def frames_of_one_exchange(command, **options):
    pair = Pair(**options)
    pair.activate()
    pair.transceive(command)
    return len(pair.frames)


OPTIONS = [
    pytest.param({}, id="plain"),
    pytest.param({"cid": 5}, id="with CID"),
    pytest.param({"think_s": 0.02}, id="with S(WTX)"),
    pytest.param({"think_s": 0.02, "cid": 5}, id="with both"),
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("fault", ["lose", "break"])
@pytest.mark.parametrize("size", [3, 30])
def test_any_one_block_may_get_lost(options, fault, size):
    """Rules 4 to 7 and 10 to 13: whichever block it is, the command is carried out once and answered."""
    command = bytes(range(size))
    total = frames_of_one_exchange(command, **options)
    for position in range(total):
        pair = Pair(faults={position: fault}, **options)
        pair.activate()
        assert pair.transceive(command) == Answer(command[::-1] + b"\x90\x00"), position
        assert pair.commands == [command], position
        assert pair.transceive(b"next") == Answer(b"txen\x90\x00"), position


@pytest.mark.parametrize("options", OPTIONS)
def test_any_two_blocks_may_get_lost(options):
    """Two losses may be one too many for the reader, never for the truth: no command runs twice, no answer is wrong."""
    command = bytes(range(30))
    total = frames_of_one_exchange(command, **options) + 2
    lost = 0
    for pair_of_faults in itertools.combinations(range(total), 2):
        pair = Pair(faults=dict.fromkeys(pair_of_faults, "lose"), **options)
        pair.activate()
        event = pair.transceive(command)
        assert event == Answer(command[::-1] + b"\x90\x00") or isinstance(event, CardLost)
        assert pair.commands in ([command], [])
        lost += isinstance(event, CardLost)
    assert lost == 0  # two retries are enough for two losses


@EXAMPLES
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(0, 0.5),
    command=st.binary(max_size=80),
    think_s=st.sampled_from([0.0, 0.03]),
)
def test_on_a_bad_antenna_an_answer_is_right_or_there_is_none(seed, rate, command, think_s):
    rng = random.Random(seed)
    faults = {n: rng.choice(["lose", "break"]) for n in range(4000) if rng.random() < rate}
    pair = Pair(faults=faults, think_s=think_s)
    pair.activate()
    for number in range(3):
        sent = command + bytes((number,))
        event = pair.transceive(sent)
        if isinstance(event, CardLost):
            assert pair.pcd.state is PcdState.LOST
            return
        assert event == Answer(sent[::-1] + b"\x90\x00")
        assert pair.commands[-1] == sent
        assert len(pair.commands) == number + 1


def test_a_slow_card_asks_for_time_and_gets_it():
    pair = Pair(think_s=0.5)
    pair.activate()
    assert pair.transceive(b"slow") == Answer(b"wols\x90\x00")
    waits = [frame for frame in pair.frames if frame[0] == 0xF2]
    assert len(waits) > 2
    assert waits[0] == waits[1]  # the reader answers with the same WTXM


def test_a_card_that_asks_for_time_for_ever_is_given_up():
    pair = Pair(think_s=1e9)
    pair.activate()
    started = pair.now
    event = pair.transceive(b"never")
    assert isinstance(event, CardLost)
    assert "too long" in event.reason or "answer" in event.reason
    assert pair.now - started < EXCHANGE_LIMIT_S + 1


@pytest.mark.parametrize("fwi", [0, 4, 8])
def test_a_card_that_was_lifted_is_given_up_after_three_waiting_times(fwi):
    """field_failures row 29: a card lifted in the middle must not block the reader."""
    pair = Pair(ats(fsc=16, fwi=fwi))
    pair.activate()
    pair.is_card_there = False
    started = pair.now
    assert pair.transceive(b"gone?") == CardLost("no answer")
    assert pair.pcd.state is PcdState.LOST
    assert pair.now - started <= 3 * (frame_waiting_time_s(fwi) + DELTA_FWT_S) + 0.01
    assert [frame[0] for frame in pair.frames] == [0x02, 0xB2, 0xB2, 0xC2]


def test_no_card_answers_rats():
    pcd = PcdDialogue(Edc.CRC_A)
    pcd.send(Activate(), 0.0)
    assert pcd.bytes_to_send().hex() == "e0803173"
    pcd.tick(pcd.next_deadline())
    assert pcd.bytes_to_send().hex() == "e0803173"  # once more, 5.6.1.1
    pcd.tick(pcd.next_deadline())
    assert pcd.next_event() == CardLost("no answer")
    assert pcd.next_deadline() is None


def test_a_card_does_not_answer_rats_twice():
    picc = PiccDialogue(Edc.NONE, ats())
    picc.receive(b"\xe0\x80", 0.0)
    assert picc.bytes_to_send() == bytes.fromhex("0578808002")
    picc.receive(b"\xe0\x80", 0.0)
    assert picc.bytes_to_send() == b""


def test_the_guard_time_after_the_ats_is_kept():
    pair = Pair(ats(fsc=16, sfgi=8))
    pair.activate()
    at = pair.now
    pair.pcd.send(Transceive(b"x"), at)
    assert pair.pcd.bytes_to_send() == b""
    guard = frame_waiting_time_s(8)
    assert pair.pcd.next_deadline() == pytest.approx(at + guard)
    pair.pcd.receive(b"\x02\x90\x00", at)  # nobody was asked yet
    assert pair.run() == Answer(b"x\x90\x00")
    assert pair.now == pytest.approx(at + guard)


def test_rates_are_negotiated_right_after_the_ats_only():
    pair = Pair()
    pair.activate()
    pair.pcd.send(SetRates(dri=1, dsi=2), pair.now)
    frame = pair.pcd.bytes_to_send()
    assert frame[:3].hex() == "d01109"
    pair.picc.receive(frame, pair.now)
    assert pair.picc.next_event() == RatesChanged(1, 2)
    pair.pcd.receive(pair.picc.bytes_to_send(), pair.now)
    assert pair.pcd.next_event() == RatesSet()
    pair.picc.receive(frame, pair.now)
    assert pair.picc.bytes_to_send() == b""
    with pytest.raises(LocalProtocolError):
        pair.pcd.send(SetRates(4, 0), pair.now)


def test_a_wrong_answer_to_pps_is_given_up():
    pair = Pair()
    pair.activate()
    pair.pcd.send(SetRates(0, 0), pair.now)
    pair.pcd.bytes_to_send()
    pair.pcd.receive(Edc.CRC_A.append(b"\xd1"), pair.now)
    pair.pcd.tick(pair.pcd.next_deadline())
    assert Edc.CRC_A.strip(pair.pcd.bytes_to_send()) == b"\xc2"
    pair.pcd.receive(Edc.CRC_A.append(b"\xc2"), pair.now)
    assert isinstance(pair.pcd.next_event(), CardLost)


def test_type_b_is_activated_with_attrib():
    atqb = Atqb(b"\x01\x02\x03\x04", size_and_type=0x01, timing=0x41)
    pcd = PcdDialogue(Edc.CRC_B, fsd=16, cid=1)
    pcd.send(Activate(atqb), 0.0)
    request = Edc.CRC_B.strip(pcd.bytes_to_send())
    assert request.hex() == "1d01020304" + "00000101"
    picc = PiccDialogue(Edc.CRC_B, atqb, attrib=decode_attrib(request))
    pcd.receive(Edc.CRC_B.append(encode_attrib_answer(AttribAnswer(cid=1))), 0.0)
    assert pcd.next_event() == Activated(AttribAnswer(cid=1), b"\x01")
    pcd.send(Transceive(b"\x00\xa4"), 0.0)
    picc.receive(pcd.bytes_to_send(), 0.0)
    assert picc.next_event() == CommandReceived(b"\x00\xa4")
    picc.send(Respond(b"\x90\x00"), 0.0)
    pcd.receive(picc.bytes_to_send(), 0.0)
    assert pcd.next_event() == Answer(b"\x90\x00")


def test_an_attrib_asks_for_what_the_card_can():
    assert attrib(Atqb(b"\x01\x02\x03\x04")).fsd == 256


@EXAMPLES
@given(frames=st.lists(st.binary(max_size=20), max_size=60), edc=st.sampled_from(list(Edc)))
def test_no_bytes_break_either_end(frames, edc):
    pcd, picc = PcdDialogue(edc, fsd=16), PiccDialogue(edc, SMALL)
    pcd.send(Activate(), 0.0)
    now = 0.0
    for frame in frames:
        for body in (frame, edc.append(frame)):
            now += 0.001
            pcd.receive(body, now)
            picc.receive(body, now)
            while picc.next_event() is not NEED_DATA:
                picc.send(Respond(body), now)
            if pcd.next_event() is not NEED_DATA and pcd.state is PcdState.ACTIVATED:
                pcd.send(Transceive(body), now)
            pcd.bytes_to_send(), picc.bytes_to_send()
            pcd.tick(now)
            picc.tick(now)
    assert len(picc._command) <= 65_544
    assert len(pcd._answer) <= MAX_ANSWER_BYTES
