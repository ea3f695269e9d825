"""Requests that a station may send at any time: reading, addresses, the clock, freezing, the baud rate.

DL/T 645-2007 clause 7.1 to 7.11, DL/T 645-1997 clause 5.2. `encode` and `decode` speak of the data of a frame, without
the offset of 33H.
"""

from typing import ClassVar, NamedTuple, Self

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.core.instant import is_civil
from protocols.dlt645.bcd import bytes_of, bytes_of_number, digits_of, number_of
from protocols.dlt645.edition import Edition, Function, put_di, take_di
from protocols.dlt645.frame import is_address

CENTURY = 2000
EVERY = 99
"""Stands for every minute, hour, day or month."""


class Clock(NamedTuple):
    """Date and time of a meter, which has two digits of the year."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int


def read_clock(data: bytes) -> Clock:
    """Six bytes: second, minute, hour, day, month, year. Raises `FieldError` for what no calendar has."""
    check_length(data, 6, "clock")
    second, minute, hour, day, month, year = (number_of(data[at : at + 1], "clock") for at in range(6))
    clock = Clock(CENTURY + year, month, day, hour, minute, second)
    if not is_civil(*clock[:3]) or hour > 23 or minute > 59 or second > 59:
        raise FieldError("is no time of a calendar", field="clock")
    return clock


def write_clock(clock: Clock) -> bytes:
    """The inverse of `read_clock`. Raises `LocalProtocolError`."""
    year = clock.year - CENTURY
    parts = (clock.second, clock.minute, clock.hour, clock.day, clock.month, year)
    data = b"".join(bytes_of_number(part, 1, "clock") for part in parts)
    try:
        read_clock(data)
    except FieldError as error:
        raise LocalProtocolError(error.reason, field="clock") from error
    return data


def check_length(data: bytes, want: int, field: str) -> None:
    """Hold data from outside against the one length that they can have. Raises `FieldError`."""
    if len(data) != want:
        raise FieldError(f"{len(data)} bytes where {want} are due", field=field)


class Request(msgspec.Struct, frozen=True):
    """Any request."""

    FUNCTION: ClassVar[Function]
    IS_GUARDED: ClassVar[bool] = False
    """Changes a meter: only an operator's own authorisation may lead to it."""

    def encode(self, edition: Edition, /) -> bytes:
        """The data of the frame. Raises `LocalProtocolError`."""
        raise NotImplementedError

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """The request in the data of a frame. Raises `FieldError`."""
        raise NotImplementedError


