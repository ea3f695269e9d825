"""Every driver there is: a table written out by hand. `[[device]] driver = "gnss"` chooses a row.

A row names modules and does not import them: a gateway without a card reader never loads the card reader's.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from drivers.clock import Clock
from drivers.device_config import DeviceConfig
from drivers.driver import Driver
from drivers.errors import DeviceConfigError
from drivers.modbus.config import BusConfig
from drivers.ports.open_port import open_port
from drivers.readings import Readings
from drivers.text import _

Finding = tuple[tuple[str | int, ...], str]
"""(path within the device's table, what is wrong and what would be right)."""


class DriverEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One driver. What it names is `module:name`."""

    config: str
    """Its `DeviceConfig`."""
    driver: str
    """What makes it: `(config, *, port or bus, clock, readings)`, and `pseudonym` when it sees people."""
    check: str | None = None
    """`(config) -> Iterable[Finding]`: what the types of its table cannot tell."""
    takes_bus: bool = False
    """Several of its devices may share a `[[bus]]`."""
    sees_people: bool = False
    """It sees cards or plates, and needs `[privacy] hash_key`."""

    def config_type(self) -> type[DeviceConfig]:
        """Load and return the type of its table."""
        return cast("type[DeviceConfig]", _load(self.config))

    def findings(self, config: DeviceConfig) -> Iterable[Finding]:
        """What is wrong with a table although its types are right."""
        return cast("Iterable[Finding]", _load(self.check)(config)) if self.check is not None else ()


DRIVERS: dict[str, DriverEntry] = {
    "card_reader": DriverEntry(
        config="drivers.card_reader:CardReaderConfig",
        driver="drivers.card_reader:CardReaderDriver",
        check="drivers.card_reader:findings",
        sees_people=True,
    ),
    "gnss": DriverEntry(config="drivers.gnss:GnssConfig", driver="drivers.gnss:GnssDriver"),
    "modbus": DriverEntry(
        config="drivers.modbus.config:ModbusDeviceConfig",
        driver="drivers.modbus.device:ModbusDevice",
        check="drivers.modbus.config:findings",
        takes_bus=True,
    ),
}
BUS = "drivers.modbus.bus:ModbusBus"
"""What makes a bus: `(config, *, port, clock)`."""


def driver_names() -> list[str]:
    """The drivers that there are."""
    return sorted(DRIVERS)


def entry_of(config: DeviceConfig) -> DriverEntry:
    """The row of a device's driver."""
    return DRIVERS[str(type(config).__struct_config__.tag)]


def build_bus(config: BusConfig, clock: Clock) -> Any:
    """Make the bus that several devices share. Does no I/O."""
    return _load(BUS)(config, port=open_port(config.port), clock=clock)


def build_driver(
    config: DeviceConfig,
    *,
    bus: Any,
    readings: Readings,
    clock: Clock,
    pseudonym: Callable[[bytes], str],
) -> Driver:
    """Make a device's driver on its bus, or on a port of its own when `bus` is None. Does no I/O.

    Raises `DeviceConfigError` for what the driver cannot do.
    """
    entry = entry_of(config)
    parts: dict[str, Any] = {"clock": clock, "readings": readings}
    if bus is None and config.port is None:
        raise DeviceConfigError(_("{device}: bus or port is missing").format(device=config.name))
    if entry.takes_bus:
        parts["bus"] = bus
    if entry.sees_people:
        parts["pseudonym"] = pseudonym
    if bus is None and config.port is not None:
        parts["port"] = open_port(config.port)
    return cast("Driver", _load(entry.driver)(config, **parts))


def _load(name: str) -> Any:
    module, _colon, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
