"""One frame of JT/T 808 (clause 4.4 of the editions of 2011, 2013 and 2019).

    7E | id 2 | properties 2 | version 1 (2019) | phone BCD 6 or 10 | serial 2 | [total 2 | index 2] | body | check | 7E

Properties: bits 0..9 length of the body, 10..12 encryption, 13 sub-package (total and index follow), 14 version (2019),
15 reserved. The check is all bytes from the id to the body combined by exclusive or. Between the flags 7E is written as
7D 02 and 7D as 7D 01, after the check was computed.

Errors hold no bytes of a frame: any frame may carry an authentication code, a plate or a person's name.

>>> decode_frame(bytes.fromhex("7e000200000139123456780001337e"))
Frame(msg_id=2, phone='013912345678', serial=1)
"""

import struct

import msgspec

from protocols.core.errors import ChecksumError, FrameError, LocalProtocolError

FLAG = 0x7E
ESCAPE = 0x7D
MAX_BODY_BYTES = 1023
"""Ten bits of the body properties."""
MAX_CONTENT_BYTES = 17 + 4 + MAX_BODY_BYTES + 1
"""Header of 2019 with sub-package fields, body and check."""
MAX_FRAME_BYTES = 2 * MAX_CONTENT_BYTES + 2
"""Every byte escaped, and both flags."""
MIN_CONTENT_BYTES = 13
"""The header of 2013 and the check."""
RSA = 1
"""The one encryption that the standard names."""

_SUBPACKAGED = 1 << 13
_VERSIONED = 1 << 14
_RESERVED = 1 << 15
_LENGTH_MASK = 0x3FF
_OLD_HEADER = struct.Struct(">HH6sH")
_NEW_HEADER = struct.Struct(">HHB10sH")
_PACKAGE = struct.Struct(">HH")
_FOLDS = tuple(
    tuple(8 << place for place in reversed(range(bits))) for bits in range(MAX_CONTENT_BYTES.bit_length() + 1)
)
"""By how many bits to shift in turn, for each bit length of a count of bytes."""


class Package(msgspec.Struct, frozen=True, gc=False):
    """Which part of a message a frame carries. Indexes start at 1."""

    total: int
    index: int


