"""Numbers of information groups, both ways: BCD or text on the wire <-> integers with a count of decimals.

SL 651-2014, clause 6.4 and appendix C. MicroPython-clean: no float, for many ports have 32 bits of it. A *value* is
(mantissa, decimals): 12.345 is (12345, 3). What is not available is None.

A BCD number says its length and decimals in its identifier. FF in front is the sign of a negative one; the standard
adds a byte for it, devices do not all. All F or all A: not available.

>>> read_bcd(bytes.fromhex("FF00001234")), read_bcd(bytes.fromhex("AAAAAAAA"))
(-1234, None)
>>> write_bcd(-1234, 7).hex(), write_bcd(None, 7).hex()
('ff00001234', 'ffffffff')
>>> read_decimal(b"-0.345"), write_decimal(-345, 3)
((-345, 3), b'-0.345')
"""

from protocols.core.errors import LocalProtocolError

NO_VALUE = b"M"
"""How ASCII says that there is no value."""
MAX_DATA_BYTES = 31
MAX_DECIMALS = 7
_MOST_DIGITS = 24
"""Longer texts are no number of the standard's table."""


def definition_of(data_bytes: int, decimals: int) -> int:
    """The second byte of an identifier. Raises `LocalProtocolError`."""
    if not (0 <= data_bytes <= MAX_DATA_BYTES and 0 <= decimals <= MAX_DECIMALS):
        raise LocalProtocolError("up to 31 bytes and 7 decimals", field="definition")
    return data_bytes << 3 | decimals


def read_bcd(data: bytes) -> int | None:
    """The mantissa; None when it is not available or no number."""
    digits = data.hex()
    if digits.isdigit():
        return int(digits)
    if digits[:2] == "ff" and digits[2:].isdigit():
        return -int(digits[2:])
    return None


def _padded(number: int, digits: int) -> str:
    text = str(number)
    return "0" * (digits - len(text)) + text


def write_bcd(mantissa: int | None, digits: int) -> bytes:
    """A number of up to `digits` digits; a negative one is a byte longer. Raises `LocalProtocolError`."""
    size = (digits + 1) // 2
    if mantissa is None:
        return b"\xff" * size
    text = _padded(abs(mantissa), 2 * size)
    if len(text) > 2 * size:
        raise LocalProtocolError(f"more than {digits} digits", field="value")
    return (b"\xff" if mantissa < 0 else b"") + bytes.fromhex(text)


def read_decimal(text: bytes) -> tuple[int | None, int]:
    """(mantissa, decimals) of `[+-]digits[.digits]`; (None, 0) when it is not available or no number."""
    sign = -1 if text[:1] == b"-" else 1
    whole, _, fraction = text[1 if text[:1] in (b"-", b"+") else 0 :].partition(b".")
    digits = whole + fraction
    if not (whole and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        return None, 0
    return sign * int(digits), len(fraction)


def write_decimal(mantissa: int | None, decimals: int) -> bytes:
    """A number as text."""
    if mantissa is None:
        return NO_VALUE
    text = _padded(abs(mantissa), decimals + 1)
    if decimals:
        text = text[:-decimals] + "." + text[-decimals:]
    return (("-" if mantissa < 0 else "") + text).encode()


def read_counts(data: bytes, width: int) -> list[int | None]:
    """The binary values of an hour group, `width` bytes each; all bits one is None."""
    none = (1 << 8 * width) - 1
    counts: list[int | None] = []
    for at in range(0, len(data), width):
        count = int.from_bytes(data[at : at + width], "big")
        counts.append(None if count == none else count)
    return counts


def write_counts(counts: list[int | None], width: int) -> bytes:
    """The inverse of `read_counts`. Raises `LocalProtocolError`."""
    none = (1 << 8 * width) - 1
    for count in counts:
        if count is not None and not 0 <= count < none:
            raise LocalProtocolError("a count of an hour group is out of range", field="values")
    return b"".join([(none if count is None else count).to_bytes(width, "big") for count in counts])
