"""What an emulated PN532 is set to: registers, pins, parameters, retries; and the commands for that."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from protocols.core.errors import LocalProtocolError
from protocols.pn532 import chip_commands as chip
from protocols.pn532 import target_commands
from protocols.pn532.command import Command, Done, Response, StatusAndData, StatusResponse
from protocols.pn532.errors import ErrorCode
from protocols.pn532.initiator_commands import ENDLESS

MAX_TIMEOUT_S = 5.0
"""Where a host configures none."""
DEFAULT_TIMEOUT_CODE = 0x0A
"""51.2 ms, UM0701-02 7.3.1."""


class Settings:
    """The chip's settings. All registers are 0 at first."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}
        self.parameters = 0
        self.passive_retries = ENDLESS
        """MxRtyPassiveActivation of RFConfiguration item 5."""
        self.timeout_s = chip.timeout_s(DEFAULT_TIMEOUT_CODE) or MAX_TIMEOUT_S
        """How long InCommunicateThru waits."""
        self._gpio = chip.GpioState()

    def answer(self, command: Command) -> Response:
        """Carry out a command that has to do with settings alone; any other is not acceptable now (error code 27)."""
        carry_out = self._COMMANDS.get(type(command))
        if carry_out is not None:
            return carry_out(self, command)
        if command.RESPONSE in {StatusResponse, StatusAndData}:
            return command.RESPONSE.from_payload(bytes((ErrorCode.CONTEXT,)))
        return Done()

    @staticmethod
    def _diagnose(command: chip.Diagnose) -> Response:
        match command.test:
            case chip.DIAGNOSE_LINE:
                return chip.DiagnoseResponse(bytes((command.test,)) + command.data)
            case chip.DIAGNOSE_ECHO:
                return chip.DiagnoseResponse(command.data)
            case chip.DIAGNOSE_ROM | chip.DIAGNOSE_RAM | chip.DIAGNOSE_POLLING | chip.DIAGNOSE_ANTENNA:
                return chip.DiagnoseResponse(b"\x00")
            case _:
                raise LocalProtocolError("no such test", field="test")

    def _read_registers(self, command: chip.ReadRegister) -> Response:
        return chip.RegisterValues(bytes(self.registers.get(address, 0) for address in command.addresses))

    def _write_registers(self, command: chip.WriteRegister) -> Response:
        self.registers.update(command.writes)
        return Done()

    def _write_gpio(self, command: chip.WriteGpio) -> Response:
        """Bit 7 says whether the port is written at all."""
        p3 = command.p3 & 0x7F if command.p3 & 0x80 else self._gpio.p3
        p7 = command.p7 & 0x7F if command.p7 & 0x80 else self._gpio.p7
        self._gpio = chip.GpioState(p3, p7, 0)
        return Done()

    def _set_parameters(self, command: chip.SetParameters) -> Response:
        self.parameters = command.flags
        return Done()

    def _configure_radio(self, command: chip.RfConfiguration) -> Response:
        if command.item == chip.RF_TIMINGS:
            self.timeout_s = chip.timeout_s(command.data[2]) or MAX_TIMEOUT_S
        elif command.item == chip.RF_RETRIES:
            self.passive_retries = command.data[2]
        return Done()

    _COMMANDS: ClassVar[Mapping[type[Command], Callable[["Settings", Any], Response]]] = {
        chip.Diagnose: lambda _self, command: Settings._diagnose(command),
        chip.GetFirmwareVersion: lambda _self, _command: chip.FirmwareVersion(),
        chip.ReadRegister: _read_registers,
        chip.WriteRegister: _write_registers,
        chip.ReadGpio: lambda self, _command: self._gpio,
        chip.WriteGpio: _write_gpio,
        chip.SetParameters: _set_parameters,
        chip.RfConfiguration: _configure_radio,
        chip.PowerDown: lambda _self, _command: StatusResponse(),
        target_commands.TgGetTargetStatus: lambda _self, _command: target_commands.TargetStatus(),
    }
