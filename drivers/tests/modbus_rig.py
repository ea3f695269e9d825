"""Emulated Modbus units on real sockets and pseudo-terminals, and devices that poll them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from drivers.modbus.bus import ModbusBus
from drivers.modbus.config import BusConfig, ModbusDeviceConfig
from drivers.modbus.device import ModbusDevice
from drivers.ports.open_port import open_port
from drivers.tests.bench_of_one import Kept, LoopClock
from emulators.kit.device import EmulatedDevice
from emulators.kit.faults import FaultPlan, FaultyDevice
from emulators.kit.hosts import PtyHost, TcpHost
from emulators.modbus_server import ModbusUnit, RtuUnits, TcpUnits
from emulators.modbus_worlds import CounterWorld
from protocols.modbus_devices.master import LATE_S
from protocols.modbus_devices.timing import LineTiming


def silence_s(baud: int) -> float:
    return LineTiming(baud=baud, bits_per_char=10).t3_5_ms / 1000


def counter_unit(unit_id: int = 1, registers: int = 10, step_s: float = 0.01, **keys: Any) -> ModbusUnit:
    """A unit whose register i holds a count + i."""
    unit = ModbusUnit(unit_id, **keys)
    CounterWorld(unit, registers=registers, step_s=step_s)
    return unit


def line_of(
    units: Sequence[ModbusUnit], baud: int = 115_200, *, faults: FaultPlan | None = None, link: Path | None = None
) -> PtyHost:
    """Units on one paced line, each behind its own copy of a fault plan."""
    devices: list[EmulatedDevice] = []
    for unit in units:
        device: EmulatedDevice = RtuUnits([unit], silence_s=silence_s(baud))
        if faults is not None:
            plan = msgspec.structs.replace(faults, seed=faults.seed + unit.unit_id)
            device = FaultyDevice(device, plan)
        devices.append(device)
    return PtyHost(devices, baud=baud, silence_s=silence_s(baud), link=link)


def server_of(units: Sequence[ModbusUnit], *, faults: FaultPlan | None = None, **keys: Any) -> TcpHost:
    """Units behind a Modbus TCP server."""

    def connect() -> EmulatedDevice:
        return TcpUnits(units) if faults is None else FaultyDevice(TcpUnits(units), faults)

    return TcpHost(connect, **keys)


def device_on(
    bus: ModbusBus | None, kept: Kept, *, name: str = "m", endpoint: str | None = None, **keys: Any
) -> ModbusDevice:
    """A device on a bus or, with `endpoint`, on a port of its own."""
    if not {"map", "point", "range"} & set(keys):
        keys["range"] = [{"name": "raw", "table": "holding", "address": 0, "count": 10}]
    place = {"bus": bus.name} if bus is not None else {"port": endpoint}
    config = msgspec.convert({"driver": "modbus", "name": name, **place, **keys}, ModbusDeviceConfig)
    port = None if endpoint is None else open_port(endpoint)
    return ModbusDevice(config, bus=bus, port=port, readings=kept, clock=LoopClock())


def bus_on(endpoint: str, *, late_s: float = LATE_S, **keys: Any) -> ModbusBus:
    config = BusConfig(name="bus", port=endpoint, **keys)
    return ModbusBus(config, open_port(endpoint), LoopClock(), late_s=late_s)


def is_whole(values: Sequence[Any]) -> bool:
    """Whether a counter unit's row was read at one moment and belongs to it."""
    return all(value == (values[0] + i) & 0xFFFF for i, value in enumerate(values))
