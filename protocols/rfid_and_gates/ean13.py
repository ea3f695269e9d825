"""Article numbers of 13 digits (GS1 General Specifications, 7.9.1).

Digits are weighed by 1 and 3 in turn; the check digit fills the sum up to the next ten.

>>> decode_ean13("6901234567892")
2
"""

import re

from protocols.core.errors import ChecksumError, FrameError

_SHAPE = re.compile(r"[0-9]{13}")


def check_digit_of(digits: str) -> int:
    """The check digit behind twelve digits."""
    return -sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits)) % 10


def decode_ean13(text: str) -> int:
    """The check digit of a number that is right. Raises `FrameError`, `ChecksumError`."""
    if _SHAPE.fullmatch(text) is None:
        raise FrameError("13 digits", 0, "text")
    digit = int(text[12])
    if check_digit_of(text[:12]) != digit:
        raise ChecksumError("the check digit does not hold", 12, "check_digit")
    return digit
