"""A software SAM, a card and a terminal for the tests of purse dialogues. The keys are made up, for tests alone.

`Bench` plays driver, store and passenger: it carries APDUs, stores what must be stored, lifts and brings back the card.
"""

import random

import msgspec

from protocols.core.errors import NEED_DATA
from protocols.epurse.card import Purse, PurseKeys
from protocols.epurse.commands import COMPOSITE_PURCHASE, PURSE_PURCHASE, RecordUpdate
from protocols.epurse.cryptograms import TRIPLE_DES, PurchaseTerms
from protocols.epurse.purchase import PurchaseDialogue
from protocols.epurse.purchase_events import (
    AskSam,
    Buy,
    CardLost,
    Declined,
    NotDebited,
    Paid,
    PurchaseSettings,
    PurchaseState,
    PurseCard,
    SamAnswered,
    Store,
    Stored,
    Suspicious,
    Unknown,
)
from protocols.epurse.sam import INS_CREDIT_SAM, INS_INIT_SAM, SamInitAnswer, SamInitCommand
from protocols.epurse.selection import T_UNION_PURSE
from protocols.epurse.union_files import PublicData
from protocols.iso14443.apdu import INS_SELECT, ResponseApdu, decode_command, encode_response

PURCHASE_MASTER = bytes(range(16))
LOAD_MASTER = bytes.fromhex("a1a2a3a4a5a6a7a8b1b2b3b4b5b6b7b8")
TAC_MASTER = bytes.fromhex("f0e0d0c0b0a090807060504030201000")
TERMINAL_ID = bytes.fromhex("581000000001")
DATE, TIME = bytes.fromhex("20250314"), bytes.fromhex("091530")
FILE_15 = bytes.fromhex("01011000ffffffff02010310517001017090798420190806204012310000")
SETTINGS = PurchaseSettings(terminal_id=TERMINAL_ID)
TRIP = bytes((6,)) + bytes(47)


def public_data(number=0):
    """File 15 of card `number`."""
    return FILE_15[:16] + number.to_bytes(4, "big") + FILE_15[20:]


def purse(number=0, *, balance=2850, suite=TRIPLE_DES, **options):
    """A card, its keys derived from issuer and number."""
    data = public_data(number)
    card = PublicData.from_bytes(data)
    keys = [
        suite.derive(master, card.card_factor, card.issuer_id) for master in (PURCHASE_MASTER, LOAD_MASTER, TAC_MASTER)
    ]
    options.setdefault(
        "records", {0x1E: [bytes(48)] * 30, 0x19: [b"\xaa\x29" + bytes(41), b"\xb1\x29\x01" + bytes(40)]}
    )
    options.setdefault("rng", random.Random(number))
    return Purse(PurseKeys(*keys), balance=balance, name=T_UNION_PURSE, public_data=data, suite=suite, **options)


def buy(number=0, amount=200, **options):
    card = PublicData.from_bytes(public_data(number))
    options.setdefault("trans_type", COMPOSITE_PURCHASE if options.get("updates") else PURSE_PURCHASE)
    who = PurseCard(card.card_number, card.card_factor, card.issuer_id)
    return Buy(card=who, amount=amount, date=DATE, time=TIME, **options)


def trip_update():
    return RecordUpdate(0x1E, 0, TRIP)


FULL = {"updates": (trip_update(),)}
"""A composite purchase."""


