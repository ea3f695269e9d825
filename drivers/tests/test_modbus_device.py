"""Devices and the bus they share: maps read whole, writes with read-back, comings and goings, defects."""

import asyncio

import pytest

from drivers.errors import DeviceConfigError, DeviceRefusedError, DeviceTimeoutError, PortError
from drivers.modbus.bus import ModbusBus
from drivers.modbus.config import BusConfig
from drivers.modbus.map_file import load_map, shipped_map_names
from drivers.modbus.schedule import MAX_WAITING
from drivers.ports.memory_port import MemoryPort
from drivers.ports.port import LineSettings
from drivers.tests.bench_of_one import Kept, LoopClock, running, until
from drivers.tests.modbus_rig import bus_on, counter_unit, device_on, is_whole, line_of, server_of
from emulators.kit.hosts import MemoryHost, TcpHost
from emulators.modbus_server import ModbusUnit, RtuUnits
from emulators.modbus_worlds import MapWorld
from protocols.modbus_devices.pdu import ReadRequest, WriteRegisters

WRITABLE = {
    "point": [
        {"name": "set_hz", "table": "holding", "address": 3, "scale": 0.01, "min": 0, "max": 50, "writable": True},
        {"name": "level_m", "table": "holding", "address": 4, "type": "float32", "order": "CDAB", "writable": True},
        {"name": "lamp", "table": "coil", "address": 7, "type": "bool", "writable": True},
        {"name": "seen", "table": "holding", "address": 6},
    ]
}


def unit_with_coils():
    unit = ModbusUnit(1)
    unit.set_registers("holding", 0, [0] * 10)
    unit.set_registers("coil", 0, [0] * 10)
    return unit


def plain_maps():
    return [name for name in shipped_map_names() if load_map(name).sunspec_model is None]


@pytest.mark.parametrize("name", plain_maps())
async def test_every_shipped_map_reads_what_the_unit_has(name):
    """Values put into registers by another reading of the word orders than the product's own come back."""
    unit = ModbusUnit(1)
    world = MapWorld(unit, load_map(name), seed=7, step_s=1000)
    kept = Kept()
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, map=name)
        async with running(device):
            await until(lambda: kept.samples)
    sample = kept.samples[0]
    values = dict(zip([point.name for point in device.points], sample.values, strict=True))
    assert len(world.values) >= len(values) / 2
    for point, want in world.values.items():
        value = values[point]
        assert value == (pytest.approx(want, rel=1e-6, abs=1e-9) if isinstance(want, float) else want), point
    assert sample.bad == []


@pytest.mark.parametrize(
    ("point", "value", "back"),
    [("set_hz", 49.5, 49.5), ("set_hz", 0, 0), ("level_m", 1.25, 1.25), ("lamp", True, True)],
)
async def test_a_write_is_read_back(point, value, back):
    unit, kept = unit_with_coils(), Kept()
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, **WRITABLE)
        async with running(device):
            await until(lambda: kept.samples)
            assert await device.command("modbus.write", {"point": point, "value": value}) == {
                "point": point,
                "value": back,
            }
    assert len(unit.written) == 1
    assert device.status()["writes"] == 1


async def test_a_register_that_only_takes_commands_is_neither_read_nor_read_back():
    unit, kept = ModbusUnit(1), Kept()
    MapWorld(unit, load_map("weather_500"), step_s=1000)
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, map="weather_500")
        assert "rain_clear" not in [point.name for point in device.points]
        async with running(device):
            await until(lambda: kept.samples)
            assert await device.command("modbus.write", {"point": "rain_clear", "value": 0x5A}) == {
                "point": "rain_clear",
                "value": 0x5A,
            }
            with pytest.raises(DeviceRefusedError):
                await device.command("modbus.write", {"point": "rain_clear", "value": 1})
    assert unit.written == [("holding", 513, [0x5A])]


