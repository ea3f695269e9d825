"""What purse and terminal say to one another in a load (JR/T 0025.1): data of commands and of answers.

    8050  INITIALIZE FOR LOAD   as of a purchase (`InitCommand`)
          answer                balance 4 | online serial 2 | key version 1 | algorithm 1 | random 4 | MAC1 4
    8052  CREDIT FOR LOAD       date 4 | time 3 | MAC2 4
          answer                TAC 4

MAC1 proves the card to the host, MAC2 the host to the card.

>>> InitLoadAnswer.from_bytes(bytes.fromhex("0000000000000200112233442988ae5a")).mac1.hex()
'2988ae5a'
"""

from typing import ClassVar

from protocols.epurse.rows import Cryptogram, Time
from protocols.table import Table
from protocols.table_rows import U8, U16, U32, Bytes4, Date


class InitLoadAnswer(Table, frozen=True, gc=False):
    """Answer to 8050 of a load. balance: before it. online_serial: before it is counted up."""

    TABLE: ClassVar[str] = "init_load_rsp"
    balance: U32
    online_serial: U16
    key_version: U8
    alg_id: U8
    random: Bytes4
    mac1: Cryptogram


class CreditCommand(Table, frozen=True, gc=False):
    """Data of 8052, from the host."""

    TABLE: ClassVar[str] = "credit_cmd"
    date: Date
    time: Time
    mac2: Cryptogram
