"""Each device family from its bytes to records at the ingest: on emulators, or on the ports of `--rig FILE`.

A broken rig stops its own tests once: a device that does not answer fails with what the gateway said of it.
"""

import time
from pathlib import Path

import pytest

from drivers.modbus.map_file import load_map
from emulators.gnss import GnssReceiver
from emulators.kit.hosts import PtyHost, TcpHost
from emulators.modbus_server import ModbusUnit, RtuUnits, TcpUnits
from emulators.modbus_worlds import CounterWorld, MapWorld
from emulators.pn532 import Pn532Emulator
from emulators.pn532_visits import read_world
from hil_tests.bench import NODE, Bench
from hil_tests.devices import counter, counter_table
from hil_tests.rig import ModbusLine, OnePort, Rig
from tools.sink.ledger import read_readings

pytestmark = pytest.mark.hil

BAUD = 9600
SILENCE_S = 3.5 * 10 / BAUD


def part_of(rig: Rig | None, name: str) -> ModbusLine | OnePort | None:
    """A part of a real bench; None on emulators. Skips the test when a real bench has no such part."""
    if rig is None:
        return None
    part = getattr(rig, name)
    if part is None:
        pytest.skip(f"the rig has no [{name}]")
    return part


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def good_readings(bench: Bench, device: str) -> list:
    if not bench.ledger_file.exists():
        return []
    return [reading for reading in read_readings(bench.ledger_file, node=NODE, device=device) if reading.quality == 0]


async def test_units_on_one_line_are_read_with_good_quality(bench: Bench, rig: Rig | None):
    part = part_of(rig, "modbus_line")
    if isinstance(part, ModbusLine):
        line = part
    else:
        units = [ModbusUnit(number, delay_s=0.005) for number in (1, 2, 3)]
        for unit in units:
            MapWorld(unit, load_map("pzem_016"), seed=unit.unit_id)
        host = PtyHost([RtuUnits(units, silence_s=SILENCE_S)], baud=BAUD, silence_s=SILENCE_S)
        line = ModbusLine(await bench.add(host), (1, 2, 3), "pzem_016")
    tables = f'[[bus]]\nname = "line-1"\nport = "{line.port}"\n'
    for unit_id in line.units:
        tables += f'\n[[device]]\nname = "unit-{unit_id}"\ndriver = "modbus"\nbus = "line-1"\n'
        tables += f'unit_id = {unit_id}\nmap = "{line.map}"\nperiod_s = 0.5\n'
    bench.configure(tables)
    await bench.start()
    for unit_id in line.units:
        device = f"unit-{unit_id}"
        await bench.until(lambda name=device: len(good_readings(bench, name)) >= 12, f"{device} is read")
    points = {reading.point for reading in good_readings(bench, "unit-1")}
    assert points == {point.name for point in load_map(line.map).points}
    await bench.everything_arrived()


async def test_a_thousand_registers_over_tcp_are_never_torn(bench: Bench, rig: Rig | None):
    part = part_of(rig, "modbus_tcp")
    if isinstance(part, OnePort):
        port = part.port
    else:
        unit = ModbusUnit(1)
        CounterWorld(unit, registers=1000, step_s=0.05)
        port = await bench.add(TcpHost(lambda: TcpUnits([unit])))
    bench.configure(
        f'[[device]]\nname = "plc-1"\ndriver = "modbus"\nport = "{port}"\nmax_in_flight = 8\nperiod_s = 0.2\n'
        '[[device.range]]\nname = "raw"\ntable = "holding"\naddress = 0\ncount = 1000\n'
    )
    await bench.start()
    await bench.until(lambda: len(good_readings(bench, "plc-1")) >= 5_000, "plc-1 is read")
    await bench.everything_arrived()
    if rig is None:
        # Register i holds (count + i): within one block of one answer the values must follow each other.
        rows: dict[int, dict[int, int]] = {}
        for reading in good_readings(bench, "plc-1"):
            rows.setdefault(reading.time_ms, {})[int(reading.point.removeprefix("raw"))] = reading.value
        for row in rows.values():
            assert len(row) == 1000
            for i in range(0, 1000, 125):
                assert [row[i + at] for at in range(125)] == [(row[i] + at) % 65536 for at in range(125)]