@pytest.mark.parametrize(
    ("operation", "arguments", "says"),
    [
        ("modbus.read", {}, "knows modbus.write"),
        ("modbus.write", {}, '{"point": NAME'),
        ("modbus.write", {"point": "set_hz", "value": 1, "more": 1}, '{"point": NAME'),
        ("modbus.write", {"point": "nothing", "value": 1}, "no point 'nothing'"),
        ("modbus.write", {"point": 3, "value": 1}, "no point 3"),
        ("modbus.write", {"point": "seen", "value": 1}, "not marked writable"),
        ("modbus.write", {"point": "set_hz", "value": 51}, "set_hz"),
        ("modbus.write", {"point": "set_hz", "value": -0.01}, "set_hz"),
        ("modbus.write", {"point": "set_hz", "value": float("nan")}, "set_hz"),
        ("modbus.write", {"point": "set_hz", "value": float("inf")}, "set_hz"),
        ("modbus.write", {"point": "set_hz", "value": "fast"}, "set_hz"),
        ("modbus.write", {"point": "set_hz", "value": True}, "set_hz"),
        ("modbus.write", {"point": "set_hz", "value": None}, "a value is a number"),
        ("modbus.write", {"point": "set_hz", "value": [1]}, "a value is a number"),
        ("modbus.write", {"point": "lamp", "value": 1}, "lamp"),
        ("modbus.write", {"point": "level_m", "value": 1e300}, "level_m"),
    ],
)
async def test_what_may_not_be_written_never_reaches_the_line(operation, arguments, says):
    unit, kept = unit_with_coils(), Kept()
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, **WRITABLE)
        async with running(device):
            await until(lambda: kept.samples)
            with pytest.raises(DeviceRefusedError) as caught:
                await device.command(operation, arguments)
    assert says in str(caught.value)
    assert unit.written == []


async def test_what_the_device_refuses_carries_its_code():
    unit, kept = unit_with_coils(), Kept()
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, **WRITABLE, period_s=60)
        async with running(device):
            await until(lambda: kept.samples)
            unit.exceptions.append(4)
            with pytest.raises(DeviceRefusedError, match="device failure") as caught:
                await device.command("modbus.write", {"point": "set_hz", "value": 1})
    assert caught.value.code == 4


async def test_what_reads_back_otherwise_is_an_error():
    unit, kept = unit_with_coils(), Kept()
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, **WRITABLE)
        async with running(device):
            await until(lambda: kept.samples)
            unit.move = lambda _now: unit.set_registers("holding", 3, [700])
            with pytest.raises(DeviceRefusedError, match="reads back 7"):
                await device.command("modbus.write", {"point": "set_hz", "value": 1})


async def test_a_write_whose_answer_is_lost_is_settled_by_reading_back_and_never_repeated():
    unit, kept = unit_with_coils(), Kept()
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, **WRITABLE, timeout_ms=50, period_s=60)
        async with running(device):
            await until(lambda: kept.samples)
            unit.is_silent = True
            unit.move = lambda _now: setattr(unit, "is_silent", not unit.written)  # it answers after the write
            assert await device.command("modbus.write", {"point": "set_hz", "value": 1}) == {
                "point": "set_hz",
                "value": 1,
            }
            assert len(unit.written) == 1
            unit.move, unit.is_silent = None, True
            with pytest.raises((DeviceTimeoutError, PortError)):
                await device.command("modbus.write", {"point": "set_hz", "value": 2})
    assert [values for _table, _at, values in unit.written] == [[100], [200]]


async def test_commands_go_ahead_of_polls():
    """A line that is polled without a pause still takes a command at the next turn."""
    units = [counter_unit(unit_id, registers=60) for unit_id in range(1, 6)]
    kept = Kept()
    async with line_of(units, 38_400) as host:
        bus = bus_on(host.endpoint)
        devices = [device_on(bus, kept, name=f"m{unit.unit_id}", unit_id=unit.unit_id, period_s=0.05) for unit in units]
        async with running(bus, *devices):
            await until(lambda: all(kept.of(device.name) for device in devices))
            began = len(host.tap.of("master"))
            await bus.ask(3, ReadRequest(3, 50, 1), 0.1)
            asked = [heard.wire[0:4] for heard in host.tap.of("master")[began:]]
            assert b"\x03\x03\x00\x32" in asked[:2]


