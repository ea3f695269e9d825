"""The checksum of a sentence and of a tag block: XOR of all characters, written as two hex digits.

NMEA 0183 / IEC 61162-1, checksum field. MicroPython-clean.

One loop over 70 characters costs a Python interpreter more than all the rest of a sentence. Here the characters are one
long integer that is folded upon itself, half on half, which does the same with twelve operations.

>>> check_of(b"GPHDT,274.07,T"), digits_of(3)
(3, '03')
"""

_FOLD_BYTES = 80
"""A standard sentence has at most 79 characters between its start and its end."""
_FOLD_MASK = (1 << 8 * _FOLD_BYTES) - 1

_from_bytes = int.from_bytes


def check_of(characters: bytes) -> int:
    """XOR of all bytes."""
    folded = _from_bytes(characters, "big")
    if len(characters) > _FOLD_BYTES:
        folded = _fold_long(folded)
    folded ^= folded >> 320
    folded ^= folded >> 160
    folded ^= folded >> 80
    folded = (folded ^ folded >> 40) & 0xFFFFFFFFFF
    folded ^= folded >> 24
    return (folded ^ folded >> 8 ^ folded >> 16) & 0xFF


def _fold_long(number: int) -> int:
    folded = 0
    while number:
        folded ^= number & _FOLD_MASK
        number >>= 8 * _FOLD_BYTES
    return folded


def digits_of(check: int) -> str:
    """How a checksum is written."""
    return "%02X" % check


class _EndsOnDemand:
    """Stands in for the table where 256 strings are too many."""

    def __getitem__(self, check: int) -> str:
        return "*" + digits_of(check)


HAS_ROOM = hasattr(str, "isprintable")
"""True on CPython; no MicroPython port has it."""
CHECK_ENDS = tuple(["*" + digits_of(check) for check in range(256)]) if HAS_ROOM else _EndsOnDemand()
"""How a line ends, for every checksum."""
