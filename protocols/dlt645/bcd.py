r"""Packed decimal digits, lowest byte first: how DL/T 645 writes numbers, addresses and times.

>>> digits_of(b"\x56\x34\x12\x00"), bytes_of("00123456").hex()
('00123456', '56341200')
"""

from protocols.core.errors import FieldError, LocalProtocolError


def digits_of(data: bytes) -> str:
    """Hex digits, highest first. They are decimal digits where the meter keeps to the standard."""
    return data[::-1].hex()


def bytes_of(digits: str) -> bytes:
    """The inverse of `digits_of`, for an even number of hex digits."""
    return bytes.fromhex(digits)[::-1]


def number_of(data: bytes, field: str) -> int:
    """The number that the digits are. Raises `FieldError` for a digit above 9."""
    digits = data[::-1].hex()
    if not digits.isdigit():
        raise FieldError("a digit above 9", field=field)
    return int(digits)


def bytes_of_number(number: int, size: int, field: str) -> bytes:
    """The inverse of `number_of`. Raises `LocalProtocolError` for a number that so many bytes do not hold."""
    digits = f"{number:0{2 * size}d}"
    if number < 0 or len(digits) > 2 * size:
        raise LocalProtocolError(f"{size} bytes do not hold this number", field=field)
    return bytes_of(digits)