async def test_devices_come_and_go_without_a_new_port():
    units = [counter_unit(1), counter_unit(2)]
    kept = Kept()
    async with line_of(units) as host:
        bus = bus_on(host.endpoint)
        first, second = (device_on(bus, kept, name=f"m{i}", unit_id=i, period_s=0.05) for i in (1, 2))
        async with running(bus, first):
            await until(lambda: kept.of("m1"))
            for _ in range(3):
                async with running(second):
                    count = len(kept.good("m2"))
                    await until(lambda count=count: len(kept.good("m2")) > count)
                gone = len(kept.of("m2"))
                count = len(kept.of("m1"))
                await until(lambda count=count: len(kept.of("m1")) > count + 2)
                assert len(kept.of("m2")) == gone
    assert bus.opened == 1
    assert kept.lost == {}
    assert host.tap.violations == 0


async def test_rtu_over_tcp():
    kept = Kept()
    units = [counter_unit(5)]
    async with TcpHost(lambda: RtuUnits(units, is_stream=True)) as host:
        device = device_on(None, kept, endpoint=host.endpoint, unit_id=5, framing="rtu", period_s=0.05)
        async with running(device):
            await until(lambda: len(kept.good("m")) > 3)
    assert all(is_whole(sample.values) for sample in kept.samples)


async def test_a_gateway_with_a_window_serves_several_units():
    units = [counter_unit(unit_id, registers=300) for unit_id in (1, 2, 3)]
    kept = Kept()
    keys = {"range": [{"name": "raw", "table": "holding", "address": 0, "count": 300}], "period_s": 0.05}
    async with server_of(units) as host:
        bus = bus_on(host.endpoint, max_in_flight=4)
        devices = [device_on(bus, kept, name=f"m{i}", unit_id=i, **keys) for i in (1, 2, 3)]
        ghost = device_on(bus, kept, name="m9", unit_id=9, **keys)
        async with running(bus, *devices, ghost):
            await until(lambda: all(len(kept.good(device.name)) > 3 for device in devices))
        assert host.accepted == 1
    assert kept.lost.keys() == {"m9"}


async def test_what_is_not_modbus_breaks_the_connection_and_nothing_else():
    class Web:
        def receive(self, data, now):
            return [b"HTTP/1.1 400 Bad Request\r\n\r\n"]

        def tick(self, now):
            return []

        def next_deadline(self):
            return None

    kept = Kept()
    async with TcpHost(Web) as host:
        device = device_on(None, kept, endpoint=host.endpoint, period_s=0.05)
        async with running(device):
            await until(lambda: host.accepted > 3)
            assert "not Modbus" in device.status()["last_error"]
    assert all(sample.bad for sample in kept.samples)


async def test_a_port_that_flaps_is_one_loss_in_the_log(caplog):
    caplog.set_level("INFO", logger="drivers.modbus.bus")
    kept, unit = Kept(), counter_unit()
    async with server_of([unit], max_connections=0) as host:
        bus = bus_on(host.endpoint)
        async with running(bus, device_on(bus, kept, period_s=0.05)):
            await until(lambda: host.refused > 3)
            host.max_connections = 1
            await until(lambda: kept.good("m"))
            await until(lambda: len(caplog.records) == 2)
    assert ["works again" in record.getMessage() for record in caplog.records] == [False, True]


async def test_a_connection_without_any_answer_is_made_anew():
    unit, kept = counter_unit(), Kept()
    unit.is_silent = True
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, period_s=0.05, timeout_ms=20)
        async with running(device):
            await until(lambda: host.accepted > 1)
            unit.is_silent = False
            await until(lambda: kept.good("m"))
        assert host.refused == 0


async def test_nobody_waits_for_a_port_that_is_not_there():
    kept = Kept()
    device = device_on(None, kept, endpoint="serial:/dev/does-not-exist", **WRITABLE, period_s=0.05)
    async with running(device):
        await until(lambda: len(kept.samples) >= 3)
        with pytest.raises(PortError, match="no such device"):
            await device.command("modbus.write", {"point": "set_hz", "value": 1})
        assert device.status()["port_state"] == "down"
        assert "no such device" in device.status()["port_error"]
    assert all(sample.bad for sample in kept.samples)
    assert "no such device" in kept.lost["m"]


