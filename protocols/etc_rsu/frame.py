"""Frames of the link between a roadside unit and the computer of its lane or gantry.

    classic     FF FF | RSCTL 1 | data, escaped | BCC 1 | FF      exclusive or of RSCTL and data; FE 01 is FF, FE 00 FE
    gantry,
    lane CRC    FF FF | version 1 | seq 1 | length 4 | data | CRC 2
    urban       FF FF | length 2 | data | CRC 2
    vendor      55 AA | RSCTL 1 | length 2 | type 1 | data | BCC 1

The CRC is CRC-16/X-25 over what stands between the start and it, high byte first. Only the classic frame is escaped and
has no length. A link speaks one of these, by configuration. Some senders begin the CRC with 0000 (`crc_from_zero`).

>>> decode_classic(bytes.fromhex("ffff8181ff"))
ClassicFrame(rsctl=129, data=b'')
>>> encode_urban(UrbanFrame(bytes.fromhex("b2020101"))).hex()
'ffff0004b20201013f9c'
"""

import struct
from collections.abc import Callable

import msgspec
from fastcrc import crc16

from protocols.core.checksum import xor8
from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError
from protocols.jt808.frame import xor_check

MAX_CLASSIC_BYTES = 512
"""RSCTL, data and BCC, before escaping."""
MAX_DATA_BYTES = 4096
"""Of the other framings. The longest payload known, with every PSAM's challenge, is below it."""
START = b"\xff\xff"
VENDOR_START = b"\x55\xaa"
ETX = b"\xff"
SEQUENCED_HEAD = struct.Struct(">2xBBI")
URBAN_HEAD = struct.Struct(">2xH")
VENDOR_HEAD = struct.Struct(">2xBHB")

CrcFunction = Callable[[bytes], int]
crc_x25: CrcFunction = crc16.ibm_sdlc


def crc_from_zero(data: bytes) -> int:
    """CRC-16/X-25 begun with 0000, as some senders have it."""
    crc: int = crc16.kermit(data)
    return crc ^ 0xFFFF


class ClassicFrame(msgspec.Struct, frozen=True, gc=False):
    """rsctl: the sequence byte. data: empty in an acknowledgement."""

    rsctl: int
    data: bytes


class SequencedFrame(msgspec.Struct, frozen=True, gc=False):
    """Of a gantry, or of a lane with CRC. seq: 0X of the roadside unit, X0 of the computer."""

    seq: int
    data: bytes
    version: int = 0


class UrbanFrame(msgspec.Struct, frozen=True, gc=False):
    """Of urban parking."""

    data: bytes


class VendorFrame(msgspec.Struct, frozen=True, gc=False):
    """Of one municipality. data: without the type."""

    rsctl: int
    type: int
    data: bytes


Frame = ClassicFrame | SequencedFrame | UrbanFrame | VendorFrame


def decode_classic(wire: bytes, start_bytes: int = 2) -> ClassicFrame:
    """Read one frame. start_bytes: one province sends a single FF. Raises `FrameError`, `ChecksumError`."""
    if wire[:start_bytes] != START[:start_bytes]:
        raise FrameError("a frame begins with " + START[:start_bytes].hex(), 0, "stx")
    if len(wire) == start_bytes or wire[-1:] != ETX:
        raise FrameError("a frame ends with ff", len(wire), "etx")
    inner = wire[start_bytes:-1]
    if ETX in inner:
        raise FrameError("ff stands inside the frame", inner.index(ETX) + start_bytes, "etx")
    return decode_content(inner, start_bytes)


def decode_content(inner: bytes, start_bytes: int = 2) -> ClassicFrame:
    """Read what stands between start and end. Raises `FrameError`, `ChecksumError`."""
    content = inner
    if b"\xfe" in inner:
        if inner.count(b"\xfe") != inner.count(b"\xfe\x00") + inner.count(b"\xfe\x01"):
            at = next(at for at, byte in enumerate(inner) if byte == 0xFE and inner[at + 1 : at + 2] not in _ESCAPED)
            raise FrameError("fe is followed by neither 00 nor 01", at + 1 + start_bytes, "escape")
        content = inner.replace(b"\xfe\x01", b"\xff").replace(b"\xfe\x00", b"\xfe")
    size = len(content)
    if not 2 <= size <= MAX_CLASSIC_BYTES:
        raise FrameError(f"2 to {MAX_CLASSIC_BYTES} bytes between start and end, not {size}", start_bytes)
    if xor_check(content):
        raise ChecksumError("the BCC does not hold", len(inner) + start_bytes - 1, "bcc")
    return ClassicFrame(content[0], content[1:-1])


_ESCAPED = (b"\x00", b"\x01")


