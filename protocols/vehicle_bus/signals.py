"""A number within the data of a parameter group: an SPN (SAE J1939-71, clause 5.1).

    byte 1    byte 2    ...    byte 8        the first byte carries the lowest bits
    87654321  87654321         87654321      bit 1 is the lowest of its byte

value = raw x multiplier / divisor + offset. The top of each range is no measurement: from FB.. on it is an indicator,
FE.. an error, FF.. not available; of two bits 10 is an error and 11 not available. All these read as None. What is
written as None is all ones.

>>> number(190, "engine_speed_rpm", 4, 2, divisor=8).value(int.from_bytes(bytes.fromhex("F1A5824132"), "little"))
1608.125
"""

import msgspec

from protocols.core.errors import LocalProtocolError

Number = int | float


class Signal(msgspec.Struct, frozen=True):
    """Where an SPN stands and how it counts. bit: of its lowest bit, from the lowest of byte 1. size: in bits.

    limit: the first raw value that is no measurement.
    """

    spn: int
    key: str
    bit: int
    size: int
    limit: int
    multiplier: int = 1
    divisor: int = 1
    offset: int = 0

    def value(self, bits: int) -> Number | None:
        """The number in the data of a group, given as one little-endian integer padded with ones."""
        raw = bits >> self.bit & (1 << self.size) - 1
        if raw >= self.limit:
            return None
        if self.divisor == 1:
            return raw * self.multiplier + self.offset
        return raw * self.multiplier / self.divisor + self.offset

    def raw(self, value: Number | None) -> int:
        """The nearest raw value, or all ones for None. Raises `LocalProtocolError` for what the field cannot hold."""
        if value is None:
            return (1 << self.size) - 1
        scaled = (value - self.offset) * self.divisor / self.multiplier
        if not -0.5 <= scaled < self.limit - 0.5:
            last = (self.limit - 1) * self.multiplier / self.divisor + self.offset
            raise LocalProtocolError(f"{value} is not {self.offset} to {last}", field=self.key)
        return round(scaled)


def _limit(size: int) -> int:
    return 0xFB << size - 8 if size >= 8 else 2 if size == 2 else (1 << size) - 1


def number(
    spn: int,
    key: str,
    byte: int,
    size_bytes: int,
    multiplier: int = 1,
    divisor: int = 1,
    offset: int = 0,
    *,
    limit: int | None = None,
) -> Signal:
    """A number of whole bytes, the first of them `byte`, counted from 1."""
    size = 8 * size_bytes
    first = _limit(size) if limit is None else limit
    return Signal(spn, key, 8 * byte - 8, size, first, multiplier, divisor, offset)


def field(spn: int, key: str, byte: int, bit: int, size: int = 2) -> Signal:
    """A switch of two bits or a code of some more, from `bit` of `byte` on, both counted from 1."""
    return Signal(spn, key, 8 * byte - 9 + bit, size, limit=_limit(size))
