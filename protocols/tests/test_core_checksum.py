"""Check values of the catalogue, tables from their polynomials, and fastcrc as independent oracle."""

import doctest

import fastcrc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.core import checksum
from protocols.core.checksum import crc16_mcrf4xx, crc16_modbus, crc32c, crc_a, crc_b, lrc8, xor8

DIGITS = b"123456789"
CATALOGUE = [
    (crc16_modbus, 0x4B37, fastcrc.crc16.modbus),
    (crc16_mcrf4xx, 0x6F91, fastcrc.crc16.mcrf4xx),
    (crc_a, 0xBF05, fastcrc.crc16.iso_iec_14443_3_a),
    (crc_b, 0x906E, fastcrc.crc16.ibm_sdlc),
    (crc32c, 0xE3069283, fastcrc.crc32.iscsi),
]


@pytest.mark.parametrize(("ours", "check", "theirs"), CATALOGUE, ids=lambda value: getattr(value, "__name__", None))
def test_check_value(ours, check, theirs):
    assert ours(DIGITS) == check
    assert f"{check:X}H" in ours.__doc__
    assert theirs(DIGITS) == check


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=400))
def test_every_crc_agrees_with_fastcrc(data):
    for ours, _, theirs in CATALOGUE:
        assert ours(data) == theirs(data)
        assert ours(memoryview(data)) == theirs(data)
        assert ours(bytearray(data)) == theirs(data)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_check_is_carried_on_over_pieces(head, tail):
    for check in (crc16_modbus, crc16_mcrf4xx, crc32c, xor8):
        assert check(tail, check(head)) == check(head + tail)


@pytest.mark.parametrize(
    ("table", "polynomial"), [("_TABLE_A001", 0xA001), ("_TABLE_8408", 0x8408), ("_TABLE_CRC32C", 0x82F63B78)]
)
def test_tables_follow_from_their_polynomials(table, polynomial):
    want = []
    for value in range(256):
        register = value
        for _ in range(8):
            register = register >> 1 ^ polynomial if register & 1 else register >> 1
        want.append(register)
    assert list(getattr(checksum, table)) == want


def test_sums_over_the_digits():
    assert xor8(DIGITS) == 0x31
    assert lrc8(DIGITS) == 0x23


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_sum_and_its_complement_are_zero(data):
    assert (sum(data) + lrc8(data)) & 0xFF == 0
    assert 0 <= lrc8(data) <= 0xFF


def test_residue_of_a_whole_modbus_frame_is_zero():
    """Over a frame with its check, low byte first, the register ends at 0: one pass tells whether it is whole."""
    assert crc16_modbus(bytes.fromhex("01040000000271cb")) == 0


def test_examples_in_the_docstring():
    assert doctest.testmod(checksum).failed == 0
