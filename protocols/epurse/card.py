"""The card's end of purchases and loads (JR/T 0025.1; JT/T 978): a purse that can be torn from the field anywhere.

It is as strict as the standard: 8054 needs an 8050 that was answered just before it, records are updated only between
the two, and either all of a purchase takes place (balance, serial number, log, updates, proof) or nothing. It answers
8050, 80DC, 8054, 8052, 805A, 805C, GET CHALLENGE, READ BINARY and READ RECORD by short identifier, and SELECT by its
name.

Its keys are handed in; no `repr` shows them. Left out: overdraft, secure messaging, PINs.
"""

import random
from collections.abc import Callable, Mapping
from enum import Enum

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.epurse import commands
from protocols.epurse.commands import BY_NUMBER, CLA_PURSE, COMPOSITE_PURCHASE, DEPOSIT, PURSE
from protocols.epurse.cryptograms import TRIPLE_DES, LoadTerms, PurchaseTerms, Suite
from protocols.epurse.load_tables import CreditCommand, InitLoadAnswer
from protocols.epurse.purchase_tables import (
    Balance,
    DebitAnswer,
    DebitCommand,
    InitCommand,
    InitPurchaseAnswer,
    ProveAnswer,
)
from protocols.epurse.status import (
    SW_CONDITIONS,
    SW_COUNTER_FULL,
    SW_INSUFFICIENT,
    SW_MAC_INVALID,
    SW_NO_KEY_INDEX,
    SW_NO_PROOF,
    SW_WRONG_LENGTH,
)
from protocols.epurse.union_files import LOG_RECORD_BYTES, SFI_LOG, SFI_PUBLIC_DATA, PurseRecord
from protocols.iso14443 import apdu
from protocols.iso14443.apdu import SW_OK, CommandApdu, ResponseApdu

LOG_RECORDS = 10
LOCK_AT = 2
"""Where the lock flag of a record stands."""
MAX_BALANCE = 0x7FFF_FFFF
MAX_SERIAL = 0xFFFF

_SW_STATE = 0x6901
_SW_DATA = 0x6A80
_SW_NO_FILE = 0x6A82
_SW_NO_RECORD = 0x6A83
_SW_P1_P2 = 0x6A86
_SW_OFFSET = 0x6B00
_SW_INS = 0x6D00
_SW_CLA = 0x6E00
_KINDS_OF_PURCHASE = (commands.P1_PURCHASE, commands.P1_COMPOSITE)


class Tear(Enum):
    """When the card leaves the field."""

    AFTER_INIT = "after 8050"
    AFTER_UPDATE = "after 80DC"
    BEFORE_COMMIT = "in 8054, before anything changed"
    AFTER_COMMIT = "in 8054, after everything changed"


_TEARS: Mapping[int, tuple[Tear, ...]] = {
    commands.INS_INIT: (Tear.AFTER_INIT,),
    commands.INS_UPDATE: (Tear.AFTER_UPDATE,),
    commands.INS_DEBIT: (Tear.BEFORE_COMMIT, Tear.AFTER_COMMIT),
}


class PurseKeys:
    """The keys of one card: derived from master keys, none of which it has."""

    __slots__ = ("load", "purchase", "tac")

    def __init__(self, purchase: bytes, load: bytes, tac: bytes) -> None:
        self.purchase = purchase
        self.load = load
        self.tac = tac

    def __repr__(self) -> str:
        return "PurseKeys(...)"


class _Begun:
    """What 8050 began, until 8054 or 8052 ends it. A card without power forgets it."""

    def __init__(self, command: InitCommand, trans_type: int, card_random: bytes) -> None:
        self.amount = command.amount
        self.terminal_id = command.terminal_id
        self.trans_type = trans_type
        self.card_random = card_random
        self.updates: list[tuple[int, int, bytes]] = []


