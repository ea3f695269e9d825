"""All commands of the PN532 by their code, and how they become frames (NXP UM0701-02, clause 7).

>>> encode_command(GetFirmwareVersion()).hex()
'0000ff02fed4022a00'
>>> decode_response(GetFirmwareVersion(), decode_frame(bytes.fromhex("0000ff06fad50332010607e800")))
FirmwareVersion(ic=50, version=1, revision=6, support=7)
"""

from collections.abc import Mapping

from protocols.core.errors import FieldError, UnsupportedError
from protocols.pn532.chip_commands import (
    Diagnose,
    GetFirmwareVersion,
    GetGeneralStatus,
    PowerDown,
    ReadGpio,
    ReadRegister,
    RfConfiguration,
    SamConfiguration,
    SetParameters,
    SetSerialBaudRate,
    WriteGpio,
    WriteRegister,
)
from protocols.pn532.command import Command, Response
from protocols.pn532.frame import TFI_CHIP, TFI_HOST, DataFrame, Frame, data_frame, decode_frame, encode_frame
from protocols.pn532.initiator_commands import (
    InAtr,
    InAutoPoll,
    InCommunicateThru,
    InDataExchange,
    InDeselect,
    InJumpForDep,
    InJumpForPsl,
    InListPassiveTarget,
    InPsl,
    InRelease,
    InSelect,
)
from protocols.pn532.target_commands import (
    TgGetData,
    TgGetInitiatorCommand,
    TgGetTargetStatus,
    TgInitAsTarget,
    TgResponseToInitiator,
    TgSetData,
    TgSetGeneralBytes,
    TgSetMetaData,
)

__all__ = ["COMMANDS", "decode_command", "decode_frame", "decode_response", "encode_command", "encode_response"]

COMMANDS: Mapping[int, type[Command]] = {
    command.CODE: command
    for command in (
        Diagnose,
        GetFirmwareVersion,
        GetGeneralStatus,
        ReadRegister,
        WriteRegister,
        ReadGpio,
        WriteGpio,
        SetSerialBaudRate,
        SetParameters,
        SamConfiguration,
        PowerDown,
        RfConfiguration,
        InDataExchange,
        InCommunicateThru,
        InDeselect,
        InJumpForPsl,
        InListPassiveTarget,
        InPsl,
        InAtr,
        InRelease,
        InSelect,
        InJumpForDep,
        InAutoPoll,
        TgGetData,
        TgGetInitiatorCommand,
        TgGetTargetStatus,
        TgInitAsTarget,
        TgSetData,
        TgResponseToInitiator,
        TgSetGeneralBytes,
        TgSetMetaData,
    )
}


def encode_command(command: Command) -> bytes:
    """The frame of a command. Raises `LocalProtocolError`."""
    return encode_frame(data_frame(TFI_HOST, command.CODE, command.parameters()))


def decode_command(frame: Frame) -> Command:
    """The command in a frame. Raises `RemoteProtocolError`, to which a chip answers with an error frame."""
    if not isinstance(frame, DataFrame) or frame.tfi != TFI_HOST:
        raise FieldError("not a command", field="tfi")
    command = COMMANDS.get(frame.command)
    if command is None:
        raise UnsupportedError(f"there is no command {frame.command:02x}", field="command", raw=frame.payload)
    return command.from_parameters(frame.payload)


def encode_response(command: Command, response: Response) -> bytes:
    """The frame that answers a command. Raises `LocalProtocolError`."""
    return encode_frame(data_frame(TFI_CHIP, command.CODE + 1, response.payload()))


def decode_response(command: Command, frame: Frame) -> Response:
    """The answer to a command. Raises `FieldError` for another frame, `FrameError` for bad contents."""
    if not isinstance(frame, DataFrame) or frame.tfi != TFI_CHIP or frame.command != command.CODE + 1:
        raise FieldError("not the response to this command", field="command")
    return command.RESPONSE.from_payload(frame.payload)
