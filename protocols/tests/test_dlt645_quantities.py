"""Identifiers of both editions and their values."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core.errors import (
    FieldError,
    LocalProtocolError,
)
from protocols.dlt645.edition import Edition
from protocols.dlt645.frame import Frame, encode_frame
from protocols.dlt645.message import decode_message
from protocols.dlt645.quantities import decode_reading, quantity_of, write_values
from protocols.dlt645.quantities_1997 import decode_reading_1997, quantity_of_1997

EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)
E07, E97 = Edition.E2007, Edition.E1997
METER = "123456789012"

LISTED = (
    "00000000 00000c00 0000ff00 000000ff 00010000 00013f0c 00020000 00030000 00040000 00150000 00290001 003d000c "
    "01010000 02010100 0201ff00 02020300 02030000 02040000 02050000 02060000 02070100 02800001 02800002 02800003 "
    "02800004 02800007 02800008 0280000a 04000101 04000102 04000401 04000402 04000501 04000507 040005ff 04000306 "
    "04000307 03110001 03300d01"
)
UNLISTED = (
    "00004000 0000000d 0000ffff 00050000 00150100 0015ff00 02010000 02010400 02010101 0207ff01 02800005 04000500 "
    "04000508 0311000b 03300e01 ffffffff"
)


def test_every_identifier_of_the_spec_is_listed() -> None:
    for di in LISTED.split():
        assert quantity_of(int(di, 16)) is not None, di
    for di in UNLISTED.split():
        assert quantity_of(int(di, 16)) is None, di


def answer_of(di: str, data: str, **more: Any) -> dict[str, object]:
    size = len(di) // 2
    edition = E07 if size == 4 else E97
    control = {E07: 0x91, E97: 0x81}[edition] | more.pop("bits", 0)
    wire = encode_frame(Frame(METER, control, bytes.fromhex(di)[::-1] + bytes.fromhex(data), 0))
    return decode_message({"hex": wire.hex(), "version": edition.value, **more})


@pytest.mark.parametrize(
    ("di", "data", "value", "unit"),
    [
        ("00000000", "56341280", -1234.56, "kWh"),
        ("00010000", "56341299", 99123456 / 100, "kWh"),
        ("00030000", "01000080", -0.01, "kvarh"),
        ("00040000", "01000080", -0.01, "kvarh"),
        ("02040000", "563482", -2.3456, "kvar"),
        ("02050100", "563482", -2.3456, "kVA"),
        ("003d0000", "01000000", 0.01, "kWh"),
        ("01010000", "5634123012250324", 12.3456, "kW"),
        ("01010000", "563412ffffffffff", 12.3456, "kW"),
        ("01010000", "ffffffffffffffff", None, "kW"),
        ("02020100", "345692", -125.634, "A"),
        ("02070100", "0012", 120.0, "°"),
        ("02800001", "345692", 925.634, "A"),
        ("02800002", "9949", 49.99, "Hz"),
        ("02800003", "563412", 12.3456, "kW"),
        ("02800007", "0580", -0.5, "°C"),
        ("02800008", "6503", 3.65, "V"),
        ("0280000a", "78563412", 12345678, "min"),
        ("04000306", "010000", 1, ""),
        ("02030000", "ffffff", None, "kW"),
        ("9010", "56341200", 1234.56, "kWh"),
        ("a010", "563412", 12.3456, "kW"),
        ("b611", "2002", 220, "V"),
        ("b621", "3412", 12.34, "A"),
        ("b630", "563412", 12.3456, "kW"),
        ("b650", "8509", 0.985, ""),
    ],
)
def test_values_are_scaled(di: str, data: str, value: float | None, unit: str) -> None:
    answer = answer_of(di, data)
    assert (answer["value"], answer["unit"]) == (value, unit)


@pytest.mark.parametrize(
    ("di", "data", "values"),
    [
        ("0001ff00", "56341200ffffffff", [1234.56, None]),
        ("0101ff00", "5634123012250324" * 2, [12.3456, 12.3456]),
        ("000100ff", "01000000", [0.01]),
        ("0203ff00", "563412000080", [12.3456, 0.0]),
        ("901f", "5634120001000000aa", [1234.56, 0.01]),
        ("b61f", "200221021902", [220, 221, 219]),
    ],
)
def test_blocks_are_lists(di: str, data: str, values: list[float | None]) -> None:
    assert answer_of(di, data)["values"] == values


@pytest.mark.parametrize("di", ["04000101", "04000402", "03110001", "03300d01", "c032", "00050000", "9999"])
def test_records_and_unlisted_identifiers_have_no_value(di: str) -> None:
    answer = answer_of(di, "11" * 60)
    assert answer["di"] == di
    assert not {"value", "values", "unit"} & set(answer)


@pytest.mark.parametrize(
    ("di", "data"),
    [
        ("00010000", "563412"),
        ("00010000", ""),
        ("00010000", "5634120a"),
        ("02020100", "3456fa"),
        ("0001ff00", "5634120011"),
        ("01010000", "563412301225"),
        ("01010000", "5634123a12250324"),
        ("04000101", "112233"),
        ("04000101", "1122334a"),
        ("04000402", "1122"),
        ("03300d01", "11" * 59),
        ("b611", "20"),
        ("901f", "5634120011"),
    ],
)
def test_data_that_do_not_fit_are_refused(di: str, data: str) -> None:
    with pytest.raises(FieldError):
        answer_of(di, data)


def test_a_piece_may_end_in_the_middle_of_a_value() -> None:
    assert answer_of("03300d01", "11" * 20, bits=0x20)["has_more"] is True
    assert answer_of("0001ff00", "5634120011", bits=0x20)["values"] == [1234.56]
    with pytest.raises(FieldError):
        answer_of("00010000", "563412", bits=0x20)


def test_a_date_that_the_meter_does_not_have_is_none() -> None:
    assert answer_of("04000101", "ffffffff")["data_hex"] == "ffffffff"


def test_voltages_of_newer_meters_of_1997() -> None:
    read = decode_reading_1997(0xB611, bytes.fromhex("0122"), voltage_decimals=1)
    assert read is not None
    assert (read.numbers, read.quantity.decimals) == ((2201,), 1)
    assert quantity_of_1997(0xB610) is None


@EXAMPLES
@given(st.sampled_from(LISTED.split()), st.data())
def test_every_number_reads_back(di: str, data: st.DataObject) -> None:
    found = quantity_of(int(di, 16))
    assert found is not None
    quantity, is_block = found
    if quantity.size == 0:
        with pytest.raises(LocalProtocolError):
            write_values(quantity, (1,))
        return
    most = 10 ** (2 * quantity.size) - 1
    if quantity.is_signed:
        most = 8 * 10 ** (2 * quantity.size - 1) - 1
    number = st.none() | st.integers(-most if quantity.is_signed else 0, most)
    numbers = tuple(data.draw(st.lists(number, min_size=1, max_size=5 if is_block else 1)))
    read = decode_reading(int(di, 16), write_values(quantity, numbers))
    assert read is not None
    assert read.numbers == numbers
    for wrong in (most + 1, -most - 1, -1) if not quantity.is_signed else (most + 1, -most - 1):
        with pytest.raises(LocalProtocolError):
            write_values(quantity, (wrong,))


def test_nothing_is_written_without_a_sign() -> None:
    found = quantity_of(0x02030000)
    assert found is not None
    assert write_values(found[0], (0, -1, None)).hex() == "000000010080ffffff"
