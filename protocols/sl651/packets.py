r"""Messages of several packets (mode M3): cut, put together, and what is missing.

SL 651-2014, clauses 6.3.2 and 6.6. MicroPython-clean. Only the first packet holds serial and time. All packets are sent
in a row; then the centre confirms once, or asks for each missing one with NAK, which comes again ended by ETX.

>>> from protocols.sl651.frame import Frame
>>> whole = Frame(1, bytes.fromhex("0012345678"), b"\x12\x34", 0x36, bytes(8) + b"picture", 0x03)
>>> [(packet.packet_seq, packet.body[-4:]) for packet in split(whole, 10)]
[(1, b'\x00\x00pi'), (2, b'ture')]
>>> join(split(whole, 10)).body == whole.body
True
"""

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.sl651.bodies import ASCII_OPENING_CHARS, OPENING_BYTES
from protocols.sl651.frame import ETB, ETX, MAX_LENGTH, MAX_PACKETS, Frame

MAX_CHUNK_BYTES = MAX_LENGTH - 3
MAX_ASCII_CHUNK_BYTES = MAX_LENGTH - 6


def split(frame: Frame, chunk_bytes: int) -> list[Frame]:
    """The packets of a frame of the station whose body is too long for one. Raises `LocalProtocolError`."""
    most = MAX_ASCII_CHUNK_BYTES if frame.is_ascii else MAX_CHUNK_BYTES
    if not 1 <= chunk_bytes <= most:
        raise LocalProtocolError(f"a packet carries 1 to {most} bytes", field="chunk_len")
    total = max(1, (len(frame.body) + chunk_bytes - 1) // chunk_bytes)
    if total > MAX_PACKETS:
        raise LocalProtocolError(f"more than {MAX_PACKETS} packets", field="packet_total")
    return [
        Frame(
            frame.center_addr,
            frame.station_addr,
            frame.password,
            frame.function_code,
            frame.body[(seq - 1) * chunk_bytes : seq * chunk_bytes],
            frame.end_char if seq == total else ETB,
            frame.is_down,
            frame.is_ascii,
            total,
            seq,
        )
        for seq in range(1, total + 1)
    ]


def again(packet: Frame) -> Frame:
    """A packet as it is sent on NAK."""
    return Frame(
        packet.center_addr,
        packet.station_addr,
        packet.password,
        packet.function_code,
        packet.body,
        ETX,
        packet.is_down,
        packet.is_ascii,
        packet.packet_total,
        packet.packet_seq,
    )


def is_of_one_message(packet: Frame, other: Frame) -> bool:
    """Whether two packets may belong together."""
    return (
        packet.packet_total == other.packet_total
        and packet.function_code == other.function_code
        and packet.station_addr == other.station_addr
        and packet.center_addr == other.center_addr
        and packet.password == other.password
        and packet.is_down == other.is_down
        and packet.is_ascii == other.is_ascii
    )


def _timeless(body: bytes, is_ascii: bool) -> bytes:
    """The body of a first packet without the time of sending, which stands behind the serial number."""
    time_at, rest_at = (4, ASCII_OPENING_CHARS) if is_ascii else (2, OPENING_BYTES)
    return body[:time_at] + body[rest_at:]


class Assembly:
    """The packets of one message that have come, in any order. A packet that comes twice stands as it came last."""

    __slots__ = ("_chunks", "_end_char", "first", "size")

    def __init__(self, packet: Frame) -> None:
        """Raises `FieldError` for a frame that is no packet."""
        if packet.packet_total is None:
            raise FieldError("not one of several packets", field="packet_seq")
        self.first = packet
        """The packet that came first: its head is that of all."""
        self.size = 0
        """Bytes of body so far."""
        self._chunks: dict[int, bytes] = {}
        self._end_char = ETX
        self.add(packet)

    def add(self, packet: Frame) -> None:
        """Take a packet. Raises `FieldError` for one of another message."""
        if packet.packet_seq is None or not is_of_one_message(packet, self.first):
            raise FieldError("a packet of another message", field="packet_seq")
        self.size += len(packet.body) - len(self._chunks.get(packet.packet_seq, b""))
        self._chunks[packet.packet_seq] = packet.body
        if packet.packet_seq == packet.packet_total:
            self._end_char = packet.end_char

    def chunk(self, seq: int) -> bytes | None:
        """What a packet carried, if it has come."""
        return self._chunks.get(seq)

    def may_hold(self, packet: Frame) -> bool:
        """Whether a packet is one of this message: what came already is the same again, but for the time of sending."""
        if not is_of_one_message(packet, self.first):
            return False
        held = self._chunks.get(packet.packet_seq or 0)
        if held is None or held == packet.body:
            return True
        return packet.packet_seq == 1 and _timeless(held, packet.is_ascii) == _timeless(packet.body, packet.is_ascii)

    def holds(self, packet: Frame) -> bool:
        """Whether this very packet has come."""
        return is_of_one_message(packet, self.first) and self._chunks.get(packet.packet_seq or 0) == packet.body

    @property
    def total(self) -> int:
        """How many packets there are."""
        return self.first.packet_total or 0

    @property
    def is_whole(self) -> bool:
        """Whether all have come."""
        return len(self._chunks) == self.total

    def missing(self) -> list[int]:
        """Sequence numbers of packets that have not come."""
        return [seq for seq in range(1, self.total + 1) if seq not in self._chunks]

    def joined(self) -> Frame:
        """The message as one frame, which may be longer than frames are. It ends as its last packet did.

        Raises `FieldError` while packets miss.
        """
        if not self.is_whole:
            raise FieldError("packets are missing", field="packet_total")
        head = self.first
        body = b"".join([self._chunks[seq] for seq in range(1, self.total + 1)])
        return Frame(
            head.center_addr,
            head.station_addr,
            head.password,
            head.function_code,
            body,
            self._end_char,
            head.is_down,
            head.is_ascii,
        )


def join(packets: list[Frame]) -> Frame:
    """The message of packets in any order. Raises `FieldError` when they are not one whole message."""
    if not packets:
        raise FieldError("no packets", field="packet_total")
    assembly = Assembly(packets[0])
    for packet in packets[1:]:
        assembly.add(packet)
    return assembly.joined()
