"""The terminal's security module (PSAM) as an interface: what it is asked and what it answers, never what it holds.

    8070  INIT SAM FOR PURCHASE     card random 4 | serial 2 | amount 4 | type 1 | date 4 | time 3 | key version 1 |
                                    algorithm 1 | factor 8 [| factor 8]
          answer                    SAM's counter 4 | MAC1 4
    8072  CREDIT SAM FOR PURCHASE   MAC2 4; answer 9000, or 9302 for a wrong one: enough of those lock the SAM

8070 opens a session and drops the one before it; 8072 closes it. Keys live in the module alone.

>>> init_sam(SamInitCommand(bytes(4), 18, 200, 6, bytes(4), bytes(3), 1, 0, bytes(8), None)).data[:10].hex()
'000000000012000000c8'
"""

from enum import Enum
from typing import ClassVar, Protocol

from protocols.epurse.rows import Bytes8OrNone, Cryptogram, Time
from protocols.iso14443.apdu import CommandApdu, ResponseApdu, read_binary
from protocols.table import Form, Table
from protocols.table_rows import U8, U16, U32, Bytes4, Bytes8, Date

CLA_PURSE = 0x80
INS_INIT_SAM = 0x70
INS_CREDIT_SAM = 0x72
SFI_TERMINAL_ID = 0x16
TERMINAL_ID_BYTES = 6
SFI_SERIAL = 0x15
SERIAL_BYTES = 10
SAM_APPLICATION_IDS = (0xDF01, 0x1001, 0x8011)
"""File identifiers of the purse's application on SAMs; which one is the issuer's choice."""


class Sam(Protocol):
    """Whoever holds the keys: a module behind a reader, or one in a cabinet of the operator."""

    def ask(self, command: CommandApdu) -> ResponseApdu:
        """Answer one command."""


class SamInitCommand(Table, frozen=True, gc=False):
    """Data of 8070. div_factor_2 is None where a card's key lies one level below the master key."""

    TABLE: ClassVar[str] = "sam_init_cmd"
    FORMS: ClassVar[tuple[Form, ...]] = (Form(), Form(lacks=frozenset({"div_factor_2"})))
    card_random: Bytes4
    card_serial: U16
    amount: U32
    trans_type: U8
    date: Date
    time: Time
    key_version: U8
    alg_id: U8
    div_factor_1: Bytes8
    div_factor_2: Bytes8OrNone


class SamInitAnswer(Table, frozen=True, gc=False):
    """Answer to 8070. terminal_serial: the SAM's counter, counted up already."""

    TABLE: ClassVar[str] = "sam_init_rsp"
    terminal_serial: U32
    mac1: Cryptogram


class FactorOrder(Enum):
    """What a SAM is to derive a card's key with, in the order in which it is told."""

    CARD_ISSUER = "card, issuer"
    ISSUER_CARD = "issuer, card"
    ISSUER_ISSUER = "issuer, issuer"
    CARD = "card"


def factors_of(order: FactorOrder, card_factor: bytes, issuer_id: bytes) -> tuple[bytes, bytes | None]:
    """The factors of 8070."""
    match order:
        case FactorOrder.CARD_ISSUER:
            return card_factor, issuer_id
        case FactorOrder.ISSUER_CARD:
            return issuer_id, card_factor
        case FactorOrder.ISSUER_ISSUER:
            return issuer_id, issuer_id
        case FactorOrder.CARD:
            return card_factor, None


def init_sam(command: SamInitCommand) -> CommandApdu:
    """8070: MAC1 for a purchase."""
    return CommandApdu(CLA_PURSE, INS_INIT_SAM, 0, 0, command.to_bytes(), 8)


def credit_sam(mac2: bytes) -> CommandApdu:
    """8072: whether this MAC2 is the card's."""
    return CommandApdu(CLA_PURSE, INS_CREDIT_SAM, 0, 0, mac2)


def read_serial() -> CommandApdu:
    """READ BINARY of the SAM's own number."""
    return read_binary(0, SERIAL_BYTES, short_id=SFI_SERIAL)


def read_terminal_id() -> CommandApdu:
    """READ BINARY of the terminal's number, which 8050 takes."""
    return read_binary(0, TERMINAL_ID_BYTES, short_id=SFI_TERMINAL_ID)
