"""The tables of Modbus devices: what is read from them, and how mistakes are told."""

import msgspec
import pytest

from drivers.errors import DeviceConfigError
from drivers.modbus.config import BusConfig, ModbusDeviceConfig, RegisterRange, bus_findings, findings
from drivers.modbus.plan import Layout
from protocols.modbus_devices.master import Call
from protocols.modbus_devices.timing import LineTiming


def device(**keys):
    return msgspec.convert({"driver": "modbus", "name": "meter-1", **keys}, ModbusDeviceConfig)


def point(name, **keys):
    return {"name": name, "table": "holding", "address": 0, **keys}


def plan(config, line=None):
    layout = Layout.of(config.registers(), line, lambda request: Call(1, request, 1.0))
    return [read for group, indexes in layout.groups().items() for read in layout.plan(group, indexes)]


def told(config):
    return [f"{'.'.join(map(str, path))}: {text}" for path, text in findings(config)]


def test_points_come_from_map_points_and_ranges_in_this_order():
    config = device(
        port="tcp:10.0.0.7:502",
        map="pzem_016",
        point=[point("level_m", address=40, type="int16", scale=0.001, unit="m")],
        range=[{"name": "raw", "table": "holding", "address": 100, "count": 3, "type": "uint32"}],
    )
    registers = config.registers()
    assert [one.name for one in registers.points[-4:]] == ["level_m", "raw0", "raw1", "raw2"]
    assert [one.address for one in registers.points[-3:]] == [100, 102, 104]
    assert registers.points[0].name == "voltage_v"
    assert told(config) == []


def test_a_thousand_registers_are_eight_requests():
    reads = plan(device(port="tcp:h:502", range=[{"name": "raw", "table": "holding", "address": 0, "count": 1000}]))
    assert [(read.block.start, read.block.count) for read in reads] == [(125 * i, 125) for i in range(8)]
    assert [read.place for read in reads] == [slice(125 * i, 125 * i + 125) for i in range(8)]


def test_limits_of_the_map_hold_unless_the_table_says_otherwise():
    assert device(map="eastron_sdm630").registers().max_registers == 80
    config = device(map="eastron_sdm630", max_registers=20, max_hole=0, device_delay_ms=30)
    registers = config.registers()
    assert (registers.max_registers, registers.max_hole, registers.device_delay_ms) == (20, 0, 30)
    assert all(read.block.count <= 20 for read in plan(config))


def test_a_slow_line_reads_over_fewer_holes_than_a_stream():
    keys = {"point": [point("a"), point("b", address=30)]}
    line = LineTiming(baud=9600, bits_per_char=10)
    assert len(plan(device(**keys), line)) == 2
    assert len(plan(device(**keys))) == 1


def test_overlapping_points_and_bits_of_one_register_find_their_block():
    config = device(
        point=[
            point("word", address=5, type="uint32"),
            point("low", address=6),
            point("flag", address=6, type="bool", bit=3),
            point("coil", table="coil", address=1, type="bool"),
        ]
    )
    reads = plan(config)
    assert [(read.group.table, read.block.start, read.block.count) for read in reads] == [
        ("holding", 5, 2),
        ("coil", 1, 1),
    ]
    assert reads[0].decoder(bytes.fromhex("0001000A")) == [0x1000A, 10, True]


def test_framing_follows_the_port():
    assert BusConfig(name="b", port="tcp:h:502").frames == "tcp"
    assert BusConfig(name="b", port="tcp:h:502", framing="rtu").frames == "rtu"
    assert BusConfig(name="b", port="serial:/dev/ttyS1").frames == "rtu"


def test_a_range_in_a_table_of_bits_is_of_bools():
    (first, *_rest) = RegisterRange(name="di", table="discrete", address=4, count=8).points()
    assert (first.name, first.type, first.address) == ("di0", "bool", 4)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "nothing is read"),
        ({"map": "eastron_sdm63"}, "eastron_sdm630"),
        ({"map": "eastron_sdm630", "options": {"word_scale": 0.1}}, "no option word_scale"),
        ({"map": "weather_500", "options": {"word_scale": 0.5}}, "is one of"),
        ({"options": {"a": 1}, "point": [point("x")]}, "options belong to a map"),
        ({"point": [point("x"), point("x", address=1)]}, "x stands twice"),
        ({"point": [point("x", type="float64")], "max_registers": 2}, "takes 4 registers"),
        ({"range": [{"name": "r", "table": "holding", "address": 65_000, "count": 1000}]}, "behind the last address"),
        ({"range": [{"name": "r", "table": "coil", "address": 0, "count": 20_000}], "point": [point("x")]}, "at most"),
        ({"point": [point("x")], "port": "pty:/dev/pts/1", "unit_id": 0}, "unit_id: is 0, which is a broadcast"),
        ({"point": [point("x")], "port": "pty:/dev/pts/1", "framing": "tcp"}, "framing: "),
        ({"point": [point("x")], "port": "pty:/dev/pts/1", "max_in_flight": 4}, "max_in_flight: "),
        ({"point": [point("x")], "bus": "b", "max_in_flight": 4}, "max_in_flight: belongs to the [[bus]]"),
    ],
)
def test_a_mistake_is_told_with_its_place(keys, says):
    (text,) = told(device(**keys))
    assert says in text


@pytest.mark.parametrize(
    "keys",
    [
        {"unit_id": 256},
        {"period_s": 0},
        {"timeout_ms": 0},
        {"retries": 11},
        {"max_registers": 126},
        {"max_in_flight": 17},
        {"framing": "ascii"},
        {"report": "some"},
        {"baud": 9600},
    ],
)
def test_bounds_and_unknown_keys_are_the_types_affair(keys):
    with pytest.raises(msgspec.ValidationError):
        device(**keys)


def test_a_device_without_points_cannot_be_made():
    with pytest.raises(DeviceConfigError):
        device().registers()


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ({"port": "serial:ttyS1"}, [("port",)]),
        ({"port": "serial:/dev/ttyS1", "framing": "tcp"}, [("framing",)]),
        ({"port": "tcp:h:502", "framing": "rtu", "max_in_flight": 2}, [("max_in_flight",)]),
        ({"port": "tcp:h:502", "max_in_flight": 2}, []),
        ({"port": "serial:/dev/ttyS1"}, []),
    ],
)
def test_a_bus_is_told_what_does_not_fit(keys, at):
    assert [path for path, _text in bus_findings(BusConfig(name="b", **keys))] == at
