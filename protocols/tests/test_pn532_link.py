"""Host and chip: the two ends of the link against each other, with bytes lost and broken."""

import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.pn532.chip import (
    ChipDialogue,
    ChipState,
    CommandReceived,
    CommandStopped,
    RateConfirmed,
    Refuse,
    Respond,
)
from protocols.pn532.chip_commands import (
    Diagnose,
    DiagnoseResponse,
    FirmwareVersion,
    GetFirmwareVersion,
    PowerDown,
    SamConfiguration,
    SetSerialBaudRate,
)
from protocols.pn532.command import Done, StatusAndData, StatusResponse
from protocols.pn532.commands import encode_command, encode_response
from protocols.pn532.errors import Status
from protocols.pn532.frame import ACK, ERROR, NACK, WAKE_UP
from protocols.pn532.host import (
    ACK_TIMEOUT_S,
    Abort,
    Aborted,
    Failed,
    HostDialogue,
    HostState,
    Refused,
    Request,
    Responded,
)
from protocols.pn532.initiator_commands import InDataExchange, InListPassiveTarget, ListedTargets

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)
FIRMWARE = encode_response(GetFirmwareVersion(), FirmwareVersion())


def awake(dialogue=None):
    """A host whose chip is configured."""
    host = dialogue or HostDialogue()
    host.send(Request(SamConfiguration()), 0.0)
    assert host.bytes_to_send() == WAKE_UP + encode_command(SamConfiguration())
    host.receive(ACK + encode_response(SamConfiguration(), Done()), 0.0)
    assert host.next_event() == Responded(SamConfiguration(), Done())
    return host


def test_a_command_is_acknowledged_and_answered():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    assert host.bytes_to_send().hex() == "0000ff02fed4022a00"
    assert host.next_deadline() == pytest.approx(1.0 + ACK_TIMEOUT_S)
    host.receive(ACK, 1.01)
    assert host.state is HostState.RESPONSE_DUE
    assert host.next_deadline() == pytest.approx(1.0 + GetFirmwareVersion.TIMEOUT_S)
    host.receive(FIRMWARE, 1.02)
    assert host.next_event() == Responded(GetFirmwareVersion(), FirmwareVersion())
    assert host.next_deadline() is None


def test_it_comes_byte_by_byte():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    for byte in ACK + FIRMWARE:
        host.receive(bytes((byte,)), 1.0)
    assert isinstance(host.next_event(), Responded)


def test_one_command_is_in_flight():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    with pytest.raises(LocalProtocolError):
        host.send(Request(GetFirmwareVersion()), 1.0)


def test_parameters_out_of_bounds_leave_the_host_idle():
    host = awake()
    with pytest.raises(LocalProtocolError):
        host.send(Request(SetSerialBaudRate(99)), 1.0)
    assert host.state is HostState.IDLE


def test_a_silent_chip_is_asked_three_times_and_then_woken_up():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    frames = [host.bytes_to_send()]
    while host.next_event() is NEED_DATA and host.next_deadline() is not None:
        host.tick(host.next_deadline())
        frames.append(host.bytes_to_send())
    assert [bool(frame) for frame in frames] == [True, True, True, False]
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    now = 1.0
    while (event := host.next_event()) is NEED_DATA:
        now = host.next_deadline()
        host.tick(now)
        host.bytes_to_send()
    assert event == Failed(GetFirmwareVersion(), "no acknowledgement", is_acknowledged=False)
    assert now - 1.0 == pytest.approx(3 * ACK_TIMEOUT_S)
    host.send(Request(GetFirmwareVersion()), 10.0)
    assert host.bytes_to_send().startswith(WAKE_UP)


def test_after_a_repeat_the_line_is_left_to_settle():
    """A chip that took both copies answers twice: the second answer must not be taken for that of the next command."""
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    host.tick(1.0 + ACK_TIMEOUT_S)
    host.receive(ACK + FIRMWARE, 1.2)
    assert isinstance(host.next_event(), Responded)
    host.bytes_to_send()
    host.send(Request(GetFirmwareVersion()), 1.21)
    assert host.bytes_to_send() == b""
    host.receive(ACK + encode_response(GetFirmwareVersion(), FirmwareVersion(1, 1, 1, 1)), 1.22)
    assert host.next_event() is NEED_DATA
    host.tick(host.next_deadline())
    assert host.bytes_to_send() == encode_command(GetFirmwareVersion())
    host.receive(ACK + FIRMWARE, 1.5)
    assert host.next_event() == Responded(GetFirmwareVersion(), FirmwareVersion())


