"""What every command and response of the PN532 has (NXP UM0701-02, clause 7).

A response's code is its command's code plus one. Types that many commands share stand here; the commands stand by
family in `chip_commands.py`, `initiator_commands.py` and `target_commands.py`, all together in `commands.py`.
"""

from typing import ClassVar, Self, TypeVar

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.pn532.errors import Status, decode_status, encode_status

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Response(msgspec.Struct, frozen=True):
    """What follows the response code. The plain type is that of commands whose response is empty."""

    def payload(self) -> bytes:
        """The bytes after the response code."""
        return b""

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read them. Raises `RemoteProtocolError`."""
        check_size(data, 0, 0)
        return cls()


class Done(Response, frozen=True):
    """An empty response."""


class StatusResponse(Response, frozen=True):
    """A status byte alone."""

    status: Status = Status()

    def payload(self) -> bytes:
        """The status byte."""
        return encode_status(self.status)

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read a status byte."""
        return cls(decode_status(data))


class StatusAndData(Response, frozen=True):
    """A status byte and what the card, target or initiator said."""

    status: Status = Status()
    data: bytes = b""

    def payload(self) -> bytes:
        """The status byte and the data."""
        return encode_status(self.status) + self.data

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read a status byte and the data."""
        return cls(decode_status(data[:1]), bytes(data[1:]))


class DataResponse(Response, frozen=True):
    """Data, and no status byte before them."""

    data: bytes = b""

    def payload(self) -> bytes:
        """The data."""
        return self.data

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Take the data."""
        return cls(bytes(data))


class FixedResponse(Response, frozen=True):
    """A byte for each field."""

    def payload(self) -> bytes:
        """The bytes of the fields."""
        return write_fixed(self)

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read them, one by one."""
        return read_fixed(cls, data)


class HeadedResponse(Response, frozen=True):
    """A byte, and data: two fields."""

    def payload(self) -> bytes:
        """The byte and the data."""
        return write_headed(self)

    @classmethod
    def from_payload(cls, data: bytes) -> Self:
        """Read the byte and the data."""
        return read_headed(cls, data)


class Command(msgspec.Struct, frozen=True):
    """What follows the command code. The plain type is that of commands without parameters."""

    CODE: ClassVar[int]
    RESPONSE: ClassVar[type[Response]] = Done
    TIMEOUT_S: ClassVar[float] = 0.35
    """How long a host waits for the response, where it does not know better."""
    IS_REPEATABLE: ClassVar[bool] = True
    """Whether sending it twice does what sending it once does. Not so where a card hears it."""

    def parameters(self) -> bytes:
        """The bytes after the command code. Raises `LocalProtocolError`."""
        return b""

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read them. Raises `RemoteProtocolError`."""
        check_size(data, 0, 0)
        return cls()


class DataCommand(Command, frozen=True):
    """A command whose parameters are data alone."""

    data: bytes = b""

    def parameters(self) -> bytes:
        """The data."""
        return self.data

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Take the data."""
        return cls(bytes(data))


class FixedCommand(Command, frozen=True):
    """A byte for each field."""

    def parameters(self) -> bytes:
        """The bytes of the fields."""
        return write_fixed(self)

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read them, one by one."""
        return read_fixed(cls, data)


class HeadedCommand(Command, frozen=True):
    """A byte, and data: two fields."""

    def parameters(self) -> bytes:
        """The byte and the data."""
        return write_headed(self)

    @classmethod
    def from_parameters(cls, data: bytes) -> Self:
        """Read the byte and the data."""
        return read_headed(cls, data)


def write_fixed(record: msgspec.Struct) -> bytes:
    """A byte for each field. Raises `LocalProtocolError`."""
    return bytes(octet(getattr(record, name), name) for name in record.__struct_fields__)


def read_fixed(kind: type[StructT], data: bytes) -> StructT:
    """The inverse of `write_fixed`. Raises `FrameError`."""
    size = len(kind.__struct_fields__)
    check_size(data, size, size)
    return kind(*data)


def write_headed(record: msgspec.Struct) -> bytes:
    """The byte of the first field, and the second as it is. Raises `LocalProtocolError`."""
    head, rest = record.__struct_fields__
    return bytes((octet(getattr(record, head), head),)) + bytes(getattr(record, rest))


def read_headed(kind: type[StructT], data: bytes) -> StructT:
    """The inverse of `write_headed`. Raises `FrameError`."""
    check_size(data, 1)
    return kind(data[0], bytes(data[1:]))


def check_size(data: bytes, minimum: int, maximum: int | None = None) -> None:
    """Raise `FrameError` unless there are `minimum` to `maximum` bytes."""
    if len(data) < minimum or (maximum is not None and len(data) > maximum):
        due = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}" if maximum > minimum else minimum
        raise FrameError(f"{len(data)} bytes where {due} are due", field="parameters", raw=data)


def octet(value: int, field: str, maximum: int = 0xFF) -> int:
    """A value that fits a byte, or `LocalProtocolError`."""
    if not 0 <= value <= maximum:
        raise LocalProtocolError(f"{value} is not 0 to {maximum}", field=field)
    return value
