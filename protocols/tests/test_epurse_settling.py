"""Money is conserved: a purchase is torn at every command, and settled with and without the terminal's memory.

The one invariant: what the card lost is what was paid, plus at most what is still unknown; nothing is paid twice.
"""

import msgspec
import pytest

from protocols.epurse.commands import INS_DEBIT, PURSE_LOAD
from protocols.epurse.purchase import PurchaseDialogue
from protocols.epurse.purchase_events import (
    Declined,
    Mac2,
    NotDebited,
    Paid,
    PurchaseSettings,
    PurchaseState,
    Resume,
    Unknown,
)
from protocols.epurse.union_files import PurseRecord
from protocols.iso14443.apdu import ResponseApdu
from protocols.tests.epurse_ends import DATE, FULL, SETTINGS, TERMINAL_ID, TIME, Bench, SoftSam, buy, cut_at, purse

COUNTS_FIRST = PurchaseSettings(terminal_id=TERMINAL_ID, proof_offsets=(1,))
LAST_COMMAND = 3
"""8050, 80DC, 8054."""


@pytest.mark.parametrize("is_rebooted", [False, True])
@pytest.mark.parametrize(
    ("settings", "counts_first"),
    [(SETTINGS, False), (COUNTS_FIRST, True), (SETTINGS, True)],
    ids=["as is", "first", "?"],
)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, LAST_COMMAND + 1))
def test_a_purchase_torn_at_any_command_is_settled_when_the_card_is_back(
    number, moment, settings, counts_first, is_rebooted
):
    bench, card = Bench(settings), purse(counts_first=counts_first)
    events = bench.tap(card, buy(**FULL), lift=cut_at(number, moment))
    is_debited = (number, moment) == (LAST_COMMAND, "after")
    is_open = number == LAST_COMMAND
    assert card.balance == (2650 if is_debited else 2850)
    assert [type(event) for event in events] == [Unknown if is_open else Declined]
    assert len(bench.store) == is_open
    if is_rebooted:
        bench.reboot()
        for event in events:
            if isinstance(event, Unknown):
                bench.dialogue.send(Resume(event.pending), bench.now)
    events = bench.tap(card, buy(**FULL))
    assert card.balance == 2650
    if is_debited:
        (paid,) = events
        assert paid.is_recovered
        assert paid.tac is not None
        assert paid.mac2 is (Mac2.UNCHECKED if is_rebooted else Mac2.GENUINE)
    else:
        assert [type(event) for event in events] == ([NotDebited, Paid] if is_open else [Paid])
        assert not events[-1].is_recovered
    assert (bench.store, bench.dialogue.kept, bench.sam.wrong_macs) == ([], (), 0)


@pytest.mark.parametrize("number", range(1, 5))
def test_settling_that_is_torn_too_goes_on_at_the_next_tap(number):
    bench, card = Bench(), purse()
    bench.tap(card, buy(**FULL), lift=cut_at(LAST_COMMAND, "after"))
    events = bench.tap(card, buy(**FULL), lift=cut_at(number, "before"))
    assert [type(event) for event in events] == ([Unknown] if number < 4 else [Paid])
    if number < 4:
        assert bench.dialogue.kept == (events[0].pending,)
        (paid,) = bench.tap(card, buy(**FULL))
        assert paid.is_recovered
    assert card.balance == 2650


def test_another_card_pays_while_the_first_is_away():
    bench, first, second = Bench(), purse(1), purse(2)
    bench.tap(first, buy(1), lift=cut_at(2, "after"))
    (paid,) = bench.tap(second, buy(2))
    assert (paid.is_recovered, second.balance, len(bench.dialogue.kept)) == (False, 2650, 1)
    (paid,) = bench.tap(first, buy(1))
    assert (paid.is_recovered, paid.mac2, first.balance) == (True, Mac2.UNCHECKED, 2650)  # the SAM went on
    assert bench.sam.wrong_macs == 0


def test_a_sam_that_took_another_purchase_silently_is_asked_nothing():
    bench, first, second = Bench(), purse(1), purse(2)
    bench.tap(first, buy(1), lift=cut_at(2, "after"))
    bench.sam.is_silent = True
    bench.tap(second, buy(2))
    bench.sam.is_silent = False
    bench.sam.commands.clear()
    (paid,) = bench.tap(first, buy(1))
    assert (paid.mac2, bench.sam.commands) == (Mac2.UNCHECKED, [])


def test_a_new_purchase_that_is_refused_has_nothing_of_the_settled_one():
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "before"))
    settled, declined = bench.tap(card, buy(amount=9999))
    assert isinstance(settled, NotDebited)
    assert declined == Declined(buy().card, "insufficient balance", 0x9401, None)


