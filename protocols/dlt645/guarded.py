"""Requests that change a meter and carry a password (DL/T 645-2007 clause 7.5, 7.9 to 7.14).

No `repr` here shows a password.
"""

from typing import ClassVar, Self

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.dlt645.edition import Edition, Function, put_di, take_di
from protocols.dlt645.requests import Clock, Request, check_length, read_clock, write_clock

PASSWORD_BYTES = 4
OPERATOR_BYTES = 4
ALL_EVENTS = 0xFFFFFFFF


class Password(msgspec.Struct, frozen=True):
    """level: 00 to 09, 0 the highest. code: three bytes as they are sent, the lowest first."""

    level: int
    code: bytes

    def __repr__(self) -> str:
        return f"Password(level={self.level})"

    def encode(self) -> bytes:
        """Four bytes. Raises `LocalProtocolError`."""
        if not 0 <= self.level <= 0xFF or len(self.code) != PASSWORD_BYTES - 1:
            raise LocalProtocolError("a level and three bytes", field="password")
        return bytes((self.level,)) + self.code


def _take_password(data: bytes) -> tuple[Password, bytes]:
    if len(data) < PASSWORD_BYTES:
        raise FieldError(f"{len(data)} bytes hold no password", field="password")
    return Password(data[0], data[1:PASSWORD_BYTES]), data[PASSWORD_BYTES:]


class Authorisation(msgspec.Struct, frozen=True):
    """Password and operator's code. operator: four bytes as they are sent; None in the edition of 1997."""

    password: Password
    operator: bytes | None = bytes(OPERATOR_BYTES)

    def encode(self, edition: Edition, /) -> bytes:
        """Eight bytes, in the edition of 1997 four. Raises `LocalProtocolError`."""
        operator = b"" if self.operator is None else self.operator
        if len(operator) != (OPERATOR_BYTES if edition is Edition.E2007 else 0):
            raise LocalProtocolError("an operator's code is four bytes, in the edition of 1997 none", field="operator")
        return self.password.encode() + operator


def take_authorisation(data: bytes, edition: Edition) -> tuple[Authorisation, bytes]:
    """The authorisation at the front of data, and the rest. Raises `FieldError`."""
    password, rest = _take_password(data)
    if edition is Edition.E1997:
        return Authorisation(password, None), rest
    if len(rest) < OPERATOR_BYTES:
        raise FieldError(f"{len(rest)} bytes hold no operator's code", field="operator")
    return Authorisation(password, rest[:OPERATOR_BYTES]), rest[OPERATOR_BYTES:]


class WriteData(Request, frozen=True):
    """14H, of 1997 04H."""

    FUNCTION: ClassVar[Function] = Function.WRITE_DATA
    IS_GUARDED: ClassVar[bool] = True
    di: int
    authorisation: Authorisation
    data: bytes

    def encode(self, edition: Edition, /) -> bytes:
        """Identifier, authorisation, data."""
        return put_di(self.di, edition) + self.authorisation.encode(edition) + self.data

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Identifier, authorisation, data."""
        di, rest = take_di(data, edition)
        return cls(di, *take_authorisation(rest, edition))


class ChangePassword(Request, frozen=True):
    """18H, of 1997 0FH. di: which password, 0 in the edition of 1997."""

    FUNCTION: ClassVar[Function] = Function.CHANGE_PASSWORD
    IS_GUARDED: ClassVar[bool] = True
    di: int
    old: Password
    new: Password

    def encode(self, edition: Edition, /) -> bytes:
        """Identifier, old, new."""
        head = put_di(self.di, edition) if edition is Edition.E2007 else b""
        return head + self.old.encode() + self.new.encode()

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Identifier, old, new."""
        di, rest = take_di(data, edition) if edition is Edition.E2007 else (0, data)
        old, rest = _take_password(rest)
        new, rest = _take_password(rest)
        check_length(rest, 0, "password")
        return cls(di, old, new)


class _Clear(Request, frozen=True):
    """Authorisation and nothing else."""

    IS_GUARDED: ClassVar[bool] = True
    authorisation: Authorisation

    def encode(self, edition: Edition, /) -> bytes:
        """Authorisation."""
        return self.authorisation.encode(edition)

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Authorisation."""
        authorisation, rest = take_authorisation(data, edition)
        check_length(rest, 0, "data")
        return cls(authorisation)


class ClearDemand(_Clear, frozen=True):
    """19H, of 1997 10H."""

    FUNCTION: ClassVar[Function] = Function.CLEAR_DEMAND


class ClearMeter(_Clear, frozen=True):
    """1AH."""

    FUNCTION: ClassVar[Function] = Function.CLEAR_METER


class ClearEvents(Request, frozen=True):
    """1BH. di: of the events; `ALL_EVENTS`."""

    FUNCTION: ClassVar[Function] = Function.CLEAR_EVENTS
    IS_GUARDED: ClassVar[bool] = True
    authorisation: Authorisation
    di: int = ALL_EVENTS

    def encode(self, edition: Edition, /) -> bytes:
        """Authorisation and identifier."""
        return self.authorisation.encode(edition) + put_di(self.di, edition)

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Authorisation and identifier."""
        authorisation, rest = take_authorisation(data, edition)
        check_length(rest, 4, "di")
        return cls(authorisation, take_di(rest, edition)[0])


TRIP = 0x1A
PERMIT_CLOSING = 0x1B
CLOSE = 0x1C
ALARM = 0x2A
END_ALARM = 0x2B
HOLD = 0x3A
END_HOLD = 0x3B


class SwitchRelay(Request, frozen=True):
    """1CH. command: `TRIP` and the others. until: void after that. reserved: the byte behind the command."""

    FUNCTION: ClassVar[Function] = Function.SWITCH_RELAY
    IS_GUARDED: ClassVar[bool] = True
    authorisation: Authorisation
    command: int
    until: Clock
    reserved: int = 0

    def encode(self, edition: Edition, /) -> bytes:
        """Authorisation, command, a reserved byte, end time."""
        head = bytes_of_byte(self.command, "command") + bytes_of_byte(self.reserved, "reserved")
        return self.authorisation.encode(edition) + head + write_clock(self.until)

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Authorisation, command, a reserved byte, end time."""
        authorisation, rest = take_authorisation(data, edition)
        check_length(rest, 8, "command")
        return cls(authorisation, rest[0], read_clock(rest[2:]), rest[1])


class SetOutput(Request, frozen=True):
    """1DH. output: 0 second pulse, 1 demand period, 2 tariff switch."""

    FUNCTION: ClassVar[Function] = Function.SET_OUTPUT
    IS_GUARDED: ClassVar[bool] = True
    output: int

    def encode(self, _edition: Edition, /) -> bytes:
        """One byte."""
        return bytes_of_byte(self.output, "output")

    @classmethod
    def decode(cls, data: bytes, _edition: Edition, /) -> Self:
        """One byte."""
        check_length(data, 1, "output")
        return cls(data[0])


def bytes_of_byte(value: int, field: str) -> bytes:
    """One byte. Raises `LocalProtocolError`."""
    if not 0 <= value <= 0xFF:
        raise LocalProtocolError("is one byte", field=field)
    return bytes((value,))
