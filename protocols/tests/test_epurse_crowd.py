"""A crowd of cards, and a hostile card and SAM: money is conserved whatever they do.

The one invariant: what the card lost is what was paid, plus at most what is still unknown; nothing is paid twice.
"""

import random
from contextlib import nullcontext, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.epurse.card import Tear
from protocols.epurse.purchase import PurchaseDialogue
from protocols.epurse.purchase_events import (
    AskSam,
    CardLost,
    Declined,
    NotDebited,
    Paid,
    PurchaseState,
    Resume,
    SamAnswered,
    Store,
    Stored,
    Suspicious,
    Unknown,
)
from protocols.iso14443.apdu import ResponseApdu
from protocols.tests.epurse_ends import FULL, SETTINGS, Bench, buy, cut_at, purse


class Ledger:
    """What cards lost, beside what the terminal says of it."""

    def __init__(self, cards):
        self.cards = cards
        self.start = [card.balance for card in cards]
        self.paid = []
        self.open_ends = {}

    def note(self, number, events):
        for event in events:
            match event:
                case Paid(pending):
                    self.paid.append(pending)
                    self.open_ends.pop(number, None)
                case Unknown(pending):
                    self.open_ends[number] = pending
                case NotDebited():
                    del self.open_ends[number]

    def check(self):
        for number, card in enumerate(self.cards):
            lost = self.start[number] - card.balance
            told = sum(pending.amount for pending in self.paid if pending.card == buy(number).card)
            assert lost - told in (0, self.open_ends[number].amount if number in self.open_ends else 0)
        serials = [(pending.card.card_number, pending.offline_serial) for pending in self.paid]
        assert len(serials) == len(set(serials))


def trouble(rng):
    """Where a card is lifted, if it is."""
    if rng.random() < 0.4:
        return cut_at(rng.randrange(1, 9), rng.choice(("before", "after")))
    return lambda _wire: None


@pytest.mark.parametrize("seed", range(40))
def test_a_crowd_of_cards_on_a_bad_reader_loses_and_gains_nothing(seed):
    """Cards come, leave anywhere and come back; SAM and store fail at times; the terminal loses its power."""
    rng = random.Random(seed)
    bench = Bench()
    cards = [purse(number, balance=100_000, counts_first=number % 2 == 1) for number in range(4)]
    ledger = Ledger(cards)
    for _tap in range(60):
        number = rng.randrange(4)
        bench.now += rng.random()
        bench.sam.is_silent = rng.random() < 0.05
        bench.can_store = rng.random() > 0.05
        cards[number].tear = rng.choice([*Tear, *[None] * 8])
        order = buy(number, rng.randrange(1, 500), **(FULL if rng.random() < 0.5 else {}))
        ledger.note(number, bench.tap(cards[number], order, lift=trouble(rng)))
        cards[number].tear = None
        if rng.random() < 0.1:
            bench.reboot()
            for pending in ledger.open_ends.values():
                bench.dialogue.send(Resume(pending), bench.now)
        assert len(bench.store) == len(ledger.open_ends) == len(bench.dialogue.kept)
        ledger.check()
    assert len(ledger.paid) > 10
    bench.sam.is_silent, bench.can_store = False, True
    for number, card in enumerate(cards):
        bench.tap(card, buy(number, 1))
        assert isinstance(bench.tap(card, buy(number, 1))[-1], Paid)
    assert (bench.store, bench.dialogue.kept, bench.sam.wrong_macs) == ([], (), 0)


ANSWERS = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [
            bytes.fromhex("00000b2200120000000100a1b2c3d49000"),
            bytes.fromhex("651e3e58ca7579bb9000"),
            bytes.fromhex("00000b229000"),
            bytes.fromhex("00000a5a9000"),
            bytes.fromhex("9000"),
            bytes.fromhex("9406"),
            bytes.fromhex("6108"),
            bytes.fromhex("6c10"),
        ]
    ),
)
SAM_ANSWERS = st.builds(
    ResponseApdu, st.sampled_from([b"", bytes(8)]) | st.binary(max_size=9), st.sampled_from([0x9000, 0x6985, 0x9302])
)
ACTS = st.one_of(
    st.tuples(st.just("card"), ANSWERS),
    st.tuples(st.just("sam"), SAM_ANSWERS),
    st.tuples(st.sampled_from(["stored", "lost", "wait", "buy"]), st.none()),
)


class HostileTalk:
    """A dialogue whose card and SAM answer anything. debits: how many 8054 went out; ended: how many are settled."""

    def __init__(self):
        self.dialogue = PurchaseDialogue(SETTINGS)
        self.now = 0.0
        self.asked = self.stored = None
        self.debits = self.ended = 0
        self.dialogue.send(buy(**FULL), self.now)

    def act(self, act, value):
        match act:
            case "card":
                self.dialogue.receive(value, self.now)
            case "sam" if self.asked is not None:
                self.dialogue.send(SamAnswered(self.asked, value), self.now)
            case "stored" if self.stored is not None:
                self.dialogue.send(Stored(self.stored), self.now)
            case "lost":
                self.dialogue.send(CardLost(), self.now)
            case "wait":
                self.wait()
            case "buy":
                with suppress(LocalProtocolError) if self.dialogue.state is not PurchaseState.IDLE else nullcontext():
                    self.dialogue.send(buy(**FULL), self.now)

    def wait(self):
        deadline = self.dialogue.next_deadline()
        if deadline is not None:
            self.now = max(self.now, deadline)
            self.dialogue.tick(self.now)
            assert self.dialogue.next_deadline() is None or self.dialogue.next_deadline() > self.now

    def check(self):
        is_open_before = self.debits > self.ended
        is_debit = self.dialogue.bytes_to_send()[:2] == b"\x80\x54"
        assert not (is_debit and is_open_before), "the card was told to debit before the last debit was settled"
        self.debits += is_debit
        while (event := self.dialogue.next_event()) is not NEED_DATA:
            self.note(event)
        assert len(self.dialogue.kept) <= 1

    def note(self, event):
        match event:
            case AskSam(command):
                self.asked = command
            case Store(pending):
                self.stored = pending
            case Paid() | NotDebited() | Suspicious():
                self.ended += 1
            case Declined():
                self.ended += self.debits > self.ended and not self.dialogue.kept
            case Unknown(pending):
                assert pending in self.dialogue.kept


@given(st.lists(ACTS, max_size=40))
def test_a_hostile_card_and_sam_make_no_error_and_no_second_debit(acts):
    talk = HostileTalk()
    for act, value in acts:
        talk.act(act, value)
        talk.check()
    assert talk.ended <= talk.debits
