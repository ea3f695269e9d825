r"""Edition, command and response -> what the data unit is, both ways.

GB/T 32960.3-2016 and -2025, clause 6.3.

>>> from protocols.gbt32960.frame import decode_frame
>>> frame = decode_frame(bytes.fromhex("232304fe4c5a595441474257394a313030343136340100081206161015150046ea"))
>>> decode_body(frame)
Logout(time=b'\x12\x06\x16\x10\x15\x15', login_serial=70)
"""

import msgspec

from protocols.gbt32960.frame import COMMAND, HEADER_BYTES, Command, Encryption, Frame, Response
from protocols.gbt32960.layout import Reader, Structure
from protocols.gbt32960.login import Logout, PlatformLogin, VehicleLogin, VehicleLogin2025
from protocols.gbt32960.parameters import (
    Activation,
    ActivationAnswer,
    Control,
    KeyExchange,
    ParameterIds,
    Parameters,
)
from protocols.gbt32960.report import Report
from protocols.gbt32960.times import TIME_BYTES


class Empty(msgspec.Struct, frozen=True):
    """Heartbeat and the request for the time: nothing."""


class Answer(msgspec.Struct, frozen=True):
    """An answer: the time of what it answers (that of the platform for a time sync), and what else may follow.

    time: None when fewer than six bytes are there.
    """

    time: bytes | None
    rest: bytes = b""


class Opaque(msgspec.Struct, frozen=True):
    """A data unit that is encrypted, or of a command that the edition does not have."""

    data: bytes


Body = Structure | Report | ParameterIds | Parameters | Empty | Answer | Opaque

_STRUCTURES: dict[int, dict[int, type[Structure]]] = {
    2016: {
        Command.VEHICLE_LOGIN: VehicleLogin,
        Command.VEHICLE_LOGOUT: Logout,
        Command.PLATFORM_LOGIN: PlatformLogin,
        Command.PLATFORM_LOGOUT: Logout,
        Command.CONTROL: Control,
    },
    2025: {
        Command.VEHICLE_LOGIN: VehicleLogin2025,
        Command.VEHICLE_LOGOUT: Logout,
        Command.PLATFORM_LOGIN: PlatformLogin,
        Command.PLATFORM_LOGOUT: Logout,
        Command.ACTIVATION: Activation,
        Command.ACTIVATION_ANSWER: ActivationAnswer,
        Command.KEY_EXCHANGE: KeyExchange,
        Command.CONTROL: Control,
    },
}
"""Edition -> command -> class, for what is no answer."""
_REPORTS = (Command.REAL_TIME, Command.REISSUE)
_EMPTY = (Command.HEARTBEAT, Command.TIME_SYNC)


def decode_body(frame: Frame) -> Body:
    """Read the data unit of a frame. Raises `FieldError` and `UnsupportedError`."""
    if frame.encryption != Encryption.NONE:
        return Opaque(frame.data)
    reader = Reader(frame.data, HEADER_BYTES)
    body = _read_command(frame, reader) if frame.response == COMMAND else _read_answer(frame, reader)
    reader.end()
    return body


def _read_command(frame: Frame, reader: Reader) -> Body:
    command, edition = frame.command, frame.edition
    if command in _REPORTS:
        return Report.read_edition(reader, edition)
    if command in _EMPTY:
        return Empty()
    if command == Command.SET_PARAMETERS:
        return Parameters.read_edition(reader, edition)
    if command == Command.QUERY_PARAMETERS:
        is_ids = reader.left > TIME_BYTES and frame.data[TIME_BYTES] == reader.left - TIME_BYTES - 1
        return ParameterIds.read(reader) if is_ids else Parameters.read_edition(reader, edition)
    structure = structure_kind(command, edition)
    return Opaque(reader.rest()) if structure is None else structure.read(reader)


def _read_answer(frame: Frame, reader: Reader) -> Body:
    is_success = frame.response == Response.SUCCESS
    if frame.command == Command.QUERY_PARAMETERS and is_success and reader.left > TIME_BYTES:
        return Parameters.read_edition(reader, frame.edition)
    time = reader.take(TIME_BYTES, "time") if reader.left >= TIME_BYTES else None
    return Answer(time, reader.rest())


def structure_kind(command: int, edition: int) -> type[Structure] | None:
    """The class of a command that is no report and has one; None for all others."""
    return _STRUCTURES[edition].get(command)


def encode_body(body: Body, edition: int) -> bytes:
    """Write a data unit. Raises `LocalProtocolError`."""
    match body:
        case Empty():
            return b""
        case Opaque():
            return body.data
        case Answer():
            return (body.time or b"") + body.rest
        case Parameters():
            return body.write_edition(edition)
        case _:
            return body.write()
