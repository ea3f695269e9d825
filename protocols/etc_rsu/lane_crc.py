"""Lane payloads that travel in frames with a CRC, where they differ from the classic ones.

One vendor's firmware; B2 is `ContractFound`, C1 and C2 are the classic tables. `LaneDebit` and the C0 of this interface
differ between vendors, so nothing is read as one of them unless the link is told to (`catalogue.py`). On an error the
roadside unit fills what follows with zeros; the length stays.
"""

from typing import Annotated, ClassVar

from protocols.etc_rsu.classic_reports import UNREAD_BALANCE
from protocols.etc_rsu.payload import Command, Report
from protocols.etc_rsu.rows import IssueFile, ObuId, PassRecord, Tac, Time, VehicleFile
from protocols.table import Form
from protocols.table_rows import U8, U16, U32, Octets, Unsigned


class VehicleFileRead(Report, frozen=True, gc=False):
    """B3. Where EF04 is read too, how that went and its bytes follow."""

    TABLE: ClassVar[str] = "lanecrc_B3"
    TYPE: ClassVar[int] = 0xB3
    FORMS: ClassVar[tuple[Form, ...]] = (Form(lacks=frozenset({"ef04_status", "ef04"})), Form())
    obu_id: ObuId
    error_code: U8
    vehicle_info: VehicleFile
    ef04_status: Annotated[int | None, Unsigned(1)]
    ef04: Annotated[bytes | None, Octets()]


class CardFilesRead(Report, frozen=True, gc=False):
    """B4."""

    TABLE: ClassVar[str] = "lanecrc_B4"
    TYPE: ClassVar[int] = 0xB4
    obu_id: ObuId
    error_code: U8
    card_balance: U32
    issuer_info: IssueFile
    last_station: PassRecord


class LaneResult(Report, frozen=True, gc=False):
    """B5. With error 02, a debit whose outcome is not known, balance and TAC are all FF."""

    TABLE: ClassVar[str] = "lanecrc_B5"
    TYPE: ClassVar[int] = 0xB5
    obu_id: ObuId
    error_code: U8
    trans_time: Time
    psam_trans_serial: U32
    icc_pay_serial: U16
    trans_type: U8
    card_balance: U32
    tac: Tac
    write_time: U32
    key_type: U8

    @property
    def balance(self) -> int | None:
        """The balance in fen, or None."""
        return None if self.card_balance == UNREAD_BALANCE else self.card_balance


class LaneDebit(Command, frozen=True, gc=False):
    """C6 as one firmware orders it. Its first bytes are those of the classic table; the rest is that firmware's."""

    TABLE: ClassVar[str] = "lanecrc_C6"
    TYPE: ClassVar[int] = 0xC6
    obu_id: ObuId
    trade_mode: U8
    consume_money: U32
    station: Annotated[bytes, Octets(40)]
    purchase_time: Time
    ef04_offset: U16
    ef04_length: U16
    ef04: Annotated[bytes, Octets()]

    def contradiction(self) -> str | None:
        """The length must be that of the bytes."""
        return None if self.ef04_length == len(self.ef04) else "ef04_length"
