"""Which of the two sets runs: the selector in flash, and how often a new one may be tried. MicroPython-clean.

Two sectors hold 32-byte records, written one behind the other; the newest that is whole counts. Flash can clear single
bits without being erased, so an attempt, a confirmation and a reversal clear bits of the record that stands there:
nothing is erased while a set is on trial, and a cut leaves the state before or after.

    0   2   57 53
    2   4   sequence, big-endian; the highest that is whole counts
    6   1   slot: 0 a, 1 b
    7   1   attempts that it has, 0 for a set that needs no trial
    8   12  the first bytes of the set's hash
    20  4   CRC-32 of the 20 bytes before
    24  1   attempts: FF, one more bit cleared before each start
    25  1   confirmed: FF, 00 once it is
    26  1   reverted: FF, 00 once the other slot is to run again
    27  5   FF

`flash` has read(offset, size), program(offset, data), erase(sector) over two sectors of `SECTOR_BYTES`. Programming is
read back; where a cell has failed, the next record is taken.
"""

import binascii
import struct

from ota.mcu.errors import SecondaryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ota.mcu.flash import Flash

SECTOR_BYTES = 4096
RECORD_BYTES = 32
ATTEMPTS = 3
HASH_BYTES = 12
_RECORDS = SECTOR_BYTES // RECORD_BYTES
_FORMAT = ">HIBB12s"
_FIXED_BYTES = 20
_MAGIC = 0x5753
_ATTEMPTS_AT, _CONFIRMED_AT, _REVERTED_AT = 24, 25, 26
_ERASED = 0xFF
_MAJORITY = 5
"""Bits of a byte that must be cleared for it to count as 00: power may go while the eight are cleared."""


class Choice:
    """What the newest record says."""

    __slots__ = ("at", "attempts_left", "is_confirmed", "is_reverted", "is_started", "sequence", "set_hash", "slot")

    def __init__(self, at: int, record: bytes) -> None:
        _magic, self.sequence, self.slot, attempts, self.set_hash = struct.unpack(_FORMAT, record[:_FIXED_BYTES])
        self.at = at
        self.is_confirmed = attempts == 0 or _cleared(record[_CONFIRMED_AT]) >= _MAJORITY
        self.is_reverted = _cleared(record[_REVERTED_AT]) >= _MAJORITY
        self.is_started = _cleared(record[_ATTEMPTS_AT]) > 0
        self.attempts_left = max(0, attempts - _cleared(record[_ATTEMPTS_AT]))

    def running_slot(self) -> int:
        """The slot to start: the named one, or the other once this one is given up."""
        is_given_up = self.is_reverted or (not self.is_confirmed and self.attempts_left == 0)
        return int(1 - self.slot if is_given_up else self.slot)


class Selector:
    """The two sectors."""

    def __init__(self, flash: "Flash") -> None:
        self._flash = flash

    def choice(self) -> "Choice | None":
        """The newest whole record; None on a box that was never updated."""
        best = None
        for at in range(0, 2 * SECTOR_BYTES, RECORD_BYTES):
            record = self._flash.read(at, RECORD_BYTES)
            if _is_whole(record):
                choice = Choice(at, record)
                if best is None or choice.sequence > best.sequence:
                    best = choice
        return best

    def choose(self, slot: int, set_hash: bytes, attempts: int) -> None:
        """From now on this slot, in so many attempts; 0: for good, as at the bench. Raises `SecondaryError`."""
        now = self.choice()
        sequence = 1 if now is None else now.sequence + 1
        fixed = struct.pack(_FORMAT, _MAGIC, sequence, slot, attempts, set_hash[:HASH_BYTES])
        record = fixed + struct.pack(">I", binascii.crc32(fixed)) + b"\xff" * (RECORD_BYTES - _FIXED_BYTES - 4)
        sector = 0 if now is None else now.at // SECTOR_BYTES
        first = 0 if now is None else now.at + RECORD_BYTES
        if self._write_behind(first, (sector + 1) * SECTOR_BYTES, record):
            return
        other = 1 - sector
        self._flash.erase(other)
        if not self._write_behind(other * SECTOR_BYTES, (other + 1) * SECTOR_BYTES, record):
            raise SecondaryError("flash", "no cell of the selector takes a record any more")

    def count_attempt(self, choice: Choice) -> None:
        """Before a set on trial is started."""
        value = self._flash.read(choice.at + _ATTEMPTS_AT, 1)[0]
        self._program(choice.at + _ATTEMPTS_AT, (value << 1) & _ERASED)

    def confirm(self, choice: Choice) -> None:
        """The set is good."""
        self._program(choice.at + _CONFIRMED_AT, 0)

    def revert(self, choice: Choice) -> None:
        """The other slot is to run again."""
        self._program(choice.at + _REVERTED_AT, 0)

    def _program(self, at: int, value: int) -> None:
        self._flash.program(at, bytes([value]))
        if self._flash.read(at, 1)[0] & ~value & _ERASED:
            raise SecondaryError("flash", "a cell of the selector does not take a bit")

    def _write_behind(self, at: int, end: int, record: bytes) -> bool:
        """Into the first place that is erased and takes it."""
        while at < end:
            if self._flash.read(at, RECORD_BYTES) == b"\xff" * RECORD_BYTES:
                self._flash.program(at, record)
                if self._flash.read(at, RECORD_BYTES) == record:
                    return True
            at += RECORD_BYTES
        return False


def _is_whole(record: bytes) -> bool:
    if record[0] != _MAGIC >> 8 or record[1] != _MAGIC & 0xFF or record[6] > 1 or record[7] > 8:
        return False
    checksum = int.from_bytes(record[_FIXED_BYTES : _FIXED_BYTES + 4], "big")
    return checksum == binascii.crc32(record[:_FIXED_BYTES])


def _cleared(byte: int) -> int:
    count = 0
    for bit in range(8):
        if not byte & (1 << bit):
            count += 1
    return count
