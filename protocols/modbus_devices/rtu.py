"""Modbus RTU: frames on a serial line, or the same bytes over TCP.

MODBUS over Serial Line V1.02, clause 2.5.1. MicroPython-clean.

    unit 1 | PDU 1..253 | CRC 2, low byte first        4 to 256 bytes

Nothing marks where a frame starts or ends but silence, which USB adapters and networks do not carry. So the framer goes
by what it knows: best by the one answer that it waits for (`expect_answer`), else by the length that the first bytes of
every known function tell, and always by the CRC. Where a check fails it starts anew from the very next byte and counts
what it threw away. `silence()` tells it that nothing more will come: what is still incomplete never was a frame, and
what has no known length is one if the CRC over all of it holds.

>>> encode_rtu(1, bytes.fromhex("0400000002")).hex()
'01040000000271cb'
>>> decode_rtu(bytes.fromhex("01040000000271cb"))
RtuFrame(1, '0400000002')
"""

from protocols.core.buffer import ByteBuffer
from protocols.core.checksum import crc16_modbus
from protocols.core.errors import NEED_DATA, ChecksumError, FrameError, LocalProtocolError, NeedData
from protocols.modbus_devices.functions import MAX_PDU_BYTES
from protocols.modbus_devices.lengths import request_bytes, response_bytes
from protocols.modbus_devices.request import Request

TYPE_CHECKING = False  # what typing would say; MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

MIN_RTU_BYTES = 4
MAX_RTU_BYTES = 256
BROADCAST = 0

ANY = "any"
REQUESTS = "requests"
RESPONSES = "responses"

# Functions whose answer says in its third byte how many bytes follow, so that it can be held against the request.
_COUNTED = (1, 2, 3, 4, 0x17)
_EXCEPTION_BYTES = 2


class RtuFrame:
    """A frame whose CRC holds."""

    __slots__ = ("pdu", "unit_id")

    def __init__(self, unit_id: int, pdu: bytes) -> None:
        self.unit_id = unit_id
        self.pdu = pdu

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RtuFrame) and self.unit_id == other.unit_id and self.pdu == other.pdu

    def __hash__(self) -> int:
        return hash((self.unit_id, self.pdu))

    def __repr__(self) -> str:
        return "RtuFrame(" + repr(self.unit_id) + ", " + repr(self.pdu.hex()) + ")"


def encode_rtu(unit_id: int, pdu: bytes, crc16: "Callable[[bytes], int]" = crc16_modbus) -> bytes:
    """A frame around a PDU. Raises `LocalProtocolError` for a unit or length that no frame has."""
    if not 0 <= unit_id <= 0xFF:
        raise LocalProtocolError(f"a unit is 0 to 255, not {unit_id}", field="unit_id")
    if not 1 <= len(pdu) <= MAX_PDU_BYTES:
        raise LocalProtocolError(f"a PDU has 1 to {MAX_PDU_BYTES} bytes, not {len(pdu)}")
    body = bytes((unit_id,)) + pdu
    check = crc16(body)
    return body + bytes((check & 0xFF, check >> 8))


def decode_rtu(adu: bytes, crc16: "Callable[[bytes], int]" = crc16_modbus) -> RtuFrame:
    """The frame in bytes that are one whole frame. Raises `FrameError` or `ChecksumError`."""
    if not MIN_RTU_BYTES <= len(adu) <= MAX_RTU_BYTES:
        raise FrameError(f"an RTU frame has {MIN_RTU_BYTES} to {MAX_RTU_BYTES} bytes, not {len(adu)}", 0, None, adu)
    want = crc16(adu[:-2])
    got = adu[-2] | adu[-1] << 8
    if want != got:
        raise ChecksumError(f"CRC is {got:04X}H where {want:04X}H is due", len(adu) - 2, "crc", adu)
    return RtuFrame(adu[0], adu[1:-2])