def test_what_a_card_hears_is_never_sent_twice():
    host = awake()
    host.send(Request(InDataExchange(1, b"debit"), 1.0), 1.0)
    assert host.bytes_to_send()
    host.tick(1.0 + ACK_TIMEOUT_S)
    assert host.bytes_to_send() == b""
    host.receive(encode_response(InDataExchange(1), StatusAndData(Status(), b"\x90\x00")), 1.2)
    assert isinstance(host.next_event(), Responded)  # only the acknowledgement was lost
    host.send(Request(InDataExchange(1, b"debit"), 1.0), 2.0)
    host.bytes_to_send()
    host.tick(2.0 + ACK_TIMEOUT_S)
    host.tick(3.0)
    assert host.next_event() == Failed(InDataExchange(1, b"debit"), "no response", is_acknowledged=True)
    assert host.bytes_to_send() == ACK


def test_an_older_answer_is_not_believed_after_a_failure():
    host = awake()
    first, second = InDataExchange(1, b"first"), InDataExchange(1, b"second")
    host.send(Request(first, 0.5), 1.0)
    host.receive(ACK, 1.0)
    host.tick(1.5)
    assert isinstance(host.next_event(), Failed)
    host.send(Request(second, 0.5), 2.0)
    host.receive(encode_response(first, StatusAndData(Status(), b"old")), 2.0)
    assert host.next_event() is NEED_DATA
    host.receive(ACK, 2.0)
    host.receive(encode_response(second, StatusAndData(Status(), b"new")), 2.0)
    assert host.next_event() == Responded(second, StatusAndData(Status(), b"new"))
    assert host.stray_frames == 1


def test_a_doubtful_link_does_not_wait_for_an_unacknowledged_card_command():
    host = awake()
    host.send(Request(InDataExchange(1), 0.5), 1.0)
    host.send(Abort(), 1.0)
    assert isinstance(host.next_event(), Aborted)
    host.send(Request(InDataExchange(1), 0.5), 2.0)
    host.tick(2.0 + ACK_TIMEOUT_S)
    assert host.next_event() == Failed(InDataExchange(1), "no acknowledgement", is_acknowledged=False)


def test_a_garbled_response_is_asked_for_again():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    host.receive(ACK, 1.0)
    host.bytes_to_send()
    for _ in range(2):
        host.receive(FIRMWARE[:-2] + b"\x00\x00", 1.0)
        assert host.bytes_to_send() == NACK
    host.receive(FIRMWARE[:-2] + b"\x00\x00", 1.0)
    assert host.bytes_to_send() == b""
    host.receive(FIRMWARE, 1.1)
    assert isinstance(host.next_event(), Responded)


def test_noise_that_is_no_response_is_not_asked_for_again():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    host.receive(ACK, 1.0)
    host.bytes_to_send()
    host.receive(bytes.fromhex("0000ff02fed5150000"), 1.0)
    assert host.bytes_to_send() == b""


def test_an_error_frame_refuses_the_command():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    host.receive(ACK + ERROR, 1.0)
    assert host.next_event() == Refused(GetFirmwareVersion())


def test_a_response_with_bad_contents_is_a_failure():
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    host.receive(ACK + bytes.fromhex("0000ff03fdd50332f600"), 1.0)
    event = host.next_event()
    assert isinstance(event, Failed)
    assert event.is_acknowledged


def test_strangers_are_counted():
    host = awake()
    host.receive(FIRMWARE, 1.0)
    host.send(Request(Diagnose(0)), 1.0)
    host.receive(ACK + FIRMWARE + encode_command(Diagnose(0)), 1.0)  # another response, and our own echo
    assert host.stray_frames == 3
    assert host.state is HostState.RESPONSE_DUE


def test_a_pending_command_is_stopped():
    host = awake()
    host.send(Abort(), 1.0)  # nothing to stop
    assert host.bytes_to_send() == b""
    host.send(Request(InListPassiveTarget(1, 0)), 1.0)
    host.receive(ACK, 1.0)
    host.bytes_to_send()
    host.send(Abort(), 1.5)
    assert host.bytes_to_send() == ACK
    assert host.next_event() == Aborted(InListPassiveTarget(1, 0))


def test_after_power_down_the_chip_is_woken_up():
    host = awake()
    host.send(Request(PowerDown()), 1.0)
    host.receive(ACK + encode_response(PowerDown(), StatusResponse()), 1.0)
    host.bytes_to_send()
    host.send(Request(GetFirmwareVersion()), 2.0)
    assert host.bytes_to_send() == WAKE_UP + encode_command(GetFirmwareVersion())


def frames_of_chip(chip):
    frames = []
    while frame := chip.bytes_to_send():
        frames.append(frame)
    return frames


