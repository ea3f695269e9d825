"""One frame of hydrological telemetry, in both codings.

SL 651-2014, clauses 6.2 and 6.3, tables 3 and 22. MicroPython-clean. High byte first everywhere.

    HEX/BCD  7E7E | centre 1 | station 5 | password 2 | function 1 | direction, length 2 | STX | body | end | CRC 2
    ASCII    01   | the same numbers, each byte as two hex characters                    | STX | body | end | CRC 4

In a frame of the centre the station stands before the centre. The top four bits of the length tell the direction (0 up,
8 down), the other twelve count what stands between the body start and the end character. A packet of a longer message
has SYN instead of STX and behind it 12 bits of total and 12 bits of sequence, which the length counts too.

A frame holds the station's password, so no error carries bytes of one.

Left out: lengths of 16 bits for packets (table 22), which clash with the direction and were never seen.

>>> frame = decode_frame(bytes.fromhex("7E7E00123456780112343080080200035910111549471B75D4"))
>>> frame.is_down, frame.center_addr, frame.station_addr.hex(), frame.function_code, frame.end_char == ESC
(True, 1, '0012345678', 48, True)
>>> encode_frame(frame).hex()
'7e7e00123456780112343080080200035910111549471b75d4'
"""

from protocols.core.checksum import crc16_modbus
from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError
from protocols.sl651.wire import Wire

TYPE_CHECKING = False  # what typing would say; MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

STX = 0x02
SYN = 0x16
ETX = 0x03
"""Up: nothing more follows, the link may close."""
ETB = 0x17
"""Up: more follows, the link must stay."""
ENQ = 0x05
"""Down: a query or command."""
ACK = 0x06
"""Down: confirmed, go on sending."""
EOT = 0x04
"""Down: confirmed and finished, the station may leave the link."""
ESC = 0x1B
"""Down: confirmed, the station stays on the link."""
NAK = 0x15
"""Down: send the packet named in the sequence again."""

ENDS_UP = (ETX, ETB)
ENDS_DOWN = (ENQ, ACK, EOT, ESC)
ENDS_DOWN_PACKET = (ENQ, NAK, EOT, ESC)

HEX_START = b"\x7e\x7e"
ASCII_START = b"\x01"
HEX_HEAD_BYTES = 14
"""From the first start byte to the body start."""
ASCII_HEAD_BYTES = 24
HEX_TAIL_BYTES = 3
ASCII_TAIL_BYTES = 5
MAX_LENGTH = 0xFFF
MAX_PACKETS = 0xFFF
MAX_FRAME_BYTES = ASCII_HEAD_BYTES + MAX_LENGTH + ASCII_TAIL_BYTES

_DOWN = 0x8
_STATION_BYTES = 5
_NUMBERS_BYTES = 11
"""Addresses, password, function, direction and length."""
_HEX_DIGITS = b"0123456789ABCDEFabcdef"


class Frame(Wire):
    """One frame whose check holds. `body` is what stands between the body start (or the packet's numbers) and the end.

    center_addr: 1 to 255, and 0 in the field. station_addr: five bytes, BCD or a county code and two bytes of number.
    packet_total, packet_seq: None in a single packet. spelling: the hex characters of an ASCII frame (numbers, packet,
    CRC) where they are not upper case, else None.
    """

    __slots__ = (
        "body",
        "center_addr",
        "end_char",
        "function_code",
        "is_ascii",
        "is_down",
        "packet_seq",
        "packet_total",
        "password",
        "spelling",
        "station_addr",
    )

    def __init__(
        self,
        center_addr: int,
        station_addr: bytes,
        password: bytes,
        function_code: int,
        body: bytes,
        end_char: int,
        is_down: bool = False,
        is_ascii: bool = False,
        packet_total: int | None = None,
        packet_seq: int | None = None,
        spelling: bytes | None = None,
    ) -> None:
        self.center_addr = center_addr
        self.station_addr = station_addr
        self.password = password
        self.function_code = function_code
        self.body = body
        self.end_char = end_char
        self.is_down = is_down
        self.is_ascii = is_ascii
        self.packet_total = packet_total
        self.packet_seq = packet_seq
        self.spelling = spelling

    @property
    def length(self) -> int:
        """What the length field says."""
        return len(self.body) + self.numbers_length

    @property
    def numbers_length(self) -> int:
        """Bytes of total and sequence before the body."""
        return 0 if self.packet_total is None else 6 if self.is_ascii else 3

    @property
    def body_offset(self) -> int:
        """Where the body stands in the frame."""
        return (ASCII_HEAD_BYTES if self.is_ascii else HEX_HEAD_BYTES) + self.numbers_length


