"""The terminal's end of a purchase: every path of its table, every timer, and what is stored before money moves."""

import msgspec
import pytest

from protocols.core.errors import NEED_DATA, LocalProtocolError
from protocols.epurse import commands
from protocols.epurse.card import Tear
from protocols.epurse.card_exchange import MAX_FOLLOW_UPS
from protocols.epurse.cryptograms import SM4_P1
from protocols.epurse.purchase import PurchaseDialogue
from protocols.epurse.purchase_events import (
    AskSam,
    Buy,
    CardLost,
    Declined,
    Mac2,
    NotDebited,
    Paid,
    Pending,
    PurchaseSettings,
    PurchaseState,
    PurseCard,
    Resume,
    SamAnswered,
    Store,
    Stored,
    Suspicious,
    Unknown,
)
from protocols.epurse.sam import FactorOrder
from protocols.iso14443.apdu import ResponseApdu, decode_command
from protocols.tests.epurse_ends import SETTINGS, TERMINAL_ID, TRIP, Bench, SoftSam, buy, purse, trip_update

INIT_ANSWER = bytes.fromhex("00000b22001200000001 00a1b2c3d49000")
SAM_ANSWER = ResponseApdu(bytes.fromhex("0000abcd1b90e273"))
DEBIT_ANSWER = bytes.fromhex("651e3e58ca7579bb9000")


def started(order=None, *, until=PurchaseState.DEBITING, settings=SETTINGS):
    """A dialogue with a card that answers as the worked example does, up to a state."""
    dialogue = PurchaseDialogue(settings)
    dialogue.send(buy(updates=(trip_update(),)) if order is None else order, 0.0)
    while dialogue.state is not until:
        match dialogue.state:
            case PurchaseState.INITIALISING:
                dialogue.bytes_to_send()
                dialogue.receive(INIT_ANSWER, 0.0)
            case PurchaseState.ASKING_MAC1:
                dialogue.send(SamAnswered(dialogue.next_event().command, SAM_ANSWER), 0.0)
            case PurchaseState.UPDATING:
                dialogue.bytes_to_send()
                dialogue.receive(b"\x90\x00", 0.0)
            case PurchaseState.STORING:
                dialogue.send(Stored(dialogue.next_event().pending), 0.0)
            case PurchaseState.DEBITING:
                dialogue.bytes_to_send()
                dialogue.receive(DEBIT_ANSWER, 0.0)
    return dialogue


