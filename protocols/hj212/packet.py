r"""Packets of HJ 212: the frame around a data segment.

HJ/T 212-2005 and HJ 212-2017, clause 6.3 (通信包结构).

    ## | length, 4 decimal digits | data segment | CRC, 4 hex digits | CR LF

The length counts the bytes of the data segment, so Chinese text (GBK) counts double. CR LF never stands inside a data
segment. A packet is told by all of that; where one thing does not hold, the search goes on from the very next byte.

Errors never carry the bytes themselves: a data segment holds the device's password.

>>> decode_packet(b"##0009123456789" b"2f80\r\n")
Packet(data=b'123456789', crc_digits=b'2f80', is_modbus_crc=False)
>>> encode_packet(Packet(b"123456789"))
b'##00091234567892F80\r\n'
"""

import msgspec

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError, NeedData
from protocols.core.frame_search import FrameSearch
from protocols.hj212.crc import crc_hj212

MAX_DATA_BYTES = 9999
"""What four digits can say. HJ/T 212-2005 allows 1024; devices send more."""
_START = b"##"
_END = b"\r\n"
HEAD_BYTES = 6
"""`##` and the length."""
_TAIL_BYTES = 6
MAX_PACKET_BYTES = HEAD_BYTES + MAX_DATA_BYTES + _TAIL_BYTES


class Packet(msgspec.Struct, frozen=True):
    """A data segment and how it was checked.

    crc_digits: as they were sent, which some devices do in lower case; empty when the packet is still to be written.
    is_modbus_crc: a device that computes CRC-16/MODBUS in place of the standard's check.
    """

    data: bytes
    crc_digits: bytes = b""
    is_modbus_crc: bool = False


def encode_packet(packet: Packet) -> bytes:
    """Write a packet. Raises `LocalProtocolError` for data that no packet carries, and for digits that are wrong."""
    data = packet.data
    if len(data) > MAX_DATA_BYTES:
        raise LocalProtocolError(f"{len(data)} bytes are more than four digits can say", field="data_length")
    if _END in data:
        raise LocalProtocolError("CR LF ends a packet and cannot stand inside", field="data")
    due = b"%04X" % (crc16_modbus(data) if packet.is_modbus_crc else crc_hj212(data))
    if packet.crc_digits and packet.crc_digits.upper() != due:
        raise LocalProtocolError("these digits are not the check of these data", field="crc")
    return b"##%04d%b%b\r\n" % (len(data), data, packet.crc_digits or due)


def decode_packet(wire: bytes, *, accepts_modbus_crc: bool = False) -> Packet:
    """Read one packet, from `##` to CR LF. Raises `FrameError` or `ChecksumError`."""
    if not wire.startswith(_START):
        raise FrameError("a packet starts with ##", 0)
    digits = wire[2:HEAD_BYTES]
    if len(digits) < 4 or not digits.isdigit():
        raise FrameError("the length is four decimal digits", 2, "data_length")
    if not wire.endswith(_END):
        raise FrameError("a packet ends with CR LF", len(wire))
    size = HEAD_BYTES + int(digits) + _TAIL_BYTES
    if size != len(wire):
        reason = f"{int(digits)} bytes are announced, {max(0, len(wire) - HEAD_BYTES - _TAIL_BYTES)} there"
        raise FrameError(reason, 2, "data_length")
    end = wire.find(_END)
    if end != len(wire) - 2:
        raise FrameError("a packet ends with its first CR LF", end)
    packet = _checked(wire, accepts_modbus_crc=True)
    if packet.is_modbus_crc and not accepts_modbus_crc:
        reason = "the check is CRC-16/MODBUS, which is taken only when asked for"
        raise ChecksumError(reason, len(wire) - _TAIL_BYTES, "crc")
    return packet


def _checked(wire: bytes, *, accepts_modbus_crc: bool) -> Packet:
    """The packet in bytes of which all but the check is right. Raises `ChecksumError`."""
    data = wire[HEAD_BYTES:-_TAIL_BYTES]
    digits = wire[-_TAIL_BYTES:-2]
    upper = digits.upper()
    if upper == b"%04X" % crc_hj212(data):
        return Packet(data, digits)
    if accepts_modbus_crc and upper == b"%04X" % crc16_modbus(data):
        return Packet(data, digits, is_modbus_crc=True)
    raise ChecksumError("the check does not hold", len(wire) - _TAIL_BYTES, "crc")


class Framer(FrameSearch):
    """Finds packets in a stream; what never became one is counted, not raised.

    At most `max_bytes` are kept: of more than that in one piece the oldest are lost.
    """

    def __init__(self, *, accepts_modbus_crc: bool = False, max_bytes: int = 16_384) -> None:
        super().__init__((_START,), MAX_PACKET_BYTES, max(0, max_bytes - MAX_PACKET_BYTES))
        self._accepts_modbus_crc = accepts_modbus_crc
        self.broken_data = b""
        """The data segment of the last packet that was whole but for its CRC: its sender may be told."""

    def next_frame(self) -> Packet | NeedData:
        """The next whole packet, or `NEED_DATA`. Raises nothing."""
        return self._search(self._size, self._packet_of)

    def _size(self) -> int:
        buffer = self._buffer
        digits = buffer.peek(2, HEAD_BYTES)
        if digits and not digits.isdigit():
            return 0
        end = buffer.find(_END)
        size = HEAD_BYTES + int(digits) + _TAIL_BYTES if len(digits) == 4 else MAX_PACKET_BYTES
        if len(buffer) >= size:
            return size if end == size - 2 else 0
        return size if end is None else 0  # else the line is over before the packet would be

    def _packet_of(self, wire: bytes) -> Packet:
        try:
            return _checked(wire, accepts_modbus_crc=self._accepts_modbus_crc)
        except ChecksumError:
            self.broken_data = wire[HEAD_BYTES:-_TAIL_BYTES]
            raise