def encode_classic(frame: ClassicFrame, start_bytes: int = 2) -> bytes:
    """Write a frame. Raises `LocalProtocolError`."""
    if len(frame.data) > MAX_CLASSIC_BYTES - 2:
        raise LocalProtocolError(f"{len(frame.data)} bytes are too many", field="data")
    content = _byte(frame.rsctl, "rsctl") + frame.data
    content += bytes((xor_check(content),))
    return START[:start_bytes] + content.replace(b"\xfe", b"\xfe\x00").replace(b"\xff", b"\xfe\x01") + ETX


def wire_offset(data: bytes, offset: int) -> int:
    """Where a byte of the data of a classic frame stands on the wire, RSCTL and the escapes before it counted in."""
    ahead = data[:offset]
    return 3 + offset + ahead.count(b"\xfe") + ahead.count(b"\xff")


def decode_sequenced(wire: bytes, crc: CrcFunction = crc_x25) -> SequencedFrame:
    """Read one frame of a gantry, or of a lane with CRC. Raises `FrameError`, `ChecksumError`."""
    _check_start(wire, START, SEQUENCED_HEAD.size + 2)
    version, seq, length = SEQUENCED_HEAD.unpack_from(wire)
    return SequencedFrame(seq, _checked(wire, SEQUENCED_HEAD.size, length, crc), version)


def encode_sequenced(frame: SequencedFrame, crc: CrcFunction = crc_x25) -> bytes:
    """Write it. Raises `LocalProtocolError`."""
    head = _byte(frame.version, "version") + _byte(frame.seq, "seq") + _length(frame.data).to_bytes(4, "big")
    return _with_crc(head + frame.data, crc)


def decode_urban(wire: bytes, crc: CrcFunction = crc_x25) -> UrbanFrame:
    """Read one frame of urban parking. Raises `FrameError`, `ChecksumError`."""
    _check_start(wire, START, URBAN_HEAD.size + 2)
    (length,) = URBAN_HEAD.unpack_from(wire)
    return UrbanFrame(_checked(wire, URBAN_HEAD.size, length, crc))


def encode_urban(frame: UrbanFrame, crc: CrcFunction = crc_x25) -> bytes:
    """Write it. Raises `LocalProtocolError`."""
    return _with_crc(_length(frame.data).to_bytes(2, "big") + frame.data, crc)


def decode_vendor(wire: bytes) -> VendorFrame:
    """Read one frame that begins with 55 AA. Raises `FrameError`, `ChecksumError`."""
    _check_start(wire, VENDOR_START, VENDOR_HEAD.size + 1)
    rsctl, length, kind = VENDOR_HEAD.unpack_from(wire)
    _check_length(length, len(wire) - VENDOR_HEAD.size - 1, 3)
    if xor8(wire[2:]):
        raise ChecksumError("the BCC does not hold", len(wire) - 1, "bcc")
    return VendorFrame(rsctl, kind, wire[VENDOR_HEAD.size : -1])


def encode_vendor(frame: VendorFrame) -> bytes:
    """Write it. Raises `LocalProtocolError`."""
    content = _byte(frame.rsctl, "rsctl") + _length(frame.data).to_bytes(2, "big") + _byte(frame.type, "type")
    content += frame.data
    return VENDOR_START + content + bytes((xor8(content),))


def _check_start(wire: bytes, start: bytes, least: int) -> None:
    if wire[:2] != start:
        raise FrameError("a frame begins with " + start.hex(), 0, "stx")
    if len(wire) < least:
        raise FrameError(f"a frame has at least {least} bytes, not {len(wire)}", len(wire))


def _checked(wire: bytes, head: int, length: int, crc: CrcFunction) -> bytes:
    """The data of a frame whose length and CRC are good."""
    end = len(wire) - 2
    _check_length(length, end - head, 2 if head == URBAN_HEAD.size else 4)
    if crc(wire[2:end]) != wire[end] << 8 | wire[end + 1]:
        raise ChecksumError("the CRC does not hold", end, "crc")
    return wire[head:end]


def _check_length(length: int, there: int, at: int) -> None:
    if length > MAX_DATA_BYTES:
        raise FrameError(f"{length} bytes of data are announced, at most {MAX_DATA_BYTES} may be", at, "length")
    if length != there:
        raise FrameError(f"{length} bytes of data are announced, {there} are there", at, "length")


def _with_crc(content: bytes, crc: CrcFunction) -> bytes:
    return START + content + crc(content).to_bytes(2, "big")


def _byte(value: int, field: str) -> bytes:
    if not 0 <= value <= 0xFF:
        raise LocalProtocolError("is one byte", field=field)
    return bytes((value,))


def _length(data: bytes) -> int:
    if len(data) > MAX_DATA_BYTES:
        raise LocalProtocolError(f"{len(data)} bytes are too many", field="data")
    return len(data)