def events_of(dialogue):
    events = []
    while (event := dialogue.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def test_the_worked_purchase_byte_by_byte():
    card = PurseCard(bytes.fromhex("03105170010170907984"), bytes.fromhex("1051700101709079"), b"i" * 8)
    settings = PurchaseSettings(terminal_id=TERMINAL_ID, factor_order=FactorOrder.CARD)
    order = Buy(card=card, amount=200, trans_type=9, date=bytes.fromhex("20250314"), time=bytes.fromhex("091530"))
    dialogue = PurchaseDialogue(settings)
    dialogue.send(order, 0.0)
    assert dialogue.bytes_to_send().hex() == "805003020b01000000c85810000000010f"
    dialogue.receive(INIT_ANSWER, 0.0)
    asked = dialogue.next_event()
    assert asked.command.data.hex() == "a1b2c3d40012000000c8092025031409153001001051700101709079"
    dialogue.send(SamAnswered(asked.command, SAM_ANSWER), 0.0)
    assert dialogue.bytes_to_send() == b""
    stored = dialogue.next_event()
    assert (stored.pending.old_balance, stored.pending.offline_serial) == (2850, 18)
    dialogue.send(Stored(stored.pending), 0.0)
    assert dialogue.bytes_to_send().hex() == "805401000f0000abcd202503140915301b90e27308"
    dialogue.receive(DEBIT_ANSWER, 0.0)
    asked = dialogue.next_event()
    assert asked.command.data.hex() == "ca7579bb"
    dialogue.send(SamAnswered(asked.command, ResponseApdu()), 0.0)
    assert events_of(dialogue) == [Paid(stored.pending, bytes.fromhex("651e3e58"), Mac2.GENUINE, is_recovered=False)]
    assert (dialogue.state, dialogue.next_deadline(), dialogue.kept) == (PurchaseState.IDLE, None, ())


@pytest.mark.parametrize("suite", [None, SM4_P1])
def test_a_card_pays_again_and_again(suite):
    bench = Bench(sam=SoftSam() if suite is None else SoftSam(suite))
    card = purse() if suite is None else purse(suite=suite)
    for number in range(5):
        (paid,) = bench.tap(card, buy(updates=(trip_update(),)))
        assert (paid.mac2, paid.is_recovered, paid.pending.offline_serial) == (Mac2.GENUINE, False, number)
    assert (card.balance, card.records[0x1E][4], bench.store) == (1850, TRIP, [])


def test_a_purse_can_be_emptied():
    bench, card = Bench(), purse()
    (paid,) = bench.tap(card, buy(amount=2850))
    assert (paid.mac2, card.balance) == (Mac2.GENUINE, 0)


def test_an_entry_of_amount_0_is_recorded():
    bench, card = Bench(), purse()
    (paid,) = bench.tap(card, buy(amount=0, updates=(trip_update(),)))
    assert (paid.mac2, card.balance, card.records[0x1E][0]) == (Mac2.GENUINE, 2850, TRIP)


@pytest.mark.parametrize("order", [order for order in FactorOrder if order is not FactorOrder.CARD_ISSUER])
def test_a_sam_that_derives_otherwise_gives_a_mac_that_the_card_refuses(order):
    bench, card = Bench(PurchaseSettings(terminal_id=TERMINAL_ID, factor_order=order)), purse()
    (declined,) = bench.tap(card, buy())
    assert (declined.sw, declined.reason, card.balance, bench.store) == (0x9302, "the MAC is invalid", 2850, [])
    assert bench.dialogue.kept == ()


@pytest.mark.parametrize(
    ("amount", "sw", "reason"), [(2851, 0x9401, "insufficient balance"), (1 << 31, 0x9401, "insufficient balance")]
)
def test_what_the_card_refuses_at_first_is_declined(amount, sw, reason):
    bench, card = Bench(), purse()
    assert bench.tap(card, buy(amount=amount)) == [Declined(buy().card, reason, sw, None)]
    assert bench.sam.commands == []


def test_a_balance_that_is_not_the_one_that_was_read_is_declined():
    bench, card = Bench(), purse()
    (declined,) = bench.tap(card, buy(balance=2849))
    assert (type(declined), declined.sw, card.balance) == (Declined, None, 2850)
    assert isinstance(bench.tap(card, buy(balance=2850))[0], Paid)


def test_a_record_that_the_card_refuses_ends_it_before_the_debit():
    bench, card = Bench(), purse()
    (declined,) = bench.tap(card, buy(updates=(trip_update(), commands.RecordUpdate(0x19, 0xB1, bytes(43)))))
    assert (declined.sw, card.balance, bench.store) == (0x6985, 2850, [])
    assert not any(isinstance(event, Store) for event in bench.events)


def test_a_sam_that_lost_its_selection_is_selected_once():
    bench, card = Bench(), purse()
    bench.sam.is_selected = False
    (paid,) = bench.tap(card, buy())
    assert paid.mac2 is Mac2.GENUINE
    assert [command.ins for command in bench.sam.commands] == [0x70, 0xA4, 0x70, 0x72]


@pytest.mark.parametrize("sw", [0x6985, 0x6A88])
def test_a_sam_that_refuses_again_ends_it(sw):
    dialogue = started(until=PurchaseState.ASKING_MAC1)
    dialogue.send(SamAnswered(dialogue.next_event().command, ResponseApdu(sw=sw)), 0.0)
    assert dialogue.state is PurchaseState.SELECTING_SAM
    dialogue.send(SamAnswered(dialogue.next_event().command, ResponseApdu()), 0.0)
    dialogue.send(SamAnswered(dialogue.next_event().command, ResponseApdu(sw=sw)), 0.0)
    (declined,) = events_of(dialogue)
    assert (type(declined), declined.sw, dialogue.bytes_to_send()) == (Declined, sw, b"")


@pytest.mark.parametrize("response", [ResponseApdu(sw=0x6983), ResponseApdu(b"\x00" * 7), ResponseApdu(sw=0x6A82)])
def test_a_sam_that_refuses_ends_it(response):
    dialogue = started(until=PurchaseState.ASKING_MAC1)
    dialogue.send(SamAnswered(dialogue.next_event().command, response), 0.0)
    (declined,) = events_of(dialogue)
    assert isinstance(declined, Declined)
    assert declined.reason.startswith("SAM: ")


def test_a_sam_that_cannot_be_selected_ends_it():
    dialogue = started(until=PurchaseState.ASKING_MAC1)
    dialogue.send(SamAnswered(dialogue.next_event().command, ResponseApdu(sw=0x6985)), 0.0)
    dialogue.send(SamAnswered(dialogue.next_event().command, ResponseApdu(sw=0x6A82)), 0.0)
    assert [type(event) for event in events_of(dialogue)] == [Declined]


@pytest.mark.parametrize(
    ("response", "mac2"),
    [
        (ResponseApdu(), Mac2.GENUINE),
        (ResponseApdu(sw=0x9302), Mac2.WRONG),
        (ResponseApdu(sw=0x6901), Mac2.UNCHECKED),
        (None, Mac2.UNCHECKED),
    ],
)
@pytest.mark.parametrize("is_lost", [False, True])
def test_once_debited_it_is_paid_whatever_the_sam_says(response, mac2, is_lost):
    dialogue = started(until=PurchaseState.CHECKING_MAC2)
    if is_lost:
        dialogue.send(CardLost(), 0.0)
    assert dialogue.state is PurchaseState.CHECKING_MAC2
    asked = dialogue.next_event().command
    if response is None:
        dialogue.tick(1.0)
    else:
        dialogue.send(SamAnswered(asked, response), 0.0)
    (paid,) = events_of(dialogue)
    assert (paid.mac2, paid.tac.hex(), dialogue.kept) == (mac2, "651e3e58", ())


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (PurchaseState.INITIALISING, Declined),
        (PurchaseState.ASKING_MAC1, Declined),
        (PurchaseState.UPDATING, Declined),
        (PurchaseState.STORING, Declined),
        (PurchaseState.DEBITING, Unknown),
        (PurchaseState.CHECKING_MAC2, Paid),
    ],
)
def test_every_wait_has_an_end(state, outcome):
    settings = PurchaseSettings(terminal_id=TERMINAL_ID, card_timeout_s=0.3, sam_timeout_s=0.3, store_timeout_s=0.3)
    dialogue = started(until=state, settings=settings)
    assert dialogue.next_deadline() == 0.3
    dialogue.tick(0.2)
    assert dialogue.state is state
    dialogue.tick(0.3)
    event = events_of(dialogue)[-1]
    assert (type(event), dialogue.state, dialogue.bytes_to_send()) == (outcome, PurchaseState.IDLE, b"")