async def test_a_command_that_waits_when_the_port_goes_is_told_so():
    unit, kept = unit_with_coils(), Kept()
    unit.is_silent = True
    async with server_of([unit]) as host:
        device = device_on(None, kept, endpoint=host.endpoint, **WRITABLE, timeout_ms=5000)
        async with running(device):
            await until(lambda: host.accepted == 1 and unit.requests)
            writes = [
                asyncio.create_task(device.command("modbus.write", {"point": "set_hz", "value": 1})) for _ in range(3)
            ]
            await asyncio.sleep(0.02)
            await host.aclose()
            for write in writes:
                with pytest.raises(PortError):
                    await write


async def test_waiting_commands_have_a_ceiling_and_may_be_cancelled():
    unit, kept = unit_with_coils(), Kept()
    unit.is_silent = True
    async with server_of([unit]) as host:
        bus = bus_on(host.endpoint)
        async with running(bus, device_on(bus, kept, **WRITABLE, timeout_ms=2000)):
            await until(lambda: unit.requests)
            asks = [asyncio.create_task(bus.ask(1, ReadRequest(3, 0, 1), 5)) for _ in range(MAX_WAITING)]
            await asyncio.sleep(0.01)
            with pytest.raises(DeviceRefusedError, match="waiting already"):
                await bus.ask(1, ReadRequest(3, 0, 1), 5)
            for task in asks:
                task.cancel()
            await asyncio.gather(*asks, return_exceptions=True)
            assert bus.status()["waiting_commands"] == 0


async def test_a_defect_ends_the_bus_instead_of_hanging_it():
    class Broken(Kept):
        def sample(self, sample):
            raise ZeroDivisionError

    async with server_of([counter_unit()]) as host:
        device = device_on(None, Broken(), endpoint=host.endpoint)
        async with asyncio.timeout(5):
            with pytest.raises(ZeroDivisionError):
                await device.run()


async def test_units_in_memory():
    """The same driver over a pipe in memory, with line times and no real line."""
    unit, kept = counter_unit(), Kept()
    port = MemoryPort("memory", LineSettings(baud=115_200))
    host = MemoryHost(RtuUnits([unit]))
    port.on_write, host.on_bytes = host.feed, port.deliver
    bus = ModbusBus(BusConfig(name="bus", port="pty:/memory"), port, LoopClock())
    async with running(bus, device_on(bus, kept, period_s=0.05)):
        await until(lambda: len(kept.good("m")) > 3)
        port.lose(PortError("unplugged"))
        await until(lambda: kept.lost)
        await until(lambda: not kept.lost)
    host.close()
    assert port.opened == 2


async def test_time_outs_are_reckoned_from_the_line_or_as_configured():
    line = ModbusBus(BusConfig(name="b", port="pty:/x"), MemoryPort("m", LineSettings(baud=9600)), LoopClock())
    stream = ModbusBus(BusConfig(name="b", port="tcp:h:1"), MemoryPort("m"), LoopClock())
    read, write = ReadRequest(3, 0, 2), WriteRegisters(0, bytes(4))
    assert line.timeout_s(read, delay_ms=0, timeout_ms=None) == pytest.approx(0.025 + 0.05)
    assert line.timeout_s(read, delay_ms=100, timeout_ms=None) == pytest.approx(
        (17 * 1.0417 + 100 + 3.6458) / 1000 + 0.05, abs=1e-5
    )
    assert line.timeout_s(write, delay_ms=0, timeout_ms=None) > line.timeout_s(read, delay_ms=0, timeout_ms=None)
    assert line.timeout_s(read, delay_ms=0, timeout_ms=30) == pytest.approx((17 * 1.0417 + 30) / 1000, abs=1e-5)
    assert stream.timeout_s(read, delay_ms=0, timeout_ms=None) == 1.0
    assert stream.timeout_s(read, delay_ms=500, timeout_ms=300) == 0.3


async def test_what_cannot_be_polled_is_a_configuration_error():
    bus = bus_on("pty:/dev/pts/99")
    for keys in ({"unit_id": 0}, {"map": "no_such_map"}):
        with pytest.raises(DeviceConfigError):
            device_on(bus, Kept(), **keys)
    with pytest.raises(DeviceConfigError):
        device_on(None, Kept(), range=[{"name": "raw", "table": "holding", "address": 0, "count": 1}])
