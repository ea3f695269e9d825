"""Commands, selection, status words, the worked transactions, and what card files tell."""

import pytest

from protocols.core.errors import LocalProtocolError, RemoteProtocolError
from protocols.epurse import commands, selection
from protocols.epurse.cryptograms import SM4_P1, TRIPLE_DES, LoadTerms, PurchaseTerms
from protocols.epurse.lingnan_files import LingnanRecord, anchor_of, dated
from protocols.epurse.load_tables import CreditCommand
from protocols.epurse.purchase_tables import Balance, DebitCommand, InitCommand
from protocols.epurse.sam import FactorOrder, credit_sam, factors_of, read_serial, read_terminal_id
from protocols.epurse.status import meaning_of
from protocols.epurse.union_files import PublicData, is_unused, month_count_of, public_data_of
from protocols.iso14443.apdu import ResponseApdu, decode_command, encode_command
from protocols.iso14443.status import tries_left

TERMINAL = bytes.fromhex("581000000001")
DATE, TIME = bytes.fromhex("20250314"), bytes.fromhex("091530")
FACTOR = bytes.fromhex("1051700101709079")
PURCHASE_MASTER = bytes(range(16))
TAC_MASTER = bytes.fromhex("f0e0d0c0b0a090807060504030201000")
LOAD_MASTER = bytes.fromhex("a1a2a3a4a5a6a7a8b1b2b3b4b5b6b7b8")
PURCHASE = PurchaseTerms(200, 9, TERMINAL, 0xABCD, DATE, TIME, bytes.fromhex("a1b2c3d4"), 0x12)
INIT = InitCommand(1, 200, TERMINAL)
FILE_15 = "01011000ffffffff02010310517001017090798420190806204012310000"


@pytest.mark.parametrize(
    ("command", "wire"),
    [
        (commands.init_purchase(INIT, commands.COMPOSITE_PURCHASE), "805003020b01000000c85810000000010f"),
        (commands.init_purchase(INIT, commands.PURSE_PURCHASE), "805001020b01000000c85810000000010f"),
        (
            commands.init_purchase(INIT, commands.DEPOSIT_PURCHASE, purse=commands.DEPOSIT),
            "805001010b01000000c85810000000010f",
        ),
        (commands.init_load(INIT), "805000020b01000000c858100000000110"),
        (
            commands.debit(DebitCommand(0xABCD, DATE, TIME, bytes.fromhex("1b90e273"))),
            "805401000f0000abcd202503140915301b90e27308",
        ),
        (
            commands.credit(CreditCommand(DATE, TIME, bytes.fromhex("3a845bf0"))),
            "805200000b202503140915303a845bf004",
        ),
        (commands.prove(commands.COMPOSITE_PURCHASE, 0x1234), "805a000902123408"),
        (commands.get_balance(), "805c000204"),
        (commands.get_balance(purse=commands.DEPOSIT, part=3), "805c030104"),
        (commands.get_challenge(8), "0084000008"),
        (commands.verify_pin(b"\x12\x34\x56"), "0020000003123456"),
        (commands.update_record(commands.RecordUpdate(0x1E, 0, b"\xaa" * 3)), "80dc00f003aaaaaa"),
        (commands.update_record(commands.RecordUpdate(0x19, 0xAA, b"\xaa\x29")), "80dcaac802aa29"),
        (commands.update_record(commands.RecordUpdate(0x19, 1, b"\xaa", is_number=True)), "80dc01cc01aa"),
        (commands.read_record_by_id(0xAA, 0x2B, short_id=0x19), "00b2aac82b"),
        (credit_sam(bytes.fromhex("ca7579bb")), "8072000004ca7579bb"),
        (read_terminal_id(), "00b0960006"),
        (read_serial(), "00b095000a"),
        (selection.select(selection.T_UNION_PURSE), "00a4040008a000000632010105"),
    ],
)
def test_a_command_is_these_bytes(command, wire):
    assert encode_command(command).hex() == wire
    assert decode_command(bytes.fromhex(wire)) == command


