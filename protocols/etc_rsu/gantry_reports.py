"""What the roadside unit of a free-flow gantry tells of vehicles and debits: B2, B4, B5, B7, B8."""

from typing import Annotated, ClassVar

from protocols.etc_rsu.gantry_commands import GantryId
from protocols.etc_rsu.payload import Report
from protocols.etc_rsu.rows import IssueFile, IssuerId, ObuId, PassRecord, Serial, Tac, Time, VehicleFile
from protocols.table import Form, Records, Table
from protocols.table_rows import U8, U24, U32, Date, Octets, TerminalId, Unsigned

TWO_CHIPS = 1
ONE_CHIP = 2
PASS_CARD = 3
"""`DeviceFound.device_type`."""
MAX_GANTRIES = 84
"""A pass card holds no more."""


class DeviceFound(Report, frozen=True, gc=False):
    """B2. obu_status: a byte, `obu_files.ObuStatus`. tamper_status: byte 27 of the system information."""

    TABLE: ClassVar[str] = "gantry_B2"
    TYPE: ClassVar[int] = 0xB2
    obu_id: ObuId
    error_code: U8
    antenna_id: U8
    device_type: U8
    issuer_id: IssuerId
    contract_type: U8
    contract_version: U8
    serial_number: Serial
    issue_date: Date
    expire_date: Date
    equipment_cv: U8
    obu_status: U8
    tamper_status: U8


class ObuRead(Report, frozen=True, gc=False):
    """B4 of an on-board unit; without EF04 where that was not read."""

    TABLE: ClassVar[str] = "gantry_B4"
    TYPE: ClassVar[int] = 0xB4
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(lacks=frozenset({"ef04_info"})))
    obu_id: ObuId
    error_code: U8
    trans_type: U8
    vehicle_info: VehicleFile
    card_balance: U32
    ef04_info: Annotated[bytes | None, Octets(91)]
    issuer_info: IssueFile
    last_station: PassRecord


class PassCardRead(Report, frozen=True, gc=False):
    """B4 of a pass card: its record, then what has no public names, with 101 bytes or with 4."""

    TABLE: ClassVar[str] = "gantry_B4"
    TYPE: ClassVar[int] = 0xB4
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(sizes={"state": 101}))
    obu_id: ObuId
    error_code: U8
    trans_type: U8
    last_station: PassRecord
    state: Annotated[bytes, Octets(4)]
    fee_info: Annotated[bytes, Octets(10)]


class GantryResult(Report, frozen=True, gc=False):
    """B5. That of a pass card ends behind trans_type. alg_flag: 0 3DES, 4 SM4."""

    TABLE: ClassVar[str] = "gantry_B5"
    TYPE: ClassVar[int] = 0xB5
    FORMS: ClassVar[tuple[Form, ...]] = (
        Form(),
        Form(
            lacks=frozenset({"alg_flag", "key_version", "tac", "icc_pay_serial", "psam_trans_serial", "card_balance"})
        ),
    )
    obu_id: ObuId
    error_code: U8
    psam_no: TerminalId
    trans_time: Time
    trans_type: U8
    alg_flag: Annotated[int | None, Unsigned(1)]
    key_version: Annotated[int | None, Unsigned(1)]
    tac: Annotated[bytes | None, Octets(4)]
    icc_pay_serial: Annotated[int | None, Unsigned(2)]
    psam_trans_serial: Annotated[int | None, Unsigned(4)]
    card_balance: Annotated[int | None, Unsigned(4)]


class GantryPassed(Table, frozen=True, gc=False):
    """A gantry on a pass card, and its fee in fen."""

    gantry_id: GantryId
    fee: U24


class PassRecords(Report, frozen=True, gc=False):
    """B7: the gantries that a pass card has gone by."""

    TABLE: ClassVar[str] = "gantry_B7"
    TYPE: ClassVar[int] = 0xB7
    obu_id: ObuId
    error_code: U8
    written_flags: U8
    last_gantry: GantryId
    gantries: Annotated[tuple[GantryPassed, ...], Records(GantryPassed)]

    def contradiction(self) -> str | None:
        """The number of gantries must be theirs, and possible."""
        return None if self.written_flags == len(self.gantries) <= MAX_GANTRIES else "written_flags"


class TacFetched(Report, frozen=True, gc=False):
    """B8, the answer to C8. mac: MAC2 of the purchase."""

    TABLE: ClassVar[str] = "gantry_B8"
    TYPE: ClassVar[int] = 0xB8
    obu_id: ObuId
    error_code: U8
    tac: Tac
    mac: Annotated[bytes, Octets(4)]
    card_balance: U32