class ReadData(Request, frozen=True):
    """11H, of 1997 01H. rest: count of blocks (1 byte), perhaps with a time (5 bytes), for load records of 2007."""

    FUNCTION: ClassVar[Function] = Function.READ_DATA
    di: int
    rest: bytes = b""

    def encode(self, edition: Edition, /) -> bytes:
        """Identifier, and the rest."""
        return put_di(self.di, edition) + self.rest

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Identifier, and the rest."""
        return cls(*take_di(data, edition))


class ReadFollowing(Request, frozen=True):
    """12H, of 1997 02H. sequence: 1 to 255, which piece; None in the edition of 1997, which does not count."""

    FUNCTION: ClassVar[Function] = Function.READ_FOLLOWING
    di: int
    sequence: int | None = None

    def encode(self, edition: Edition, /) -> bytes:
        """Identifier and sequence number."""
        return put_di(self.di, edition) + put_sequence(self.sequence, edition)

    @classmethod
    def decode(cls, data: bytes, edition: Edition, /) -> Self:
        """Identifier and sequence number."""
        di, rest = take_di(data, edition)
        check_length(rest, 1 if edition is Edition.E2007 else 0, "sequence")
        return cls(di, check_sequence(rest[0]) if rest else None)


class _Bare(Request, frozen=True):
    """The function says it all."""

    def encode(self, _edition: Edition, /) -> bytes:
        """Nothing."""
        return b""

    @classmethod
    def decode(cls, data: bytes, _edition: Edition, /) -> Self:
        """Nothing."""
        check_length(data, 0, "data")
        return cls()


class ReadAgain(_Bare, frozen=True):
    """03H, 1997 only: the last answer once more."""

    FUNCTION: ClassVar[Function] = Function.READ_AGAIN


class ReadAddress(_Bare, frozen=True):
    """13H: who are you? Only to the address AA..AA, where one meter is on the line."""

    FUNCTION: ClassVar[Function] = Function.READ_ADDRESS


class WriteAddress(Request, frozen=True):
    """15H, of 1997 0AH: be this address from now on."""

    FUNCTION: ClassVar[Function] = Function.WRITE_ADDRESS
    IS_GUARDED: ClassVar[bool] = True
    address: str

    def encode(self, _edition: Edition, /) -> bytes:
        """Six bytes."""
        if not is_address(self.address):
            raise LocalProtocolError("an address is 12 hex digits in lower case", field="address")
        return bytes_of(self.address)

    @classmethod
    def decode(cls, data: bytes, _edition: Edition, /) -> Self:
        """Six bytes."""
        check_length(data, 6, "address")
        return cls(digits_of(data))


class SetClock(Request, frozen=True):
    """08H, a broadcast: nobody answers. A meter takes it once a day, and within five minutes of its own time."""

    FUNCTION: ClassVar[Function] = Function.SET_CLOCK
    clock: Clock

    def encode(self, _edition: Edition, /) -> bytes:
        """Six bytes."""
        return write_clock(self.clock)

    @classmethod
    def decode(cls, data: bytes, _edition: Edition, /) -> Self:
        """Six bytes."""
        return cls(read_clock(data))


class Freeze(Request, frozen=True):
    """16H: keep all values at this moment. None: every; all None: now."""

    FUNCTION: ClassVar[Function] = Function.FREEZE
    IS_GUARDED: ClassVar[bool] = True
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None

    def encode(self, _edition: Edition, /) -> bytes:
        """Minute, hour, day, month."""
        parts = (self.minute, self.hour, self.day, self.month)
        return b"".join(bytes_of_number(EVERY if part is None else part, 1, "freeze") for part in parts)

    @classmethod
    def decode(cls, data: bytes, _edition: Edition, /) -> Self:
        """Minute, hour, day, month."""
        check_length(data, 4, "freeze")
        parts = [number_of(data[at : at + 1], "freeze") for at in (3, 2, 1, 0)]
        return cls(*(None if part == EVERY else part for part in parts))


class SetBaud(Request, frozen=True):
    """17H, of 1997 0CH. code: `BAUD_RATES` of the edition of 2007. It is answered at the old rate."""

    FUNCTION: ClassVar[Function] = Function.SET_BAUD
    IS_GUARDED: ClassVar[bool] = True
    code: int

    def encode(self, _edition: Edition, /) -> bytes:
        """One byte."""
        if not 0 <= self.code <= 0xFF:
            raise LocalProtocolError("is one byte", field="baud")
        return bytes((self.code,))

    @classmethod
    def decode(cls, data: bytes, _edition: Edition, /) -> Self:
        """One byte."""
        check_length(data, 1, "baud")
        return cls(data[0])


def put_sequence(sequence: int | None, edition: Edition) -> bytes:
    """A sequence number as it is sent. Raises `LocalProtocolError`."""
    if edition is Edition.E1997:
        if sequence is not None:
            raise LocalProtocolError("the edition of 1997 does not count", field="sequence")
        return b""
    if sequence is None or not 1 <= sequence <= 0xFF:
        raise LocalProtocolError("is 1 to 255", field="sequence")
    return bytes((sequence,))


def check_sequence(sequence: int) -> int:
    """A sequence number from outside. Raises `FieldError`."""
    if sequence == 0:
        raise FieldError("is 1 to 255", field="sequence")
    return sequence
