"""The emulated PN532 as a chip: registers, pins, sleep, acknowledgements, faults, any bytes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.contactless_cards import TypeACard
from emulators.pn532 import ChipFault, Pn532Emulator
from emulators.tests.pn532_bench import PERMIT, Bench, card_a, card_b
from protocols.iso14443.apdu import encode_command
from protocols.iso14443.apdu import select_by_name as by_name
from protocols.pn532 import chip_commands as chip
from protocols.pn532.command import Done, StatusAndData
from protocols.pn532.commands import encode_command as frame_of
from protocols.pn532.errors import ErrorCode, Status
from protocols.pn532.frame import ACK, NACK, WAKE_UP
from protocols.pn532.host import Failed, Refused, Responded
from protocols.pn532.initiator_commands import InCommunicateThru, InDataExchange, InJumpForDep, InListPassiveTarget
from protocols.pn532.target_commands import TargetStatus, TgGetTargetStatus, TgInitAsTarget

EXAMPLES = settings(max_examples=50, derandomize=True, deadline=None)


def test_it_says_what_it_is():
    bench = Bench().open()
    assert bench.ask(chip.GetFirmwareVersion()) == chip.FirmwareVersion()
    assert bench.ask(chip.Diagnose(0, b"libnfc")) == chip.DiagnoseResponse(b"\x00libnfc")
    assert bench.ask(chip.Diagnose(1)) == chip.DiagnoseResponse(b"\x00")
    assert bench.ask(chip.Diagnose(5, b"x")) == chip.DiagnoseResponse(b"x")
    assert isinstance(bench.run(chip.Diagnose(0x42)), Refused)
    assert bench.ask(chip.GetGeneralStatus()) == chip.GeneralStatus()
    assert bench.ask(TgGetTargetStatus()) == TargetStatus()
    assert bench.ask(InJumpForDep(b"\x00\x00\x00")) == StatusAndData(Status(ErrorCode.CONTEXT))


def test_acknowledgement_and_response_are_written_apart():
    bench = Bench().open()
    bench.writes.clear()
    bench.ask(chip.GetFirmwareVersion())
    assert bench.writes == [ACK, bytes.fromhex("0000ff06fad50332010607e800")]


def test_registers_are_kept():
    bench = Bench().open()
    assert bench.ask(chip.ReadRegister((0x6302, 0x630D))) == chip.RegisterValues(b"\x00\x00")
    assert bench.ask(chip.WriteRegister(((0x6302, 0x80), (0x630D, 3)))) == Done()
    assert bench.ask(chip.ReadRegister((0x6302, 0x630D))) == chip.RegisterValues(b"\x80\x03")


def test_pins_are_written_where_bit_7_says_so():
    bench = Bench().open()
    bench.ask(chip.WriteGpio(0x81, 0x06))
    assert bench.ask(chip.ReadGpio()) == chip.GpioState(1, 0, 0)


def test_the_baud_rate_changes_with_the_hosts_ack():
    bench = Bench().open()
    assert len(bench.chip.receive(frame_of(chip.SetSerialBaudRate(7)), bench.now)) == 2
    assert bench.chip.baud_rate == 115_200
    bench.chip.receive(ACK, bench.now)
    assert bench.chip.baud_rate == 921_600


def test_it_sleeps_until_woken_and_the_field_goes_with_power_down():
    bench = Bench(card_a())
    assert bench.chip.receive(frame_of(chip.GetFirmwareVersion()), 0.0) == []
    bench.open()
    assert bench.list_a()
    assert bench.chip.field.is_on
    bench.ask(chip.PowerDown())
    assert not bench.chip.field.is_on
    assert bench.chip.receive(frame_of(chip.GetFirmwareVersion()), bench.now) == []
    assert bench.ask(chip.GetFirmwareVersion())


def test_it_waits_for_an_initiator_until_stopped():
    bench = Bench().open()
    event = bench.run(TgInitAsTarget(0, bytes(6), bytes(18), bytes(10)), 12.0)
    assert isinstance(event, Failed)
    assert bench.ask(chip.GetFirmwareVersion())


def test_forced_faults():
    bench = Bench(card_a()).open()
    bench.list_a()
    bench.chip.forced.extend([ChipFault.DROP_ACK, ChipFault.BAD_DCS, ChipFault.ERROR_FRAME, 0x2B, ChipFault.SILENT])
    assert bench.ask(InDataExchange(1, encode_command(by_name(PERMIT)))).status.ok  # the response is enough
    bench.writes.clear()
    assert bench.ask(InDataExchange(1, encode_command(by_name(PERMIT)))).status.ok  # asked for again with NACK
    assert len(bench.writes) == 3
    assert isinstance(bench.run(chip.GetFirmwareVersion()), Refused)
    assert bench.ask(InDataExchange(1, b"")) == StatusAndData(Status(0x2B))
    assert isinstance(bench.run(InDataExchange(1, b""), 0.5), Failed)
    assert bench.apdu(by_name(PERMIT)).ok


def test_nack_brings_the_last_response_back():
    bench = Bench().open()
    bench.ask(chip.GetFirmwareVersion())
    assert bench.chip.receive(NACK, bench.now) == [bytes.fromhex("0000ff06fad50332010607e800")]


@EXAMPLES
@given(pieces=st.lists(st.binary(max_size=60), max_size=20), seed=st.integers(0, 2**32 - 1))
def test_no_bytes_break_the_chip(pieces, seed):
    rng = random.Random(seed)
    emulator = Pn532Emulator()
    for card in (card_a(), card_b(), TypeACard(b"\x11\x22\x33\x44", sak=8)):
        emulator.place(card)
    now = 0.0
    emulator.receive(WAKE_UP + frame_of(chip.SamConfiguration()), now)
    for piece in pieces:
        command = rng.choice(
            [InCommunicateThru(piece), InDataExchange(1, piece), InListPassiveTarget(2, rng.choice((0, 3)))]
        )
        emulator.receive(rng.choice([piece, frame_of(command), b"\x00\x00\xff" + piece]), now)
        now = emulator.next_deadline() or now
        emulator.tick(now)
    assert len(emulator.commands) <= 1000


@pytest.mark.parametrize("after", [ACK, frame_of(chip.GetFirmwareVersion()), ACK + frame_of(chip.GetFirmwareVersion())])
def test_a_command_that_the_same_bytes_stop_or_replace_is_never_answered(after):
    """A host that is killed and started again sends everything at once."""
    bench = Bench()
    bench.run(chip.SamConfiguration())
    written = b"".join(bench.chip.receive(frame_of(chip.GetFirmwareVersion()) + after, bench.now))
    answers = written.count(bytes.fromhex("d503"))
    assert answers == (0 if after == ACK else 1)
    assert isinstance(bench.run(chip.GetFirmwareVersion()), Responded)
