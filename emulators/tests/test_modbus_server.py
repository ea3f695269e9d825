"""Emulated units, on the PDUs of the protocol's own floor and on plain hex."""

import pytest

from emulators.modbus_server import ModbusUnit, RtuUnits, TcpUnits
from emulators.modbus_worlds import CounterWorld, MapWorld, words_of
from protocols.modbus_devices.register_map import RegisterMap, RegisterPoint
from protocols.modbus_devices.rtu import decode_rtu, encode_rtu
from protocols.modbus_devices.tcp import encode_tcp


def unit_of(*registers, unit_id=1, **keys):
    unit = ModbusUnit(unit_id, **keys)
    unit.set_registers("holding", 0, registers)
    unit.set_registers("input", 0, registers)
    unit.set_registers("coil", 0, [1, 0, 1, 1, 0, 0, 0, 0, 1])
    unit.set_registers("discrete", 0, [0, 1])
    return unit


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("0300000002", "030400070008"),
        ("0400010001", "04020008"),
        ("0100000009", "01020d01"),
        ("0200000002", "020102"),
        ("050001ff00", "050001ff00"),
        ("0600010063", "0600010063"),
        ("0f0000000a02cd01", "8f02"),
        ("0f00000008012c", "0f00000008"),
        ("1000000002040001000a", "1000000002"),
        ("0300010003", "8302"),
        ("0300000000", "8303"),
        ("030000007e", "8303"),
        ("4d00", "cd01"),
    ],
)
def test_requests_are_answered(asked, answered):
    devices = TcpUnits([unit_of(7, 8)])
    assert devices.receive(encode_tcp(9, 1, bytes.fromhex(asked)), 0.0) == [encode_tcp(9, 1, bytes.fromhex(answered))]


def test_a_line_answers_for_its_units_only():
    units = [unit_of(7, 8), unit_of(9, 9, unit_id=2)]
    line = RtuUnits(units)
    asked = bytes.fromhex("0300000001")
    assert [line.receive(encode_rtu(unit, asked), 0.0) for unit in (1, 2, 3)] == [
        [encode_rtu(1, bytes.fromhex("03020007"))],
        [encode_rtu(2, bytes.fromhex("03020009"))],
        [],
    ]
    assert line.receive(encode_rtu(1, asked)[:-1] + b"\0", 0.0) == []
    assert line.receive(b"\x01", 0.0) == []
    assert line.receive(encode_rtu(0, bytes.fromhex("0600010063")), 0.0) == []  # a broadcast: done, not answered
    assert [unit.tables["holding"][1] for unit in units] == [99, 99]
    assert [unit.requests[-1] for unit in units] == [(6, 1, 0)] * 2


def test_a_unit_takes_its_time_and_one_request_after_the_other():
    devices = TcpUnits([unit_of(7, delay_s=0.1)])
    wire = encode_tcp(1, 1, bytes.fromhex("0300000001"))
    assert devices.receive(wire * 2, 10.0) == []
    assert devices.next_deadline() == pytest.approx(10.1)
    assert len(devices.tick(10.11)) == 1
    assert len(devices.tick(10.21)) == 1
    line = RtuUnits([unit_of(7, delay_s=0.1)], silence_s=0.004)
    assert line.receive(encode_rtu(1, bytes.fromhex("0300000001")), 10.0) == []
    assert line.next_deadline() == pytest.approx(10.096)  # the silence that the host waited is part of the delay


def test_a_stream_may_come_in_pieces():
    for devices, wire in (
        (TcpUnits([unit_of(7)]), encode_tcp(1, 1, bytes.fromhex("0300000001"))),
        (RtuUnits([unit_of(7)], is_stream=True), encode_rtu(1, bytes.fromhex("0300000001"))),
    ):
        for at in range(len(wire) - 1):
            assert devices.receive(wire[at : at + 1], 0.0) == []
        assert len(devices.receive(wire[-1:], 0.0)) == 1


def test_moods():
    unit = unit_of(7, 8, 9, max_registers=2)
    line = RtuUnits([unit])

    def pdu(asked):
        answers = line.receive(encode_rtu(1, bytes.fromhex(asked)), 0.0)
        return decode_rtu(answers[0]).pdu.hex() if answers else None

    assert pdu("0300000003") == "8303"
    unit.exceptions.append(6)
    assert [pdu("0300000001"), pdu("0300000001")] == ["8306", "03020007"]
    unit.refusals["holding", 1] = 4
    assert [pdu("0300000002"), pdu("0300000001"), pdu("0600010001")] == ["8304", "03020007", "8604"]
    unit.is_silent = True
    assert pdu("0600000001") is None
    assert unit.written == [("holding", 0, [1])]


def test_an_unknown_unit_behind_tcp_is_a_gateway_target_that_does_not_answer():
    assert TcpUnits([]).receive(encode_tcp(1, 5, bytes.fromhex("0300000001")), 0.0) == [encode_tcp(1, 5, b"\x83\x0b")]


def test_a_counter_tells_the_truth_as_it_happens():
    changes = []
    unit = ModbusUnit(1)
    world = CounterWorld(unit, registers=4, step_s=0.5, on_change=changes.append)
    world.move(100.0)
    world.move(101.2)
    assert list(unit.tables["holding"].values()) == [2, 3, 4, 5]
    assert changes == [{"unit_id": 1, "count": count} for count in (0, 1, 2)]
    world.count = 0xFFFD
    world._set(0xFFFE)
    assert list(unit.tables["holding"].values()) == [0xFFFE, 0xFFFF, 0, 1]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", [0x0102, 0x0304]),
        ("CDAB", [0x0304, 0x0102]),
        ("BADC", [0x0201, 0x0403]),
        ("DCBA", [0x0403, 0x0201]),
    ],
)
def test_word_orders_as_the_letters_say(order, words):
    assert words_of(bytes((1, 2, 3, 4)), order) == words


def test_a_map_swings_within_its_bounds_and_bits_share_their_register():
    points = (
        RegisterPoint(name="level", table="input", address=0, type="int32", order="CDAB", scale=0.1, min=-5, max=5),
        RegisterPoint(name="word", table="input", address=2),
        RegisterPoint(name="a", table="input", address=2, type="bool", bit=0),
        RegisterPoint(name="b", table="input", address=2, type="bool", bit=5),
        RegisterPoint(name="lamp", table="coil", address=9, type="bool"),
        RegisterPoint(name="label", table="holding", address=0, type="string", words=4),
    )
    changes = []
    unit = ModbusUnit(1)
    world = MapWorld(unit, RegisterMap(name="m", title={}, source="test", points=points), on_change=changes.append)
    levels = set()
    for second in range(40):
        world.move(float(second))
        values = world.values
        assert -5 <= values["level"] <= 5
        word = unit.tables["input"][2]
        assert (word & 1 == 1, word >> 5 & 1 == 1) == (values["a"], values["b"])
        assert unit.tables["coil"][9] == values["lamp"]
        levels.add(values["level"])
    assert len(levels) > 10
    assert "word" not in world.values
    assert world.values["label"] == "label"
    assert changes[-1]["values"] == world.values
