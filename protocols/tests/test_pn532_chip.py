"""The chip's end of the link: acknowledgement first, sleep, stops, a new baud rate."""

import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.pn532.chip import (
    GAP_S,
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
    FirmwareVersion,
    GetFirmwareVersion,
    PowerDown,
    SamConfiguration,
    SetSerialBaudRate,
)
from protocols.pn532.command import Done, StatusResponse
from protocols.pn532.commands import encode_command
from protocols.pn532.frame import ACK, ERROR, NACK, WAKE_UP
from protocols.pn532.initiator_commands import InListPassiveTarget
from protocols.tests.pn532_ends import FIRMWARE, frames_of_chip, running


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


def test_half_a_frame_is_forgotten_and_hides_no_command():
    """A NACK with one bit flipped is the head of a frame of 255 bytes."""
    chip = running()
    chip.receive(bytes.fromhex("0000ffff0100"), 1.0)
    chip.receive(encode_command(GetFirmwareVersion()), 1.0 + GAP_S)
    assert frames_of_chip(chip) == [ACK]
    assert chip.next_event() == CommandReceived(GetFirmwareVersion())


def test_a_command_may_come_in_pieces():
    chip = running()
    wire = encode_command(GetFirmwareVersion())
    for number, byte in enumerate(wire):
        chip.receive(bytes((byte,)), 1.0 + 0.9 * GAP_S * number)
    assert frames_of_chip(chip) == [ACK]


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
