"""The emulated card's file system, command by command."""

import pytest

from emulators.card_files import Application, BinaryFile, CardFiles, RecordFile

MF = bytes.fromhex("3f00")


def files(**options):
    return CardFiles(
        [
            Application(
                b"1PAY.SYS.DDF01",
                [
                    BinaryFile(0x0005, bytes(range(40)), short_id=5),
                    RecordFile(0x0018, (b"one", b"two"), short_id=0x18),
                    BinaryFile(0x0006, b"key", short_id=6, is_secret=True),
                    RecordFile(0x0019, (b"key",), short_id=0x19, is_secret=True),
                ],
                file_id=0x1001,
            ),
            Application(b"1PAY.SYS.DDF02"),
        ],
        [BinaryFile(0x2F02, b"0123456789")],
        **options,
    )


def ask(card, command):
    return card.process(bytes.fromhex(command)).hex()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("00", "6700"),
        ("00a4", "6700"),
        ("80a40400", "6e00"),
        ("00840000", "6d00"),
        ("00a4040102" + "3150" + "00", "6a86"),  # occurrence "last"
        ("00a4040802" + "3150" + "00", "6a86"),  # FMD is not kept
        ("00a4040002a0", "6700"),
        ("00a4090002" + "3f00" + "00", "6a86"),
        ("00a404000a" + "a0" * 10 + "00", "6a82"),
        ("00a4000003" + "3f0000" + "00", "6a80"),
        ("00a4000002" + "aaaa" + "00", "6a82"),
        ("00a4080001" + "3f" + "00", "6a80"),
        ("00a4080004" + "2f021001" + "00", "6a82"),
        ("00a4080002" + "9999" + "00", "6a82"),
        ("00b0000005", "6986"),
        ("00b2010400", "6986"),
        ("00b2010000", "6a86"),
        ("00c0000010", "6986"),
        ("00b0850005", "6a82"),
    ],
)
def test_what_it_refuses_at_first(command, answer):
    assert ask(files(), command) == answer


def test_selecting_by_name_part_of_a_name_and_the_next_one():
    card = files()
    first = "6f10840e" + b"1PAY.SYS.DDF01".hex() + "9000"
    assert ask(card, "00a404000e" + b"1PAY.SYS.DDF01".hex() + "00") == first
    assert ask(card, "00a4040004" + b"1PAY".hex() + "00") == first
    assert ask(card, "00a4040204" + b"1PAY".hex() + "00") == first[:-6] + "329000"
    assert ask(card, "00a4040204" + b"1PAY".hex() + "00") == "6a82"
    assert ask(card, "00a4040c04" + b"1PAY".hex()) == "9000"


def test_selecting_by_identifier_and_path():
    card = files()
    assert ask(card, "00a40000022f0200") == "6f088002000a83022f02" + "9000"
    assert ask(card, "00b0000200") == b"23456789".hex() + "9000"
    assert ask(card, "00a4000002100100") == "6f10840e" + b"1PAY.SYS.DDF01".hex() + "9000"
    assert ask(card, "00a4020402000500") == "62088002002883020005" + "9000"
    assert ask(card, "00a4020c021001") == "6a82"  # no elementary file
    assert ask(card, "00a4000c023f00") == "9000"
    assert card.file is None
    assert ask(card, "00a4080c0410010018") == "9000"
    assert ask(card, "00b2020400") == b"two".hex() + "9000"
    assert ask(card, "00a4000c") == "9000"  # the master file
    card.reset()
    assert ask(card, "00b2020400") == "6986"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("00b0850005", "0001020304" + "9000"),
        ("00b0852000", bytes(range(32, 40)).hex() + "9000"),
        ("00b0852009", "6c08"),
        ("00b0852800", "9000"),
        ("00b0852900", "6b00"),
        ("00b08500", "6c28"),
        ("00b08600" + "03", "6982"),
        ("00b0980000", "6981"),
        ("00b201c400", b"one".hex() + "9000"),
        ("00b201c402", b"on".hex() + "9000"),
        ("00b203c400", "6a83"),
        ("00b200c400", "6a83"),
        ("00b2012c00", "6981"),
        ("00b201cc00", "6982"),
        ("00b2010c00", "6a82"),
    ],
)
def test_reading_files_of_an_application(command, answer):
    card = files()
    ask(card, "00a4040c0e" + b"1PAY.SYS.DDF01".hex())
    assert ask(card, command) == answer


def test_a_short_identifier_makes_the_file_current():
    card = files()
    ask(card, "00a4040c0e" + b"1PAY.SYS.DDF01".hex())
    ask(card, "00b0850005")
    assert ask(card, "00b0000502") == "05069000"


def test_a_card_that_answers_61_hands_the_rest_out_on_get_response():
    card = files(answers_with_61=True)
    fci = "6f10840e" + b"1PAY.SYS.DDF01".hex()
    assert ask(card, "00a404000e" + b"1PAY.SYS.DDF01".hex()) == "6112"
    assert ask(card, "00c0000020") == "6c12"
    assert ask(card, "00c0000004") == fci[:8] + "610e"
    assert ask(card, "00c0000000") == fci[8:] + "9000"
    assert ask(card, "00c0000000") == "6986"
    ask(card, "00a404000e" + b"1PAY.SYS.DDF01".hex())
    assert ask(card, "00c0010012") == "6a86"
    assert ask(card, "00c0000012") == "6986"  # the other command in between forgot it
