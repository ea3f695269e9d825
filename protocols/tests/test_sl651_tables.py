"""SL 651: the tables of elements and parameters, against a second transcription by format, and what goes by them."""

import pytest

from protocols.sl651.bodies import Bare, Opening, Unread
from protocols.sl651.elements import ELEMENTS, element_of, parameter_digits_of
from protocols.sl651.groups import COUNTS_PER_HOUR, Group, hour_group, number_group, read_groups
from protocols.sl651.message import decode_message
from protocols.sl651.packets import MAX_ASCII_CHUNK_BYTES, MAX_CHUNK_BYTES
from protocols.sl651.payloads import Switches, read_switches, write_switches
from protocols.tests.kit import cases_of, input_of

FORMATS = {
    (8, 2): "01",
    (3, 1): "02 03 0D",
    (4, 2): "05 38 46 4F 57",
    (5, 1): "06 07 1A 1B 1C 1D 1E 1F 20 21 22 23 24 25 4B",
    (5, 0): "08 48",
    (5, 2): "09 0F 4E 58 59 5A 5B 5C 5D 5E 5F",
    (3, 0): "0A 0C 49",
    (1, 0): "0B",
    (6, 2): "0E 4C",
    (4, 1): "10 11 12 13 14 15 16 17 18 35 47 4A 70 71 72 73 74 75",
    (2, 0): "19 33 34",
    (6, 1): "26",
    (9, 3): "27 28 29 2A 2B 2C 2D 2E 2F 30 31 44",
    (11, 3): "32 60 61 62 63 64 65 66 67",
    (5, 3): "36 37 4D",
    (7, 3): "39 3A 3B 3C 3D 3E 3F 40 41 42 43",
    (7, 4): "50",
    (6, 4): "51",
    (7, 5): "52 53 54 55 56",
    (10, 2): "68 69 6A 6B 6C 6D 6E 6F",
}
"""N(D,d) of appendix C -> codes."""
ASCII_IDS = (
    "AC AI C - DT ED EJ FL GH GN GS GT GTP H HW M10 M20 M30 M40 M50 M60 M80 M100 MST NS P1 P2 P3 P6 P12 PD PJ "
    "PN01 PN05 PN10 PN30 PR PT Q Q1 Q2 Q3 Q4 Q5 Q6 Q7 Q8 QA QZ SW "
    "UC UE US VA VJ VT Z ZB ZU Z1 Z2 Z3 Z4 Z5 Z6 Z7 Z8 "  # codespell:ignore ue
    "SQ - pH DO COND TURB CODMN REDOX NH4N TP TN TOC CU ZN SE AS THG CD PB CHLA "
    "WP1 WP2 WP3 WP4 WP5 WP6 WP7 WP8 SYL1 SYL2 SYL3 SYL4 SYL5 SYL6 SYL7 SYL8 SBL1 SBL2 SBL3 SBL4 SBL5 SBL6 SBL7 SBL8 "
    "VTA VTB VTC VIA VIB VIC "
)
"""From code 01 on; 04 and 45 are no single numbers."""
PARAMETERS = {
    (2, 1): "25 26 48",
    (7, 3): "28 29 2A 2B 2C 2D 2E 2F",
    (5, 3): "30 31 32 33 34 35 36 37 43",
    (4, 2): "38 39 3A 3B 3C 3D 3E 3F 47 49 4A 4B 4C 4D 4E 4F 50 51 52 53 54 55 56 57 58",
    (3, 2): "40 41 44",
    (6, 3): "42",
    (6, 0): "45",
    (4, 0): "03 23 46",
    (8, 2): "59 5A 5B 5C 5D 5E 5F 60 61 62 63 64 65 66 67 68",
    (3, 1): "69 6A",
    (11, 3): "8D",
    (2, 0): "0C 20 21 22 24 27",
    (8, 0): "01",
    (10, 0): "02",
    (16, 0): "0D",
}


def test_elements_have_the_formats_of_the_standard() -> None:
    wanted = {int(code, 16): form for form, codes in FORMATS.items() for code in codes.split()}
    assert {element.code: (element.digits, element.decimals) for element in ELEMENTS} == wanted


def test_elements_have_the_ascii_identifiers_of_the_standard() -> None:
    wanted = {name: code for code, name in enumerate(ASCII_IDS.split(), 1) if name != "-"}
    assert {element.ascii_id: element.code for element in ELEMENTS} == wanted


def test_eight_of_a_kind_are_counted() -> None:
    assert [element_of(code).quantity for code in (0x28, 0x2F, 0x58)] == [
        "intake flow 1",
        "intake flow 8",
        "pressure 1",
    ]


def test_parameters_have_the_formats_of_the_standard() -> None:
    wanted = {int(code, 16): form for form, codes in PARAMETERS.items() for code in codes.split()}
    assert {code: form for code in range(0xFF) if (form := parameter_digits_of(code)) is not None} == wanted


def test_definitions_in_a_real_query_are_those_of_the_table() -> None:
    query = next(case for case in cases_of("sl651") if case["name"] == "down_43_stx_009")
    assert "query_definitions" not in decode_message(input_of(query))


@pytest.mark.parametrize("name", ["synthetic_neg_level_5byte", "synthetic_neg_air_temp"])
def test_a_negative_value_in_the_form_of_the_standard_has_no_definition_of_its_own(name: str) -> None:
    case = next(case for case in cases_of("sl651") if case["name"] == name)
    elements = decode_message(input_of(case))["elements"]
    assert not any("definition" in element for element in elements)  # type: ignore[attr-defined]
    four_bytes = read_groups(bytes.fromhex("3923FF000345"), False, True)[0]
    assert four_bytes != number_group(element_of(0x39), -345)
    assert four_bytes.value == number_group(element_of(0x39), -345).value


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 17])
def test_switches_have_as_many_bytes_as_they_need(count: int) -> None:
    payload = write_switches(Switches([True] * count))
    assert len(payload) == 1 + (count + 7) // 8
    assert read_switches(payload, are_gates=False).is_on == [True] * count


def test_hour_groups_are_as_long_as_the_standard_says() -> None:
    assert len(hour_group(0xF4, [None] * 12).data) == COUNTS_PER_HOUR == 12
    for code in range(0xF5, 0xFD):
        assert len(hour_group(code, [None] * 12).data) == 24
        again = read_groups(bytes((code, 0x5C)) + bytes(24), False, True)
        assert again[0].counts == [0] * 12
    (beyond,) = read_groups(b"\xfd\x10\x00\x01", False, True)
    assert not beyond.is_hour


def test_the_largest_chunks_fill_a_frame() -> None:
    assert (MAX_CHUNK_BYTES, MAX_ASCII_CHUNK_BYTES) == (4092, 4089)


def test_values_of_different_classes_are_different() -> None:
    opening = Opening(1, "261124000000")
    assert Bare(opening) != Unread(opening)
    assert Bare(opening) == Bare(Opening(1, "261124000000"))
    assert Bare(opening) != Bare(Opening(2, "261124000000"))
    assert Group(b"Z", b"1", True) != Group(b"Z", b"1")
    assert hash(Bare(opening)) == hash(Bare(Opening(1, "261124000000")))
