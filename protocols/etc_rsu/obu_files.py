"""Files of the on-board unit: system information, vehicle information, the summary in EF04, and its status byte.

    EF01 of the MF       provider 8 | type 1 | version 1 | serial 8 | from 4 | to 4 | tamper 1
    EF01 of DF01         plate 12 | colour 2 | class 1 | user 1 | length 2 | width 1 | height 1 | wheels 1 | axles 1 |
                         wheelbase 2 | load or seats 3 | description 16 | engine 16 | reserved 20
    EF04 of DF01         from byte 315: 39 bytes of 0019, 20 of 0015, amounts; from byte 406: a fee for each province

EF01 of DF01 is enciphered on air; the roadside unit deciphers it. Of a truck's, nothing behind `load_or_seats` is
public: newer units keep weights and other numbers there, so description and engine number may read as nonsense.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from protocols.core.errors import FrameError
from protocols.etc_rsu.rows import IssuerId, Plate, Serial
from protocols.message_fields import Fields
from protocols.table import Form, Records, Table
from protocols.table_rows import U8, U16, U24, Date, Octets, Text, Unsigned

EF04_SUMMARY_OFFSET = 314
EF04_PROVINCES_OFFSET = 405
"""Where the two parts of EF04 begin."""
PROVINCE_COUNT = 20


class SystemInfo(Table, frozen=True, gc=False):
    """EF01 of the MF; urban frames leave out its last byte. tamper_status: 0 removed, 1 installed."""

    TABLE: ClassVar[str] = "sysinfo"
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(lacks=frozenset({"tamper_status"})))
    contract_provider: IssuerId
    contract_type: U8
    contract_version: U8
    contract_serial: Serial
    signed_date: Date
    expired_date: Date
    tamper_status: Annotated[int | None, Unsigned(1)]


class VehicleInfo(Table, frozen=True, gc=False):
    """EF01 of DF01, deciphered. Lengths in decimetres; load_or_seats: kg of a truck, seats of a car."""

    TABLE: ClassVar[str] = "vehicle_info"
    plate: Plate
    plate_color: U16
    vehicle_class: U8
    user_type: U8
    length_dm: U16
    width_dm: U8
    height_dm: U8
    wheels: U8
    axles: U8
    wheelbase_dm: U16
    load_or_seats: U24
    description: Annotated[bytes, Text(16)]
    engine_number: Annotated[bytes, Text(16)]
    reserved: Annotated[bytes, Octets(20)]


class Ef04Summary(Table, frozen=True, gc=False):
    """What a two-chip unit holds of the journey; one source has this order. Fees in fen, `mileage` as it is there."""

    TABLE: ClassVar[str] = "ef04_summary"
    last_station: Annotated[bytes, Octets(39)]
    issuer_info: Annotated[bytes, Octets(20)]
    user_type: U8
    province_count: U8
    total_fee: U24
    paid_fee: U24
    success_count: U16
    mileage: U24
    no_card_count: U8
    local_entry: Annotated[bytes, Octets(3)]
    local_fee: U24
    local_count: U8
    local_paid: U24
    digest: Annotated[bytes, Octets(8)]


class ProvinceFee(Table, frozen=True, gc=False):
    """A province that was passed, and its fee in fen."""

    province: U8
    fee: U24


class Ef04Provinces(Table, frozen=True, gc=False):
    """The fees of twenty provinces."""

    TABLE: ClassVar[str] = "ef04_provinces"
    provinces: Annotated[tuple[ProvinceFee, ...], Records(ProvinceFee)]

    def contradiction(self) -> str | None:
        """All twenty have their place."""
        return None if len(self.provinces) == PROVINCE_COUNT else "provinces"


_BITS = {
    "card_absent": 7,
    "reserved": 6,
    "contactless": 5,
    "logic_encrypted": 4,
    "card_error": 3,
    "obu_locked": 2,
    "obu_tampered": 1,
    "battery_low": 0,
}


class ObuStatus(msgspec.Struct, frozen=True, gc=False):
    """The first byte of `obu_status`, a bit each.

    >>> ObuStatus.from_byte(0x82).obu_tampered
    True
    """

    card_absent: bool
    reserved: bool
    contactless: bool
    logic_encrypted: bool
    card_error: bool
    obu_locked: bool
    obu_tampered: bool
    battery_low: bool

    @classmethod
    def from_byte(cls, byte: int) -> "ObuStatus":
        """Read it."""
        return cls(*(bool(byte >> bit & 1) for bit in _BITS.values()))

    @classmethod
    def from_bytes(cls, data: bytes) -> "ObuStatus":
        """Read the one byte. Raises `FrameError`."""
        if len(data) != 1:
            raise FrameError(f"one byte is due, not {len(data)}", len(data), "obu_status")
        return cls.from_byte(data[0])

    def to_bytes(self) -> bytes:
        """Write it."""
        return bytes((sum(getattr(self, name) << bit for name, bit in _BITS.items()),))

    def readable(self) -> dict[str, object]:
        """Its readable form."""
        return {name: getattr(self, name) for name in _BITS}

    @classmethod
    def from_readable(cls, message: Mapping[str, object]) -> "ObuStatus":
        """The inverse of `readable`. Raises `LocalProtocolError`."""
        fields = Fields(message)
        return cls(*(fields.flag(name, default=False) for name in _BITS))
