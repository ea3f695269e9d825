"""Files of a T-Union card (交通联合, JT/T 978) under A000000632010105; City Union (CJ/T) lays out 15 and 18 alike.

    15   public data       issuer 8 | type 1 | version 1 | card number 10 | from 4 | to 4 | 2
    18   log of the purse  serial 2 | overdraft 3 | amount 4 | type 1 | terminal 6 | date 4 | time 3       newest first
    1E   trips             type 1 | 2 | terminal 6 | industry 1 | line 2 | station 2 | 3 | amount 4 |
                           balance 4 | date and time 7 | city 2 | institution 8 | 6                        newest first

Left out: file 17 (management), whose layout is not public.

>>> card = PublicData.from_bytes(bytes.fromhex("01011000ffffffff02010310517001017090798420190806204012310000"))
>>> card.printed_number, card.city_code.hex()
('3105170010170907984', '1000')
"""

from typing import Annotated, ClassVar

import msgspec

from protocols.core.errors import FrameError
from protocols.epurse.rows import Bytes7, Time
from protocols.iso14443.ber_tlv import decode_tlv, find_tlv
from protocols.table import Table
from protocols.table_rows import U8, U16, U24, U32, Bytes2, Bytes3, Bytes6, Bytes8, Date, Octets, TerminalId

SFI_PUBLIC_DATA = 0x15
SFI_LOG = 0x18
LOG_RECORD_BYTES = 23
SFI_MONTH = 0x19
SFI_TRIPS = 0x1E
MAX_TRIPS = 30

ENTRY = 3
EXIT = 4
ONE_SHOT = 6
"""`Trip.record_type`."""
BUS = 1
METRO = 2
FERRY = 3
BRT = 4
"""`Trip.industry_code`."""
MONTH_BYTES = 14


class PublicData(Table, frozen=True, gc=False):
    """File 15."""

    TABLE: ClassVar[str] = "tu_file15"
    issuer_id: Bytes8
    app_type: U8
    app_version: U8
    card_number: Annotated[bytes, Octets(10)]
    start_date: Date
    end_date: Date
    fci_reserved: Bytes2

    @property
    def printed_number(self) -> str:
        """The card's number as it is printed: without its first digit."""
        return self.card_number.hex()[1:]

    @property
    def city_code(self) -> bytes:
        """Of the issuer."""
        return self.issuer_id[2:4]

    @property
    def card_factor(self) -> bytes:
        """The last eight bytes of the number: keys are derived with them."""
        return self.card_number[-8:]


class PurseRecord(Table, frozen=True, gc=False):
    """A record of file 18. serial counts purchases (offline) or loads (online), each on its own."""

    TABLE: ClassVar[str] = "tu_file18"
    serial: U16
    overdraft_limit: U24
    amount: U32
    trans_type: U8
    terminal_id: TerminalId
    date: Date
    time: Time


class Trip(Table, frozen=True, gc=False):
    """A record of file 1E. All but type, terminal, industry, amount, balance, time and city has one witness only."""

    TABLE: ClassVar[str] = "tu_file1e"
    record_type: U8
    reserved1: Bytes2
    terminal_id: TerminalId
    industry_code: U8
    line_code: Bytes2
    station_code: Bytes2
    reserved2: Bytes3
    amount: U32
    balance_after: U32
    datetime: Bytes7
    city_code: Bytes2
    institution_id: Bytes8
    reserved3: Bytes6


class MonthCount(msgspec.Struct, frozen=True):
    """File 19, record 1, of Guangzhou and Foshan cards: trips of a month. One witness. year and month: BCD."""

    year: int
    month: int
    metro_trips: int
    trips: int
    metro_amount: int
    amount: int


def month_count_of(record: bytes) -> MonthCount:
    """What file 19 tells; its other bytes are not known. Raises `FrameError`."""
    if len(record) < MONTH_BYTES:
        raise FrameError(f"at least {MONTH_BYTES} bytes are due, not {len(record)}", len(record), "file19")
    return MonthCount(
        record[3],
        record[4],
        record[6],
        record[7],
        int.from_bytes(record[10:12], "big"),
        int.from_bytes(record[12:14], "big"),
    )


def is_unused(record: bytes) -> bool:
    """Whether a record of a log was never written: all 00, or all FF."""
    return not any(record) or all(byte == 0xFF for byte in record)


def public_data_of(fci: bytes) -> PublicData | None:
    """File 15 as the answer to SELECT copies it (6F, A5, 9F0C), or None. Raises `RemoteProtocolError`."""
    copy = find_tlv(decode_tlv(fci), "6f", "a5", "9f0c")
    if copy is None or not isinstance(copy.value, bytes):
        return None
    return PublicData.from_bytes(copy.value)