class SoftSam:
    """A SAM as strict as the standard. wrong_macs counts; three of them lock it."""

    def __init__(self, suite=TRIPLE_DES, counter=0xABCC, terminal_id=TERMINAL_ID):
        self.suite, self.counter, self.terminal_id = suite, counter, terminal_id
        self.session = None
        self.is_selected, self.is_silent = True, False
        self.wrong_macs = 0
        self.commands = []

    def ask(self, command):
        self.commands.append(command)
        session, self.session = self.session, None
        if self.is_silent:
            return None
        if command.ins == INS_SELECT:
            self.is_selected = True
            return ResponseApdu()
        if not self.is_selected:
            return ResponseApdu(sw=0x6985)
        if command.ins == INS_INIT_SAM:
            return self._begin(SamInitCommand.from_bytes(command.data))
        assert command.ins == INS_CREDIT_SAM
        is_right = session is not None and command.data == session
        self.wrong_macs += session is not None and not is_right
        return ResponseApdu(sw=0x9000 if is_right else 0x6901 if session is None else 0x9302)

    def _begin(self, asked):
        self.counter += 1
        terms = PurchaseTerms(
            asked.amount,
            asked.trans_type,
            self.terminal_id,
            self.counter,
            asked.date,
            asked.time,
            asked.card_random,
            asked.card_serial,
        )
        factors = [factor for factor in (asked.div_factor_1, asked.div_factor_2) if factor is not None]
        key = self.suite.session_key(self.suite.derive(PURCHASE_MASTER, *factors), terms.seed())
        self.session = self.suite.mac(key, terms.mac2_input())
        return ResponseApdu(SamInitAnswer(self.counter, self.suite.mac(key, terms.mac1_input())).to_bytes())


class Bench:
    """A terminal with its SAM and store. Cards are tapped one after the other."""

    def __init__(self, settings=SETTINGS, sam=None):
        self.settings = settings
        self.dialogue = PurchaseDialogue(settings)
        self.sam = SoftSam() if sam is None else sam
        self.now = 0.0
        self.store = []
        self.events = []
        self.sent = []
        self.can_store = True

    def reboot(self):
        """The terminal loses its power: what is stored is all that it knows."""
        self.dialogue = PurchaseDialogue(self.settings)
        self.sam.session = None

    def tap(self, card, order, *, lift=lambda _wire: None):
        """Hold a card to the terminal until nothing moves. lift: "before" or "after" a command, or None.

        Returns what happened, but for what SAM and store were asked.
        """
        first = len(self.events)
        card.power_off()
        self.dialogue.send(order, self.now)
        is_here = True
        while True:
            self._serve()
            if wire := self.dialogue.bytes_to_send():
                self.sent.append(wire)
                moment = lift(wire) if is_here else "gone"
                answer = None if moment in {"before", "gone"} else card.answer(decode_command(wire))
                if moment or answer is None:
                    is_here = False
                    self.dialogue.send(CardLost(), self.now)
                else:
                    self.dialogue.receive(encode_response(answer), self.now)
                continue
            if self.dialogue.state is not PurchaseState.IDLE:  # somebody is silent
                self.now = self.dialogue.next_deadline()
                self.dialogue.tick(self.now)
            elif self.dialogue.next_deadline() is None or self.dialogue.next_deadline() > self.now:
                return [event for event in self.events[first:] if not isinstance(event, (AskSam, Store))]

    def _serve(self):
        while (event := self.dialogue.next_event()) is not NEED_DATA:
            self.events.append(event)
            match event:
                case AskSam(command):
                    if (response := self.sam.ask(command)) is not None:
                        self.dialogue.send(SamAnswered(command, response), self.now)
                case Store(pending) if self.can_store:
                    self.store.append(msgspec.msgpack.encode(pending))
                    self.dialogue.send(Stored(pending), self.now)
                case Paid(pending) | NotDebited(pending) | Suspicious(pending):
                    self.drop(pending)
                case Declined(pending=pending) if pending is not None:
                    self.drop(pending)
                case Unknown(pending):
                    assert msgspec.msgpack.encode(pending) in self.store

    def drop(self, pending):
        """It is settled: the store need not hold it."""
        wire = msgspec.msgpack.encode(pending)
        if wire in self.store:
            self.store.remove(wire)


def cut_at(number, moment):
    """Lift the card before or after its n-th command."""
    left = [number]

    def lift(_wire):
        left[0] -= 1
        return moment if left[0] == 0 else None

    return lift
