"""Files of a Lingnan Tong card (岭南通, 羊城通): 15 of the information application, purse and log 18 of PAY.TICL.

    15   8 | region 2 | 1 | card number 5 | 7 | from 4 | to 4 | 13 | version 2 | 2 | issuer 4 | more
    18   serial 2 | overdraft 3 | amount 4 | type 1 | terminal 6 | vendor 2 | MMDD 2 | hhmm 2 | subtype 1

Records have no year: `dated` finds it. Newer cards carry the T-Union application too: one wallet, two views. Left out:
file 08 record 17, which holds the state of transfers.

>>> LingnanRecord.from_bytes(bytes.fromhex("000b000000000000640601003006868700641027211308")).month_day.hex()
'1027'
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from protocols.core.errors import FieldError
from protocols.epurse.rows import Bytes7, Bytes13, Trailing
from protocols.table import Table
from protocols.table_rows import U8, U16, U24, U32, Bytes1, Bytes2, Bytes4, Bytes8, Date, Octets, TerminalId

SFI_MONTHS = 0x08
MONTHS = 12


class LingnanPublicData(Table, frozen=True, gc=False):
    """File 15. Cards answer 70 to 80 bytes; what is behind the known fields is kept."""

    TABLE: ClassVar[str] = "lnt_file15"
    reserved1: Bytes8
    region_code: Bytes2
    reserved2: Bytes1
    card_number: Annotated[bytes, Octets(5)]
    reserved3: Bytes7
    start_date: Date
    end_date: Date
    reserved4: Bytes13
    app_version: Bytes2
    reserved5: Bytes2
    issuer_code: Bytes4
    rest: Trailing


class LingnanRecord(Table, frozen=True, gc=False):
    """A record of file 18. vendor looks like the fare before discounts."""

    TABLE: ClassVar[str] = "lnt_file18"
    serial: U16
    overdraft_limit: U24
    amount: U32
    trans_type: U8
    terminal_id: TerminalId
    vendor: Bytes2
    month_day: Bytes2
    hour_minute: Bytes2
    subtype: U8


def anchor_of(months: bytes) -> tuple[int, bytes]:
    """Year and last day (BCD, MMDD) of the month that file 08 record 1 counts, for `dated`. Raises `FieldError`."""
    digits = months[3:5].hex()
    if len(digits) != 4 or not digits.isdecimal() or not 1 <= int(digits[2:]) <= MONTHS:
        raise FieldError("no year and month in BCD", 3, "file08")
    return 2000 + int(digits[:2]), months[4:5] + b"\x31"


def dated(
    records: Iterable[LingnanRecord], year: int, latest: bytes = b"\x12\x31"
) -> Iterator[tuple[int, LingnanRecord]]:
    """Records, newest first, each with its year. The newest is of `year` and not after `latest` (BCD, MMDD).

    That is today, or what `anchor_of` finds. Where the day grows from one record to the next older
    one, a year lies between them.
    """
    for record in records:
        if record.month_day > latest:
            year -= 1
        latest = record.month_day
        yield year, record