def allowed_ends(is_down: bool, is_packet: bool) -> tuple[int, ...]:
    """The end characters that a frame may have."""
    if not is_down:
        return ENDS_UP
    return ENDS_DOWN_PACKET if is_packet else ENDS_DOWN


def frame_bytes(head: bytes) -> int:
    """How long a frame is that begins with these bytes: all of its head up to the body start. Raises `FrameError`."""
    if head[:2] == HEX_START:
        length = head[11] << 8 | head[12]
        start, overhead = head[13], HEX_HEAD_BYTES + HEX_TAIL_BYTES
    else:
        numbers = head[1 : ASCII_HEAD_BYTES - 1]
        if not is_hex(numbers):
            raise FrameError("numbers are hex characters", offset=1, field="header")
        length = int(numbers[-4:], 16)
        start, overhead = head[ASCII_HEAD_BYTES - 1], ASCII_HEAD_BYTES + ASCII_TAIL_BYTES
    if length >> 12 not in (0, _DOWN):
        raise FrameError("the direction is 0 or 8", field="direction")
    if start not in (STX, SYN):
        raise FrameError("the body starts with STX or SYN", field="start_char")
    length &= MAX_LENGTH
    least = 1 if start == STX else 3 if head[:2] == HEX_START else 6
    if length < least:
        raise FrameError("shorter than a body can be", field="length")
    return length + overhead


def is_hex(text: bytes) -> bool:
    """Whether all are hex characters."""
    return all(character in _HEX_DIGITS for character in text)


def decode_frame(data: bytes, crc16: "Callable[[bytes], int]" = crc16_modbus) -> Frame:
    """Read bytes that are one whole frame. Raises `FrameError`, `ChecksumError` and `FieldError`."""
    is_ascii = data[:1] == ASCII_START
    if not is_ascii and data[:2] != HEX_START:
        raise FrameError("starts with neither 7E7E nor SOH", offset=0, field="soh")
    head_bytes = ASCII_HEAD_BYTES if is_ascii else HEX_HEAD_BYTES
    if len(data) < head_bytes:
        raise FrameError("shorter than a head", offset=len(data), field="length")
    size = frame_bytes(data[:head_bytes])
    if len(data) != size:
        raise FrameError(f"{len(data)} bytes where the head says {size}", min(len(data), size), "length")
    tail = 4 if is_ascii else 2
    if is_ascii and not is_hex(data[-tail:]):
        raise ChecksumError("the CRC is four hex characters", offset=size - tail, field="crc")
    got = int(data[-4:], 16) if is_ascii else data[-2] << 8 | data[-1]
    want = crc16(data[:-tail])
    if got != want:
        raise ChecksumError(f"CRC is {got:04X} where {want:04X} is due", size - tail, "crc")
    return _decode_checked(data, is_ascii, head_bytes, size - tail - 1)


