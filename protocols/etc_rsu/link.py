"""What both ends of a link share: numbers, frames out of bytes with a deadline, frames that wait to go out.

A roadside unit numbers its frames X8 (classic: 98 after power up, then 08 to 78 in turn) or 0X (others: 01 to 09). An
answer has the two digits swapped; so the computer's numbers are 8X and X0, also of what it says unasked.
"""

from collections import deque
from collections.abc import Mapping

from protocols.core.errors import LocalProtocolError
from protocols.etc_rsu.catalogue import Choice, Interface
from protocols.etc_rsu.frame import (
    ClassicFrame,
    CrcFunction,
    SequencedFrame,
    crc_x25,
    encode_classic,
    encode_sequenced,
)
from protocols.etc_rsu.framer import ClassicFramer, SequencedFramer
from protocols.listener import Listener

GAP_S = 0.5
"""Half a frame whose rest does not come for this long never was one."""
AFTER_POWER_UP = 0x98
"""The classic number of a roadside unit's first frame."""
NUMBERED = (Interface.CLASSIC, Interface.LANE_CRC, Interface.GANTRY)
"""Interfaces whose dialogue is known."""


def swapped(number: int) -> int:
    """The number of an answer."""
    return (number >> 4 | number << 4) & 0xFF


class Numbers:
    """The numbers of one end's own frames."""

    def __init__(self, interface: Interface, *, is_roadside: bool) -> None:
        self._is_classic = interface is Interface.CLASSIC
        self._is_roadside = is_roadside
        self._digit = 9 if self._is_classic and is_roadside else 0 if self._is_classic else 1

    def next(self) -> int:
        """The next one."""
        digit = self._digit
        if self._is_classic:
            self._digit = (digit + 1) % 8 if digit < 8 else 0
            return digit << 4 | 8 if self._is_roadside else 0x80 | digit
        self._digit = digit % 9 + 1
        return digit if self._is_roadside else digit << 4


class Line(Listener[ClassicFrame | SequencedFrame]):
    """Bytes to frames and back, for one interface. variants: see `catalogue.decode_payload`."""

    framer: ClassicFramer | SequencedFramer

    def __init__(
        self, interface: Interface, variants: Mapping[int, Choice] | None = None, crc: CrcFunction = crc_x25
    ) -> None:
        if interface not in NUMBERED:
            raise LocalProtocolError("no dialogue is known for this interface", field="interface")
        self.interface = interface
        self.variants = variants
        super().__init__(ClassicFramer() if interface is Interface.CLASSIC else SequencedFramer(crc), GAP_S)
        self._crc = crc
        self._outgoing: deque[bytes] = deque()

    def encode(self, number: int, data: bytes) -> bytes:
        """A frame of this interface. Raises `LocalProtocolError`."""
        if self.interface is Interface.CLASSIC:
            return encode_classic(ClassicFrame(number, data))
        return encode_sequenced(SequencedFrame(number, data), self._crc)

    def put(self, wire: bytes) -> None:
        """Let a frame go out."""
        self._outgoing.append(wire)

    def bytes_to_send(self) -> bytes:
        """The next frame that is due, if any."""
        return self._outgoing.popleft() if self._outgoing else b""


def number_of(frame: ClassicFrame | SequencedFrame) -> int:
    """A frame's number."""
    return frame.rsctl if isinstance(frame, ClassicFrame) else frame.seq
