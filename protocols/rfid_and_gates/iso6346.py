"""Numbers of freight containers (ISO 6346:2022, clause 4 and annex A).

    owner code 3 letters | category 1: U J Z, R in old data | serial number 6 digits | check digit 1

Each character has a value (A is 10, B 12 .. multiples of 11 are left out), which is weighed by 2 to the power of its
place; the sum modulo 11 is the check digit, 10 is written as 0. The standard asks that no serial number be given whose
remainder is 10: where one is met, the digit proves little.

>>> decode_container("csqu 305438 3")
ContainerNumber(owner_code='CSQ', category='U', serial='305438', check_digit=3)
"""

import re

import msgspec

from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError

CATEGORIES = "UJZR"
MAX_CHARS = 64
_SHAPE = re.compile(rf"([A-Z]{{3}})([{CATEGORIES}])([0-9]{{6}})([0-9])")
_VALUES = {chr(ord("A") + at): value for at, value in enumerate(n for n in range(10, 39) if n % 11)}
_VALUES |= {str(digit): digit for digit in range(10)}


class ContainerNumber(msgspec.Struct, frozen=True):
    """One container."""

    owner_code: str
    category: str
    serial: str
    check_digit: int

    @property
    def is_low_trust(self) -> bool:
        """Whether the remainder is 10, so that 0 stands for two remainders."""
        return _remainder(self.owner_code + self.category + self.serial) == 10


def _remainder(text: str) -> int:
    return sum(_VALUES[char] << at for at, char in enumerate(text)) % 11


def check_digit_of(text: str) -> int:
    """The check digit behind ten characters, capital letters and digits."""
    return _remainder(text) % 10


def decode_container(text: str) -> ContainerNumber:
    """Read a number; blanks and small letters do not matter. Raises `FrameError`, `ChecksumError`."""
    if len(text) > MAX_CHARS:
        raise FrameError("too long for the number of a container", MAX_CHARS, "text")
    match = _SHAPE.fullmatch("".join(text.split()).upper()) if text.isascii() else None
    if match is None:
        raise FrameError("four letters, the last one U, J, Z or R, and seven digits", 0, "text")
    owner, category, serial, digit = match.groups()
    due = check_digit_of(owner + category + serial)
    if due != int(digit):
        raise ChecksumError(f"{digit} where {due} is due", len(text.rstrip()) - 1, "check_digit")
    return ContainerNumber(owner, category, serial, int(digit))


def encode_container(number: ContainerNumber) -> str:
    """Write a number. Raises `LocalProtocolError`."""
    text = f"{number.owner_code}{number.category}{number.serial}{number.check_digit}"
    if _SHAPE.fullmatch(text) is None or check_digit_of(text[:10]) != number.check_digit:
        raise LocalProtocolError("no number of a container", field="check_digit")
    return text
