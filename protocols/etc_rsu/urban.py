"""Payloads of urban parking, both ways. The C0 of this interface is not public."""

from typing import Annotated, ClassVar

from protocols.etc_rsu.payload import Command, Report
from protocols.etc_rsu.rows import IssueFile, ObuId, PassRecord, Tac, Time, VehicleFile
from protocols.table_rows import U8, U16, U32, Octets, TerminalId


class UrbanDeviceState(Report, frozen=True, gc=False):
    """B0. rsu_status: 0 good, 2 PSAM. psam_auth_status: 1 needs an authorisation."""

    TABLE: ClassVar[str] = "urban_B0"
    TYPE: ClassVar[int] = 0xB0
    rsu_status: U8
    manufacturer_id: Annotated[bytes, Octets(1)]
    rsu_id: Annotated[bytes, Octets(3)]
    sw_version: Annotated[bytes, Octets(2)]
    hw_version: Annotated[bytes, Octets(2)]
    protocol_version: Annotated[bytes, Octets(2)]
    psam_auth_status: U8


class UrbanHeartbeat(Report, frozen=True, gc=False):
    """B2. status_code: 1 RF, 2 PSAM. rsu_switch: 1 open."""

    TABLE: ClassVar[str] = "urban_B2"
    TYPE: ClassVar[int] = 0xB2
    status_code: U8
    rsu_switch: U8
    psam_auth_status: U8


class UrbanObuRead(Report, frozen=True, gc=False):
    """B4. obu_type: 1 a single chip, 2 two. sys_info: without the tamper byte. list_status: 1 black, 2 white."""

    TABLE: ClassVar[str] = "urban_B4"
    TYPE: ClassVar[int] = 0xB4
    obu_id: ObuId
    obu_type: U8
    icc_exist: U8
    obu_status: U8
    sys_info: Annotated[bytes, Octets(26)]
    vehicle_info: VehicleFile
    issuer_info: IssueFile
    card_balance: U32
    last_station: PassRecord
    list_status: U8
    reserved: Annotated[bytes, Octets(63)]


class UrbanResult(Report, frozen=True, gc=False):
    """B5. With an error what follows it means nothing. error_code: 1 time, 2 no card, 3 data, 4 unit, 5 card."""

    TABLE: ClassVar[str] = "urban_B5"
    TYPE: ClassVar[int] = 0xB5
    obu_id: ObuId
    obu_type: U8
    error_code: U8
    card_balance: U32
    trans_time: Time
    key_type: U8
    psam_trans_serial: U32
    psam_no: TerminalId
    icc_pay_serial: U16
    tac: Tac
    icc_random: Annotated[bytes, Octets(4)]
    reserved: Annotated[bytes, Octets(32)]


class UrbanDebit(Command, frozen=True, gc=False):
    """C6."""

    TABLE: ClassVar[str] = "urban_C6"
    TYPE: ClassVar[int] = 0xC6
    obu_id: ObuId
    consume_money: U32
    trans_time: Time
    file0019: PassRecord
    entry_time: Time


class UrbanStop(Command, frozen=True, gc=False):
    """C2."""

    TABLE: ClassVar[str] = "urban_C2"
    TYPE: ClassVar[int] = 0xC2
    obu_id: ObuId


class UrbanAntenna(Command, frozen=True, gc=False):
    """C4."""

    TABLE: ClassVar[str] = "urban_C4"
    TYPE: ClassVar[int] = 0xC4
    switch: U8


class UrbanAuthorise(Command, frozen=True, gc=False):
    """CB. mac: the authorisation of the PSAM."""

    TABLE: ClassVar[str] = "urban_CB"
    TYPE: ClassVar[int] = 0xCB
    mac: Annotated[bytes, Octets(8)]

    def __repr__(self) -> str:
        """Without the authorisation."""
        return "UrbanAuthorise()"


class UrbanAuthorisationBegun(Report, frozen=True, gc=False):
    """BA. error_code: 1 none is needed. random: what the authorisation must answer."""

    TABLE: ClassVar[str] = "urban_BA"
    TYPE: ClassVar[int] = 0xBA
    error_code: U8
    terminal_id: TerminalId
    serial: Annotated[bytes, Octets(10)]
    key_type: U8
    version: U8
    area_id: Annotated[bytes, Octets(8)]
    random: Annotated[bytes, Octets(8)]


class UrbanAuthorised(Report, frozen=True, gc=False):
    """BB."""

    TABLE: ClassVar[str] = "urban_BB"
    TYPE: ClassVar[int] = 0xBB
    error_code: U8
    sw: Annotated[bytes, Octets(2)]
