"""Lufft UMB: the binary protocol of Lufft's and OTT's weather sensors, which share a line with Modbus devices.

Lufft UMB protocol V1.0, frame and online data (command 23H). 19200 8N1; numbers have their low byte first.

    SOH 01 | version 1 | to 2 | from 2 | length 1
    STX 02 | command 1 | command version 1 | data
    ETX 03 | CRC 2 | EOT 04

The length counts command, its version and the data. The CRC (CRC-16/MCRF4XX) runs from SOH to ETX. Of an address the
high four bits are the class: F masters, 7 compact weather stations. Online data asks for a channel (2) and answers
status (1), channel (2), data type (1) and value; what sends it tells which of both it is. Every other command keeps its
data as bytes.

>>> frame = decode_umb(bytes.fromhex("0110017001f00402231064000361d904"))
>>> hex(frame.to_address), hex(frame.command), decode_online_data(frame).channel
('0x7001', '0x23', 100)
"""

import struct
from math import isfinite, nan

import msgspec

from protocols.core.checksum import crc16_mcrf4xx
from protocols.core.errors import ChecksumError, FieldError, FrameError, LocalProtocolError, NeedData
from protocols.core.frame_search import FrameSearch

SOH, STX, ETX, EOT = 0x01, 0x02, 0x03, 0x04
VERSION = 0x10
ONLINE_DATA = 0x23
MASTER_CLASS = 0xF
MIN_UMB_BYTES = 14
MAX_UMB_BYTES = MIN_UMB_BYTES - 2 + 255
STATUS_OK = 0

_HEADER = struct.Struct("<BBHHBB")
_VALUES = {
    0x10: struct.Struct("<B"),
    0x11: struct.Struct("<b"),
    0x12: struct.Struct("<H"),
    0x13: struct.Struct("<h"),
    0x14: struct.Struct("<I"),
    0x15: struct.Struct("<i"),
    0x16: struct.Struct("<f"),
    0x17: struct.Struct("<d"),
}
"""Data type -> how its value travels."""
_FLOATS = (0x16, 0x17)


class UmbFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame whose CRC holds."""

    to_address: int
    from_address: int
    command: int
    command_version: int = 0x10
    data: bytes = b""
    version: int = VERSION

    @property
    def is_answer(self) -> bool:
        """Whether a device sent it: a master's class is F."""
        return self.from_address >> 12 != MASTER_CLASS


class OnlineData(msgspec.Struct, frozen=True, kw_only=True):
    """What command 23H asks (a channel alone) or answers. A device with an error may leave out type and value."""

    channel: int
    status: int | None = None
    data_type: int | None = None
    value: int | float | None = None
    """The channel's value; None in a request, when the device gave none, or when it is no number (written as NaN)."""


def decode_umb(wire: bytes) -> UmbFrame:
    """The frame in bytes that are one whole frame. Raises `FrameError` or `ChecksumError`."""
    if len(wire) < MIN_UMB_BYTES:
        raise FrameError(f"a UMB frame has {MIN_UMB_BYTES} bytes at least, not {len(wire)}", len(wire), None, wire)
    soh, version, to_address, from_address, length, stx = _HEADER.unpack_from(wire)
    if length < 2 or len(wire) != MIN_UMB_BYTES - 2 + length:
        raise FrameError(f"length {length} does not fit {len(wire)} bytes", 6, "length", wire)
    marks = ((soh, SOH, 0, "SOH"), (stx, STX, 7, "STX"), (wire[-4], ETX, len(wire) - 4, "ETX"))
    for got, want, offset, name in (*marks, (wire[-1], EOT, len(wire) - 1, "EOT")):
        if got != want:
            raise FrameError(f"is {got:02X}H where {want:02X}H is due", offset, name, wire)
    want = crc16_mcrf4xx(wire[:-3])
    got = wire[-3] | wire[-2] << 8
    if got != want:
        raise ChecksumError(f"CRC is {got:04X}H where {want:04X}H is due", len(wire) - 3, "crc", wire)
    return UmbFrame(
        to_address=to_address,
        from_address=from_address,
        command=wire[8],
        command_version=wire[9],
        data=bytes(wire[10:-4]),
        version=version,
    )


def encode_umb(frame: UmbFrame) -> bytes:
    """A frame's bytes. Raises `LocalProtocolError` for what no frame can carry."""
    length = 2 + len(frame.data)
    try:
        head = _HEADER.pack(SOH, frame.version, frame.to_address, frame.from_address, length, STX)
        body = head + bytes((frame.command, frame.command_version)) + frame.data + bytes((ETX,))
    except (struct.error, ValueError) as error:
        raise LocalProtocolError("a UMB frame cannot carry this: " + str(error)) from error
    return body + struct.pack("<HB", crc16_mcrf4xx(body), EOT)


def decode_online_data(frame: UmbFrame) -> OnlineData:
    """What a frame of command 23H asks or answers. Raises `FieldError`."""
    data = frame.data
    if not frame.is_answer:
        if len(data) != 2:
            raise FieldError(f"a channel takes 2 bytes, not {len(data)}", 10, "channel", data)
        return OnlineData(channel=data[0] | data[1] << 8)
    if len(data) < 3:
        raise FieldError(f"an answer has a status and a channel, not {len(data)} bytes", 10, "status", data)
    status, channel = struct.unpack_from("<BH", data)
    if len(data) == 3 and status != STATUS_OK:
        return OnlineData(channel=channel, status=status)
    if len(data) == 3:
        raise FieldError("the value is missing", 13, "data_type", data)
    layout = _VALUES.get(data[3])
    if layout is None:
        raise FieldError(f"there is no data type {data[3]:02X}H", 13, "data_type", data)
    if len(data) == 4 and status != STATUS_OK:
        return OnlineData(channel=channel, status=status, data_type=data[3])
    if len(data) != 4 + layout.size:
        raise FieldError(f"{len(data) - 4} bytes where {layout.size} are due", 14, "channel_value", data)
    value: int | float = layout.unpack_from(data, 4)[0]
    return OnlineData(channel=channel, status=status, data_type=data[3], value=value if isfinite(value) else None)


def encode_online_data(online: OnlineData) -> bytes:
    """The data of a frame of command 23H. Raises `LocalProtocolError`."""
    try:
        if online.status is None:
            return struct.pack("<H", online.channel)
        head = struct.pack("<BH", online.status, online.channel)
        if online.data_type is None:
            return head
        head += bytes((online.data_type,))
        value = online.value
        if value is None and online.status != STATUS_OK:
            return head
        if value is None and online.data_type in _FLOATS:
            value = nan
        return head + _VALUES[online.data_type].pack(value)
    except (struct.error, ValueError, OverflowError, KeyError) as error:
        raise LocalProtocolError("online data cannot carry this: " + str(error)) from error


class UmbFramer(FrameSearch):
    """Finds frames in a stream; what never became one is counted, not raised."""

    __slots__ = ()

    def __init__(self, max_bytes: int = 1024) -> None:
        super().__init__((bytes((SOH,)),), MAX_UMB_BYTES, max(max_bytes - MAX_UMB_BYTES, 0))

    def next_frame(self) -> UmbFrame | NeedData:
        """The next frame whose CRC holds, or `NEED_DATA`. Raises nothing."""
        return self._search(self._size, decode_umb)

    def _size(self) -> int:
        buffer = self._buffer
        if len(buffer) < _HEADER.size:
            return _HEADER.size
        return MIN_UMB_BYTES - 2 + buffer[6] if buffer[7] == STX and buffer[6] >= 2 else 0
