"""Commands to a purse (JR/T 0025.1; JT/T 978), as APDUs.

    80 50 P1 P2 0B data 0F    INITIALIZE    P1 00 load, 01 purchase, 02 cash, 03 composite; P2 01 deposit, 02 purse
    80 DC P1 P2 Lc data       UPDATE CAPP DATA CACHE    P2 (file << 3) + 4: P1 is a record's number, + 0: an identifier
    80 54 01 00 0F data 08    DEBIT
    80 52 00 00 0B data 04    CREDIT
    80 5A 00 TTI 02 data 08   GET TRANSACTION PROVE
    80 5C P1 P2 04            GET BALANCE
    00 84 00 00 04 or 08      GET CHALLENGE
    00 20 00 00 Lc pin        VERIFY

Left out: INTERNAL AUTHENTICATE, whose data are the issuer's; blocking of cards (APPLICATION BLOCK).

>>> from protocols.iso14443.apdu import encode_command
>>> encode_command(prove(COMPOSITE_PURCHASE, 18)).hex()
'805a000902001208'
"""

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.epurse.load_tables import CreditCommand
from protocols.epurse.purchase_tables import BALANCE_BYTES, DebitCommand, InitCommand
from protocols.iso14443.apdu import INS_READ_RECORD, MAX_SHORT_DATA, MAX_SHORT_FILE_ID, CommandApdu

CLA_PURSE = 0x80
INS_INIT = 0x50
INS_CREDIT = 0x52
INS_DEBIT = 0x54
INS_PROVE = 0x5A
INS_BALANCE = 0x5C
INS_UPDATE = 0xDC
INS_CHALLENGE = 0x84
INS_VERIFY = 0x20

P1_LOAD = 0x00
P1_PURCHASE = 0x01
P1_CASH = 0x02
P1_COMPOSITE = 0x03
P1_DEBIT = 0x01
DEPOSIT = 0x01
"""Electronic deposit (ED)."""
PURSE = 0x02
"""Electronic purse (EP)."""
BY_NUMBER = 4
"""Low bits of P2: P1 is the number of a record, not its identifier."""

DEPOSIT_LOAD = 0x01
PURSE_LOAD = 0x02
DEPOSIT_PURCHASE = 0x05
PURSE_PURCHASE = 0x06
OVERDRAFT_UPDATE = 0x07
COMPOSITE_PURCHASE = 0x09
"""Types of transactions (TTI), as records and cryptograms carry them."""

INIT_PURCHASE_BYTES = 15
INIT_LOAD_BYTES = 16
DEBIT_BYTES = 8
CREDIT_BYTES = 4
PROVE_BYTES = 8
CHALLENGE_BYTES = (4, 8)


class RecordUpdate(msgspec.Struct, frozen=True):
    """What a composite purchase writes beside the debit. record: a number, or an identifier where not `is_number`.

    A new record of a cyclic file has identifier 0.
    """

    short_id: int
    record: int
    data: bytes
    is_number: bool = False


def init_purchase(command: InitCommand, trans_type: int, *, purse: int = PURSE) -> CommandApdu:
    """8050 for a purchase, composite or not."""
    p1 = P1_COMPOSITE if trans_type == COMPOSITE_PURCHASE else P1_PURCHASE
    return CommandApdu(CLA_PURSE, INS_INIT, p1, purse, command.to_bytes(), INIT_PURCHASE_BYTES)


def init_load(command: InitCommand, *, purse: int = PURSE) -> CommandApdu:
    """8050 for a load."""
    return CommandApdu(CLA_PURSE, INS_INIT, P1_LOAD, purse, command.to_bytes(), INIT_LOAD_BYTES)


def update_record(update: RecordUpdate) -> CommandApdu:
    """80DC, between 8050 and 8054 of a composite purchase. The card keeps it until it is debited."""
    if not 1 <= update.short_id <= MAX_SHORT_FILE_ID or not 1 <= len(update.data) <= MAX_SHORT_DATA:
        raise LocalProtocolError("a short identifier is 1 to 30, and a record has 1 to 255 bytes", field="update")
    p2 = update.short_id << 3 | (BY_NUMBER if update.is_number else 0)
    return CommandApdu(CLA_PURSE, INS_UPDATE, update.record, p2, update.data)


def read_record_by_id(identifier: int, ne: int, *, short_id: int) -> CommandApdu:
    """READ RECORD by the identifier that is a record's first byte, such as AA in file 19 of a toll card."""
    if not 0 <= identifier <= 0xFF or not 1 <= short_id <= MAX_SHORT_FILE_ID:
        raise LocalProtocolError("an identifier is a byte, and a short identifier 1 to 30", field="identifier")
    return CommandApdu(0, INS_READ_RECORD, identifier, short_id << 3, ne=ne)


def debit(command: DebitCommand) -> CommandApdu:
    """8054."""
    return CommandApdu(CLA_PURSE, INS_DEBIT, P1_DEBIT, 0, command.to_bytes(), DEBIT_BYTES)


def credit(command: CreditCommand) -> CommandApdu:
    """8052."""
    return CommandApdu(CLA_PURSE, INS_CREDIT, 0, 0, command.to_bytes(), CREDIT_BYTES)


def prove(trans_type: int, serial: int) -> CommandApdu:
    """805A: the cryptograms of the last transaction of a type, if its serial number is this."""
    if not 0 <= serial <= 0xFFFF:
        raise LocalProtocolError("a serial number has two bytes", field="serial")
    return CommandApdu(CLA_PURSE, INS_PROVE, 0, trans_type, serial.to_bytes(2, "big"), PROVE_BYTES)


def get_balance(*, purse: int = PURSE, part: int = 0) -> CommandApdu:
    """805C. part: 0 is what can be spent; what 1 to 3 mean (overdraft) differs between issuers."""
    return CommandApdu(CLA_PURSE, INS_BALANCE, part, purse, ne=BALANCE_BYTES)


def get_challenge(ne: int) -> CommandApdu:
    """A random number of 4 or 8 bytes."""
    if ne not in CHALLENGE_BYTES:
        raise LocalProtocolError("4 or 8 bytes", field="ne")
    return CommandApdu(0, INS_CHALLENGE, 0, 0, ne=ne)


def verify_pin(pin: bytes) -> CommandApdu:
    """VERIFY. The command holds the PIN: it goes into no log."""
    return CommandApdu(0, INS_VERIFY, 0, 0, pin)
