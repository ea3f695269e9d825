"""What the computer of a free-flow gantry tells its roadside unit. Interface versions 3.1, 3.4 and 3.5 of C6.

C7, CA and CB concern pass cards (CPC) and the authorisation of PSAMs. What CB carries is an authorisation, not a key.
"""

from typing import Annotated, ClassVar

from protocols.etc_rsu.classic_commands import Continue as ClassicContinue
from protocols.etc_rsu.payload import Command
from protocols.etc_rsu.rows import IssuerId, ObuId, PassRecord, Time
from protocols.table import Form, Records, Table
from protocols.table_rows import U8, U16, U32, Octets, Unsigned

GantryId = Annotated[bytes, Octets(3)]
_EF04_BYTES = 91
EF04_FOLLOWS = 1
"""`FetchTac.ef04_cmd_type`."""


class GantryInitialise(Command, frozen=True, gc=False):
    """C0. lane_mode: 11H a section, 12H and 13H the entry to and exit from a province. bst_interval: in ms."""

    TABLE: ClassVar[str] = "gantry_C0"
    TYPE: ClassVar[int] = 0xC0
    unix_time: U32
    datetime: Time
    lane_mode: U8
    bst_interval: U8
    tx_power: U8
    channel_id: U8
    trans_mode: U8
    gantry_id: GantryId
    reserved: Annotated[bytes, Octets(2)]


class GantryContinue(ClassicContinue, frozen=True, gc=False):
    """C1, as in the classic interface."""

    TABLE: ClassVar[str] = "gantry_C1"


class GantryStop(Command, frozen=True, gc=False):
    """C2. stop_type: as in `classic_commands.Stop`."""

    TABLE: ClassVar[str] = "gantry_C2"
    TYPE: ClassVar[int] = 0xC2
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(lacks=frozenset({"unix_time"})))
    obu_id: ObuId
    stop_type: U8
    unix_time: Annotated[int | None, Unsigned(4)]


class GantryAntenna(Command, frozen=True, gc=False):
    """C4. control_type: 0 closed, 1 open."""

    TABLE: ClassVar[str] = "gantry_C4"
    TYPE: ClassVar[int] = 0xC4
    control_type: U8


class GantryDebit(Command, frozen=True, gc=False):
    """C6. obu_trade_type: 0 EF04 and purchase, 1 EF04 only, 2 purchase only.

    station: the record for a two-chip unit; for one with a single chip gantry, Unix time and zeros; for a pass card ten
    bytes about the fee and zeros. ef04_info2: offset and bytes, fifteen in V3.5. V3.1 has neither trade type nor EF04.
    """

    TABLE: ClassVar[str] = "gantry_C6"
    TYPE: ClassVar[int] = 0xC6
    FORMS: ClassVar[tuple[Form, ...]] = (
        Form(),
        Form(lacks=frozenset({"ef04_info2"})),
        Form(sizes={"ef04_info2": 15}),
        Form(lacks=frozenset({"obu_trade_type", "ef04_info", "ef04_info2"})),
    )
    obu_id: ObuId
    obu_div_factor: IssuerId
    obu_trade_type: Annotated[int | None, Unsigned(1)]
    consume_money: U32
    purchase_time: Time
    station: PassRecord
    ef04_info: Annotated[bytes | None, Octets(_EF04_BYTES)]
    ef04_info2: Annotated[bytes | None, Octets(5)]


class UpdatePassRecords(Command, frozen=True, gc=False):
    """C7, for pass cards. update_type: 1 clear the records, 2 read and clear them."""

    TABLE: ClassVar[str] = "gantry_C7"
    TYPE: ClassVar[int] = 0xC7
    obu_id: ObuId
    obu_div_factor: IssuerId
    update_type: U8


class WritePassRecords(Command, frozen=True, gc=False):
    """C7 with records: what their bytes mean is not public."""

    TABLE: ClassVar[str] = "gantry_C7"
    TYPE: ClassVar[int] = 0xC7
    obu_id: ObuId
    obu_div_factor: IssuerId
    records: Annotated[bytes, Octets(101)]
    tail: Annotated[bytes, Octets(24)]


class FetchTac(Command, frozen=True, gc=False):
    """C8: prove the purchase with this number of the card, whose result was lost."""

    TABLE: ClassVar[str] = "gantry_C8"
    TYPE: ClassVar[int] = 0xC8
    FORMS: ClassVar[tuple[Form, ...]] = (Form(lacks=frozenset({"ef04_info", "ef04_info2"})), Form())
    obu_id: ObuId
    ep_serial: U16
    ef04_cmd_type: U8
    ef04_info: Annotated[bytes | None, Octets(_EF04_BYTES)]
    ef04_info2: Annotated[bytes | None, Octets(5)]

    def contradiction(self) -> str | None:
        """EF04 follows if it is announced; of other codes than 0 and 1 nothing is known."""
        wrong = self.ef04_cmd_type == (0 if self.ef04_info is not None else EF04_FOLLOWS)
        return "ef04_cmd_type" if wrong else None


class BeginAuthorisation(Command, frozen=True, gc=False):
    """CA. channels: of PSAMs, a bit each, in two or four bytes."""

    TABLE: ClassVar[str] = "gantry_CA"
    TYPE: ClassVar[int] = 0xCA
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(sizes={"channels": 4}))
    channels: Annotated[bytes, Octets(2)]


class Authorisation(Table, frozen=True, gc=False):
    """For the PSAM of one channel."""

    channel: U8
    state: U8
    authorisation: Annotated[bytes, Octets(13)]

    def __repr__(self) -> str:
        """Without the authorisation."""
        return f"Authorisation(channel={self.channel}, state={self.state})"


class Authorise(Command, frozen=True, gc=False):
    """CB."""

    TABLE: ClassVar[str] = "gantry_CB"
    TYPE: ClassVar[int] = 0xCB
    psam_num: U8
    psams: Annotated[tuple[Authorisation, ...], Records(Authorisation)]

    def contradiction(self) -> str | None:
        """The number of items must be theirs."""
        return None if self.psam_num == len(self.psams) else "psam_num"


class HeartbeatAnswer(Command, frozen=True, gc=False):
    """CF. status: 0 received."""

    TABLE: ClassVar[str] = "gantry_CF"
    TYPE: ClassVar[int] = 0xCF
    status: U8