@pytest.mark.parametrize(
    "build",
    [
        lambda: commands.prove(9, 0x10000),
        lambda: commands.prove(9, -1),
        lambda: commands.get_challenge(5),
        Balance(1 << 32).to_bytes,
        lambda: commands.update_record(commands.RecordUpdate(31, 0, b"x")),
        lambda: commands.update_record(commands.RecordUpdate(1, 0, b"")),
        lambda: commands.read_record_by_id(256, 1, short_id=1),
        lambda: commands.read_record_by_id(1, 1, short_id=0),
        lambda: PurchaseTerms(1 << 32, 9, TERMINAL, 0, DATE, TIME, bytes(4), 0).mac1_input(),
        lambda: LoadTerms(0xFFFF_FFFF, 1, 2, TERMINAL, 0, bytes(4)).tac_input(),
    ],
)
def test_what_does_not_fit_is_our_own_error(build):
    with pytest.raises(LocalProtocolError):
        build()


@pytest.mark.parametrize(
    ("suite", "session", "mac1", "mac2", "tac"),
    [
        (TRIPLE_DES, "99cc8081d1ca507f", "1b90e273", "ca7579bb", "651e3e58"),
        (SM4_P1, "6383f744a7340284976255f327320eb4", "5b9daf0c", "6e0835bf", "33b62db2"),
    ],
)
def test_the_worked_purchase(suite, session, mac1, mac2, tac):
    key = suite.session_key(suite.derive(PURCHASE_MASTER, FACTOR), PURCHASE.seed())
    assert key.hex() == session
    assert suite.mac(key, PURCHASE.mac1_input()).hex() == mac1
    assert suite.mac(key, PURCHASE.mac2_input()).hex() == mac2
    assert suite.tac(suite.derive(TAC_MASTER, FACTOR), PURCHASE.tac_input()).hex() == tac


def test_the_worked_load():
    date, time = bytes.fromhex("20250401"), bytes.fromhex("120000")
    terms = LoadTerms(0xB22, 0x1388, 2, TERMINAL, 7, bytes.fromhex("5566aa99"), date, time)
    key = TRIPLE_DES.session_key(TRIPLE_DES.derive(LOAD_MASTER, FACTOR), terms.seed())
    assert key.hex() == "3a07d0745739ba45"
    assert TRIPLE_DES.mac(key, terms.mac1_input()).hex() == "b3833e77"
    assert TRIPLE_DES.mac(key, terms.mac2_input()).hex() == "09371664"
    assert TRIPLE_DES.tac(TRIPLE_DES.derive(TAC_MASTER, FACTOR), terms.tac_input()).hex() == "7f2987d2"


def test_the_published_purchase_and_load():
    key = bytes.fromhex("11223344556677888877665544332211")
    terminal, random = bytes.fromhex("001122334455"), bytes.fromhex("11223344")
    buy = PurchaseTerms(0x1000, 6, terminal, 1, bytes.fromhex("20120229"), bytes.fromhex("135100"), random, 0)
    session = TRIPLE_DES.session_key(key, buy.seed())
    assert session.hex() == "003238abc57659dd"
    assert TRIPLE_DES.mac(session, buy.mac1_input()).hex() == "f15cab75"
    assert TRIPLE_DES.mac(session, buy.mac2_input()).hex() == "56988a13"
    load = LoadTerms(0, 0x1000, 1, terminal, 0, random, bytes.fromhex("20111221"), bytes.fromhex("214822"))
    session = TRIPLE_DES.session_key(key, load.seed())
    assert TRIPLE_DES.mac(session, load.mac1_input()).hex() == "2988ae5a"
    assert TRIPLE_DES.mac(session, load.mac2_input()).hex() == "3a845bf0"


def test_select_is_repeated_with_le_where_the_card_wants_it():
    command = selection.select(selection.SHENZHEN)
    again = selection.select_again(command, ResponseApdu(sw=0x6700))
    assert encode_command(again).hex() == encode_command(command).hex() + "00"
    assert selection.select_again(again, ResponseApdu(sw=0x6700)) is None
    assert selection.select_again(command, ResponseApdu(sw=0x6A82)) is None


@pytest.mark.parametrize(("sw", "is_blocked"), [(0x3031, True), (0x6283, True), (0x6A81, True), (0x9000, False)])
def test_a_blocked_application_is_seen(sw, is_blocked):
    assert selection.is_blocked(ResponseApdu(sw=sw)) is is_blocked