@pytest.mark.parametrize("state", [PurchaseState.INITIALISING, PurchaseState.ASKING_MAC1, PurchaseState.UPDATING])
def test_a_card_that_leaves_before_the_debit_pays_nothing(state):
    dialogue = started(until=state)
    dialogue.send(CardLost(), 0.0)
    assert isinstance(events_of(dialogue)[-1], Declined)
    assert (dialogue.state, dialogue.kept, dialogue.bytes_to_send()) == (PurchaseState.IDLE, (), b"")


def test_the_card_debits_nothing_that_is_not_stored():
    dialogue = started(until=PurchaseState.STORING)
    pending = dialogue.next_event().pending
    assert dialogue.bytes_to_send() == b""
    other = msgspec.structs.replace(pending, terminal_serial=pending.terminal_serial + 1)
    dialogue.send(Stored(other), 0.0)
    assert dialogue.bytes_to_send() == b""
    dialogue.send(CardLost(), 0.0)
    dialogue.send(Stored(pending), 0.0)
    assert dialogue.bytes_to_send() == b""
    assert events_of(dialogue) == [Declined(pending.card, "the card left", None, pending)]


def test_a_store_that_fails_declines():
    bench, card = Bench(), purse()
    bench.can_store = False
    (declined,) = bench.tap(card, buy())
    assert (declined.reason, card.balance, declined.pending is None) == ("not stored in time", 2850, False)


def test_what_comes_late_or_from_nowhere_is_passed_over():
    dialogue = started(until=PurchaseState.ASKING_MAC1)
    asked = dialogue.next_event().command
    dialogue.receive(INIT_ANSWER, 0.0)  # a card says nothing while the SAM is asked
    dialogue.send(SamAnswered(commands.get_balance(), SAM_ANSWER), 0.0)
    assert dialogue.state is PurchaseState.ASKING_MAC1
    dialogue.tick(1.0)
    assert [type(event) for event in events_of(dialogue)] == [Declined]
    dialogue.send(SamAnswered(asked, SAM_ANSWER), 1.0)
    dialogue.send(CardLost(), 1.0)
    dialogue.receive(DEBIT_ANSWER, 1.0)
    assert (events_of(dialogue), dialogue.bytes_to_send()) == ([], b"")


def test_an_answer_in_pieces_is_fetched_and_a_wrong_le_mended():
    dialogue = started(until=PurchaseState.INITIALISING)
    first = decode_command(dialogue.bytes_to_send())
    dialogue.receive(bytes.fromhex("6c0f"), 0.0)
    assert first.ne == 15
    assert dialogue.state is PurchaseState.IDLE  # it had that Le: a card that contradicts itself
    dialogue = started(until=PurchaseState.INITIALISING)
    dialogue.bytes_to_send()
    dialogue.receive(INIT_ANSWER[:7] + bytes.fromhex("6108"), 0.0)
    assert dialogue.bytes_to_send().hex() == "00c0000008"
    dialogue.receive(INIT_ANSWER[7:], 0.0)
    assert isinstance(dialogue.next_event(), AskSam)


