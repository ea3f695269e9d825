"""The tables of AIS by property: every bit comes back, whatever it is; every value comes back, whatever it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from protocols.ais import aton, binary, inland, static
from protocols.ais.armour import armour, groups_of_text, text_of, unarmour
from protocols.ais.catalogue import APPLICATIONS, BY_TYPE, PLAIN, decode, encode
from protocols.ais.message import decode_message, encode_message, readable
from protocols.ais.position import PositionReport
from protocols.ais.sentence import encode_part, parts_of
from protocols.ais.table import Bits, Message, Plain, Row, Table
from protocols.core.errors import FieldError, LocalProtocolError

TABLES: list[tuple[str, dict[str, int], Table[Any]]] = [
    *((f"type {kind}", {"type": kind}, table) for kind, table in BY_TYPE.items()),
    *(
        (f"type {kind} dac {dac} fid {fid}", {"type": kind, "dac": dac, "fid": fid}, table)
        for (kind, dac, fid), table in APPLICATIONS.items()
    ),
    ("type 24 A", {"type": 24, "partno": 0}, static.NAME_PART),
    ("type 24 B", {"type": 24, "partno": 1, "mmsi": 413_000_001}, static.SHIP_PART),
    ("type 24 B auxiliary", {"type": 24, "partno": 1, "mmsi": 984_120_001}, static.AUXILIARY_PART),
    ("type 6 other", {"type": 6, "dac": 413, "fid": 1}, binary.ADDRESSED),
    ("type 8 other", {"type": 8, "dac": 413, "fid": 1}, binary.BROADCAST),
    ("type 17", {"type": 17}, PLAIN),
]
each_table = pytest.mark.parametrize(("said", "table"), [pytest.param(*case[1:], id=case[0]) for case in TABLES])
SIXBIT = "".join(map(chr, range(32, 96)))


def value_of(draw: Any, row: Row) -> Any:
    """Any value of a row."""
    top = (1 << row.width) - 1
    match row.kind:
        case "flag":
            return draw(st.booleans())
        case "text":
            return draw(st.text(SIXBIT, max_size=row.width // 6)).rstrip("@")
        case "list":
            gauge = st.builds(inland.Gauge, st.integers(0, 2047), st.booleans(), st.integers(0, 8191))
            return tuple(draw(st.lists(gauge, min_size=4, max_size=4)))
        case "signed":
            code = draw(st.integers(-(top // 2) - 1, top // 2))
        case _:
            code = draw(st.integers(0, top))
    return None if row.missing is not None and code == row.missing else code


@st.composite
def messages(draw: Any, said: dict[str, int], table: Table[Any]) -> Message:
    fields = {name: value_of(draw, row) for name, row in table.rows.items()} | said
    if table is aton.LANTERN_REPORT:
        fields["sub_application"] = aton.LANTERN
    if table.rest is not None and table.rest[1].kind == "text":
        fields[table.rest[0]] = draw(st.text(SIXBIT, max_size=14)).rstrip("@")
    elif table.rest is not None:
        count = draw(st.integers(0, 100))
        fields[table.rest[0]] = Bits(draw(st.integers(0, (1 << count) - 1)), count)
    made: Message = table.made(**fields)
    return made


@each_table
@given(data=st.data())
def test_every_value_comes_back(said: dict[str, int], table: Table[Any], data: st.DataObject) -> None:
    message = data.draw(messages(said, table))
    bits, bit_length = encode(message)
    assert decode(bits, bit_length) == message
    if table is not PLAIN:
        received = {"talker": "AI", "formatter": "VDM", **readable(message)}
        lines = [encode_part(part).decode() for part in parts_of(bits, bit_length, "AI", "VDM")]
        assert {**received, "channel": None, "bit_length": bit_length} == decode_message({"text": lines})


@each_table
@given(data=st.data())
def test_every_bit_comes_back(said: dict[str, int], table: Table[Any], data: st.DataObject) -> None:
    bit_length = data.draw(st.integers(table.shortest, min(table.longest, table.width + 100)))
    bits = data.draw(st.integers(0, (1 << bit_length) - 1))
    if table is aton.LANTERN_REPORT:
        said = said | {"sub_application": aton.LANTERN}
    for name, value in said.items():
        row = table.rows[name]
        shift = bit_length - 1 - row.last
        bits = bits & ~((1 << row.width) - 1 << shift) | value << shift
    message = decode(bits, bit_length)
    assert type(message) is table.made
    assert encode(message) == (bits, bit_length)


@given(st.integers(0, 1100).flatmap(lambda n: st.tuples(st.integers(0, (1 << n) - 1), st.just(n))))
def test_any_bits_are_a_message_or_a_field_error(given_bits: tuple[int, int]) -> None:
    try:
        message = decode(*given_bits)
    except FieldError:
        return
    assert encode(message) == given_bits


@given(st.binary(min_size=1, max_size=80))
def test_any_payload_is_groups_or_a_field_error(payload: bytes) -> None:
    legal = all(48 <= code <= 87 or 96 <= code <= 119 for code in payload)
    if legal:
        assert armour(unarmour(payload), len(payload)) == payload
    else:
        with pytest.raises(FieldError) as caught:
            unarmour(payload)
        assert caught.value.field == "armor"
        assert caught.value.offset is not None
        assert not 48 <= payload[caught.value.offset] <= 87


@given(st.text(SIXBIT, max_size=40))
def test_any_text_of_six_bits_comes_back(text: str) -> None:
    assert text_of(groups_of_text(text, 40, "name"), 40) == text.rstrip("@")


@pytest.mark.parametrize("text", ["a", "\u00e9", "x" * 41, "A\n"])
def test_text_that_six_bits_cannot_write(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        groups_of_text(text, 40, "name")


def test_armour_by_the_rule_of_the_standard() -> None:
    for value in range(64):
        code = value + 48
        code += 8 if code > 87 else 0
        assert armour(value, 1) == bytes([code])
        assert unarmour(bytes([code])) == value


def report(**changes: Any) -> PositionReport:
    fields: dict[str, Any] = {
        "type": 1, "repeat": 0, "mmsi": 413_000_001, "status": 0, "rate_of_turn": 0, "speed_tenth_kn": 100,
        "accuracy": True, "lon_e4_min": 118 * 600_000, "lat_e4_min": 32 * 600_000, "course_tenth_deg": 900,
        "heading_deg": 90, "second": 1, "maneuver": 0, "raim": False, "radio": 0,
    }  # fmt: skip
    return PositionReport(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"speed_tenth_kn": 1024}, "speed"),
        ({"speed_tenth_kn": -1}, "speed"),
        ({"lon_e4_min": 1 << 27}, "lon"),
        ({"rate_of_turn": -129}, "rate_of_turn"),
        ({"second": None}, "second"),
        ({"mmsi": 1 << 30}, "mmsi"),
        ({"type": 5}, "type"),
        ({"type": 63}, "type"),
        ({"odd_length": 167}, "length"),
        ({"odd_length": 174}, "length"),
        ({"spare": 1 << 168}, "spare"),
        ({"spare": -1}, "spare"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode(report(**changes))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "odd_length"),
    [({"dte": True}, 422), ({"destination": "NANJING 12345678901@"}, 420), ({"destination": "A" * 20}, 420)],
)
def test_what_a_shorter_message_has_no_room_for_is_refused(changes: dict[str, Any], odd_length: int) -> None:
    """The last bits of a destination that ends with `A` (1) or `@` (0) stand in bits 420 and 421."""
    voyage = decode(5 << 418, 424)
    assert encode(structs.replace(voyage, odd_length=420, dte=None)) == (5 << 414, 420)
    message = structs.replace(voyage, odd_length=odd_length, **({"dte": None} | changes))
    if message.destination.endswith("@"):
        assert encode(message)[1] == odd_length
        return
    with pytest.raises(LocalProtocolError) as caught:
        encode(message)
    assert caught.value.field == "length"


def test_spare_bits_leave_what_the_rows_say_alone() -> None:
    message = report(spare=7 << 20)
    assert decode(*encode(message)) == message
    for spare in (1, 1 << 167, 8 << 20):
        with pytest.raises(LocalProtocolError) as caught:
            encode(report(spare=spare))
        assert caught.value.field == "spare"


def test_not_available_is_none_and_its_code_again() -> None:
    nothing = report(rate_of_turn=None, speed_tenth_kn=None, lon_e4_min=None, lat_e4_min=None,
                     course_tenth_deg=None, heading_deg=None)  # fmt: skip
    bits, _ = encode(nothing)
    assert bits >> 168 - 50 & 0xFF == 0x80
    assert bits >> 168 - 60 & 0x3FF == 1023
    assert bits >> 168 - 89 & 0xFFFFFFF == 0x6791AC0
    assert bits >> 168 - 116 & 0x7FFFFFF == 0x3412140
    assert bits >> 168 - 128 & 0xFFF == 3600
    assert bits >> 168 - 137 & 0x1FF == 511


def test_codes_above_not_available_are_kept_and_read_as_null() -> None:
    bits, length = encode(report(course_tenth_deg=3601, rate_of_turn=127))
    message = decode(bits, length)
    assert (message.course_tenth_deg, message.rate_of_turn) == (3601, 127)
    assert (readable(message)["course"], readable(message)["turn"], readable(message)["turn_raw"]) == (None, None, 127)
    with pytest.raises(LocalProtocolError):
        encode(structs.replace(message, course_tenth_deg=4096))


def test_monitoring_under_a_code_of_ones_own() -> None:
    ours = {**APPLICATIONS, (6, 413, 10): aton.MONITORING}
    told = {
        "type": 6, "mmsi": 994_121_001, "seqno": 0, "dest_mmsi": 4_120_001, "retransmit": False, "dac": 413, "fid": 10,
        "ana_int": 12.8, "ana_ext1": None, "ana_ext2": None, "racon": 0, "light": 1, "health": False, "stat_ext": 5,
        "off_pos": False, "talker": "AN", "formatter": "VDO",
    }  # fmt: skip
    [line] = encode_message(told)["text"]
    bits = unarmour(line.split(",")[5].encode()) >> int(line.split(",")[6][0])
    assert decode(bits, 136, ours).supply_twentieth_v == 256
    assert isinstance(decode(bits, 136), binary.AddressedData)


@pytest.mark.parametrize(
    ("bit_length", "said"),
    [(37, 1), (167, 1), (174, 1), (419, 5), (430, 5), (87, 6), (55, 8), (39, 14), (267, 21), (366, 21), (159, 24),
     (311, 19), (318, 19), (95, 27), (174, 27), (38, 24), (55_297, 8)],
)  # fmt: skip
def test_lengths_that_no_message_has(bit_length: int, said: int) -> None:
    with pytest.raises(FieldError) as caught:
        decode(said << bit_length - 6, bit_length)
    assert caught.value.field == "length"


@pytest.mark.parametrize("partno", [2, 3])
def test_parts_of_24_that_there_are_not(partno: int) -> None:
    with pytest.raises(FieldError) as caught:
        decode(24 << 162 | partno << 128, 168)
    assert caught.value.field == "partno"


@pytest.mark.parametrize(("dac", "fid", "bit_length"), [(235, 10, 131), (200, 21, 242), (200, 22, 229), (200, 55, 116)])
def test_applications_that_end_too_soon(dac: int, fid: int, bit_length: int) -> None:
    with pytest.raises(FieldError) as caught:
        decode(6 << bit_length - 6 | dac << bit_length - 82 | fid << bit_length - 88, bit_length)
    assert caught.value.field == "length"


def test_a_lantern_of_another_sub_application_cannot_be_written() -> None:
    lantern = decode(6 << 130 | 1 << 32, 136)
    assert decode(*encode(lantern)) == lantern
    with pytest.raises(LocalProtocolError) as caught:
        encode(structs.replace(lantern, sub_application=2))
    assert caught.value.field == "type"


def test_a_lantern_that_is_none_is_an_unknown_application() -> None:
    assert isinstance(decode(6 << 130 | 2 << 32, 136), binary.AddressedData)
    assert isinstance(decode(6 << 130 | 1 << 32, 136), aton.LanternReport)
    assert isinstance(decode(6 << 129 | 1 << 31, 135), binary.AddressedData)


def test_bits_in_hex() -> None:
    assert [Bits(0b101, 3).hex, Bits(0b1, 5).hex, Bits(0, 0).hex, Bits(0xAB, 8).hex] == ["A", "08", "", "AB"]


def test_a_type_without_a_table_is_kept_and_read_no_further() -> None:
    message = Plain(type=17, repeat=0, mmsi=4_120_001, data=Bits(0x1234, 42))
    bits, bit_length = encode(message)
    lines = [encode_part(part).decode() for part in parts_of(bits, bit_length, "AB", "VDM")]
    read = decode_message({"text": lines})
    assert read == {"talker": "AB", "formatter": "VDM", "channel": None, "bit_length": 80, "type": 17, "repeat": 0,
                    "mmsi": 4_120_001}  # fmt: skip
    with pytest.raises(LocalProtocolError):
        encode_message(read)


@each_table
def test_rows_do_not_overlap(said: dict[str, int], table: Table[Any]) -> None:
    taken: set[int] = set()
    for row in table.rows.values():
        bits = set(range(row.first, row.last + 1))
        assert not bits & taken
        taken |= bits
    assert max(taken) < table.width
    assert said["type"] in range(64)