class RtuFramer:
    """Finds frames in a stream. At most `max_bytes` are kept; what never became a frame is counted, not raised.

    At first it looks for frames of any kind, from any unit.
    """

    def __init__(self, crc16: "Callable[[bytes], int]" = crc16_modbus, max_bytes: int = 1024) -> None:
        self._crc16 = crc16
        self._buffer = ByteBuffer(max(max_bytes, MAX_RTU_BYTES))
        self._silent_at: int | None = None  # so many of the bytes kept came before the last silence
        self._is_whole = True  # nothing was thrown away since the last frame or silence
        self._kind = ANY
        self._request: Request | None = None
        self._unit_id: int | None = None
        self.discarded_bytes = 0
        self.bad_checks = 0
        """How often the awaited answer came with a wrong CRC."""

    def expect(self, kind: str = ANY) -> None:
        """From now on look for frames of every unit: `ANY`, `REQUESTS` or `RESPONSES`."""
        self._kind = kind
        self._request = None

    def expect_answer(self, unit_id: int | None, request: Request) -> None:
        """From now on take only the answer to `request`, or its exception, from `unit_id` (None: from any unit)."""
        self._unit_id = unit_id
        self._request = request

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. More than `max_bytes` push out the oldest."""
        lost = self._buffer.append(data)
        if lost:
            self._forget(lost)

    def silence(self) -> None:
        """Nothing came for 3.5 characters, or the wait for an answer is over. Ask for frames once more afterwards."""
        self._silent_at = len(self._buffer)

    def reset(self) -> int:
        """Throw away what came so far, late answers to an earlier request above all. Returns how many bytes."""
        count = self._buffer.clear()
        self.discarded_bytes += count
        self._silent_at = None
        self._is_whole = True
        return count

    def next_frame(self) -> RtuFrame | NeedData:
        """The next frame whose CRC holds, or `NEED_DATA`. Raises nothing."""
        while True:
            end = len(self._buffer) if self._silent_at is None else self._silent_at
            if end < MIN_RTU_BYTES:
                if self._silent_at is None:
                    return NEED_DATA
                self._throw_away(end)
                self._silent_at = None
                self._is_whole = True
                continue
            size = self._frame_bytes(end)
            if isinstance(size, NeedData):
                return NEED_DATA
            if size is None:
                self._throw_away(1)
                continue
            adu = self._buffer.peek(0, size)
            self._buffer.drop(size)
            if self._silent_at is not None:
                self._silent_at -= size
            self._is_whole = True
            return RtuFrame(adu[0], adu[1:-2])

    def _frame_bytes(self, end: int) -> int | NeedData | None:
        """How long the frame at the very start is; `NEED_DATA`: it may become one; None: there is none."""
        may_become = False
        is_endless = False
        for pdu_bytes in self._pdu_bytes(end):
            if pdu_bytes is None:
                is_endless = True
            elif isinstance(pdu_bytes, NeedData):
                may_become = True
            elif pdu_bytes <= MAX_PDU_BYTES:
                size = pdu_bytes + 3
                if size > end:
                    may_become = True
                elif self._crc16(self._buffer.peek(0, size)) == 0:  # the residue over a frame with its CRC
                    return size
                elif self._request is not None:
                    self.bad_checks += 1
        if self._silent_at is not None:
            is_frame = is_endless and self._is_whole and end <= MAX_RTU_BYTES
            return end if is_frame and self._crc16(self._buffer.peek(0, end)) == 0 else None
        # An answer without a known length is waited for; in a stream of everything it may as well be noise.
        if may_become or (is_endless and self._request is not None and end < MAX_RTU_BYTES):
            return NEED_DATA
        return None

    def _pdu_bytes(self, end: int) -> "list[int | NeedData | None]":
        """The lengths that a PDU at the very start can have, by what is expected; none when it is nothing of that."""
        if self._request is not None:
            return self._answer_bytes(self._request, end)
        lengths = []
        if self._kind != RESPONSES:
            lengths.append(request_bytes(self._buffer, 1, end))
        if self._kind != REQUESTS:
            lengths.append(response_bytes(self._buffer, 1, end))
        return lengths

    def _answer_bytes(self, request: Request, end: int) -> "list[int | NeedData | None]":
        if self._unit_id is not None and self._buffer[0] != self._unit_id:
            return []
        function = self._buffer[1]
        if function == request.function | 0x80:
            return [_EXCEPTION_BYTES]
        if function != request.function:
            return []
        awaited = request.response_bytes
        if awaited is None:
            return [response_bytes(self._buffer, 1, end)]
        if function in _COUNTED and self._buffer[2] != awaited - 2:
            return []
        return [awaited]

    def _throw_away(self, count: int) -> None:
        self._buffer.drop(count)
        self._forget(count)

    def _forget(self, count: int) -> None:
        """Account for bytes that left without having been a frame."""
        self.discarded_bytes += count
        self._is_whole = False
        if self._silent_at is not None:
            self._silent_at = max(0, self._silent_at - count)