def test_a_card_that_never_ends_is_refused():
    dialogue = started(until=PurchaseState.INITIALISING)
    for _number in range(MAX_FOLLOW_UPS):
        assert dialogue.bytes_to_send()
        dialogue.receive(bytes(200) + b"\x61\x00", 0.0)
        assert dialogue.state is PurchaseState.INITIALISING
    dialogue.receive(bytes(200) + b"\x61\x00", 0.0)
    assert [type(event) for event in events_of(dialogue)] == [Declined]


@pytest.mark.parametrize(
    "order",
    [
        buy(amount=1 << 32),
        buy(amount=-1),
        buy(updates=(trip_update(),), trans_type=6),
        buy(updates=(trip_update(),) * 9),
        buy(updates=(commands.RecordUpdate(0x1E, 256, TRIP),)),
        buy(updates=(commands.RecordUpdate(0, 0, TRIP),)),
        buy(key_index=256),
        buy(trans_type=256),
        msgspec.structs.replace(buy(), date=b"\x20"),
        msgspec.structs.replace(buy(), time=bytes(4)),
        msgspec.structs.replace(buy(), card=PurseCard(b"", b"", bytes(8))),
    ],
)
def test_a_purchase_that_cannot_be_is_our_own_error(order):
    dialogue = PurchaseDialogue(SETTINGS)
    with pytest.raises(LocalProtocolError):
        dialogue.send(order, 0.0)
    assert (dialogue.state, dialogue.bytes_to_send()) == (PurchaseState.IDLE, b"")


def test_one_purchase_at_a_time_and_one_open_end_a_card():
    dialogue = started(until=PurchaseState.STORING)
    with pytest.raises(LocalProtocolError):
        dialogue.send(buy(1), 0.0)
    pending = dialogue.next_event().pending
    with pytest.raises(LocalProtocolError):
        dialogue.send(Resume(pending), 0.0)
    dialogue.send(CardLost(), 0.0)
    dialogue.send(Resume(pending), 0.0)
    with pytest.raises(LocalProtocolError):
        dialogue.send(Resume(pending), 0.0)


@pytest.mark.parametrize("wrong", [{"proof_offsets": ()}, {"max_kept": 0}])
def test_settings_that_cannot_be_are_our_own_error(wrong):
    with pytest.raises(LocalProtocolError):
        PurchaseDialogue(PurchaseSettings(terminal_id=TERMINAL_ID, **wrong))


def test_what_is_kept_goes_when_its_time_is_up_or_the_oldest_for_room():
    settings = PurchaseSettings(terminal_id=TERMINAL_ID, keep_s=60.0, max_kept=2)
    bench = Bench(settings)
    for number in range(3):
        card = purse(number)
        card.tear = Tear.AFTER_COMMIT
        bench.now = float(number)
        events = bench.tap(card, buy(number))
        assert isinstance(events[-1], Unknown)
    assert [type(event) for event in bench.events if isinstance(event, Suspicious)] == [Suspicious]
    assert len(bench.dialogue.kept) == len(bench.store) == 2
    assert bench.dialogue.next_deadline() == 61.0
    bench.dialogue.tick(60.5)
    assert events_of(bench.dialogue) == []
    bench.dialogue.tick(62.0)
    assert [event.pending.card for event in events_of(bench.dialogue)] == [buy(1).card, buy(2).card]
    assert bench.dialogue.next_deadline() is None


def test_what_is_being_settled_does_not_expire_meanwhile():
    bench, card = Bench(), purse()
    card.tear = Tear.AFTER_COMMIT
    bench.tap(card, buy())
    late = SETTINGS.keep_s + 0.5
    bench.dialogue.send(buy(), late - 1.0)
    assert bench.dialogue.next_deadline() == late
    bench.dialogue.tick(late - 0.4)
    assert (events_of(bench.dialogue), len(bench.dialogue.kept)) == ([], 1)


def test_a_pending_purchase_is_stored_and_read_back():
    pending = started(until=PurchaseState.STORING).next_event().pending
    for codec in (msgspec.msgpack, msgspec.json):
        assert codec.decode(codec.encode(pending), type=Pending) == pending


def test_no_event_of_a_torn_purchase_says_that_it_was_not_debited():
    bench, card = Bench(), purse()
    card.tear = Tear.AFTER_COMMIT
    events = bench.tap(card, buy())
    assert [type(event) for event in events] == [Unknown]
    assert not any(isinstance(event, (NotDebited, Declined, Paid)) for event in events)
