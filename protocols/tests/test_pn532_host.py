"""The host's end of the link: acknowledgement, repeats, doubts, waking the chip up."""

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.pn532.chip_commands import Diagnose, FirmwareVersion, GetFirmwareVersion, PowerDown, SetSerialBaudRate
from protocols.pn532.command import StatusAndData, StatusResponse
from protocols.pn532.commands import encode_command, encode_response
from protocols.pn532.errors import Status
from protocols.pn532.frame import ACK, ERROR, NACK, WAKE_UP
from protocols.pn532.host import ACK_TIMEOUT_S, Abort, Aborted, Failed, HostState, Refused, Request, Responded
from protocols.pn532.initiator_commands import InDataExchange, InListPassiveTarget
from protocols.tests.pn532_ends import FIRMWARE, awake


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
    assert host.next_event() == Failed(InDataExchange(1, b"debit"), "no response", is_acknowledged=False)
    assert host.bytes_to_send() == ACK
    host.send(Request(GetFirmwareVersion()), 9.0)
    assert host.bytes_to_send().startswith(WAKE_UP)  # not a word came: the chip may sleep


def test_a_late_acknowledgement_still_counts():
    host = awake()
    host.send(Request(InDataExchange(1), 1.0), 1.0)
    host.tick(1.0 + ACK_TIMEOUT_S)
    host.receive(ACK, 1.5)
    host.tick(2.0)
    assert host.next_event() == Failed(InDataExchange(1), "no response", is_acknowledged=True)


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


def test_what_was_stopped_before_its_acknowledgement_is_not_heard_as_the_next_one():
    """Both the acknowledgement and the response of the first may be on the line still."""
    host = awake()
    first, second = InDataExchange(1, b"first"), InDataExchange(1, b"second")
    host.send(Request(first), 1.0)
    host.send(Abort(), 1.01)
    assert isinstance(host.next_event(), Aborted)
    host.bytes_to_send()
    host.send(Request(second), 1.02)
    assert host.bytes_to_send() == b""
    host.receive(ACK + encode_response(first, StatusAndData(Status(), b"old")), 1.03)
    assert host.next_event() is NEED_DATA
    host.tick(host.next_deadline())
    assert host.bytes_to_send() == encode_command(second)
    host.receive(ACK + encode_response(second, StatusAndData(Status(), b"new")), 1.2)
    assert host.next_event() == Responded(second, StatusAndData(Status(), b"new"))


def test_another_command_goes_out_at_once_after_a_stop():
    """The old response cannot be taken for its own: it has another code."""
    host = awake()
    host.send(Request(InDataExchange(1)), 1.0)
    host.send(Abort(), 1.01)
    host.next_event()
    host.bytes_to_send()
    host.send(Request(GetFirmwareVersion()), 1.02)
    assert host.bytes_to_send() == encode_command(GetFirmwareVersion())
    host.receive(ACK + encode_response(InDataExchange(1), StatusAndData(Status(), b"old")) + ACK + FIRMWARE, 1.03)
    assert host.next_event() == Responded(GetFirmwareVersion(), FirmwareVersion())


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


def test_a_response_that_was_asked_for_again_may_come_twice():
    """The chip had answered when NACK reached it: the second copy is not the next command's answer."""
    host = awake()
    host.send(Request(GetFirmwareVersion()), 1.0)
    host.receive(ACK + FIRMWARE[:-2] + b"\x00\x00", 1.0)
    host.receive(FIRMWARE, 1.01)
    assert isinstance(host.next_event(), Responded)
    host.send(Request(GetFirmwareVersion()), 1.02)
    host.receive(FIRMWARE, 1.03)
    assert host.next_event() is NEED_DATA
    other = FirmwareVersion(revision=9)
    host.receive(ACK + encode_response(GetFirmwareVersion(), other), 1.04)
    assert host.next_event() == Responded(GetFirmwareVersion(), other)


def test_two_commands_that_were_stopped_in_turn_are_both_doubted():
    host = awake()
    for command in (InDataExchange(1), Diagnose(0)):
        host.send(Request(command), 1.0)
        host.send(Abort(), 1.01)
        host.next_event()
    host.bytes_to_send()
    for command in (InDataExchange(1), Diagnose(0), GetFirmwareVersion()):
        host.send(Request(command), 1.02)
        assert host.bytes_to_send() == b""
        host.send(Abort(), 1.02)
        host.next_event()
        host.bytes_to_send()


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
