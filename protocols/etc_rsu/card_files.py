"""Files of the toll card: DF 1001 with 0015, issue data, and 0019, composite records.

The widths are those of the layout of 2019 and of the one before it, which nothing in the bytes tells apart: whoever
reads a card knows from when on its records are of 2019. File 0018, the log of purchases, is the purse's.

    0015   issuer 8 | card type 1 | version 1 | network 2 | card number 8 | from 4 | to 4 | plate 12 | user type 1 |
           plate colour 1 | vehicle class 1
    0019   id 1 | length 1 | lock 1 | network 2 | station 2 | lane 1 | time 4 | class 1 | status 1 | 30 more

`IssueData.plate_color` and `vehicle_class` are the issuer's own in older cards.

>>> IssueData.from_bytes(bytes.fromhex("b9e3b6ab440100011640440118012233001122332020010120300101"
...                                    "d4c141313233343500000000000001")).card_type == STORED_VALUE
True
"""

from typing import Annotated, ClassVar

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.etc_rsu.rows import IssuerId, Plate, Serial
from protocols.table import Form, Table
from protocols.table_rows import U8, U24, U32, Bytes2, Bytes3, Date, Octets

STORED_VALUE = 0x16
CHARGE = 0x17
"""`IssueData.card_type`."""
TOLL_RECORD = 0xAA
RECORD_LENGTHS = {
    TOLL_RECORD: 0x29,
    **dict.fromkeys(range(0xB1, 0xB6), 0x29),
    0xC1: 0x3D,
    0xC2: 0x3D,
    0xD1: 0x5E,
    0xD2: 0x5E,
}
"""Records of file 0019, and how many bytes follow their length."""


class IssueData(Table, frozen=True, gc=False):
    """File 0015. card_version: its high digit is 1 for old cards, 4 for new ones, 5 for those that speak SM4."""

    TABLE: ClassVar[str] = "file0015"
    issuer_id: IssuerId
    card_type: U8
    card_version: U8
    network_id: Bytes2
    card_number: Serial
    start_date: Date
    end_date: Date
    plate: Plate
    user_type: U8
    plate_color: U8
    vehicle_class: U8


class PassRecord(Table, frozen=True, gc=False):
    """A toll record of file 0019, 2019. Times are Unix seconds, the weight is in kg, the fee in fen."""

    TABLE: ClassVar[str] = "file0019"
    record_id: U8
    record_length: U8
    lock_flag: U8
    entry_network: Bytes2
    entry_station: Bytes2
    entry_lane: U8
    entry_time: U32
    vehicle_class: U8
    pass_status: U8
    gantry_id: Bytes3
    gantry_time: U32
    plate: Plate
    plate_color: U8
    axle_count: U8
    total_weight: U24
    vehicle_status: U8
    accumulated_fee: U32


class LegacyPassRecord(Table, frozen=True, gc=False):
    """The same before 2019. `reserved` is missing in the classic B4."""

    TABLE: ClassVar[str] = "file0019_legacy"
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(lacks=frozenset({"reserved"})))
    record_id: U8
    record_length: U8
    lock_flag: U8
    entry_network: Bytes2
    entry_station: Bytes2
    entry_lane: U8
    entry_time: U32
    vehicle_class: U8
    pass_status: U8
    flag_stations: Annotated[bytes, Octets(9)]
    operator_id: Bytes3
    shift: U8
    plate: Plate
    reserved: Annotated[bytes | None, Octets(4)]


class CompositeRecord(msgspec.Struct, frozen=True):
    """A record of file 0019 as it lies on the card; `body` begins with the lock flag."""

    record_id: int
    body: bytes


def read_records(data: bytes) -> list[CompositeRecord]:
    """The records of file 0019, one behind the other. Raises `FrameError` where the last one is cut short."""
    records = []
    at = 0
    while at < len(data):
        end = at + 2 + (data[at + 1] if at + 1 < len(data) else 0)
        if at + 2 > len(data) or end > len(data):
            raise FrameError("a record is cut short", len(data), "record_length")
        records.append(CompositeRecord(data[at], data[at + 2 : end]))
        at = end
    return records


def write_records(records: list[CompositeRecord]) -> bytes:
    """The inverse of `read_records`. Raises `LocalProtocolError`."""
    for record in records:
        if not 0 <= record.record_id <= 0xFF or len(record.body) > 0xFF:
            raise LocalProtocolError("a byte of identifier, and at most 255 of body", field="record_id")
    return b"".join(bytes((record.record_id, len(record.body))) + record.body for record in records)
