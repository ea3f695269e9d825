"""Registers to values and back: each type in each word order, markers, scales, texts, whole blocks at once."""

import doctest
import itertools
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from protocols.core.errors import FieldError, LocalProtocolError
from protocols.modbus_devices import values
from protocols.modbus_devices.pdu import WriteCoil, WriteRegister, WriteRegisters, pack_bits, unpack_registers
from protocols.modbus_devices.values import (
    NOT_AVAILABLE,
    OUT_OF_RANGE,
    compile_block,
    decode_scale_factor,
    decode_value,
    encode_value,
    write_request,
)
from protocols.tests.modbus_points import point

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
# A number's bytes A.. as they travel, by order: written out, not computed.
ORDERED = {
    ("uint32", "ABCD"): "01020304",
    ("uint32", "CDAB"): "03040102",
    ("uint32", "BADC"): "02010403",
    ("uint32", "DCBA"): "04030201",
    ("uint64", "ABCD"): "0102030405060708",
    ("uint64", "CDAB"): "0708050603040102",
    ("uint64", "BADC"): "0201040306050807",
    ("uint64", "DCBA"): "0807060504030201",
    ("uint16", "ABCD"): "0102",
    ("uint16", "CDAB"): "0102",
    ("uint16", "BADC"): "0201",
    ("uint16", "DCBA"): "0201",
}
WHOLE = {"uint16": 0x0102, "uint32": 0x01020304, "uint64": 0x0102030405060708}


@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_each_word_order(kind, order):
    wire = bytes.fromhex(ORDERED[kind, order])
    assert decode_value(point(type=kind, order=order), wire) == WHOLE[kind]
    assert encode_value(point(type=kind, order=order), WHOLE[kind]) == wire


@pytest.mark.parametrize(
    ("kind", "wire", "value"),
    [
        ("int16", "fb1e", -1250),
        ("int32", "ffffff85", -123),
        ("int64", "fffffffffffffffe", -2),
        ("float32", "43663334", 230.2),
        ("float64", "406cc66666666666", 230.2),
        ("bits", "8001", 0x8001),
        ("bool", "0000", False),
        ("bool", "0400", True),
    ],
)
def test_each_type(kind, wire, value):
    assert decode_value(point(type=kind), bytes.fromhex(wire)) == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("order", ["ABCD", "CDAB"])
@pytest.mark.parametrize(
    ("kind", "code"), [("int32", "INT32"), ("float32", "FLOAT32"), ("uint64", "UINT64"), ("float64", "FLOAT64")]
)
def test_pymodbus_reads_what_we_write(kind, code, order):
    wire = encode_value(point(type=kind, order=order), 12345.0)
    theirs = ModbusClientMixin.convert_from_registers(
        list(unpack_registers(wire)),
        ModbusClientMixin.DATATYPE[code],
        word_order="big" if order == "ABCD" else "little",
    )
    assert theirs == 12345.0


def test_a_scale_gives_the_decimal_number_that_people_expect():
    tenths = point(scale=0.1)
    assert [decode_value(tenths, struct.pack(">H", raw)) for raw in (2303, 3, 7)] == [230.3, 0.3, 0.7]
    assert decode_value(point(scale=100), b"\0\x07") == 700
    assert decode_value(point(scale=0.25, offset=-40), b"\0\x0a") == -37.5
    assert decode_value(point(scale=-1, offset=65535), b"\0\x05") == 65530


def test_a_scale_factor_multiplies_by_its_power_of_ten():
    percent = point(scale_factor="SoC_SF")
    assert decode_value(percent, b"\x03\x89", {"SoC_SF": -1}) == 90.5
    assert decode_value(percent, b"\x03\x89", {"SoC_SF": 2}) == 90500
    assert decode_value(percent, b"\x03\x89") == 905  # a missing one counts as 0
    assert encode_value(percent, 90.5, {"SoC_SF": -1}) == b"\x03\x89"


def test_scale_factors_from_registers():
    assert [decode_scale_factor(raw) for raw in (0, 10, 0xFFFF, 0xFFF6, 0x8000)] == [0, 10, -1, -10, 0]
    for raw in (11, 0xFFF5, 0x7FFF):
        with pytest.raises(FieldError):
            decode_scale_factor(raw)


