"""Either end of the link, ready to talk."""

from protocols.pn532.chip import ChipDialogue, CommandReceived, Respond
from protocols.pn532.chip_commands import FirmwareVersion, GetFirmwareVersion, SamConfiguration
from protocols.pn532.command import Done
from protocols.pn532.commands import encode_command, encode_response
from protocols.pn532.frame import ACK, WAKE_UP
from protocols.pn532.host import HostDialogue, Request, Responded

FIRMWARE = encode_response(GetFirmwareVersion(), FirmwareVersion())


def awake(dialogue=None):
    """A host whose chip is configured."""
    host = dialogue or HostDialogue()
    host.send(Request(SamConfiguration()), 0.0)
    assert host.bytes_to_send() == WAKE_UP + encode_command(SamConfiguration())
    host.receive(ACK + encode_response(SamConfiguration(), Done()), 0.0)
    assert host.next_event() == Responded(SamConfiguration(), Done())
    return host


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