@pytest.mark.parametrize(("serial", "asked"), [(0x1234, ["1234", "1235"]), (0xFFFF, ["ffff", "0000"])])
def test_the_proof_is_asked_for_with_the_serial_and_then_the_next(serial, asked):
    bench, card = Bench(), purse()
    (unknown,) = bench.tap(card, buy(), lift=cut_at(2, "before"))
    dialogue = PurchaseDialogue(SETTINGS)
    dialogue.send(Resume(msgspec.structs.replace(unknown.pending, offline_serial=serial)), 0.0)
    dialogue.send(buy(), 0.0)
    for number in asked:
        assert dialogue.bytes_to_send().hex() == f"805a000602{number}08"
        dialogue.receive(b"\x94\x06", 0.0)
    assert dialogue.state is PurchaseState.WEIGHING


@pytest.mark.parametrize("settings", [SETTINGS, COUNTS_FIRST])
@pytest.mark.parametrize("amount", [0, 200])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_proof_of_an_earlier_purchase_is_not_believed(settings, amount, moment):
    """A card that counts first keeps the earlier proof under the serial number that 8050 gives now."""
    bench, card = Bench(settings), purse(counts_first=True)
    bench.tap(card, buy(amount=amount))
    bench.tap(card, buy(amount=amount), lift=cut_at(2, moment))
    events = bench.tap(card, buy(amount=amount))
    assert [type(event) for event in events] == ([Paid] if moment == "after" else [NotDebited, Paid])
    assert events[-1].is_recovered is (moment == "after")
    assert (card.balance, card.offline_serial, bench.sam.wrong_macs) == (2850 - 2 * amount, 2, 0)


def test_a_refused_debit_beside_an_earlier_proof_is_declined():
    bench, card = Bench(), purse(counts_first=True)
    bench.tap(card, buy())
    (declined,) = bench.tap(Garbling(card, ResponseApdu(sw=0x9302), is_debited=False), buy())
    assert (declined.sw, card.balance, bench.dialogue.kept) == (0x9302, 2650, ())


@pytest.mark.parametrize("amount", [200, 300])
def test_a_purchase_at_another_terminal_is_not_taken_for_this_one(amount):
    """It may cost as much, and its proof has the serial number that this one would have had."""
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "before"))
    elsewhere = b"\x58\x10\x00\x00\x00\x02"
    other = Bench(PurchaseSettings(terminal_id=elsewhere), SoftSam(terminal_id=elsewhere))
    assert [type(event) for event in other.tap(card, buy(amount=amount))] == [Paid]
    (unknown,) = bench.tap(card, buy())
    assert isinstance(unknown, Unknown)
    assert (card.balance, len(bench.store), bench.sam.wrong_macs) == (2850 - amount, 1, 0)


def test_a_purchase_and_a_load_elsewhere_that_come_to_the_same_are_not_taken_for_this_one():
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "before"))
    card.balance += -500 + 300
    card._proofs.clear()
    load = PurseRecord(0, 0, 300, PURSE_LOAD, b"\x58\x10\x00\x00\x00\x02", DATE, TIME)
    card.records[0x18].insert(0, load.to_bytes())
    (unknown,) = bench.tap(card, buy())
    assert isinstance(unknown, Unknown)


@pytest.mark.parametrize("record", [bytes(22), bytes(23), b"\xff" * 23, b""])
def test_a_log_that_tells_nothing_leaves_it_to_balance_and_proof(record):
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "after"))
    card.records[0x18][0] = record
    (paid,) = bench.tap(card, buy())
    assert (paid.is_recovered, paid.mac2, card.balance) == (True, Mac2.GENUINE, 2650)


def test_a_card_that_was_loaded_since_stays_unknown():
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "after"))
    card.balance += 200
    (unknown,) = bench.tap(card, buy())
    assert isinstance(unknown, Unknown)
    assert (card.balance, bench.dialogue.kept) == (2850, (unknown.pending,))


@pytest.mark.parametrize("answer", ["6982", "9000", "00000b21001200000001 00a1b2c3d49000"])
def test_a_counter_that_cannot_be_read_leaves_it_unknown(answer):
    bench, card = Bench(), purse()
    (unknown,) = bench.tap(card, buy(), lift=cut_at(2, "after"))
    dialogue = PurchaseDialogue(SETTINGS)
    dialogue.send(Resume(unknown.pending), 0.0)
    dialogue.send(buy(), 0.0)
    for one in ("ca7579bb651e3e589000", "00000b229000", answer):
        dialogue.receive(bytes.fromhex(one), 0.0)
    event = dialogue.next_event()
    assert isinstance(event, Unknown)
    assert event.reason.startswith("the counter cannot be read")


