"""The checksum of a sentence and of a tag block: XOR of all characters, written as two hex digits.

NMEA 0183 / IEC 61162-1, checksum field. MicroPython-clean.

One loop over 70 characters costs a Python interpreter more than all the rest of a sentence. Here the characters are one
long integer that is folded upon itself, half on half: seven foldings do the same. What is folded stays above, unmasked:
only the lowest byte counts in the end.

>>> check_of(b"GPHDT,274.07,T"), digits_of(3)
(3, '03')
"""

_MOST_FOLDED = 128
"""Characters that seven foldings make one of; a standard sentence has at most 79."""
_MASK = (1 << 8 * _MOST_FOLDED) - 1

_from_bytes = int.from_bytes


def check_of(characters: bytes) -> int:
    """XOR of all bytes."""
    folded = _from_bytes(characters, "big")
    count = len(characters)
    if count > 32:
        if count > 64:
            if count > _MOST_FOLDED:
                folded = _fold_long(folded)
            folded ^= folded >> 512
        folded ^= folded >> 256
    folded ^= folded >> 128
    folded ^= folded >> 64
    folded ^= folded >> 32
    folded ^= folded >> 16
    return (folded ^ folded >> 8) & 0xFF


def _fold_long(number: int) -> int:
    folded = 0
    while number:
        folded ^= number & _MASK
        number >>= 8 * _MOST_FOLDED
    return folded


def digits_of(check: int) -> str:
    """How a checksum is written."""
    return "%02X" % check


class _EndsOnDemand:
    """Stands in for the table where 256 strings are too many."""

    def __getitem__(self, check: int) -> bytes:
        return b"*%02X" % check


HAS_ROOM = hasattr(str, "isprintable")
"""True on CPython; no MicroPython port has it."""
CHECK_ENDS = tuple([b"*%02X" % check for check in range(256)]) if HAS_ROOM else _EndsOnDemand()
"""How a line ends, for every checksum."""
