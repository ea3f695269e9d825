"""Active and previously active faults: DM1 and DM2 (SAE J1939-73).

    byte 1  lamps   87 MIL   65 red stop   43 amber warning   21 protect       00 off, 01 on
    byte 2  the same lamps, flashing                                            00 slow, 01 fast, 11 not at all
    then four bytes a fault: SPN low, SPN middle, SPN high (3 bits) FMI (5), CM (1) occurrence (7)

No fault is four bytes 00. One fault or none makes eight bytes, the last two FF; more go by the transport protocol. With
conversion method 1 the SPN stands in one of three older orders that the message does not tell: it is left unread.

>>> decode_dm(bytes.fromhex("40FF5B000301FFFF")).faults
(Fault(low=91, middle=0, high=3, last=1),)
>>> _[0].spn, _[0].fmi, _[0].occurrence
(91, 3, 1)
"""

from collections.abc import Sequence

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError

MAX_SPN = 0x7FFFF
OCCURRENCE_UNKNOWN = 127
LAMPS = ("mil", "red_stop", "amber_warning", "protect")
_NOTHING = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff")
_TAILS = (b"\xff\xff", b"\x00\x00")


class Lamps(msgspec.Struct, frozen=True):
    """A byte of four lamps, two bits each as they stand on the wire; 2 and 3 say nothing."""

    mil: int = 3
    red_stop: int = 3
    amber_warning: int = 3
    protect: int = 3


class Fault(msgspec.Struct, frozen=True):
    """A diagnostic trouble code, its four bytes as they stand on the wire."""

    low: int
    middle: int
    high: int
    last: int

    @property
    def conversion(self) -> int:
        """Conversion method: 0 for the layout above."""
        return self.last >> 7

    @property
    def spn(self) -> int | None:
        """Suspect parameter number; None in an older layout."""
        return None if self.conversion else self.low | self.middle << 8 | self.high >> 5 << 16

    @property
    def fmi(self) -> int:
        """Failure mode identifier."""
        return self.high & 0x1F

    @property
    def occurrence(self) -> int | None:
        """How often it occurred."""
        count = self.last & 0x7F
        return None if count == OCCURRENCE_UNKNOWN else count

    @property
    def is_none(self) -> bool:
        """Whether this entry only says that there is no fault."""
        return encode_fault(self) in _NOTHING


class DiagnosticMessage(msgspec.Struct, frozen=True):
    """DM1 or DM2. faults: with the entries that say "none". tail: bytes 7 and 8 of a message of eight bytes."""

    lamps: Lamps = Lamps()
    flash: Lamps = Lamps()
    faults: tuple[Fault, ...] = ()
    tail: bytes = b""


def fault_of(spn: int, fmi: int, occurrence: int | None = None) -> Fault:
    """A fault in today's layout. Raises `LocalProtocolError`."""
    count = OCCURRENCE_UNKNOWN if occurrence is None else occurrence
    for value, maximum, field in ((spn, MAX_SPN, "spn"), (fmi, 0x1F, "fmi"), (count, 0x7F, "occurrence")):
        if not 0 <= value <= maximum:
            raise LocalProtocolError(f"{value} is not 0 to {maximum}", field=field)
    return Fault(spn & 0xFF, spn >> 8 & 0xFF, spn >> 16 << 5 | fmi, count)


def diagnostic_message(lamps: Lamps, flash: Lamps, faults: Sequence[Fault]) -> DiagnosticMessage:
    """A message as it is sent: eight bytes for one fault or none."""
    if len(faults) > 1:
        return DiagnosticMessage(lamps, flash, tuple(faults))
    return DiagnosticMessage(lamps, flash, tuple(faults) or (Fault(0, 0, 0, 0),), b"\xff\xff")


def encode_fault(fault: Fault) -> bytes:
    """The four bytes of a fault."""
    try:
        return bytes((fault.low, fault.middle, fault.high, fault.last))
    except ValueError:
        raise LocalProtocolError("each part of a fault is one byte", field="dtcs") from None


def decode_dm(data: bytes) -> DiagnosticMessage:
    """Read a DM1 or DM2. Raises `FieldError`."""
    end = len(data)
    if end == 8 and data[6:] in _TAILS:
        end = 6
    if end < 2 or end % 4 != 2:
        raise FieldError(f"{len(data)} bytes are not two and four for each fault", offset=len(data), field="dtcs")
    faults = tuple(Fault(*data[at : at + 4]) for at in range(2, end, 4))
    return DiagnosticMessage(_lamps_of(data[0]), _lamps_of(data[1]), faults, bytes(data[end:]))


def encode_dm(message: DiagnosticMessage) -> bytes:
    """Write a DM1 or DM2. Raises `LocalProtocolError`."""
    if message.tail and (len(message.faults) != 1 or message.tail not in _TAILS):
        raise LocalProtocolError("only one fault leaves two bytes, both ff or both 00", field="tail")
    head = bytes((_byte_of(message.lamps), _byte_of(message.flash)))
    return head + b"".join(map(encode_fault, message.faults)) + message.tail


def _lamps_of(byte: int) -> Lamps:
    return Lamps(byte >> 6, byte >> 4 & 3, byte >> 2 & 3, byte & 3)


def _byte_of(lamps: Lamps) -> int:
    byte = 0
    for name in LAMPS:
        value = getattr(lamps, name)
        if not 0 <= value <= 3:
            raise LocalProtocolError(f"{value} is not 0 to 3", field=name)
        byte = byte << 2 | value
    return byte
