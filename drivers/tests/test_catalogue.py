"""The table of drivers: every row leads to what it says, and what it builds is a driver."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from drivers.catalogue import DRIVERS, build_bus, build_driver, driver_names, entry_of
from drivers.clock import Clock
from drivers.device_config import DeviceConfig
from drivers.errors import DeviceConfigError, DriverError
from drivers.modbus.config import BusConfig, ModbusDeviceConfig
from drivers.readings import DeviceEvent, Sample, TimeOffer, Transaction


class NoReadings:
    """Takes everything and keeps nothing."""

    def sample(self, sample: Sample) -> None: ...

    def event(self, event: DeviceEvent) -> None: ...

    async def transaction(self, transaction: Transaction) -> bool:
        return False

    def time_offer(self, offer: TimeOffer) -> None: ...

    def device_lost(self, device: str, error: DriverError) -> None: ...

    def device_back(self, device: str) -> None: ...


class LoopClock(Clock):
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def build(config: DeviceConfig, bus: Any = None) -> Any:
    return build_driver(
        config, bus=bus, readings=NoReadings(), clock=LoopClock(), pseudonym=lambda identity: identity.hex()
    )


@pytest.mark.parametrize("name", DRIVERS)
def test_every_row_is_called_as_its_table_says_and_builds_a_driver(name: str) -> None:
    async def built() -> Any:
        return build(kind(name="d1", port="pty:/dev/pts/0", **needed))

    kind = DRIVERS[name].config_type()
    needed: dict[str, Any] = {"map": "eastron_sdm630"} if name == "modbus" else {}
    config = kind(name="d1", port="pty:/dev/pts/0", **needed)
    assert entry_of(config) is DRIVERS[name]
    assert list(DRIVERS[name].findings(config)) == []
    driver = asyncio.run(built())
    assert driver.name == "d1"
    assert isinstance(driver.status(), dict)
    assert all(point.name for point in driver.points)


def test_the_names_are_sorted_and_are_the_tags() -> None:
    assert driver_names() == sorted(driver_names())
    assert [entry.config_type().__struct_config__.tag for entry in DRIVERS.values()] == list(DRIVERS)


async def test_devices_share_the_bus_that_they_name() -> None:
    bus = build_bus(BusConfig(name="b1", port="serial:/dev/ttyS1?baud=9600"), LoopClock())
    driver = build(ModbusDeviceConfig(name="d1", bus="b1", map="eastron_sdm630"), bus)
    assert driver.points


async def test_a_device_without_a_line_is_refused() -> None:
    with pytest.raises(DeviceConfigError, match="d1: bus or port is missing"):
        build(DRIVERS["gnss"].config_type()(name="d1"))


async def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(DeviceConfigError, match="tcp:HOST:PORT"):
        build(DRIVERS["gnss"].config_type()(name="d1", port="tcp:x"))


def test_the_table_loads_no_driver() -> None:
    drivers = {"drivers.gnss", "drivers.card_reader", "drivers.modbus.device"}
    program = f"import sys, drivers.catalogue; print({drivers} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
