"""What all dialects share of the data of a frame: results, files, and the digits in which signs write numbers.

Every type here keeps all bytes: `data()` gives back what it was read from.
"""

from typing import ClassVar, Self

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError


class Content(msgspec.Struct, frozen=True):
    """What the data of a frame says."""

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read it. Raises `FieldError`."""
        raise NotImplementedError

    def data(self) -> bytes:
        """Write it. Raises `LocalProtocolError`."""
        raise NotImplementedError


class Unread(Content, frozen=True):
    """Data whose meaning is not described, or differs from sign to sign."""

    raw: bytes = b""

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Keep it."""
        return cls(data)

    def data(self) -> bytes:
        """As it was."""
        return self.raw


class Result(Content, frozen=True):
    """Whether the sign did it. code: the first byte; rest: what follows, as a rule nothing."""

    SUCCESS: ClassVar[int]

    code: int
    rest: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether it says success."""
        return self.code == self.SUCCESS

    @classmethod
    def from_data(cls, data: bytes) -> Self:
        """Read the first byte."""
        if not data:
            raise FieldError("no result", offset=0, field="result")
        if cls.SUCCESS >= 0x30 and not data[:1].isdigit():
            raise FieldError(f"a digit, not {data[0]:02x}", offset=0, field="result", raw=data)
        return cls(data[0], data[1:])

    def data(self) -> bytes:
        """The byte and what follows."""
        return octet_of(self.code, "result") + self.rest


def read_behind_result(kind: type[Content], rest: bytes) -> Content:
    """What stands behind the byte of a result. Raises `FieldError`; offsets count from the result."""
    try:
        return kind.from_data(rest)
    except FieldError as error:
        error.offset = 1 + (error.offset or 0)
        raise


class CurrentItem(Content, frozen=True):
    """What is shown now. media: as in a play list."""

    index: int
    stay: int
    in_mode: int
    speed: int
    media: bytes


def number_at(data: bytes, start: int, stop: int, field: str) -> int:
    """ASCII digits as a number. Raises `FieldError`."""
    digits = data[start:stop]
    if len(digits) != stop - start or not digits.isdigit():
        raise FieldError(f"{stop - start} digits", offset=start, field=field, raw=digits)
    return int(digits)


def digits_of(value: int, count: int, field: str) -> bytes:
    """A number as `count` ASCII digits. Raises `LocalProtocolError`."""
    if not 0 <= value < 10**count:
        raise LocalProtocolError(f"{value} has not {count} digits", field=field)
    return b"%0*d" % (count, value)


def offset_octets(offset: int) -> bytes:
    """An offset as four bytes, the highest first. Raises `LocalProtocolError`."""
    if not 0 <= offset <= 0xFFFFFFFF:
        raise LocalProtocolError(f"{offset} has not four bytes", field="file_offset")
    return offset.to_bytes(4, "big")


def octet_of(value: int, field: str) -> bytes:
    """A number as one byte. Raises `LocalProtocolError`."""
    if not 0 <= value <= 0xFF:
        raise LocalProtocolError(f"{value} is no byte", field=field)
    return bytes((value,))
