"""What purse and terminal say to one another in a purchase (JR/T 0025.1; JT/T 978): data of commands and of answers.

    8050  INITIALIZE FOR PURCHASE   key index 1 | amount 4 | terminal 6
          answer                    balance 4 | serial 2 | overdraft 3 | key version 1 | algorithm 1 | random 4
    8054  DEBIT FOR PURCHASE        terminal's serial 4 | date 4 | time 3 | MAC1 4
          answer                    TAC 4 | MAC2 4
    805A  GET TRANSACTION PROVE     serial 2
          answer                    MAC2 4 | TAC 4
    805C  GET BALANCE               answer: balance 4

Amounts are fen, numbers have their high byte first. Header, lengths and status word are the APDU's
(`protocols/iso14443/apdu.py`); `commands.py` writes them.

>>> InitPurchaseAnswer.from_bytes(bytes.fromhex("00000b2200120000000100a1b2c3d4")).balance
2850
"""

from typing import ClassVar

import msgspec

from protocols.core.errors import FrameError, LocalProtocolError
from protocols.epurse.rows import Cryptogram, Time
from protocols.table import Table
from protocols.table_rows import U8, U16, U24, U32, Bytes4, Date, TerminalId

BALANCE_NOISE = 0x8000_0000
"""Bit 31 of a balance says nothing about its amount."""
BALANCE_BYTES = 4


class InitCommand(Table, frozen=True, gc=False):
    """Data of 8050, for a purchase and for a load. amount may be 0, to read, or to record an entry."""

    TABLE: ClassVar[str] = "init_cmd"
    key_index: U8
    amount: U32
    terminal_id: TerminalId


class InitPurchaseAnswer(Table, frozen=True, gc=False):
    """Answer to 8050 of a purchase. balance: before it. offline_serial: before it is counted up."""

    TABLE: ClassVar[str] = "init_purchase_rsp"
    balance: U32
    offline_serial: U16
    overdraft_limit: U24
    key_version: U8
    alg_id: U8
    random: Bytes4


class DebitCommand(Table, frozen=True, gc=False):
    """Data of 8054. terminal_serial: the counter of the terminal's SAM."""

    TABLE: ClassVar[str] = "debit_cmd"
    terminal_serial: U32
    date: Date
    time: Time
    mac1: Cryptogram


class DebitAnswer(Table, frozen=True, gc=False):
    """Answer to 8054: the purse is debited."""

    TABLE: ClassVar[str] = "debit_rsp"
    tac: Cryptogram
    mac2: Cryptogram


class ProveAnswer(Table, frozen=True, gc=False):
    """Answer to 805A: the cryptograms of a finished transaction, MAC2 first."""

    TABLE: ClassVar[str] = "prove_rsp"
    mac2: Cryptogram
    tac: Cryptogram


class Balance(msgspec.Struct, frozen=True):
    """Answer to 805C as it came."""

    raw: int

    @property
    def amount(self) -> int:
        """In fen."""
        return self.raw & ~BALANCE_NOISE

    @classmethod
    def from_bytes(cls, data: bytes) -> "Balance":
        """Read it. Raises `FrameError`."""
        if len(data) != BALANCE_BYTES:
            raise FrameError(f"{BALANCE_BYTES} bytes are due, not {len(data)}", len(data), "balance")
        return cls(int.from_bytes(data, "big"))

    def to_bytes(self) -> bytes:
        """Write it. Raises `LocalProtocolError`."""
        if not 0 <= self.raw <= 0xFFFF_FFFF:
            raise LocalProtocolError("a balance has four bytes", field="balance")
        return self.raw.to_bytes(BALANCE_BYTES, "big")
