"""NOR flash that is stricter than the real one: programming only clears bits, and power goes inside any operation.

A cut inside a program leaves any of the bits cleared that were to be; one inside an erase leaves rubbish. Cells may be
bad: a bit that never clears.
"""

import random

SECTOR_BYTES = 4096


class PowerCutError(Exception):
    """The power goes."""


class FlashDouble:
    """Sectors of flash in memory. `cut_at`: the number of the operation, from 0, inside which the power goes."""

    def __init__(self, sectors: int = 2, *, seed: int = 0) -> None:
        self.cells = bytearray(b"\xff" * (sectors * SECTOR_BYTES))
        self.cut_at = -1
        self.operations = 0
        self.stuck: dict[int, int] = {}
        """Offset -> bits that stay set."""
        self.tear = 0.5
        """How much of what was to be done is done when the power goes: 0 nothing, 1 all."""
        self._random = random.Random(seed)  # noqa: S311  # repeatable on purpose

    def read(self, offset: int, size: int) -> bytes:
        """What the cells hold."""
        return bytes(self.cells[offset : offset + size])

    def program(self, offset: int, data: bytes) -> None:
        """Clear the bits that are 0 in `data`."""
        is_cut = self._is_cut()
        for index, byte in enumerate(data, offset):
            keep = byte | self.stuck.get(index, 0)
            if is_cut:
                keep |= self._some_bits(1 - self.tear)
            self.cells[index] &= keep
        if is_cut:
            raise PowerCutError

    def erase(self, sector: int) -> None:
        """Set all bits of a sector."""
        start = sector * SECTOR_BYTES
        if self._is_cut():
            for index in range(start, start + SECTOR_BYTES):
                if self._random.random() < self.tear:
                    self.cells[index] |= self._some_bits(0.7)
            raise PowerCutError
        self.cells[start : start + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES

    def _is_cut(self) -> bool:
        self.operations += 1
        return self.operations - 1 == self.cut_at

    def _some_bits(self, share: float) -> int:
        return sum(1 << bit for bit in range(8) if self._random.random() < share)