def test_the_directory_lists_applications_in_order():
    entries = b"".join(
        b"\x61" + bytes((2 + len(aid),)) + b"\x4f" + bytes((len(aid),)) + aid for aid in (b"A" * 8, b"B" * 9)
    )
    inner = b"\xbf\x0c" + bytes((len(entries),)) + entries
    proprietary = b"\xa5" + bytes((len(inner),)) + inner
    named = b"\x84\x0e" + selection.PPSE + proprietary
    assert selection.applications_of(b"\x6f" + bytes((len(named),)) + named) == [b"A" * 8, b"B" * 9]
    assert selection.applications_of(b"\x70" + bytes((len(entries),)) + entries) == [b"A" * 8, b"B" * 9]
    assert selection.applications_of(b"\x00\x4f\x01A\xff") == []
    with pytest.raises(RemoteProtocolError):
        selection.applications_of(b"\x6f\x05\x00")


def test_the_answer_to_select_copies_file_15():
    proprietary = bytes.fromhex("9f0801029f0c1e" + FILE_15)
    inner = b"\x84\x08" + selection.T_UNION_PURSE + b"\xa5" + bytes((len(proprietary),)) + proprietary
    assert public_data_of(b"\x6f" + bytes((len(inner),)) + inner) == PublicData.from_bytes(bytes.fromhex(FILE_15))
    assert public_data_of(b"\x6f\x00") is None


def test_a_card_number_gives_its_factor_and_a_shenzhen_number():
    card = PublicData.from_bytes(bytes.fromhex(FILE_15))
    assert card.card_factor.hex() == "5170010170907984"
    assert (card.city_code.hex(), card.printed_number) == ("1000", "3105170010170907984")
    assert selection.shenzhen_number(bytes(16) + bytes.fromhex("d2029649") + bytes(10)) == 1234567890
    with pytest.raises(RemoteProtocolError):
        selection.shenzhen_number(bytes(16) + bytes.fromhex("d20296"))


@pytest.mark.parametrize(
    ("order", "factors"),
    [
        (FactorOrder.CARD_ISSUER, (b"c" * 8, b"i" * 8)),
        (FactorOrder.ISSUER_CARD, (b"i" * 8, b"c" * 8)),
        (FactorOrder.ISSUER_ISSUER, (b"i" * 8, b"i" * 8)),
        (FactorOrder.CARD, (b"c" * 8, None)),
    ],
)
def test_the_order_of_factors_is_a_setting(order, factors):
    assert factors_of(order, b"c" * 8, b"i" * 8) == factors


@pytest.mark.parametrize(
    ("record", "unused"), [(bytes(23), True), (b"\xff" * 23, True), (b"\x00" * 22 + b"\x01", False)]
)
def test_an_unused_record_is_seen(record, unused):
    assert is_unused(record) is unused


def test_the_month_of_file_19():
    record = bytes.fromhex("0000002411000307000000c8 01f4")
    count = month_count_of(record + b"\xff")
    assert (count.year, count.month, count.metro_trips, count.trips) == (0x24, 0x11, 3, 7)
    assert (count.metro_amount, count.amount) == (200, 500)
    with pytest.raises(RemoteProtocolError):
        month_count_of(record[:-1])


def test_years_of_records_without_years():
    days = ["0203", "0101", "1231", "1231", "1105", "1201"]
    records = [LingnanRecord(0, 0, 0, 6, bytes(6), bytes(2), bytes.fromhex(day), bytes(2), 0) for day in days]
    assert [year for year, _record in dated(records, 2026, b"\x03\x01")] == [2026, 2026, 2025, 2025, 2025, 2024]
    assert [year for year, _record in dated(records, 2026, b"\x01\x31")] == [2025, 2025, 2024, 2024, 2024, 2023]
    assert next(dated(records, 2026))[0] == 2026


def test_the_month_that_a_card_counts_dates_its_records():
    assert anchor_of(bytes.fromhex("0000002411ff")) == (2024, b"\x11\x31")


@pytest.mark.parametrize("record", ["", "00000024", "0000002413", "0000002400", "000000240a", "000000ff01"])
def test_a_card_that_counts_no_month_is_refused(record):
    with pytest.raises(RemoteProtocolError):
        anchor_of(bytes.fromhex(record))


@pytest.mark.parametrize(
    ("sw", "text"),
    [(0x9302, "the MAC is invalid"), (0x6110, "more data"), (0x6C04, "wrong Le"), (0x1234, "status 1234")],
)
def test_status_words_have_meanings(sw, text):
    assert meaning_of(sw) == text
    assert meaning_of(0x63C5) == "verification failed, tries left: 5"
    assert tries_left(sw) is None
    assert tries_left(0x63C0) == 0
