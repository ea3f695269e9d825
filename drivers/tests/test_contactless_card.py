"""Reading a processor card's files, and the table that says which."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from drivers.card_reader import CardReaderConfig, findings
from drivers.contactless_card import CardApplicationConfig, CardFileConfig, CardReading, read_card
from emulators.card_files import Application, BinaryFile, CardFiles, RecordFile

PERMIT = bytes.fromhex("a000000632010105")
NUMBER = b"3104890012345678"


def files():
    return CardFiles(
        [
            Application(
                PERMIT,
                [
                    BinaryFile(0x0015, b"3104890012345678" + b"2027-01-31" + bytes(4), short_id=0x15),
                    RecordFile(0x0018, (b"\x01\x02\x03\x04", b"\x05"), short_id=0x18),
                ],
            )
        ]
    )


async def read(held, *files_asked, aid=PERMIT):
    reading = CardReading(fields={})
    application = CardApplicationConfig(name="x", aid=aid.hex(), file=files_asked)

    async def transceive(apdu):
        return held.process(apdu)

    await read_card(transceive, [application], reading)
    return reading


async def test_files_are_read_by_identifier_offset_and_record():
    reading = await read(
        files(),
        CardFileConfig(name="a", id="0015", offset=2, length=3),
        CardFileConfig(name="b", id="0018", record=2),
        CardFileConfig(name="c", short_id=0x18, record=1, offset=3),
        CardFileConfig(name="d", short_id=0x15),
        CardFileConfig(name="e", short_id=0x15, offset=20, length=200),  # 6Cxx: less is there
    )
    assert reading.refusal is None
    assert reading.fields == {
        "a": NUMBER[2:5],
        "b": b"\x05",
        "c": b"\x04",
        "d": NUMBER + b"2027-01-31" + bytes(4),
        "e": b"-01-31" + bytes(4),
    }
    assert reading.identity() is None


async def test_a_missing_file_ends_the_reading():
    reading = await read(files(), CardFileConfig(name="a", id="9999"), CardFileConfig(name="b", short_id=0x15))
    assert reading.refusal == "a cannot be read (6a82)"
    assert reading.fields == {}


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ([b""], "none of the applications is on the card"),
        ([b"\x90\x00", b"\x00"], "a cannot be read (0000)"),
        ([b"\x90\x00"] + [b"x\x61\x01"] * 40, "a cannot be read (6101)"),
        ([b"\x90\x00", b"\x6c\x05", b"\x6c\x05"], "a cannot be read (6c05)"),
    ],
)
async def test_a_card_that_talks_nonsense_is_refused(answers, refusal):
    left = list(answers)
    reading = CardReading(fields={})

    async def transceive(apdu):
        del apdu
        return left.pop(0)

    application = CardApplicationConfig(name="x", aid=PERMIT.hex(), file=(CardFileConfig(name="a", short_id=1),))
    await read_card(transceive, [application], reading)
    assert reading.refusal == refusal


def config_of(**keys):
    return msgspec.convert({"driver": "card_reader", "name": "r", "port": "pty:x", **keys}, CardReaderConfig)


@pytest.mark.parametrize(
    "keys",
    [
        {"poll_s": 0},
        {"poll_s": 60},
        {"debounce_s": -1},
        {"answer_s": 10},
        {"applications": []},
        {"application": [{"name": "x", "aid": "a0"}]},
        {"application": [{"name": "X", "aid": "a000000632010105"}]},
        {"application": [{"name": "x", "aid": "a00000063201010"}]},
        {"application": [{"name": "x", "aid": "a000000632010105", "file": [{"name": "a", "short_id": 31}]}]},
        {"application": [{"name": "x", "aid": "a000000632010105", "file": [{"name": "a", "id": "15"}]}]},
        {"application": [{"name": "x", "aid": "a000000632010105", "file": [{"name": "a", "secret": True}]}]},
        {"application": [{"name": "x", "aid": "a000000632010105"}] * 33},
    ],
)
def test_a_bad_table_is_refused(keys):
    with pytest.raises(msgspec.ValidationError):
        config_of(**keys)


def test_a_good_table_has_no_findings():
    held = [{"name": "a", "short_id": 1, "identity": True}, {"name": "b", "id": "00fF", "encoding": "ascii"}]
    tables = [{"name": "x", "aid": "a000000632010105", "file": held}]
    assert list(findings(config_of(application=tables))) == []
    assert config_of(application=tables).application[0].file[1].encoding == "ascii"


@pytest.mark.parametrize(
    ("applications", "path"),
    [
        ([("x", "a000000632010105", []), ("y", "A000000632010105", [])], ("application", 1, "aid")),
        ([("x", "a000000632010105", [{"name": "a"}])], ("application", 0, "file", 0)),
        ([("x", "a000000632010105", [{"name": "a", "id": "0001", "short_id": 1}])], ("application", 0, "file", 0)),
        (
            [("x", "a000000632010105", [{"name": "a", "short_id": 1}, {"name": "a", "short_id": 2}])],
            ("application", 0, "file", 1, "name"),
        ),
        (
            [("x", "a000000632010105", [{"name": "a", "short_id": 1, "offset": 256}])],
            ("application", 0, "file", 0, "offset"),
        ),
        (
            [
                (
                    "x",
                    "a000000632010105",
                    [
                        {"name": "a", "short_id": 1, "identity": True},
                        {"name": "b", "short_id": 2, "identity": True},
                    ],
                )
            ],
            ("application", 0, "file"),
        ),
    ],
)
def test_what_the_types_cannot_tell_is_found(applications, path):
    tables = [{"name": name, "aid": aid, "file": held} for name, aid, held in applications]
    found = list(findings(config_of(application=tables)))
    assert [where for where, _text in found] == [path]


def test_the_table_on_the_devices_page_is_right():
    page = Path(__file__).parents[2] / "docs" / "devices" / "pn532_reader.md"
    text = page.read_text("utf-8").split("```toml\n")[1].split("```")[0]
    (table,) = tomllib.loads(text)["device"]
    config = msgspec.convert(table, CardReaderConfig)
    assert list(findings(config)) == []
    assert [file.name for file in config.application[0].file] == ["number", "valid_to", "holder", "last_trip"]
    fields = {key for key in CardReaderConfig.__struct_fields__ if f"\n{key} = " in text}
    assert fields >= {"name", "port", "poll_s", "debounce_s", "answer_s"}
