"""One frame between a vehicle (or an enterprise's platform) and a platform.

GB/T 32960.3-2016 and GB/T 32960.3-2025, clause 6. All integers are unsigned, high byte first.

    23 23 | command 1 | response 1 | VIN 17 | encryption 1 | length 2 | data unit | BCC 1         24 24: edition of 2025

BCC is all bytes from the command to the end of the data unit (as it is sent, encrypted or not), combined by exclusive
or. Nothing is escaped: a frame is found by its length. Response FE says that this is no answer.

Errors hold no bytes of a frame: it may carry a platform's password or where somebody is.

>>> decode_frame(bytes.fromhex("232307fe4838323230363530303030303030303030010000bb"))
Frame(edition=2016, command=7, response=254, vin=b'H8220650000000000', encryption=1, data=b'')
"""

import struct
from enum import IntEnum

import msgspec

from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError, NeedData
from protocols.core.frame_search import FrameSearch
from protocols.length_framer import MAX_PIECE

STARTS = {b"\x23\x23": 2016, b"\x24\x24": 2025}
START_OF = {edition: start for start, edition in STARTS.items()}
VIN_BYTES = 17
HEADER_BYTES = 24
OVERHEAD_BYTES = 25
MAX_DATA_BYTES = 65531
MAX_FRAME_BYTES = OVERHEAD_BYTES + MAX_DATA_BYTES
COMMAND = 0xFE
"""The response flag of what is no answer."""

_HEADER = struct.Struct(">2sBB17sBH")


class Command(IntEnum):
    """Command flags, clause 6.3.1; 09 to 0B came with the edition of 2025."""

    VEHICLE_LOGIN = 0x01
    REAL_TIME = 0x02
    REISSUE = 0x03
    VEHICLE_LOGOUT = 0x04
    PLATFORM_LOGIN = 0x05
    PLATFORM_LOGOUT = 0x06
    HEARTBEAT = 0x07
    TIME_SYNC = 0x08
    ACTIVATION = 0x09
    ACTIVATION_ANSWER = 0x0A
    KEY_EXCHANGE = 0x0B
    QUERY_PARAMETERS = 0x80
    SET_PARAMETERS = 0x81
    CONTROL = 0x82


class Response(IntEnum):
    """Response flags, clause 6.3.2; from 4 on those of 2025."""

    SUCCESS = 0x01
    ERROR = 0x02
    DUPLICATE_VIN = 0x03
    UNKNOWN_VIN = 0x04
    WRONG_SIGNATURE = 0x05
    WRONG_STRUCTURE = 0x06
    NOT_DECRYPTED = 0x07


class Encryption(IntEnum):
    """What the data unit is encrypted with; SM2 and SM4 came with the edition of 2025."""

    NONE = 0x01
    RSA = 0x02
    AES128 = 0x03
    SM2 = 0x04
    SM4 = 0x05
    ABNORMAL = 0xFE
    INVALID = 0xFF


class Frame(msgspec.Struct, frozen=True):
    """A frame whose check holds. edition: 2016 or 2025. vin: 17 bytes; of a platform its unique code."""

    edition: int
    command: int
    response: int
    vin: bytes
    encryption: int = Encryption.NONE
    data: bytes = b""


def bcc_of(data: bytes) -> int:
    """All bytes combined by exclusive or: one long integer, folded upon itself half on half.

    >>> bcc_of(b"123456789") == 0x31
    True
    """
    folded = int.from_bytes(data, "big")
    bits = 8
    while bits < 8 * len(data):
        bits *= 2
    while bits > 8:
        bits //= 2
        folded = (folded >> bits) ^ (folded & ((1 << bits) - 1))
    return folded


def check_frame(data: bytes, starts: tuple[bytes, ...]) -> int:
    """Hold bytes that are one whole frame against start, length and BCC; its length of data. Raises `FrameError`."""
    if data[:2] not in starts:
        raise FrameError("starts with none of " + ", ".join(start.hex() for start in starts), 0, "start")
    if len(data) < OVERHEAD_BYTES:
        raise FrameError("shorter than the shortest frame", len(data), "length")
    length = data[22] << 8 | data[23]
    if length > MAX_DATA_BYTES or len(data) != OVERHEAD_BYTES + length:
        raise FrameError(f"{len(data) - OVERHEAD_BYTES} bytes of data where {length} are told", 22, "data_length")
    check = bcc_of(data[2:-1])
    if data[-1] != check:
        raise ChecksumError(f"BCC is {data[-1]:02x} where {check:02x} is due", len(data) - 1, "bcc")
    return length


def decode_frame(data: bytes) -> Frame:
    """Read bytes that are one whole frame. Raises `FrameError` and `ChecksumError`."""
    check_frame(data, tuple(STARTS))
    start, command, response, vin, encryption, _ = _HEADER.unpack_from(data)
    return Frame(STARTS[start], command, response, vin, encryption, data[HEADER_BYTES:-1])


def encode_frame(frame: Frame) -> bytes:
    """Write a frame. Raises `LocalProtocolError` for what no frame carries."""
    if frame.edition not in START_OF:
        raise LocalProtocolError("2016 or 2025", field="edition")
    if len(frame.vin) != VIN_BYTES:
        raise LocalProtocolError("17 bytes", field="vin")
    if len(frame.data) > MAX_DATA_BYTES:
        raise LocalProtocolError(f"more than {MAX_DATA_BYTES} bytes", field="data")
    head = (START_OF[frame.edition], frame.command, frame.response, frame.vin, frame.encryption, len(frame.data))
    try:
        content = _HEADER.pack(*head) + frame.data
    except struct.error:
        raise LocalProtocolError("a flag is one byte", field="command") from None
    return content + bytes((bcc_of(content[2:]),))


class Framer(FrameSearch):
    """Finds frames of both editions in a stream; what never became one is counted, not raised.

    A frame that is cut short looks like one that is still on its way: `silence()` tells that nothing more will come.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES, starts: tuple[bytes, ...] = tuple(STARTS)) -> None:
        """max_bytes: of a frame that is waited for; a longer one is noise."""
        super().__init__(starts, max(OVERHEAD_BYTES, min(max_bytes, MAX_FRAME_BYTES)), MAX_PIECE)

    def next_bytes(self) -> bytes | NeedData:
        """The bytes of the next frame whose length and BCC hold, or `NEED_DATA`. Raises nothing."""
        return self._search(self._size, _with_good_bcc)

    def next_frame(self) -> Frame | NeedData:
        """The next frame, or `NEED_DATA`. Raises nothing."""
        data = self.next_bytes()
        return data if isinstance(data, NeedData) else decode_frame(data)

    def _size(self) -> int:
        buffer = self._buffer
        if len(buffer) > 2 and buffer[2] == buffer[0]:
            return 0  # one start byte too many: commands 23 and 24 are reserved
        return OVERHEAD_BYTES + (buffer[22] << 8 | buffer[23]) if len(buffer) >= HEADER_BYTES else OVERHEAD_BYTES


def _with_good_bcc(wire: bytes) -> bytes:
    if bcc_of(wire[2:-1]) != wire[-1]:
        raise ChecksumError("the BCC does not hold", len(wire) - 1, "bcc")
    return wire
