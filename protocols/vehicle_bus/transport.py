r"""Frames of the J1939 transport protocol (SAE J1939-21, 5.10): messages of 9 to 1785 bytes.

    TP.CM  16 RTS     size (2) packets most-a-CTS PGN (3)        ask one node to take a message
           17 CTS     packets next FF FF PGN                     go on with these; 0 packets: hold
           19 ACK     size (2) packets FF PGN                    all is here
           32 BAM     size (2) packets FF PGN                    announce a message to everybody
          255 abort   reason FF FF FF PGN
    TP.DT  sequence (1-255), 7 data bytes, the last padded with FF

>>> decode_control(bytes.fromhex("20120003FFCAFE00"))
Control(kind=32, pgn=65226, body=b'\x12\x00\x03\xff')
>>> _.size, _.packets
(18, 3)
"""

import msgspec

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.vehicle_bus.requests import pgn_octets

FRAME_BYTES = 8
PACKET_BYTES = 7
MIN_SIZE = 9
MAX_SIZE = 1785
MAX_PACKETS = 255

RTS = 16
CTS = 17
END_OF_MESSAGE = 19
BAM = 32
ABORT = 255

BUSY = 1
RESOURCES = 2
TIMEOUT = 3


class Control(msgspec.Struct, frozen=True):
    """A TP.CM frame. body: bytes 2 to 5, whose meaning the kind tells."""

    kind: int
    pgn: int
    body: bytes

    @property
    def size(self) -> int:
        """Of the message, in RTS, BAM and ACK."""
        return self.body[0] | self.body[1] << 8

    @property
    def packets(self) -> int:
        """Of the message, in RTS, BAM and ACK."""
        return self.body[2]

    @property
    def most(self) -> int:
        """Packets that the sender of an RTS can send for one CTS."""
        return self.body[3]

    @property
    def granted(self) -> int:
        """Packets that a CTS allows."""
        return self.body[0]

    @property
    def next_packet(self) -> int:
        """Which one a CTS wants first."""
        return self.body[1]

    @property
    def reason(self) -> int:
        """Of an abort."""
        return self.body[0]

    @property
    def fits(self) -> bool:
        """Whether size and packets of an RTS or BAM belong together."""
        return MIN_SIZE <= self.size <= MAX_SIZE and self.packets == packets_of(self.size)


class Packet(msgspec.Struct, frozen=True):
    """A TP.DT frame."""

    sequence: int
    data: bytes


def packets_of(size: int) -> int:
    """How many packets a message takes."""
    return -(-size // PACKET_BYTES)


def decode_control(data: bytes) -> Control:
    """Read a TP.CM frame. Raises `FieldError`."""
    _check_size(data)
    return Control(data[0], int.from_bytes(data[5:], "little"), bytes(data[1:5]))


def encode_control(control: Control) -> bytes:
    """Write a TP.CM frame. Raises `LocalProtocolError`."""
    if not 0 <= control.kind <= 0xFF or len(control.body) != 4:
        raise LocalProtocolError("a control byte and four more", field="control")
    return bytes((control.kind,)) + control.body + pgn_octets(control.pgn, "pgn")


def decode_packet(data: bytes) -> Packet:
    """Read a TP.DT frame. Raises `FieldError`."""
    _check_size(data)
    return Packet(data[0], bytes(data[1:]))


def encode_packet(packet: Packet) -> bytes:
    """Write a TP.DT frame, padded. Raises `LocalProtocolError`."""
    if not 0 <= packet.sequence <= 0xFF or len(packet.data) > PACKET_BYTES:
        raise LocalProtocolError("a sequence number and at most 7 bytes", field="sequence")
    return bytes((packet.sequence,)) + packet.data.ljust(PACKET_BYTES, b"\xff")


def _check_size(data: bytes) -> None:
    if len(data) != FRAME_BYTES:
        raise FieldError(f"a transport frame has 8 bytes, not {len(data)}", offset=len(data), field="data", raw=data)


def announcement(kind: int, pgn: int, size: int, last: int = 0xFF) -> Control:
    """An RTS, ACK or BAM. last: in an RTS the most packets for one CTS."""
    return Control(kind, pgn, size.to_bytes(2, "little") + bytes((packets_of(size), last)))


def clear_to_send(pgn: int, granted: int, next_packet: int) -> Control:
    """A CTS."""
    return Control(CTS, pgn, bytes((granted, next_packet, 0xFF, 0xFF)))


def abort(pgn: int, reason: int) -> Control:
    """An abort."""
    return Control(ABORT, pgn, bytes((reason, 0xFF, 0xFF, 0xFF)))


def packet_of(message: bytes, sequence: int) -> Packet:
    """The packet with this sequence number, from 1 on."""
    at = (sequence - 1) * PACKET_BYTES
    return Packet(sequence, message[at : at + PACKET_BYTES])