class Purse:
    """A card's purse. See the module's docstring.

    records: files of records by short identifier, the newest first, each with its lock flag; file 18 is made here.
    Raises `LocalProtocolError` for others. counts_first: it counts the
    serial number up before it stores a proof. tear: when it leaves the field, once.
    """

    def __init__(
        self,
        keys: PurseKeys,
        *,
        balance: int,
        name: bytes,
        public_data: bytes,
        records: Mapping[int, list[bytes]] | None = None,
        suite: Suite = TRIPLE_DES,
        key_version: int = 1,
        alg_id: int = 0,
        counts_first: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self._keys = keys
        self._suite = suite
        self._key_version, self._alg_id = key_version, alg_id
        self._counts_first = counts_first
        self._rng = rng or random.Random(0)  # noqa: S311 -- a card's lot, seeded so that a run can be replayed
        self.name, self.public_data = name, public_data
        self.balance = balance
        self.offline_serial = self.online_serial = 0
        self.records: dict[int, list[bytes]] = {
            SFI_LOG: [bytes(LOG_RECORD_BYTES)] * LOG_RECORDS,
            **{short_id: list(items) for short_id, items in (records or {}).items()},
        }
        if any(not items or min(map(len, items)) <= LOCK_AT for items in self.records.values()):
            raise LocalProtocolError("files of records that are long enough for a lock flag", field="records")
        self._proofs: dict[int, tuple[int, ProveAnswer]] = {}
        self._begun: _Begun | None = None
        self.tear: Tear | None = None

    def power_off(self) -> None:
        """The card left the field: what was begun is forgotten."""
        self._begun = None

    def answer(self, command: CommandApdu) -> ResponseApdu | None:
        """Carry out a command; None: the card was torn away, and nobody hears its answer."""
        torn = self.tear if self.tear in _TEARS.get(command.ins, ()) else None
        response = None if torn is Tear.BEFORE_COMMIT else self._carry_out(command)
        if torn is None:
            return response
        self.tear = None
        self.power_off()
        return None

    def _carry_out(self, command: CommandApdu) -> ResponseApdu:
        begun, self._begun = self._begun, None
        if command.ins == commands.INS_UPDATE:
            self._begun = begun
        try:
            if command.cla == CLA_PURSE:
                return self._carry_out_purse(command, begun)
            return self._carry_out_file(command) if command.cla == 0 else ResponseApdu(sw=_SW_CLA)
        except RemoteProtocolError:
            return ResponseApdu(sw=SW_WRONG_LENGTH)

    def _carry_out_purse(self, command: CommandApdu, begun: _Begun | None) -> ResponseApdu:
        match command.ins:
            case commands.INS_INIT:
                return self._init(command)
            case commands.INS_BALANCE:
                return self._tell_balance(command)
            case commands.INS_PROVE:
                return self._prove(command)
        ends: Mapping[int, Callable[[CommandApdu, _Begun], ResponseApdu]] = {
            commands.INS_UPDATE: self._update,
            commands.INS_DEBIT: self._debit,
            commands.INS_CREDIT: self._credit,
        }
        if command.ins not in ends:
            return ResponseApdu(sw=_SW_INS)
        if begun is None:
            return ResponseApdu(sw=_SW_STATE)
        return ends[command.ins](command, begun)

    def _init(self, command: CommandApdu) -> ResponseApdu:
        init = InitCommand.from_bytes(command.data)
        if command.p1 not in (commands.P1_LOAD, *_KINDS_OF_PURCHASE) or command.p2 != PURSE:
            return ResponseApdu(sw=_SW_P1_P2)
        if init.key_index != 1:
            return ResponseApdu(sw=SW_NO_KEY_INDEX)
        card_random = self._rng.randbytes(4)
        if command.p1 == commands.P1_LOAD:
            return self._init_load(init, card_random)
        if self.offline_serial == MAX_SERIAL:
            return ResponseApdu(sw=SW_COUNTER_FULL)
        if init.amount > self.balance:
            return ResponseApdu(sw=SW_INSUFFICIENT)
        is_composite = command.p1 == commands.P1_COMPOSITE
        self._begun = _Begun(init, COMPOSITE_PURCHASE if is_composite else commands.PURSE_PURCHASE, card_random)
        answer = InitPurchaseAnswer(self.balance, self.offline_serial, 0, self._key_version, self._alg_id, card_random)
        return ResponseApdu(answer.to_bytes())

    def _init_load(self, init: InitCommand, card_random: bytes) -> ResponseApdu:
        if self.online_serial == MAX_SERIAL:
            return ResponseApdu(sw=SW_COUNTER_FULL)
        if self.balance + init.amount > MAX_BALANCE:
            return ResponseApdu(sw=_SW_DATA)
        self._begun = begun = _Begun(init, commands.PURSE_LOAD, card_random)
        terms = self._load_terms(begun)
        mac1 = self._suite.mac(self._suite.session_key(self._keys.load, terms.seed()), terms.mac1_input())
        answer = InitLoadAnswer(self.balance, self.online_serial, self._key_version, self._alg_id, card_random, mac1)
        return ResponseApdu(answer.to_bytes())

    def _update(self, command: CommandApdu, begun: _Begun) -> ResponseApdu:
        """Take a record; it is written when the purse is debited."""
        if begun.trans_type != COMPOSITE_PURCHASE:
            return ResponseApdu(sw=_SW_STATE)
        short_id = command.p2 >> 3
        if short_id not in self.records:
            return ResponseApdu(sw=_SW_NO_FILE)
        at = self._place(short_id, command.p1, is_number=bool(command.p2 & BY_NUMBER))
        if at is None:
            return ResponseApdu(sw=_SW_NO_RECORD)
        old = self.records[short_id][max(at, 0)]
        if len(command.data) != len(old):
            return ResponseApdu(sw=SW_WRONG_LENGTH)
        if at >= 0 and old[LOCK_AT]:
            return ResponseApdu(sw=SW_CONDITIONS)
        begun.updates.append((short_id, at, command.data))
        return ResponseApdu()

    def _place(self, short_id: int, p1: int, *, is_number: bool) -> int | None:
        """Where a record stands; -1 for a new one of a cyclic file."""
        items = self.records[short_id]
        if is_number:
            return p1 - 1 if 1 <= p1 <= len(items) else None
        if p1 == 0:
            return -1
        return next((at for at, item in enumerate(items) if item[0] == p1), None)

    def _debit(self, command: CommandApdu, begun: _Begun) -> ResponseApdu:
        if begun.trans_type == commands.PURSE_LOAD:
            return ResponseApdu(sw=_SW_STATE)
        debit = DebitCommand.from_bytes(command.data)
        terms = PurchaseTerms(
            begun.amount,
            begun.trans_type,
            begun.terminal_id,
            debit.terminal_serial,
            debit.date,
            debit.time,
            begun.card_random,
            self.offline_serial,
        )
        key = self._suite.session_key(self._keys.purchase, terms.seed())
        if self._suite.mac(key, terms.mac1_input()) != debit.mac1:
            return ResponseApdu(sw=SW_MAC_INVALID)
        answer = DebitAnswer(
            self._suite.tac(self._keys.tac, terms.tac_input()), self._suite.mac(key, terms.mac2_input())
        )
        self._log(self.offline_serial, begun, debit.date, debit.time)
        for short_id, at, data in begun.updates:
            self._write(short_id, at, data)
        proof_serial = self.offline_serial + self._counts_first
        self._proofs[begun.trans_type] = (proof_serial, ProveAnswer(answer.mac2, answer.tac))
        self.balance -= begun.amount
        self.offline_serial += 1
        return ResponseApdu(answer.to_bytes())

    def _credit(self, command: CommandApdu, begun: _Begun) -> ResponseApdu:
        if begun.trans_type != commands.PURSE_LOAD:
            return ResponseApdu(sw=_SW_STATE)
        credit = CreditCommand.from_bytes(command.data)
        terms = self._load_terms(begun, credit.date, credit.time)
        key = self._suite.session_key(self._keys.load, terms.seed())
        if self._suite.mac(key, terms.mac2_input()) != credit.mac2:
            return ResponseApdu(sw=SW_MAC_INVALID)
        tac = self._suite.tac(self._keys.tac, terms.tac_input())
        self._log(self.online_serial, begun, credit.date, credit.time)
        self._proofs[begun.trans_type] = (self.online_serial + self._counts_first, ProveAnswer(credit.mac2, tac))
        self.balance += begun.amount
        self.online_serial += 1
        return ResponseApdu(tac)

    def _load_terms(self, begun: _Begun, date: bytes = b"", time: bytes = b"") -> LoadTerms:
        return LoadTerms(
            self.balance,
            begun.amount,
            begun.trans_type,
            begun.terminal_id,
            self.online_serial,
            begun.card_random,
            date,
            time,
        )

    def _log(self, serial: int, begun: _Begun, date: bytes, time: bytes) -> None:
        record = PurseRecord(serial, 0, begun.amount, begun.trans_type, begun.terminal_id, date, time)
        self._write(SFI_LOG, -1, record.to_bytes())

    def _write(self, short_id: int, at: int, data: bytes) -> None:
        items = self.records[short_id]
        if at < 0:
            self.records[short_id] = [data, *items[:-1]]
        else:
            items[at] = data

    def _prove(self, command: CommandApdu) -> ResponseApdu:
        if len(command.data) != 2:
            return ResponseApdu(sw=SW_WRONG_LENGTH)
        serial, proof = self._proofs.get(command.p2, (None, None))
        if proof is None or serial != int.from_bytes(command.data, "big"):
            return ResponseApdu(sw=SW_NO_PROOF)
        return ResponseApdu(proof.to_bytes())

    def _tell_balance(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 or command.p2 not in (DEPOSIT, PURSE):
            return ResponseApdu(sw=_SW_P1_P2)
        return ResponseApdu(Balance(self.balance if command.p2 == PURSE else 0).to_bytes())

    def _carry_out_file(self, command: CommandApdu) -> ResponseApdu:
        match command.ins:
            case apdu.INS_SELECT:
                return ResponseApdu(sw=SW_OK if command.data == self.name else _SW_NO_FILE)
            case commands.INS_CHALLENGE if command.ne in commands.CHALLENGE_BYTES:
                return ResponseApdu(self._rng.randbytes(command.ne))
            case apdu.INS_READ_BINARY:
                return self._read_binary(command)
            case apdu.INS_READ_RECORD:
                return self._read_record(command)
        return ResponseApdu(sw=_SW_INS)

    def _read_binary(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 != 0x80 | SFI_PUBLIC_DATA:
            return ResponseApdu(sw=_SW_NO_FILE)
        if command.p2 >= len(self.public_data):
            return ResponseApdu(sw=_SW_OFFSET)
        return ResponseApdu(self.public_data[command.p2 : command.p2 + command.ne])

    def _read_record(self, command: CommandApdu) -> ResponseApdu:
        short_id = command.p2 >> 3
        if short_id not in self.records:
            return ResponseApdu(sw=_SW_NO_FILE)
        at = self._place(short_id, command.p1, is_number=bool(command.p2 & BY_NUMBER))
        if at is None or at < 0:
            return ResponseApdu(sw=_SW_NO_RECORD)
        return ResponseApdu(self.records[short_id][at][: command.ne])
