"""Frame sizes and waiting times that both types of card share (ISO/IEC 14443-4:2016, 5.1, 5.2.5 and 7.2).

Sizes count from the PCB to the EDC. Times are seconds; fc is the carrier, 13.56 MHz.
"""

from protocols.core.errors import LocalProtocolError

CARRIER_HZ = 13_560_000
FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
"""Bytes by the codes FSCI and FSDI, 14443-4 table 1. Codes above 8 are taken as 256: what both ends surely support."""

DEFAULT_FSCI = 2
DEFAULT_FWI = 4
"""Without TB(1), 14443-4 5.2.5; also for the reserved code 15."""
MAX_FWI = 14
DELTA_FWT_S = 49_152 / CARRIER_HZ
"""How much later than FWT a reader still accepts, 14443-4 7.2."""
ACTIVATION_FWT_S = 71_680 / CARRIER_HZ
"""For the answers to RATS and S(DESELECT): 65536/fc and the reader's margin, 14443-4 5.6.1 and 8.1."""
FIELD_GUARD_S = 0.005
"""From field on to the first request, 14443-3 5.2."""


def frame_size_of(code: int) -> int:
    """Bytes of an FSCI or FSDI."""
    return FRAME_SIZES[min(code, 8)]


def frame_size_code_of(size: int) -> int:
    """FSCI or FSDI of a size in bytes. Raises `LocalProtocolError` for a size without code."""
    if size not in FRAME_SIZES:
        raise LocalProtocolError(f"no code for a frame size of {size}", field="fsd")
    return FRAME_SIZES.index(size)


def frame_waiting_time_s(fwi: int) -> float:
    """FWT: how long a card may take before it answers or asks for more time."""
    return 4096 / CARRIER_HZ * (1 << (fwi if fwi <= MAX_FWI else DEFAULT_FWI))


MAX_FWT_S = frame_waiting_time_s(MAX_FWI)


def guard_time_s(sfgi: int) -> float:
    """SFGT: how long a reader waits after the ATS before its first block; none for code 0 and the reserved 15."""
    return 4096 / CARRIER_HZ * (1 << sfgi) if 0 < sfgi <= MAX_FWI else 0.0


FRAME_DELAY_S = 1236 / CARRIER_HZ
"""FDT: how long after REQA and in the anticollision a card waits before it answers, 14443-3 6.2.1.1."""
