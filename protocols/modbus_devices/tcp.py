"""Modbus TCP: the MBAP header before a PDU.

MODBUS Messaging on TCP/IP Implementation Guide V1.0b, clause 3.1.3. MicroPython-clean.

    transaction 2 | protocol 2 = 0 | length 2 | unit 1 | PDU 1..253

Numbers have their high byte first; the length counts unit and PDU.

>>> encode_tcp(7, 1, bytes.fromhex("0400000002")).hex()
'000700000006010400000002'
>>> decode_tcp(bytes.fromhex("000700000006010400000002"))
TcpFrame(7, 1, '0400000002')
"""

import struct

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import NEED_DATA, FrameError, LocalProtocolError, NeedData
from protocols.modbus_devices.functions import MAX_PDU_BYTES
from protocols.modbus_devices.lengths import request_bytes, response_bytes

HEADER_BYTES = 7
MAX_TCP_BYTES = HEADER_BYTES + MAX_PDU_BYTES
_MIN_LENGTH = 2
_MAX_LENGTH = 1 + MAX_PDU_BYTES


class TcpFrame:
    """A frame as the header says it."""

    __slots__ = ("pdu", "transaction_id", "unit_id")

    def __init__(self, transaction_id: int, unit_id: int, pdu: bytes) -> None:
        self.transaction_id = transaction_id
        self.unit_id = unit_id
        self.pdu = pdu

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TcpFrame)
            and self.transaction_id == other.transaction_id
            and self.unit_id == other.unit_id
            and self.pdu == other.pdu
        )

    def __hash__(self) -> int:
        return hash((self.transaction_id, self.unit_id, self.pdu))

    def __repr__(self) -> str:
        return f"TcpFrame({self.transaction_id}, {self.unit_id}, '{self.pdu.hex()}')"


def encode_tcp(transaction_id: int, unit_id: int, pdu: bytes) -> bytes:
    """A frame around a PDU. Raises `LocalProtocolError` for a number or length that no frame has."""
    if not 0 <= transaction_id <= 0xFFFF:
        raise LocalProtocolError(f"a transaction is 0 to 65535, not {transaction_id}", field="transaction_id")
    if not 0 <= unit_id <= 0xFF:
        raise LocalProtocolError(f"a unit is 0 to 255, not {unit_id}", field="unit_id")
    if not 1 <= len(pdu) <= MAX_PDU_BYTES:
        raise LocalProtocolError(f"a PDU has 1 to {MAX_PDU_BYTES} bytes, not {len(pdu)}")
    return struct.pack(">HHHB", transaction_id, 0, len(pdu) + 1, unit_id) + pdu


def decode_tcp(adu: bytes) -> TcpFrame:
    """The frame in bytes that are one whole frame. Raises `FrameError`."""
    if len(adu) <= HEADER_BYTES:
        raise FrameError(f"a TCP frame has {HEADER_BYTES + 1} bytes at least, not {len(adu)}", len(adu), None, adu)
    transaction_id, protocol, length, unit_id = struct.unpack(">HHHB", adu[:HEADER_BYTES])
    if protocol != 0:
        raise FrameError(f"Modbus is protocol 0, not {protocol}", 2, "protocol", adu)
    if not _MIN_LENGTH <= length <= _MAX_LENGTH or length != len(adu) - HEADER_BYTES + 1:
        raise FrameError(f"length is {length} where {len(adu) - HEADER_BYTES + 1} bytes follow", 4, "length", adu)
    return TcpFrame(transaction_id, unit_id, adu[HEADER_BYTES:])


class TcpFramer:
    """Finds frames in a stream. At most `max_bytes` are kept.

    A header that cannot be raises `FrameError` once: the stream is out of step, and closing the connection is the sure
    cure. Who reads on all the same gets the next frame whose header and PDU agree; what is passed over is counted.
    """

    def __init__(self, max_bytes: int = 65_536) -> None:
        self._buffer = ByteBuffer(max(max_bytes, MAX_TCP_BYTES))
        self._is_in_step = True
        self.discarded_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. More than `max_bytes` push out the oldest, and the stream is out of step."""
        lost = self._buffer.append(data)
        if lost:
            self.discarded_bytes += lost
            self._is_in_step = False

    def reset(self) -> None:
        """Start anew, as a new connection does."""
        self.discarded_bytes += self._buffer.clear()
        self._is_in_step = True

    def next_frame(self) -> TcpFrame | NeedData:
        """The next frame, or `NEED_DATA`. Raises `FrameError` where the stream falls out of step."""
        buffer = self._buffer
        while len(buffer) >= HEADER_BYTES:
            head = buffer.peek(0, HEADER_BYTES)
            transaction_id, protocol, length, unit_id = struct.unpack(">HHHB", head)
            is_header = protocol == 0 and _MIN_LENGTH <= length <= _MAX_LENGTH
            size = HEADER_BYTES - 1 + length
            if is_header and size > len(buffer):
                return NEED_DATA
            if is_header and (self._is_in_step or _is_consistent(buffer, size)):
                pdu = buffer.peek(HEADER_BYTES, size)
                buffer.drop(size)
                self._is_in_step = True
                return TcpFrame(transaction_id, unit_id, pdu)
            buffer.drop(1)
            self.discarded_bytes += 1
            if self._is_in_step:
                self._is_in_step = False
                raise FrameError("this is no Modbus TCP header", 0, None, head)
        return NEED_DATA


def _is_consistent(buffer: ByteBuffer, size: int) -> bool:
    """Whether the PDU's own length, as a request or an answer, is the one that the header gives."""
    own = size - HEADER_BYTES
    return own in (request_bytes(buffer, HEADER_BYTES, size), response_bytes(buffer, HEADER_BYTES, size))