def running(command=None):
    """A configured chip, with a command running if one is given."""
    chip = ChipDialogue()
    chip.receive(WAKE_UP + encode_command(SamConfiguration()), 0.0)
    assert chip.next_event() == CommandReceived(SamConfiguration())
    chip.send(Respond(Done()), 0.0)
    assert frames_of_chip(chip) == [ACK, bytes.fromhex("0000ff02fed5151600")]
    if command is not None:
        chip.receive(encode_command(command), 0.0)
        assert chip.next_event() == CommandReceived(command)
        assert frames_of_chip(chip) == [ACK]
    return chip


def test_a_chip_acknowledges_first():
    chip = running(GetFirmwareVersion())
    chip.send(Respond(FirmwareVersion()), 0.0)
    assert frames_of_chip(chip) == [FIRMWARE]
    with pytest.raises(LocalProtocolError):
        chip.send(Respond(FirmwareVersion()), 0.0)


def test_a_sleeping_chip_must_be_woken_up():
    """Not woken, it loses the bytes that wake it up; so a bare command goes unheard and the next one is heard."""
    chip = ChipDialogue()
    chip.receive(encode_command(SamConfiguration()), 0.0)
    assert frames_of_chip(chip) == []
    assert chip.state is ChipState.IDLE
    chip.receive(encode_command(SamConfiguration()), 0.0)
    assert frames_of_chip(chip) == [ACK]


def test_ten_zero_bytes_wake_it_up_too():
    chip = ChipDialogue()
    chip.receive(bytes(4), 0.0)
    assert chip.state is ChipState.ASLEEP
    chip.receive(bytes(6) + encode_command(GetFirmwareVersion()), 0.0)
    assert frames_of_chip(chip) == [ACK]


def test_before_sam_configuration_it_falls_asleep_after_each_response():
    chip = ChipDialogue()
    for _ in range(2):
        chip.receive(bytes(10) + encode_command(GetFirmwareVersion()), 0.0)
        chip.send(Respond(FirmwareVersion()), 0.0)
        assert frames_of_chip(chip) == [ACK, FIRMWARE]
        assert chip.state is ChipState.ASLEEP
    chip.receive(bytes(10) + bytes.fromhex("0000ff02fed4ff2d00"), 0.0)
    assert frames_of_chip(chip) == [ACK, ERROR]
    assert chip.state is ChipState.ASLEEP


def test_power_down_puts_it_to_sleep():
    chip = running(PowerDown())
    chip.send(Respond(StatusResponse()), 0.0)
    assert chip.state is ChipState.ASLEEP
    chip.receive(WAKE_UP + encode_command(GetFirmwareVersion()), 0.0)
    chip.send(Respond(FirmwareVersion()), 0.0)
    assert chip.state is ChipState.IDLE


def test_a_bad_check_is_met_with_silence():
    chip = running()
    chip.receive(bytes.fromhex("0000ff02fed4022b00" + "0000ff02ffd4022a00" + "0001ff02fed4022a00"), 0.0)
    assert frames_of_chip(chip) == []


def test_an_unknown_command_gets_an_error_frame():
    chip = running()
    chip.receive(bytes.fromhex("0000ff02fed4ff2d00"), 0.0)
    assert frames_of_chip(chip) == [ACK, ERROR]
    chip.receive(NACK, 0.0)
    assert frames_of_chip(chip) == [ERROR]
    chip = running(Diagnose(9))
    chip.send(Refuse(), 0.0)
    assert frames_of_chip(chip) == [ERROR]


def test_ack_stops_a_running_command():
    chip = running(InListPassiveTarget(1, 0))
    chip.receive(ACK, 0.0)
    assert chip.next_event() == CommandStopped()
    assert chip.state is ChipState.IDLE
    chip.receive(ACK, 0.0)
    assert chip.next_event() is NEED_DATA
    assert frames_of_chip(chip) == []


def test_a_new_command_stops_the_one_before():
    chip = running(InListPassiveTarget(1, 0))
    chip.receive(encode_command(GetFirmwareVersion()), 0.0)
    assert chip.next_event() == CommandStopped()
    assert chip.next_event() == CommandReceived(GetFirmwareVersion())
    chip.receive(bytes.fromhex("0000ff02fed4ff2d00"), 0.0)
    assert chip.next_event() == CommandStopped()
    assert frames_of_chip(chip) == [ACK, ACK, ERROR]


def test_nack_brings_the_last_response_back():
    chip = running()
    chip.receive(NACK, 0.0)
    assert frames_of_chip(chip) == [bytes.fromhex("0000ff02fed5151600")]


def test_a_new_baud_rate_applies_after_the_hosts_ack():
    chip = running(SetSerialBaudRate(7))
    chip.send(Respond(Done()), 0.0)
    assert chip.next_event() is NEED_DATA
    chip.receive(ACK, 0.0)
    assert chip.next_event() == RateConfirmed(7)
    chip.receive(ACK, 0.0)
    assert chip.next_event() is NEED_DATA


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
