"""Data that pass through: CAN, transparent, compressed, RSA keys (JT/T 808, 0x0705, 0x0900, 0x0901, 0x0A00)."""

from typing import Annotated, ClassVar

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.jt808.kinds import DWORD, U8, U32, Announced, Announcing, Blob, Octets, Sized
from protocols.jt808.layout import Body, Kind, Readable, Scope, Source
from protocols.message_fields import refuse_others

_CAN_ID_MASK = (1 << 29) - 1


class CanFrame(msgspec.Struct, frozen=True):
    """can_channel: 0 CAN 1, 1 CAN 2. sample_mode: 0 raw, 1 average."""

    can_channel: int
    extended_frame: int
    sample_mode: int
    can_id: int
    data: bytes


class _CanItem(Kind):
    """channel, extended, sample mode: one bit each; id 29 bits; 8 bytes of data."""

    def read(self, source: Source, scope: Scope) -> CanFrame:
        """Twelve bytes."""
        word = DWORD.read(source, scope)
        return CanFrame(word >> 31, word >> 30 & 1, word >> 29 & 1, word & _CAN_ID_MASK, source.take(8))

    def write(self, value: CanFrame, scope: Scope) -> bytes:
        """Twelve bytes."""
        bits = (value.can_channel, value.extended_frame, value.sample_mode)
        if not set(bits) <= {0, 1} or not 0 <= value.can_id <= _CAN_ID_MASK or len(value.data) != 8:
            raise LocalProtocolError("three bits, an id of 29 bits and 8 bytes of data")
        word = bits[0] << 31 | bits[1] << 30 | bits[2] << 29 | value.can_id
        return DWORD.write(word, scope) + value.data

    def show(self, value: CanFrame, _scope: Scope) -> object:
        """An object."""
        return msgspec.structs.asdict(value) | {"data": value.data.hex()}

    def parse(self, fields: Readable, name: str, _scope: Scope) -> CanFrame:
        """From an object."""
        item = fields.mapping(name)
        refuse_others(item, CanFrame.__struct_fields__)
        inside = Readable(item)
        return CanFrame(
            inside.integer("can_channel", 1),
            inside.integer("extended_frame", 1),
            inside.integer("sample_mode", 1),
            inside.integer("can_id", _CAN_ID_MASK),
            inside.octets("data", 8),
        )


class CanData(Body, frozen=True):
    """0x0705 (from 2013). receive_time_bcd: hh mm ss and four digits of ms, when the first frame came."""

    ID: ClassVar[int] = 0x0705
    receive_time_bcd: Annotated[bytes, Announcing("items", Octets(5))]
    items: Annotated[tuple[CanFrame, ...], Announced("items", _CanItem())] = ()


class Transparent(Body, frozen=True):
    """transparent_type: 0 GNSS detail, 0B road-transport IC card, 41 and 42 serial ports, F0 to FF the vendor's."""

    transparent_type: U8
    data: Blob = b""


class TransparentUp(Transparent, frozen=True):
    """0x0900."""

    ID: ClassVar[int] = 0x0900


class TransparentDown(Transparent, frozen=True):
    """0x8900."""

    ID: ClassVar[int] = 0x8900


class CompressedData(Body, frozen=True):
    """0x0901: a whole body, gzipped. It is not unpacked here: a small one may hold gigabytes."""

    ID: ClassVar[int] = 0x0901
    compressed_data: Annotated[bytes, Sized(4, Octets())]


class RsaPublicKey(Body, frozen=True):
    """The sender's public key: exponent and modulus."""

    rsa_e: U32
    rsa_n: Annotated[bytes, Octets(128)]


class TerminalPublicKey(RsaPublicKey, frozen=True):
    """0x0A00."""

    ID: ClassVar[int] = 0x0A00


class PlatformPublicKey(RsaPublicKey, frozen=True):
    """0x8A00."""

    ID: ClassVar[int] = 0x8A00
