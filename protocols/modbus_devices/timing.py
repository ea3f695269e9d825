"""How long characters, silences and whole exchanges take on a serial line.

MODBUS over Serial Line V1.02, clause 2.5.1.1: inside a frame at most 1.5 characters of silence, between frames 3.5 at
least; above 19200 bit/s both are fixed at 0.75 and 1.75 ms.

>>> line = LineTiming(baud=9600, bits_per_char=10)
>>> round(line.t3_5_ms, 6), round(line.transaction_ms(2), 6)
(3.645833, 25.0)
"""

from typing import Annotated

import msgspec

REQUEST_BYTES = 8
"""A read request: unit, function, start 2, quantity 2, CRC 2."""
RESPONSE_OVERHEAD_BYTES = 5
"""Of a read answer, beside its registers: unit, function, byte count, CRC 2."""
EXCHANGE_BYTES = REQUEST_BYTES + RESPONSE_OVERHEAD_BYTES
FIXED_SILENCE_BAUD = 19_200
"""Above this speed the silences are fixed."""
T1_5_FIXED_MS = 0.75
T3_5_FIXED_MS = 1.75


class LineTiming(msgspec.Struct, frozen=True, kw_only=True):
    """The times of one line. All are milliseconds."""

    baud: Annotated[int, msgspec.Meta(ge=50, le=20_000_000)]
    bits_per_char: Annotated[int, msgspec.Meta(ge=9, le=12)] = 11
    """Start, data, parity and stop bits: 10 for 8N1, 11 for 8E1 and 8N2."""

    @property
    def char_ms(self) -> float:
        """One character."""
        return 1000 * self.bits_per_char / self.baud

    @property
    def t1_5_ms(self) -> float:
        """The longest silence inside a frame."""
        return T1_5_FIXED_MS if self.baud > FIXED_SILENCE_BAUD else 1.5 * self.char_ms

    @property
    def t3_5_ms(self) -> float:
        """The shortest silence between frames."""
        return T3_5_FIXED_MS if self.baud > FIXED_SILENCE_BAUD else 3.5 * self.char_ms

    def exchange_ms(self, request_bytes: int, response_bytes: int, device_delay_ms: float = 0) -> float:
        """A request, the device's delay (never shorter than the silence), its answer, and the silence behind it."""
        silence_ms = self.t3_5_ms
        return (request_bytes + response_bytes) * self.char_ms + max(silence_ms, device_delay_ms) + silence_ms

    def transaction_ms(self, registers: int, device_delay_ms: float = 0) -> float:
        """Reading so many registers."""
        return self.exchange_ms(REQUEST_BYTES, response_bytes(registers), device_delay_ms)


def response_bytes(registers: int) -> int:
    """How long the RTU answer with so many registers is."""
    return RESPONSE_OVERHEAD_BYTES + 2 * registers