@pytest.mark.parametrize(
    ("more", "wire"),
    [
        ({"type": "int16", "invalid": [0x8000]}, "8000"),
        ({"type": "uint16", "invalid": [0x7FFF, 0xFFFF], "scale": 0.1}, "7fff"),
        ({"type": "int32", "order": "CDAB", "invalid": [0x80000000]}, "00008000"),
        ({"type": "float32", "invalid": [0x501502F9]}, "501502f9"),
        ({"type": "float32"}, "7fc00000"),
        ({"type": "float32", "scale": 0.1}, "ff800000"),
        ({"type": "float64", "scale": 1000}, "7fefffffffffffff"),  # overflows into infinity
        ({"type": "bits", "words": 2, "invalid": [0xFFFFFFFF]}, "ffffffff"),
    ],
)
def test_what_the_device_marks_as_missing_is_none(more, wire):
    block = compile_block([point(**more)], 0, len(wire) // 4)
    decoded = block(bytes.fromhex(wire))
    assert decoded == [None]
    assert block.bad(decoded) == [(0, NOT_AVAILABLE)]


def test_a_number_that_would_be_read_as_none_is_not_written():
    for taken in (point(type="uint16", invalid=[0xFFFF, 0x7FFF]), point(type="int16", invalid=[0xFFFF])):
        value = -1 if taken.type == "int16" else 0x7FFF
        with pytest.raises(LocalProtocolError, match="stands for no value"):
            encode_value(taken, value)
        assert encode_value(taken, value - 1)
    with pytest.raises(LocalProtocolError, match="stands for no value"):
        encode_value(point(type="uint32", order="CDAB", scale=0.1, invalid=[0x7FFFFFFF]), 0x7FFFFFFF / 10)


def test_none_goes_back_to_the_first_marker():
    missing = point(type="int32", order="CDAB", invalid=[0x80000000, 1])
    assert encode_value(missing, None) == bytes.fromhex("00008000")
    assert encode_value(point(type="float32", order="DCBA", invalid=[0x501502F9]), None) == bytes.fromhex("f9021550")
    with pytest.raises(LocalProtocolError):
        encode_value(point(), None)


def test_values_out_of_range_are_kept_and_named():
    block = compile_block(
        [point("a", 0, min=10, max=20), point("b", 1, max=5), point("c", 2), point("d", 3, min=0, invalid=[0xFFFF])],
        0,
        4,
    )
    decoded = block(struct.pack(">4H", 21, 5, 60_000, 0xFFFF))
    assert decoded == [21, 5, 60_000, None]
    assert block.bad(decoded) == [(0, OUT_OF_RANGE), (3, NOT_AVAILABLE)]


def test_bits_of_a_register_and_whole_registers_may_share_it():
    points = [
        point("word", 3, type="bits"),
        point("mains", 3, type="bool", bit=3),
        point("overload", 3, type="bool", bit=5),
        point("both", 2, type="uint32"),
        point("next", 4),
        point("swapped", 3, type="bits", order="DCBA"),
    ]
    block = compile_block(points, 2, 3)
    assert block(bytes.fromhex("000100280007")) == [0x28, True, True, 0x10028, 7, 0x2800]


def test_texts():
    name = point(type="string", words=4)
    assert decode_value(name, b"Acme\0xyz") == "Acme"
    assert decode_value(name, b"V1.2    ") == "V1.2"
    assert decode_value(name, b"\xff\xfe\0\0\0\0\0\0") == "\ufffd\ufffd"
    for order, wire in zip(ORDERS, ("abcdefgh", "ghefcdab", "badcfehg", "hgfedcba"), strict=True):
        assert decode_value(point(type="string", words=4, order=order), wire.encode()) == "abcdefgh"
        assert encode_value(point(type="string", words=4, order=order), "abcdefgh") == wire.encode()
    assert encode_value(name, "Acme") == b"Acme\0\0\0\0"


def test_coils_and_inputs_are_picked_by_address():
    points = [
        point("c", 19, "coil", type="bool"),
        point("a", 10, "coil", type="bool"),
        point("b", 11, "coil", type="bool"),
    ]
    block = compile_block(points, 10, 10)
    decoded = block(pack_bits([True] + 8 * [False] + [True]))
    assert decoded == [True, True, False]
    assert block.bad(decoded) == []


@pytest.mark.parametrize(
    ("points", "start", "count"),
    [
        ([point("a", 5)], 6, 10),
        ([point("a", 5, type="uint32")], 5, 1),
        ([point("a", 5), point("b", 6, "input")], 5, 2),
    ],
)
def test_points_outside_their_block_are_our_own_mistake(points, start, count):
    with pytest.raises(LocalProtocolError):
        compile_block(points, start, count)


@pytest.mark.parametrize("table", ["holding", "coil"])
def test_bytes_of_another_block_are_our_own_mistake(table):
    block = compile_block([point(table=table, type="bool")], 0, 16)
    with pytest.raises(LocalProtocolError):
        block(bytes(7))


def test_an_empty_block_decodes_to_nothing():
    assert compile_block([], 0, 2)(bytes(4)) == []


kinds = st.sampled_from(["uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bits", "bool"])
scales = st.sampled_from([1, 0.1, 0.01, 0.001, 10, 0.5])


@st.composite
def blocks(draw):
    """A block of points in any order that may overlap, and its bytes."""
    count = draw(st.integers(4, 20))
    points = []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(kinds)
        scale = 1 if kind in ("bits", "bool") else draw(scales)
        bit = draw(st.integers(0, 15)) if kind == "bool" else None
        address = 100 + draw(st.integers(0, count - 4))
        points.append(
            point(f"p{number}", address, type=kind, order=draw(st.sampled_from(ORDERS)), scale=scale, bit=bit)
        )
    return points, count, draw(st.binary(min_size=2 * count, max_size=2 * count))


def naive(p, data):
    """One point by the plain definition: its words in order, as one big-endian number."""
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if p.order in ("CDAB", "DCBA"):
        words.reverse()
    if p.order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    plain = b"".join(words)
    if p.type == "bool":
        return int.from_bytes(plain, "big") >> p.bit & 1 == 1
    code = {
        "uint16": "H",
        "int16": "h",
        "uint32": "I",
        "int32": "i",
        "uint64": "Q",
        "int64": "q",
        "float32": "f",
        "float64": "d",
    }
    raw = struct.unpack(">" + code.get(p.type, "H"), plain)[0]
    value = raw * p.scale
    return None if isinstance(raw, float) and not math.isfinite(value) else value


@settings(derandomize=True, deadline=None)
@given(blocks())
def test_a_block_decodes_as_its_points_one_by_one(block):
    points, count, data = block
    decoded = compile_block(points, 100, count)(data)
    for p, got in zip(points, decoded, strict=True):
        own = data[2 * (p.address - 100) : 2 * (p.end - 100)]
        want = naive(p, own)
        assert got == want or got == pytest.approx(want, rel=1e-12)
        assert decode_value(p, own) == got


@settings(derandomize=True, deadline=None)
@given(kinds.filter(lambda kind: kind != "bool"), st.sampled_from(ORDERS), scales, st.binary(min_size=8, max_size=8))
def test_encode_brings_back_the_registers(kind, order, scale, data):
    p = point(type=kind, order=order, scale=1 if kind == "bits" else scale)
    wire = data[: 2 * p.count]
    value = decode_value(p, wire)
    if value is None:
        return
    back = encode_value(p, value)
    has_last_digits = not kind.startswith("float") and abs(value) < 2**52 * min(1, p.scale)
    if not has_last_digits:  # a float has no room for those of a scaled number
        assert decode_value(p, back) == pytest.approx(value, rel=1e-6)
    else:
        assert back == wire


def test_write_requests_of_each_kind():
    assert write_request(point(address=7, writable=True), 5) == WriteRegister(7, 5)
    assert write_request(point(address=7, writable=True), 5, is_always_multiple=True) == WriteRegisters(7, b"\0\5")
    assert write_request(point(address=7, type="int32", writable=True), -2) == WriteRegisters(7, b"\xff\xff\xff\xfe")
    assert write_request(point(address=7, table="coil", type="bool", writable=True), True) == WriteCoil(7, True)
    assert write_request(point(type="bool", writable=True), True) == WriteRegister(0, 1)
    assert write_request(point(scale=0.01, writable=True), 49.999) == WriteRegister(0, 5000)  # to the nearest step


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({}, 65_536),
        ({}, -1),
        ({}, True),
        ({}, "5"),
        ({}, math.nan),
        ({}, math.inf),
        ({}, [1]),
        ({"type": "int16", "scale": 0.1}, 3276.8),
        ({"min": 0x5A, "max": 0x5A}, 0x5B),
        ({"type": "float32"}, 1e39),
        ({"type": "float64"}, 10**400),
        ({"type": "bool"}, 1),
        ({"type": "bool", "bit": 3}, True),
        ({"type": "string", "words": 2}, "abcde"),
        ({"type": "string", "words": 2}, 5),
        ({"table": "coil", "type": "bool"}, 1),
        ({"writable": False}, 1),
    ],
)
def test_what_a_point_cannot_hold_is_not_written(more, value):
    with pytest.raises(LocalProtocolError):
        write_request(point(**{"writable": True, **more}), value)


def test_unpacking_is_one_call_for_a_plain_block():
    """The path that a thousand registers a second take: no Python for each point where there is no scale."""
    points = [point(f"p{number}", number) for number in range(125)]
    block = compile_block(points, 0, 125)
    assert block(struct.pack(">125H", *range(125))) == list(range(125))
    assert len(block._unpackers) == 1
    assert block._pick is None
    assert not any(itertools.chain(block._ratios, block._masks, block._markers, block._floats, block._bounds))


def test_examples_in_the_docstring():
    assert doctest.testmod(values).failed == 0
