"""What the lane computer tells the roadside unit, of the classic interface.

The tables C0, C1, C2, C3, C6, C7 and 4C of the serial protocol of highway DSRC equipment. Money is in fen, `unix_time`
in seconds, `station` is the record to be written: what stands behind the lock flag of file 0019.

>>> Continue.from_bytes(bytes.fromhex("c11a2b3c4db9e3b6ab44010001")).obu_id.hex()
'1a2b3c4d'
"""

from typing import Annotated, ClassVar

from protocols.etc_rsu.payload import Command
from protocols.etc_rsu.rows import IssuerId, ObuId, Time
from protocols.table_rows import U8, U16, U32, Octets

DROP = 1
RESEND = 2
FREEZE = 3
"""`Stop.stop_type`: give the vehicle up and search again; send the current frame again; gantry: leave it alone."""

TransactionId = Annotated[bytes, Octets(4)]
Station36 = Annotated[bytes, Octets(36)]


class Initialise(Command, frozen=True, gc=False):
    """C0. lane_mode: 3 entry, 4 exit, 6 open. flag_station_mode: 1 minds flag stations."""

    TABLE: ClassVar[str] = "classic_C0"
    TYPE: ClassVar[int] = 0xC0
    unix_time: U32
    datetime: Time
    lane_mode: U8
    wait_time: U8
    tx_power: U8
    channel_id: U8
    flag_station_mode: U8


class InitialiseEf04(Command, frozen=True, gc=False):
    """C0 of some firmware: how much of EF04 is read stands where others have the flag station mode."""

    TABLE: ClassVar[str] = "classic_C0"
    TYPE: ClassVar[int] = 0xC0
    unix_time: U32
    datetime: Time
    lane_mode: U8
    wait_time: U8
    tx_power: U8
    channel_id: U8
    ef04_option: U8
    ef04_offset: U16
    ef04_length: U16


class Continue(Command, frozen=True, gc=False):
    """C1: go on with this vehicle, or be done with it after a result."""

    TABLE: ClassVar[str] = "classic_C1"
    TYPE: ClassVar[int] = 0xC1
    obu_id: ObuId
    obu_div_factor: IssuerId


class Stop(Command, frozen=True, gc=False):
    """C2. Some firmware has more types than those above: 3 and 4 beep and speak, 7 to 9."""

    TABLE: ClassVar[str] = "classic_C2"
    TYPE: ClassVar[int] = 0xC2
    obu_id: ObuId
    stop_type: U8


class WriteEntry(Command, frozen=True, gc=False):
    """C3: write an entry record, take no money."""

    TABLE: ClassVar[str] = "classic_C3"
    TYPE: ClassVar[int] = 0xC3
    obu_id: ObuId
    card_div_factor: IssuerId
    trans_serial: TransactionId
    purchase_time: Time
    station: Station36


class Debit(Command, frozen=True, gc=False):
    """C6: take money and write a record."""

    TABLE: ClassVar[str] = "classic_C6"
    TYPE: ClassVar[int] = 0xC6
    obu_id: ObuId
    card_div_factor: IssuerId
    trans_serial: TransactionId
    consume_money: U32
    purchase_time: Time
    station: Station36


class WriteAgain(Command, frozen=True, gc=False):
    """C7: the record is on the card already; settle what a lost result left open."""

    TABLE: ClassVar[str] = "classic_C7"
    TYPE: ClassVar[int] = 0xC7
    obu_id: ObuId
    card_div_factor: IssuerId
    trans_serial: TransactionId
    purchase_time: Time
    station: Station36


class Antenna(Command, frozen=True, gc=False):
    """4C. antenna: 0 closed, 1 open; some firmware counts antennas here, 1 far and 2 near."""

    TABLE: ClassVar[str] = "classic_4C"
    TYPE: ClassVar[int] = 0x4C
    antenna: U8