async def test_a_receiver_tells_position_and_time(bench: Bench, rig: Rig | None):
    part = part_of(rig, "gnss")
    port = part.port if isinstance(part, OnePort) else ""
    if not port:
        receiver = GnssReceiver(seed=1, wall_ms=wall_ms)
        port = await bench.add(PtyHost([receiver], baud=BAUD))
    bench.configure(f'[[device]]\nname = "gnss"\ndriver = "gnss"\nport = "{port}"\n')
    await bench.start()
    await bench.until(lambda: len(good_readings(bench, "gnss")) >= 12, "a position", within_s=60 if rig else 20)
    await bench.until(lambda: bench.status()["clock"]["quality"] == "gnss", "time from the receiver")
    await bench.everything_arrived()


async def test_a_tap_becomes_an_event_that_tells_nobody_who_tapped(bench: Bench, rig: Rig | None, tmp_path: Path):
    part = part_of(rig, "card_reader")
    port = part.port if isinstance(part, OnePort) else ""
    uid = "04a1b2c3d4e5f6"
    if not port:
        visit = {"at_s": 1.0, "for_s": 0.8, "every_s": 3.0}
        cards, visits = read_world({"card": [{"name": "anna", "kind": "type_a", "uid": uid, "visit": [visit]}]})
        port = await bench.add(PtyHost([Pn532Emulator(cards, visits)]))
    bench.configure(f'[[device]]\nname = "reader-1"\ndriver = "card_reader"\nport = "{port}"\n')
    await bench.start()
    taps = await bench.until(
        lambda: [record for record in bench.records("event") if record.route == "event/tap"],
        "a tap",
        within_s=60 if rig else 20,
    )
    await bench.everything_arrived()
    assert taps[0].event.data["identity"].startswith("k")
    everything = b"".join(record.payload for record in bench.records()) + bench.log().encode()
    if rig is None:
        assert uid.encode() not in everything.lower()
        assert bytes.fromhex(uid) not in everything


PERIOD_S = 0.5
TIMEOUT_S = 1.0
BUSY_S = 0.3
"""What a busy machine takes on top."""


async def test_a_device_that_dies_leaves_no_value_behind_and_comes_back_by_itself(bench: Bench):
    """Rows 9 and 12 of docs/field_failures.md: its server goes and returns twenty times under one gateway process."""
    host = counter()
    bench.configure(counter_table("plc-1", await bench.add(host), period_s=PERIOD_S))
    await bench.start()
    pid = bench.gateway.process.pid
    away_ms = []
    for _restart in range(20):
        await bench.until(lambda: bench.status()["devices"]["plc-1"]["lost_s"] is None, "it is read")
        rounds = bench.status()["devices"]["plc-1"]["rounds"]
        await bench.until(lambda seen=rounds: bench.status()["devices"]["plc-1"]["rounds"] > seen + 1, "and again")
        await host.aclose()
        went_ms = wall_ms()
        failed = bench.status()["devices"]["plc-1"]["failed_rounds"]
        await bench.until(
            lambda seen=failed: bench.status()["devices"]["plc-1"]["failed_rounds"] > seen, "a poll finds nobody"
        )
        await host.start()
        away_ms.append((went_ms, wall_ms()))
    await bench.until(lambda: bench.status()["devices"]["plc-1"]["lost_s"] is None, "it is read")
    assert bench.gateway.process.pid == pid
    assert bench.gateway.process.returncode is None
    assert bench.status()["devices"]["plc-1"]["starts"] == 1
    await bench.everything_arrived()
    readings = list(read_readings(bench.ledger_file, node=NODE, device="plc-1"))
    for went_ms, came_ms in away_ms:
        good = [reading.time_ms for reading in readings if reading.quality == 0]
        bad = [reading.time_ms for reading in readings if reading.quality != 0]
        assert not [at for at in good if went_ms + 1_000 * BUSY_S < at < came_ms], "no value without a device"
        assert min(at for at in bad if at > went_ms) - went_ms <= 1_000 * (PERIOD_S + TIMEOUT_S + BUSY_S)
        assert min(at for at in good if at > came_ms) - came_ms <= 1_000 * (2 * PERIOD_S + BUSY_S)
    assert {reading.value for reading in readings if reading.quality != 0} == {None}
