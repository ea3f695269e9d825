"""What the roadside unit tells the lane computer, of the classic interface: the tables B0 to B5.

>>> ObuFound.from_bytes(bytes.fromhex("b20000000080")).is_heartbeat
True
"""

from typing import Annotated, ClassVar

from protocols.etc_rsu.payload import Report
from protocols.etc_rsu.rows import IssuerId, ObuId, Plate, Serial, Tac, Time
from protocols.table import Form
from protocols.table_rows import U8, U16, U32, Bytes2, Date, Octets, TerminalId, Unsigned

HEARTBEAT = 0x80
"""`error_code` of an `ObuFound` without a vehicle."""
NO_OBU = bytes(4)
UNREAD_BALANCE = 0xFFFFFFFF


class DeviceState(Report, frozen=True, gc=False):
    """B0, the answer to C0. rsu_status: 0 good. The second terminal is that of city cards."""

    TABLE: ClassVar[str] = "classic_B0"
    TYPE: ClassVar[int] = 0xB0
    rsu_status: U8
    psam_num: U8
    terminal_id_1: TerminalId
    terminal_id_2: TerminalId
    alg_id: U8
    manufacturer_id: Bytes2
    rsu_id: Bytes2
    rsu_version: Bytes2
    reserved: Annotated[bytes, Octets(5)]


class LoopState(Report, frozen=True, gc=False):
    """B1: the induction loops, a bit each, and how often they changed."""

    TABLE: ClassVar[str] = "classic_B1"
    TYPE: ClassVar[int] = 0xB1
    io_status: U8
    io_change_count: U8


_SHORT = Form(
    lacks=frozenset({"issuer_id", "serial_number", "issue_date", "expire_date", "equipment_status", "obu_status"})
)


class ObuFound(Report, frozen=True, gc=False):
    """B2. obu_status: `obu_files.ObuStatus` and the tamper byte. Some firmware sends no more than three fields."""

    TABLE: ClassVar[str] = "classic_B2"
    TYPE: ClassVar[int] = 0xB2
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), _SHORT)
    obu_id: ObuId
    error_code: U8
    issuer_id: Annotated[bytes | None, Octets(8)]
    serial_number: Annotated[bytes | None, Octets(8)]
    issue_date: Annotated[bytes | None, Octets(4)]
    expire_date: Annotated[bytes | None, Octets(4)]
    equipment_status: Annotated[int | None, Unsigned(1)]
    obu_status: Annotated[bytes | None, Octets(2)]

    @property
    def is_heartbeat(self) -> bool:
        """No vehicle; the unit lives. It is not answered."""
        return self.error_code == HEARTBEAT and self.obu_id == NO_OBU


class ShortHeartbeat(ObuFound, frozen=True, gc=False):
    """B2 of no more than three fields, on a link whose vehicles are `ContractFound`."""

    FORMS: ClassVar[tuple[Form, ...]] = (_SHORT,)


class ContractFound(Report, frozen=True, gc=False):
    """B2 with the type and version of the contract."""

    TABLE: ClassVar[str] = "classic_B2x"
    TYPE: ClassVar[int] = 0xB2
    obu_id: ObuId
    error_code: U8
    issuer_id: IssuerId
    contract_type: U8
    contract_version: U8
    serial_number: Serial
    issue_date: Date
    expire_date: Date
    equipment_status: U8
    obu_status: Bytes2

    @property
    def is_heartbeat(self) -> bool:
        """No vehicle; the unit lives. It is not answered."""
        return self.error_code == HEARTBEAT and self.obu_id == NO_OBU


class VehicleRead(Report, frozen=True, gc=False):
    """B3. plate_color, vehicle_class and user_type: `codes.py`."""

    TABLE: ClassVar[str] = "classic_B3"
    TYPE: ClassVar[int] = 0xB3
    obu_id: ObuId
    error_code: U8
    plate: Plate
    plate_color: U16
    vehicle_class: U8
    user_type: U8


class CardRead(Report, frozen=True, gc=False):
    """B4. card_id: the physical identifier, or 0. issuer_info: file 0015. last_station: 39 bytes of file 0019."""

    TABLE: ClassVar[str] = "classic_B4"
    TYPE: ClassVar[int] = 0xB4
    obu_id: ObuId
    error_code: U8
    card_type: U8
    physical_card_type: U8
    trans_type: U8
    card_balance: U32
    card_id: Annotated[bytes, Octets(4)]
    issuer_info: Annotated[bytes, Octets(43)]
    last_station: Annotated[bytes, Octets(39)]


class TradeResult(Report, frozen=True, gc=False):
    """B5. card_balance: behind the debit; `UNREAD_BALANCE` where it was not read."""

    TABLE: ClassVar[str] = "classic_B5"
    TYPE: ClassVar[int] = 0xB5
    obu_id: ObuId
    error_code: U8
    write_time: U32
    psam_no: TerminalId
    trans_time: Time
    trans_type: U8
    tac: Tac
    icc_pay_serial: U16
    psam_trans_serial: U32
    card_balance: U32

    @property
    def balance(self) -> int | None:
        """The balance in fen, or None."""
        return None if self.card_balance == UNREAD_BALANCE else self.card_balance
