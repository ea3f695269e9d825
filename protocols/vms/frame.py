r"""Frames between a host and a variable message sign (可变信息标志, GB/T 34428.3-2017 and the vendors beside it).

    02 | address 2 | type 2 | data | CRC 2 | 03         sansi request; fenghai both ways
    02 | address 2 | data | CRC 2 | 03                  sansi response
    02 | destination 2 | source 2 | type 2 | data ..    dianming (电明, 同洲), both ways, a response has type + 1
    02 | type 2 | address 2 | data | CRC 2 | 03         xianke (显科), both ways

The CRC is CRC-16/XMODEM over what stands between start and CRC, high byte first. After that 02 becomes 1B E7, 03
becomes 1B E8 and 1B becomes 1B 00, the CRC included. A sign and its host speak one dialect, by configuration.

>>> decode_frame(bytes.fromhex("0230303036ba4c03"), SANSI, is_response=False)
Frame(address=b'00', data=b'', frame_type='06', source=None)
"""

from collections.abc import Callable

import msgspec
from fastcrc import crc16

from protocols.core.buffer import ByteBuffer
from protocols.core.errors import (
    NEED_DATA,
    ChecksumError,
    FieldError,
    FrameError,
    LocalProtocolError,
    NeedData,
    RemoteProtocolError,
)

STX = 0x02
ETX = 0x03
ESCAPE = 0x1B
CRC_BYTES = 2
MAX_FRAME_BYTES = 1 << 14
"""On the wire. Chunks of a file have 2 KB at most, twice that with every byte escaped; some signs send whole files."""

_ESCAPES = ((b"\x1b", b"\x1b\x00"), (b"\x02", b"\x1b\xe7"), (b"\x03", b"\x1b\xe8"))
"""1B first: the others bring it in."""
_RESTORED = {0xE7: STX, 0xE8: ETX, 0x00: ESCAPE}

crc_xmodem: Callable[[bytes], int] = crc16.xmodem


class Dialect(msgspec.Struct, frozen=True):
    """What a vendor's frames have in front of the data."""

    name: str
    type_first: bool = False
    has_source: bool = False
    response_has_type: bool = True

    def has_type(self, *, is_response: bool) -> bool:
        """Whether a frame tells what it is."""
        return self.response_has_type or not is_response

    def header_bytes(self, *, is_response: bool) -> int:
        """How many bytes stand in front of the data."""
        return 2 + 2 * self.has_source + 2 * self.has_type(is_response=is_response)


SANSI = Dialect("sansi", response_has_type=False)
DIANMING = Dialect("dianming", has_source=True)
FENGHAI = Dialect("fenghai")
XIANKE = Dialect("xianke", type_first=True)
DIALECTS = {dialect.name: dialect for dialect in (SANSI, DIANMING, FENGHAI, XIANKE)}


class Frame(msgspec.Struct, frozen=True):
    """A frame. frame_type: two digits, None in a sansi response. source: dianming only; address is the destination."""

    address: bytes
    data: bytes = b""
    frame_type: str | None = None
    source: bytes | None = None


def decode_frame(wire: bytes, dialect: Dialect, *, is_response: bool) -> Frame:
    """Read one frame from its start to its end. Raises `FrameError`, `ChecksumError`, `FieldError`.

    Their offsets count on the wire, escapes included.
    """
    if not wire or wire[0] != STX:
        raise FrameError("does not begin with 02", offset=0, raw=wire)
    if wire[-1] != ETX or len(wire) < 2:
        raise FrameError("does not end with 03", offset=len(wire) - 1, raw=wire[-8:])
    body = _restored(wire[1:-1])
    try:
        return parse_body(_checked(body), dialect, is_response=is_response)
    except RemoteProtocolError as error:
        error.offset = wire_offset(wire, error.offset or 0)
        raise


def wire_offset(wire: bytes, at: int) -> int:
    """Where a byte stands in a frame, by its place behind the start once the escapes are taken off."""
    position = 1 + at
    escape = wire.find(ESCAPE, 1)
    while 0 <= escape < position:
        position += 1
        escape = wire.find(ESCAPE, escape + 2)
    return position


def encode_frame(frame: Frame, dialect: Dialect, *, is_response: bool) -> bytes:
    """Write one frame. Raises `LocalProtocolError`."""
    body = body_of(frame, dialect, is_response=is_response)
    body += crc_xmodem(body).to_bytes(CRC_BYTES, "big")
    for plain, escaped in _ESCAPES:
        body = body.replace(plain, escaped)
    return bytes((STX,)) + body + bytes((ETX,))