def _decode_checked(data: bytes, is_ascii: bool, body_at: int, end_at: int) -> Frame:
    numbers = bytes.fromhex(data[1 : body_at - 1].decode()) if is_ascii else data[2 : body_at - 1]
    is_down = numbers[9] >> 4 == _DOWN
    total: int | None = None
    seq: int | None = None
    packet = b""
    if data[body_at - 1] == SYN:
        width = 6 if is_ascii else 3
        packet = data[body_at : body_at + width]
        if is_ascii and not is_hex(packet):
            raise FieldError("total and sequence are hex characters", body_at, "packet_seq", packet)
        both = int(packet, 16) if is_ascii else int.from_bytes(packet, "big")
        total, seq = both >> 12, both & MAX_PACKETS
        if not 1 <= seq <= total:
            raise FieldError(f"packet {seq} of {total}", body_at, "packet_seq", packet)
        body_at += width
    end_char = data[end_at]
    if end_char not in allowed_ends(is_down, total is not None):
        raise FieldError(f"{end_char:02X} does not end such a frame", end_at, "end_char")
    spelling = None
    if is_ascii:
        spelled = data[1 : ASCII_HEAD_BYTES - 1] + packet + data[-4:]
        spelling = spelled if spelled != spelled.upper() else None
    centre_at, station_at = (_STATION_BYTES, 0) if is_down else (0, 1)
    return Frame(
        numbers[centre_at],
        numbers[station_at : station_at + _STATION_BYTES],
        numbers[6:8],
        numbers[8],
        data[body_at:end_at],
        end_char,
        is_down,
        is_ascii,
        total,
        seq,
        spelling,
    )


def encode_frame(frame: Frame, crc16: "Callable[[bytes], int]" = crc16_modbus) -> bytes:
    """Write a frame. Raises `LocalProtocolError` for what no frame carries."""
    numbers = _numbers_of(frame)
    packet = b""
    if frame.packet_total is not None and frame.packet_seq is not None:
        packet = (frame.packet_total << 12 | frame.packet_seq).to_bytes(3, "big")
    start = STX if frame.packet_total is None else SYN
    if not frame.is_ascii:
        data = HEX_START + numbers + bytes((start,)) + packet + frame.body + bytes((frame.end_char,))
        return data + crc16(data).to_bytes(2, "big")
    spelled = numbers.hex().upper().encode(), packet.hex().upper().encode()
    spelling = frame.spelling
    if spelling is not None:
        given = spelling[: 2 * _NUMBERS_BYTES], spelling[2 * _NUMBERS_BYTES : -4]
        if given[0].upper() != spelled[0] or given[1].upper() != spelled[1]:
            raise LocalProtocolError("not how these numbers are spelled", field="spelling")
        spelled = given
    data = ASCII_START + spelled[0] + bytes((start,)) + spelled[1] + frame.body + bytes((frame.end_char,))
    check = b"%04X" % crc16(data)
    if spelling is not None and spelling[-4:].upper() == check:
        check = spelling[-4:]
    return data + check


def _numbers_of(frame: Frame) -> bytes:
    if not (0 <= frame.center_addr <= 0xFF and len(frame.station_addr) == _STATION_BYTES):
        raise LocalProtocolError("a centre is one byte and a station five", field="station_addr")
    if len(frame.password) != 2:
        raise LocalProtocolError("a password has two bytes", field="password")
    if not 0 <= frame.function_code <= 0xFF:
        raise LocalProtocolError("a function code is one byte", field="function_code")
    total, seq = frame.packet_total, frame.packet_seq
    if (total is None) != (seq is None) or (total is not None and not 1 <= (seq or 0) <= total <= MAX_PACKETS):
        raise LocalProtocolError("a packet is one of 1 to 4095", field="packet_seq")
    if frame.end_char not in allowed_ends(frame.is_down, total is not None):
        raise LocalProtocolError("does not end such a frame", field="end_char")
    length = frame.length
    if not 1 <= length <= MAX_LENGTH:
        raise LocalProtocolError(f"a body of {length} bytes", field="body")
    addresses = bytes((frame.center_addr,))
    addresses = frame.station_addr + addresses if frame.is_down else addresses + frame.station_addr
    direction = (_DOWN << 12 if frame.is_down else 0) | length
    return addresses + frame.password + bytes((frame.function_code,)) + direction.to_bytes(2, "big")