def test_a_debit_without_proof_is_seen_in_the_balance():
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "after"))
    card._proofs.clear()
    (paid,) = bench.tap(card, buy())
    assert (paid.tac, paid.mac2, paid.is_recovered, card.balance) == (None, Mac2.UNCHECKED, True, 2650)


@pytest.mark.parametrize("balance", [2849, 0, 2851, 2651])
@pytest.mark.parametrize("has_proof", [False, True])
def test_a_balance_that_fits_neither_stays_unknown(balance, has_proof):
    bench, card = Bench(), purse()
    bench.tap(card, buy(), lift=cut_at(2, "after"))
    card.balance = balance
    if not has_proof:
        card._proofs.clear()
    (unknown,) = bench.tap(card, buy())
    assert isinstance(unknown, Unknown)
    assert (card.balance, len(bench.dialogue.kept), len(bench.store)) == (balance, 1, 1)


@pytest.mark.parametrize(("balance", "outcome"), [("00000b22", NotDebited), ("00000a5a", Paid), ("00000000", Unknown)])
def test_a_proof_of_the_wrong_length_is_none(balance, outcome):
    bench, card = Bench(), purse()
    (unknown,) = bench.tap(card, buy(), lift=cut_at(2, "after"))
    dialogue = PurchaseDialogue(SETTINGS)
    dialogue.send(Resume(unknown.pending), 0.0)
    dialogue.send(buy(), 0.0)
    for answer in ("00" * 7 + "9000", "9406", balance + "9000", "6a83"):
        dialogue.receive(bytes.fromhex(answer), 0.0)
    assert isinstance(dialogue.next_event(), outcome)


def test_a_card_whose_balance_cannot_be_read_stays_unknown():
    bench, card = Bench(), purse()
    (unknown,) = bench.tap(card, buy(), lift=cut_at(2, "after"))
    for answers in (["9406", "9406", "6982"], ["9406", "9406", "0000009000"], ["", "9406", "6a81"]):
        dialogue = PurchaseDialogue(SETTINGS)
        dialogue.send(Resume(unknown.pending), 0.0)
        dialogue.send(buy(), 0.0)
        for answer in answers:
            assert dialogue.bytes_to_send()
            dialogue.receive(bytes.fromhex(answer), 0.0)
        event = dialogue.next_event()
        assert isinstance(event, Unknown)
        assert event.reason
        assert dialogue.kept == (unknown.pending,)


class Garbling:
    """A card that answers 8054 with something else, whether it was debited or not."""

    def __init__(self, card, answer, *, is_debited):
        self.card, self.said, self.is_debited = card, answer, is_debited

    def power_off(self):
        self.card.power_off()

    def answer(self, command):
        if command.ins != INS_DEBIT:
            return self.card.answer(command)
        if self.is_debited:
            self.card.answer(command)
        return self.said


@pytest.mark.parametrize("sw", [0x9302, 0x6581, 0x6901, 0x9000, 0x6283])
@pytest.mark.parametrize("data", [b"", bytes(7), bytes(9)])
@pytest.mark.parametrize("is_debited", [False, True])
def test_only_proof_and_balance_say_what_a_refused_debit_did(sw, data, is_debited):
    """A card may debit and yet answer nonsense, or refuse and mean it."""
    bench, card = Bench(), purse()
    (event,) = bench.tap(Garbling(card, ResponseApdu(data, sw), is_debited=is_debited), buy())
    if is_debited:
        assert isinstance(event, Paid)
        assert event.mac2 is Mac2.GENUINE
        assert not event.is_recovered
    else:
        assert isinstance(event, Declined)
        assert event.reason
    assert card.balance == (2650 if is_debited else 2850)
    assert (bench.dialogue.kept, bench.store) == ((), [])


def test_an_entry_of_amount_0_is_settled_by_its_proof():
    bench, card = Bench(), purse()
    bench.tap(card, buy(amount=0), lift=cut_at(2, "after"))
    (paid,) = bench.tap(card, buy(amount=0))
    assert (paid.is_recovered, paid.mac2, bench.sam.wrong_macs) == (True, Mac2.UNCHECKED, 0)
    bench.tap(card, buy(amount=0), lift=cut_at(2, "before"))
    assert [type(event) for event in bench.tap(card, buy(amount=0))] == [NotDebited, Paid]
