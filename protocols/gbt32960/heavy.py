"""The heavy-duty emission variant: trucks to an environment platform (GB 17691-2018 annex Q, HJ 1239.3-2021).

    23 23 | command 1 | VIN 17 | software version 1 | encryption 1 | length 2 | data | BCC 1        the annex
    23 23 | command 1 | FE | VIN 17 | encryption 1 | length 2 | data | BCC 1                        seen in the field

Which of the two it is, the byte behind the command tells: FE stands in no VIN. There is no response flag in the annex.
Commands 1 login, 2 real-time, 3 re-issue and 4 logout are read; all others are kept as bytes. Data marked as encrypted
with SM2 (3) are plain in the field, and read. Signatures of HJ 1239 are not split off.

>>> frame = decode_heavy(bytes.fromhex(
...     "232304fe4c45544544444531304548303030303032" "010008" "1401150f28200001" "a6"))
>>> frame.software_version, read_heavy(frame).login_serial
(None, 1)
"""

import struct
from typing import ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.gbt32960.catalogue import Opaque
from protocols.gbt32960.frame import (
    COMMAND,
    HEADER_BYTES,
    MAX_DATA_BYTES,
    VIN_BYTES,
    Command,
    Encryption,
    bcc_of,
    check_frame,
)
from protocols.gbt32960.heavy_items import TYPES, OtherItem
from protocols.gbt32960.layout import Bytes, Numbers, Part, Reader, Structure
from protocols.gbt32960.login import LOGIN, Logout
from protocols.gbt32960.report import Item
from protocols.gbt32960.times import TIME_BYTES

START = b"\x23\x23"
SM2 = 3
"""Here; 3 is AES-128 in GB/T 32960."""

_ANNEX = struct.Struct(">2sB17sBBH")
_FIELD = struct.Struct(">2sBB17sBH")


class HeavyFrame(msgspec.Struct, frozen=True):
    """A frame whose check holds. software_version: of the terminal; None in the form seen in the field."""

    command: int
    vin: bytes
    software_version: int | None = None
    encryption: int = Encryption.NONE
    data: bytes = b""


class HeavyLogin(Structure, frozen=True):
    """A terminal logs in."""

    time: bytes
    login_serial: int
    iccid: bytes

    PARTS: ClassVar[tuple[Part, ...]] = (Numbers(*LOGIN, Bytes("iccid", 20, "text")),)


class HeavyReport(msgspec.Struct, frozen=True):
    """Items, each with a time of its own, under a time and a serial number."""

    time: bytes
    info_serial: int
    items: tuple[Item, ...] = ()

    def write(self) -> bytes:
        """Its bytes. Raises `LocalProtocolError`."""
        if not 0 <= self.info_serial <= 0xFFFF:
            raise LocalProtocolError("two bytes", field="info_serial")
        items = [bytes((item.type,)) + item.body.write() for item in self.items]
        return self.time + self.info_serial.to_bytes(2, "big") + b"".join(items)


HeavyBody = HeavyLogin | HeavyReport | Logout | Opaque


def decode_heavy(data: bytes) -> HeavyFrame:
    """Read bytes that are one whole frame. Raises `FrameError` and `ChecksumError`."""
    check_frame(data, (START,))
    rest = data[HEADER_BYTES:-1]
    if data[3] == COMMAND:
        _, command, _, vin, encryption, _ = _FIELD.unpack_from(data)
        return HeavyFrame(command, vin, None, encryption, rest)
    _, command, vin, software_version, encryption, _ = _ANNEX.unpack_from(data)
    return HeavyFrame(command, vin, software_version, encryption, rest)


def encode_heavy(frame: HeavyFrame) -> bytes:
    """Write a frame. Raises `LocalProtocolError` for what no frame carries."""
    if len(frame.vin) != VIN_BYTES or (frame.software_version is not None and frame.vin[0] == COMMAND):
        raise LocalProtocolError("17 bytes, the first not FE", field="vin")
    if len(frame.data) > MAX_DATA_BYTES:
        raise LocalProtocolError(f"more than {MAX_DATA_BYTES} bytes", field="data")
    size = len(frame.data)
    try:
        if frame.software_version is None:
            head = _FIELD.pack(START, frame.command, COMMAND, frame.vin, frame.encryption, size)
        else:
            head = _ANNEX.pack(START, frame.command, frame.vin, frame.software_version, frame.encryption, size)
    except struct.error:
        raise LocalProtocolError("a flag is one byte", field="command") from None
    content = head + frame.data
    return content + bytes((bcc_of(content[2:]),))


def read_heavy(frame: HeavyFrame) -> HeavyBody:
    """Read the data unit of a frame. Raises `FieldError`."""
    if frame.encryption not in {Encryption.NONE, SM2}:
        return Opaque(frame.data)
    reader = Reader(frame.data, HEADER_BYTES)
    body: HeavyBody
    if frame.command == Command.VEHICLE_LOGIN:
        body = HeavyLogin.read(reader)
    elif frame.command in {Command.REAL_TIME, Command.REISSUE}:
        body = _read_report(reader)
    elif frame.command == Command.VEHICLE_LOGOUT:
        body = Logout.read(reader)
    else:
        body = Opaque(reader.rest())
    reader.end()
    return body


def _read_report(reader: Reader) -> HeavyReport:
    time = reader.take(TIME_BYTES, "time")
    info_serial = reader.number(2, "info_serial")
    items = []
    while reader.left:
        item_type = reader.number(1, "type")
        _, kind = TYPES.get(item_type, ("custom", OtherItem))
        items.append(Item(item_type, kind.read(reader)))
    return HeavyReport(time, info_serial, tuple(items))


def write_heavy(body: HeavyBody) -> bytes:
    """Write a data unit. Raises `LocalProtocolError`."""
    return body.data if isinstance(body, Opaque) else body.write()