def body_of(frame: Frame, dialect: Dialect, *, is_response: bool) -> bytes:
    """Header and data, which the CRC covers. Raises `LocalProtocolError`."""
    addresses = frame.address + (frame.source or b"")
    if len(frame.address) != 2 or (frame.source is not None) != dialect.has_source or len(addresses) % 2:
        raise LocalProtocolError("two bytes, and a source only for dianming", field="address")
    if not dialect.has_type(is_response=is_response):
        if frame.frame_type is not None:
            raise LocalProtocolError("a response of this dialect has no type", field="frame_type")
        return addresses + frame.data
    kind = (frame.frame_type or "").encode("ascii", "replace")
    if len(kind) != 2 or not kind.isdigit():
        raise LocalProtocolError("two digits", field="frame_type")
    return (kind + addresses if dialect.type_first else addresses + kind) + frame.data


def parse_body(body: bytes, dialect: Dialect, *, is_response: bool) -> Frame:
    """Header and data of what the CRC covers. Raises `FrameError`, `FieldError`; offsets count from the header."""
    has_type = dialect.has_type(is_response=is_response)
    size = dialect.header_bytes(is_response=is_response)
    if len(body) < size:
        raise FrameError(f"{len(body)} bytes where a header of {size} is due", offset=len(body), raw=body)
    address_at = 2 if dialect.type_first else 0
    type_at = 0 if dialect.type_first else size - 2
    frame_type = None
    if has_type:
        kind = body[type_at : type_at + 2]
        if not kind.isdigit():
            raise FieldError("two digits", offset=type_at, field="frame_type", raw=kind)
        frame_type = kind.decode("ascii")
    return Frame(
        body[address_at : address_at + 2],
        body[size:],
        frame_type,
        body[2:4] if dialect.has_source else None,
    )


def _restored(inner: bytes) -> bytes:
    """What stands between start and end, without escapes. Raises `FrameError`."""
    for mark in (STX, ETX):
        at = inner.find(mark)
        if at >= 0:
            raise FrameError(f"a bare {mark:02x} inside", offset=at + 1, raw=inner[at:])
    pieces = inner.split(b"\x1b")
    out = [pieces[0]]
    offset = len(pieces[0]) + 1
    for piece in pieces[1:]:
        restored = _RESTORED.get(piece[0]) if piece else None
        if restored is None:
            raise FrameError("1b is followed by e7, e8 or 00", offset=offset + 1, field="escape", raw=piece)
        out += (bytes((restored,)), piece[1:])
        offset += 1 + len(piece)
    return b"".join(out)


def _checked(body: bytes) -> bytes:
    """What the CRC covers. Raises `FrameError`, `ChecksumError`; offsets count from the header."""
    if len(body) < CRC_BYTES:
        raise FrameError("no room for a CRC", offset=len(body), raw=body)
    covered, crc = body[:-CRC_BYTES], int.from_bytes(body[-CRC_BYTES:], "big")
    if crc_xmodem(covered) != crc:
        reason = f"CRC is {crc:04x} where {crc_xmodem(covered):04x} is due"
        raise ChecksumError(reason, offset=len(covered), field="crc", raw=body)
    return covered


class Framer:
    """Finds the frames of one dialect and direction in a stream; what never became one is counted, not raised.

    A bare 02 always begins anew. At most `max_bytes` are kept.
    """

    def __init__(self, dialect: Dialect, *, is_response: bool, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._dialect = dialect
        self._is_response = is_response
        self._buffer = ByteBuffer(max_bytes)
        self._searched = 0
        self.discarded_bytes = 0
        """Bytes that belonged to no good frame."""
        self.bad_frames = 0
        """From 02 to 03, but with a bad escape, CRC or header."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        lost = self._buffer.append(data)
        self._searched = max(0, self._searched - lost)
        self.discarded_bytes += lost

    def reset(self) -> None:
        """Forget what came so far."""
        self._searched = 0
        self.discarded_bytes += self._buffer.clear()

    def next_frame(self) -> Frame | NeedData:
        """The next good frame, or `NEED_DATA`. Raises nothing."""
        while (end := self._buffer.find(b"\x03", self._searched)) is not None:
            piece = self._buffer.peek(0, end + 1)
            self._buffer.drop(end + 1)
            self._searched = 0
            start = piece.rfind(b"\x02")
            if start < 0:
                self.discarded_bytes += len(piece)
                continue
            self.discarded_bytes += start
            try:
                return decode_frame(piece[start:], self._dialect, is_response=self._is_response)
            except RemoteProtocolError:
                self.bad_frames += 1
                self.discarded_bytes += len(piece) - start
        self._searched = len(self._buffer)
        return NEED_DATA
