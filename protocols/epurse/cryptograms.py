"""What purse, SAM and host compute over a transaction: seeds of session keys, inputs of MACs and TACs (JR/T 0025.1).

    purchase   seed   random 4 | offline serial 2 | last 2 bytes of the terminal's serial
               MAC1   amount 4 | type 1 | terminal 6 | date 4 | time 3           MAC2   amount 4
               TAC    amount 4 | type 1 | terminal 6 | terminal's serial 4 | date 4 | time 3
    load       seed   random 4 | online serial 2 | 8000
               MAC1   old balance 4 | amount 4 | type 1 | terminal 6
               MAC2   amount 4 | type 1 | terminal 6 | date 4 | time 3
               TAC    new balance 4 | online serial 2 | amount 4 | type 1 | terminal 6 | date 4 | time 3

Which ciphers compute them is a `Suite`. Serial numbers are those before they are counted up.
"""

from collections.abc import Callable

import msgspec

from protocols.core.errors import LocalProtocolError
from protocols.epurse import ciphers

_LOAD_SEED = b"\x80\x00"


class Suite(msgspec.Struct, frozen=True):
    """The ciphers of one generation of cards. derive takes a master key and factors, one a level."""

    session_key: Callable[[bytes, bytes], bytes]
    mac: Callable[[bytes, bytes], bytes]
    tac_key: Callable[[bytes], bytes]
    derive: Callable[..., bytes]

    def tac(self, key: bytes, data: bytes) -> bytes:
        """The TAC, from the card's whole TAC key."""
        return self.mac(self.tac_key(key), data)


TRIPLE_DES = Suite(ciphers.session_key_3des, ciphers.mac_des, ciphers.tac_key, ciphers.diversify_3des)
SM4_P1 = Suite(ciphers.session_key_sm4_p1, ciphers.mac_sm4_p1, bytes, ciphers.diversify_sm4)
"""How SM4 is used for session keys and MACs is one reading, not confirmed by a card."""


class PurchaseTerms(msgspec.Struct, frozen=True):
    """What is agreed on in a purchase. date and time: BCD."""

    amount: int
    trans_type: int
    terminal_id: bytes
    terminal_serial: int
    date: bytes
    time: bytes
    card_random: bytes
    offline_serial: int

    def seed(self) -> bytes:
        """Of the session key."""
        return self.card_random + _number(self.offline_serial, 2) + _number(self.terminal_serial, 4)[2:]

    def mac1_input(self) -> bytes:
        """The terminal proves itself to the card."""
        return self._head() + self.date + self.time

    def mac2_input(self) -> bytes:
        """The card proves that it was debited."""
        return _number(self.amount, 4)

    def tac_input(self) -> bytes:
        """The card proves it to the clearing centre."""
        return self._head() + _number(self.terminal_serial, 4) + self.date + self.time

    def _head(self) -> bytes:
        return _number(self.amount, 4) + _number(self.trans_type, 1) + self.terminal_id


class LoadTerms(msgspec.Struct, frozen=True):
    """What is agreed on in a load. date and time: BCD, from the host."""

    old_balance: int
    amount: int
    trans_type: int
    terminal_id: bytes
    online_serial: int
    card_random: bytes
    date: bytes = b""
    time: bytes = b""

    def seed(self) -> bytes:
        """Of the session key."""
        return self.card_random + _number(self.online_serial, 2) + _LOAD_SEED

    def mac1_input(self) -> bytes:
        """The card proves itself to the host."""
        return _number(self.old_balance, 4) + self._head()

    def mac2_input(self) -> bytes:
        """The host proves itself to the card."""
        return self._head() + self.date + self.time

    def tac_input(self) -> bytes:
        """The card proves that it was loaded."""
        new_balance = _number(self.old_balance + self.amount, 4)
        return new_balance + _number(self.online_serial, 2) + self._head() + self.date + self.time

    def _head(self) -> bytes:
        return _number(self.amount, 4) + _number(self.trans_type, 1) + self.terminal_id


def _number(value: int, size: int) -> bytes:
    if not 0 <= value < 1 << 8 * size:
        raise LocalProtocolError(f"{value} does not fit {size} bytes")
    return value.to_bytes(size, "big")