class Frame(msgspec.Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """What stands between two flags. phone: one character a nibble, 12 of them, or 20 in the edition of 2019.

    protocol_version: None in the editions before 2019.
    """

    msg_id: int
    phone: str
    serial: int
    body: bytes = b""
    protocol_version: int | None = None
    encryption: int = 0
    package: Package | None = None
    has_reserved_bit: bool = False

    @property
    def header_bytes(self) -> int:
        """The size of its header."""
        return (12 if self.protocol_version is None else 17) + (4 if self.package else 0)


def xor_check(data: bytes) -> int:
    """`core.checksum.xor8` for CPython in a hurry: the bytes are folded as one long integer, not walked one by one.

    For at most `MAX_CONTENT_BYTES`.
    """
    folded = int.from_bytes(data, "big")
    for shift in _FOLDS[len(data).bit_length()]:
        folded ^= folded >> shift
    return folded & 0xFF


def escape(content: bytes) -> bytes:
    """Write 7D and 7E so that no flag stands inside."""
    return content.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def unescape(wire: bytes) -> bytes:
    """The inverse of `escape`. Raises `FrameError` for 7D before anything but 01 or 02."""
    if wire.count(b"\x7d") != wire.count(b"\x7d\x01") + wire.count(b"\x7d\x02"):
        at = next(at for at, byte in enumerate(wire) if byte == ESCAPE and wire[at + 1 : at + 2] not in _ESCAPED)
        raise FrameError("7d is followed by neither 01 nor 02", offset=at + 1, field="escape")
    return wire.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


_ESCAPED = (b"\x01", b"\x02")


def decode_frame(data: bytes) -> Frame:
    """Read one frame, both flags included. Raises `FrameError`, `ChecksumError`."""
    if len(data) < 2 or data[0] != FLAG or data[-1] != FLAG:
        missing_end = len(data) > 0 and data[0] == FLAG
        raise FrameError("a frame begins and ends with 7e", offset=len(data) if missing_end else 0, field="flag")
    return decode_content(data[1:-1])


def decode_content(wire: bytes) -> Frame:
    """Read what stands between two flags. Raises `FrameError`, `ChecksumError`; offsets count the first flag."""
    if b"\x7e" in wire:
        raise FrameError("a flag stands inside the frame", offset=wire.index(b"\x7e") + 1, field="flag")
    content = unescape(wire) if b"\x7d" in wire else wire
    size = len(content)
    if size < MIN_CONTENT_BYTES:
        raise FrameError(f"a frame has at least {MIN_CONTENT_BYTES} bytes, not {size}", offset=size + 1)
    if size > MAX_CONTENT_BYTES:
        raise FrameError(f"a frame has at most {MAX_CONTENT_BYTES} bytes, not {size}", offset=MAX_CONTENT_BYTES + 1)
    if xor_check(content):
        want = xor_check(content[:-1])
        reason = f"the check is {content[-1]:02x} where {want:02x} is due"
        raise ChecksumError(reason, offset=len(wire), field="check")
    properties = content[2] << 8 | content[3]
    if properties & _VERSIONED:
        if size < 18:
            raise FrameError("the header is cut short", offset=size, field="phone")
        msg_id, _properties, protocol_version, phone, serial = _NEW_HEADER.unpack_from(content)
        at = 17
    else:
        msg_id, _properties, phone, serial = _OLD_HEADER.unpack_from(content)
        protocol_version = None
        at = 12
    package = None
    if properties & _SUBPACKAGED:
        if size < at + 5:
            raise FrameError("the header is cut short", offset=size, field="package_total")
        package = Package(*_PACKAGE.unpack_from(content, at))
        at += 4
    if properties & _LENGTH_MASK != size - 1 - at:
        reason = f"the header says {properties & _LENGTH_MASK} bytes of body, there are {size - 1 - at}"
        raise FrameError(reason, offset=3, field="body_length")
    return Frame(
        msg_id,
        phone.hex(),
        serial,
        content[at:-1],
        protocol_version,
        properties >> 10 & 7,
        package,
        properties >= _RESERVED,
    )


def encode_frame(frame: Frame) -> bytes:
    """Write a frame with both flags. Raises `LocalProtocolError`."""
    size = len(frame.body)
    if size > MAX_BODY_BYTES:
        raise LocalProtocolError(f"a frame has at most {MAX_BODY_BYTES} bytes of body, not {size}", field="body")
    _check(frame.encryption, 7, "encryption")
    properties = size | frame.encryption << 10 | (_RESERVED if frame.has_reserved_bit else 0)
    if frame.package is not None:
        properties |= _SUBPACKAGED
    head = _check(frame.msg_id, 0xFFFF, "msg_id"), properties
    serial = _check(frame.serial, 0xFFFF, "serial")
    if frame.protocol_version is None:
        header = _OLD_HEADER.pack(*head, _phone_bytes(frame.phone, 6), serial)
    else:
        version = _check(frame.protocol_version, 0xFF, "protocol_version")
        head = head[0], properties | _VERSIONED
        header = _NEW_HEADER.pack(*head, version, _phone_bytes(frame.phone, 10), serial)
    if frame.package is not None:
        total = _check(frame.package.total, 0xFFFF, "package_total")
        header += _PACKAGE.pack(total, _check(frame.package.index, 0xFFFF, "package_index"))
    content = header + frame.body
    return b"\x7e" + escape(content + bytes((xor_check(content),))) + b"\x7e"


def _check(value: int, maximum: int, field: str) -> int:
    if not 0 <= value <= maximum:
        raise LocalProtocolError(f"{value} is not 0 to {maximum}", field=field)
    return value


def _phone_bytes(phone: str, size: int) -> bytes:
    if len(phone) != 2 * size or phone.strip("0123456789abcdef"):
        raise LocalProtocolError(f"{2 * size} digits, or lower-case letters a to f", field="phone")
    return bytes.fromhex(phone)
