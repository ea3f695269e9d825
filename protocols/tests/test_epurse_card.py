"""The card's end: what a purse does, what it refuses, and that a purchase takes place whole or not at all."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.core.errors import LocalProtocolError
from protocols.epurse import commands
from protocols.epurse.card import PurseKeys, Tear
from protocols.epurse.cryptograms import SM4_P1, TRIPLE_DES, LoadTerms, PurchaseTerms
from protocols.epurse.load_tables import CreditCommand, InitLoadAnswer
from protocols.epurse.purchase_tables import DebitAnswer, DebitCommand, InitCommand, InitPurchaseAnswer, ProveAnswer
from protocols.epurse.selection import select
from protocols.epurse.union_files import PublicData, PurseRecord
from protocols.iso14443.apdu import CommandApdu, read_binary, read_record
from protocols.tests.epurse_ends import (
    DATE,
    LOAD_MASTER,
    PURCHASE_MASTER,
    TAC_MASTER,
    TERMINAL_ID,
    TIME,
    TRIP,
    public_data,
    purse,
    trip_update,
)

INIT = InitCommand(1, 200, TERMINAL_ID)
SERIAL = 0xABCD


def key_of(card, suite, master):
    data = PublicData.from_bytes(card.public_data)
    return suite.derive(master, data.card_factor, data.issuer_id)


def begin(card, trans_type=commands.COMPOSITE_PURCHASE, init=INIT):
    return InitPurchaseAnswer.from_bytes(card.answer(commands.init_purchase(init, trans_type)).data)


def terms_of(answer, trans_type=commands.COMPOSITE_PURCHASE, amount=200):
    return PurchaseTerms(amount, trans_type, TERMINAL_ID, SERIAL, DATE, TIME, answer.random, answer.offline_serial)


def debit_of(card, terms, suite=TRIPLE_DES):
    session = suite.session_key(key_of(card, suite, PURCHASE_MASTER), terms.seed())
    return commands.debit(DebitCommand(SERIAL, DATE, TIME, suite.mac(session, terms.mac1_input())))


def image(card):
    return (card.balance, card.offline_serial, card.online_serial, {key: tuple(v) for key, v in card.records.items()})


@pytest.mark.parametrize("suite", [TRIPLE_DES, SM4_P1])
@pytest.mark.parametrize("trans_type", [commands.PURSE_PURCHASE, commands.COMPOSITE_PURCHASE])
def test_a_purchase_debits_logs_and_proves(suite, trans_type):
    card = purse(suite=suite)
    terms = terms_of(begin(card, trans_type), trans_type)
    session = suite.session_key(key_of(card, suite, PURCHASE_MASTER), terms.seed())
    answer = DebitAnswer.from_bytes(card.answer(debit_of(card, terms, suite)).data)
    assert answer.mac2 == suite.mac(session, terms.mac2_input())
    assert answer.tac == suite.tac(key_of(card, suite, TAC_MASTER), terms.tac_input())
    assert (card.balance, card.offline_serial) == (2650, 1)
    log = card.answer(read_record(1, 23, short_id=0x18)).data
    assert PurseRecord.from_bytes(log) == PurseRecord(0, 0, 200, trans_type, TERMINAL_ID, DATE, TIME)
    assert len(card.records[0x18]) == 10
    proof = card.answer(commands.prove(trans_type, 0))
    assert ProveAnswer.from_bytes(proof.data) == ProveAnswer(answer.mac2, answer.tac)
    assert card.answer(commands.prove(trans_type, 1)).sw == 0x9406
    assert card.answer(commands.get_balance()).data.hex() == "00000a5a"


def test_a_load_credits_and_proves():
    card = purse(balance=0xB22)
    answer = InitLoadAnswer.from_bytes(card.answer(commands.init_load(InitCommand(1, 5000, TERMINAL_ID))).data)
    terms = LoadTerms(0xB22, 5000, commands.PURSE_LOAD, TERMINAL_ID, 0, answer.random, DATE, TIME)
    session = TRIPLE_DES.session_key(key_of(card, TRIPLE_DES, LOAD_MASTER), terms.seed())
    assert answer.mac1 == TRIPLE_DES.mac(session, terms.mac1_input())
    mac2 = TRIPLE_DES.mac(session, terms.mac2_input())
    tac = card.answer(commands.credit(CreditCommand(DATE, TIME, mac2))).data
    assert tac == TRIPLE_DES.tac(key_of(card, TRIPLE_DES, TAC_MASTER), terms.tac_input())
    assert (card.balance, card.online_serial, card.offline_serial) == (0xB22 + 5000, 1, 0)
    assert ProveAnswer.from_bytes(card.answer(commands.prove(commands.PURSE_LOAD, 0)).data).tac == tac


def test_a_composite_purchase_writes_its_records_with_the_debit():
    card = purse()
    terms = terms_of(begin(card))
    toll = bytes((0xAA, 0x29)) + b"\x00" + b"T" * 40
    updates = [trip_update(), commands.RecordUpdate(0x19, 0xAA, toll)]
    for update in updates:
        assert card.answer(commands.update_record(update)).ok
    assert card.records[0x1E][0] == bytes(48)
    assert card.answer(debit_of(card, terms)).ok
    assert card.answer(read_record(1, 48, short_id=0x1E)).data == TRIP
    assert card.answer(commands.read_record_by_id(0xAA, 43, short_id=0x19)).data == toll
    assert len(card.records[0x1E]) == 30


@pytest.mark.parametrize(
    ("update", "sw"),
    [
        (commands.RecordUpdate(0x1E, 0, TRIP[1:]), 0x6700),
        (commands.RecordUpdate(0x1D, 0, TRIP), 0x6A82),
        (commands.RecordUpdate(0x19, 0xEE, bytes(43)), 0x6A83),
        (commands.RecordUpdate(0x19, 3, bytes(43), is_number=True), 0x6A83),
        (commands.RecordUpdate(0x19, 0xB1, bytes(43)), 0x6985),
    ],
)
def test_an_update_that_does_not_fit_is_refused(update, sw):
    card = purse()
    begin(card)
    assert card.answer(commands.update_record(update)).sw == sw


@pytest.mark.parametrize("tear", Tear)
def test_a_torn_purchase_took_place_whole_or_not_at_all(tear):
    card, whole = purse(), purse()
    before = image(card)
    begin(whole)
    for each in (card, whole):
        terms = terms_of(begin(each))
        each.answer(commands.update_record(trip_update()))
        debit = debit_of(each, terms)
        if each is card:
            card.tear = tear
            if tear is Tear.AFTER_INIT:
                assert card.answer(commands.init_purchase(INIT, commands.COMPOSITE_PURCHASE)) is None
                assert card.answer(debit).sw == 0x6901
                continue
            if tear is Tear.AFTER_UPDATE:
                assert card.answer(commands.update_record(trip_update())) is None
                assert card.answer(debit).sw == 0x6901
                continue
            assert card.answer(debit) is None
        else:
            assert whole.answer(debit).ok
    assert image(card) == (image(whole) if tear is Tear.AFTER_COMMIT else before)
    assert card.answer(commands.prove(9, 0)).ok is (tear is Tear.AFTER_COMMIT)
    assert card.tear is None


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        (commands.debit(DebitCommand(1, DATE, TIME, bytes(4))), 0x6901),
        (commands.credit(CreditCommand(DATE, TIME, bytes(4))), 0x6901),
        (commands.update_record(trip_update()), 0x6901),
        (commands.init_purchase(InitCommand(1, 2851, TERMINAL_ID), 6), 0x9401),
        (commands.init_purchase(InitCommand(2, 1, TERMINAL_ID), 6), 0x9403),
        (commands.init_purchase(INIT, 6, purse=commands.DEPOSIT), 0x6A86),
        (commands.init_load(InitCommand(1, 0x7FFF_FFFF, TERMINAL_ID)), 0x6A80),
        (CommandApdu(0x80, 0x50, 2, 2, INIT.to_bytes(), 15), 0x6A86),
        (CommandApdu(0x80, 0x50, 1, 2, bytes(10), 15), 0x6700),
        (CommandApdu(0x80, 0x5A, 0, 6, bytes(3), 8), 0x6700),
        (commands.prove(6, 0), 0x9406),
        (commands.get_balance(part=1), 0x6A86),
        (CommandApdu(0x80, 0x99, 0, 0), 0x6D00),
        (CommandApdu(0, 0x99, 0, 0), 0x6D00),
        (CommandApdu(0x90, 0x50, 0, 0), 0x6E00),
        (select(b"another"), 0x6A82),
        (read_binary(30, 1, short_id=0x15), 0x6B00),
        (read_binary(0, 1, short_id=0x16), 0x6A82),
        (read_record(1, 1, short_id=0x10), 0x6A82),
        (read_record(11, 1, short_id=0x18), 0x6A83),
    ],
)
def test_what_does_not_belong_is_refused_and_changes_nothing(command, sw):
    card = purse()
    before = image(card)
    assert card.answer(command).sw == sw
    assert image(card) == before


def test_it_reads_and_gives_random_numbers():
    card = purse()
    assert card.answer(select(card.name)).ok
    assert card.answer(read_binary(0, 256, short_id=0x15)).data == public_data()
    assert len(card.answer(commands.get_challenge(8)).data) == 8
    assert card.answer(commands.get_challenge(4)).data != card.answer(commands.get_challenge(4)).data


@pytest.mark.parametrize("kind", ["debit", "credit"])
def test_a_wrong_mac_changes_nothing_and_ends_what_was_begun(kind):
    card = purse()
    before = image(card)
    if kind == "debit":
        begin(card)
        command = commands.debit(DebitCommand(SERIAL, DATE, TIME, bytes(4)))
    else:
        card.answer(commands.init_load(INIT))
        command = commands.credit(CreditCommand(DATE, TIME, bytes(4)))
    assert card.answer(command).sw == 0x9302
    assert card.answer(command).sw == 0x6901
    assert image(card) == before


def test_purchase_and_load_do_not_end_one_another():
    card = purse()
    card.answer(commands.init_load(INIT))
    assert card.answer(commands.debit(DebitCommand(SERIAL, DATE, TIME, bytes(4)))).sw == 0x6901
    begin(card)
    assert card.answer(commands.credit(CreditCommand(DATE, TIME, bytes(4)))).sw == 0x6901
    begin(card, commands.PURSE_PURCHASE)
    assert card.answer(commands.update_record(trip_update())).sw == 0x6901


def test_another_command_between_forgets_what_was_begun():
    card = purse()
    debit = debit_of(card, terms_of(begin(card)))
    card.answer(commands.get_balance())
    assert card.answer(debit).sw == 0x6901


def test_full_counters_end_a_card():
    card = purse()
    card.offline_serial = card.online_serial = 0xFFFF
    assert card.answer(commands.init_purchase(INIT, 6)).sw == 0x9402
    assert card.answer(commands.init_load(INIT)).sw == 0x9402


def test_keys_show_nowhere():
    keys = PurseKeys(b"\x5e\xc2" * 8, b"\x5e\xc2" * 8, b"\x5e\xc2" * 8)
    assert repr(keys) == str(keys) == "PurseKeys(...)"
    assert "5ec2" not in repr(purse()).lower()


@pytest.mark.parametrize("records", [{5: []}, {5: [bytes(3), b""]}, {5: [bytes(2)]}])
def test_a_file_without_records_or_lock_flags_is_refused(records):
    with pytest.raises(LocalProtocolError):
        purse(records=records)


ANY_COMMAND = st.builds(
    CommandApdu,
    st.sampled_from([0x00, 0x80, 0x84]),
    st.sampled_from([0x50, 0x52, 0x54, 0x5A, 0x5C, 0xDC, 0x84, 0xA4, 0xB0, 0xB2, 0x77]),
    st.sampled_from([0, 1, 2, 3, 0x95, 0xAA]) | st.integers(0, 255),
    st.sampled_from([1, 2, 6, 9, 0xF0, 0xC8, 0xCC]) | st.integers(0, 255),
    st.sampled_from([INIT.to_bytes(), bytes(15), bytes(11), bytes(2), bytes(48), bytes(43)]) | st.binary(max_size=60),
    st.integers(0, 256),
)


@given(st.lists(ANY_COMMAND, max_size=12), st.sampled_from([None, *Tear]))
def test_no_command_takes_money_without_a_mac(asked, tear):
    card = purse()
    card.tear = tear
    before = image(card)
    for command in itertools.chain(asked, [commands.get_balance()]):
        response = card.answer(command)
        assert response is None or (0 <= response.sw <= 0xFFFF and len(response.data) <= 256)
    assert image(card) == before
