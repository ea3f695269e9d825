"""What the two editions of DL/T 645 do differently: function codes, the width of identifiers, the error word.

2007: clause 7 and table 3. 1997: clause 5.2.4.
"""

from enum import Enum, IntFlag

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.dlt645.bcd import bytes_of, digits_of


class Edition(Enum):
    """DL/T 645-2007 or DL/T 645-1997."""

    E2007 = 2007
    E1997 = 1997


class Function(Enum):
    """What can be asked of a meter."""

    SET_CLOCK = "set clock, broadcast"
    READ_DATA = "read data"
    READ_FOLLOWING = "read following data"
    READ_AGAIN = "read again"
    READ_ADDRESS = "read address"
    WRITE_DATA = "write data"
    WRITE_ADDRESS = "write address"
    FREEZE = "freeze"
    SET_BAUD = "change baud rate"
    CHANGE_PASSWORD = "change password"  # noqa: S105  # what is to be done, no password
    CLEAR_DEMAND = "clear maximum demand"
    CLEAR_METER = "clear meter"
    CLEAR_EVENTS = "clear events"
    SWITCH_RELAY = "switch relay"
    SET_OUTPUT = "set multi-function output"


CODES: dict[Edition, dict[Function, int]] = {
    Edition.E2007: {
        Function.SET_CLOCK: 0x08,
        Function.READ_DATA: 0x11,
        Function.READ_FOLLOWING: 0x12,
        Function.READ_ADDRESS: 0x13,
        Function.WRITE_DATA: 0x14,
        Function.WRITE_ADDRESS: 0x15,
        Function.FREEZE: 0x16,
        Function.SET_BAUD: 0x17,
        Function.CHANGE_PASSWORD: 0x18,
        Function.CLEAR_DEMAND: 0x19,
        Function.CLEAR_METER: 0x1A,
        Function.CLEAR_EVENTS: 0x1B,
        Function.SWITCH_RELAY: 0x1C,
        Function.SET_OUTPUT: 0x1D,
    },
    Edition.E1997: {
        Function.READ_DATA: 0x01,
        Function.READ_FOLLOWING: 0x02,
        Function.READ_AGAIN: 0x03,
        Function.WRITE_DATA: 0x04,
        Function.SET_CLOCK: 0x08,
        Function.WRITE_ADDRESS: 0x0A,
        Function.SET_BAUD: 0x0C,
        Function.CHANGE_PASSWORD: 0x0F,
        Function.CLEAR_DEMAND: 0x10,
    },
}
FUNCTIONS: dict[Edition, dict[int, Function]] = {
    edition: {code: function for function, code in codes.items()} for edition, codes in CODES.items()
}
READING = frozenset({Function.READ_DATA, Function.READ_FOLLOWING, Function.READ_AGAIN, Function.READ_ADDRESS})
"""What changes nothing in a meter, and may be repeated."""

BAUD_RATES = {0x02: 600, 0x04: 1200, 0x08: 2400, 0x10: 4800, 0x20: 9600, 0x40: 19_200}
"""Byte of function 17H, DL/T 645-2007."""


class ErrorWord(IntFlag):
    """Why a meter of 2007 refuses. Bit 7 is reserved."""

    OTHER = 0x01
    NO_DATA = 0x02
    NOT_AUTHORISED = 0x04
    BAUD = 0x08
    YEAR_TARIFFS = 0x10
    DAY_TARIFFS = 0x20
    TARIFFS = 0x40


class ErrorWord1997(IntFlag):
    """Why a meter of 1997 refuses. Bits 3 and 7 are reserved."""

    ILLEGAL_DATA = 0x01
    IDENTIFIER = 0x02
    PASSWORD = 0x04
    YEAR_TARIFFS = 0x10
    DAY_TARIFFS = 0x20
    TARIFFS = 0x40


def di_bytes(edition: Edition) -> int:
    """How many bytes an identifier has."""
    return 4 if edition is Edition.E2007 else 2


def take_di(data: bytes, edition: Edition) -> tuple[int, bytes]:
    """The identifier at the front of data, and the rest. Raises `FieldError`."""
    size = di_bytes(edition)
    if len(data) < size:
        raise FieldError(f"{len(data)} bytes hold no identifier", field="di")
    return int(digits_of(data[:size]), 16), data[size:]


def put_di(di: int, edition: Edition) -> bytes:
    """An identifier as it is sent. Raises `LocalProtocolError`."""
    digits = f"{di:0{2 * di_bytes(edition)}x}"
    if di < 0 or len(digits) > 2 * di_bytes(edition):
        raise LocalProtocolError(f"an identifier has {di_bytes(edition)} bytes", field="di")
    return bytes_of(digits)
